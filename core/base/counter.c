#include "core/base/counter.h"

#include "core/base/heap.h"
#include "core/base/limit.h"

_Thread_local struct counter_row *counter_mine;

static _Atomic(struct counter_row *) rows[LIMIT_SHARDS * 4];
static atomic_uint row_count;

void counter_thread_start(void)
{
    if (counter_mine)
        return;
    unsigned at = atomic_fetch_add(&row_count, 1);
    must(at < countof(rows));
    counter_mine = heap_take_aligned(64, sizeof *counter_mine);
    for (size_t i = 0; i < COUNTERS; i++)
        atomic_init(&counter_mine->value[i], 0);
    atomic_store(&rows[at], counter_mine);
}

uint64_t counter_read(enum counter c)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < countof(rows); i++) {
        struct counter_row *row = atomic_load(&rows[i]);
        if (row)
            sum += atomic_load_explicit(&row->value[c], memory_order_relaxed);
    }
    return sum;
}

const char *counter_name(enum counter c)
{
    static const char *const names[] = {
#define COUNT(name, unit, help) #name,
#include "core/base/counter.def"
#undef COUNT
    };
    return names[c];
}

const char *counter_help(enum counter c)
{
    static const char *const helps[] = {
#define COUNT(name, unit, help) help,
#include "core/base/counter.def"
#undef COUNT
    };
    return helps[c];
}
