/* loop.c -- the order of a turn, and why.
 *
 *   tasks     what was deferred since the last turn: connections put their output into the ring
 *   starved   receives that found no buffer start again, if some came back
 *   drowse    mark the port asleep and look at the rings a last time (core/base/ring.h)
 *   enter     submit and wait: one system call. With DEFER_TASKRUN the kernel completes only here
 *   reap      copy every completion and give the queue back to the kernel
 *   run       done() of each, from the copy: it may prepare, and so enter the kernel when the
 *             submission queue is full, without losing its place
 *   timers    due() of what is over
 */
#include "core/io/loop.h"

#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/base/heap.h"
#include "core/base/limit.h"

#include <liburing.h>

#include <errno.h>
#include <sched.h>
#include <sys/poll.h>

enum {
    PAGE_BYTES = 4096,
    BUFFER_GROUP = 0,
    CQ_FACTOR = 8,   /* completions for each submission slot: multishots complete unasked */
    TASK_ROUNDS = 4, /* tasks that defer tasks, before the turn goes on */
};

struct completion {
    struct op *op;
    int32_t result;
    uint32_t flags;
};

struct loop {
    struct io_uring ring;
    bool bound;        /* to its thread, by the first turn */
    bool hurried;      /* do not wait in this turn */
    uint64_t watch_us; /* look out so long before waiting in this turn */
    uint64_t now_ms;

    struct io_uring_buf_ring *buffer_ring;
    char *buffer_bytes;
    unsigned buffers, buffers_out;
    struct list starved;
    enum receiving receiving;
    bool receiving_works; /* the kernel knows RECEIVE_BOUNDED */

    struct completion *reaped;
    size_t reaped_count, reaped_room;

    struct list tasks;
    struct timers timers;
    struct buffer scratch;

    struct port *port;
    bool (*idle)(void *owner);
    void *idle_owner;
    struct op wake;
    char wake_count[8];
};

static const char *explain(int error)
{
    switch (error) {
    case EPERM:
        return "io_uring is not allowed: see sysctl kernel.io_uring_disabled, or the sandbox that "
               "this runs in";
    case ENOSYS:
    case EINVAL:
        return "this kernel is too old: Linux 6.0 or newer is needed for io_uring";
    case ENOMEM:
        return "not enough locked memory for io_uring: raise LimitMEMLOCK (ulimit -l)";
    case EMFILE:
    case ENFILE:
        return "no file descriptor left for io_uring: raise LimitNOFILE (ulimit -n)";
    default:
        return "io_uring cannot be set up";
    }
}

static void complain(struct buffer *errors, const char *step, int error)
{
    buffer_printf(errors, "%s (%s: errno %d)\n", explain(error), step, error);
}

/* DEFER_TASKRUN came with Linux 6.1, SINGLE_ISSUER with 6.0. R_DISABLED lets one thread build the
 * loop and another run it: enabling makes the caller the one issuer. */
static int set_up(struct io_uring *ring, unsigned entries)
{
    static const unsigned flags[] = {
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    };
    int result = -EINVAL;
    for (size_t i = 0; i < countof(flags) && result == -EINVAL; i++) {
        struct io_uring_params p = {
            .flags = flags[i] | IORING_SETUP_R_DISABLED | IORING_SETUP_SUBMIT_ALL |
                     IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE,
            .cq_entries = entries * CQ_FACTOR,
        };
        result = io_uring_queue_init_params(entries, ring, &p);
    }
    return result;
}

static void offer(struct loop *l, uint16_t buffer)
{
    struct io_uring_buf_ring *ring = l->buffer_ring;
    io_uring_buf_ring_add(ring, l->buffer_bytes + (size_t)buffer * LIMIT_RECEIVE_BUFFER_BYTES,
                          LIMIT_RECEIVE_BUFFER_BYTES, buffer, io_uring_buf_ring_mask(l->buffers),
                          0);
    io_uring_buf_ring_advance(ring, 1);
}

static int set_up_buffers(struct loop *l, unsigned buffers)
{
    l->buffers = 1;
    while (l->buffers < buffers)
        l->buffers *= 2;
    must(l->buffers <= 1u << 15);
    size_t ring_bytes = l->buffers * sizeof(struct io_uring_buf);
    l->buffer_ring = heap_take_aligned(PAGE_BYTES, ring_bytes);
    memset(l->buffer_ring, 0, ring_bytes);
    l->buffer_bytes =
        heap_take_aligned(PAGE_BYTES, (size_t)l->buffers * LIMIT_RECEIVE_BUFFER_BYTES);
    struct io_uring_buf_reg reg = {
        .ring_addr = (uint64_t)(uintptr_t)l->buffer_ring,
        .ring_entries = l->buffers,
        .bgid = BUFFER_GROUP,
    };
    int result = io_uring_register_buf_ring(&l->ring, &reg, 0);
    if (result < 0)
        return result;
    io_uring_buf_ring_init(l->buffer_ring);
    for (unsigned i = 0; i < l->buffers; i++)
        offer(l, (uint16_t)i);
    return 0;
}

static void free_all(struct loop *l)
{
    heap_drop(l->buffer_ring);
    heap_drop(l->buffer_bytes);
    heap_drop(l->reaped);
    timers_drop(&l->timers);
    buffer_drop(&l->scratch);
    heap_drop(l);
}

struct loop *loop_open(unsigned entries, unsigned buffers, struct buffer *errors)
{
    struct loop *l = heap_take(sizeof *l);
    list_init(&l->starved);
    list_init(&l->tasks);
    timers_init(&l->timers);
    buffer_init(&l->scratch, 1 << 20);
    l->now_ms = clock_monotonic_ms();
    int result = set_up(&l->ring, entries);
    if (result < 0) {
        complain(errors, "io_uring_setup", -result);
        free_all(l);
        return NULL;
    }
    result = set_up_buffers(l, buffers);
    if (result < 0) {
        complain(errors, "io_uring_register_buf_ring", -result);
        io_uring_queue_exit(&l->ring);
        free_all(l);
        return NULL;
    }
    return l;
}

void loop_close(struct loop **l_p)
{
    struct loop *l = *l_p;
    if (!l)
        return;
    *l_p = NULL;
    io_uring_queue_exit(&l->ring);
    free_all(l);
}

/* The first turn: from here on only this thread may enter. */
static void adopt(struct loop *l)
{
    l->bound = true;
    /* Debian's liburing 2.3 declares io_uring_enable_rings() but does not export it */
    must(io_uring_register((unsigned)l->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) == 0);
    /* saves a look-up of the ring's descriptor in each turn; nothing is lost without it */
    (void)io_uring_register_ring_fd(&l->ring);
}

static void prepare_receive(struct loop *l, struct op *op);

/* ---- reaping ---- */

static void keep(struct loop *l, const struct completion *c)
{
    if (l->reaped_count == l->reaped_room) {
        size_t room = l->reaped_room ? l->reaped_room * 2 : 256;
        struct completion *reaped = heap_grow(l->reaped, room * sizeof *reaped);
        must(reaped != NULL);
        l->reaped = reaped;
        l->reaped_room = room;
    }
    l->reaped[l->reaped_count++] = *c;
}

static void reap(struct loop *l)
{
    /* twice at most: a second time for what overflowed; more can wait for the next turn */
    for (int round = 0; round < 2; round++) {
        unsigned head, seen = 0;
        struct io_uring_cqe *cqe;
        io_uring_for_each_cqe(&l->ring, head, cqe)
        {
            seen++;
            struct completion c = {io_uring_cqe_get_data(cqe), cqe->res, cqe->flags};
            if (!c.op) /* a close or a cancel that failed: nobody waits */
                continue;
            if (c.flags & IORING_CQE_F_BUFFER)
                l->buffers_out++;
            keep(l, &c);
        }
        io_uring_cq_advance(&l->ring, seen);
        if (!io_uring_cq_has_overflow(&l->ring))
            return;
        (void)io_uring_get_events(&l->ring);
    }
}

static void give_back(struct loop *l, uint16_t buffer)
{
    must(l->buffers_out > 0 && buffer < l->buffers);
    l->buffers_out--;
    offer(l, buffer);
}

/* A kernel before 6.17 calls a bounded multishot invalid: receive once, from now on. */
static bool receive_less(struct loop *l, struct op *op)
{
    if (!op->hungry || op->once || op->cancelled || l->receiving_works)
        return false;
    l->receiving = RECEIVE_SINGLE;
    op->once = true;
    prepare_receive(l, op);
    return true;
}

static void run_one(struct loop *l, const struct completion *c)
{
    struct op *op = c->op;
    op->result = c->result;
    op->flags = c->flags;
    bool more = c->flags & IORING_CQE_F_MORE;
    if (c->result <= 0 && c->flags & IORING_CQE_F_BUFFER) {
        give_back(l, (uint16_t)(c->flags >> IORING_CQE_BUFFER_SHIFT));
        op->flags &= ~IORING_CQE_F_BUFFER;
    }
    if (c->result == -ENOBUFS && op->hungry && !more) {
        if (!op->cancelled) {
            list_append(&l->starved, &op->starved); /* still in flight for its owner */
            return;
        }
        op->result = -ECANCELED; /* the cancel came too late to find it */
    }
    if (c->result == -EINVAL && !more && receive_less(l, op))
        return;
    if (c->result > 0 && op->hungry && !op->once)
        l->receiving_works = true;
    op->in_flight = more;
    op->done(op);
}

static void run(struct loop *l)
{
    /* done() may prepare, a full queue may make that reap: the array may grow and move meanwhile */
    for (size_t i = 0; i < l->reaped_count; i++) {
        struct completion c = l->reaped[i];
        run_one(l, &c);
    }
    l->reaped_count = 0;
    struct timer *t;
    while ((t = timers_take(&l->timers, l->now_ms)))
        t->due(t);
}

/* ---- the turn ---- */

static void run_tasks(struct loop *l)
{
    for (int round = 0; round < TASK_ROUNDS && !list_empty(&l->tasks); round++) {
        struct list now;
        list_init(&now);
        list_splice(&now, &l->tasks);
        struct list *link;
        while ((link = list_take(&now))) {
            struct task *t = owner_of(link, struct task, link);
            t->run(t);
        }
    }
}

static void feed_starved(struct loop *l)
{
    unsigned ready = l->buffers - l->buffers_out;
    while (ready-- > 0 && !list_empty(&l->starved)) {
        struct list *link = list_take(&l->starved);
        prepare_receive(l, owner_of(link, struct op, starved));
    }
}

static void enter(struct loop *l, uint64_t wait_ms)
{
    int result;
    if (wait_ms == 0) {
        result = io_uring_submit_and_get_events(&l->ring);
    } else {
        struct __kernel_timespec ts = {
            .tv_sec = (int64_t)(wait_ms / 1000),
            .tv_nsec = (long long)(wait_ms % 1000) * 1000000,
        };
        struct io_uring_cqe *cqe;
        result = io_uring_submit_and_wait_timeout(&l->ring, &cqe, 1, &ts, NULL);
    }
    /* EBUSY: completions must be reaped first, which comes next; EAGAIN: short of memory, what was
     * not submitted stays queued for the next turn */
    must(result >= 0 || result == -ETIME || result == -EINTR || result == -EBUSY ||
         result == -EAGAIN);
}

/* True: there is something to do. */
static bool watch(struct loop *l)
{
    const uint64_t until = clock_monotonic_ns() + l->watch_us * 1000;
    enter(l, 0);
    while (
        l->idle(l->idle_owner) && !io_uring_cq_ready(&l->ring) &&
        !(IO_URING_READ_ONCE(*l->ring.sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW))) {
        if (clock_monotonic_ns() >= until)
            return false;
        (void)sched_yield(); /* whom we wait for may need this core */
    }
    return true;
}

void loop_turn(struct loop *l, uint64_t wait_ms)
{
    if (!l->bound)
        adopt(l);
    run_tasks(l);
    feed_starved(l);
    uint64_t next = timers_next(&l->timers);
    if (next != UINT64_MAX)
        wait_ms = u64_min(wait_ms, next > l->now_ms ? next - l->now_ms : 0);
    if (l->hurried || !list_empty(&l->tasks) || l->reaped_count)
        wait_ms = 0;
    l->hurried = false;
    if (l->watch_us && l->port && wait_ms && watch(l))
        wait_ms = 0;
    l->watch_us = 0;
    bool asleep = l->port && wait_ms;
    if (asleep) {
        port_drowse(l->port);
        if (!l->idle(l->idle_owner))
            wait_ms = 0;
    }
    enter(l, u64_min(wait_ms, UINT32_MAX));
    if (asleep)
        port_awake(l->port);
    l->now_ms = clock_monotonic_ms();
    reap(l);
    run(l);
}

uint64_t loop_now_ms(const struct loop *l)
{
    return l->now_ms;
}

void loop_defer(struct loop *l, struct task *t)
{
    if (!list_linked(&t->link))
        list_append(&l->tasks, &t->link);
}

void loop_undefer(struct loop *l, struct task *t)
{
    (void)l;
    list_remove(&t->link);
}

void loop_hurry(struct loop *l)
{
    l->hurried = true;
}

void loop_watch(struct loop *l, uint64_t us)
{
    l->watch_us = us;
}

void loop_timer_start(struct loop *l, struct timer *t, uint64_t from_now_ms)
{
    timers_start(&l->timers, t, l->now_ms + from_now_ms);
}

void loop_timer_stop(struct loop *l, struct timer *t)
{
    timers_stop(&l->timers, t);
}

struct buffer *loop_scratch(struct loop *l)
{
    return &l->scratch;
}

/* ---- preparing ---- */

static struct io_uring_sqe *slot(struct loop *l)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&l->ring);
    while (!sqe) {
        must(l->bound); /* else more was prepared before the first turn than the ring holds */
        int result = io_uring_submit(&l->ring);
        must(result >= 0 || result == -EINTR || result == -EBUSY || result == -EAGAIN);
        if (result < 0)
            reap(l);
        sqe = io_uring_get_sqe(&l->ring);
    }
    return sqe;
}

static struct io_uring_sqe *slot_for(struct loop *l, struct op *op)
{
    must(!op->in_flight && op->done);
    op->in_flight = true;
    op->hungry = op->cancelled = false;
    return slot(l);
}

void loop_accept(struct loop *l, struct op *op, int listen_fd)
{
    struct io_uring_sqe *sqe = slot_for(l, op);
    /* not SOCK_NONBLOCK: the ring answers EAGAIN for such sockets instead of waiting */
    io_uring_prep_multishot_accept(sqe, listen_fd, NULL, NULL, SOCK_CLOEXEC);
    io_uring_sqe_set_data(sqe, op);
}

static void prepare_receive(struct loop *l, struct op *op)
{
    struct io_uring_sqe *sqe = slot(l);
    if (op->once) {
        io_uring_prep_recv(sqe, op->fd, NULL, LIMIT_RECEIVE_BUFFER_BYTES, 0);
    } else {
        io_uring_prep_recv_multishot(sqe, op->fd, NULL, 0, 0);
        /* optlen, a name that liburing 2.3 does not know; the last receive may go beyond it by all
         * but one byte of its buffer */
        sqe->file_index = LOOP_RECEIVE_BYTES - LIMIT_RECEIVE_BUFFER_BYTES + 1;
    }
    /* the last completion said that nothing was left: wait first, do not try in vain */
    if (op->once && op->result > 0 && !(op->flags & IORING_CQE_F_SOCK_NONEMPTY))
        sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = BUFFER_GROUP;
    io_uring_sqe_set_data(sqe, op);
}

static void receive(struct loop *l, struct op *op, int fd, bool once)
{
    must(!op->in_flight && op->done);
    op->in_flight = true;
    op->hungry = true;
    op->cancelled = false;
    op->once = once;
    op->fd = fd;
    prepare_receive(l, op);
}

void loop_receive_as(struct loop *l, enum receiving r)
{
    l->receiving = r;
}

unsigned loop_buffers_out(const struct loop *l)
{
    return l->buffers_out;
}

void loop_receive(struct loop *l, struct op *op, int fd)
{
    receive(l, op, fd, l->receiving == RECEIVE_SINGLE);
}

void loop_receive_once(struct loop *l, struct op *op, int fd)
{
    receive(l, op, fd, true);
}

bool loop_received(struct loop *l, const struct op *op, struct received *out)
{
    if (op->result <= 0 || !(op->flags & IORING_CQE_F_BUFFER))
        return false;
    uint16_t buffer = (uint16_t)(op->flags >> IORING_CQE_BUFFER_SHIFT);
    *out = (struct received){
        .at = l->buffer_bytes + (size_t)buffer * LIMIT_RECEIVE_BUFFER_BYTES,
        .len = (size_t)op->result,
        .buffer = buffer,
        .more = op->flags & IORING_CQE_F_SOCK_NONEMPTY,
    };
    return true;
}

void loop_buffer_return(struct loop *l, const struct received *r)
{
    give_back(l, r->buffer);
}

void loop_send(struct loop *l, struct op *op, int fd, const char *at, size_t len)
{
    struct io_uring_sqe *sqe = slot_for(l, op);
    io_uring_prep_send(sqe, fd, at, len, MSG_NOSIGNAL | MSG_WAITALL);
    io_uring_sqe_set_data(sqe, op);
}

void loop_connect(struct loop *l, struct op *op, int fd, const struct sockaddr *to, socklen_t len)
{
    struct io_uring_sqe *sqe = slot_for(l, op);
    io_uring_prep_connect(sqe, fd, to, len);
    io_uring_sqe_set_data(sqe, op);
}

void loop_read(struct loop *l, struct op *op, int fd, char *at, size_t len, uint64_t offset)
{
    struct io_uring_sqe *sqe = slot_for(l, op);
    io_uring_prep_read(sqe, fd, at, (unsigned)len, offset);
    io_uring_sqe_set_data(sqe, op);
}

void loop_write(struct loop *l, struct op *op, int fd, const char *at, size_t len, uint64_t offset)
{
    struct io_uring_sqe *sqe = slot_for(l, op);
    io_uring_prep_write(sqe, fd, at, (unsigned)len, offset);
    io_uring_sqe_set_data(sqe, op);
}

void loop_poll(struct loop *l, struct op *op, int fd, short events)
{
    struct io_uring_sqe *sqe = slot_for(l, op);
    io_uring_prep_poll_add(sqe, fd, (unsigned short)events);
    io_uring_sqe_set_data(sqe, op);
}

void loop_hand(struct loop *l, struct op *op, struct loop *to, struct op *theirs, int32_t value)
{
    struct io_uring_sqe *sqe = slot_for(l, op);
    io_uring_prep_msg_ring(sqe, to->ring.ring_fd, (unsigned)value, (uint64_t)(uintptr_t)theirs, 0);
    io_uring_sqe_set_data(sqe, op);
}

void loop_cancel(struct loop *l, struct op *target)
{
    if (!target->in_flight || target->cancelled)
        return;
    target->cancelled = true;
    if (list_linked(&target->starved)) { /* the kernel does not know of it */
        list_remove(&target->starved);
        struct completion c = {target, -ECANCELED, 0};
        keep(l, &c);
        return;
    }
    struct io_uring_sqe *sqe = slot(l);
    io_uring_prep_cancel(sqe, target, 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data(sqe, NULL);
}

void loop_close_fd(struct loop *l, int fd)
{
    struct io_uring_sqe *sqe = slot(l);
    io_uring_prep_close(sqe, fd);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data(sqe, NULL);
}

/* ---- the port ---- */

static void on_wake(struct op *op)
{
    struct loop *l = op->owner;
    if (op->result == -ECANCELED)
        return;
    loop_read(l, op, l->port->wake_fd, l->wake_count, sizeof l->wake_count, 0);
}

void loop_watch_port(struct loop *l, struct port *p, bool (*idle)(void *owner), void *owner)
{
    must(!l->port);
    l->port = p;
    l->idle = idle;
    l->idle_owner = owner;
    l->wake = (struct op){.done = on_wake, .owner = l};
    loop_read(l, &l->wake, p->wake_fd, l->wake_count, sizeof l->wake_count, 0);
}
