/* date.h -- days of the Gregorian calendar, counted from 1970-01-01, a Thursday.
 *
 * Thread   any; pure.
 * Cost     O(1).
 */
#ifndef CORE_BASE_DATE_H
#define CORE_BASE_DATE_H

#include "core/base/base.h"

enum {
    DATE_DAY_S = 24 * 60 * 60
};

struct date {
    int32_t year;
    uint8_t month, day; /* from 1 */
};

enum { /* of date_weekday(), as bits in masks too: 1 << DATE_MONDAY */
    DATE_SUNDAY,
    DATE_MONDAY,
    DATE_TUESDAY,
    DATE_WEDNESDAY,
    DATE_THURSDAY,
    DATE_FRIDAY,
    DATE_SATURDAY,
    DATE_WEEK,
};

int32_t date_to_day(struct date d); /* `d` is valid */
struct date date_of_day(int32_t day);
unsigned date_weekday(int32_t day);

bool date_is_leap(int32_t year);
uint8_t date_month_days(int32_t year, unsigned month);

/* Years 1 to 9999, and a day that its month has. */
bool date_is_valid(struct date d);

#endif
