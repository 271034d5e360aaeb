/* state.h -- everything the coordinator owns; for the files of this box only.
 *
 * Thread   the coordinator's; `stop_wanted` and `reload_wanted`: any, signal handlers too.
 */
#ifndef CORE_COORDINATOR_STATE_H
#define CORE_COORDINATOR_STATE_H

#include "core/base/slab.h"
#include "core/coordinator/control.h"
#include "core/coordinator/coordinator.h"
#include "core/coordinator/publish.h"
#include "core/coordinator/release.h"
#include "core/coordinator/timekeeper.h"

#include <stdatomic.h>

struct worker_state {
    bool stopped;
    uint64_t generation; /* of the snapshot in use there; 0: none was put away yet */
    uint64_t pulse_ms;   /* monotonic */
    uint32_t connections, waiting, outbound, destinations, down, lookups; /* the pulse said */
    uint64_t overload;   /* causes, a bit set; it too */
    uint32_t due_budget; /* DUE cells that may still be handed over in this turn */
};

struct partition_state {
    struct release release;
    bool failed;
};

struct coordinator {
    struct coordinator_settings set;
    atomic_bool stop_wanted, reload_wanted;

    struct now now; /* of this turn */
    uint64_t adopted_ms;
    struct now started;
    uint64_t sync_asked_ms; /* monotonic: the kernel is asked once a second */
    struct timekeeper time;

    struct worker_state *workers;
    struct partition_state *partitions;
    struct slab changes; /* struct change: what was asked of keepers */
    uint64_t handed_out;
    uint32_t turns;

    struct publish publish;
    struct control control;

    bool stopping;
    uint64_t stop_ms; /* monotonic */
};

/* An order to a keeper is on its way or a ring is full: come back soon. */
static inline uint32_t coordinator_worker_of(const struct coordinator *c, uint32_t partition)
{
    return partition % c->set.worker_count;
}

void coordinator_put_keeper(struct coordinator *c, uint32_t partition, const struct cell *cell);
void coordinator_put_worker(struct coordinator *c, uint32_t worker, const struct cell *cell);

/* One turn without sleeping; the milliseconds that it may sleep now. For run() and for tests. */
uint64_t coordinator_turn(struct coordinator *c);

/* An operator says that the wall clock is right. */
void coordinator_confirm_clock(struct coordinator *c);

#endif
