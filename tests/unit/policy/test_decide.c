#include "core/policy/decide.h"

#include "core/base/base.h"
#include "core/policy/rulefile.h"
#include "tests/unit/harness.h"

static struct buffer errors, trace;
static struct arena arena;

#define HEAD                             \
    "organisation: o\n"                  \
    "domains: [int.example]\n"           \
    "affiliates: [group.example]\n"      \
    "users:\n"                           \
    "  - {address: alice@int.example}\n" \
    "groups:\n"                          \
    "  newcomers: [alice@int.example]\n" \
    "  partners: [p@ext.example]\n"      \
    "  desk: {members: [alice@int.example], mailbox: help@int.example}\n"
#define RULE(when, then) "rules:\n  - {name: r, when: " when ", then: " then "}\n"

/* Facts of a row: sender alice, signed in as alice, from 192.0.2.1, unless they say otherwise. */
struct row {
    const char *name, *rules, *recipient;
    const char *sender; /* NULL: alice@int.example */
    bool is_stranger;   /* no authenticated user */
    bool is_auto;
    uint64_t hold_s;
    const char *hold_rule;
    enum notice_kind notice;
    const char *notice_rule;
};

#define EXT  "x@ext.example"
#define YES  7, "r", NOTICE_EACH, ""  /* the rule set a hold of 7 s */
#define NO   300, "", NOTICE_EACH, "" /* nothing did: the settings' 300 s */
#define HOLD "{hold: 7s}"

static const struct row decide_rows[] = {
    {"nothing said", "", EXT, 0, 0, 0, NO},
    {"defaults", "defaults: {hold: 1m, notice: none}\n", EXT, 0, 0, 0, 60, "", NOTICE_NONE, ""},
    {"no when", "rules:\n  - {name: r, then: {hold: 7s}}\n", EXT, 0, 0, 0, YES},
    {"first one decides",
     "rules:\n  - {name: r, when: {recipient: {class: external}}, then: {hold: 7s}}\n"
     "  - {name: s, then: {hold: 8s, notice: none}}\ndefaults: {hold: 9s}\n",
     EXT, 0, 0, 0, 7, "r", NOTICE_NONE, "s"},
    {"another recipient of the same",
     "rules:\n  - {name: r, when: {recipient: {class: external}}, then: {hold: 7s}}\n"
     "  - {name: s, then: {hold: 8s, notice: none}}\ndefaults: {hold: 9s}\n",
     "x@int.example", 0, 0, 0, 8, "s", NOTICE_NONE, "s"},
    {"stop ends the list, defaults still come",
     "rules:\n  - {name: r, when: {recipient: {class: external}}, then: {hold: 7s, stop: true}}\n"
     "  - {name: s, then: {notice: none}}\ndefaults: {notice: {every: 30m}}\n",
     EXT, 0, 0, 0, 7, "r", NOTICE_EVERY, ""},
    {"stop that does not match ends nothing",
     "rules:\n  - {name: r, when: {recipient: {class: internal}}, then: {stop: true}}\n"
     "  - {name: s, then: {notice: none}}\n",
     EXT, 0, 0, 0, 300, "", NOTICE_NONE, "s"},
    {"zero is a hold too",
     RULE("{recipient: {class: external}}", "{hold: 0s}") "defaults: {hold: 9s}\n", EXT, 0, 0, 0, 0,
     "r", NOTICE_EACH, ""},
    {"automatic mail is held and gets no notice", RULE("{sender: {user: alice@int.example}}", HOLD),
     EXT, 0, 0, true, 7, "r", NOTICE_NONE, ""},
    {"null sender is held and gets no notice", "defaults: {notice: each}\n", EXT, "", true, 0, 300,
     "", NOTICE_NONE, ""},

    {"sender.address", RULE("{sender: {address: Alice@INT.example}}", HOLD), EXT, 0, 0, 0, YES},
    {"sender.address: other", RULE("{sender: {address: bob@int.example}}", HOLD), EXT, 0, 0, 0, NO},
    {"sender.address: null sender is none", RULE("{sender: {domain: int.example}}", HOLD), EXT, "",
     true, 0, 300, "", NOTICE_NONE, ""},
    {"sender.domain", RULE("{sender: {domain: int.example}}", HOLD), EXT, 0, 0, 0, YES},
    {"sender.domain: below only", RULE("{sender: {domain: '*.int.example'}}", HOLD), EXT, 0, 0, 0,
     NO},
    {"sender.domain: below", RULE("{sender: {domain: '*.int.example'}}", HOLD), EXT,
     "a@b.int.example", 0, 0, YES},
    {"sender.group by user", RULE("{sender: {group: newcomers}}", HOLD), EXT, "help@int.example", 0,
     0, YES},
    {"sender.group by reverse-path", RULE("{sender: {group: newcomers}}", HOLD), EXT, 0, true, 0,
     YES},
    {"sender.group by mailbox", RULE("{sender: {group: desk}}", HOLD), EXT, "help@int.example",
     true, 0, YES},
    {"sender.group: neither", RULE("{sender: {group: newcomers}}", HOLD), EXT, "bob@int.example",
     true, 0, NO},
    {"sender.user", RULE("{sender: {user: alice@int.example}}", HOLD), EXT, "help@int.example", 0,
     0, YES},
    {"sender.user: a reverse-path is none", RULE("{sender: {user: alice@int.example}}", HOLD), EXT,
     0, true, 0, NO},
    {"sender.network", RULE("{sender: {network: [10.0.0.0/8, 192.0.2.0/24]}}", HOLD), EXT, 0, 0, 0,
     YES},
    {"sender.network: other", RULE("{sender: {network: 10.0.0.0/8}}", HOLD), EXT, 0, 0, 0, NO},

    {"recipient.address", RULE("{recipient: {address: X@ext.example}}", HOLD), EXT, 0, 0, 0, YES},
    {"recipient.address: other case on the wire",
     RULE("{recipient: {address: x@ext.example}}", HOLD), "X@ext.example", 0, 0, 0, YES},
    {"recipient.domain", RULE("{recipient: {domain: [a.example, ext.example]}}", HOLD), EXT, 0, 0,
     0, YES},
    {"recipient.domain: by label", RULE("{recipient: {domain: '*.example'}}", HOLD), EXT, 0, 0, 0,
     YES},
    {"recipient.domain: not by letters", RULE("{recipient: {domain: '*.xt.example'}}", HOLD), EXT,
     0, 0, 0, NO},
    {"recipient.domain: the last @ counts", RULE("{recipient: {domain: ext.example}}", HOLD),
     "\"a@b.example\"@ext.example", 0, 0, 0, YES},
    {"recipient.class external", RULE("{recipient: {class: external}}", HOLD), EXT, 0, 0, 0, YES},
    {"recipient.class list", RULE("{recipient: {class: [internal, affiliate]}}", HOLD),
     "x@group.example", 0, 0, 0, YES},
    {"recipient.class other", RULE("{recipient: {class: [internal, affiliate]}}", HOLD), EXT, 0, 0,
     0, NO},
    {"recipient.class of a literal", RULE("{recipient: {class: external}}", HOLD), "x@[192.0.2.1]",
     0, 0, 0, YES},
    {"recipient.group", RULE("{recipient: {group: [newcomers, partners]}}", HOLD), "P@ext.example",
     0, 0, 0, YES},
    {"recipient.group: not the user's", RULE("{recipient: {group: newcomers}}", HOLD), EXT, 0, 0, 0,
     NO},

    {"and inside a section", RULE("{recipient: {class: external, domain: a.example}}", HOLD), EXT,
     0, 0, 0, NO},
    {"and between sections",
     RULE("{sender: {group: newcomers}, recipient: {class: external}}", HOLD), EXT, 0, 0, 0, YES},
    {"any: second",
     RULE("{any: [{recipient: {class: internal}}, {sender: {group: newcomers}}]}", HOLD), EXT, 0, 0,
     0, YES},
    {"any: none",
     RULE("{any: [{recipient: {class: internal}}, {sender: {group: partners}}]}", HOLD), EXT, 0, 0,
     0, NO},
    {"any and more",
     RULE("{any: [{recipient: {class: external}}], sender: {group: partners}}", HOLD), EXT, 0, 0, 0,
     NO},
    {"all", RULE("{all: [{recipient: {class: external}}, {sender: {group: newcomers}}]}", HOLD),
     EXT, 0, 0, 0, YES},
    {"all: one fails",
     RULE("{all: [{recipient: {class: external}}, {sender: {group: partners}}]}", HOLD), EXT, 0, 0,
     0, NO},
    {"not", RULE("{not: {recipient: {class: internal}}}", HOLD), EXT, 0, 0, 0, YES},
    {"not of a conjunction",
     RULE("{not: {recipient: {class: external}, sender: {group: partners}}}", HOLD), EXT, 0, 0, 0,
     YES},
    {"not of what is true", RULE("{not: {recipient: {class: external}}}", HOLD), EXT, 0, 0, 0, NO},
    {"not not", RULE("{not: {not: {recipient: {class: external}}}}", HOLD), EXT, 0, 0, 0, YES},
    {"not any",
     RULE("{not: {any: [{recipient: {class: internal}}, {sender: {group: partners}}]}}", HOLD), EXT,
     0, 0, 0, YES},
    {"not all in any in all",
     RULE("{all: [{any: [{recipient: {class: internal}}, {not: {all: "
          "[{recipient: {class: external}}, {sender: {group: partners}}]}}]}, {recipient: {class: "
          "external}}]}",
          HOLD),
     EXT, 0, 0, 0, YES},
};

static struct organisation *make(const char *rules)
{
    struct buffer text;
    buffer_init(&text, 1 << 16);
    buffer_puts(&text, HEAD);
    buffer_puts(&text, rules);
    buffer_clear(&errors);
    struct organisation *o = rulefile_read(buffer_str(&text), "f", NULL, &errors);
    expect_str(buffer_str(&errors), STR(""), rules);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    buffer_drop(&text);
    return o;
}

static const struct decision *decide_row(const struct organisation *o, const struct row *row,
                                         struct buffer *why)
{
    struct str *recipient = arena_take(&arena, sizeof *recipient);
    struct facts *facts = arena_take(&arena, sizeof *facts);
    CU_ASSERT_FATAL(recipient && facts);
    *recipient = str_c(row->recipient);
    *facts = (struct facts){
        .sender = str_c(row->sender ? row->sender : "alice@int.example"),
        .user = row->is_stranger ? STR("") : STR("alice@int.example"),
        .client = STR("\300\0\2\1"),
        .is_auto = row->is_auto,
        .recipients = {recipient, 1},
    };
    struct decide_input in = {.organisation = o, .facts = facts, .hold_standard_ms = 300000};
    struct outcome *out = decide(&in, &arena);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    if (why) {
        struct trace *t = decide_trace(&in, out, 0, &arena);
        CU_ASSERT_PTR_NOT_NULL_FATAL(t);
        buffer_clear(why);
        trace_write(t, &in, why);
    }
    return outcome_of(out, 0);
}

static void test_decide(void)
{
    for (size_t i = 0; i < countof(decide_rows); i++) {
        const struct row *row = &decide_rows[i];
        struct organisation *o = make(row->rules);
        const struct decision *d = decide_row(o, row, &trace);
        expect(d->hold_ms == row->hold_s * 1000, "%s: %llu ms", row->name,
               (unsigned long long)d->hold_ms);
        expect_str(decision_rule(d, ACTION_HOLD), str_c(row->hold_rule), row->name);
        expect(d->notice == row->notice, "%s: notice %u", row->name, (unsigned)d->notice);
        expect_str(decision_rule(d, ACTION_NOTICE), str_c(row->notice_rule), row->name);
        organisation_drop(&o);
        arena_reset(&arena);
    }
}

static void test_trace(void)
{
    struct organisation *o = make(
        "rules:\n"
        "  - {name: inside, when: {recipient: {class: internal}}, then: {hold: 0s}}\n"
        "  - {name: fresh, when: {sender: {group: newcomers}}, then: {hold: 15m, notice: each}}\n"
        "  - {name: late, when: {recipient: {domain: ext.example}}, then: {hold: 1h}}\n"
        "  - {name: end, when: {recipient: {class: external}}, then: {hold: 2h, stop: true}}\n"
        "  - {name: never here, when: {sender: {group: desk}}, then: {notice: {every: 30m}}}\n"
        "defaults: {hold: 5m, notice: none}\n");
    struct row row = {.recipient = EXT};
    (void)decide_row(o, &row, &trace);
    expect_str(buffer_str(&trace),
               STR("class: external\n"
                   "rule 'inside': no, by recipient.class\n"
                   "rule 'fresh': yes: hold 15m, notice each\n"
                   "rule 'late': yes: decided before: hold 1h\n"
                   "rule 'end': yes: stop; decided before: hold 2h\n"),
               "external");
    row =
        (struct row){.recipient = "a@int.example", .sender = "x@int.example", .is_stranger = true};
    (void)decide_row(o, &row, &trace);
    expect_str(buffer_str(&trace),
               STR("class: internal\n"
                   "rule 'inside': yes: hold 0s\n"
                   "rule 'fresh': no, by sender.group\n"
                   "rule 'late': no, by recipient.domain\n"
                   "rule 'end': no, by recipient.class\n"
                   "rule 'never here': no, by sender.group\n"
                   "defaults: notice none\n"),
               "internal");
    organisation_drop(&o);
    o = make("");
    row = (struct row){.recipient = "a@group.example", .is_auto = true};
    (void)decide_row(o, &row, &trace);
    expect_str(buffer_str(&trace),
               STR("class: affiliate\nsettings: hold 5m\nautomatic mail: notice none\n"),
               "settings");
    organisation_drop(&o);
}

int main(void)
{
    buffer_init(&errors, 1 << 16);
    buffer_init(&trace, 1 << 16);
    arena_init(&arena, 16 << 20);
    const struct test tests[] = {
        {"rules", test_decide},
        {"trace", test_trace},
        {0},
    };
    int status = harness_run("decide", tests);
    buffer_drop(&errors);
    buffer_drop(&trace);
    arena_drop(&arena);
    return status;
}
