/* test_keeper.c -- the keeper's thread: what goes through the rings, and in which order it comes
 * back. */
#include "core/mail/lane.h"
#include "tests/unit/storage/desk.h"

#include <poll.h>

enum {
    DUE = 1000000
};

struct table {
    struct desk d;
    struct port port;
    struct ring *ask, *answer, *coordinator;
};

static void start(struct table *t, const char *name)
{
    desk_init(&t->d, name);
    desk_must_open(&t->d);
    port_init(&t->port);
    t->ask = ring_make(partition_port(t->d.p));
    t->answer = ring_make(&t->port);
    t->coordinator = ring_make(&t->port);
    partition_start(t->d.p, &t->ask, &t->answer, 1, t->coordinator);
}

static void stop(struct table *t)
{
    partition_stop(&t->d.p);
    ring_drop(&t->ask);
    ring_drop(&t->answer);
    ring_drop(&t->coordinator);
    port_drop(&t->port);
    desk_drop(&t->d);
}

static struct cell take(struct ring *r)
{
    struct cell c = {.kind = UINT32_MAX};
    for (int i = 0; i < 2000 && !ring_take(r, &c); i++)
        (void)usleep(1000);
    return c;
}

static void ask(struct table *t, enum cell_kind kind, uint64_t id, uint64_t a, uint64_t b,
                void *object)
{
    ring_put(t->ask, &(struct cell){.kind = kind, .id = id, .a = a, .b = b, .object = object});
    ring_flush(t->ask);
}

static void test_order(void)
{
    struct table t;
    start(&t, "order");
    expect(take(t.coordinator).kind == CELL_READY, "ready");
    uint64_t id[4];
    for (int i = 0; i < 4; i++) {
        struct unit *u = desk_accept(&t.d, 1, 1000, DUE, &id[i]);
        u->indexed = i == 2;
        ring_put(t.ask, &(struct cell){.kind = CELL_COMMIT, .a = (uint64_t)i, .object = u});
        ring_put(t.ask, &(struct cell){.kind = CELL_FETCH, .id = id[i]});
    }
    ring_flush(t.ask);
    for (int i = 0; i < 4; i++) {
        struct cell c = take(t.answer);
        struct unit *u = c.object;
        expect(c.kind == CELL_COMMITTED && c.a == (uint64_t)i && u->result == COMMIT_SYNCED,
               "commit %d", i);
        unit_drop(&u);
        c = take(t.answer);
        struct message *m = c.object;
        expect(c.kind == CELL_FETCHED && m && m->id == id[i] && desk_read(&t.d, m), "fetch %d", i);
        message_drop(&m);
    }
    ask(&t, CELL_FETCH, id[3] + 1000, 0, 0, NULL);
    expect(!take(t.answer).object, "unknown");
    stop(&t);
}

static void commit(struct table *t, struct unit *u)
{
    u->indexed = true; /* we look at once */
    ask(t, CELL_COMMIT, 0, 0, 0, u);
    struct cell c = take(t->answer);
    expect(c.kind == CELL_COMMITTED && u->result == COMMIT_SYNCED, "committed");
    unit_drop(&u);
}

static void test_refill(void)
{
    struct table t;
    const uint64_t soon = clock_wall_ms() + 3600000;
    start(&t, "refill");
    (void)take(t.coordinator);
    static uint64_t id[5000];
    uint64_t late;
    const uint32_t lane = lane_make(STR("demo"), STR("taro@int.example"), STR("ext.example"));
    struct unit *u = unit_make();
    for (size_t i = 0; i < countof(id); i++) {
        struct message *m = desk_message(&t.d, 1, soon + i);
        id[i] = m->id;
        if (!unit_accept(u, m, desk_body(m, 8), 8))
            abort();
    }
    commit(&t, u);
    struct cell c;
    expect(ring_empty(t.coordinator), "nothing is armed before the first refill");
    ask(&t, CELL_REFILL, 0, 0, soon + 4000, NULL);
    for (size_t i = 0; i < 4000; i++) {
        c = take(t.coordinator);
        expect(c.kind == CELL_ARM && c.id == id[i] && c.a == soon + i && c.b == lane, "arm %zu", i);
    }
    c = take(t.coordinator);
    expect(c.kind == CELL_REFILLED && c.b == soon + 4000, "refilled");
    commit(&t, desk_accept(&t.d, 1, 8, soon + 3999, &late));
    c = take(t.coordinator);
    expect(c.kind == CELL_ARM && c.id == late && c.a == soon + 3999 && c.b == lane,
           "new below the horizon");
    commit(&t, desk_accept(&t.d, 1, 8, soon + 4000, &late));
    commit(&t, desk_accept(&t.d, 1, 8, DUE, &late)); /* due at once: its asker sends it off */
    u = unit_make();
    (void)desk_move_in(u, id[4500], 0, STAGE_HELD, soon + 10);
    (void)desk_move_in(u, id[0], 0, STAGE_SENDING, 0);
    commit(&t, u);
    c = take(t.coordinator);
    expect(c.kind == CELL_ARM && c.id == id[4500] && c.a == soon + 10 && c.b == lane,
           "moved below the horizon");
    expect(ring_empty(t.coordinator), "and nothing else");
    ask(&t, CELL_REFILL, 0, soon + 4000, soon + 10000, NULL);
    size_t arms = 0;
    while ((c = take(t.coordinator)).kind == CELL_ARM)
        arms += c.b == lane;
    expect(arms == 1000 && c.kind == CELL_REFILLED, "the rest: %zu", arms);
    stop(&t);
}

/* The blocks of a body into the extents of a grant. */
static void write_body(struct table *t, const struct grant *g, uint64_t id, uint64_t bytes)
{
    char *buffer = heap_take_aligned(LIMIT_BLOCK_BYTES, LIMIT_STAGING_BYTES);
    uint64_t done = 0;
    for (uint32_t n = 0; done < bytes; n++) {
        size_t piece = (size_t)u64_min(BODY_BLOCK_PAYLOAD, bytes - done);
        for (size_t i = 0; i < piece; i++)
            buffer[BODY_BLOCK_HEADER_BYTES + i] = desk_byte(id, done + i);
        struct body_place place = body_block_place(g, n);
        size_t length = body_block_finish(buffer, piece, id, g->extent[0].generation, n);
        expect(file_write(partition_fd(t->d.p, place.segment), buffer, length, place.offset) == 0,
               "block %u", n);
        done += piece;
    }
    heap_drop(buffer);
}

/* A body of 3 MiB and a bit through a grant. */
static void test_grant(void)
{
    struct table t;
    start(&t, "grant");
    const uint64_t bytes = (3 << 20) + 77;
    uint32_t want = body_extents(bytes);
    uint64_t first = 0;
    for (int again = 0; again < 3; again++) {
        ask(&t, CELL_GRANT, 0, want + 2, 0, NULL);
        struct grant *g = take(t.answer).object;
        expect(g && g->count == want + 2, "granted");
        struct message *m = desk_message(&t.d, 1, DUE);
        uint64_t id = m->id;
        write_body(&t, g, id, bytes);
        expect(body_settle(m, g, bytes), "settled");
        struct unit *u = unit_make();
        if (!unit_accept(u, m, NULL, 0))
            abort();
        commit(&t, u);
        expect(desk_body_is_good(&t.d, id), "body");
        if (again == 2) {
            /* the same extents can't be named twice */
            struct message *twice = desk_message(&t.d, 1, DUE);
            expect(body_settle(twice, g, bytes), "settled");
            u = unit_make();
            if (!unit_accept(u, twice, NULL, 0))
                abort();
            ask(&t, CELL_COMMIT, 0, 0, 0, u);
            (void)take(t.answer);
            expect(u->result == COMMIT_REFUSED, "refused");
            unit_drop(&u);
        }
        ask(&t, CELL_REVOKE, 0, 0, 0, g);
        expect(desk_body_is_good(&t.d, id), "body after the rest was given back");
        if (again == 0)
            first = id;
    }
    struct unit *u = unit_make();
    (void)desk_move_in(u, first, 0, STAGE_DISCARDED, 0);
    commit(&t, u);
    /* ten more fit where there is room for eight only with the extents of the first */
    partition_stop(&t.d.p);
    desk_must_open(&t.d);
    struct view *v = view_open(t.d.p, VIEW_BY_ID, 0, false);
    int alive = 0;
    for (struct message *m; (m = view_next(v)); message_drop(&m), alive++)
        expect(desk_read(&t.d, m), "after a restart");
    view_close(&v);
    expect(alive == 2, "alive: %d", alive);
    stop(&t);
}

static void test_anchor(void)
{
    struct table t;
    start(&t, "anchor");
    ask(&t, CELL_ANCHORED, 0, 1234567890123, 4242, NULL);
    partition_stop(&t.d.p); /* what was asked before is done */
    desk_must_open(&t.d);
    const struct partition_report *r = partition_report(t.d.p);
    struct clock_boot_id boot = clock_boot_id();
    expect(r->anchored && r->anchor.adopted_ms == 1234567890123 && r->anchor.boot_ms == 4242 &&
               memcmp(&boot, &r->boot, sizeof boot) == 0,
           "found again");
    stop(&t);
}

/* Many in flight, then stop: everything asked is answered. */
static void test_flood(void)
{
    struct table t;
    start(&t, "flood");

    enum {
        FLOOD = 20000
    };

    uint64_t last = 0;
    for (int i = 0; i < FLOOD; i++)
        ring_put(t.ask, &(struct cell){.kind = CELL_COMMIT,
                                       .a = (uint64_t)i,
                                       .object = desk_accept(&t.d, 1, 300, DUE, &last)});
    int answered = 0;
    for (int idle = 0; answered < FLOOD && idle < 5000;) {
        ring_flush(t.ask);
        struct cell c;
        if (!ring_take(t.answer, &c)) {
            (void)usleep(1000);
            idle++;
            continue;
        }
        struct unit *u = c.object;
        expect(c.a == (uint64_t)answered && u->result == COMMIT_SYNCED, "answer %d", answered);
        unit_drop(&u);
        answered++;
    }
    expect(answered == FLOOD, "all: %d", answered);
    partition_stop(&t.d.p);
    desk_must_open(&t.d);
    struct partition_usage u;
    partition_usage(t.d.p, &u);
    expect(u.messages == FLOOD && u.held == FLOOD, "counted: %d", (int)u.messages);
    expect(desk_body_is_good(&t.d, last), "the last");
    stop(&t);
}

/* A mail of `bytes` in extents. */
static uint64_t large_mail(struct table *t, uint64_t bytes)
{
    ask(t, CELL_GRANT, 0, body_extents(bytes), 0, NULL);
    struct grant *g = take(t->answer).object;
    struct message *m = desk_message(&t->d, 1, DUE);
    uint64_t id = m->id;
    struct unit *u = unit_make();
    if (!g || !body_settle(m, g, bytes) || !unit_accept(u, m, NULL, 0))
        abort();
    write_body(t, g, id, bytes);
    commit(t, u);
    ask(t, CELL_REVOKE, 0, 0, 0, g);
    return id;
}

/* CRASH-06: body segments that are gone. A mail that is final by then does not miss its own; one
 * that lives is named once a start, and is as it was when the file is back. */
static void test_missing(void)
{
    struct table t;
    struct desk e;
    char command[1024], log[4096], name[64];
    start(&t, "missing");
    uint64_t gone = large_mail(&t, 3 << 20), lives = large_mail(&t, (2 << 20) + 5);
    struct unit *u = unit_make();
    (void)desk_move_in(u, gone, 0, STAGE_DISCARDED, 0);
    commit(&t, u);
    desk_init(&e, "missing-copy");
    crash_copy(&t.d, e.path);
    (void)snprintf(command, sizeof command, "mkdir %s.aside && mv %s/body-* %s.aside", e.path,
                   e.path, e.path);
    expect(system(command) == 0, "away");
    FILE *f = tmpfile();
    must(f != NULL);
    log_open(fileno(f), LOG_LEVEL_ERROR);
    for (int i = 0; i < 2; i++) {
        desk_must_open(&e);
        expect(partition_report(e.p)->damaged_messages == 1, "start %d: %d miss their body", i,
               (int)partition_report(e.p)->damaged_messages);
        partition_stop(&e.p);
    }
    log_open(STDERR_FILENO, LOG_LEVEL_ERROR + 1);
    rewind(f);
    struct str lines = str_from(log, fread(log, 1, sizeof log, f));
    (void)fclose(f);
    (void)snprintf(name, sizeof name, " event=body_missing id=%s from=taro@int.example ",
                   id_text(lives).at);
    for (int i = 0; i < 2; i++)
        expect(str_find_str(str_cut(&lines, '\n'), str_c(name)) != SIZE_MAX, "start %d: named", i);
    expect(lines.len == 0, "and nothing else: %.*s", STR_ARG(lines));
    (void)snprintf(command, sizeof command, "mv %s.aside/* %s && rmdir %s.aside", e.path, e.path,
                   e.path);
    expect(system(command) == 0, "back");
    desk_must_open(&e);
    expect(partition_report(e.p)->damaged_messages == 0, "nothing is missing any more");
    expect(desk_stage(&e, lives, 0) == STAGE_WAITING && desk_body_is_good(&e, lives), "as it was");
    desk_drop(&e);
    stop(&t);
}

static bool falls_asleep(struct table *t, int ms)
{
    const struct port *port = partition_port(t->d.p);
    for (int i = 0; i < ms; i++) {
        if (atomic_load(&port->asleep))
            return true;
        (void)usleep(1000);
    }
    return false;
}

/* Who is told that a commit is near does not sleep until it came or the time is over. */
static void test_expect(void)
{
    struct table t;
    start(&t, "expect");
    expect(take(t.coordinator).kind == CELL_READY, "ready");
    expect(falls_asleep(&t, 5000), "nothing to do");
    ask(&t, CELL_EXPECT, 0, 60000000, 0, NULL);
    expect(!falls_asleep(&t, 30), "a minute to look out");
    struct unit *u = unit_make();
    struct message *m = desk_message(&t.d, 1, DUE);
    must(unit_accept(u, m, desk_body(m, 100), 100));
    ask(&t, CELL_COMMIT, 0, 0, 0, u);
    struct cell c = take(t.answer);
    expect(c.kind == CELL_COMMITTED && c.object == u && u->result == COMMIT_SYNCED, "answered");
    unit_drop(&u);
    expect(falls_asleep(&t, 5000), "it came");
    ask(&t, CELL_EXPECT, 0, 20000, 0, NULL);
    expect(falls_asleep(&t, 5000), "it did not come");
    stop(&t);
}

int main(void)
{
    const struct test tests[] = {{"order of answers", test_order},
                                 {"refill and arm", test_refill},
                                 {"grant", test_grant},
                                 {"anchor", test_anchor},
                                 {"flood", test_flood},
                                 {"missing", test_missing},
                                 {"expect", test_expect},
                                 {0}};
    return harness_run("keeper", tests);
}
