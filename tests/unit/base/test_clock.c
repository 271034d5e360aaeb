#include "core/base/clock.h"

#include "tests/unit/harness.h"

/* The anchor: adopted 1,000,000 at boot clock 500. */
static const struct {
    const char *name;
    uint64_t wall, boot, want;
} adopted_rows[] = {
    {"at once", 1000000, 500, 1000000},
    {"both went on", 1000700, 1200, 1000700},
    {"a jump forward gains nothing", 9000000, 1200, 1000700},
    {"a jump forward to the end of time gains nothing", UINT64_MAX, 1200, 1000700},
    {"a jump forward at once", 1000001, 500, 1000000},
    {"a jump back only delays", 900000, 1200, 900000},
    {"back to 1970", 0, 1200, 0},
    {"after a jump back, the wall clock catches up", 1000600, 100500, 1000600},
    {"the machine slept: the boot clock went on", 1086400, 86900, 1086400},
};

static void test_adopted(void)
{
    const struct clock_anchor anchor = {.adopted_ms = 1000000, .boot_ms = 500};
    for (size_t i = 0; i < countof(adopted_rows); i++) {
        uint64_t got = clock_adopted_ms(&anchor, adopted_rows[i].wall, adopted_rows[i].boot);
        expect(got == adopted_rows[i].want, "%s: %lu", adopted_rows[i].name, got);
    }
}

static const struct {
    uint64_t ms;
    const char *date, *stamp;
} date_rows[] = {
    {0, "Thu, 01 Jan 1970 00:00:00 +0000", "1970-01-01T00:00:00.000Z"},
    {999, "Thu, 01 Jan 1970 00:00:00 +0000", "1970-01-01T00:00:00.999Z"},
    {951827696001, "Tue, 29 Feb 2000 12:34:56 +0000", "2000-02-29T12:34:56.001Z"},
    {1795495126123, "Tue, 24 Nov 2026 04:38:46 +0000", "2026-11-24T04:38:46.123Z"},
    {2147483647999, "Tue, 19 Jan 2038 03:14:07 +0000", "2038-01-19T03:14:07.999Z"},
    {2147483648000, "Tue, 19 Jan 2038 03:14:08 +0000", "2038-01-19T03:14:08.000Z"},
    {4107542400000, "Mon, 01 Mar 2100 00:00:00 +0000", "2100-03-01T00:00:00.000Z"},
    {4294967296000, "Sun, 07 Feb 2106 06:28:16 +0000", "2106-02-07T06:28:16.000Z"},
    {253402300799999, "Fri, 31 Dec 9999 23:59:59 +0000", "9999-12-31T23:59:59.999Z"},
};

static void test_date(void)
{
    for (size_t i = 0; i < countof(date_rows); i++) {
        expect_str(str_c(clock_date(date_rows[i].ms).at), str_c(date_rows[i].date), "date");
        expect_str(str_c(clock_stamp(date_rows[i].ms).at), str_c(date_rows[i].stamp), "stamp");
    }
    expect(strlen(clock_date(UINT64_MAX).at) == 31, "what has no date has its form");
    expect(strlen(clock_stamp(UINT64_MAX).at) == 24, "what has no date has its form");
}

/* The first of every month of 2027. */
static void test_months(void)
{
    static const char *const want[] = {"Fri, 01 Jan", "Mon, 01 Feb", "Mon, 01 Mar", "Thu, 01 Apr",
                                       "Sat, 01 May", "Tue, 01 Jun", "Thu, 01 Jul", "Sun, 01 Aug",
                                       "Wed, 01 Sep", "Fri, 01 Oct", "Mon, 01 Nov", "Wed, 01 Dec"};
    static const uint64_t days[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    for (size_t i = 0; i < countof(want); i++) {
        struct clock_date d = clock_date(1798761600000 + days[i] * 86400000);
        expect_str(str_head(str_c(d.at), 11), str_c(want[i]), "month");
        expect_str(str_skip(str_c(d.at), 11), STR(" 2027 00:00:00 +0000"), "month");
    }
}

static void test_reading(void)
{
    uint64_t monotonic = clock_monotonic_ms(), ns = clock_monotonic_ns(), boot = clock_boot_ms();
    expect(ns / 1000000 - monotonic < 10000, "%lu ns, %lu ms", ns, monotonic);
    expect(boot >= monotonic, "the boot clock counts sleep too");
    expect(clock_monotonic_ns() >= ns, "monotonic");
    uint64_t ms = clock_wall_ms(), us = clock_wall_us();
    expect(us / 1000 - ms < 10000, "%lu us, %lu ms", us, ms);
    expect(ms > 1600000000000, "after 2020: %lu", ms);
    (void)clock_synchronised();
    struct clock_boot_id a = clock_boot_id(), b = clock_boot_id(), zero = {{0}};
    expect(memcmp(&a, &b, sizeof a) == 0, "one boot, one id");
    expect(memcmp(&a, &zero, sizeof a) != 0, "there is one");
}

static const struct {
    const char *name, *in;
    bool ok;
    const char *want;
} parse_rows[] = {
    {"UTC", "2026-11-24T04:38:46Z", true, "2026-11-24T04:38:46.000Z"},
    {"any case", "2026-11-24t04:38:46z", true, "2026-11-24T04:38:46.000Z"},
    {"east", "2026-11-24T13:38:46+09:00", true, "2026-11-24T04:38:46.000Z"},
    {"west, into the next year", "2026-12-31T23:30:00-05:45", true, "2027-01-01T05:15:00.000Z"},
    {"unknown offset", "2026-11-24T04:38:46-00:00", true, "2026-11-24T04:38:46.000Z"},
    {"tenths", "2026-11-24T04:38:46.5Z", true, "2026-11-24T04:38:46.500Z"},
    {"finer than a millisecond", "2026-11-24T04:38:46.1230001Z", true, "2026-11-24T04:38:46.124Z"},
    {"zeros below a millisecond", "2026-11-24T04:38:46.1230000Z", true, "2026-11-24T04:38:46.123Z"},
    {"leap second", "2016-12-31T23:59:60Z", true, "2017-01-01T00:00:00.000Z"},
    {"leap day", "2028-02-29T00:00:00Z", true, "2028-02-29T00:00:00.000Z"},
    {"after a leap day", "2028-03-01T00:00:00Z", true, "2028-03-01T00:00:00.000Z"},
    {"2100 has none", "2100-02-29T00:00:00Z", false, NULL},
    {"TIME-05 after 2038", "2106-02-07T06:28:16Z", true, "2106-02-07T06:28:16.000Z"},
    {"the last", "9999-12-31T23:59:59.999Z", true, "9999-12-31T23:59:59.999Z"},
    {"the first", "1970-01-01T00:00:00Z", true, "1970-01-01T00:00:00.000Z"},
    {"before the first", "1970-01-01T00:00:00+00:01", false, NULL},
    {"1969", "1969-12-31T23:59:59Z", false, NULL},
    {"empty", "", false, NULL},
    {"no offset", "2026-11-24T04:38:46", false, NULL},
    {"a blank for the T", "2026-11-24 04:38:46Z", false, NULL},
    {"no seconds", "2026-11-24T04:38Z", false, NULL},
    {"no digits of a fraction", "2026-11-24T04:38:46.Z", false, NULL},
    {"month 0", "2026-00-24T04:38:46Z", false, NULL},
    {"month 13", "2026-13-24T04:38:46Z", false, NULL},
    {"day 0", "2026-11-00T04:38:46Z", false, NULL},
    {"31 November", "2026-11-31T04:38:46Z", false, NULL},
    {"hour 24", "2026-11-24T24:00:00Z", false, NULL},
    {"minute 60", "2026-11-24T04:60:00Z", false, NULL},
    {"second 61", "2026-11-24T04:38:61Z", false, NULL},
    {"offset of 24 hours", "2026-11-24T04:38:46+24:00", false, NULL},
    {"offset without colon", "2026-11-24T04:38:46+0900", false, NULL},
    {"sign for a digit", "+026-11-24T04:38:46Z", false, NULL},
    {"more", "2026-11-24T04:38:46Z ", false, NULL},
};

static void test_parse(void)
{
    for (size_t i = 0; i < countof(parse_rows); i++) {
        uint64_t ms = 0;
        bool ok = clock_parse(str_c(parse_rows[i].in), &ms);
        expect(ok == parse_rows[i].ok, "%s: %d", parse_rows[i].name, ok);
        if (ok && parse_rows[i].ok)
            expect_str(str_c(clock_stamp(ms).at), str_c(parse_rows[i].want), parse_rows[i].name);
    }
    for (uint64_t day = 0; day < 200 * 366; day++) { /* what is written is read */
        uint64_t ms = 0, want = day * 86400000 + day;
        CU_ASSERT(clock_parse(str_c(clock_stamp(want).at), &ms) && ms == want);
    }
}

int main(void)
{
    const struct test tests[] = {{"adopted time", test_adopted}, {"dates", test_date},
                                 {"months", test_months},        {"RFC 3339", test_parse},
                                 {"reading", test_reading},      {0}};
    return harness_run("clock", tests);
}
