/* timekeeper.h -- adopted time: what the coordinator holds against the wall clock's jumps.
 *
 * A new anchor is due every 10 s, and at once when the wall clock was put back: what is accepted in
 * the meantime counts from there, so a later correction forward must gain nothing. After a boot
 * with a doubtful clock (far ahead of the last anchor, or behind it) nothing is handed out until
 * clock_confirm has passed, or the kernel says that NTP is synchronised, or an operator confirms;
 * the latter two adopt the wall clock as it is then.
 *
 * Thread   one. Reads no clock: `struct now` is taken once a turn.
 */
#ifndef CORE_COORDINATOR_TIMEKEEPER_H
#define CORE_COORDINATOR_TIMEKEEPER_H

#include "core/base/clock.h"

enum {
    TIMEKEEPER_ANCHOR_MS = 10000,
    TIMEKEEPER_BACK_MS = 200,      /* less is slewing */
    TIMEKEEPER_SAME_MS = 500,      /* wall and adopted time count as one */
    TIMEKEEPER_DOUBT_MS = 3600000, /* a boot this far past the last anchor is doubted */
};

struct now {
    uint64_t wall_ms, boot_ms, monotonic_ms;
};

struct timekeeper {
    struct clock_anchor anchor;
    bool doubtful;
    uint64_t started_ms;      /* monotonic */
    struct clock_anchor seen; /* wall and boot clock when timekeeper_jump() looked last */
};

/* What replay found in one partition, as far as time is concerned. */
struct anchor_report {
    struct clock_anchor anchor;
    struct clock_boot_id boot;
};

struct now now_read(void);

/* Adopted time at start from the anchors of all partitions. Same boot: by the newest anchor. A new
 * boot: the wall clock, doubtful when it is behind every anchor or an hour past the newest. */
struct clock_anchor timekeeper_first(const struct anchor_report *reports, size_t count,
                                     const struct clock_boot_id *boot, const struct now *now,
                                     bool *doubtful);

void timekeeper_init(struct timekeeper *t, struct clock_anchor anchor, bool doubtful,
                     const struct now *now);

static inline uint64_t timekeeper_adopted(const struct timekeeper *t, const struct now *now)
{
    return clock_adopted_ms(&t->anchor, now->wall_ms, now->boot_ms);
}

/* Is it time for a new anchor? Then it is already in t->anchor, to be told to everybody. */
NODISCARD bool timekeeper_turn(struct timekeeper *t, const struct now *now);

/* What the wall clock has gained on the boot clock since the last call, or lost when it is
 * negative; 0 below TIMEKEEPER_SAME_MS. So each jump is told once. */
NODISCARD int64_t timekeeper_jump(struct timekeeper *t, const struct now *now);

/* Ends a doubt when it may end: true once, at the moment it does. `synchronised` as the kernel
 * says. */
NODISCARD bool timekeeper_doubt_over(struct timekeeper *t, const struct now *now,
                                     uint64_t confirm_ms, bool synchronised);

/* An operator's word that the wall clock is right: it becomes the anchor, whatever was before. */
void timekeeper_confirm(struct timekeeper *t, const struct now *now);

/* An adopted time in the future as the wall clock will show it. */
static inline uint64_t timekeeper_wall(uint64_t adopted_now_ms, const struct now *now,
                                       uint64_t adopted_ms)
{
    uint64_t apart = now->wall_ms - u64_min(now->wall_ms, adopted_now_ms);
    if (apart < TIMEKEEPER_SAME_MS || adopted_ms <= adopted_now_ms)
        return adopted_ms; /* what two readings of the clocks differ by is not shown as a change */
    return now->wall_ms + (adopted_ms - adopted_now_ms);
}

#endif
