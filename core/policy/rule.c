#include "core/policy/rule.h"

#include "core/base/base.h"
#include "core/base/setting_value.h"
#include "core/policy/organisation.h"

const struct condition_row condition_rows[CONDITION_LEAVES] = {
#define CONDITION(id, section, name, value, since, why) \
    [CONDITION_##id] = {STR_INIT(section), STR_INIT(name), VALUE_##value},
#include "core/policy/rule.def"
};

const struct str action_names[ACTIONS] = {
#define ACTION(id, name, value, since, why) [ACTION_##id] = STR_INIT(name),
#include "core/policy/rule.def"
};

const struct str class_names[3] = {
    [CLASS_INTERNAL] = STR_INIT("internal"),
    [CLASS_AFFILIATE] = STR_INIT("affiliate"),
    [CLASS_EXTERNAL] = STR_INIT("external"),
};

static uint16_t first_leaf(const struct rule *r, uint16_t at)
{
    while (r->conditions[at].kind >= CONDITION_LEAVES) {
        at++;
        must(at < r->condition_count);
    }
    return at;
}

/* Parents come first in the array, so a node's targets are known when its children get theirs. */
void rule_link(struct rule *r)
{
    if (r->condition_count == 0)
        return;
    r->conditions[0].on_true = RULE_YES;
    r->conditions[0].on_false = RULE_NO;
    for (uint16_t i = 0; i < r->condition_count; i++) {
        const struct condition *parent = &r->conditions[i];
        if (parent->kind < CONDITION_LEAVES)
            continue;
        for (uint16_t k = (uint16_t)(i + 1); k < parent->end; k = r->conditions[k].end) {
            struct condition *child = &r->conditions[k];
            bool is_not = parent->kind == CONDITION_NOT, is_any = parent->kind == CONDITION_ANY;
            child->on_true = is_not ? parent->on_false : parent->on_true;
            child->on_false = is_not ? parent->on_true : parent->on_false;
            if (child->end >= parent->end)
                continue;
            uint16_t next = first_leaf(r, child->end);
            if (is_any)
                child->on_false = next;
            else
                child->on_true = next;
        }
    }
}

static bool in_groups(const struct condition *c, struct str key, struct str other)
{
    for (size_t i = 0; i < c->values.count; i++)
        if (keyset_has(&c->groups[i]->keys, key) || keyset_has(&c->groups[i]->keys, other))
            return true;
    return false;
}

static bool in_networks(const struct condition *c, const struct rule_facts *f)
{
    for (size_t i = 0; i < c->values.count; i++)
        if (network_holds(&c->networks[i], f->client, f->client_bytes))
            return true;
    return false;
}

static bool is_true(const struct condition *c, const struct rule_facts *f)
{
    switch (c->kind) {
    case CONDITION_SENDER_ADDRESS:
        return keyset_has(&c->keys, f->sender);
    case CONDITION_SENDER_DOMAIN:
        return keyset_domain(&c->keys, f->sender_domain).len > 0;
    case CONDITION_SENDER_GROUP:
        return in_groups(c, f->sender, f->user);
    case CONDITION_SENDER_USER:
        return keyset_has(&c->keys, f->user);
    case CONDITION_SENDER_NETWORK:
        return in_networks(c, f);
    case CONDITION_RECIPIENT_ADDRESS:
        return keyset_has(&c->keys, f->recipient);
    case CONDITION_RECIPIENT_DOMAIN:
        return keyset_domain(&c->keys, f->recipient_domain).len > 0;
    case CONDITION_RECIPIENT_CLASS:
        return (c->classes >> f->class & 1) != 0;
    case CONDITION_RECIPIENT_GROUP:
        return in_groups(c, f->recipient, STR(""));
    case CONDITION_WHEN:
    case CONDITION_ANY:
    case CONDITION_ALL:
    case CONDITION_NOT:
        break; /* no leaf leads here */
    }
    must(c->kind < CONDITION_LEAVES);
    return false;
}

bool rule_matches(const struct rule *r, const struct rule_facts *f, enum condition_kind *last)
{
    uint16_t at = r->condition_count ? first_leaf(r, 0) : RULE_YES;
    enum condition_kind asked = CONDITION_LEAVES;
    while (at < RULE_NO) {
        const struct condition *c = &r->conditions[at];
        asked = c->kind;
        at = is_true(c, f) ? c->on_true : c->on_false;
    }
    if (last)
        *last = asked;
    return at == RULE_YES;
}

void actions_write(const struct actions *a, uint32_t mask, struct buffer *out)
{
    const char *between = "";
    uint32_t set = a->set & mask;
    for (unsigned i = 0; i < ACTIONS; i++) {
        if (!(set >> i & 1))
            continue;
        buffer_printf(out, "%s%.*s", between, STR_ARG(action_names[i]));
        between = ", ";
        if (i == ACTION_HOLD) {
            buffer_putc(out, ' ');
            setting_write_number(out, SETTING_DURATION, a->hold_ms);
        } else if (i == ACTION_NOTICE && a->notice == NOTICE_EVERY) {
            buffer_puts(out, " every ");
            setting_write_number(out, SETTING_DURATION, a->notice_every_ms);
        } else if (i == ACTION_NOTICE) {
            buffer_puts(out, a->notice == NOTICE_EACH ? " each" : " none");
        }
    }
}
