/* labour.h -- a helper thread for work over about a millisecond, so that a worker never waits for
 * it.
 *
 * Thread   one labourer a shard, SCHED_BATCH and nice 10, not pinned. A struct work belongs to the
 *          labourer from WORK to WORKED.
 * Time     an unknown user takes as long as a known one with an argon2id hash; one with only a
 *          SCRAM verifier a little longer.
 * Memory   a work is made by the worker and freed by it after WORKED.
 */
#ifndef SHARDS_LABOUR_H
#define SHARDS_LABOUR_H

#include "core/base/buffer.h"
#include "core/base/ring.h"

enum work_kind {
    WORK_PASSWORD,
    WORK_STOP
};

struct work {
    enum work_kind kind;
    struct buffer password,
        hash;  /* WORK_PASSWORD; a PHC string or a SCRAM verifier; empty: an unknown user, and the
                  same time is spent */
    bool good; /* answer */
};

struct work *work_make(enum work_kind kind);
void work_drop(struct work **w); /* wipes the password */

struct labourer {
    struct port port;
    struct ring *from_worker, *to_worker;
};

/* The thread's function; its argument is a struct labourer. Returns after WORK_STOP. */
void *labour_run(void *labourer);

#endif
