/* Each condition as policy.md writes it, about one mail: true, false, and where its fact is not
 * there. */
#include "core/base/base.h"
#include "core/policy/decide.h"
#include "core/policy/detector.h"
#include "core/policy/rulefile.h"
#include "tests/unit/harness.h"

static struct buffer errors, trace;
static struct arena arena;

static const char head[] = "organisation: o\n"
                           "domains: [int.example]\n"
                           "affiliates: [group.example]\n"
                           "users:\n"
                           "  - {address: alice@int.example}\n"
                           "groups:\n"
                           "  staff: [alice@int.example]\n"
                           "lists:\n"
                           "  rivals: [\"*.rival.example\", ceo@other.example, foe.example]\n"
                           "calendars:\n"
                           "  business: {days: [mon, tue, wed, thu, fri], hours: 09:00-19:00}\n"
                           "  nights: {hours: 22:00-05:00}\n"
                           "dictionaries:\n"
                           "  confidential: {words: [社外秘]}\n"
                           "  projects: {patterns: [\"案件番号[0-9]{6}\"]}\n";

static const struct str recipients[] = {
    STR_INIT("x@ext.example"), STR_INIT("y@ext.example"),   STR_INIT("X@EXT.example"),
    STR_INIT("z@c.example"),   STR_INIT("p@group.example"), STR_INIT("bob@int.example"),
};
static const struct str in_header[] = {
    STR_INIT("x@ext.example"), STR_INIT("X@ext.example"),   STR_INIT("z@c.example"),
    STR_INIT("q@d.example"),   STR_INIT("bob@int.example"),
};
static const struct header_fact headers[] = {
    {STR_INIT("Subject"), STR_INIT("Re: 見積 Plan")},
    {STR_INIT("X-Priority"), STR_INIT("1")},
    {STR_INIT("X-Priority"), STR_INIT("High")},
};
static const struct str pdf[] = {STR_INIT("Plan.PDF")};
static const struct str two_names[] = {STR_INIT("a.txt"), STR_INIT("a.exe")};
static const struct str invitation[] = {STR_INIT("invite.ics")};
static const struct str logo[] = {STR_INIT("logo.png")};
static const struct str member[] = {STR_INIT("inner.docm")};
static const struct attachment attachments[] = {
    {.names = {pdf, 1}, .declared_type = STR_INIT("application/pdf"), .bytes = 1 << 20},
    {.names = {two_names, 2},
     .declared_type = STR_INIT("text/plain"),
     .true_type = STR_INIT("application/x-dosexec"),
     .bytes = 1000},
    {.names = {NULL, 0}, .declared_type = STR_INIT("application/zip"), .bytes = 10},
    {.names = {invitation, 1}, .flags = ATTACHMENT_CALENDAR, .bytes = 500},
    {.names = {logo, 1}, .flags = ATTACHMENT_INLINE, .bytes = 500},
    {.names = {member, 1},
     .path = STR_INIT("a.zip/inner.docm"),
     .depth = 1,
     .flags = ATTACHMENT_ENCRYPTED | ATTACHMENT_HIDDEN_DATA,
     .bytes = 700},
};
static const struct keyword_fact keywords[] = {
    {STR_INIT("confidential"), MATCH_SUBJECT, 1, STR_INIT("社外秘"), STR_INIT("")},
    {STR_INIT("confidential"), MATCH_FILE_TEXT, 2, STR_INIT("社外秘"), STR_INIT("Plan.PDF")},
    {STR_INIT("gone"), MATCH_BODY, 9, STR_INIT("x"), STR_INIT("")},
};
static const struct str reasons[] = {STR_INIT("a.zip: encrypted")};

static const struct facts full = {
    .open = 1, /* business */
    .size = 2 << 20,
    .sender = STR_INIT("Alice@int.example"),
    .user = STR_INIT("alice@int.example"),
    .client = STR_INIT("\300\0\2\1"),
    .is_auto = true,
    .is_signed = true,
    .is_encrypted = true,
    .recipients = {recipients, countof(recipients)},
    .header_recipients = {in_header, countof(in_header)},
    .headers = headers,
    .header_count = countof(headers),
    .attachments = attachments,
    .attachment_count = countof(attachments),
    .keywords = keywords,
    .keyword_count = countof(keywords),
    .personal = {[DETECTOR_MY_NUMBER] = 5, [DETECTOR_PHONE] = 1},
    .unreadable = {reasons, 1},
    .ambiguous = {reasons, 1},
    .infected = {reasons, 1},
};
static const struct facts empty = {
    .sender = STR_INIT("alice@int.example"),
    .recipients = {recipients, 1},
};

enum {
    FULL = 1,  /* true of the mail that has something of everything */
    EMPTY = 2, /* true of the mail that has nothing: its first recipient is the same */
};

static const struct {
    const char *when;
    unsigned want;
} rows[] = {
    {"{sender: {pattern: 'al*@int.example'}}", FULL | EMPTY},
    {"{sender: {pattern: ['b*', '*@*.int.example']}}", 0},
    {"{sender: {group: staff}}", FULL | EMPTY},
    {"{sender: {user: alice@int.example}}", FULL},
    {"{sender: {network: 192.0.2.0/24}}", FULL},
    {"{recipient: {pattern: '*@ext.*'}}", FULL | EMPTY},
    {"{recipient: {pattern: '?@ext.example'}}", 0},
    {"{recipient: {list: rivals}}", 0},
    {"{recipients: {external: {at_least: 3}}}", FULL}, /* x, y, z: X is x */
    {"{recipients: {external: {at_least: 4}}}", 0},
    {"{recipients: {external: {at_least: 1}}}", FULL | EMPTY},
    {"{external_domains: {at_least: 2}}", FULL},
    {"{external_domains: {at_least: 3}}", 0},
    {"{external_in_header: {at_least: 3}}", FULL}, /* x, z, q: the same address counts once */
    {"{external_in_header: {at_least: 4}}", 0},

    {"{header: {name: x-priority}}", FULL},
    {"{header: {name: X-Other}}", 0},
    {"{header: {name: X-Priority, is: high}}", FULL}, /* the second of two fields */
    {"{header: {name: X-Priority, is: ['2', '1']}}", FULL},
    {"{header: {name: X-Priority, is: hig}}", 0},
    {"{header: {name: Subject, matches: '*見積*'}}", FULL},
    {"{header: {name: Subject, matches: 're:*PLAN'}}", FULL},
    {"{header: {name: Subject, matches: plan}}", 0},
    {"{header: {name: Subject, is: x, matches: '*plan'}}", FULL},
    {"{size: {at_least: 2MiB}}", FULL},
    {"{size: {at_least: 3MiB}}", 0},

    {"{attachments: {at_least: 1}}", FULL},
    {"{attachments: {at_least: 3}}", FULL}, /* not the invitation, the logo, what is in the zip */
    {"{attachments: {at_least: 4}}", 0},
    {"{attachments: {kind: [attached, inline, calendar], at_least: 5}}", FULL},
    {"{attachments: {kind: calendar}}", FULL},
    {"{attachments: {kind: inline, name: 'logo*'}}", FULL},
    {"{attachments: {total_size: 1MiB}}", FULL},
    {"{attachments: {total_size: 2MiB}}", 0},
    {"{attachments: {name: 'plan.*'}}", FULL},
    {"{attachments: {name: '*.exe'}}", FULL}, /* any of its names */
    {"{attachments: {extension: [EXE, .com]}}", FULL},
    {"{attachments: {extension: docm}}", FULL}, /* in the zip */
    {"{attachments: {extension: pd}}", 0},
    {"{attachments: {extension: [pdf, exe], at_least: 2}}", FULL},
    {"{attachments: {at_least: 3, except: [ics, vcf]}}", FULL},
    {"{attachments: {at_least: 3, except: pdf}}", 0},
    {"{attachments: {at_least: 3, except: txt}}", FULL}, /* a.txt is a.exe to others */
    {"{attachments: {at_least: 3, except: [txt, exe]}}", 0},
    {"{attachments: {type: application/x-dosexec}}", FULL}, /* true type */
    {"{attachments: {type: 'text/*'}}", FULL},              /* declared type */
    {"{attachments: {type: 'image/*'}}", 0},
    {"{attachments: {encrypted: true}}", FULL},
    {"{attachments: {hidden_data: true, extension: docm}}", FULL},
    {"{attachments: {hidden_data: true, extension: pdf}}", 0},
    {"{attachments: {infected: true}}", 0},

    {"{keyword: {dictionary: confidential}}", FULL},
    {"{keyword: {dictionary: projects}}", 0},
    {"{keyword: {dictionary: [projects, confidential]}}", FULL},
    {"{keyword: {dictionary: confidential, at_least: 3}}", FULL},
    {"{keyword: {dictionary: confidential, at_least: 4}}", 0},
    {"{keyword: {dictionary: confidential, in: file_text, at_least: 2}}", FULL},
    {"{keyword: {dictionary: confidential, in: [subject, body], at_least: 2}}", 0},
    {"{keyword: {dictionary: confidential, in: [body, file_name]}}", 0},
    {"{personal: {my_number: {at_least: 5}}}", FULL},
    {"{personal: {my_number: {at_least: 6}}}", 0},
    {"{personal: {my_number: {at_least: 1}, phone: {at_least: 1}}}", FULL},
    {"{personal: {my_number: {at_least: 1}, email: {at_least: 1}}}", 0},
    {"{during: business}", FULL},
    {"{during: nights}", 0},
    {"{during: [nights, business]}", FULL},
    {"{outside: business}", EMPTY},
    {"{outside: nights}", FULL | EMPTY},
    {"{auto: true}", FULL},
    {"{auto: false}", EMPTY},
    {"{signed: true}", FULL},
    {"{encrypted: true}", FULL},
    {"{unreadable: true}", FULL},
    {"{ambiguous: true}", FULL},
    {"{infected: true}", FULL},
    {"{infected: false}", EMPTY},
    {"{any: [{unreadable: true}, {ambiguous: true}]}", FULL},
    {"{not: {any: [{signed: true}, {encrypted: true}]}}", EMPTY},
};

static struct organisation *read(const char *rules)
{
    const struct rulefile_options all = {.offered = RULE_OFFERED_ALL};
    struct buffer text;
    buffer_init(&text, 1 << 16);
    buffer_puts(&text, head);
    buffer_puts(&text, rules);
    buffer_clear(&errors);
    struct organisation *o = rulefile_read(buffer_str(&text), "f", &all, &errors);
    expect_str(buffer_str(&errors), STR(""), rules);
    buffer_drop(&text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    return o;
}

static void check(const char *when, const struct facts *f, bool want, const char *which)
{
    char rule[512];
    (void)snprintf(rule, sizeof rule, "rules:\n  - {name: r, when: %s, then: {tag: t}}\n", when);
    struct organisation *o = read(rule);
    struct decide_input in = {.organisation = o, .facts = f};
    struct outcome *out = decide(&in, &arena);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    bool is_set = outcome_of(out, 0)->set >> ACTION_TAG & 1;
    expect(is_set == want, "%s of the %s mail: %d", when, which, is_set);
    struct trace *t = decide_trace(&in, out, 0, &arena);
    CU_ASSERT_PTR_NOT_NULL_FATAL(t);
    expect(t->count == 1 && t->steps[0].matched == want, "%s: trace", when);
    organisation_drop(&o);
    arena_reset(&arena);
}

static void test_conditions(void)
{
    for (size_t i = 0; i < countof(rows); i++) {
        check(rows[i].when, &full, rows[i].want & FULL, "full");
        check(rows[i].when, &empty, rows[i].want & EMPTY, "empty");
    }
}

static const struct {
    const char *recipient;
    bool want;
} list_rows[] = {
    {"a@rival.example", false},
    {"a@x.rival.example", true},
    {"CEO@other.example", true},
    {"other@other.example", false},
    {"a@foe.example", true},
    {"a@x.foe.example", false},
    {"a@notrival.example", false},
    {"foe.example@ok.example", false},
    {"\"a@foe.example\"@b.example", false},
};

static void test_lists(void)
{
    for (size_t i = 0; i < countof(list_rows); i++) {
        struct str recipient = str_c(list_rows[i].recipient);
        struct facts f = empty;
        f.recipients = (struct str_list){&recipient, 1};
        check("{recipient: {list: rivals}}", &f, list_rows[i].want, list_rows[i].recipient);
    }
}

static const struct {
    const char *when, *want;
} evidence_rows[] = {
    {"{keyword: {dictionary: confidential}}",
     "keyword: '社外秘' of confidential in subject, once; '社外秘' of confidential in file_text of "
     "Plan.PDF, 2 times"},
    {"{keyword: {dictionary: confidential, in: file_text}}",
     "keyword: '社外秘' of confidential in file_text of Plan.PDF, 2 times"},
    {"{header: {name: x-priority, is: high}}", "header: X-Priority: High"},
    {"{attachments: {extension: [exe, docm]}}",
     "attachments: 'a.txt' (1000 bytes); 'a.zip/inner.docm' (700 bytes)"},
    {"{personal: {my_number: {at_least: 2}}}", "personal.my_number: 5"},
    {"{external_in_header: {at_least: 2}}", "external_in_header: 3"},
    {"{unreadable: true}", "unreadable: a.zip: encrypted"},
    {"{ambiguous: true}", "ambiguous: a.zip: encrypted"},
};

static void test_evidence(void)
{
    for (size_t i = 0; i < countof(evidence_rows); i++) {
        char text[512];
        (void)snprintf(text, sizeof text, "rules:\n  - {name: r, when: %s, then: {tag: t}}\n",
                       evidence_rows[i].when);
        struct organisation *o = read(text);
        struct decide_input in = {.organisation = o, .facts = &full};
        struct outcome *out = decide(&in, &arena);
        CU_ASSERT_PTR_NOT_NULL_FATAL(out);
        struct trace *t = decide_trace(&in, out, 0, &arena);
        CU_ASSERT_PTR_NOT_NULL_FATAL(t);
        buffer_clear(&trace);
        trace_write(t, &in, &trace);
        (void)snprintf(text, sizeof text,
                       "class: external\nrule 'r': yes: tag t\n  %s\nsettings: hold 0s\n"
                       "automatic mail: notice none\n",
                       evidence_rows[i].want);
        expect_str(buffer_str(&trace), str_c(text), evidence_rows[i].when);
        organisation_drop(&o);
        arena_reset(&arena);
    }
}

static void test_names(void)
{
    for (unsigned i = 0; i < DETECTOR_KINDS; i++)
        expect_str(condition_rows[CONDITION_PERSONAL_MY_NUMBER + i].name, detector_rows[i].name,
                   "rule.def and detector.def");
}

int main(void)
{
    buffer_init(&errors, 1 << 16);
    buffer_init(&trace, 1 << 16);
    arena_init(&arena, 16 << 20);
    const struct test tests[] = {
        {"conditions", test_conditions},
        {"recipient.list", test_lists},
        {"evidence", test_evidence},
        {"personal information by name", test_names},
        {0},
    };
    int status = harness_run("ask", tests);
    buffer_drop(&errors);
    buffer_drop(&trace);
    arena_drop(&arena);
    return status;
}
