/* sekimori-extractor -- takes files apart for the gateway, where nothing can come of it.
 *
 *   sekimori-extractor [--rooms N] [--memory BYTES] [--file BYTES] [--seconds N] [--listen PATH]
 *
 * Standard input is a listening socket (or it listens at PATH, for tests). Each connection is one
 * file: a process of its own, in a sandbox, which ends with it. This process parses nothing; it
 * accepts, forks, and ends what takes too long. */
#include "core/base/clock.h"
#include "tools/extractor/helper.h"
#include "tools/extractor/kind.h"
#include "tools/extractor/room.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    ROOMS_MAX = 1024,
    WAIT_MS = 1000,
    EXIT_USAGE = 2,
};

struct house {
    struct sandbox_limits limits;
    uint64_t rooms_max, seconds;
    const char *path;
    pid_t pid;
    int listen_fd, signal_fd;

    struct {
        pid_t pid;
        uint64_t end_ms;
    } room[ROOMS_MAX];

    size_t rooms;
};

static bool number(const char *text, uint64_t max, uint64_t *out)
{
    return str_number(str_c(text), max, out) && *out > 0;
}

static bool parse(int argc, char **argv, struct house *h)
{
    static const struct option options[] = {
        {"rooms", required_argument, NULL, 'r'},  {"memory", required_argument, NULL, 'm'},
        {"file", required_argument, NULL, 'f'},   {"seconds", required_argument, NULL, 's'},
        {"listen", required_argument, NULL, 'l'}, {0},
    };
    bool good = true;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'r')
            good = good && number(optarg, ROOMS_MAX, &h->rooms_max);
        else if (option == 'm')
            good = good && number(optarg, UINT64_MAX, &h->limits.memory);
        else if (option == 'f')
            good = good && number(optarg, UINT64_MAX, &h->limits.file_bytes);
        else if (option == 's')
            good = good && number(optarg, 86400, &h->seconds);
        else if (option == 'l')
            h->path = optarg;
        else
            good = false;
    }
    h->limits.cpu_s = h->seconds;
    return good && optind == argc;
}

static bool listen_at(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool good = fd >= 0 && str_to_c(str_c(path), at.sun_path, sizeof at.sun_path) &&
                bind(fd, (const struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 1024) == 0 &&
                dup2(fd, STDIN_FILENO) == STDIN_FILENO;
    if (fd > STDIN_FILENO)
        (void)close(fd);
    return good;
}

_Noreturn static void enter(struct house *h, int fd)
{
    sigset_t none;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != h->pid || null < 0)
        _exit(1);
    (void)setpgid(0, 0);
    (void)dup2(null, STDIN_FILENO); /* no descriptor of a file may become it by chance */
    (void)close(null);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGXFSZ, SIG_IGN); /* a write that is too much is an error */
    (void)close(h->signal_fd);
    _exit(room_run(fd, &h->limits));
}

static void admit(struct house *h)
{
    int fd = accept4(h->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    pid_t pid = fork();
    if (pid == 0)
        enter(h, fd);
    (void)close(fd);
    if (pid < 0)
        return; /* the worker sees its connection end */
    (void)setpgid(pid, pid);
    h->room[h->rooms].pid = pid;
    h->room[h->rooms++].end_ms = clock_monotonic_ms() + h->seconds * 1000;
}

/* Also what a room has left behind: its helpers are in its group. */
static void bury(struct house *h)
{
    pid_t pid;
    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
        for (size_t i = 0; i < h->rooms; i++)
            if (h->room[i].pid == pid) {
                (void)kill(-pid, SIGKILL);
                h->room[i] = h->room[--h->rooms];
                break;
            }
}

static void end_late(struct house *h)
{
    uint64_t now = clock_monotonic_ms();
    for (size_t i = 0; i < h->rooms; i++)
        if (now >= h->room[i].end_ms)
            (void)kill(-h->room[i].pid, SIGKILL);
}

_Noreturn static void serve(struct house *h)
{
    for (;;) {
        struct signalfd_siginfo gone;
        struct pollfd p[] = {{.fd = h->signal_fd, .events = POLLIN},
                             {.fd = h->rooms < h->rooms_max ? h->listen_fd : -1, .events = POLLIN}};
        int ready = poll(p, countof(p), WAIT_MS);
        if (ready > 0 && p[0].revents && read(h->signal_fd, &gone, sizeof gone) > 0)
            bury(h);
        end_late(h);
        if (ready > 0 && p[1].revents & POLLIN)
            admit(h);
        else if (ready > 0 && p[1].revents)
            exit(1); /* it is no socket any more */
    }
}

static bool prepare(struct house *h, struct buffer *errors)
{
    sigset_t children;
    (void)close_range(STDERR_FILENO + 1, ~0U, 0);
    (void)setlocale(LC_CTYPE, "C.UTF-8"); /* names in archives */
    const char *const *helpers = helper_find();
    if (!kind_prepare(errors) || !sandbox_house(helpers, HELPERS, errors))
        return false;
    (void)sigemptyset(&children);
    (void)sigaddset(&children, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &children, NULL);
    h->pid = getpid();
    h->signal_fd = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
    return h->signal_fd >= 0;
}

int main(int argc, char **argv)
{
    static struct house h = {.limits = {.memory = 1 << 30, .file_bytes = 256 << 20},
                             .rooms_max = 4,
                             .seconds = 300,
                             .listen_fd = STDIN_FILENO};
    struct buffer errors;
    buffer_init(&errors, 4096);
    if (!parse(argc, argv, &h)) {
        (void)fputs("usage: sekimori-extractor [--rooms N] [--memory BYTES] [--file BYTES] "
                    "[--seconds N] [--listen PATH]\n",
                    stderr);
        return EXIT_USAGE;
    }
    if (h.path && !listen_at(h.path)) {
        (void)fprintf(stderr, "sekimori-extractor: cannot listen at %s: %s\n", h.path,
                      strerrorname_np(errno));
        return 1;
    }
    if (!prepare(&h, &errors)) {
        (void)fprintf(stderr, "sekimori-extractor: %.*s\n", STR_ARG(buffer_str(&errors)));
        return 1;
    }
    serve(&h);
}
