/* pace.h -- how many connections one destination gets: few at first, one more for each round that
 * it took well, half as many when it says "too much"; and when to look again at one that answers
 * nowhere.
 *
 *   up     1 .. most connections; grows by one for each `window` mails taken, and a "slow down"
 *          halves it. What was under way then says the same again, so as many outcomes as there
 *          were connections count for nothing after that.
 *   down   none for 1 s, then one that tries; when it fails too, none for twice as long, up to
 *          `longest`; the first greeting ends that.
 *
 * Thread   the shard's; pure. Times are arguments: ms of one clock that does not go back.
 * Cost     O(1), 40 bytes.
 * Promise  at least 1 while up, 0 during a pause, exactly 1 from its end to the first greeting.
 */
#ifndef SHARDS_PACE_H
#define SHARDS_PACE_H

#include "core/mail/reply.h"

enum {
    PACE_PAUSE_MS = 1000,   /* the first pause */
    PACE_PAUSES_MS = 300000 /* the longest, where retry_first is longer than this */
};

struct pace {
    uint32_t first;    /* connections to a destination of which nothing is known */
    uint32_t window;   /* connections at once while up */
    uint32_t taken;    /* mails since the window last changed */
    uint32_t stale;    /* outcomes to come that began before the last halving */
    bool proven;       /* it took a mail since it was last down */
    uint64_t pause_ms; /* length of the present or last pause; 0: up */
    uint64_t until_ms; /* its end */
};

void pace_init(struct pace *p, uint32_t first);

/* Connections that may be open or under way now; `most` is the setting, at least 1. */
uint32_t pace_limit(const struct pace *p, uint32_t most, uint64_t now_ms);

static inline bool pace_is_down(const struct pace *p, uint64_t now_ms)
{
    return p->pause_ms && now_ms < p->until_ms;
}

void pace_greeted(struct pace *p);             /* a connection got through: up */
void pace_took(struct pace *p, uint32_t most); /* a mail was taken */
bool pace_slowed(struct pace *p);              /* "too much"; true: fewer connections now */

/* A person says that it may answer now: a pause ends, and one connection tries. */
void pace_try(struct pace *p, uint64_t now_ms);

/* None of its exchangers answered. Within a pause nothing changes. */
void pace_failed(struct pace *p, uint64_t longest_ms, uint64_t now_ms);

/* Is this reply about how much we send, rather than about the mail? 421, 4.3.2, 4.4.z, 4.7.z and
 * what bounce.def calls `rate`; not greylisting, which is about the sender. */
bool pace_is_slow_down(const struct reply_seen *r);

#endif
