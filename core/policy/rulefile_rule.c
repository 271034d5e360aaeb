/* `rules` and `defaults`: from nodes to conditions in one array, parents first. */
#include "core/base/base.h"
#include "core/policy/rulefile_parts.h"

enum {
    SUBSET_MAX = 1024
};

/* Where reading stands in a mapping or list that is still open. */
struct level {
    const struct node *next;
    uint16_t condition;
};

struct building {
    struct reading *r;
    struct condition at[RULE_CONDITIONS_MAX];
    size_t count, depth;
    struct level level[3 * RULE_DEPTH_MAX];
    bool is_bad;
};

bool is_offered(const struct reading *r, unsigned since)
{
    return since <= (r->options->offered ? r->options->offered : RULE_OFFERED);
}

void tell_later(struct reading *r, const struct node *key)
{
    doc_error(&r->d, key, "`%s` is not available in this version", doc_show(key->text).at);
}

/* -1: full, and told. */
static int open_condition(struct building *b, enum condition_kind kind, const struct node *n)
{
    if (b->count == RULE_CONDITIONS_MAX) {
        if (!b->is_bad)
            doc_error(&b->r->d, n, "more than %d conditions in one rule", RULE_CONDITIONS_MAX);
        b->is_bad = true;
        return -1;
    }
    b->at[b->count] = (struct condition){.kind = kind, .end = (uint16_t)(b->count + 1)};
    return (int)b->count++;
}

static bool push(struct building *b, int condition, const struct node *next, const struct node *n)
{
    if (condition < 0)
        return false;
    if (b->depth == countof(b->level)) {
        doc_error(&b->r->d, n, "conditions inside conditions more than %d deep", RULE_DEPTH_MAX);
        b->is_bad = true;
        return false;
    }
    b->level[b->depth++] = (struct level){next, (uint16_t)condition};
    return true;
}

static void resolve_groups(struct building *b, struct condition *c)
{
    const struct group **groups = take(b->r, (c->values.count + 1) * sizeof(struct group *));
    for (size_t i = 0; groups && i < c->values.count; i++)
        groups[i] = organisation_group(b->r->o, c->values.at[i]);
    c->groups = groups;
}

static void resolve_networks(struct building *b, struct condition *c)
{
    struct network *networks = take(b->r, (c->values.count + 1) * sizeof *networks);
    for (size_t i = 0; networks && i < c->values.count; i++)
        must(network_parse(c->values.at[i], &networks[i]) == NETWORK_OK);
    c->networks = networks;
}

static void resolve_lists(struct building *b, struct condition *c)
{
    const struct named_list **lists = take(b->r, (c->values.count + 1) * sizeof(void *));
    for (size_t i = 0; lists && i < c->values.count; i++)
        lists[i] = organisation_list(b->r->o, c->values.at[i]);
    c->lists = lists;
}

static void resolve(struct building *b, struct condition *c, const struct node *n)
{
    const struct organisation *o = b->r->o;
    enum value_kind value = condition_rows[c->kind].value;
    if (value == VALUE_GROUPS)
        resolve_groups(b, c);
    else if (value == VALUE_NETWORKS)
        resolve_networks(b, c);
    else if (value == VALUE_LISTS)
        resolve_lists(b, c);
    else if (value == VALUE_ADDRESSES || value == VALUE_DOMAINS)
        if (!keyset_make(b->r->d.arena, c->values.at, c->values.count, &c->keys))
            doc_error(&b->r->d, n, "the file is too large");
    for (size_t i = 0; value == VALUE_CLASSES && i < c->values.count; i++)
        for (unsigned k = 0; k < countof(class_names); k++)
            c->classes |= str_eq(c->values.at[i], class_names[k]) ? 1u << k : 0;
    for (size_t i = 0; value == VALUE_CALENDARS && i < c->values.count; i++)
        c->calendars |= 1ull << (organisation_calendar(o, c->values.at[i]) - o->calendars);
}

static void resolve_dictionaries(struct building *b, struct keyword_test *t)
{
    const struct organisation *o = b->r->o;
    uint32_t *numbers = take(b->r, (t->dictionaries.count + 1) * sizeof *numbers);
    for (size_t i = 0; numbers && i < t->dictionaries.count; i++)
        numbers[i] =
            (uint32_t)(organisation_dictionary(o, t->dictionaries.at[i]) - o->dictionaries);
    t->numbers = numbers;
}

static void read_condition_parts(struct building *b, struct condition *c, const struct node *n)
{
    static const size_t sizes[CONDITION_LEAVES] = {
        [CONDITION_HEADER] = sizeof(struct header_test),
        [CONDITION_ATTACHMENTS] = sizeof(struct attachment_test),
        [CONDITION_KEYWORD] = sizeof(struct keyword_test),
    };
    must(sizes[c->kind]);
    void *base = take(b->r, sizes[c->kind]);
    if (!base)
        return;
    read_parts(b->r, n, c->kind, condition_rows[c->kind].name.at, base);
    if (c->kind == CONDITION_KEYWORD)
        resolve_dictionaries(b, base);
    c->parts = base;
}

static void read_leaf(struct building *b, struct condition *c, const struct node *n)
{
    const struct condition_row *row = &condition_rows[c->kind];
    struct part_row part = {.key = row->name,
                            .value = row->value,
                            .min = 1,
                            .max = 1ull << 40,
                            .words = ""};
    if (row->value == VALUE_PARTS) {
        read_condition_parts(b, c, n);
    } else if (row->value < VALUE_TEXTS_END) {
        read_value(b->r, n, &part, &c->values);
        resolve(b, c, n);
    } else if (row->value == VALUE_FLAG) {
        read_value(b->r, n, &part, &c->flag);
    } else {
        read_value(b->r, n, &part, &c->at_least);
    }
}

static size_t find_condition(struct str section, struct str name)
{
    size_t i = 0;
    while (i < CONDITION_LEAVES &&
           !(str_eq(condition_rows[i].section, section) && str_eq(condition_rows[i].name, name)))
        i++;
    return i;
}

static void read_known_leaf(struct building *b, size_t kind, const struct node *n)
{
    if (!is_offered(b->r, condition_rows[kind].since)) {
        tell_later(b->r, n->key);
        return;
    }
    int at = open_condition(b, (enum condition_kind)kind, n->key);
    if (at >= 0)
        read_leaf(b, &b->at[at], n);
}

/* `sender: {...}`, `recipient: {...}`, `personal: {...}`. */
static void read_section(struct building *b, const struct node *n)
{
    struct str section = n->key->text, names[CONDITION_LEAVES];
    size_t name_count = 0;
    for (size_t i = 0; i < CONDITION_LEAVES; i++)
        if (str_eq(condition_rows[i].section, section))
            names[name_count++] = condition_rows[i].name;
    if (!want_map(b->r, n, doc_show(section).at))
        return;
    for (const struct node *e = n->first; e; e = e->next) {
        size_t kind = find_condition(section, e->key->text);
        if (kind < CONDITION_LEAVES)
            read_known_leaf(b, kind, e);
        else
            doc_error_near(&b->r->d, e->key, setting_suggest(e->key->text, names, name_count),
                           "unknown condition '%s' of %.*s", doc_show(e->key->text).at,
                           STR_ARG(section));
    }
}

static void read_combined(struct building *b, const struct node *n, enum condition_kind kind)
{
    if (kind == CONDITION_NOT) {
        if (want_map(b->r, n, "not") && push(b, open_condition(b, kind, n->key), NULL, n))
            (void)push(b, open_condition(b, CONDITION_WHEN, n), n->first, n);
        return;
    }
    if (n->kind != NODE_LIST || n->count == 0)
        doc_error(&b->r->d, n, "%.*s: a list is wanted: [{...}, {...}]", STR_ARG(n->key->text));
    else
        (void)push(b, open_condition(b, kind, n->key), n->first, n);
}

static bool is_section(struct str name)
{
    for (size_t i = 0; i < CONDITION_LEAVES; i++)
        if (condition_rows[i].section.len && str_eq(condition_rows[i].section, name))
            return true;
    return false;
}

static void tell_unknown(struct building *b, const struct node *key)
{
    struct str names[2 * CONDITION_LEAVES + 3] = {STR("any"), STR("all"), STR("not")};
    size_t count = 3;
    for (size_t i = 0; i < CONDITION_LEAVES; i++)
        names[count++] =
            condition_rows[i].section.len ? condition_rows[i].section : condition_rows[i].name;
    doc_error_near(&b->r->d, key, setting_suggest(key->text, names, count),
                   "unknown condition '%s'", doc_show(key->text).at);
}

/* One entry of a mapping of conditions. */
static void read_entry_of(struct building *b, const struct node *n)
{
    struct str key = n->key->text;
    size_t kind = find_condition(STR(""), key);
    if (is_section(key))
        read_section(b, n);
    else if (str_eq(key, STR("any")))
        read_combined(b, n, CONDITION_ANY);
    else if (str_eq(key, STR("all")))
        read_combined(b, n, CONDITION_ALL);
    else if (str_eq(key, STR("not")))
        read_combined(b, n, CONDITION_NOT);
    else if (kind < CONDITION_LEAVES)
        read_known_leaf(b, kind, n);
    else
        tell_unknown(b, n->key);
}

static void read_when(struct building *b, const struct node *when)
{
    if (!want_map(b->r, when, "when"))
        return;
    (void)push(b, open_condition(b, CONDITION_WHEN, when), when->first, when);
    while (b->depth) {
        struct level *level = &b->level[b->depth - 1];
        const struct node *n = level->next;
        if (!n) {
            b->at[level->condition].end = (uint16_t)b->count;
            b->depth--;
            continue;
        }
        level->next = n->next;
        enum condition_kind kind = b->at[level->condition].kind;
        if (kind == CONDITION_WHEN)
            read_entry_of(b, n);
        else if (want_map(b->r, n, kind == CONDITION_ANY ? "any" : "all"))
            (void)push(b, open_condition(b, CONDITION_WHEN, n), n->first, n);
    }
}

static void read_notice(struct reading *r, const struct node *n, struct actions *a)
{
    static const struct str words[] = {STR_INIT("none"), STR_INIT("each")};
    static const struct str keys[] = {STR_INIT("every")};
    static const struct part_row every_row = {.key = STR_INIT("every"),
                                              .value = VALUE_DURATION,
                                              .min = 60000,
                                              .max = HOLD_MS_MAX};
    if (n->kind == NODE_MAP && n->count) {
        const struct node *every = node_get(n, keys[0]);
        check_keys(r, n, "notice", keys, 1);
        a->notice.kind = NOTICE_EVERY;
        if (every)
            read_value(r, every, &every_row, &a->notice.every_ms);
        return;
    }
    a->notice.kind = n->kind == NODE_TEXT && str_eq(n->text, words[0]) ? NOTICE_NONE : NOTICE_EACH;
    if (n->kind != NODE_TEXT || !(str_eq(n->text, words[0]) || str_eq(n->text, words[1])))
        doc_error_near(&r->d, n, setting_suggest(n->text, words, 2),
                       "notice: each, none or {every: 30m} is wanted");
}

static void check_action(struct reading *r, const struct node *n, enum action_kind kind,
                         struct actions *a)
{
    if (kind == ACTION_REJECT && a->reject.only == REJECT_RECIPIENT && a->reject.in == REJECT_SMTP)
        doc_error(&r->d, n,
                  "reject: one answer is for all recipients; `only: recipient` wants `in: mail`");
    if (kind == ACTION_BCC &&
        !keyset_make(r->d.arena, a->bcc.exempt.at, a->bcc.exempt.count, &a->bcc.exempt_keys))
        doc_error(&r->d, n, "the file is too large");
}

static void read_action_value(struct reading *r, const struct node *n, enum action_kind kind,
                              struct actions *a)
{
    const struct action_row *row = &action_rows[kind];
    struct part_row part = {.key = row->name, .value = row->value, .max = HOLD_MS_MAX, .words = ""};
    if (row->value == VALUE_PARTS)
        read_parts(r, n, ACTION_OWNER + kind, row->name.at, a);
    else if (row->value == VALUE_NOTICE)
        read_notice(r, n, a);
    else
        read_value(r, n, &part, part_field(a, row->offset));
    check_action(r, n, kind, a);
}

static bool is_later_action(struct str name)
{
    for (size_t i = 0; i < later_action_count; i++)
        if (str_eq(later_actions[i], name))
            return true;
    return false;
}

static void read_action(struct reading *r, const struct node *n, const char *what, uint32_t allowed,
                        struct actions *a)
{
    struct str key = n->key->text, names[ACTIONS];
    size_t i = 0;
    while (i < ACTIONS && !str_eq(action_rows[i].name, key))
        i++;
    if (i < ACTIONS && is_offered(r, action_rows[i].since)) {
        if (!(allowed >> i & 1)) {
            doc_error(&r->d, n->key, "`%s` means nothing in %s", action_rows[i].name.at, what);
            return;
        }
        a->set |= 1u << i;
        read_action_value(r, n, (enum action_kind)i, a);
        return;
    }
    if (i < ACTIONS || is_later_action(key)) {
        tell_later(r, n->key);
        return;
    }
    for (size_t k = 0; k < ACTIONS; k++)
        names[k] = action_rows[k].name;
    doc_error_near(&r->d, n->key, setting_suggest(key, names, ACTIONS), "unknown action '%s'",
                   doc_show(key).at);
}

void read_actions(struct reading *r, const struct node *map, const char *what, uint32_t allowed,
                  struct actions *a)
{
    if (want_map(r, map, what))
        for (const struct node *n = map->first; n; n = n->next)
            read_action(r, n, what, allowed, a);
}

/* Long lists are not compared: this runs for every pair of rules. */
static bool is_subset(const struct str_list *small, const struct str_list *large)
{
    size_t found = 0;
    if (small->count > large->count || small->count * large->count > SUBSET_MAX)
        return false;
    for (size_t i = 0; i < small->count; i++)
        for (size_t k = 0; k < large->count; k++)
            if (str_eq(small->at[i], large->at[k])) {
                found++;
                break;
            }
    return found == small->count;
}

/* Whenever `small` is true, so is `wide`. */
static bool is_narrower(const struct condition *small, const struct condition *wide)
{
    if (small->kind != wide->kind)
        return false;
    if (small->number == wide->number)
        return true;
    enum value_kind value = condition_rows[wide->kind].value;
    if (value == VALUE_COUNT || value == VALUE_BYTES_COUNT)
        return small->at_least >= wide->at_least;
    return value < VALUE_TEXTS_END && is_subset(&small->values, &wide->values);
}

static bool has_narrower(const struct rule *r, const struct condition *wide)
{
    for (uint16_t i = 1; i < r->condition_count; i = r->conditions[i].end)
        if (is_narrower(&r->conditions[i], wide))
            return true;
    return false;
}

/* Whatever `later` matches, `first` matches. Only told for conjunctions of leaves. */
static bool covers(const struct rule *first, const struct rule *later)
{
    for (uint16_t i = 1; i < first->condition_count; i = first->conditions[i].end)
        if (first->conditions[i].kind >= CONDITION_LEAVES ||
            !has_narrower(later, &first->conditions[i]))
            return false;
    return true;
}

static void check_reach(struct reading *r, size_t at, const struct node *n)
{
    const struct rule *rules = r->o->rules.rules, *rule = &rules[at];
    uint32_t open = rule->then.set;
    for (size_t i = 0; i < at; i++) {
        const struct rule *first = &rules[i];
        if (!covers(first, rule))
            continue;
        bool ends = (first->then.set & (1u << ACTION_STOP | 1u << ACTION_REJECT)) != 0;
        open &= ends ? 0 : ~first->then.set;
        if (open == 0) {
            doc_error(&r->d, n, "rule '%s' never decides anything: rule '%s' in line %u is first",
                      doc_show(rule->name).at, doc_show(first->name).at, first->line);
            return;
        }
    }
}

static void read_rule_name(struct reading *r, const struct node *n, struct rule *rule,
                           struct map *names)
{
    if (!n || !read_text(r, n, &rule->name))
        return;
    if (rule->name.len > RULE_NAME_BYTES)
        doc_error(&r->d, n, "longer than %d bytes", RULE_NAME_BYTES);
    if (map_get(names, rule->name))
        doc_error(&r->d, n, "rule '%s' is there twice", doc_show(rule->name).at);
    map_set(names, rule->name, rule);
}

static void read_rule(struct reading *r, const struct node *n, struct rule *rule, struct map *names,
                      struct building *b)
{
    static const struct str keys[] = {STR_INIT("name"), STR_INIT("when"), STR_INIT("then")};
    if (!want_map(r, n, "a rule"))
        return;
    size_t errors_before = r->d.error_count;
    const struct node *name = node_get(n, keys[0]);
    const struct node *when = node_get(n, keys[1]), *then = node_get(n, keys[2]);
    check_keys(r, n, "a rule", keys, countof(keys));
    rule->line = n->line;
    if (!name)
        doc_error(&r->d, n, "a rule without `name`");
    read_rule_name(r, name, rule, names);
    b->count = b->depth = 0;
    b->is_bad = false;
    if (when)
        read_when(b, when);
    if (then)
        read_actions(r, then, "then", ~0u, &rule->then);
    else
        doc_error(&r->d, n, "a rule without `then`");
    rule->conditions = take(r, (b->count + 1) * sizeof *rule->conditions);
    if (!rule->conditions || r->d.error_count != errors_before)
        return;
    memcpy(rule->conditions, b->at, b->count * sizeof *b->at);
    rule->condition_count = (uint16_t)b->count;
    rule_link(rule);
}

static void read_each(struct reading *r, const struct node *rules, struct rule *to)
{
    struct building *b = take(r, sizeof *b);
    struct map names;
    size_t count = 0, errors_before = r->d.error_count;
    if (!b)
        return;
    b->r = r;
    map_init(&names, (uint64_t)(uintptr_t)b);
    for (const struct node *n = rules->first; n; n = n->next)
        read_rule(r, n, &to[count++], &names, b);
    map_drop(&names);
    if (r->d.error_count != errors_before)
        return;
    if (!ruleset_make(r->d.arena, to, count, &r->o->rules))
        doc_error(&r->d, rules, "the file is too large");
    else
        for (const struct node *n = rules->first; n; n = n->next)
            check_reach(r, r->o->rules.count - count--, node_get(n, STR("name")));
}

void read_rules(struct reading *r, const struct node *rules, const struct node *defaults)
{
    struct rule *to;
    if (rules && (rules->kind != NODE_LIST || rules->count == 0))
        doc_error(&r->d, rules, "rules: a list is wanted: - {name: …, then: …}");
    else if (rules && rules->count > RULES_MAX)
        doc_error(&r->d, rules, "more than %d rules", RULES_MAX);
    else if (rules && (to = take(r, rules->count * sizeof *to)))
        read_each(r, rules, to);
    if (defaults)
        read_actions(r, defaults, "defaults", ~(1u << ACTION_STOP), &r->o->defaults.then);
    actions_seal(&r->o->defaults.then);
}
