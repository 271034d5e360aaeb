/* calendar.h -- when something is open: windows of a week in a time zone, less holidays.
 *
 * A window belongs to the local day on which it begins; across midnight it reaches into the next
 * day, whatever that is. It opens once and closes once: where the clock is set back, at the first
 * passing of each time; where it jumps ahead, at the jump; a window that falls into such a gap
 * whole opens at the jump for its full length. A day that the zone leaves out has none (TIME-04).
 *
 * Thread   any; pure, once it is set up.
 * Memory   embedded windows; holidays in the arena given. The zone must outlive the calendar.
 * Time     milliseconds since 1970 UTC, as adopted (clock.h).
 * Cost     some hundred nanoseconds; next_opening() up to LIMIT_CALENDAR_DAYS looks at a calendar
 *          that never opens.
 */
#ifndef CORE_BASE_CALENDAR_H
#define CORE_BASE_CALENDAR_H

#include "core/base/limit.h"
#include "core/base/zone.h"

struct calendar_window {
    uint8_t days;                    /* mask of 1 << DATE_MONDAY ... on which it begins */
    uint16_t from_minute, to_minute; /* of the day; `to` is over 24 hours across midnight */
};

struct calendar_range {
    struct date first, last; /* both included; year 0 in both: of every year */
    bool work;
};

struct calendar {
    const struct zone *zone;
    struct arena *arena;
    bool japan; /* holiday_in_japan() are holidays */
    struct calendar_window windows[LIMIT_CALENDAR_WINDOWS];
    uint32_t window_count;
    struct calendar_range *ranges;
    uint32_t range_count, range_room;
};

enum calendar_status {
    CALENDAR_OK,
    CALENDAR_BAD,  /* no days, times over 24:00, an empty window, no date, a range that runs back */
    CALENDAR_FULL, /* LIMIT_CALENDAR_WINDOWS, LIMIT_CALENDAR_RANGES */
    CALENDAR_NO_MEMORY,
};

/* Without a window it is never open. */
void calendar_init(struct calendar *c, const struct zone *zone, struct arena *arena);

/* "09:00-19:00": 540, 1140. Where `to` is before `from` it is of the next day ("19:00-09:00");
 * "00:00-24:00" is a whole day. Windows may overlap. */
NODISCARD enum calendar_status calendar_add_window(struct calendar *c, unsigned days,
                                                   unsigned from_minute, unsigned to_minute);

void calendar_use_japan(struct calendar *c);

/* Days without windows. Year 0 in both: every year, also across its end (12-29 to 01-03). */
NODISCARD enum calendar_status calendar_add_holidays(struct calendar *c, struct date first,
                                                     struct date last);

/* Days that are no holidays, whatever else says so; windows still have their days of the week. */
NODISCARD enum calendar_status calendar_add_workdays(struct calendar *c, struct date first,
                                                     struct date last);

bool calendar_is_holiday(const struct calendar *c, int32_t day);

bool calendar_is_open(const struct calendar *c, uint64_t ms);

/* The time given, if it is open then; UINT64_MAX: not within LIMIT_CALENDAR_DAYS. */
uint64_t calendar_next_opening(const struct calendar *c, uint64_t ms);

/* The time given, if it is closed then; UINT64_MAX: not for LIMIT_CALENDAR_DAYS windows. */
uint64_t calendar_next_closing(const struct calendar *c, uint64_t ms);

/* "09:00" to 540, "24:00" to 1440; false: no time. For whoever reads settings. */
NODISCARD bool calendar_parse_minute(struct str text, unsigned *minute);

/* "2026-12-29", or "12-29" with year 0. */
NODISCARD bool calendar_parse_date(struct str text, struct date *out);

#endif
