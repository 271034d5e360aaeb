#include "core/io/timers.h"

#include "core/base/base.h"
#include "core/base/random.h"
#include "tests/unit/harness.h"

enum {
    TIMERS = 300,
    STEPS = 20000
};

/* Against an array that is scanned in full. */
static void test_model(void)
{
    static struct timer timer[TIMERS];
    struct timers s;
    timers_init(&s);
    uint64_t now = 0;
    for (int step = 0; step < STEPS; step++) {
        struct timer *t = &timer[random_below(TIMERS)];
        switch (random_below(4)) {
        case 0:
        case 1:
            timers_start(&s, t, now + random_below(50));
            break;
        case 2:
            timers_stop(&s, t);
            expect(t->place == 0, "stopped");
            break;
        default:
            now += random_below(20);
            while ((t = timers_take(&s, now)))
                expect(t->due_ms <= now && t->place == 0, "due");
        }
        size_t running = 0;
        uint64_t next = UINT64_MAX;
        for (size_t i = 0; i < TIMERS; i++)
            if (timer[i].place) {
                running++;
                next = u64_min(next, timer[i].due_ms);
            }
        expect(running == s.count && next == timers_next(&s), "step %d", step);
    }
    timers_drop(&s);
}

int main(void)
{
    const struct test tests[] = {{"against a model", test_model}, {0}};
    return harness_run("timers", tests);
}
