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
    bool usual; /* alone so far, and nothing asked */
} rows[] = {
    {"nothing asked yet", "", 0, false},
    {"the first commit", "?", 0, false},
    {"seven were alone", "?.?.?.?.?.?.?.?", 0, false},
    {"eight were alone: look out for the ninth", "?.?.?.?.?.?.?.?.?", LIMIT_US, false},
    {"but not when nothing is asked", "?.?.?.?.?.?.?.?.", 0, true},
    {"nor when two are", "?.?.?.?.?.?.?.?.??", 0, false},
    {"company ends the row", "?.?.?.?.?.?.?.?.??..?", 0, false},
    {"company in the middle too", "?.?.?.?.?.??..?.?.?.?.?", 0, false},
    {"and a new row begins", "??..?.?.?.?.?.?.?.?.?", LIMIT_US, false},
    {"one of two left is not alone", "?.?.?.?.?.?.?.?.??.", 0, false},
    {"a slow disk: sleep", "?!?!?!?!?!?!?!?!?", 0, false},
    {"one slow answer is forgiven", "?.?.?.?.?.?.?.?.?!?", LIMIT_US, false},
    {"two are not", "?.?.?.?.?.?.?.?.?!?!?", 0, false},
    {"seven are not enough", "?.?.?.?.?.?.?.", 0, false},
    {"one of two answered", "?.?.?.?.?.?.?.?.??.", 0, false},
    {"both answered", "?.?.?.?.?.?.?.?.??..", 0, false},
    {"many more in a row", "?.?.?.?.?.?.?.?.?.?.?.?.?.?.?.?.?.?.?", LIMIT_US, false},
};

static void test_watch(void)
{
    for (size_t i = 0; i < countof(rows); i++) {
        struct lone l = {0};
        uint64_t now = 1, took_ns = 0;
        for (const char *e = rows[i].events; *e; e++) {
            now += *e == '.' ? 200 * US : *e == '!' ? 2000 * US : 50 * US;
            if (*e == '?')
                lone_asked(&l, now);
            else
                took_ns = lone_answered(&l, now);
        }
        size_t length = strlen(rows[i].events);
        bool ended = length && rows[i].events[length - 1] == '.';
        expect(lone_is_usual(&l) == rows[i].usual, "%s", rows[i].name);
        expect(!ended || took_ns == (rows[i].usual ? 200 * US : 0), "%s", rows[i].name);
        expect(lone_watch_us(&l, LIMIT_US) == rows[i].watch_us, "%s", rows[i].name);
        expect(lone_watch_us(&l, 0) == 0, "%s, switched off", rows[i].name);
    }
}

int main(void)
{
    const struct test tests[] = {{"watch", test_watch}, {0}};
    return harness_run("lone", tests);
}
