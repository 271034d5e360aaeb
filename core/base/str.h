/* str.h -- borrowed bytes: a pointer and a length, no terminator, no ownership.
 *
 * Memory   the bytes belong to somebody else, who must outlive the str.
 * Cost     every function is linear in the bytes it looks at. Letters are ASCII: no locale.
 */
#ifndef CORE_BASE_STR_H
#define CORE_BASE_STR_H

#include "core/base/base.h"

#include <string.h>

struct str {
    const char *at;
    size_t len;
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
#define STR_INIT(literal)               \
    {                                   \
        "" literal, sizeof(literal) - 1 \
    }                                   /* for static tables */
#define STR_ARG(s) (int)(s).len, (s).at /* for "%.*s" */

static inline struct str str_from(const char *at, size_t len)
{
    return (struct str){at, len};
}

/* The bytes of a C string; NULL gives the empty str. */
static inline struct str str_c(const char *text)
{
    return (struct str){text ? text : "", text ? strlen(text) : 0};
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static inline char char_lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

bool str_eq_nocase(struct str a, struct str b);
bool str_starts(struct str s, struct str prefix);
bool str_starts_nocase(struct str s, struct str prefix);
bool str_ends_nocase(struct str s, struct str suffix);
int str_compare(struct str a, struct str b); /* memcmp order, then length */

/* Without the first `n` bytes (all of them if shorter). */
static inline struct str str_skip(struct str s, size_t n)
{
    n = size_min(n, s.len);
    return (struct str){n ? s.at + n : s.at, s.len - n}; /* `at` may be NULL */
}

static inline struct str str_head(struct str s, size_t n)
{
    return (struct str){s.at, size_min(n, s.len)};
}

/* Position of the first `c`, or SIZE_MAX. */
size_t str_find(struct str s, char c);
size_t str_find_str(struct str s, struct str needle);

/* Cut at the first `c`: returns what is before it and leaves what is after it in `s`. Without `c`
 * everything is returned and `s` becomes empty. */
struct str str_cut(struct str *s, char c);

/* Next word between blanks (space, tab); empty when there is none. */
struct str str_word(struct str *s);

struct str str_trim(struct str s); /* space, tab, CR, LF at both ends */

/* A terminated copy for system calls; false: it does not fit, or holds a NUL (then `to` is ""). */
NODISCARD bool str_to_c(struct str s, char *to, size_t room);

/* The whole of `s` as a decimal number without sign; false if empty, other bytes, or over `max`. */
NODISCARD bool str_number(struct str s, uint64_t max, uint64_t *out);

#endif
