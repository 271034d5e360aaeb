/* extent.c -- a large body in blocks. A block lies at a multiple of LIMIT_STAGING_BYTES in its
 * extent and is padded with zeros to a multiple of LIMIT_BLOCK_BYTES. Its header, big-endian:
 *
 *      0 magic       4   "SKMB"
 *      4 version     2   1
 *      6 header      2   64
 *      8 id          8   message
 *     16 generation  4   of the extent
 *     20 number      4   0 for the first block of the body
 *     24 length      4   payload bytes
 *     28 reserved   32   0
 *     60 checksum    4   CRC-32C of bytes 0 to 59 and the payload
 */
#include "storage/extent.h"

#include "core/base/base.h"
#include "core/base/crc.h"
#include "storage/journal.h"

enum {
    VERSION = 1,
    CHECKED_BYTES = 60,
    BLOCKS = LIMIT_EXTENT_BYTES / LIMIT_STAGING_BYTES
};

static const char block_magic[4] = {'S', 'K', 'M', 'B'};

_Static_assert(LIMIT_EXTENT_BYTES % LIMIT_STAGING_BYTES == 0, "whole blocks in an extent");
_Static_assert(LIMIT_INLINE_BYTES + RECORD_HEADER_BYTES + 2 * LIMIT_BLOCK_BYTES <= BODY_READ_BYTES,
               "an inline body with its header fits a read");

static size_t block_up(size_t bytes)
{
    return (bytes + LIMIT_BLOCK_BYTES - 1) & ~(size_t)(LIMIT_BLOCK_BYTES - 1);
}

size_t body_block_finish(char *buffer, size_t payload, uint64_t id, uint32_t generation,
                         uint32_t number)
{
    must(payload <= BODY_BLOCK_PAYLOAD);
    memset(buffer, 0, BODY_BLOCK_HEADER_BYTES);
    memcpy(buffer, block_magic, sizeof block_magic);
    buffer[5] = VERSION;
    buffer[7] = BODY_BLOCK_HEADER_BYTES;
    store64(buffer + 8, id);
    store32(buffer + 16, generation);
    store32(buffer + 20, number);
    store32(buffer + 24, (uint32_t)payload);
    uint32_t crc = crc32c(0, str_from(buffer, CHECKED_BYTES));
    crc = crc32c(crc, str_from(buffer + BODY_BLOCK_HEADER_BYTES, payload));
    store32(buffer + CHECKED_BYTES, crc);
    size_t used = BODY_BLOCK_HEADER_BYTES + payload;
    memset(buffer + used, 0, block_up(used) - used);
    return block_up(used);
}

struct body_place body_block_place(const struct grant *g, uint32_t number)
{
    must(number / BLOCKS < g->count);
    const struct extent *e = &g->extent[number / BLOCKS];
    return (struct body_place){e->segment,
                               e->offset + (uint64_t)(number % BLOCKS) * LIMIT_STAGING_BYTES};
}

uint32_t body_extents(uint64_t bytes)
{
    uint64_t blocks = (bytes + BODY_BLOCK_PAYLOAD - 1) / BODY_BLOCK_PAYLOAD;
    return (uint32_t)((blocks + BLOCKS - 1) / BLOCKS);
}

bool body_settle(struct message *m, const struct grant *g, uint64_t body_bytes)
{
    uint32_t extents = body_extents(body_bytes);
    if (extents == 0 || extents > g->count)
        return false;
    m->extents = arena_take(&m->arena, extents * sizeof *m->extents);
    if (!m->extents)
        return false;
    m->body_inline = false;
    m->body_bytes = body_bytes;
    m->extent_count = extents;
    const uint64_t payload = (uint64_t)BLOCKS * BODY_BLOCK_PAYLOAD;
    for (uint32_t i = 0; i < extents; i++) {
        m->extents[i] = g->extent[i];
        m->extents[i].length = u64_min(payload, body_bytes - i * payload);
    }
    return true;
}

void body_reader_init(struct body_reader *r, const struct message *m)
{
    *r = (struct body_reader){.message = m};
}

bool body_reader_next(const struct body_reader *r, uint32_t *segment, uint64_t *offset,
                      size_t *length)
{
    const struct message *m = r->message;
    if (r->done >= m->body_bytes)
        return false;
    if (m->body_inline) {
        const struct extent *e = m->extents;
        if (m->extent_count != 1 || e->length > LIMIT_INLINE_BYTES)
            return false; /* no place known: body_reader_take() says damaged */
        *segment = e->segment;
        *offset = e->offset & ~(uint64_t)(LIMIT_BLOCK_BYTES - 1);
        *length = block_up((size_t)(e->offset - *offset) + RECORD_HEADER_BYTES + e->length);
        return *length <= BODY_READ_BYTES;
    }
    if (r->next / BLOCKS >= m->extent_count)
        return false;
    const struct extent *e = &m->extents[r->next / BLOCKS];
    *segment = e->segment;
    *offset = e->offset + (uint64_t)(r->next % BLOCKS) * LIMIT_STAGING_BYTES;
    *length = block_up(BODY_BLOCK_HEADER_BYTES +
                       (size_t)u64_min(BODY_BLOCK_PAYLOAD, m->body_bytes - r->done));
    return *offset % LIMIT_BLOCK_BYTES == 0;
}

bool body_reader_is_done(const struct body_reader *r)
{
    return r->done == r->message->body_bytes;
}

static enum body_status take_inline(struct body_reader *r, struct str raw, struct str *payload)
{
    const struct extent *e = &r->message->extents[0];
    struct str in = str_skip(raw, (size_t)(e->offset % LIMIT_BLOCK_BYTES));
    if (in.len < RECORD_HEADER_BYTES)
        return BODY_DAMAGED;
    struct journal_place place = {.generation = e->generation, .stamp = load64(in.at + 20)};
    struct record record;
    uint64_t offset = e->offset;
    if (record_take(&in, &place, &offset, &record) != RECORD_OK || record.type != RECORD_BODY ||
        record.id != r->message->id || record.payload.len != r->message->body_bytes)
        return BODY_DAMAGED;
    *payload = record.payload;
    r->done = record.payload.len;
    return BODY_OK;
}

enum body_status body_reader_take(struct body_reader *r, struct str raw, struct str *payload)
{
    const struct message *m = r->message;
    if (m->body_inline)
        return m->extent_count == 1 ? take_inline(r, raw, payload) : BODY_DAMAGED;
    uint64_t want = u64_min(BODY_BLOCK_PAYLOAD, m->body_bytes - r->done);
    if (r->next / BLOCKS >= m->extent_count || raw.len < BODY_BLOCK_HEADER_BYTES + want)
        return BODY_DAMAGED;
    const struct extent *e = &m->extents[r->next / BLOCKS];
    const char *h = raw.at;
    if (memcmp(h, block_magic, sizeof block_magic) != 0 ||
        load32(h + 4) != (VERSION << 16 | BODY_BLOCK_HEADER_BYTES) || load64(h + 8) != m->id ||
        load32(h + 16) != e->generation || load32(h + 20) != r->next || load32(h + 24) != want)
        return BODY_DAMAGED;
    struct str bytes = str_from(h + BODY_BLOCK_HEADER_BYTES, (size_t)want);
    if (crc32c(crc32c(0, str_from(h, CHECKED_BYTES)), bytes) != load32(h + CHECKED_BYTES))
        return BODY_DAMAGED;
    *payload = bytes;
    r->next++;
    r->done += want;
    return BODY_OK;
}
