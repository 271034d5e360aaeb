/* keeper.c -- the thread of a partition. One turn: drain the rings, put what waits into one group,
 * write, sync, answer, let the index follow, answer the rest; then one bounded slice of each
 * chore. */
#include "core/base/base.h"
#include "core/base/counter.h"
#include "core/base/heap.h"
#include "core/base/log.h"
#include "storage/file.h"
#include "storage/inside.h"
#include "storage/killpoint.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

enum {
    SLEEP_MS = 500,
    RINGS_KEPT_MS = 1,
    PUBLISH_MS = 100
};

static void drain(struct partition *p)
{
    for (size_t ring = 0; ring < p->rings; ring++) {
        struct cell c;
        for (int i = 0; i < LIMIT_CELLS_PER_TURN && ring_take(p->from[ring], &c); i++) {
            if (p->asked_count == p->asked_room) {
                size_t room = p->asked_room ? p->asked_room * 2 : 1024;
                struct asked *larger = heap_grow(p->asked, room * sizeof *larger);
                must(larger != NULL);
                p->asked = larger;
                p->asked_room = room;
            }
            p->asked[p->asked_count++] = (struct asked){.cell = c, .ring = (uint32_t)ring};
        }
    }
}

static void answer(struct partition *p, struct asked *a, const struct cell *c)
{
    a->answered = true;
    ring_put(p->to[a->ring], c);
}

static void answer_commit(struct partition *p, struct asked *a)
{
    const struct unit *u = a->cell.object;
    struct cell c = a->cell;
    c.kind = CELL_COMMITTED;
    c.from = p->settings.number;
    count_by(commit_units, u->result == COMMIT_SYNCED);
    answer(p, a, &c);
}

/* Answers of one ring come in the order of its questions: behind one that has to wait for the
 * index, the others wait too. */
static void answer_early(struct partition *p, size_t count)
{
    memset(p->blocked, 0, p->rings * sizeof *p->blocked);
    for (size_t i = 0; i < count; i++) {
        struct asked *a = &p->asked[i];
        const struct unit *u = a->cell.object;
        if (a->cell.kind == CELL_COMMIT && !u->indexed && !p->blocked[a->ring])
            answer_commit(p, a);
        else
            p->blocked[a->ring] = true;
    }
}

static void refill_start(struct partition *p, const struct cell *c)
{
    /* A new request goes on from where an unfinished one stands. */
    uint64_t from = u64_max(c->a, p->at.due_low);
    if (p->refill.running)
        from = u64_min(from, load64(p->refill.from.at + 1));
    p->refill = (struct refill){.running = true,
                                .first = c->a <= p->at.due_low,
                                .until_ms = c->b,
                                .from = key_64_64(KEY_DUE, from, 0)};
    p->horizon_ms = p->horizon_known ? u64_max(p->horizon_ms, c->b) : c->b;
    p->horizon_known = true;
}

static void fail_units(struct partition *p, size_t count);

static void grant(struct partition *p, struct asked *a)
{
    struct cell c = a->cell;
    c.kind = CELL_GRANTED;
    c.from = p->settings.number;
    c.object = a->cell.a <= UINT32_MAX ? grant_make(p, (uint32_t)a->cell.a) : NULL;
    if (p->failed)
        fail_units(p, 0);
    answer(p, a, &c);
}

static void fetch(struct partition *p, struct asked *a)
{
    struct cell c = a->cell;
    c.kind = CELL_FETCHED;
    c.from = p->settings.number;
    c.object = message_load(p->index, a->cell.id);
    answer(p, a, &c);
}

/* False: it needs the index, which is down; it waits. */
static bool answer_late(struct partition *p, struct asked *a)
{
    switch (a->cell.kind) {
    case CELL_COMMIT:
        answer_commit(p, a);
        return true;
    case CELL_FETCH:
        if (p->index_down && !p->failed && !atomic_load(&p->stop))
            return false;
        fetch(p, a);
        return true;
    case CELL_GRANT:
        grant(p, a);
        return true;
    case CELL_REVOKE:
        grant_revoke(p, a->cell.object);
        a->answered = true;
        return true;
    case CELL_REFILL:
        refill_start(p, &a->cell);
        a->answered = true;
        return true;
    case CELL_EXPECT:
        p->watch_until_ns = clock_monotonic_ns() + a->cell.a * 1000;
        a->answered = true;
        return true;
    case CELL_ANCHORED:
        p->anchor_pending = (struct clock_anchor){a->cell.a, a->cell.b};
        p->anchor_waits = true;
        a->answered = true;
        return true;
    default: /* not for us: a bug of the asker, never of a peer */
        must(false);
        return true;
    }
}

static void answer_rest(struct partition *p, size_t count)
{
    memset(p->blocked, 0, p->rings * sizeof *p->blocked);
    for (size_t i = 0; i < count; i++) {
        struct asked *a = &p->asked[i];
        if (!a->answered && (p->blocked[a->ring] || !answer_late(p, a)))
            p->blocked[a->ring] = true;
    }
    size_t kept = 0;
    for (size_t i = 0; i < p->asked_count; i++)
        if (i >= count || !p->asked[i].answered)
            p->asked[kept++] = p->asked[i];
    p->asked_count = kept;
}

static void flush_rings(struct partition *p)
{
    for (size_t i = 0; i < p->rings; i++)
        ring_flush(p->to[i]);
    if (p->coordinator)
        ring_flush(p->coordinator);
}

/* The group could not be written: none of its units is. */
static void fail_units(struct partition *p, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct unit *u = p->asked[i].cell.object;
        if (p->asked[i].cell.kind == CELL_COMMIT && u->result == COMMIT_SYNCED)
            u->result = COMMIT_FAILED;
    }
    index_forget(p->index);
    states_clear(&p->states);
    if (p->coordinator && !p->failed_said)
        ring_put(p->coordinator, &(struct cell){.kind = CELL_FAILED, .from = p->settings.number});
    p->failed_said = true;
}

static void commit_turn(struct partition *p)
{
    p->watch_until_ns = 0;
    size_t count = commit_group(p, p->asked_count);
    bool wrote = p->group.records > 0 && commit_write(p);
    if (p->failed)
        fail_units(p, count);
    answer_early(p, count);
    flush_rings(p);
    if (wrote) {
        killpoint(KILL_AFTER_ANSWER);
        (void)commit_index(p);
    } else {
        states_clear(&p->states);
    }
    answer_rest(p, count);
    flush_rings(p);
}

static bool refill_slice(struct partition *p)
{
    struct refill *r = &p->refill;
    if (!r->running || p->index_down || ring_kept(p->coordinator) > 0)
        return false;
    struct key until = key_64_64(KEY_DUE, r->until_ms, 0);
    struct cursor *c = cursor_open(p->index, key_str(&r->from), key_str(&until));
    struct str key, value;
    enum index_result result = c ? INDEX_FOUND : INDEX_BROKEN;
    for (int i = 0; c && i < REFILL_SLICE; i++) {
        result = cursor_next(c, &key, &value);
        if (result != INDEX_FOUND)
            break;
        uint64_t due = load64(key.at + 1), id = load64(key.at + 9);
        if (i == 0 && r->first) /* what is before it can be passed over from now on */
            p->at.due_low = u64_max(p->at.due_low, due);
        r->first = false;
        ring_put(p->coordinator, &(struct cell){.kind = CELL_ARM,
                                                .from = p->settings.number,
                                                .id = id,
                                                .a = due,
                                                .b = value.len == 4 ? load32(value.at) : 0});
        r->from = key_64_64(KEY_DUE, due, id + 1);
    }
    cursor_close(&c);
    if (result == INDEX_ABSENT) {
        r->running = false;
        ring_put(p->coordinator, &(struct cell){.kind = CELL_REFILLED,
                                                .from = p->settings.number,
                                                .b = r->until_ms});
    } else if (result == INDEX_BROKEN && !p->index_down) {
        /* what can't be scanned is not released: the partition must not pretend that all is well */
        p->index_down = true;
        p->reopen_at_ms = clock_monotonic_ms();
    }
    ring_flush(p->coordinator);
    return r->running;
}

/* Prove the last group, or write what waits alone: an anchor. */
static void confirm(struct partition *p)
{
    commit_open_group(p);
    if (!commit_make_room(p, LIMIT_BLOCK_BYTES, false) || !commit_write(p)) {
        if (p->failed)
            fail_units(p, 0);
        return;
    }
    (void)commit_index(p);
}

static void check_space(struct partition *p, uint64_t now_ms)
{
    if (now_ms - p->full_checked_ms < FULL_CHECK_MS || now_ms < p->full_until_ms)
        return;
    p->full_checked_ms = now_ms;
    uint64_t bytes = 0;
    int error = file_free_bytes(p->directory, &bytes);
    bool full = error || bytes < p->settings.disk_reserve;
    if (full != p->full)
        log_warning(full ? "disk_full" : "disk_free_again", log_text("partition", p->path),
                    log_u64("free_bytes", bytes));
    p->full = full;
}

/* Once more from the journal; when that does not help, a new index. */
static bool raise_index(struct partition *p, struct buffer *errors)
{
    if (!index_is_suspect(p->index) && ++p->reopens <= REOPENS_MAX &&
        index_open(p->index, errors) && replay_again(p, errors))
        return true;
    if (p->full || p->rebuilds >= REBUILDS_MAX)
        return false;
    count(storage_damaged);
    log_error("index_given_up", log_str("reason", buffer_str(errors)));
    buffer_clear(errors);
    p->rebuilds++;
    uint64_t sequence = p->at.next.sequence;
    return rebuild(p, errors) && p->at.next.sequence >= sequence;
}

static void try_index(struct partition *p, uint64_t now_ms)
{
    if (p->failed || (!p->index_down && !index_is_suspect(p->index)) || now_ms < p->reopen_at_ms)
        return;
    p->reopen_at_ms = now_ms + REOPEN_WAIT_MS;
    struct buffer errors;
    buffer_init(&errors, 4096);
    p->index_down = true;
    bool good = raise_index(p, &errors);
    p->index_down = !good;
    if (good) {
        log_info("index_up", log_text("partition", p->path));
    } else {
        log_error("index_still_down", log_str("reason", buffer_str(&errors)));
        if (p->rebuilds >= REBUILDS_MAX && !p->full) {
            commit_fail(p, "index", -EIO);
            fail_units(p, 0);
        }
    }
    buffer_drop(&errors);
}

void keeper_publish(struct partition *p, uint64_t now_ms)
{
    if (p->published_ms && now_ms - p->published_ms < PUBLISH_MS)
        return;
    p->published_ms = now_ms;
    uint64_t live = 0, segment_bytes = 0, bytes = 0, ready = 0;
    for (uint32_t i = 0; i < p->pool.end; i++) {
        const struct segment *s = p->pool.segment[i];
        if (!s)
            continue;
        segment_bytes += s->bytes;
        if (s->spare)
            ready += s->written;
        else if (i == p->at.next.segment && s->written > p->at.next.offset)
            ready += s->written - p->at.next.offset;
        live += s->kind == SEGMENT_JOURNAL ? s->live_bytes
                                           : (uint64_t)s->slots_used * LIMIT_EXTENT_BYTES;
    }
    (void)file_free_bytes(p->directory, &bytes);
    atomic_store(&p->usage_segments, p->pool.count);
    atomic_store(&p->usage_segment_bytes, segment_bytes);
    atomic_store(&p->usage_live_bytes, live);
    atomic_store(&p->usage_ready_bytes, ready);
    atomic_store(&p->usage_free_bytes, bytes);
    atomic_store(&p->usage_messages, p->at.messages);
    atomic_store(&p->usage_held, p->at.open_recipients);
    atomic_store(&p->usage_p50_us, histogram_quantile(&p->commit_us, 0.5));
    atomic_store(&p->usage_p99_us, histogram_quantile(&p->commit_us, 0.99));
    atomic_store(&p->usage_failed, p->failed);
    atomic_store(&p->usage_full, p->full || p->index_down);
}

/* One slice of each chore; true: there is more to do at once. */
static bool chores(struct partition *p)
{
    uint64_t now = clock_monotonic_ms();
    check_space(p, now);
    try_index(p, now);
    keeper_publish(p, now);
    pool_bury(&p->pool, now);
    if (p->failed && !p->failed_said)
        fail_units(p, 0);
    bool more = refill_slice(p);
    if (p->failed || p->index_down)
        return more;
    more |= reclaim_durable(p, now);
    more |= reclaim_spares(p);
    more |= checkpoint_turn(p);
    more |= reclaim_turn(p);
    more |= reclaim_purge(p);
    if (p->unconfirmed && now - p->last_group_ms >= CONFIRM_IDLE_MS)
        confirm(p);
    return more;
}

static bool is_quiet(const struct partition *p)
{
    for (size_t i = 0; i < p->rings; i++)
        if (!ring_empty(p->from[i]))
            return false;
    return true;
}

static int sleep_ms(const struct partition *p)
{
    for (size_t i = 0; i < p->rings; i++)
        if (ring_kept(p->to[i]))
            return RINGS_KEPT_MS;
    if (p->coordinator && ring_kept(p->coordinator))
        return RINGS_KEPT_MS;
    return p->unconfirmed && !p->failed ? CONFIRM_IDLE_MS : SLEEP_MS;
}

/* A worker expects to ask soon: waking would take longer than it. Whoever else wants the core has
 * it. */
static void watch(struct partition *p)
{
    while (p->watch_until_ns && is_quiet(p))
        if (clock_monotonic_ns() >= p->watch_until_ns)
            p->watch_until_ns = 0;
        else
            (void)sched_yield();
}

static void rest(struct partition *p)
{
    log_flush();
    watch(p);
    port_drowse(&p->port);
    if (is_quiet(p) && !atomic_load(&p->stop)) {
        struct pollfd fd = {.fd = p->port.wake_fd, .events = POLLIN};
        if (poll(&fd, 1, sleep_ms(p)) > 0) {
            uint64_t wakes;
            ssize_t got = read(p->port.wake_fd, &wakes, sizeof wakes);
            must(got == sizeof wakes);
        }
    }
    port_awake(&p->port);
}

void keeper_turn_alone(struct partition *p, struct unit *u)
{
    struct asked asked = {.cell = {.kind = CELL_COMMIT, .object = u}};
    struct asked *before = p->asked;
    p->asked = &asked;
    size_t count = commit_group(p, 1);
    bool wrote = p->group.records > 0 && commit_write(p);
    if (p->failed)
        fail_units(p, count);
    if (wrote)
        (void)commit_index(p);
    states_clear(&p->states);
    p->asked = before;
    for (int i = 0; i < 4 && chores(p); i++) {
    }
}

void keeper_finish(struct partition *p)
{
    if (!p->failed && !p->index_down && p->unconfirmed)
        confirm(p);
    if (!p->failed && !p->index_down && !index_flush(p->index, true))
        log_error("index_flush_failed", log_text("partition", p->path));
    keeper_publish(p, UINT64_MAX);
}

void *keeper_main(void *partition)
{
    struct partition *p = partition;
    char name[16];
    (void)snprintf(name, sizeof name, "keeper-%u", p->settings.number % 1000);
    (void)prctl(PR_SET_NAME, name);
    index_thread_start();
    if (p->coordinator) {
        ring_put(p->coordinator,
                 &(struct cell){.kind = CELL_READY, .from = p->settings.number, .a = p->failed});
        ring_flush(p->coordinator);
    }
    for (;;) {
        /* asked to stop before the last look at the rings: what came before it is answered */
        bool stop = atomic_load(&p->stop);
        drain(p);
        p->busy = p->asked_count > 0;
        bool anchor = p->anchor_waits && !p->failed && !p->index_down;
        if (p->asked_count || anchor)
            commit_turn(p);
        bool more = chores(p);
        flush_rings(p);
        anchor = p->anchor_waits && !p->failed && !p->index_down;
        if (stop && p->asked_count == 0 && !anchor && is_quiet(p))
            break;
        if (!more && (p->asked_count == 0 || p->index_down))
            rest(p);
    }
    keeper_finish(p);
    log_flush();
    return NULL;
}
