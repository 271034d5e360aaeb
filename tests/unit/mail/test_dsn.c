#include "tests/unit/harness.h"

#include "core/mail/decode.h"
#include "core/mail/dsn.h"
#include "core/mail/header.h"

static struct message *make_message(const char *sender)
{
    struct message *m = message_make(1 << 20);
    must(m != NULL);
    m->sender = str_c(sender);
    m->subject = STR("見積書の件\r\nBcc: evil@ext.example");
    m->message_id = STR("<orig@int.example>");
    m->accepted_ms = 1795495126000; /* 2026-11-24 04:38:46 UTC */
    return m;
}

static const char original[] =
    "From: a@int.example\r\nTo: b@ext.example\r\nBcc: secret@ext.example,\r\n more@ext.example\r\n"
    "Subject: caf\xc3\xa9\r\nX-Long: x\r\n y\r\n\r\nbody must not return\r\n";

static const struct dsn_recipient recipients[] = {
    {STR_INIT("b@ext.example"),
     STR_INIT("rfc822;B@ext.example"),
     STR_INIT("5.1.1"),
     STR_INIT("550 5.1.1 No\r\nX-Evil: such user \x1b[2J"),
     STR_INIT("mx.ext.example"),
     {"", 0}},
    {STR_INIT("用户@ext.example"),
     {"", 0},
     STR_INIT("5.4.7"),
     {"", 0},
     {"", 0},
     STR_INIT("five days are over")},
};

static bool write_dsn(enum dsn_kind kind, const char *sender, struct buffer *out)
{
    struct message *m = make_message(sender);
    struct dsn d = {
        .kind = kind,
        .about = m,
        .recipients = recipients,
        .recipient_count = countof(recipients),
        .header = {original, sizeof original - 1},
        .mta = STR_INIT("gate.example"),
        .message_id = STR_INIT("<dsn@gate.example>"),
        .boundary = STR_INIT("b0undary"),
        .date_ms = 1795495200000,
        .retry_until_ms = 1795927200000,
        .zone_minutes = 540,
    };
    bool ok = dsn_write(&d, out);
    message_drop(&m);
    return ok;
}

static bool has(const struct buffer *b, const char *text)
{
    return str_find_str(buffer_str(b), str_c(text)) != SIZE_MAX;
}

/* 7-bit, CRLF, no line over 998: as the body writer wants it. */
static void check_lines(struct str s)
{
    size_t line = 0;
    for (size_t i = 0; i < s.len; i++) {
        expect((unsigned char)s.at[i] < 0x80 && s.at[i], "byte %zu", i);
        bool lf = s.at[i] == '\n', cr = s.at[i] == '\r';
        expect(!lf || (i && s.at[i - 1] == '\r'), "bare LF at %zu", i);
        expect(!cr || (i + 1 < s.len && s.at[i + 1] == '\n'), "bare CR at %zu", i);
        line = lf ? 0 : line + 1;
        expect(line <= 999, "long line at %zu", i);
    }
    CU_ASSERT(str_ends_nocase(s, STR("\r\n")));
}

/* The text of the first base64 part. */
static void read_text(const struct buffer *mail, struct buffer *text)
{
    struct str s = buffer_str(mail);
    s = str_skip(s, str_find_str(s, STR("base64\r\n\r\n")) + 10);
    decode_base64(str_head(s, str_find_str(s, STR("\r\n--"))), text);
}

static void test_failure(void)
{
    struct buffer out, text;
    buffer_init(&out, 1 << 20);
    buffer_init(&text, 1 << 20);
    CU_ASSERT(write_dsn(DSN_FAILURE, "a@int.example", &out));
    check_lines(buffer_str(&out));
    static const char *const wants[] = {
        "From: Mail Delivery System <MAILER-DAEMON@gate.example>\r\n",
        "\r\nTo: <a@int.example>\r\n",
        "\r\nDate: Tue, 24 Nov 2026 04:40:00 +0000\r\n",
        "\r\nAuto-Submitted: auto-replied\r\n",
        "\r\nIn-Reply-To: <orig@int.example>\r\n",
        "report-type=delivery-status;\r\n boundary=\"b0undary\"\r\n",
        "\r\nReporting-MTA: dns; gate.example\r\n",
        "\r\n\r\nOriginal-Recipient: rfc822;B@ext.example\r\nFinal-Recipient: rfc822; b@ext.",
        "\r\nFinal-Recipient: rfc822; b@ext.example\r\nAction: failed\r\nStatus: 5.1.1\r\nRemote",
        "\r\nRemote-MTA: dns; mx.ext.example\r\nDiagnostic-Code: smtp; 550 5.1.1 No??X-Evil: such "
        "user ?[2J\r\n",
        "\r\n\r\nFinal-Recipient: utf-8; \\x{7528}\\x{6237}@ext.example\r\nAction: failed\r\n",
        "\r\nSubject: caf=C3=A9\r\nX-Long: x\r\n y\r\n",
        "\r\n--b0undary--\r\n",
    };
    for (size_t i = 0; i < countof(wants); i++)
        expect(has(&out, wants[i]), "%s", wants[i]);
    expect(!has(&out, "secret@") && !has(&out, "more@"), "ADDR-21: Bcc came back");
    expect(!has(&out, "body must not"), "H-5: the body came back");
    expect(!has(&out, "\nBcc:") && !has(&out, "\nX-Evil"), "INJ-01");
    read_text(&out, &text);
    CU_ASSERT(has(&text, "配送できませんでした"));
    CU_ASSERT(has(&text, "could not be delivered"));
    CU_ASSERT(has(&text, "受付日時: 2026-11-24 13:38 JST"));
    CU_ASSERT(has(&text, "five days are over"));
    expect(!has(&text, "\nBcc:") && !has(&text, "\x1b"), "INJ-01 in the text");

    /* our own header reader finds it clean */
    struct header h;
    header_init(&h);
    CU_ASSERT(header_feed(&h, buffer_str(&out)) == HEADER_DONE && h.odd == 0);
    header_drop(&h);
    buffer_drop(&text);
    buffer_drop(&out);
}

static void test_delay(void)
{
    struct buffer out, text;
    buffer_init(&out, 1 << 20);
    buffer_init(&text, 1 << 20);
    CU_ASSERT(write_dsn(DSN_DELAY, "a@int.example", &out));
    check_lines(buffer_str(&out));
    CU_ASSERT(has(&out, "Action: delayed\r\n"));
    CU_ASSERT(has(&out, "Will-Retry-Until: Sun, 29 Nov 2026 04:40:00 +0000\r\n"));
    read_text(&out, &text);
    CU_ASSERT(has(&text, "遅れています"));
    CU_ASSERT(has(&text, "再試行の期限: 2026-11-29 13:40 JST"));
    buffer_drop(&text);
    buffer_drop(&out);
}

static void test_refused(void)
{
    struct buffer out;
    buffer_init(&out, 1 << 20);
    CU_ASSERT(!write_dsn(DSN_FAILURE, "", &out)); /* P-3 */
    buffer_drop(&out);
    buffer_init(&out, 100);
    CU_ASSERT(!write_dsn(DSN_FAILURE, "a@int.example", &out));
    buffer_drop(&out);
}

int main(void)
{
    const struct test tests[] = {{"failure", test_failure},
                                 {"delay", test_delay},
                                 {"refused", test_refused},
                                 {NULL, NULL}};
    return harness_run("dsn", tests);
}
