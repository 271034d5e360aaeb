#include "core/base/base.h"
#include "core/base/setting_value.h"
#include "core/base/yaml.h"
#include "core/policy/decide_inside.h"

enum {
    EVIDENCE_BYTES = 4096, /* of one condition */
    EVIDENCE_MAX = 64,     /* conditions of one rule */
};

struct tracing {
    struct trace *out;
    struct truths truths;
    struct arena *arena;
    struct decision decision;
    struct evidence seen[EVIDENCE_MAX];
    size_t seen_count;
    struct buffer text;
};

static bool note_evidence(struct tracing *w, const struct condition *c)
{
    buffer_clear(&w->text);
    ask_evidence(w->truths.asking, c, &w->text);
    if (w->text.len == 0 || w->seen_count == EVIDENCE_MAX)
        return true;
    struct str text = arena_copy(w->arena, buffer_str(&w->text));
    w->seen[w->seen_count++] = (struct evidence){c->kind, text};
    return text.at != NULL;
}

static bool walk_rule(struct tracing *w, const struct rule *r, struct trace_step *step)
{
    const uint8_t *truth = w->truths.at + w->truths.offset[step->tier];
    uint16_t at = rule_begin(r);
    step->last = CONDITION_LEAVES;
    w->seen_count = 0;
    while (at < RULE_NO) {
        const struct condition *c = &r->conditions[at];
        step->last = c->kind;
        if (truth[c->number] && !note_evidence(w, c))
            return false;
        at = truth[c->number] ? c->on_true : c->on_false;
    }
    step->matched = at == RULE_YES;
    if (!step->matched || w->seen_count == 0)
        return true;
    struct evidence *kept = arena_take(w->arena, w->seen_count * sizeof *kept);
    for (size_t i = 0; kept && i < w->seen_count; i++)
        kept[i] = w->seen[i];
    step->evidence = kept;
    step->evidence_count = w->seen_count;
    return kept != NULL;
}

static void take_step(struct tracing *w, const struct rule *r, struct trace_step *step)
{
    step->late = r->then.set & w->decision.set;
    step->decided = r->then.set & ~w->decision.set;
    take_actions(&w->decision, r, step->tier);
}

static bool trace_list(struct tracing *w, enum tier tier)
{
    const struct ruleset *s = w->truths.rules[tier];
    for (size_t i = 0; i < s->count; i++) {
        const struct rule *r = &s->rules[i];
        struct trace_step *step = &w->out->steps[w->out->count++];
        step->tier = tier;
        step->rule = r;
        if (!walk_rule(w, r, step))
            return false;
        if (!step->matched)
            continue;
        take_step(w, r, step);
        if (r->then.set & 1u << ACTION_STOP)
            break;
    }
    w->decision.set &= ~(1u << ACTION_STOP);
    return true;
}

static void trace_defaults(struct tracing *w, const struct rule *r, enum tier tier)
{
    struct trace_step step = {.tier = tier, .rule = r, .matched = true, .last = CONDITION_LEAVES};
    take_step(w, r, &step);
    if (step.decided)
        w->out->steps[w->out->count++] = step;
}

static bool trace_all(struct tracing *w, const struct decide_input *in, uint32_t recipient)
{
    struct addressee r;
    if (!truths_make(&w->truths, in, w->arena) ||
        !truths_addressee(&w->truths, in, recipient, w->arena, &r))
        return false;
    size_t steps = w->truths.rules[0]->count + w->truths.rules[1]->count + TIERS;
    w->out->steps = arena_take(w->arena, steps * sizeof *w->out->steps);
    if (!w->out->steps)
        return false;
    truths_of(&w->truths, &r);
    if (!trace_list(w, TIER_PROVIDER) || !trace_list(w, TIER_ORGANISATION))
        return false;
    const struct user *user = organisation_user(in->organisation, in->facts->user);
    if (user)
        trace_defaults(w, &user->defaults, TIER_USER);
    trace_defaults(w, &in->organisation->defaults, TIER_DEFAULTS);
    return true;
}

struct trace *decide_trace(const struct decide_input *in, const struct outcome *o,
                           uint32_t recipient, struct arena *arena)
{
    struct tracing *w = arena_take(arena, sizeof *w);
    struct trace *out = arena_take(arena, sizeof *out);
    if (!w || !out)
        return NULL;
    *w = (struct tracing){.out = out, .arena = arena};
    out->decision = outcome_of(o, recipient);
    out->is_auto = in->facts->is_auto || in->facts->sender.len == 0;
    buffer_init(&w->text, EVIDENCE_BYTES);
    bool is_whole = trace_all(w, in, recipient);
    buffer_drop(&w->text);
    return is_whole ? out : NULL;
}

static void write_rule(const struct trace_step *s, struct buffer *out)
{
    buffer_printf(out, "%srule '%s': ", s->tier == TIER_PROVIDER ? "provider's " : "",
                  doc_show(s->rule->name).at);
    if (!s->matched) {
        buffer_puts(out, "no, by ");
        condition_write_name(out, s->last);
        buffer_putc(out, '\n');
        return;
    }
    buffer_puts(out, "yes: ");
    actions_write(&s->rule->then, s->decided, out);
    if (s->late) {
        buffer_puts(out, s->decided ? "; decided before: " : "decided before: ");
        actions_write(&s->rule->then, s->late, out);
    }
    buffer_putc(out, '\n');
    for (size_t i = 0; i < s->evidence_count; i++) {
        buffer_puts(out, "  ");
        condition_write_name(out, s->evidence[i].kind);
        buffer_printf(out, ": %.*s\n", STR_ARG(s->evidence[i].text));
    }
}

static void write_duration(struct buffer *out, const char *before, uint64_t ms)
{
    buffer_puts(out, before);
    setting_write_number(out, SETTING_DURATION, ms);
    buffer_putc(out, '\n');
}

void trace_write(const struct trace *t, const struct decide_input *in, struct buffer *out)
{
    const struct decision *d = t->decision;
    buffer_printf(out, "class: %.*s\n", STR_ARG(class_names[d->class]));
    for (size_t i = 0; i < t->count; i++) {
        const struct trace_step *s = &t->steps[i];
        if (s->tier == TIER_PROVIDER || s->tier == TIER_ORGANISATION) {
            write_rule(s, out);
            continue;
        }
        buffer_puts(out, s->tier == TIER_USER ? "the sender's defaults: " : "defaults: ");
        actions_write(&s->rule->then, s->decided, out);
        buffer_putc(out, '\n');
    }
    if (d->set & 1u << ACTION_REJECT) {
        buffer_printf(out, "rejected by rule '%s'\n", doc_show(decision_rule(d, ACTION_REJECT)).at);
        return;
    }
    if (!(d->set & 1u << ACTION_HOLD))
        write_duration(out, "settings: hold ", in->hold_standard_ms);
    if (d->set & 1u << ACTION_STAGGER)
        write_duration(out, "staggered: held ", d->hold_ms);
    if (t->is_auto)
        buffer_puts(out, "automatic mail: notice none\n");
}
