/* sandbox.h -- what the extractor's processes may not do.
 *
 * sandbox_house(), once, before the first file comes: no new privileges, no user but nobody where
 * it was root, dies with its parent, no core files, first to go when memory is short; by Landlock
 * no file but libraries and poppler's tables may be read, no file at all written, and nothing but
 * the helper programs run. sandbox_room(), in the process of each file: rlimits, and a seccomp
 * filter that knows no sockets, no new files, no signals to others, no namespaces, no tracing.
 * Helper programs inherit both.
 *
 * Errors   false, and `errors` says what is missing: then nothing must be inspected.
 */
#ifndef TOOLS_EXTRACTOR_SANDBOX_H
#define TOOLS_EXTRACTOR_SANDBOX_H

#include "core/base/buffer.h"

/* NULL where the program is not installed. */
NODISCARD bool sandbox_house(const char *const *helpers, size_t count, struct buffer *errors);

struct sandbox_limits {
    uint64_t memory;     /* address space of each process; 0: as it is */
    uint64_t file_bytes; /* of one file in memory */
    uint64_t cpu_s;
};

NODISCARD bool sandbox_room(const struct sandbox_limits *l, struct buffer *errors);

#endif
