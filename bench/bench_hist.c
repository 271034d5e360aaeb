#include "bench/bench_hist.h"

#include <stddef.h>

static size_t bucket_of(uint64_t ns)
{
    if (ns < BENCH_HIST_STEPS)
        return (size_t)ns;
    if (ns >> BENCH_HIST_BITS_MAX)
        return BENCH_HIST_BUCKETS - 1;
    unsigned shift = 63 - (unsigned)__builtin_clzll(ns) - BENCH_HIST_STEP_BITS;
    return (size_t)shift * BENCH_HIST_STEPS + (size_t)(ns >> shift);
}

static uint64_t middle_of(size_t bucket)
{
    if (bucket < BENCH_HIST_STEPS)
        return bucket;
    unsigned shift = (unsigned)(bucket / BENCH_HIST_STEPS) - 1;
    uint64_t low = (uint64_t)(BENCH_HIST_STEPS + bucket % BENCH_HIST_STEPS) << shift;
    return low + ((1ull << shift) >> 1);
}

void bench_hist_add(struct bench_hist *h, uint64_t ns)
{
    if (!h->count || ns < h->min_ns)
        h->min_ns = ns;
    if (ns > h->max_ns)
        h->max_ns = ns;
    h->count++;
    h->sum_ns += ns;
    h->bucket[bucket_of(ns)]++;
}

void bench_hist_merge(struct bench_hist *into, const struct bench_hist *from)
{
    if (!from->count)
        return;
    if (!into->count || from->min_ns < into->min_ns)
        into->min_ns = from->min_ns;
    if (from->max_ns > into->max_ns)
        into->max_ns = from->max_ns;
    into->count += from->count;
    into->sum_ns += from->sum_ns;
    for (size_t i = 0; i < BENCH_HIST_BUCKETS; i++)
        into->bucket[i] += from->bucket[i];
}

uint64_t bench_hist_quantile_ns(const struct bench_hist *h, double share)
{
    if (!h->count)
        return 0;
    double want = share * (double)h->count;
    uint64_t seen = 0;
    size_t i = 0;
    for (; i + 1 < BENCH_HIST_BUCKETS; i++) {
        seen += h->bucket[i];
        if (seen && (double)seen >= want)
            break;
    }
    uint64_t ns = middle_of(i);
    if (ns < h->min_ns)
        return h->min_ns;
    return ns > h->max_ns ? h->max_ns : ns;
}

double bench_hist_mean_ns(const struct bench_hist *h)
{
    return h->count ? (double)h->sum_ns / (double)h->count : 0;
}
