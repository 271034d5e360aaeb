/* test_rebuild.c -- CRASH-06 on the index: CURRENT, MANIFEST, tables. It is made again from the
 * journal; nothing that lives is lost, nothing that is over comes back. */
#define DESK_ROOT "/dev/shm"
#include "tests/unit/storage/desk.h"

enum {
    DUE = 1000000,
    ROUNDS = 900,
    BYTES = 60 << 10,
    WATCHED_MAX = 400
};

struct watched {
    uint64_t id;
    enum stage stage[2];
    uint64_t due[2];
    const char *last;
    enum form form;
};

static struct watched watched[WATCHED_MAX];
static size_t watched_count;
static uint64_t over[ROUNDS];
static size_t over_count;

static void must_commit(struct desk *d, struct unit *u)
{
    if (desk_commit(d, u) != COMMIT_SYNCED)
        abort();
}

/* Two recipients: one is delivered at once, the other lives on in some way. */
static void watch(struct desk *d, size_t i)
{
    uint64_t id = desk_mail(d, 2, BYTES, DUE + i);
    struct watched *w = &watched[watched_count++];
    *w = (struct watched){.id = id,
                          .stage = {STAGE_DELIVERED, STAGE_WAITING},
                          .due = {DUE + i, DUE + i},
                          .last = ""};
    struct unit *u = unit_make();
    (void)desk_move_in(u, id, 0, STAGE_SENDING, 0);
    (void)desk_move_in(u, id, 0, STAGE_DELIVERED, 0);
    if (i % 4 == 1) {
        desk_move_in(u, id, 1, STAGE_HELD, DUE * 2)->last = STR("held by hanako");
        w->stage[1] = STAGE_HELD;
        w->due[1] = DUE * 2;
        w->last = "held by hanako";
    }
    must_commit(d, u);
    if (i % 4 == 2) {
        struct decision c = {.id = id,
                             .recipient = 1,
                             .revision = 1,
                             .form = FORM_LINK,
                             .stage = STAGE_APPROVAL,
                             .due_ms = DUE * 3};
        u = unit_make();
        unit_add_decide(u, &c);
        must_commit(d, u);
        w->stage[1] = STAGE_APPROVAL;
        w->due[1] = DUE * 3;
        w->form = FORM_LINK;
    }
}

static void end(struct desk *d, uint64_t id)
{
    struct unit *u = unit_make();
    (void)desk_move_in(u, id, 1, STAGE_DISCARDED, 0);
    must_commit(d, u);
}

static void fill(struct desk *d)
{
    watched_count = over_count = 0;
    for (size_t i = 0; i < ROUNDS; i++) {
        if (i % 10 == 0)
            watch(d, i);
        uint64_t id = desk_mail(d, 2, BYTES, DUE);
        struct unit *u = unit_make();
        /* over in two steps, far from each other in the journal */
        (void)desk_move_in(u, id, 0, STAGE_DISCARDED, 0);
        must_commit(d, u);
        over[over_count++] = id;
        if (i >= 50)
            end(d, over[i - 50]);
    }
    for (size_t i = ROUNDS - 50; i < ROUNDS; i++)
        end(d, over[i]);
    struct unit *u = unit_make();
    unit_add_document(u, STR("org/demo"), STR("policy"));
    must_commit(d, u);
}

static void check(struct desk *d, const char *name)
{
    for (size_t i = 0; i < watched_count; i++) {
        const struct watched *w = &watched[i];
        struct message *m = view_get(d->p, w->id);
        expect(m != NULL, "%s: watched %zu is lost", name, i);
        if (!m)
            continue;
        for (int r = 0; r < 2; r++)
            expect(m->recipients[r].stage == w->stage[r], "%s: watched %zu.%d is %s", name, i, r,
                   stage_name(m->recipients[r].stage));
        expect(m->recipients[1].due_ms == w->due[1], "%s: due of %zu", name, i);
        expect_str(m->recipients[1].last, str_c(w->last), name);
        expect(m->recipients[1].form == w->form, "%s: form of %zu", name, i);
        expect(desk_read(d, m), "%s: body of %zu", name, i);
        message_drop(&m);
    }
    for (size_t i = 0; i < over_count; i++) {
        struct message *m = view_get(d->p, over[i]);
        expect(!m || message_is_final(m), "%s: %zu came back", name, i);
        message_drop(&m);
    }
    struct view *v = view_open(d->p, VIEW_BY_DUE, 0, false);
    size_t due = 0;
    for (struct message *m; (m = view_next(v)); message_drop(&m))
        due++;
    view_close(&v);
    expect(due == watched_count, "%s: due %zu of %zu", name, due, watched_count);
    struct partition_usage u;
    partition_usage(d->p, &u);
    expect(u.messages == watched_count && u.held == watched_count, "%s: counts %d %d", name,
           (int)u.messages, (int)u.held);
    struct arena a;
    arena_init(&a, 1 << 16);
    expect_str(view_document(d->p, STR("org/demo"), &a), STR("policy"), name);
    arena_drop(&a);
}

/* A shell command on the index of a partition that is closed. */
static const struct {
    const char *name, *command;
    bool rebuilt;
} rows[] = {
    {"nothing", ":", false},
    {"CURRENT is gone", "rm CURRENT", true},
    {"CURRENT is garbage", "echo MANIFEST-x > CURRENT", true},
    {"MANIFEST is cut", "for f in MANIFEST-*; do truncate -s 100 $f; done", true},
    {"MANIFEST is flipped",
     "for f in MANIFEST-*; do b=$(od -An -tu1 -j60 -N1 $f);"
     " printf \"\\\\$(printf %03o $((b ^ 255)))\" | dd of=$f bs=1 seek=60 conv=notrunc; done",
     true},
    {"a table is gone", "rm $(ls *.sst | head -1)", true},
    {"tables are cut", "for f in *.sst; do truncate -s 200 $f; done", true},
    {"the index is gone", "rm -f *", true},
};

static void damage(const struct desk *d, const char *what)
{
    char command[1024];
    (void)snprintf(command, sizeof command, "cd '%s/index' && { %s; } 2>/dev/null", d->path, what);
    if (system(command))
        (void)fprintf(stderr, "failed: %s\n", what);
}

static void test_damage(void)
{
    struct desk d, e;
    desk_init(&d, "rebuild-a");
    desk_init(&e, "rebuild-b");
    desk_must_open(&d);
    fill(&d);
    partition_stop(&d.p);
    for (size_t i = 0; i < countof(rows); i++) {
        crash_copy(&d, e.path);
        damage(&e, rows[i].command);
        bool opened = desk_open(&e);
        expect(opened, "%s: %.*s", rows[i].name, STR_ARG(buffer_str(&e.errors)));
        if (!opened)
            continue;
        expect(partition_report(e.p)->rebuilt == rows[i].rebuilt, "%s: rebuilt", rows[i].name);
        expect(partition_report(e.p)->damaged_records == 0, "%s: damaged", rows[i].name);
        expect(e.serial > id_serial(over[over_count - 1]), "%s: serials", rows[i].name);
        check(&e, rows[i].name);
        uint64_t id = desk_mail(&e, 1, 100, DUE);
        expect(id != 0, "%s: goes on", rows[i].name);
        desk_deliver(&e, id, 1);
        partition_stop(&e.p);
        desk_must_open(&e);
        expect(!partition_report(e.p)->rebuilt, "%s: once", rows[i].name);
        check(&e, rows[i].name);
        partition_stop(&e.p);
    }
    desk_wipe(&e);
    buffer_drop(&e.errors);
    desk_drop(&d);
}

/* A flipped bit in a table is found when it is read, at the latest; then the index is made again
 * while the partition runs. */
static void test_flips(void)
{
    struct desk d, e;
    desk_init(&d, "flips-a");
    desk_init(&e, "flips-b");
    desk_must_open(&d);
    fill(&d);
    partition_stop(&d.p);
    for (int spot = 0; spot < 12; spot++) {
        crash_copy(&d, e.path);
        char command[256];
        (void)snprintf(command, sizeof command,
                       "for f in *.sst; do printf '\\125' | dd of=$f bs=1 conv=notrunc "
                       "seek=$(( $(stat -c %%s $f) * %d / 13 )); done",
                       spot + 1);
        damage(&e, command);
        bool opened = desk_open(&e);
        expect(opened, "spot %d: %.*s", spot, STR_ARG(buffer_str(&e.errors)));
        if (!opened)
            continue;
        /* whatever is read is right, or not there; never garbage */
        for (size_t i = 0; i < watched_count; i++) {
            struct message *m = view_get(e.p, watched[i].id);
            expect(!m || m->recipients[1].stage == watched[i].stage[1], "spot %d: %zu", spot, i);
            message_drop(&m);
        }
        for (int turn = 0; turn < 3; turn++)
            (void)desk_commit(&e, unit_make());
        check(&e, "after the turn");
        desk_drop(&e);
        desk_init(&e, "flips-b");
    }
    desk_wipe(&e);
    buffer_drop(&e.errors);
    desk_drop(&d);
}

/* A crash while the new index is made: nothing of it is used. */
static void test_crash(void)
{
    struct desk d, e;
    desk_init(&d, "half-a");
    desk_init(&e, "half-b");
    desk_must_open(&d);
    fill(&d);
    partition_stop(&d.p);
    crash_copy(&d, e.path);
    damage(&e, "cp -r . ../index.new && rm CURRENT && rm -r ../index");
    desk_must_open(&e);
    expect(partition_report(e.p)->rebuilt, "rebuilt");
    check(&e, "half made");
    desk_drop(&e);
    desk_drop(&d);
}

int main(void)
{
    const struct test tests[] = {{"CRASH-06 index damaged at start", test_damage},
                                 {"CRASH-06 tables flipped", test_flips},
                                 {"CRASH-06 crash while it is made", test_crash},
                                 {0}};
    return harness_run("rebuild", tests);
}
