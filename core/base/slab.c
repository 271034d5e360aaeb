#include "core/base/slab.h"

#include "core/base/heap.h"

#include <string.h>

enum {
    BLOCK_OBJECTS = 64
};

static const uint32_t NONE = UINT32_MAX;

struct slot {
    uint32_t index, generation, next_free;
    bool live;
    _Alignas(16) char object[];
};

void slab_init(struct slab *s, size_t object_bytes, uint32_t max)
{
    *s = (struct slab){.object_bytes = object_bytes, .max = max, .free_head = NONE};
    s->stride = (sizeof(struct slot) + object_bytes + 15) & ~(size_t)15;
}

void slab_drop(struct slab *s)
{
    for (uint32_t i = 0; i < s->blocks; i++)
        heap_drop(s->block[i]);
    heap_drop(s->block);
    s->block = NULL;
    s->blocks = s->made = s->used = 0;
    s->free_head = NONE;
}

static struct slot *slot_at(const struct slab *s, uint32_t index)
{
    char *block = s->block[index / BLOCK_OBJECTS];
    return (struct slot *)(void *)(block + (size_t)(index % BLOCK_OBJECTS) * s->stride);
}

static bool grow(struct slab *s)
{
    char **block = heap_grow(s->block, (s->blocks + 1) * sizeof *block);
    if (!block)
        return false;
    s->block = block;
    char *fresh = heap_try(s->stride * BLOCK_OBJECTS);
    if (!fresh)
        return false;
    s->block[s->blocks++] = fresh;
    return true;
}

void *slab_take(struct slab *s)
{
    struct slot *slot;
    if (s->free_head != NONE) {
        slot = slot_at(s, s->free_head);
        s->free_head = slot->next_free;
    } else {
        if (s->made >= s->max || (s->made == s->blocks * BLOCK_OBJECTS && !grow(s)))
            return NULL;
        slot = slot_at(s, s->made);
        *slot = (struct slot){.index = s->made++, .generation = 1};
    }
    slot->live = true;
    s->used++;
    memset(slot->object, 0, s->object_bytes);
    return slot->object;
}

static struct slot *slot_of(const void *object)
{
    return (struct slot *)(void *)((uintptr_t)object - offsetof(struct slot, object));
}

void slab_give(struct slab *s, void *object)
{
    struct slot *slot = slot_of(object);
    must(slot->live);
    slot->live = false;
    slot->generation += slot->generation == UINT32_MAX ? 2 : 1;
    slot->next_free = s->free_head;
    s->free_head = slot->index;
    s->used--;
}

void *slab_get(const struct slab *s, struct handle h)
{
    if (h.index >= s->made)
        return NULL;
    struct slot *slot = slot_at(s, h.index);
    return slot->live && slot->generation == h.generation ? slot->object : NULL;
}

struct handle slab_handle(const struct slab *s, const void *object)
{
    const struct slot *slot = slot_of(object);
    must(slot->index < s->made);
    return (struct handle){slot->index, slot->generation};
}

void *slab_at(const struct slab *s, uint32_t index)
{
    if (index >= s->made)
        return NULL;
    struct slot *slot = slot_at(s, index);
    return slot->live ? slot->object : NULL;
}
