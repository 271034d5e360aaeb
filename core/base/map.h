/* map.h -- from bytes to a pointer; open hashing with a secret seed, so that nobody can aim at one
 * chain.
 *
 * Thread   one (or any number that only look up, once it is filled).
 * Memory   keys are copied; values belong to the caller.
 * Cost     O(1) expected, O(length of key).
 */
#ifndef CORE_BASE_MAP_H
#define CORE_BASE_MAP_H

#include "core/base/str.h"

struct map_entry;

struct map {
    struct map_entry **slot;
    size_t slots, count;
    uint64_t seed;
};

void map_init(struct map *m, uint64_t seed);
void map_drop(struct map *m); /* not the values */

void *map_get(const struct map *m, struct str key);       /* NULL: absent */
void map_set(struct map *m, struct str key, void *value); /* replaces; value is not NULL */
void *map_remove(struct map *m, struct str key);          /* the value, or NULL */

/* Walk: start with *at = NULL; false at the end. Removing the entry just returned is allowed. */
bool map_next(const struct map *m, struct map_entry **at, struct str *key, void **value);

uint64_t hash_bytes(struct str s, uint64_t seed); /* SipHash-1-3 keyed by the seed */

#endif
