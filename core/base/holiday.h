/* holiday.h -- the public holidays of Japan, as the law was in each year.
 *
 * The Act on National Holidays (1948) with all its changes to 2021: days that moved to Mondays, the
 * substitute for a holiday on a Sunday, the day between two holidays, and the laws for single
 * years. The equinoxes are those of the usual formula, which agrees with every announcement so
 * far; years to come follow the law of today.
 *
 * Thread   any; pure.
 * Cost     O(1).
 */
#ifndef CORE_BASE_HOLIDAY_H
#define CORE_BASE_HOLIDAY_H

#include "core/base/date.h"

enum {
    HOLIDAY_FIRST_YEAR = 1955,
    HOLIDAY_LAST_YEAR = 2099, /* of the formula */
};

/* Its name in Japanese, or NULL: no holiday, or a year that is not known. */
const char *holiday_in_japan(int32_t day);

#endif
