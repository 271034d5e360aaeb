/* fuzz_smtp_server.c -- any bytes, cut anywhere, against a shard that keeps count.
 *
 * Byte 0: service, TLS, limits. Byte 1: seed of the cuts (0: whole). The rest is what the client
 * sends. Each input is played twice, as cut and byte by byte. Where no rule of pipelining was
 * broken, which depends on the cuts by its nature, both must give the same replies, events and
 * mails.
 */
#include "shards/smtp_server.h"

#include "core/base/base.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    IDLE,
    HAS_MAIL,
    HAS_RCPT,
    IN_DATA
};

struct play {
    struct smtp_server server;
    struct buffer log;  /* replies, events, and mails that came whole */
    struct buffer body; /* so far: how much is told of a mail before its fault, the cuts decide */
    unsigned stage;
    bool over;
};

static void check(bool good, const char *what)
{
    if (good)
        return;
    (void)fprintf(stderr, "broken: %s\n", what);
    abort();
}

static enum reply choose(struct str address, enum reply good)
{
    char c = address.len ? address.at[0] : 'a';
    return c == 'r' ? REPLY_550_POLICY : c == 'q' ? REPLY_421_SHUTDOWN : good;
}

static void settle(struct play *p, enum reply reply)
{
    smtp_server_settle(&p->server, reply, STR(""), &p->log);
}

/* RSET and EHLO end a transaction without an event, so `stage` may be behind. */
static bool is_idle(const struct smtp_server *s)
{
    return s->sender.whole.len == 0 && s->recipient_count == 0 && !s->chunked;
}

static void on_rcpt(struct play *p)
{
    struct smtp_server *s = &p->server;
    check(p->stage == HAS_MAIL || p->stage == HAS_RCPT, "RCPT before MAIL");
    check(s->recipient_count >= 1 && s->recipient_count <= s->settings->recipients_max, "count");
    struct str to = s->recipients[s->recipient_count - 1].address.whole;
    check(to.len > 0 && str_find(to, '\r') == SIZE_MAX && str_find(to, '\n') == SIZE_MAX,
          "address");
    enum reply reply = choose(to, REPLY_250_RECIPIENT);
    if (reply_code(reply) == 250)
        p->stage = HAS_RCPT;
    settle(p, reply);
}

static void on_auth(struct play *p)
{
    const struct sasl *a = &p->server.auth;
    struct str user = buffer_str(&a->user);
    check(p->server.secure && !p->server.authenticated, "AUTH where none may be");
    check(user.len > 0 && str_find(user, '\0') == SIZE_MAX && str_find(user, '\n') == SIZE_MAX,
          "user");
    if (a->mechanism == SASL_SCRAM_SHA_256) {
        check(a->is_first || a->message.len <= SASL_MESSAGE_BYTES, "message");
        if (a->is_first || a->message.len) {
            smtp_server_challenge(&p->server, buffer_str(&a->message), &p->log);
            return;
        }
    }
    smtp_server_settle_auth(&p->server,
                            user.at[0] == 'a' ? REPLY_235_AUTHENTICATED : REPLY_535_AUTH, &p->log);
}

static void on_event(struct play *p, enum smtp_server_event event)
{
    struct smtp_server *s = &p->server;
    if (event != SMTP_SERVER_MORE && event != SMTP_SERVER_BODY)
        buffer_printf(&p->log, "[%d]", (int)event);
    switch (event) {
    case SMTP_SERVER_MORE:
        break;
    case SMTP_SERVER_STARTTLS:
        check(is_idle(s) && !s->secure, "STARTTLS");
        smtp_server_secured(s);
        p->over = true; /* what follows is dropped, which depends on the cuts */
        break;
    case SMTP_SERVER_AUTH:
        check(is_idle(s), "AUTH in a transaction");
        on_auth(p);
        break;
    case SMTP_SERVER_MAIL: {
        enum reply reply = choose(s->sender.whole, REPLY_250_SENDER);
        check(s->settings->service == SMTP_RELAY || s->authenticated, "MAIL without AUTH");
        p->stage = reply_code(reply) == 250 ? HAS_MAIL : IDLE;
        settle(p, reply);
        break;
    }
    case SMTP_SERVER_RCPT:
        on_rcpt(p);
        break;
    case SMTP_SERVER_DATA:
        check(p->stage == HAS_RCPT, "DATA without recipients");
        p->stage = IN_DATA;
        settle(p, REPLY_354_DATA);
        break;
    case SMTP_SERVER_BODY:
        check(p->stage == IN_DATA && s->run.len > 0, "BODY");
        check(s->body_bytes <= s->settings->message_bytes_max, "too much");
        check(str_find(s->run, '\0') == SIZE_MAX, "NUL");
        buffer_put(&p->body, s->run);
        break;
    case SMTP_SERVER_MESSAGE:
        check(p->stage == IN_DATA && p->body.len == s->body_bytes, "MESSAGE");
        buffer_put(&p->log, buffer_str(&p->body));
        buffer_clear(&p->body);
        p->stage = IDLE;
        settle(p, s->body_bytes % 2 ? REPLY_250_ACCEPTED : REPLY_550_POLICY);
        check(s->recipient_count == 0 && s->sender.whole.len == 0, "STATE-01");
        break;
    case SMTP_SERVER_ABORTED:
        check(p->stage == IN_DATA, "ABORTED");
        buffer_clear(&p->body);
        p->stage = IDLE;
        break;
    case SMTP_SERVER_CLOSE:
        p->over = true;
        break;
    }
    check(s->line.kept.len <= LIMIT_AUTH_BYTES && s->arena.used <= s->arena.cap, "memory");
}

/* `seed` 0: whole; 1: byte by byte. */
static void feed_all(struct play *p, struct str bytes, unsigned seed)
{
    while (bytes.len && !p->over) {
        seed = seed > 1 ? seed * 1103515245u + 12345u : seed;
        size_t piece = seed == 0 ? bytes.len : seed == 1 ? 1 : 1 + (seed >> 16) % 40;
        struct str in = str_head(bytes, piece);
        bytes = str_skip(bytes, piece);
        enum smtp_server_event event;
        do {
            event = smtp_server_feed(&p->server, &in, &p->log);
            on_event(p, event);
        } while (event != SMTP_SERVER_MORE && !p->over);
    }
}

static void play(struct play *p, const struct smtp_server_settings *settings, bool secure,
                 struct str bytes, unsigned seed)
{
    *p = (struct play){.stage = IDLE};
    buffer_init(&p->log, 16 << 20);
    buffer_init(&p->body, 16 << 20);
    smtp_server_init(&p->server, settings, secure);
    smtp_server_greet(&p->server, &p->log);
    feed_all(p, bytes, seed);
    check(!p->log.full, "output");
    buffer_drop(&p->body);
    smtp_server_drop(&p->server);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct smtp_server_settings settings = {
        .hostname = STR("gate.example"),
        .message_bytes_max = data[0] & 8 ? 40 : 4000,
        .recipients_max = 3,
        .errors_max = 10,
        .mechanisms = (1 << SASL_MECHANISMS) - 1,
        .auth_failures_max = 5,
        .service = data[0] & 3 ? SMTP_SUBMISSION : SMTP_RELAY,
        .tls_offered = data[0] & 4,
    };
    struct str bytes = str_from((const char *)data + 2, size - 2);
    bool secure = (data[0] & 3) > 1;
    struct play cut, single;
    play(&cut, &settings, secure, bytes, data[1]);
    play(&single, &settings, secure, bytes, 1);
    bool pipelined = str_find_str(buffer_str(&cut.log), STR("503 5.5.0")) != SIZE_MAX;
    check(pipelined || str_eq(buffer_str(&cut.log), buffer_str(&single.log)), "cuts decide");
    buffer_drop(&cut.log);
    buffer_drop(&single.log);
    return 0;
}
