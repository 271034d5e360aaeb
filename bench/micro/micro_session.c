#include "bench/micro/micro.h"
#include "core/base/base.h"
#include "shards/smtp_client.h"
#include "shards/smtp_server.h"

enum {
    OUT_BYTES = 1 << 20,
    BODY_BYTES = 4096
};

static void put_body(struct buffer *b)
{
    buffer_puts(b, "Subject: benchmark\r\n\r\n");
    for (size_t start = b->len; b->len < start + BODY_BYTES;)
        buffer_puts(b, "The quick brown fox jumps over the lazy dog, again and again.\r\n");
}

/* What the worker would do: answer each event at once. */
static void settle(struct smtp_server *s, enum smtp_server_event event, struct buffer *out)
{
    if (event == SMTP_SERVER_MAIL)
        smtp_server_settle(s, REPLY_250_SENDER, STR(""), out);
    else if (event == SMTP_SERVER_RCPT)
        smtp_server_settle(s, REPLY_250_RECIPIENT, STR(""), out);
    else if (event == SMTP_SERVER_DATA)
        smtp_server_settle(s, REPLY_354_DATA, STR(""), out);
    else if (event == SMTP_SERVER_MESSAGE)
        smtp_server_settle(s, REPLY_250_ACCEPTED, STR(""), out);
    else
        must(event == SMTP_SERVER_BODY || event == SMTP_SERVER_MORE);
}

static void hear(struct smtp_server *s, struct str in, struct buffer *out)
{
    enum smtp_server_event event;
    do {
        event = smtp_server_feed(s, &in, out);
        settle(s, event, out);
    } while (event != SMTP_SERVER_MORE);
}

void micro_server_mail(struct micro *m)
{
    const struct smtp_server_settings settings = {.hostname = STR("gate.example"),
                                                  .message_bytes_max = 50 << 20,
                                                  .recipients_max = 1000,
                                                  .errors_max = 20,
                                                  .service = SMTP_RELAY};
    struct smtp_server s;
    struct buffer body, out;
    buffer_init(&body, OUT_BYTES);
    buffer_init(&out, OUT_BYTES);
    put_body(&body);
    buffer_puts(&body, ".\r\n");
    smtp_server_init(&s, &settings, false);
    smtp_server_greet(&s, &out);
    hear(&s, STR("EHLO client.example\r\n"), &out);
    while (micro_more(m)) {
        buffer_clear(&out);
        hear(&s,
             STR("MAIL FROM:<alice@int.example> SIZE=4200\r\n"
                 "RCPT TO:<bob@ext.example>\r\nDATA\r\n"),
             &out);
        hear(&s, buffer_str(&body), &out);
    }
    micro_keep(s.messages);
    micro_items(m, 1);
    smtp_server_drop(&s);
    buffer_drop(&body);
    buffer_drop(&out);
}

static enum smtp_client_event said(struct smtp_client *c, const char *text, struct buffer *out)
{
    struct str in = str_c(text);
    enum smtp_client_event event = SMTP_CLIENT_MORE;
    while (in.len)
        event = smtp_client_feed(c, &in, out);
    return event;
}

void micro_client_mail(struct micro *m)
{
    const struct smtp_client_settings settings = {.hostname = STR("gate.example")};
    const struct smtp_target recipient = {.address = STR("bob@ext.example"), .orcpt = STR("")};
    const struct smtp_envelope envelope = {.sender = STR("alice@int.example"),
                                           .envid = STR(""),
                                           .recipients = &recipient,
                                           .recipient_count = 1};
    struct smtp_client c;
    struct reply_seen reply;
    struct buffer body, out;
    buffer_init(&body, OUT_BYTES);
    buffer_init(&out, OUT_BYTES);
    put_body(&body);
    smtp_client_init(&c, &settings);
    (void)said(&c, "220 mx.example ESMTP\r\n", &out);
    must(said(&c, "250-mx.example\r\n250-PIPELINING\r\n250 SIZE 0\r\n", &out) == SMTP_CLIENT_READY);
    while (micro_more(m)) {
        buffer_clear(&out);
        must(smtp_client_start(&c, &envelope, &reply, &out));
        must(said(&c, "250 2.1.0 OK\r\n250 2.1.5 OK\r\n", &out) == SMTP_CLIENT_ENVELOPE);
        smtp_client_data(&c, &out);
        must(said(&c, "354 go\r\n", &out) == SMTP_CLIENT_CONTENT);
        must(smtp_client_content(&c, buffer_str(&body), &out) && smtp_client_end(&c, &out));
        must(said(&c, "250 2.0.0 OK\r\n", &out) == SMTP_CLIENT_DONE);
    }
    micro_items(m, 1);
    buffer_drop(&body);
    buffer_drop(&out);
}
