/* trial.h -- one try of a delivery over one connection: what the keeper allowed (ATTEMPT), what
 * the next hop said of each recipient, and the outcome of all.
 *
 * A trial outlives its connection: when that is lost while the keeper has not answered, the trial
 * waits for the answer and then ends as deferred.
 *
 * Thread   the shard's.
 * Promise  no recipient counts as attempted, nor gets content, unless its MOVE to SENDING is
 *          synced.
 */
#ifndef SHARDS_TRIAL_H
#define SHARDS_TRIAL_H

#include "shards/mail.h"

struct trial;
struct transmit;

/* Takes over the delivery and asks the keeper; transmit_proceed() is called when it has answered.
 * `remote`: name of the hop, copied; `dsn`: it reports what becomes of a mail (RFC 3461). */
struct trial *trial_make(struct delivery *delivery, struct transmit *transmit, struct str remote,
                         bool dsn);

void trial_comes_from(struct trial *t, struct str source); /* the address of ours; copied */
bool trial_is_answered(const struct trial *t);
const struct smtp_envelope *trial_envelope(struct trial *t); /* of those still in */
struct reply_seen *trial_replies(struct trial *t);           /* one for each of them */

enum trial_next {
    TRIAL_SEND,   /* everyone whom the hop took may get it: DATA */
    TRIAL_NARROW, /* it took somebody who may not: RSET and the envelope again */
    TRIAL_OVER,   /* nobody is left: trial_conclude() */
};
enum trial_next trial_choose(struct trial *t, const struct reply_seen *mail_reply);

void trial_mark_exposed(struct trial *t); /* content goes out from now on */

/* Ends; each frees the trial. */
void trial_conclude(struct trial *t);
/* `digest`: SHA-256 of the content that was sent, in hex; empty where it was not sent whole. */
void trial_answered_dot(struct trial *t, const struct reply_seen *reply, struct str digest);
void trial_refused_data(struct trial *t, const struct reply_seen *reply);
/* `soon`: it was a kept connection that the hop had closed; nothing was answered on it. */
void trial_lost(struct trial *t, bool exposed, bool soon, struct str why);
void trial_unsendable(struct trial *t, bool damaged);

/* transmit.c */
void transmit_proceed(struct transmit *t);

#endif
