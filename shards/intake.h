/* intake.h -- an inbound connection: the SMTP session (smtp_server.h) on the wire, what it may
 * send, and where its mail goes.
 *
 * Thread   the shard's, but intake_prepare().
 * Memory   an idle one is its struct and the session's; see deposit.h for one that sends a mail.
 * Promise  nothing is answered 250 before its unit is synced. When the client is gone before the
 *          answer, the mail is still ours (RFC 5321 4.1.1.10).
 */
#ifndef SHARDS_INTAKE_H
#define SHARDS_INTAKE_H

#include "core/io/connection.h"
#include "core/io/proxy.h"
#include "core/mail/header.h"
#include "shards/deposit.h"

enum intake_wait { /* why nothing is fed to the session */
    WAIT_NOTHING,
    WAIT_DRAIN, /* it has not read our replies */
    WAIT_LOGIN,
    WAIT_PAUSE,   /* after a wrong password */
    WAIT_DEPOSIT, /* the disk is slower than the client */
    WAIT_FINISH,  /* the last block */
    WAIT_COMMIT,
    WAIT_ORDER, /* a reply mail's command */
};

struct intake {
    struct shard *shard;
    struct connection connection;
    struct smtp_server session;
    struct deadline deadline;
    enum smtp_service service;
    enum intake_wait wait;
    bool closing;
    bool proxied;    /* the header of a load balancer comes first */
    bool behind;     /* it has come */
    bool rating;     /* the deadline watches the rate of content, not the time of a command */
    char client[16]; /* address, network order */
    size_t client_bytes;
    struct address_text client_text;
    struct proxy proxy;
    struct login *login;      /* login.c's, within AUTH */
    struct guard_party party; /* whose limits count */
    uint32_t errors_told;     /* of the session's, to the guard */

    /* of the mail that is being received */
    struct deposit *deposit;
    struct header header;
    uint64_t id;
    uint64_t began_ms;          /* its MAIL */
    size_t memory;              /* of its deposit, as the shard counts it */
    uint64_t rate_bytes;        /* content that had come when the rate was last looked at */
    enum reply refusal;         /* known before the end; REPLIES: none */
    struct buffer organisation; /* name; found at MAIL */
};

void intake_prepare(struct shard *s, const struct shard_listener *listeners, uint32_t count);
void intake_start(struct shard *s);
void intake_stop_all(struct shard *s); /* no new ones; idle ones hear 421 */

/* The answer that the session waits for (MESSAGE). */
void intake_settle(struct intake *i, enum reply reply, struct str text);

/* acceptance.c: the end of data; ends in intake_settle() now or later. */
void acceptance_begin(struct intake *i);

/* order.c: is this mail for the gate address? Then it is obeyed, not queued. */
bool order_is_for_gate(const struct intake *i);
void order_begin(struct intake *i);

/* trace.c: what goes before the stored body. */
void trace_fields_write(const struct intake *i, const struct header_facts *facts, uint64_t wall_ms,
                        struct buffer *out, struct buffer *message_id);

#endif
