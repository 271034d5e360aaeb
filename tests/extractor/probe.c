/* What the sandbox holds back: enters it as the extractor does, then tries. One line an attempt:
 * its name, and "refused" or "done". */
#include "tools/extractor/helper.h"
#include "tools/extractor/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void tell(const char *name, long result)
{
    (void)printf("%s %s\n", name, result < 0 ? "refused" : "done");
    (void)fflush(stdout);
}

static long run(const char *path)
{
    char *const none[] = {NULL};
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        int null = open("/dev/null", O_RDWR);
        (void)dup2(null, STDOUT_FILENO);
        (void)dup2(null, STDERR_FILENO);
        (void)execve(path, none, none);
        _exit(77);
    }
    (void)waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 77 ? -1 : 0;
}

static void try_sockets(void)
{
    int pair[2];
    tell("inet", socket(AF_INET, SOCK_STREAM, 0));
    tell("inet6", socket(AF_INET6, SOCK_DGRAM, 0));
    tell("unix", socket(AF_UNIX, SOCK_STREAM, 0));
    tell("netlink", socket(AF_NETLINK, SOCK_RAW, 0));
    tell("pair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    tell("uring", syscall(SYS_io_uring_setup, 1, NULL));
}

static void try_files(const char *folder)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/new", folder);
    tell("make", open(path, O_WRONLY | O_CREAT, 0600));
    tell("passwd", open("/etc/passwd", O_RDONLY));
    tell("own-folder", open(folder, O_RDONLY | O_DIRECTORY));
    tell("tmp", open("/tmp", O_RDWR | O_TMPFILE, 0600));
    tell("proc", open("/proc/self/mem", O_RDWR));
    tell("root", open("/", O_RDONLY | O_DIRECTORY));
    tell("unlink", unlink(path));
    tell("mkdir", mkdir(path, 0700));
    tell("chmod", chmod(folder, 0777));
    tell("library", open("/usr/lib/os-release", O_RDONLY)); /* the one thing that it may */
    tell("library-write", open("/usr/lib/os-release", O_WRONLY));
}

static void try_others(void)
{
    char byte;
    struct iovec here = {&byte, 1}, there = {(void *)(uintptr_t)4096, 1};
    struct rlimit more = {RLIM_INFINITY, RLIM_INFINITY};
    tell("kill-parent", kill(getppid(), 0));
    tell("kill-init", kill(1, 0));
    tell("pidfd", syscall(SYS_pidfd_open, getppid(), 0));
    tell("trace", ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
    tell("read-parent", process_vm_readv(getppid(), &here, 1, &there, 1, 0));
    tell("namespace", unshare(CLONE_NEWUSER));
    tell("limits", setrlimit(RLIMIT_CPU, &more));
    tell("setuid", setuid(0));
    tell("chroot", chroot("/"));
    tell("bpf", syscall(SYS_bpf, 0, NULL, 0));
    tell("keys", syscall(SYS_keyctl, 0, 0, 0, 0, 0));
}

int main(int argc, char **argv)
{
    const struct sandbox_limits limits = {.memory = 256 << 20, .file_bytes = 1 << 20, .cpu_s = 5};
    struct buffer errors;
    buffer_init(&errors, 4096);
    const char *const *helpers = helper_find();
    if (argc < 2 || !sandbox_house(helpers, HELPERS, &errors) || !sandbox_room(&limits, &errors)) {
        (void)fprintf(stderr, "%.*s\n", STR_ARG(buffer_str(&errors)));
        return 1;
    }
    try_sockets();
    try_files(argv[1]);
    try_others();
    tell("exec-shell", run("/bin/sh"));
    tell("exec-itself", run("/proc/self/exe"));
    tell("exec-python", run("/usr/bin/python3"));
    for (size_t i = 0; i < HELPERS; i++)
        if (helpers[i])
            tell("exec-helper", run(helpers[i]));
    tell("memory", mmap(NULL, 512 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                        0) == MAP_FAILED
                       ? -1
                       : 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    int file = memfd_create("x", 0);
    tell("file-in-memory", file);
    tell("file-too-large", pwrite(file, "x", 1, 2 << 20));
    return 0;
}
