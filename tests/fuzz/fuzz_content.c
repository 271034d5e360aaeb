/* Any header of a part: what is listed is valid, each value once; a header of one plain parameter
 * reads as a model without tolerance reads it. The header twice is in doubt wherever it says
 * something, and lists nothing new. */
#include "tests/fuzz/fuzz.h"

#include "core/base/limit.h"
#include "core/mail/content.h"
#include "core/mail/utf8.h"

enum {
    ARENA_BYTES = 16 << 20
};

static void check_list(const struct content_list *list)
{
    must(list->count <= LIMIT_READINGS);
    for (uint32_t i = 0; i < list->count; i++)
        for (uint32_t k = 0; k < i; k++)
            must(!str_eq(list->at[i], list->at[k]));
}

static void check(const struct content *c)
{
    check_list(&c->types);
    check_list(&c->names);
    check_list(&c->boundaries);
    check_list(&c->charsets);
    for (uint32_t i = 0; i < c->names.count; i++) {
        must(utf8_is_valid(c->names.at[i]));
        must(str_find(c->names.at[i], '\n') == SIZE_MAX && str_find(c->names.at[i], 0) == SIZE_MAX);
    }
    must(c->encodings && c->content_fields <= c->fields);
    must(c->names.count < 2 || c->doubt & CONTENT_TWO_NAMES);
    must(c->boundaries.count < 2 || c->doubt & CONTENT_TWO_BOUNDARIES);
    must(c->types.count < 2 || c->doubt & CONTENT_TWO_TYPES);
    for (uint32_t i = 0; i < c->parameter_count; i++)
        must(c->parameters[i].value.at && c->parameters[i].name.at);
}

static bool is_token(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.at[i] <= ' ' || s.at[i] > '~' || strchr("()<>@,;:\\\"/[]?=*%'", s.at[i]))
            return false;
    return s.len > 0 && s.len <= LIMIT_PARAMETER_BYTES;
}

/* The input as a file name, when it is one that needs no quotes. */
static void check_plain(struct str token, struct arena *arena)
{
    struct buffer in;
    struct content c;
    if (!is_token(token))
        return;
    buffer_init(&in, 1 << 20);
    buffer_puts(&in, "Content-Disposition: attachment; filename=");
    buffer_put(&in, token);
    buffer_puts(&in, "; x=y\r\nContent-Type: a/b; boundary=\"");
    buffer_put(&in, token);
    buffer_puts(&in, "\"\r\n");
    content_read(buffer_str(&in), arena, &c);
    must((c.doubt & ~(unsigned)CONTENT_NAME_UNSAFE) == 0);
    must(c.names.count == 1 && str_eq(c.names.at[0], token));
    must(c.boundaries.count == 1 && str_eq(c.boundaries.at[0], token));
    buffer_drop(&in);
}

static bool holds(const struct content_list *all, const struct content_list *some)
{
    for (uint32_t i = 0; i < some->count; i++) {
        bool found = false;
        for (uint32_t k = 0; k < all->count; k++)
            found |= str_eq(some->at[i], all->at[k]);
        if (!found)
            return false;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct buffer in;
    struct content once, twice;
    struct str section = str_from((const char *)data, size);
    char *copy = heap_take(size + 1);
    memcpy(copy, data, size);
    arena_init(&arena, ARENA_BYTES);
    content_read(str_from(copy, size), &arena, &once);
    heap_drop(copy);
    check(&once);
    check_plain(section, &arena);

    buffer_init(&in, 4 << 20);
    buffer_put(&in, section);
    buffer_puts(&in, "\r\n");
    buffer_put(&in, section);
    content_read(buffer_str(&in), &arena, &twice);
    check(&twice);
    must(twice.doubt & CONTENT_LIMIT ||
         (holds(&twice.types, &once.types) && holds(&twice.names, &once.names) &&
          holds(&twice.boundaries, &once.boundaries)));
    must(!once.types.count || twice.doubt & CONTENT_TWO_TYPES);
    buffer_drop(&in);
    arena_drop(&arena);
    return 0;
}
