#include "core/io/loop.h"

#include "core/base/base.h"
#include "core/base/clock.h"
#include "tests/unit/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/poll.h>
#include <sys/resource.h>
#include <unistd.h>

static struct buffer errors;

static struct loop *open_loop(unsigned entries, unsigned buffers)
{
    buffer_clear(&errors);
    struct loop *l = loop_open(entries, buffers, &errors);
    expect(l != NULL, "%.*s", STR_ARG(buffer_str(&errors)));
    must(l != NULL);
    return l;
}

/* ---- deferred work and timers ---- */

struct deferred {
    struct task task;
    struct loop *loop;
    int runs, again;
};

static void on_deferred(struct task *t)
{
    struct deferred *d = owner_of(t, struct deferred, task);
    d->runs++;
    if (d->again-- > 0)
        loop_defer(d->loop, t);
}

static void test_tasks(void)
{
    struct loop *l = open_loop(8, 1);
    struct deferred a = {.task.run = on_deferred, .loop = l};
    struct deferred b = {.task.run = on_deferred, .loop = l, .again = 10};
    loop_defer(l, &a.task);
    loop_defer(l, &a.task);
    loop_defer(l, &b.task);
    expect(a.runs == 0, "never from inside");
    loop_turn(l, 1000);
    expect(a.runs == 1, "once: %d", a.runs);
    expect(b.runs > 0 && b.runs < 11, "bounded a turn, which does not wait: %d", b.runs);
    while (b.runs < 11)
        loop_turn(l, 1000);
    loop_defer(l, &a.task);
    loop_undefer(l, &a.task);
    loop_turn(l, 0);
    expect(a.runs == 1, "undeferred");
    loop_close(&l);
    loop_close(&l);
}

static void on_due(struct timer *t)
{
    *(int *)t->owner += 1;
}

static void test_timers(void)
{
    struct loop *l = open_loop(8, 1);
    int due = 0;
    struct timer soon = {.due = on_due, .owner = &due}, late = soon, never = soon;
    loop_timer_start(l, &late, 60);
    loop_timer_start(l, &soon, 20);
    loop_timer_start(l, &never, 30);
    loop_timer_stop(l, &never);
    uint64_t start = clock_monotonic_ms();
    while (due < 1)
        loop_turn(l, 5000);
    uint64_t first = clock_monotonic_ms() - start;
    while (due < 2)
        loop_turn(l, 5000);
    uint64_t second = clock_monotonic_ms() - start;
    expect(first >= 19 && first < 50, "%u ms", (unsigned)first);
    expect(second >= 59 && second < 200, "%u ms", (unsigned)second);
    start = clock_monotonic_ms();
    loop_turn(l, 30);
    expect(clock_monotonic_ms() - start >= 29, "waits when nothing happens");
    expect(loop_now_ms(l) >= start + 29, "time of the turn");
    loop_close(&l);
}

/* ---- operations ---- */

struct waiter {
    struct op op;
    struct loop *loop;
    int calls, last;
    size_t bytes;
    bool hold; /* keep the buffers */
    struct received held[16];
    size_t held_count;
};

static void on_done(struct op *op)
{
    struct waiter *w = op->owner;
    w->calls++;
    w->last = op->result;
    struct received r;
    if (w->loop && loop_received(w->loop, op, &r)) {
        w->bytes += r.len;
        if (w->hold)
            w->held[w->held_count++] = r;
        else
            loop_buffer_return(w->loop, &r);
    }
}

static void waiter_init(struct waiter *w, struct loop *l)
{
    *w = (struct waiter){.op = {.done = on_done, .owner = w}, .loop = l};
}

static void test_files(void)
{
    struct loop *l = open_loop(8, 1);
    int fds[2];
    must(pipe2(fds, O_CLOEXEC) == 0);
    struct waiter reading, writing, polling;
    waiter_init(&reading, NULL);
    waiter_init(&writing, NULL);
    waiter_init(&polling, NULL);
    char bytes[16] = "";
    loop_poll(l, &polling.op, fds[0], POLLIN);
    loop_read(l, &reading.op, fds[0], bytes, sizeof bytes, (uint64_t)-1);
    loop_turn(l, 20);
    expect(polling.calls == 0 && reading.calls == 0, "nothing there");
    loop_write(l, &writing.op, fds[1], "hello", 5, (uint64_t)-1);
    while (!writing.calls || !reading.calls || !polling.calls)
        loop_turn(l, 1000);
    expect(writing.last == 5 && reading.last == 5 && op_ended(&reading.op), "5 bytes");
    expect(memcmp(bytes, "hello", 5) == 0, "%s", bytes);
    expect(polling.last & POLLIN, "readable");
    waiter_init(&reading, NULL);
    loop_read(l, &reading.op, fds[0], bytes, sizeof bytes, (uint64_t)-1);
    loop_turn(l, 0);
    loop_cancel(l, &reading.op);
    loop_cancel(l, &reading.op);
    while (!reading.calls)
        loop_turn(l, 1000);
    expect(reading.last == -ECANCELED && reading.calls == 1, "cancelled: %d", reading.last);
    loop_cancel(l, &reading.op); /* nothing is in flight: allowed */
    loop_close_fd(l, fds[0]);
    loop_close_fd(l, fds[1]);
    loop_turn(l, 0);
    expect(fcntl(fds[0], F_GETFD) < 0 && fcntl(fds[1], F_GETFD) < 0, "closed");
    loop_close(&l);
}

static void test_starved(void)
{
    enum {
        PAIRS = 6,
        BUFFERS = 4
    };
    struct loop *l = open_loop(16, BUFFERS);
    struct waiter w[PAIRS];
    int fds[PAIRS][2];
    for (int i = 0; i < PAIRS; i++) {
        must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds[i]) == 0);
        waiter_init(&w[i], l);
        w[i].hold = true;
        if (i % 2)
            loop_receive(l, &w[i].op, fds[i][0]);
        else
            loop_receive_once(l, &w[i].op, fds[i][0]);
        must(write(fds[i][1], "x", 1) == 1);
    }
    for (int turn = 0; turn < 10; turn++)
        loop_turn(l, 1);
    int served = 0, waiting = -1;
    for (int i = 0; i < PAIRS; i++) {
        served += w[i].bytes > 0;
        if (!w[i].bytes)
            waiting = i;
    }
    expect(served == BUFFERS, "a buffer each: %d", served);
    must(waiting >= 0);
    expect(w[waiting].calls == 0 && w[waiting].op.in_flight, "ENOBUFS is not told");
    loop_cancel(l, &w[waiting].op);
    loop_turn(l, 0);
    expect(w[waiting].calls == 1 && w[waiting].last == -ECANCELED, "a starved one is cancelled");
    for (int i = 0; i < PAIRS; i++) {
        w[i].hold = false;
        while (w[i].held_count)
            loop_buffer_return(l, &w[i].held[--w[i].held_count]);
    }
    for (int turn = 0; turn < 10; turn++)
        loop_turn(l, 1);
    for (int i = 0; i < PAIRS; i++)
        expect(w[i].bytes == 1 || i == waiting, "served when buffers came back");
    for (int i = 0; i < PAIRS; i++) {
        loop_cancel(l, &w[i].op);
        (void)close(fds[i][1]);
    }
    for (int turn = 0; turn < 10; turn++)
        loop_turn(l, 1);
    for (int i = 0; i < PAIRS; i++) {
        expect(op_ended(&w[i].op), "%d ended", i);
        (void)close(fds[i][0]);
    }
    loop_close(&l);
}

/* A multishot ends at its bound. */
static void test_bounded(void)
{
    struct loop *l = open_loop(8, 16);
    int fds[2];
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    struct waiter w;
    waiter_init(&w, l);
    static char bytes[LOOP_RECEIVE_BYTES];
    const size_t piece = 1000;
    loop_receive(l, &w.op, fds[0]);
    size_t sent = 0;
    while (w.op.in_flight && sent < 2 * LOOP_RECEIVE_BYTES) {
        must(write(fds[1], bytes, piece) == (ssize_t)piece);
        sent += piece;
        loop_turn(l, 0);
        if (w.op.once) /* this kernel has no bound */
            break;
    }
    expect(w.op.once ? w.calls <= 1 : w.bytes <= LOOP_RECEIVE_BYTES && op_ended(&w.op),
           "%zu bytes in %d calls", w.bytes, w.calls);
    expect(loop_buffers_out(l) == 0, "%u buffers", loop_buffers_out(l));
    loop_close(&l);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

/* EINVAL, as kernels without the bound say, here from a socket that nobody connected. */
static void test_no_multishot(void)
{
    struct loop *l = open_loop(8, 16);
    int lonely = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fds[2];
    must(lonely >= 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    struct waiter w, other;
    waiter_init(&w, l);
    waiter_init(&other, l);
    loop_receive(l, &w.op, lonely);
    for (int turn = 0; turn < 5; turn++)
        loop_turn(l, 1);
    expect(w.calls == 1 && w.last == -EINVAL && w.op.once, "told when once fails too: %d", w.last);
    loop_receive(l, &other.op, fds[0]);
    must(write(fds[1], "x", 1) == 1);
    for (int turn = 0; turn < 5; turn++)
        loop_turn(l, 1);
    expect(other.calls == 1 && other.bytes == 1 && op_ended(&other.op), "single from then on");
    loop_close(&l);
    (void)close(lonely);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

/* More operations and completions than both queues hold. */
static void test_overflow(void)
{
    enum {
        PIPES = 400
    };
    struct loop *l = open_loop(4, 1);
    static struct waiter w[PIPES];
    static int fds[PIPES][2];
    static char byte[PIPES];
    loop_turn(l, 0);
    for (int i = 0; i < PIPES; i++) {
        must(pipe2(fds[i], O_CLOEXEC) == 0);
        waiter_init(&w[i], NULL);
        loop_read(l, &w[i].op, fds[i][0], &byte[i], 1, (uint64_t)-1);
    }
    loop_turn(l, 0);
    for (int i = 0; i < PIPES; i++)
        must(write(fds[i][1], "x", 1) == 1);
    int done = 0;
    for (int turn = 0; turn < 1000 && done < PIPES; turn++) {
        loop_turn(l, 10);
        done = 0;
        for (int i = 0; i < PIPES; i++)
            done += w[i].calls == 1 && w[i].last == 1 && byte[i] == 'x';
    }
    expect(done == PIPES, "all completed: %d", done);
    for (int i = 0; i < PIPES; i++) {
        loop_close_fd(l, fds[i][0]);
        loop_close_fd(l, fds[i][1]);
    }
    loop_turn(l, 0);
    loop_close(&l);
}

/* ---- the port, from another thread ---- */

enum {
    CELLS = 50000
};

struct reader {
    struct loop *loop;
    struct port port;
    struct ring *ring;
};

static bool reader_idle(void *owner)
{
    struct reader *r = owner;
    return ring_empty(r->ring);
}

static void *write_cells(void *argument)
{
    struct reader *r = argument;
    for (uint64_t i = 0; i < CELLS; i++) {
        struct cell c = {.a = i};
        ring_put(r->ring, &c);
        if (i % 7 == 0)
            ring_flush(r->ring);
        if (i % 1000 == 0)
            (void)usleep(1000); /* so that the reader falls asleep */
    }
    while (ring_kept(r->ring)) {
        ring_flush(r->ring);
        (void)usleep(100);
    }
    ring_flush(r->ring);
    return NULL;
}

/* Built by one thread, run by another, woken by a third. */
static void *read_cells(void *argument)
{
    struct reader *r = argument;
    static char order[] = "out of order", lost[] = "a wake-up was lost";
    uint64_t next = 0;
    uint64_t start = clock_monotonic_ms();
    while (next < CELLS && clock_monotonic_ms() - start < 30000) {
        loop_turn(r->loop, 10000);
        struct cell c;
        while (ring_take(r->ring, &c)) {
            if (c.a != next)
                return order;
            next++;
        }
    }
    return next == CELLS ? NULL : lost;
}

static void test_port(void)
{
    struct reader r = {.loop = open_loop(8, 1)};
    port_init(&r.port);
    r.ring = ring_make(&r.port);
    loop_watch_port(r.loop, &r.port, reader_idle, &r);
    pthread_t reader, writer;
    must(pthread_create(&reader, NULL, read_cells, &r) == 0);
    must(pthread_create(&writer, NULL, write_cells, &r) == 0);
    void *why = NULL;
    must(pthread_join(writer, NULL) == 0);
    must(pthread_join(reader, &why) == 0);
    expect(why == NULL, "%s", (const char *)why);
    loop_close(&r.loop);
    ring_drop(&r.ring);
    port_drop(&r.port);
}

/* ---- what is missing, in words ---- */

static void test_errors(void)
{
    struct rlimit before, none;
    must(getrlimit(RLIMIT_NOFILE, &before) == 0);
    none = before;
    none.rlim_cur = 3;
    must(setrlimit(RLIMIT_NOFILE, &none) == 0);
    buffer_clear(&errors);
    struct loop *l = loop_open(8, 1, &errors);
    must(setrlimit(RLIMIT_NOFILE, &before) == 0);
    expect(l == NULL, "no descriptor");
    expect(str_find_str(buffer_str(&errors), STR("ulimit -n")) != SIZE_MAX, "%.*s",
           STR_ARG(buffer_str(&errors)));
}

int main(void)
{
    buffer_init(&errors, 1 << 16);
    const struct test tests[] = {
        {"tasks", test_tasks},
        {"timers", test_timers},
        {"read, write, poll, cancel, close", test_files},
        {"receives without buffers", test_starved},
        {"a multishot is bounded", test_bounded},
        {"a kernel without bounded multishot", test_no_multishot},
        {"full queues", test_overflow},
        {"a port loses no wake-up", test_port},
        {"errors in words", test_errors},
        {0},
    };
    int status = harness_run("loop", tests);
    buffer_drop(&errors);
    return status;
}
