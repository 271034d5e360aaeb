/* salvage.h -- what can be used of a damaged region of the journal.
 *
 * Thread   the keeper (the opener before).
 */
#ifndef STORAGE_SALVAGE_H
#define STORAGE_SALVAGE_H

#include "storage/inside.h"

struct salvage {
    struct partition *p;
    struct journal_place place; /* segment, generation, stamp */
    uint64_t offset;            /* of the region in the segment */
    struct str region;
    uint64_t used, directories; /* out: records applied, groups whose directory is intact */
};

void salvage_region(struct salvage *s);

#endif
