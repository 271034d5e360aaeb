#include "shards/pace.h"

#include "tests/unit/base/dice.h"
#include "tests/unit/harness.h"

enum {
    MOST = 20,
    LONGEST = 300000
};

/* A story: t a mail is taken, s "slow down", f none of its exchangers answers, p a person
 * says "now", g a greeting, and + a second goes by. Beside it what may be open after each. */
static const struct {
    const char *name, *story;
    uint32_t limit[16];
} story_rows[] = {
    {"two at first", "+", {2}},
    {"a round of two, then of three", "ttttt", {2, 3, 3, 3, 4}},
    {"half of two", "s", {1}},
    {"never below one", "sss", {1, 1, 1}},
    {"the other that was under way says the same again", "tttttss", {2, 3, 3, 3, 4, 2, 2}},
    {"the second round of it halves again", "tttttsssss", {2, 3, 3, 3, 4, 2, 2, 2, 2, 1}},
    {"what is taken then is of the old round too",
     "tttttstttttt",
     {2, 3, 3, 3, 4, 2, 2, 2, 2, 2, 3, 3}},
    {"a slow down begins the round anew", "tsstttt", {2, 1, 1, 2, 2, 3, 3}},
    {"down for a second, then one that tries", "f++g", {0, 1, 1, 2}},
    {"then for two", "f+f+++", {0, 1, 0, 0, 1, 1}},
    {"then for four", "f+f++f++++g", {0, 1, 0, 0, 1, 0, 0, 0, 0, 1, 2}},
    {"a greeting ends it: the next pause is the first", "f+f++gf+", {0, 1, 0, 0, 1, 2, 0, 1}},
    {"within a pause nothing gets worse", "fff+", {0, 0, 0, 1}},
    {"down forgets what was learnt", "tttttfffff+g", {2, 3, 3, 3, 4, 0, 0, 0, 0, 0, 1, 2}},
    {"a person ends a pause, for one try", "f+f+pf+", {0, 1, 0, 0, 1, 0, 0}},
    {"and changes nothing while up", "ptsp", {2, 2, 1, 1}},
    {"but not that one is enough", "sf+g", {1, 0, 1, 1}},
};

static void test_stories(void)
{
    for (size_t i = 0; i < countof(story_rows); i++) {
        struct pace p;
        uint64_t now = 77;
        pace_init(&p, 2);
        for (size_t n = 0; story_rows[i].story[n]; n++) {
            switch (story_rows[i].story[n]) {
            case 't':
                pace_took(&p, MOST);
                break;
            case 's':
                (void)pace_slowed(&p);
                break;
            case 'f':
                pace_failed(&p, LONGEST, now);
                break;
            case 'p':
                pace_try(&p, now);
                break;
            case 'g':
                pace_greeted(&p);
                break;
            default:
                now += 1000;
            }
            uint32_t got = pace_limit(&p, MOST, now);
            expect(got == story_rows[i].limit[n], "%s: step %zu: %u", story_rows[i].name, n, got);
        }
    }
}

static const struct {
    const char *name;
    uint64_t longest;
    unsigned failures;
    uint64_t want;
} pause_rows[] = {
    {"the first", 300000, 1, 1000},     {"the second", 300000, 2, 2000},
    {"the ninth", 300000, 9, 256000},   {"the tenth is the longest", 300000, 10, 300000},
    {"and so on", 300000, 500, 300000}, {"a day is too long", 86400000, 100, 300000},
    {"retry_first is less", 1, 1, 1},   {"3 s", 3000, 4, 3000},
};

static void test_pauses(void)
{
    for (size_t i = 0; i < countof(pause_rows); i++) {
        struct pace p;
        uint64_t now = 1;
        pace_init(&p, 2);
        for (unsigned n = 0; n < pause_rows[i].failures; n++) {
            now = u64_max(now, p.until_ms);
            pace_failed(&p, pause_rows[i].longest, now);
        }
        expect(p.until_ms - now == pause_rows[i].want, "%s: %lu", pause_rows[i].name,
               p.until_ms - now);
        expect(pace_is_down(&p, p.until_ms - 1) && !pace_is_down(&p, p.until_ms), "%s",
               pause_rows[i].name);
    }
}

/* The setting counts at once, both ways. */
static void test_most(void)
{
    struct pace p;
    pace_init(&p, 2);
    expect(pace_limit(&p, 1, 0) == 1, "one is the setting");
    for (unsigned n = 0; n < 1000; n++)
        pace_took(&p, MOST);
    expect(pace_limit(&p, MOST, 0) == MOST && pace_limit(&p, 5, 0) == 5, "lowered to five");
    expect(pace_limit(&p, 10000, 0) == MOST, "raised: it grows from where it was");
    pace_took(&p, 5);
    expect(pace_limit(&p, MOST, 0) == 5, "and grows from five when raised again");
}

static void test_walk(void)
{
    struct dice dice = {7};
    for (unsigned round = 0; round < 200; round++) {
        struct pace p;
        uint32_t most = 1 + (uint32_t)dice_below(&dice, 50), halved_for = 0;
        uint64_t now = dice_below(&dice, 5000), pause = 0;
        pace_init(&p, 2);
        for (unsigned step = 0; step < 2000; step++) {
            uint32_t before = pace_limit(&p, most, now), window = p.window;
            uint64_t what = dice_below(&dice, 100);
            bool down = pace_is_down(&p, now), fewer = false;
            if (what < 60) {
                pace_took(&p, most);
                expect(p.window <= window + 1 && p.window >= (window < most ? window : most),
                       "one more at most");
            } else if (what < 75) {
                fewer = pace_slowed(&p);
                expect(!fewer || (p.window == window / 2 && halved_for == 0), "once a round");
            } else if (what < 80) {
                pace_failed(&p, LONGEST, now);
                expect(pace_limit(&p, most, now) == 0, "down");
                expect(down || p.pause_ms == (pause ? u64_min(2 * pause, LONGEST) : 1000),
                       "twice as long");
                pause = p.pause_ms;
                halved_for = 0;
            } else if (what < 83 && !down) {
                pace_greeted(&p);
                pause = 0;
            } else {
                now += dice_below(&dice, 3000);
            }
            if (fewer)
                halved_for = window - 1;
            else if (what < 75 && halved_for)
                halved_for--;
            uint32_t after = pace_limit(&p, most, now);
            expect(after <= most && (p.pause_ms || after > 0), "%u of %u", after, most);
            expect(!p.pause_ms || after <= 1, "one tries");
            expect(after <= before + 1 || (what >= 80 && before <= 1), "%u after %u", after,
                   before);
        }
    }
}

static const struct {
    const char *reply;
    bool want;
} reply_rows[] = {
    {"421 closing", true},
    {"421 4.7.0 try later", true},
    {"450 4.7.1 slow down", true},
    {"451 4.7.500 server busy", true},
    {"452 4.3.2 system not accepting messages", true},
    {"450 4.4.5 congested", true},
    {"451 too many connections from your address", true},
    {"451 4.2.0 rate limited: receiving mail at a rate", true},
    {"450 4.7.1 greylisted, come back in 5 minutes", false},
    {"450 4.2.0 Postgrey", false},
    {"450 4.2.1 mailbox busy", false},
    {"452 4.2.2 over quota", false},
    {"452 4.5.3 too many recipients", false},
    {"452 4.3.1 disk full", false},
    {"451 local error", false},
    {"550 5.7.1 spam", false},
    {"554 5.7.0 too many connections", false},
    {"250 2.0.0 ok", false},
};

static void test_replies(void)
{
    for (size_t i = 0; i < countof(reply_rows); i++) {
        struct reply_parser parser;
        char line[100];
        (void)snprintf(line, sizeof line, "%s\r\n", reply_rows[i].reply);
        struct str in = str_c(line);
        reply_parser_init(&parser);
        expect(reply_parser_feed(&parser, &in) == REPLY_DONE, "%s", line);
        expect(pace_is_slow_down(&parser.seen) == reply_rows[i].want, "%s", line);
    }
}

int main(void)
{
    const struct test tests[] = {{"stories", test_stories}, {"pauses", test_pauses},
                                 {"most", test_most},       {"walk", test_walk},
                                 {"replies", test_replies}, {0}};
    return harness_run("pace", tests);
}
