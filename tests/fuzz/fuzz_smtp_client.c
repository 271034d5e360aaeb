/* fuzz_smtp_client.c -- any server, cut anywhere, against an owner that sends two mails.
 *
 * Byte 0: use of TLS, recipients. Byte 1: seed of the cuts (0: whole). The rest is what the server
 * says.
 */
#include "shards/smtp_client.h"

#include "core/base/base.h"

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
    unsigned recipients, started, contents, done;
    bool over;
};

static void check(bool good, const char *what)
{
    if (good)
        return;
    (void)fprintf(stderr, "broken: %s\n", what);
    abort();
}

static void next_mail(struct play *p)
{
    static const struct str to[RECIPIENTS_MAX] = {STR_INIT("a@x.example"), STR_INIT("b@x.example"),
                                                  STR_INIT("c@x.example"), STR_INIT("d@x.example"),
                                                  STR_INIT("e@x.example"), STR_INIT("f@x.example"),
                                                  STR_INIT("g@x.example"), STR_INIT("h@x.example")};
    const struct smtp_envelope e = {STR("s@int.example"), to, p->recipients, 10, true};
    if (p->started++ < MAILS)
        check(smtp_client_start(&p->client, &e, p->replies, &p->out), "start");
    else
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
        check(c->settings->use_tls && !c->secure && p->started == 0, "STARTTLS");
        smtp_client_secured(c, &p->out);
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
    if (size < 2)
        return 0;
    const struct smtp_client_settings settings = {STR("gate.example"), data[0] & 1};
    struct play p = {.recipients = 1 + (data[0] >> 1) % RECIPIENTS_MAX};
    struct str bytes = str_from((const char *)data + 2, size - 2);
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
    check(!p.out.full && p.out.len < 8192, "output");
    buffer_drop(&p.out);
    return 0;
}
