#include "tests/unit/harness.h"

#include "core/mail/body.h"

#define SMUGGLED                                                              \
    "mail FROM:<smuggled@int.example>\r\nrcpt TO:<x@ext.example>\r\ndata\r\n" \
    "Subject: SMUGGLED\r\n\r\nx\r\n.\r\n"
#define END "\r\n.\r\nQUIT\r\n"
#define X100                                             \
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" \
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X900 X100 X100 X100 X100 X100 X100 X100 X100 X100
#define X58  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X97  X58 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X98                                            \
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" \
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct {
    const char *name;
    struct str in;
    enum body_in_status want; /* at the end */
    struct str content;       /* if DONE */
} rows[] = {
    {"plain end", STR_INIT("hi" END), BODY_IN_DONE, STR_INIT("hi\r\n")},
    {"empty mail", STR_INIT(".\r\nQUIT\r\n"), BODY_IN_DONE, STR_INIT("")},
    {"empty line", STR_INIT("\r\n.\r\nQUIT\r\n"), BODY_IN_DONE, STR_INIT("\r\n")},
    {"stuffed dot", STR_INIT("..\r\n.\r\nQUIT\r\n"), BODY_IN_DONE, STR_INIT(".\r\n")},
    {"dots inside", STR_INIT("a.b.\r\n..c\r\n.d" END), BODY_IN_DONE,
     STR_INIT("a.b.\r\n.c\r\nd\r\n")},
    {"only dots", STR_INIT("..\r\n...\r\n....\r\n.\r\nQUIT\r\n"), BODY_IN_DONE,
     STR_INIT(".\r\n..\r\n...\r\n")},
    {"8-bit", STR_INIT("\xe3\x81\x82" END), BODY_IN_DONE, STR_INIT("\xe3\x81\x82\r\n")},
    {"controls are transparent", STR_INIT("\x01\x0b\x1b\x7f" END), BODY_IN_DONE,
     STR_INIT("\x01\x0b\x1b\x7f\r\n")},
    {"SMUG-01", STR_INIT("hi\n.\n" SMUGGLED "QUIT\r\n"), BODY_IN_BARE_LF, {NULL, 0}},
    {"SMUG-02", STR_INIT("hi\n.\r\n" SMUGGLED "QUIT\r\n"), BODY_IN_BARE_LF, {NULL, 0}},
    {"SMUG-03", STR_INIT("hi\n.\r" SMUGGLED "QUIT\r\n"), BODY_IN_BARE_LF, {NULL, 0}},
    {"SMUG-04", STR_INIT("hi\r.\n" SMUGGLED "QUIT\r\n"), BODY_IN_BARE_CR, {NULL, 0}},
    {"SMUG-05", STR_INIT("hi\r.\r" SMUGGLED "QUIT\r\n"), BODY_IN_BARE_CR, {NULL, 0}},
    {"SMUG-06", STR_INIT("hi\r.\r\n" SMUGGLED "QUIT\r\n"), BODY_IN_BARE_CR, {NULL, 0}},
    {"SMUG-07", STR_INIT("hi\r\n.\n" SMUGGLED "QUIT\r\n"), BODY_IN_BARE_LF, {NULL, 0}},
    {"SMUG-08", STR_INIT("hi\r\n.\r" SMUGGLED "QUIT\r\n"), BODY_IN_BARE_CR, {NULL, 0}},
    {"SMUG-09", STR_INIT("hi\r\n.\r\r\n" SMUGGLED "QUIT\r\n"), BODY_IN_BARE_CR, {NULL, 0}},
    {"SMUG-10", STR_INIT("hi\r\r\n.\r\r\n" SMUGGLED "QUIT\r\n"), BODY_IN_BARE_CR, {NULL, 0}},
    {"SMUG-11", STR_INIT("hi\r\n\0.\r\n" SMUGGLED "QUIT\r\n"), BODY_IN_NUL, {NULL, 0}},
    {"SMUG-12", STR_INIT("hi\r\n.\0\r\n" SMUGGLED "QUIT\r\n"), BODY_IN_NUL, {NULL, 0}},
    {"BOMB-01 998", STR_INIT(X900 X98 END), BODY_IN_DONE, STR_INIT(X900 X98 "\r\n")},
    {"BOMB-01 998 and its stuffed dot",
     STR_INIT("a\r\n.." X900 X98 END),
     BODY_IN_LINE_TOO_LONG,
     {NULL, 0}},
    {"BOMB-01 998 with its dot", STR_INIT("a\r\n.." X900 X97 END), BODY_IN_DONE,
     STR_INIT("a\r\n." X900 X97 "\r\n")},
    {"BOMB-01 999", STR_INIT("x" X900 X98 END), BODY_IN_LINE_TOO_LONG, {NULL, 0}},
    {"dots near the edges of blocks", STR_INIT(X58 "\r\n..\r\n" X58 "\r\n..y\r\n" X58 "\r\n.z" END),
     BODY_IN_DONE, STR_INIT(X58 "\r\n.\r\n" X58 "\r\n.y\r\n" X58 "\r\nz\r\n")},
};

/* Feeds all; the verdict at the end, or MORE. `left`: what came behind the end. */
static enum body_in_status drive(struct str whole, size_t split, struct buffer *content,
                                 struct str *left)
{
    struct body_in b;
    body_in_init(&b);
    struct str piece;
    enum body_in_status first = BODY_IN_MORE;
    for (size_t at = 0; harness_piece(whole, split, &at, &piece);) {
        struct buffer copy;
        buffer_init(&copy, 1 << 20);
        buffer_put(&copy, piece);
        struct str in = buffer_str(&copy), out;
        enum body_in_status status;
        while ((status = body_in_feed(&b, &in, &out)) != BODY_IN_MORE && !b.ended) {
            expect(first == BODY_IN_MORE, "something after a fault");
            if (status != BODY_IN_DATA)
                first = status;
            buffer_put(content, out);
        }
        /* `at` is where the piece ended */
        if (b.ended)
            *left = str_skip(whole, at - in.len);
        buffer_drop(&copy);
        expect(!b.ended || first == BODY_IN_MORE || first == status, "another verdict");
        if (b.ended)
            return status;
        expect(in.len == 0, "input left");
    }
    return BODY_IN_MORE;
}

static void test_in(void)
{
    for (size_t i = 0; i < countof(rows); i++)
        for (size_t split = 0; split <= rows[i].in.len; split++) {
            struct buffer content;
            buffer_init(&content, 1 << 20);
            struct str left = {"", 0};
            enum body_in_status got = drive(rows[i].in, split, &content, &left);
            expect(got == rows[i].want, "%s, split %zu: %u", rows[i].name, split, got);
            if (got == BODY_IN_DONE)
                expect_str(buffer_str(&content), rows[i].content, rows[i].name);
            /* SMUG-14: a fault makes no byte a command before the true end */
            expect(str_ends_nocase(left, STR("QUIT\r\n")), "%s, split %zu: left %.*s", rows[i].name,
                   split, STR_ARG(left));
            buffer_drop(&content);
        }
}

/* SMUG-13: CR last of one buffer, the rest in the next, at the sizes that buffers have. */
static void test_buffers(void)
{
    static const size_t sizes[] = {64, 4096, 8192, 16384};
    for (size_t i = 0; i < countof(sizes); i++) {
        struct buffer mail, content;
        buffer_init(&mail, 1 << 20);
        buffer_init(&content, 1 << 20);
        while (mail.len + 64 < sizes[i] - 1)
            buffer_puts(&mail, "a line of ordinary text\r\n");
        buffer_fill(&mail, 'x', sizes[i] - 1 - mail.len);
        buffer_puts(&mail, "\r\n.\r\n" SMUGGLED);
        struct str left = {"", 0};
        CU_ASSERT(drive(buffer_str(&mail), sizes[i], &content, &left) == BODY_IN_DONE);
        CU_ASSERT(content.len == sizes[i] + 1);
        CU_ASSERT(str_starts(left, STR("mail FROM")));
        buffer_drop(&content);
        buffer_drop(&mail);
    }
}

static const struct {
    const char *name;
    struct str in;
    bool ok;
    struct str want;
} out_rows[] = {
    {"SMUG-15 dots", STR_INIT(".\r\n..\r\n.foo\r\na.b\r\n"), true,
     STR_INIT("..\r\n...\r\n..foo\r\na.b\r\n.\r\n")},
    {"SMUG-15 an end inside", STR_INIT("a\r\n.\r\nMAIL\r\n"), true,
     STR_INIT("a\r\n..\r\nMAIL\r\n.\r\n")},
    {"empty", STR_INIT(""), true, STR_INIT(".\r\n")},
    {"no last CRLF", STR_INIT("a"), true, STR_INIT("a\r\n.\r\n")},
    {"a dot without CRLF", STR_INIT("a\r\n."), true, STR_INIT("a\r\n..\r\n.\r\n")},
    {"SMUG-15 bare CR", STR_INIT("a\rb\r\n"), false, STR_INIT("")},
    {"SMUG-15 bare CR last", STR_INIT("a\r"), false, STR_INIT("")},
    {"SMUG-15 bare LF", STR_INIT("a\n.\r\n"), false, STR_INIT("")},
    {"SMUG-15 NUL", STR_INIT("a\0\r\n"), false, STR_INIT("")},
    {"long", STR_INIT(X100 X58 "\r\n." X100), true, STR_INIT(X100 X58 "\r\n.." X100 "\r\n.\r\n")},
};

static void test_out(void)
{
    for (size_t i = 0; i < countof(out_rows); i++)
        for (size_t split = 0; split <= out_rows[i].in.len; split++) {
            struct body_out o;
            body_out_init(&o);
            struct buffer out;
            buffer_init(&out, 1 << 20);
            struct str piece;
            bool ok = true;
            for (size_t at = 0; ok && harness_piece(out_rows[i].in, split, &at, &piece);)
                ok = body_out_feed(&o, piece, &out);
            ok = ok && body_out_end(&o, &out);
            expect(ok == out_rows[i].ok, "%s, split %zu", out_rows[i].name, split);
            if (ok)
                expect_str(buffer_str(&out), out_rows[i].want, out_rows[i].name);
            expect(str_find_str(buffer_str(&out), STR("\n.\r\nM")) == SIZE_MAX, "%s smuggles",
                   out_rows[i].name);
            buffer_drop(&out);
        }
}

/* `in` in two chunks, the second from `at` on; the verdict at the end. */
static enum body_in_status chunked(struct str in, size_t at, struct buffer *content)
{
    struct body_chunk b;
    struct str run, parts[] = {str_head(in, at), str_skip(in, at)};
    body_chunk_init(&b);
    for (size_t i = 0; i < countof(parts); i++) {
        b.left = parts[i].len;
        enum body_in_status status;
        do {
            status = body_chunk_feed(&b, &parts[i], &run);
            buffer_put(content, run);
        } while (status != BODY_IN_DONE);
        expect(b.left == 0 && parts[i].len == 0, "chunk %zu of %zu is eaten", i, at);
    }
    enum body_in_status status = body_chunk_end(&b, &run);
    buffer_put(content, run);
    return status;
}

/* What is refused in DATA is refused in BDAT, wherever a chunk ends; all else is content. */
static void test_chunks(void)
{
    for (size_t i = 0; i < countof(rows); i++)
        for (size_t at = 0; at <= rows[i].in.len; at++) {
            struct buffer content;
            buffer_init(&content, 1 << 20);
            enum body_in_status status = chunked(rows[i].in, at, &content);
            bool refused = rows[i].want != BODY_IN_DONE && rows[i].want != BODY_IN_LINE_TOO_LONG;
            if (refused)
                expect(status == rows[i].want, "%s in BDAT, cut at %zu", rows[i].name, at);
            else if (status == BODY_IN_DONE)
                expect_str(buffer_str(&content), rows[i].in, rows[i].name);
            else
                expect(status == BODY_IN_LINE_TOO_LONG, "%s in BDAT", rows[i].name);
            buffer_drop(&content);
        }
}

static void test_chunk_ends(void)
{
    static const struct {
        const char *name;
        struct str in;
        enum body_in_status want;
        struct str content;
    } ends[] = {
        {"CRLF", STR_INIT("a\r\n"), BODY_IN_DONE, STR_INIT("a\r\n")},
        {"nothing", STR_INIT(""), BODY_IN_DONE, STR_INIT("")},
        {"no CRLF: it gets one", STR_INIT("a"), BODY_IN_DONE, STR_INIT("a\r\n")},
        {"a lone CR", STR_INIT("a\r"), BODY_IN_BARE_CR, {NULL, 0}},
        {"998 without CRLF", STR_INIT(X900 X98), BODY_IN_DONE, STR_INIT(X900 X98 "\r\n")},
        {"999 without CRLF", STR_INIT("x" X900 X98), BODY_IN_LINE_TOO_LONG, {NULL, 0}},
        {"dots", STR_INIT(".\r\n..\r\n"), BODY_IN_DONE, STR_INIT(".\r\n..\r\n")},
    };

    for (size_t i = 0; i < countof(ends); i++)
        for (size_t at = 0; at <= ends[i].in.len; at++) {
            struct buffer content;
            buffer_init(&content, 1 << 20);
            enum body_in_status status = chunked(ends[i].in, at, &content);
            expect(status == ends[i].want, "%s, cut at %zu", ends[i].name, at);
            if (status == BODY_IN_DONE)
                expect_str(buffer_str(&content), ends[i].content, ends[i].name);
            buffer_drop(&content);
        }
}

int main(void)
{
    const struct test tests[] = {
        {"SMUG-01 .. 14: whole and split", test_in},
        {"SMUG-13: buffers", test_buffers},
        {"SMUG-15: out", test_out},
        {"SMUG-01 .. 13 in BDAT: two chunks, cut at every byte", test_chunks},
        {"the end of a mail in chunks", test_chunk_ends},
        {NULL, NULL},
    };
    return harness_run("body", tests);
}
