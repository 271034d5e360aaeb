#include "core/base/clock.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ns(clockid_t which)
{
    struct timespec t;
    must(clock_gettime(which, &t) == 0);
    return t.tv_sec < 0 ? 0 : (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t clock_wall_ms(void)
{
    return now_ns(CLOCK_REALTIME) / 1000000;
}

uint64_t clock_wall_us(void)
{
    return now_ns(CLOCK_REALTIME) / 1000;
}

uint64_t clock_monotonic_ms(void)
{
    return now_ns(CLOCK_MONOTONIC) / 1000000;
}

uint64_t clock_monotonic_ns(void)
{
    return now_ns(CLOCK_MONOTONIC);
}

uint64_t clock_boot_ms(void)
{
    return now_ns(CLOCK_BOOTTIME) / 1000000;
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* It does not change while we run; each thread reads it once. */
struct clock_boot_id clock_boot_id(void)
{
    static _Thread_local struct clock_boot_id id;
    static _Thread_local bool known;
    char text[64];
    if (known)
        return id;
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return id;
    ssize_t len = read(fd, text, sizeof text);
    (void)close(fd);
    size_t nibble = 0;
    for (ssize_t i = 0; i < len && nibble < 2 * sizeof id.at; i++) {
        int value = hex(text[i]);
        if (value < 0)
            continue;
        id.at[nibble / 2] = (char)(id.at[nibble / 2] << 4 | value);
        nibble++;
    }
    known = true;
    return id;
}

bool clock_synchronised(void)
{
    struct timex t = {0};
    int state = adjtimex(&t);
    return state >= 0 && state != TIME_ERROR && !(t.status & STA_UNSYNC);
}

static struct tm split(uint64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm t = {0};
    must(gmtime_r(&seconds, &t) != NULL);
    return t;
}

struct clock_date clock_date(uint64_t wall_ms)
{
    static const char day[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char month[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm t = split(wall_ms);
    struct clock_date d = {{0}};
    (void)snprintf(d.at, sizeof d.at, "%s, %02u %s %04u %02u:%02u:%02u +0000",
                   day[(unsigned)t.tm_wday % 7], (unsigned)t.tm_mday % 100,
                   month[(unsigned)t.tm_mon % 12], (unsigned)(t.tm_year + 1900) % 10000,
                   (unsigned)t.tm_hour % 100, (unsigned)t.tm_min % 100, (unsigned)t.tm_sec % 100);
    return d;
}

struct clock_date clock_stamp(uint64_t wall_ms)
{
    struct tm t = split(wall_ms);
    struct clock_date d = {{0}};
    (void)snprintf(d.at, sizeof d.at, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
                   (unsigned)(t.tm_year + 1900) % 10000, (unsigned)(t.tm_mon + 1) % 100,
                   (unsigned)t.tm_mday % 100, (unsigned)t.tm_hour % 100, (unsigned)t.tm_min % 100,
                   (unsigned)t.tm_sec % 100, (unsigned)(wall_ms % 1000));
    return d;
}

/* ---- RFC 3339 */

static bool take_digits(struct str *in, size_t count, unsigned max, unsigned *out)
{
    uint64_t value = 0;
    if (in->len < count || !str_number(str_head(*in, count), max, &value))
        return false;
    *out = (unsigned)value;
    *in = str_skip(*in, count);
    return true;
}

static bool take_char(struct str *in, char c)
{
    if (in->len == 0 || char_lower(in->at[0]) != c)
        return false;
    *in = str_skip(*in, 1);
    return true;
}

/* ".123456"; 0 without one */
static bool take_fraction(struct str *in, unsigned *ms)
{
    unsigned unit = 100;
    bool finer = false;
    *ms = 0;
    if (!take_char(in, '.'))
        return true;
    size_t before = in->len;
    for (unsigned digit; take_digits(in, 1, 9, &digit); unit /= 10) {
        *ms += digit * unit;
        finer = finer || (unit == 0 && digit);
    }
    *ms += finer;
    return in->len < before;
}

/* "Z", or "+09:00" */
static bool take_offset(struct str *in, int *minutes)
{
    unsigned hour, minute;
    *minutes = 0;
    if (take_char(in, 'z'))
        return true;
    int sign = take_char(in, '-') ? -1 : take_char(in, '+') ? 1 : 0;
    if (!sign || !take_digits(in, 2, 23, &hour) || !take_char(in, ':') ||
        !take_digits(in, 2, 59, &minute))
        return false;
    *minutes = sign * (int)(hour * 60 + minute);
    return true;
}

static bool is_leap(unsigned year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Days from 1970-01-01 to a date that is not before; false: there is no such date. */
static bool days_since_1970(unsigned year, unsigned month, unsigned day, unsigned *days)
{
    static const unsigned char length[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    static const unsigned short before[12] = {0,   31,  59,  90,  120, 151,
                                              181, 212, 243, 273, 304, 334};
    if (year < 1970 || month < 1 || month > 12 || day < 1 ||
        day > length[month - 1] + (unsigned)(month == 2 && is_leap(year)))
        return false;
    unsigned past = year - 1; /* whole years */
    unsigned leaps = past / 4 - past / 100 + past / 400 - (1969 / 4 - 1969 / 100 + 1969 / 400);
    *days = (year - 1970) * 365 + leaps + before[month - 1] + day - 1;
    *days += month > 2 && is_leap(year);
    return true;
}

bool clock_parse(struct str in, uint64_t *wall_ms)
{
    unsigned year, month, day, hour, minute, second, ms, days;
    int offset;
    if (!take_digits(&in, 4, 9999, &year) || !take_char(&in, '-') ||
        !take_digits(&in, 2, 12, &month) || !take_char(&in, '-') ||
        !take_digits(&in, 2, 31, &day) || !take_char(&in, 't') ||
        !days_since_1970(year, month, day, &days))
        return false;
    if (!take_digits(&in, 2, 23, &hour) || !take_char(&in, ':') ||
        !take_digits(&in, 2, 59, &minute) || !take_char(&in, ':') ||
        !take_digits(&in, 2, 60, &second)) /* 60: a leap second is the one that follows */
        return false;
    if (!take_fraction(&in, &ms) || !take_offset(&in, &offset) || in.len)
        return false;
    int64_t minutes = (int64_t)days * 1440 + hour * 60 + minute - offset;
    if (minutes < 0)
        return false;
    *wall_ms = ((uint64_t)minutes * 60 + second) * 1000 + ms;
    return true;
}
