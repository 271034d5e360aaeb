#include "shards/lone.h"

#include "tests/unit/harness.h"

enum {
    US = 1000,
    LIMIT_US = 500
};

/* What happens, a letter each: `?` a commit is asked for, `.` one is answered 200 us after the last
 * question, `!` one that took 2 ms. */
static const struct {
    const char *name, *events;
    uint64_t watch_us;
} rows[] = {
    {"nothing asked yet", "", 0},
    {"the first commit", "?", 0},
    {"seven were alone", "?.?.?.?.?.?.?.?", 0},
    {"eight were alone: look out for the ninth", "?.?.?.?.?.?.?.?.?", LIMIT_US},
    {"but not when nothing is asked", "?.?.?.?.?.?.?.?.", 0},
    {"nor when two are", "?.?.?.?.?.?.?.?.??", 0},
    {"company ends the row", "?.?.?.?.?.?.?.?.??..?", 0},
    {"company in the middle too", "?.?.?.?.?.??..?.?.?.?.?", 0},
    {"and a new row begins", "??..?.?.?.?.?.?.?.?.?", LIMIT_US},
    {"one of two left is not alone", "?.?.?.?.?.?.?.?.??.", 0},
    {"a slow disk: sleep", "?!?!?!?!?!?!?!?!?", 0},
    {"one slow answer is forgiven", "?.?.?.?.?.?.?.?.?!?", LIMIT_US},
    {"two are not", "?.?.?.?.?.?.?.?.?!?!?", 0},
    {"many more in a row", "?.?.?.?.?.?.?.?.?.?.?.?.?.?.?.?.?.?.?", LIMIT_US},
};

static void test_watch(void)
{
    for (size_t i = 0; i < countof(rows); i++) {
        struct lone l = {0};
        uint64_t now = 1;
        for (const char *e = rows[i].events; *e; e++) {
            now += *e == '.' ? 200 * US : *e == '!' ? 2000 * US : 50 * US;
            if (*e == '?')
                lone_asked(&l, now);
            else
                lone_answered(&l, now);
        }
        expect(lone_watch_us(&l, LIMIT_US) == rows[i].watch_us, "%s", rows[i].name);
        expect(lone_watch_us(&l, 0) == 0, "%s, switched off", rows[i].name);
    }
}

int main(void)
{
    const struct test tests[] = {{"watch", test_watch}, {0}};
    return harness_run("lone", tests);
}
