/* resolver.h -- where mail for a domain goes: MX, A and AAAA, without blocking. Door to libunbound
 * (event API on our loop).
 *
 * Thread   the loop's. One resolver a loop. Resolvers are opened one after another, never by two
 *          threads at once (libunbound initialises itself with the first).
 * Memory   the answer given to done() lives until done() returns. After resolver_close() turn the
 *          loop once more: sockets that the kernel still polls go then.
 * Time     answers are cached by libunbound for their TTL, failures too. A question takes at most
 *          RESOLVE_LIMIT_MS.
 * Promise  at most LIMIT_RESOLVER_LOOKUPS look-ups are under way, further questions wait for them
 *          in turn. At most LIMIT_EXCHANGERS exchangers are looked at, the preferred ones;
 *          addresses are asked for 8 at a time, and no more once the preferred ones have
 *          LIMIT_ADDRESSES.
 * Errors   RESOLVE_RETRY: SERVFAIL, time-out, bogus: try later. RESOLVE_NONE: NXDOMAIN, or neither
 *          MX nor address. RESOLVE_NULL_MX: RFC 7505, the domain takes no mail. RESOLVE_UNUSABLE:
 *          MX records exist but none has an address that may be used: never falls back to A.
 *          RESOLVE_LOOP: none is left before those that are us (RFC 5321 5.1).
 */
#ifndef CORE_IO_RESOLVER_H
#define CORE_IO_RESOLVER_H

#include "core/io/loop.h"
#include "core/io/own.h"

enum {
    RESOLVE_LIMIT_MS = 30000
};

enum resolve_status {
    RESOLVE_OK,
    RESOLVE_RETRY,
    RESOLVE_NONE,
    RESOLVE_NULL_MX,
    RESOLVE_UNUSABLE,
    RESOLVE_LOOP, /* we are its exchanger, and none is preferred to us */
};

struct exchanger {
    char name[256]; /* lower case, no trailing dot */
    uint16_t preference;
    struct sockaddr_storage address;
    socklen_t address_len;
};

struct resolution {
    enum resolve_status status;
    const char *why; /* one line for log and DSN; "" when fine */
    /* In the order to try: by preference, equal ones shuffled, addresses of one together, IPv4 and
     * IPv6 mixed. */
    size_t count;
    struct exchanger *exchanger;
};

struct resolver;

struct resolver_settings {
    const char *forward; /* "HOST:PORT" or NULL for /etc/resolv.conf */
    uint16_t port;       /* of exchangers */
};

/* Which exchangers are used. Unspecified, link-local and multicast addresses never are. */
struct resolver_rules {
    bool allow_loopback, allow_private;
    const char *own_name;  /* our host name, and... */
    const struct own *own; /* ... what leads back to us: an exchanger that is us, and those behind
                              it, are dropped (RFC 5321 5.1). NULL: nothing; borrowed */
};

NODISCARD struct resolver *resolver_open(struct loop *l, const struct resolver_settings *s,
                                         struct buffer *errors);
void resolver_close(struct resolver **r);

/* Before the first question, and again whenever they change. */
void resolver_use(struct resolver *r, const struct resolver_rules *rules);

/* A question embedded in its asker. */
struct question {
    void (*done)(struct question *q, const struct resolution *answer);
    void *owner;
    struct list link; /* resolver's */
    void *work;       /* resolver's */
};

/* Ask for the exchangers of a domain (A-labels, or an address literal with brackets). done() comes
 * from loop_turn(), never from inside. */
void resolver_ask(struct resolver *r, struct question *q, struct str domain);

/* The same for one host and port that somebody named: its addresses of any range. */
void resolver_ask_host(struct resolver *r, struct question *q, struct str host, uint16_t port);

/* Look-ups under way, forgotten ones included. */
uint32_t resolver_busy(const struct resolver *r);

/* Forget the question: done() will not be called. What libunbound does for it goes on to its own
 * end. */
void resolver_forget(struct resolver *r, struct question *q);

#endif
