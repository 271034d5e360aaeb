/* spool.h -- a file that is being looked at: in memory, without a name, and seen as bytes.
 *
 * Memory   a memfd: what a helper program reads is the same memory. spool_drop() gives it back.
 * Errors   false: more than `max`, or no memory.
 */
#ifndef TOOLS_EXTRACTOR_SPOOL_H
#define TOOLS_EXTRACTOR_SPOOL_H

#include "core/base/str.h"

struct spool {
    int fd;
    uint64_t bytes, max;
    struct str seen; /* after spool_see() */
};

NODISCARD bool spool_open(struct spool *s, uint64_t max);
NODISCARD bool spool_put(struct spool *s, struct str bytes);
NODISCARD bool spool_see(struct spool *s);
void spool_drop(struct spool *s);

#endif
