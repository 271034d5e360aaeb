#include "shards/retry.h"

#include "tests/unit/base/dice.h"
#include "tests/unit/harness.h"

/* Without jitter: a quarter less and a quarter more than this are the limits. */
static const struct {
    const char *name;
    uint64_t first, longest;
    uint32_t attempts;
    uint64_t middle;
} interval_rows[] = {
    {"the first", 300000, 14400000, 1, 300000},
    {"grows by half", 300000, 14400000, 2, 450000},
    {"and by half", 300000, 14400000, 3, 675000},
    {"and by half again", 300000, 14400000, 4, 1012500},
    {"one below the cap", 300000, 14400000, 10, 11533005},
    {"the cap", 300000, 14400000, 11, 14400000},
    {"the cap for ever", 300000, 14400000, 5000, 14400000},
    {"four billion attempts", 300000, 14400000, UINT32_MAX, 14400000},
    {"first over the cap", 5000, 1000, 1, 1000},
    {"first is the cap", 1000, 1000, 7, 1000},
    {"no attempt counted", 300000, 14400000, 0, 300000},
    {"the shortest setting", 1000, 1000, 1, 1000},
    {"1 ms", 1, 1, 1, 1},
    {"2 ms", 2, 2, 9, 2},
    {"3 ms", 3, 3, 9, 3},
    {"5 ms", 5, 5, 9, 5},
    {"1 ms can't grow by half", 1, 1000, 50, 1},
    {"the longest setting", 86400000, 86400000, 3, 86400000},
};

static void test_interval(void)
{
    struct dice dice = {1};
    for (size_t i = 0; i < countof(interval_rows); i++) {
        struct settings s = {.retry_first = interval_rows[i].first,
                             .retry_longest = interval_rows[i].longest};
        uint64_t middle = interval_rows[i].middle, least = UINT64_MAX, most = 0;
        for (uint64_t n = 0; n < 20000; n++) {
            uint64_t random = n < 4000 ? n : n == 4000 ? UINT64_MAX : dice_u64(&dice);
            uint64_t got = retry_interval_ms(&s, interval_rows[i].attempts, random);
            least = u64_min(least, got);
            most = u64_max(most, got);
        }
        const char *name = interval_rows[i].name;
        expect(least >= 1, "%s: never below 1 ms", name);
        expect(least >= middle - middle / 4 - 1 && most <= middle + middle / 4 + 1,
               "%s: %lu to %lu", name, least, most);
        /* and the spread is used: nearly all of the quarter either way */
        expect(middle < 100 || (least < middle - middle / 5 && most > middle + middle / 5),
               "%s: %lu to %lu", name, least, most);
    }
}

/* One mail's recipients stay together, two mails don't, nor do all attempts go the same way. */
static void test_jitter(void)
{
    const struct settings s = {.retry_first = 300000, .retry_longest = 300000};
    unsigned near = 0, early = 0;
    for (uint64_t id = 1; id <= 1000; id++) {
        uint64_t one = retry_interval_ms(&s, 1, retry_jitter(id, 1));
        uint64_t next = retry_interval_ms(&s, 1, retry_jitter(id + 1, 1));
        expect(one == retry_interval_ms(&s, 1, retry_jitter(id, 1)), "id %lu", id);
        near += one > next ? one - next < 1000 : next - one < 1000;
        early += one < 300000 && retry_interval_ms(&s, 1, retry_jitter(id, 2)) < 300000;
    }
    expect(near < 50, "%u of 1000 neighbours come within a second", near);
    expect(early > 200 && early < 300, "%u of 1000 are early twice", early);
}

/* accepted at 1000, for 500 */
static const struct {
    const char *name;
    uint64_t release, now;
    bool want;
} over_rows[] = {
    {"not yet", 0, 1499, false},
    {"just over", 0, 1500, true},
    {"long over", 0, UINT64_MAX, true},
    {"held: counts from its release", 9000, 9499, false},
    {"held: over", 9000, 9500, true},
    {"held: not released yet", 9000, 2000, false},
    {"held: at its release", 9000, 9000, false},
    {"a release before acceptance does not count", 10, 1499, false},
    {"the clock stands before acceptance", 0, 10, false},
    {"TIME-05 released in 2039", 2177452800000, 2177452800499, false},
    {"TIME-05 released in 2039, over", 2177452800000, 2177452800500, true},
    {"never released", UINT64_MAX, 9999999, false},
};

static void test_over(void)
{
    const struct settings s = {.retry_for = 500};
    for (size_t i = 0; i < countof(over_rows); i++) {
        struct recipient r = {.release_ms = over_rows[i].release};
        expect(retry_is_over(&s, &r, 1000, over_rows[i].now) == over_rows[i].want, "%s",
               over_rows[i].name);
    }
}

int main(void)
{
    const struct test tests[] = {{"interval", test_interval},
                                 {"jitter", test_jitter},
                                 {"over", test_over},
                                 {0}};
    return harness_run("retry", tests);
}
