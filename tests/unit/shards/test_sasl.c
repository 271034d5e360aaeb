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

struct exchange {
    enum sasl_step step;
    struct buffer user, password;
};

static void begin(struct exchange *x)
{
    x->step = SASL_NOTHING;
    buffer_init(&x->user, SASL_USER_BYTES);
    buffer_init(&x->password, 1000);
}

static void end(struct exchange *x)
{
    sasl_wipe(&x->user);
    sasl_wipe(&x->password);
}

static enum sasl_status start(struct exchange *x, struct str args)
{
    return sasl_start(&x->step, args, &x->user, &x->password);
}

static void test_plain(void)
{
    for (size_t i = 0; i < countof(plain_rows); i++) {
        struct exchange x;
        struct buffer line;
        begin(&x);
        buffer_init(&line, 1000);
        base64_encode(plain_rows[i].plain, BASE64_PADDED, &line);
        expect(start(&x, STR("PLAIN")) == SASL_ASK, "%s", plain_rows[i].name);
        enum sasl_status got = sasl_feed(&x.step, buffer_str(&line), &x.user, &x.password);
        expect(got == plain_rows[i].want, "%s: %d", plain_rows[i].name, (int)got);
        expect(x.step == SASL_NOTHING, "%s: goes on", plain_rows[i].name);
        if (got == SASL_READY)
            expect_str(buffer_str(&x.password), STR("secret"), plain_rows[i].name);
        buffer_drop(&line);
        end(&x);
    }
}

static void test_start(void)
{
    for (size_t i = 0; i < countof(start_rows); i++) {
        struct exchange x;
        begin(&x);
        enum sasl_status got = start(&x, str_c(start_rows[i].args));
        expect(got == start_rows[i].want, "%s: %d", start_rows[i].args, (int)got);
        expect((x.step == SASL_NOTHING) == (got != SASL_ASK), "%s: step", start_rows[i].args);
        end(&x);
    }
}

static void test_login(void)
{
    struct exchange x;
    begin(&x);
    expect(start(&x, STR("LOGIN")) == SASL_ASK, "start");
    expect_str(sasl_challenge(x.step), STR("VXNlcm5hbWU6"), "user");
    expect(sasl_feed(&x.step, STR("YWxpY2U="), &x.user, &x.password) == SASL_ASK, "user");
    expect_str(sasl_challenge(x.step), STR("UGFzc3dvcmQ6"), "password");
    expect(sasl_feed(&x.step, STR("c2VjcmV0"), &x.user, &x.password) == SASL_READY, "password");
    expect_str(buffer_str(&x.user), STR("alice"), "user");
    expect_str(buffer_str(&x.password), STR("secret"), "password");
    end(&x);
    begin(&x);
    expect(start(&x, STR("LOGIN")) == SASL_ASK, "start");
    expect(sasl_feed(&x.step, STR("*"), &x.user, &x.password) == SASL_CANCELLED, "cancel");
    expect(x.step == SASL_NOTHING, "cancelled");
    end(&x);
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
        {"TLSIN-07 PLAIN", test_plain},
        {"TLSIN-07 first line", test_start},
        {"TLSIN-07 LOGIN", test_login},
        {"replies", test_refusals},
        {0},
    };
    return harness_run("sasl", tests);
}
