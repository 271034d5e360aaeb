/* arena.h -- memory that dies together: what a message needs while it is worked on.
 *
 * Memory   freed all at once by arena_reset() (keeps one chunk) or arena_drop().
 * Cost     a bump of a pointer.
 * Errors   NULL past the cap given to arena_init(), or without memory: the caller answers 452.
 */
#ifndef CORE_BASE_ARENA_H
#define CORE_BASE_ARENA_H

#include "core/base/str.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *chunk; /* newest first */
    size_t used, cap;          /* bytes over all chunks */
};

void arena_init(struct arena *a, size_t cap);
void arena_drop(struct arena *a);
void arena_reset(struct arena *a);

NODISCARD void *arena_take(struct arena *a, size_t bytes); /* zeroed, aligned to 16 */

/* A copy of the bytes, with a terminator after them; `.at` is NULL when there is no memory. */
NODISCARD struct str arena_copy(struct arena *a, struct str s);

#endif
