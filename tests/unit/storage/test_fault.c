/* test_fault.c -- the disk fails at the N-th operation, for every N of a short run (CRASH-04,
 * CRASH-05). Whatever was answered with SYNCED is there afterwards; after a failed write or sync
 * nothing more is accepted; lack of space passes. */
#define DESK_ROOT "/dev/shm"
#include "tests/unit/storage/desk.h"

#include <errno.h>

enum {
    DUE = 1000000,
    MAILS = 12,
    STEPS_MAX = 400
};

struct fault {
    enum file_op op;
    int error;
    uint64_t at;    /* fails at this pass of `op` … */
    uint64_t count; /* … and so many after it */
    uint64_t passes;
    bool hit;
};

static int fail(void *context, enum file_op op, uint64_t offset, size_t length)
{
    struct fault *f = context;
    (void)offset;
    (void)length;
    if (op != f->op)
        return 0;
    uint64_t pass = f->passes++;
    if (pass < f->at || pass >= f->at + f->count)
        return 0;
    f->hit = true;
    return f->error;
}

/* Mails, some delivered, some discarded; enough for several segments. */
static void work(struct desk *d, uint64_t *id, enum commit_result *result, bool *discarded)
{
    for (size_t i = 0; i < MAILS; i++) {
        struct unit *u = desk_accept(d, 1, 200 << 10, DUE, &id[i]);
        for (size_t more = 0; more < 4; more++) {
            struct message *m = desk_message(d, 1, DUE);
            if (!unit_accept(u, m, desk_body(m, 200 << 10), 200 << 10))
                abort();
        }
        result[i] = desk_commit(d, u);
        discarded[i] = i % 3 == 1 && result[i] == COMMIT_SYNCED &&
                       desk_move(d, id[i], 0, STAGE_DISCARDED, 0) == COMMIT_SYNCED;
    }
}

static void check(struct desk *d, const uint64_t *id, const enum commit_result *result,
                  const bool *discarded, const char *name, uint64_t step)
{
    for (size_t i = 0; i < MAILS; i++) {
        if (result[i] != COMMIT_SYNCED)
            continue;
        enum stage got = desk_stage(d, id[i], 0);
        expect(discarded[i] ? got == STAGE_DISCARDED : got != STAGES, "%s %d: mail %zu is %s", name,
               (int)step, i, stage_name(got));
        if (!discarded[i])
            expect(got == STAGE_DISCARDED || desk_body_is_good(d, id[i]), "%s %d: body %zu", name,
                   (int)step, i);
    }
}

static void sweep(const char *name, enum file_op op, int error, bool final)
{
    uint64_t stride = 1;
    for (uint64_t step = 0; step < STEPS_MAX; step += stride) {
        struct desk d, e;
        desk_init(&d, "fault-a");
        desk_init(&e, "fault-b");
        desk_must_open(&d);
        struct fault f = {.op = op, .error = error, .at = step, .count = final ? 1 : 3};
        file_fault_set(fail, &f);
        uint64_t id[MAILS];
        enum commit_result result[MAILS];
        bool discarded[MAILS];
        work(&d, id, result, discarded);
        file_fault_set(NULL, NULL);
        bool failed = false;
        for (size_t i = 0; i < MAILS; i++) {
            failed = failed || result[i] == COMMIT_FAILED;
            expect(!failed || result[i] == COMMIT_FAILED, "%s %d: accepts after a failure", name,
                   (int)step);
        }
        struct partition_usage usage;
        partition_usage(d.p, &usage);
        if (final && f.hit)
            expect(usage.failed, "%s %d: says so", name, (int)step);
        crash_copy(&d, e.path);
        if (!usage.failed) {
            (void)usleep(f.hit && !final ? 600000 : 0); /* it looks again from time to time */
            (void)desk_mail(&d, 1, 100, DUE);
            expect(desk_mail(&d, 1, 100, DUE) != 0, "%s %d: goes on by itself", name, (int)step);
            check(&d, id, result, discarded, name, step);
        }
        desk_drop(&d);
        desk_must_open(&e);
        expect(partition_report(e.p)->damaged_records == 0, "%s %d: no damage", name, (int)step);
        check(&e, id, result, discarded, name, step);
        expect(desk_mail(&e, 1, 100, DUE) != 0, "%s %d: accepts again", name, (int)step);
        desk_drop(&e);
        if (!f.hit)
            break;
        stride = step > 24 ? 7 : 1;
    }
}

static void test_write_eio(void)
{
    sweep("write EIO", FILE_WRITE, -EIO, true);
}

static void test_sync_eio(void)
{
    sweep("sync EIO", FILE_SYNC, -EIO, true);
}

static void test_allocate_full(void)
{
    sweep("allocate ENOSPC", FILE_ALLOCATE, -ENOSPC, false);
}

static void test_open_full(void)
{
    sweep("create EDQUOT", FILE_OPEN, -EDQUOT, false);
}

/* CRASH-05: full for long: accepting stops, moves go on, what is freed is used again. */
static void test_full(void)
{
    struct desk d;
    desk_init(&d, "full");
    d.reserve = 1;
    desk_must_open(&d);
    uint64_t id[64];
    size_t accepted = 0;
    struct fault f = {.op = FILE_FREE, .error = -ENOSPC, .at = 0, .count = UINT64_MAX};
    for (; accepted < 8; accepted++)
        id[accepted] = desk_mail(&d, 1, 200 << 10, DUE);
    file_fault_set(fail, &f);
    (void)usleep(150000); /* the next look at the free space */
    uint64_t refused;
    (void)desk_commit(&d, desk_accept(&d, 1, 100, DUE, &refused));
    expect(desk_commit(&d, desk_accept(&d, 1, 100, DUE, &refused)) == COMMIT_FULL, "452");
    struct partition_usage usage;
    (void)usleep(150000);
    expect(desk_move(&d, id[0], 0, STAGE_DISCARDED, 0) == COMMIT_SYNCED, "taking back works");
    desk_deliver(&d, id[1], 1);
    partition_usage(d.p, &usage);
    expect(usage.full && !usage.failed, "says so");
    file_fault_set(NULL, NULL);
    (void)usleep(150000);
    (void)desk_move(&d, id[2], 0, STAGE_DISCARDED, 0);
    expect(desk_mail(&d, 1, 100, DUE) != 0, "accepts again by itself");
    desk_drop(&d);
}

int main(void)
{
    const struct test tests[] = {{"CRASH-05 write EIO", test_write_eio},
                                 {"CRASH-04 sync EIO", test_sync_eio},
                                 {"CRASH-05 allocate ENOSPC", test_allocate_full},
                                 {"CRASH-05 create EDQUOT", test_open_full},
                                 {"CRASH-05 full", test_full},
                                 {0}};
    return harness_run("fault", tests);
}
