#include "core/policy/review.h"

#include "core/base/base.h"
#include "core/base/map.h"
#include "core/base/setting_value.h"
#include "core/base/yaml.h"
#include "core/policy/rule_value.h"

enum {
    WORK_BYTES = 256 << 20, /* of one mail: traces of all its recipients are made one by one */
};

/* "hold 15m, bcc {…}": all of a decision. */
static void write_outcome(const struct decision *d, struct buffer *out)
{
    const uint32_t shown = 1u << ACTION_HOLD | 1u << ACTION_STAGGER | 1u << ACTION_NOTICE;
    if (!(d->set & 1u << ACTION_REJECT)) {
        buffer_puts(out, "hold ");
        setting_write_number(out, SETTING_DURATION, d->hold_ms);
        buffer_puts(out, d->notice == NOTICE_NONE ? ", no notice" : "");
        if (d->notice == NOTICE_EVERY) {
            buffer_puts(out, ", notice every ");
            setting_write_number(out, SETTING_DURATION, d->notice_every_ms);
        }
    }
    const char *between = d->set & 1u << ACTION_REJECT ? "" : ", ";
    for (unsigned i = 0; i < ACTIONS; i++) {
        if (!(d->set >> i & 1) || shown >> i & 1)
            continue;
        buffer_puts(out, between);
        actions_write(decision_actions(d, (enum action_kind)i), 1u << i, out);
        between = ", ";
    }
}

static void write_whole(const struct decide_input *in, const struct outcome *o, struct buffer *out)
{
    if (o->is_rejected) {
        struct str who = in->facts->recipients.at[o->rejected_by];
        const struct decision *d = outcome_of(o, o->rejected_by);
        buffer_printf(out, "the whole mail is rejected, by rule '%s' for %s\n",
                      doc_show(decision_rule(d, ACTION_REJECT)).at, doc_show(who).at);
        return;
    }
    for (uint32_t i = 0; i < o->delivery_count; i++) {
        const struct delivery *d = &o->deliveries[i];
        buffer_printf(out, "delivery %u, %u recipient%s: ", i + 1, d->count,
                      d->count == 1 ? "" : "s");
        write_outcome(d->decision, out);
        buffer_putc(out, '\n');
    }
}

bool review_mail(const struct decide_input *in, struct buffer *out)
{
    struct arena arena, steps;
    arena_init(&arena, WORK_BYTES);
    arena_init(&steps, WORK_BYTES);
    struct outcome *o = decide(in, &arena);
    bool is_whole = o != NULL;
    for (uint32_t i = 0; is_whole && i < o->recipient_count; i++) {
        struct trace *t = decide_trace(in, o, i, &steps);
        is_whole = t != NULL;
        if (!t)
            break;
        buffer_printf(out, "%s\n", doc_show(in->facts->recipients.at[i]).at);
        trace_write(t, in, out);
        buffer_puts(out, "outcome: ");
        write_outcome(t->decision, out);
        buffer_puts(out, "\n\n");
        arena_reset(&steps);
    }
    if (is_whole)
        write_whole(in, o, out);
    arena_drop(&steps);
    arena_drop(&arena);
    return is_whole;
}

bool review_file(struct str text, const char *name, const struct rulefile_options *options,
                 const struct facts *f, uint64_t hold_standard_ms, struct buffer *out)
{
    struct organisation *o = rulefile_read(text, name, options, out);
    if (!o)
        return false;
    const struct decide_input in = {.organisation = o,
                                    .facts = f,
                                    .hold_standard_ms = hold_standard_ms};
    bool is_whole = review_mail(&in, out);
    organisation_drop(&o);
    return is_whole;
}

static void map_rules(const struct organisation *o, struct map *m)
{
    map_init(m, (uint64_t)(uintptr_t)o);
    for (size_t i = 0; i < o->rules.count; i++)
        map_set(m, o->rules.rules[i].name, &o->rules.rules[i]);
}

static void write_change(struct buffer *out, char sign, const struct rule *r)
{
    buffer_printf(out, "%c rule '%s': ", sign, doc_show(r->name).at);
    rulefile_write_rule(r, out);
    buffer_putc(out, '\n');
}

static bool is_same_rule(const struct rule *a, const struct rule *b)
{
    struct buffer x, y;
    buffer_init(&x, RULEFILE_BYTES_MAX);
    buffer_init(&y, RULEFILE_BYTES_MAX);
    rulefile_write_rule(a, &x);
    rulefile_write_rule(b, &y);
    bool is_same = !x.full && !y.full && str_eq(buffer_str(&x), buffer_str(&y));
    buffer_drop(&x);
    buffer_drop(&y);
    return is_same;
}

/* Rules that both have, in the order of `b`: is it that of `a` too? */
static void diff_order(const struct organisation *a, const struct organisation *b,
                       const struct map *in_a, const struct map *in_b, struct buffer *out)
{
    size_t k = 0;
    for (size_t i = 0; i < b->rules.count; i++) {
        if (!map_get(in_a, b->rules.rules[i].name))
            continue;
        while (k < a->rules.count && !map_get(in_b, a->rules.rules[k].name))
            k++;
        if (k < a->rules.count && !str_eq(a->rules.rules[k++].name, b->rules.rules[i].name)) {
            buffer_printf(out, "! the order of the rules is another, from '%s' on\n",
                          doc_show(b->rules.rules[i].name).at);
            return;
        }
    }
}

static void diff_rules(const struct organisation *a, const struct organisation *b,
                       struct buffer *out)
{
    struct map in_a, in_b;
    map_rules(a, &in_a);
    map_rules(b, &in_b);
    for (size_t i = 0; i < a->rules.count; i++)
        if (!map_get(&in_b, a->rules.rules[i].name))
            write_change(out, '-', &a->rules.rules[i]);
    for (size_t i = 0; i < b->rules.count; i++) {
        const struct rule *now = &b->rules.rules[i], *was = map_get(&in_a, now->name);
        if (was && is_same_rule(was, now))
            continue;
        if (was)
            write_change(out, '-', was);
        write_change(out, '+', now);
    }
    diff_order(a, b, &in_a, &in_b, out);
    map_drop(&in_a);
    map_drop(&in_b);
}

/* Lines of `a`, each with the line that it stands below, that `b` has not. */
static void diff_lines(struct str a, struct str b, char sign, struct buffer *out)
{
    struct map known;
    struct buffer key;
    struct str line, above = STR("");
    map_init(&known, (uint64_t)(uintptr_t)out);
    buffer_init(&key, RULEFILE_BYTES_MAX);
    for (int pass = 0; pass < 2; pass++) {
        struct str rest = pass ? a : b;
        while (rest.len) {
            line = str_cut(&rest, '\n');
            bool is_below = str_starts(line, STR("  "));
            above = is_below ? above : line;
            buffer_clear(&key);
            buffer_put(&key, is_below ? above : STR(""));
            buffer_put(&key, line);
            if (!pass)
                map_set(&known, buffer_str(&key), &known);
            else if (!map_get(&known, buffer_str(&key)))
                buffer_printf(out, "%c %.*s%s%.*s\n", sign, STR_ARG(is_below ? above : STR("")),
                              is_below ? " " : "", STR_ARG(str_trim(line)));
        }
    }
    buffer_drop(&key);
    map_drop(&known);
}

void review_diff(const struct organisation *before, const struct organisation *after,
                 struct buffer *out)
{
    struct buffer a, b;
    buffer_init(&a, 4u * RULEFILE_BYTES_MAX);
    buffer_init(&b, 4u * RULEFILE_BYTES_MAX);
    rulefile_write_base(before, &a);
    rulefile_write_base(after, &b);
    diff_lines(buffer_str(&a), buffer_str(&b), '-', out);
    diff_lines(buffer_str(&b), buffer_str(&a), '+', out);
    diff_rules(before, after, out);
    buffer_drop(&a);
    buffer_drop(&b);
}

uint32_t review_replay(const struct decide_input *before, const struct decide_input *after,
                       struct buffer *out)
{
    struct arena arena;
    struct buffer x, y;
    uint32_t changed = 0;
    arena_init(&arena, WORK_BYTES);
    buffer_init(&x, RULEFILE_BYTES_MAX);
    buffer_init(&y, RULEFILE_BYTES_MAX);
    struct outcome *a = decide(before, &arena), *b = a ? decide(after, &arena) : NULL;
    for (uint32_t i = 0; b && i < b->recipient_count && i < a->recipient_count; i++) {
        buffer_clear(&x);
        buffer_clear(&y);
        buffer_puts(&x, a->is_rejected ? "rejected: " : "");
        buffer_puts(&y, b->is_rejected ? "rejected: " : "");
        write_outcome(outcome_of(a, i), &x);
        write_outcome(outcome_of(b, i), &y);
        if (str_eq(buffer_str(&x), buffer_str(&y)))
            continue;
        changed++;
        buffer_printf(out, "%s: %.*s -> %.*s\n", doc_show(after->facts->recipients.at[i]).at,
                      STR_ARG(buffer_str(&x)), STR_ARG(buffer_str(&y)));
    }
    buffer_drop(&x);
    buffer_drop(&y);
    arena_drop(&arena);
    return b ? changed : UINT32_MAX;
}
