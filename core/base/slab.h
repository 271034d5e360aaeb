/* slab.h -- objects of one size, named by handles that go stale when the object is freed.
 *
 * Thread   one.
 * Memory   grows by blocks up to `max`; objects never move; blocks are never given back.
 * Cost     O(1) each.
 * Errors   slab_take() returns NULL at `max` or without memory.
 */
#ifndef CORE_BASE_SLAB_H
#define CORE_BASE_SLAB_H

#include "core/base/base.h"

struct handle {
    uint32_t index;
    uint32_t generation; /* never 0 for a live object */
};

struct slab {
    size_t object_bytes; /* as asked for */
    size_t stride;       /* with the header before each */
    uint32_t max, made, used, free_head;
    char **block;
    uint32_t blocks;
};

void slab_init(struct slab *s, size_t object_bytes, uint32_t max);
void slab_drop(struct slab *s);

NODISCARD void *slab_take(struct slab *s); /* zeroed */
void slab_give(struct slab *s, void *object);
void *slab_get(const struct slab *s, struct handle h); /* NULL: stale */
struct handle slab_handle(const struct slab *s, const void *object);

/* For walks at shutdown and in lists: the live object at `index`, or NULL. Indexes run to `made`.
 * */
void *slab_at(const struct slab *s, uint32_t index);

static inline uint64_t handle_pack(struct handle h)
{
    return (uint64_t)h.generation << 32 | h.index;
}

static inline struct handle handle_unpack(uint64_t packed)
{
    return (struct handle){(uint32_t)packed, (uint32_t)(packed >> 32)};
}

#endif
