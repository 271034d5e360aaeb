#include "core/policy/ruleset.h"

#include "core/base/base.h"
#include "core/base/map.h"
#include "core/policy/organisation.h"
#include "core/policy/rule_value.h"

#include <stdlib.h>

enum {
    TEXT_MAX = 1 << 22 /* of one leaf or action as text */
};

_Static_assert(CONDITION_LEAVES <= 64, "a bit of `asked` for each kind");

/* Names whose leaves are the same: a group, a list, or the names of one leaf. */
struct making {
    struct arena *arena;
    struct ruleset *out;
    struct map sets; /* from the address of a keyset to its number and 1 */
    struct name_entry *names;
    uint32_t *set_first;
    struct set_leaf *leaves;
    uint32_t set_count, leaf_count;
    bool writes; /* the second of two passes: the first only counts */
};

static struct str pointer_key(const struct keyset *const *keys)
{
    return str_from((const char *)keys, sizeof *keys);
}

static void add_set(struct making *m, const struct keyset *keys, uint32_t leaf)
{
    struct str key = pointer_key(&keys);
    uintptr_t set = (uintptr_t)map_get(&m->sets, key);
    if (set == 0) {
        set = ++m->set_count;
        map_set(&m->sets, key, (void *)set);
        for (size_t i = 0; i < keys->count && m->writes; i++)
            m->names[m->out->name_count + i] = (struct name_entry){keys->at[i], (uint32_t)set - 1};
        m->out->name_count += keys->count;
    }
    if (m->writes) {
        m->leaves[m->leaf_count] = (struct set_leaf){leaf, m->set_first[set - 1]};
        m->set_first[set - 1] = m->leaf_count + 1;
    }
    m->leaf_count++;
}

static bool is_indexed(enum condition_kind kind)
{
    return kind == CONDITION_RECIPIENT_ADDRESS || kind == CONDITION_RECIPIENT_DOMAIN ||
           kind == CONDITION_RECIPIENT_GROUP || kind == CONDITION_RECIPIENT_LIST;
}

static void add_leaf(struct making *m, const struct condition *c, uint32_t leaf)
{
    if (c->kind == CONDITION_RECIPIENT_ADDRESS || c->kind == CONDITION_RECIPIENT_DOMAIN)
        add_set(m, &c->keys, leaf);
    for (size_t i = 0; c->kind == CONDITION_RECIPIENT_GROUP && i < c->values.count; i++)
        add_set(m, &c->groups[i]->keys, leaf);
    for (size_t i = 0; c->kind == CONDITION_RECIPIENT_LIST && i < c->values.count; i++)
        add_set(m, &c->lists[i]->keys, leaf);
}

static void walk_sets(struct making *m, bool writes)
{
    m->writes = writes;
    m->set_count = m->leaf_count = 0;
    m->out->name_count = 0;
    map_init(&m->sets, (uint64_t)(uintptr_t)m->out);
    for (uint32_t i = 0; i < m->out->leaf_count; i++)
        if (is_indexed(m->out->leaves[i]->kind))
            add_leaf(m, m->out->leaves[i], i);
    map_drop(&m->sets);
}

static int order(const void *a, const void *b)
{
    const struct name_entry *x = a, *y = b;
    int way = str_compare(x->key, y->key);
    return way ? way : (x->set > y->set) - (x->set < y->set);
}

static bool make_index(struct making *m)
{
    walk_sets(m, false);
    m->names = arena_take(m->arena, (m->out->name_count + 1) * sizeof *m->names);
    m->set_first = arena_take(m->arena, (m->set_count + 1) * sizeof *m->set_first);
    m->leaves = arena_take(m->arena, (m->leaf_count + 1) * sizeof *m->leaves);
    if (!m->names || !m->set_first || !m->leaves)
        return false;
    walk_sets(m, true);
    qsort(m->names, m->out->name_count, sizeof *m->names, order);
    m->out->names = m->names;
    m->out->set_first = m->set_first;
    m->out->set_leaves = m->leaves;
    return true;
}

/* Leaves that ask the same have the same text. */
static void number_leaf(struct ruleset *s, struct condition *c, struct map *known,
                        struct buffer *text)
{
    buffer_clear(text);
    buffer_printf(text, "%u ", (unsigned)c->kind);
    condition_value_write(text, c);
    const struct condition *first = text->full ? NULL : map_get(known, buffer_str(text));
    if (first) {
        c->number = first->number;
        return;
    }
    c->number = s->leaf_count;
    s->leaves[s->leaf_count++] = c;
    if (!text->full)
        map_set(known, buffer_str(text), c);
}

static bool make_lists(struct arena *a, struct ruleset *s)
{
    uint32_t *message = arena_take(a, (s->leaf_count + 1) * sizeof *message);
    uint32_t *recipient = arena_take(a, (s->leaf_count + 1) * sizeof *recipient);
    if (!message || !recipient)
        return false;
    for (uint32_t i = 0; i < s->leaf_count; i++) {
        enum condition_kind kind = s->leaves[i]->kind;
        if (!condition_by_recipient(kind))
            message[s->by_message_count++] = i;
        else if (!is_indexed(kind))
            recipient[s->by_recipient_count++] = i;
    }
    s->by_message = message;
    s->by_recipient = recipient;
    return true;
}

static bool make_steps(struct arena *a, struct ruleset *s)
{
    s->steps = arena_take(a, (s->count + 1) * sizeof *s->steps);
    for (size_t i = 0; s->steps && i < s->count; i++) {
        const struct rule *r = &s->rules[i];
        struct step *steps = arena_take(a, (r->condition_count + 1u) * sizeof *steps);
        if (!steps)
            return false;
        for (uint16_t k = 0; k < r->condition_count; k++)
            steps[k] = (struct step){r->conditions[k].number, r->conditions[k].on_true,
                                     r->conditions[k].on_false};
        s->steps[i] = steps;
    }
    return s->steps != NULL;
}

void actions_seal(struct actions *a)
{
    struct buffer text;
    buffer_init(&text, TEXT_MAX);
    for (unsigned i = 0; i < ACTIONS; i++) {
        if (!(a->set >> i & 1))
            continue;
        buffer_clear(&text);
        buffer_printf(&text, "%.*s ", STR_ARG(action_rows[i].name));
        action_value_write(&text, a, (enum action_kind)i);
        a->value[i] = hash_bytes(buffer_str(&text), 0);
    }
    buffer_drop(&text);
}

bool ruleset_make(struct arena *a, struct rule *rules, size_t count, struct ruleset *out)
{
    struct making m = {.arena = a, .out = out};
    struct buffer text;
    struct map known;
    size_t leaves = 0;
    *out = (struct ruleset){.rules = rules, .count = count};
    for (size_t i = 0; i < count; i++)
        leaves += rules[i].condition_count;
    out->leaves = arena_take(a, (leaves + 1) * sizeof *out->leaves);
    if (!out->leaves)
        return false;
    buffer_init(&text, TEXT_MAX);
    map_init(&known, (uint64_t)(uintptr_t)out);
    for (size_t i = 0; i < count; i++) {
        for (uint16_t k = 0; k < rules[i].condition_count; k++)
            if (rules[i].conditions[k].kind < CONDITION_LEAVES)
                number_leaf(out, &rules[i].conditions[k], &known, &text);
        actions_seal(&rules[i].then);
    }
    map_drop(&known);
    buffer_drop(&text);
    for (uint32_t i = 0; i < out->leaf_count; i++)
        out->asked |= 1ull << out->leaves[i]->kind;
    return make_lists(a, out) && make_steps(a, out) && make_index(&m);
}

struct name_range ruleset_find(const struct ruleset *s, struct str key)
{
    size_t low = 0, high = s->name_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (str_compare(s->names[middle].key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    struct name_range range = {low, low};
    while (range.end < s->name_count && str_eq(s->names[range.end].key, key))
        range.end++;
    return range;
}
