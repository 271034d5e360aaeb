#include "core/coordinator/timekeeper.h"

struct now now_read(void)
{
    return (struct now){clock_wall_ms(), clock_boot_ms(), clock_monotonic_ms()};
}

struct clock_anchor timekeeper_first(const struct anchor_report *reports, size_t count,
                                     const struct clock_boot_id *boot, const struct now *now,
                                     bool *doubtful)
{
    uint64_t newest = 0;
    const struct anchor_report *same = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct anchor_report *r = &reports[i];
        newest = u64_max(newest, r->anchor.adopted_ms);
        bool same_boot =
            memcmp(r->boot.at, boot->at, sizeof boot->at) == 0 && r->anchor.boot_ms <= now->boot_ms;
        if (same_boot && (!same || r->anchor.boot_ms > same->anchor.boot_ms))
            same = r;
    }
    *doubtful = false;
    if (same)
        return (struct clock_anchor){clock_adopted_ms(&same->anchor, now->wall_ms, now->boot_ms),
                                     now->boot_ms};
    *doubtful = count > 0 && (now->wall_ms > newest + TIMEKEEPER_DOUBT_MS || now->wall_ms < newest);
    return (struct clock_anchor){now->wall_ms, now->boot_ms};
}

void timekeeper_init(struct timekeeper *t, struct clock_anchor anchor, bool doubtful,
                     const struct now *now)
{
    *t = (struct timekeeper){.anchor = anchor,
                             .doubtful = doubtful,
                             .started_ms = now->monotonic_ms,
                             .seen = anchor};
}

bool timekeeper_turn(struct timekeeper *t, const struct now *now)
{
    uint64_t passed = now->boot_ms - t->anchor.boot_ms;
    bool put_back = now->wall_ms + TIMEKEEPER_BACK_MS < t->anchor.adopted_ms + passed &&
                    passed > TIMEKEEPER_BACK_MS;
    if (passed < TIMEKEEPER_ANCHOR_MS && !put_back)
        return false;
    t->anchor = (struct clock_anchor){timekeeper_adopted(t, now), now->boot_ms};
    return true;
}

int64_t timekeeper_jump(struct timekeeper *t, const struct now *now)
{
    int64_t wall = (int64_t)(now->wall_ms - t->seen.adopted_ms);
    int64_t gained = wall - (int64_t)(now->boot_ms - t->seen.boot_ms);
    t->seen = (struct clock_anchor){now->wall_ms, now->boot_ms};
    return gained > -TIMEKEEPER_SAME_MS && gained < TIMEKEEPER_SAME_MS ? 0 : gained;
}

bool timekeeper_doubt_over(struct timekeeper *t, const struct now *now, uint64_t confirm_ms,
                           bool synchronised)
{
    if (!t->doubtful)
        return false;
    if (synchronised) {
        timekeeper_confirm(t, now);
        return true;
    }
    if (now->monotonic_ms - t->started_ms < confirm_ms)
        return false;
    t->doubtful = false;
    return true;
}

void timekeeper_confirm(struct timekeeper *t, const struct now *now)
{
    t->anchor = (struct clock_anchor){now->wall_ms, now->boot_ms};
    t->doubtful = false;
}
