/* acceptor.h -- one listening socket of one worker (SO_REUSEPORT), accepting by multishot, and
 * fair shares of connections for all workers.
 *
 * The kernel deals connections out by their hash: many short ones evenly, few long ones not (64
 * were 20 and 44). So who accepts hands a connection to the worker that has the fewest, once it has
 * more than that one by ACCEPTOR_SLACK and a thirty-second part. If the other ring does not take
 * it, it stays.
 *
 * Thread   acceptor_listen(): the thread that builds the program; the rest: the loop's.
 * Errors   EMFILE, ENFILE and ENOMEM pause accepting for 100 ms and count; they never end it. A
 *          descriptor is kept spare for that case: it is lent to a few of those who wait, one after
 *          another, to say no to them.
 */
#ifndef CORE_IO_ACCEPTOR_H
#define CORE_IO_ACCEPTOR_H

#include "core/base/limit.h"
#include "core/io/loop.h"

#include <stdatomic.h>

/* "127.0.0.1:25", "[::1]:25", "0.0.0.0:0". */
NODISCARD bool acceptor_parse(struct str text, struct sockaddr_storage *out, socklen_t *len);

/* A bound, listening, close-on-exec socket with SO_REUSEPORT, or negative errno. Port 0 takes a
 * free one, told in *out_port, so that the other workers can join it. */
NODISCARD int acceptor_listen(const struct sockaddr *address, socklen_t len, uint16_t *out_port);

/* What the workers know of each other: who has how many connections. */
struct acceptor_peer {
    _Alignas(64) atomic_uint_fast32_t open; /* accepted or handed over, and not yet closed */
    atomic_bool leaving;                    /* takes no more */
    atomic_uint_fast32_t answer_us;         /* in which it answers one client alone; 0: not known */
    struct loop *loop;
    struct acceptor *acceptors; /* the same listeners at all workers, in the same order */
};

struct acceptor_peers {
    struct acceptor_peer at[LIMIT_SHARDS];
    uint32_t count;
};

enum {
    ACCEPTOR_SLACK = 1
};

struct acceptor {
    struct op op, handed;         /* our socket; what others hand us */
    struct acceptor_peers *peers; /* NULL: alone */
    uint32_t self;                /* our place among them */
    struct loop *loop;
    int fd;
    void (*accepted)(struct acceptor *a, int fd);
    void *owner;
    uint32_t tag;  /* the owner's: which listener */
    struct str no; /* what is said to those whom there is no descriptor for; empty: nothing */
    int spare;
    bool stopped;
    struct timer pause;
    uint64_t pauses, turned_away;
};

void acceptor_start(struct acceptor *a, struct loop *l, int listen_fd,
                    void (*accepted)(struct acceptor *a, int fd), void *owner, uint32_t tag);

/* Before acceptor_start(), by the thread that builds the program. Each connection given to
 * accepted() is then told to acceptor_closed() when it is over. */
void acceptor_join(struct acceptor *a, struct acceptor_peers *peers, uint32_t self);
void acceptor_closed(struct acceptor_peers *peers, uint32_t self);

/* Where nobody has a connection, the worker gets it that answers soonest: whose core is near the
 * disk's interrupts and whose is not makes a third of what a lone client waits. */
void acceptor_answered(struct acceptor_peers *peers, uint32_t self, uint64_t us);

/* Close the socket. It is done, and the acceptor may be freed, when acceptor_stopped(). */
void acceptor_stop(struct acceptor *a);

static inline bool acceptor_stopped(const struct acceptor *a)
{
    return a->fd < 0;
}

/* "192.0.2.1" (also of ::ffff:192.0.2.1) or "2001:db8::1", without the port. */
struct address_text {
    char at[64];
};
struct address_text address_text(const struct sockaddr *a);
uint16_t address_port(const struct sockaddr *a);

#endif
