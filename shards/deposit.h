/* deposit.h -- a body on its way to the disk, as it arrives.
 *
 * Up to LIMIT_INLINE_BYTES it gathers in memory and travels in its journal group. What is larger,
 * or was announced as larger, streams through two staging buffers into extents that the keeper
 * grants.
 *
 * Thread   the shard's.
 * Memory   LIMIT_INLINE_BYTES, or two staging buffers and a spill of one receive: independent of
 *          the mail's size. A deposit that is dropped while the kernel writes frees itself
 *          afterwards.
 * Errors   DEPOSIT_FULL: the partition grants nothing (452). DEPOSIT_FAILED: a write failed (451).
 */
#ifndef SHARDS_DEPOSIT_H
#define SHARDS_DEPOSIT_H

#include "shards/shard.h"
#include "storage/extent.h"

enum deposit_status {
    DEPOSIT_OK,
    DEPOSIT_WAIT, /* do not put more until ready() is called */
    DEPOSIT_FULL,
    DEPOSIT_FAILED,
};

struct deposit;

/* `expected` is the size that the client announced, 0: none. */
struct deposit *deposit_make(struct shard *s, struct shard_partition *p, uint64_t id,
                             uint64_t expected, void (*ready)(void *owner), void *owner);
void deposit_drop(struct deposit **d); /* what was granted goes back */

/* All of `run` is taken (at most one receive's worth). After FULL or FAILED it is thrown away. */
enum deposit_status deposit_put(struct deposit *d, struct str run);

/* No more comes: WAIT until the last block is on its way down, then OK. */
enum deposit_status deposit_finish(struct deposit *d);

/* After an OK finish: the body goes into the message, and for an inline one `*body` is heap memory
 * that the caller owns now. False: no memory. */
NODISCARD bool deposit_settle(struct deposit *d, struct message *m, char **body);

/* The mail is committed: only what it does not use goes back when the deposit is dropped. */
void deposit_keep(struct deposit *d);

/* Its memory now. */
size_t deposit_memory(const struct deposit *d);

/* The first bytes, as far as they are in memory: all of an inline body. */
struct str deposit_inline(const struct deposit *d);

#endif
