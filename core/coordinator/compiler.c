/* compiler.c -- starts the process, feeds it, listens to it, buries it. */
#include "core/coordinator/compiler.h"
#include "core/base/heap.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PIECE_BYTES = 64 << 10,
    PIECES_A_TURN = 16, /* of what it says: a turn ends after 1 MiB */
};

struct compiler {
    enum compiler_state state;
    pid_t process; /* 0: none, or buried */
    int socket;    /* -1: closed */
    int status;    /* of the process, as waitpid() says it */
    bool killed;   /* by us, at the deadline */
    bool fed;
    uint64_t deadline_ms;
    struct compiler_limits limits;
    struct buffer source;
    struct match_report report;
    char reason[REPORT_REASON_BYTES + 128];
};

static int start(const char *program, const struct compiler_limits *limits, int theirs, pid_t *pid)
{
    char cpu[16], memory[16], wall[16];
    char name[] = "sekimori-match-compile";
    char *const arguments[] = {name, cpu, memory, wall, NULL};
    char *const environment[] = {NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    (void)snprintf(cpu, sizeof cpu, "%u", limits->cpu_s);
    (void)snprintf(memory, sizeof memory, "%u", limits->memory_mib);
    (void)snprintf(wall, sizeof wall, "%u", limits->wall_ms / 1000 + 2);
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    int error = posix_spawn_file_actions_init(&files);
    if (error)
        return error;
    error = posix_spawnattr_init(&attributes);
    if (!error) {
        error = posix_spawn_file_actions_adddup2(&files, theirs, STDIN_FILENO);
        error = error ? error : posix_spawn_file_actions_adddup2(&files, theirs, STDOUT_FILENO);
        error = error ? error : posix_spawnattr_setsigmask(&attributes, &none);
        error = error ? error : posix_spawnattr_setsigdefault(&attributes, &all);
        error = error ? error
                      : posix_spawnattr_setflags(&attributes,
                                                 POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        error =
            error ? error : posix_spawn(pid, program, &files, &attributes, arguments, environment);
        (void)posix_spawnattr_destroy(&attributes);
    }
    (void)posix_spawn_file_actions_destroy(&files);
    return error;
}

struct compiler *compiler_start(const char *program, struct str source,
                                const struct compiler_limits *limits, uint64_t now_ms)
{
    struct compiler *c = heap_take(sizeof *c);
    int pair[2] = {-1, -1};
    *c =
        (struct compiler){.socket = -1, .limits = *limits, .deadline_ms = now_ms + limits->wall_ms};
    match_report_init(&c->report);
    buffer_init(&c->source, LIMIT_PATTERN_SOURCE_BYTES);
    buffer_put(&c->source, source);
    int error = c->source.full ? ENOMEM : 0;
    if (!error && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        error = errno;
    if (!error && fcntl(pair[0], F_SETFL, O_NONBLOCK) != 0)
        error = errno;
    if (!error)
        error = start(program, limits, pair[1], &c->process);
    if (pair[1] >= 0)
        (void)close(pair[1]);
    c->socket = pair[0];
    if (error) {
        c->process = 0;
        c->state = COMPILER_FAILED;
        (void)snprintf(c->reason, sizeof c->reason, "%s could not be started: %s", program,
                       strerrordesc_np(error));
    }
    return c;
}

static void hang_up(struct compiler *c)
{
    if (c->socket >= 0)
        (void)close(c->socket);
    c->socket = -1;
}

/* A process that is killed ends soon: this waits for it only then. */
static bool bury(struct compiler *c, bool wait)
{
    if (!c->process)
        return true;
    pid_t done;
    do
        done = waitpid(c->process, &c->status, wait ? 0 : WNOHANG);
    while (done < 0 && errno == EINTR);
    if (done == 0)
        return false;
    if (done < 0)
        c->status = 0; /* somebody else has seen it end */
    c->process = 0;
    return true;
}

void compiler_drop(struct compiler **c)
{
    if (!*c)
        return;
    hang_up(*c);
    if ((*c)->process) {
        (void)kill((*c)->process, SIGKILL);
        (void)bury(*c, true);
    }
    match_report_drop(&(*c)->report);
    buffer_drop(&(*c)->source);
    heap_drop(*c);
    *c = NULL;
}

int compiler_descriptor(const struct compiler *c, short *events)
{
    *events = (short)(POLLIN | (c->fed ? 0 : POLLOUT));
    return c->state == COMPILER_BUSY ? c->socket : -1;
}

uint64_t compiler_deadline(const struct compiler *c)
{
    return c->deadline_ms;
}

static void feed(struct compiler *c)
{
    while (!c->fed) {
        struct str piece = str_head(buffer_str(&c->source), PIECE_BYTES);
        ssize_t n = piece.len ? send(c->socket, piece.at, piece.len, MSG_NOSIGNAL) : 0;
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n > 0)
            buffer_consume(&c->source, (size_t)n);
        if (n <= 0 || !c->source.len) { /* or it does not listen: what it says tells more */
            c->fed = true;
            (void)shutdown(c->socket, SHUT_WR);
            buffer_drop(&c->source);
        }
    }
}

/* False: it has said all that it will say. */
static bool listen_to(struct compiler *c)
{
    char piece[PIECE_BYTES / 8];
    for (int i = 0; i < PIECES_A_TURN * 8; i++) {
        ssize_t n = recv(c->socket, piece, sizeof piece, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return true;
        if (n <= 0 || !match_report_feed(&c->report, str_from(piece, (size_t)n)))
            return false;
    }
    return true;
}

/* Why there is no result. */
static void explain(struct compiler *c)
{
    char what[64];
    const struct match_report *r = &c->report;
    bool signalled = WIFSIGNALED(c->status);
    if (c->killed || (signalled && WTERMSIG(c->status) == SIGALRM))
        (void)snprintf(what, sizeof what, "took longer than %u s", c->limits.wall_ms / 1000);
    else if (signalled && (WTERMSIG(c->status) == SIGXCPU || WTERMSIG(c->status) == SIGKILL))
        (void)snprintf(what, sizeof what, "took more than %u s of CPU time", c->limits.cpu_s);
    else if (signalled)
        (void)snprintf(what, sizeof what, "ended by signal %d, with at most %u MiB of memory",
                       WTERMSIG(c->status), c->limits.memory_mib);
    else
        (void)snprintf(what, sizeof what, "ended without a result (status %d)",
                       WEXITSTATUS(c->status));
    if (*r->reason)
        (void)snprintf(c->reason, sizeof c->reason, "%s", r->reason);
    else if (r->malformed)
        (void)snprintf(c->reason, sizeof c->reason, "the compiling process says what it never may");
    else if (r->checking)
        (void)snprintf(c->reason, sizeof c->reason,
                       "compiling %s when it was at pattern %u: make its repeats smaller", what,
                       r->at + 1);
    else
        (void)snprintf(c->reason, sizeof c->reason,
                       "compiling %s: have fewer patterns, or fewer that resemble each other",
                       what);
}

enum compiler_state compiler_turn(struct compiler *c, uint64_t now_ms)
{
    if (c->state != COMPILER_BUSY)
        return c->state;
    if (c->socket >= 0) {
        feed(c);
        if (!listen_to(c))
            hang_up(c);
    }
    if (c->process && !c->killed && (now_ms >= c->deadline_ms || c->report.malformed)) {
        c->killed = now_ms >= c->deadline_ms;
        (void)kill(c->process, SIGKILL);
        hang_up(c);
    }
    if (c->socket >= 0 || !bury(c, false))
        return COMPILER_BUSY;
    switch (match_report_result(&c->report)) {
    case MATCH_BUILT:
        c->state = COMPILER_BUILT;
        break;
    case MATCH_REFUSED:
        c->state = COMPILER_REFUSED;
        break;
    case MATCH_UNBUILT:
        c->state = COMPILER_FAILED;
        explain(c);
        break;
    }
    return c->state;
}

struct str compiler_file(const struct compiler *c)
{
    must(c->state == COMPILER_BUILT);
    return buffer_str(&c->report.file);
}

const struct match_refusal *compiler_refusals(const struct compiler *c, uint32_t *known,
                                              uint32_t *all)
{
    *all = c->report.refusals;
    *known = *all < REPORT_REFUSALS ? *all : REPORT_REFUSALS;
    return c->report.refusal;
}

const char *compiler_reason(const struct compiler *c)
{
    return c->reason;
}
