#include "shards/pace.h"

#include "core/mail/bounce.h"

void pace_init(struct pace *p, uint32_t first)
{
    *p = (struct pace){.first = first, .window = first};
}

uint32_t pace_limit(const struct pace *p, uint32_t most, uint64_t now_ms)
{
    if (p->pause_ms)
        return now_ms >= p->until_ms;
    return p->window < most ? p->window : most;
}

void pace_greeted(struct pace *p)
{
    p->pause_ms = 0;
}

void pace_took(struct pace *p, uint32_t most)
{
    p->proven = true;
    if (p->window > most) /* the setting was lowered */
        p->window = most;
    if (p->stale) {
        p->stale--;
        return;
    }
    if (++p->taken < p->window)
        return;
    p->taken = 0;
    if (p->window < most)
        p->window++;
}

bool pace_slowed(struct pace *p)
{
    if (p->stale) {
        p->stale--;
        return false;
    }
    bool fewer = p->window > 1;
    p->stale = p->window - 1; /* the others that are under way */
    p->taken = 0;
    if (fewer)
        p->window /= 2;
    return fewer;
}

void pace_try(struct pace *p, uint64_t now_ms)
{
    p->until_ms = u64_min(p->until_ms, now_ms);
}

void pace_failed(struct pace *p, uint64_t longest_ms, uint64_t now_ms)
{
    if (pace_is_down(p, now_ms))
        return;
    longest_ms = u64_min(longest_ms, PACE_PAUSES_MS);
    p->pause_ms = u64_min(p->pause_ms ? p->pause_ms * 2 : PACE_PAUSE_MS, longest_ms);
    p->until_ms = now_ms + p->pause_ms;
    p->window = p->window < p->first ? p->window : p->first;
    p->taken = p->stale = 0;
    p->proven = false;
}

bool pace_is_slow_down(const struct reply_seen *r)
{
    struct buffer status;
    if (r->code == 421)
        return true;
    if (reply_class(r) != 4)
        return false;
    buffer_init(&status, 32);
    reply_seen_write_enhanced(r, &status);
    enum bounce class = bounce_of(reply_seen_text(r), buffer_str(&status));
    buffer_drop(&status);
    if (class == BOUNCE_rate)
        return true;
    if (class == BOUNCE_greylist)
        return false;
    return r->enhanced[0] == 4 && (r->enhanced[1] == 4 || r->enhanced[1] == 7 ||
                                   (r->enhanced[1] == 3 && r->enhanced[2] == 2));
}
