#include "tests/unit/harness.h"

#include "core/mail/parameter.h"

enum {
    OFFERED = PARAMETER_SIZE | PARAMETER_8BITMIME | PARAMETER_AUTH,
    ALL = OFFERED | PARAMETER_SMTPUTF8 | PARAMETER_DSN,
    IN_UTF8 = ALL | PARAMETER_IN_UTF8,
};

static const struct {
    const char *name;
    struct str in;
    unsigned offered;
    enum reply want;
    const char *seen; /* size 8bit utf8 auth envid return */
} mail_rows[] = {
    {"none", STR_INIT(""), 0, REPLY_250_OK, "0 0 0 [] [] 0"},
    {"size", STR_INIT(" SIZE=100"), OFFERED, REPLY_250_OK, "100 0 0 [] [] 0"},
    {"several, any case", STR_INIT(" size=1 Body=8BitMime  AUTH=<>"), OFFERED, REPLY_250_OK,
     "1 1 0 [<>] [] 0"},
    {"no blank", STR_INIT("SIZE=1"), OFFERED, REPLY_501_SYNTAX, NULL},
    {"unknown", STR_INIT(" FOO=1"), OFFERED, REPLY_555_PARAMETER, NULL},
    {"not offered", STR_INIT(" SIZE=1"), 0, REPLY_555_PARAMETER, NULL},
    {"DSN not offered", STR_INIT(" RET=HDRS"), OFFERED, REPLY_555_PARAMETER, NULL},
    {"BINARYMIME", STR_INIT(" BODY=BINARYMIME"), OFFERED, REPLY_501_PARAMETER, NULL},
    {"BOMB-11 size", STR_INIT(" SIZE=18446744073709551616"), OFFERED, REPLY_501_PARAMETER, NULL},
    {"BOMB-11 digits", STR_INIT(" SIZE=0000000000000000000000000000001"), OFFERED,
     REPLY_501_PARAMETER, NULL},
    {"negative", STR_INIT(" SIZE=-1"), OFFERED, REPLY_501_PARAMETER, NULL},
    {"empty value", STR_INIT(" SIZE="), OFFERED, REPLY_501_PARAMETER, NULL},
    {"no value", STR_INIT(" SIZE"), OFFERED, REPLY_501_PARAMETER, NULL},
    {"twice", STR_INIT(" SIZE=1 SIZE=2"), OFFERED, REPLY_501_PARAMETER, NULL},
    {"SMTPUTF8", STR_INIT(" SMTPUTF8"), ALL, REPLY_250_OK, "0 0 1 [] [] 0"},
    {"SMTPUTF8 with value", STR_INIT(" SMTPUTF8=1"), ALL, REPLY_501_PARAMETER, NULL},
    {"xtext", STR_INIT(" AUTH=e+3Dmc2@example.com"), ALL, REPLY_250_OK,
     "0 0 0 [e=mc2@example.com] [] 0"},
    {"INJ-03 xtext CR LF", STR_INIT(" AUTH=a+0D+0ARSET"), ALL, REPLY_501_PARAMETER, NULL},
    {"INJ-03 xtext NUL", STR_INIT(" ENVID=a+00"), ALL, REPLY_501_PARAMETER, NULL},
    {"INJ-03 xtext 8-bit", STR_INIT(" ENVID=a+FF"), ALL, REPLY_501_PARAMETER, NULL},
    {"INJ-03 xtext lower case", STR_INIT(" ENVID=a+3d"), ALL, REPLY_501_PARAMETER, NULL},
    {"INJ-03 xtext cut", STR_INIT(" ENVID=a+3"), ALL, REPLY_501_PARAMETER, NULL},
    {"INJ-03 control", STR_INIT(" ENVID=a\x01"), ALL, REPLY_501_PARAMETER, NULL},
    {"INJ-03 DEL", STR_INIT(" ENVID=a\x7f"), ALL, REPLY_501_PARAMETER, NULL},
    {"INJ-03 8-bit", STR_INIT(" ENVID=\xe3\x81\x82"), ALL, REPLY_501_PARAMETER, NULL},
    {"DSN", STR_INIT(" RET=FULL ENVID=QQ314159"), ALL, REPLY_250_OK, "0 0 0 [] [QQ314159] 1"},
};

static void test_mail(void)
{
    for (size_t i = 0; i < countof(mail_rows); i++) {
        struct arena arena;
        arena_init(&arena, 64 << 10);
        struct parameter_mail m;
        enum reply got = parameter_parse_mail(mail_rows[i].in, mail_rows[i].offered, &arena, &m);
        expect(got == mail_rows[i].want, "%s: %u", mail_rows[i].name, reply_code(got));
        if (mail_rows[i].seen) {
            struct buffer seen;
            buffer_init(&seen, 4096);
            buffer_printf(&seen, "%lu %d %d [%.*s] [%.*s] %d", (unsigned long)m.size, m.body_8bit,
                          m.smtputf8, STR_ARG(m.auth), STR_ARG(m.envid), m.return_full);
            expect_str(buffer_str(&seen), str_c(mail_rows[i].seen), mail_rows[i].name);
            buffer_drop(&seen);
        }
        arena_drop(&arena);
    }
}

static const struct {
    const char *in;
    unsigned offered;
    enum reply want;
    unsigned notify;
    const char *orcpt;
} rcpt_rows[] = {
    {"", 0, REPLY_250_OK, 0, ""},
    {" NOTIFY=NEVER", OFFERED, REPLY_555_PARAMETER, 0, NULL},
    {" NOTIFY=NEVER", ALL, REPLY_250_OK, NOTIFY_NEVER, ""},
    {" NOTIFY=success,DELAY ORCPT=rfc822;Bob+2Bx@ext.example", ALL, REPLY_250_OK,
     NOTIFY_SUCCESS | NOTIFY_DELAY, "rfc822;Bob+x@ext.example"},
    {" NOTIFY=NEVER,DELAY", ALL, REPLY_501_PARAMETER, 0, NULL},
    {" NOTIFY=NEVER,NEVER", ALL, REPLY_501_PARAMETER, 0, NULL},
    {" NOTIFY=DELAY,DELAY", ALL, REPLY_250_OK, NOTIFY_DELAY, ""},
    {" NOTIFY=,", ALL, REPLY_501_PARAMETER, 0, NULL},
    {" NOTIFY=FAILURE,", ALL, REPLY_501_PARAMETER, 0, NULL},
    {" ORCPT=bob@x", ALL, REPLY_501_PARAMETER, 0, NULL},
    {" ORCPT=rfc822;", ALL, REPLY_501_PARAMETER, 0, NULL},
    {" ORCPT=rfc822;a+0AMAIL", ALL, REPLY_501_PARAMETER, 0, NULL},
    {" SIZE=1", ALL, REPLY_555_PARAMETER, 0, NULL},
    /* RFC 6533 3: UTF-8 in an address of type utf-8, and only where MAIL had SMTPUTF8 */
    {" ORCPT=utf-8;\xe7\x94\xa8@x", IN_UTF8, REPLY_250_OK, 0, "utf-8;\xe7\x94\xa8@x"},
    {" NOTIFY=DELAY ORCPT=UTF-8;\xe7\x94\xa8\\x{2B}@x", IN_UTF8, REPLY_250_OK, NOTIFY_DELAY,
     "UTF-8;\xe7\x94\xa8\\x{2B}@x"},
    {" ORCPT=utf-8;\\x{7528}@x", ALL, REPLY_250_OK, 0, "utf-8;\\x{7528}@x"},
    {" ORCPT=utf-8;\xe7\x94\xa8@x", ALL, REPLY_501_PARAMETER, 0, NULL},
    {" ORCPT=rfc822;\xe7\x94\xa8@x", IN_UTF8, REPLY_501_PARAMETER, 0, NULL},
    {" NOTIFY=\xe7\x94\xa8", IN_UTF8, REPLY_501_PARAMETER, 0, NULL},
    {" ORCPT=utf-8;\xe7\x94@x", IN_UTF8, REPLY_501_PARAMETER, 0, NULL},     /* cut */
    {" ORCPT=utf-8;\xc0\xaf@x", IN_UTF8, REPLY_501_PARAMETER, 0, NULL},     /* overlong */
    {" ORCPT=utf-8;\xed\xa0\x80@x", IN_UTF8, REPLY_501_PARAMETER, 0, NULL}, /* surrogate */
    {" ORCPT=utf-8;a\xc2\x85"
     "b@x",
     IN_UTF8, REPLY_501_PARAMETER, 0, NULL}, /* INJ-03 C1 */
    {" ORCPT=utf-8;a\xe2\x80\xa8"
     "b@x",
     IN_UTF8, REPLY_501_PARAMETER, 0, NULL}, /* INJ-03 */
    {" ORCPT=utf-8;a\xe2\x80\xae"
     "b@x",
     IN_UTF8, REPLY_501_PARAMETER, 0, NULL}, /* read backwards */
    /* as Postfix writes it, with SMTPUTF8 and without */
    {" ORCPT=rfc822;a+E7+94+A8@x", IN_UTF8, REPLY_250_OK, 0, "utf-8;a\xe7\x94\xa8@x"},
    {" ORCPT=RFC822;a+E7+94+A8@x", ALL, REPLY_250_OK, 0, "utf-8;a\xe7\x94\xa8@x"},
    {" ORCPT=utf-8;a+E7+94+A8@x", ALL, REPLY_250_OK, 0, "utf-8;a\xe7\x94\xa8@x"},
    {" ORCPT=rfc822;a+E7+94@x", IN_UTF8, REPLY_501_PARAMETER, 0, NULL},
    {" ORCPT=rfc822;a+FF@x", ALL, REPLY_501_PARAMETER, 0, NULL},
    {" ORCPT=rfc822;a+C2+85@x", ALL, REPLY_501_PARAMETER, 0, NULL},    /* INJ-03 C1 */
    {" ORCPT=rfc822;a+E2+80+A8@x", ALL, REPLY_501_PARAMETER, 0, NULL}, /* INJ-03 */
    {" ORCPT=utf-8;a\x7f@x", IN_UTF8, REPLY_501_PARAMETER, 0, NULL},
};

static void test_rcpt(void)
{
    for (size_t i = 0; i < countof(rcpt_rows); i++) {
        struct arena arena;
        arena_init(&arena, 64 << 10);
        struct parameter_rcpt r;
        enum reply got =
            parameter_parse_rcpt(str_c(rcpt_rows[i].in), rcpt_rows[i].offered, &arena, &r);
        expect(got == rcpt_rows[i].want, "%s: %u", rcpt_rows[i].in, reply_code(got));
        if (rcpt_rows[i].orcpt) {
            expect(r.notify == rcpt_rows[i].notify, "%s: %x", rcpt_rows[i].in, r.notify);
            expect_str(r.orcpt, str_c(rcpt_rows[i].orcpt), rcpt_rows[i].in);
        }
        arena_drop(&arena);
    }
}

static void test_xtext(void)
{
    struct buffer out;
    buffer_init(&out, 4096);
    xtext_encode(STR("a+b=c d"), &out);
    expect_str(buffer_str(&out), STR("a+2Bb+3Dc+20d"), "encode");
    buffer_drop(&out);
}

int main(void)
{
    const struct test tests[] = {{"MAIL", test_mail},
                                 {"RCPT", test_rcpt},
                                 {"xtext", test_xtext},
                                 {NULL, NULL}};
    return harness_run("parameter", tests);
}
