/* lone.h -- does one client wait for one commit, with nobody else about?
 *
 * Waking a core that sleeps costs some 50 us, a fifth of what a lone client waits for its 250. So
 * when commits have lately come one by one, and soon enough, the worker looks out for the answer
 * instead of sleeping (loop_watch()). As soon as two are under way it sleeps as ever: then there is
 * other work to do meanwhile. For the same reason the keeper is told when a lone client begins to
 * send content: it is awake when the commit comes.
 *
 * Thread   the shard's; pure.
 * Time     nanoseconds of one clock, as arguments.
 */
#ifndef SHARDS_LONE_H
#define SHARDS_LONE_H

#include "core/base/base.h"

struct lone {
    uint32_t open;     /* commits not answered */
    uint32_t in_a_row; /* answered ones that were alone from question to answer */
    uint64_t asked_ns; /* the last question */
    uint64_t usual_ns; /* from question to answer, of those that were alone, smoothed */
};

void lone_asked(struct lone *l, uint64_t now_ns);

/* How long it took, when alone as usual; else 0. */
uint64_t lone_answered(struct lone *l, uint64_t now_ns);

/* For how many microseconds to look out, at most `limit_us`; 0: sleep. */
uint64_t lone_watch_us(const struct lone *l, uint64_t limit_us);

/* Is the next commit likely to be alone? */
bool lone_is_usual(const struct lone *l);

#endif
