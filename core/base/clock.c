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
