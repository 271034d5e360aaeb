#include "shards/sasl.h"

#include "core/base/base.h"
#include "core/base/base64.h"
#include "tests/unit/harness.h"

/* TLSIN-07. Answers are given before base64 here; raw ones in the second table. */
static const struct {
    const char *name;
    struct str plain;
    enum sasl_status want;
} plain_rows[] = {
    {"user and password", STR_INIT("\0alice\0secret"), SASL_READY},
    {"the same as authorisation identity", STR_INIT("alice\0alice\0secret"), SASL_READY},
    {"another identity", STR_INIT("bob\0alice\0secret"), SASL_OTHER_IDENTITY},
    {"UTF-8", STR_INIT("\0\xe3\x81\x82\0secret"), SASL_READY},
    {"no NUL", STR_INIT("alice"), SASL_MALFORMED},
    {"one NUL", STR_INIT("alice\0secret"), SASL_MALFORMED},
    {"three NULs", STR_INIT("\0alice\0sec\0ret"), SASL_MALFORMED},
    {"no user", STR_INIT("\0\0secret"), SASL_MALFORMED},
    {"no password", STR_INIT("\0alice\0"), SASL_MALFORMED},
    {"nothing", STR_INIT(""), SASL_MALFORMED},
    {"CRLF in the user", STR_INIT("\0a\r\nb\0secret"), SASL_MALFORMED},
    {"DEL in the user", STR_INIT("\0a\x7f\0secret"), SASL_MALFORMED},
    {"ESC in the user", STR_INIT("\0a\x1b[2J\0secret"), SASL_MALFORMED},
};

static const struct {
    const char *args;
    enum sasl_status want;
} start_rows[] = {
    {"PLAIN", SASL_ASK},
    {"plain", SASL_ASK},
    {"LOGIN", SASL_ASK},
    {"LOGIN YWxpY2U=", SASL_ASK},
    {"PLAIN =", SASL_MALFORMED},
    {"LOGIN =", SASL_MALFORMED},
    {"CRAM-MD5", SASL_NO_MECHANISM},
    {"PLAINX", SASL_NO_MECHANISM},
    {"", SASL_NO_MECHANISM},
    {"PLAIN AGFsaWNlAHNlY3JldA", SASL_BAD_BASE64},
    {"PLAIN AGFs=WNlAHNlY3JldA==", SASL_BAD_BASE64},
    {"PLAIN AGFsaWNl AHNlY3JldA==", SASL_BAD_BASE64},
    {"PLAIN  AGFsaWNlAHNlY3JldA==", SASL_BAD_BASE64},
    {"PLAIN AGFsaWNlAHNlY3JldA==", SASL_READY},
};

enum {
    ALL = (1 << SASL_MECHANISMS) - 1
};

/* Decoded messages of SCRAM-SHA-256, the first of an exchange. */
static const struct {
    const char *name;
    struct str message;
    enum sasl_status want;
    const char *user;
} scram_rows[] = {
    {"RFC 7677 3", STR_INIT("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"), SASL_READY, "user"},
    {"could bind a channel", STR_INIT("y,,n=user,r=abc"), SASL_READY, "user"},
    {"binds a channel", STR_INIT("p=tls-exporter,,n=user,r=abc"), SASL_MALFORMED, NULL},
    {"the same authorisation identity", STR_INIT("n,a=user,n=user,r=abc"), SASL_READY, "user"},
    {"another identity", STR_INIT("n,a=bob,n=user,r=abc"), SASL_OTHER_IDENTITY, NULL},
    {"an identity without a=", STR_INIT("n,user,n=user,r=abc"), SASL_MALFORMED, NULL},
    {"comma and = in a name", STR_INIT("n,,n=a=2Cb=3Dc,r=abc"), SASL_READY, "a,b=c"},
    {"the same as identity", STR_INIT("n,a=a=2Cb,n=a=2Cb,r=abc"), SASL_READY, "a,b"},
    {"= without 2C or 3D", STR_INIT("n,,n=a=2cb,r=abc"), SASL_MALFORMED, NULL},
    {"= at the end", STR_INIT("n,,n=a=,r=abc"), SASL_MALFORMED, NULL},
    {"extensions behind", STR_INIT("n,,n=user,r=abc,x=1"), SASL_READY, "user"},
    {"an extension that must be known", STR_INIT("n,,m=1,n=user,r=abc"), SASL_MALFORMED, NULL},
    {"no user", STR_INIT("n,,n=,r=abc"), SASL_MALFORMED, NULL},
    {"no nonce", STR_INIT("n,,n=user"), SASL_MALFORMED, NULL},
    {"no flag", STR_INIT(",,n=user,r=abc"), SASL_MALFORMED, NULL},
    {"LF in the user", STR_INIT("n,,n=us\ner,r=abc"), SASL_MALFORMED, NULL},
    {"NUL in the nonce", STR_INIT("n,,n=user,r=a\0c"), SASL_MALFORMED, NULL},
    {"DEL", STR_INIT("n,,n=us\x7f,r=abc"), SASL_MALFORMED, NULL},
    {"UTF-8", STR_INIT("n,,n=\xe3\x81\x82,r=abc"), SASL_READY, "\xe3\x81\x82"},
    {"nothing", STR_INIT(""), SASL_MALFORMED, NULL},
};

static enum sasl_status say(struct sasl *x, struct str plain)
{
    struct buffer line;
    buffer_init(&line, 10000);
    base64_encode(plain, BASE64_PADDED, &line);
    enum sasl_status status = sasl_feed(x, buffer_str(&line));
    buffer_drop(&line);
    return status;
}

static bool is_empty(const struct sasl *x)
{
    return x->step == SASL_NOTHING && !x->user.at && !x->password.at && !x->message.at;
}

static void test_plain(void)
{
    for (size_t i = 0; i < countof(plain_rows); i++) {
        struct sasl x;
        sasl_init(&x);
        expect(sasl_start(&x, STR("PLAIN"), ALL) == SASL_ASK, "%s", plain_rows[i].name);
        enum sasl_status got = say(&x, plain_rows[i].plain);
        expect(got == plain_rows[i].want, "%s: %d", plain_rows[i].name, (int)got);
        expect(x.step == SASL_NOTHING, "%s: goes on", plain_rows[i].name);
        if (got == SASL_READY)
            expect_str(buffer_str(&x.password), STR("secret"), plain_rows[i].name);
        else
            expect(is_empty(&x), "%s: something is left", plain_rows[i].name);
        sasl_drop(&x);
        expect(is_empty(&x), "%s: something is left", plain_rows[i].name);
    }
}

static void test_scram(void)
{
    for (size_t i = 0; i < countof(scram_rows); i++) {
        struct sasl x;
        sasl_init(&x);
        expect(sasl_start(&x, STR("SCRAM-SHA-256"), ALL) == SASL_ASK, "%s", scram_rows[i].name);
        expect_str(sasl_challenge(&x), STR(""), scram_rows[i].name);
        enum sasl_status got = say(&x, scram_rows[i].message);
        expect(got == scram_rows[i].want, "%s: %d", scram_rows[i].name, (int)got);
        if (got != SASL_READY) {
            expect(is_empty(&x), "%s: something is left", scram_rows[i].name);
            continue;
        }
        expect(x.is_first, "%s", scram_rows[i].name);
        expect_str(buffer_str(&x.user), str_c(scram_rows[i].user), scram_rows[i].name);
        expect_str(buffer_str(&x.message), scram_rows[i].message, scram_rows[i].name);
        sasl_more(&x);
        expect(say(&x, STR("c=biws,r=abc,p=AAAA")) == SASL_READY && !x.is_first, "next");
        expect_str(buffer_str(&x.user), str_c(scram_rows[i].user), "the user stays");
        sasl_more(&x);
        expect(sasl_feed(&x, STR("")) == SASL_READY && x.message.len == 0, "an empty answer");
        sasl_more(&x);
        expect(say(&x, STR("a\nb")) == SASL_MALFORMED && is_empty(&x), "control byte, next");
        sasl_drop(&x);
    }
    struct sasl x;
    static char big[SASL_MESSAGE_BYTES + 1];
    memset(big, 'a', sizeof big);
    memcpy(big, "n,,n=user,r=", 12);
    sasl_init(&x);
    expect(sasl_start(&x, STR("SCRAM-SHA-256"), ALL) == SASL_ASK, "start");
    expect(say(&x, str_from(big, SASL_MESSAGE_BYTES)) == SASL_READY, "the longest");
    sasl_end(&x);
    expect(sasl_start(&x, STR("SCRAM-SHA-256"), ALL) == SASL_ASK, "start");
    expect(say(&x, str_from(big, sizeof big)) == SASL_MALFORMED, "longer");
    sasl_drop(&x);
}

static void test_start(void)
{
    struct sasl x;
    sasl_init(&x);
    for (size_t i = 0; i < countof(start_rows); i++) {
        enum sasl_status got = sasl_start(&x, str_c(start_rows[i].args), ALL);
        expect(got == start_rows[i].want, "%s: %d", start_rows[i].args, (int)got);
        expect((x.step == SASL_NOTHING) == (got != SASL_ASK), "%s: step", start_rows[i].args);
        sasl_end(&x);
    }
    for (unsigned m = 0; m < SASL_MECHANISMS; m++) {
        struct str name = sasl_name((enum sasl_mechanism)m);
        expect(sasl_start(&x, name, 1u << m) == SASL_ASK, "%.*s", STR_ARG(name));
        expect(sasl_start(&x, name, ALL & ~(1u << m)) == SASL_NO_MECHANISM,
               "%.*s where it is not offered", STR_ARG(name));
    }
    sasl_drop(&x);
}

static void test_login(void)
{
    struct sasl x;
    sasl_init(&x);
    expect(sasl_start(&x, STR("LOGIN"), ALL) == SASL_ASK, "start");
    expect_str(sasl_challenge(&x), STR("VXNlcm5hbWU6"), "user");
    expect(sasl_feed(&x, STR("YWxpY2U=")) == SASL_ASK, "user");
    expect_str(sasl_challenge(&x), STR("UGFzc3dvcmQ6"), "password");
    expect(sasl_feed(&x, STR("c2VjcmV0")) == SASL_READY, "password");
    expect_str(buffer_str(&x.user), STR("alice"), "user");
    expect_str(buffer_str(&x.password), STR("secret"), "password");
    expect(sasl_start(&x, STR("LOGIN"), ALL) == SASL_ASK, "start");
    expect(sasl_feed(&x, STR("*")) == SASL_CANCELLED && is_empty(&x), "cancel");
    sasl_drop(&x);
}

static void test_refusals(void)
{
    expect(reply_code(sasl_refusal(SASL_BAD_BASE64)) == 501, "base64");
    expect(reply_code(sasl_refusal(SASL_MALFORMED)) == 501, "malformed");
    expect(reply_code(sasl_refusal(SASL_CANCELLED)) == 501, "cancelled");
    expect(reply_code(sasl_refusal(SASL_OTHER_IDENTITY)) == 535, "identity");
    expect(reply_code(sasl_refusal(SASL_NO_MECHANISM)) == 504, "mechanism");
}

int main(void)
{
    const struct test tests[] = {
        {"TLSIN-07 PLAIN", test_plain}, {"TLSIN-07 first line", test_start},
        {"TLSIN-07 LOGIN", test_login}, {"TLSIN-07 SCRAM-SHA-256", test_scram},
        {"replies", test_refusals},     {0},
    };
    return harness_run("sasl", tests);
}
