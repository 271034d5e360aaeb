/* The leaves of all tiers have one row of truths: the provider's first, then the organisation's.
 * What the message alone decides is filled in once, and rules that can no longer match are left
 * out. A recipient makes some leaves true, by the index of its tier's ruleset; that list is its
 * signature, and recipients with the same signature share a decision. */
#include "core/policy/decide.h"

#include "core/base/base.h"
#include "core/base/map.h"
#include "core/policy/ask.h"
#include "core/policy/decide_inside.h"

enum {
    LISTS = 2, /* tiers that are lists of rules */
};

struct signature {
    uint64_t hash;
    const uint32_t *leaves;
    uint32_t count, decision; /* decision: index and 1; 0: the slot is free */
    enum recipient_class class;
};

struct live_rule {
    const struct rule *rule;
    const struct step *steps;
    uint16_t begin; /* where asking goes on for a recipient, or RULE_YES */
};

struct deciding {
    const struct decide_input *in;
    struct arena *arena;
    struct truths truths;
    struct live_rule *live[LISTS];
    size_t live_count[LISTS];
    struct signature *slots;
    size_t slot_count; /* a power of two */
    const struct rule *user_defaults;
    struct outcome *out;
};

static const struct ruleset *rules_of(const struct decide_input *in, unsigned list)
{
    static const struct ruleset none;
    if (list == TIER_ORGANISATION)
        return &in->organisation->rules;
    return in->provider ? &in->provider->rules : &none;
}

bool truths_make(struct truths *t, const struct decide_input *in, struct arena *arena)
{
    uint32_t leaves = 0;
    *t = (struct truths){.asking = asking_make(in->organisation, in->facts, arena)};
    for (unsigned i = 0; i < LISTS; i++) {
        t->rules[i] = rules_of(in, i);
        t->offset[i] = leaves;
        leaves += t->rules[i]->leaf_count;
    }
    t->at = arena_take(arena, leaves + 1);
    t->touched = arena_take(arena, (leaves + 1) * sizeof *t->touched);
    if (!t->asking || !t->at || !t->touched)
        return false;
    for (unsigned i = 0; i < LISTS; i++)
        for (uint32_t k = 0; k < t->rules[i]->by_message_count; k++) {
            uint32_t leaf = t->rules[i]->by_message[k];
            t->at[t->offset[i] + leaf] = ask_message(t->asking, t->rules[i]->leaves[leaf]);
        }
    return true;
}

static void touch(struct truths *t, uint32_t leaf)
{
    if (t->at[leaf])
        return;
    t->at[leaf] = 1;
    t->touched[t->touched_count++] = leaf;
}

static void touch_name(struct truths *t, unsigned list, struct str key)
{
    const struct ruleset *s = t->rules[list];
    struct name_range range = ruleset_find(s, key);
    for (size_t i = range.first; i < range.end; i++)
        for (uint32_t k = s->set_first[s->names[i].set]; k; k = s->set_leaves[k - 1].next)
            touch(t, t->offset[list] + s->set_leaves[k - 1].leaf);
}

/* As keyset_domain() finds it: the domain itself, and ".suffix" below each dot. */
static void touch_names(struct truths *t, unsigned list, const struct addressee *r)
{
    if (t->rules[list]->name_count == 0)
        return;
    if (r->domain.len == 0)
        return;
    touch_name(t, list, r->key);
    touch_name(t, list, r->domain);
    for (size_t i = 1; i < r->domain.len; i++)
        if (r->domain.at[i] == '.')
            touch_name(t, list, str_skip(r->domain, i));
}

void truths_of(struct truths *t, const struct addressee *r)
{
    for (uint32_t i = 0; i < t->touched_count; i++)
        t->at[t->touched[i]] = 0;
    t->touched_count = 0;
    for (unsigned list = 0; list < LISTS; list++) {
        const struct ruleset *s = t->rules[list];
        touch_names(t, list, r);
        for (uint32_t i = 0; i < s->by_recipient_count; i++)
            if (ask_recipient(s->leaves[s->by_recipient[i]], r))
                touch(t, t->offset[list] + s->by_recipient[i]);
    }
}

bool truths_addressee(const struct truths *t, const struct decide_input *in, uint32_t recipient,
                      struct arena *arena, struct addressee *out)
{
    if (!addressee_make(t->asking, in->facts->recipients.at[recipient], arena, out))
        return false;
    out->relations = in->facts->relations ? in->facts->relations[recipient] : 0;
    return true;
}

/* As far as the message alone leads. */
static uint16_t begin_of(const struct truths *t, unsigned list, const struct rule *r)
{
    uint16_t at = rule_begin(r);
    while (at < RULE_NO && !condition_by_recipient(r->conditions[at].kind)) {
        const struct condition *c = &r->conditions[at];
        at = t->at[t->offset[list] + c->number] ? c->on_true : c->on_false;
    }
    return at;
}

static bool find_live(struct deciding *d, unsigned list)
{
    const struct ruleset *s = d->truths.rules[list];
    struct live_rule *live = arena_take(d->arena, (s->count + 1) * sizeof *live);
    if (!live)
        return false;
    for (size_t i = 0; i < s->count; i++) {
        uint16_t begin = begin_of(&d->truths, list, &s->rules[i]);
        if (begin == RULE_NO)
            continue;
        live[d->live_count[list]++] = (struct live_rule){&s->rules[i], s->steps[i], begin};
        if (begin == RULE_YES && s->rules[i].then.set & 1u << ACTION_STOP)
            break;
    }
    d->live[list] = live;
    return true;
}

void take_actions(struct decision *d, const struct rule *r, enum tier tier)
{
    uint32_t fresh = r->then.set & ~d->set;
    for (unsigned i = 0; fresh >> i; i++)
        if (fresh >> i & 1)
            d->by[i] = (struct decider){r, tier};
    d->set |= fresh;
}

void decision_close(struct decision *d, const struct decide_input *in)
{
    const uint32_t hold = 1u << ACTION_HOLD, stagger = 1u << ACTION_STAGGER;
    bool is_auto = in->facts->is_auto || in->facts->sender.len == 0;
    d->set &= ~(1u << ACTION_STOP);
    if (d->set & 1u << ACTION_REJECT)
        d->set = 1u << ACTION_REJECT;
    d->hold_ms = d->set & 1u << ACTION_REJECT ? 0
                 : d->set & hold              ? decision_actions(d, ACTION_HOLD)->hold_ms
                                              : in->hold_standard_ms;
    if (d->set & stagger)
        d->hold_ms += decision_actions(d, ACTION_STAGGER)->stagger.delay_ms[d->class];
    d->notice = NOTICE_EACH;
    if (d->set & 1u << ACTION_NOTICE) {
        d->notice = decision_actions(d, ACTION_NOTICE)->notice.kind;
        d->notice_every_ms = decision_actions(d, ACTION_NOTICE)->notice.every_ms;
    }
    if (is_auto) {
        d->set &= ~(1u << ACTION_NOTICE);
        d->notice = NOTICE_NONE;
    }
    for (unsigned i = 0; i < ACTIONS; i++)
        if (!(d->set >> i & 1))
            d->by[i] = (struct decider){NULL, TIER_PROVIDER};
}

static void decide_rules(const struct deciding *d, struct decision *out)
{
    for (unsigned list = 0; list < LISTS; list++) {
        const uint8_t *truth = d->truths.at + d->truths.offset[list];
        for (size_t i = 0; i < d->live_count[list]; i++) {
            const struct live_rule *live = &d->live[list][i];
            uint16_t at = live->begin;
            while (at < RULE_NO) {
                const struct step *s = &live->steps[at];
                at = truth[s->leaf] ? s->on_true : s->on_false;
            }
            if (at == RULE_NO)
                continue;
            take_actions(out, live->rule, (enum tier)list);
            if (live->rule->then.set & 1u << ACTION_STOP)
                break;
        }
        out->set &= ~(1u << ACTION_STOP);
    }
    if (d->user_defaults)
        take_actions(out, d->user_defaults, TIER_USER);
    take_actions(out, &d->in->organisation->defaults, TIER_DEFAULTS);
    decision_close(out, d->in);
}

static struct signature *find_slot(const struct deciding *d, const struct addressee *r)
{
    const struct truths *t = &d->truths;
    size_t bytes = t->touched_count * sizeof *t->touched;
    uint64_t hash = hash_bytes(str_from((const char *)t->touched, bytes), r->class);
    size_t i = hash & (d->slot_count - 1);
    for (;; i = (i + 1) & (d->slot_count - 1)) {
        struct signature *s = &d->slots[i];
        if (s->decision && (s->hash != hash || s->class != r->class ||
                            s->count != t->touched_count || memcmp(s->leaves, t->touched, bytes)))
            continue;
        s->hash = hash;
        return s;
    }
}

static bool decide_one(struct deciding *d, uint32_t recipient, uint32_t *decision)
{
    struct truths *t = &d->truths;
    struct addressee r;
    if (!truths_addressee(t, d->in, recipient, d->arena, &r))
        return false;
    truths_of(t, &r);
    struct signature *s = find_slot(d, &r);
    if (s->decision == 0) {
        struct decision *made = arena_take(d->arena, sizeof *made);
        struct str leaves = arena_copy(d->arena, str_from((const char *)t->touched,
                                                          t->touched_count * sizeof *t->touched));
        if (!made || !leaves.at)
            return false;
        made->class = r.class;
        decide_rules(d, made);
        s->leaves = (const void *)leaves.at;
        s->count = t->touched_count;
        s->class = r.class;
        d->out->decisions[d->out->decision_count++] = made;
        s->decision = d->out->decision_count;
    }
    *decision = s->decision - 1;
    return true;
}

/* What makes a delivery: all that changes when or whether it is sent and what its mail looks like.
 * Insiders keep what forced Bcc takes from others. */
static uint64_t delivery_key(const struct decision *d)
{
    char room[(ACTIONS + 4) * 8];
    struct buffer b = {.at = room, .room = sizeof room, .max = sizeof room};
    const uint32_t apart = 1u << ACTION_HOLD | 1u << ACTION_STAGGER | 1u << ACTION_NOTICE;
    buffer_put64(&b, d->hold_ms);
    buffer_put32(&b, d->notice);
    buffer_put64(&b, d->notice == NOTICE_EVERY ? d->notice_every_ms : 0);
    buffer_putc(&b, d->set & 1u << ACTION_BCC ? (char)(1 + d->class) : 0);
    for (unsigned i = 0; i < ACTIONS; i++)
        if ((d->set & ~apart) >> i & 1)
            buffer_put64(&b, decision_actions(d, (enum action_kind)i)->value[i]);
    return hash_bytes(buffer_str(&b), 0);
}

/* Decisions are few, or rules are many: each is compared with the deliveries by its key. */
static bool group(struct deciding *d)
{
    struct outcome *o = d->out;
    struct map known;
    o->deliveries = arena_take(d->arena, (o->decision_count + 1u) * sizeof *o->deliveries);
    if (!o->deliveries)
        return false;
    map_init(&known, (uint64_t)(uintptr_t)o);
    for (uint32_t i = 0; i < o->recipient_count; i++) {
        struct decision *one = o->decisions[o->of[i]];
        if (one->delivery == 0) {
            uint64_t key = delivery_key(one);
            struct str bytes = str_from((const char *)&key, sizeof key);
            struct delivery *to = map_get(&known, bytes);
            if (!to) {
                to = &o->deliveries[o->delivery_count++];
                *to = (struct delivery){.key = key, .first = i, .decision = one};
                map_set(&known, bytes, to);
            }
            one->delivery = (uint32_t)(to - o->deliveries) + 1;
        }
        o->deliveries[one->delivery - 1].count++;
    }
    map_drop(&known);
    for (uint32_t i = 0; i < o->decision_count; i++)
        o->decisions[i]->delivery--;
    return true;
}

static void find_reject(struct outcome *o)
{
    bool is_smtp = false;
    for (uint32_t i = 0; i < o->recipient_count && !is_smtp; i++) {
        const struct decision *d = outcome_of(o, i);
        if (!(d->set & 1u << ACTION_REJECT))
            continue;
        const struct actions *a = decision_actions(d, ACTION_REJECT);
        is_smtp = a->reject.in == REJECT_SMTP;
        if (a->reject.only == REJECT_RECIPIENT || (o->is_rejected && !is_smtp))
            continue;
        o->is_rejected = true;
        o->rejected_by = i;
    }
}

static bool prepare(struct deciding *d)
{
    const struct decide_input *in = d->in;
    uint32_t count = (uint32_t)in->facts->recipients.count;
    struct outcome *o = d->out = arena_take(d->arena, sizeof *o);
    d->slot_count = 16;
    while (d->slot_count < 2 * (size_t)count)
        d->slot_count *= 2;
    d->slots = arena_take(d->arena, d->slot_count * sizeof *d->slots);
    if (!o || !d->slots || !truths_make(&d->truths, in, d->arena))
        return false;
    for (unsigned list = 0; list < LISTS; list++)
        if (!find_live(d, list))
            return false;
    const struct user *user = organisation_user(in->organisation, in->facts->user);
    d->user_defaults = user ? &user->defaults : NULL;
    o->recipient_count = count;
    o->decisions = arena_take(d->arena, (count + 1u) * sizeof *o->decisions);
    return o->decisions != NULL;
}

struct outcome *decide(const struct decide_input *in, struct arena *arena)
{
    struct deciding d = {.in = in, .arena = arena};
    if (!prepare(&d))
        return NULL;
    struct outcome *o = d.out;
    uint32_t *of = arena_take(arena, (o->recipient_count + 1u) * sizeof *of);
    for (uint32_t i = 0; of && i < o->recipient_count; i++)
        if (!decide_one(&d, i, &of[i]))
            return NULL;
    o->of = of;
    if (!of || !group(&d))
        return NULL;
    find_reject(o);
    return o;
}

const struct actions *decision_actions(const struct decision *d, enum action_kind kind)
{
    must(d->by[kind].rule);
    return &d->by[kind].rule->then;
}

struct str decision_rule(const struct decision *d, enum action_kind kind)
{
    return d->by[kind].rule ? d->by[kind].rule->name : STR("");
}
