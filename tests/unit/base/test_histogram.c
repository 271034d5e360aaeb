#include "core/base/histogram.h"

#include "tests/unit/base/dice.h"
#include "tests/unit/harness.h"

#include <stdlib.h>

static const uint64_t LARGEST = (1ull << 42) - 1;

/* The top of a bucket: never below the value, at most an eighth above. */
static bool is_near(uint64_t got, uint64_t value)
{
    return got >= value && got - value <= value / 8;
}

static void test_each(void)
{
    for (unsigned power = 0; power < 42; power++)
        for (int off = -9; off <= 9; off++) {
            uint64_t value = (1ull << power) + (uint64_t)off;
            if (value > LARGEST)
                continue;
            struct histogram h = {0};
            histogram_add(&h, value);
            uint64_t got = histogram_quantile(&h, 0.5);
            expect(is_near(got, value), "%lu: %lu", value, got);
            expect(value >= 8 || got == value, "%lu: small ones are exact", value);
            expect(h.count == 1 && h.sum == value, "count and sum");
        }
    struct histogram h = {0};
    histogram_add(&h, LARGEST + 1);
    histogram_add(&h, UINT64_MAX);
    expect(histogram_quantile(&h, 0) == LARGEST, "what is too large is in the last bucket");
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void test_quantiles(void)
{
    enum {
        VALUES = 5000
    };

    static const double quantiles[] = {0, 0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 1};
    static uint64_t values[VALUES];
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct dice dice = {seed};
        struct histogram h = {0};
        uint64_t sum = 0, before = 0;
        for (size_t i = 0; i < VALUES; i++) {
            values[i] = dice_u64(&dice) >> (22 + dice_below(&dice, 42));
            histogram_add(&h, values[i]);
            sum += values[i];
        }
        qsort(values, VALUES, sizeof *values, compare);
        for (size_t i = 0; i < countof(quantiles); i++) {
            size_t rank = size_min((size_t)(quantiles[i] * VALUES), VALUES - 1);
            uint64_t got = histogram_quantile(&h, quantiles[i]);
            expect(is_near(got, values[rank]), "seed %lu, %g: %lu, not %lu", seed, quantiles[i],
                   got, values[rank]);
            expect(got >= before, "quantiles grow");
            before = got;
        }
        expect(h.count == VALUES && h.sum == sum, "count and sum");
    }
}

static void test_empty(void)
{
    struct histogram h = {0};
    expect(histogram_quantile(&h, 0) == 0 && histogram_quantile(&h, 1) == 0, "empty");
}

int main(void)
{
    const struct test tests[] = {{"12.5 % of every value", test_each},
                                 {"quantiles of many", test_quantiles},
                                 {"empty", test_empty},
                                 {0}};
    return harness_run("histogram", tests);
}
