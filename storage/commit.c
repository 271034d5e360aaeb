/* commit.c -- units into a group, the group to the disk, its states into the index. */
#include "core/base/base.h"
#include "core/base/counter.h"
#include "core/base/id.h"
#include "core/base/log.h"
#include "storage/file.h"
#include "storage/inside.h"
#include "storage/killpoint.h"
#include "storage/unit.h"

enum put {
    PUT_DONE,
    PUT_NO_ROOM
};

void commit_fail(struct partition *p, const char *what, int error)
{
    if (!p->failed)
        log_error("partition_failed", log_text("partition", p->path), log_text("what", what),
                  log_errno("reason", error),
                  log_text("advice", "it accepts nothing more; mend the disk, then restart"));
    p->failed = true;
    atomic_store(&p->usage_failed, true);
}

static struct segment *current(const struct partition *p)
{
    return pool_segment(&p->pool, p->at.next.segment);
}

void commit_open_group(struct partition *p)
{
    const struct segment *s = current(p);
    uint64_t left = s ? s->bytes - p->at.next.offset : 0;
    p->group.at = p->staging;
    group_open(&p->group, &p->at.next, (size_t)u64_min(left, GROUP_BYTES_MAX));
    p->group_matters = false;
}

bool commit_make_spare(struct partition *p)
{
    int error = 0;
    if (p->full)
        return false;
    if (pool_make(&p->pool, SEGMENT_JOURNAL, &error))
        return true;
    log_warning("segment_not_made", log_text("partition", p->path), log_errno("reason", error));
    if (!file_is_full(error)) {
        commit_fail(p, "new segment", error);
        return false;
    }
    p->full = true;
    p->full_until_ms = clock_monotonic_ms() + FULL_RETRY_MS;
    return false;
}

/* Go on in a spare segment. One more is made first where that is possible; without it, only moves
 * may have the last one. */
static bool switch_segment(struct partition *p, bool spare)
{
    if (p->pool.spares < 2)
        (void)commit_make_spare(p);
    if (p->failed || p->pool.spares < (spare ? 2u : 1u))
        return false;
    struct segment *s = pool_take(&p->pool);
    killpoint(KILL_MID_RECYCLE);
    s->first_sequence = p->at.next.sequence;
    p->at.next.segment = s->number;
    p->at.next.generation = s->generation;
    p->at.next.offset = 0;
    commit_open_group(p);
    return true;
}

bool commit_make_room(struct partition *p, size_t bytes, bool spare)
{
    return p->group.used + bytes <= p->group.limit || switch_segment(p, spare);
}

/* Has the group all the room that a group can have? Then what does not fit never will. */
static bool is_whole(const struct partition *p)
{
    return p->group.limit == GROUP_BYTES_MAX || p->group.place.offset == 0;
}

static bool put_accept(struct partition *p, const struct unit *u, uint32_t i)
{
    const struct message *m = u->accept[i];
    uint64_t body_offset = 0, offset;
    if (m->body_inline &&
        !group_add(&p->group, RECORD_BODY, m->id, u->body[i], STR(""), &body_offset))
        return false;
    buffer_clear(&p->scratch);
    accept_encode(m, body_offset, &p->scratch);
    return !p->scratch.full &&
           group_add(&p->group, RECORD_ACCEPT, m->id, buffer_str(&p->scratch), STR(""), &offset);
}

static bool put_move(struct partition *p, const struct move *m)
{
    const struct state *s = state_get(&p->states, m->id);
    uint64_t offset;
    buffer_clear(&p->scratch);
    move_encode(m->recipient, &s->recipient[m->recipient], m->last, &p->scratch);
    return group_add(&p->group, RECORD_MOVE, m->id, buffer_str(&p->scratch), STR(""), &offset);
}

static bool put_extras(struct partition *p, const struct unit *u)
{
    struct str in = buffer_str(&u->extra);
    struct extra e;
    uint64_t offset;
    while (unit_extra_next(&in, &e))
        if (!group_add(&p->group, e.type, e.id, e.payload, STR(""), &offset))
            return false;
    return true;
}

static enum put put_records(struct partition *p, const struct unit *u)
{
    bool fits = true;
    for (uint32_t i = 0; fits && i < u->accept_count; i++)
        fits = put_accept(p, u, i);
    for (uint32_t i = 0; fits && i < u->move_count; i++)
        fits = !u->moves[i].done || put_move(p, &u->moves[i]);
    return fits && put_extras(p, u) ? PUT_DONE : PUT_NO_ROOM;
}

/* The records of an accepted message were the next in the group: note where. */
static void adopt_accept(struct partition *p, const struct unit *u, uint32_t i, struct str *records)
{
    struct message *m = u->accept[i];
    struct placement place = {.segment = p->group.place.segment,
                              .generation = p->group.place.generation};
    struct record body = {0}, accept;
    uint64_t offset = p->group.place.offset + (uint64_t)(records->at - p->group.at);
    if (m->body_inline) {
        body.payload.len = load32(records->at + 16);
        body.offset = offset;
        *records = str_skip(*records, record_bytes(body.payload.len));
        offset += record_bytes(body.payload.len);
        place.body_offset = body.offset;
        place.bytes = (uint32_t)record_bytes(body.payload.len);
    }
    accept.payload = str_from(records->at + RECORD_HEADER_BYTES, load32(records->at + 16));
    *records = str_skip(*records, record_bytes(accept.payload.len));
    place.offset = offset;
    place.bytes += (uint32_t)record_bytes(accept.payload.len);
    struct accept parts;
    must(accept_decode(accept.payload, &parts));
    struct state *s = state_accept(&p->states, m, parts.message, &place);
    for (uint32_t r = 0; r < m->recipient_count; r++)
        if (m->recipients[r].last.len)
            apply_line(p, s, r, m->recipients[r].last);
    if (m->body_inline && (m->extents = arena_take(&m->arena, sizeof *m->extents))) {
        m->extent_count = 1;
        m->extents[0] =
            (struct extent){place.segment, place.generation, body.offset, m->body_bytes};
    }
    p->at.serial_seen = u64_max(p->at.serial_seen, id_serial(m->id));
    if (m->accepted_ms) {
        p->at.anchor = (struct clock_anchor){m->accepted_ms, m->accepted_boot_ms};
        p->at.boot = m->boot;
        p->at.anchored = true;
    }
}

/* The unit is in the group: what it means for the index. */
static void adopt_unit(struct partition *p, const struct unit *u, struct group_mark mark)
{
    struct str records = str_from(p->group.at + mark.used, p->group.used - mark.used);
    for (uint32_t i = 0; i < u->accept_count; i++)
        adopt_accept(p, u, i, &records);
    for (uint32_t i = 0; i < u->move_count; i++)
        if (u->moves[i].done && u->moves[i].last.len)
            apply_line(p, state_get(&p->states, u->moves[i].id), u->moves[i].recipient,
                       u->moves[i].last);
    struct str in = buffer_str(&u->extra);
    struct extra e;
    for (uint32_t n = 0; unit_extra_next(&in, &e); n++) {
        struct decision d;
        if (e.type == RECORD_DECIDE && decision_decode(e.id, e.payload, &d))
            apply_decision(p, state_get(&p->states, e.id), &d, e.payload);
        else if (e.type == RECORD_NOTE)
            apply_note(p, e.id, p->group.place.sequence,
                       (uint32_t)(mark.used / RECORD_ALIGNMENT) + n, e.payload);
        else if (e.type == RECORD_DOCUMENT)
            must(apply_document(p, e.payload)); /* unit_add_document() made it */
    }
    p->undo_count = 0;
    p->group_matters = true;
}

static bool settle_extents(struct partition *p, const struct unit *u)
{
    uint32_t i = 0;
    while (i < u->accept_count && (u->accept[i]->body_inline || grant_settle(p, u->accept[i])))
        i++;
    if (i == u->accept_count)
        return true;
    while (i-- > 0)
        if (!u->accept[i]->body_inline)
            grant_unsettle(p, u->accept[i]);
    return false;
}

static void note_serials(struct partition *p, const struct unit *u)
{
    for (uint32_t i = 0; i < u->accept_count; i++)
        if (u->accept[i] && id_partition(u->accept[i]->id) == p->settings.number)
            p->serial_used = u64_max(p->serial_used, id_serial(u->accept[i]->id));
}

/* Large bodies are written by the workers; they must be on stable storage before the ACCEPT that
 * names them. */
static bool sync_bodies(struct partition *p, const struct unit *u)
{
    for (uint32_t i = 0; i < u->accept_count; i++) {
        int error = u->accept[i]->body_inline ? 0 : grant_sync(p, u->accept[i]);
        if (error) {
            commit_fail(p, "sync of a body segment", error);
            return false;
        }
    }
    return true;
}

/* Put the records of a checked unit into the group, in a new segment when this one is used up.
 * False: they do not fit behind the units that are in the group already. */
static bool put_checked(struct partition *p, struct unit *u)
{
    struct group_mark mark = group_mark(&p->group);
    enum put put = put_records(p, u);
    if (put == PUT_NO_ROOM) {
        group_rewind(&p->group, mark);
        if (mark.records)
            return false;
        if (is_whole(p)) {
            log_error("unit_too_large", log_text("partition", p->path));
            u->result = COMMIT_REFUSED;
        } else if (!switch_segment(p, u->accept_count > 0)) {
            u->result = p->failed ? COMMIT_FAILED : COMMIT_FULL;
        } else {
            mark = group_mark(&p->group);
            put = put_records(p, u);
            if (put == PUT_NO_ROOM)
                u->result = COMMIT_REFUSED;
        }
    }
    if (put == PUT_DONE && !settle_extents(p, u))
        u->result = COMMIT_REFUSED;
    if (u->result == COMMIT_SYNCED && !sync_bodies(p, u))
        u->result = COMMIT_FAILED;
    if (u->result == COMMIT_SYNCED) {
        adopt_unit(p, u, mark);
    } else {
        group_rewind(&p->group, mark);
        check_undo(p);
    }
    return true;
}

/* False: it has to wait for the next group. */
static bool put_unit(struct partition *p, struct unit *u)
{
    note_serials(p, u);
    u->result = p->failed                    ? COMMIT_FAILED
                : p->index_down              ? COMMIT_FULL
                : p->full && u->accept_count ? COMMIT_FULL
                                             : COMMIT_SYNCED;
    if (u->result != COMMIT_SYNCED)
        return true;
    if (!check_unit(p, u)) {
        u->result = COMMIT_REFUSED;
        return true;
    }
    if (put_checked(p, u))
        return true;
    check_undo(p);
    return false;
}

/* Records of the keeper's own that travel with whatever comes. */
static void put_own(struct partition *p)
{
    uint64_t offset;
    char payload[32];
    if (p->failed || p->index_down)
        return;
    if (p->anchor_waits && p->group.records == 0 &&
        !commit_make_room(p, LIMIT_BLOCK_BYTES / 2, false))
        p->anchor_waits = false; /* the next one will do */
    if (p->anchor_waits) {
        struct clock_boot_id boot = clock_boot_id();
        store64(payload, p->anchor_pending.adopted_ms);
        store64(payload + 8, p->anchor_pending.boot_ms);
        memcpy(payload + 16, boot.at, sizeof boot.at);
        if (group_add(&p->group, RECORD_ANCHOR, 0, str_from(payload, 32), STR(""), &offset)) {
            p->at.anchor = p->anchor_pending;
            p->at.boot = boot;
            p->at.anchored = true;
            p->anchor_waits = false;
        }
    }
    if (p->serial_used + SERIALS_RESERVED / 2 > p->at.serial_reserved) {
        uint64_t reserved = p->serial_used + SERIALS_RESERVED;
        store64(payload, reserved);
        if (group_add(&p->group, RECORD_RESERVE, 0, str_from(payload, 8), STR(""), &offset))
            p->at.serial_reserved = reserved, p->group_matters = true;
    }
    checkpoint_ride(p);
}

size_t commit_group(struct partition *p, size_t count)
{
    commit_open_group(p);
    size_t i = 0;
    for (; i < count; i++) {
        if (p->asked[i].cell.kind != CELL_COMMIT)
            continue;
        if (p->states.arena.used > STATE_BYTES_MAX)
            break;
        if (!put_unit(p, p->asked[i].cell.object))
            break;
    }
    put_own(p);
    return i;
}

/* A group that failed was told to nobody, so no later start may find it: a reader that meets zeros
 * sees no group. The disk may be gone; then this fails too, and nothing more can be done. */
static void wipe_failed(struct partition *p, const struct segment *s)
{
    memset(p->group.at, 0, LIMIT_BLOCK_BYTES);
    if (file_write(s->fd, p->group.at, LIMIT_BLOCK_BYTES, p->group.place.offset) ||
        file_sync(s->fd))
        log_error("failed_group_left", log_text("partition", p->path));
}

bool commit_write(struct partition *p)
{
    if (p->failed)
        return false;
    struct segment *s = current(p);
    p->wall_ms = partition_now_ms(p);
    uint64_t start = clock_monotonic_ns();
    uint32_t checksum;
    size_t bytes = group_close(&p->group, p->wall_ms, &checksum);
    killpoint(KILL_BEFORE_WRITE);
    int error = file_write(s->fd, p->group.at, bytes, p->group.place.offset);
    if (error) {
        wipe_failed(p, s);
        commit_fail(p, "write to the journal", error);
        return false;
    }
    killpoint(KILL_AFTER_WRITE);
    error = file_sync(s->fd);
    if (error) {
        wipe_failed(p, s);
        commit_fail(p, "sync of the journal", error);
        return false;
    }
    killpoint(KILL_AFTER_SYNC);
    histogram_add(&p->commit_us, (clock_monotonic_ns() - start) / 1000);
    s->written = u64_max(s->written, p->group.place.offset + bytes);
    p->at.next.offset += bytes;
    p->at.next.sequence++;
    p->at.next.previous = checksum;
    p->at.journal_bytes += bytes;
    p->unconfirmed = p->group_matters;
    p->last_group_ms = clock_monotonic_ms();
    count(commit_groups);
    count_by(commit_bytes, bytes);
    return true;
}
