/* bench_base.h -- what load and sink share: options' values, clocks, a growing buffer, a ledger.
 *
 * bench/ stands alone: it measures the product, so it must not contain the product.
 *
 * Thread   everything here is safe from any thread; a bench_bytes belongs to one.
 * Memory   bench_alloc() and bench_bytes use malloc; out of memory ends the program.
 * Time     bench_now_ns() is monotonic; bench_wall_us() is wall clock, UTC.
 * Errors   a bad option or an unwritable ledger ends the program with exit code 2: a measurement
 *          with a hole in it is worse than none.
 */
#ifndef BENCH_BASE_H
#define BENCH_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define NODISCARD         __attribute__((warn_unused_result))
#define PRINTFLIKE(at, n) __attribute__((format(printf, at, n)))
#define COUNTOF(array)    (sizeof(array) / sizeof((array)[0]))

enum {
    BENCH_NS_PER_MS = 1000 * 1000,
    BENCH_NS_PER_S = 1000 * 1000 * 1000,
};

struct bench_endpoint {
    struct sockaddr_storage address;
    socklen_t address_bytes;
};

struct bench_bytes {
    char *data;
    size_t start; /* first byte not yet used */
    size_t end;
    size_t capacity;
};

PRINTFLIKE(1, 2) _Noreturn void bench_die(const char *format, ...);
_Noreturn void bench_die_errno(const char *what);

void *bench_alloc(size_t count, size_t bytes); /* zeroed */

uint64_t bench_now_ns(void);
uint64_t bench_wall_us(void);
double bench_cpu_s(void); /* user + system time of the whole process */

/* "4k" and "1m" are powers of 1024. `name` is the option, for the complaint. */
uint64_t bench_parse_count(const char *name, const char *text);
double bench_parse_number(const char *name, const char *text);

/* HOST:PORT or [V6]:PORT; names are resolved. */
void bench_parse_endpoint(struct bench_endpoint *e, const char *text);

/* A good hash of 64 bits; bench_mix(seed + n) is the n-th random number of a seed. */
uint64_t bench_mix(uint64_t x);

void bench_raise_file_limit(void);

void bench_bytes_append(struct bench_bytes *b, const void *data, size_t bytes);
PRINTFLIKE(2, 3) void bench_bytes_print(struct bench_bytes *b, const char *format, ...);
void bench_bytes_drop(struct bench_bytes *b, size_t bytes);
void bench_bytes_free(struct bench_bytes *b);

static inline size_t bench_bytes_left(const struct bench_bytes *b)
{
    return b->end - b->start;
}

/* Opened for append; each bench_ledger_write() is one write(2), so whole lines of several threads
 * or processes do not mix. */
int bench_ledger_open(const char *path);
void bench_ledger_write(int fd, const char *lines, size_t bytes);

#endif
