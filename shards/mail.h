/* mail.h -- a message that is being delivered: fetched from the keeper, shared by its deliveries,
 * dropped when the last is through.
 *
 * Thread   the shard's.
 */
#ifndef SHARDS_MAIL_H
#define SHARDS_MAIL_H

#include "core/mail/dsn.h"
#include "shards/shard.h"

struct mail {
    struct shard *shard;
    struct message *message;
    uint64_t id;
    uint32_t lane;
    struct destination *admitted; /* parked it, and now has room for it; or NULL */
    uint32_t users;               /* deliveries and bounces at work */
    bool parked;                  /* a full destination will ask for it again */
    bool later;                   /* no memory for some of it: fetch it anew after a while */
    bool again;                   /* it became due once more meanwhile: fetch it anew at the end */
};

/* Recipients of one mail on their way to one destination in one transaction. */
struct delivery {
    struct mail *mail;
    enum smtp_tls tls; /* the least that its connection must have */
    uint32_t count;
    uint32_t recipient[]; /* indexes in the message */
};

/* What became of one recipient. */
enum verdict {
    VERDICT_DELIVERED,
    VERDICT_RETRY,
    VERDICT_BOUNCE
};

struct outcome {
    uint32_t recipient;
    enum verdict verdict;
    bool attempted;    /* the keeper has it as SENDING */
    bool exposed;      /* content may have reached the server */
    bool soon;         /* VERDICT_RETRY: try again at once; it counts as no attempt */
    bool relayed;      /* VERDICT_DELIVERED: to a hop without DSN, which will tell nobody */
    struct str why;    /* one printable line: reply or reason; borrowed */
    struct str status; /* enhanced status code "5.1.1"; may be empty */
    struct str digest; /* SHA-256 of the content that was sent, in hex; may be empty */
    struct str remote; /* name of the hop that it is about; may be empty */
    struct str source; /* address of ours that it was called from; may be empty */

    enum dsn_action tell;    /* mail.c: what the sender hears of it */
    uint64_t retry_until_ms; /* mail.c */
};

/* Write outcomes down: MOVEs, and in the same unit a DSN about what the sender is to hear:
 * failures, a delay (once for each recipient, after `delay_notice`), and where it was asked for
 * what a hop without DSN took (RFC 3461 5.2.2). Borrowed strings are copied. The mail is released
 * when it is committed. */
void mail_conclude(struct mail *mail, const struct outcome *outcomes, uint32_t count);

void mail_use(struct mail *mail);
void mail_release(struct mail *mail);

#endif
