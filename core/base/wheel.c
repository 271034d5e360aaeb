#include "core/base/wheel.h"

#include "core/base/heap.h"

#include <string.h>

enum {
    CHUNK_NODES = 4096
};

struct wheel_node {
    uint64_t key, tick;
    uint32_t next, tag;
};

static struct wheel_node *node_at(const struct wheel *w, uint32_t index)
{
    return &w->chunk[index / CHUNK_NODES][index % CHUNK_NODES];
}

void wheel_init(struct wheel *w, uint64_t now)
{
    *w = (struct wheel){.now = now};
}

void wheel_drop(struct wheel *w)
{
    for (uint32_t i = 0; i < w->chunks; i++)
        heap_drop(w->chunk[i]);
    heap_drop(w->chunk);
    wheel_init(w, w->now);
}

static uint32_t node_take(struct wheel *w)
{
    if (w->free) {
        uint32_t index = w->free;
        w->free = node_at(w, index)->next;
        return index;
    }
    if (w->nodes == w->chunks * CHUNK_NODES) {
        struct wheel_node **chunk = heap_grow(w->chunk, (w->chunks + 1) * sizeof *chunk);
        if (!chunk)
            return 0;
        w->chunk = chunk;
        chunk[w->chunks] = heap_try(CHUNK_NODES * sizeof(struct wheel_node));
        if (!chunk[w->chunks])
            return 0;
        w->chunks++;
        if (w->nodes == 0)
            w->nodes = 1; /* index 0 means none */
    }
    return w->nodes++;
}

/* Level of the highest digit in which the tick differs from now: what comes before that digit turns
 * is filed finer when it does. */
static void file(struct wheel *w, uint32_t index)
{
    struct wheel_node *n = node_at(w, index);
    uint32_t *head = &w->ready;
    if (n->tick > w->now) {
        uint64_t differs = n->tick ^ w->now;
        unsigned level = (63u - (unsigned)__builtin_clzll(differs)) / WHEEL_SLOT_BITS;
        unsigned slot = (unsigned)(n->tick >> (level * WHEEL_SLOT_BITS)) & (WHEEL_SLOTS - 1);
        if (level >= WHEEL_LEVELS) { /* beyond 2^32: wait in the top level for its next turn */
            level = WHEEL_LEVELS - 1;
            slot = 0;
        }
        w->busy[level][slot / 64] |= 1ull << (slot % 64);
        head = &w->slot[level][slot];
    }
    n->next = *head;
    *head = index;
}

bool wheel_arm(struct wheel *w, uint64_t key, uint32_t tag, uint64_t tick)
{
    uint32_t index = node_take(w);
    if (!index)
        return false;
    struct wheel_node *n = node_at(w, index);
    n->key = key;
    n->tag = tag;
    n->tick = tick;
    w->armed++;
    file(w, index);
    return true;
}

/* First busy slot of a level after `from` (exclusive), or WHEEL_SLOTS. */
static unsigned next_busy(const struct wheel *w, unsigned level, unsigned from)
{
    for (unsigned slot = from + 1; slot < WHEEL_SLOTS;) {
        uint64_t bits = w->busy[level][slot / 64] >> (slot % 64);
        if (bits)
            return slot + (unsigned)__builtin_ctzll(bits);
        slot = (slot / 64 + 1) * 64;
    }
    return WHEEL_SLOTS;
}

uint64_t wheel_next(const struct wheel *w)
{
    if (w->ready)
        return w->now;
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        unsigned shift = level * WHEEL_SLOT_BITS;
        unsigned digit = (unsigned)(w->now >> shift) & (WHEEL_SLOTS - 1);
        unsigned slot = next_busy(w, level, digit);
        uint64_t base = w->now >> (shift + WHEEL_SLOT_BITS) << (shift + WHEEL_SLOT_BITS);
        if (slot < WHEEL_SLOTS)
            return base | (uint64_t)slot << shift;
        if (level == WHEEL_LEVELS - 1 && w->slot[level][0])
            return base + (1ull << (shift + WHEEL_SLOT_BITS));
    }
    return UINT64_MAX;
}

static void refile(struct wheel *w, unsigned level, unsigned slot)
{
    uint32_t index = w->slot[level][slot];
    w->slot[level][slot] = 0;
    w->busy[level][slot / 64] &= ~(1ull << (slot % 64));
    while (index) {
        uint32_t next = node_at(w, index)->next;
        file(w, index);
        index = next;
    }
}

void wheel_advance(struct wheel *w, uint64_t now)
{
    while (w->now < now) {
        uint32_t ready = w->ready;
        w->ready = 0; /* so that wheel_next() looks at the slots */
        uint64_t next = wheel_next(w);
        w->ready = ready;
        if (next > now) {
            w->now = now;
            return;
        }
        w->now = next;
        for (unsigned level = WHEEL_LEVELS; level-- > 0;) {
            unsigned shift = level * WHEEL_SLOT_BITS;
            if (next & ((1ull << shift) - 1))
                continue; /* the digits below have not turned: this level keeps its slot */
            refile(w, level, (unsigned)(next >> shift) & (WHEEL_SLOTS - 1));
        }
    }
}

bool wheel_take(struct wheel *w, uint64_t *key, uint32_t *tag, uint64_t *tick)
{
    uint32_t index = w->ready;
    if (!index)
        return false;
    struct wheel_node *n = node_at(w, index);
    *key = n->key;
    *tag = n->tag;
    *tick = n->tick;
    w->ready = n->next;
    n->next = w->free;
    w->free = index;
    w->armed--;
    return true;
}

void wheel_verify(const struct wheel *w)
{
    uint64_t seen = 0;
    for (uint32_t i = w->ready; i; i = node_at(w, i)->next, seen++)
        must(node_at(w, i)->tick <= w->now);
    for (unsigned level = 0; level < WHEEL_LEVELS; level++)
        for (unsigned slot = 0; slot < WHEEL_SLOTS; slot++) {
            bool busy = w->busy[level][slot / 64] >> (slot % 64) & 1;
            must(busy == (w->slot[level][slot] != 0));
            for (uint32_t i = w->slot[level][slot]; i; i = node_at(w, i)->next, seen++)
                must(node_at(w, i)->tick > w->now);
        }
    must(seen == w->armed);
}
