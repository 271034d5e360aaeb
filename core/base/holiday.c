#include "core/base/holiday.h"

enum {
    FOREVER = 9999,
    SPRING = 13, /* months of rules whose day is an equinox */
    AUTUMN = 14,
};

/* In years `first` to `last`: day `day` of `month`, or, with `monday`, that Monday of it. */
struct rule {
    int16_t first, last;
    uint8_t month, day, monday;
    const char *name;
};

static const struct rule rules[] = {
    {1949, FOREVER, 1, 1, 0, "元日"},
    {1949, 1999, 1, 15, 0, "成人の日"},
    {2000, FOREVER, 1, 0, 2, "成人の日"},
    {1967, FOREVER, 2, 11, 0, "建国記念の日"},
    {2020, FOREVER, 2, 23, 0, "天皇誕生日"},
    {1949, FOREVER, SPRING, 0, 0, "春分の日"},
    {1949, 1988, 4, 29, 0, "天皇誕生日"},
    {1989, 2006, 4, 29, 0, "みどりの日"},
    {2007, FOREVER, 4, 29, 0, "昭和の日"},
    {1949, FOREVER, 5, 3, 0, "憲法記念日"},
    {2007, FOREVER, 5, 4, 0, "みどりの日"},
    {1949, FOREVER, 5, 5, 0, "こどもの日"},
    {1996, 2002, 7, 20, 0, "海の日"},
    {2003, 2019, 7, 0, 3, "海の日"},
    {2020, 2020, 7, 23, 0, "海の日"},
    {2021, 2021, 7, 22, 0, "海の日"},
    {2022, FOREVER, 7, 0, 3, "海の日"},
    {2020, 2020, 7, 24, 0, "スポーツの日"},
    {2021, 2021, 7, 23, 0, "スポーツの日"},
    {2016, 2019, 8, 11, 0, "山の日"},
    {2020, 2020, 8, 10, 0, "山の日"},
    {2021, 2021, 8, 8, 0, "山の日"},
    {2022, FOREVER, 8, 11, 0, "山の日"},
    {1966, 2002, 9, 15, 0, "敬老の日"},
    {2003, FOREVER, 9, 0, 3, "敬老の日"},
    {1948, FOREVER, AUTUMN, 0, 0, "秋分の日"},
    {1966, 1999, 10, 10, 0, "体育の日"},
    {2000, 2019, 10, 0, 2, "体育の日"},
    {2022, FOREVER, 10, 0, 2, "スポーツの日"},
    {1948, FOREVER, 11, 3, 0, "文化の日"},
    {1948, FOREVER, 11, 23, 0, "勤労感謝の日"},
    {1989, 2018, 12, 23, 0, "天皇誕生日"},
    /* laws for one day */
    {1959, 1959, 4, 10, 0, "皇太子明仁親王の結婚の儀"},
    {1989, 1989, 2, 24, 0, "昭和天皇の大喪の礼"},
    {1990, 1990, 11, 12, 0, "即位礼正殿の儀"},
    {1993, 1993, 6, 9, 0, "皇太子徳仁親王の結婚の儀"},
    {2019, 2019, 5, 1, 0, "即位の日"},
    {2019, 2019, 10, 22, 0, "即位礼正殿の儀"},
};

/* The day in March or September, good from 1900 to 2099: millionths of a day at the equinox of 1980
 * and for each year since; leap days taken off. */
static unsigned equinox(int32_t year, bool spring)
{
    bool late = year >= 1980;
    int32_t base = spring ? (late ? 20843100 : 20835700) : (late ? 23248800 : 23258800);
    return (unsigned)((base + 242194 * (year - 1980)) / 1000000 -
                      (year - (late ? 1980 : 1983)) / 4);
}

static bool is_day_of(const struct rule *r, struct date d, unsigned weekday)
{
    if (d.year < r->first || d.year > r->last)
        return false;
    if (r->month == SPRING)
        return d.month == 3 && d.day == equinox(d.year, true);
    if (r->month == AUTUMN)
        return d.month == 9 && d.day == equinox(d.year, false);
    if (d.month != r->month)
        return false;
    return r->monday ? weekday == DATE_MONDAY && (d.day - 1) / DATE_WEEK + 1 == r->monday
                     : d.day == r->day;
}

/* A "national holiday" of the act: the other two kinds are days off only. */
static const char *national(int32_t day)
{
    struct date d = date_of_day(day);
    unsigned weekday = date_weekday(day);
    for (size_t i = 0; i < countof(rules); i++)
        if (is_day_of(&rules[i], d, weekday))
            return rules[i].name;
    return NULL;
}

/* Since 1973-04-12, the Monday behind a holiday on a Sunday; since 2007, the first day behind it
 * that is no holiday. */
static bool is_substitute(int32_t day)
{
    static const struct date from = {1973, 4, 12}, farther = {2007, 1, 1};
    if (day < date_to_day(from))
        return false;
    int32_t before = day - 1;
    if (day >= date_to_day(farther))
        while (national(before) && date_weekday(before) != DATE_SUNDAY)
            before--;
    return national(before) && date_weekday(before) == DATE_SUNDAY && before >= date_to_day(from);
}

/* Since 1985-12-27: a day between two holidays; up to 2006 no Sunday. */
static bool is_between(int32_t day)
{
    static const struct date from = {1985, 12, 27}, sundays = {2007, 1, 1};
    return day >= date_to_day(from) && national(day - 1) && national(day + 1) &&
           (day >= date_to_day(sundays) || date_weekday(day) != DATE_SUNDAY);
}

const char *holiday_in_japan(int32_t day)
{
    int32_t year = date_of_day(day).year;
    if (year < HOLIDAY_FIRST_YEAR || year > HOLIDAY_LAST_YEAR)
        return NULL;
    const char *name = national(day);
    if (name)
        return name;
    return is_substitute(day) ? "振替休日" : is_between(day) ? "国民の休日" : NULL;
}
