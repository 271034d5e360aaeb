/* shard.h -- a worker: one pinned thread with its own ring, listeners, sessions, queue partition
 * and outbound connections. It never blocks and shares nothing but snapshots.
 *
 * Thread   shard_make(), shard_start(), shard_join(): the thread that builds the program.
 *          Everything else in this folder runs on the shard's own thread.
 * Memory   everything that a shard owns hangs on struct shard; what waits for an answer is named
 *          by a slab handle, so that a late answer for something gone finds nothing.
 */
#ifndef SHARDS_SHARD_H
#define SHARDS_SHARD_H

#include "core/base/lapse.h"
#include "core/base/map.h"
#include "core/base/network.h"
#include "core/base/overload.h"
#include "core/io/acceptor.h"
#include "core/io/own.h"
#include "core/io/resolver.h"
#include "core/mail/lane.h"
#include "core/policy/snapshot.h"
#include "crypto/scram.h"
#include "crypto/ticket.h"
#include "shards/guard.h"
#include "shards/lone.h"
#include "shards/smtp_client.h"
#include "shards/smtp_server.h"
#include "shards/source.h"
#include "shards/turns.h"
#include "storage/partition.h"

#include <pthread.h>

struct auth_link;
struct destination;

/* What a COMMIT, FETCH, GRANT, WORK or COMMAND was asked for: answers carry its handle. */
struct waiter {
    void (*answered)(struct waiter *w, const struct cell *answer);
    void *owner;
    struct list commit; /* linked in the shard's `commits` while a COMMIT is not answered */
    uint64_t asked_ms;
};

/* A partition that this shard serves; the first is where its new mails go. */
struct shard_partition {
    struct partition *partition;
    struct ring *ask, *answer;
    uint64_t serial_next;
};

struct shard_listener {
    int fd;
    enum smtp_service service;
};

/* What all workers of a process know and nobody else: made at start, wiped when each has its copy.
 */
struct shard_secrets {
    uint64_t made_ms; /* monotonic */
    uint8_t tickets[TICKET_SEED_BYTES];
    uint8_t scram[SCRAM_SECRET_BYTES]; /* so that a stranger sees one salt on each worker */
};

struct shard_settings {
    uint32_t index, count, core;
    const struct shard_secrets *secrets;
    const struct snapshot *snapshot;
    struct clock_anchor anchor;
    struct ring *to_coordinator;
    const struct shard_listener *listeners;
    uint32_t listener_count;
    struct acceptor_peers *peers; /* the same for all workers; place `index` is filled in */
};

enum shard_lapse { /* one FIFO of deadlines for each length */
    LAPSE_COMMAND,
    LAPSE_HANDSHAKE,
    LAPSE_RATE, /* of content: looked at each time it passes */
    LAPSE_CONNECT,
    LAPSE_REPLY,
    LAPSE_DATA,
    LAPSE_DOT,
    LAPSE_TRANSACTION,
    LAPSE_IDLE,
    LAPSE_AUTHORITY, /* auth_socket's answer, or the client's to it */
    LAPSE_AUTH,      /* a failure's answer is held back */
    LAPSES,
};

/* A deadline embedded in what it watches. */
struct deadline {
    struct lapse_entry entry;
    void (*passed)(struct deadline *d);
    void *owner;
};

struct shard {
    uint32_t index, count, core;
    const struct snapshot *snapshot;
    struct clock_anchor anchor;
    struct clock_boot_id boot;
    struct loop *loop;
    struct port port;
    struct resolver *resolver;
    struct own own; /* what leads back to us */
    struct tls_context *tls_server, *tls_client;
    struct ticket_keys tickets;
    struct scram_server *scram;
    struct auth_link *auth_link; /* NULL: an auth_socket was never set */

    struct shard_partition *partitions;
    uint32_t partition_count;
    struct ring *to_coordinator, *from_coordinator;
    struct ring *to_labourer, *from_labourer;
    struct slab waiters;
    struct list commits; /* oldest first */
    struct lone lone;

    /* inbound */
    struct acceptor acceptors[LIMIT_LISTENERS];
    uint32_t acceptor_count;
    struct acceptor_peers *peers;
    struct smtp_server_settings server_settings[3]; /* by enum smtp_service */
    struct slab intakes;
    struct guard guard;
    struct overload overload;
    uint64_t mail_memory;       /* of mails that are being received */
    uint64_t descriptors;       /* that we may have */
    uint32_t descriptors_short; /* connections when there were too few */
    struct network exempt[LIMIT_NETWORKS], proxies[LIMIT_NETWORKS]; /* of the settings */
    size_t exempt_count, proxy_count;

    /* outbound */
    struct smtp_client_settings client_settings[2]; /* with STARTTLS, and after it failed */
    struct sources sources;
    struct turns turns;      /* the memory of the queues below, and of those of destinations */
    struct turn_queue ready; /* ids that are due and not yet taken up */
    struct turn_queue later; /* ids for which there was no memory: looked at each second */
    struct list unparking;   /* destinations that have ids waiting, and room for them */
    struct list holding;     /* destinations that hold lanes of `ready` */
    uint64_t looked_ms;      /* last look into a held lane */
    uint32_t organisation_mails[LANE_ORGANISATIONS]; /* in work */
    bool organisation_held[LANE_ORGANISATIONS];      /* in `ready`: it has its share */
    struct map mails;                                /* id -> struct mail, being worked on */
    struct map destinations;                         /* domain or route -> struct destination */
    struct list asked;        /* destinations about which the DNS was asked, oldest first */
    struct turn_queue asking; /* those that wait to ask it */
    struct list wanting;      /* those that wait for a connection of `outbound_total` */
    uint32_t lookups, destinations_down;
    uint32_t organisation_connections[LANE_ORGANISATIONS]; /* outbound; who caused the dial */
    struct list pumping; /* destinations with something to start */
    struct slab transmits;
    uint32_t mails_in_work, outbound_count, logins_waiting;

    struct lapse lapses[LAPSES];
    uint64_t pulse_ms;
    bool stopping, stopped;
    pthread_t thread, labour_thread;
};

NODISCARD struct shard *shard_make(const struct shard_settings *s, struct buffer *errors);
struct port *shard_port(struct shard *s); /* where rings to this shard sleep */

/* The partitions whose number is `index` modulo `count`, ascending; the array must live on. */
void shard_start(struct shard *s, struct ring *from_coordinator, struct shard_partition *partitions,
                 uint32_t partition_count);

/* After STOPPED. What is left is given back by the process. */
void shard_join(struct shard **s);

/* For the files of this folder. */
uint64_t shard_adopted_ms(const struct shard *s);
uint64_t shard_new_id(const struct shard *s, struct shard_partition *p);
struct shard_partition *shard_partition_of(struct shard *s, uint64_t id); /* NULL: not ours */

/* The first descriptor that a call to a next hop may not have: what is behind it is the disk's and
 * the control socket's (DOS-10). */
int shard_descriptor_end(const struct shard *s);

/* Looks at what MAIL depends on: memory, commits, disk, the state of the partition. */
void shard_look(struct shard *s);

/* Ask and be called back, always: the owner must outlive the answer. False: too much is asked
 * already (answer 4xx, or try later). */
NODISCARD bool shard_commit(struct shard *s, struct shard_partition *p, struct unit *u,
                            void (*answered)(struct waiter *, const struct cell *), void *owner);
NODISCARD bool shard_ask(struct shard *s, struct ring *r, struct cell *question,
                         void (*answered)(struct waiter *, const struct cell *), void *owner);

/* Content of a mail for this partition begins: its commit may be near. */
void shard_expect(struct shard *s, struct shard_partition *p);

void shard_deadline(struct shard *s, enum shard_lapse which, struct deadline *d);

#endif
