#include "core/policy/rulefile.h"

#include "core/base/base.h"
#include "core/base/heap.h"
#include "core/policy/rulefile_parts.h"

enum {
    NAME_BYTES = 63,
    ZONE_BYTES = 64,
    ARENA_LEAST = 1 << 20,
    ARENA_FACTOR = 64
};

static const struct str top_keys[] = {
    STR_INIT("organisation"), STR_INIT("plan"),       STR_INIT("language"), STR_INIT("time_zone"),
    STR_INIT("domains"),      STR_INIT("affiliates"), STR_INIT("networks"), STR_INIT("hosts"),
    STR_INIT("users"),        STR_INIT("groups"),     STR_INIT("lists"),    STR_INIT("calendars"),
    STR_INIT("dictionaries"), STR_INIT("rules"),      STR_INIT("defaults"),
};

static bool is_name(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c == '-' && i > 0)))
            return false;
    }
    return s.len > 0 && s.len <= NAME_BYTES;
}

static bool is_zone(struct str s)
{
    char before = '/';
    for (size_t i = 0; i < s.len; i++) {
        char c = char_lower(s.at[i]);
        bool is_letter =
            (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '+';
        if (!is_letter && !(c == '/' && before != '/'))
            return false;
        before = c;
    }
    return before != '/' && s.len <= ZONE_BYTES;
}

static size_t read_word(struct reading *r, const struct node *n, const struct str *words,
                        size_t count, const char *wanted)
{
    struct str text;
    if (!n || !read_text(r, n, &text))
        return count;
    for (size_t i = 0; i < count; i++)
        if (str_eq(words[i], text))
            return i;
    doc_error_near(&r->d, n, setting_suggest(text, words, count), "'%s' is not %s",
                   doc_show(text).at, wanted);
    return count;
}

/* `n`: who needs it; NULL: nobody. */
static void look_up_zone(struct reading *r, const struct node *n)
{
    const char *why;
    if (!r->options->zones)
        return;
    r->o->zone = zones_find(r->options->zones, r->o->time_zone, &why);
    if (!r->o->zone && n)
        doc_error(&r->d, n, "'%s': %s", doc_show(r->o->time_zone).at, why);
}

static void read_identity(struct reading *r, const struct node *top)
{
    static const struct str plans[] = {STR_INIT("standard"), STR_INIT("self")};
    static const struct str languages[] = {STR_INIT("ja"), STR_INIT("en")};
    struct organisation *o = r->o;
    const struct node *name = node_get(top, STR("organisation"));
    const struct node *zone = node_get(top, STR("time_zone"));
    struct str text;
    if (!name)
        doc_error(&r->d, top, "`organisation` is missing");
    else if (read_text(r, name, &o->name) && !is_name(o->name))
        doc_error(&r->d, name, "'%s' is not a name: a-z, 0-9 and -, at most %d",
                  doc_show(o->name).at, NAME_BYTES);
    size_t plan = read_word(r, node_get(top, STR("plan")), plans, 2, "standard or self");
    o->plan = plan == 0 ? PLAN_STANDARD : PLAN_SELF;
    size_t language = read_word(r, node_get(top, STR("language")), languages, 2, "ja or en");
    o->language = language == 1 ? STR("en") : STR("ja");
    o->time_zone = STR("Asia/Tokyo");
    if (zone && read_text(r, zone, &text)) {
        o->time_zone = text;
        if (!is_zone(text)) {
            doc_error(&r->d, zone, "'%s' is not a time zone (Asia/Tokyo, UTC)", doc_show(text).at);
            return;
        }
    }
    look_up_zone(r, zone ? zone : node_get(top, STR("calendars")));
}

static void make_keys(struct reading *r, const struct str_list *list, struct keyset *out)
{
    if (!keyset_make(r->d.arena, list->at, list->count, out))
        doc_error(&r->d, NULL, "the file is too large");
}

static void read_domains(struct reading *r, const struct node *top)
{
    struct organisation *o = r->o;
    const struct node *own = node_get(top, STR("domains"));
    const struct node *affiliates = node_get(top, STR("affiliates"));
    const struct node *hosts = node_get(top, STR("hosts"));
    if (own)
        o->domains = read_list(r, own, read_domain);
    else
        doc_error(&r->d, top, "`domains` is missing");
    if (affiliates)
        o->affiliates = read_list(r, affiliates, read_domain);
    if (hosts)
        o->hosts = read_list(r, hosts, read_host);
    make_keys(r, &o->domains, &o->domain_keys);
    make_keys(r, &o->affiliates, &o->affiliate_keys);
    for (size_t i = 0; i < o->affiliate_keys.count; i++)
        if (keyset_has(&o->domain_keys, o->affiliate_keys.at[i]))
            doc_error(&r->d, affiliates, "'%s' is also among `domains`",
                      doc_show(o->affiliate_keys.at[i]).at);
}

static void read_networks(struct reading *r, const struct node *n)
{
    struct organisation *o = r->o;
    struct str_list texts = {NULL, 0};
    struct network extra;
    bool has_extra = network_parse(r->options->network, &extra) == NETWORK_OK;
    if (n)
        texts = read_list(r, n, read_network);
    o->networks = take(r, (texts.count + 1) * sizeof *o->networks);
    if (!o->networks)
        return;
    for (size_t i = 0; i < texts.count; i++) {
        struct network *to = &o->networks[o->network_count++];
        must(network_parse(texts.at[i], to) == NETWORK_OK);
        has_extra &= memcmp(to, &extra, sizeof extra) != 0;
    }
    if (has_extra)
        o->networks[o->network_count++] = extra;
}

static void read_provider(struct reading *r, const struct node *top)
{
    static const struct str keys[] = {STR_INIT("lists"), STR_INIT("rules")};
    check_keys(r, top, "the provider's rules", keys, countof(keys));
    r->o->name = STR("provider");
    r->o->language = STR("ja");
    r->o->time_zone = STR("Asia/Tokyo");
    read_lists(r, node_get(top, keys[0]));
    read_rules(r, node_get(top, keys[1]), NULL);
}

static void read_top(struct reading *r, const struct node *top)
{
    check_keys(r, top, "an organisation", top_keys, countof(top_keys));
    read_identity(r, top);
    read_domains(r, top);
    read_networks(r, node_get(top, STR("networks")));
    read_people(r, node_get(top, STR("users")), node_get(top, STR("groups")));
    read_lists(r, node_get(top, STR("lists")));
    read_calendars(r, node_get(top, STR("calendars")));
    read_dictionaries(r, node_get(top, STR("dictionaries")));
    read_rules(r, node_get(top, STR("rules")), node_get(top, STR("defaults")));
}

static void init_maps(struct organisation *o)
{
    uint64_t seed = (uint64_t)(uintptr_t)o;
    map_init(&o->user_index, seed);
    map_init(&o->group_index, seed);
    map_init(&o->list_index, seed);
    map_init(&o->calendar_index, seed);
    map_init(&o->dictionary_index, seed);
}

struct organisation *rulefile_read(struct str text, const char *name,
                                   const struct rulefile_options *options, struct buffer *errors)
{
    static const struct rulefile_options none;
    struct organisation *o = heap_take(sizeof *o);
    struct reading r = {.o = o, .options = options ? options : &none};
    arena_init(&o->arena, ARENA_LEAST + ARENA_FACTOR * size_min(text.len, RULEFILE_BYTES_MAX));
    init_maps(o);
    r.d = (struct doc){.name = name, .arena = &o->arena, .errors = errors};
    if (text.len > RULEFILE_BYTES_MAX)
        doc_error(&r.d, NULL, "larger than %d bytes", RULEFILE_BYTES_MAX);
    else if (doc_read(&r.d, text, name, &o->arena, errors)) {
        bool is_map = r.d.root && r.d.root->kind == NODE_MAP;
        if (is_map && r.options->is_provider)
            read_provider(&r, r.d.root);
        else if (is_map)
            read_top(&r, r.d.root);
        else
            doc_error(&r.d, r.d.root, "an organisation is wanted: lines of key: value");
    }
    if (r.d.error_count)
        organisation_drop(&o);
    return o;
}
