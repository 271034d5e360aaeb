#include "core/base/map.h"

#include "core/base/heap.h"

enum {
    SLOTS_FIRST = 16
};

struct map_entry {
    struct map_entry *next;
    uint64_t hash;
    void *value;
    size_t len;
    char key[];
};

static inline uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

uint64_t hash_bytes(struct str s, uint64_t seed)
{
    uint64_t k0 = seed, k1 = seed * 0x9e3779b97f4a7c15u + 1;
    uint64_t v[4] = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u,
                     k1 ^ 0x7465646279746573u};
    uint64_t last = (uint64_t)s.len << 56;
    size_t whole = s.len & ~(size_t)7;
    for (size_t i = 0; i < whole; i += 8) {
        uint64_t word;
        memcpy(&word, s.at + i, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    for (size_t i = whole; i < s.len; i++)
        last |= (uint64_t)(uint8_t)s.at[i] << (8 * (i - whole));
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void map_init(struct map *m, uint64_t seed)
{
    *m = (struct map){.seed = seed};
}

void map_drop(struct map *m)
{
    for (size_t i = 0; i < m->slots; i++)
        for (struct map_entry *e = m->slot[i], *next; e; e = next) {
            next = e->next;
            heap_drop(e);
        }
    heap_drop(m->slot);
    *m = (struct map){.seed = m->seed};
}

static struct map_entry **find(const struct map *m, struct str key, uint64_t hash)
{
    struct map_entry **at = &m->slot[hash & (m->slots - 1)];
    while (*at && ((*at)->hash != hash || !str_eq(str_from((*at)->key, (*at)->len), key)))
        at = &(*at)->next;
    return at;
}

void *map_get(const struct map *m, struct str key)
{
    if (m->count == 0)
        return NULL;
    const struct map_entry *e = *find(m, key, hash_bytes(key, m->seed));
    return e ? e->value : NULL;
}

static void grow(struct map *m)
{
    size_t slots = m->slots ? m->slots * 2 : SLOTS_FIRST;
    struct map_entry **slot = heap_take(slots * sizeof(struct map_entry *));
    for (size_t i = 0; i < m->slots; i++)
        for (struct map_entry *e = m->slot[i], *next; e; e = next) {
            next = e->next;
            e->next = slot[e->hash & (slots - 1)];
            slot[e->hash & (slots - 1)] = e;
        }
    heap_drop(m->slot);
    m->slot = slot;
    m->slots = slots;
}

void map_set(struct map *m, struct str key, void *value)
{
    must(value != NULL);
    if (m->count >= m->slots)
        grow(m);
    uint64_t hash = hash_bytes(key, m->seed);
    struct map_entry **at = find(m, key, hash);
    if (!*at) {
        struct map_entry *e = heap_take(sizeof *e + key.len);
        e->hash = hash;
        e->len = key.len;
        if (key.len)
            memcpy(e->key, key.at, key.len);
        *at = e;
        m->count++;
    }
    (*at)->value = value;
}

void *map_remove(struct map *m, struct str key)
{
    if (m->count == 0)
        return NULL;
    struct map_entry **at = find(m, key, hash_bytes(key, m->seed)), *e = *at;
    if (!e)
        return NULL;
    void *value = e->value;
    *at = e->next;
    heap_drop(e);
    m->count--;
    return value;
}

/* `at` is the entry that comes next, found before the caller may remove the one it is given. */
bool map_next(const struct map *m, struct map_entry **at, struct str *key, void **value)
{
    static struct map_entry end;
    if (*at == &end)
        return false;
    struct map_entry *e = *at;
    for (size_t i = 0; !e && i < m->slots; i++)
        e = m->slot[i];
    if (!e)
        return false;
    struct map_entry *next = e->next;
    for (size_t i = (e->hash & (m->slots - 1)) + 1; !next && i < m->slots; i++)
        next = m->slot[i];
    *at = next ? next : &end;
    *key = str_from(e->key, e->len);
    *value = e->value;
    return true;
}
