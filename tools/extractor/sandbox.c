#include "tools/extractor/sandbox.h"

#include "core/base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    NOBODY = 65534,
    /* Rights of later versions of Landlock, which Debian 12's header does not name. */
    FS_REFER = 1 << 13,
    FS_TRUNCATE = 1 << 14,
    FS_IOCTL_DEV = 1 << 15,
    NET_ALL = 3,   /* bind and connect TCP: version 4 */
    SCOPE_ALL = 3, /* abstract sockets and signals: version 6 */
    FS_FIRST = (1 << 13) - 1,
    READ = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
    RUN = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_EXECUTE,
};

struct ruleset {
    uint64_t fs, net, scoped;
};

static bool fail_with(struct buffer *errors, const char *what)
{
    buffer_printf(errors, "%s: %s", what, strerrorname_np(errno));
    return false;
}

static void allow(int ruleset, const char *path, uint64_t rights)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = rights};
    rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
    if (rule.parent_fd < 0)
        return;
    (void)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    (void)close(rule.parent_fd);
}

static bool lock_files(const char *const *helpers, size_t count, struct buffer *errors)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1)
        return fail_with(errors, "this kernel has no Landlock (Linux 5.13, lsm=landlock)");
    struct ruleset r = {.fs = FS_FIRST};
    r.fs |= version >= 2 ? FS_REFER : 0;
    r.fs |= version >= 3 ? FS_TRUNCATE : 0;
    r.fs |= version >= 5 ? FS_IOCTL_DEV : 0;
    r.net = version >= 4 ? NET_ALL : 0;
    r.scoped = version >= 6 ? SCOPE_ALL : 0;
    size_t bytes = version >= 6 ? sizeof r : version >= 4 ? 16 : 8;
    int fd = (int)syscall(SYS_landlock_create_ruleset, &r, bytes, 0);
    if (fd < 0)
        return fail_with(errors, "landlock_create_ruleset");
    for (size_t i = 0; i < count; i++)
        if (helpers[i])
            allow(fd, helpers[i], RUN);
    allow(fd, "/lib64/ld-linux-x86-64.so.2", RUN);
    allow(fd, "/lib/ld-linux-aarch64.so.1", RUN);
    allow(fd, "/usr/lib", READ);
    allow(fd, "/lib", READ);
    allow(fd, "/lib64", READ);
    allow(fd, "/etc/ld.so.cache", LANDLOCK_ACCESS_FS_READ_FILE);
    allow(fd, "/usr/share/poppler", READ);
    allow(fd, "/usr/share/catdoc", READ);
    allow(fd, "/dev/null", LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE);
    bool good = syscall(SYS_landlock_restrict_self, fd, 0) == 0;
    (void)close(fd);
    return good || fail_with(errors, "landlock_restrict_self");
}

/* Of a privileged start only: the rights of root would outlive the exec of a helper. */
static bool become_nobody(void)
{
    return geteuid() != 0 || (setgroups(0, NULL) == 0 && setresgid(NOBODY, NOBODY, NOBODY) == 0 &&
                              setresuid(NOBODY, NOBODY, NOBODY) == 0);
}

static void be_first_to_go(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && write(fd, "900", 3) != 3)
        errno = 0; /* then it goes when its turn comes */
    if (fd >= 0)
        (void)close(fd);
}

bool sandbox_house(const char *const *helpers, size_t count, struct buffer *errors)
{
    pid_t parent = getppid();
    be_first_to_go();
    if (!become_nobody())
        return fail_with(errors, "cannot become nobody");
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1); /* it died before that */
    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return fail_with(errors, "no_new_privs");
    return lock_files(helpers, count, errors);
}

/* ---- system calls */

/* What we and the helper programs need. Names that an architecture does not have are left out. */
static const char *const allowed[] = {
    "read",
    "write",
    "readv",
    "writev",
    "pread64",
    "pwrite64",
    "lseek",
    "close",
    "fstat",
    "newfstatat",
    "stat",
    "lstat",
    "statx",
    "statfs",
    "fstatfs",
    "access",
    "faccessat",
    "faccessat2",
    "open",
    "openat",
    "readlink",
    "readlinkat",
    "getcwd",
    "getdents64",
    "dup",
    "dup2",
    "dup3",
    "pipe",
    "pipe2",
    "poll",
    "ppoll",
    "select",
    "pselect6",
    "fcntl",
    "fadvise64",
    "ftruncate",
    "memfd_create",
    "mmap",
    "munmap",
    "mremap",
    "mprotect",
    "madvise",
    "brk",
    "futex",
    "set_robust_list",
    "rseq",
    "set_tid_address",
    "arch_prctl",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sigaltstack",
    "restart_syscall",
    "alarm",
    "setitimer",
    "getitimer",
    "clock_gettime",
    "clock_getres",
    "clock_nanosleep",
    "nanosleep",
    "gettimeofday",
    "time",
    "times",
    "uname",
    "sysinfo",
    "getrandom",
    "getpid",
    "getppid",
    "gettid",
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
    "getpgrp",
    "getrlimit",
    "getrusage",
    "sched_yield",
    "sched_getaffinity",
    "vfork",
    "fork",
    "execve",
    "wait4",
    "waitid",
    "exit",
    "exit_group",
};

/* clone() may make processes and threads, but no namespaces. */
enum {
    CLONE_NAMESPACES = 0x7E020080, /* NEWTIME to NEWNS */
};

static bool add_special(scmp_filter_ctx f)
{
    int limits = seccomp_syscall_resolve_name("prlimit64");
    return seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                            SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_NAMESPACES, 0)) == 0 &&
           seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0 &&
           /* limits are asked, not changed, and only our own */
           seccomp_rule_add(f, SCMP_ACT_ALLOW, limits, 2, SCMP_A0(SCMP_CMP_EQ, 0),
                            SCMP_A2(SCMP_CMP_EQ, 0)) == 0 &&
           /* a helper dies with us: PR_SET_PDEATHSIG; threads have names */
           seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
                            SCMP_A0(SCMP_CMP_EQ, PR_SET_PDEATHSIG)) == 0 &&
           seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
                            SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME)) == 0 &&
           /* none but itself may be killed: a helper ends by its own alarm */
           seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                            SCMP_A1(SCMP_CMP_EQ, 0x5401 /* TCGETS: isatty() */)) == 0;
}

static bool filter_calls(struct buffer *errors)
{
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    bool good = f != NULL;
    for (size_t i = 0; good && i < countof(allowed); i++) {
        int number = seccomp_syscall_resolve_name(allowed[i]);
        if (number < 0)
            continue; /* not of this architecture */
        good = seccomp_rule_add(f, SCMP_ACT_ALLOW, number, 0) == 0;
    }
    good = good && add_special(f);
    errno = EINVAL;
    int error = good ? seccomp_load(f) : -EINVAL;
    if (f)
        seccomp_release(f);
    errno = -error;
    return error == 0 || fail_with(errors, "seccomp filter");
}

static bool bound(int what, uint64_t limit)
{
    struct rlimit r = {.rlim_cur = limit, .rlim_max = limit};
    return setrlimit((__rlimit_resource_t)what, &r) == 0;
}

bool sandbox_room(const struct sandbox_limits *l, struct buffer *errors)
{
    bool good = bound(RLIMIT_CORE, 0) && bound(RLIMIT_FSIZE, l->file_bytes) &&
                bound(RLIMIT_NOFILE, 128) && bound(RLIMIT_CPU, l->cpu_s) &&
                bound(RLIMIT_MEMLOCK, 0) && bound(RLIMIT_MSGQUEUE, 0);
    good = good && (BASE_SANITIZED || l->memory == 0 || bound(RLIMIT_AS, l->memory));
    return good ? filter_calls(errors) : fail_with(errors, "setrlimit");
}
