/* test_partition.c -- what goes in comes out, also after a stop; moves are legal or refused. */
#include "tests/unit/storage/desk.h"

enum {
    DUE = 1000000
};

static void test_round_trip(void)
{
    struct desk d;
    desk_init(&d, "round");
    desk_must_open(&d);
    static const size_t sizes[] = {0, 1, 4000, 4096, 65536, 256 << 10};
    uint64_t id[countof(sizes)];
    for (size_t i = 0; i < countof(sizes); i++)
        id[i] = desk_mail(&d, 1 + (uint32_t)i, sizes[i], DUE);
    for (int again = 0; again < 3; again++) {
        for (size_t i = 0; i < countof(sizes); i++) {
            struct message *m = view_get(d.p, id[i]);
            expect(m != NULL, "size %zu, again %d", sizes[i], again);
            if (!m)
                continue;
            expect(m->recipient_count == 1 + i, "recipients of %zu", i);
            expect(m->recipients[0].stage == STAGE_WAITING, "stage of %zu", i);
            expect(message_due_ms(m) == DUE, "due of %zu", i);
            expect_str(m->sender, STR("taro@int.example"), "sender");
            expect(desk_read(&d, m), "body of %zu bytes, again %d", sizes[i], again);
            message_drop(&m);
        }
        partition_stop(&d.p);
        desk_must_open(&d);
        expect(partition_report(d.p)->replayed_groups == 0,
               "a clean stop leaves nothing to replay");
        expect(d.serial > id_serial(id[countof(id) - 1]), "serials go on");
    }
    desk_drop(&d);
}

/* One line a move: from the state that the words before it made. */
static void test_moves(void)
{
    static const struct {
        const char *name;
        enum stage via[3]; /* STAGES ends */
        uint32_t flags;    /* set with the last of them */
        enum stage to;
        bool legal;
    } rows[] = {
        {"waiting is held", {STAGES}, 0, STAGE_HELD, true},
        {"waiting is discarded", {STAGES}, 0, STAGE_DISCARDED, true},
        {"waiting is not delivered", {STAGES}, 0, STAGE_DELIVERED, false},
        {"held is released", {STAGE_HELD, STAGES}, 0, STAGE_WAITING, true},
        {"held is not sent", {STAGE_HELD, STAGES}, 0, STAGE_SENDING, false},
        {"sending is delivered", {STAGE_SENDING, STAGES}, 0, STAGE_DELIVERED, true},
        {"sending is not taken back", {STAGE_SENDING, STAGES}, 0, STAGE_DISCARDED, false},
        {"sending is not held", {STAGE_SENDING, STAGES}, 0, STAGE_HELD, false},
        {"retry is taken back", {STAGE_SENDING, STAGE_RETRY, STAGES}, 0, STAGE_DISCARDED, true},
        {"exposed is not taken back",
         {STAGE_SENDING, STAGE_RETRY, STAGES},
         RECIPIENT_EXPOSED,
         STAGE_DISCARDED,
         false},
        {"exposed is sent again",
         {STAGE_SENDING, STAGE_RETRY, STAGES},
         RECIPIENT_EXPOSED,
         STAGE_SENDING,
         true},
        {"delivered is final", {STAGE_SENDING, STAGE_DELIVERED, STAGES}, 0, STAGE_WAITING, false},
        {"discarded is final", {STAGE_DISCARDED, STAGES}, 0, STAGE_SENDING, false},
        {"damaged is not sent", {STAGE_RETRY, STAGES}, RECIPIENT_DAMAGED, STAGE_SENDING, false},
    };
    struct desk d;
    desk_init(&d, "moves");
    desk_must_open(&d);
    for (size_t i = 0; i < countof(rows); i++) {
        uint64_t id = desk_mail(&d, 2, 100, DUE);
        for (int v = 0; v < 3 && rows[i].via[v] != STAGES; v++) {
            struct unit *u = unit_make();
            desk_move_in(u, id, 1, rows[i].via[v], DUE)->set = rows[i].flags;
            expect(desk_commit(&d, u) == COMMIT_SYNCED, "%s: way %d", rows[i].name, v);
        }
        enum stage before = desk_stage(&d, id, 1);
        enum commit_result got = desk_move(&d, id, 1, rows[i].to, DUE);
        expect(got == (rows[i].legal ? COMMIT_SYNCED : COMMIT_REFUSED), "%s", rows[i].name);
        expect(desk_stage(&d, id, 1) == (rows[i].legal ? rows[i].to : before), "%s: stage",
               rows[i].name);
        expect(desk_stage(&d, id, 0) == STAGE_WAITING, "%s: the other recipient", rows[i].name);
    }
    desk_drop(&d);
}

static void test_asked_from(void)
{
    struct desk d;
    desk_init(&d, "from");
    desk_must_open(&d);
    uint64_t id = desk_mail(&d, 1, 10, DUE);
    struct unit *u = unit_make();
    struct move *m = desk_move_in(u, id, 0, STAGE_DISCARDED, 0);
    m->from = 1 << STAGE_HELD;
    partition_commit(d.p, u);
    expect(u->result == COMMIT_REFUSED && !u->moves[0].done && u->moves[0].was == STAGE_WAITING,
           "not the stage that was expected");
    unit_drop(&u);
    u = unit_make();
    desk_move_in(u, id, 0, STAGE_SENDING, 0)->revision = 7;
    expect(desk_commit(&d, u) == COMMIT_REFUSED, "not the decision in force");
    u = unit_make();
    desk_move_in(u, id + 1, 0, STAGE_SENDING, 0)->may_skip = true;
    desk_move_in(u, id, 3, STAGE_SENDING, 0)->may_skip = true;
    desk_move_in(u, id, 0, STAGE_HELD, DUE)->last = STR("held by a person");
    partition_commit(d.p, u);
    expect(u->result == COMMIT_SYNCED && !u->moves[0].done && !u->moves[1].done &&
               u->moves[2].done && u->moves[0].was == STAGES,
           "what may be skipped is left out");
    unit_drop(&u);
    struct message *got = view_get(d.p, id);
    expect_str(got->recipients[0].last, STR("held by a person"), "last line");
    message_drop(&got);
    desk_drop(&d);
}

/* RACE-01: of a release and a discard in one group one is refused; in one unit everything is. */
static void test_overlay(void)
{
    struct desk d;
    desk_init(&d, "overlay");
    desk_must_open(&d);
    uint64_t id = desk_mail(&d, 2, 10, DUE);
    struct unit *u = unit_make();
    (void)desk_move_in(u, id, 0, STAGE_SENDING, 0);
    (void)desk_move_in(u, id, 1, STAGE_HELD, DUE);
    (void)desk_move_in(u, id, 0, STAGE_DISCARDED, 0);
    expect(desk_commit(&d, u) == COMMIT_REFUSED, "all or nothing");
    expect(desk_stage(&d, id, 0) == STAGE_WAITING && desk_stage(&d, id, 1) == STAGE_WAITING,
           "nothing of it");
    u = unit_make();
    (void)desk_move_in(u, id, 0, STAGE_SENDING, 0);
    desk_move_in(u, id, 0, STAGE_DISCARDED, 0)->may_skip = true;
    partition_commit(d.p, u);
    expect(u->result == COMMIT_SYNCED && u->moves[0].done && !u->moves[1].done &&
               u->moves[1].was == STAGE_SENDING,
           "the second sees the first");
    unit_drop(&u);
    desk_drop(&d);
}

static void test_decide(void)
{
    struct desk d;
    desk_init(&d, "decide");
    desk_must_open(&d);
    uint64_t id = desk_mail(&d, 2, 10, DUE);
    struct decision c = {.id = id,
                         .recipient = 1,
                         .revision = 1,
                         .form = FORM_ZIP,
                         .stage = STAGE_HELD,
                         .due_ms = DUE + 5,
                         .rule = STR("big files"),
                         .sealed = STR("secret")};
    struct unit *u = unit_make();
    unit_add_decide(u, &c);
    unit_add_note(u, id, STR("taro changed the form"));
    expect(desk_commit(&d, u) == COMMIT_SYNCED, "revision 1");
    u = unit_make();
    unit_add_decide(u, &c);
    expect(desk_commit(&d, u) == COMMIT_REFUSED, "revision 1 twice");
    partition_stop(&d.p);
    desk_must_open(&d);
    struct message *m = view_get(d.p, id);
    expect(m->recipients[1].form == FORM_ZIP && m->recipients[1].revision == 1 &&
               m->recipients[1].stage == STAGE_HELD && m->recipients[1].due_ms == DUE + 5 &&
               m->recipients[0].form == FORM_PLAIN,
           "form, revision, stage");
    expect_str(m->recipients[1].rule, STR("big files"), "rule");
    message_drop(&m);
    desk_drop(&d);
}

static void test_documents(void)
{
    struct desk d;
    desk_init(&d, "documents");
    desk_must_open(&d);
    struct arena a;
    arena_init(&a, 1 << 20);
    struct unit *u = unit_make();
    unit_add_document(u, STR("org/demo"), STR("one"));
    unit_add_document(u, STR("org/zeta"), STR("two"));
    unit_add_document(u, STR("other"), STR("three"));
    expect(desk_commit(&d, u) == COMMIT_SYNCED, "documents");
    u = unit_make();
    unit_add_document(u, STR("org/demo"), STR("new"));
    unit_add_document(u, STR("other"), STR(""));
    expect(desk_commit(&d, u) == COMMIT_SYNCED, "changes");
    for (int again = 0; again < 2; again++) {
        expect_str(view_document(d.p, STR("org/demo"), &a), STR("new"), "changed");
        expect(!view_document(d.p, STR("other"), &a).at, "deleted");
        struct view_documents *c = NULL;
        struct str key, value;
        int n = 0;
        while (view_documents(d.p, STR("org/"), &c, &a, &key, &value))
            n++;
        expect(n == 2 && !c, "two below org/");
        partition_stop(&d.p);
        desk_must_open(&d);
    }
    arena_drop(&a);
    desk_drop(&d);
}

static void test_views(void)
{
    struct desk d;
    desk_init(&d, "views");
    desk_must_open(&d);
    uint64_t id[200];
    for (size_t i = 0; i < countof(id); i++)
        id[i] = desk_mail(&d, 1, 10, DUE + 1000 - i);
    desk_deliver(&d, id[0], 1);
    struct view *v = view_open(d.p, VIEW_BY_ID, 0, false);
    size_t n = 0;
    uint64_t last = 0;
    for (struct message *m; (m = view_next(v)); message_drop(&m), n++) {
        expect(m->id > last, "ascending");
        last = m->id;
    }
    view_close(&v);
    expect(n == countof(id) - 1, "unfinished: %zu", n);
    v = view_open(d.p, VIEW_BY_ID, 0, true);
    for (n = 0;; n++) {
        struct message *m = view_next(v);
        if (!m)
            break;
        message_drop(&m);
    }
    view_close(&v);
    expect(n == countof(id), "all: %zu", n);
    v = view_open(d.p, VIEW_BY_DUE, 0, false);
    uint64_t due = 0;
    for (struct message *m; (m = view_next(v)); message_drop(&m)) {
        expect(message_due_ms(m) >= due, "by due");
        due = message_due_ms(m);
    }
    view_close(&v);
    uint64_t found[3], one;
    expect(view_by_sender(d.p, STR("taro@int.example"), found, 3) == 3 && found[0] == id[199] &&
               found[2] == id[197],
           "newest first");
    expect(view_by_sender(d.p, STR("hanako@int.example"), found, 3) == 0, "nobody");
    expect(view_by_token(d.p, str_c(id_text(id[7]).at), &one) && one == id[7], "by token");
    expect(!view_by_token(d.p, STR("x"), &one) && !view_by_token(d.p, STR(""), &one), "no token");
    desk_drop(&d);
}

/* CRASH-12 */
static void test_lock(void)
{
    struct desk d, e;
    desk_init(&d, "lock");
    desk_init(&e, "lock");
    desk_must_open(&d);
    expect(!desk_open(&e), "opened twice");
    expect(e.errors.len > 0, "says why");
    buffer_drop(&e.errors);
    desk_drop(&d);
}

static void test_refused_ids(void)
{
    struct desk d;
    desk_init(&d, "ids");
    desk_must_open(&d);
    uint64_t id = desk_mail(&d, 1, 10, DUE);
    d.serial = id_serial(id);
    expect(desk_mail(&d, 1, 10, DUE) == 0, "an id twice");
    d.serial = id_serial(id) + 10;
    uint64_t later = desk_mail(&d, 1, 10, DUE);
    d.serial = id_serial(id) + 5;
    uint64_t between = desk_mail(&d, 1, 10, DUE);
    expect(later && between, "out of order is allowed");
    partition_stop(&d.p);
    desk_must_open(&d);
    expect(d.serial > id_serial(later), "goes on behind the largest");
    desk_drop(&d);
}

static void test_large(void)
{
    struct desk d;
    desk_init(&d, "many");
    desk_must_open(&d);
    uint64_t id = desk_mail(&d, 10000, 100, DUE);
    expect(id != 0, "10,000 recipients");
    expect(desk_move(&d, id, 9999, STAGE_DISCARDED, 0) == COMMIT_SYNCED, "the last one");
    struct message *m = view_get(d.p, id);
    expect(m && m->recipient_count == 10000 && m->recipients[9999].stage == STAGE_DISCARDED,
           "seen");
    message_drop(&m);
    desk_drop(&d);
}

int main(void)
{
    const struct test tests[] = {{"round trip", test_round_trip},
                                 {"moves", test_moves},
                                 {"what the asker expects", test_asked_from},
                                 {"RACE-01 overlay", test_overlay},
                                 {"decide", test_decide},
                                 {"documents", test_documents},
                                 {"views", test_views},
                                 {"CRASH-12 lock", test_lock},
                                 {"ids", test_refused_ids},
                                 {"10,000 recipients", test_large},
                                 {0}};
    return harness_run("partition", tests);
}
