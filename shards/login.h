/* login.h -- AUTH: who checks it, and what it came to.
 *
 * With an auth_socket, Dovecot does (auth_link.h), and whom it accepts must still be a user of an
 * organisation. Without one a password goes to the labourer, and the answer comes back to whoever
 * is still there; a message of SCRAM is answered at once; either way the name is looked up in the
 * snapshot of that moment, and once more before 235.
 *
 * Thread   the shard's.
 * Memory   an exchange of SCRAM hangs on its intake from the first message to the answer.
 * Promise  each login_begin() is followed by one intake_settle_login() or intake_challenge(), at
 *          once or later. A failure is counted and logged here, and counted by the guard in
 *          intake_settle_login() before its answer is held back for auth_delay.
 */
#ifndef SHARDS_LOGIN_H
#define SHARDS_LOGIN_H

#include "shards/dovecot.h"
#include "shards/intake.h"

enum {
    LOGINS_WAITING_MAX = 64
}; /* one shard's; more are told 454 */

void login_begin(struct intake *i);
void login_drop(struct intake *i); /* what is left of an exchange */

/* What the authentication socket says of an exchange. `text`: challenge, or user. */
void login_answered(struct intake *i, uint32_t id, enum dovecot_event event, struct str text);

/* The mechanisms that can be offered now, for smtp_server_settings. */
unsigned login_mechanisms(const struct shard *s);

/* intake.c */
void intake_settle_login(struct intake *i, enum reply reply);
void intake_challenge(struct intake *i, struct str message);

#endif
