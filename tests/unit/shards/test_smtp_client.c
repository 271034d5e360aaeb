/* Scripted servers: each row says what the server says and what our client must say and
 * conclude. */
#include "shards/smtp_client.h"

#include "core/base/base.h"
#include "core/mail/parameter.h"
#include "tests/unit/harness.h"

enum {
    RECIPIENTS = 3,
    TALK = 40
};

/* "S: " the server says; "C: " what we must have said since; "E: " the event that comes next.
 * The owner of the test goes on by itself: READY starts a mail (the first `mails` times, then
 * QUIT), ENVELOPE with a 2xx says DATA, else starts the next mail, CONTENT sends it, REFUSED and
 * DONE start the next. */
struct row {
    const char *name;
    bool use_tls, eight_bit, utf8;
    enum smtp_tls tls; /* of the second mail and later ones */
    unsigned mails, recipients;
    uint64_t size;
    const char *sender, *envid, *ret; /* RET; NULL: not asked */
    struct smtp_target to;            /* instead of r0 */
    const char *content;
    const char *talk[TALK];
    enum smtp_phase phase; /* in the end */
    unsigned reply;        /* code in the end */
};

#define GREET      "S: 220 mx.example\r\n", "C: EHLO gate.example\r\n"
#define PLAIN      "S: 250 mx.example\r\n", "E: READY"
#define PIPED      "S: 250-mx.example\r\n250 PIPELINING\r\n", "E: READY"
#define MAIL       "C: MAIL FROM:<a@int.example>\r\n"
#define RCPT0      "RCPT TO:<r0@ext.example>\r\n"
#define RCPTS      RCPT0 "RCPT TO:<r1@ext.example>\r\nRCPT TO:<r2@ext.example>\r\n"
#define PIPED_MAIL GREET, PIPED, MAIL RCPTS
#define ONE        GREET, PLAIN, MAIL, "S: 250 ok\r\n", "C: " RCPT0, "S: 250 ok\r\n"
#define DATA       "E: ENVELOPE", "C: DATA\r\n"
#define BODY       "S: 354 go\r\n", "E: CONTENT", "C: hi\r\n.\r\n"
#define QUIT       "C: QUIT\r\n", "S: 221 bye\r\n", "E: OVER"

static const struct row rows[] = {
    {.name = "lockstep, one mail, QUIT",
     .talk = {ONE, DATA, BODY, "S: 250 ok\r\n", "E: DONE", QUIT},
     .phase = PHASE_OVER,
     .reply = 221},
    {.name = "OUT-12 250 to the dot, then nothing: it is done",
     .talk = {ONE, DATA, BODY, "S: 250 ok\r\n", "E: DONE", "C: QUIT\r\n"},
     .phase = PHASE_QUIT,
     .reply = 250},
    {.name = "pipelined envelope",
     .recipients = 3,
     .talk = {PIPED_MAIL, "S: 250 ok\r\n250 1\r\n250 2\r\n250 3\r\n", DATA, BODY, "S: 250 ok\r\n",
              "E: DONE", QUIT},
     .phase = PHASE_OVER,
     .reply = 221},
    {.name = "extensions: SIZE and 8BITMIME where offered",
     .size = 1234,
     .eight_bit = true,
     .talk = {GREET, "S: 250-mx.example\r\n250-size 5000\r\n250 8BITMIME\r\n", "E: READY",
              "C: MAIL FROM:<a@int.example> SIZE=1234 BODY=8BITMIME\r\n", "S: 250 ok\r\n"},
     .phase = PHASE_ENVELOPE,
     .reply = 250},
    {.name = "OUT-16 nothing offered: nothing said; a first line is no offer",
     .size = 1234,
     .talk = {GREET, "S: 250 SIZE 8BITMIME\r\n", "E: READY", MAIL, "S: 250 ok\r\n"},
     .phase = PHASE_ENVELOPE,
     .reply = 250},
    {.name = "OUT-16 RFC 3461 DSN where offered",
     .envid = "QQ 31=4+1",
     .ret = "HDRS",
     .to = {STR_INIT("b@ext.example"), STR_INIT("rfc822;B+x=@ext.example"),
            NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY},
     .talk = {GREET, "S: 250-mx.example\r\n250 dsn\r\n", "E: READY",
              "C: MAIL FROM:<a@int.example> RET=HDRS ENVID=QQ+2031+3D4+2B1\r\n", "S: 250 ok\r\n",
              "C: RCPT TO:<b@ext.example> NOTIFY=SUCCESS,FAILURE,DELAY "
              "ORCPT=rfc822;B+2Bx+3D@ext.example\r\n"},
     .phase = PHASE_ENVELOPE,
     .reply = 250},
    {.name = "RFC 3461 NOTIFY=NEVER, RET=FULL",
     .ret = "FULL",
     .to = {STR_INIT("b@ext.example"), STR_INIT(""), NOTIFY_NEVER},
     .talk = {GREET, "S: 250-mx.example\r\n250 DSN\r\n", "E: READY",
              "C: MAIL FROM:<a@int.example> RET=FULL\r\n", "S: 250 ok\r\n",
              "C: RCPT TO:<b@ext.example> NOTIFY=NEVER\r\n"},
     .phase = PHASE_ENVELOPE,
     .reply = 250},
    {.name = "RFC 3461 nothing asked: nothing said",
     .talk = {GREET, "S: 250-mx.example\r\n250 DSN\r\n", "E: READY", MAIL, "S: 250 ok\r\n",
              "C: " RCPT0},
     .phase = PHASE_ENVELOPE,
     .reply = 250},
    {.name = "OUT-16 RFC 3461 not offered: nothing said",
     .envid = "QQ",
     .ret = "HDRS",
     .to = {STR_INIT("r0@ext.example"), STR_INIT("rfc822;x@y"), NOTIFY_SUCCESS},
     .talk = {GREET, PLAIN, MAIL, "S: 250 ok\r\n", "C: " RCPT0},
     .phase = PHASE_ENVELOPE,
     .reply = 250},
    {.name = "INJ-03 a type of ORCPT and an ENVID end no parameter",
     .envid = "x BODY=8BITMIME",
     .to = {STR_INIT("b@ext.example"), STR_INIT("rfc822 NOTIFY=NEVER;a\r\nDATA"), 0},
     .talk = {GREET, "S: 250-mx.example\r\n250 DSN\r\n", "E: READY",
              "C: MAIL FROM:<a@int.example> ENVID=x+20BODY+3D8BITMIME\r\n", "S: 250 ok\r\n",
              "C: RCPT TO:<b@ext.example> ORCPT=rfc822+20NOTIFY+3DNEVER;a+0D+0ADATA\r\n"},
     .phase = PHASE_ENVELOPE,
     .reply = 250},
    {.name = "RFC 6533 a UTF-8 ORCPT goes as it is where MAIL has SMTPUTF8",
     .utf8 = true,
     .to = {STR_INIT("b@ext.example"), STR_INIT("utf-8;\xe7\x94\xa8+1=\\x{7528}@x"), 0},
     .talk = {GREET, "S: 250-mx.example\r\n250-SMTPUTF8\r\n250 DSN\r\n", "E: READY",
              "C: MAIL FROM:<a@int.example> SMTPUTF8\r\n", "S: 250 ok\r\n",
              "C: RCPT TO:<b@ext.example> "
              "ORCPT=utf-8;\xe7\x94\xa8\\x{2B}1\\x{3D}\\x{7528}@x\r\n"},
     .phase = PHASE_ENVELOPE,
     .reply = 250},
    {.name = "RFC 6533 and as 7-bit where it has not, though it could",
     .to = {STR_INIT("b@ext.example"), STR_INIT("utf-8;\xe7\x94\xa8@x"), 0},
     .talk = {GREET, "S: 250-mx.example\r\n250-SMTPUTF8\r\n250 DSN\r\n", "E: READY", MAIL,
              "S: 250 ok\r\n", "C: RCPT TO:<b@ext.example> ORCPT=utf-8;\\x{7528}@x\r\n"},
     .phase = PHASE_ENVELOPE,
     .reply = 250},
    {.name = "RFC 6533 a UTF-8 ORCPT goes as 7-bit",
     .to = {STR_INIT("b@ext.example"), STR_INIT("utf-8;\xe7\x94\xa8@x"), 0},
     .talk = {GREET, "S: 250-mx.example\r\n250 DSN\r\n", "E: READY", MAIL, "S: 250 ok\r\n",
              "C: RCPT TO:<b@ext.example> ORCPT=utf-8;\\x{7528}@x\r\n"},
     .phase = PHASE_ENVELOPE,
     .reply = 250},
    {.name = "OUT-16 RFC 6531 SMTPUTF8 for a UTF-8 header",
     .utf8 = true,
     .eight_bit = true,
     .talk = {GREET, "S: 250-mx.example\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n", "E: READY",
              "C: MAIL FROM:<a@int.example> BODY=8BITMIME SMTPUTF8\r\n", "S: 250 ok\r\n"},
     .phase = PHASE_ENVELOPE,
     .reply = 250},
    {.name = "RFC 6531 SMTPUTF8 for a UTF-8 sender",
     .utf8 = true,
     .sender = "\xe3\x81\x82@int.example",
     .talk = {GREET, "S: 250-mx.example\r\n250 SMTPUTF8\r\n", "E: READY",
              "C: MAIL FROM:<\xe3\x81\x82@int.example> SMTPUTF8\r\n", "S: 250 ok\r\n"},
     .phase = PHASE_ENVELOPE,
     .reply = 250},
    {.name = "RFC 6531 SMTPUTF8 for a UTF-8 recipient",
     .to = {STR_INIT("\xe3\x81\x82@ext.example"), STR_INIT(""), 0},
     .talk = {GREET, "S: 250-mx.example\r\n250 SMTPUTF8\r\n", "E: READY",
              "C: MAIL FROM:<a@int.example> SMTPUTF8\r\n", "S: 250 ok\r\n",
              "C: RCPT TO:<\xe3\x81\x82@ext.example>\r\n"},
     .phase = PHASE_ENVELOPE,
     .reply = 250},
    {.name = "RFC 6531 all is ASCII: no SMTPUTF8",
     .talk = {GREET, "S: 250-mx.example\r\n250 SMTPUTF8\r\n", "E: READY", MAIL},
     .phase = PHASE_ENVELOPE},
    {.name = "OUT-16 UTF-8 header, not offered",
     .utf8 = true,
     .talk = {GREET, PLAIN, "E: MISFIT", "C: QUIT\r\n"},
     .phase = PHASE_QUIT,
     .reply = 250},
    {.name = "OUT-16 UTF-8 recipient, not offered",
     .to = {STR_INIT("\xe3\x81\x82@ext.example"), STR_INIT(""), 0},
     .talk = {GREET, PLAIN, "E: MISFIT", "C: QUIT\r\n"},
     .phase = PHASE_QUIT,
     .reply = 250},
    {.name = "OUT-16 8-bit content, not offered",
     .eight_bit = true,
     .talk = {GREET, PLAIN, "E: MISFIT", "C: QUIT\r\n"},
     .phase = PHASE_QUIT,
     .reply = 250},
    {.name = "OUT-16 8BITMIME is not offered by HELO",
     .eight_bit = true,
     .talk = {GREET, "S: 502 what\r\n", "C: HELO gate.example\r\n",
              "S: 250-mx.example\r\n250 x\r\n", "E: READY", "E: MISFIT", "C: QUIT\r\n"},
     .phase = PHASE_QUIT,
     .reply = 250},
    {.name = "OUT-16 SIZE below the mail",
     .size = 1001,
     .talk = {GREET, "S: 250-mx.example\r\n250 SIZE 1000\r\n", "E: READY", "E: MISFIT",
              "C: QUIT\r\n"},
     .phase = PHASE_QUIT,
     .reply = 250},
    {.name = "RFC 1870 SIZE as large as the mail",
     .size = 1000,
     .talk = {GREET, "S: 250-mx.example\r\n250 SIZE 1000\r\n", "E: READY",
              "C: MAIL FROM:<a@int.example> SIZE=1000\r\n"},
     .phase = PHASE_ENVELOPE},
    {.name = "RFC 1870 SIZE 0 and SIZE alone: no limit told",
     .size = 9999999999,
     .talk = {GREET, "S: 250-mx.example\r\n250 SIZE 0\r\n", "E: READY",
              "C: MAIL FROM:<a@int.example> SIZE=9999999999\r\n"},
     .phase = PHASE_ENVELOPE},
    {.name = "RFC 1870 SIZE without a number",
     .size = 9999999999,
     .talk = {GREET, "S: 250-mx.example\r\n250 SIZE\r\n", "E: READY",
              "C: MAIL FROM:<a@int.example> SIZE=9999999999\r\n"},
     .phase = PHASE_ENVELOPE},
    {.name = "OUT-19 the second mail needs TLS, and the connection has none",
     .mails = 2,
     .tls = SMTP_TLS_ENCRYPTED,
     .talk = {ONE, DATA, BODY, "S: 250 ok\r\n", "E: DONE", "E: MISFIT", "C: QUIT\r\n"},
     .phase = PHASE_QUIT,
     .reply = 250},
    {.name = "OUT-19 the second mail needs TLS, and there it is",
     .mails = 2,
     .use_tls = true,
     .tls = SMTP_TLS_ENCRYPTED,
     .talk = {GREET, "S: 250-mx.example\r\n250 STARTTLS\r\n", "C: STARTTLS\r\n", "S: 220 go\r\n",
              "E: STARTTLS", "C: EHLO gate.example\r\n", PLAIN, MAIL, "S: 250 ok\r\n", "C: " RCPT0,
              "S: 250 ok\r\n", DATA, BODY, "S: 250 ok\r\n", "E: DONE", MAIL},
     .phase = PHASE_ENVELOPE},
    {.name = "OUT-19 the second mail needs a verified hop, and this one is only encrypted",
     .mails = 2,
     .use_tls = true,
     .tls = SMTP_TLS_VERIFIED,
     .talk = {GREET, "S: 250-mx.example\r\n250 STARTTLS\r\n", "C: STARTTLS\r\n", "S: 220 go\r\n",
              "E: STARTTLS", "C: EHLO gate.example\r\n", PLAIN, MAIL, "S: 250 ok\r\n", "C: " RCPT0,
              "S: 250 ok\r\n", DATA, BODY, "S: 250 ok\r\n", "E: DONE", "E: MISFIT", "C: QUIT\r\n"},
     .phase = PHASE_QUIT,
     .reply = 250},
    {.name = "OUT-08 extensions heard in the clear are forgotten inside TLS",
     .use_tls = true,
     .eight_bit = true,
     .talk = {GREET, "S: 250-mx.example\r\n250-8BITMIME\r\n250 STARTTLS\r\n", "C: STARTTLS\r\n",
              "S: 220 go\r\n", "E: STARTTLS", "C: EHLO gate.example\r\n", PLAIN, "E: MISFIT",
              "C: QUIT\r\n"},
     .phase = PHASE_QUIT,
     .reply = 250},
    {.name = "HELO where EHLO is unknown",
     .talk = {GREET, "S: 502 what\r\n", "C: HELO gate.example\r\n", PLAIN, MAIL, "S: 250 ok\r\n"},
     .phase = PHASE_ENVELOPE,
     .reply = 250},
    {.name = "no HELO after 550",
     .talk = {GREET, "S: 550 go away\r\n", "E: FAILED"},
     .phase = PHASE_EHLO,
     .reply = 550},
    {.name = "HELO refused too",
     .talk = {GREET, "S: 500 what\r\n", "C: HELO gate.example\r\n", "S: 500 what\r\n", "E: FAILED"},
     .phase = PHASE_EHLO,
     .reply = 500},

    {.name = "STARTTLS, then everything anew",
     .use_tls = true,
     .talk = {GREET, "S: 250-mx.example\r\n250-PIPELINING\r\n250 STARTTLS\r\n", "C: STARTTLS\r\n",
              "S: 220 go\r\n", "E: STARTTLS", "C: EHLO gate.example\r\n", PLAIN, MAIL,
              "S: 250 ok\r\n", "C: RCPT TO:<r0@ext.example>\r\n"},
     .phase = PHASE_ENVELOPE,
     .reply = 250},
    {.name = "STARTTLS again inside TLS is not asked for",
     .use_tls = true,
     .talk = {GREET, "S: 250-mx.example\r\n250 STARTTLS\r\n", "C: STARTTLS\r\n", "S: 220 go\r\n",
              "E: STARTTLS", "C: EHLO gate.example\r\n", "S: 250-mx.example\r\n250 STARTTLS\r\n",
              "E: READY", MAIL},
     .phase = PHASE_ENVELOPE},
    {.name = "OUT-08 bytes behind the 220 of STARTTLS",
     .use_tls = true,
     .talk = {GREET, "S: 250-mx.example\r\n250 STARTTLS\r\n", "C: STARTTLS\r\n",
              "S: 220 go\r\n250 injected\r\n", "E: FAILED"},
     .phase = PHASE_STARTTLS},
    {.name = "OUT-06 STARTTLS refused: in the clear, which the owner judges",
     .use_tls = true,
     .talk = {GREET, "S: 250-mx.example\r\n250 STARTTLS\r\n", "C: STARTTLS\r\n", "S: 454 no\r\n",
              "E: READY", MAIL},
     .phase = PHASE_ENVELOPE},
    {.name = "OUT-09 STARTTLS answered 354",
     .use_tls = true,
     .talk = {GREET, "S: 250-mx.example\r\n250 STARTTLS\r\n", "C: STARTTLS\r\n", "S: 354 no\r\n",
              "E: FAILED"},
     .phase = PHASE_STARTTLS},

    {.name = "OUT-09 greeting 554", .talk = {"S: 554 no\r\n", "E: FAILED"}, .reply = 554},
    {.name = "OUT-09 greeting 421", .talk = {"S: 421 later\r\n", "E: FAILED"}, .reply = 421},
    {.name = "OUT-09 greeting 454", .talk = {"S: 454 later\r\n", "E: FAILED"}, .reply = 454},
    {.name = "OUT-09 greeting 250", .talk = {"S: 250 hello\r\n", "E: FAILED"}},
    {.name = "OUT-09 greeting 354", .talk = {"S: 354 hello\r\n", "E: FAILED"}},
    {.name = "OUT-09 greeting is HTTP", .talk = {"S: HTTP/1.1 400 Bad Request\r\n", "E: FAILED"}},
    {.name = "OUT-09 greeting is empty", .talk = {"S: \r\n", "E: FAILED"}},
    {.name = "OUT-09 EHLO answered 220",
     .talk = {GREET, "S: 220 x\r\n", "E: FAILED"},
     .phase = PHASE_EHLO},
    {.name = "OUT-09 EHLO answered 221",
     .talk = {GREET, "S: 221 x\r\n", "E: FAILED"},
     .phase = PHASE_EHLO},
    {.name = "OUT-09 EHLO answered 354",
     .talk = {GREET, "S: 354 x\r\n", "E: FAILED"},
     .phase = PHASE_EHLO},
    {.name = "OUT-09 EHLO answered 421",
     .talk = {GREET, "S: 421 x\r\n", "E: FAILED"},
     .phase = PHASE_EHLO,
     .reply = 421},
    {.name = "OUT-09 EHLO answered 530",
     .talk = {GREET, "S: 530 x\r\n", "E: FAILED"},
     .phase = PHASE_EHLO,
     .reply = 530},
    {.name = "OUT-09 QUIT answered 554",
     .talk = {ONE, DATA, BODY, "S: 250 ok\r\n", "E: DONE", "C: QUIT\r\n", "S: 554 no\r\n",
              "E: OVER"},
     .phase = PHASE_OVER,
     .reply = 554},
    {.name = "OUT-09 RSET answered 500",
     .mails = 2,
     .talk = {ONE, DATA, "S: 451 not now\r\n", "E: REFUSED", "C: RSET\r\n", "S: 500 what\r\n",
              "E: FAILED"},
     .phase = PHASE_ENVELOPE,
     .reply = 500},

    {.name = "OUT-10 MAIL 4xx",
     .talk = {GREET, PLAIN, MAIL, "S: 451 later\r\n", "E: ENVELOPE", QUIT},
     .phase = PHASE_OVER,
     .reply = 221},
    {.name = "OUT-10 MAIL 5xx, pipelined",
     .recipients = 3,
     .talk = {PIPED_MAIL, "S: 550 no\r\n503 a\r\n503 b\r\n", "S: 503 c\r\n", "E: ENVELOPE", QUIT},
     .phase = PHASE_OVER,
     .reply = 221},
    {.name = "OUT-10 421 to MAIL",
     .talk = {GREET, PLAIN, MAIL, "S: 421 bye\r\n", "E: FAILED"},
     .phase = PHASE_ENVELOPE,
     .reply = 421},
    {.name = "OUT-10 DATA 5xx",
     .talk = {ONE, DATA, "S: 554 no\r\n", "E: REFUSED", QUIT},
     .phase = PHASE_OVER,
     .reply = 221},
    {.name = "OUT-10 DATA 421",
     .talk = {ONE, DATA, "S: 421 no\r\n", "E: FAILED"},
     .phase = PHASE_DATA,
     .reply = 421},
    {.name = "OUT-10 dot 5xx",
     .talk = {ONE, DATA, BODY, "S: 550 spam\r\n", "E: DONE", QUIT},
     .phase = PHASE_OVER,
     .reply = 221},
    {.name = "OUT-10 dot 421",
     .talk = {ONE, DATA, BODY, "S: 421 later\r\n", "E: FAILED"},
     .phase = PHASE_DOT,
     .reply = 421},
    {.name = "OUT-10 dot 354",
     .talk = {ONE, DATA, BODY, "S: 354 go on\r\n", "E: FAILED"},
     .phase = PHASE_DOT},
    {.name = "250 to the dot and a hasty goodbye: it is done",
     .talk = {ONE, DATA, BODY, "S: 250 ok\r\n421 bye\r\n", "E: DONE", "C: QUIT\r\n", "E: OVER"},
     .phase = PHASE_OVER,
     .reply = 421},
    {.name = "250 to the dot and a hasty goodbye: the next mail is not",
     .mails = 2,
     .talk = {ONE, DATA, BODY, "S: 250 ok\r\n421 bye\r\n", "E: DONE", MAIL, "E: FAILED"},
     .phase = PHASE_ENVELOPE,
     .reply = 421},

    {.name = "OUT-11 RCPT 250, 450, 550",
     .recipients = 3,
     .talk = {PIPED_MAIL, "S: 250 ok\r\n250 1\r\n450 2\r\n550 3\r\n", DATA, BODY, "S: 250 ok\r\n",
              "E: DONE", QUIT},
     .phase = PHASE_OVER,
     .reply = 221},
    {.name = "OUT-11 RCPT 251, 252, 552",
     .recipients = 3,
     .talk = {PIPED_MAIL, "S: 250 ok\r\n251 1\r\n252 2\r\n552 3\r\n", DATA, BODY, "S: 250 ok\r\n",
              "E: DONE", QUIT},
     .phase = PHASE_OVER,
     .reply = 221},
    {.name = "OUT-11 RCPT 354",
     .recipients = 3,
     .talk = {PIPED_MAIL, "S: 250 ok\r\n354 1\r\n", "E: FAILED"},
     .phase = PHASE_ENVELOPE},

    {.name = "SMUG-22 354 right behind the RCPT reply",
     .talk = {GREET, PLAIN, MAIL, "S: 250 ok\r\n", "C: RCPT TO:<r0@ext.example>\r\n",
              "S: 250 ok\r\n354 go\r\n", "E: FAILED"},
     .phase = PHASE_ENVELOPE},
    {.name = "SMUG-22 354 and 250 in one",
     .talk = {ONE, DATA, "S: 354 go\r\n250 ok\r\n", "E: FAILED"},
     .phase = PHASE_DATA},
    {.name = "SMUG-22 two replies to the dot",
     .talk = {ONE, DATA, BODY, "S: 250 ok\r\n250 ok\r\n", "E: FAILED"},
     .phase = PHASE_DOT},
    {.name = "SMUG-22 codes that differ",
     .talk = {GREET, "S: 250-a\r\n251 b\r\n", "E: FAILED"},
     .phase = PHASE_EHLO},
    {.name = "SMUG-22 bare LF", .talk = {GREET, "S: 250 a\n", "E: FAILED"}, .phase = PHASE_EHLO},
    {.name = "SMUG-22 two greetings", .talk = {"S: 220 a\r\n220 b\r\n", "E: FAILED"}},

    {.name = "OUT-17 hostile text",
     .talk = {GREET, PLAIN, MAIL, "S: 550 \x1b[2J<b>%s%n\xff\r\n", "E: ENVELOPE", QUIT},
     .phase = PHASE_OVER,
     .reply = 221},
    {.name = "OUT-19 the next mail after one that was refused at its end",
     .mails = 2,
     .talk = {ONE, DATA, BODY, "S: 550 no\r\n", "E: DONE", MAIL, "S: 250 ok\r\n",
              "C: RCPT TO:<r0@ext.example>\r\n", "S: 250 ok\r\n", DATA, BODY, "S: 250 ok\r\n",
              "E: DONE", QUIT},
     .phase = PHASE_OVER,
     .reply = 221},
    {.name = "OUT-19 the next mail after DATA was refused",
     .mails = 2,
     .talk = {ONE, DATA, "S: 451 no\r\n", "E: REFUSED", "C: RSET\r\n", "S: 250 ok\r\n", MAIL,
              "S: 250 ok\r\n", "C: RCPT TO:<r0@ext.example>\r\n", "S: 250 ok\r\n", DATA, BODY},
     .phase = PHASE_DOT,
     .reply = 354},
    {.name = "OUT-19 the next mail after all recipients were refused, pipelined",
     .mails = 2,
     .recipients = 3,
     .talk = {PIPED_MAIL, "S: 250 ok\r\n550 a\r\n550 b\r\n550 c\r\n", "E: ENVELOPE",
              "C: RSET\r\nMAIL FROM:<a@int.example>\r\n" RCPTS,
              "S: 250 ok\r\n250 ok\r\n250 1\r\n250 2\r\n250 3\r\n", DATA, BODY, "S: 250 ok\r\n",
              "E: DONE", QUIT},
     .phase = PHASE_OVER,
     .reply = 221},

    {.name = "SMUG-15 dots are stuffed",
     .content = ".\r\n..\r\n.foo\r\nbar",
     .talk = {ONE, DATA, "S: 354 go\r\n", "E: CONTENT", "C: ..\r\n...\r\n..foo\r\nbar\r\n.\r\n"},
     .phase = PHASE_DOT,
     .reply = 354},
    {.name = "SMUG-15 bare LF is never sent",
     .content = "a\n.\nb\r\n",
     .talk = {ONE, DATA, "S: 354 go\r\n", "E: CONTENT", "E: UNSENDABLE"},
     .phase = PHASE_CONTENT,
     .reply = 354},
    {.name = "SMUG-15 bare CR at the end is never sent",
     .content = "a\r",
     .talk = {ONE, DATA, "S: 354 go\r\n", "E: CONTENT", "E: UNSENDABLE"},
     .phase = PHASE_CONTENT,
     .reply = 354},
    {.name = "SMUG-15 NUL is never sent",
     .content = "\r\n\r", /* NUL itself: test_body.c */
     .talk = {ONE, DATA, "S: 354 go\r\n", "E: CONTENT", "E: UNSENDABLE"},
     .phase = PHASE_CONTENT,
     .reply = 354},
};

struct world {
    const struct row *row;
    struct smtp_client client;
    struct reply_seen replies[RECIPIENTS];
    struct smtp_target targets[RECIPIENTS];
    struct buffer said; /* by us, not yet looked at */
    char events[2048];  /* names, not yet looked at */
    unsigned started;
    bool broken;
};

static const char *const names[] = {
    [SMTP_CLIENT_MORE] = "MORE",       [SMTP_CLIENT_STARTTLS] = "STARTTLS",
    [SMTP_CLIENT_READY] = "READY",     [SMTP_CLIENT_ENVELOPE] = "ENVELOPE",
    [SMTP_CLIENT_CONTENT] = "CONTENT", [SMTP_CLIENT_REFUSED] = "REFUSED",
    [SMTP_CLIENT_DONE] = "DONE",       [SMTP_CLIENT_FAILED] = "FAILED",
    [SMTP_CLIENT_OVER] = "OVER",
};

static void note(struct world *w, const char *event)
{
    size_t len = strlen(w->events);
    (void)snprintf(w->events + len, sizeof w->events - len, "%s ", event);
}

static void next_mail(struct world *w)
{
    const struct row *row = w->row;
    struct smtp_target to[RECIPIENTS] = {{.address = STR("r0@ext.example")},
                                         {.address = STR("r1@ext.example")},
                                         {.address = STR("r2@ext.example")}};
    unsigned mails = row->mails ? row->mails : 1;
    if (row->to.address.len)
        to[0] = row->to;
    struct smtp_envelope e = {
        .sender = str_c(row->sender ? row->sender : "a@int.example"),
        .envid = str_c(row->envid),
        .return_full = row->ret && strcmp(row->ret, "FULL") == 0,
        .return_headers = row->ret && strcmp(row->ret, "HDRS") == 0,
        .recipients = to,
        .recipient_count = row->recipients ? row->recipients : 1,
        .needs = {row->size, row->eight_bit, row->utf8, w->started ? row->tls : SMTP_TLS_NONE},
    };
    size_t said = w->said.len;
    memcpy(w->targets, to, sizeof to);
    e.recipients = w->targets;
    if (w->started++ < mails) {
        if (smtp_client_start(&w->client, &e, w->replies, &w->said))
            return;
        expect(w->said.len == said, "%s: a misfit, and something was said", row->name);
        note(w, "MISFIT");
    }
    smtp_client_quit(&w->client, &w->said);
}

static void send_content(struct world *w)
{
    struct str content = str_c(w->row->content ? w->row->content : "hi");
    if (!smtp_client_content(&w->client, content, &w->said) ||
        !smtp_client_end(&w->client, &w->said)) {
        note(w, "UNSENDABLE");
        buffer_clear(&w->said);
    }
}

static bool any_recipient(const struct world *w)
{
    unsigned n = w->row->recipients ? w->row->recipients : 1;
    bool any = false;
    for (unsigned i = 0; i < n; i++) {
        expect(w->replies[i].code, "%s: recipient %u has no reply", w->row->name, i);
        any |= smtp_client_recipient_class(&w->replies[i]) == 2;
    }
    return any;
}

static void act(struct world *w, enum smtp_client_event event)
{
    if (event != SMTP_CLIENT_MORE)
        note(w, names[event]);
    switch (event) {
    case SMTP_CLIENT_STARTTLS:
        smtp_client_secured(&w->client, SMTP_TLS_ENCRYPTED, &w->said);
        break;
    case SMTP_CLIENT_ENVELOPE:
        if (any_recipient(w))
            smtp_client_data(&w->client, &w->said);
        else
            next_mail(w);
        break;
    case SMTP_CLIENT_READY:
    case SMTP_CLIENT_REFUSED:
    case SMTP_CLIENT_DONE:
        next_mail(w);
        break;
    case SMTP_CLIENT_CONTENT:
        send_content(w);
        break;
    case SMTP_CLIENT_MORE:
    case SMTP_CLIENT_FAILED:
    case SMTP_CLIENT_OVER:
        break;
    }
}

/* The server's bytes; all of them are one piece, unless `split` says to cut (then a reply too
 * many may come late, so rows about that are fed whole only). */
static void hear(struct world *w, struct str bytes, size_t split)
{
    size_t at = 0;
    struct str piece;
    while (harness_piece(bytes, split, &at, &piece)) {
        enum smtp_client_event event;
        do {
            event = smtp_client_feed(&w->client, &piece, &w->said);
            act(w, event);
        } while (piece.len && event != SMTP_CLIENT_FAILED && event != SMTP_CLIENT_OVER);
        if (event == SMTP_CLIENT_FAILED || event == SMTP_CLIENT_OVER)
            return;
    }
}

static void look(struct world *w, const char *line)
{
    if (line[0] == 'C') {
        expect_str(buffer_str(&w->said), str_c(line + 3), w->row->name);
        buffer_clear(&w->said);
        return;
    }
    size_t len = strlen(line + 3);
    bool same = strncmp(w->events, line + 3, len) == 0 && w->events[len] == ' ';
    expect(same, "%s: want event %s, have %s", w->row->name, line + 3, w->events);
    if (same)
        memmove(w->events, w->events + len + 1, strlen(w->events + len + 1) + 1);
}

static void play(const struct row *row, size_t split)
{
    const struct smtp_client_settings settings = {STR("gate.example"), row->use_tls};
    struct world w = {.row = row};
    buffer_init(&w.said, 1 << 16);
    smtp_client_init(&w.client, &settings);
    for (unsigned i = 0; i < TALK && row->talk[i]; i++) {
        if (row->talk[i][0] == 'S')
            hear(&w, str_c(row->talk[i] + 3), split);
        else
            look(&w, row->talk[i]);
    }
    expect(!w.events[0], "%s: also %s", row->name, w.events);
    expect(w.client.phase == row->phase, "%s: phase %d", row->name, (int)w.client.phase);
    expect(w.client.reply.code == row->reply, "%s: reply %d", row->name, w.client.reply.code);
    buffer_drop(&w.said);
}

static bool has_surplus(const struct row *row)
{
    return strstr(row->name, "SMUG-22") || strstr(row->name, "OUT-08") ||
           strstr(row->name, "hasty");
}

static void test_rows(void)
{
    for (size_t i = 0; i < countof(rows); i++) {
        play(&rows[i], 0);
        for (size_t split = 1; split < 60 && !has_surplus(&rows[i]); split++)
            play(&rows[i], split);
        if (!has_surplus(&rows[i]))
            play(&rows[i], SIZE_MAX);
    }
}

/* ---- what rows cannot say */

static enum smtp_client_event hear_c(struct smtp_client *c, const char *text, struct buffer *out)
{
    struct str in = str_c(text);
    return smtp_client_feed(c, &in, out);
}

static void to_ready(struct smtp_client *c, const char *ehlo, struct buffer *out)
{
    static const struct smtp_client_settings settings = {STR_INIT("gate.example"), false};
    buffer_init(out, 1 << 20);
    smtp_client_init(c, &settings);
    expect(hear_c(c, "220 mx\r\n", out) == SMTP_CLIENT_MORE, "greeting");
    expect(hear_c(c, ehlo, out) == SMTP_CLIENT_READY, "EHLO");
    buffer_clear(out);
}

static void test_outcomes(void)
{
    struct smtp_client c;
    struct buffer out;
    struct reply_seen replies[3];
    const struct smtp_target to[] = {{.address = STR("a@x.example")},
                                     {.address = STR("b@x.example")},
                                     {.address = STR("c@x.example")}};
    const struct smtp_envelope e = {.recipients = to, .recipient_count = 3};
    to_ready(&c, "250-mx\r\n250-SIZE 1000\r\n250 PIPELINING\r\n", &out);
    expect(c.offers == (SMTP_PIPELINING | SMTP_SIZE) && c.size_max == 1000, "extensions");
    expect(smtp_client_start(&c, &e, replies, &out), "start");
    expect(str_starts(buffer_str(&out), STR("MAIL FROM:<>\r\nRCPT TO:<a@x.example>\r\n")), "null");
    expect(hear_c(&c, "250 ok\r\n250 2.1.5 ok\r\n552 5.5.3 many\r\n550 5.1.1 none\r\n", &out) ==
               SMTP_CLIENT_ENVELOPE,
           "OUT-11");
    expect(smtp_client_recipient_class(&replies[0]) == 2, "OUT-11 250");
    expect(smtp_client_recipient_class(&replies[1]) == 4, "OUT-11 552 is for now only");
    expect(smtp_client_recipient_class(&replies[2]) == 5, "OUT-11 550");
    expect(replies[2].enhanced[1] == 1, "OUT-11 enhanced code");
    buffer_drop(&out);

    to_ready(&c, "250-mx\r\n250 PIPELINING\r\n", &out);
    expect(smtp_client_start(&c, &e, replies, &out), "start");
    expect(hear_c(&c, "451 4.7.1 later\r\n503 a\r\n503 b\r\n503 c\r\n", &out) ==
               SMTP_CLIENT_ENVELOPE,
           "MAIL refused");
    for (unsigned i = 0; i < 3; i++)
        expect(replies[i].code == 451, "each recipient has MAIL's reply, not %u", replies[i].code);
    buffer_drop(&out);
}

static void test_many_recipients(void)
{
    enum {
        MANY = 1000
    };
    static struct reply_seen replies[MANY];
    static struct smtp_target to[MANY];
    struct smtp_client c;
    struct buffer out;
    for (unsigned i = 0; i < MANY; i++)
        to[i].address = STR("somebody@ext.example");
    const struct smtp_envelope e = {.sender = STR("a@int.example"),
                                    .recipients = to,
                                    .recipient_count = MANY};
    to_ready(&c, "250-mx\r\n250 PIPELINING\r\n", &out);
    expect(smtp_client_start(&c, &e, replies, &out), "start");
    enum smtp_client_event event = SMTP_CLIENT_MORE;
    size_t commands = 0, most = 0;
    while (event == SMTP_CLIENT_MORE && commands < 2 * MANY) {
        most = out.len > most ? out.len : most;
        struct str said = buffer_str(&out);
        size_t lines = 0;
        for (size_t i = 0; i < said.len; i++)
            lines += said.at[i] == '\n';
        buffer_clear(&out);
        commands += lines;
        for (size_t i = 0; i < lines; i++)
            event = hear_c(&c, "250 ok\r\n", &out);
    }
    expect(event == SMTP_CLIENT_ENVELOPE && commands == MANY + 1, "%zu commands", commands);
    expect(most < 4096, "%zu bytes at once", most);
    buffer_drop(&out);
}

static void test_early_reply(void)
{
    struct smtp_client c;
    struct buffer out;
    struct reply_seen reply;
    const struct smtp_target to = {.address = STR("b@x.example")};
    const struct smtp_envelope e = {.sender = STR("a@int.example"),
                                    .recipients = &to,
                                    .recipient_count = 1};
    to_ready(&c, "250 mx\r\n", &out);
    expect(hear_c(&c, "25", &out) == SMTP_CLIENT_MORE, "half a reply");
    expect(smtp_client_start(&c, &e, &reply, &out), "start");
    expect(hear_c(&c, "0 ok\r\n", &out) == SMTP_CLIENT_FAILED, "SMUG-22 began before MAIL");
    buffer_drop(&out);

    to_ready(&c, "250 mx\r\n", &out);
    expect(hear_c(&c, "250 ok\r\n", &out) == SMTP_CLIENT_FAILED && !c.reply.code, "SMUG-22 idle");
    expect(hear_c(&c, "250 ok\r\n", &out) == SMTP_CLIENT_FAILED, "stays failed");
    buffer_drop(&out);

    to_ready(&c, "250 mx\r\n", &out);
    expect(hear_c(&c, "421 bye\r\n", &out) == SMTP_CLIENT_FAILED && c.reply.code == 421,
           "idle 421");
    buffer_drop(&out);
}

static void test_addresses(void)
{
    static const struct str bad[] = {STR_INIT("a@b\r\nRCPT TO:<c@d>"), STR_INIT("a\n@b"),
                                     STR_INIT("a\0@b"), STR_INIT("")};
    struct smtp_client c;
    struct buffer out;
    struct reply_seen reply;
    to_ready(&c, "250 mx\r\n", &out);
    for (size_t i = 0; i < countof(bad); i++) {
        const struct smtp_target to = {.address = bad[i]};
        const struct smtp_envelope e = {.sender = STR("a@int.example"),
                                        .recipients = &to,
                                        .recipient_count = 1};
        expect(!smtp_client_start(&c, &e, &reply, &out) && out.len == 0, "INJ-10 row %zu", i);
    }
    buffer_drop(&out);
}

/* OUT-11: what each reply to RCPT means. */
static void test_recipient_classes(void)
{
    static const struct {
        const char *reply;
        unsigned want;
    } wants[] = {
        {"250 ok", 2},
        {"250 2.1.5 ok", 2},
        {"251 will forward", 2},
        {"252 cannot verify", 2},
        {"450 busy", 4},
        {"451 4.7.1 greylisted", 4},
        {"452 too many recipients", 4},
        {"552 too many recipients", 4},
        {"552 5.5.3 too many recipients", 4},
        {"552 5.2.2 mailbox full", 5},
        {"552 5.3.4 too big", 5},
        {"550 no such user", 5},
        {"550 5.1.1 no such user", 5},
        {"553 5.1.3 syntax", 5},
        {"554 5.7.1 no", 5},
        {"503 bad sequence", 5},
    };

    for (size_t i = 0; i < countof(wants); i++) {
        struct reply_parser p;
        struct buffer line;
        buffer_init(&line, 1000);
        buffer_printf(&line, "%s\r\n", wants[i].reply);
        struct str in = buffer_str(&line);
        reply_parser_init(&p);
        expect(reply_parser_feed(&p, &in) == REPLY_DONE, "%s", wants[i].reply);
        expect(smtp_client_recipient_class(&p.seen) == wants[i].want, "OUT-11 %s", wants[i].reply);
        buffer_drop(&line);
    }
}

/* OUT-09: each stage that is no verdict on a mail, answered with everything. 'o': goes on; 'h':
 * HELO instead; 'p': goes on without TLS; 'x': over, of no reply's making; 'v': over, and the reply
 * said why; 'q': closed as it was going to be. */
static const char *const answers[] = {"220 a", "221 b", "354 c", "421 d", "454 e", "500 f",
                                      "501 g", "502 h", "504 i", "530 j", "550 k", ""};

static const struct {
    const char *stage, *want;
} stages[] = {
    {"greeting", "oxxvvvvvvvvx"}, {"EHLO", "xxxvvhvhhvvx"}, {"STARTTLS", "oxxvpppppppx"},
    {"RSET", "xxxvvvvvvvvx"},     {"QUIT", "qqqqqqqqqqqx"},
};

/* A session that waits for the reply at that stage. */
static void bring_to(struct smtp_client *c, unsigned stage, struct buffer *out)
{
    static const struct smtp_client_settings settings = {STR_INIT("gate.example"), true};
    static struct reply_seen reply;
    static const struct smtp_target to = {.address = STR_INIT("b@x.example")};
    const struct smtp_envelope e = {.recipients = &to, .recipient_count = 1};
    buffer_init(out, 1 << 16);
    smtp_client_init(c, &settings);
    if (stage > 0)
        (void)hear_c(c, "220 mx\r\n", out);
    if (stage == 2)
        (void)hear_c(c, "250-mx\r\n250 STARTTLS\r\n", out);
    if (stage < 3)
        return;
    expect(hear_c(c, "250 mx\r\n", out) == SMTP_CLIENT_READY, "ready");
    if (stage == 4) {
        smtp_client_quit(c, out);
        return;
    }
    expect(smtp_client_start(c, &e, &reply, out), "start");
    (void)hear_c(c, "450 later\r\n", out);
    smtp_client_reset(c, out);
}

static char outcome(const struct smtp_client *c, enum smtp_client_event event, struct str said)
{
    if (event == SMTP_CLIENT_FAILED)
        return c->reply.code ? 'v' : 'x';
    if (event == SMTP_CLIENT_OVER)
        return 'q';
    if (event == SMTP_CLIENT_READY)
        return 'p';
    return str_starts(said, STR("HELO")) ? 'h' : 'o';
}

static void test_matrix(void)
{
    for (unsigned stage = 0; stage < countof(stages); stage++) {
        for (unsigned i = 0; i < countof(answers); i++) {
            struct smtp_client c;
            struct buffer out, line;
            bring_to(&c, stage, &out);
            buffer_clear(&out);
            buffer_init(&line, 100);
            buffer_printf(&line, "%s\r\n", answers[i]);
            enum smtp_client_event event = hear_c(&c, line.at, &out);
            char got = outcome(&c, event, buffer_str(&out));
            expect(got == stages[stage].want[i], "OUT-09 %s answered \"%s\": %c",
                   stages[stage].stage, answers[i], got);
            buffer_drop(&line);
            buffer_drop(&out);
        }
    }
}

/* OUT-17: a long text is cut, an endless line or reply ends the session. */
static void test_long_replies(void)
{
    struct smtp_client c;
    struct buffer out, in;
    buffer_init(&in, 1 << 20);
    to_ready(&c, "250 mx\r\n", &out);
    buffer_puts(&in, "421 ");
    buffer_fill(&in, 'x', 100000);
    struct str bytes = buffer_str(&in);
    expect(smtp_client_feed(&c, &bytes, &out) == SMTP_CLIENT_FAILED && !c.reply.code, "line");
    buffer_drop(&out);
    buffer_clear(&in);
    to_ready(&c, "250 mx\r\n", &out);
    for (unsigned i = 0; i < 2000; i++)
        buffer_puts(&in, "421-x\r\n");
    bytes = buffer_str(&in);
    expect(smtp_client_feed(&c, &bytes, &out) == SMTP_CLIENT_FAILED && !c.reply.code, "lines");
    buffer_drop(&out);
    buffer_drop(&in);
}

int main(void)
{
    const struct test tests[] = {
        {"OUT-08 .. 12, 16, 17, 19; SMUG-15, 22", test_rows},
        {"OUT-11 outcomes of recipients", test_outcomes},
        {"many recipients go out in windows", test_many_recipients},
        {"SMUG-22 replies before their command", test_early_reply},
        {"OUT-11 replies to RCPT", test_recipient_classes},
        {"OUT-09 every answer at every stage", test_matrix},
        {"INJ-10 addresses", test_addresses},
        {"OUT-17 long replies", test_long_replies},
        {0},
    };
    return harness_run("smtp_client", tests);
}
