#include "shards/lone.h"

enum {
    ROW = 8,       /* so many alone before we believe it */
    SMOOTHING = 8, /* the share of a new time in the usual one */
};

void lone_asked(struct lone *l, uint64_t now_ns)
{
    if (l->open++)
        l->in_a_row = 0;
    l->asked_ns = now_ns;
}

uint64_t lone_answered(struct lone *l, uint64_t now_ns)
{
    must(l->open > 0);
    if (--l->open) {
        l->in_a_row = 0;
        return 0;
    }
    const uint64_t took_ns = now_ns - l->asked_ns;
    if (l->in_a_row == 0)
        l->usual_ns = took_ns;
    else
        l->usual_ns = (l->usual_ns * (SMOOTHING - 1) + took_ns) / SMOOTHING;
    if (l->in_a_row < ROW)
        l->in_a_row++;
    return l->in_a_row == ROW ? took_ns : 0;
}

bool lone_is_usual(const struct lone *l)
{
    return l->open == 0 && l->in_a_row == ROW;
}

uint64_t lone_watch_us(const struct lone *l, uint64_t limit_us)
{
    if (l->open != 1 || l->in_a_row < ROW || l->usual_ns / 1000 > limit_us)
        return 0;
    return limit_us;
}
