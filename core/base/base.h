/* base.h -- the few words that every file of the program uses.
 *
 * Thread   any.
 * Errors   must() stops the program: use it for our own broken promises only, never for a value
 *          that came from the wire, the disk, DNS, a config file, the control socket or the portal.
 */
#ifndef CORE_BASE_BASE_H
#define CORE_BASE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NODISCARD        __attribute__((warn_unused_result))
#define PRINTFLIKE(f, a) __attribute__((format(printf, f, a)))
#define COLD             __attribute__((cold))

/* A sanitizer needs all of the address space, and system calls of its own: a process that bounds
 * itself leaves them to it. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define BASE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define BASE_SANITIZED 1
#endif
#endif
#ifndef BASE_SANITIZED
#define BASE_SANITIZED 0
#endif

#define countof(array) (sizeof(array) / sizeof((array)[0]))

/* The object that embeds `member`, from a pointer to the member. */
#define owner_of(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define must(condition) ((condition) ? (void)0 : base_panic(__FILE__, __LINE__, #condition))

/* Says where and what on stderr, then aborts. */
_Noreturn COLD void base_panic(const char *file, int line, const char *what);

static inline uint64_t u64_min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t u64_max(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static inline size_t size_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

#endif
