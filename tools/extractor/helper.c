#include "tools/extractor/helper.h"

#include "core/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    ARGUMENTS = 8,
    ROOM_BYTES = 64 << 10,
};

static const char *const folders[] = {"/usr/bin/", "/usr/local/bin/"};

static const struct {
    const char *name;
    const char *arguments[ARGUMENTS];
} helpers[HELPERS] = {
    [HELPER_PDFTOTEXT] = {"pdftotext",
                          {"pdftotext", "-q", "-enc", "UTF-8", "-eol", "unix", "-", "-"}},
    [HELPER_CATDOC] = {"catdoc", {"catdoc", "-w", "-d", "utf-8", "-s", "cp1252"}},
    [HELPER_XLS2CSV] = {"xls2csv", {"xls2csv", "-d", "utf-8", "-s", "cp1252", "/dev/stdin"}},
    [HELPER_CATPPT] = {"catppt", {"catppt", "-d", "utf-8", "-s", "cp1252", "/dev/stdin"}},
};

static char paths[HELPERS][64];
static const char *found[HELPERS];

/* Without its tables of Japanese, Chinese and Korean, pdftotext loses their text in silence. */
static const char tables[] = "/usr/share/poppler/cMap/Adobe-Japan1";

const char *const *helper_find(void)
{
    for (size_t i = 0; i < (size_t)HELPERS * countof(folders); i++) {
        size_t h = i / countof(folders);
        struct str folder = str_c(folders[i % countof(folders)]), name = str_c(helpers[h].name);
        if (found[h])
            continue;
        memcpy(paths[h], folder.at, folder.len);
        memcpy(paths[h] + folder.len, name.at, name.len + 1);
        if (access(paths[h], X_OK) == 0)
            found[h] = paths[h];
    }
    if (access(tables, R_OK) != 0)
        found[HELPER_PDFTOTEXT] = NULL;
    return found;
}

_Noreturn static void become(enum helper h, int in, int out, uint64_t time_ms)
{
    static char lang[] = "LANG=C.UTF-8", home[] = "HOME=/";
    char *const environment[] = {lang, home, NULL};
    char *arguments[ARGUMENTS + 1] = {NULL};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)alarm((unsigned)(time_ms / 1000 + 1));
    for (size_t i = 0; i < ARGUMENTS; i++)
        arguments[i] = (char *)(uintptr_t)helpers[h].arguments[i];
    if (lseek(in, 0, SEEK_SET) == 0 && dup2(in, 0) == 0 && dup2(out, 1) == 1 &&
        dup2(null < 0 ? 1 : null, 2) == 2)
        (void)execve(found[h], arguments, environment);
    _exit(127);
}

/* Until it closes its end, or time is over. */
static bool listen_to(int fd, uint64_t end_ms, bool (*put)(void *owner, struct str bytes),
                      void *owner)
{
    static char room[ROOM_BYTES];
    for (;;) {
        uint64_t now = clock_monotonic_ms();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (now >= end_ms)
            return false;
        int ready = poll(&p, 1, (int)u64_min(end_ms - now, 60000));
        ssize_t n = ready > 0 ? read(fd, room, sizeof room) : -1;
        if (n == 0)
            return true;
        if (n > 0 && !put(owner, str_from(room, (size_t)n)))
            return true;
    }
}

enum helper_outcome helper_run(enum helper h, int fd, uint64_t time_ms,
                               bool (*put)(void *owner, struct str bytes), void *owner)
{
    int pipes[2], status = 0;
    uint64_t end_ms = clock_monotonic_ms() + time_ms;
    if (!found[h])
        return HELPER_MISSING;
    if (pipe2(pipes, O_CLOEXEC) != 0)
        return HELPER_DIED;
    pid_t child = fork();
    if (child == 0)
        become(h, fd, pipes[1], time_ms);
    (void)close(pipes[1]);
    bool heard = child > 0 && listen_to(pipes[0], end_ms, put, owner);
    (void)close(pipes[0]);
    if (child < 0)
        return HELPER_DIED;
    if (!heard)
        return HELPER_LATE; /* its alarm rings, or it dies with us */
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == SIGALRM || WTERMSIG(status) == SIGXCPU ? HELPER_LATE
               : WTERMSIG(status) == SIGPIPE                              ? HELPER_DONE
                                                                          : HELPER_DIED;
    return WEXITSTATUS(status) == 0 ? HELPER_DONE : HELPER_FAILED;
}
