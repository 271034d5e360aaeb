/* wheel.h -- "tell me at tick T", for millions of T at once, in 24 bytes each.
 *
 * The wheel is a cache: the truth about when something is due is the due index of its partition, so
 * losing the wheel loses nothing but a scan. Nothing is ever disarmed: what is no longer due when
 * its time comes is found so by the keeper, and a second arming is harmless.
 *
 * Thread   one.
 * Memory   24 bytes an armed entry, in chunks that are kept for reuse.
 * Time     ticks from an epoch that the caller picks; the wheel reads no clock.
 * Cost     arm O(1); advance O(slots passed + entries touched). An entry is filed again at most
 *          WHEEL_LEVELS - 1 times in its life.
 * Promise  never early; never later than the first wheel_take() loop after its tick. No order among
 *          entries of the same tick.
 */
#ifndef CORE_BASE_WHEEL_H
#define CORE_BASE_WHEEL_H

#include "core/base/base.h"

enum {
    WHEEL_LEVELS = 4,
    WHEEL_SLOT_BITS = 8,
    WHEEL_SLOTS = 1 << WHEEL_SLOT_BITS, /* levels reach 2^8, 2^16, 2^24 and 2^32 ticks */
};

struct wheel_node;

struct wheel {
    uint64_t now; /* everything due at or before this is in `ready` or handed out */
    uint64_t armed;
    uint32_t slot[WHEEL_LEVELS][WHEEL_SLOTS]; /* head of a chain of node indexes; 0 is none */
    uint64_t busy[WHEEL_LEVELS][WHEEL_SLOTS / 64];
    uint32_t ready, free;
    uint32_t nodes, chunks;
    struct wheel_node **chunk;
};

void wheel_init(struct wheel *w, uint64_t now);
void wheel_drop(struct wheel *w);

/* A tick that is past is ready at once. `tag` comes back with the key. False: no memory. */
NODISCARD bool wheel_arm(struct wheel *w, uint64_t key, uint32_t tag, uint64_t tick);

void wheel_advance(struct wheel *w, uint64_t now);

/* One key that is due; false when none is left. Bounded work is the caller's choice. */
bool wheel_take(struct wheel *w, uint64_t *key, uint32_t *tag, uint64_t *tick);

/* A tick at or before the next thing to do (it may be an inner re-filing), or UINT64_MAX. */
uint64_t wheel_next(const struct wheel *w);

/* Every invariant, slowly. For tests. */
void wheel_verify(const struct wheel *w);

#endif
