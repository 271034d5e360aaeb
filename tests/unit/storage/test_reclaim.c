/* test_reclaim.c -- small segments over many generations: they are used again, what lives in them
 * survives, disk use stays bounded. */
#define DESK_ROOT "/dev/shm"
#include "tests/unit/storage/desk.h"

enum {
    DUE = 1000000,
    SURVIVORS = 40,
    ROUNDS = 1200,
    BYTES = 100 << 10
};

static void churn(struct desk *d, uint64_t *kept, size_t *keeps, size_t rounds)
{
    for (size_t i = 0; i < rounds; i++) {
        uint64_t id = desk_mail(d, 1, BYTES, DUE);
        expect(id != 0, "mail %zu", i);
        if (i % (rounds / 20) == 3 && *keeps < SURVIVORS) {
            kept[(*keeps)++] = id;
            continue;
        }
        desk_deliver(d, id, 1);
    }
}

static void test_generations(void)
{
    struct desk d, e;
    desk_init(&d, "reclaim-a");
    desk_init(&e, "reclaim-b");
    desk_must_open(&d);
    uint64_t kept[SURVIVORS];
    size_t keeps = 0;
    churn(&d, kept, &keeps, ROUNDS);
    struct partition_usage u;
    (void)usleep(110000);
    desk_deliver(&d, desk_mail(&d, 1, 10, DUE), 1);
    partition_usage(d.p, &u);
    /* 120 MiB went through segments of 4 MiB */
    expect(u.segments <= 20, "segments: %d", (int)u.segments);
    expect(u.messages - keeps <= 1, "messages: %d of %zu", (int)u.messages, keeps);
    for (size_t i = 0; i < keeps; i++)
        expect(desk_body_is_good(&d, kept[i]), "survivor %zu", i);
    crash_copy(&d, e.path);
    desk_must_open(&e);
    expect(partition_report(e.p)->damaged_records == 0, "no damage after the crash");
    for (size_t i = 0; i < keeps; i++)
        expect(desk_stage(&e, kept[i], 0) == STAGE_WAITING && desk_body_is_good(&e, kept[i]),
               "survivor %zu after the crash", i);
    churn(&e, kept, &keeps, 100);
    for (size_t i = 0; i < keeps; i++)
        desk_deliver(&e, kept[i], 1);
    (void)usleep(110000);
    (void)desk_mail(&e, 1, 100, DUE);
    (void)usleep(110000);
    uint64_t last = desk_mail(&e, 1, 100, DUE);
    partition_usage(e.p, &u);
    expect(u.messages <= 3, "all gone: %d", (int)u.messages);
    partition_stop(&e.p);
    desk_must_open(&e);
    expect(desk_body_is_good(&e, last), "last");
    desk_drop(&e);
    desk_drop(&d);
}

/* A reader with an old place finds another generation there: it is told, and asks again. */
static void test_stale(void)
{
    struct desk d;
    desk_init(&d, "stale");
    desk_must_open(&d);
    uint64_t kept[SURVIVORS];
    size_t keeps = 0;
    uint64_t id = desk_mail(&d, 1, BYTES, DUE);
    struct message *old = view_get(d.p, id);
    churn(&d, kept, &keeps, 600);
    expect(desk_body_is_good(&d, id), "fetched again");
    struct message *now = view_get(d.p, id);
    expect(now->extents[0].segment != old->extents[0].segment ||
               now->extents[0].generation != old->extents[0].generation,
           "it was moved");
    expect(!desk_read(&d, old), "the old place does not read as something else");
    message_drop(&old);
    message_drop(&now);
    desk_drop(&d);
}

static void test_history(void)
{
    struct desk d;
    desk_init(&d, "history");
    d.history_ms = 0;
    desk_must_open(&d);
    uint64_t done = desk_mail(&d, 1, 100, DUE), open = desk_mail(&d, 1, 100, DUE), found;
    desk_deliver(&d, done, 1);
    for (int i = 0; i < 30 && desk_stage(&d, done, 0) != STAGES; i++) {
        (void)usleep(100000);
        (void)desk_mail(&d, 1, 10, DUE);
    }
    expect(desk_stage(&d, done, 0) == STAGES, "purged");
    expect(!view_by_token(d.p, str_c(id_text(done).at), &found), "its token too");
    expect(desk_stage(&d, open, 0) == STAGE_WAITING, "what is open stays");
    desk_drop(&d);
}

int main(void)
{
    const struct test tests[] = {{"generations", test_generations},
                                 {"stale place", test_stale},
                                 {"history", test_history},
                                 {0}};
    return harness_run("reclaim", tests);
}
