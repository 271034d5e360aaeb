/* clock_preload.c -- a wall clock that a test can move under an unmodified program (LD_PRELOAD).
 *
 * SEKIMORI_TEST_CLOCK names a file of two 64-bit integers in host order: milliseconds to add to
 * CLOCK_REALTIME, and milliseconds to add to CLOCK_BOOTTIME. It is mapped, so a test moves the
 * clock by writing the file, at once and without a signal. SEKIMORI_TEST_BOOT_ID names a file that
 * is opened in place of the kernel's boot id: with a new one the program takes the machine for
 * started again. */

#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static const volatile int64_t *offsets;

static int real_open(const char *path, int flags, mode_t mode)
{
    static int (*next)(const char *, int, ...);
    if (!next)
        *(void **)(&next) = dlsym(RTLD_NEXT, "open");
    return next(path, flags, mode);
}

__attribute__((constructor)) static void map_offsets(void)
{
    const char *path = getenv("SEKIMORI_TEST_CLOCK");
    int fd = path ? real_open(path, O_RDONLY | O_CLOEXEC, 0) : -1;
    if (fd < 0)
        return;
    void *at = mmap(NULL, 16, PROT_READ, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (at != MAP_FAILED)
        offsets = at;
}

static void add_ms(struct timespec *t, int64_t ms)
{
    int64_t ns = (int64_t)t->tv_nsec + ms % 1000 * 1000000;
    t->tv_sec += ms / 1000;
    if (ns < 0) {
        ns += 1000000000;
        t->tv_sec--;
    } else if (ns >= 1000000000) {
        ns -= 1000000000;
        t->tv_sec++;
    }
    t->tv_nsec = ns;
}

EXPORT int clock_gettime(clockid_t which, struct timespec *t)
{
    static int (*next)(clockid_t, struct timespec *);
    if (!next)
        *(void **)(&next) = dlsym(RTLD_NEXT, "clock_gettime");
    int status = next(which, t);
    if (status == 0 && offsets && which == CLOCK_REALTIME)
        add_ms(t, offsets[0]);
    if (status == 0 && offsets && which == CLOCK_BOOTTIME)
        add_ms(t, offsets[1]);
    return status;
}

EXPORT int open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    if (flags & (O_CREAT | O_TMPFILE)) {
        va_list args;
        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
    }
    const char *boot = getenv("SEKIMORI_TEST_BOOT_ID");
    if (boot && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0)
        path = boot;
    return real_open(path, flags, mode);
}
