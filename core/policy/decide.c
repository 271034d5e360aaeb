#include "core/policy/decide.h"

#include "core/base/base.h"
#include "core/base/setting_value.h"

struct work {
    struct decision *out;
    struct buffer *trace;
    uint32_t decided; /* bit 1 << enum action_kind */
};

static struct str domain_of(struct str key)
{
    size_t at = key.len;
    while (at > 0 && key.at[at - 1] != '@')
        at--;
    return at ? str_skip(key, at) : STR("");
}

static void take_actions(struct work *w, const struct actions *a, struct str rule)
{
    uint32_t fresh = a->set & ~w->decided;
    if (fresh & 1u << ACTION_HOLD) {
        w->out->hold_ms = a->hold_ms;
        w->out->hold_rule = rule;
    }
    if (fresh & 1u << ACTION_NOTICE) {
        w->out->notice = a->notice;
        w->out->notice_every_ms = a->notice_every_ms;
        w->out->notice_rule = rule;
    }
    w->decided |= fresh;
}

static void trace_rule(const struct work *w, const struct rule *r, bool matches,
                       enum condition_kind last)
{
    if (!w->trace)
        return;
    buffer_printf(w->trace, "rule '%.*s': ", STR_ARG(r->name));
    if (!matches) {
        must(last < CONDITION_LEAVES);
        buffer_printf(w->trace, "no, by %.*s.%.*s\n", STR_ARG(condition_rows[last].section),
                      STR_ARG(condition_rows[last].name));
        return;
    }
    uint32_t late = r->then.set & w->decided;
    buffer_puts(w->trace, "yes: ");
    actions_write(&r->then, ~late, w->trace);
    if (late) {
        buffer_puts(w->trace, late == r->then.set ? "decided before: " : "; decided before: ");
        actions_write(&r->then, late, w->trace);
    }
    buffer_putc(w->trace, '\n');
}

static void trace_end(const struct work *w, const struct organisation *o, bool is_auto)
{
    if (!w->trace)
        return;
    uint32_t used = o->defaults.set & ~w->decided;
    if (used) {
        buffer_puts(w->trace, "defaults: ");
        actions_write(&o->defaults, used, w->trace);
        buffer_putc(w->trace, '\n');
    }
    if (!((w->decided | o->defaults.set) & 1u << ACTION_HOLD)) {
        buffer_puts(w->trace, "settings: hold ");
        setting_write_number(w->trace, SETTING_DURATION, w->out->hold_ms);
        buffer_putc(w->trace, '\n');
    }
    if (is_auto)
        buffer_puts(w->trace, "automatic mail: notice none\n");
}

void decide(const struct organisation *o, const struct decide_facts *f, struct str recipient,
            uint64_t hold_standard_ms, struct decision *out, struct buffer *trace)
{
    struct key_room sender_room, recipient_room;
    struct rule_facts facts = {
        .sender = key_of(f->sender, &sender_room),
        .user = f->user ? f->user->key : STR(""),
        .recipient = key_of(recipient, &recipient_room),
        .client = f->client,
        .client_bytes = f->client_bytes,
    };
    facts.sender_domain = domain_of(facts.sender);
    facts.recipient_domain = domain_of(facts.recipient);
    facts.class = organisation_class(o, facts.recipient_domain);
    *out = (struct decision){
        .class = facts.class,
        .hold_ms = hold_standard_ms,
        .notice = NOTICE_EACH,
        .hold_rule = STR(""),
        .notice_rule = STR(""),
    };
    struct work w = {.out = out, .trace = trace};
    bool is_auto = f->is_auto || f->sender.len == 0;
    if (trace)
        buffer_printf(trace, "class: %.*s\n", STR_ARG(class_names[facts.class]));
    for (size_t i = 0; i < o->rule_count; i++) {
        const struct rule *r = &o->rules[i];
        enum condition_kind last;
        bool matches = rule_matches(r, &facts, &last);
        trace_rule(&w, r, matches, last);
        if (!matches)
            continue;
        take_actions(&w, &r->then, r->name);
        if (r->then.set & 1u << ACTION_STOP)
            break;
    }
    trace_end(&w, o, is_auto);
    take_actions(&w, &o->defaults, STR(""));
    if (is_auto) {
        out->notice = NOTICE_NONE;
        out->notice_rule = STR("");
    }
}
