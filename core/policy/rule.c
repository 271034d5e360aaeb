#include "core/policy/rule.h"

#include "core/base/base.h"
#include "core/policy/rule_value.h"

#include <stddef.h>

const struct condition_row condition_rows[CONDITION_LEAVES] = {
#define CONDITION(id, section, name, value, since, why) \
    [CONDITION_##id] = {STR_INIT(section), STR_INIT(name), VALUE_##value, since, why},
#include "core/policy/rule.def"
};

const struct action_row action_rows[ACTIONS] = {
#define ACTION(id, name, value, field, since, why) \
    [ACTION_##id] = {STR_INIT(name), VALUE_##value, offsetof(struct actions, field), since, why},
#include "core/policy/rule.def"
};

enum {
    NEEDED = PART_NEEDED
};

const struct part_row part_rows[] = {
#define PART(owner, key, value, base, field, need, standard, min, max, words, why)                \
    {owner, STR_INIT(key), VALUE_##value, offsetof(base, field), need, standard, min, max, words, \
     why},
#include "core/policy/rule.def"
};

const size_t part_row_count = countof(part_rows);

const struct str later_actions[] = {
#define LATER_ACTION(name) STR_INIT(name),
#include "core/policy/rule.def"
};

const size_t later_action_count = countof(later_actions);

const struct str class_names[3] = {
    [CLASS_INTERNAL] = STR_INIT("internal"),
    [CLASS_AFFILIATE] = STR_INIT("affiliate"),
    [CLASS_EXTERNAL] = STR_INIT("external"),
};

bool condition_by_recipient(enum condition_kind kind)
{
    return str_eq(condition_rows[kind].section, STR("recipient")) ||
           kind == CONDITION_FIRST_CONTACT || kind == CONDITION_LOOK_ALIKE ||
           kind == CONDITION_MIXED_COMPANIES;
}

void condition_write_name(struct buffer *out, enum condition_kind kind)
{
    const struct condition_row *row = &condition_rows[kind];
    buffer_printf(out, "%.*s%s%.*s", STR_ARG(row->section), row->section.len ? "." : "",
                  STR_ARG(row->name));
}

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

uint16_t rule_begin(const struct rule *r)
{
    return r->condition_count ? first_leaf(r, 0) : RULE_YES;
}

void actions_write(const struct actions *a, uint32_t mask, struct buffer *out)
{
    const char *between = "";
    uint32_t set = a->set & mask;
    for (unsigned i = 0; i < ACTIONS; i++) {
        if (!(set >> i & 1))
            continue;
        buffer_printf(out, "%s%.*s", between, STR_ARG(action_rows[i].name));
        between = ", ";
        if (i == ACTION_STOP)
            continue;
        buffer_putc(out, ' ');
        action_value_write(out, a, (enum action_kind)i);
    }
}
