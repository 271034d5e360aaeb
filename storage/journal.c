/* journal.c -- what a journal looks like. Format 1. Frozen: add record types, never change one.
 *
 * A journal is a set of files of equal size, `journal-NNNNNN` (six decimal digits: the number of
 * the segment). A segment is used from its start to its end, then another is taken; a segment whose
 * content is not needed any more is taken again, under a new generation. Generations rise by one
 * with each segment that is taken, over the whole journal, so that they order the segments in use.
 * Files are written with zeros before use; blocks that were never used again hold zeros or groups
 * of an older generation.
 *
 * Integers are big-endian. A group starts at a multiple of 4096 and is padded with zeros to one:
 *
 *   group header, 64 bytes
 *      0 magic        4   "SKMG"
 *      4 version      2   1
 *      6 header       2   64
 *      8 generation   4   of the segment
 *     12 segment      4
 *     16 sequence     8   1 for the first group of the partition, then one more each
 *     24 length       4   bytes of the records that follow, without the padding of the group
 *     28 records      4   how many, the DIRECTORY included
 *     32 previous     4   checksum of the group before (0 for the first)
 *     36 records crc  4   CRC-32C over the checksums of the records, four bytes each
 *     40 wall_ms      8   wall clock when it was written
 *     48 block        4   offset in the file / 4096
 *     52 partition    4   node << 10 | partition
 *     56 stamp        4   low half of the stamp
 *     60 checksum     4   CRC-32C of bytes 0 to 59; this is "the checksum of the group"
 *
 *   record, padded with zeros to a multiple of 8
 *      0 magic        2   0x5352 "SR"
 *      2 version      1   1
 *      3 type         1   record.def
 *      4 generation   4   as in the group
 *      8 id           8   message; 0: none
 *     16 length       4   of the payload
 *     20 stamp        8   random, of the partition (file `identity`); never leaves the disk,
 *                         so that no mail can contain what looks like a record of this journal
 *     28 checksum     4   CRC-32C of bytes 0 to 27 and the payload
 *     32 payload
 *
 * Payloads ("text" is length:4 and bytes; message and states as in core/mail/envelope.c):
 *
 *   BODY        the bytes
 *   ACCEPT,COPY body offset:8 (of its BODY record in this segment; 0: body lies in extents)
 *               message as text, states as text, lines:4 (recipient:4 line as text)...
 *   MOVE        recipient:4 stage:1 flags:4 attempts:4 revision:4 due_ms:8 last as text
 *   DECIDE      recipient:4 revision:4 form:1 stage:1 due_ms:8 rule as text, sealed as text
 *   NOTE        the text itself
 *   ANCHOR      adopted_ms:8 boot_ms:8 boot id:16
 *   DOCUMENT    key as text, value as text
 *   STATES      states
 *   RESERVE     serial:8
 *   DIRECTORY   one for each record before it in the group: offset from the group's start:4 type:1
 *               zero:3 id:8; the id in its header is the offset of the group in the file
 *   CHECKPOINT  kind:1 (0: begin, 1: end) sequence of the group with its begin:8
 *   LINE        recipient:4 line as text
 *
 * Reading: from a known place (segment, offset, sequence, previous) the next group is at that
 * offset, or, when there is none, at offset 0 of the segment whose first group has that sequence.
 * A group counts iff its header is intact, names this place, sequence and previous, and all
 * records are intact. Since a group is written only after the one before it was synced, an intact
 * header with a higher sequence anywhere proves that everything below it was synced: what is
 * broken there is damage (named and counted, the intact records are used). Without such proof it
 * is the torn end of the journal: it is wiped with zeros before anything new is written. An empty
 * group proves its predecessor; the keeper writes one when nothing came for 20 ms. */
#include "storage/journal.h"

#include "core/base/base.h"
#include "core/base/crc.h"

enum {
    VERSION = 1,
    RECORD_MAGIC = 0x5352,
    CHECKED_RECORD_BYTES = 28,
    CHECKED_GROUP_BYTES = 60
};

static const char group_magic[4] = {'S', 'K', 'M', 'G'};

void group_open(struct group *g, const struct journal_place *place, size_t limit)
{
    g->place = *place;
    g->limit = size_min(limit, GROUP_BYTES_MAX);
    g->used = GROUP_HEADER_BYTES;
    g->records = 0;
    buffer_clear(&g->directory);
}

void group_rewind(struct group *g, struct group_mark mark)
{
    g->used = mark.used;
    g->records = mark.records;
    g->directory.len = (size_t)mark.records * DIRECTORY_ENTRY_BYTES;
}

/* Bytes that the directory record will take with `records` entries. */
static size_t directory_bytes(uint32_t records)
{
    return record_bytes((size_t)records * DIRECTORY_ENTRY_BYTES);
}

static void record_put(char *to, const struct journal_place *place, enum record_type type,
                       uint64_t id, const struct str *piece)
{
    size_t length = piece[0].len + piece[1].len;
    memset(to, 0, RECORD_HEADER_BYTES);
    to[0] = (char)(RECORD_MAGIC >> 8);
    to[1] = (char)(RECORD_MAGIC & 0xff);
    to[2] = VERSION;
    to[3] = (char)type;
    store32(to + 4, place->generation);
    store64(to + 8, id);
    store32(to + 16, (uint32_t)length);
    store64(to + 20, place->stamp);
    char *payload = to + RECORD_HEADER_BYTES;
    if (piece[0].len)
        memcpy(payload, piece[0].at, piece[0].len);
    if (piece[1].len)
        memcpy(payload + piece[0].len, piece[1].at, piece[1].len);
    memset(payload + length, 0, record_bytes(length) - RECORD_HEADER_BYTES - length);
    uint32_t crc = crc32c(0, str_from(to, CHECKED_RECORD_BYTES));
    store32(to + CHECKED_RECORD_BYTES, crc32c(crc, str_from(payload, length)));
}

bool group_add(struct group *g, enum record_type type, uint64_t id, struct str head,
               struct str tail, uint64_t *offset)
{
    size_t bytes = record_bytes(head.len + tail.len);
    if (head.len + tail.len > LIMIT_RECORD_BYTES ||
        g->used + bytes + directory_bytes(g->records + 1) > g->limit)
        return false;
    char *entry = buffer_reserve(&g->directory, DIRECTORY_ENTRY_BYTES);
    if (!entry)
        return false;
    memset(entry, 0, DIRECTORY_ENTRY_BYTES);
    store32(entry, (uint32_t)g->used);
    entry[4] = (char)type;
    store64(entry + 8, id);
    buffer_added(&g->directory, DIRECTORY_ENTRY_BYTES);
    record_put(g->at + g->used, &g->place, type, id, (const struct str[]){head, tail});
    *offset = g->place.offset + g->used;
    g->used += bytes;
    g->records++;
    return true;
}

static uint32_t records_checksum(const char *at, const char *end)
{
    uint32_t sum = 0;
    while (at < end) {
        sum = crc32c(sum, str_from(at + CHECKED_RECORD_BYTES, 4));
        at += record_bytes(load32(at + 16));
    }
    return sum;
}

size_t group_close(struct group *g, uint64_t wall_ms, uint32_t *checksum)
{
    if (g->records) {
        struct str rows = buffer_str(&g->directory);
        record_put(g->at + g->used, &g->place, RECORD_DIRECTORY, g->place.offset,
                   (const struct str[]){rows, STR("")});
        g->used += record_bytes(rows.len);
        g->records++;
    }
    char *h = g->at;
    memset(h, 0, GROUP_HEADER_BYTES);
    memcpy(h, group_magic, sizeof group_magic);
    h[5] = VERSION;
    h[7] = GROUP_HEADER_BYTES;
    store32(h + 8, g->place.generation);
    store32(h + 12, g->place.segment);
    store64(h + 16, g->place.sequence);
    store32(h + 24, (uint32_t)(g->used - GROUP_HEADER_BYTES));
    store32(h + 28, g->records);
    store32(h + 32, g->place.previous);
    store32(h + 36, records_checksum(h + GROUP_HEADER_BYTES, h + g->used));
    store64(h + 40, wall_ms);
    store32(h + 48, (uint32_t)(g->place.offset / LIMIT_BLOCK_BYTES));
    store32(h + 52, g->place.partition);
    store32(h + 56, (uint32_t)g->place.stamp);
    *checksum = crc32c(0, str_from(h, CHECKED_GROUP_BYTES));
    store32(h + CHECKED_GROUP_BYTES, *checksum);
    size_t bytes = (g->used + LIMIT_BLOCK_BYTES - 1) & ~(size_t)(LIMIT_BLOCK_BYTES - 1);
    memset(h + g->used, 0, bytes - g->used);
    return bytes;
}

bool group_header_read(struct str raw, struct group_header *h)
{
    if (raw.len < GROUP_HEADER_BYTES || memcmp(raw.at, group_magic, sizeof group_magic) != 0 ||
        load32(raw.at + 4) != (VERSION << 16 | GROUP_HEADER_BYTES))
        return false;
    h->checksum = crc32c(0, str_from(raw.at, CHECKED_GROUP_BYTES));
    if (h->checksum != load32(raw.at + CHECKED_GROUP_BYTES))
        return false;
    h->place.generation = load32(raw.at + 8);
    h->place.segment = load32(raw.at + 12);
    h->place.sequence = load64(raw.at + 16);
    h->length = load32(raw.at + 24);
    h->records = load32(raw.at + 28);
    h->place.previous = load32(raw.at + 32);
    h->records_checksum = load32(raw.at + 36);
    h->wall_ms = load64(raw.at + 40);
    h->place.offset = (uint64_t)load32(raw.at + 48) * LIMIT_BLOCK_BYTES;
    h->place.partition = load32(raw.at + 52);
    h->place.stamp = load32(raw.at + 56);
    return h->length <= GROUP_BYTES_MAX - GROUP_HEADER_BYTES;
}

enum record_status record_take(struct str *in, const struct journal_place *place, uint64_t *offset,
                               struct record *out)
{
    if (in->len == 0)
        return RECORD_END;
    if (in->len < RECORD_HEADER_BYTES)
        return RECORD_BROKEN;
    const char *at = in->at;
    uint32_t length = load32(at + 16);
    if ((uint8_t)at[0] != RECORD_MAGIC >> 8 || (uint8_t)at[1] != (RECORD_MAGIC & 0xff) ||
        at[2] != VERSION || load32(at + 4) != place->generation || length > LIMIT_RECORD_BYTES ||
        record_bytes(length) > in->len || load64(at + 20) != place->stamp)
        return RECORD_BROKEN;
    struct str payload = str_from(at + RECORD_HEADER_BYTES, length);
    uint32_t crc = crc32c(crc32c(0, str_from(at, CHECKED_RECORD_BYTES)), payload);
    if (crc != load32(at + CHECKED_RECORD_BYTES))
        return RECORD_BROKEN;
    *out = (struct record){.type = (enum record_type)at[3],
                           .id = load64(at + 8),
                           .offset = *offset,
                           .checksum = crc,
                           .payload = payload};
    *offset += record_bytes(length);
    *in = str_skip(*in, record_bytes(length));
    return RECORD_OK;
}

bool record_name(struct str in, const struct journal_place *place, uint64_t *id)
{
    if (in.len < RECORD_HEADER_BYTES || (uint8_t)in.at[0] != RECORD_MAGIC >> 8 ||
        (uint8_t)in.at[1] != (RECORD_MAGIC & 0xff) || in.at[2] != VERSION ||
        load32(in.at + 4) != place->generation || load64(in.at + 20) != place->stamp ||
        (in.at[3] != RECORD_BODY && in.at[3] != RECORD_ACCEPT))
        return false;
    *id = load64(in.at + 8);
    return true;
}

bool group_check(struct str raw, const struct group_header *h, uint64_t stamp)
{
    if (raw.len < (size_t)GROUP_HEADER_BYTES + h->length)
        return false;
    struct str in = str_from(raw.at + GROUP_HEADER_BYTES, h->length);
    uint64_t offset = h->place.offset + GROUP_HEADER_BYTES;
    uint32_t sum = 0, records = 0;
    struct journal_place place = h->place;
    place.stamp = stamp;
    struct record r;
    enum record_status status;
    while ((status = record_take(&in, &place, &offset, &r)) == RECORD_OK) {
        char bytes[4];
        store32(bytes, r.checksum);
        sum = crc32c(sum, str_from(bytes, sizeof bytes));
        records++;
    }
    return status == RECORD_END && records == h->records && sum == h->records_checksum;
}

bool directory_entry(struct str payload, uint32_t i, struct directory_entry *out)
{
    size_t at = (size_t)i * DIRECTORY_ENTRY_BYTES;
    if (at + DIRECTORY_ENTRY_BYTES > payload.len)
        return false;
    const char *row = payload.at + at;
    *out = (struct directory_entry){load32(row), (enum record_type)row[4], load64(row + 8)};
    return true;
}

const char *record_type_name(enum record_type t)
{
    static const struct {
        enum record_type type;
        const char *name;
    } rows[] = {

#define RECORD(name, number, meaning) {RECORD_##name, #name},
#include "storage/record.def"
#undef RECORD
    };
    for (size_t i = 0; i < countof(rows); i++)
        if (rows[i].type == t)
            return rows[i].name;
    return "UNKNOWN";
}
