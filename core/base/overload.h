/* overload.h -- when a worker takes no more, and when it does again.
 *
 * Each cause (overload.def) begins at one level and ends at a lower one, so that a worker at its
 * limit does not change its mind with each client. It ends by itself; but a partition that failed
 * (STORAGE) stays so until a restart.
 *
 * Thread   one.
 * Cost     O(1).
 */
#ifndef CORE_BASE_OVERLOAD_H
#define CORE_BASE_OVERLOAD_H

#include "core/base/base.h"

enum overload_cause {
#define OVERLOAD(name, text) OVERLOAD_##name,
#include "core/base/overload.def"
#undef OVERLOAD
    OVERLOAD_CAUSES
};

struct overload {
    uint32_t causes; /* bit set of 1 << enum overload_cause */
};

static inline bool overload_is(const struct overload *o, enum overload_cause c)
{
    return o->causes >> c & 1;
}

/* `level` at or over `begin`: it begins; below `end`: it ends. Says so in the log. */
void overload_look(struct overload *o, enum overload_cause c, uint64_t level, uint64_t begin,
                   uint64_t end);

const char *overload_name(enum overload_cause c);

#endif
