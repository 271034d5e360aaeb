#include "shards/smtp_client.h"

#include "core/base/base.h"
#include "core/base/limit.h"
#include "core/mail/dsn.h"
#include "core/mail/parameter.h"
#include "core/mail/utf8.h"

/* RCPTs whose replies have not come. More would only fill both sides' buffers (RFC 2920 3.1). */
enum {
    RCPT_WINDOW = 64
};

/* ---- ends */

static enum smtp_client_event fail(struct smtp_client *c, const char *why)
{
    c->over = true;
    c->failure = why;
    return SMTP_CLIENT_FAILED;
}

/* The peer does not speak SMTP, or not in step with us: what it said is no verdict on the mail. */
static enum smtp_client_event fail_protocol(struct smtp_client *c, const char *why)
{
    c->reply = (struct reply_seen){.code = 0};
    return fail(c, why);
}

/* A reply that ends the session: a verdict if it is 4xx or 5xx. */
static enum smtp_client_event fail_reply(struct smtp_client *c, const char *why)
{
    return reply_class(&c->reply) >= 4 ? fail(c, why) : fail_protocol(c, why);
}

/* ---- commands */

/* From here on a reply is due. One whose beginning is there already answers something else. */
static void expect(struct smtp_client *c, enum smtp_phase phase)
{
    const struct reply_parser *p = &c->parser;
    if (!c->outstanding && (p->len || p->cr || p->lines))
        c->early = true;
    c->phase = phase;
    c->outstanding++;
}

static void command(struct smtp_client *c, enum smtp_phase phase, const char *text,
                    struct buffer *out)
{
    buffer_puts(out, text);
    expect(c, phase);
}

static void hello(struct smtp_client *c, const char *verb, struct buffer *out)
{
    c->offers = 0;
    c->size_max = 0;
    c->lines = 0;
    command(c, PHASE_EHLO, verb, out);
    buffer_printf(out, " %.*s\r\n", STR_ARG(c->settings->hostname));
}

static bool offers(const struct smtp_client *c, unsigned extension)
{
    return c->offers & extension;
}

/* Is there an address that only SMTPUTF8 can say? */
static bool is_utf8(const struct smtp_envelope *e)
{
    bool utf8 = e->needs.utf8;
    for (uint32_t i = 0; i < e->recipient_count && !utf8; i++)
        utf8 = !utf8_is_ascii(e->recipients[i].address);
    return utf8;
}

static void send_mail(struct smtp_client *c, struct buffer *out)
{
    const struct smtp_envelope *e = &c->envelope;
    command(c, PHASE_ENVELOPE, "MAIL FROM:<", out);
    buffer_put(out, e->sender);
    buffer_putc(out, '>');
    if (offers(c, SMTP_SIZE) && e->needs.size)
        buffer_printf(out, " SIZE=%llu", (unsigned long long)e->needs.size);
    if (offers(c, SMTP_8BITMIME) && e->needs.eight_bit)
        buffer_puts(out, " BODY=8BITMIME");
    if (offers(c, SMTP_SMTPUTF8) && is_utf8(e))
        buffer_puts(out, " SMTPUTF8");
    if (offers(c, SMTP_DSN) && (e->return_full || e->return_headers))
        buffer_puts(out, e->return_full ? " RET=FULL" : " RET=HDRS");
    if (offers(c, SMTP_DSN) && e->envid.len) {
        buffer_puts(out, " ENVID=");
        xtext_encode(e->envid, out);
    }
    buffer_puts(out, "\r\n");
}

static void put_notify(uint32_t notify, struct buffer *out)
{
    static const char *const names[] = {"NEVER", "SUCCESS", "FAILURE", "DELAY"};
    const char *before = " NOTIFY=";
    for (unsigned bit = 0; bit < countof(names); bit++) {
        if (!(notify & 1u << bit))
            continue;
        buffer_puts(out, before);
        buffer_puts(out, names[bit]);
        before = ",";
    }
}

/* It is encoded anew, its type too: whatever a client put in there, it ends no parameter here
 * (INJ-03). An address of type utf-8 has an encoding of its own (RFC 6533 3), in which what is not
 * ASCII stands for itself where this MAIL had SMTPUTF8. */
static void put_orcpt(struct str orcpt, bool utf8, struct buffer *out)
{
    buffer_puts(out, " ORCPT=");
    if (str_starts_nocase(orcpt, STR("utf-8;")))
        dsn_put_parameter(orcpt, utf8, out);
    else
        xtext_encode(orcpt, out);
}

static void send_rcpts(struct smtp_client *c, struct buffer *out)
{
    uint32_t window = offers(c, SMTP_PIPELINING) ? RCPT_WINDOW : 1;
    bool utf8 = offers(c, SMTP_SMTPUTF8) && is_utf8(&c->envelope);
    while (c->sent_rcpt < c->envelope.recipient_count && c->outstanding < window) {
        const struct smtp_target *to = &c->envelope.recipients[c->sent_rcpt++];
        command(c, PHASE_ENVELOPE, "RCPT TO:<", out);
        buffer_put(out, to->address);
        buffer_putc(out, '>');
        if (offers(c, SMTP_DSN)) {
            put_notify(to->notify, out);
            if (to->orcpt.len)
                put_orcpt(to->orcpt, utf8, out);
        }
        buffer_puts(out, "\r\n");
    }
}

/* ---- replies, one handler a phase */

static enum smtp_client_event ready(struct smtp_client *c)
{
    c->phase = PHASE_IDLE;
    return SMTP_CLIENT_READY;
}

static enum smtp_client_event on_greeting(struct smtp_client *c, struct buffer *out)
{
    if (c->reply.code != 220)
        return fail_reply(c, "the greeting was no welcome");
    hello(c, "EHLO", out);
    return SMTP_CLIENT_MORE;
}

static void note_extension(struct smtp_client *c, struct str line)
{
    static const struct {
        struct str word;
        unsigned extension;
    } known[] = {
        {STR_INIT("PIPELINING"), SMTP_PIPELINING},
        {STR_INIT("SIZE"), SMTP_SIZE},
        {STR_INIT("8BITMIME"), SMTP_8BITMIME},
        {STR_INIT("SMTPUTF8"), SMTP_SMTPUTF8},
        {STR_INIT("DSN"), SMTP_DSN},
        {STR_INIT("STARTTLS"), SMTP_STARTTLS},
    };

    if (c->lines++ == 0) /* the name of the host, not a keyword */
        return;
    struct str word = str_word(&line);
    for (size_t i = 0; i < countof(known); i++) {
        if (!str_eq_nocase(word, known[i].word))
            continue;
        c->offers |= known[i].extension;
        if (known[i].extension == SMTP_SIZE &&
            !str_number(str_word(&line), UINT64_MAX, &c->size_max))
            c->size_max = 0;
    }
}

static enum smtp_client_event on_ehlo(struct smtp_client *c, struct buffer *out)
{
    uint16_t code = c->reply.code;
    if (!c->tried_helo && (code == 500 || code == 502 || code == 504)) {
        c->tried_helo = true;
        hello(c, "HELO", out);
        return SMTP_CLIENT_MORE;
    }
    if (code != 250)
        return fail_reply(c, "EHLO was refused");
    if (c->tried_helo)
        return ready(c);
    if (!c->settings->use_tls || c->tls != SMTP_TLS_NONE || !offers(c, SMTP_STARTTLS))
        return ready(c);
    command(c, PHASE_STARTTLS, "STARTTLS\r\n", out);
    return SMTP_CLIENT_MORE;
}

static enum smtp_client_event on_starttls(struct smtp_client *c, struct buffer *out)
{
    (void)out;
    if (c->reply.code == 220)
        return SMTP_CLIENT_STARTTLS;
    if (reply_class(&c->reply) < 4)
        return fail_protocol(c, "the reply to STARTTLS makes no sense");
    return ready(c); /* without TLS; whether that will do is the owner's to say */
}

static enum smtp_client_event envelope_done(struct smtp_client *c)
{
    if (reply_class(&c->mail_reply) != 2)
        for (uint32_t i = 0; i < c->envelope.recipient_count; i++)
            c->rcpt_reply[i] = c->mail_reply;
    return SMTP_CLIENT_ENVELOPE;
}

static enum smtp_client_event on_envelope(struct smtp_client *c, struct buffer *out)
{
    unsigned class = reply_class(&c->reply);
    if (c->resetting) {
        c->resetting = false;
        if (c->reply.code != 250)
            return fail_reply(c, "RSET was refused");
        if (!offers(c, SMTP_PIPELINING))
            send_mail(c, out);
        return SMTP_CLIENT_MORE;
    }
    if (class == 3 || c->reply.code == 220 || c->reply.code == 221)
        return fail_protocol(c, "the reply to MAIL or RCPT makes no sense");
    if (!c->mail_reply.code)
        c->mail_reply = c->reply;
    else
        c->rcpt_reply[c->answered++] = c->reply;
    if (reply_class(&c->mail_reply) == 2)
        send_rcpts(c, out);
    return c->outstanding ? SMTP_CLIENT_MORE : envelope_done(c);
}

static enum smtp_client_event on_data(struct smtp_client *c, struct buffer *out)
{
    (void)out;
    if (c->reply.code == 354) {
        c->phase = PHASE_CONTENT;
        body_out_init(&c->body);
        return SMTP_CLIENT_CONTENT;
    }
    if (reply_class(&c->reply) < 4)
        return fail_protocol(c, "the reply to DATA makes no sense");
    return SMTP_CLIENT_REFUSED;
}

static enum smtp_client_event on_dot(struct smtp_client *c, struct buffer *out)
{
    (void)out;
    if (reply_class(&c->reply) == 3 || c->reply.code == 220 || c->reply.code == 221)
        return fail_protocol(c, "the reply to the mail makes no sense");
    c->phase = PHASE_IDLE;
    return SMTP_CLIENT_DONE;
}

static enum smtp_client_event on_rset(struct smtp_client *c, struct buffer *out)
{
    (void)out;
    return c->reply.code == 250 ? ready(c) : fail_reply(c, "RSET was refused");
}

static enum smtp_client_event on_quit(struct smtp_client *c, struct buffer *out)
{
    (void)out;
    c->phase = PHASE_OVER;
    c->over = true;
    return SMTP_CLIENT_OVER;
}

static enum smtp_client_event (*const handlers[])(struct smtp_client *c, struct buffer *out) = {
    [PHASE_GREETING] = on_greeting, [PHASE_EHLO] = on_ehlo, [PHASE_STARTTLS] = on_starttls,
    [PHASE_ENVELOPE] = on_envelope, [PHASE_DATA] = on_data, [PHASE_DOT] = on_dot,
    [PHASE_RSET] = on_rset,         [PHASE_QUIT] = on_quit, [PHASE_OVER] = NULL,
};

/* Bytes that no command of ours asked for (SMUG-22, OUT-08). A server that says goodbye right
 * behind its answer to the mail is only hasty: the answer counts, and the goodbye is found at
 * the next feed. */
static bool is_too_much(const struct smtp_client *c, enum smtp_phase was, struct str rest)
{
    if (c->outstanding || !rest.len || was == PHASE_QUIT)
        return false;
    return was != PHASE_DOT || !str_starts(STR("421"), str_head(rest, 3));
}

static enum smtp_client_event on_reply(struct smtp_client *c, struct str *in, struct buffer *out)
{
    c->reply = c->parser.seen;
    c->replies++;
    if (c->reply.code == 421 && c->phase != PHASE_QUIT)
        return fail(c, "the next hop is closing");
    if (!c->outstanding) {
        bool early = c->phase == PHASE_CONTENT;
        return fail_reply(c, early ? "a reply before the end of the mail" : "a reply too many");
    }
    if (c->early)
        return fail_protocol(c, "a reply before its command");
    enum smtp_phase was = c->phase;
    c->outstanding--;
    must(handlers[was]);
    /* Judged before the handler may send the next command: that can't be what the bytes answer. */
    if (is_too_much(c, was, *in))
        return fail_protocol(c, "more replies than commands");
    return handlers[was](c, out);
}

enum smtp_client_event smtp_client_feed(struct smtp_client *c, struct str *in, struct buffer *out)
{
    while (!c->over) {
        enum reply_status status = reply_parser_feed(&c->parser, in);
        if (status == REPLY_MORE)
            return out->full ? fail_protocol(c, "commands do not fit") : SMTP_CLIENT_MORE;
        if (status == REPLY_BAD)
            return fail_protocol(c, "what came is no SMTP reply");
        if (c->phase == PHASE_EHLO)
            note_extension(c, c->parser.line);
        if (status == REPLY_LINE)
            continue;
        enum smtp_client_event event = on_reply(c, in, out);
        if (event != SMTP_CLIENT_MORE)
            return event;
    }
    return c->phase == PHASE_OVER ? SMTP_CLIENT_OVER : SMTP_CLIENT_FAILED;
}

/* ---- the owner's side */

void smtp_client_init(struct smtp_client *c, const struct smtp_client_settings *settings)
{
    *c = (struct smtp_client){.settings = settings, .phase = PHASE_GREETING, .outstanding = 1};
    reply_parser_init(&c->parser);
}

void smtp_client_secured(struct smtp_client *c, enum smtp_tls tls, struct buffer *out)
{
    must(c->phase == PHASE_STARTTLS && !c->outstanding && !c->over && c->tls == SMTP_TLS_NONE);
    must(tls != SMTP_TLS_NONE);
    c->tls = tls;
    reply_parser_init(&c->parser);
    hello(c, "EHLO", out);
}

enum smtp_misfit smtp_client_misfit(const struct smtp_client *c, const struct smtp_needs *needs)
{
    if (c->tls < needs->tls)
        return SMTP_MISFIT_TLS;
    if (c->size_max && needs->size > c->size_max)
        return SMTP_MISFIT_SIZE;
    if (needs->utf8 && !offers(c, SMTP_SMTPUTF8))
        return SMTP_MISFIT_UTF8;
    if (needs->eight_bit && !offers(c, SMTP_8BITMIME))
        return SMTP_MISFIT_8BIT;
    return SMTP_FITS;
}

static bool is_sendable(struct str address)
{
    for (size_t i = 0; i < address.len; i++)
        if ((unsigned char)address.at[i] < ' ' || address.at[i] == 0x7F)
            return false;
    return address.len <= LIMIT_COMMAND_BYTES / 2;
}

bool smtp_client_start(struct smtp_client *c, const struct smtp_envelope *e,
                       struct reply_seen *replies, struct buffer *out)
{
    must(c->phase == PHASE_IDLE || c->phase == PHASE_ENVELOPE || c->phase == PHASE_DATA);
    must(!c->outstanding && !c->over && e->recipient_count);
    bool sendable = is_sendable(e->sender) && smtp_client_misfit(c, &e->needs) == SMTP_FITS;
    for (uint32_t i = 0; i < e->recipient_count && sendable; i++) {
        struct str address = e->recipients[i].address;
        sendable = address.len && is_sendable(address) &&
                   (offers(c, SMTP_SMTPUTF8) || utf8_is_ascii(address));
    }
    if (!sendable)
        return false;
    c->envelope = *e;
    c->answered = c->sent_rcpt = 0;
    c->mail_reply = c->reply = (struct reply_seen){.code = 0};
    c->rcpt_reply = replies;
    for (uint32_t i = 0; i < e->recipient_count; i++)
        replies[i].code = replies[i].text_len = 0;
    c->resetting = c->phase != PHASE_IDLE;
    if (c->resetting)
        command(c, PHASE_ENVELOPE, "RSET\r\n", out);
    if (offers(c, SMTP_PIPELINING) || !c->resetting)
        send_mail(c, out);
    if (offers(c, SMTP_PIPELINING))
        send_rcpts(c, out);
    return true;
}

unsigned smtp_client_recipient_class(const struct reply_seen *r)
{
    bool says_else = r->enhanced[0] && !(r->enhanced[1] == 5 && r->enhanced[2] == 3);
    return r->code == 552 && !says_else ? 4 : reply_class(r);
}

static bool may_go_on(const struct smtp_client *c, enum smtp_phase phase)
{
    return c->phase == phase && !c->outstanding && !c->over;
}

void smtp_client_data(struct smtp_client *c, struct buffer *out)
{
    must(may_go_on(c, PHASE_ENVELOPE) && reply_class(&c->mail_reply) == 2);
    c->envelope.recipients = NULL;
    command(c, PHASE_DATA, "DATA\r\n", out);
}

bool smtp_client_content(struct smtp_client *c, struct str bytes, struct buffer *out)
{
    must(c->phase == PHASE_CONTENT);
    if (c->over)
        return false;
    return body_out_feed(&c->body, bytes, out) && !out->full;
}

bool smtp_client_end(struct smtp_client *c, struct buffer *out)
{
    must(c->phase == PHASE_CONTENT);
    if (c->over || out->full || !body_out_end(&c->body, out) || out->full)
        return false;
    expect(c, PHASE_DOT);
    return true;
}

void smtp_client_reset(struct smtp_client *c, struct buffer *out)
{
    must(may_go_on(c, PHASE_ENVELOPE) || may_go_on(c, PHASE_DATA));
    command(c, PHASE_RSET, "RSET\r\n", out);
}

void smtp_client_quit(struct smtp_client *c, struct buffer *out)
{
    must(!c->over && !c->outstanding && c->phase != PHASE_CONTENT);
    command(c, PHASE_QUIT, "QUIT\r\n", out);
}
