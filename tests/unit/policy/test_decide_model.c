/* Random rules, decided by a model that knows nothing of jumps, indexes and shared decisions: for
 * each recipient every rule in order, every condition by a table written by hand. */
#include "core/base/base.h"
#include "core/policy/decide.h"
#include "core/policy/rulefile.h"
#include "tests/unit/harness.h"

enum {
    SAMPLES = 4000,
    RECIPIENTS = 6,
    RULES = 12,
    TERMS = 3,
    LEAVES_IN_TERM = 3,
    BITS = 4, /* of a mail: signed, encrypted, ambiguous, large */
};

static const struct str recipients[RECIPIENTS] = {
    STR_INIT("x@ext.example"),   STR_INIT("y@a.ext.example"), STR_INIT("bob@int.example"),
    STR_INIT("p@group.example"), STR_INIT("CEO@ext.example"), STR_INIT("a@[192.0.2.1]"),
};

static const enum recipient_class classes[RECIPIENTS] = {
    CLASS_EXTERNAL, CLASS_EXTERNAL, CLASS_INTERNAL, CLASS_AFFILIATE, CLASS_EXTERNAL, CLASS_EXTERNAL,
};

/* `bit`: of the mail; else true of recipient i where `of` has a '1'. */
static const struct {
    const char *text;
    int bit;
    const char *of;
} leaves[] = {
    {"signed: true", 0, NULL},
    {"encrypted: true", 1, NULL},
    {"ambiguous: true", 2, NULL},
    {"size: {at_least: 1000}", 3, NULL},
    {"recipient: {class: external}", -1, "110011"},
    {"recipient: {class: [internal, affiliate]}", -1, "001100"},
    {"recipient: {domain: ext.example}", -1, "100010"},
    {"recipient: {domain: '*.ext.example'}", -1, "010000"},
    {"recipient: {address: [ceo@ext.example, x@ext.example]}", -1, "100010"},
    {"recipient: {group: [g, h]}", -1, "001001"},
    {"recipient: {group: h}", -1, "001000"},
    {"recipient: {list: l}", -1, "010010"},
    {"recipient: {pattern: '*@*p*.example'}", -1, "000100"},
    {"recipient: {domain: nobody.example}", -1, "000000"},
};

static const char head[] = "organisation: o\n"
                           "domains: [int.example]\n"
                           "affiliates: [group.example]\n"
                           "groups:\n"
                           "  g: [\"a@[192.0.2.1]\"]\n"
                           "  h: [bob@int.example, z@z.example]\n"
                           "lists:\n"
                           "  l: [\"*.ext.example\", ceo@ext.example]\n"
                           "rules:\n";

enum term_kind {
    TERM_ALL,
    TERM_ANY,
    TERM_NOT_ALL,
    TERM_NOT_ANY,
    TERM_KINDS
};

struct term {
    enum term_kind kind;
    unsigned count, leaf[LEAVES_IN_TERM];
};

struct model_rule {
    unsigned term_count;
    struct term terms[TERMS];
    unsigned set; /* bits 1 << enum action_kind */
    unsigned hold_s, tag, reject;
};

struct model {
    unsigned bits, count;
    struct model_rule rules[RULES];
};

struct verdict {
    int by[ACTIONS]; /* rule, or -1 */
    uint64_t hold_ms;
};

static const char *const rejects[] = {"{in: smtp, text: t}", "{in: mail, text: t}",
                                      "{in: mail, text: t, only: recipient}"};
static uint64_t state = 88172645463325252u;

static unsigned below(unsigned n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)(state >> 33) % n;
}

static void roll_rule(struct model_rule *r)
{
    static const enum action_kind kinds[] = {ACTION_HOLD,   ACTION_HOLD,    ACTION_TAG,
                                             ACTION_NOTICE, ACTION_STAGGER, ACTION_REJECT,
                                             ACTION_STOP};

    *r = (struct model_rule){.term_count = below(TERMS + 1)};
    for (unsigned i = 0; i < r->term_count; i++) {
        struct term *t = &r->terms[i];
        t->kind = (enum term_kind)below(TERM_KINDS);
        t->count = 1 + below(LEAVES_IN_TERM);
        for (unsigned k = 0; k < t->count; k++)
            t->leaf[k] = below(countof(leaves));
    }
    for (unsigned i = 1 + below(3); i > 0; i--)
        r->set |= 1u << kinds[below(countof(kinds))];
    r->hold_s = below(3) * 60;
    r->tag = below(3);
    r->reject = below(countof(rejects));
}

static void write_term(const struct term *t, struct buffer *out)
{
    bool is_not = t->kind == TERM_NOT_ALL || t->kind == TERM_NOT_ANY;
    bool is_any = t->kind == TERM_ANY || t->kind == TERM_NOT_ANY;
    buffer_puts(out, is_not ? "{not: {" : "{");
    buffer_puts(out, is_any ? "any: [" : "all: [");
    for (unsigned i = 0; i < t->count; i++)
        buffer_printf(out, "%s{%s}", i ? ", " : "", leaves[t->leaf[i]].text);
    buffer_puts(out, is_not ? "]}}" : "]}");
}

static void write_rule(const struct model_rule *r, unsigned number, struct buffer *out)
{
    const char *between = "";
    buffer_printf(out, "  - {name: r%u, ", number);
    for (unsigned i = 0; i < r->term_count; i++) {
        buffer_puts(out, i ? ", " : "when: {all: [");
        write_term(&r->terms[i], out);
    }
    buffer_puts(out, r->term_count ? "]}, then: {" : "then: {");
    for (unsigned i = 0; i < ACTIONS; i++) {
        if (!(r->set >> i & 1))
            continue;
        buffer_puts(out, between);
        between = ", ";
        if (i == ACTION_HOLD)
            buffer_printf(out, "hold: %us", r->hold_s);
        else if (i == ACTION_TAG)
            buffer_printf(out, "tag: t%u", r->tag);
        else if (i == ACTION_STAGGER)
            buffer_printf(out, "stagger: {external: %us}", 60 + r->hold_s);
        else if (i == ACTION_REJECT)
            buffer_printf(out, "reject: %s", rejects[r->reject]);
        else
            buffer_puts(out, i == ACTION_STOP ? "stop: true" : "notice: none");
    }
    buffer_puts(out, "}}\n");
}

static bool leaf_is_true(const struct model *m, unsigned leaf, unsigned recipient)
{
    return leaves[leaf].bit >= 0 ? m->bits >> leaves[leaf].bit & 1
                                 : leaves[leaf].of[recipient] == '1';
}

static bool rule_is_true(const struct model *m, const struct model_rule *r, unsigned recipient)
{
    bool is_true = true;
    for (unsigned i = 0; i < r->term_count; i++) {
        const struct term *t = &r->terms[i];
        unsigned yes = 0;
        for (unsigned k = 0; k < t->count; k++)
            yes += leaf_is_true(m, t->leaf[k], recipient);
        bool all = yes == t->count, any = yes > 0;
        is_true = is_true && (t->kind == TERM_ALL       ? all
                              : t->kind == TERM_ANY     ? any
                              : t->kind == TERM_NOT_ALL ? !all
                                                        : !any);
    }
    return is_true;
}

static struct verdict model_decide(const struct model *m, unsigned recipient)
{
    struct verdict v;
    for (unsigned i = 0; i < ACTIONS; i++)
        v.by[i] = -1;
    for (unsigned i = 0; i < m->count; i++) {
        const struct model_rule *r = &m->rules[i];
        if (!rule_is_true(m, r, recipient))
            continue;
        for (unsigned k = 0; k < ACTIONS; k++)
            if (r->set >> k & 1 && v.by[k] < 0)
                v.by[k] = (int)i;
        if (r->set >> ACTION_STOP & 1)
            break;
    }
    v.by[ACTION_STOP] = -1;
    for (unsigned i = 0; i < ACTIONS; i++)
        if (v.by[ACTION_REJECT] >= 0 && i != ACTION_REJECT)
            v.by[i] = -1;
    v.hold_ms = v.by[ACTION_REJECT] >= 0 ? 0
                : v.by[ACTION_HOLD] >= 0 ? m->rules[v.by[ACTION_HOLD]].hold_s * 1000u
                                         : 7000;
    if (v.by[ACTION_STAGGER] >= 0 && classes[recipient] == CLASS_EXTERNAL)
        v.hold_ms += (60 + m->rules[v.by[ACTION_STAGGER]].hold_s) * 1000u;
    return v;
}

/* Would they get the same at the same time? */
static bool is_same(const struct model *m, const struct verdict *a, const struct verdict *b)
{
    if (a->hold_ms != b->hold_ms)
        return false;
    if ((a->by[ACTION_TAG] < 0) != (b->by[ACTION_TAG] < 0) ||
        (a->by[ACTION_NOTICE] < 0) != (b->by[ACTION_NOTICE] < 0) ||
        (a->by[ACTION_REJECT] < 0) != (b->by[ACTION_REJECT] < 0))
        return false;
    return (a->by[ACTION_TAG] < 0 ||
            m->rules[a->by[ACTION_TAG]].tag == m->rules[b->by[ACTION_TAG]].tag) &&
           (a->by[ACTION_REJECT] < 0 ||
            m->rules[a->by[ACTION_REJECT]].reject == m->rules[b->by[ACTION_REJECT]].reject);
}

static int model_rejected_by(const struct model *m, const struct verdict *v)
{
    int whole = -1;
    for (int i = 0; i < RECIPIENTS; i++) {
        if (v[i].by[ACTION_REJECT] < 0)
            continue;
        unsigned how = m->rules[v[i].by[ACTION_REJECT]].reject;
        if (how == 0)
            return i;
        if (how == 1 && whole < 0)
            whole = i;
    }
    return whole;
}

static void compare(const struct model *m, const struct outcome *o, const char *text)
{
    struct verdict v[RECIPIENTS];
    for (unsigned i = 0; i < RECIPIENTS; i++) {
        const struct decision *d = outcome_of(o, i);
        v[i] = model_decide(m, i);
        expect(d->class == classes[i] && d->hold_ms == v[i].hold_ms, "%s\nrecipient %u: %llu ms",
               text, i, (unsigned long long)d->hold_ms);
        for (unsigned k = 0; k < ACTIONS; k++) {
            char want[16] = "";
            if (v[i].by[k] >= 0)
                (void)snprintf(want, sizeof want, "r%d", v[i].by[k]);
            expect_str(decision_rule(d, (enum action_kind)k), str_c(want), text);
            expect((d->set >> k & 1) == (v[i].by[k] >= 0), "%s\nrecipient %u action %u", text, i,
                   k);
        }
    }
    int whole = model_rejected_by(m, v);
    expect(o->is_rejected == (whole >= 0) && (whole < 0 || o->rejected_by == (unsigned)whole),
           "%s\nrejected by %u, not %d", text, o->rejected_by, whole);
    for (unsigned i = 0; i < RECIPIENTS; i++)
        for (unsigned k = 0; k < i; k++)
            expect((outcome_of(o, i)->delivery == outcome_of(o, k)->delivery) ==
                       is_same(m, &v[i], &v[k]),
                   "%s\ndeliveries of %u and %u", text, i, k);
}

/* The trace of a recipient tells the same story. */
static void compare_trace(const struct model *m, const struct decide_input *in,
                          const struct outcome *o, struct arena *arena)
{
    for (unsigned i = 0; i < RECIPIENTS; i++) {
        const struct trace *t = decide_trace(in, o, i, arena);
        CU_ASSERT_PTR_NOT_NULL_FATAL(t);
        for (size_t k = 0; k < t->count; k++)
            expect(t->steps[k].matched == rule_is_true(m, &m->rules[k], i), "trace of %u at %zu", i,
                   k);
    }
}

static bool run_sample(struct buffer *text, struct buffer *errors)
{
    const struct rulefile_options all = {.offered = RULE_OFFERED_ALL};
    static const struct str reason[] = {STR_INIT("two boundaries")};
    struct model m = {.bits = below(1 << BITS), .count = 1 + below(RULES)};
    buffer_clear(text);
    buffer_clear(errors);
    buffer_puts(text, head);
    for (unsigned i = 0; i < m.count; i++) {
        roll_rule(&m.rules[i]);
        write_rule(&m.rules[i], i, text);
    }
    struct organisation *o = rulefile_read(buffer_str(text), "f", &all, errors);
    if (!o) {
        expect(str_find_str(buffer_str(errors), STR("never decides anything")) != SIZE_MAX,
               "%.*s%.*s", STR_ARG(buffer_str(text)), STR_ARG(buffer_str(errors)));
        return false;
    }
    struct arena arena;
    const struct facts f = {
        .sender = STR("a@int.example"),
        .is_signed = m.bits & 1,
        .is_encrypted = m.bits >> 1 & 1,
        .ambiguous = {reason, m.bits >> 2 & 1},
        .size = m.bits >> 3 & 1 ? 1000 : 999,
        .recipients = {recipients, RECIPIENTS},
    };
    const struct decide_input in = {.organisation = o, .facts = &f, .hold_standard_ms = 7000};
    arena_init(&arena, 16 << 20);
    struct outcome *out = decide(&in, &arena);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    buffer_putc(text, '\0');
    compare(&m, out, text->at);
    compare_trace(&m, &in, out, &arena);
    arena_drop(&arena);
    organisation_drop(&o);
    return true;
}

static void test_model(void)
{
    struct buffer text, errors;
    unsigned decided = 0;
    buffer_init(&text, 1 << 16);
    buffer_init(&errors, 1 << 16);
    for (unsigned i = 0; i < SAMPLES; i++)
        decided += run_sample(&text, &errors);
    expect(decided > SAMPLES / 4, "%u of %d were decided", decided, SAMPLES);
    buffer_drop(&text);
    buffer_drop(&errors);
}

int main(void)
{
    const struct test tests[] = {{"random rules against the model", test_model}, {0}};
    return harness_run("decide_model", tests);
}
