/* The values of a rule file, each in its one spelling. */
#include "core/policy/rulefile_parts.h"

#include "core/base/base.h"
#include "core/mail/domain.h"

enum {
    PATTERN_BYTES = 128, /* bounds what a search in a long header costs */
    HEADER_NAME_BYTES = 76,
};

void *take(struct reading *r, size_t bytes)
{
    void *at = arena_take(r->d.arena, bytes);
    if (!at)
        doc_error(&r->d, NULL, "the file is too large");
    return at;
}

bool want_map(struct reading *r, const struct node *n, const char *what)
{
    if (n->kind == NODE_MAP && n->count)
        return true;
    doc_error(&r->d, n, "%s: a mapping is wanted: {key: value}", what);
    return false;
}

void check_keys(struct reading *r, const struct node *map, const char *what,
                const struct str *names, size_t count)
{
    for (const struct node *n = map->first; n; n = n->next) {
        size_t i = 0;
        while (i < count && !str_eq(names[i], n->key->text))
            i++;
        if (i == count)
            doc_error_near(&r->d, n->key, setting_suggest(n->key->text, names, count),
                           "unknown key '%s' of %s", doc_show(n->key->text).at, what);
    }
}

bool read_text(struct reading *r, const struct node *n, struct str *out)
{
    if (n->kind != NODE_TEXT || node_is_missing(n) || n->text.len == 0) {
        doc_error(&r->d, n, "a text is wanted");
        return false;
    }
    if (n->text.len > RULE_TEXT_BYTES) {
        doc_error(&r->d, n, "longer than %d bytes", RULE_TEXT_BYTES);
        return false;
    }
    for (size_t i = 0; i < n->text.len; i++)
        if ((uint8_t)n->text.at[i] < 0x20 || n->text.at[i] == 0x7f) {
            doc_error(&r->d, n, "has a control character");
            return false;
        }
    *out = n->text;
    return true;
}

static bool parse_address(struct reading *r, const struct node *n, struct address *out)
{
    struct str text;
    if (!read_text(r, n, &text))
        return false;
    enum address_status status = address_parse(text, ADDRESS_UTF8, r->d.arena, out);
    if (status == ADDRESS_OK && out->domain.len)
        return true;
    doc_error(&r->d, n, "'%s' is not an address", doc_show(text).at);
    return false;
}

bool read_address(struct reading *r, const struct node *n, struct str *out)
{
    struct address a;
    bool is_read = parse_address(r, n, &a);
    if (is_read)
        *out = a.whole;
    return is_read;
}

/* Nobody may grant itself what belongs to another organisation. */
bool read_own(struct reading *r, const struct node *n, struct str *out)
{
    struct address a;
    if (!parse_address(r, n, &a))
        return false;
    *out = a.whole;
    if (!a.literal && keyset_domain(&r->o->domain_keys, a.domain).len)
        return true;
    doc_error(&r->d, n, "the domain of '%s' is not among `domains`", doc_show(a.whole).at);
    return false;
}

bool read_host(struct reading *r, const struct node *n, struct str *out)
{
    struct str text;
    if (!read_text(r, n, &text))
        return false;
    if (domain_to_ascii(text, r->d.arena, out) == DOMAIN_OK)
        return true;
    doc_error(&r->d, n, "'%s' is not a domain", doc_show(text).at);
    return false;
}

bool read_domain(struct reading *r, const struct node *n, struct str *out)
{
    struct str text, below;
    if (!read_text(r, n, &text))
        return false;
    if (!str_starts(text, STR("*.")))
        return read_host(r, n, out);
    if (domain_to_ascii(str_skip(text, 2), r->d.arena, &below) != DOMAIN_OK) {
        doc_error(&r->d, n, "'%s' is not a domain", doc_show(text).at);
        return false;
    }
    char *at = take(r, below.len + 2);
    if (!at)
        return false;
    at[0] = '*';
    at[1] = '.';
    memcpy(at + 2, below.at, below.len);
    *out = str_from(at, below.len + 2);
    return true;
}

bool read_network(struct reading *r, const struct node *n, struct str *out)
{
    struct str text;
    struct network network;
    char spelt[64];
    struct buffer b = {.at = spelt, .room = sizeof spelt, .max = sizeof spelt};
    if (!read_text(r, n, &text))
        return false;
    enum network_status status = network_parse(text, &network);
    if (status == NETWORK_BAD) {
        doc_error(&r->d, n, "'%s' is not a network (192.0.2.0/24, \"2001:db8::/32\")",
                  doc_show(text).at);
        return false;
    }
    network_write(&network, &b);
    if (status == NETWORK_HOST_BITS) {
        doc_error_near(&r->d, n, buffer_str(&b), "'%s' has bits behind its prefix",
                       doc_show(text).at);
        return false;
    }
    if (network.bits == 0) {
        doc_error(&r->d, n, "'%s' is the whole internet", doc_show(text).at);
        return false;
    }
    *out = arena_copy(r->d.arena, buffer_str(&b));
    return out->at != NULL;
}

bool read_class(struct reading *r, const struct node *n, struct str *out)
{
    if (!read_text(r, n, out))
        return false;
    for (size_t i = 0; i < countof(class_names); i++)
        if (str_eq(class_names[i], *out))
            return true;
    doc_error_near(&r->d, n, setting_suggest(*out, class_names, countof(class_names)),
                   "'%s' is not internal, affiliate or external", doc_show(*out).at);
    return false;
}

/* Names are compared with each: a misspelt one is rare, and its file is refused. */
static struct str near_name(const struct map *index, struct str name)
{
    struct map_entry *at = NULL;
    struct str key, best = STR("");
    void *value;
    while (best.len == 0 && map_next(index, &at, &key, &value))
        best = setting_suggest(name, &key, 1);
    return best;
}

static bool read_known(struct reading *r, const struct node *n, const struct map *index,
                       const char *what, struct str *out)
{
    if (!read_text(r, n, out))
        return false;
    if (map_get(index, *out))
        return true;
    doc_error_near(&r->d, n, near_name(index, *out), "unknown %s '%s'", what, doc_show(*out).at);
    return false;
}

bool read_group(struct reading *r, const struct node *n, struct str *out)
{
    return read_known(r, n, &r->o->group_index, "group", out);
}

bool read_named_list(struct reading *r, const struct node *n, struct str *out)
{
    return read_known(r, n, &r->o->list_index, "list", out);
}

bool read_calendar(struct reading *r, const struct node *n, struct str *out)
{
    return read_known(r, n, &r->o->calendar_index, "calendar", out);
}

bool read_dictionary(struct reading *r, const struct node *n, struct str *out)
{
    return read_known(r, n, &r->o->dictionary_index, "dictionary", out);
}

bool read_entry(struct reading *r, const struct node *n, struct str *out)
{
    bool is_address = n->kind == NODE_TEXT && str_find(n->text, '@') != SIZE_MAX;
    return is_address ? read_address(r, n, out) : read_domain(r, n, out);
}

static bool read_small(struct reading *r, const struct node *n, struct str *out)
{
    struct str text;
    if (!read_text(r, n, &text))
        return false;
    char *at = take(r, text.len);
    for (size_t i = 0; at && i < text.len; i++)
        at[i] = char_lower(text.at[i]);
    *out = str_from(at, text.len);
    return at != NULL;
}

bool read_pattern(struct reading *r, const struct node *n, struct str *out)
{
    if (!read_small(r, n, out))
        return false;
    if (out->len <= PATTERN_BYTES)
        return true;
    doc_error(&r->d, n, "longer than %d bytes", PATTERN_BYTES);
    return false;
}

bool read_extension(struct reading *r, const struct node *n, struct str *out)
{
    if (!read_small(r, n, out))
        return false;
    *out = str_skip(*out, str_starts(*out, STR(".")) ? 1 : 0);
    if (out->len && str_find(*out, '*') == SIZE_MAX && str_find(*out, '/') == SIZE_MAX)
        return true;
    doc_error(&r->d, n, "'%s' is not an extension (pdf, tar.gz)", doc_show(n->text).at);
    return false;
}

bool read_header(struct reading *r, const struct node *n, struct str *out)
{
    if (!read_text(r, n, out))
        return false;
    bool is_name = out->len <= HEADER_NAME_BYTES;
    for (size_t i = 0; i < out->len; i++)
        is_name &= out->at[i] > ' ' && out->at[i] < 0x7f && out->at[i] != ':';
    if (!is_name)
        doc_error(&r->d, n, "'%s' is not the name of a header field (List-Id)", doc_show(*out).at);
    return is_name;
}

static void add_value(struct reading *r, const struct node *n, read_fn *one, struct map *seen,
                      struct str_list *list, struct str *room)
{
    struct str value;
    if (!one(r, n, &value))
        return;
    if (map_get(seen, value)) {
        doc_error(&r->d, n, "'%s' is listed twice", doc_show(value).at);
        return;
    }
    map_set(seen, value, r);
    room[list->count++] = value;
}

struct str_list read_list(struct reading *r, const struct node *n, read_fn *one)
{
    struct str_list list = {NULL, 0};
    struct str *room = take(r, (n->count + 1) * sizeof *room);
    struct map seen;
    if (!room)
        return list;
    list.at = room;
    if (n->kind == NODE_MAP || (n->kind == NODE_LIST && n->count == 0)) {
        doc_error(&r->d, n, "a list is wanted: [a, b]");
        return list;
    }
    map_init(&seen, (uint64_t)(uintptr_t)room);
    if (n->kind == NODE_TEXT)
        add_value(r, n, one, &seen, &list, room);
    for (const struct node *e = n->first; e; e = e->next)
        add_value(r, e, one, &seen, &list, room);
    map_drop(&seen);
    return list;
}
