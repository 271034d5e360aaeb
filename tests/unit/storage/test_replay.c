/* test_replay.c -- after a crash: what was answered is there; the torn end is dropped and only it;
 * damage to what was synced is named and counted, and the rest is served. A crash is a copy of the
 * directory while the partition is open: synced is what was written, the index's memory is lost. */
#define DESK_ROOT "/dev/shm"
#include "tests/unit/storage/desk.h"

#include "storage/journal.h"

enum {
    DUE = 1000000,
    MAILS = 8,
    GROUPS_MAX = 64
};

struct lay {
    uint64_t offset;
    size_t bytes;
    struct group_header h;
};

/* Where the groups of segment 1 lie, in a journal that was not recycled. */
static size_t lay_out(const char *path, struct lay *lay)
{
    char name[512];
    (void)snprintf(name, sizeof name, "%s/journal-000001", path);
    FILE *f = fopen(name, "rb");
    size_t count = 0;
    char block[LIMIT_BLOCK_BYTES];
    uint64_t offset = 0;
    while (f && count < GROUPS_MAX && fseek(f, (long)offset, SEEK_SET) == 0 &&
           fread(block, 1, sizeof block, f) == sizeof block &&
           group_header_read(str_from(block, sizeof block), &lay[count].h)) {
        lay[count].offset = offset;
        lay[count].bytes = group_bytes(&lay[count].h);
        offset += lay[count++].bytes;
    }
    if (f)
        (void)fclose(f);
    return count;
}

static void edit(const char *path, uint64_t offset, size_t bytes, int xor, int set)
{
    char name[512];
    (void)snprintf(name, sizeof name, "%s/journal-000001", path);
    FILE *f = fopen(name, "r+b");
    char *raw = heap_take(bytes);
    if (!f || fseek(f, (long)offset, SEEK_SET) || fread(raw, 1, bytes, f) != bytes)
        abort();
    for (size_t i = 0; i < bytes; i++)
        raw[i] = (char)(set >= 0 ? set : raw[i] ^ xor);
    if (fseek(f, (long)offset, SEEK_SET) || fwrite(raw, 1, bytes, f) != bytes)
        abort();
    (void)fclose(f);
    heap_drop(raw);
}

/* MAILS mails, each its own group; the last group holds three. */
static void fill(struct desk *d, uint64_t *id)
{
    for (size_t i = 0; i < MAILS; i++)
        id[i] = desk_mail(d, 1, 3000 + i, DUE);
    struct unit *u = unit_make();
    for (size_t i = MAILS; i < MAILS + 3; i++) {
        struct message *m = desk_message(d, 1, DUE);
        id[i] = m->id;
        char *body = desk_body(m, 3000);
        if (!unit_accept(u, m, body, 3000))
            abort();
    }
    if (desk_commit(d, u) != COMMIT_SYNCED)
        abort();
}

/* A filled partition, and where its crashed copies are opened. */
struct pair {
    struct desk d, e;
    uint64_t id[MAILS + 3];
};

static void begin(struct pair *t, const char *name)
{
    char copy[64];
    (void)snprintf(copy, sizeof copy, "%s-copy", name);
    desk_init(&t->d, name);
    desk_init(&t->e, copy);
    desk_must_open(&t->d);
    fill(&t->d, t->id);
}

static void drop(struct pair *t)
{
    desk_drop(&t->e);
    desk_drop(&t->d);
}

static void test_crash(void)
{
    struct pair t;
    begin(&t, "crash");
    desk_deliver(&t.d, t.id[0], 1);
    (void)desk_move(&t.d, t.id[1], 0, STAGE_SENDING, 0);
    (void)desk_move(&t.d, t.id[2], 0, STAGE_DISCARDED, 0);
    crash_copy(&t.d, t.e.path);
    for (int again = 0; again < 3; again++) {
        desk_must_open(&t.e);
        if (again == 0)
            expect(partition_report(t.e.p)->replayed_groups >= MAILS + 4, "replayed");
        expect(partition_report(t.e.p)->torn_groups == 0 &&
                   partition_report(t.e.p)->damaged_records == 0,
               "nothing torn, nothing damaged");
        expect(t.e.serial > id_serial(t.id[MAILS + 2]) + 1000,
               "serials that may have been given out");
        expect(desk_stage(&t.e, t.id[0], 0) == STAGE_DELIVERED, "delivered stays");
        expect(desk_stage(&t.e, t.id[2], 0) == STAGE_DISCARDED, "discarded stays");
        struct message *m = view_get(t.e.p, t.id[1]);
        expect(m && m->recipients[0].stage == STAGE_RETRY &&
                   m->recipients[0].flags & RECIPIENT_EXPOSED,
               "an attempt under way is retried, exposed");
        message_drop(&m);
        expect(desk_move(&t.e, t.id[1], 0, STAGE_DISCARDED, 0) == COMMIT_REFUSED, "and stays ours");
        for (size_t i = 1; i < countof(t.id); i++)
            expect(desk_body_is_good(&t.e, t.id[i]), "body %zu", i);
        /* crash again, without a stop in between */
        struct desk f;
        desk_init(&f, again % 2 ? "crash-copy" : "crash-other");
        crash_copy(&t.e, f.path);
        desk_drop(&t.e);
        t.e = f;
    }
    drop(&t);
}

/* CRASH-02, CRASH-13: at every 512 bytes of the last group, everything behind it was not written.
 * */
static void test_torn(void)
{
    struct pair t;
    begin(&t, "torn");
    crash_copy(&t.d, t.e.path);
    struct lay lay[GROUPS_MAX];
    size_t groups = lay_out(t.e.path, lay);
    const struct lay *last = &lay[groups - 1];
    expect(groups >= MAILS + 2, "groups: %zu", groups);
    size_t end = GROUP_HEADER_BYTES + last->h.length;
    for (int garble = 0; garble < 2; garble++)
        for (size_t cut = 0; cut < end; cut += 512) {
            crash_copy(&t.d, t.e.path);
            /* zeros, or the last sector garbled, or what was there before */
            if (garble)
                edit(t.e.path, last->offset + cut, 512, 0x55, -1);
            else
                edit(t.e.path, last->offset + cut, last->bytes - cut, 0, 0);
            desk_must_open(&t.e);
            const struct partition_report *r = partition_report(t.e.p);
            expect(r->torn_groups == (cut || garble) && r->damaged_records == 0,
                   "cut at %zu, garble %d: torn %d", cut, garble, (int)r->torn_groups);
            for (size_t i = 0; i < countof(t.id); i++)
                expect((desk_stage(&t.e, t.id[i], 0) == STAGE_WAITING) == (i < MAILS),
                       "cut at %zu, garble %d: mail %zu", cut, garble, i);
            /* a mail after it, another crash: nothing of the torn group comes back */
            uint64_t next = desk_mail(&t.e, 1, 100, DUE);
            struct desk f;
            desk_init(&f, "torn-c");
            crash_copy(&t.e, f.path);
            partition_stop(&t.e.p);
            desk_must_open(&f);
            r = partition_report(f.p);
            expect(r->torn_groups == 0 && r->damaged_records == 0, "cut at %zu: again", cut);
            expect(desk_stage(&f, next, 0) == STAGE_WAITING && desk_body_is_good(&f, next),
                   "cut at %zu: the mail after it", cut);
            expect(desk_stage(&f, t.id[MAILS], 0) == STAGES, "cut at %zu: gone", cut);
            desk_drop(&f);
        }
    drop(&t);
}

/* All mails but the damaged one are as they were. */
static void judge_flip(struct desk *e, const char *name, const uint64_t *id, uint64_t damaged,
                       int type)
{
    for (size_t i = 0; i < MAILS + 3; i++) {
        enum stage want = i == MAILS       ? STAGE_HELD
                          : i == MAILS + 1 ? STAGE_DISCARDED
                                           : STAGE_WAITING;
        enum stage got = desk_stage(e, id[i], 0);
        if (id[i] != damaged) {
            expect(got == want, "%s: mail %zu is %s", name, i, stage_name(got));
            expect(stage_is_final(want) || desk_body_is_good(e, id[i]), "%s: body", name);
            continue;
        }
        /* lost, or set aside; never sent. What came later is absolute and counts. */
        expect(got == STAGES || got == STAGE_HELD || got == want, "%s: damaged %zu is %s", name, i,
               stage_name(got));
        expect(type != RECORD_ACCEPT || got == STAGES, "%s: its envelope is lost", name);
        expect(type == RECORD_ACCEPT || type == RECORD_BODY || got == STAGE_HELD,
               "%s: its state is not known", name);
    }
}

/* CRASH-06: one bit of every record, of its header and of its payload, in a group that
 * was synced. */
static void test_flip(void)
{
    struct pair t;
    begin(&t, "flip");
    uint64_t after[2];
    struct unit *u = unit_make();
    (void)desk_move_in(u, t.id[MAILS], 0, STAGE_HELD, DUE);
    (void)desk_move_in(u, t.id[MAILS + 1], 0, STAGE_DISCARDED, 0);
    (void)desk_commit(&t.d, u);
    after[0] = desk_mail(&t.d, 1, 500, DUE);
    after[1] = desk_mail(&t.d, 1, 500, DUE);
    crash_copy(&t.d, t.e.path);
    struct lay lay[GROUPS_MAX];
    size_t groups = lay_out(t.e.path, lay);
    for (size_t g = groups - 4; g < groups - 2; g++) {
        const struct lay *l = &lay[g]; /* the one with three mails, the one with two moves */
        char name[512];
        (void)snprintf(name, sizeof name, "%s/journal-000001", t.d.path);
        char *raw = heap_take(l->bytes);
        FILE *f = fopen(name, "rb");
        if (!f || fseek(f, (long)l->offset, SEEK_SET) || fread(raw, 1, l->bytes, f) != l->bytes)
            abort();
        (void)fclose(f);
        size_t at = GROUP_HEADER_BYTES;
        for (uint32_t record = 0; record <= l->h.records; record++) {
            size_t start = record == l->h.records ? 0 : at; /* last row: the group's own header */
            uint32_t length = load32(raw + start + 16);
            uint64_t whose = record == l->h.records ? 0 : load64(raw + start + 8);
            int type = record == l->h.records ? 0 : raw[start + 3];
            const size_t spots[] = {0, 8, 16, 29, 40};
            for (size_t s = 0; s < countof(spots); s++) {
                crash_copy(&t.d, t.e.path);
                edit(t.e.path, l->offset + start + spots[s], 1, 0x10, -1);
                bool opened = desk_open(&t.e);
                expect(opened, "group %zu record %u spot %zu: %.*s", g, record, spots[s],
                       STR_ARG(buffer_str(&t.e.errors)));
                if (!opened)
                    continue;
                const struct partition_report *r = partition_report(t.e.p);
                expect(r->torn_groups == 0, "not torn");
                bool message = type == RECORD_BODY || type == RECORD_ACCEPT || type == RECORD_MOVE;
                expect(r->damaged_messages == message, "group %zu record %u spot %zu: messages %d",
                       g, record, spots[s], (int)r->damaged_messages);
                expect(!message || r->damaged_records == 1, "one record");
                (void)snprintf(name, sizeof name, "group %zu record %u spot %zu", g, record,
                               spots[s]);
                judge_flip(&t.e, name, t.id, message ? whose : 0, type);
                for (int i = 0; i < 2; i++)
                    expect(desk_body_is_good(&t.e, after[i]), "what came after");
                partition_stop(&t.e.p);
            }
            at += record == l->h.records ? 0 : record_bytes(length);
        }
        heap_drop(raw);
    }
    drop(&t);
}

/* Two whole groups in the middle are zeros: everything behind them is served, the loss is loud. */
static void test_hole(void)
{
    struct pair t;
    begin(&t, "hole");
    crash_copy(&t.d, t.e.path);
    struct lay lay[GROUPS_MAX];
    size_t groups = lay_out(t.e.path, lay);
    edit(t.e.path, lay[groups - 4].offset, lay[groups - 4].bytes + lay[groups - 3].bytes, 0, 0);
    desk_must_open(&t.e);
    expect(partition_report(t.e.p)->damaged_records > 0, "counted");
    for (size_t i = 0; i < countof(t.id); i++) {
        bool lost = i == MAILS - 3 || i == MAILS - 2;
        expect((desk_stage(&t.e, t.id[i], 0) == STAGES) == lost, "mail %zu", i);
    }
    uint64_t next = desk_mail(&t.e, 1, 10, DUE);
    expect(next && desk_body_is_good(&t.e, next), "goes on");
    drop(&t);
}

/* DIST-05: the first group ever, a foreign partition, a lost identity. */
static void test_beginning(void)
{
    struct pair t;
    begin(&t, "begin");
    crash_copy(&t.d, t.e.path);
    edit(t.e.path, 20, 1, 0x01, -1);
    expect(desk_open(&t.e), "first header damaged: %.*s", STR_ARG(buffer_str(&t.e.errors)));
    if (t.e.p)
        for (size_t i = 0; i < countof(t.id); i++)
            expect(desk_body_is_good(&t.e, t.id[i]), "mail %zu", i);
    partition_stop(&t.e.p);
    crash_copy(&t.d, t.e.path);
    char command[512];
    (void)snprintf(command, sizeof command, "rm '%s/identity'", t.e.path);
    expect(system(command) == 0, "identity away");
    desk_must_open(&t.e);
    for (size_t i = 0; i < countof(t.id); i++)
        expect(desk_body_is_good(&t.e, t.id[i]), "mail %zu without identity", i);
    partition_stop(&t.e.p);
    struct partition_settings s = {.directory = t.e.path,
                                   .number = DESK_PARTITION + 1,
                                   .node = DESK_NODE};
    buffer_clear(&t.e.errors);
    expect(!partition_open(&s, &t.e.errors) && t.e.errors.len, "another partition's directory");
    drop(&t);
}

int main(void)
{
    const struct test tests[] = {{"crash", test_crash},
                                 {"CRASH-02 CRASH-13 torn tail", test_torn},
                                 {"CRASH-06 bit flips in a synced group", test_flip},
                                 {"hole", test_hole},
                                 {"DIST-05 beginning, identity", test_beginning},
                                 {0}};
    return harness_run("replay", tests);
}
