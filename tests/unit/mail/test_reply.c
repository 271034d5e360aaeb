#include "core/mail/utf8.h"
#include "tests/unit/harness.h"

#include "core/mail/reply.h"

/* A conversation as "code enhanced|text;", "+" for a line that goes on, "!" for a protocol error.
 * */
static void drive(struct str whole, size_t split, struct buffer *seen)
{
    struct reply_parser p;
    reply_parser_init(&p);
    struct str piece;
    for (size_t at = 0; harness_piece(whole, split, &at, &piece);) {
        struct str in = piece;
        enum reply_status status;
        while ((status = reply_parser_feed(&p, &in)) != REPLY_MORE) {
            if (status == REPLY_BAD) {
                buffer_puts(seen, "!");
                return;
            }
            if (status == REPLY_LINE) {
                buffer_puts(seen, "+");
                continue;
            }
            buffer_printf(seen, "%u ", p.seen.code);
            reply_seen_write_enhanced(&p.seen, seen);
            buffer_printf(seen, "|%.*s;", STR_ARG(reply_seen_text(&p.seen)));
        }
    }
}

static const struct {
    const char *name;
    struct str in;
    const char *want;
} rows[] = {
    {"plain", STR_INIT("250 ok\r\n"), "250 2.0.0|ok;"},
    {"code only", STR_INIT("250\r\n"), "250 2.0.0|;"},
    {"code and blank", STR_INIT("250 \r\n"), "250 2.0.0|;"},
    {"enhanced", STR_INIT("550 5.1.1 no such user\r\n"), "550 5.1.1|no such user;"},
    {"enhanced alone", STR_INIT("550 5.1.10\r\n"), "550 5.1.10|;"},
    {"enhanced of another class", STR_INIT("550 4.1.1 hm\r\n"), "550 5.0.0|4.1.1 hm;"},
    {"lines", STR_INIT("250-a.example\r\n250-SIZE 100\r\n250 8BITMIME\r\n"),
     "++250 2.0.0|a.example SIZE 100 8BITMIME;"},
    {"enhanced on every line", STR_INIT("550-5.7.1 no\r\n550 5.7.1 go away\r\n"),
     "+550 5.7.1|no go away;"},
    {"an address is no code", STR_INIT("220 192.0.2.1 ESMTP\r\n"), "220 2.0.0|192.0.2.1 ESMTP;"},
    {"SMUG-22 two replies", STR_INIT("250 ok\r\n354 go\r\n"), "250 2.0.0|ok;354 3.0.0|go;"},
    {"SMUG-22 differing codes", STR_INIT("250-ok\r\n354 go\r\n"), "+!"},
    {"SMUG-22 bare LF", STR_INIT("250 ok\n"), "!"},
    {"SMUG-22 bare CR", STR_INIT("250 ok\rx\r\n"), "!"},
    {"SMUG-22 NUL", STR_INIT("250 o\0k\r\n"), "!"},
    {"no code", STR_INIT("hello\r\n"), "!"},
    {"code of class 6", STR_INIT("650 x\r\n"), "!"},
    {"code of class 1", STR_INIT("150 x\r\n"), "!"},
    {"code of four digits", STR_INIT("2500 x\r\n"), "!"},
    {"empty line", STR_INIT("\r\n"), "!"},
    {"OUT-17 hostile text", STR_INIT("550 \x1b[2J<b>\xe3\x81\x82 %s\t\\\r\n"),
     "550 5.0.0|\\x1b[2J<b>\\xe3\\x81\\x82 %s\\x09\\;"},
};

static void test_rows(void)
{
    for (size_t i = 0; i < countof(rows); i++)
        for (size_t split = 0; split <= rows[i].in.len; split++) {
            struct buffer seen;
            buffer_init(&seen, 4096);
            drive(rows[i].in, split, &seen);
            expect(str_eq(buffer_str(&seen), str_c(rows[i].want)), "%s, split %zu: %.*s",
                   rows[i].name, split, STR_ARG(buffer_str(&seen)));
            buffer_drop(&seen);
        }
}

static void test_bounds(void)
{
    struct buffer big, seen;
    buffer_init(&big, 1 << 20);
    buffer_init(&seen, 4096);
    buffer_puts(&big, "250 ");
    buffer_fill(&big, 'x', LIMIT_REPLY_LINE_BYTES - 6);
    buffer_puts(&big, "\r\n");
    drive(buffer_str(&big), 0, &seen);
    expect(seen.len == strlen("250 2.0.0|;") + REPLY_TEXT_BYTES, "512 bytes: %zu", seen.len);

    buffer_clear(&big);
    buffer_clear(&seen);
    buffer_puts(&big, "250 ");
    buffer_fill(&big, 'x', LIMIT_REPLY_LINE_BYTES - 5);
    buffer_puts(&big, "\r\n");
    drive(buffer_str(&big), 0, &seen);
    expect_str(buffer_str(&seen), STR("!"), "513 bytes");

    buffer_clear(&big);
    buffer_clear(&seen);
    for (int i = 0; i < LIMIT_REPLY_LINES; i++)
        buffer_puts(&big, "250-x\r\n");
    buffer_puts(&big, "250 x\r\n");
    drive(buffer_str(&big), 0, &seen);
    expect(str_find(buffer_str(&seen), '!') == LIMIT_REPLY_LINES, "SMUG-22 endless reply");

    /* what does not fit ends the text: a later line must not look as if it followed */
    buffer_clear(&big);
    buffer_clear(&seen);
    buffer_puts(&big, "550-");
    buffer_fill(&big, 'x', REPLY_TEXT_BYTES - 3);
    buffer_puts(&big, "\x80 you may\r\n550 not\r\n");
    drive(buffer_str(&big), 0, &seen);
    buffer_clear(&big);
    buffer_puts(&big, "+550 5.0.0|");
    buffer_fill(&big, 'x', REPLY_TEXT_BYTES - 3);
    buffer_puts(&big, ";");
    expect_str(buffer_str(&seen), buffer_str(&big), "a line behind the cut");
    buffer_drop(&big);
    buffer_drop(&seen);
}

static void test_ours(void)
{
    struct buffer out;
    buffer_init(&out, 1 << 20);
    reply_write(REPLY_250_RECIPIENT, &out);
    reply_write(REPLY_354_DATA, &out);
    reply_write_text(REPLY_250_ACCEPTED, STR("as \r\n250 \x80"), &out);
    expect_str(buffer_str(&out),
               STR("250 2.1.5 Recipient OK\r\n354 Send the mail, end with <CRLF>.<CRLF>\r\n"
                   "250 2.6.0 as ??250 ?\r\n"),
               "ours");
    buffer_clear(&out);
    reply_write_text(REPLY_550_POLICY, STR("\xe6\xa5\xad\xc2\x85\xe6\xa5\n"), &out);
    expect_str(buffer_str(&out), STR("550 5.7.1 \xe6\xa5\xad????\r\n"),
               "Japanese, and what is none");
    buffer_clear(&out);
    struct buffer big;
    buffer_init(&big, 1 << 20);
    for (int i = 0; i < 400; i++)
        buffer_puts(&big, "\xe6\xa5\xad");
    reply_write_text(REPLY_550_POLICY, buffer_str(&big), &out);
    expect(out.len <= LIMIT_REPLY_LINE_BYTES && utf8_is_valid(buffer_str(&out)), "cut: %zu",
           out.len);
    buffer_drop(&big);
    /* each of ours is one that our own reader takes, with the class its code has */
    for (unsigned i = 0; i < REPLIES; i++) {
        struct reply_parser p;
        reply_parser_init(&p);
        buffer_clear(&out);
        reply_write((enum reply)i, &out);
        struct str in = buffer_str(&out);
        expect(reply_parser_feed(&p, &in) == REPLY_DONE && in.len == 0, "reply %u", i);
        struct str enhanced = reply_enhanced((enum reply)i);
        expect(enhanced.len == 0 || p.seen.enhanced[0] == p.seen.code / 100, "reply %u", i);
        expect_str(reply_seen_text(&p.seen), reply_text((enum reply)i), "text");
    }
    buffer_drop(&out);
}

int main(void)
{
    const struct test tests[] = {
        {"SMUG-22: whole and split", test_rows},
        {"bounds", test_bounds},
        {"ours", test_ours},
        {NULL, NULL},
    };
    return harness_run("reply", tests);
}
