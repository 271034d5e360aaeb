#include "core/coordinator/release.h"

void release_init(struct release *r, uint64_t now_ms)
{
    *r = (struct release){0};
    wheel_init(&r->wheel, now_ms / RELEASE_TICK_MS);
}

void release_drop(struct release *r)
{
    wheel_drop(&r->wheel);
}

void release_arm(struct release *r, uint64_t id, uint32_t lane, uint64_t due_ms)
{
    uint64_t tick = due_ms / RELEASE_TICK_MS + (due_ms % RELEASE_TICK_MS != 0);
    if (!wheel_arm(&r->wheel, id, lane, tick))
        r->short_of_memory = true;
    else
        r->armed++;
}

bool release_wants(struct release *r, uint64_t now_ms, uint64_t *from_ms, uint64_t *to_ms)
{
    if (r->refilling || now_ms + RELEASE_REFILL_MS < r->horizon_ms)
        return false;
    *from_ms = r->short_of_memory ? 0 : r->horizon_ms;
    *to_ms = now_ms + RELEASE_HORIZON_MS;
    r->horizon_ms = *to_ms;
    r->refilling = true;
    r->short_of_memory = false;
    return true;
}

void release_refilled(struct release *r)
{
    r->refilling = false;
}

static void start_anew(struct release *r, uint64_t now_ms)
{
    bool refilling = r->refilling;
    wheel_drop(&r->wheel);
    wheel_init(&r->wheel, now_ms / RELEASE_TICK_MS);
    r->horizon_ms = 0;
    r->refilling = refilling;
}

void release_advance(struct release *r, uint64_t now_ms)
{
    uint64_t tick = now_ms / RELEASE_TICK_MS;
    if (tick >= r->wheel.now)
        wheel_advance(&r->wheel, tick);
    else if ((r->wheel.now - tick) * RELEASE_TICK_MS > RELEASE_BACK_MS)
        start_anew(r, now_ms);
}

bool release_take(struct release *r, uint64_t now_ms, struct due *out)
{
    uint64_t tick;
    if (now_ms / RELEASE_TICK_MS < r->wheel.now ||
        !wheel_take(&r->wheel, &out->id, &out->lane, &tick))
        return false;
    out->due_ms = tick * RELEASE_TICK_MS;
    r->late_ms_max = u64_max(r->late_ms_max, now_ms - out->due_ms);
    return true;
}

uint64_t release_next_ms(const struct release *r)
{
    uint64_t tick = wheel_next(&r->wheel);
    return tick == UINT64_MAX ? UINT64_MAX : tick * RELEASE_TICK_MS;
}
