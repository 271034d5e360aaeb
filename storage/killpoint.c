#include "storage/killpoint.h"

#include "core/base/base.h"
#include "core/base/str.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

static const char *const names[KILLPOINTS] = {
    "before-write", "after-write", "after-sync",  "after-answer",
    "after-index",  "mid-reclaim", "mid-recycle", "mid-replay",
};

static int chosen = -1; /* written before threads start */
static atomic_int_fast64_t passes_left;

void killpoint_start(void)
{
    const char *wish = getenv("SEKIMORI_KILL_AT"); /* NOLINT(concurrency-mt-unsafe) */
    if (!wish || chosen >= 0)
        return;
    struct str rest = str_c(wish);
    struct str name = str_cut(&rest, ':');
    uint64_t pass = 1;
    if (rest.len && !str_number(rest, 1u << 30, &pass))
        return;
    for (int i = 0; i < KILLPOINTS; i++)
        if (str_eq(name, str_c(names[i]))) {
            atomic_store(&passes_left, (int_fast64_t)pass);
            chosen = i;
        }
}

void killpoint(enum killpoint point)
{
    if (chosen == (int)point && atomic_fetch_sub(&passes_left, 1) == 1)
        (void)raise(SIGKILL);
}
