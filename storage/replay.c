/* replay.c -- from the position that the index covers to the end of the journal. The rules are at
 * the top of journal.c: follow the chain of groups; what breaks it is the torn end, unless an
 * intact group with a higher sequence proves that it was synced: then it is damage, and the rest
 * goes on. */
#include "core/base/base.h"
#include "core/base/counter.h"
#include "core/base/heap.h"
#include "core/base/id.h"
#include "core/base/log.h"
#include "storage/file.h"
#include "storage/killpoint.h"
#include "storage/salvage.h"
#include "storage/scan.h"

enum {
    BATCH_BYTES = 8 << 20,
    BATCH_GROUPS = 4096
};

static void apply_group(struct partition *p, const struct group_header *h, struct str raw)
{
    struct str in = str_from(raw.at + GROUP_HEADER_BYTES, h->length);
    uint64_t offset = h->place.offset + GROUP_HEADER_BYTES;
    struct journal_place place = h->place;
    place.stamp = p->stamp;
    p->wall_ms = h->wall_ms;
    struct record r;
    while (record_take(&in, &place, &offset, &r) == RECORD_OK)
        apply_record(p, h, &r);
    p->report.replayed_groups++;
}

/* Where the group after this one goes. */
static void pass(struct partition *p, const struct group_header *h)
{
    p->at.next.segment = h->place.segment;
    p->at.next.generation = h->place.generation;
    p->at.next.offset = h->place.offset + group_bytes(h);
    p->at.next.sequence = h->place.sequence + 1;
    p->at.next.previous = h->checksum;
    p->at.journal_bytes += group_bytes(h);
}

/* The segment that goes on where this one ends. */
static bool jump(struct partition *p)
{
    struct journal_place *next = &p->at.next;
    for (uint32_t i = 0; i < p->pool.end; i++) {
        const struct segment *s = p->pool.segment[i];
        if (!s || s->kind != SEGMENT_JOURNAL || s->first_sequence != next->sequence ||
            s->generation <= next->generation)
            continue;
        next->segment = s->number;
        next->generation = s->generation;
        next->offset = 0;
        return true;
    }
    return false;
}

static void salvage(struct scan *scan, uint32_t number, uint32_t generation, uint64_t from,
                    uint64_t until)
{
    struct partition *p = scan->p;
    const struct segment *s = pool_segment(&p->pool, number);
    uint64_t end = s ? u64_min(until, s->written) : 0;
    if (from >= end)
        return;
    /* a copy: applying reads through the same window */
    char *copy = heap_try((size_t)(end - from));
    if (!copy) {
        log_error("salvage_without_memory", log_u64("bytes", end - from));
        return;
    }
    size_t length = 0;
    while (length < end - from) {
        struct str piece = scan_bytes(scan, s, from + length, (size_t)(end - from) - length);
        if (piece.len == 0)
            break;
        memcpy(copy + length, piece.at, piece.len);
        length += piece.len;
    }
    struct salvage region = {.p = p,
                             .place = {.segment = number,
                                       .generation = generation,
                                       .sequence = p->at.next.sequence,
                                       .stamp = p->stamp},
                             .offset = from,
                             .region = str_from(copy, length)};
    salvage_region(&region);
    log_error("journal_damaged", log_text("partition", p->path), log_u64("segment", number),
              log_u64("offset", from), log_u64("bytes", end - from),
              log_u64("records_used", region.used),
              log_u64("directories_intact", region.directories));
    if (region.directories == 0) {
        /* nobody can say what was in it: count it, so that the alarm does not depend on luck */
        count(storage_damaged);
        p->report.damaged_records++;
    }
    heap_drop(copy);
}

static void go_to(struct partition *p, const struct group_header *h)
{
    struct segment *s = pool_segment(&p->pool, h->place.segment);
    s->generation = h->place.generation;
    if (s->generation > p->pool.generation)
        p->pool.generation = s->generation;
    uint32_t partition = p->at.next.partition;
    p->at.next = h->place;
    p->at.next.partition = partition;
    p->at.next.stamp = p->stamp;
}

static void repair(struct scan *scan, const struct group_header *proof)
{
    struct partition *p = scan->p;
    const struct journal_place *at = &p->at.next;
    bool here = proof->place.segment == at->segment;
    salvage(scan, at->segment, at->generation, at->offset, here ? proof->place.offset : UINT64_MAX);
    if (!here && proof->place.offset)
        salvage(scan, proof->place.segment, proof->place.generation, 0, proof->place.offset);
    go_to(p, proof);
}

/* Does anything of our generation lie there? */
static bool has_traces(struct str bytes, const struct journal_place *place)
{
    char generation[4];
    store32(generation, place->generation);
    for (size_t at = 0; at + RECORD_HEADER_BYTES <= bytes.len; at += RECORD_ALIGNMENT) {
        const char *b = bytes.at + at;
        bool record = b[0] == 'S' && b[1] == 'R' && memcmp(b + 4, generation, 4) == 0 &&
                      load64(b + 20) == place->stamp;
        bool group = memcmp(b, "SKMG", 4) == 0 && memcmp(b + 8, generation, 4) == 0;
        if (record || group)
            return true;
    }
    return false;
}

/* Segments between were used again since: only when everything is read is that no damage. */
static bool is_gap(struct scan *scan, const struct group_header *proof)
{
    const struct partition *p = scan->p;
    const struct journal_place *at = &p->at.next;
    const struct segment *s = pool_segment(&p->pool, at->segment);
    return p->rebuilding && p->proven_from && proof->place.offset == 0 &&
           proof->place.segment != at->segment &&
           !has_traces(scan_bytes(scan, s, at->offset, GROUP_BYTES_MAX), at);
}

/* The end of the journal. What a power cut left of an unsynced group must not be taken for anything
 * later: it is overwritten with zeros. */
static bool wipe_tail(struct scan *scan, struct buffer *errors)
{
    struct partition *p = scan->p;
    const struct journal_place *at = &p->at.next;
    struct segment *s = pool_segment(&p->pool, at->segment);
    struct group_header h;
    if (scan_header(scan, s, at->offset, &h) && h.place.generation == at->generation &&
        group_check(scan_bytes(scan, s, at->offset, group_bytes(&h)), &h, p->stamp)) {
        buffer_printf(errors,
                      "%s: an intact group in segment %u at %llu does not follow from what is "
                      "before it; the index and the journal do not belong together",
                      p->path, at->segment, (unsigned long long)at->offset);
        return false;
    }
    struct str tail = scan_bytes(scan, s, at->offset, GROUP_BYTES_MAX);
    if (!has_traces(tail, at))
        return true;
    p->report.torn_groups++;
    count(storage_torn);
    log_warning("torn_group_dropped", log_text("partition", p->path),
                log_u64("segment", at->segment), log_u64("offset", at->offset));
    memset(p->staging, 0, tail.len);
    scan->segment = UINT32_MAX;
    int error = file_write(s->fd, p->staging, tail.len, at->offset);
    if (!error)
        error = file_sync(s->fd);
    if (error)
        buffer_printf(errors, "%s: the torn end of segment %u can't be wiped: %s; look at the disk",
                      p->path, at->segment, strerrorname_np(-error));
    return !error;
}

static bool batch(struct partition *p, struct buffer *errors, bool all)
{
    if (!all && p->states.arena.used < BATCH_BYTES && p->states.count < BATCH_GROUPS)
        return true;
    if (commit_index(p))
        return true;
    buffer_printf(errors, "%s: the index can't be written", p->path);
    return false;
}

static bool follow(struct scan *scan, struct buffer *errors)
{
    struct partition *p = scan->p;
    for (;;) {
        struct group_header h;
        struct str raw;
        enum scan_group found = scan_group(scan, &p->at.next, &h, &raw);
        if (found == SCAN_GOOD) {
            apply_group(p, &h, raw);
            pass(p, &h);
            killpoint(KILL_MID_REPLAY);
            if (!batch(p, errors, false))
                return false;
            continue;
        }
        if (found == SCAN_NONE && jump(p))
            continue;
        struct group_header proof;
        if (!scan_proof(scan, &p->at.next, &proof))
            return batch(p, errors, true) && wipe_tail(scan, errors);
        if (is_gap(scan, &proof))
            go_to(p, &proof);
        else
            repair(scan, &proof);
        if (!batch(p, errors, true))
            return false;
    }
}

static struct segment *first_segment(struct partition *p, uint64_t sequence)
{
    for (uint32_t i = 0; i < p->pool.end; i++) {
        struct segment *s = p->pool.segment[i];
        if (s && s->kind == SEGMENT_JOURNAL && s->first_sequence == sequence)
            return s;
    }
    return NULL;
}

static bool start_fresh(struct partition *p, struct buffer *errors)
{
    int error = 0;
    struct segment *s = NULL;
    for (uint32_t i = 0; i < p->pool.end && !s; i++)
        if (p->pool.segment[i] && p->pool.segment[i]->kind == SEGMENT_JOURNAL)
            s = p->pool.segment[i];
    if (s && !s->spare)
        pool_give(&p->pool, s);
    if (!s && !pool_make(&p->pool, SEGMENT_JOURNAL, &error)) {
        buffer_printf(errors,
                      "%s: the first segment can't be made: %s; free some disk space, or look at "
                      "the disk",
                      p->path, strerrorname_np(-error));
        p->lost = true;
        return false;
    }
    s = pool_take(&p->pool);
    s->first_sequence = 1;
    p->at.next.segment = s->number;
    p->at.next.generation = s->generation;
    return true;
}

/* Counts of segments as the index has them. */
static bool load_counts(struct partition *p, struct buffer *errors)
{
    for (uint32_t i = 0; i < p->pool.end; i++)
        if (p->pool.segment[i])
            p->pool.segment[i]->live_messages = p->pool.segment[i]->live_bytes = 0;
    struct key from = key_start(KEY_SEGMENT), until = key_start((enum index_key)(KEY_SEGMENT + 1));
    struct cursor *c = cursor_open(p->index, key_str(&from), key_str(&until));
    struct str key, value;
    enum index_result result = c ? INDEX_FOUND : INDEX_BROKEN;
    while (c && (result = cursor_next(c, &key, &value)) == INDEX_FOUND) {
        struct segment *s = key.len == 5 ? pool_segment(&p->pool, load32(key.at + 1)) : NULL;
        if (!s || value.len != 20 || s->kind != SEGMENT_JOURNAL)
            continue;
        /* its first header may be damaged: then the index is the one who knows */
        if (s->generation == 0)
            s->generation = load32(value.at);
        if (s->generation != load32(value.at))
            continue;
        s->live_messages = load64(value.at + 4);
        s->live_bytes = load64(value.at + 12);
    }
    cursor_close(&c);
    if (result == INDEX_BROKEN)
        buffer_printf(errors, "%s: the index can't be read (segments)", p->path);
    return result == INDEX_ABSENT;
}

/* The index is empty: it was never on stable storage, or it is lost. Generations below this one can
 * not have been used again: no checkpoint was complete. */
static bool find_beginning(struct partition *p, struct buffer *errors)
{
    struct scan scan;
    scan_init(&scan, p);
    struct group_header proof;
    struct journal_place none = {.segment = UINT32_MAX};
    const struct segment *first = first_segment(p, 1);
    if (!first && !scan_proof(&scan, &none, &proof))
        return start_fresh(p, errors);
    uint32_t generation = first ? 1 : proof.place.generation;
    if (generation != 1 || p->pool.generation > CHECKPOINT_SEGMENTS) {
        buffer_printf(errors, "%s: the index is empty and the journal is not", p->path);
        return false;
    }
    p->at.next.segment = first ? first->number : proof.place.segment;
    p->at.next.generation = 1;
    pool_segment(&p->pool, p->at.next.segment)->generation = 1;
    return true;
}

static void reset(struct partition *p)
{
    uint32_t partition = p->settings.node << ID_PARTITION_BITS | p->settings.number;
    p->at = (struct position){0};
    p->at.next = (struct journal_place){.sequence = 1, .partition = partition, .stamp = p->stamp};
}

/* Where to begin: what the index says, or the first group ever. */
static bool find_position(struct partition *p, struct buffer *errors)
{
    struct buffer value;
    buffer_init(&value, 4096);
    reset(p);
    enum index_result result = index_get(p->index, STR("P"), &value);
    bool good = result == INDEX_ABSENT ||
                (result == INDEX_FOUND && position_decode(buffer_str(&value), &p->at));
    buffer_drop(&value);
    if (!good || !load_counts(p, errors)) {
        buffer_printf(errors, "%s: the position in the index can't be read", p->path);
        return false;
    }
    p->durable = p->at;
    if (result == INDEX_ABSENT)
        return find_beginning(p, errors);
    struct segment *s = pool_segment(&p->pool, p->at.next.segment);
    if (!s || s->kind != SEGMENT_JOURNAL) {
        buffer_printf(errors, "%s: segment journal-%06u is missing; restore it", p->path,
                      p->at.next.segment);
        p->lost = true;
        return false;
    }
    /* the index knows better than a damaged first header */
    s->generation = s->generation ? s->generation : p->at.next.generation;
    if (p->pool.generation < p->at.next.generation)
        p->pool.generation = p->at.next.generation;
    return true;
}

bool replay_again(struct partition *p, struct buffer *errors)
{
    struct journal_place before = p->at.next;
    struct scan scan;
    scan_init(&scan, p);
    states_clear(&p->states);
    p->index_down = false;
    bool good = find_position(p, errors) && follow(&scan, errors);
    p->index_down = true;
    if (good && p->at.next.sequence < before.sequence) {
        buffer_printf(errors, "%s: the journal lost groups that were synced", p->path);
        good = false;
    }
    return good;
}

void replay_prepare(struct partition *p)
{
    struct scan scan;
    scan_init(&scan, p);
    reset(p);
    scan_segments(&scan);
}

static void give_unused(struct partition *p)
{
    for (uint32_t i = 0; i < p->pool.end; i++) {
        struct segment *s = p->pool.segment[i];
        if (s && s->kind == SEGMENT_JOURNAL && s->generation == 0 && !s->spare)
            pool_give(&p->pool, s);
    }
}

static void forget_live(struct partition *p)
{
    for (uint32_t i = 0; i < p->pool.end; i++) {
        struct segment *s = p->pool.segment[i];
        if (!s)
            continue;
        s->live_messages = s->live_bytes = 0;
        s->counted = s->kind == SEGMENT_JOURNAL;
        for (uint32_t slot = 0; slot < s->slots; slot++)
            if (s->slot[slot].use == SLOT_LIVE) {
                s->slot[slot].use = SLOT_FREE;
                s->slots_used--;
            }
    }
}

bool replay_all(struct partition *p, struct buffer *errors)
{
    struct scan scan;
    scan_init(&scan, p);
    reset(p);
    p->durable = p->at;
    forget_live(p);
    struct group_header first;
    struct journal_place none = {.segment = UINT32_MAX};
    if (scan_proof(&scan, &none, &first)) {
        /* damage before the first header that can be read belongs to it */
        if (first.place.offset)
            salvage(&scan, first.place.segment, first.place.generation, 0, first.place.offset);
        go_to(p, &first);
    } else if (!start_fresh(p, errors)) {
        return false;
    }
    if (!follow(&scan, errors))
        return false;
    give_unused(p);
    return true;
}

bool replay(struct partition *p, struct buffer *errors)
{
    struct scan scan;
    scan_init(&scan, p);
    replay_prepare(p);
    if (!find_position(p, errors) || !grant_load(p, errors)) {
        if (p->lost)
            return false;
        log_error("index_not_used", log_str("reason", buffer_str(errors)));
        buffer_clear(errors);
        return rebuild(p, errors);
    }
    if (!follow(&scan, errors))
        return false;
    if (scan.unreadable_blocks) {
        count_by(storage_damaged, scan.unreadable_blocks);
        p->report.damaged_records += scan.unreadable_blocks;
    }
    give_unused(p);
    return true;
}
