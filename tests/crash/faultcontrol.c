#define FUSE_USE_VERSION 35

#include "tests/crash/faultcontrol.h"

#include <fuse_lowlevel.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    RULES = 32,
    CLIENTS = 8,
    LINE_BYTES = 512,
    ARGS = 6,
    POLL_MS = 200, /* a signal may have come just before the poll: look again soon */
};

static const char *const op_words[OP_COUNT] = {
#define OP(name, word) [OP_##name] = (word),
    DISK_OPS(OP)
#undef OP
};

struct rule {
    enum op op;
    int error;
    uint64_t wait; /* calls until it bites, this one included */
    uint64_t times;
    char path[LINE_BYTES];
};

struct cut {
    uint64_t left; /* syncs until it happens; 0: none is planned */
    enum cut_mode mode;
    bool after;
    uint64_t seed;
    char path[LINE_BYTES];
};

struct client {
    int fd; /* -1: free */
    size_t used;
    char line[LINE_BYTES];
};

/* What the loop hands to the cache thread. */
struct drop {
    uint64_t ino; /* 0: nothing to drop */
    int answer;   /* -1, or where to say "ok" when all before it are dropped; closed after */
};

static struct fuse_session *session;
static int listener;
static struct rule rules[RULES];
static size_t rule_count;
static struct cut cut;
static bool power_off;
static bool settled;
static uint64_t failed_count;
static uint64_t space_limit = UINT64_MAX; /* for the sum of all sizes */
static int drop_pipe[2];
static struct client clients[CLIENTS];

/* Faults */

static void *drop_caches(void *unused)
{
    (void)unused;
    struct drop d;
    while (read(drop_pipe[0], &d, sizeof(d)) == (ssize_t)sizeof(d)) {
        if (d.ino)
            fuse_lowlevel_notify_inval_inode(session, d.ino, 0, 0);
        if (d.answer >= 0) {
            send(d.answer, "ok\n", 3, MSG_NOSIGNAL);
            close(d.answer);
        }
    }
    return NULL;
}

/* Tell the kernel to ask us again for all it has read; then, if `answer` >= 0, say "ok" there. */
static void forget_caches(int answer)
{
    struct drop d = {.answer = -1};
    bool room = true;
    for (d.ino = 1; d.ino <= disk_node_count() && room; d.ino++) {
        if (disk_node(d.ino)->fd >= 0) /* beyond the pipe's 65,536 the rest stays cached */
            room = write(drop_pipe[1], &d, sizeof(d)) == (ssize_t)sizeof(d);
    }
    d = (struct drop){.answer = answer >= 0 ? fcntl(answer, F_DUPFD_CLOEXEC, 0) : -1};
    if (write(drop_pipe[1], &d, sizeof(d)) != (ssize_t)sizeof(d) && d.answer >= 0)
        close(d.answer);
}

static void lose_power(enum cut_mode mode, uint64_t seed)
{
    disk_cut(mode, seed);
    power_off = true;
    cut.left = 0;
}

static bool path_has(const struct node *dir, const char *name, const char *part)
{
    char path[PATH_MAX];
    if (!*part)
        return true;
    disk_path(dir, name, path, sizeof(path));
    return strstr(path, part) != NULL;
}

int control_refuse(enum op op, struct node *n, const char *name)
{
    if (power_off)
        return EIO;
    n->calls[op]++;
    for (size_t i = 0; i < rule_count; i++) {
        struct rule *r = &rules[i];
        if (r->op != op || !r->times || !path_has(n, name, r->path))
            continue;
        if (r->wait > 1) {
            r->wait--;
            continue;
        }
        if (r->times != UINT64_MAX)
            r->times--;
        failed_count++;
        return r->error;
    }
    return 0;
}

uint64_t control_space_left(void)
{
    uint64_t used = disk_used_bytes();
    return used < space_limit ? space_limit - used : 0;
}

size_t control_fitting(const struct node *n, size_t length, off_t at, bool direct)
{
    off_t end = at + (off_t)length;
    uint64_t more = end > n->size ? (uint64_t)(end - n->size) : 0;
    if (space_limit == UINT64_MAX || more <= control_space_left())
        return length;
    uint64_t missing = more - control_space_left();
    size_t fits = missing < length ? length - (size_t)missing : 0;
    return direct ? fits - fits % SECTOR_BYTES : fits;
}

int control_sync(enum op op, struct node *n)
{
    if (power_off)
        return EIO;
    int error = control_refuse(op, n, NULL);
    if (error) {
        disk_sync_failed(n);
        return error;
    }
    bool cut_now = cut.left && path_has(n, NULL, cut.path) && !--cut.left;
    if (!cut_now || cut.after)
        disk_sync(n);
    if (!cut_now)
        return 0;
    lose_power(cut.mode, cut.seed);
    forget_caches(-1);
    return EIO;
}

bool control_power_is_off(void)
{
    return power_off;
}

uint64_t control_space_limit(void)
{
    return space_limit;
}

/* Control protocol. A command returns its answer, or NULL when the cache thread will give it. */

struct words {
    int count;
    char *at[ARGS];
    char answer[LINE_BYTES];
    int fd;
};

/* Word `i`, or "" where there is none. */
static const char *word(const struct words *w, int i)
{
    return i < w->count ? w->at[i] : "";
}

static bool number(const char *text, uint64_t *value)
{
    char *end;
    errno = 0;
    *value = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end && !errno;
}

static const char *on_counts(struct words *w)
{
    uint64_t sum[OP_COUNT] = {0};
    for (uint64_t ino = 1; ino <= disk_node_count(); ino++) {
        const struct node *n = disk_node(ino);
        for (int op = 0; path_has(n, NULL, word(w, 1)) && op < OP_COUNT; op++)
            sum[op] += n->calls[op];
    }
    uint64_t syncs = sum[OP_FSYNC] + sum[OP_FSYNCDIR];
    int used = snprintf(w->answer, sizeof(w->answer), "ok");
    for (int op = 0; op < OP_COUNT; op++)
        used += snprintf(w->answer + used, sizeof(w->answer) - (size_t)used, " %s=%llu",
                         op_words[op], (unsigned long long)sum[op]);
    (void)snprintf(w->answer + used, sizeof(w->answer) - (size_t)used,
                   " syncs=%llu failed=%llu used=%llu power=%s", (unsigned long long)syncs,
                   (unsigned long long)failed_count, (unsigned long long)disk_used_bytes(),
                   power_off ? "off" : "on");
    return w->answer;
}

static bool mode_read(const char *text, enum cut_mode *mode, bool *after)
{
    static const char *const modes[] = {"keep", "drop", "garble", "mix"};
    for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
        size_t length = strlen(modes[i]);
        if (strncmp(text, modes[i], length) != 0)
            continue;
        *mode = (enum cut_mode)i;
        *after = !strcmp(text + length, "-after");
        return *after || !text[length] || !strcmp(text + length, "-before");
    }
    return false;
}

static const char *on_cut(struct words *w)
{
    struct cut c = {.left = 0};
    if (!strcmp(word(w, 1), "off")) {
        cut = c;
        return "ok";
    }
    bool now = !strcmp(word(w, 1), "now");
    if (!mode_read(word(w, 2), &c.mode, &c.after) || !number(word(w, 3), &c.seed) ||
        (!now && (!number(word(w, 1), &c.left) || !c.left)))
        return "error usage: cut N|now|off MODE SEED [SUBSTRING]";
    if (power_off)
        return "error the power is off already";
    (void)snprintf(c.path, sizeof(c.path), "%s", word(w, 4));
    cut = c;
    if (!now)
        return "ok";
    lose_power(c.mode, c.seed);
    forget_caches(w->fd);
    return NULL;
}

static bool error_read(const char *text, int *error)
{
    static const struct {
        const char *name;
        int error;
    } errors[] = {{"EIO", EIO},     {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EFBIG", EFBIG},
                  {"EROFS", EROFS}, {"EMFILE", EMFILE}, {"EACCES", EACCES}};

    for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
        *error = errors[i].error;
        if (!strcmp(text, errors[i].name))
            return true;
    }
    return false;
}

static const char *on_fail(struct words *w)
{
    struct rule r = {.times = 1};
    if (!strcmp(word(w, 1), "clear")) {
        rule_count = 0;
        return "ok";
    }
    int op = 0;
    while (op < OP_COUNT && strcmp(word(w, 1), op_words[op]) != 0)
        op++;
    if (op == OP_COUNT || !error_read(word(w, 2), &r.error) || !number(word(w, 3), &r.wait))
        return "error usage: fail clear, or: fail OP ERRNO N [COUNT|forever] [SUBSTRING]";
    int next = 4;
    if (!strcmp(word(w, next), "forever")) {
        r.times = UINT64_MAX;
        next++;
    } else if (number(word(w, next), &r.times)) {
        next++;
    } else {
        r.times = 1;
    }
    if (rule_count == RULES)
        return "error too many rules";
    r.op = (enum op)op;
    (void)snprintf(r.path, sizeof(r.path), "%s", word(w, next));
    rules[rule_count++] = r;
    if (r.op != OP_READ)
        return "ok";
    forget_caches(w->fd); /* else the kernel would answer from what it has read before */
    return NULL;
}

static const char *on_space(struct words *w)
{
    uint64_t more;
    if (!strcmp(word(w, 1), "off"))
        space_limit = UINT64_MAX;
    else if (number(word(w, 1), &more))
        space_limit = disk_used_bytes() + more;
    else
        return "error usage: space BYTES|off";
    return "ok";
}

static const char *on_flip(struct words *w)
{
    uint64_t at;
    if (w->count != 3 || !number(word(w, 2), &at))
        return "error usage: flip SUBSTRING OFFSET";
    for (uint64_t ino = 1; ino <= disk_node_count(); ino++) {
        struct node *n = disk_node(ino);
        if (n->fd < 0 || !n->live_names || !path_has(n, NULL, word(w, 1)))
            continue;
        if (!disk_flip(n, (off_t)at))
            return "error the file is not so long on the disk";
        forget_caches(w->fd);
        return NULL;
    }
    return "error no such file";
}

void control_finish(void)
{
    if (!power_off)
        lose_power(CUT_KEEP, 0);
    if (!settled)
        disk_settle();
    settled = true;
}

static const char *on_finish(struct words *w)
{
    control_finish();
    forget_caches(w->fd);
    return NULL;
}

static const struct {
    const char *word;
    const char *(*run)(struct words *);
} commands[] = {
    {"counts", on_counts}, {"cut", on_cut},   {"fail", on_fail},
    {"space", on_space},   {"flip", on_flip}, {"finish", on_finish},
};

static void obey(struct client *c, char *line)
{
    struct words w = {.fd = c->fd};
    for (char *rest = line, *next; (next = strsep(&rest, " \t\r")) && w.count < ARGS;) {
        if (*next)
            w.at[w.count++] = next;
    }
    const char *answer = "error no such command";
    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
        if (!strcmp(word(&w, 0), commands[i].word))
            answer = commands[i].run(&w);
    }
    if (!answer)
        return;
    char out[LINE_BYTES + 1];
    int length = snprintf(out, sizeof(out), "%s\n", answer);
    send(c->fd, out, (size_t)length, MSG_NOSIGNAL);
}

static void hear(struct client *c)
{
    ssize_t got = recv(c->fd, c->line + c->used, sizeof(c->line) - c->used, 0);
    if (got <= 0) {
        close(c->fd);
        c->fd = -1;
        return;
    }
    c->used += (size_t)got;
    for (char *end; (end = memchr(c->line, '\n', c->used));) {
        *end = '\0';
        size_t taken = (size_t)(end + 1 - c->line);
        obey(c, c->line);
        c->used -= taken;
        memmove(c->line, end + 1, c->used);
    }
    if (c->used == sizeof(c->line)) /* no command is so long: start over at the next line */
        c->used = 0;
}

static int listen_at(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(a.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(a.sun_path, path, strlen(path));
    unlink(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&a, sizeof(a)) || listen(fd, CLIENTS))
        return -1;
    return fd;
}

static void welcome(void)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    for (size_t i = 0; i < CLIENTS && fd >= 0; i++) {
        if (clients[i].fd < 0) {
            clients[i] = (struct client){.fd = fd};
            return;
        }
    }
    if (fd >= 0)
        close(fd);
}

void control_wait(struct pollfd *other)
{
    struct pollfd p[2 + CLIENTS];
    p[0] = *other;
    p[1] = (struct pollfd){.fd = listener, .events = POLLIN};
    for (size_t i = 0; i < CLIENTS; i++)
        p[2 + i] = (struct pollfd){.fd = clients[i].fd, .events = POLLIN};
    other->revents = 0;
    if (poll(p, 2 + CLIENTS, POLL_MS) <= 0)
        return;
    for (size_t i = 0; i < CLIENTS; i++) {
        if (p[2 + i].revents)
            hear(&clients[i]);
    }
    if (p[1].revents)
        welcome();
    other->revents = p[0].revents;
}

bool control_start(const char *path, struct fuse_session *se)
{
    pthread_t thread;
    session = se;
    for (size_t i = 0; i < CLIENTS; i++)
        clients[i].fd = -1;
    listener = path ? listen_at(path) : -1;
    /* The writer must not wait for a reader that may wait for the loop. */
    if ((path && listener < 0) || pipe2(drop_pipe, O_CLOEXEC) ||
        fcntl(drop_pipe[1], F_SETPIPE_SZ, 1 << 20) < 0 ||
        fcntl(drop_pipe[1], F_SETFL, O_NONBLOCK) ||
        pthread_create(&thread, NULL, drop_caches, NULL))
        return false;
    pthread_detach(thread);
    return true;
}
