/* test_kill.c -- CRASH-01: the process kills itself at each labelled point, again and again in one
 * directory. Whatever was answered holds afterwards: accepted mails are there with their bodies,
 * discarded ones stay discarded, delivered ones stay delivered.
 *
 * The process under test is this program again, with arguments; it says on stdout what was
 * answered. */
#define DESK_ROOT "/dev/shm"
#include "tests/unit/storage/desk.h"

#include <spawn.h>
#include <sys/wait.h>

enum {
    DUE = 1000000,
    IN_FLIGHT = 16,
    CHILD_UNITS = 4000,
    KEPT_MAX = 200000
};

/* --- the process under test ------------------------------------------------------------------ */

struct child {
    struct desk d;
    struct port port;
    struct ring *ask, *answer;
    uint64_t seed;
};

static uint64_t next(struct child *c, uint64_t bound)
{
    c->seed = c->seed * 6364136223846793005ull + 1442695040888963407ull;
    return (c->seed >> 33) % bound;
}

static void say(char what, uint64_t id)
{
    char line[32];
    int n = snprintf(line, sizeof line, "%c %llx\n", what, (unsigned long long)id);
    if (write(STDOUT_FILENO, line, (size_t)n) != n)
        _exit(3);
}

static void put(struct child *c, struct unit *u, char what, uint64_t id)
{
    u->indexed = next(c, 4) == 0;
    ring_put(c->ask,
             &(struct cell){.kind = CELL_COMMIT, .id = id, .a = (uint64_t)what, .object = u});
}

/* What was accepted is taken back, or sent; what is being sent is delivered. */
static void answered(struct child *c, const struct cell *cell)
{
    struct unit *u = cell->object;
    char what = (char)cell->a;
    enum commit_result result = u->result;
    unit_drop(&u);
    if (result != COMMIT_SYNCED)
        return;
    say(what, cell->id);
    uint64_t luck = next(c, 10);
    if (what == 'D' || what == 'V' || (what == 'A' && luck == 0))
        return;
    u = unit_make();
    enum stage to = what == 'S' ? STAGE_DELIVERED : luck < 4 ? STAGE_DISCARDED : STAGE_SENDING;
    (void)desk_move_in(u, cell->id, 0, to, 0);
    put(c, u, to == STAGE_DELIVERED ? 'V' : to == STAGE_DISCARDED ? 'D' : 'S', cell->id);
}

static int child_main(const char *path, const char *seed)
{
    struct child c = {.seed = strtoull(seed, NULL, 10)};
    desk_init(&c.d, "kill");
    (void)snprintf(c.d.path, sizeof c.d.path, "%s", path);
    if (!desk_open(&c.d)) {
        (void)fprintf(stderr, "%.*s\n", STR_ARG(buffer_str(&c.d.errors)));
        return 2;
    }
    port_init(&c.port);
    c.ask = ring_make(partition_port(c.d.p));
    c.answer = ring_make(&c.port);
    partition_start(c.d.p, &c.ask, &c.answer, 1, NULL);
    for (int asked = 0, done = 0; done < CHILD_UNITS;) {
        for (; asked - done < IN_FLIGHT; asked++) {
            uint64_t id;
            struct unit *u =
                desk_accept(&c.d, 1, next(&c, 20) ? next(&c, 8000) : 200 << 10, DUE, &id);
            put(&c, u, 'A', id);
        }
        ring_flush(c.ask);
        struct cell cell;
        if (!ring_take(c.answer, &cell))
            (void)usleep(100);
        else {
            done += cell.a == 'A';
            answered(&c, &cell);
        }
    }
    partition_stop(&c.d.p);
    struct cell last; /* answers to what was still in flight */
    while (ring_take(c.answer, &last)) {
        struct unit *u = last.object;
        unit_drop(&u);
    }
    ring_drop(&c.ask);
    ring_drop(&c.answer);
    port_drop(&c.port);
    buffer_drop(&c.d.errors);
    return 0;
}

/* --- the judge ------------------------------------------------------------------------------- */

struct known {
    uint64_t id;
    char last; /* the last thing that was answered about it */
};

static struct known known[KEPT_MAX];
static size_t known_count;

static void learn(const char *line)
{
    unsigned long long id;
    char what;
    if (sscanf(line, "%c %llx", &what, &id) != 2) /* NOLINT(cert-err34-c) */
        return;
    for (size_t i = known_count; i-- > 0;)
        if (known[i].id == id) {
            known[i].last = what;
            return;
        }
    if (known_count < KEPT_MAX)
        known[known_count++] = (struct known){id, what};
}

/* Run until it kills itself or ends; returns whether it was killed. */
static bool run(const char *self, const char *path, const char *point, uint64_t seed)
{
    char number[32], kill_at[64];
    (void)snprintf(number, sizeof number, "%d", (int)seed);
    (void)snprintf(kill_at, sizeof kill_at, "%s", point);
    if (setenv("SEKIMORI_KILL_AT", kill_at, 1))
        abort();
    int fds[2];
    if (pipe(fds))
        abort();
    posix_spawn_file_actions_t actions;
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
    (void)posix_spawn_file_actions_addclose(&actions, fds[0]);
    char *const argv[] = {(char *)(uintptr_t)self, (char *)(uintptr_t)path, number, NULL};
    pid_t pid;
    if (posix_spawn(&pid, self, &actions, NULL, argv, environ))
        abort();
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(fds[1]);
    (void)unsetenv("SEKIMORI_KILL_AT");
    FILE *f = fdopen(fds[0], "r");
    char line[64];
    while (f && fgets(line, sizeof line, f))
        learn(line);
    if (f)
        (void)fclose(f);
    int status = 0;
    (void)waitpid(pid, &status, 0);
    expect(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0,
           "%s: status %d", point, status);
    return WIFSIGNALED(status);
}

static void judge(struct desk *d, const char *point)
{
    desk_must_open(d);
    const struct partition_report *r = partition_report(d->p);
    expect(r->damaged_records == 0 && r->damaged_messages == 0, "%s: damage", point);
    size_t lost = 0, wrong = 0;
    for (size_t i = 0; i < known_count; i++) {
        struct message *m = view_get(d->p, known[i].id);
        enum stage s = m ? m->recipients[0].stage : STAGES;
        lost += !m;
        if (m && !stage_is_final(s) && !desk_read(d, m))
            wrong++;
        switch (known[i].last) {
        case 'D':
            wrong += s != STAGE_DISCARDED;
            break;
        case 'V':
            wrong += s != STAGE_DELIVERED;
            break;
        case 'S':
            wrong += s != STAGE_DELIVERED && s != STAGE_RETRY;
            break;
        default:
            wrong += s == STAGE_SENDING;
            break;
        }
        message_drop(&m);
        /* what lives on is taken away by the judge, so that segments are used again */
        if (known[i].last == 'A' && s == STAGE_WAITING && i % 7)
            known[i].last =
                desk_move(d, known[i].id, 0, STAGE_DISCARDED, 0) == COMMIT_SYNCED ? 'D' : 'A';
    }
    expect(lost == 0 && wrong == 0, "%s: lost %zu, wrong %zu of %zu", point, lost, wrong,
           known_count);
    partition_stop(&d->p);
}

static char self_path[512];

static void test_points(void)
{
    static const char *const points[] = {"before-write:3",  "before-write:57", "after-write:1",
                                         "after-write:20",  "after-write:111", "after-sync:2",
                                         "after-sync:33",   "after-sync:150",  "after-answer:1",
                                         "after-answer:40", "after-answer:99", "after-index:1",
                                         "after-index:77",  "after-index:200", "mid-recycle:1",
                                         "mid-recycle:3",   "mid-recycle:5",   "mid-reclaim:1",
                                         "mid-reclaim:9",   "mid-replay:1",    "mid-replay:10"};
    struct desk d;
    desk_init(&d, "kill");
    size_t kills = 0;
    for (uint64_t round = 0; round < 3; round++)
        for (size_t i = 0; i < countof(points); i++) {
            bool killed = run(self_path, d.path, points[i], 1 + i + round * countof(points));
            if (killed && strncmp(points[i], "mid-replay", 10) == 0)
                (void)run(self_path, d.path, "after-sync:5", i);
            kills += killed;
            judge(&d, points[i]);
        }
    expect(kills > countof(points) * 2, "kills: %zu", kills);
    desk_wipe(&d);
    buffer_drop(&d.errors);
}

int main(int argc, char **argv)
{
    if (argc == 3)
        return child_main(argv[1], argv[2]);
    ssize_t n = readlink("/proc/self/exe", self_path, sizeof self_path - 1);
    if (n < 0)
        return 2;
    const struct test tests[] = {{"CRASH-01 every labelled point", test_points}, {0}};
    return harness_run("kill", tests);
}
