/* keyset.h -- sorted addresses or domains: "is it one of these?" without case.
 *
 * A key is an address or domain in the one spelling of core/mail, in lower-case ASCII letters. The
 * pattern "*.int.example" (all below int.example) has the key ".int.example".
 *
 * Thread   any once made.
 * Memory   in the arena given.
 * Cost     O(log count) a look-up; a domain one more for each of its labels.
 */
#ifndef CORE_POLICY_KEYSET_H
#define CORE_POLICY_KEYSET_H

#include "core/base/arena.h"
#include "core/base/limit.h"

struct keyset {
    const struct str *at;
    size_t count;
};

struct key_room {
    char at[LIMIT_PATH_BYTES + LIMIT_DOMAIN_BYTES];
};

/* Empty when it cannot be a key: too long. The empty key is in no set. */
struct str key_of(struct str text, struct key_room *room);

NODISCARD bool keyset_make(struct arena *a, const struct str *texts, size_t count,
                           struct keyset *out);
bool keyset_has(const struct keyset *s, struct str key);

/* The part of `domain` that stands in the set: itself, or the longest ".suffix"; else empty. */
struct str keyset_domain(const struct keyset *s, struct str domain);

#endif
