#include "core/coordinator/release.h"

#include "core/base/random.h"
#include "tests/unit/harness.h"

enum {
    HOUR = 3600000,
    COUNT = 5000
};

static const uint64_t T = 1795500000050;

/* H-1: never before its due, at most a tick late, in steps of every size. */
static void test_exact(void)
{
    static const uint64_t steps[] = {1, 7, 99, 100, 101, 1000, 60000};
    for (size_t s = 0; s < countof(steps); s++) {
        struct release r;
        static uint64_t due_of[COUNT];
        unsigned out = 0;
        unsigned bad = 0;
        struct due due;
        release_init(&r, T);
        uint64_t span = u64_min(steps[s] * 2000, HOUR);
        for (unsigned i = 0; i < COUNT; i++) {
            due_of[i] = T + random_below(span);
            release_arm(&r, i, i * 7, due_of[i]);
        }
        for (uint64_t now = T; now < T + span + steps[s] + RELEASE_TICK_MS; now += steps[s]) {
            release_advance(&r, now);
            while (release_take(&r, now, &due)) {
                uint64_t at = due_of[due.id];
                bad += at > now || now - at >= steps[s] + RELEASE_TICK_MS;
                bad += due.due_ms < at || due.due_ms > now || due.lane != due.id * 7;
                out++;
            }
        }
        expect(out == COUNT && bad == 0, "step %llu: %u out, %u bad", (unsigned long long)steps[s],
               out, bad);
        wheel_verify(&r.wheel);
        release_drop(&r);
    }
}

static void test_refill(void)
{
    struct release r;
    uint64_t from;
    uint64_t to;
    release_init(&r, T);
    expect(release_wants(&r, T, &from, &to) && from == 0 && to == T + HOUR, "at start: everything");
    expect(!release_wants(&r, T + HOUR, &from, &to), "one at a time");
    release_refilled(&r);
    expect(!release_wants(&r, T + HOUR / 2 - 1, &from, &to), "more than half an hour is left");
    expect(release_wants(&r, T + HOUR / 2, &from, &to) && from == T + HOUR &&
               to == T + HOUR / 2 + HOUR,
           "then from the horizon on");
    release_refilled(&r);
    r.short_of_memory = true;
    expect(release_wants(&r, T + HOUR, &from, &to) && from == 0, "what was lost comes again");
    release_drop(&r);
}

/* The wall clock is put back: what is armed then is not handed out by the old time. */
static void test_back(void)
{
    struct release r;
    struct due due;
    uint64_t from;
    uint64_t to;
    release_init(&r, T);
    (void)!release_wants(&r, T, &from, &to);
    release_refilled(&r);
    release_arm(&r, 1, 0, T + 10000);
    release_advance(&r, T + 5000);
    release_advance(&r, T + 4000); /* a second back: wait for it */
    release_arm(&r, 2, 0, T + 4500);
    expect(!release_take(&r, T + 4000, &due), "behind the wheel");
    release_advance(&r, T + 5000);
    expect(release_take(&r, T + 5000, &due) && due.id == 2, "caught up");
    release_advance(&r, T - HOUR); /* an hour: start anew */
    expect(release_wants(&r, T - HOUR, &from, &to) && from == 0, "everything is asked for again");
    release_arm(&r, 3, 0, T - HOUR + 1000);
    release_advance(&r, T - HOUR + 999);
    expect(!release_take(&r, T - HOUR + 999, &due), "early");
    release_advance(&r, T - HOUR + 1100);
    expect(release_take(&r, T - HOUR + 1100, &due) && due.id == 3, "on time");
    release_drop(&r);
}

int main(void)
{
    const struct test tests[] = {{"H-1: never early", test_exact},
                                 {"refill", test_refill},
                                 {"H-1: put back", test_back},
                                 {0}};
    return harness_run("release", tests);
}
