/* snapshot.h -- what every thread knows and none may change: settings and organisations of one
 * moment.
 *
 * The coordinator makes a new one at a reload or a change of an organisation and sends it by
 * PUBLISH; a worker uses it from its next turn on and answers ADOPTED with the one it put away,
 * once nothing on that worker refers to it. When all have, the coordinator frees it.
 *
 * Thread   immutable after publication: any.
 */
#ifndef CORE_POLICY_SNAPSHOT_H
#define CORE_POLICY_SNAPSHOT_H

#include "core/base/setting.h"

struct directory;
struct network;

struct snapshot {
    uint64_t generation; /* 1 at start, grows */
    struct settings *settings;
    struct directory *directory;
    struct str hostname;             /* never empty */
    struct str notice_domain;        /* never empty */
    const struct network *addresses; /* of this machine, for loop detection */
    size_t address_count;
    uint32_t users; /* threads that have not put it away: the coordinator's count */
};

#endif
