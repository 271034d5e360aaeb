/* resolver_event.h -- libunbound's event base on our loop: sockets by poll operations, time-outs by
 * timers. Only for resolver.c.
 *
 * Thread   the loop's.
 * Memory   an event that libunbound frees while the kernel still polls for it goes when that
 *          completes: turn the loop once more after ub_ctx_delete().
 */
#ifndef CORE_IO_RESOLVER_EVENT_H
#define CORE_IO_RESOLVER_EVENT_H

#include "core/io/loop.h"

struct ub_event_base;

struct ub_event_base *resolver_base_make(struct loop *l);

/* After ub_ctx_delete(). */
void resolver_base_drop(struct ub_event_base **b);

#endif
