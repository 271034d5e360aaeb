/* reclaim.c -- the chores that keep disk use bounded: how far the index is on stable storage, spare
 * segments, survivors of old segments copied forward, history purged. Each call is one bounded
 * step.
 *
 * A journal segment can be used again when nothing live lies in it, the index on stable storage has
 * gone past it, and the last complete checkpoint began after it, so that the index could be made
 * again. Survivors are copied when segments in use are more than twice what lives, plus four:
 * earlier it would copy what is gone in a minute anyway. */
#include "core/base/base.h"
#include "core/base/heap.h"
#include "core/base/log.h"
#include "storage/file.h"
#include "storage/inside.h"
#include "storage/killpoint.h"
#include "storage/unit.h"

enum {
    SPARES_EXTRA = 2,      /* kept besides those that should be there */
    DROP_PAUSE_MS = 60000, /* what a burst needed is likely to be needed again */
    SEGMENTS_SLACK = 4,
    ZERO_AHEAD_BYTES = 16 << 20,
    PURGE_PAUSE_MS = 1000
};

static uint64_t uncovered_max(const struct partition *p)
{
    return u64_min(UNCOVERED_BYTES_MAX, 2 * p->settings.segment_bytes);
}

bool reclaim_durable(struct partition *p, uint64_t now_ms)
{
    uint64_t uncovered = p->at.journal_bytes - p->durable.journal_bytes;
    uint64_t most = uncovered_max(p);
    if (uncovered > most / 2 && !p->flushing) {
        p->flushing = true;
        p->flush_sequence = p->at.next.sequence;
        if (!index_flush(p->index, false))
            p->index_down = true;
    } else if (uncovered > most * 2) {
        if (!index_flush(p->index, true)) /* it lags too far: replay would take too long */
            p->index_down = true;
        p->durable_checked_ms = 0;
    }
    if (p->index_down) {
        p->reopen_at_ms = now_ms;
        return false;
    }
    if (now_ms - p->durable_checked_ms < DURABLE_CHECK_MS && uncovered <= most * 2)
        return false;
    p->durable_checked_ms = now_ms;
    buffer_clear(&p->scratch);
    struct position found = p->durable;
    if (index_get_durable(p->index, STR("P"), &p->scratch) == INDEX_FOUND &&
        position_decode(buffer_str(&p->scratch), &found))
        p->durable = found;
    if (p->flushing && p->durable.next.sequence >= p->flush_sequence)
        p->flushing = false;
    return false;
}

static bool is_free(const struct partition *p, const struct segment *s)
{
    return s->kind == SEGMENT_JOURNAL && !s->spare && s->live_messages == 0 &&
           s->generation < p->durable.next.generation &&
           s->generation < p->durable.checkpoint_floor;
}

static void give_free(struct partition *p)
{
    for (uint32_t i = 0; i < p->pool.end; i++) {
        struct segment *s = p->pool.segment[i];
        if (s && is_free(p, s))
            pool_give(&p->pool, s);
    }
}

static uint32_t spares_wanted(const struct partition *p)
{
    return (uint32_t)u64_max(2, p->settings.ready_bytes / p->settings.segment_bytes);
}

/* Room that nobody waits for is taken only where there is plenty. */
static bool has_plenty(const struct partition *p)
{
    return atomic_load(&p->usage_free_bytes) / 2 >
           p->settings.disk_reserve + p->settings.segment_bytes;
}

/* One at a time, slowly; at once where room is short. */
static void drop_extra(struct partition *p)
{
    bool spare_bodies = false;
    uint64_t now = clock_monotonic_ms();
    bool drop = p->pool.spares > spares_wanted(p) + SPARES_EXTRA &&
                (now - p->dropped_ms > DROP_PAUSE_MS || !has_plenty(p));
    for (uint32_t i = 0; i < p->pool.end; i++) {
        struct segment *s = p->pool.segment[i];
        if (!s)
            continue;
        bool unused_body = s->kind == SEGMENT_BODY && s->slots_used == 0;
        if ((unused_body && spare_bodies) || (s->spare && drop)) {
            p->dropped_ms = s->spare ? now : p->dropped_ms;
            (void)pool_remove(&p->pool, &s, now); /* else the next time */
            return;
        }
        spare_bodies |= unused_body;
    }
}

/* Zeros are written ahead of need, so that a group never waits for the file system to find blocks:
 * in idle turns; in busy ones only when the spare would not be ready in time. */
static struct segment *not_zeroed(const struct partition *p)
{
    struct segment *now = pool_segment(&p->pool, p->at.next.segment);
    uint64_t left = now ? now->bytes - p->at.next.offset : 0;
    if (now && !p->busy && now->written < u64_min(now->bytes, p->at.next.offset + ZERO_AHEAD_BYTES))
        return now;
    struct segment *best = NULL;
    bool ready = false;
    for (uint32_t i = 0; i < p->pool.end; i++) {
        struct segment *s = p->pool.segment[i];
        if (s && s->spare && s->written < s->bytes && (!best || s->written > best->written))
            best = s;
        ready |= s && s->spare && s->written == s->bytes;
    }
    bool hurry = best && !ready && best->bytes - best->written > left;
    return !p->busy || hurry ? best : NULL;
}

static bool zero_ahead(struct partition *p)
{
    struct segment *s = not_zeroed(p);
    if (!s)
        return false;
    int error = pool_zero(&p->pool, s, ZERO_SLICE_BYTES);
    if (error && file_is_full(error)) {
        p->full = true;
        p->full_until_ms = clock_monotonic_ms() + FULL_RETRY_MS;
    } else if (error) {
        commit_fail(p, "zeros of a new segment", error);
    }
    return !error;
}

bool reclaim_spares(struct partition *p)
{
    give_free(p);
    drop_extra(p);
    if (p->pool.spares < 2)
        (void)commit_make_spare(p);
    bool more = zero_ahead(p);
    if (!more && !p->busy && !p->full && p->pool.spares < spares_wanted(p) && has_plenty(p))
        return commit_make_spare(p);
    return more;
}

/* --- survivors ------------------------------------------------------------------------------- */

static bool is_tight(const struct partition *p)
{
    uint64_t used = 0, live = 0;
    for (uint32_t i = 0; i < p->pool.end; i++) {
        const struct segment *s = p->pool.segment[i];
        if (!s || s->kind != SEGMENT_JOURNAL || s->spare)
            continue;
        used += s->bytes;
        live += s->live_bytes;
    }
    return used > 2 * live + SEGMENTS_SLACK * p->settings.segment_bytes;
}

static const struct segment *choose(const struct partition *p)
{
    const struct segment *best = NULL;
    for (uint32_t i = 0; i < p->pool.end; i++) {
        const struct segment *s = p->pool.segment[i];
        if (!s || s->kind != SEGMENT_JOURNAL || s->spare || s->live_messages == 0 ||
            s->uncopyable || s->generation >= p->durable.next.generation ||
            s->live_bytes >= s->bytes / 4)
            continue;
        if (!best || s->live_bytes < best->live_bytes)
            best = s;
    }
    return best;
}

/* The record of the group that begins at `offset` of the file; empty when there is none. */
static struct str record_at(const struct partition *p, const struct group_header *h,
                            uint64_t offset)
{
    uint64_t end = h->place.offset + GROUP_HEADER_BYTES + h->length;
    if (offset < h->place.offset + GROUP_HEADER_BYTES || offset >= end)
        return STR("");
    return str_from(p->reclaim.raw + (offset - h->place.offset), (size_t)(end - offset));
}

/* A message that lives here goes to the end of the journal: body, envelope, states. False: no room
 * in this group. */
static bool copy_one(struct partition *p, const struct group_header *h, const struct record *r,
                     struct state *s)
{
    struct accept a;
    struct record body = {0};
    if (!accept_decode(r->payload, &a))
        return true;
    struct journal_place place = h->place;
    place.stamp = p->stamp;
    if (a.body_offset) {
        struct str in = record_at(p, h, a.body_offset);
        uint64_t offset = a.body_offset;
        if (record_take(&in, &place, &offset, &body) != RECORD_OK) {
            apply_damage(p, s->id, "BODY");
            return true;
        }
    }
    struct group_mark mark = group_mark(&p->group);
    uint64_t body_offset = 0, offset;
    if (a.body_offset &&
        !group_add(&p->group, RECORD_BODY, s->id, body.payload, STR(""), &body_offset))
        return false;
    char head[8];
    store64(head, body_offset);
    size_t before = p->group.used;
    buffer_clear(&p->scratch);
    states_encode(s->recipient, s->count, &p->scratch);
    uint64_t ignored;
    if (!group_add(&p->group, RECORD_COPY, s->id, str_from(head, 8), str_skip(r->payload, 8),
                   &offset) ||
        !group_add(&p->group, RECORD_STATES, s->id, buffer_str(&p->scratch), STR(""), &ignored)) {
        group_rewind(&p->group, mark);
        return false;
    }
    struct accept copied;
    must(accept_decode(str_from(p->group.at + before + RECORD_HEADER_BYTES, r->payload.len),
                       &copied));
    s->place =
        (struct placement){.segment = p->group.place.segment,
                           .generation = p->group.place.generation,
                           .offset = offset,
                           .body_offset = body_offset,
                           .bytes =
                               (uint32_t)(record_bytes(r->payload.len) +
                                          (a.body_offset ? record_bytes(body.payload.len) : 0))};
    s->message = copied.message;
    s->body_bytes = body.payload.len;
    if (!a.body_offset) {
        struct message *m = message_decode(s->id, a.message);
        s->body_bytes = m ? m->body_bytes : 0;
        message_drop(&m);
    }
    s->dirty = s->moved = true;
    p->group_matters = true;
    return true;
}

/* Copy what lives in one group. False: not enough room; try again. */
static bool copy_group(struct partition *p, const struct group_header *h)
{
    struct str in = str_from(p->reclaim.raw + GROUP_HEADER_BYTES, h->length);
    uint64_t offset = h->place.offset + GROUP_HEADER_BYTES;
    struct journal_place place = h->place;
    place.stamp = p->stamp;
    struct record r;
    while (in.len >= RECORD_HEADER_BYTES) {
        if (record_take(&in, &place, &offset, &r) != RECORD_OK) {
            in = str_skip(in, RECORD_ALIGNMENT); /* damaged: the others still count */
            offset += RECORD_ALIGNMENT;
            continue;
        }
        if (r.type != RECORD_ACCEPT && r.type != RECORD_COPY)
            continue;
        struct state *s = state_get(&p->states, r.id);
        if (s->is == STATE_KNOWN && !s->moved && !state_is_final(s) &&
            s->segment == h->place.segment && s->generation == h->place.generation &&
            !copy_one(p, h, &r, s))
            return false;
    }
    return true;
}

/* Read the next group of the segment being copied; false: there is none. */
static bool read_group(struct partition *p, const struct segment *s, struct group_header *h)
{
    struct reclaim *c = &p->reclaim;
    if (!c->raw)
        c->raw = heap_take_aligned(LIMIT_BLOCK_BYTES, GROUP_BYTES_MAX);
    size_t got;
    while (c->offset < s->written) {
        if (file_read(s->fd, c->raw, LIMIT_BLOCK_BYTES, c->offset, &got))
            return false;
        if (group_header_read(str_from(c->raw, got), h) && h->place.generation == s->generation &&
            h->place.segment == s->number && h->place.offset == c->offset &&
            group_bytes(h) <= s->bytes - c->offset)
            return file_read(s->fd, c->raw, group_bytes(h), c->offset, &got) == 0 &&
                   got >= GROUP_HEADER_BYTES + h->length;
        c->offset += LIMIT_BLOCK_BYTES;
    }
    return false;
}

static void copy_end(struct partition *p, struct segment *s)
{
    if (s && s->generation == p->reclaim.generation && s->live_messages) {
        /* something in it counts as live but is not to be found: keep it, and say so */
        log_warning("segment_not_emptied", log_u64("segment", s->number),
                    log_u64("messages", s->live_messages));
        s->uncopyable = true;
    }
    heap_drop(p->reclaim.raw);
    p->reclaim = (struct reclaim){0};
}

bool reclaim_turn(struct partition *p)
{
    struct reclaim *c = &p->reclaim;
    if (c->generation == 0) {
        const struct segment *best = is_tight(p) ? choose(p) : NULL;
        if (!best || p->pool.spares == 0)
            return false;
        *c = (struct reclaim){.segment = best->number, .generation = best->generation};
    }
    struct segment *s = pool_segment(&p->pool, c->segment);
    struct group_header h;
    if (!s || s->generation != c->generation || s->spare || s->live_messages == 0 ||
        !read_group(p, s, &h)) {
        copy_end(p, s);
        return false;
    }
    commit_open_group(p);
    bool fits = copy_group(p, &h);
    if (!fits && p->group.records == 0) {
        states_clear(&p->states);
        if (!commit_make_room(p, GROUP_BYTES_MAX, false))
            return false; /* no spare: later */
        fits = copy_group(p, &h);
    }
    if (fits)
        c->offset += group_bytes(&h);
    killpoint(KILL_MID_RECLAIM);
    if (p->group.records == 0) {
        states_clear(&p->states);
        return true;
    }
    return commit_write(p) && commit_index(p);
}

/* --- history --------------------------------------------------------------------------------- */

static void purge_range(struct partition *p, enum index_key kind, uint64_t id)
{
    struct key from = key_64(kind, id), until = key_64(kind, id + 1);
    struct cursor *c = cursor_open(p->index, key_str(&from), key_str(&until));
    struct str key, value;
    while (c && cursor_next(c, &key, &value) == INDEX_FOUND)
        index_delete(p->index, key);
    cursor_close(&c);
}

void purge_message(struct partition *p, uint64_t id)
{
    struct message *m = message_load(p->index, id);
    if (m) {
        struct key sender = key_64_64(KEY_SENDER, sender_hash(m->sender), ~id);
        index_delete(p->index, key_str(&sender));
        buffer_clear(&p->scratch);
        buffer_put8(&p->scratch, KEY_TOKEN);
        buffer_put(&p->scratch, m->token);
        if (m->token.len)
            index_delete(p->index, buffer_str(&p->scratch));
        message_drop(&m);
    }
    purge_range(p, KEY_LINE, id);
    purge_range(p, KEY_DECISION, id);
    purge_range(p, KEY_NOTE, id);
    struct key key = key_64(KEY_MESSAGE, id);
    index_delete(p->index, key_str(&key));
    key = key_64(KEY_STATES, id);
    index_delete(p->index, key_str(&key));
}

bool reclaim_purge(struct partition *p)
{
    uint64_t tick = clock_monotonic_ms(), now = partition_now_ms(p);
    if (tick - p->purged_ms < PURGE_PAUSE_MS || now < p->settings.history_ms)
        return false;
    struct key from = key_64_64(KEY_FINISHED, p->at.finished_low, 0);
    struct key until = key_64_64(KEY_FINISHED, now - p->settings.history_ms, 0);
    struct cursor *c = cursor_open(p->index, key_str(&from), key_str(&until));
    struct str key, value;
    int purged = 0;
    while (c && purged < PURGE_SLICE && cursor_next(c, &key, &value) == INDEX_FOUND) {
        p->at.finished_low = load64(key.at + 1);
        purge_message(p, load64(key.at + 9));
        index_delete(p->index, key);
        purged++;
    }
    cursor_close(&c);
    if (purged < PURGE_SLICE)
        p->purged_ms = tick;
    return purged > 0 && commit_index(p) && purged == PURGE_SLICE;
}
