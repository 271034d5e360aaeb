/* counter.h -- what the program counts, declared in counter.def.
 *
 * Thread   count() any: each thread adds to its own row. counter_read(): any; the sum may lag.
 */
#ifndef CORE_BASE_COUNTER_H
#define CORE_BASE_COUNTER_H

#include "core/base/base.h"

#include <stdatomic.h>

enum counter {
#define COUNT(name, unit, help) COUNTER_##name,
#include "core/base/counter.def"
#undef COUNT
    COUNTERS
};

struct counter_row {
    _Alignas(64) atomic_uint_fast64_t value[COUNTERS];
};

extern _Thread_local struct counter_row *counter_mine;

/* Once in each thread, before it counts. Stops the program past LIMIT_SHARDS * 4 threads. */
void counter_thread_start(void);

static inline void counter_add(enum counter c, uint64_t n)
{
    if (!counter_mine)
        counter_thread_start();
    atomic_fetch_add_explicit(&counter_mine->value[c], n, memory_order_relaxed);
}

#define count(name)        counter_add(COUNTER_##name, 1)
#define count_by(name, by) counter_add(COUNTER_##name, by)

uint64_t counter_read(enum counter c);
const char *counter_name(enum counter c);
const char *counter_help(enum counter c);

#endif
