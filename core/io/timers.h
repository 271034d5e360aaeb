/* timers.h -- deadlines of any length, embedded in their owners: a binary heap.
 *
 * For what has no common length (DNS retransmissions). Equal time-outs belong in core/base/lapse.
 *
 * Thread   one.
 * Memory   a running timer must neither move nor be freed; timers_stop() first. The heap is 8 bytes
 *          a running timer, kept for reuse.
 * Time     milliseconds of whatever clock the caller uses.
 * Cost     O(log n).
 * Promise  never early. No order among equal times.
 */
#ifndef CORE_IO_TIMERS_H
#define CORE_IO_TIMERS_H

#include "core/base/base.h"

struct timer {
    void (*due)(struct timer *t); /* stopped before it is called, so it may start again */
    void *owner;
    uint64_t due_ms;
    size_t place; /* in the heap, from 1; 0: not running */
};

struct timers {
    struct timer **at;
    size_t count, room;
};

void timers_init(struct timers *s);
void timers_drop(struct timers *s);

/* Start, or start anew with another time. */
void timers_start(struct timers *s, struct timer *t, uint64_t due_ms);

/* Stopping a timer that does not run is allowed. */
void timers_stop(struct timers *s, struct timer *t);

/* The next one that is due at `now_ms`, stopped; NULL: none. */
struct timer *timers_take(struct timers *s, uint64_t now_ms);

/* When the next one is due, or UINT64_MAX. */
uint64_t timers_next(const struct timers *s);

#endif
