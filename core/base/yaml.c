#include "core/base/yaml.h"

#include "core/base/base.h"

#include <yaml.h>

#include <stdio.h>

struct reader {
    struct doc *d;
    struct node *at; /* the list or mapping that is open */
    size_t depth, documents;
};

static void put_error(struct doc *d, size_t line, size_t column, struct str suggestion,
                      const char *format, va_list args)
{
    d->error_count++;
    if (d->error_count > DOC_ERRORS)
        return;
    buffer_printf(d->errors, "%s:%zu:%zu: ", d->name, line, column);
    buffer_vprintf(d->errors, format, args);
    if (suggestion.len)
        buffer_printf(d->errors, " (did you mean '%.*s'?)", STR_ARG(suggestion));
    buffer_putc(d->errors, '\n');
}

static void PRINTFLIKE(4, 5)
    error_at(struct doc *d, size_t line, size_t column, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    put_error(d, line, column, STR(""), format, args);
    va_end(args);
}

void doc_error(struct doc *d, const struct node *at, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    put_error(d, at ? at->line : 1, at ? at->column : 1, STR(""), format, args);
    va_end(args);
}

void doc_error_near(struct doc *d, const struct node *at, struct str suggestion, const char *format,
                    ...)
{
    va_list args;
    va_start(args, format);
    put_error(d, at ? at->line : 1, at ? at->column : 1, suggestion, format, args);
    va_end(args);
}

struct doc_shown doc_show(struct str s)
{
    struct doc_shown shown = {{0}};
    size_t len = size_min(s.len, sizeof shown.at - 4);
    if (len < s.len) {
        while (len && ((uint8_t)s.at[len] & 0xc0) == 0x80)
            len--; /* not inside a character */
        memcpy(shown.at + len, "...", 3);
    }
    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t)s.at[i];
        shown.at[i] = (char)(c < 0x20 || c == 0x7f ? '?' : c);
    }
    return shown;
}

const struct node *node_get(const struct node *map, struct str key)
{
    if (!map || map->kind != NODE_MAP)
        return NULL;
    for (const struct node *n = map->first; n; n = n->next)
        if (str_eq(n->key->text, key))
            return n;
    return NULL;
}

bool node_is_missing(const struct node *n)
{
    return n->kind == NODE_TEXT && n->is_plain &&
           (n->text.len == 0 || str_eq(n->text, STR("~")) || str_eq(n->text, STR("null")));
}

static void refuse_tabs(struct doc *d, struct str text)
{
    struct str rest = text;
    for (size_t line = 1; rest.len; line++) {
        struct str one = str_cut(&rest, '\n');
        size_t tab = str_find(one, '\t'), column = 1;
        if (tab == SIZE_MAX)
            continue;
        for (size_t i = 0; i < tab; i++)
            column += ((uint8_t)one.at[i] & 0xc0) != 0x80;
        error_at(d, line, column, "a tab; use blanks");
    }
}

/* Links an entry; false: it stays out of the tree, and the error is told. */
static bool give_key(struct reader *r, struct node *map, struct node *n)
{
    n->key = map->pending;
    map->pending = NULL;
    const struct node *before = node_get(map, n->key->text);
    if (before)
        doc_error(r->d, n->key, "'%s' is given twice, first in line %u", doc_show(n->key->text).at,
                  before->key->line);
    else if (map->count == DOC_KEYS)
        doc_error(r->d, n->key, "more than %d keys", DOC_KEYS);
    return !before && map->count < DOC_KEYS;
}

static void append(struct reader *r, struct node *n)
{
    struct node *into = r->at;
    n->parent = into;
    if (!into) {
        r->d->root = n;
        return;
    }
    if (into->kind == NODE_MAP && !into->pending) {
        if (n->kind != NODE_TEXT)
            doc_error(r->d, n, "a key must be a text");
        into->pending = n;
        return;
    }
    if (into->kind == NODE_MAP && !give_key(r, into, n))
        return;
    if (into->last)
        into->last->next = n;
    else
        into->first = n;
    into->last = n;
    into->count++;
}

static struct node *make(struct reader *r, const yaml_event_t *e, enum node_kind kind)
{
    struct node *n = arena_take(r->d->arena, sizeof *n);
    if (!n) {
        error_at(r->d, e->start_mark.line + 1, e->start_mark.column + 1, "the file is too large");
        return NULL;
    }
    n->kind = kind;
    n->line = (uint32_t)e->start_mark.line + 1;
    n->column = (uint32_t)e->start_mark.column + 1;
    return n;
}

static bool open_node(struct reader *r, const yaml_event_t *e, enum node_kind kind)
{
    struct node *n = make(r, e, kind);
    if (!n)
        return false;
    if (++r->depth > DOC_DEPTH) {
        doc_error(r->d, n, "nested more than %d deep", DOC_DEPTH);
        return false;
    }
    append(r, n);
    r->at = n;
    return true;
}

static bool take_scalar(struct reader *r, const yaml_event_t *e)
{
    struct node *n = make(r, e, NODE_TEXT);
    if (!n)
        return false;
    n->is_plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    n->text = arena_copy(r->d->arena,
                         str_from((const char *)e->data.scalar.value, e->data.scalar.length));
    if (!n->text.at) {
        doc_error(r->d, n, "the file is too large");
        return false;
    }
    append(r, n);
    return true;
}

static void refuse_marks(struct doc *d, const yaml_event_t *e, const void *anchor, const void *tag)
{
    size_t line = e->start_mark.line + 1, column = e->start_mark.column + 1;
    if (anchor)
        error_at(d, line, column, "anchors (&) are not allowed here");
    if (tag)
        error_at(d, line, column, "tags (!) are not allowed here");
}

/* False: stop reading, the error is told. */
static bool take_event(struct reader *r, const yaml_event_t *e)
{
    size_t line = e->start_mark.line + 1, column = e->start_mark.column + 1;
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (e->data.document_start.version_directive ||
            e->data.document_start.tag_directives.start !=
                e->data.document_start.tag_directives.end)
            error_at(r->d, line, column, "directives (%%) are not allowed here");
        if (r->documents++ == 0)
            return true;
        error_at(r->d, line, column, "a second document; one file is one document");
        return false;
    case YAML_ALIAS_EVENT:
        error_at(r->d, line, column,
                 "aliases (*) are not allowed here; quote a text that begins so");
        return false;
    case YAML_SCALAR_EVENT:
        refuse_marks(r->d, e, e->data.scalar.anchor, e->data.scalar.tag);
        return take_scalar(r, e);
    case YAML_SEQUENCE_START_EVENT:
        refuse_marks(r->d, e, e->data.sequence_start.anchor, e->data.sequence_start.tag);
        return open_node(r, e, NODE_LIST);
    case YAML_MAPPING_START_EVENT:
        refuse_marks(r->d, e, e->data.mapping_start.anchor, e->data.mapping_start.tag);
        return open_node(r, e, NODE_MAP);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        must(r->at != NULL); /* libyaml's events are balanced */
        r->depth--;
        r->at = r->at->parent;
        return true;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return true;
    }
    return true;
}

static void tell_problem(struct doc *d, const yaml_parser_t *p, struct str text)
{
    const char *problem = p->problem ? p->problem : "no memory";
    size_t line = p->problem_mark.line + 1, column = p->problem_mark.column + 1;
    if (p->error == YAML_READER_ERROR) { /* has an offset, no mark */
        line = column = 1;
        for (size_t i = 0; i < size_min(p->problem_offset, text.len); i++) {
            column += ((uint8_t)text.at[i] & 0xc0) != 0x80;
            if (text.at[i] == '\n') {
                line++;
                column = 1;
            }
        }
    }
    if (p->context && p->error == YAML_PARSER_ERROR)
        error_at(d, line, column, "%s, %s of line %zu", problem, p->context,
                 p->context_mark.line + 1);
    else
        error_at(d, line, column, "%s", problem);
}

bool doc_read(struct doc *d, struct str text, const char *name, struct arena *arena,
              struct buffer *errors)
{
    *d = (struct doc){.name = name, .arena = arena, .errors = errors};
    refuse_tabs(d, text);
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) {
        error_at(d, 1, 1, "no memory");
        return false;
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.at, text.len);
    struct reader r = {.d = d};
    bool goes_on = true, is_end = false;
    while (goes_on && !is_end) {
        yaml_event_t event;
        goes_on = yaml_parser_parse(&parser, &event);
        if (!goes_on) {
            if (d->error_count == 0 || str_find(text, '\t') == SIZE_MAX)
                tell_problem(d, &parser, text); /* a tab explains it better */
            break;
        }
        is_end = event.type == YAML_STREAM_END_EVENT;
        goes_on = take_event(&r, &event);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    if (!goes_on)
        d->root = NULL;
    return goes_on;
}

/* Bytes that mean nothing to YAML wherever they stand. */
static bool is_tame(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '/' || c == '$' || c == '@' || c == '+' || c == '=' || c == '-' ||
           (uint8_t)c >= 0x80;
}

static bool is_plain(struct str s)
{
    static const struct str words[] = {STR_INIT("null"), STR_INIT("true"), STR_INIT("false")};
    if (s.len == 0 || !is_tame(s.at[0]) || s.at[0] == '-' || s.at[0] == '@' || s.at[0] == '=' ||
        s.at[0] == '.' || (uint8_t)s.at[0] >= 0xee || s.at[s.len - 1] == ' ')
        return false; /* 0xee and more: may be a byte order mark */
    for (size_t i = 0; i < countof(words); i++)
        if (str_eq_nocase(s, words[i]))
            return false;
    for (size_t i = 0; i < s.len; i++) {
        bool is_word_blank = s.at[i] == ' ' && i + 1 < s.len && is_tame(s.at[i + 1]);
        bool is_inner_colon = s.at[i] == ':' && i + 1 < s.len && is_tame(s.at[i + 1]);
        if (!is_tame(s.at[i]) && !is_word_blank && !is_inner_colon)
            return false;
        if ((uint8_t)s.at[i] == 0xc2 || (uint8_t)s.at[i] == 0xe2 || (uint8_t)s.at[i] == 0xef)
            return false; /* NEL, line separators, byte order mark */
    }
    return true;
}

/* The character at the front of `s` when it must not stand in a file as it is; else 0. */
static unsigned wild(struct str s, size_t *len)
{
    const uint8_t *c = (const uint8_t *)s.at;
    *len = 1;
    if (c[0] < 0x20 || c[0] == 0x7f)
        return c[0] ? c[0] : 0x10000;
    if (s.len >= 2 && c[0] == 0xc2 && c[1] < 0xa0) { /* C1 controls with NEL */
        *len = 2;
        return c[1];
    }
    *len = 3;
    if (s.len < 3 || (c[0] & 0xf0) != 0xe0)
        return 0;
    unsigned code = (unsigned)(c[0] & 0xf) << 12 | (unsigned)(c[1] & 0x3f) << 6 | (c[2] & 0x3f);
    bool is_wild = code == 0x2028 || code == 0x2029 || code == 0xfeff || code >= 0xfffe;
    return is_wild ? code : 0;
}

void doc_write_text(struct buffer *out, struct str s)
{
    if (is_plain(s)) {
        buffer_put(out, s);
        return;
    }
    buffer_putc(out, '"');
    while (s.len) {
        size_t len;
        unsigned code = wild(s, &len);
        if (code) {
            buffer_printf(out, "\\u%04X", code & 0xffff);
            s = str_skip(s, len);
            continue;
        }
        if (s.at[0] == '"' || s.at[0] == '\\')
            buffer_putc(out, '\\');
        buffer_putc(out, s.at[0]);
        s = str_skip(s, 1);
    }
    buffer_putc(out, '"');
}

static void write_front(struct buffer *out, const struct node *n, bool with_key)
{
    if (with_key && n->key) {
        doc_write_text(out, n->key->text);
        buffer_puts(out, ": ");
    }
    if (n->kind == NODE_TEXT)
        doc_write_text(out, n->text);
    else
        buffer_putc(out, n->kind == NODE_LIST ? '[' : '{');
}

/* Closes what ends with `n`; the node to go on with, or NULL after `top`. */
static const struct node *write_back(struct buffer *out, const struct node *n,
                                     const struct node *top)
{
    for (;;) {
        if (n->kind != NODE_TEXT)
            buffer_putc(out, n->kind == NODE_LIST ? ']' : '}');
        if (n == top)
            return NULL;
        if (n->next) {
            buffer_puts(out, ", ");
            return n->next;
        }
        n = n->parent;
    }
}

void doc_write_node(struct buffer *out, const struct node *top)
{
    const struct node *n = top;
    while (n) {
        write_front(out, n, n != top);
        n = n->first ? n->first : write_back(out, n, top);
    }
}
