/* wheel_model.h -- a wheel and what it should do: an array that is scanned in full.
 *
 * Shared by test_wheel.c and fuzz_wheel.c. Each step returns false when the two disagree.
 */
#ifndef TESTS_UNIT_BASE_WHEEL_MODEL_H
#define TESTS_UNIT_BASE_WHEEL_MODEL_H

#include "core/base/wheel.h"

enum {
    MODEL_ENTRIES = 512
};

struct wheel_model {
    struct wheel wheel;
    uint64_t now, keys;
    size_t count;

    struct {
        uint64_t key, tick;
        uint32_t tag;
    } armed[MODEL_ENTRIES];
};

static inline void model_init(struct wheel_model *m, uint64_t now)
{
    *m = (struct wheel_model){.now = now};
    wheel_init(&m->wheel, now);
}

static inline void model_drop(struct wheel_model *m)
{
    wheel_drop(&m->wheel);
}

/* When the next thing happens in truth: now when something is ready, UINT64_MAX for never. */
static inline uint64_t model_next(const struct wheel_model *m)
{
    uint64_t next = UINT64_MAX;
    for (size_t i = 0; i < m->count; i++)
        next = u64_min(next, u64_max(m->armed[i].tick, m->now));
    return next;
}

static inline bool model_check(const struct wheel_model *m)
{
    wheel_verify(&m->wheel);
    uint64_t next = wheel_next(&m->wheel), truth = model_next(m);
    if (m->wheel.now != m->now || m->wheel.armed != m->count || next > truth)
        return false;
    /* it may be early, but it must get on: who sleeps until then must not turn in a circle */
    if (m->count == 0)
        return next == UINT64_MAX;
    return truth == m->now ? next == m->now : next > m->now;
}

static inline bool model_arm(struct wheel_model *m, uint64_t tick)
{
    if (m->count == MODEL_ENTRIES)
        return true;
    uint64_t key = m->keys++ * 0x9e3779b97f4a7c15u;
    if (!wheel_arm(&m->wheel, key, (uint32_t)key >> 3, tick))
        return false;
    m->armed[m->count].key = key;
    m->armed[m->count].tag = (uint32_t)key >> 3;
    m->armed[m->count++].tick = tick;
    return model_check(m);
}

static inline bool model_advance(struct wheel_model *m, uint64_t now)
{
    wheel_advance(&m->wheel, now);
    m->now = u64_max(m->now, now); /* it never goes back */
    return model_check(m);
}

static inline bool model_forget(struct wheel_model *m, uint64_t key, uint32_t tag, uint64_t tick)
{
    for (size_t i = 0; i < m->count; i++)
        if (m->armed[i].key == key) {
            bool ok = m->armed[i].tick == tick && m->armed[i].tag == tag && tick <= m->now;
            m->armed[i] = m->armed[--m->count];
            return ok;
        }
    return false;
}

/* At most `most` of what is due; `taken` may be NULL. */
static inline bool model_take(struct wheel_model *m, size_t most, size_t *taken)
{
    size_t n = 0;
    uint32_t tag;
    for (uint64_t key, tick; n < most; n++) {
        if (!wheel_take(&m->wheel, &key, &tag, &tick)) {
            if (model_next(m) <= m->now && m->count)
                return false; /* late */
            break;
        }
        if (!model_forget(m, key, tag, tick))
            return false; /* early, twice, or never armed */
    }
    if (taken)
        *taken = n;
    return model_check(m);
}

#endif
