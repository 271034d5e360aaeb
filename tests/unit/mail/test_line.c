#include "tests/unit/harness.h"

#include "core/mail/line.h"

/* What came of a stream, one letter an event: "[text]" a line, T L C N the faults. */
static void drive(struct str whole, size_t split, size_t max, struct buffer *seen)
{
    static const char letter[] = {'?', '?', 'T', 'L', 'C', 'N', 'M'};
    struct line l;
    line_init(&l, max);
    struct str piece;
    for (size_t at = 0; harness_piece(whole, split, &at, &piece);) {
        /* a copy of its own, so that reading outside the piece is seen by ASan */
        struct buffer copy;
        buffer_init(&copy, 1 << 20);
        buffer_put(&copy, piece);
        struct str in = buffer_str(&copy), out;
        enum line_status status;
        while ((status = line_feed(&l, &in, &out)) != LINE_MORE) {
            if (status == LINE_DONE)
                buffer_printf(seen, "[%.*s]", STR_ARG(out));
            else
                buffer_putc(seen, letter[status]);
        }
        CU_ASSERT(in.len == 0);
        buffer_drop(&copy);
    }
    line_drop(&l);
}

static const struct {
    const char *name;
    struct str in;
    const char *want;
} rows[] = {
    {"one", STR_INIT("NOOP\r\n"), "[NOOP]"},
    {"pipelined", STR_INIT("MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n"),
     "[MAIL FROM:<>][RCPT TO:<a@b>][DATA]"},
    {"empty", STR_INIT("\r\nNOOP\r\n"), "[][NOOP]"},
    {"unfinished", STR_INIT("NOOP\r\nQUI"), "[NOOP]"},
    {"SMUG-19 bare LF", STR_INIT("MAIL FROM:<a@int.example>\nRCPT TO:<b@x>\r\nNOOP\r\n"),
     "L[NOOP]"},
    {"SMUG-20 bare CR", STR_INIT("MAIL FROM:<a@i>\rRCPT TO:<b@x>\r\nNOOP\r\n"), "C[NOOP]"},
    {"CR CR LF", STR_INIT("NOOP\r\r\nQUIT\r\n"), "C[QUIT]"},
    {"LF first", STR_INIT("\nNOOP\r\nQUIT\r\n"), "L[QUIT]"},
    {"LF CR", STR_INIT("NOOP\n\rRSET\r\nQUIT\r\n"), "L[QUIT]"},
    {"two faults in a line are one", STR_INIT("a\nb\rc\0d\r\nQUIT\r\n"), "L[QUIT]"},
    {"NUL", STR_INIT("NO\0OP\r\nQUIT\r\n"), "N[QUIT]"},
    {"NUL after CR", STR_INIT("NOOP\r\0\nQUIT\r\nRSET\r\n"), "C[RSET]"},
    {"18 bytes", STR_INIT("1234567890123456\r\nQUIT\r\n"), "[1234567890123456][QUIT]"},
    {"19 bytes", STR_INIT("12345678901234567\r\nQUIT\r\n"), "T[QUIT]"},
    {"long", STR_INIT("123456789012345678901234567890\r\nQUIT\r\n"), "T[QUIT]"},
    {"long and bare LF", STR_INIT("1234567890123456789\n01234567890\r\nQUIT\r\n"), "L[QUIT]"},
    {"8-bit is the parser's matter", STR_INIT("\xe3\x81\x82\r\n"), "[\xe3\x81\x82]"},
};

static void test_rows(void)
{
    for (size_t i = 0; i < countof(rows); i++)
        for (size_t split = 0; split <= rows[i].in.len; split++) {
            struct buffer seen;
            buffer_init(&seen, 4096);
            bool small = strstr(rows[i].name, "bytes") || strstr(rows[i].name, "long");
            drive(rows[i].in, split, small ? 18 : LIMIT_COMMAND_BYTES, &seen);
            expect(str_eq(buffer_str(&seen), str_c(rows[i].want)), "%s, split %zu: %.*s",
                   rows[i].name, split, STR_ARG(buffer_str(&seen)));
            buffer_drop(&seen);
        }
}

static void test_no_copy(void)
{
    struct line l;
    line_init(&l, LIMIT_COMMAND_BYTES);
    struct str whole = STR("NOOP\r\nQUIT\r\n"), in = whole, out;
    CU_ASSERT(line_feed(&l, &in, &out) == LINE_DONE);
    CU_ASSERT(out.at == whole.at && l.kept.room == 0);
    CU_ASSERT(in.at == whole.at + 6);
    line_drop(&l);
}

/* BOMB-02: a megabyte without an end keeps no more than the limit. */
static void test_bomb(void)
{
    struct line l;
    line_init(&l, LIMIT_COMMAND_BYTES);
    struct buffer big;
    buffer_init(&big, 1 << 20);
    buffer_fill(&big, 'x', 1 << 20);
    struct str in = buffer_str(&big), out;
    CU_ASSERT(line_feed(&l, &in, &out) == LINE_MORE);
    CU_ASSERT(l.kept.room <= LIMIT_COMMAND_BYTES);
    in = STR("\r\n");
    CU_ASSERT(line_feed(&l, &in, &out) == LINE_TOO_LONG);
    line_set_max(&l, LIMIT_AUTH_BYTES);
    in = str_head(buffer_str(&big), LIMIT_AUTH_BYTES - 2);
    CU_ASSERT(line_feed(&l, &in, &out) == LINE_MORE);
    in = STR("\r\n");
    CU_ASSERT(line_feed(&l, &in, &out) == LINE_DONE && out.len == LIMIT_AUTH_BYTES - 2);
    buffer_drop(&big);
    line_drop(&l);
}

int main(void)
{
    const struct test tests[] = {
        {"SMUG-19, 20: whole and split", test_rows},
        {"a whole line is not copied", test_no_copy},
        {"BOMB-02", test_bomb},
        {NULL, NULL},
    };
    return harness_run("line", tests);
}
