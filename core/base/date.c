/* date.c -- Howard Hinnant's arithmetic: years begin in March, so that the odd day is their last;
 * 400 of them have 146,097 days. */
#include "core/base/date.h"

enum {
    CYCLE_YEARS = 400,
    CYCLE_DAYS = 146097,
    DAYS_TO_1970 = 719468, /* from 0000-03-01 */
};

static int32_t floor_divide(int32_t a, int32_t b)
{
    return a / b - (a % b < 0);
}

int32_t date_to_day(struct date d)
{
    int32_t year = d.year - (d.month <= 2);
    int32_t cycle = floor_divide(year, CYCLE_YEARS), in_cycle = year - cycle * CYCLE_YEARS;
    int32_t month = (d.month + 9) % 12; /* March is 0 */
    int32_t in_year = (153 * month + 2) / 5 + d.day - 1;
    int32_t days = in_cycle * 365 + in_cycle / 4 - in_cycle / 100 + in_year;
    return cycle * CYCLE_DAYS + days - DAYS_TO_1970;
}

struct date date_of_day(int32_t day)
{
    day += DAYS_TO_1970;
    int32_t cycle = floor_divide(day, CYCLE_DAYS), days = day - cycle * CYCLE_DAYS;
    int32_t in_cycle = (days - days / 1460 + days / 36524 - days / 146096) / 365;
    int32_t in_year = days - (365 * in_cycle + in_cycle / 4 - in_cycle / 100);
    int32_t month = (5 * in_year + 2) / 153;
    struct date d = {
        .year = in_cycle + cycle * CYCLE_YEARS + (month >= 10),
        .month = (uint8_t)(month < 10 ? month + 3 : month - 9),
        .day = (uint8_t)(in_year - (153 * month + 2) / 5 + 1),
    };
    return d;
}

unsigned date_weekday(int32_t day)
{
    int32_t weekday = (day + DATE_THURSDAY) % DATE_WEEK;
    return (unsigned)(weekday < 0 ? weekday + DATE_WEEK : weekday);
}

bool date_is_leap(int32_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

uint8_t date_month_days(int32_t year, unsigned month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    must(month >= 1 && month <= 12);
    return (uint8_t)(days[month - 1] + (month == 2 && date_is_leap(year)));
}

bool date_is_valid(struct date d)
{
    return d.year >= 1 && d.year <= 9999 && d.month >= 1 && d.month <= 12 && d.day >= 1 &&
           d.day <= date_month_days(d.year, d.month);
}
