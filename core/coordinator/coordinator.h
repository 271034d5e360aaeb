/* coordinator.h -- the thread that runs the wheel of timed release, keeps the registry
 * (organisations), publishes snapshots, and answers the control socket.
 *
 * It serialises nothing about mail: release and discard are decided by the keeper of the message's
 * partition. The wheel is a cache of the partitions' due indexes; it covers the next hour and asks
 * keepers to refill it.
 *
 * Thread   coordinator_run() is the thread; coordinator_stop(), coordinator_reload(): any, and
 *          from a signal handler (they write to the port).
 * Time     holds follow adopted time (core/base/clock.h): a new anchor every 10 s goes to workers
 *          and keepers. After a boot with the wall clock over an hour past the last anchor,
 *          nothing is handed out until clock_confirm has passed or the kernel says that NTP is
 *          synchronised.
 * Promise  nothing is handed to a worker before its due; at most LIMIT_DUE_PER_TURN a turn and
 *          worker. ADOPTED from all workers frees an old snapshot. A stop waits for STOPPED of
 *          every worker.
 */
#ifndef CORE_COORDINATOR_COORDINATOR_H
#define CORE_COORDINATOR_COORDINATOR_H

#include "core/policy/snapshot.h"
#include "storage/partition.h"

struct coordinator;

struct coordinator_partition {
    struct partition *partition;
    struct ring *ask, *answer; /* ours to the keeper, and back */
    struct ring *arms; /* ARM, REFILLED, FAILED from the keeper; may be the same as `answer` */
};

struct coordinator_worker {
    struct ring *to, *from;
};

struct coordinator_settings {
    const char *config_path;     /* read again by reload; NULL: none */
    const struct str *overrides; /* "key=value" of the command line, win over the file */
    size_t override_count;
    struct port *port; /* on which all rings to us sleep */
    struct coordinator_worker *workers;
    uint32_t worker_count;
    struct coordinator_partition *partitions; /* by number; its worker: number % worker_count */
    uint32_t partition_count;
    struct partition *registry; /* ours alone: partition_commit() from this thread */
    struct zones *zones;        /* NULL: calendars cannot be asked */
    struct clock_anchor anchor; /* adopted time at start, decided by coordinator_first_anchor() */
    bool clock_doubtful;        /* wait for clock_confirm before handing out */
};

/* From what the partitions remember: adopted time now, and must the clock be confirmed first? */
struct clock_anchor coordinator_first_anchor(struct partition *const *partitions, uint32_t count,
                                             bool *doubtful);

/* Settings and organisations as of now; NULL: `errors`. Used by main before the workers start. */
NODISCARD struct snapshot *coordinator_first_snapshot(const struct coordinator_settings *s,
                                                      struct buffer *errors);

/* `first` is already known to the workers. The control socket is opened here; NULL: `errors`. */
NODISCARD struct coordinator *coordinator_make(const struct coordinator_settings *s,
                                               struct snapshot *first, struct buffer *errors);

/* Returns after a stop; the workers have stopped then. */
void coordinator_run(struct coordinator *c);
void coordinator_drop(struct coordinator **c);

void coordinator_stop(struct coordinator *c);
void coordinator_reload(struct coordinator *c);

#endif
