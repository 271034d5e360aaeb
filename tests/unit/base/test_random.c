#include "core/base/random.h"

#include "tests/unit/harness.h"

static void test_range(void)
{
    static const uint64_t bounds[] = {1,         2,          3,          7,
                                      1000,      1ull << 32, 1ull << 63, (1ull << 63) + 1,
                                      UINT64_MAX};
    for (size_t i = 0; i < countof(bounds); i++)
        for (int n = 0; n < 2000; n++) {
            uint64_t got = random_below(bounds[i]);
            expect(got < bounds[i], "%lu of %lu", got, bounds[i]);
        }
}

/* Limits are eight standard deviations off: they fail once in 10^15 runs. */
static void test_uniform(void)
{
    unsigned seen[3] = {0};
    for (int n = 0; n < 30000; n++)
        seen[random_below(3)]++;
    for (size_t i = 0; i < 3; i++)
        expect(seen[i] > 10000 - 660 && seen[i] < 10000 + 660, "%zu: %u", i, seen[i]);
    /* a plain remainder would be in the lower third half of the time */
    unsigned low = 0;
    for (int n = 0; n < 10000; n++)
        low += random_below(3ull << 62) < 1ull << 62;
    expect(low > 3333 - 380 && low < 3333 + 380, "%u of 10000 in the lower third", low);
}

static void test_bytes(void)
{
    static uint8_t at[1000 + 2];
    unsigned ever[1000] = {0};
    for (int n = 0; n < 8; n++) {
        memset(at, 0, sizeof at);
        random_bytes(at + 1, 1000);
        for (size_t i = 0; i < 1000; i++)
            ever[i] |= at[i + 1];
        expect(at[0] == 0 && at[1001] == 0, "nothing outside");
    }
    size_t never = 0;
    for (size_t i = 0; i < 1000; i++)
        never += ever[i] == 0;
    expect(never == 0, "%zu bytes always 0", never);
    random_bytes(at, 0);
}

static void test_u64(void)
{
    uint64_t before = 0, ones = 0, zeros = 0;
    for (int n = 0; n < 1000; n++) {
        uint64_t got = random_u64();
        expect(got != before, "the same twice");
        before = got;
        ones |= got;
        zeros |= ~got;
    }
    expect(ones == UINT64_MAX && zeros == UINT64_MAX, "every bit is 0 and 1 at times");
}

int main(void)
{
    const struct test tests[] = {{"range", test_range},
                                 {"uniform", test_uniform},
                                 {"bytes", test_bytes},
                                 {"u64", test_u64},
                                 {0}};
    return harness_run("random", tests);
}
