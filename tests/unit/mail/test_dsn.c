#include "tests/unit/harness.h"

#include "core/mail/decode.h"
#include "core/mail/dsn.h"
#include "core/mail/header.h"
#include "core/mail/parameter.h"

static struct message *make_message(const char *sender, uint32_t flags)
{
    struct message *m = message_make(1 << 20);
    must(m != NULL);
    m->sender = str_c(sender);
    m->flags = flags;
    m->envid = STR("QQ+314159");
    m->subject = STR("見積書の件\r\nBcc: evil@ext.example");
    m->message_id = STR("<orig@int.example>");
    m->accepted_ms = 1795495126000; /* 2026-11-24 04:38:46 UTC */
    return m;
}

static const char original[] =
    "From: a@int.example\r\nTo: b@ext.example\r\nBcc: secret@ext.example,\r\n more@ext.example\r\n"
    "Subject: caf\xc3\xa9\r\nX-Long: x\r\n y\r\n\r\nbody must not return\r\n";

static const char original_ascii[] = "From: a@int.example\r\nSubject: hi\r\n\r\nbody\r\n";

#define HOSTILE "550 5.1.1 No\r\nX-Evil: such user \x1b[2J"

static const struct dsn_recipient both[] = {
    {.action = DSN_FAILED,
     .address = STR_INIT("b@ext.example"),
     .orcpt = STR_INIT("rfc822;B@ext.example"),
     .status = STR_INIT("5.1.1"),
     .diagnostic = STR_INIT(HOSTILE),
     .remote = STR_INIT("mx.ext.example")},
    {.action = DSN_FAILED,
     .address = STR_INIT("用+户@ext.example"),
     .status = STR_INIT("5.4.7"),
     .reason = STR_INIT("five days are over")},
};

static const struct dsn_recipient mixed[] = {
    {.action = DSN_RELAYED,
     .address = STR_INIT("r@ext.example"),
     .orcpt = STR_INIT("rfc822;R@ext.example"),
     .status = STR_INIT("2.1.5"),
     .diagnostic = STR_INIT("250 2.1.5 taken"),
     .remote = STR_INIT("mx.ext.example")},
    {.action = DSN_DELAYED,
     .address = STR_INIT("d@ext.example"),
     .status = STR_INIT("4.2.0"),
     .diagnostic = STR_INIT("450 later"),
     .retry_until_ms = 1795927200000},
    {.action = DSN_FAILED,
     .address = STR_INIT("f@ext.example"),
     .status = STR_INIT("5.1.1"),
     .diagnostic = STR_INIT("550 5.1.1 unknown")},
};

struct report {
    const char *sender;
    uint32_t flags; /* of the mail it is about */
    const struct dsn_recipient *recipients;
    uint32_t count;
    const char *header;
};

static bool write_dsn(const struct report *r, struct buffer *out)
{
    struct message *m = make_message(r->sender, r->flags);
    struct dsn d = {
        .about = m,
        .recipients = r->recipients,
        .recipient_count = r->count,
        .header = str_c(r->header),
        .mta = STR_INIT("gate.example"),
        .message_id = STR_INIT("<dsn@gate.example>"),
        .boundary = STR_INIT("b0undary"),
        .date_ms = 1795495200000,
        .zone_minutes = 540,
    };
    bool ok = dsn_write(&d, out);
    message_drop(&m);
    return ok;
}

static const struct report failure = {"a@int.example", 0, both, countof(both), original};

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
    CU_ASSERT(write_dsn(&failure, &out));
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
        "\r\n\r\nFinal-Recipient: utf-8; \\x{7528}\\x{2B}\\x{6237}@ext.example\r\nAction: failed",
        "\r\nOriginal-Envelope-Id: QQ+314159\r\n",
        "\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA",
        "\r\nContent-Type: text/rfc822-headers\r\n",
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

/* Recipients with other ends share a report; the heaviest gives the subject. */
static void test_mixed(void)
{
    struct buffer out, text;
    buffer_init(&out, 1 << 20);
    buffer_init(&text, 1 << 20);
    const struct report r = {"a@int.example", 0, mixed, countof(mixed), original_ascii};
    CU_ASSERT(write_dsn(&r, &out));
    check_lines(buffer_str(&out));
    static const char *const wants[] = {
        "\r\n\r\nOriginal-Recipient: rfc822;R@ext.example\r\nFinal-Recipient: rfc822; "
        "r@ext.example\r\nAction: relayed\r\nStatus: 2.1.5\r\n",
        "\r\nFinal-Recipient: rfc822; d@ext.example\r\nAction: delayed\r\nStatus: 4.2.0\r\n"
        "Diagnostic-Code: smtp; 450 later\r\nWill-Retry-Until: Sun, 29 Nov 2026 04:40:00 +0000\r\n",
        "\r\nFinal-Recipient: rfc822; f@ext.example\r\nAction: failed\r\nStatus: 5.1.1\r\n",
    };
    for (size_t i = 0; i < countof(wants); i++)
        expect(has(&out, wants[i]), "%s", wants[i]);
    expect(!has(&out, "Action: delivered"), "we never know");
    read_text(&out, &text);
    const char *const texts[] = {"配送できませんでした", "遅れています",
                                 "相手のサーバーに渡しました", "再試行の期限: 2026-11-29 13:40 JST",
                                 "Tried until: 2026-11-29"};
    for (size_t i = 0; i < countof(texts); i++)
        expect(has(&text, texts[i]), "%s", texts[i]);
    buffer_drop(&text);
    buffer_drop(&out);

    static const struct {
        uint32_t first, count;
        const char *tag;
    } subjects[] = {{0, 1, "[転送済み]"}, {0, 2, "[配送遅延]"}, {0, 3, "[配送不能]"}};

    for (size_t i = 0; i < countof(subjects); i++) {
        struct dsn d = {.recipients = mixed, .recipient_count = subjects[i].count};
        expect_str(str_c(dsn_tag(dsn_heaviest(&d))), str_c(subjects[i].tag), "subject");
    }
}

/* RFC 6533: which form the parts for programs have. */
static const struct {
    const char *name, *sender;
    uint32_t flags;
    bool utf8_recipient, utf8_header;
    const char *status, *coding; /* content type, and what follows it */
    bool ascii;                  /* every hop takes it */
    const char *recipient, *subject;
} forms[] = {
    {"all is ASCII", "a@int.example", MESSAGE_SMTPUTF8, false, false, "message/delivery-status", "",
     true, "rfc822; b@ext.example", "Subject: hi\r\n"},
    {"UTF-8 header, but no SMTPUTF8: RFC 3464", "a@int.example", 0, false, true,
     "message/delivery-status", "", true, "rfc822; b@ext.example", "Subject: caf=C3=A9\r\n"},
    {"UTF-8 recipient, SMTPUTF8", "a@int.example", MESSAGE_SMTPUTF8, true, false,
     "message/global-delivery-status", "Content-Transfer-Encoding: quoted-printable\r\n", true,
     "utf-8; =E7=94=A8+=E6=88=B7@ext.example", "Subject: hi\r\n"},
    {"UTF-8 header, SMTPUTF8", "a@int.example", MESSAGE_SMTPUTF8, false, true,
     "message/global-delivery-status", "Content-Transfer-Encoding: quoted-printable\r\n", true,
     "rfc822; b@ext.example", "Subject: caf=C3=A9\r\n"},
    {"UTF-8 sender: his hops have SMTPUTF8", "あ@int.example", MESSAGE_SMTPUTF8, true, true,
     "message/global-delivery-status", "Content-Transfer-Encoding: 8bit\r\n", false,
     "utf-8; 用+户@ext.example", "Subject: caf\xc3\xa9\r\n"},
};

static void test_forms(void)
{
    for (size_t i = 0; i < countof(forms); i++) {
        struct buffer out, want;
        buffer_init(&out, 1 << 20);
        buffer_init(&want, 4096);
        const struct report r = {forms[i].sender, forms[i].flags, &both[forms[i].utf8_recipient], 1,
                                 forms[i].utf8_header ? original : original_ascii};
        expect(write_dsn(&r, &out), "%s", forms[i].name);
        buffer_printf(&want, "\r\nContent-Type: %s\r\n%s\r\n", forms[i].status, forms[i].coding);
        expect(has(&out, want.at), "%s: %s", forms[i].name, want.at);
        buffer_clear(&want);
        buffer_printf(&want, "\r\nFinal-Recipient: %s\r\n", forms[i].recipient);
        expect(has(&out, want.at), "%s: %s", forms[i].name, want.at);
        expect(has(&out, forms[i].subject), "%s: %s", forms[i].name, forms[i].subject);
        bool global = strstr(forms[i].status, "global");
        expect(has(&out, "Content-Type: message/global-headers") == global, "%s", forms[i].name);
        expect(has(&out, "Content-Type: text/rfc822-headers") != global, "%s", forms[i].name);
        if (forms[i].ascii)
            check_lines(buffer_str(&out));
        expect(!has(&out, "secret@") && !has(&out, "body"), "%s: H-5", forms[i].name);
        buffer_drop(&want);
        buffer_drop(&out);
    }
}

/* What a stranger's text may do to the parts that are not ASCII: nothing (INJ-01). */
static void test_hostile_utf8(void)
{
    const struct dsn_recipient r = {.action = DSN_FAILED,
                                    .address = STR_INIT("あ@ext.example"),
                                    .orcpt = STR_INIT("utf-8;\xff\r\nX-Evil: 1\xe2\x80\xa8x"),
                                    .status = STR_INIT("5.1.1\r\nX-Evil: 2"),
                                    .diagnostic = STR_INIT(HOSTILE)};
    const struct report report = {"あ@int.example", MESSAGE_SMTPUTF8, &r, 1, original};
    struct buffer out;
    buffer_init(&out, 1 << 20);
    CU_ASSERT(write_dsn(&report, &out));
    expect(!has(&out, "\nX-Evil") && !has(&out, "\x1b"), "INJ-01");
    buffer_drop(&out);
}

/* Of a mail without SMTPUTF8 everything is ASCII, whatever its client called its recipient. */
static void test_seven_bit_orcpt(void)
{
    const struct dsn_recipient r = {.action = DSN_FAILED,
                                    .address = STR_INIT("b@ext.example"),
                                    .orcpt = STR_INIT("utf-8;用+@x.example"),
                                    .status = STR_INIT("5.1.1")};
    const struct report report = {"a@int.example", 0, &r, 1, original_ascii};
    struct buffer out;
    buffer_init(&out, 1 << 20);
    CU_ASSERT(write_dsn(&report, &out));
    check_lines(buffer_str(&out));
    CU_ASSERT(has(&out, "\nOriginal-Recipient: utf-8;\\x{7528}\\x{2B}@x.example\r\n"));
    buffer_drop(&out);
}

/* RFC 3461 4.1 */
static void test_notify(void)
{
    static const struct {
        uint32_t notify;
        bool relayed, delayed, failed;
    } wants[] = {
        {0, false, true, true},
        {NOTIFY_NEVER, false, false, false},
        {NOTIFY_SUCCESS, true, false, false},
        {NOTIFY_FAILURE, false, false, true},
        {NOTIFY_DELAY, false, true, false},
        {NOTIFY_SUCCESS | NOTIFY_FAILURE, true, false, true},
        {NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY, true, true, true},
    };

    for (size_t i = 0; i < countof(wants); i++) {
        uint32_t n = wants[i].notify;
        expect(dsn_is_wanted(DSN_RELAYED, n) == wants[i].relayed, "relayed, NOTIFY %x", n);
        expect(dsn_is_wanted(DSN_DELAYED, n) == wants[i].delayed, "delayed, NOTIFY %x", n);
        expect(dsn_is_wanted(DSN_FAILED, n) == wants[i].failed, "failed, NOTIFY %x", n);
        expect(!dsn_is_wanted(DSN_NONE, n), "nothing, NOTIFY %x", n);
    }
}

static void test_parameter(void)
{
    static const struct {
        struct str in;
        const char *unitext, *xtext;
    } texts[] = {
        {STR_INIT("utf-8;a+b=c@x"), "utf-8;a\\x{2B}b\\x{3D}c@x", "utf-8;a\\x{2B}b\\x{3D}c@x"},
        {STR_INIT("utf-8;\xe7\x94\xa8@x"), "utf-8;\xe7\x94\xa8@x", "utf-8;\\x{7528}@x"},
        {STR_INIT("utf-8;\xf0\x9f\x98\x80 \\"), "utf-8;\xf0\x9f\x98\x80\\x{20}\\x{5C}",
         "utf-8;\\x{1F600}\\x{20}\\x{5C}"},
        {STR_INIT("utf-8;\\x{7528}@x"), "utf-8;\\x{7528}@x", "utf-8;\\x{7528}@x"},
        {STR_INIT(""), "", ""},
    };

    for (size_t i = 0; i < countof(texts); i++)
        for (int utf8 = 0; utf8 < 2; utf8++) {
            struct buffer out;
            buffer_init(&out, 200);
            dsn_put_parameter(texts[i].in, utf8, &out);
            expect_str(buffer_str(&out), str_c(utf8 ? texts[i].unitext : texts[i].xtext), "ORCPT");
            buffer_drop(&out);
        }
}

static void test_refused(void)
{
    struct report r = failure;
    struct buffer out;
    buffer_init(&out, 1 << 20);
    r.sender = "";
    CU_ASSERT(!write_dsn(&r, &out)); /* P-3 */
    buffer_drop(&out);
    buffer_init(&out, 100);
    CU_ASSERT(!write_dsn(&failure, &out));
    buffer_drop(&out);
    buffer_init(&out, 1 << 20);
    r = failure;
    r.count = 0;
    CU_ASSERT(!write_dsn(&r, &out)); /* nothing to tell */
    buffer_drop(&out);
}

int main(void)
{
    const struct test tests[] = {{"failure", test_failure},
                                 {"several actions in one report", test_mixed},
                                 {"RFC 6533 forms", test_forms},
                                 {"INJ-01 in UTF-8", test_hostile_utf8},
                                 {"RFC 3461 NOTIFY", test_notify},
                                 {"RFC 6533 ORCPT", test_parameter},
                                 {"RFC 6533 7-bit Original-Recipient", test_seven_bit_orcpt},
                                 {"refused", test_refused},
                                 {NULL, NULL}};
    return harness_run("dsn", tests);
}
