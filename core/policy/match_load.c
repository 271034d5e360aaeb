/* match_load.c -- a file of match_compile(), believed only when all of it is right. */
#include "core/base/crc.h"
#include "core/base/heap.h"
#include "core/base/map.h"
#include "core/policy/match.h"
#include "core/policy/match_build.h"
#include "core/policy/match_inside.h"
#include "core/policy/match_loaded.h"

#include <inttypes.h>
#include <stdio.h>

struct match_key match_key_of(struct str source)
{
    /* The seeds are frozen: they are part of the names of files. */
    static const uint64_t seed[2] = {0x73656b696d6f7269, 0x6d61746368657220};
    struct match_key key = {0};
    struct buffer all;
    buffer_init(&all, 512);
    match_build_text(&all);
    for (size_t i = 0; i < countof(seed); i++) {
        uint64_t build = hash_bytes(buffer_str(&all), seed[i]);
        (void)snprintf(key.at + 16 * i, 17, "%016" PRIx64, hash_bytes(source, build));
    }
    buffer_drop(&all);
    return key;
}

/* The parts of a file; false, and what is wrong with it. */
static bool take_file(struct str file, struct str source, struct str *widths, struct str *database,
                      struct buffer *reason)
{
    uint32_t version, checksum;
    struct str magic, build, of;
    struct buffer own;
    if (!take_bytes(&file, 4, &magic) || !str_eq(magic, STR("SKMF")) || !take32(&file, &version) ||
        !take32(&file, &checksum) || checksum != crc32c(0, file)) {
        buffer_puts(reason, "the file is damaged");
        return false;
    }
    buffer_init(&own, 512);
    match_build_text(&own);
    bool same = version == MATCH_FILE_VERSION && take_bytes32(&file, &build) &&
                str_eq(build, buffer_str(&own));
    buffer_drop(&own);
    if (!same) {
        buffer_puts(reason, "it was made by another version, or for another processor");
        return false;
    }
    if (!take_bytes32(&file, &of) || !str_eq(of, source)) {
        buffer_puts(reason, "it holds other patterns");
        return false;
    }
    struct match_item item;
    size_t count = 0;
    bool ok = match_source_open(&of);
    while (ok && match_source_take(&of, &item))
        count++;
    if (!ok || of.len || count > LIMIT_PATTERNS || !take_bytes(&file, 5 * count, widths) ||
        !take_bytes32(&file, database) || file.len || !database->len != !count) {
        buffer_puts(reason, "the file is malformed");
        return false;
    }
    return true;
}

/* The rows of the patterns, in order. */
static bool fill(struct matcher *m, struct str source, struct str widths)
{
    struct match_item item;
    struct str in = source;
    while (match_source_take(&in, &item))
        m->count++;
    m->row = heap_try((m->count + 1) * sizeof *m->row);
    m->texts = heap_try(source.len + 1);
    m->bytes = sizeof *m + (m->count + 1) * sizeof *m->row + source.len + 1;
    if (!m->row || !m->texts)
        return false;
    memcpy(m->texts, source.at, source.len);
    in = str_from(m->texts, source.len);
    for (uint32_t i = 0; match_source_take(&in, &item); i++) {
        struct match_row *row = &m->row[i];
        uint8_t longer;
        *row = (struct match_row){.text = item.text,
                                  .dictionary = item.dictionary,
                                  .word = item.kind == MATCH_WORD};
        if (!take32(&widths, &row->least) || !take8(&widths, &longer) || !row->least)
            return false;
        row->longer = longer;
        m->dictionaries =
            item.dictionary + 1 > m->dictionaries ? item.dictionary + 1 : m->dictionaries;
    }
    return true;
}

struct matcher *match_load(struct str file, struct str source, struct buffer *reason)
{
    struct str widths, database;
    size_t bytes = 0;
    if (!take_file(file, source, &widths, &database, reason))
        return NULL;
    struct matcher *m = heap_take(sizeof *m);
    must(match_source_open(&source));
    if (!fill(m, source, widths)) {
        buffer_puts(reason, "no memory, or malformed widths");
        match_drop(&m);
        return NULL;
    }
    if (m->count) {
        hs_error_t status = hs_deserialize_database(database.at, database.len, &m->database);
        if (status == HS_SUCCESS)
            status = hs_database_size(m->database, &bytes);
        if (status == HS_SUCCESS)
            status = hs_stream_size(m->database, &m->stream_bytes);
        if (status != HS_SUCCESS || m->stream_bytes > LIMIT_MATCH_STREAM_BYTES) {
            buffer_printf(reason, "Hyperscan does not take the database (%d)", status);
            match_drop(&m);
            return NULL;
        }
    }
    m->bytes += bytes;
    return m;
}

void match_drop(struct matcher **m)
{
    if (!*m)
        return;
    if ((*m)->database)
        (void)hs_free_database((*m)->database);
    heap_drop((*m)->row);
    heap_drop((*m)->texts);
    heap_drop(*m);
    *m = NULL;
}

size_t match_bytes(const struct matcher *m)
{
    return m->bytes;
}

uint32_t match_patterns(const struct matcher *m)
{
    return m->count;
}

uint32_t match_dictionaries(const struct matcher *m)
{
    return m->dictionaries;
}

uint32_t match_dictionary(const struct matcher *m, uint32_t pattern)
{
    must(pattern < m->count);
    return m->row[pattern].dictionary;
}

struct str match_text(const struct matcher *m, uint32_t pattern)
{
    must(pattern < m->count);
    return m->row[pattern].text;
}
