#include "core/coordinator/coordinator.h"

#include "core/base/heap.h"
#include "core/base/log.h"
#include "core/coordinator/change.h"
#include "core/coordinator/state.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

enum {
    SLEEP_MS = 1000,      /* at most: a wall clock that jumps wakes nobody */
    BLOCKED_SLEEP_MS = 5, /* a ring was full: its reader does not wake us */
    STOP_MS = 30000,      /* for what workers have in the air */
    SYNC_ASK_MS = 1000,
    CHANGES_MAX = 4096,
};

struct clock_anchor coordinator_first_anchor(struct partition *const *partitions, uint32_t count,
                                             bool *doubtful)
{
    struct now now = now_read();
    struct clock_boot_id boot = clock_boot_id();
    struct anchor_report *reports = heap_take(count * sizeof *reports);
    size_t known = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct partition_report *r = partition_report(partitions[i]);
        if (r->anchored)
            reports[known++] = (struct anchor_report){r->anchor, r->boot};
    }
    struct clock_anchor anchor = timekeeper_first(reports, known, &boot, &now, doubtful);
    heap_drop(reports);
    return anchor;
}

struct snapshot *coordinator_first_snapshot(const struct coordinator_settings *s,
                                            struct buffer *errors)
{
    return publish_first(s, errors);
}

struct coordinator *coordinator_make(const struct coordinator_settings *s, struct snapshot *first,
                                     struct buffer *errors)
{
    struct coordinator *c = heap_take(sizeof *c);
    c->set = *s;
    atomic_init(&c->stop_wanted, false);
    atomic_init(&c->reload_wanted, false);
    c->started = c->now = now_read();
    timekeeper_init(&c->time, s->anchor, s->clock_doubtful, &c->now);
    c->adopted_ms = timekeeper_adopted(&c->time, &c->now);
    c->workers = heap_take(s->worker_count * sizeof *c->workers);
    c->partitions = heap_take(s->partition_count * sizeof *c->partitions);
    for (uint32_t i = 0; i < s->partition_count; i++)
        release_init(&c->partitions[i].release, c->adopted_ms);
    slab_init(&c->changes, sizeof(struct change), CHANGES_MAX);
    publish_init(&c->publish, first);
    if (!control_open(&c->control, first->settings->control_socket, errors)) {
        coordinator_drop(&c);
        return NULL;
    }
    return c;
}

void coordinator_drop(struct coordinator **c_p)
{
    struct coordinator *c = *c_p;
    if (!c)
        return;
    control_close(&c->control);
    for (uint32_t i = 0; i < c->changes.made; i++)
        if (slab_at(&c->changes, i))
            change_forget(slab_at(&c->changes, i));
    slab_drop(&c->changes);
    publish_drop(&c->publish);
    for (uint32_t i = 0; i < c->set.partition_count; i++)
        release_drop(&c->partitions[i].release);
    heap_drop(c->partitions);
    heap_drop(c->workers);
    heap_drop(c);
    *c_p = NULL;
}

static void ask(struct coordinator *c, atomic_bool *wish)
{
    int saved = errno; /* we may be a signal handler */
    atomic_store_explicit(wish, true, memory_order_release);
    port_wake(c->set.port);
    errno = saved;
}

void coordinator_stop(struct coordinator *c)
{
    ask(c, &c->stop_wanted);
}

void coordinator_reload(struct coordinator *c)
{
    ask(c, &c->reload_wanted);
}

void coordinator_put_keeper(struct coordinator *c, uint32_t partition, const struct cell *cell)
{
    ring_put(c->set.partitions[partition].ask, cell);
}

void coordinator_put_worker(struct coordinator *c, uint32_t worker, const struct cell *cell)
{
    ring_put(c->set.workers[worker].to, cell);
}

/* --- time ------------------------------------------------------------------------------------ */

static void tell_anchor(struct coordinator *c)
{
    const struct cell cell = {.kind = CELL_ANCHORED,
                              .a = c->time.anchor.adopted_ms,
                              .b = c->time.anchor.boot_ms};
    for (uint32_t i = 0; i < c->set.worker_count; i++)
        coordinator_put_worker(c, i, &cell);
    for (uint32_t i = 0; i < c->set.partition_count; i++)
        coordinator_put_keeper(c, i, &cell);
}

void coordinator_confirm_clock(struct coordinator *c)
{
    timekeeper_confirm(&c->time, &c->now);
    c->adopted_ms = timekeeper_adopted(&c->time, &c->now);
    tell_anchor(c);
}

static void tell_jump(const struct coordinator *c, int64_t gained_ms)
{
    bool forward = gained_ms > 0;
    if (gained_ms == 0)
        return;
    log_warning("clock_jumped", log_text("direction", forward ? "forward" : "back"),
                log_u64("ms", (uint64_t)(forward ? gained_ms : -gained_ms)),
                log_u64("behind_ms", c->now.wall_ms - c->adopted_ms),
                log_text("effect", forward ? "holds go on by the boot clock: none is shortened"
                                           : "what is held leaves later"),
                log_text("advice", "when the wall clock is right: sekictl clock confirm"));
}

static void turn_time(struct coordinator *c)
{
    c->now = now_read();
    bool anchored = timekeeper_turn(&c->time, &c->now);
    if (c->time.doubtful && c->now.monotonic_ms - c->sync_asked_ms >= SYNC_ASK_MS) {
        uint64_t confirm_ms = c->publish.current->snapshot.settings->clock_confirm;
        bool synchronised = clock_synchronised();
        c->sync_asked_ms = c->now.monotonic_ms;
        if (timekeeper_doubt_over(&c->time, &c->now, confirm_ms, synchronised)) {
            anchored = true;
            log_info("clock_confirmed", log_text("by", synchronised ? "ntp" : "clock_confirm"));
        }
    }
    c->adopted_ms = timekeeper_adopted(&c->time, &c->now);
    tell_jump(c, timekeeper_jump(&c->time, &c->now));
    if (anchored)
        tell_anchor(c);
}

/* --- the wheel ------------------------------------------------------------------------------- */

static void turn_release(struct coordinator *c)
{
    for (uint32_t i = 0; i < c->set.worker_count; i++)
        c->workers[i].due_budget = ring_kept(c->set.workers[i].to) ? 0 : LIMIT_DUE_PER_TURN;
    for (uint32_t n = 0; n < c->set.partition_count; n++) {
        uint32_t i = (n + c->turns) % c->set.partition_count; /* who shares a worker takes turns */
        struct release *r = &c->partitions[i].release;
        struct worker_state *w = &c->workers[coordinator_worker_of(c, i)];
        struct due due;
        struct cell refill = {.kind = CELL_REFILL, .from = i};
        release_advance(r, c->adopted_ms);
        while (!c->time.doubtful && !c->stopping && w->due_budget > 0 &&
               release_take(r, c->adopted_ms, &due)) {
            const struct cell cell = {.kind = CELL_DUE,
                                      .from = i,
                                      .id = due.id,
                                      .a = due.due_ms,
                                      .b = due.lane};
            coordinator_put_worker(c, coordinator_worker_of(c, i), &cell);
            w->due_budget--;
            c->handed_out++;
        }
        if (!c->partitions[i].failed && release_wants(r, c->adopted_ms, &refill.a, &refill.b))
            coordinator_put_keeper(c, i, &refill);
    }
    c->turns++;
}

/* Until the wheel has something to do; 0 when some of it had to wait for the next turn. */
static uint64_t release_sleep_ms(const struct coordinator *c)
{
    uint64_t sleep_ms = SLEEP_MS;
    for (uint32_t i = 0; i < c->set.partition_count && !c->time.doubtful && !c->stopping; i++) {
        uint64_t next_ms = release_next_ms(&c->partitions[i].release);
        bool blocked = ring_kept(c->set.workers[coordinator_worker_of(c, i)].to) > 0;
        if (next_ms > c->adopted_ms)
            sleep_ms = u64_min(sleep_ms, next_ms - c->adopted_ms);
        else
            sleep_ms = u64_min(sleep_ms, blocked ? BLOCKED_SLEEP_MS : 0);
    }
    return sleep_ms;
}

/* --- cells ----------------------------------------------------------------------------------- */

static void keeper_failed(struct coordinator *c, uint32_t partition)
{
    c->partitions[partition].failed = true;
    log_error("partition_failed", log_u64("partition", partition));
}

static void hear_keeper(struct coordinator *c, uint32_t partition, const struct cell *cell)
{
    struct release *r = &c->partitions[partition].release;
    switch ((enum cell_kind)cell->kind) {
    case CELL_ARM:
        release_arm(r, cell->id, (uint32_t)cell->b, cell->a);
        return;
    case CELL_REFILLED:
        release_refilled(r);
        return;
    case CELL_COMMITTED:
        change_settled(c, cell->request, cell->object);
        return;
    case CELL_FAILED:
        keeper_failed(c, partition);
        return;
    case CELL_READY:
        if (cell->a)
            keeper_failed(c, partition);
        return;
    case CELL_COMMIT:
    case CELL_FETCH:
    case CELL_FETCHED:
    case CELL_GRANT:
    case CELL_GRANTED:
    case CELL_EXPECT:
    case CELL_REVOKE:
    case CELL_REFILL:
    case CELL_DUE:
    case CELL_PUBLISH:
    case CELL_ADOPTED:
    case CELL_ANCHORED:
    case CELL_PULSE:
    case CELL_COMMAND:
    case CELL_COMMANDED:
    case CELL_RETRY:
    case CELL_STOP:
    case CELL_STOPPED:
    case CELL_WORK:
    case CELL_WORKED:
        break;
    }
    must(!"a keeper does not say this");
}

static void hear_worker(struct coordinator *c, uint32_t worker, const struct cell *cell)
{
    switch ((enum cell_kind)cell->kind) {
    case CELL_PULSE:
        c->workers[worker].pulse_ms = cell->a;
        c->workers[worker].connections = (uint32_t)cell->b;
        c->workers[worker].waiting = (uint32_t)(cell->b >> 32);
        c->workers[worker].outbound = (uint32_t)cell->id;
        c->workers[worker].destinations = (uint32_t)(cell->id >> 32);
        c->workers[worker].down = (uint32_t)cell->spare;
        c->workers[worker].lookups = (uint32_t)(cell->spare >> 32);
        c->workers[worker].overload = cell->c;
        return;
    case CELL_ADOPTED:
        publish_adopted(c, worker, cell->object);
        return;
    case CELL_COMMAND:
        change_command(c, worker, cell->object, cell->request);
        return;
    case CELL_STOPPED:
        c->workers[worker].stopped = true;
        return;
    case CELL_COMMIT:
    case CELL_COMMITTED:
    case CELL_FETCH:
    case CELL_FETCHED:
    case CELL_GRANT:
    case CELL_GRANTED:
    case CELL_EXPECT:
    case CELL_REVOKE:
    case CELL_ARM:
    case CELL_REFILL:
    case CELL_REFILLED:
    case CELL_READY:
    case CELL_FAILED:
    case CELL_DUE:
    case CELL_PUBLISH:
    case CELL_ANCHORED:
    case CELL_COMMANDED:
    case CELL_RETRY:
    case CELL_STOP:
    case CELL_WORK:
    case CELL_WORKED:
        break;
    }
    must(!"a worker does not say this");
}

static void drain(struct coordinator *c)
{
    struct cell cell;
    for (uint32_t i = 0; i < c->set.partition_count; i++) {
        struct coordinator_partition *p = &c->set.partitions[i];
        for (unsigned n = 0; n < LIMIT_CELLS_PER_TURN && ring_take(p->answer, &cell); n++)
            hear_keeper(c, i, &cell);
        for (unsigned n = 0; n < LIMIT_CELLS_PER_TURN && ring_take(p->arms, &cell); n++)
            hear_keeper(c, i, &cell);
    }
    for (uint32_t i = 0; i < c->set.worker_count; i++)
        for (unsigned n = 0; n < LIMIT_CELLS_PER_TURN && ring_take(c->set.workers[i].from, &cell);
             n++)
            hear_worker(c, i, &cell);
}

static bool rings_empty(const struct coordinator *c)
{
    for (uint32_t i = 0; i < c->set.partition_count; i++)
        if (!ring_empty(c->set.partitions[i].answer) || !ring_empty(c->set.partitions[i].arms))
            return false;
    for (uint32_t i = 0; i < c->set.worker_count; i++)
        if (!ring_empty(c->set.workers[i].from))
            return false;
    return true;
}

/* True when a ring was full and cells are kept on our side. */
static bool flush(struct coordinator *c)
{
    size_t kept = 0;
    for (uint32_t i = 0; i < c->set.partition_count; i++) {
        ring_flush(c->set.partitions[i].ask);
        kept += ring_kept(c->set.partitions[i].ask);
    }
    for (uint32_t i = 0; i < c->set.worker_count; i++) {
        ring_flush(c->set.workers[i].to);
        kept += ring_kept(c->set.workers[i].to);
    }
    return kept > 0;
}

/* --- the thread ------------------------------------------------------------------------------ */

static void reload(struct coordinator *c)
{
    struct buffer errors;
    struct buffer restart;
    buffer_init(&errors, 64 << 10);
    buffer_init(&restart, 64 << 10);
    if (publish_reload(c, &errors, &restart)) /* it logs what is wrong */
        log_info("reloaded", log_str("restart_needed", buffer_str(&restart)));
    buffer_drop(&errors);
    buffer_drop(&restart);
}

static void begin_stop(struct coordinator *c)
{
    const struct cell cell = {.kind = CELL_STOP};
    c->stopping = true;
    c->stop_ms = c->now.monotonic_ms;
    for (uint32_t i = 0; i < c->set.worker_count; i++)
        coordinator_put_worker(c, i, &cell);
    log_info("stopping", log_u64("workers", c->set.worker_count));
}

static bool stopped(const struct coordinator *c)
{
    uint32_t running = 0;
    for (uint32_t i = 0; i < c->set.worker_count; i++)
        running += !c->workers[i].stopped;
    if (running == 0)
        return true;
    if (c->now.monotonic_ms - c->stop_ms < STOP_MS)
        return false;
    log_error("stop_timed_out", log_u64("workers", running));
    return true;
}

/* One turn; what it may sleep afterwards is answered by the caller's poll. */
static uint64_t turn(struct coordinator *c, const struct pollfd *fds, size_t count)
{
    bool busy = false;
    turn_time(c);
    drain(c);
    if (atomic_exchange_explicit(&c->reload_wanted, false, memory_order_acquire))
        reload(c);
    if (!c->stopping && atomic_load_explicit(&c->stop_wanted, memory_order_acquire))
        begin_stop(c);
    turn_release(c);
    control_turn(c, fds, count, &busy);
    bool kept = flush(c);
    log_flush();
    uint64_t sleep_ms = busy ? 0 : release_sleep_ms(c);
    return kept ? u64_min(sleep_ms, BLOCKED_SLEEP_MS) : sleep_ms;
}

uint64_t coordinator_turn(struct coordinator *c)
{
    struct pollfd fds[CONTROL_CLIENTS + 1];
    size_t count = control_poll(c, fds);
    (void)poll(fds, (nfds_t)count, 0);
    return turn(c, fds, count);
}

void coordinator_run(struct coordinator *c)
{
    struct pollfd fds[CONTROL_CLIENTS + 2];
    struct port *port = c->set.port;
    uint64_t sleep_ms = 0;
    tell_anchor(c);
    if (c->time.doubtful)
        log_warning("clock_doubtful",
                    log_text("effect", "nothing leaves until NTP, clock_confirm or an operator "
                                       "says that the clock is right"),
                    log_text("advice", "when it is right: sekictl clock confirm"));
    while (!(c->stopping && stopped(c))) {
        size_t count = control_poll(c, fds);
        fds[count] = (struct pollfd){.fd = port->wake_fd, .events = POLLIN};
        port_drowse(port);
        if (!rings_empty(c))
            sleep_ms = 0;
        int ready = poll(fds, (nfds_t)count + 1, (int)sleep_ms);
        port_awake(port);
        must(ready >= 0 || errno == EINTR);
        for (size_t i = 0; ready < 0 && i <= count; i++)
            fds[i].revents = 0;
        if (fds[count].revents) {
            uint64_t wakes;
            must(read(port->wake_fd, &wakes, sizeof wakes) == sizeof wakes);
        }
        sleep_ms = turn(c, fds, count);
    }
    log_flush();
}
