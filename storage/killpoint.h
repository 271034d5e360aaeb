/* killpoint.h -- the program kills itself at a named point, so that crash tests can sweep over all.
 *
 * SEKIMORI_KILL_AT="after-sync:17" in the environment raises SIGKILL at the 17th pass of that
 * point. Without the variable a point costs one load.
 *
 * Thread   any. killpoint_start() once, before threads.
 */
#ifndef STORAGE_KILLPOINT_H
#define STORAGE_KILLPOINT_H

#include "core/base/base.h"

enum killpoint {
    KILL_BEFORE_WRITE, /* group encoded, nothing written */
    KILL_AFTER_WRITE,  /* written, not synced */
    KILL_AFTER_SYNC,   /* synced, not answered */
    KILL_AFTER_ANSWER, /* answered, index behind */
    KILL_AFTER_INDEX,  /* index batch written, not flushed */
    KILL_MID_RECLAIM,  /* survivors of a segment partly copied */
    KILL_MID_RECYCLE,  /* a segment is taken into use again */
    KILL_MID_REPLAY,   /* at start, after some groups */
    KILLPOINTS
};

void killpoint_start(void);
void killpoint(enum killpoint point);

#endif
