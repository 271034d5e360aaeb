/* The real extractor behind the client, and peers that behave as a process does that a hostile file
 * has taken over. */
#include "shards/inspector.h"

#include "core/base/clock.h"
#include "tests/unit/harness.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    DEADLINE_MS = 30000,
    BIG_BYTES = 5 << 20,
};

static struct loop *loop;
static char folder[] = "/tmp/inspector.XXXXXX", own_path[64], peer_path[64];

static const struct inspect_limits limits = {.bytes = 16 << 20,
                                             .expanded = 64 << 20,
                                             .text = 8 << 20,
                                             .members = 100,
                                             .depth = 4,
                                             .ratio = 100,
                                             .time_ms = 20000};

#define turn_until(condition)                                                   \
    __extension__({                                                             \
        uint64_t turn_start = clock_monotonic_ms();                             \
        while (!(condition) && clock_monotonic_ms() - turn_start < DEADLINE_MS) \
            loop_turn(loop, 20);                                                \
        (condition);                                                            \
    })

/* ---- an owner */

struct owner {
    struct inspection *n;
    struct str left; /* to be fed */
    struct buffer text;
    unsigned readies, members, flags, texts, overs;
    struct inspect_end end;
    bool drop_at_text, pause_at_member;
};

static void on_ready(struct inspection *n)
{
    struct owner *o = inspection_owner(n);
    o->readies++;
    inspection_feed(n, &o->left);
    if (o->left.len == 0)
        inspection_finish(n);
}

static void on_member(struct inspection *n, const struct inspect_member *m)
{
    struct owner *o = inspection_owner(n);
    o->members++;
    expect(m->type.len > 0, "a true type");
    if (o->pause_at_member)
        inspection_pause(n);
}

static void on_text(struct inspection *n, const struct inspect_text *t)
{
    struct owner *o = inspection_owner(n);
    o->texts++;
    buffer_put(&o->text, t->bytes);
    if (o->drop_at_text)
        inspection_drop(&o->n);
    (void)n;
}

static void on_flag(struct inspection *n, const struct inspect_flagged *f)
{
    struct owner *o = inspection_owner(n);
    o->flags |= f->flags;
}

static void on_over(struct inspection *n, const struct inspect_end *e)
{
    struct owner *o = inspection_owner(n);
    o->overs++;
    o->end = *e;
    o->n = NULL;
}

static const struct inspection_calls calls = {.ready = on_ready,
                                              .member = on_member,
                                              .text = on_text,
                                              .flag = on_flag,
                                              .over = on_over};

static void begin(struct inspector *i, struct owner *o, struct str bytes)
{
    const struct str names[] = {STR("a.txt")};
    struct inspector_file file = {.names = names,
                                  .name_count = 1,
                                  .type = STR("text/plain"),
                                  .calls = &calls,
                                  .owner = o};
    *o = (struct owner){.left = bytes};
    buffer_init(&o->text, 2 * BIG_BYTES);
    o->n = inspector_begin(i, &file);
}

static struct inspector *make(const char *path, uint32_t rooms, uint32_t queue, uint32_t time_ms)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    struct inspector_settings s = {.to = path ? (const struct sockaddr *)&to : NULL,
                                   .to_len = sizeof to,
                                   .rooms = rooms,
                                   .queue = queue,
                                   .limits = limits};
    s.limits.time_ms = time_ms;
    if (path)
        must(str_to_c(str_c(path), to.sun_path, sizeof to.sun_path));
    struct inspector *i = inspector_make(loop);
    inspector_use(i, &s);
    return i;
}

static void end(struct inspector *i)
{
    expect(turn_until(inspector_stopped(i)), "it stops");
    inspector_drop(&i);
}

/* ---- peers */

enum mode {
    HANGS_UP,
    SILENT,
    TALKS_NONSENSE,
    LIES, /* READABLE at once, and nothing told */
    DIES_AFTER_TEXT,
};

_Noreturn static void be_peer(int fd, enum mode mode)
{
    struct buffer out;
    struct inspect_end e = {0};
    struct inspect_member m = {.type = STR("text/plain")};
    struct inspect_text t = {.bytes = STR("some")};
    buffer_init(&out, 1 << 16);
    for (;;) {
        int c = accept(fd, NULL, NULL);
        buffer_clear(&out);
        if (mode == TALKS_NONSENSE)
            buffer_puts(&out, "HTTP/1.0 200 OK\r\n\r\n");
        if (mode == LIES)
            inspect_put_verdict(&out, &e);
        if (mode == DIES_AFTER_TEXT) {
            inspect_put_member(&out, &m);
            inspect_put_text(&out, &t);
        }
        (void)!write(c, out.at, out.len);
        if (mode == SILENT)
            (void)pause();
        (void)usleep(50000);
        (void)close(c);
    }
}

static pid_t start_peer(enum mode mode)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)unlink(peer_path);
    must(str_to_c(str_c(peer_path), at.sun_path, sizeof at.sun_path));
    must(bind(fd, (const struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 16) == 0);
    pid_t pid = fork();
    if (pid == 0)
        be_peer(fd, mode);
    (void)close(fd);
    return pid;
}

static void stop(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

static pid_t start_extractor(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        (void)execl(EXTRACTOR, "sekimori-extractor", "--listen", own_path, (char *)NULL);
        _exit(1);
    }
    uint64_t start = clock_monotonic_ms();
    while (access(own_path, F_OK) != 0 && clock_monotonic_ms() - start < DEADLINE_MS)
        (void)usleep(10000);
    return pid;
}

/* ---- tests */

static void test_text(void)
{
    struct inspector *i = make(own_path, 2, 10, 20000);
    struct owner o;
    begin(i, &o, STR("hello"));
    expect(o.readies == 0, "nothing from inside a call");
    expect(turn_until(o.overs), "an answer");
    expect(o.end.verdict == INSPECT_READABLE && o.members == 1, "reason %d", (int)o.end.reason);
    expect_str(buffer_str(&o.text), STR("hello"), "its text");
    buffer_drop(&o.text);
    end(i);
}

static void test_big_and_paused(void)
{
    struct inspector *i = make(own_path, 2, 10, 20000);
    struct owner o;
    char *big = malloc(BIG_BYTES);
    for (size_t at = 0; at < BIG_BYTES; at++)
        big[at] = at % 80 ? (char)('a' + at * 7 % 26) : '\n';
    begin(i, &o, str_from(big, BIG_BYTES));
    o.pause_at_member = true;
    expect(turn_until(o.members), "its type");
    for (int n = 0; n < 20; n++)
        loop_turn(loop, 5);
    expect(o.texts == 0 && o.overs == 0, "nothing during a pause");
    expect(o.readies > 5, "fed in pieces: %u", o.readies);
    inspection_resume(o.n);
    expect(turn_until(o.overs), "an answer");
    expect(o.end.verdict == INSPECT_READABLE, "reason %d", (int)o.end.reason);
    expect(str_eq(buffer_str(&o.text), str_from(big, BIG_BYTES)), "%zu bytes", o.text.len);
    buffer_drop(&o.text);
    free(big);
    end(i);
}

static void test_many(void)
{
    enum {
        MANY = 40
    };
    static struct owner o[MANY];
    struct inspector *i = make(own_path, 3, MANY, 20000);
    unsigned over = 0;
    for (int n = 0; n < MANY; n++)
        begin(i, &o[n], STR("hello"));
    for (int n = 0; n < MANY; n++) {
        expect(turn_until(o[n].overs), "answer %d", n);
        over += o[n].end.verdict == INSPECT_READABLE;
        buffer_drop(&o[n].text);
    }
    expect(over == MANY, "all are readable: %u", over);
    end(i);
}

static void test_dropped(void)
{
    struct inspector *i = make(own_path, 1, 10, 20000);
    struct owner a, b, c;
    begin(i, &a, STR("hello"));
    begin(i, &b, STR("hello"));
    begin(i, &c, STR("hello"));
    a.drop_at_text = true;
    inspection_drop(&b.n);
    expect(turn_until(c.overs), "the third goes on");
    expect(a.texts == 1 && a.overs == 0 && b.texts == 0 && b.overs == 0, "no events after a drop");
    buffer_drop(&a.text);
    buffer_drop(&b.text);
    buffer_drop(&c.text);
    end(i);
}

static void expect_end(const char *path, uint32_t time_ms, enum inspect_reason want,
                       const char *name)
{
    struct inspector *i = make(path, 1, 10, time_ms);
    struct owner o;
    uint64_t start = clock_monotonic_ms();
    begin(i, &o, STR("hello"));
    expect(turn_until(o.overs), "%s: over", name);
    expect(o.end.verdict == INSPECT_UNREADABLE, "%s: never a pass", name);
    expect(o.end.reason == want, "%s: reason %d, want %d", name, (int)o.end.reason, (int)want);
    expect(clock_monotonic_ms() - start < time_ms + INSPECTOR_GRACE_MS + 2000, "%s: soon", name);
    buffer_drop(&o.text);
    end(i);
}

static void test_peers(void)
{
    static const struct {
        const char *name;
        enum mode mode;
        enum inspect_reason want;
    } rows[] = {
        {"hangs up", HANGS_UP, INSPECT_REASON_DIED},
        {"silent", SILENT, INSPECT_REASON_TIME},
        {"nonsense", TALKS_NONSENSE, INSPECT_REASON_DIED},
        {"says READABLE at once", LIES, INSPECT_REASON_DIED},
        {"dies after some text", DIES_AFTER_TEXT, INSPECT_REASON_DIED},
    };

    for (size_t r = 0; r < countof(rows); r++) {
        pid_t peer = start_peer(rows[r].mode);
        expect_end(peer_path, 300, rows[r].want, rows[r].name);
        stop(peer);
    }
    expect_end(peer_path, 500, INSPECT_REASON_MISSING, "nobody listens");
    expect_end(NULL, 500, INSPECT_REASON_MISSING, "no extractor is set");
}

static void test_queue(void)
{
    pid_t peer = start_peer(SILENT);
    struct inspector *i = make(peer_path, 1, 2, 400);
    struct owner o[3];
    for (int n = 0; n < 2; n++)
        begin(i, &o[n], STR("hello"));
    expect(o[0].n && o[1].n, "two wait");
    begin(i, &o[2], STR("hello"));
    expect(!o[2].n, "a third is too many");
    expect(turn_until(o[1].overs), "the second");
    expect(o[1].end.reason == INSPECT_REASON_BUSY, "reason %d", (int)o[1].end.reason);
    for (int n = 0; n < 3; n++)
        buffer_drop(&o[n].text);
    end(i);
    stop(peer);
}

/* An extractor that is started again is found again. */
static void test_found_again(void)
{
    struct inspector *i = make(peer_path, 1, 10, 20000);
    struct owner o;
    (void)unlink(peer_path);
    begin(i, &o, STR("hello"));
    for (int n = 0; n < 20; n++)
        loop_turn(loop, 20);
    expect(o.overs == 0, "it waits");
    expect(rename(own_path, peer_path) == 0, "the extractor is there");
    expect(turn_until(o.overs), "an answer");
    expect(o.end.verdict == INSPECT_READABLE, "reason %d", (int)o.end.reason);
    expect(rename(peer_path, own_path) == 0, "back");
    buffer_drop(&o.text);
    end(i);
}

int main(void)
{
    struct buffer errors;
    buffer_init(&errors, 4096);
    must(mkdtemp(folder));
    (void)snprintf(own_path, sizeof own_path, "%s/own", folder);
    (void)snprintf(peer_path, sizeof peer_path, "%s/peer", folder);
    pid_t extractor = start_extractor();
    loop = loop_open(256, 16, &errors);
    must(loop);
    const struct test tests[] = {{"text", test_text},
                                 {"big, and paused", test_big_and_paused},
                                 {"many, in turn", test_many},
                                 {"dropped", test_dropped},
                                 {"peers that fail", test_peers},
                                 {"the queue", test_queue},
                                 {"found again", test_found_again},
                                 {0}};
    int status = harness_run("inspector", tests);
    loop_close(&loop);
    stop(extractor);
    (void)unlink(own_path);
    (void)unlink(peer_path);
    (void)rmdir(folder);
    return status;
}
