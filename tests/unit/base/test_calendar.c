#include "tests/unit/harness.h"

#include "core/base/calendar.h"

enum {
    ARENA_BYTES = 1 << 20,
    WEEKDAYS = 1 << DATE_MONDAY | 1 << DATE_TUESDAY | 1 << DATE_WEDNESDAY | 1 << DATE_THURSDAY |
               1 << DATE_FRIDAY,
    ALL_DAYS = (1 << DATE_WEEK) - 1,
    STEP_S = 60,
};

static uint64_t utc_ms(int32_t year, unsigned month, unsigned day, unsigned hour, unsigned minute)
{
    int64_t days = date_to_day((struct date){year, (uint8_t)month, (uint8_t)day});
    return (uint64_t)(days * DATE_DAY_S + hour * 3600 + minute * 60) * 1000;
}

/* Of a local date and time in Tokyo. */
static uint64_t tokyo_ms(int32_t year, unsigned month, unsigned day, unsigned hour, unsigned minute)
{
    return utc_ms(year, month, day, hour, minute) - 9 * 3600000;
}

struct fixture {
    struct arena arena;
    struct zone zone;
    struct calendar calendar;
};

static void start(struct fixture *f, const char *zone)
{
    arena_init(&f->arena, ARENA_BYTES);
    CU_ASSERT_FATAL(zone_load(ZONE_DIRECTORY, str_c(zone), &f->arena, &f->zone) == ZONE_OK);
    calendar_init(&f->calendar, &f->zone, &f->arena);
}

static void stop(struct fixture *f)
{
    arena_drop(&f->arena);
}

static void add_window(struct calendar *c, unsigned days, const char *from, const char *to)
{
    unsigned a = 0, b = 0;
    CU_ASSERT_FATAL(calendar_parse_minute(str_c(from), &a));
    CU_ASSERT_FATAL(calendar_parse_minute(str_c(to), &b));
    CU_ASSERT_FATAL(calendar_add_window(c, days, a, b) == CALENDAR_OK);
}

static void add_days(struct calendar *c, bool work, const char *first, const char *last)
{
    struct date a, b;
    CU_ASSERT_FATAL(calendar_parse_date(str_c(first), &a));
    CU_ASSERT_FATAL(calendar_parse_date(str_c(last), &b));
    CU_ASSERT_FATAL((work ? calendar_add_workdays(c, a, b) : calendar_add_holidays(c, a, b)) ==
                    CALENDAR_OK);
}

/* ---- an office in Japan: 9 to 19 on weekdays, holidays, the end of the year, a day worked */

static const struct {
    const char *name;
    int32_t year;
    unsigned month, day, hour, minute;
    bool open;
    unsigned next_month, next_day, next_hour; /* of opening, or of closing where it is open */
} office_rows[] = {
    {"before nine", 2026, 11, 24, 8, 59, false, 11, 24, 9},
    {"nine", 2026, 11, 24, 9, 0, true, 11, 24, 19},
    {"before nineteen", 2026, 11, 24, 18, 59, true, 11, 24, 19},
    {"nineteen", 2026, 11, 24, 19, 0, false, 11, 25, 9},
    {"held until Monday 09:00", 2026, 11, 27, 19, 0, false, 11, 30, 9},
    {"Saturday", 2026, 11, 28, 12, 0, false, 11, 30, 9},
    {"a holiday on Monday", 2026, 11, 23, 12, 0, false, 11, 24, 9},
    {"the evening before it", 2026, 11, 20, 20, 0, false, 11, 24, 9},
    {"substitute in May", 2026, 5, 1, 19, 0, false, 5, 7, 9},
    {"five days in September", 2026, 9, 18, 19, 0, false, 9, 24, 9},
    {"the office's own days", 2026, 12, 28, 19, 0, false, 1, 4, 9},
    {"within them", 2027, 1, 2, 12, 0, false, 1, 4, 9},
    {"every year", 2030, 12, 31, 12, 0, false, 1, 6, 9},
    {"worked, holiday or not", 2026, 11, 3, 12, 0, true, 11, 3, 19},
    {"the year after not", 2027, 11, 3, 12, 0, false, 11, 4, 9},
};

static void test_office(void)
{
    struct fixture f;
    start(&f, "Asia/Tokyo");
    add_window(&f.calendar, WEEKDAYS, "09:00", "19:00");
    calendar_use_japan(&f.calendar);
    add_days(&f.calendar, false, "12-29", "01-03");
    add_days(&f.calendar, true, "2026-11-03", "2026-11-03");
    for (size_t i = 0; i < countof(office_rows); i++) {
        int32_t year = office_rows[i].year;
        uint64_t at = tokyo_ms(year, office_rows[i].month, office_rows[i].day, office_rows[i].hour,
                               office_rows[i].minute);
        year += office_rows[i].next_month < office_rows[i].month;
        uint64_t next = tokyo_ms(year, office_rows[i].next_month, office_rows[i].next_day,
                                 office_rows[i].next_hour, 0);
        bool open = office_rows[i].open;
        expect(calendar_is_open(&f.calendar, at) == open, "%s", office_rows[i].name);
        uint64_t opening = calendar_next_opening(&f.calendar, at);
        uint64_t closing = calendar_next_closing(&f.calendar, at);
        expect(opening == (open ? at : next), "%s: opening %llu", office_rows[i].name,
               (unsigned long long)opening);
        expect(closing == (open ? next : at), "%s: closing %llu", office_rows[i].name,
               (unsigned long long)closing);
    }
    expect(calendar_is_open(&f.calendar, tokyo_ms(2026, 11, 24, 19, 0) - 1),
           "the last millisecond");
    stop(&f);
}

static void test_windows(void)
{
    struct fixture f;
    start(&f, "Asia/Tokyo");
    CU_ASSERT(!calendar_is_open(&f.calendar, utc_ms(2026, 1, 1, 0, 0)));
    CU_ASSERT(calendar_next_opening(&f.calendar, utc_ms(2026, 1, 1, 0, 0)) == UINT64_MAX);
    add_window(&f.calendar, WEEKDAYS, "19:00", "09:00"); /* across midnight, of the day it begins */
    add_window(&f.calendar, WEEKDAYS, "12:00", "13:00");
    uint64_t friday = tokyo_ms(2026, 11, 27, 0, 0), hour = 3600000;
    for (unsigned h = 0; h < 96; h++) {
        bool want = h < 9 || h == 12 || (h >= 19 && h < 33) /* Saturday 09:00 */ ||
                    (h >= 72 + 12 && h < 72 + 13) || h >= 72 + 19;
        expect(calendar_is_open(&f.calendar, friday + h * hour) == want, "hour %u", h);
    }
    add_window(&f.calendar, WEEKDAYS, "08:30", "12:00"); /* they join */
    CU_ASSERT(calendar_next_closing(&f.calendar, friday) == friday + 13 * hour);
    stop(&f);

    start(&f, "Asia/Tokyo");
    add_window(&f.calendar, ALL_DAYS, "00:00", "24:00");
    CU_ASSERT(calendar_is_open(&f.calendar, friday));
    CU_ASSERT(calendar_next_closing(&f.calendar, friday) == UINT64_MAX);
    add_days(&f.calendar, false, "2026-11-28", "2026-11-28");
    CU_ASSERT(calendar_next_closing(&f.calendar, friday) == friday + 24 * hour);
    CU_ASSERT(calendar_next_opening(&f.calendar, friday + 24 * hour) == friday + 48 * hour);
    add_days(&f.calendar, false, "01-01", "12-31");
    CU_ASSERT(calendar_next_opening(&f.calendar, friday) == UINT64_MAX);
    stop(&f);
}

static void test_setters(void)
{
    struct fixture f;
    start(&f, "Asia/Tokyo");
    struct calendar *c = &f.calendar;
    CU_ASSERT(calendar_add_window(c, 0, 540, 1140) == CALENDAR_BAD);
    CU_ASSERT(calendar_add_window(c, 1 << DATE_WEEK, 540, 1140) == CALENDAR_BAD);
    CU_ASSERT(calendar_add_window(c, 1, 540, 540) == CALENDAR_BAD);
    CU_ASSERT(calendar_add_window(c, 1, 1440, 540) == CALENDAR_BAD);
    CU_ASSERT(calendar_add_window(c, 1, 540, 1441) == CALENDAR_BAD);
    for (int i = 0; i < LIMIT_CALENDAR_WINDOWS; i++)
        CU_ASSERT(calendar_add_window(c, 1, 540, 1140) == CALENDAR_OK);
    CU_ASSERT(calendar_add_window(c, 1, 540, 1140) == CALENDAR_FULL);

    const struct date day = {2026, 1, 2}, before = {2026, 1, 1}, none = {2026, 2, 29};
    const struct date yearly = {0, 2, 29};
    CU_ASSERT(calendar_add_holidays(c, day, before) == CALENDAR_BAD);
    CU_ASSERT(calendar_add_holidays(c, none, none) == CALENDAR_BAD);
    CU_ASSERT(calendar_add_holidays(c, yearly, day) == CALENDAR_BAD);
    for (int i = 0; i < LIMIT_CALENDAR_RANGES; i++)
        CU_ASSERT(calendar_add_holidays(c, yearly, yearly) == CALENDAR_OK);
    CU_ASSERT(calendar_add_holidays(c, day, day) == CALENDAR_FULL);
    CU_ASSERT(calendar_is_holiday(c, date_to_day((struct date){2028, 2, 29})));
    CU_ASSERT(!calendar_is_holiday(c, date_to_day((struct date){2026, 2, 28})));
    stop(&f);
    arena_init(&f.arena, 16);
    calendar_init(&f.calendar, &f.zone, &f.arena);
    CU_ASSERT(calendar_add_holidays(c, day, day) == CALENDAR_NO_MEMORY);
    arena_drop(&f.arena);
}

static void test_texts(void)
{
    static const char *const bad_minutes[] = {"",       "9",     "24:01",  "09:60", "9:5",
                                              "09:000", "-1:00", "09:00 ", "25:00", "0900"};
    static const char *const bad_dates[] = {"",           "2026-02-29", "02-30",      "2026-13-01",
                                            "1-1",        "2026-1-1",   "0000-01-01", "2026-01-00",
                                            "2026/01/01", "2026-01-011"};
    unsigned minute = 0;
    struct date date = {0, 0, 0};
    CU_ASSERT(calendar_parse_minute(STR("9:05"), &minute) && minute == 545);
    CU_ASSERT(calendar_parse_minute(STR("24:00"), &minute) && minute == 1440);
    CU_ASSERT(calendar_parse_date(STR("2026-12-29"), &date) && date.year == 2026 &&
              date.month == 12 && date.day == 29);
    CU_ASSERT(calendar_parse_date(STR("02-29"), &date) && date.year == 0 && date.day == 29);
    for (size_t i = 0; i < countof(bad_minutes); i++)
        expect(!calendar_parse_minute(str_c(bad_minutes[i]), &minute), "%s", bad_minutes[i]);
    for (size_t i = 0; i < countof(bad_dates); i++)
        expect(!calendar_parse_date(str_c(bad_dates[i]), &date), "%s", bad_dates[i]);
}

/* ---- TIME-04: a daily window opens once on each day that the zone has, and never twice */

static const char *const zones[] = {
    "Asia/Tokyo",   "America/New_York", "Europe/London",     "Australia/Lord_Howe",
    "Pacific/Apia", "America/St_Johns", "Africa/Casablanca", "Asia/Beirut",
};

static const struct {
    const char *from, *to;
} windows[] = {
    {"09:00", "18:00"}, {"00:30", "01:30"}, {"01:30", "02:30"}, {"02:10", "02:50"},
    {"02:05", "02:20"}, {"19:00", "09:00"}, {"23:30", "00:30"}, {"00:00", "00:30"},
    {"01:00", "03:00"}, {"22:00", "02:15"}, {"00:05", "00:50"},
};

/* Minute by minute: openings are counted by the local day that they belong to. */
static void walk(const struct fixture *f, int64_t from, int64_t to, const char *name)
{
    const struct calendar *c = &f->calendar;
    uint32_t openings = 0, days = 0; /* from noon to noon each midnight has one opening */
    int32_t last_day = zone_local(&f->zone, from).day;
    bool open = calendar_is_open(c, (uint64_t)from * 1000);
    uint64_t opening = calendar_next_opening(c, (uint64_t)from * 1000);
    uint64_t closing = calendar_next_closing(c, (uint64_t)from * 1000);
    for (int64_t at = from; at < to; at += STEP_S) {
        uint64_t ms = (uint64_t)at * 1000;
        bool now = calendar_is_open(c, ms);
        int32_t day = zone_local(&f->zone, at).day;
        days += day > last_day;
        last_day = day > last_day ? day : last_day;
        openings += now && !open;
        if (now && !open)
            expect(ms == opening, "%s: opens at %lld", name, (long long)at);
        if (!now && open)
            expect(ms == closing, "%s: closes at %lld", name, (long long)at);
        if (now != open) {
            opening = calendar_next_opening(c, ms);
            closing = calendar_next_closing(c, ms);
        }
        open = now;
    }
    expect(openings == days, "%s: %u openings on %u days", name, openings, days);
}

static void test_clock_changes(void)
{
    for (size_t z = 0; z < countof(zones); z++)
        for (size_t w = 0; w < countof(windows); w++) {
            struct fixture f;
            char name[64];
            start(&f, zones[z]);
            (void)snprintf(name, sizeof name, "%s %s", zones[z], windows[w].from);
            add_window(&f.calendar, ALL_DAYS, windows[w].from, windows[w].to);
            int64_t at = (int64_t)utc_ms(2010, 1, 1, 0, 0) / 1000, until;
            for (;;) { /* a week around each change of two years */
                (void)zone_offset(&f.zone, at, &until);
                if (until >= (int64_t)utc_ms(2012, 1, 1, 0, 0) / 1000)
                    break;
                /* noon to noon, where no window of ours begins */
                int32_t day = zone_local(&f.zone, until).day;
                walk(&f, zone_utc(&f.zone, day - 3, 12 * 3600),
                     zone_utc(&f.zone, day + 4, 12 * 3600), name);
                at = until;
            }
            int32_t day = date_to_day((struct date){2026, 6, 1});
            walk(&f, zone_utc(&f.zone, day, 43200), zone_utc(&f.zone, day + 9, 43200), name);
            stop(&f);
        }
}

/* A window that the clock jumps over opens all the same, for its length. */
static void test_gap(void)
{
    struct fixture f;
    start(&f, "America/New_York");
    add_window(&f.calendar, ALL_DAYS, "02:10", "02:50");
    uint64_t jump = utc_ms(2024, 3, 10, 7, 0);
    CU_ASSERT(calendar_next_opening(&f.calendar, jump - 1) == jump);
    CU_ASSERT(calendar_next_closing(&f.calendar, jump) == jump + (uint64_t)40 * 60000);
    stop(&f);
    start(&f, "Pacific/Apia"); /* 2011-12-30 is left out: nothing of it opens */
    add_window(&f.calendar, 1 << DATE_FRIDAY, "09:00", "18:00");
    jump = utc_ms(2011, 12, 30, 10, 0);
    CU_ASSERT(calendar_next_opening(&f.calendar, jump - 1) == utc_ms(2012, 1, 5, 19, 0));
    stop(&f);
}

int main(void)
{
    const struct test tests[] = {
        {"office", test_office},
        {"windows", test_windows},
        {"setters", test_setters},
        {"texts", test_texts},
        {"TIME-04 clock changes", test_clock_changes},
        {"TIME-04 gap", test_gap},
        {NULL, NULL},
    };
    return harness_run("calendar", tests);
}
