#include "tests/unit/harness.h"

#include "core/base/holiday.h"

/* ---- days */

static void test_date(void)
{
    static const struct {
        struct date date;
        int32_t day;
        unsigned weekday;
    } known[] = {
        {{1970, 1, 1}, 0, DATE_THURSDAY},       {{1969, 12, 31}, -1, DATE_WEDNESDAY},
        {{2000, 2, 29}, 11016, DATE_TUESDAY},   {{2000, 3, 1}, 11017, DATE_WEDNESDAY},
        {{1900, 3, 1}, -25508, DATE_THURSDAY},  {{2026, 11, 24}, 20781, DATE_TUESDAY},
        {{2099, 12, 31}, 47481, DATE_THURSDAY}, {{1, 1, 1}, -719162, DATE_MONDAY},
        {{9999, 12, 31}, 2932896, DATE_FRIDAY},
    };

    for (size_t i = 0; i < countof(known); i++) {
        expect(date_to_day(known[i].date) == known[i].day, "%d: %d", known[i].day,
               date_to_day(known[i].date));
        expect(date_weekday(known[i].day) == known[i].weekday, "%d", known[i].day);
    }
    struct date d = {1, 1, 1}; /* every day of ten thousand years, counted by hand */
    for (int32_t day = -719162; d.year <= 9999; day++) {
        struct date got = date_of_day(day);
        if (got.year != d.year || got.month != d.month || got.day != d.day ||
            date_to_day(d) != day || !date_is_valid(d)) {
            expect(false, "day %d", day);
            return;
        }
        if (++d.day > date_month_days(d.year, d.month)) {
            d.day = 1;
            if (++d.month > 12) {
                d.month = 1;
                d.year++;
            }
        }
    }
    CU_ASSERT(!date_is_valid((struct date){2023, 2, 29}) && !date_is_valid((struct date){0, 1, 1}));
    CU_ASSERT(!date_is_valid((struct date){2023, 13, 1}) &&
              !date_is_valid((struct date){2023, 1, 0}));
}

/* ---- holidays: whole years, as the Cabinet Office and the almanacs of those years list them */

static const struct {
    int32_t year;
    const char *days;
} years[] = {
    {1955, "1-1 1-15 3-21 4-29 5-3 5-5 9-24 11-3 11-23"},
    {1959, "1-1 1-15 3-21 4-10 4-29 5-3 5-5 9-24 11-3 11-23"},
    {1966, "1-1 1-15 3-21 4-29 5-3 5-5 9-15 9-23 10-10 11-3 11-23"},
    /* Sundays of 1967 to April 1973 give no Monday */
    {1972, "1-1 1-15 2-11 3-20 4-29 5-3 5-5 9-15 9-23 10-10 11-3 11-23"},
    {1973, "1-1 1-15 2-11 3-21 4-29 4-30 5-3 5-5 9-15 9-23 9-24 10-10 11-3 11-23"},
    {1978, "1-1 1-2 1-15 1-16 2-11 3-21 4-29 5-3 5-5 9-15 9-23 10-10 11-3 11-23"},
    /* the first day between two holidays: 1988-05-04; in 1986 and 1987 it was a Sunday, a Monday
     * that was a substitute */
    {1986, "1-1 1-15 2-11 3-21 4-29 5-3 5-5 9-15 9-23 10-10 11-3 11-23 11-24"},
    {1987, "1-1 1-15 2-11 3-21 4-29 5-3 5-4 5-5 9-15 9-23 10-10 11-3 11-23"},
    {1988, "1-1 1-15 2-11 3-20 3-21 4-29 5-3 5-4 5-5 9-15 9-23 10-10 11-3 11-23"},
    {1989, "1-1 1-2 1-15 1-16 2-11 2-24 3-21 4-29 5-3 5-4 5-5 9-15 9-23 10-10 11-3 11-23 12-23"},
    {1990, "1-1 1-15 2-11 2-12 3-21 4-29 4-30 5-3 5-4 5-5 9-15 9-23 9-24 10-10 11-3 11-12 11-23 "
           "12-23 12-24"},
    {1993, "1-1 1-15 2-11 3-20 4-29 5-3 5-4 5-5 6-9 9-15 9-23 10-10 10-11 11-3 11-23 12-23"},
    {1996, "1-1 1-15 2-11 2-12 3-20 4-29 5-3 5-4 5-5 5-6 7-20 9-15 9-16 9-23 10-10 11-3 11-4 "
           "11-23 12-23"},
    {2000, "1-1 1-10 2-11 3-20 4-29 5-3 5-4 5-5 7-20 9-15 9-23 10-9 11-3 11-23 12-23"},
    {2003, "1-1 1-13 2-11 3-21 4-29 5-3 5-5 7-21 9-15 9-23 10-13 11-3 11-23 11-24 12-23"},
    {2006, "1-1 1-2 1-9 2-11 3-21 4-29 5-3 5-4 5-5 7-17 9-18 9-23 10-9 11-3 11-23 12-23"},
    {2007, "1-1 1-8 2-11 2-12 3-21 4-29 4-30 5-3 5-4 5-5 7-16 9-17 9-23 9-24 10-8 11-3 11-23 "
           "12-23 12-24"},
    /* the substitute that goes past holidays, to May 6 */
    {2008, "1-1 1-14 2-11 3-20 4-29 5-3 5-4 5-5 5-6 7-21 9-15 9-23 10-13 11-3 11-23 11-24 12-23"},
    {2009, "1-1 1-12 2-11 3-20 4-29 5-3 5-4 5-5 5-6 7-20 9-21 9-22 9-23 10-12 11-3 11-23 12-23"},
    {2015, "1-1 1-12 2-11 3-21 4-29 5-3 5-4 5-5 5-6 7-20 9-21 9-22 9-23 10-12 11-3 11-23 12-23"},
    {2016, "1-1 1-11 2-11 3-20 3-21 4-29 5-3 5-4 5-5 7-18 8-11 9-19 9-22 10-10 11-3 11-23 12-23"},
    {2018, "1-1 1-8 2-11 2-12 3-21 4-29 4-30 5-3 5-4 5-5 7-16 8-11 9-17 9-23 9-24 10-8 11-3 11-23 "
           "12-23 12-24"},
    {2019, "1-1 1-14 2-11 3-21 4-29 4-30 5-1 5-2 5-3 5-4 5-5 5-6 7-15 8-11 8-12 9-16 9-23 10-14 "
           "10-22 11-3 11-4 11-23"},
    {2020, "1-1 1-13 2-11 2-23 2-24 3-20 4-29 5-3 5-4 5-5 5-6 7-23 7-24 8-10 9-21 9-22 11-3 11-23"},
    {2021, "1-1 1-11 2-11 2-23 3-20 4-29 5-3 5-4 5-5 7-22 7-23 8-8 8-9 9-20 9-23 11-3 11-23"},
    {2022, "1-1 1-10 2-11 2-23 3-21 4-29 5-3 5-4 5-5 7-18 8-11 9-19 9-23 10-10 11-3 11-23"},
    {2023, "1-1 1-2 1-9 2-11 2-23 3-21 4-29 5-3 5-4 5-5 7-17 8-11 9-18 9-23 10-9 11-3 11-23"},
    {2024, "1-1 1-8 2-11 2-12 2-23 3-20 4-29 5-3 5-4 5-5 5-6 7-15 8-11 8-12 9-16 9-22 9-23 10-14 "
           "11-3 11-4 11-23"},
    {2025, "1-1 1-13 2-11 2-23 2-24 3-20 4-29 5-3 5-4 5-5 5-6 7-21 8-11 9-15 9-23 10-13 11-3 "
           "11-23 11-24"},
    {2026, "1-1 1-12 2-11 2-23 3-20 4-29 5-3 5-4 5-5 5-6 7-20 8-11 9-21 9-22 9-23 10-12 11-3 "
           "11-23"},
    {2027, "1-1 1-11 2-11 2-23 3-21 3-22 4-29 5-3 5-4 5-5 7-19 8-11 9-20 9-23 10-11 11-3 11-23"},
};

static void test_years(void)
{
    for (size_t i = 0; i < countof(years); i++) {
        struct buffer out;
        buffer_init(&out, 4096);
        int32_t first = date_to_day((struct date){years[i].year, 1, 1});
        for (int32_t day = first; date_of_day(day).year == years[i].year; day++) {
            struct date d = date_of_day(day);
            if (holiday_in_japan(day))
                buffer_printf(&out, "%s%u-%u", out.len ? " " : "", d.month, d.day);
        }
        char name[16];
        (void)snprintf(name, sizeof name, "%d", years[i].year);
        expect_str(buffer_str(&out), str_c(years[i].days), name);
        buffer_drop(&out);
    }
}

static void test_names(void)
{
    static const struct {
        struct date date;
        const char *name;
    } known[] = {
        {{2026, 1, 1}, "元日"},
        {{2026, 5, 6}, "振替休日"},
        {{2026, 9, 22}, "国民の休日"},
        {{2026, 9, 23}, "秋分の日"},
        {{2006, 4, 29}, "みどりの日"},
        {{2007, 4, 29}, "昭和の日"},
        {{2019, 5, 1}, "即位の日"},
        {{2019, 5, 2}, "国民の休日"},
        {{1988, 4, 29}, "天皇誕生日"},
        {{2018, 12, 23}, "天皇誕生日"},
        {{2020, 7, 24}, "スポーツの日"},
        {{2019, 10, 14}, "体育の日"},
        {{2026, 11, 24}, NULL},
        {{2019, 12, 23}, NULL},
        {{1954, 1, 1}, NULL},
        {{2100, 1, 1}, NULL},
    };

    for (size_t i = 0; i < countof(known); i++)
        expect_str(str_c(holiday_in_japan(date_to_day(known[i].date))), str_c(known[i].name),
                   "name");
}

int main(void)
{
    const struct test tests[] = {
        {"dates", test_date},
        {"years", test_years},
        {"names", test_names},
        {NULL, NULL},
    };
    return harness_run("holiday", tests);
}
