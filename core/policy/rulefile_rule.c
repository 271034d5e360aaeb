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

struct later {
    struct str section, name;
};

static const struct later later_conditions[] = {
#define LATER_CONDITION(section, name) {STR_INIT(section), STR_INIT(name)},
#include "core/policy/rule.def"
};

static const struct str later_actions[] = {
#define LATER_ACTION(name) STR_INIT(name),
#include "core/policy/rule.def"
};

static void tell_later(struct reading *r, const struct node *key)
{
    doc_error(&r->d, key, "`%s` is not available in this version", doc_show(key->text).at);
}

static bool is_later(struct str section, struct str name)
{
    for (size_t i = 0; i < countof(later_conditions); i++)
        if (str_eq(later_conditions[i].section, section) && str_eq(later_conditions[i].name, name))
            return true;
    return false;
}

static bool is_section(struct str name)
{
    return str_eq(name, STR("sender")) || str_eq(name, STR("recipient"));
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

static void read_values(struct building *b, struct condition *c, const struct node *n)
{
    static read_fn *const readers[] = {
        [VALUE_ADDRESSES] = read_address, [VALUE_DOMAINS] = read_domain,
        [VALUE_CLASSES] = read_class,     [VALUE_GROUPS] = read_group,
        [VALUE_NETWORKS] = read_network,
    };
    enum condition_value value = condition_rows[c->kind].value;
    c->values = read_list(b->r, n, readers[value]);
    switch (value) {
    case VALUE_ADDRESSES:
    case VALUE_DOMAINS:
        if (!keyset_make(b->r->d.arena, c->values.at, c->values.count, &c->keys))
            doc_error(&b->r->d, n, "the file is too large");
        break;
    case VALUE_CLASSES:
        for (size_t i = 0; i < c->values.count; i++)
            for (unsigned k = 0; k < countof(class_names); k++)
                c->classes |= str_eq(c->values.at[i], class_names[k]) ? 1u << k : 0;
        break;
    case VALUE_GROUPS:
        resolve_groups(b, c);
        break;
    case VALUE_NETWORKS:
        resolve_networks(b, c);
        break;
    }
}

/* `sender: {...}`, `recipient: {...}`. */
static void read_section(struct building *b, const struct node *n)
{
    struct str section = n->key->text, names[CONDITION_LEAVES];
    size_t name_count = 0;
    for (size_t i = 0; i < CONDITION_LEAVES; i++)
        if (str_eq(condition_rows[i].section, section))
            names[name_count++] = condition_rows[i].name;
    if (!want_map(b->r, n, str_eq(section, STR("sender")) ? "sender" : "recipient"))
        return;
    for (const struct node *e = n->first; e; e = e->next) {
        size_t i = 0;
        while (i < CONDITION_LEAVES && !(str_eq(condition_rows[i].section, section) &&
                                         str_eq(condition_rows[i].name, e->key->text)))
            i++;
        if (i < CONDITION_LEAVES) {
            int at = open_condition(b, (enum condition_kind)i, e->key);
            if (at >= 0)
                read_values(b, &b->at[at], e);
        } else if (is_later(section, e->key->text)) {
            tell_later(b->r, e->key);
        } else {
            doc_error_near(&b->r->d, e->key, setting_suggest(e->key->text, names, name_count),
                           "unknown condition '%s' of %.*s", doc_show(e->key->text).at,
                           STR_ARG(section));
        }
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

/* One entry of a mapping of conditions. */
static void read_entry(struct building *b, const struct node *n)
{
    static const struct str names[] = {STR_INIT("sender"), STR_INIT("recipient"), STR_INIT("any"),
                                       STR_INIT("all"), STR_INIT("not")};
    struct str key = n->key->text;
    if (is_section(key))
        read_section(b, n);
    else if (str_eq(key, STR("any")))
        read_combined(b, n, CONDITION_ANY);
    else if (str_eq(key, STR("all")))
        read_combined(b, n, CONDITION_ALL);
    else if (str_eq(key, STR("not")))
        read_combined(b, n, CONDITION_NOT);
    else if (is_later(STR(""), key))
        tell_later(b->r, n->key);
    else
        doc_error_near(&b->r->d, n->key, setting_suggest(key, names, countof(names)),
                       "unknown condition '%s'", doc_show(key).at);
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
            read_entry(b, n);
        else if (want_map(b->r, n, kind == CONDITION_ANY ? "any" : "all"))
            (void)push(b, open_condition(b, CONDITION_WHEN, n), n->first, n);
    }
}

static void read_duration(struct reading *r, const struct node *n, const char *what, uint64_t min,
                          uint64_t *ms)
{
    struct str text;
    if (!read_text(r, n, &text))
        return;
    if (!setting_duration(text, ms))
        doc_error(&r->d, n, "%s: '%s' is not a duration (0s, 300s, 5m, 2h, 7d)", what,
                  doc_show(text).at);
    else if (*ms > HOLD_MS_MAX || *ms < min)
        doc_error(&r->d, n, "%s: '%s' is out of range (%s to 7d)", what, doc_show(text).at,
                  min ? "1m" : "0s");
}

static void read_notice(struct reading *r, const struct node *n, struct actions *a)
{
    static const struct str words[] = {STR_INIT("none"), STR_INIT("each")};
    static const struct str keys[] = {STR_INIT("every")};
    if (n->kind == NODE_MAP && n->count) {
        const struct node *every = node_get(n, keys[0]);
        check_keys(r, n, "notice", keys, 1);
        a->notice = NOTICE_EVERY;
        if (every)
            read_duration(r, every, "every", 60000, &a->notice_every_ms);
        return;
    }
    a->notice = n->kind == NODE_TEXT && str_eq(n->text, words[0]) ? NOTICE_NONE : NOTICE_EACH;
    if (n->kind != NODE_TEXT || !(str_eq(n->text, words[0]) || str_eq(n->text, words[1])))
        doc_error_near(&r->d, n, setting_suggest(n->text, words, 2),
                       "notice: each, none or {every: 30m} is wanted");
}

static void read_action(struct reading *r, const struct node *n, bool is_default, struct actions *a)
{
    struct str key = n->key->text;
    size_t i = 0;
    while (i < ACTIONS && !str_eq(action_names[i], key))
        i++;
    for (size_t k = 0; i == ACTIONS && k < countof(later_actions); k++)
        if (str_eq(later_actions[k], key)) {
            tell_later(r, n->key);
            return;
        }
    if (i == ACTIONS) {
        doc_error_near(&r->d, n->key, setting_suggest(key, action_names, ACTIONS),
                       "unknown action '%s'", doc_show(key).at);
        return;
    }
    a->set |= 1u << i;
    if (i == ACTION_HOLD)
        read_duration(r, n, "hold", 0, &a->hold_ms);
    else if (i == ACTION_NOTICE)
        read_notice(r, n, a);
    else if (is_default)
        doc_error(&r->d, n->key, "`stop` means nothing in defaults");
    else if (n->kind != NODE_TEXT || !str_eq(n->text, STR("true")))
        doc_error(&r->d, n, "stop: true is wanted, or leave it out");
}

static void read_actions(struct reading *r, const struct node *map, const char *what,
                         bool is_default, struct actions *a)
{
    if (want_map(r, map, what))
        for (const struct node *n = map->first; n; n = n->next)
            read_action(r, n, is_default, a);
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

/* Is there a leaf in `r` that is true only when `wide` is? */
static bool has_narrower(const struct rule *r, const struct condition *wide)
{
    for (uint16_t i = 1; i < r->condition_count; i = r->conditions[i].end)
        if (r->conditions[i].kind == wide->kind &&
            is_subset(&r->conditions[i].values, &wide->values))
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

static void check_reach(struct reading *r, size_t at, const struct node *name)
{
    const struct rule *rule = &r->o->rules[at];
    uint32_t open = rule->then.set;
    for (size_t i = 0; i < at; i++) {
        const struct rule *first = &r->o->rules[i];
        if (!covers(first, rule))
            continue;
        bool stops = (first->then.set & 1u << ACTION_STOP) != 0;
        open &= stops ? 0 : ~first->then.set;
        if (open == 0) {
            doc_error(&r->d, name,
                      "rule '%s' never decides anything: rule '%s' in line %u is first",
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
        read_actions(r, then, "then", false, &rule->then);
    else
        doc_error(&r->d, n, "a rule without `then`");
    rule->conditions = take(r, (b->count + 1) * sizeof *rule->conditions);
    if (!rule->conditions || r->d.error_count != errors_before)
        return;
    memcpy(rule->conditions, b->at, b->count * sizeof *b->at);
    rule->condition_count = (uint16_t)b->count;
    rule_link(rule);
    check_reach(r, (size_t)(rule - r->o->rules), name);
}

void read_rules(struct reading *r, const struct node *rules, const struct node *defaults)
{
    struct organisation *o = r->o;
    if (rules && (rules->kind != NODE_LIST || rules->count == 0)) {
        doc_error(&r->d, rules, "rules: a list is wanted: - {name: …, then: …}");
    } else if (rules && rules->count > RULES_MAX) {
        doc_error(&r->d, rules, "more than %d rules", RULES_MAX);
    } else if (rules && (o->rules = take(r, rules->count * sizeof *o->rules))) {
        struct building *b = take(r, sizeof *b);
        struct map names;
        map_init(&names, (uint64_t)(uintptr_t)o);
        if (b)
            b->r = r;
        for (const struct node *n = rules->first; n && b; n = n->next)
            read_rule(r, n, &o->rules[o->rule_count++], &names, b);
        map_drop(&names);
    }
    if (defaults)
        read_actions(r, defaults, "defaults", true, &o->defaults);
}
