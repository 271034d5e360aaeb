/* fuzz_smtp_client.c -- any server, cut anywhere, against an owner that sends two mails.
 *
 * Byte 0: use of TLS, recipients. Byte 1: seed of the cuts (0: whole). Byte 2: what the mails need
 * (8 bits, UTF-8 in header and in the recipients' addresses, size, TLS for the second) and ask for.
 * The rest is what the server says. Whatever it offers, each line of ours is a command with the
 * parameters of extensions that it did offer, and a mail goes only where it may.
 */
#include "shards/smtp_client.h"

#include "core/base/base.h"
#include "core/mail/parameter.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    RECIPIENTS_MAX = 8,
    MAILS = 2
};

struct play {
    struct smtp_client client;
    struct reply_seen replies[RECIPIENTS_MAX];
    struct buffer out;
    struct smtp_target targets[RECIPIENTS_MAX];
    unsigned recipients, started, contents, done, asks;
    bool over;
};

enum { /* bits of byte 2 */
    ASK_8BIT = 1,
    ASK_UTF8 = 2,
    ASK_UTF8_RECIPIENT = 4,
    ASK_SIZE = 8,
    ASK_TLS = 16,
    ASK_DSN = 32,
};

static void check(bool good, const char *what)
{
    if (good)
        return;
    (void)fprintf(stderr, "broken: %s\n", what);
    abort();
}

static bool has(const struct play *p, const char *text)
{
    return str_find_str(buffer_str(&p->out), str_c(text)) != SIZE_MAX;
}

/* What went out says nothing that the hop did not offer. */
static void check_offers(const struct play *p)
{
    static const struct {
        const char *text;
        unsigned extension;
    } words[] = {{" SIZE=", SMTP_SIZE}, {" BODY=", SMTP_8BITMIME}, {" SMTPUTF8", SMTP_SMTPUTF8},
                 {" RET=", SMTP_DSN},   {" ENVID=", SMTP_DSN},     {" NOTIFY=", SMTP_DSN},
                 {" ORCPT=", SMTP_DSN}, {"\xe3", SMTP_SMTPUTF8}};

    for (size_t i = 0; i < countof(words); i++)
        check(!has(p, words[i].text) || p->client.offers & words[i].extension, words[i].text);
    check(!has(p, "SMUGGLED") || has(p, "+0ASMUGGLED"), "INJ-03");
}

static void next_mail(struct play *p)
{
    unsigned asks = p->asks, offers = p->client.offers;
    bool utf8 = asks & (ASK_UTF8 | ASK_UTF8_RECIPIENT);
    for (unsigned i = 0; i < p->recipients; i++)
        p->targets[i] =
            (struct smtp_target){asks & ASK_UTF8_RECIPIENT ? STR("\xe3\x81\x82@x.example")
                                                           : STR("a@x.example"),
                                 asks & ASK_DSN ? STR("rfc822;a b\r\nSMUGGLED") : STR(""),
                                 asks & ASK_DSN ? NOTIFY_SUCCESS | NOTIFY_DELAY : 0};
    const struct smtp_envelope e = {
        .sender = STR("s@int.example"),
        .envid = asks & ASK_DSN ? STR("= \r\nSMUGGLED") : STR(""),
        .return_headers = asks & ASK_DSN,
        .recipients = p->targets,
        .recipient_count = p->recipients,
        .needs = {asks & ASK_SIZE ? 1000 : 10, asks & ASK_8BIT, asks & ASK_UTF8,
                  asks & ASK_TLS && p->started ? SMTP_TLS_ENCRYPTED : SMTP_TLS_NONE},
    };
    bool fits =
        !(asks & ASK_8BIT && !(offers & SMTP_8BITMIME)) && !(utf8 && !(offers & SMTP_SMTPUTF8)) &&
        !(p->client.size_max && e.needs.size > p->client.size_max) && e.needs.tls <= p->client.tls;
    if (p->started++ < MAILS) {
        check(smtp_client_start(&p->client, &e, p->replies, &p->out) == fits, "start");
        check_offers(p);
        if (fits)
            return;
    }
    smtp_client_quit(&p->client, &p->out);
}

static void on_envelope(struct play *p)
{
    bool any = false;
    for (unsigned i = 0; i < p->recipients; i++) {
        unsigned class = smtp_client_recipient_class(&p->replies[i]);
        check(class == 2 || class == 4 || class == 5, "a recipient without outcome");
        any |= class == 2;
    }
    if (any)
        smtp_client_data(&p->client, &p->out);
    else
        next_mail(p);
}

static void on_event(struct play *p, enum smtp_client_event event)
{
    struct smtp_client *c = &p->client;
    switch (event) {
    case SMTP_CLIENT_MORE:
        break;
    case SMTP_CLIENT_STARTTLS:
        check(c->settings->use_tls && !c->tls && p->started == 0, "STARTTLS");
        smtp_client_secured(c, SMTP_TLS_ENCRYPTED, &p->out);
        break;
    case SMTP_CLIENT_READY:
        next_mail(p);
        break;
    case SMTP_CLIENT_ENVELOPE:
        on_envelope(p);
        break;
    case SMTP_CLIENT_CONTENT:
        p->contents++;
        check(smtp_client_content(c, STR("x\r\n.\r\ny"), &p->out), "content");
        check(smtp_client_end(c, &p->out), "end");
        break;
    case SMTP_CLIENT_DONE:
        p->done++;
        check(p->done == p->contents && c->reply.code != 421, "DONE without content");
        next_mail(p);
        break;
    case SMTP_CLIENT_REFUSED:
        check(reply_class(&c->reply) >= 4, "REFUSED by what?");
        next_mail(p);
        break;
    case SMTP_CLIENT_FAILED:
        check(c->failure && (!c->reply.code || reply_class(&c->reply) >= 4), "FAILED by what?");
        p->over = true;
        break;
    case SMTP_CLIENT_OVER:
        p->over = true;
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    const struct smtp_client_settings settings = {STR("gate.example"), data[0] & 1};
    struct play p = {.recipients = 1 + (data[0] >> 1) % RECIPIENTS_MAX, .asks = data[2]};
    struct str bytes = str_from((const char *)data + 3, size - 3);
    unsigned seed = data[1];
    buffer_init(&p.out, 64 << 10);
    smtp_client_init(&p.client, &settings);
    while (bytes.len && !p.over) {
        seed = seed > 1 ? seed * 1103515245u + 12345u : seed;
        size_t piece = seed == 0 ? bytes.len : seed == 1 ? 1 : 1 + (seed >> 16) % 40;
        struct str in = str_head(bytes, piece);
        bytes = str_skip(bytes, piece);
        do
            on_event(&p, smtp_client_feed(&p.client, &in, &p.out));
        while (in.len && !p.over);
    }
    check_offers(&p);
    check(!p.out.full && p.out.len < 16384, "output");
    buffer_drop(&p.out);
    return 0;
}
