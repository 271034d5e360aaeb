/* bench_hist.h -- a log-linear histogram of durations: 128 steps per power of two.
 *
 * Thread   one writer; merge after its thread has ended.
 * Memory   fixed, 37 KiB; zero bytes are an empty histogram.
 * Time     values are nanoseconds, up to 2^43 (2.4 hours); larger ones count as that.
 * Promise  a quantile is off by at most 0.4 % of its value; min, max and mean are exact.
 */
#ifndef BENCH_HIST_H
#define BENCH_HIST_H

#include <stdint.h>

enum {
    BENCH_HIST_STEP_BITS = 7,
    BENCH_HIST_STEPS = 1 << BENCH_HIST_STEP_BITS,
    BENCH_HIST_BITS_MAX = 43,
    BENCH_HIST_BUCKETS = (BENCH_HIST_BITS_MAX - BENCH_HIST_STEP_BITS + 1) * BENCH_HIST_STEPS,
};

struct bench_hist {
    uint64_t count;
    uint64_t sum_ns;
    uint64_t min_ns;
    uint64_t max_ns;
    uint64_t bucket[BENCH_HIST_BUCKETS];
};

void bench_hist_add(struct bench_hist *h, uint64_t ns);
void bench_hist_merge(struct bench_hist *into, const struct bench_hist *from);

/* `share` in 0..1; 0 if the histogram is empty. */
uint64_t bench_hist_quantile_ns(const struct bench_hist *h, double share);
double bench_hist_mean_ns(const struct bench_hist *h);

#endif
