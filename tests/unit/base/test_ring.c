#include "core/base/ring.h"

#include "tests/unit/harness.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

/* Does the port's eventfd say something? Takes it. */
static bool woken(struct port *p, int wait_ms)
{
    struct pollfd poll_fd = {.fd = p->wake_fd, .events = POLLIN};
    uint64_t times;
    return poll(&poll_fd, 1, wait_ms) == 1 &&
           read(p->wake_fd, &times, sizeof times) == sizeof times;
}

static void put(struct ring *r, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to; i++)
        ring_put(r, &(struct cell){.kind = CELL_DUE, .id = i, .c = ~i});
}

/* How many can be taken, at most `most`; the first has to be `from`. */
static uint64_t take(struct ring *r, uint64_t from, uint64_t most)
{
    struct cell c;
    uint64_t taken = 0;
    for (; taken < most && ring_take(r, &c); taken++)
        expect(c.id == from + taken && c.c == ~c.id && c.kind == CELL_DUE, "%lu, not %lu", c.id,
               from + taken);
    return taken;
}

static void test_full(void)
{
    enum {
        FULL = LIMIT_RING_CELLS
    };
    struct port port;
    port_init(&port);
    struct ring *r = ring_make(&port);
    expect(ring_empty(r) && take(r, 0, 1) == 0 && ring_kept(r) == 0, "new");
    put(r, 0, FULL);
    expect(ring_kept(r) == 0 && !ring_empty(r), "just full");
    put(r, FULL, FULL + 1000);
    expect(ring_kept(r) == 1000, "%zu kept", ring_kept(r));
    ring_flush(r);
    expect(ring_kept(r) == 1000, "no room: all stay kept");
    expect(take(r, 0, 10) == 10, "ten");
    put(r, FULL + 1000, FULL + 1005);
    expect(ring_kept(r) == 1005, "a new cell does not overtake kept ones");
    ring_flush(r);
    expect(ring_kept(r) == 995, "%zu kept", ring_kept(r));
    expect(take(r, 10, UINT64_MAX) == FULL, "the ring");
    expect(ring_empty(r) && ring_kept(r) == 995, "kept cells are not in the ring");
    ring_flush(r);
    expect(ring_kept(r) == 0 && take(r, FULL + 10, UINT64_MAX) == 995, "the kept ones");
    ring_drop(&r);
    expect(!r, "dropped");
    ring_drop(&r);
    port_drop(&port);
}

static void test_wake(void)
{
    struct port port;
    port_init(&port);
    struct ring *r = ring_make(&port);
    put(r, 0, 1);
    ring_flush(r);
    expect(!woken(&port, 0), "an awake reader is not woken");
    port_drowse(&port);
    expect(!ring_empty(r), "a cell put before drowsing is seen");
    port_awake(&port);
    expect(take(r, 0, 9) == 1, "taken");

    port_drowse(&port);
    ring_flush(r);
    expect(!woken(&port, 0), "nothing new: no wake");
    put(r, 1, 2);
    expect(!woken(&port, 0), "a put alone wakes nobody");
    ring_flush(r);
    expect(woken(&port, 0), "the flush does");
    put(r, 2, 3);
    ring_flush(r);
    expect(!woken(&port, 0), "woken once a sleep");
    port_awake(&port);
    expect(take(r, 1, 9) == 2, "taken");

    /* kept cells that move on wake the reader too */
    put(r, 0, LIMIT_RING_CELLS + 1);
    ring_flush(r);
    expect(take(r, 0, LIMIT_RING_CELLS) == LIMIT_RING_CELLS, "taken");
    port_drowse(&port);
    ring_flush(r);
    expect(woken(&port, 0), "a kept cell moved on");
    port_wake(&port);
    expect(woken(&port, 0), "port_wake by itself");
    ring_drop(&r);
    port_drop(&port);
}

/* The 32-bit places in the ring wrap after 2^32 cells. */
static void test_places_wrap(void)
{
    struct port port;
    port_init(&port);
    struct ring *r = ring_make(&port);
    atomic_store(&r->head, UINT32_MAX - 5);
    atomic_store(&r->tail, UINT32_MAX - 5);
    for (uint64_t round = 0; round < 3; round++) {
        put(r, 0, LIMIT_RING_CELLS + 3);
        expect(ring_kept(r) == 3, "round %lu: %zu kept", round, ring_kept(r));
        expect(take(r, 0, 3) == 3, "round %lu", round);
        ring_flush(r);
        expect(ring_kept(r) == 0, "round %lu: %zu kept", round, ring_kept(r));
        expect(take(r, 3, UINT64_MAX) == LIMIT_RING_CELLS, "round %lu", round);
        expect(ring_empty(r), "round %lu: empty", round);
    }
    ring_drop(&r);
    port_drop(&port);
}

enum {
    CELLS = 1000000
};

static struct {
    struct port port;
    struct ring *ring;
    uint64_t object[CELLS]; /* handed over with the cell: no lock, no atomics */
} shared;

static void pause_us(unsigned us)
{
    struct timespec t = {.tv_nsec = (long)us * 1000};
    (void)nanosleep(&t, NULL);
}

static void *write_cells(void *unused)
{
    (void)unused;
    struct ring *r = shared.ring;
    for (uint64_t i = 0; i < CELLS; i++) {
        shared.object[i] = i * 3;
        ring_put(r, &(struct cell){.kind = CELL_WORK, .id = i, .object = &shared.object[i]});
        if (i % 61 == 0)
            ring_flush(r);
        if (i % 20011 == 0) {
            ring_flush(r);
            pause_us(300); /* the reader falls asleep */
        }
        while (ring_kept(r) > 5000) { /* as asked: slow down */
            (void)sched_yield();
            ring_flush(r);
        }
    }
    for (ring_flush(r); ring_kept(r); ring_flush(r))
        (void)sched_yield();
    return NULL;
}

static void test_threads(void)
{
    uint64_t next = 0, wrong = 0, sleeps = 0;
    bool lost = false;
    port_init(&shared.port);
    shared.ring = ring_make(&shared.port);
    pthread_t writer;
    expect(pthread_create(&writer, NULL, write_cells, NULL) == 0, "thread");
    while (next < CELLS && !lost) {
        struct cell c;
        while (ring_take(shared.ring, &c)) {
            uint64_t *object = c.object;
            wrong += c.id != next || object != &shared.object[next] || *object != next * 3;
            next++;
            if (next % 50021 == 0)
                pause_us(2000); /* the ring fills up */
        }
        if (next == CELLS)
            break;
        port_drowse(&shared.port);
        if (ring_empty(shared.ring)) {
            sleeps++;
            lost = !woken(&shared.port, 20000);
        }
        port_awake(&shared.port);
    }
    expect(!lost, "a wake was lost at cell %lu", next);
    expect(next == CELLS && wrong == 0, "%lu cells, %lu wrong", next, wrong);
    expect(sleeps > 0, "the reader never slept");
    if (lost)
        return; /* the writer may wait for ever */
    (void)pthread_join(writer, NULL);
    expect(ring_empty(shared.ring), "nothing is left");
    ring_drop(&shared.ring);
    port_drop(&shared.port);
}

/* The other order of the two: each round both sides race for `asleep`. */
static void *echo_cells(void *arg)
{
    struct ring *const *way = arg; /* in, out */
    for (int n = 0; n < 20000;) {
        struct cell c;
        while (ring_take(way[0], &c)) {
            n++;
            ring_put(way[1], &c);
            ring_flush(way[1]);
        }
        port_drowse(way[0]->reader);
        if (n < 20000 && ring_empty(way[0]) && !woken(way[0]->reader, 20000))
            return arg; /* lost */
        port_awake(way[0]->reader);
    }
    return NULL;
}

static void test_ping_pong(void)
{
    struct port there, here;
    port_init(&there);
    port_init(&here);
    struct ring *way[2] = {ring_make(&there), ring_make(&here)};
    pthread_t echo;
    expect(pthread_create(&echo, NULL, echo_cells, way) == 0, "thread");
    bool lost = false;
    for (uint64_t i = 0; i < 20000 && !lost; i++) {
        struct cell c = {0};
        ring_put(way[0], &(struct cell){.id = i});
        ring_flush(way[0]);
        while (!lost && !ring_take(way[1], &c)) {
            port_drowse(&here);
            lost = ring_empty(way[1]) && !woken(&here, 20000);
            port_awake(&here);
        }
        expect(lost || c.id == i, "%lu, not %lu", c.id, i);
    }
    void *lost_there = NULL;
    (void)pthread_join(echo, &lost_there);
    expect(!lost && !lost_there, "a wake was lost");
    ring_drop(&way[0]);
    ring_drop(&way[1]);
    port_drop(&there);
    port_drop(&here);
}

int main(void)
{
    const struct test tests[] = {
        {"a full ring keeps cells in order", test_full},
        {"sleep and wake", test_wake},
        {"places wrap", test_places_wrap},
        {"two threads, a million cells", test_threads},
        {"two threads, one cell at a time", test_ping_pong},
        {0},
    };
    return harness_run("ring", tests);
}
