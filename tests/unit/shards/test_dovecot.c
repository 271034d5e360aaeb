#include "shards/dovecot.h"

#include "core/base/base.h"
#include "tests/unit/harness.h"

#define HELLO "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t12\nCUID\t1\nCOOKIE\tab\nDONE\n"

/* What it says, and the events of that as text. */
static const struct {
    const char *name;
    struct str in;
    const char *want;
} rows[] = {
    {"the greeting", STR_INIT(HELLO), "ready "},
    {"three of its mechanisms are ours",
     STR_INIT("VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nMECH\tCRAM-MD5\nMECH\tLOGIN\tplaintext\n"
              "MECH\tSCRAM-SHA-256\tmutual-auth\nDONE\n"),
     "ready "},
    {"OK", STR_INIT(HELLO "OK\t1\tuser=a@int.example\n"), "ready ok:1:a@int.example "},
    {"OK with more", STR_INIT(HELLO "OK\t4294967295\tx=1\tuser=a\tpass=\n"),
     "ready ok:4294967295:a "},
    {"an escaped user", STR_INIT(HELLO "OK\t1\tuser=a\001t\n"), "ready broken "},
    {"a user with an escape that is a letter", STR_INIT(HELLO "OK\t1\tuser=a\001b\n"),
     "ready ok:1:ab "},
    {"an escape at the end", STR_INIT(HELLO "OK\t1\tuser=a\001\n"), "ready broken "},
    {"accepted, but not here", STR_INIT(HELLO "OK\t1\tuser=a\tnologin\n"), "ready fail:1 "},
    {"FAIL", STR_INIT(HELLO "FAIL\t2\tuser=a\treason=no\n"), "ready fail:2 "},
    {"FAIL for now", STR_INIT(HELLO "FAIL\t2\tuser=a\ttemp\n"), "ready unavailable:2 "},
    {"FAIL for now, in words of 2.3", STR_INIT(HELLO "FAIL\t2\tuser=a\tcode=temp_fail\n"),
     "ready unavailable:2 "},
    {"a challenge", STR_INIT(HELLO "CONT\t3\tcj1hYmM=\n"), "ready challenge:3:r=abc "},
    {"an empty challenge", STR_INIT(HELLO "CONT\t3\t\n"), "ready challenge:3: "},
    {"one after the other", STR_INIT(HELLO "FAIL\t2\nOK\t3\tuser=b\n"), "ready fail:2 ok:3:b "},
    {"something new", STR_INIT(HELLO "NEWS\t1\nOK\t3\tuser=b\n"), "ready ok:3:b "},
    {"TLSIN-08 another version", STR_INIT("VERSION\t2\t1\nDONE\n"), "broken "},
    {"TLSIN-08 no version", STR_INIT("MECH\tPLAIN\nDONE\nOK\t1\tuser=a\n"), "broken "},
    {"TLSIN-08 another protocol", STR_INIT("* OK IMAP4rev1\r\n"), "broken "},
    {"TLSIN-08 OK before the greeting is over", STR_INIT("VERSION\t1\t1\nOK\t1\tuser=a\n"), ""},
    {"TLSIN-08 OK without a user", STR_INIT(HELLO "OK\t1\n"), "ready broken "},
    {"TLSIN-08 OK with an empty user", STR_INIT(HELLO "OK\t1\tuser=\n"), "ready broken "},
    {"TLSIN-08 OK with two users", STR_INIT(HELLO "OK\t1\tuser=a\tuser=b\n"), "ready broken "},
    {"TLSIN-08 OK with a control byte", STR_INIT(HELLO "OK\t1\tuser=a\rb\n"), "ready broken "},
    {"TLSIN-08 OK with a NUL", STR_INIT(HELLO "OK\t1\tuser=a\0b\n"), "ready broken "},
    {"TLSIN-08 OK with an id that is none", STR_INIT(HELLO "OK\tx\tuser=a\n"), "ready broken "},
    {"TLSIN-08 OK with an id too large", STR_INIT(HELLO "OK\t4294967296\tuser=a\n"),
     "ready broken "},
    {"TLSIN-08 OK with no fields", STR_INIT(HELLO "OK\n"), "ready broken "},
    {"TLSIN-08 nearly OK", STR_INIT(HELLO "OKAY\t1\tuser=a\nok\t1\tuser=a\n OK\t1\tuser=a\n"),
     "ready "},
    {"TLSIN-08 a challenge that is no base64", STR_INIT(HELLO "CONT\t3\t=\n"), "ready broken "},
    {"TLSIN-08 nothing after it broke", STR_INIT(HELLO "OK\t1\nOK\t2\tuser=a\n"), "ready broken "},
    {"TLSIN-08 the end of a line is missing", STR_INIT(HELLO "OK\t1\tuser=a"), "ready "},
};

static void note(const struct dovecot *d, enum dovecot_event event, struct buffer *log)
{
    struct str text = buffer_str(&d->text);
    switch (event) {
    case DOVECOT_MORE:
        return;
    case DOVECOT_READY:
        buffer_puts(log, "ready ");
        return;
    case DOVECOT_CHALLENGE:
        buffer_printf(log, "challenge:%u:%.*s ", d->id, STR_ARG(text));
        return;
    case DOVECOT_OK:
        buffer_printf(log, "ok:%u:%.*s ", d->id, STR_ARG(text));
        return;
    case DOVECOT_FAIL:
        buffer_printf(log, "fail:%u ", d->id);
        return;
    case DOVECOT_UNAVAILABLE:
        buffer_printf(log, "unavailable:%u ", d->id);
        return;
    case DOVECOT_BROKEN:
        expect(*d->why, "it says why");
        buffer_puts(log, "broken ");
        return;
    }
}

static void feed(struct dovecot *d, struct str in, struct buffer *log)
{
    enum dovecot_event event;
    do {
        event = dovecot_feed(d, &in);
        note(d, event, log);
    } while (event != DOVECOT_MORE && event != DOVECOT_BROKEN);
}

static void test_rows(void)
{
    for (size_t i = 0; i < countof(rows); i++)
        for (size_t split = 0; split <= rows[i].in.len; split++) {
            struct dovecot d;
            struct buffer log;
            struct str piece;
            size_t at = 0;
            buffer_init(&log, 1000);
            dovecot_init(&d);
            while (!d.broken && harness_piece(rows[i].in, split, &at, &piece))
                feed(&d, piece, &log);
            expect_str(buffer_str(&log), str_c(rows[i].want), rows[i].name);
            dovecot_drop(&d);
            buffer_drop(&log);
        }
}

static void test_mechanisms(void)
{
    struct dovecot d;
    struct str in = rows[1].in;
    dovecot_init(&d);
    expect(dovecot_feed(&d, &in) == DOVECOT_READY, "ready");
    expect(d.mechanisms == (1 << SASL_PLAIN | 1 << SASL_LOGIN | 1 << SASL_SCRAM_SHA_256), "all");
    dovecot_drop(&d);
}

static void test_long(void)
{
    static char big[DOVECOT_LINE_BYTES + 1];
    struct dovecot d;
    struct buffer log;
    buffer_init(&log, 1000);
    dovecot_init(&d);
    feed(&d, STR(HELLO), &log);
    memset(big, 'a', sizeof big);
    feed(&d, str_from(big, sizeof big), &log);
    expect_str(buffer_str(&log), STR("ready broken "), "TLSIN-08 a line without an end");
    feed(&d, STR("\nOK\t1\tuser=a\n"), &log);
    expect_str(buffer_str(&log), STR("ready broken broken "), "TLSIN-08 stays broken");
    dovecot_drop(&d);
    buffer_drop(&log);
}

static void test_said(void)
{
    struct buffer out;
    const struct str response = STR("\0a\0b");
    buffer_init(&out, 1000);
    dovecot_hello(7, &out);
    dovecot_ask(1, SASL_PLAIN, STR("192.0.2.1"), &response, &out);
    dovecot_ask(2, SASL_SCRAM_SHA_256, STR(""), NULL, &out);
    dovecot_answer(2, STR(""), &out);
    dovecot_cancel(2, &out);
    expect_str(buffer_str(&out),
               STR("VERSION\t1\t1\nCPID\t7\n"
                   "AUTH\t1\tPLAIN\tservice=smtp\tsecured\trip=192.0.2.1\tresp=AGEAYg==\n"
                   "AUTH\t2\tSCRAM-SHA-256\tservice=smtp\tsecured\nCONT\t2\t\nCANCEL\t2\n"),
               "lines");
    buffer_drop(&out);
}

int main(void)
{
    const struct test tests[] = {
        {"TLSIN-08 what it says", test_rows},
        {"mechanisms", test_mechanisms},
        {"TLSIN-08 long lines", test_long},
        {"what we say", test_said},
        {0},
    };
    return harness_run("dovecot", tests);
}
