#include "core/base/zones.h"

#include "core/base/heap.h"
#include "core/base/map.h"

enum {
    ZONE_ARENA_BYTES = 1 << 20 /* zone.h: at most LIMIT_ZONE_CHANGES * 16 bytes and little more */
};

struct held {
    struct held *next;
    struct arena arena;
    struct zone zone;
};

struct zones {
    const char *directory;
    struct map by_name;
    struct held *held;
};

struct zones *zones_make(const char *directory)
{
    struct zones *z = heap_take(sizeof *z);
    z->directory = directory;
    map_init(&z->by_name, (uint64_t)(uintptr_t)z);
    return z;
}

static void drop(struct held *h)
{
    arena_drop(&h->arena);
    heap_drop(h);
}

void zones_drop(struct zones **z)
{
    if (!*z)
        return;
    for (struct held *next, *h = (*z)->held; h; h = next) {
        next = h->next;
        drop(h);
    }
    map_drop(&(*z)->by_name);
    heap_drop(*z);
    *z = NULL;
}

static const char *explain(enum zone_status s)
{
    switch (s) {
    case ZONE_OK:
        return "";
    case ZONE_NO_NAME:
        return "not the name of a time zone (Asia/Tokyo, UTC)";
    case ZONE_MISSING:
        return "no such time zone here: see /usr/share/zoneinfo, of the package tzdata";
    case ZONE_BAD:
    case ZONE_TOO_BIG:
        return "its file in /usr/share/zoneinfo can't be read: install the package tzdata anew";
    case ZONE_NO_MEMORY:
        return "no memory for it";
    }
    return "";
}

const struct zone *zones_find(struct zones *z, struct str name, const char **why)
{
    const struct zone *known = map_get(&z->by_name, name);
    *why = "";
    if (known)
        return known;
    struct held *h = heap_take(sizeof *h);
    arena_init(&h->arena, ZONE_ARENA_BYTES);
    enum zone_status status = zone_load(z->directory, name, &h->arena, &h->zone);
    if (status != ZONE_OK) {
        *why = explain(status);
        drop(h);
        return NULL;
    }
    h->next = z->held;
    z->held = h;
    map_set(&z->by_name, h->zone.name, &h->zone);
    return &h->zone;
}
