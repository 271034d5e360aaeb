#include "shards/retry.h"

#include "core/base/map.h"

uint64_t retry_jitter(uint64_t id, uint32_t attempts)
{
    return hash_bytes(str_from((const char *)&id, sizeof id), attempts);
}

uint64_t retry_interval_ms(const struct settings *s, uint32_t attempts, uint64_t random)
{
    uint64_t interval = s->retry_first;
    for (uint32_t i = 1; i < attempts && interval < s->retry_longest; i++)
        interval += interval / 2;
    interval = u64_min(interval, s->retry_longest);
    uint64_t spread = interval / 2;
    return interval - spread / 2 + (spread ? random % spread : 0);
}

bool retry_is_over(const struct settings *s, const struct recipient *r, uint64_t accepted_ms,
                   uint64_t now_ms)
{
    uint64_t since = u64_max(accepted_ms, r->release_ms);
    return now_ms > since && now_ms - since >= s->retry_for;
}
