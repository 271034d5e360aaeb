/* room.h -- the life of one process for one file: reads the request, looks, answers, ends.
 *
 * Promise  nothing of another file was ever in this process, and nothing of this one stays.
 */
#ifndef TOOLS_EXTRACTOR_ROOM_H
#define TOOLS_EXTRACTOR_ROOM_H

#include "tools/extractor/sandbox.h"

/* `fd`: the worker's connection. Exit status. */
int room_run(int fd, const struct sandbox_limits *limits);

#endif
