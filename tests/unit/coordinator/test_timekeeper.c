#include "core/coordinator/timekeeper.h"

#include "tests/unit/harness.h"

enum {
    HOUR = 3600000,
    DAY = 86400000
};

static const struct clock_boot_id this_boot = {{1}};
static const struct clock_boot_id other_boot = {{2}};
static const uint64_t T = 1795500000000;

/* One anchor on this or another boot, the wall clock at start: what is adopted, is it doubted? */
static void test_first(void)
{
    static const struct {
        const char *name;
        bool known, same_boot;
        int64_t anchor, passed, wall; /* relative to T; passed since the anchor by the boot clock */
        int64_t adopted;
        bool doubtful;
    } rows[] = {
        {"nothing known: the wall clock", false, false, 0, 0, 5, 5, false},
        {"same boot, clock true", true, true, 0, 1000, 1000, 1000, false},
        {"same boot, put forward an hour: nothing gained", true, true, 0, 1000, HOUR, 1000, false},
        {"same boot, put back an hour: only later", true, true, 0, 1000, -HOUR, -HOUR, false},
        {"new boot, a minute later", true, false, 0, 0, 60000, 60000, false},
        {"new boot, an hour later: still believed", true, false, 0, 0, HOUR, HOUR, false},
        {"new boot, over an hour later: doubted", true, false, 0, 0, HOUR + 1, HOUR + 1, true},
        {"new boot, a year ahead: doubted", true, false, 0, 0, 365ll * DAY, 365ll * DAY, true},
        {"new boot, behind its last anchor: doubted", true, false, 0, 0, -1, -1, true},
    };

    for (size_t i = 0; i < countof(rows); i++) {
        struct anchor_report report = {{T + (uint64_t)rows[i].anchor, 5000},
                                       rows[i].same_boot ? this_boot : other_boot};
        struct now now = {T + (uint64_t)rows[i].wall, 5000 + (uint64_t)rows[i].passed, 0};
        bool doubtful;
        struct clock_anchor a =
            timekeeper_first(&report, rows[i].known, &this_boot, &now, &doubtful);
        expect(a.adopted_ms == T + (uint64_t)rows[i].adopted, "%s: %lld", rows[i].name,
               (long long)(a.adopted_ms - T));
        expect(doubtful == rows[i].doubtful, "%s", rows[i].name);
        expect(a.boot_ms == now.boot_ms, "%s", rows[i].name);
    }
}

static void test_newest_wins(void)
{
    const struct anchor_report reports[] = {{{T, 5000}, this_boot},
                                            {{T + 7000, 12000}, this_boot},
                                            {{T + 99000, 1}, other_boot}};
    struct now now = {T + HOUR, 13000, 0};
    bool doubtful;
    struct clock_anchor a =
        timekeeper_first(reports, countof(reports), &this_boot, &now, &doubtful);
    expect(a.adopted_ms == T + 8000, "%lld", (long long)(a.adopted_ms - T));
    expect(!doubtful, "same boot");
}

/* H-1: whatever the wall clock does, adopted time gains nothing on the boot clock. */
static void test_jumps(void)
{
    struct now now = {T, 1000, 1000};
    struct timekeeper t;
    timekeeper_init(&t, (struct clock_anchor){T, 1000}, false, &now);
    uint64_t before = T;
    unsigned anchors = 0;
    for (unsigned step = 1; step <= 6000; step++) {
        now.boot_ms += 100;
        now.monotonic_ms += 100;
        now.wall_ms += 100;
        if (step == 1000 || step == 3000)
            now.wall_ms += HOUR;
        if (step == 2000 || step == 4000)
            now.wall_ms -= HOUR;
        anchors += timekeeper_turn(&t, &now);
        uint64_t adopted = timekeeper_adopted(&t, &now);
        expect(adopted <= before + 100, "step %u gained %llu ms", step,
               (unsigned long long)(adopted - before));
        before = adopted;
    }
    expect(anchors >= 59 && anchors <= 64, "%u anchors in ten minutes", anchors);
}

/* A clock that is put back and corrected within one anchor's time shortens nothing: the anchor
 * follows at once. */
static void test_back_and_forth(void)
{
    struct now now = {T, 1000, 1000};
    struct timekeeper t;
    timekeeper_init(&t, (struct clock_anchor){T, 1000}, false, &now);
    now = (struct now){T - HOUR + 500, 1500, 1500};
    expect(timekeeper_turn(&t, &now), "put back: a new anchor at once");
    now = (struct now){T + 1000, 2000, 2000};
    expect(!timekeeper_turn(&t, &now), "corrected: none");
    expect(timekeeper_adopted(&t, &now) == T - HOUR + 1000, "only the boot clock counts");
}

/* TIME-01, TIME-02: a jump is told once, slewing never. */
static void test_told(void)
{
    static const struct {
        const char *name;
        int64_t wall, boot, told;
    } rows[] = {
        {"started after a jump forward", HOUR + 100, 100, HOUR},
        {"going on", 100, 100, 0},
        {"slewed", 5400, 5000, 0},
        {"slewed back", 4600, 5000, 0},
        {"an hour forward", HOUR + 100, 100, HOUR},
        {"said already", 100, 100, 0},
        {"an hour back", 100 - HOUR, 100, -HOUR},
        {"ten years forward", 3653ll * DAY, 1000, 3653ll * DAY - 1000},
        {"the machine slept", 2 * HOUR, 2 * HOUR, 0},
        {"half a second", 600, 100, 500},
    };
    struct now now = {T, 1000, 1000};
    struct timekeeper t;
    timekeeper_init(&t, (struct clock_anchor){T, 1000}, false, &now);
    for (size_t i = 0; i < countof(rows); i++) {
        now.wall_ms += (uint64_t)rows[i].wall;
        now.boot_ms += (uint64_t)rows[i].boot;
        int64_t told = timekeeper_jump(&t, &now);
        expect(told == rows[i].told, "%s: %lld", rows[i].name, (long long)told);
    }
    int64_t before = (int64_t)now.wall_ms;
    now.wall_ms = 5000;
    expect(timekeeper_jump(&t, &now) == 5000 - before, "to 1970");
    expect(timekeeper_jump(&t, &now) == 0, "to 1970, told once");
}

static void test_doubt(void)
{
    struct now now = {T, 1000, 1000};
    struct timekeeper t;
    timekeeper_init(&t, (struct clock_anchor){T, 1000}, true, &now);
    now.monotonic_ms = 300999;
    expect(!timekeeper_doubt_over(&t, &now, 300000, false), "too early");
    now.monotonic_ms = 301000;
    expect(timekeeper_doubt_over(&t, &now, 300000, false), "clock_confirm has passed");
    expect(!timekeeper_doubt_over(&t, &now, 300000, false), "only once");

    timekeeper_init(&t, (struct clock_anchor){T, 1000}, true, &now);
    now.wall_ms = T + 2 * HOUR; /* NTP has put it forward since */
    expect(timekeeper_doubt_over(&t, &now, 300000, true), "NTP");
    expect(timekeeper_adopted(&t, &now) == T + 2 * HOUR, "and its time is adopted");
}

int main(void)
{
    const struct test tests[] = {{"first anchor", test_first},
                                 {"newest of this boot", test_newest_wins},
                                 {"H-1: jumps of an hour", test_jumps},
                                 {"H-1: back and forth", test_back_and_forth},
                                 {"TIME-01 TIME-02 told once", test_told},
                                 {"doubt", test_doubt},
                                 {0}};
    return harness_run("timekeeper", tests);
}
