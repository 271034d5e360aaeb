/* scan.h -- reading segments from the disk at start: windows, headers, proofs of what was synced.
 *
 * Thread   the keeper (the opener before).
 * Memory   one window, the partition's staging buffer; a str is good until the next call.
 * Errors   blocks that can't be read are counted and look like damage.
 */
#ifndef STORAGE_SCAN_H
#define STORAGE_SCAN_H

#include "storage/inside.h"

struct scan {
    struct partition *p;
    uint32_t segment;
    uint64_t start;
    size_t length;
    uint64_t unreadable_blocks;
};

void scan_init(struct scan *s, struct partition *p);

/* Bytes [offset, offset + want) of a segment, fewer at its end, at most GROUP_BYTES_MAX. */
struct str scan_bytes(struct scan *s, const struct segment *segment, uint64_t offset, size_t want);

/* Is there an intact header of a group of this partition, that lies where it says it lies? */
NODISCARD bool scan_header(struct scan *s, const struct segment *segment, uint64_t offset,
                           struct group_header *h);

enum scan_group {
    SCAN_GOOD,
    SCAN_BROKEN /* header intact, records not */,
    SCAN_NONE
};

/* The group that must be at this place. */
enum scan_group scan_group(struct scan *s, const struct journal_place *place,
                           struct group_header *h, struct str *raw);

/* Somewhere behind `place`, or in another segment, an intact header with a higher sequence: the
 * lowest one. It proves that everything before it was synced. */
NODISCARD bool scan_proof(struct scan *s, const struct journal_place *place,
                          struct group_header *proof);

/* First headers of all segments: generations, sequences. */
void scan_segments(struct scan *s);

#endif
