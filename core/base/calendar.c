#include "core/base/calendar.h"

#include "core/base/holiday.h"

enum {
    DAY_MINUTES = 24 * 60,
    FIRST_RANGES = 8,
    LEAP_YEAR = 2000, /* of which every month and day is valid */
};

void calendar_init(struct calendar *c, const struct zone *zone, struct arena *arena)
{
    *c = (struct calendar){.zone = zone, .arena = arena};
}

enum calendar_status calendar_add_window(struct calendar *c, unsigned days, unsigned from_minute,
                                         unsigned to_minute)
{
    if (!days || days >= 1u << DATE_WEEK || from_minute >= DAY_MINUTES || to_minute > DAY_MINUTES ||
        from_minute == to_minute)
        return CALENDAR_BAD;
    if (c->window_count == LIMIT_CALENDAR_WINDOWS)
        return CALENDAR_FULL;
    if (to_minute < from_minute)
        to_minute += DAY_MINUTES;
    c->windows[c->window_count++] =
        (struct calendar_window){(uint8_t)days, (uint16_t)from_minute, (uint16_t)to_minute};
    return CALENDAR_OK;
}

void calendar_use_japan(struct calendar *c)
{
    c->japan = true;
}

/* ---- holidays */

static bool is_any_year(struct date d)
{
    d.year = LEAP_YEAR;
    return date_is_valid(d);
}

/* In the order of a year, or of all of them. */
static int32_t rank(struct date d)
{
    return (d.year * 16 + d.month) * 32 + d.day;
}

static bool grow(struct calendar *c)
{
    uint32_t room = c->range_room ? c->range_room * 2 : FIRST_RANGES;
    struct calendar_range *ranges = arena_take(c->arena, room * sizeof *ranges);
    if (!ranges)
        return false;
    if (c->range_count)
        memcpy(ranges, c->ranges, c->range_count * sizeof *ranges);
    c->ranges = ranges;
    c->range_room = room;
    return true;
}

static enum calendar_status add_range(struct calendar *c, struct date first, struct date last,
                                      bool work)
{
    bool yearly = first.year == 0 && last.year == 0;
    if (yearly ? !is_any_year(first) || !is_any_year(last)
               : !date_is_valid(first) || !date_is_valid(last) || rank(first) > rank(last))
        return CALENDAR_BAD;
    if (c->range_count == LIMIT_CALENDAR_RANGES)
        return CALENDAR_FULL;
    if (c->range_count == c->range_room && !grow(c))
        return CALENDAR_NO_MEMORY;
    c->ranges[c->range_count++] = (struct calendar_range){first, last, work};
    return CALENDAR_OK;
}

enum calendar_status calendar_add_holidays(struct calendar *c, struct date first, struct date last)
{
    return add_range(c, first, last, false);
}

enum calendar_status calendar_add_workdays(struct calendar *c, struct date first, struct date last)
{
    return add_range(c, first, last, true);
}

static bool is_in(const struct calendar_range *r, struct date d)
{
    int32_t first = rank(r->first), last = rank(r->last);
    if (r->first.year == 0)
        d.year = 0;
    int32_t at = rank(d);
    return first <= last ? at >= first && at <= last : at >= first || at <= last;
}

bool calendar_is_holiday(const struct calendar *c, int32_t day)
{
    struct date d = date_of_day(day);
    bool holiday = c->japan && holiday_in_japan(day);
    for (uint32_t i = 0; i < c->range_count; i++) {
        if (!is_in(&c->ranges[i], d))
            continue;
        if (c->ranges[i].work)
            return false;
        holiday = true;
    }
    return holiday;
}

/* ---- windows */

struct span {
    int64_t from_s, to_s;
};

/* When window `w` that begins on `day` is open. False: it is not. */
static bool read_span(const struct calendar *c, const struct calendar_window *w, int32_t day,
                      struct span *out)
{
    const uint32_t from = w->from_minute * 60u, to = w->to_minute * 60u;
    out->from_s = zone_utc(c->zone, day, from);
    out->to_s = zone_utc(c->zone, day, to);
    if (out->from_s < out->to_s)
        return true;
    int64_t first, last; /* the clock jumped over it, or over the day */
    zone_day(c->zone, day, &first, &last);
    out->to_s = out->from_s + (to - from);
    return first < last;
}

static bool begins_on(const struct calendar_window *w, int32_t day, bool holiday)
{
    return !holiday && (w->days >> date_weekday(day) & 1);
}

/* The end of a window that is open then; INT64_MIN: none is. A window begins at most a day before
 * its end, and where the clock is set back over midnight, tomorrow's may have begun. */
static int64_t find_open(const struct calendar *c, int64_t now_s)
{
    int64_t end = INT64_MIN;
    int32_t today = zone_local(c->zone, now_s).day;
    for (int32_t day = today - 2; day <= today + 1; day++) {
        bool holiday = calendar_is_holiday(c, day);
        for (uint32_t i = 0; i < c->window_count; i++) {
            struct span s;
            if (begins_on(&c->windows[i], day, holiday) && read_span(c, &c->windows[i], day, &s) &&
                s.from_s <= now_s && now_s < s.to_s && s.to_s > end)
                end = s.to_s;
        }
    }
    return end;
}

bool calendar_is_open(const struct calendar *c, uint64_t ms)
{
    return find_open(c, (int64_t)(ms / 1000)) != INT64_MIN;
}

/* The first beginning on `day` that is later than `now_s`, or INT64_MAX. */
static int64_t find_opening(const struct calendar *c, int32_t day, int64_t now_s)
{
    int64_t first = INT64_MAX;
    bool holiday = calendar_is_holiday(c, day);
    for (uint32_t i = 0; i < c->window_count; i++) {
        struct span s;
        if (begins_on(&c->windows[i], day, holiday) && read_span(c, &c->windows[i], day, &s) &&
            s.from_s > now_s && s.from_s < first)
            first = s.from_s;
    }
    return first;
}

uint64_t calendar_next_opening(const struct calendar *c, uint64_t ms)
{
    if (calendar_is_open(c, ms))
        return ms;
    int64_t now_s = (int64_t)(ms / 1000);
    int32_t today = zone_local(c->zone, now_s).day;
    for (int32_t day = today - 1; day <= today + LIMIT_CALENDAR_DAYS; day++) {
        int64_t first = find_opening(c, day, now_s);
        if (first != INT64_MAX)
            return (uint64_t)first * 1000; /* no later day's window begins before it */
    }
    return UINT64_MAX;
}

uint64_t calendar_next_closing(const struct calendar *c, uint64_t ms)
{
    int64_t at_s = (int64_t)(ms / 1000);
    for (uint32_t i = 0; i < LIMIT_CALENDAR_DAYS; i++) {
        int64_t end = find_open(c, at_s);
        if (end == INT64_MIN)
            return i ? (uint64_t)at_s * 1000 : ms;
        at_s = end;
    }
    return UINT64_MAX;
}

/* ---- texts of settings */

/* `digits` of them, then `after` (0: the end). */
static bool take_digits(struct str *in, size_t digits, char after, unsigned *out)
{
    uint64_t value;
    size_t len = digits + (after != '\0');
    if (in->len < len || (!after && in->len != len) || (after && in->at[digits] != after) ||
        !str_number(str_head(*in, digits), UINT16_MAX, &value))
        return false;
    *in = str_skip(*in, len);
    *out = (unsigned)value;
    return true;
}

bool calendar_parse_minute(struct str text, unsigned *minute)
{
    unsigned hours, minutes;
    if (!take_digits(&text, text.len == 4 ? 1 : 2, ':', &hours) ||
        !take_digits(&text, 2, '\0', &minutes) || minutes > 59)
        return false;
    *minute = hours * 60 + minutes;
    return *minute <= DAY_MINUTES;
}

bool calendar_parse_date(struct str text, struct date *out)
{
    unsigned year = 0, month, day;
    bool yearly = text.len == sizeof "12-29" - 1;
    if ((!yearly && !take_digits(&text, 4, '-', &year)) || !take_digits(&text, 2, '-', &month) ||
        !take_digits(&text, 2, '\0', &day) || month > 12 || day > 31)
        return false;
    *out = (struct date){(int32_t)year, (uint8_t)month, (uint8_t)day};
    return yearly ? is_any_year(*out) : date_is_valid(*out);
}
