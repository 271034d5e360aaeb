/* login.h -- AUTH: the password goes to the labourer, the answer comes back to whoever is still
 * there.
 *
 * Thread   the shard's.
 */
#ifndef SHARDS_LOGIN_H
#define SHARDS_LOGIN_H

#include "shards/intake.h"

enum {
    LOGINS_WAITING_MAX = 64
}; /* one shard's; more are told 454 */

void login_begin(struct intake *i);

/* intake.c */
void intake_settle_login(struct intake *i, enum reply reply);

#endif
