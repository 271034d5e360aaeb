#include "core/base/log.h"

#include "core/base/counter.h"
#include "tests/unit/harness.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

static int pipe_fd[2];
static char text[1 << 20];

static void open_log(enum log_level least)
{
    expect(pipe2(pipe_fd, O_CLOEXEC | O_NONBLOCK) == 0, "pipe");
    log_open(pipe_fd[1], least);
}

static void close_log(void)
{
    log_flush();
    (void)close(pipe_fd[0]);
    (void)close(pipe_fd[1]);
}

static struct str read_log(void)
{
    size_t len = 0;
    ssize_t got;
    while (len < sizeof text && (got = read(pipe_fd[0], text + len, sizeof text - len)) > 0)
        len += (size_t)got;
    return str_from(text, len);
}

static size_t count_lines(struct str s)
{
    size_t lines = 0;
    for (size_t i = 0; i < s.len; i++)
        lines += s.at[i] == '\n';
    return lines;
}

/* As a reader of the log takes it apart: the next key, and its value as it stands there. */
static bool next_field(struct str *line, struct str *key, struct str *value)
{
    if (line->len == 0)
        return false;
    *key = str_cut(line, '=');
    bool quoted = str_starts(*line, STR("\""));
    if (quoted)
        *line = str_skip(*line, 1);
    *value = str_cut(line, quoted ? '"' : ' ');
    if (quoted)
        expect(line->len == 0 || str_cut(line, ' ').len == 0, "text behind a quoted value");
    return true;
}

/* Undoes \xNN. */
static struct str plain(struct str s, char *to)
{
    size_t len = 0;
    while (s.len) {
        unsigned byte = (uint8_t)s.at[0];
        bool escaped = str_starts(s, STR("\\x"));
        if (escaped)
            expect(sscanf(s.at + 2, "%2x", &byte) == 1, "escape");
        to[len++] = (char)byte;
        s = str_skip(s, escaped ? 4 : 1);
    }
    return str_from(to, len);
}

/* One event with `value` between two fields: exactly one line of exactly these fields. */
static void check_value(struct str value, const char *name)
{
    static const char *const keys[] = {"time", "level", "event", "before", "value", "behind"};
    char back[8192];
    log_info("probe", log_u64("before", 7), log_str("value", value), log_text("behind", "x"));
    log_flush();
    struct str line = read_log(), key, got;
    expect(count_lines(line) == 1 && line.at[line.len - 1] == '\n', "%s: one line", name);
    line.len -= line.len > 0;
    for (size_t i = 0; i < line.len; i++)
        expect(line.at[i] >= ' ' && line.at[i] < 0x7f, "%s: byte %02x", name, (uint8_t)line.at[i]);
    size_t n = 0;
    for (; next_field(&line, &key, &got); n++) {
        expect(n < countof(keys), "%s: a forged key", name);
        if (n >= countof(keys))
            return;
        expect_str(key, str_c(keys[n]), name);
        if (n == 4)
            expect_str(plain(got, back), value, name);
        if (n == 5)
            expect_str(got, STR("x"), name);
    }
    expect(n == countof(keys), "%s: %zu fields", name, n);
}

static const struct {
    const char *name;
    struct str value;
} value_rows[] = {
    {"INJ-05 control bytes and a forged line",
     STR_INIT("\"a\x1b[2J\r\n2026-01-01 INFO accepted\"@x")},
    {"INJ-05 a forged key", STR_INIT("a b level=error event=mail_lost")},
    {"INJ-05 a quote closed", STR_INIT("a\" event=\"b")},
    {"INJ-05 a backslash before the quote", STR_INIT("a b\\")},
    {"INJ-05 an escape written out", STR_INIT("\\x0a")},
    {"INJ-05 C1, line separator, bidi", STR_INIT("\x9b"
                                                 "2J\xc2\x85\xe2\x80\xa8\xe2\x80\xae")},
    {"INJ-05 NUL", STR_INIT("a\0b")},
    {"INJ-06 format", STR_INIT("%s%n%x")},
    {"INJ-06 format with blanks", STR_INIT("%s %n %1000000d %x\n")},
    {"empty", STR_INIT("")},
    {"an equals sign", STR_INIT("a=b")},
    {"address", STR_INIT("<a.b+c@d.example>")},
};

static void test_values(void)
{
    open_log(LOG_LEVEL_INFO);
    for (size_t i = 0; i < countof(value_rows); i++)
        check_value(value_rows[i].value, value_rows[i].name);
    close_log();
}

static void test_every_byte(void)
{
    open_log(LOG_LEVEL_INFO);
    for (unsigned byte = 0; byte < 256; byte++) {
        char value[5] = {'a', (char)byte, 'b', (char)byte, 0};
        char name[32];
        (void)snprintf(name, sizeof name, "INJ-05 byte %02x", byte);
        check_value(str_from(value, 4), name);
        check_value(str_from(value + 1, 1), name);
    }
    close_log();
}

static void test_form(void)
{
    open_log(LOG_LEVEL_INFO);
    log_info("mail_accepted", log_id("id", 33), log_str("from", STR("<a@b>")),
             log_u64("bytes", UINT64_MAX), log_text("note", "two words"), log_errno("why", -28),
             log_errno("why", 28), log_errno("why", 99999));
    log_flush();
    struct str line = read_log();
    expect(str_starts(line, STR("time=20")) && line.len > 29 && line.at[28] == 'Z', "time");
    expect_str(str_skip(line, 29),
               STR(" level=info event=mail_accepted id=0000000000011 from=<a@b>"
                   " bytes=18446744073709551615 note=\"two words\" why=ENOSPC why=ENOSPC"
                   " why=unknown\n"),
               "form");
    close_log();
}

/* A value of so many bytes is kept whole, or it is cut and says so. */
static void test_long(void)
{
    static const size_t lengths[] = {1000, 1024, 1025, 5000, 200000};
    static char value[200000];
    static const char fills[] = {'a', ' ', '\n'};
    open_log(LOG_LEVEL_INFO);
    for (size_t f = 0; f < countof(fills); f++)
        for (size_t i = 0; i < countof(lengths); i++) {
            memset(value, fills[f], sizeof value);
            log_info("long", log_str("value", str_from(value, lengths[i])), log_u64("n", 5));
            log_flush();
            struct str line = read_log();
            bool cut = str_find_str(line, STR("...\" n=5\n")) != SIZE_MAX;
            expect(count_lines(line) == 1 && line.len < 4096 + 100, "%zu bytes: %zu", lengths[i],
                   line.len);
            expect(str_ends_nocase(line, STR(" n=5\n")), "%zu bytes: the next field", lengths[i]);
            expect(cut == (lengths[i] > 1024), "%zu bytes of %02x: cut", lengths[i],
                   (unsigned)fills[f]);
        }
    close_log();
}

/* Long hostile values in many fields: a line that is too long for the buffer still is one line. */
static void test_many_long(void)
{
    static char value[2000];
    struct log_field fields[40];
    memset(value, '\n', sizeof value);
    open_log(LOG_LEVEL_INFO);
    for (size_t n = 1; n <= countof(fields); n++) {
        fields[n - 1] = log_str("value", str_from(value, sizeof value));
        log_write(LOG_LEVEL_INFO, "first", fields, n);
        log_info("second", log_u64("n", n));
        log_flush();
        struct str all = read_log();
        expect(count_lines(all) == 2, "%zu fields: %zu lines", n, count_lines(all));
        struct str first = str_cut(&all, '\n');
        size_t quotes = 0;
        for (size_t i = 0; i < first.len; i++)
            quotes += first.at[i] == '"';
        expect(quotes % 2 == 0, "%zu fields: an open quote", n);
        expect(str_find_str(all, STR("event=second")) != SIZE_MAX, "%zu fields: the next", n);
    }
    close_log();
}

/* Lines of all lengths, one behind the other in the buffer: none runs into the next. */
static void test_buffer_edge(void)
{
    static char value[1024];
    struct log_field fields[6];
    memset(value, '\n', sizeof value);
    open_log(LOG_LEVEL_INFO);
    for (size_t step = 1; step < 40; step++) {
        size_t wrote = 0, lines = 0, starts = 0;
        for (size_t i = 0; i < 60; i++, wrote++) {
            size_t n = 1 + i % countof(fields);
            for (size_t f = 0; f < n; f++)
                fields[f] = log_str("value", str_from(value, (step * 97 + i * 31) % 1024));
            log_write(LOG_LEVEL_INFO, "edge", fields, n);
            log_write(LOG_LEVEL_INFO, "short", fields, 0);
            wrote++;
            struct str got = read_log();
            lines += count_lines(got);
            for (struct str rest = got; rest.len; (void)str_cut(&rest, '\n'))
                starts += str_starts(rest, STR("time=20"));
        }
        log_flush();
        struct str got = read_log();
        lines += count_lines(got);
        for (struct str rest = got; rest.len; (void)str_cut(&rest, '\n'))
            starts += str_starts(rest, STR("time=20"));
        expect(lines == wrote && starts == wrote, "step %zu: %zu wrote, %zu lines, %zu starts",
               step, wrote, lines, starts);
    }
    close_log();
}

static void test_levels(void)
{
    static const char *const names[] = {"debug", "info", "warning", "error"};
    char want[32];
    for (int least = LOG_LEVEL_DEBUG; least <= LOG_LEVEL_ERROR; least++)
        for (int level = LOG_LEVEL_DEBUG; level <= LOG_LEVEL_ERROR; level++) {
            open_log((enum log_level)least);
            log_write((enum log_level)level, "e", NULL, 0);
            struct str now = read_log();
            expect(count_lines(now) == (level >= least && level >= LOG_LEVEL_WARNING),
                   "warnings do not wait: %s", names[level]);
            log_write((enum log_level)level, "e", NULL, 0);
            log_flush();
            struct str line = read_log();
            (void)snprintf(want, sizeof want, " level=%s ", names[level]);
            expect((str_find_str(line, str_c(want)) != SIZE_MAX) == (level >= least), "%s",
                   names[level]);
            close_log();
        }
}

/* A reader that does not read: nothing blocks, and the next line that gets out says how many lines
 * did not. */
static void test_dropped(void)
{
    static char filler[1 << 16];
    open_log(LOG_LEVEL_INFO);
    while (write(pipe_fd[1], filler, sizeof filler) > 0)
        ;
    while (write(pipe_fd[1], filler, 1) > 0)
        ;
    for (int i = 0; i < 3; i++) {
        log_info("lost", log_u64("n", 1));
        log_info("lost", log_u64("n", 2));
        log_flush();
    }
    (void)read_log();
    log_info("back", log_u64("n", 3));
    log_info("more", log_u64("n", 4));
    log_flush();
    struct str line = read_log();
    expect(str_ends_nocase(str_cut(&line, '\n'), STR("event=back n=3 dropped=6")), "counted once");
    expect(str_ends_nocase(str_cut(&line, '\n'), STR("event=more n=4")), "counted once");
    close_log();
}

/* A pipe with room for half of what is flushed: the half line is ended before the next begins. */
static void test_torn(void)
{
    static char value[1000];
    memset(value, 'v', sizeof value);
    open_log(LOG_LEVEL_INFO);
    int room = fcntl(pipe_fd[1], F_SETPIPE_SZ, 4096);
    expect(room == 4096, "pipe of %d bytes", room);
    for (int i = 0; i < 10; i++)
        log_info("torn", log_str("value", str_from(value, sizeof value)));
    log_flush();
    struct str before = read_log();
    size_t whole = count_lines(before);
    expect(before.len == 4096 && whole == 3, "%zu bytes, %zu lines", before.len, whole);
    for (int i = 0; i < 2; i++) { /* full again, with the end of the torn line still to write */
        char filler[4096] = {0};
        while (write(pipe_fd[1], filler, sizeof filler) > 0)
            ;
        log_flush();
        log_info("lost", log_u64("n", 2));
        log_flush();
        (void)read_log();
    }
    log_info("back", log_u64("n", 3));
    log_flush();
    for (int i = 0; i < 3; i++)
        log_flush(); /* nothing more to say */
    struct str all = read_log();
    expect(str_starts(all, STR("\ntime=")), "the torn line is ended");
    expect(str_ends_nocase(all, STR("event=back n=3 dropped=9\n")),
           "9 lines did not get out whole");
    close_log();
}

/* stderr as others leave it to us: a pipe, a terminal or journald's socket that would wait, with a
 * reader that does not read. Nothing waits, nobody else's descriptor changes, and the log says what
 * it lost as soon as it can, even when nobody has anything else to say. */
static void test_stuck(void)
{
    static char filler[4096];
    for (int socket = 0; socket < 2; socket++) {
        const char *name = socket ? "socket" : "pipe";
        int made = socket ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pipe_fd)
                          : pipe2(pipe_fd, O_CLOEXEC);
        expect(made == 0, "%s", name);
        uint64_t before = counter_read(COUNTER_log_lost);
        log_open(pipe_fd[1], LOG_LEVEL_INFO);
        (void)alarm(20); /* instead of waiting for ever */
        for (int i = 0; i < 2000; i++) {
            log_info("line", log_str("value", str_from(filler, 300)));
            log_flush();
        }
        for (int i = 0; i < 10; i++)
            log_flush(); /* tries to say it, and that is no further loss */
        expect(!(fcntl(pipe_fd[1], F_GETFL) & O_NONBLOCK), "%s: as it was", name);
        expect(!log_waiting(), "%s: a turn may sleep", name);
        uint64_t lost = counter_read(COUNTER_log_lost) - before;
        expect(lost > 1000 && lost < 2000, "%s: %d lines lost", name, (int)lost);
        (void)fcntl(pipe_fd[0], F_SETFL, O_NONBLOCK);
        size_t got = 0;
        bool said = false;
        char want[64];
        (void)snprintf(want, sizeof want, " level=warning event=log_lost dropped=%d", (int)lost);
        for (int i = 0; i < 2; i++, log_flush()) /* it may have fitted where no line did */
            for (struct str all = read_log(), line; all.len;) {
                line = str_cut(&all, '\n');
                got += str_find_str(line, STR(" event=line ")) != SIZE_MAX;
                said |= str_ends_nocase(line, str_c(want));
            }
        expect(got + lost == 2000, "%s: %d lines read, %d lost", name, (int)got, (int)lost);
        expect(said && read_log().len == 0, "%s: said once", name);
        (void)alarm(0);
        close_log();
    }
}

int main(void)
{
    const struct test tests[] = {
        {"INJ-05, INJ-06 values", test_values},
        {"INJ-05 every byte", test_every_byte},
        {"form", test_form},
        {"long values", test_long},
        {"many long values", test_many_long},
        {"the end of the buffer", test_buffer_edge},
        {"levels", test_levels},
        {"dropped", test_dropped},
        {"torn", test_torn},
        {"stuck", test_stuck},
        {0},
    };
    return harness_run("log", tests);
}
