#include "core/base/zones.h"

#include "core/base/heap.h"
#include "core/base/map.h"

enum {
    ZONES_BYTES_MAX = 64 << 20 /* some 600 zones of at most 64 KiB */
};

struct zones {
    const char *directory;
    struct arena arena;
    struct map by_name;
};

struct zones *zones_make(const char *directory)
{
    struct zones *z = heap_take(sizeof *z);
    z->directory = directory;
    arena_init(&z->arena, ZONES_BYTES_MAX);
    map_init(&z->by_name, (uint64_t)(uintptr_t)z);
    return z;
}

void zones_drop(struct zones **z)
{
    if (!*z)
        return;
    map_drop(&(*z)->by_name);
    arena_drop(&(*z)->arena);
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
    struct zone *zone = map_get(&z->by_name, name);
    *why = "";
    if (zone)
        return zone;
    /* a file that is bad leaves nothing behind in the arena */
    struct arena trial;
    struct zone found;
    arena_init(&trial, ZONES_BYTES_MAX);
    enum zone_status status = zone_load(z->directory, name, &trial, &found);
    arena_drop(&trial);
    zone = status == ZONE_OK ? arena_take(&z->arena, sizeof *zone) : NULL;
    if (zone)
        status = zone_load(z->directory, name, &z->arena, zone);
    if (!zone || status != ZONE_OK) {
        *why = explain(status == ZONE_OK ? ZONE_NO_MEMORY : status);
        return NULL;
    }
    zone->name = arena_copy(&z->arena, name);
    map_set(&z->by_name, zone->name, zone);
    return zone;
}
