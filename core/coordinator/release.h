/* release.h -- the wheel of timed release of one partition: what is due in the next hour.
 *
 * The wheel is a cache of the partition's due index and may lose anything: every message below the
 * horizon was armed by the keeper, which arms what changes below it by itself; the rest comes with
 * the next refill. A double arming is harmless, because the keeper checks every move.
 *
 * Thread   one.
 * Time     adopted ms; ticks of 100 ms, a due time is rounded up.
 * Promise  never early: while adopted time is behind the wheel (the wall clock was put back)
 *          nothing comes out. Put back by more than RELEASE_BACK_MS, the wheel starts anew and asks
 *          for everything again.
 */
#ifndef CORE_COORDINATOR_RELEASE_H
#define CORE_COORDINATOR_RELEASE_H

#include "core/base/wheel.h"

enum {
    RELEASE_TICK_MS = 100,
    RELEASE_BACK_MS = 2000,
    RELEASE_HORIZON_MS = 3600000,
    RELEASE_REFILL_MS = RELEASE_HORIZON_MS / 2, /* so much is left when more is asked for */
};

struct release {
    struct wheel wheel;
    uint64_t horizon_ms;  /* everything due below it was armed, or is about to be */
    bool refilling;       /* asked, REFILLED has not come */
    bool short_of_memory; /* an arming was lost: the next refill begins at 0 */
    uint64_t armed, late_ms_max;
};

void release_init(struct release *r, uint64_t now_ms);
void release_drop(struct release *r);

void release_arm(struct release *r, uint64_t id, uint32_t lane, uint64_t due_ms);

/* Should the keeper be asked for more? Then from *from_ms up to *to_ms; counts as asked. */
NODISCARD bool release_wants(struct release *r, uint64_t now_ms, uint64_t *from_ms,
                             uint64_t *to_ms);
void release_refilled(struct release *r);

void release_advance(struct release *r, uint64_t now_ms);

/* A message that is due; false when none is. */
struct due {
    uint64_t id, due_ms;
    uint32_t lane; /* core/mail/lane.h */
};

NODISCARD bool release_take(struct release *r, uint64_t now_ms, struct due *out);

/* Adopted ms of the next thing to do, or UINT64_MAX. */
uint64_t release_next_ms(const struct release *r);

#endif
