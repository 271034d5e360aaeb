/* retry.h -- when a recipient that failed for a while is tried again (RFC 5321 4.5.4.1).
 *
 * Thread   any; pure. The jitter of a quarter either way keeps a thousand mails for one dead host
 *          from coming back together; recipients of one mail have the same, so that those of one
 *          destination still go in one transaction.
 */
#ifndef SHARDS_RETRY_H
#define SHARDS_RETRY_H

#include "core/base/setting.h"
#include "core/mail/envelope.h"

/* A number that looks random, the same for each recipient of the mail at the same attempt. */
uint64_t retry_jitter(uint64_t id, uint32_t attempts);

/* Milliseconds to wait after `attempts` failed ones (at least 1). */
uint64_t retry_interval_ms(const struct settings *s, uint32_t attempts, uint64_t random);

/* Has the mail been tried for long enough? Counted from its release, not from its acceptance. */
bool retry_is_over(const struct settings *s, const struct recipient *r, uint64_t accepted_ms,
                   uint64_t now_ms);

#endif
