#include "core/base/arena.h"

#include "core/base/heap.h"

enum {
    CHUNK_BYTES = 4096
};

struct arena_chunk {
    struct arena_chunk *older;
    size_t room, used;
    _Alignas(16) char bytes[];
};

void arena_init(struct arena *a, size_t cap)
{
    *a = (struct arena){.cap = cap};
}

void arena_drop(struct arena *a)
{
    while (a->chunk) {
        struct arena_chunk *older = a->chunk->older;
        heap_drop(a->chunk);
        a->chunk = older;
    }
    a->used = 0;
}

void arena_reset(struct arena *a)
{
    struct arena_chunk *keep = a->chunk;
    if (keep && keep->room == CHUNK_BYTES) {
        a->chunk = keep->older;
        arena_drop(a);
        keep->older = NULL;
        keep->used = 0;
        a->chunk = keep;
        return;
    }
    arena_drop(a);
}

void *arena_take(struct arena *a, size_t bytes)
{
    size_t asked = bytes;
    bytes = (bytes + 15) & ~(size_t)15;
    if (bytes < asked || bytes > a->cap - a->used) /* the sum may have wrapped */
        return NULL;
    struct arena_chunk *c = a->chunk;
    if (!c || bytes > c->room - c->used) {
        size_t room = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
        c = heap_try(sizeof *c + room);
        if (!c)
            return NULL;
        *c = (struct arena_chunk){.older = a->chunk, .room = room};
        a->chunk = c;
    }
    void *at = c->bytes + c->used;
    c->used += bytes;
    a->used += bytes;
    memset(at, 0, bytes);
    return at;
}

struct str arena_copy(struct arena *a, struct str s)
{
    char *at = arena_take(a, s.len + 1);
    if (!at)
        return (struct str){NULL, 0};
    if (s.len)
        memcpy(at, s.at, s.len);
    return str_from(at, s.len);
}
