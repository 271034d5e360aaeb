#include "tests/unit/harness.h"

#include "core/base/limit.h"
#include "core/base/zone.h"

/* Seconds of a UTC date and time. */
static int64_t utc(int32_t year, unsigned month, unsigned day, unsigned hour, unsigned minute)
{
    int64_t days = date_to_day((struct date){year, (uint8_t)month, (uint8_t)day});
    return days * DATE_DAY_S + hour * 3600 + minute * 60;
}

/* A file of version 2 with one type and this footer. */
static void write_file(const char *footer, struct buffer *out)
{
    for (int part = 0; part < 2; part++) {
        buffer_puts(out, "TZif2");
        buffer_fill(out, '\0', 15);
        for (int i = 0; i < 6; i++) /* isut, isstd, leap, time, type, letters */
            buffer_put32(out, i >= 4);
        buffer_put32(out, 0);
        buffer_put16(out, 0);
        buffer_putc(out, '\0');
    }
    buffer_printf(out, "\n%s\n", footer);
}

static const struct {
    const char *name;
    int64_t at;
    int32_t offset; /* minutes */
} rows[] = {
    {"Asia/Tokyo", 0, 540},
    {"Asia/Tokyo", 4102444800, 540},
    {"UTC", 0, 0},
    {"America/New_York", 0, -300},
    {"America/New_York", 1710053999, -300}, /* 2024-03-10 01:59:59 EST */
    {"America/New_York", 1710054000, -240},
    {"America/New_York", 1730613599, -240}, /* 2024-11-03 01:59:59 EDT */
    {"America/New_York", 1730613600, -300},
    {"America/New_York", 4118050800, -240}, /* 2100-06-30, by the footer */
    {"Europe/London", 0, 60},               /* 1968 to 1971 */
    {"Europe/Dublin", 1705276800, 0},       /* winter is the exception there */
    {"Europe/Dublin", 4086518400, 60},      /* 2099-06-30 */
    {"Australia/Lord_Howe", 1719792000, 630},
    {"Australia/Lord_Howe", 1704067200, 660},
    {"Pacific/Apia", 1325239199, -600}, /* 2011-12-29 23:59:59 */
    {"Pacific/Apia", 1325239200, 840},  /* 2011-12-31 00:00 */
    {"Asia/Kathmandu", 1704067200, 345},
    {"Africa/Casablanca", 1704067200, 60},
};

static void test_offsets(void)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < countof(rows); i++) {
        struct zone z;
        CU_ASSERT_FATAL(zone_load(ZONE_DIRECTORY, str_c(rows[i].name), &arena, &z) == ZONE_OK);
        int32_t got = zone_offset(&z, rows[i].at, NULL);
        expect(got == rows[i].offset * 60, "%s at %lld: %d", rows[i].name, (long long)rows[i].at,
               got / 60);
    }
    arena_drop(&arena);
}

/* Times left out, times that come twice, a day left out (TIME-04). */
static void test_local(void)
{
    struct arena arena;
    struct zone york, howe, apia;
    int64_t from, to;
    arena_init(&arena, 1 << 20);
    CU_ASSERT_FATAL(zone_load(ZONE_DIRECTORY, STR("America/New_York"), &arena, &york) == ZONE_OK);
    CU_ASSERT_FATAL(zone_load(ZONE_DIRECTORY, STR("Australia/Lord_Howe"), &arena, &howe) ==
                    ZONE_OK);
    CU_ASSERT_FATAL(zone_load(ZONE_DIRECTORY, STR("Pacific/Apia"), &arena, &apia) == ZONE_OK);

    int32_t day = date_to_day((struct date){2024, 3, 10});
    CU_ASSERT(zone_utc(&york, day, 2 * 3600) == utc(2024, 3, 10, 7, 0));
    CU_ASSERT(zone_utc(&york, day, 2 * 3600 + 1800) == utc(2024, 3, 10, 7, 0));
    CU_ASSERT(zone_utc(&york, day, 3 * 3600) == utc(2024, 3, 10, 7, 0));
    zone_day(&york, day, &from, &to);
    CU_ASSERT(from == utc(2024, 3, 10, 5, 0) && to - from == 23 * 3600);

    day = date_to_day((struct date){2024, 11, 3});
    CU_ASSERT(zone_utc(&york, day, 3600 + 1800) == utc(2024, 11, 3, 5, 30));
    CU_ASSERT(zone_utc(&york, day, 2 * 3600) == utc(2024, 11, 3, 7, 0));
    zone_day(&york, day, &from, &to);
    CU_ASSERT(to - from == 25 * 3600);

    day = date_to_day((struct date){2024, 4, 7});
    zone_day(&howe, day, &from, &to);
    CU_ASSERT(to - from == 24 * 3600 + 1800);

    day = date_to_day((struct date){2011, 12, 30});
    zone_day(&apia, day, &from, &to);
    CU_ASSERT(from == to && from == utc(2011, 12, 30, 10, 0));
    struct zone_time t = zone_local(&apia, from);
    CU_ASSERT(t.day == day + 1 && t.second == 0);
    t = zone_local(&apia, from - 1);
    CU_ASSERT(t.day == day - 1 && t.second == DATE_DAY_S - 1);
    arena_drop(&arena);
}

/* The first moment, and never backwards: against a walk in steps of 5 minutes. */
static void test_first(void)
{
    static const char *const names[] = {"Asia/Tokyo",        "America/New_York",
                                        "Europe/London",     "Australia/Lord_Howe",
                                        "Pacific/Apia",      "America/St_Johns",
                                        "Africa/Casablanca", "America/Scoresbysund"};
    struct arena arena;
    arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < countof(names); i++) {
        struct zone z;
        CU_ASSERT_FATAL(zone_load(ZONE_DIRECTORY, str_c(names[i]), &arena, &z) == ZONE_OK);
        int64_t most = INT64_MIN, start = utc(2011, 1, 1, 0, 0);
        for (int64_t at = start; at < start + 366 * (int64_t)DATE_DAY_S; at += 300) {
            struct zone_time t = zone_local(&z, at);
            int64_t local = (int64_t)t.day * DATE_DAY_S + t.second;
            int64_t first = zone_utc(&z, t.day, t.second);
            bool again = local <= most;
            if (most != INT64_MIN && (again ? first >= at : first != at)) {
                expect(false, "%s: %lld gives %lld", names[i], (long long)at, (long long)first);
                break;
            }
            most = local > most ? local : most;
        }
    }
    arena_drop(&arena);
}

static const struct {
    const char *footer;
    bool ok;
} footers[] = {
    {"", true},
    {"JST-9", true},
    {"<+0330>-3:30", true},
    {"<-03>3<-02>,M3.5.0/-2,M10.5.0/-1", true},
    {"IST-1GMT0,M10.5.0,M3.5.0/1", true},
    {"EST5EDT,J60/0,J300/167", true},
    {"EST5EDT,0,365/-167", true},
    {"AAA3BBB2:30:15,M1.1.0,M12.5.6/24", true},
    {"JST", false},
    {"JS-9", false},
    {"JST-27", false},
    {"JST-9:60", false},
    {"JST-9x", false},
    {"EST5EDT", false},
    {"EST5EDT,M3.2.0", false},
    {"EST5EDT,M13.2.0,M11.1.0", false},
    {"EST5EDT,M0.2.0,M11.1.0", false},
    {"EST5EDT,M3.0.0,M11.1.0", false},
    {"EST5EDT,M3.6.0,M11.1.0", false},
    {"EST5EDT,M3.2.7,M11.1.0", false},
    {"EST5EDT,J0,J300", false},
    {"EST5EDT,J366,J300", false},
    {"EST5EDT,M3.2.0/168,M11.1.0", false},
    {"EST5EDT,M3.2.0,M11.1.0,", false},
    {"AAA-26BBB,M3.2.0,M11.1.0", false},
    {"<>5", false},
    {"<ABC5", false},
};

static void test_files(void)
{
    struct arena arena;
    struct buffer file;
    struct zone z;
    arena_init(&arena, 1 << 20);
    buffer_init(&file, 1 << 20);
    for (size_t i = 0; i < countof(footers); i++) {
        buffer_clear(&file);
        write_file(footers[i].footer, &file);
        enum zone_status status = zone_read(STR("X"), buffer_str(&file), &arena, &z);
        expect(status == (footers[i].ok ? ZONE_OK : ZONE_BAD), "\"%s\"", footers[i].footer);
        if (status == ZONE_OK)
            (void)zone_offset(&z, utc(2026, 1, 1, 0, 0), NULL);
    }
    buffer_clear(&file);
    write_file("JST-9", &file);
    for (size_t len = 0; len < file.len; len++)
        expect(zone_read(STR("X"), str_head(buffer_str(&file), len), &arena, &z) == ZONE_BAD,
               "cut at %zu", len);
    file.at[4] = '\0';
    CU_ASSERT(zone_read(STR("X"), buffer_str(&file), &arena, &z) == ZONE_BAD);
    buffer_fill(&file, 'x', LIMIT_ZONE_BYTES);
    CU_ASSERT(zone_read(STR("X"), buffer_str(&file), &arena, &z) == ZONE_TOO_BIG);
    buffer_drop(&file);

    static const char *const bad[] = {"",      "/etc/passwd", "../etc/passwd", "Asia/../UTC",
                                      "Asia/", "Asia//Tokyo", "a b",           "."};
    for (size_t i = 0; i < countof(bad); i++)
        expect(zone_load(ZONE_DIRECTORY, str_c(bad[i]), &arena, &z) == ZONE_NO_NAME, "%s", bad[i]);
    CU_ASSERT(zone_load(ZONE_DIRECTORY, STR("Asia/Tokio"), &arena, &z) == ZONE_MISSING);
    CU_ASSERT(zone_load(ZONE_DIRECTORY, STR("Asia"), &arena, &z) == ZONE_MISSING);
    CU_ASSERT(zone_load(ZONE_DIRECTORY, STR("right/UTC"), &arena, &z) != ZONE_OK);
    arena_drop(&arena);
    arena_init(&arena, 32);
    CU_ASSERT(zone_load(ZONE_DIRECTORY, STR("Europe/London"), &arena, &z) == ZONE_NO_MEMORY);
    arena_drop(&arena);
}

int main(void)
{
    const struct test tests[] = {
        {"offsets", test_offsets},
        {"TIME-04 local time", test_local},
        {"TIME-04 the first moment", test_first},
        {"files", test_files},
        {NULL, NULL},
    };
    return harness_run("zone", tests);
}
