/* zones.h -- the time zones in use, each read once, by the name that settings and organisations
 * give it.
 *
 * Thread   one: whoever reads organisations. What is found is immutable and lives until the end of
 *          the collection: any thread.
 * Memory   of each zone that was found (zone.h); names that nobody has cost nothing.
 */
#ifndef CORE_BASE_ZONES_H
#define CORE_BASE_ZONES_H

#include "core/base/zone.h"

struct zones;

struct zones *zones_make(const char *directory); /* ZONE_DIRECTORY, or a test's */
void zones_drop(struct zones **z);

/* NULL: `why` says it, for whoever wrote the name. */
const struct zone *zones_find(struct zones *z, struct str name, const char **why);

#endif
