/* loop.h -- one io_uring for one thread; the door to liburing.
 *
 * Operations are embedded in the objects that wait for them. A call here only prepares; nothing
 * runs from inside it. loop_turn() runs what was deferred, submits, waits, reaps, calls done() of
 * what completed and due() of the timers.
 *
 * Thread   one. loop_open() and preparing may be done by the thread that builds the program; the
 *          first loop_turn() binds the loop to its thread (SINGLE_ISSUER, DEFER_TASKRUN where the
 *          kernel has it).
 * Memory   an op with `in_flight` may still be written by the kernel: neither move nor free it or
 *          the bytes it names. Multishot ops stay in flight until a completion without IO_MORE.
 *          Every op starts zeroed, with done and owner set.
 * Cost     a turn is one system call, whatever it prepares and completes.
 * Errors   results are negative errno in `result`, as the kernel gives them; -ENOBUFS of a receive
 *          is not told: it starts again when buffers come back. loop_open() says what is missing
 *          (kernel too old, io_uring disabled, memlock or file limits) in words.
 */
#ifndef CORE_IO_LOOP_H
#define CORE_IO_LOOP_H

#include "core/base/buffer.h"
#include "core/base/list.h"
#include "core/base/ring.h"
#include "core/io/timers.h"

#include <sys/socket.h>

struct op {
    void (*done)(struct op *op); /* called from loop_turn() only */
    void *owner;
    int32_t result;
    uint32_t flags; /* of the completion */
    bool in_flight;
    bool once, hungry, cancelled; /* from here on the loop's: what a receive needs to start again */
    int fd;
    struct list starved;
};

/* Something to do at the start of the next turn, before it submits. */
struct task {
    struct list link;
    void (*run)(struct task *t);
};

/* Bytes of a completed receive: in a buffer of the loop; give it back with loop_buffer_return(). */
struct received {
    char *at;
    size_t len;
    uint16_t buffer;
    bool more; /* the socket holds more bytes already */
};

/* What loop_receive() does. */
enum receiving {
    RECEIVE_BOUNDED, /* multishot that ends after LOOP_RECEIVE_BYTES: Linux 6.17 */
    RECEIVE_SINGLE,  /* what older kernels get: their multishot takes what it wants */
};

enum {
    LOOP_RECEIVE_BYTES = 128 << 10
};

struct loop;

NODISCARD struct loop *loop_open(unsigned entries, unsigned buffers, struct buffer *errors);
void loop_close(struct loop **l);

/* One turn: submit, wait until something completes or `wait_ms` is over (0: do not wait), run
 * done(). */
void loop_turn(struct loop *l, uint64_t wait_ms);
uint64_t loop_now_ms(const struct loop *l); /* monotonic, read once a turn */

/* Run the task in the next turn; once, however often it is asked for. */
void loop_defer(struct loop *l, struct task *t);
void loop_undefer(struct loop *l, struct task *t);

/* This turn shall not wait: for tasks that called an owner, who may have left something to be done
 * after the turn (cells to flush). */
void loop_hurry(struct loop *l);

/* The next turn looks out for completions and for its port's cells for at most `us` microseconds
 * before it sleeps: for an answer that comes sooner than a sleeping core wakes. Whoever else wants
 * the core has it. */
void loop_watch(struct loop *l, uint64_t us);

void loop_timer_start(struct loop *l, struct timer *t, uint64_t from_now_ms);
void loop_timer_stop(struct loop *l, struct timer *t);

/* A buffer for one callback's use: who takes it clears it. */
struct buffer *loop_scratch(struct loop *l);

/* Wake loop_turn() when the port is woken. The loop does the drowse/awake protocol: before it waits
 * it marks the port asleep and asks `idle(owner)`, which must look at every ring once more and say
 * whether there is nothing to do. */
void loop_watch_port(struct loop *l, struct port *p, bool (*idle)(void *owner), void *owner);

void loop_accept(struct loop *l, struct op *op, int listen_fd); /* multishot */
/* Into buffers of the loop: many times, until LOOP_RECEIVE_BYTES have come in all (op_ended() says
 * when: start again then, and others get their turn first), or once, at most one buffer's worth.
 * A kernel that cannot bound a multishot receives once either way: op->once says so. */
void loop_receive(struct loop *l, struct op *op, int fd);
void loop_receive_once(struct loop *l, struct op *op, int fd);
void loop_receive_as(struct loop *l, enum receiving r); /* for tests and measurements */
unsigned loop_buffers_out(const struct loop *l);        /* not yet given back; the same */
NODISCARD bool loop_received(struct loop *l, const struct op *op, struct received *out);
void loop_buffer_return(struct loop *l, const struct received *r);
void loop_send(struct loop *l, struct op *op, int fd, const char *at, size_t len);
void loop_connect(struct loop *l, struct op *op, int fd, const struct sockaddr *to, socklen_t len);
void loop_read(struct loop *l, struct op *op, int fd, char *at, size_t len, uint64_t offset);
void loop_write(struct loop *l, struct op *op, int fd, const char *at, size_t len, uint64_t offset);
void loop_poll(struct loop *l, struct op *op, int fd, short events); /* one shot */
/* Completes `theirs`, an op of another loop that is running, with `value`; ours tells whether it
 * did: negative, and theirs never hears of it. */
void loop_hand(struct loop *l, struct op *op, struct loop *to, struct op *theirs, int32_t value);
void loop_cancel(struct loop *l, struct op *target); /* target completes with -ECANCELED */
void loop_close_fd(struct loop *l, int fd);          /* nobody waits for it */

/* Does this completion end the operation (not one of a multishot's many)? */
static inline bool op_ended(const struct op *op)
{
    return !op->in_flight;
}

#endif
