/* match_compile.c -- compiles one organisation's patterns, in a process that cannot do more.
 *
 *     sekimori-match-compile CPU_SECONDS MEMORY_MIB WALL_SECONDS < source > report
 *
 * The gateway starts it (core/coordinator/compiler.h); source and report are those of
 * core/policy/match_build.h and match_report.h. A pattern may take any time and memory to compile
 * (DOS-07): here it takes what the arguments say, at low priority, without files, network
 * or other processes. Killed at any time, nothing is lost but this attempt.
 */
#include "core/base/base.h"
#include "core/base/str.h"
#include "core/policy/match_report.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    LEAST_ROOM = 64 << 10,
};

static bool write_all(struct str s)
{
    while (s.len) {
        ssize_t n = write(STDOUT_FILENO, s.at, s.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        s = str_skip(s, (size_t)n);
    }
    return true;
}

/* Nobody listens any more: there is nothing left to do. */
static void say(char kind, uint32_t number, struct str bytes)
{
    struct buffer frame;
    buffer_init(&frame, bytes.len + 16);
    match_report_put(&frame, kind, number, bytes);
    if (frame.full || !write_all(buffer_str(&frame)))
        _exit(3);
    buffer_drop(&frame);
}

static void on_checking(void *owner, uint32_t pattern)
{
    (void)owner;
    say('C', pattern, STR(""));
}

static void on_refused(void *owner, uint32_t pattern, const char *reason)
{
    (void)owner;
    say('R', pattern, str_c(reason));
}

static bool read_all(struct buffer *source)
{
    for (;;) {
        char *to = buffer_reserve(source, LEAST_ROOM);
        if (!to)
            return false;
        ssize_t n = read(STDIN_FILENO, to, LEAST_ROOM);
        if (n == 0)
            return true;
        if (n > 0)
            buffer_added(source, (size_t)n);
        else if (errno != EINTR)
            return false;
    }
}

static bool bound(int resource, uint64_t most)
{
    const struct rlimit limit = {most, most};
    return setrlimit((__rlimit_resource_t)resource, &limit) == 0;
}

static bool take_limits(uint64_t cpu_s, uint64_t memory_mib, uint64_t wall_s)
{
    if (!bound(RLIMIT_CPU, cpu_s) || !bound(RLIMIT_CORE, 0) || !bound(RLIMIT_FSIZE, 0))
        return false;
    if (!BASE_SANITIZED && !bound(RLIMIT_AS, memory_mib << 20))
        return false;
    (void)alarm((unsigned)wall_s); /* the gateway may be gone */
    return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

/* Memory, the two pipes, and an end: everything else ends the process. */
static bool seal_off(void)
{
#define ALLOW(call)                                         \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##call, 0, 1), \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(read),
        ALLOW(write),
        ALLOW(mmap),
        ALLOW(munmap),
        ALLOW(mremap),
        ALLOW(mprotect),
        ALLOW(madvise),
        ALLOW(brk),
        ALLOW(futex),
        ALLOW(getrandom),
        ALLOW(rt_sigreturn),
        ALLOW(rt_sigprocmask),
        ALLOW(getpid),
        ALLOW(gettid),
        ALLOW(tgkill),
        ALLOW(clock_gettime),
        ALLOW(exit),
        ALLOW(exit_group),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
#undef ALLOW
    const struct sock_fprog program = {.len = countof(rules), .filter = rules};
    return BASE_SANITIZED || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

static bool take_number(const char *text, uint64_t max, uint64_t *out)
{
    return text && str_number(str_c(text), max, out) && *out;
}

int main(int argc, char **argv)
{
    uint64_t cpu_s, memory_mib, wall_s;
    if (argc != 4 || !take_number(argv[1], 86400, &cpu_s) ||
        !take_number(argv[2], 1 << 20, &memory_mib) || !take_number(argv[3], 86400, &wall_s)) {
        (void)fputs("usage: sekimori-match-compile CPU_SECONDS MEMORY_MIB WALL_SECONDS\n"
                    "Reads patterns and writes their database; sekimori starts it by itself.\n",
                    stderr);
        return 2;
    }
    (void)close_range(STDERR_FILENO + 1, ~0U, 0);
    (void)setpriority(PRIO_PROCESS, 0, 10);
    (void)sched_setscheduler(0, SCHED_BATCH, &(const struct sched_param){.sched_priority = 0});
    struct buffer source, file, reason;
    buffer_init(&source, LIMIT_PATTERN_SOURCE_BYTES + LEAST_ROOM);
    buffer_init(&file, LIMIT_MATCH_FILE_BYTES);
    buffer_init(&reason, REPORT_REASON_BYTES);
    if (!take_limits(cpu_s, memory_mib, wall_s) || !seal_off()) {
        say('U', 0, STR("the compiling process could not be bounded"));
        say('E', 0, STR(""));
        return 1;
    }
    const struct match_observer observer = {NULL, on_checking, on_refused};
    if (!read_all(&source))
        say('U', 0, STR("the patterns could not be read"));
    else if (match_compile(buffer_str(&source), &observer, &file, &reason) == MATCH_BUILT)
        say('F', 0, buffer_str(&file));
    else
        say('U', 0, buffer_str(&reason));
    say('E', 0, STR(""));
    _exit(0);
}
