#include "storage/scan.h"

#include "core/base/base.h"
#include "core/base/log.h"
#include "storage/file.h"

enum {
    WINDOW_BYTES = 1 << 20,
    UNREADABLE = 0xee
};

void scan_init(struct scan *s, struct partition *p)
{
    *s = (struct scan){.p = p, .segment = UINT32_MAX};
}

/* Block by block, so that one bad block does not hide its neighbours. */
static void read_slowly(struct scan *s, const struct segment *segment, uint64_t offset, size_t want)
{
    for (size_t at = 0; at < want; at += LIMIT_BLOCK_BYTES) {
        size_t got;
        char *to = s->p->staging + at;
        int error = file_read(segment->fd, to, LIMIT_BLOCK_BYTES, offset + at, &got);
        if (!error) {
            memset(to + got, 0, LIMIT_BLOCK_BYTES - got);
            continue;
        }
        memset(to, UNREADABLE, LIMIT_BLOCK_BYTES);
        s->unreadable_blocks++;
        log_error("block_unreadable", log_u64("segment", segment->number),
                  log_u64("offset", offset + at), log_errno("reason", error));
    }
}

static void load(struct scan *s, const struct segment *segment, uint64_t offset, size_t want)
{
    size_t got;
    if (file_read(segment->fd, s->p->staging, want, offset, &got))
        read_slowly(s, segment, offset, want);
    else
        memset(s->p->staging + got, 0, want - got);
    s->segment = segment->number;
    s->start = offset;
    s->length = want;
}

struct str scan_bytes(struct scan *s, const struct segment *segment, uint64_t offset, size_t want)
{
    uint64_t end = segment->written & ~(uint64_t)(LIMIT_BLOCK_BYTES - 1);
    if (offset >= end)
        return STR("");
    uint64_t left = end - offset;
    want = (size_t)u64_min(u64_min(want, left), GROUP_BYTES_MAX);
    bool here = s->segment == segment->number && offset >= s->start &&
                offset + want <= s->start + s->length;
    if (!here) {
        uint64_t start = offset & ~(uint64_t)(LIMIT_BLOCK_BYTES - 1);
        size_t length = (size_t)(offset - start) + want;
        length = (length + LIMIT_BLOCK_BYTES - 1) & ~(size_t)(LIMIT_BLOCK_BYTES - 1);
        if (length < WINDOW_BYTES)
            length = WINDOW_BYTES;
        length = (size_t)u64_min(u64_min(length, end - start), GROUP_BYTES_MAX);
        load(s, segment, start, length);
        want = size_min(want, (size_t)(start + length - offset));
    }
    return str_from(s->p->staging + (offset - s->start), want);
}

bool scan_header(struct scan *s, const struct segment *segment, uint64_t offset,
                 struct group_header *h)
{
    struct str raw = scan_bytes(s, segment, offset, LIMIT_BLOCK_BYTES);
    const struct journal_place *next = &s->p->at.next;
    return group_header_read(raw, h) && h->place.segment == segment->number &&
           h->place.offset == offset && h->place.partition == next->partition &&
           h->place.stamp == (uint32_t)s->p->stamp && group_bytes(h) <= segment->bytes - offset;
}

enum scan_group scan_group(struct scan *s, const struct journal_place *place,
                           struct group_header *h, struct str *raw)
{
    const struct segment *segment = pool_segment(&s->p->pool, place->segment);
    if (!segment || !scan_header(s, segment, place->offset, h) ||
        h->place.generation != place->generation || h->place.sequence != place->sequence ||
        h->place.previous != place->previous)
        return SCAN_NONE;
    *raw = scan_bytes(s, segment, place->offset, group_bytes(h));
    return group_check(*raw, h, s->p->stamp) ? SCAN_GOOD : SCAN_BROKEN;
}

/* Lower `proof` to what lies in [from, until) of the segment with a sequence above `sequence`. */
static void look_in(struct scan *s, const struct segment *segment, uint64_t from, uint64_t until,
                    uint64_t sequence, struct group_header *proof)
{
    struct group_header h;
    for (uint64_t at = from; at < until; at += LIMIT_BLOCK_BYTES)
        if (scan_header(s, segment, at, &h) && h.place.sequence > sequence &&
            h.place.sequence < proof->place.sequence) {
            *proof = h;
            return; /* within a use of a segment sequences only rise */
        }
}

static bool is_zero(struct str bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        if (bytes.at[i])
            return false;
    return true;
}

static void look_elsewhere(struct scan *s, const struct segment *segment, uint64_t sequence,
                           struct group_header *proof)
{
    struct group_header h;
    if (scan_header(s, segment, 0, &h)) {
        /* the whole use is later, or the whole use is earlier */
        if (h.place.sequence > sequence && h.place.sequence < proof->place.sequence)
            *proof = h;
        return;
    }
    /* never used, or its first group is damaged: the second begins within the size of a group */
    bool blank = is_zero(scan_bytes(s, segment, 0, LIMIT_BLOCK_BYTES));
    uint64_t until =
        blank ? u64_min(segment->written, GROUP_BYTES_MAX + LIMIT_BLOCK_BYTES) : segment->written;
    look_in(s, segment, LIMIT_BLOCK_BYTES, until, sequence, proof);
}

bool scan_proof(struct scan *s, const struct journal_place *place, struct group_header *proof)
{
    proof->place.sequence = UINT64_MAX;
    const struct pool *pool = &s->p->pool;
    for (uint32_t i = 0; i < pool->end; i++) {
        const struct segment *segment = pool->segment[i];
        if (!segment || segment->kind != SEGMENT_JOURNAL)
            continue;
        if (segment->number == place->segment)
            look_in(s, segment, place->offset, segment->written, place->sequence, proof);
        else
            look_elsewhere(s, segment, place->sequence, proof);
    }
    return proof->place.sequence != UINT64_MAX;
}

void scan_segments(struct scan *s)
{
    struct pool *pool = &s->p->pool;
    for (uint32_t i = 0; i < pool->end; i++) {
        struct segment *segment = pool->segment[i];
        struct group_header h;
        if (!segment || segment->kind != SEGMENT_JOURNAL)
            continue;
        if (scan_header(s, segment, 0, &h)) {
            segment->generation = h.place.generation;
            segment->first_sequence = h.place.sequence;
        }
        if (segment->generation > pool->generation)
            pool->generation = segment->generation;
    }
}
