/* What the actions come to, for all recipients of a mail; and a policy looked at by people. */
#include "core/policy/review.h"

#include "core/base/base.h"
#include "core/policy/fact_code.h"
#include "core/policy/rulefile.h"
#include "tests/unit/harness.h"

static struct buffer errors, out;

static const struct rulefile_options all = {.offered = RULE_OFFERED_ALL};

#define HEAD                                                                 \
    "organisation: o\n"                                                      \
    "domains: [int.example]\n"                                               \
    "affiliates: [group.example]\n"                                          \
    "users:\n"                                                               \
    "  - {address: alice@int.example, defaults: {hold: 1m, notice: none}}\n" \
    "  - {address: bob@int.example}\n"                                       \
    "groups: {legal: [bob@int.example]}\n"                                   \
    "calendars: {business: {days: [mon], hours: 09:00-19:00}}\n"             \
    "dictionaries: {confidential: {words: [社外秘]}}\n"
#define EXTERNAL "when: {recipient: {class: external}}, "

static const struct str three[] = {STR_INIT("i@int.example"), STR_INIT("g@group.example"),
                                   STR_INIT("x@ext.example")};

static struct organisation *read(const char *text, const struct rulefile_options *options)
{
    buffer_clear(&errors);
    struct organisation *o = rulefile_read(str_c(text), "f", options, &errors);
    expect_str(buffer_str(&errors), STR(""), text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    return o;
}

/* Mail of bob, who has no defaults, to an insider, an affiliate and an outsider; what is wanted are
 * the deliveries as review_mail() tells them last. */
static const struct {
    const char *name, *rules, *want;
} rows[] = {
    {"nothing said: one delivery", "", "delivery 1, 3 recipients: hold 5m\n"},
    {"defaults", "defaults: {hold: 2m, tag: d}\n", "delivery 1, 3 recipients: hold 2m, tag d\n"},
    {"staggered, beyond the hold",
     "rules:\n  - {name: s, then: {stagger: {internal: 0s, affiliate: 5m, external: 10m}}}\n"
     "defaults: {hold: 1m}\n",
     "delivery 1, 1 recipient: hold 1m\ndelivery 2, 1 recipient: hold 6m\n"
     "delivery 3, 1 recipient: hold 11m\n"},
    {"staggered and without a delay of its own",
     "rules:\n  - {name: s, then: {stagger: {external: 10m}}}\n",
     "delivery 1, 2 recipients: hold 5m\ndelivery 2, 1 recipient: hold 15m\n"},
    {"one forbidden recipient rejects the whole mail",
     "rules:\n  - {name: no, " EXTERNAL "then: {reject: {in: smtp, text: no}}}\n",
     "the whole mail is rejected, by rule 'no' for x@ext.example\n"},
    {"or only that recipient, by rule",
     "rules:\n  - {name: no, " EXTERNAL "then: {reject: {in: mail, text: no, only: recipient}}}\n",
     "delivery 1, 2 recipients: hold 5m\n"
     "delivery 2, 1 recipient: reject {in: mail, text: no, only: recipient}\n"},
    {"reject beats what was decided before",
     "rules:\n  - {name: a, then: {hold: 1h, tag: a}}\n"
     "  - {name: no, " EXTERNAL "then: {reject: {in: mail, text: x, only: recipient}}}\n",
     "delivery 1, 2 recipients: hold 1h, tag a\n"
     "delivery 2, 1 recipient: reject {in: mail, text: x, only: recipient}\n"},
    {"a reject behind a stop is not reached",
     "rules:\n  - {name: a, when: {recipient: {domain: ext.example}}, then: {stop: true}}\n"
     "  - {name: no, " EXTERNAL "then: {reject: {in: smtp, text: no}}}\n",
     "delivery 1, 3 recipients: hold 5m\n"},
    {"SMTP's answer goes first",
     "rules:\n  - {name: m, when: {recipient: {class: internal}}, then: {reject: {in: mail, "
     "text: m}}}\n  - {name: s, " EXTERNAL "then: {reject: {in: smtp, text: s}}}\n",
     "the whole mail is rejected, by rule 's' for x@ext.example\n"},
    {"another rule, the same outcome: one delivery",
     "rules:\n  - {name: a, " EXTERNAL "then: {hold: 60s}}\n  - {name: b, then: {hold: 1m}}\n",
     "delivery 1, 3 recipients: hold 1m\n"},
    {"forced Bcc: classes are apart",
     "rules:\n  - {name: b, then: {bcc: {mode: prune, exempt: [partner.example]}}}\n",
     "delivery 1, 1 recipient: hold 5m, bcc {exempt: partner.example}\n"
     "delivery 2, 1 recipient: hold 5m, bcc {exempt: partner.example}\n"
     "delivery 3, 1 recipient: hold 5m, bcc {exempt: partner.example}\n"},
    {"approval", "rules:\n  - {name: a, " EXTERNAL "then: {approve: {by: {group: legal}}}}\n",
     "delivery 1, 2 recipients: hold 5m\n"
     "delivery 2, 1 recipient: hold 5m, approve {by: {group: legal}}\n"},
    {"as it is when left out",
     "rules:\n  - {name: a, " EXTERNAL "then: {bcc: {mode: prune}, stagger: {internal: 0s}}}\n",
     "delivery 1, 2 recipients: hold 5m\ndelivery 2, 1 recipient: hold 5m, bcc {mode: prune}\n"},
    {"what is added and changed",
     "rules:\n  - name: a\n    then:\n      add: {cc: [bob@int.example], bcc: audit@int.example}\n"
     "      header: {set: {X-Seen: by us}, remove: [X-Mailer]}\n      subject_prefix: \"[社外]\"\n"
     "      disclaimer: {place: head, text: \"a\\nb\\n\", html: \"<p>a\"}\n      tag: t\n",
     "delivery 1, 3 recipients: hold 5m, add {cc: bob@int.example, bcc: audit@int.example}, header "
     "{set: {X-Seen: by us}, remove: X-Mailer}, subject_prefix \"[社外]\", disclaimer "
     "{place: head, text: \"a\\u000Ab\\u000A\", html: \"<p>a\"}, tag t\n"},
    {"first setter of each action",
     "rules:\n  - {name: a, " EXTERNAL
     "then: {tag: a}}\n  - {name: b, then: {tag: b, notice: {every: "
     "30m}}}\n",
     "delivery 1, 2 recipients: hold 5m, notice every 30m, tag b\n"
     "delivery 2, 1 recipient: hold 5m, notice every 30m, tag a\n"},
};

static void mail(const struct organisation *o, const struct organisation *provider, struct facts *f,
                 struct decide_input *in)
{
    f->recipients = (struct str_list){three, 3};
    if (f->sender.len == 0)
        f->sender = f->user = STR("bob@int.example");
    *in = (struct decide_input){o, provider, f, 300000};
}

static void test_actions(void)
{
    for (size_t i = 0; i < countof(rows); i++) {
        char text[4096];
        struct facts f = {0};
        struct decide_input in;
        (void)snprintf(text, sizeof text, HEAD "%s", rows[i].rules);
        struct organisation *o = read(text, &all);
        mail(o, NULL, &f, &in);
        buffer_clear(&out);
        expect(review_mail(&in, &out), "%s", rows[i].name);
        struct str said = buffer_str(&out), want = str_c(rows[i].want);
        expect_str(str_skip(said, said.len > want.len ? said.len - want.len : 0), want,
                   rows[i].name);
        expect(str_find_str(said, STR("delivery 1")) == SIZE_MAX ||
                   str_starts(want, STR("delivery 1")),
               "%s: more is said", rows[i].name);
        organisation_drop(&o);
    }
}

static void test_tiers(void)
{
    const struct rulefile_options forced = {.offered = RULE_OFFERED_ALL, .is_provider = true};
    struct organisation *o = read(HEAD "rules:\n  - {name: own, " EXTERNAL "then: {hold: 2m}}\n"
                                       "defaults: {hold: 9m, notice: each, tag: d}\n",
                                  &all);
    struct organisation *p =
        read("rules:\n  - {name: forced, when: {recipient: {domain: ext.example}}, "
             "then: {tag: f, stop: true}}\n",
             &forced);
    struct facts f = {.sender = STR("alice@int.example"), .user = STR("alice@int.example")};
    struct decide_input in;
    mail(o, p, &f, &in);
    buffer_clear(&out);
    expect(review_mail(&in, &out), "tiers");
    expect_str(buffer_str(&out),
               STR("i@int.example\n"
                   "class: internal\n"
                   "provider's rule 'forced': no, by recipient.domain\n"
                   "rule 'own': no, by recipient.class\n"
                   "the sender's defaults: hold 1m, notice none\n"
                   "defaults: tag d\n"
                   "outcome: hold 1m, no notice, tag d\n\n"
                   "g@group.example\n"
                   "class: affiliate\n"
                   "provider's rule 'forced': no, by recipient.domain\n"
                   "rule 'own': no, by recipient.class\n"
                   "the sender's defaults: hold 1m, notice none\n"
                   "defaults: tag d\n"
                   "outcome: hold 1m, no notice, tag d\n\n"
                   "x@ext.example\n"
                   "class: external\n"
                   "provider's rule 'forced': yes: tag f, stop\n"
                   "rule 'own': yes: hold 2m\n"
                   "the sender's defaults: notice none\n"
                   "outcome: hold 2m, no notice, tag f\n\n"
                   "delivery 1, 2 recipients: hold 1m, no notice, tag d\n"
                   "delivery 2, 1 recipient: hold 2m, no notice, tag f\n"),
               "tiers");
    organisation_drop(&p);
    organisation_drop(&o);
}

/* policy.md's example, without the rule about attachments: those actions are not built yet. */
static const char example[] =
    "organisation: demo\n"
    "plan: self\n"
    "language: ja\n"
    "time_zone: Asia/Tokyo\n"
    "domains: [int.example]\n"
    "affiliates: [group.example]\n"
    "networks: [192.0.2.0/24]\n"
    "hosts: [smtp.int.example]\n"
    "users:\n"
    "  - {address: alice@int.example, name: 山田 花子, supervisor: carol@int.example}\n"
    "  - {address: carol@int.example, roles: [approver]}\n"
    "  - {address: admin@int.example, roles: [administrator]}\n"
    "groups:\n"
    "  newcomers: [alice@int.example]\n"
    "  helpdesk: {members: [bob@int.example], mailbox: help@int.example}\n"
    "calendars:\n"
    "  business: {days: [mon, tue, wed, thu, fri], hours: \"09:00-19:00\", holidays: [japan, "
    "\"2026-12-29\", \"2026-12-30\"]}\n"
    "dictionaries:\n"
    "  confidential: {words: [社外秘, 極秘, confidential], patterns: [\"案件番号[0-9]{6}\"]}\n"
    "rules:\n"
    "  - name: no mail outside business hours\n"
    "    when: {outside: business}\n"
    "    then: {reject: {in: smtp, text: 営業時間外は送信できません。}}\n"
    "  - name: newcomers wait longer\n"
    "    when: {sender: {group: newcomers}, recipient: {class: external}}\n"
    "    then: {hold: 15m, notice: each}\n"
    "  - name: staggered\n"
    "    then: {stagger: {internal: 0s, affiliate: 5m, external: 10m}}\n"
    "  - name: many outsiders\n"
    "    when: {external_in_header: {at_least: 10}}\n"
    "    then: {bcc: {mode: prune, exempt: [partner.example]}}\n"
    "  - name: secrets need the supervisor\n"
    "    when: {recipient: {class: external}, keyword: {dictionary: confidential, in: [subject, "
    "body, file_name, file_text], at_least: 1}}\n"
    "    then: {approve: {by: supervisor, within: 10d}}\n"
    "  - name: personal information\n"
    "    when: {recipient: {class: [affiliate, external]}, personal: {my_number: {at_least: 5}}}\n"
    "    then: {reject: {in: mail, text: マイナンバーが含まれています。}}\n"
    "  - name: attachments to outside\n"
    "    when: {recipient: {class: external}, attachments: {at_least: 1, except: [ics, vcf]}}\n"
    "    then: {tag: attachments}\n"
    "  - name: doubt\n"
    "    when: {any: [{unreadable: true}, {ambiguous: true}]}\n"
    "    then: {hold: 1d, notice: each}\n"
    "defaults: {hold: 5m}\n";

static void test_example(void)
{
    struct buffer again;
    buffer_init(&again, 1 << 16);
    struct organisation *o = read(example, &all);
    buffer_clear(&out);
    rulefile_write(o, &out);
    expect(str_find_str(buffer_str(&out),
                        STR("    when: {recipient: {class: external}, keyword: {dictionary: "
                            "confidential}}\n    then: {approve: {by: supervisor}}\n")) != SIZE_MAX,
           "what is as when left out is left out: %.*s", STR_ARG(buffer_str(&out)));
    buffer_clear(&errors);
    struct organisation *b = rulefile_read(buffer_str(&out), "f", &all, &errors);
    expect_str(buffer_str(&errors), STR(""), "import of an export");
    CU_ASSERT_PTR_NOT_NULL_FATAL(b);
    rulefile_write(b, &again);
    expect_str(buffer_str(&again), buffer_str(&out), "export(import(export)) is export");
    buffer_clear(&out);
    review_diff(o, b, &out);
    expect_str(buffer_str(&out), STR(""), "nothing is new");
    organisation_drop(&b);
    organisation_drop(&o);
    o = rulefile_read(str_c(example), "f", NULL, &errors);
    expect(o == NULL, "not offered yet, and refused");
    organisation_drop(&o);
    buffer_drop(&again);
}

static void test_diff(void)
{
    struct organisation *a =
        read(HEAD "rules:\n  - {name: a, when: {auto: true}, then: {hold: 1m}}\n"
                  "  - {name: b, then: {tag: x}}\n"
                  "  - {name: c, then: {notice: none}}\n",
             &all);
    struct organisation *b = read(HEAD "lists: {l: [x.example]}\n"
                                       "rules:\n  - {name: c, then: {notice: none}}\n"
                                       "  - {name: b, then: {tag: y}}\n"
                                       "  - {name: d, then: {hold: 2m}}\ndefaults: {hold: 1h}\n",
                                  &all);
    buffer_clear(&out);
    review_diff(a, b, &out);
    expect_str(buffer_str(&out),
               STR("+ lists:\n"
                   "+ lists: l: [x.example]\n"
                   "+ defaults: {hold: 1h}\n"
                   "- rule 'a': when: {auto: true}, then: {hold: 1m}\n"
                   "- rule 'b': then: {tag: x}\n"
                   "+ rule 'b': then: {tag: y}\n"
                   "+ rule 'd': then: {hold: 2m}\n"
                   "! the order of the rules is another, from 'c' on\n"),
               "diff");
    struct facts f = {0};
    struct decide_input before, after;
    mail(a, NULL, &f, &before);
    mail(b, NULL, &f, &after);
    buffer_clear(&out);
    expect(review_replay(&before, &after, &out) == 3, "all three");
    expect(str_starts(buffer_str(&out), STR("i@int.example: hold 5m, no notice, tag x -> hold 2m, "
                                            "no notice, tag y\n")),
           "%.*s", STR_ARG(buffer_str(&out)));
    buffer_clear(&out);
    expect(review_replay(&before, &before, &out) == 0 && out.len == 0, "none");
    organisation_drop(&b);
    organisation_drop(&a);
}

/* What decides is the same after it was kept. */
static void test_code(void)
{
    static const struct header_fact headers[] = {{STR_INIT("Subject"), STR_INIT("社外秘")}};
    static const struct str names[] = {STR_INIT("a.txt"), STR_INIT("a.exe")};
    static const struct attachment attachments[] = {{{names, 2},
                                                     STR_INIT("text/plain"),
                                                     STR_INIT("x/y"),
                                                     STR_INIT("z.zip/a.txt"),
                                                     STR_INIT("encrypted"),
                                                     5,
                                                     6,
                                                     7,
                                                     1,
                                                     ATTACHMENT_ENCRYPTED | ATTACHMENT_UNREADABLE}};
    static const struct keyword_fact keywords[] = {
        {STR_INIT("confidential"), MATCH_FILE_TEXT, 3, STR_INIT("社外秘"), STR_INIT("a.txt")}};
    static const uint32_t relations[] = {1, 0, 4};
    const struct facts f = {1,
                            0,
                            3,
                            STR("bob@int.example"),
                            STR("bob@int.example"),
                            STR("\300\0\2\1"),
                            true,
                            true,
                            false,
                            {three, 3},
                            {three, 2},
                            relations,
                            headers,
                            1,
                            attachments,
                            1,
                            keywords,
                            1,
                            STR("key"),
                            {5, 0, 2},
                            {names, 1},
                            {names, 2},
                            {NULL, 0}};
    struct facts g;
    struct arena arena;
    struct buffer again;
    buffer_init(&again, 1 << 16);
    arena_init(&arena, 1 << 20);
    buffer_clear(&out);
    expect(facts_encode(&f, &out) && facts_decode(buffer_str(&out), &arena, &g), "it is read back");
    expect(facts_encode(&g, &again), "again");
    expect_str(buffer_str(&again), buffer_str(&out), "the same bytes");
    expect(g.is_auto && g.is_signed && !g.is_encrypted && g.size == 3 && g.personal[2] == 2 &&
               g.relations[2] == 4 && g.attachments[0].flags == attachments[0].flags &&
               g.keywords[0].count == 3,
           "values");
    expect_str(g.attachments[0].names.at[1], names[1], "names");
    for (size_t i = 0; i < out.len; i++)
        expect(!facts_decode(str_head(buffer_str(&out), i), &arena, &g), "cut at %zu", i);
    out.at[0] = 2;
    expect(!facts_decode(buffer_str(&out), &arena, &g), "a version that is not known");
    buffer_drop(&again);
    arena_drop(&arena);
}

static void test_bound(void)
{
    struct arena arena;
    struct buffer again;
    buffer_init(&again, 1 << 16);
    arena_init(&arena, 1 << 20);
    struct str *many = arena_take(&arena, 1024 * sizeof *many);
    CU_ASSERT_PTR_NOT_NULL_FATAL(many);
    char *text = arena_take(&arena, 8192);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    const struct str large = str_from(text, 8192);
    for (int i = 0; i < 1024; i++)
        many[i] = large;
    const struct facts huge = {.unreadable = {many, 1024}};
    expect(!facts_encode(&huge, &again) && again.len == 0, "too large, nothing is written");
    buffer_drop(&again);
    arena_drop(&arena);
}

static void test_file(void)
{
    const struct facts f = {.sender = STR("bob@int.example"), .recipients = {three, 1}};
    buffer_clear(&out);
    expect(review_file(STR(HEAD "defaults: {hold: 1m}\n"), "draft", &all, &f, 0, &out), "good");
    expect_str(buffer_str(&out),
               STR("i@int.example\nclass: internal\ndefaults: hold 1m\noutcome: hold 1m\n\n"
                   "delivery 1, 1 recipient: hold 1m\n"),
               "good");
    buffer_clear(&out);
    expect(!review_file(STR(HEAD "defaults: {hodl: 1m}\n"), "draft", &all, &f, 0, &out), "bad");
    expect_str(buffer_str(&out), STR("draft:10:12: unknown action 'hodl' (did you mean 'hold'?)\n"),
               "bad");
    buffer_clear(&out);
    rule_write_reference(&out);
    expect(str_find_str(buffer_str(&out), STR("| `recipient: class` | internal, affiliate, "
                                              "external | internal, affiliate, external |\n")) !=
               SIZE_MAX,
           "%.*s", STR_ARG(buffer_str(&out)));
}

int main(void)
{
    buffer_init(&errors, 1 << 16);
    buffer_init(&out, 1 << 20);
    const struct test tests[] = {
        {"actions", test_actions},     {"tiers", test_tiers},
        {"policy.md", test_example},   {"diff and replay", test_diff},
        {"facts are kept", test_code}, {"facts are bounded", test_bound},
        {"a draft", test_file},        {0},
    };
    int status = harness_run("review", tests);
    buffer_drop(&errors);
    buffer_drop(&out);
    return status;
}
