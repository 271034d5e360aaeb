/* histogram.h -- how often which duration: powers of two of microseconds, each split in eight, so
 * that a percentile is at most 12.5 % off.
 *
 * Thread   one writer; readers see values that may lag.
 */
#ifndef CORE_BASE_HISTOGRAM_H
#define CORE_BASE_HISTOGRAM_H

#include "core/base/base.h"

enum {
    HISTOGRAM_BUCKETS = 40 * 8
};

struct histogram {
    uint64_t bucket[HISTOGRAM_BUCKETS];
    uint64_t count, sum;
};

void histogram_add(struct histogram *h, uint64_t value);
uint64_t histogram_quantile(const struct histogram *h, double q); /* 0 when empty */

#endif
