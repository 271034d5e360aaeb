#include "core/base/random.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

void random_bytes(void *at, size_t len)
{
    char *to = at;
    while (len) {
        ssize_t got = getrandom(to, len, 0);
        if (got < 0 && errno == EINTR)
            continue;
        must(got > 0);
        to += got;
        len -= (size_t)got;
    }
}

uint64_t random_u64(void)
{
    static _Thread_local uint64_t pool[64];
    static _Thread_local size_t left;
    if (left == 0) {
        random_bytes(pool, sizeof pool);
        left = countof(pool);
    }
    uint64_t value = pool[--left];
    pool[left] = 0;
    return value;
}

uint64_t random_below(uint64_t bound)
{
    must(bound > 0);
    uint64_t limit = UINT64_MAX - UINT64_MAX % bound, value;
    do
        value = random_u64();
    while (value >= limit);
    return value % bound;
}
