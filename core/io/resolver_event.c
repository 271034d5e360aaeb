#include "core/io/resolver_event.h"

#include "core/base/base.h"
#include "core/base/heap.h"

#include <unbound-event.h>
#include <unbound.h>

#include <errno.h>
#include <sys/poll.h>
#include <sys/time.h>

struct base {
    struct ub_event_base base; /* first: libunbound hands it back */
    struct loop *loop;
};

/* What libunbound wants (active, fd, bits) and what the kernel was asked (op, asked_*) differ while
 * a cancel is on its way: then the poll starts anew when it has completed. */
struct event {
    struct ub_event base; /* first */
    struct loop *loop;
    int fd, asked_fd;
    short bits, asked_bits;
    bool active, freed, firing;
    uint64_t length_ms; /* of the time-out; UINT64_MAX: none */
    void (*call)(int fd, short bits, void *argument);
    void *argument;
    struct op op;
    struct timer timer;
};

static struct event *event_of(struct ub_event *e)
{
    return (struct event *)(void *)e;
}

static short io_bits(const struct event *e)
{
    return (short)(e->bits & (UB_EV_READ | UB_EV_WRITE));
}

static void ask(struct event *e)
{
    short bits = io_bits(e);
    if (!e->active || !bits || e->fd < 0)
        return;
    if (e->op.in_flight) {
        if (e->asked_fd != e->fd || e->asked_bits != bits)
            loop_cancel(e->loop, &e->op);
        return;
    }
    e->asked_fd = e->fd;
    e->asked_bits = bits;
    short events = (short)((bits & UB_EV_READ ? POLLIN : 0) | (bits & UB_EV_WRITE ? POLLOUT : 0));
    loop_poll(e->loop, &e->op, e->fd, events);
}

static void start_timer(struct event *e)
{
    if (e->length_ms != UINT64_MAX)
        loop_timer_start(e->loop, &e->timer, e->length_ms);
}

static void deactivate(struct event *e)
{
    e->active = false;
    loop_timer_stop(e->loop, &e->timer);
    loop_cancel(e->loop, &e->op);
}

static void fire(struct event *e, short bits)
{
    if (e->bits & UB_EV_PERSIST)
        start_timer(e);
    else
        deactivate(e);
    e->firing = true;
    e->call(e->fd, bits, e->argument); /* may change or free the event */
    e->firing = false;
    if (!e->freed)
        ask(e);
    else if (!e->op.in_flight)
        heap_drop(e);
}

static void on_poll(struct op *op)
{
    struct event *e = op->owner;
    if (e->freed) {
        heap_drop(e);
        return;
    }
    if (!e->active)
        return;
    if (op->result == -ECANCELED || e->asked_fd != e->fd || e->asked_bits != io_bits(e)) {
        ask(e);
        return;
    }
    short ready = 0;
    if (op->result < 0 || op->result & (POLLIN | POLLERR | POLLHUP))
        ready |= UB_EV_READ; /* errors too: it finds them itself */
    if (op->result < 0 || op->result & (POLLOUT | POLLERR | POLLHUP))
        ready |= UB_EV_WRITE;
    fire(e, (short)(ready & io_bits(e)));
}

static void on_time(struct timer *t)
{
    struct event *e = t->owner;
    if (e->active)
        fire(e, UB_EV_TIMEOUT);
}

/* ---- the table that libunbound calls ---- */

static void event_add_bits(struct ub_event *u, short bits)
{
    struct event *e = event_of(u);
    e->bits = (short)(e->bits | bits);
}

static void event_del_bits(struct ub_event *u, short bits)
{
    struct event *e = event_of(u);
    e->bits = (short)(e->bits & ~bits);
}

static void event_set_fd(struct ub_event *u, int fd)
{
    event_of(u)->fd = fd;
}

static void event_free(struct ub_event *u)
{
    struct event *e = event_of(u);
    deactivate(e);
    e->freed = true;
    if (!e->op.in_flight && !e->firing)
        heap_drop(e);
}

static int event_add(struct ub_event *u, struct timeval *tv)
{
    struct event *e = event_of(u);
    loop_timer_stop(e->loop, &e->timer);
    e->active = true;
    e->length_ms = UINT64_MAX;
    if (tv)
        e->length_ms = (uint64_t)tv->tv_sec * 1000 + ((uint64_t)tv->tv_usec + 999) / 1000;
    start_timer(e);
    ask(e);
    return 0;
}

static int event_del(struct ub_event *u)
{
    deactivate(event_of(u));
    return 0;
}

static int event_add_timer(struct ub_event *u, struct ub_event_base *base,
                           void (*call)(int, short, void *), void *argument, struct timeval *tv)
{
    (void)base;
    struct event *e = event_of(u);
    e->call = call;
    e->argument = argument;
    return event_add(u, tv);
}

/* Signals and Windows sockets: libunbound does not call these. */
static int event_add_signal(struct ub_event *u, struct timeval *tv)
{
    (void)u;
    (void)tv;
    return -1;
}

static int event_del_signal(struct ub_event *u)
{
    (void)u;
    return -1;
}

static void event_unregister(struct ub_event *u)
{
    (void)u;
}

static void event_would_block(struct ub_event *u, int bit)
{
    (void)u;
    (void)bit;
}

static struct ub_event_vmt event_table = {
    .add_bits = event_add_bits,
    .del_bits = event_del_bits,
    .set_fd = event_set_fd,
    .free = event_free,
    .add = event_add,
    .del = event_del,
    .add_timer = event_add_timer,
    .del_timer = event_del,
    .add_signal = event_add_signal,
    .del_signal = event_del_signal,
    .winsock_unregister_wsaevent = event_unregister,
    .winsock_tcp_wouldblock = event_would_block,
};

static void base_free(struct ub_event_base *b)
{
    (void)b; /* ours to free */
}

static int base_dispatch(struct ub_event_base *b)
{
    (void)b;
    return -1;
}

static int base_loopexit(struct ub_event_base *b, struct timeval *tv)
{
    (void)b;
    (void)tv;
    return 0;
}

static struct ub_event *base_new_event(struct ub_event_base *b, int fd, short bits,
                                       void (*call)(int, short, void *), void *argument)
{
    struct event *e = heap_take(sizeof *e);
    e->base = (struct ub_event){.magic = UB_EVENT_MAGIC, .vmt = &event_table};
    e->loop = ((struct base *)(void *)b)->loop;
    e->fd = fd;
    e->bits = bits;
    e->call = call;
    e->argument = argument;
    e->length_ms = UINT64_MAX;
    e->op = (struct op){.done = on_poll, .owner = e};
    e->timer = (struct timer){.due = on_time, .owner = e};
    return &e->base;
}

static struct ub_event *base_new_signal(struct ub_event_base *b, int fd,
                                        void (*call)(int, short, void *), void *argument)
{
    (void)b;
    (void)fd;
    (void)call;
    (void)argument;
    return NULL;
}

static struct ub_event *base_register(struct ub_event_base *b, void *wsaevent,
                                      void (*call)(int, short, void *), void *argument)
{
    (void)b;
    (void)wsaevent;
    (void)call;
    (void)argument;
    return NULL;
}

static struct ub_event_base_vmt base_table = {
    .free = base_free,
    .dispatch = base_dispatch,
    .loopexit = base_loopexit,
    .new_event = base_new_event,
    .new_signal = base_new_signal,
    .winsock_register_wsaevent = base_register,
};

struct ub_event_base *resolver_base_make(struct loop *l)
{
    struct base *b = heap_take(sizeof *b);
    b->base = (struct ub_event_base){.magic = UB_EVENT_MAGIC, .vmt = &base_table};
    b->loop = l;
    return &b->base;
}

void resolver_base_drop(struct ub_event_base **b)
{
    heap_drop(*b);
    *b = NULL;
}
