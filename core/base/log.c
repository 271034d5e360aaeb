#include "core/base/log.h"

#include "core/base/clock.h"
#include "core/base/counter.h"
#include "core/base/id.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LINES_BYTES = 32 << 10,
    LINE_BYTES_MAX = 4096
};

static int log_fd = STDERR_FILENO, log_own = -1; /* log_own: ours to close */
static bool log_is_socket;
static atomic_int log_least = LOG_LEVEL_INFO;

static _Thread_local struct {
    char at[LINES_BYTES];
    size_t len;
    bool overflow;    /* something of the present field did not fit */
    bool torn;        /* a write ended within a line */
    uint64_t dropped; /* lines, since it was last told */
    size_t told;      /* where the line ends that tells; 0: none does yet */
} lines;

/* O_NONBLOCK belongs to the open file, which the shell that started us may share: another opening
 * of the same pipe or terminal is ours alone. */
static int without_waiting(int fd)
{
    char path[32];
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || flags & O_NONBLOCK)
        return fd;
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    log_own = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (log_own >= 0)
        return log_own;
    (void)fcntl(fd, F_SETFL, flags | O_NONBLOCK); /* of another user: better shared than stuck */
    return fd;
}

void log_open(int fd, enum log_level least)
{
    struct stat st;
    if (log_own >= 0)
        (void)close(log_own);
    log_own = -1;
    bool known = fstat(fd, &st) == 0;
    log_is_socket = known && S_ISSOCK(st.st_mode);
    log_fd = known && (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)) ? without_waiting(fd) : fd;
    log_level_set(least);
}

void log_level_set(enum log_level least)
{
    atomic_store_explicit(&log_least, (int)least, memory_order_relaxed);
}

struct log_field log_errno(const char *key, int error)
{
    const char *name = strerrorname_np(error < 0 ? -error : error);
    return log_text(key, name ? name : "unknown");
}

/* All or nothing; one byte stays for the end of the line. */
static void put(struct str s)
{
    if (s.len > sizeof lines.at - 1 - lines.len) {
        lines.overflow = true;
        return;
    }
    memcpy(lines.at + lines.len, s.at, s.len);
    lines.len += s.len;
}

static bool is_plain(char c)
{
    return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '=';
}

/* At most LINE_BYTES_MAX bytes of a value are kept, so that one field cannot fill the buffer. What
 * was cut says so, in quotes. */
static void put_value(struct str s)
{
    bool cut = s.len > LINE_BYTES_MAX / 4;
    bool plain = s.len > 0 && !cut;
    s = str_head(s, LINE_BYTES_MAX / 4);
    for (size_t i = 0; i < s.len; i++)
        plain = plain && is_plain(s.at[i]);
    if (plain) {
        put(s);
        return;
    }
    put(STR("\""));
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        char escaped[5];
        if (is_plain(c) || c == ' ' || c == '=') {
            put(str_from(&c, 1));
            continue;
        }
        int len = snprintf(escaped, sizeof escaped, "\\x%02x", (unsigned)(uint8_t)c);
        put(str_from(escaped, (size_t)len));
    }
    put(cut ? STR("...\"") : STR("\""));
}

static void put_content(const struct log_field *f)
{
    char number[24];
    switch (f->type) {
    case LOG_TYPE_STR:
        put_value(f->text);
        return;
    case LOG_TYPE_ID:
        put(str_c(id_text(f->number).at));
        return;
    case LOG_TYPE_U64:
        put(str_from(number, (size_t)snprintf(number, sizeof number, "%lu", f->number)));
        return;
    }
}

/* A field that does not fit whole is left out: half a quoted value would take the rest of the line
 * and the next one with it. */
static void put_field(const struct log_field *f)
{
    size_t before = lines.len;
    lines.overflow = false;
    put(STR(" "));
    put(str_c(f->key));
    put(STR("="));
    put_content(f);
    if (lines.overflow)
        lines.len = before;
}

static void put_line(enum log_level level, const char *event, const struct log_field *fields,
                     size_t count)
{
    static const char *const names[] = {"debug", "info", "warning", "error"};
    put(STR("time="));
    put(str_c(clock_stamp(clock_wall_ms()).at));
    put(STR(" level="));
    put(str_c(names[level]));
    put(STR(" event="));
    put(str_c(event));
    for (size_t i = 0; i < count; i++)
        put_field(&fields[i]);
    if (lines.dropped && !lines.told) {
        struct log_field dropped = log_u64("dropped", lines.dropped);
        put_field(&dropped);
        lines.told = lines.overflow ? 0 : lines.len + 1;
    }
    lines.at[lines.len++] = '\n';
}

void log_write(enum log_level level, const char *event, const struct log_field *fields,
               size_t count)
{
    if ((int)level < atomic_load_explicit(&log_least, memory_order_relaxed))
        return;
    size_t worst = 256 + count * (LINE_BYTES_MAX + 64);
    if (sizeof lines.at - lines.len < size_min(worst, sizeof lines.at / 2))
        log_flush();
    put_line(level, event, fields, count);
    if (level >= LOG_LEVEL_WARNING)
        log_flush();
}

static uint64_t count_lines(struct str s)
{
    uint64_t count = 0;
    for (; s.len; count++)
        (void)str_cut(&s, '\n');
    return count;
}

/* The end of a torn line waits for whatever comes next. */
bool log_waiting(void)
{
    return lines.len > lines.torn;
}

static void flush(uint64_t not_lines)
{
    /* journald's socket takes no O_NONBLOCK of ours alone, but a flag for each call */
    ssize_t wrote = log_is_socket ? send(log_fd, lines.at, lines.len, MSG_DONTWAIT | MSG_NOSIGNAL)
                                  : write(log_fd, lines.at, lines.len);
    size_t out = wrote > 0 ? (size_t)wrote : 0;
    size_t lead = lines.torn; /* the end of the torn line is not a line */
    struct str all = str_from(lines.at, lines.len);
    if (lines.told && out >= lines.told)
        lines.dropped = 0;
    lines.told = 0;
    uint64_t lost = count_lines(str_skip(all, out > lead ? out : lead));
    lost -= u64_min(lost, not_lines);
    lines.dropped += lost;
    if (lost)
        count_by(log_lost, lost);
    if (out)
        lines.torn = lines.at[out - 1] != '\n';
    lines.len = 0;
    if (lines.torn) /* so that the next line begins at a start */
        lines.at[lines.len++] = '\n';
}

void log_flush(void)
{
    if (log_waiting()) {
        flush(0);
    } else if (lines.dropped) { /* nobody else says it, and our own line is no loss */
        put_line(LOG_LEVEL_WARNING, "log_lost", NULL, 0);
        flush(1);
    }
}
