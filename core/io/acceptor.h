/* acceptor.h -- one listening socket of one worker (SO_REUSEPORT), accepting by multishot.
 *
 * Thread   acceptor_listen(): the thread that builds the program; the rest: the loop's.
 * Errors   EMFILE, ENFILE and ENOMEM pause accepting for 100 ms and count; they never end it. A
 *          descriptor is kept spare for that case: it is lent to a few of those who wait, one after
 *          another, to say no to them.
 */
#ifndef CORE_IO_ACCEPTOR_H
#define CORE_IO_ACCEPTOR_H

#include "core/io/loop.h"

/* "127.0.0.1:25", "[::1]:25", "0.0.0.0:0". */
NODISCARD bool acceptor_parse(struct str text, struct sockaddr_storage *out, socklen_t *len);

/* A bound, listening, close-on-exec socket with SO_REUSEPORT, or negative errno. Port 0 takes a
 * free one, told in *out_port, so that the other workers can join it. */
NODISCARD int acceptor_listen(const struct sockaddr *address, socklen_t len, uint16_t *out_port);

struct acceptor {
    struct op op;
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
