/* zone.h -- a time zone, from a compiled file of tzdata (RFC 8536, version 2 and later).
 *
 * libc's zones are global state; these are values. A snapshot of the settings holds those that it
 * names; nothing changes while it lives.
 *
 * Thread   any; pure. zone_load() reads a file, at start or when settings are read.
 * Memory   in the arena given: at most LIMIT_ZONE_CHANGES * 16 bytes and the rest of the struct.
 * Time     seconds since 1970 UTC (negative before), no leap seconds; more than 20,000 years away
 *          the calendar stands still.
 * Cost     a binary search, or a few days of arithmetic behind the table's end.
 */
#ifndef CORE_BASE_ZONE_H
#define CORE_BASE_ZONE_H

#include "core/base/arena.h"
#include "core/base/date.h"

/* When a rule of the footer takes effect in a year (POSIX TZ): "M3.2.0/2", "J60", "59". */
struct zone_edge {
    enum {
        ZONE_MONTH,  /* weekday `day` number `week` (5: the last) of `month` */
        ZONE_JULIAN, /* day `day` from 1; February 29 is never counted */
        ZONE_DAY,    /* day `day` from 0 */
    } kind;

    uint16_t month, week, day;
    int32_t time_s; /* by the clock before it */
};

struct zone_change {
    int64_t at_s;
    int32_t offset_s; /* from then on, east of UTC */
};

struct zone {
    struct str name;
    int32_t first_offset_s; /* before the first change */
    struct zone_change *changes;
    uint32_t change_count;
    bool has_rule, has_summer; /* what goes on behind the last change */
    int32_t offset_s, summer_offset_s;
    struct zone_edge summer_start, summer_end;
};

enum zone_status {
    ZONE_OK,
    ZONE_NO_NAME, /* not a name of a zone */
    ZONE_MISSING, /* there is no such zone here: the package tzdata has them */
    ZONE_BAD,     /* not a file of RFC 8536, or one with leap seconds */
    ZONE_TOO_BIG, /* over LIMIT_ZONE_BYTES, LIMIT_ZONE_CHANGES */
    ZONE_NO_MEMORY,
};

NODISCARD enum zone_status zone_read(struct str name, struct str bytes, struct arena *arena,
                                     struct zone *out);

/* The file of that name ("Asia/Tokyo") below `directory`. */
NODISCARD enum zone_status zone_load(const char *directory, struct str name, struct arena *arena,
                                     struct zone *out);

/* Where the system keeps them. */
#define ZONE_DIRECTORY "/usr/share/zoneinfo"

/* East of UTC, at that time; `until_s` (or NULL) gets the next change, INT64_MAX without one. */
int32_t zone_offset(const struct zone *z, int64_t utc_s, int64_t *until_s);

/* What clock and calendar of the zone show. */
struct zone_time {
    int32_t day;     /* date_of_day() */
    uint32_t second; /* of it, 0 .. 86399 */
};

struct zone_time zone_local(const struct zone *z, int64_t utc_s);

/* The first moment at which the local clock shows `second` of `day`, or later: a time that is left
 * out is where the clock jumps, a time that comes twice is its first. `second` may be over a day.
 * Never decreases with its arguments. */
int64_t zone_utc(const struct zone *z, int32_t day, uint32_t second);

/* [from, to) of a local day; empty if the zone left it out (Pacific/Apia, 2011-12-30). */
void zone_day(const struct zone *z, int32_t day, int64_t *from_s, int64_t *to_s);

#endif
