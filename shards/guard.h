/* guard.h -- what one client address, one user, one organisation may do at this worker.
 *
 * Each is an entry: how many connections it has now, and how often it did what in the last minute
 * or hour. The count over a window is that of the window that runs, and of the one before it in
 * proportion to what of that one is still within reach: the limit in the long run, at most twice
 * the limit in any window, and no list of times. An IPv6 client is its /64: the rest is its own to
 * choose. Nothing here is shared between workers: where a server has four, a client that spreads
 * its connections may do four times as much.
 *
 * AUTH. A wrong password counts against the address and against the name, known or not, so that the
 * answer never tells which names there are. An address with too many is not heard for a while, a
 * name with too many until they are old, and when the whole worker has too many, only those are
 * heard who have proved themselves: (address, name) pairs that succeeded before are friends, and
 * every such lock lets them pass, until they fail too often themselves. So a victim at its usual
 * place is not locked out by others who guess, and an office behind one address not by one of its
 * phones. What is not heard is answered 454 at once, whatever the password.
 *
 * Thread   the shard's.
 * Memory   a fixed number of entries of each kind (LIMIT_GUARD_ENTRIES). When they are used up the
 *          one that has been idle longest is forgotten, and begins anew when it comes back; one
 *          with a connection is never forgotten. When all have connections, guard_open() says FULL.
 * Time     monotonic ms, given by the caller.
 * Cost     O(1).
 */
#ifndef SHARDS_GUARD_H
#define SHARDS_GUARD_H

#include "core/base/list.h"
#include "core/base/setting.h"
#include "core/base/slab.h"

enum guard_kind {
    GUARD_CLIENT, /* an address: mail clients, and strangers */
    GUARD_RELAY,  /* an address of an organisation's networks: a mail server */
    GUARD_USER,
    GUARD_ORGANISATION,
    GUARD_LOGIN, /* a name given to AUTH, or a friend */
    GUARD_KINDS
};

enum guard_rate {
    GUARD_CONNECTS, /* of a minute */
    GUARD_ERRORS,   /* of a minute */
    GUARD_FAILURES, /* of AUTH, in auth_window */
    GUARD_MESSAGES_MINUTE,
    GUARD_MESSAGES_HOUR,
    GUARD_RECIPIENTS_MINUTE,
    GUARD_RECIPIENTS_HOUR,
    GUARD_RATES
};

struct guard_window {
    uint32_t number; /* of the window that runs, since the clock began */
    uint32_t now, before;
};

struct guard_entry {
    struct guard_entry *next; /* in its bucket */
    struct list idle;         /* linked while it has no connection; longest first */
    uint64_t key[2];
    enum guard_kind kind;
    uint32_t connections;
    bool told; /* a refusal was logged, and it was not heard since */
    uint64_t locked_until_ms;
    struct guard_window window[GUARD_RATES];
};

struct guard_table {
    struct slab entries;
    struct list idle;
    struct guard_entry **bucket; /* LIMIT_GUARD_ENTRIES of them */
};

struct guard_limits {
    uint64_t connections, rate[GUARD_RATES];
};

struct guard {
    uint64_t seed[2];
    struct guard_table table[GUARD_KINDS];
    struct guard_limits limits[GUARD_KINDS];
    struct guard_window failures; /* of AUTH, everybody's */
    uint64_t failures_max, auth_window_ms, auth_lockout_ms;
};

/* Who a connection belongs to; NULL: not known yet, or exempt. */
struct guard_party {
    struct guard_entry *client, *user, *organisation;
};

enum guard_verdict {
    GUARD_OK,
    GUARD_CONNECTIONS, /* too many at once */
    GUARD_RATE,        /* too many in this time */
    GUARD_FAULTS,      /* too many errors lately */
    GUARD_FULL,        /* no entry left */
};

void guard_init(struct guard *g);
void guard_drop(struct guard *g);
void guard_use(struct guard *g, const struct settings *s); /* at start and at each reload */

/* One connection more of `name` (for clients the address, network order): OK sets *entry, which
 * guard_close() gives back. */
NODISCARD enum guard_verdict guard_open(struct guard *g, enum guard_kind kind, struct str name,
                                        uint64_t now_ms, struct guard_entry **entry);
void guard_close(struct guard *g, struct guard_entry **entry); /* NULL is allowed */

/* Was it refused for the first time since it was last let in? That is worth a line in the log. */
bool guard_is_news(struct guard *g, enum guard_kind kind, struct str name);

/* Is it the entry of this name? */
bool guard_is(const struct guard *g, const struct guard_entry *e, struct str name);

/* One mail, or one recipient, more of all of them: counted for all or for none. */
NODISCARD bool guard_message(struct guard *g, const struct guard_party *p, uint64_t now_ms);
NODISCARD bool guard_recipient(struct guard *g, const struct guard_party *p, uint64_t now_ms);

void guard_errors(struct guard *g, struct guard_entry *client, uint32_t count, uint64_t now_ms);

/* Shall this attempt be checked at all? `address` is the client's as for guard_open(); `client` may
 * be NULL. */
NODISCARD bool guard_login(struct guard *g, const struct guard_entry *client, struct str address,
                           struct str user, uint64_t now_ms);

/* What it came to. True: the client is locked from now on. */
bool guard_login_done(struct guard *g, struct guard_entry *client, struct str address,
                      struct str user, bool good, uint64_t now_ms);

#endif
