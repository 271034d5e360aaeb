/* auth_link.h -- a worker's connection to Dovecot's authentication socket (setting auth_socket).
 *
 * One connection carries all exchanges. It is made at start and whenever it is missing, at most
 * once a second, and after each failure half as often, down to once in 30 seconds.
 *
 * Thread   the shard's.
 * Memory   at most LIMIT_AUTH_REQUESTS exchanges at once: who comes then is told 454.
 * Promise  each auth_link_ask() and _answer() that returned true is followed by one
 *          login_answered(), unless it is cancelled: with what Dovecot said, or UNAVAILABLE after
 *          auth_timeout, or when the connection ends (TLSIN-08). An exchange that its client does
 *          not go on with is cancelled after auth_timeout, too.
 */
#ifndef SHARDS_AUTH_LINK_H
#define SHARDS_AUTH_LINK_H

#include "shards/dovecot.h"
#include "shards/login.h"

struct auth_link;

/* NULL: no auth_socket is set. */
struct auth_link *auth_link_of(const struct shard *s);

/* After settings were read: begin, change to another path, or end. */
void auth_link_use(struct shard *s);
void auth_link_tick(struct shard *s);

/* True when nothing of it is left; false: it is closing, ask again. */
bool auth_link_stopped(struct shard *s);

/* What Dovecot offers; before it ever said, passwords. */
unsigned auth_link_mechanisms(const struct auth_link *a);

/* Begin an exchange of this intake: *id names it. False: not now. `response` may be NULL. */
NODISCARD bool auth_link_ask(struct auth_link *a, struct intake *i, enum sasl_mechanism m,
                             const struct str *response, uint32_t *id);
/* False: there is no such exchange any more. */
NODISCARD bool auth_link_answer(struct auth_link *a, uint32_t id, struct str response);
void auth_link_cancel(struct auth_link *a, uint32_t id); /* one that is over is allowed */

#endif
