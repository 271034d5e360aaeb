/* clock.h -- the only door to time.
 *
 * Thread   any.
 * Time     wall: CLOCK_REALTIME, jumps. monotonic: for time-outs and durations. boot:
 *          CLOCK_BOOTTIME, goes on while the machine sleeps; together with the boot id it measures
 *          holds.
 */
#ifndef CORE_BASE_CLOCK_H
#define CORE_BASE_CLOCK_H

#include "core/base/str.h"

uint64_t clock_wall_ms(void);
uint64_t clock_wall_us(void);
uint64_t clock_monotonic_ms(void);
uint64_t clock_monotonic_ns(void);
uint64_t clock_boot_ms(void);

struct clock_boot_id {
    char at[16]; /* random, new at each boot of the machine */
};

struct clock_boot_id clock_boot_id(void);

/* Does the kernel say that NTP keeps the wall clock? */
bool clock_synchronised(void);

/* An anchor ties the wall clock to the boot clock. Adopted time is min(wall, anchor + what the boot
 * clock has counted since): on one boot a jump forward gains nothing, a jump back only delays.
 * Everything about holds uses adopted time. */
struct clock_anchor {
    uint64_t adopted_ms, boot_ms;
};

static inline uint64_t clock_adopted_ms(const struct clock_anchor *a, uint64_t wall_ms,
                                        uint64_t boot_ms)
{
    return u64_min(wall_ms, a->adopted_ms + (boot_ms - a->boot_ms));
}

/* Date of RFC 5322 3.3 in UTC, "Tue, 24 Nov 2026 04:38:46 +0000", into 32 bytes. */
struct clock_date {
    char at[32];
};

struct clock_date clock_date(uint64_t wall_ms);

/* "2026-11-24T04:38:46.123Z" */
struct clock_date clock_stamp(uint64_t wall_ms);

/* The date-time of RFC 3339, whole: "2026-11-24T13:38:46.123+09:00". What is finer than a
 * millisecond is rounded up. False: it is none, or before 1970. */
NODISCARD bool clock_parse(struct str in, uint64_t *wall_ms);

#endif
