#include "tests/unit/harness.h"

#include "core/base/limit.h"
#include "core/mail/header.h"

static enum header_status drive(struct header *h, struct str whole, size_t split)
{
    header_init(h);
    struct str piece;
    enum header_status status = HEADER_MORE;
    for (size_t at = 0; status == HEADER_MORE && harness_piece(whole, split, &at, &piece);)
        status = header_feed(h, piece);
    return status == HEADER_MORE ? header_finish(h) : status;
}

/* "Name=value;Name=value;" */
static void describe(const struct header *h, struct buffer *out)
{
    for (uint32_t i = 0; i < h->count; i++) {
        const struct header_field *f = header_fields(h) + i;
        buffer_put(out, header_name(h, f));
        buffer_putc(out, '=');
        buffer_put(out, header_value(h, f));
        buffer_putc(out, ';');
    }
}

static const struct {
    const char *name;
    struct str in;
    const char *fields;
    const char *body;
    unsigned odd;
} rows[] = {
    {"plain", STR_INIT("A: 1\r\nB:2\r\n\r\nbody\r\n"), "A=1;B=2;", "body\r\n", 0},
    {"folded", STR_INIT("A: 1\r\n\t2\r\n 3\r\nB: 4\r\n\r\n"), "A=1\r\n\t2\r\n 3;B=4;", "", 0},
    {"empty value", STR_INIT("A:\r\nB: \r\n\r\n\r\n"), "A=;B=;", "\r\n", 0},
    {"no body", STR_INIT("A: 1\r\n"), "A=1;", "", 0},
    {"nothing", STR_INIT(""), "", "", 0},
    {"cut in a line", STR_INIT("A: 1\r\nB: 2"), "A=1;B=2;", "", HEADER_ODD_UNFINISHED},
    {"cut in CRLF", STR_INIT("A: 1\r\n\r"), "A=1;", "\r", HEADER_ODD_UNFINISHED | HEADER_ODD_LINE},
    {"body looks like a header", STR_INIT("A: 1\r\n\r\nB: 2\r\n\r\n"), "A=1;", "B: 2\r\n\r\n", 0},
    {"colon in the value", STR_INIT("A: b:c\r\n\r\n"), "A=b:c;", "", 0},
    {"REL-04 blank before the colon", STR_INIT("From : x\r\n\r\n"), "From=x;", "",
     HEADER_ODD_COLON},
    {"REL-04 colon on the next line", STR_INIT("From\r\n : x\r\n\r\n"), "", "From\r\n : x\r\n\r\n",
     HEADER_ODD_LINE},
    {"no colon", STR_INIT("A: 1\r\nhello\r\n\r\nx"), "A=1;", "hello\r\n\r\nx", HEADER_ODD_LINE},
    {"no name", STR_INIT("A: 1\r\n: x\r\n\r\n"), "A=1;", ": x\r\n\r\n", HEADER_ODD_LINE},
    {"8-bit name", STR_INIT("A: 1\r\nB\xc3\xa9: x\r\n\r\n"), "A=1;", "B\xc3\xa9: x\r\n\r\n",
     HEADER_ODD_LINE},
    {"SMUG-16 CR CR LF", STR_INIT("A: 1\r\n\r\r\nx\r\n"), "A=1;", "\r\r\nx\r\n", HEADER_ODD_LINE},
    {"SMUG-16 blank line", STR_INIT("A: 1\r\n \r\nB: 2\r\n\r\nx"), "A=1;B=2;", "x",
     HEADER_ODD_BLANK},
    {"SMUG-16 tab line", STR_INIT("A: 1\r\n\t\r\n\r\nx"), "A=1;", "x", HEADER_ODD_BLANK},
    {"SMUG-16 NUL line", STR_INIT("A: 1\r\n\0\r\n\r\nx"), "A=1;", NULL, HEADER_ODD_LINE},
    {"SMUG-16 bare LF LF", STR_INIT("A: 1\n\nB: 2\r\n\r\nx"), "A=1\n\nB: 2;", "x", HEADER_ODD_BYTE},
    {"SMUG-17 From_", STR_INIT("From a@b Mon\r\nA: 1\r\n\r\nx"), "A=1;", "x", HEADER_ODD_FROM_LINE},
    {"SMUG-17 From_ later", STR_INIT("A: 1\r\nFrom a@b Mon\r\n\r\nx"), "A=1;",
     "From a@b Mon\r\n\r\nx", HEADER_ODD_LINE},
    {"SMUG-17 empty first line", STR_INIT("\r\nA: 1\r\n\r\n"), "", "A: 1\r\n\r\n",
     HEADER_ODD_START},
    {"SMUG-17 blank first", STR_INIT(" A: 1\r\n\r\n"), "", " A: 1\r\n\r\n", HEADER_ODD_START},
    {"SMUG-17 dot first", STR_INIT(".\r\nA: 1\r\n"), "", ".\r\nA: 1\r\n", HEADER_ODD_LINE},
};

static void test_rows(void)
{
    for (size_t i = 0; i < countof(rows); i++)
        for (size_t split = 0; split <= rows[i].in.len; split++) {
            struct header h;
            enum header_status status = drive(&h, rows[i].in, split);
            struct buffer seen;
            buffer_init(&seen, 4096);
            expect(status == HEADER_DONE, "%s, split %zu", rows[i].name, split);
            describe(&h, &seen);
            expect_str(buffer_str(&seen), str_c(rows[i].fields), rows[i].name);
            if (rows[i].body)
                expect_str(str_skip(rows[i].in, h.body), str_c(rows[i].body), rows[i].name);
            expect(h.odd == rows[i].odd, "%s, split %zu: odd %x", rows[i].name, split, h.odd);
            buffer_drop(&seen);
            header_drop(&h);
        }
}

static const struct {
    const char *name, *in, *want; /* from date id received auto [subject] [id] (cut texts) */
} fact_rows[] = {
    {"plain",
     "Received: a\r\nReceived: b\r\nFrom: a@b\r\nDate: x\r\nMessage-ID: <1@x>\r\n"
     "Subject: =?utf-8?q?a?=\r\n\r\n",
     "1 1 1 2 0 [=?utf-8?q?a?=] [<1@x>] "},
    {"two From", "From: a\r\nfrom: b\r\n\r\n", "2 0 0 0 0 [] [] "},
    {"ADDR-21 Bcc", "To: x\r\nBcc: a@b,\r\n c@d\r\nSubject: s\r\nResent-BCC: e@f\r\n\r\n",
     "0 0 0 0 0 [s] [] (Bcc: a@b,\r\n c@d\r\n)(Resent-BCC: e@f\r\n)"},
    {"SMUG-17 From_ is cut", "From a@b\r\nBcc: c\r\n\r\n",
     "0 0 0 0 0 [] [] (From a@b\r\n)(Bcc: c\r\n)"},
    {"REL-09 auto-generated", "Auto-Submitted: auto-generated\r\n\r\n", "0 0 0 0 1 [] [] "},
    {"REL-09 no", "Auto-Submitted: No\r\n\r\n", "0 0 0 0 0 [] [] "},
    {"REL-09 no, comment", "Auto-Submitted: no (not so)\r\n\r\n", "0 0 0 0 0 [] [] "},
    {"REL-09 bulk", "Precedence: Bulk\r\n\r\n", "0 0 0 0 1 [] [] "},
    {"REL-09 first-class", "Precedence: first-class\r\n\r\n", "0 0 0 0 0 [] [] "},
    {"REL-09 list", "List-Id: <a.b>\r\n\r\n", "0 0 0 0 1 [] [] "},
    {"INJ-01 Message-ID with blanks", "Message-ID: <a\r\n b@c>\r\n\r\n", "0 0 1 0 0 [] [] "},
    {"two Message-IDs", "Message-ID: <a@b> <c@d>\r\n\r\n", "0 0 1 0 0 [] [] "},
};

static void test_facts(void)
{
    for (size_t i = 0; i < countof(fact_rows); i++) {
        struct header h;
        struct arena arena;
        struct header_facts f;
        struct buffer seen;
        buffer_init(&seen, 4096);
        arena_init(&arena, 64 << 10);
        CU_ASSERT(drive(&h, str_c(fact_rows[i].in), 0) == HEADER_DONE);
        CU_ASSERT(header_read_facts(&h, &arena, &f));
        buffer_printf(&seen, "%u %u %u %u %d [%.*s] [%.*s] ", f.from, f.date, f.message_id_count,
                      f.received, f.is_auto, STR_ARG(f.subject), STR_ARG(f.message_id));
        for (uint32_t k = 0; k < f.cut_count; k++)
            buffer_printf(&seen, "(%.*s)", (int)f.cuts[k].length,
                          fact_rows[i].in + f.cuts[k].offset);
        expect_str(buffer_str(&seen), str_c(fact_rows[i].want), fact_rows[i].name);
        buffer_drop(&seen);
        arena_drop(&arena);
        header_drop(&h);
    }
}

/* BOMB-04 */
static void test_bounds(void)
{
    struct header h;
    struct buffer big;
    buffer_init(&big, 4 << 20);
    buffer_puts(&big, "A: ");
    buffer_fill(&big, 'x', LIMIT_HEADER_BYTES);
    CU_ASSERT(drive(&h, buffer_str(&big), 4096) == HEADER_TOO_BIG);
    CU_ASSERT(h.bytes.room <= LIMIT_HEADER_BYTES);
    header_drop(&h);

    buffer_clear(&big);
    for (int i = 0; i <= LIMIT_HEADER_FIELDS; i++)
        buffer_puts(&big, "A: 1\r\n");
    buffer_puts(&big, "\r\n");
    CU_ASSERT(drive(&h, buffer_str(&big), 0) == HEADER_TOO_MANY);
    header_drop(&h);
    CU_ASSERT(drive(&h, str_skip(buffer_str(&big), 6), 0) == HEADER_DONE);
    CU_ASSERT(h.count == LIMIT_HEADER_FIELDS);
    header_drop(&h);

    /* exactly the limit, and a body behind it */
    buffer_clear(&big);
    buffer_puts(&big, "A: ");
    while (big.len < LIMIT_HEADER_BYTES - 4)
        buffer_putc(&big, 'x');
    buffer_puts(&big, "\r\n\r\nbody");
    CU_ASSERT(drive(&h, buffer_str(&big), 0) == HEADER_DONE && h.body == LIMIT_HEADER_BYTES);
    header_drop(&h);
    buffer_drop(&big);
}

int main(void)
{
    const struct test tests[] = {
        {"SMUG-16, 17: whole and split", test_rows},
        {"facts", test_facts},
        {"BOMB-04", test_bounds},
        {NULL, NULL},
    };
    return harness_run("header", tests);
}
