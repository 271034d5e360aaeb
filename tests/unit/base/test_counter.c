#include "core/base/counter.h"

#include "tests/unit/harness.h"

#include <pthread.h>

enum {
    THREADS = 8,
    TIMES = 20000
};

static void *count_much(void *unused)
{
    (void)unused;
    for (int i = 0; i < TIMES; i++) {
        count(delivered);
        count_by(commit_bytes, 3);
    }
    return NULL;
}

static void test_sum(void)
{
    pthread_t thread[THREADS];
    count(bounced);
    for (int i = 0; i < 5000; i++)
        counter_thread_start(); /* many times is once: rows would run out */
    count_by(bounced, 4);
    for (size_t i = 0; i < THREADS; i++)
        expect(pthread_create(&thread[i], NULL, count_much, NULL) == 0, "thread");
    uint64_t before = 0;
    for (int i = 0; i < 1000; i++) { /* may lag, never goes back */
        uint64_t now = counter_read(COUNTER_delivered);
        expect(now >= before && now <= (uint64_t)THREADS * TIMES, "%lu", now);
        before = now;
    }
    for (size_t i = 0; i < THREADS; i++)
        (void)pthread_join(thread[i], NULL);
    expect(counter_read(COUNTER_delivered) == (uint64_t)THREADS * TIMES, "the threads are gone");
    expect(counter_read(COUNTER_commit_bytes) == (uint64_t)THREADS * TIMES * 3, "count_by");
    expect(counter_read(COUNTER_bounced) == 5, "this thread");
    expect(counter_read(COUNTER_discarded) == 0, "never counted");
}

static void test_names(void)
{
    expect_str(str_c(counter_name(COUNTER_delivered)), STR("delivered"), "name");
    for (enum counter c = 0; c < COUNTERS; c++) {
        expect(counter_name(c)[0] && counter_help(c)[0], "counter %u", c);
        for (enum counter other = 0; other < c; other++)
            expect(strcmp(counter_name(c), counter_name(other)) != 0, "%s", counter_name(c));
    }
}

int main(void)
{
    const struct test tests[] = {{"sum over threads", test_sum}, {"names", test_names}, {0}};
    return harness_run("counter", tests);
}
