#include "tests/unit/harness.h"

#include "core/mail/decode.h"
#include "core/mail/header.h"
#include "core/mail/notice.h"
#include "core/mail/notice_reply.h"

#define NOW 1795495126000ull /* 2026-11-24 04:38:46 UTC */

static bool has(struct str s, const char *text)
{
    return str_find_str(s, str_c(text)) != SIZE_MAX;
}

static struct recipient recipients[] = {
    {.address = STR_INIT("naka@int.example"), .class = CLASS_INTERNAL, .release_ms = NOW},
    {.address = STR_INIT("<script>@ext.example"),
     .class = CLASS_EXTERNAL,
     .release_ms = NOW + 300000},
    {.address = STR_INIT("jun@group.example"),
     .class = CLASS_AFFILIATE,
     .release_ms = NOW + 300000,
     .stage = STAGE_APPROVAL},
};

static bool write_notice(struct notice n, struct message *m, struct buffer *out)
{
    n.about = m;
    n.domain = STR("hold.example");
    n.message_id = STR("<n@hold.example>");
    n.boundary = STR("b0undary");
    n.date_ms = NOW;
    n.zone_minutes = 540;
    return notice_write(&n, out);
}

static struct message *make_message(void)
{
    struct message *m = message_make(1 << 20);
    must(m != NULL);
    m->sender = STR("a@int.example");
    m->subject = STR("<b>見積</b>\r\nBcc: evil@ext.example");
    m->message_id = STR("<orig@int.example>");
    m->token = STR("abc123");
    m->accepted_ms = NOW;
    m->body_bytes = 34567;
    m->recipients = recipients;
    m->recipient_count = countof(recipients);
    return m;
}

/* Base64 part number `which`. */
static struct str read_part(const struct buffer *mail, unsigned which, struct buffer *text)
{
    struct str s = buffer_str(mail);
    for (unsigned i = 0; i <= which; i++)
        s = str_skip(s, str_find_str(s, STR("base64\r\n\r\n")) + 10);
    buffer_clear(text);
    decode_base64(str_head(s, str_find_str(s, STR("\r\n--"))), text);
    return buffer_str(text);
}

static void test_write(void)
{
    struct buffer out, text;
    buffer_init(&out, 1 << 20);
    buffer_init(&text, 1 << 20);
    struct message *m = make_message();
    struct notice n = {.url = STR_INIT("https://hold.example/m/abc?a=1&b=2")};
    CU_ASSERT(write_notice(n, m, &out));
    struct str mail = buffer_str(&out);
    static const char *const wants[] = {
        "From: Sekimori <gate@hold.example>\r\n",
        "Reply-To: Sekimori <gate+abc123@hold.example>\r\n",
        "\r\nTo: <a@int.example>\r\n",
        "\r\nAuto-Submitted: auto-generated\r\n",
        "\r\nIn-Reply-To: <orig@int.example>\r\n",
        "\r\nContent-Type: multipart/alternative; boundary=\"b0undary\"\r\n",
        "\r\n--b0undary--\r\n",
    };
    for (size_t i = 0; i < countof(wants); i++)
        expect(has(mail, wants[i]), "%s", wants[i]);
    expect(!has(mail, "\nBcc"), "INJ-01");

    struct header h;
    header_init(&h);
    CU_ASSERT(header_feed(&h, mail) == HEADER_DONE && h.odd == 0 && !h.eight_bit);
    header_drop(&h);

    struct str plain = read_part(&out, 0, &text);
    CU_ASSERT(has(plain, "件名: <b>見積</b>  Bcc: evil@ext.example\r\n"));
    CU_ASSERT(has(plain, "- [社外] <script>@ext.example  2026-11-24 13:43 JST  保留中\r\n"
                         "- [準社内] jun@group.example  2026-11-24 13:43 JST  承認待ち\r\n"
                         "- [社内] naka@int.example  2026-11-24 13:38 JST  配送開始\r\n"));
    CU_ASSERT(has(plain, "サイズ: 34 KiB\r\n"));
    CU_ASSERT(has(plain, "「破棄」"));
    CU_ASSERT(has(plain, "https://hold.example/m/abc?a=1&b=2\r\n"));
    CU_ASSERT(str_find_str(plain, STR("一時保留")) < str_find_str(plain, STR("on hold")));

    struct str html = read_part(&out, 1, &text);
    CU_ASSERT(has(html, "&lt;b&gt;見積&lt;/b&gt;"));
    CU_ASSERT(has(html, "&lt;script&gt;@ext.example"));
    CU_ASSERT(has(html, "href=\"https://hold.example/m/abc?a=1&amp;b=2\""));
    expect(!has(html, "<script>"), "WEB-05");
    message_drop(&m);
    buffer_drop(&text);
    buffer_drop(&out);
}

static void test_variants(void)
{
    struct buffer out, text;
    buffer_init(&out, 1 << 20);
    buffer_init(&text, 1 << 20);
    struct message *m = make_message();
    CU_ASSERT(write_notice((struct notice){.language = COMPOSE_ENGLISH}, m, &out));
    struct str plain = read_part(&out, 0, &text);
    CU_ASSERT(str_find_str(plain, STR("on hold")) < str_find_str(plain, STR("一時保留")));
    expect(!has(plain, "http") && !has(plain, "open this page"), "no URL before the portal");

    struct recipient *many = arena_take(&m->arena, 1000 * sizeof *many);
    must(many != NULL);
    for (unsigned i = 0; i < 1000; i++)
        many[i] = recipients[1];
    m->recipients = many;
    m->recipient_count = 1000;
    buffer_clear(&out);
    CU_ASSERT(write_notice((struct notice){.url = {"", 0}}, m, &out));
    CU_ASSERT(has(read_part(&out, 0, &text), "ほか 800 件"));

    m->token = STR("a>\r\nBcc:x");
    CU_ASSERT(!write_notice((struct notice){.url = {"", 0}}, m, &out));
    m->token = STR("abc");
    m->sender = STR("");
    CU_ASSERT(!write_notice((struct notice){.url = {"", 0}}, m, &out));
    message_drop(&m);
    buffer_drop(&text);
    buffer_drop(&out);

    struct str token;
    CU_ASSERT(notice_token(STR("gate+abc@HOLD.example"), STR("hold.example"), &token));
    expect_str(token, STR("abc"), "token");
    CU_ASSERT(!notice_token(STR("gate+@hold.example"), STR("hold.example"), &token));
    CU_ASSERT(!notice_token(STR("gate+abc@x.hold.example"), STR("hold.example"), &token));
    CU_ASSERT(!notice_token(STR("gate@hold.example"), STR("hold.example"), &token));
    CU_ASSERT(!notice_token(STR("gate+a/b@hold.example"), STR("hold.example"), &token));
}

enum {
    NONE = 99
};

static const struct {
    const char *name, *in;
    unsigned want;
} rows[] = {
    {"plain", "Subject: Re\r\n\r\ncancel\r\n", COMMAND_DISCARD},
    {"no header", "\r\nrelease", COMMAND_RELEASE},
    {"case and mark", "A: 1\r\n\r\nRELEASE!\r\n", COMMAND_RELEASE},
    {"full-width", "A: 1\r\n\r\n　ｃａｎｃｅｌ\r\n", COMMAND_DISCARD},
    {"Japanese", "A: 1\r\n\r\n破棄\r\n", COMMAND_DISCARD},
    {"Japanese, polite", "A: 1\r\n\r\n破棄してください。\r\n", COMMAND_DISCARD},
    {"Japanese, the contrary", "A: 1\r\n\r\n破棄しないでください\r\n", NONE},
    {"Japanese, in brackets", "A: 1\r\n\r\n「破棄」\r\n", COMMAND_DISCARD},
    {"now", "A: 1\r\n\r\n今すぐ\r\n", COMMAND_RELEASE},
    {"now, with more words", "A: 1\r\n\r\n今すぐ お願いします\r\n", COMMAND_RELEASE},
    {"another word", "A: 1\r\n\r\ncancelled meeting\r\n", NONE},
    {"second word", "A: 1\r\n\r\nplease cancel\r\n", NONE},
    {"blank and quoted lines pass", "A: 1\r\n\r\n\r\n> release\r\n＞ release\r\n  \r\ncancel\r\n",
     COMMAND_DISCARD},
    {"all quoted", "A: 1\r\n\r\n> cancel\r\n", NONE},
    {"empty", "A: 1\r\n\r\n", NONE},
    {"base64",
     "Content-Transfer-Encoding: base64\r\nContent-Type: text/plain;"
     " charset=\"iso-2022-jp\"\r\n\r\nGyRCR0s0fhsoQg0K\r\n",
     COMMAND_DISCARD},
    {"quoted-printable",
     "Content-Type: text/plain; charset=utf-8\r\n"
     "Content-Transfer-Encoding: quoted-printable\r\n\r\n=E7=A0=B4=E6=A3=84\r\n",
     COMMAND_DISCARD},
    {"Shift_JIS", "Content-Type: text/plain; charset=Shift_JIS\r\n\r\n\x94\x6a\x8a\xfc\r\n",
     COMMAND_DISCARD},
    {"alternative",
     "Content-Type: multipart/alternative;\r\n boundary=\"x y\"\r\n\r\npreamble\r\ncancel\r\n"
     "--x y\r\nContent-Type: text/plain\r\n\r\nrelease\r\n--x y\r\n"
     "Content-Type: text/html\r\n\r\n<p>cancel\r\n--x y--\r\n",
     COMMAND_RELEASE},
    {"nested, HTML first",
     "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: "
     "multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>x\r\n"
     "--b\r\n\r\ncancel\r\n--b--\r\n--a--\r\n",
     COMMAND_DISCARD},
    {"an attached text is none",
     "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Disposition: attachment;"
     " filename=x.txt\r\nContent-Type: text/plain\r\n\r\ncancel\r\n--a--\r\n",
     NONE},
    {"the part ends",
     "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\n\r\n--a\r\n"
     "\r\ncancel\r\n--a--\r\n",
     NONE},
    {"HTML only", "Content-Type: text/html\r\n\r\ncancel\r\n", NONE},
    {"boundary without parts", "Content-Type: multipart/mixed; boundary=a\r\n\r\ncancel\r\n", NONE},
};

static void test_reply(void)
{
    for (size_t i = 0; i < countof(rows); i++) {
        enum command_verb verb = COMMAND_HOLD;
        bool found = notice_reply_read(str_c(rows[i].in), &verb);
        expect(found == (rows[i].want != NONE) && (!found || verb == rows[i].want),
               "%s: found %d verb %u", rows[i].name, found, verb);
    }
}

int main(void)
{
    const struct test tests[] = {{"write", test_write},
                                 {"variants", test_variants},
                                 {"reply", test_reply},
                                 {NULL, NULL}};
    return harness_run("notice", tests);
}
