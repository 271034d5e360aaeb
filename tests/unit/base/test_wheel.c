#include "core/base/wheel.h"

#include "tests/unit/base/dice.h"
#include "tests/unit/base/wheel_model.h"
#include "tests/unit/harness.h"

/* Where digits turn, each with the ticks beside it. */
static const uint64_t edges[] = {
    0,
    1,
    255,
    256,
    257,
    511,
    512,
    65535,
    65536,
    65537,
    (1u << 24) - 1,
    1u << 24,
    (1u << 24) + 1,
    (1ull << 32) - 1,
    1ull << 32,
    (1ull << 32) + 1,
    1ull << 33,
    1ull << 40,
    (1ull << 48) + 77,
};

/* One entry, from every edge over every distance: not a tick early, not a tick late. */
static void check_one(struct wheel_model *m, uint64_t start, uint64_t distance)
{
    size_t taken = 0;
    model_init(m, start);
    bool ok = model_arm(m, start + distance);
    if (distance) {
        ok = ok && model_advance(m, start + distance - 1) && model_take(m, 9, &taken);
        expect(ok && taken == 0, "%lu + %lu: early", start, distance);
    }
    ok = ok && model_advance(m, start + distance) && model_take(m, 9, &taken);
    expect(ok && taken == 1, "%lu + %lu: late", start, distance);
    model_drop(m);

    /* the same, as the loop does it: sleep until wheel_next() */
    int sleeps = 0;
    model_init(m, start);
    ok = model_arm(m, start + distance);
    while (ok && m->wheel.ready == 0 && sleeps++ < 100000)
        ok = model_advance(m, wheel_next(&m->wheel));
    expect(ok && m->now == start + distance, "%lu + %lu: %lu", start, distance, m->now);
    if (distance < 1ull << 32)
        expect(sleeps <= WHEEL_LEVELS + 1, "%lu + %lu: %d sleeps", start, distance, sleeps);
    model_drop(m);
}

static void test_edges(void)
{
    static struct wheel_model m;
    for (size_t i = 0; i < countof(edges); i++)
        for (size_t j = 0; j < countof(edges) - 2; j++)
            if (edges[j] <= 1ull << 33) /* beyond, sleeping from turn to turn takes long */
                check_one(&m, edges[i], edges[j]);
}

/* All edges armed at once, reached one by one in steps of many lengths. */
static void test_edges_together(void)
{
    static struct wheel_model m;
    static const uint64_t strides[] = {1, 255, 256, 65536, 1u << 24, 1ull << 32, 1ull << 50};
    for (size_t i = 0; i < countof(edges); i++)
        for (size_t s = 0; s < countof(strides); s++) {
            model_init(&m, edges[i]);
            bool ok = true;
            for (size_t j = 0; j < countof(edges); j++)
                ok = ok && model_arm(&m, edges[i] + edges[j]) && model_arm(&m, edges[j]);
            for (int step = 0; ok && m.count && step < 600; step++)
                ok = model_advance(&m, u64_min(m.now + strides[s], 1ull << 60)) &&
                     model_take(&m, SIZE_MAX, NULL);
            expect(ok, "from %lu by %lu", edges[i], strides[s]);
            model_drop(&m);
        }
}

/* A distance whose size is as likely small as far. */
static uint64_t far_or_near(struct dice *d)
{
    return dice_u64(d) >> (16 + dice_below(d, 48));
}

static void test_random(void)
{
    static struct wheel_model m;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct dice dice = {seed};
        model_init(&m, seed % 4 ? far_or_near(&dice) : 0);
        bool ok = true;
        for (int step = 0; ok && step < 300; step++) {
            uint64_t what = dice_below(&dice, 8), way = far_or_near(&dice);
            if (what < 4)
                ok = model_arm(&m, m.now + way);
            else if (what == 4)
                ok = model_arm(&m, m.now - u64_min(m.now, way)); /* past */
            else if (what == 5)
                ok = model_advance(&m, m.now + way);
            else if (what == 6)
                ok = model_advance(&m, u64_max(m.now, u64_min(wheel_next(&m.wheel), 1ull << 60)));
            else
                ok = model_take(&m, dice_below(&dice, 20), NULL);
            expect(ok, "seed %lu, step %d", seed, step);
        }
        model_drop(&m);
    }
}

static void test_back(void)
{
    static struct wheel_model m;
    size_t taken = 0;
    model_init(&m, 1000);
    expect(model_arm(&m, 1500) && model_arm(&m, 1200), "arm");
    expect(model_advance(&m, 1300) && model_advance(&m, 900), "a clock that goes back is ignored");
    expect(m.wheel.now == 1300, "%lu", m.wheel.now);
    expect(model_take(&m, 9, &taken) && taken == 1, "%zu", taken);
    model_drop(&m);
}

static const struct {
    const char *name;
    uint64_t now, tick;
} year_rows[] = {
    {"TIME-05 deadline 0", 1795495126123, 0},
    {"TIME-05 deadline 0 at time 0", 0, 0},
    {"TIME-05 2^31 seconds", 1795495126123, 2147483648000},
    {"TIME-05 from 2^31 - 1 seconds", 2147483647999, 2147483648000},
    {"TIME-05 2^32 seconds", 4294967295999, 4294967296000},
    {"TIME-05 year 2039", 1795495126123, 2177452800000},
    {"TIME-05 year 9999", 253402300799000, 253402300799999},
    {"TIME-05 from 0 to this year in seconds", 0, 1795495126},
};

static void test_years(void)
{
    static struct wheel_model m;
    for (size_t i = 0; i < countof(year_rows); i++) {
        size_t taken = 9;
        uint64_t now = year_rows[i].now, tick = year_rows[i].tick;
        model_init(&m, now);
        expect(model_arm(&m, tick), "%s", year_rows[i].name);
        if (tick > now)
            expect(model_advance(&m, tick - 1) && model_take(&m, 9, &taken) && taken == 0, "%s",
                   year_rows[i].name);
        expect(model_advance(&m, u64_max(now, tick)), "%s", year_rows[i].name);
        expect(model_take(&m, 9, &taken) && taken == 1, "%s", year_rows[i].name);
        model_drop(&m);
    }
    model_init(&m, 1795495126123);
    expect(model_arm(&m, UINT64_MAX), "never");
    expect(model_advance(&m, 253402300799999) && model_take(&m, 9, NULL), "never is not in 9999");
    expect(m.count == 1, "still armed");
    model_drop(&m);
}

/* More than one chunk of nodes, and the nodes are used again. */
static void test_many(void)
{
    enum {
        MANY = 20000
    };

    static uint8_t seen[MANY];
    struct wheel w;
    wheel_init(&w, 5);
    uint32_t nodes = 0, tag;
    for (uint64_t round = 0; round < 3; round++) {
        uint64_t start = w.now, key, tick;
        memset(seen, 0, sizeof seen);
        for (uint64_t i = 0; i < MANY; i++)
            expect(wheel_arm(&w, i, (uint32_t)i, start + i * i % 70001), "arm %lu", i);
        wheel_verify(&w);
        wheel_advance(&w, start + 70000);
        wheel_verify(&w);
        while (wheel_take(&w, &key, &tag, &tick)) {
            expect(key < MANY && tag == key && tick == start + key * key % 70001, "key %lu", key);
            seen[key % MANY]++;
        }
        for (size_t i = 0; i < MANY; i++)
            expect(seen[i] == 1, "round %lu: key %zu %u times", round, i, seen[i]);
        expect(round == 0 || w.nodes == nodes, "%u nodes, then %u", nodes, w.nodes);
        nodes = w.nodes;
    }
    wheel_drop(&w);
    expect(wheel_next(&w) == UINT64_MAX && w.armed == 0, "dropped");
}

int main(void)
{
    const struct test tests[] = {
        {"every edge over every distance", test_edges},
        {"edges together", test_edges_together},
        {"random programs", test_random},
        {"advance back", test_back},
        {"TIME-05 far years and deadline 0", test_years},
        {"many", test_many},
        {0},
    };
    return harness_run("wheel", tests);
}
