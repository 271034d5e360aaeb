/* look.h -- everything about one file: what it is, what is in it, its text.
 *
 * No recursion: containers that are open stand on a stack as deep as the limit of depth.
 */
#ifndef TOOLS_EXTRACTOR_LOOK_H
#define TOOLS_EXTRACTOR_LOOK_H

#include "tools/extractor/job.h"
#include "tools/extractor/spool.h"

enum {
    LOOK_DEPTH_MAX = 32,
};

/* Tells members, texts and flags, not the verdict. Takes over the spool, which was seen. */
void look(struct job *j, struct spool *file, struct str name);

#endif
