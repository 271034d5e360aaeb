#include "bench/bench_base.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

void bench_die(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    (void)fprintf(stderr, "%s: ", program_invocation_short_name);
    (void)vfprintf(stderr, format, list);
    (void)fputc('\n', stderr);
    va_end(list);
    _exit(2); /* other threads may be running: no atexit handlers */
}

void bench_die_errno(const char *what)
{
    char text[128];
    bench_die("%s: %s", what, strerror_r(errno, text, sizeof text));
}

void *bench_alloc(size_t count, size_t bytes)
{
    void *memory = calloc(count ? count : 1, bytes);
    if (!memory)
        bench_die("out of memory");
    return memory;
}

uint64_t bench_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * BENCH_NS_PER_S + (uint64_t)t.tv_nsec;
}

uint64_t bench_wall_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

double bench_cpu_s(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

uint64_t bench_parse_count(const char *name, const char *text)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    unsigned shift = 0;
    if (*end == 'k' || *end == 'K')
        shift = 10;
    else if (*end == 'm' || *end == 'M')
        shift = 20;
    if (shift)
        end++;
    if (errno || end == text || *end || *text == '-' || n > (UINT64_MAX >> (shift + 1)))
        bench_die("--%s %s: not a count", name, text);
    return (uint64_t)n << shift;
}

double bench_parse_number(const char *name, const char *text)
{
    char *end;
    double n = strtod(text, &end);
    if (end == text || *end || !(n >= 0 && n < 1e12))
        bench_die("--%s %s: not a number", name, text);
    return n;
}

void bench_parse_endpoint(struct bench_endpoint *e, const char *text)
{
    char host[256];
    const char *colon = strrchr(text, ':');
    if (!colon || (size_t)(colon - text) >= sizeof host)
        bench_die("%s: not HOST:PORT", text);
    const char *from = text;
    size_t bytes = (size_t)(colon - text);
    if (bytes >= 2 && from[0] == '[' && from[bytes - 1] == ']') {
        from++;
        bytes -= 2;
    }
    memcpy(host, from, bytes);
    host[bytes] = '\0';

    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found;
    int error = getaddrinfo(host, colon + 1, &hints, &found);
    if (error)
        bench_die("%s: %s", text, gai_strerror(error));
    memcpy(&e->address, found->ai_addr, found->ai_addrlen);
    e->address_bytes = found->ai_addrlen;
    freeaddrinfo(found);
}

uint64_t bench_mix(uint64_t x) /* splitmix64 */
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

void bench_raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void bytes_reserve(struct bench_bytes *b, size_t more)
{
    if (b->start == b->end)
        b->start = b->end = 0;
    if (b->capacity - b->end >= more)
        return;
    if (b->start) {
        memmove(b->data, b->data + b->start, b->end - b->start);
        b->end -= b->start;
        b->start = 0;
    }
    size_t capacity = b->capacity ? b->capacity : 512;
    while (capacity - b->end < more)
        capacity *= 2;
    if (capacity == b->capacity)
        return;
    char *data = realloc(b->data, capacity);
    if (!data)
        bench_die("out of memory");
    b->data = data;
    b->capacity = capacity;
}

void bench_bytes_append(struct bench_bytes *b, const void *data, size_t bytes)
{
    if (!bytes)
        return;
    bytes_reserve(b, bytes);
    memcpy(b->data + b->end, data, bytes);
    b->end += bytes;
}

void bench_bytes_print(struct bench_bytes *b, const char *format, ...)
{
    va_list list, again;
    va_start(list, format);
    va_copy(again, list);
    bytes_reserve(b, 128);
    int need = vsnprintf(b->data + b->end, b->capacity - b->end, format, list);
    if (need < 0)
        bench_die("cannot format");
    if ((size_t)need >= b->capacity - b->end) {
        bytes_reserve(b, (size_t)need + 1);
        (void)vsnprintf(b->data + b->end, b->capacity - b->end, format, again);
    }
    b->end += (size_t)need;
    va_end(again);
    va_end(list);
}

void bench_bytes_drop(struct bench_bytes *b, size_t bytes)
{
    b->start += bytes;
    if (b->start == b->end)
        b->start = b->end = 0;
}

void bench_bytes_free(struct bench_bytes *b)
{
    free(b->data);
    *b = (struct bench_bytes){0};
}

int bench_ledger_open(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0)
        bench_die_errno(path);
    return fd;
}

void bench_ledger_write(int fd, const char *lines, size_t bytes)
{
    while (bytes) {
        ssize_t n = write(fd, lines, bytes);
        if (n < 0 && errno != EINTR)
            bench_die_errno("ledger");
        if (n > 0) {
            lines += n;
            bytes -= (size_t)n;
        }
    }
}
