/* match_compile.c -- the costly step: patterns to a database, in a process that may be killed.
 *
 * Each expression is first compiled alone, so that one that cannot be, or that takes more than its
 * share, is named; the words need no such look. Words are escaped byte by byte: databases of
 * hs_compile_lit_multi() failed in scans (house.md 6).
 */
#include "core/base/crc.h"
#include "core/base/heap.h"
#include "core/policy/match_build.h"
#include "core/policy/match_inside.h"

#include <hs/hs.h>
#include <inttypes.h>
#include <stdlib.h>

enum {
    FLAGS = HS_FLAG_UTF8 | HS_FLAG_DOTALL,
    FLAGS_UNICODE = FLAGS | HS_FLAG_UCP,
};

struct compile {
    const struct match_observer *observer;
    uint32_t count, refused;
    struct buffer texts; /* each with a NUL behind it */
    const char **text;
    unsigned *flags, *id;
    const hs_expr_ext_t **ext; /* NULLs: no extended parameters, but the compiler that takes them */
    struct buffer widths;
};

void match_build_text(struct buffer *out)
{
    hs_platform_info_t platform = {0};
    (void)hs_populate_platform(&platform);
    buffer_printf(out, "%s tune %u features %" PRIx64, hs_version(), platform.tune,
                  (uint64_t)platform.cpu_features);
}

static void refuse(struct compile *c, uint32_t pattern, const char *reason)
{
    c->refused++;
    c->observer->refused(c->observer->owner, pattern, reason);
}

/* Its widths and the flags that it can have; false: refused. */
static bool look_at(struct compile *c, uint32_t i)
{
    hs_compile_error_t *error = NULL;
    hs_expr_info_t *info = NULL;
    c->flags[i] = FLAGS_UNICODE;
    hs_error_t status = hs_expression_ext_info(c->text[i], c->flags[i], NULL, &info, &error);
    if (status != HS_SUCCESS && error && strstr(error->message, "UCP mode")) { /* \b, \B */
        hs_free_compile_error(error);
        error = NULL;
        c->flags[i] = FLAGS;
        status = hs_expression_ext_info(c->text[i], c->flags[i], NULL, &info, &error);
    }
    if (status != HS_SUCCESS) {
        refuse(c, i, error ? error->message : "it could not be read");
        hs_free_compile_error(error);
        return false;
    }
    uint32_t least = info->min_width;
    bool longer = info->max_width != info->min_width;
    free(info);
    if (!least) {
        refuse(c, i, "it matches the empty text, so it would be found everywhere");
        return false;
    }
    buffer_put32(&c->widths, least);
    buffer_put8(&c->widths, longer);
    return true;
}

static bool compile_range(struct compile *c, uint32_t first, uint32_t count, hs_database_t **db,
                          hs_compile_error_t **error)
{
    *db = NULL;
    *error = NULL;
    return hs_compile_ext_multi(c->text + first, c->flags + first, c->id + first, c->ext + first,
                                count, HS_MODE_STREAM, NULL, db, error) == HS_SUCCESS;
}

static bool is_out_of_memory(const hs_compile_error_t *error)
{
    return error && strstr(error->message, "allocate memory");
}

static bool sizes_of(const hs_database_t *db, size_t *bytes, size_t *state)
{
    return hs_database_size(db, bytes) == HS_SUCCESS && hs_stream_size(db, state) == HS_SUCCESS;
}

/* Alone, it must take no more than its share. */
static void try_alone(struct compile *c, uint32_t i)
{
    hs_database_t *db;
    hs_compile_error_t *error;
    size_t bytes = 0, state = 0;
    if (!compile_range(c, i, 1, &db, &error)) {
        refuse(c, i, error ? error->message : "it could not be compiled");
        hs_free_compile_error(error);
        return;
    }
    if (!sizes_of(db, &bytes, &state) || bytes > LIMIT_PATTERN_DATABASE_BYTES ||
        state > LIMIT_PATTERN_STATE_BYTES)
        refuse(c, i, "its repeats take too much memory: make them smaller");
    (void)hs_free_database(db);
}

static void put_hex(struct buffer *out, struct str word)
{
    static const char digit[] = "0123456789abcdef";
    for (size_t i = 0; i < word.len; i++) {
        unsigned char b = (unsigned char)word.at[i];
        const char hex[] = {'\\', 'x', digit[b >> 4], digit[b & 15]};
        buffer_put(out, str_from(hex, sizeof hex));
    }
}

static bool read_source(struct compile *c, struct str source)
{
    struct match_item item;
    struct str in = source;
    if (!match_source_open(&in))
        return false;
    while (match_source_take(&in, &item)) {
        if (item.kind == MATCH_WORD)
            put_hex(&c->texts, item.text);
        else
            buffer_put(&c->texts, item.text);
        buffer_putc(&c->texts, '\0');
        c->count++;
    }
    if (in.len || c->texts.full || c->count > LIMIT_PATTERNS)
        return false;
    size_t slots = c->count + 1;
    c->text = heap_take(slots * sizeof *c->text);
    c->flags = heap_take(slots * sizeof *c->flags);
    c->id = heap_take(slots * sizeof *c->id);
    c->ext = heap_take(slots * sizeof *c->ext);
    const char *at = c->texts.at;
    for (uint32_t i = 0; i < c->count; i++) {
        c->text[i] = at;
        c->id[i] = i;
        at += strlen(at) + 1;
    }
    return true;
}

static void check_each(struct compile *c, struct str source)
{
    struct match_item item;
    must(match_source_open(&source));
    for (uint32_t i = 0; match_source_take(&source, &item); i++) {
        if (item.kind == MATCH_WORD) {
            buffer_put32(&c->widths, (uint32_t)item.text.len);
            buffer_put8(&c->widths, false);
            continue;
        }
        c->observer->checking(c->observer->owner, i);
        if (look_at(c, i))
            try_alone(c, i);
    }
}

static bool put_file(const struct compile *c, struct str source, const hs_database_t *db,
                     struct buffer *file)
{
    char *bytes = NULL;
    size_t length = 0;
    struct buffer rest;
    if (db && hs_serialize_database(db, &bytes, &length) != HS_SUCCESS)
        return false;
    buffer_init(&rest, LIMIT_MATCH_FILE_BYTES - 64);
    size_t build = rest.len;
    buffer_put32(&rest, 0);
    match_build_text(&rest);
    if (!rest.full)
        store32(rest.at + build, (uint32_t)(rest.len - build - 4));
    buffer_put_bytes32(&rest, source);
    buffer_put(&rest, buffer_str(&c->widths));
    buffer_put_bytes32(&rest, str_from(bytes ? bytes : "", length));
    free(bytes);
    buffer_puts(file, "SKMF");
    buffer_put32(file, MATCH_FILE_VERSION);
    buffer_put32(file, crc32c(0, buffer_str(&rest)));
    buffer_put(file, buffer_str(&rest));
    bool ok = !rest.full && !file->full;
    buffer_drop(&rest);
    return ok;
}

static enum match_build compile_all(struct compile *c, struct str source, struct buffer *file,
                                    struct buffer *reason)
{
    hs_database_t *db = NULL;
    hs_compile_error_t *error = NULL;
    size_t bytes = 0, state = 0;
    enum match_build result = MATCH_UNBUILT;
    if (c->count && !compile_range(c, 0, c->count, &db, &error)) {
        if (is_out_of_memory(error)) { /* it names the first, which is no more guilty than others */
            buffer_puts(reason, "together the patterns need more memory than compiling may take");
        } else if (error && error->expression >= 0 && (uint32_t)error->expression < c->count) {
            refuse(c, (uint32_t)error->expression, error->message);
            result = MATCH_REFUSED;
        } else {
            buffer_printf(reason, "the patterns cannot be compiled together: %s",
                          error ? error->message : "no reason given");
        }
        hs_free_compile_error(error);
    } else if (db && (!sizes_of(db, &bytes, &state) || state > LIMIT_MATCH_STREAM_BYTES)) {
        buffer_printf(reason, "together the patterns keep %zu bytes a text; %d is the maximum",
                      state, LIMIT_MATCH_STREAM_BYTES);
    } else if (!put_file(c, source, db, file)) {
        buffer_puts(reason, "the database of the patterns is larger than 256 MiB");
    } else {
        result = MATCH_BUILT;
    }
    if (db)
        (void)hs_free_database(db);
    return result;
}

enum match_build match_compile(struct str source, const struct match_observer *observer,
                               struct buffer *file, struct buffer *reason)
{
    struct compile c = {.observer = observer};
    enum match_build result = MATCH_UNBUILT;
    buffer_init(&c.texts, 8 * (size_t)LIMIT_PATTERN_SOURCE_BYTES);
    buffer_init(&c.widths, 8 * (size_t)LIMIT_PATTERNS);
    if (hs_valid_platform() != HS_SUCCESS) {
        buffer_puts(reason, "the processor has no SSSE3, which Hyperscan needs");
    } else if (!read_source(&c, source)) {
        buffer_printf(reason, "not a list of at most %d patterns", LIMIT_PATTERNS);
    } else {
        check_each(&c, source);
        result = c.refused ? MATCH_REFUSED : compile_all(&c, source, file, reason);
    }
    buffer_drop(&c.texts);
    buffer_drop(&c.widths);
    heap_drop(c.text);
    heap_drop(c.flags);
    heap_drop(c.id);
    heap_drop(c.ext);
    return result;
}
