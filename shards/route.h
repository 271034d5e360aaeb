/* route.h -- where mail for one domain goes: its exchangers, its queue, its connections.
 *
 * In the queue of a destination lanes take turns (turns.h). When it is full, further ids are parked
 * (16 bytes each), and the lanes from which they came are held, until there is room again: a dead
 * server holds up nobody else, and costs no memory. When no exchanger can be reached, everything
 * that waits, parked ids and held lanes included, is deferred at once.
 *
 * Thread   the shard's.
 * Memory   a destination lives while it has anything waiting or connected, and a minute more.
 */
#ifndef SHARDS_ROUTE_H
#define SHARDS_ROUTE_H

#include "shards/mail.h"
#include "shards/pace.h"

enum {
    ROUTE_QUEUE_MAX = 200, /* deliveries waiting; fewer when there are many mails in work */
};

struct transmit;

struct destination {
    struct shard *shard;
    struct list link;                /* in shard->pumping when something is to be started */
    struct list unparking;           /* in shard->unparking when parked ids can be taken up */
    struct buffer name;              /* domain, or the route */
    struct list holding;             /* in shard->holding while it holds lanes */
    struct turn_queue queue, parked; /* of deliveries; of ids */
    struct turn_holds holds;         /* lanes of shard->ready whose ids are most likely for it */
    uint32_t coming;                 /* ids that were admitted and are being fetched */
    struct delivery *open;           /* being filled by the outbox, within one call */
    struct list open_link;
    struct list idle; /* transmits that could take a delivery */
    uint32_t connections, connecting;

    struct list wanting; /* in shard->wanting while a connection is wanted and none is free */
    struct list asked;   /* in shard->asked while resolving */
    bool waits_to_ask;   /* it stands in shard->asking */
    uint64_t asked_ms;
    struct question question;
    bool is_route; /* it is the route, a host and port that we were told, not a domain */
    bool resolving, resolved;
    uint32_t source_turn; /* of the shard's sources */
    bool plain_next;      /* the next dial goes without TLS: its handshake just failed */
    uint64_t resolved_ms; /* monotonic */
    struct exchanger *exchangers;
    uint32_t exchanger_count;
    struct pace pace;        /* while it is down, new deliveries are deferred at once */
    struct buffer defer_why; /* why it is down */
    uint64_t touched_ms;
};

/* The destination of a recipient's domain, made when new; NULL without memory. */
struct destination *route_of(struct shard *s, struct str domain);

/* Queue a delivery. */
void route_add(struct destination *d, struct delivery *delivery);
bool route_is_full(const struct destination *d);
void route_park(struct destination *d, const struct mail *mail, bool hold_lane);

/* An id that waited and has room now; false: none. It is on its way until route_came(). */
bool route_unpark(struct destination *d, uint32_t *lane, uint64_t *id);
void route_came(struct destination *d);

/* An id of a held lane, room or not: it may be another destination's. */
bool route_look(struct destination *d, uint32_t *lane, uint64_t *id);

/* Next delivery for a connection that is ready; NULL: none. */
struct delivery *route_take(struct destination *d);

/* A connection is over. `reached`: it got as far as a greeting; else the next exchanger is tried,
 * and when there is none left everything waiting is deferred with `why`. */
void route_connection_gone(struct destination *d, bool reached, uint32_t exchanger, struct str why);

/* What connections tell of it: one was greeted, a mail was taken, "slow down" in any form. */
void route_greeted(struct destination *d);
void route_took(struct destination *d);
void route_slowed(struct destination *d, struct str why);

/* Whose delivery comes next; that organisation pays for a connection. */
uint32_t route_organisation(const struct destination *d);

/* A connection of `outbound_total` came free. */
void route_slot_free(struct shard *s);

/* It has more connections than it should have: one that is idle goes. */
bool route_is_crowded(const struct destination *d);

void route_turn(struct shard *s); /* start what can be started */
void route_tick(struct shard *s); /* every second: forget the unused */
void route_try(struct shard *s);  /* destinations that are down are tried when mail comes */

#endif
