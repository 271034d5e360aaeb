#include "core/base/setting.h"

#include "core/base/base.h"
#include "core/base/heap.h"
#include "core/base/setting_value.h"
#include "core/base/yaml.h"

enum {
    FILE_BYTES = 1 << 20,
    ARENA_BYTES = 64 << 20,
    LISTED = 64
};

#define RELOAD  false
#define RESTART true

const struct setting_row setting_rows[] = {
#define SETTING(name, type, standard, min, max, when, why) \
    {STR_INIT(#name),                                      \
     STR_INIT(standard),                                   \
     min,                                                  \
     max,                                                  \
     why,                                                  \
     offsetof(struct settings, name),                      \
     SETTING_##type,                                       \
     when},
#include "core/base/setting.def"
#undef SETTING
};
const size_t setting_row_count = countof(setting_rows);

struct holder {
    struct settings settings;
    struct arena arena;
};

/* Where a value came from, for messages: a node of the file, or an override's text. */
struct source {
    struct doc *doc;
    const struct node *node;
    struct str override;
};

static void PRINTFLIKE(3, 4)
    complain(const struct source *from, struct str suggestion, const char *format, ...)
{
    struct buffer *errors = from->doc->errors;
    va_list args;
    char text[400];
    struct buffer b = {.at = text, .room = sizeof text, .max = sizeof text};
    va_start(args, format);
    buffer_vprintf(&b, format, args);
    va_end(args);
    if (from->node) {
        doc_error_near(from->doc, from->node, suggestion, "%.*s", STR_ARG(buffer_str(&b)));
        return;
    }
    from->doc->error_count++;
    buffer_printf(errors, "--set %s: %.*s", doc_show(from->override).at, STR_ARG(buffer_str(&b)));
    if (suggestion.len)
        buffer_printf(errors, " (did you mean '%.*s'?)", STR_ARG(suggestion));
    buffer_putc(errors, '\n');
}

static const struct setting_row *find_row(const struct source *from, struct str name)
{
    struct str names[countof(setting_rows)];
    for (size_t i = 0; i < countof(setting_rows); i++) {
        names[i] = setting_rows[i].name;
        if (str_eq(names[i], name))
            return &setting_rows[i];
    }
    complain(from, setting_suggest(name, names, countof(names)), "unknown setting '%s'",
             doc_show(name).at);
    return NULL;
}

static void *field(struct settings *s, const struct setting_row *row)
{
    return (char *)s + row->offset;
}

static void set_scalar(struct settings *s, const struct setting_row *row, struct str value,
                       const struct source *from)
{
    struct complaint why;
    uint64_t number = 0;
    if (!setting_check(row, value, &number, &why)) {
        complain(from, why.suggestion, "%.*s: %s", STR_ARG(row->name), why.text);
        return;
    }
    if (row->type == SETTING_FLAG)
        *(bool *)field(s, row) = number != 0;
    else if (row->type == SETTING_TEXT)
        *(struct str *)field(s, row) = arena_copy(s->arena, value);
    else
        *(uint64_t *)field(s, row) = number;
}

/* Adds one entry; `count` of them are there. */
static void add_entry(struct settings *s, const struct setting_row *row, struct str value,
                      const struct source *from, struct str *entries, size_t *count)
{
    struct complaint why;
    uint64_t number;
    if (!setting_check(row, value, &number, &why))
        complain(from, why.suggestion, "%.*s: %s", STR_ARG(row->name), why.text);
    else if (*count < LISTED)
        entries[(*count)++] = arena_copy(s->arena, value);
}

static void set_list(struct settings *s, const struct setting_row *row, const struct str *entries,
                     size_t count, const struct source *from)
{
    if (count > row->max) {
        complain(from, STR(""), "%.*s: more than %llu entries", STR_ARG(row->name),
                 (unsigned long long)row->max);
        return;
    }
    struct str *at = arena_take(s->arena, (count + 1) * sizeof *at);
    if (!at) {
        complain(from, STR(""), "no memory");
        return;
    }
    memcpy(at, entries, count * sizeof *at);
    *(struct str_list *)field(s, row) = (struct str_list){at, count};
}

/* A value in one text: a default of setting.def, or an override. Lists have commas. */
static void set_text(struct settings *s, const struct setting_row *row, struct str value,
                     const struct source *from)
{
    if (row->type != SETTING_LIST) {
        set_scalar(s, row, value, from);
        return;
    }
    struct str entries[LISTED + 1];
    size_t count = 0;
    while (value.len)
        add_entry(s, row, str_trim(str_cut(&value, ',')), from, entries, &count);
    set_list(s, row, entries, count, from);
}

static void set_node(struct settings *s, struct doc *d, const struct node *n)
{
    struct source from = {.doc = d, .node = n->key};
    const struct setting_row *row = find_row(&from, n->key->text);
    if (!row)
        return;
    from.node = n;
    if (node_is_missing(n)) {
        complain(&from, STR(""), "%.*s: no value; \"\" is an empty text, [] an empty list",
                 STR_ARG(row->name));
        return;
    }
    if (row->type != SETTING_LIST) {
        if (n->kind == NODE_TEXT)
            set_scalar(s, row, n->text, &from);
        else
            complain(&from, STR(""), "%.*s: one value is wanted", STR_ARG(row->name));
        return;
    }
    if (n->kind != NODE_LIST) {
        complain(&from, STR(""), "%.*s: a list is wanted: [a, b]", STR_ARG(row->name));
        return;
    }
    struct str entries[LISTED + 1];
    size_t count = 0;
    for (const struct node *e = n->first; e; e = e->next) {
        struct source entry = {.doc = d, .node = e};
        if (e->kind == NODE_TEXT)
            add_entry(s, row, e->text, &entry, entries, &count);
        else
            complain(&entry, STR(""), "%.*s: a text is wanted", STR_ARG(row->name));
    }
    set_list(s, row, entries, n->count > row->max ? n->count : count, &from);
}

static void set_override(struct settings *s, struct doc *d, struct str text)
{
    struct source from = {.doc = d, .override = text};
    struct str value = text, name = str_cut(&value, '=');
    if (str_find(text, '=') == SIZE_MAX) {
        complain(&from, STR(""), "KEY=VALUE is wanted");
        return;
    }
    const struct setting_row *row = find_row(&from, name);
    if (row)
        set_text(s, row, value, &from);
}

static struct str cut_port(struct str *host_port)
{
    struct str port = *host_port;
    while (str_find(port, ':') != SIZE_MAX)
        (void)str_cut(&port, ':');
    host_port->len -= port.len + 1;
    return port;
}

/* As far as the texts say it; what only the DNS or the interfaces say is found at a delivery. */
static bool leads_to(struct str route, struct str listener)
{
    if (!str_eq(cut_port(&route), cut_port(&listener)))
        return false;
    bool is_local = str_starts(route, STR("127.")) || str_eq_nocase(route, STR("localhost"));
    return str_eq_nocase(route, listener) || (str_eq(listener, STR("0.0.0.0")) && is_local) ||
           (str_eq(listener, STR("[::]")) && str_eq(route, STR("[::1]")));
}

/* A smarthost that is ourselves sends every mail round and round (REL-06). */
static void check_route(const struct settings *s, struct doc *d)
{
    const struct str_list *all[] = {&s->relay_listen, &s->submission_listen,
                                    &s->submissions_listen};
    for (size_t i = 0; i < countof(all) && s->route.len; i++)
        for (size_t j = 0; j < all[i]->count; j++)
            if (leads_to(s->route, all[i]->at[j])) {
                doc_error(d, NULL, "route: '%s' leads back to us: we listen there",
                          doc_show(s->route).at);
                return;
            }
}

struct settings *settings_load(struct str text, const char *name, const struct str *overrides,
                               size_t override_count, struct buffer *errors)
{
    struct holder *h = heap_take(sizeof *h);
    struct settings *s = &h->settings;
    struct doc d = {.name = "setting.def", .errors = errors};
    arena_init(&h->arena, ARENA_BYTES);
    s->arena = &h->arena;
    for (size_t i = 0; i < countof(setting_rows); i++) {
        struct source from = {.doc = &d, .override = setting_rows[i].name};
        set_text(s, &setting_rows[i], setting_rows[i].standard, &from);
    }
    must(d.error_count == 0); /* a default is right */
    d.name = name;
    if (text.len > FILE_BYTES)
        doc_error(&d, NULL, "larger than %d bytes", FILE_BYTES);
    else if (doc_read(&d, text, name, s->arena, errors) && d.root && d.root->kind != NODE_MAP &&
             !node_is_missing(d.root))
        doc_error(&d, d.root, "lines of KEY: VALUE are wanted");
    if (d.root && d.root->kind == NODE_MAP)
        for (const struct node *n = d.root->first; n; n = n->next)
            set_node(s, &d, n);
    for (size_t i = 0; i < override_count; i++)
        set_override(s, &d, overrides[i]);
    check_route(s, &d);
    if (d.error_count)
        settings_drop(&s);
    return s;
}

void settings_drop(struct settings **s)
{
    if (!*s)
        return;
    struct holder *h = owner_of(*s, struct holder, settings);
    *s = NULL;
    arena_drop(&h->arena);
    heap_drop(h);
}
