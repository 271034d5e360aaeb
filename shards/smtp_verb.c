#include "shards/smtp_verb.h"

#include "core/base/base.h"
#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/base/limit.h"
#include "core/mail/utf8.h"

enum {
    LAST_IN_PIPELINE = 1 << 0,
    BEFORE_TLS = 1 << 1,
    BEFORE_AUTH = 1 << 2,
    FREE = BEFORE_TLS | BEFORE_AUTH,
    BARE = 1 << 3,
    COSTS_PATIENCE = 1 << 4,
};

enum {
    OVERSHOOT_FREE = 1000, /* RCPTs over the limit that cost nothing: senders pipeline them */
    RECIPIENTS_FIRST = 8,
};

/* ---- answers */

enum smtp_server_event verb_say(enum reply reply, struct buffer *out)
{
    reply_write(reply, out);
    return SMTP_SERVER_MORE;
}

enum smtp_server_event verb_refuse(struct smtp_server *s, enum reply reply, struct buffer *out)
{
    s->errors++;
    return verb_say(reply, out);
}

/* The last words of a session. */
enum smtp_server_event verb_close(struct smtp_server *s, enum reply reply, struct buffer *out)
{
    s->closing = true;
    return verb_say(reply, out);
}

enum smtp_server_event verb_owe(struct smtp_server *s, enum smtp_server_event event)
{
    s->owed = event;
    return event;
}

/* ---- the transaction */

void verb_forget(struct smtp_server *s)
{
    arena_reset(&s->arena);
    s->sender = (struct address){.whole = STR("")};
    s->asked = (struct parameter_mail){.auth = STR(""), .envid = STR("")};
    s->body_bytes = 0;
    s->recipients = NULL;
    s->recipient_count = s->recipient_room = s->recipients_tried = 0;
    s->in_data = s->refused_data = false;
    s->chunked = s->chunk_starts = s->in_chunk = false;
    s->run = STR("");
    if (s->state != FRESH)
        s->state = READY;
}

static struct smtp_recipient *add_recipient(struct smtp_server *s)
{
    if (s->recipient_count == s->recipient_room) {
        uint32_t room = s->recipient_room ? s->recipient_room * 2 : RECIPIENTS_FIRST;
        struct smtp_recipient *more = arena_take(&s->arena, room * sizeof *more);
        if (!more)
            return NULL;
        if (s->recipient_count)
            memcpy(more, s->recipients, s->recipient_count * sizeof *more);
        s->recipients = more;
        s->recipient_room = room;
    }
    return &s->recipients[s->recipient_count++];
}

/* ---- verbs: each gives the event that the owner must act on, or MORE */

/* What no host name or address literal needs, and what a log, a shell or a page might stumble
 * over. */
static bool is_helo(struct str name)
{
    const struct str never = STR("<>&\"'`\\$;|{}");
    for (size_t i = 0; i < name.len; i++)
        if (name.at[i] <= ' ' || name.at[i] > '~' || str_find(never, name.at[i]) != SIZE_MAX)
            return false;
    return name.len > 0 && name.len <= LIMIT_DOMAIN_BYTES;
}

/* What was stored of a mail that comes by BDAT is not wanted any more. */
static enum smtp_server_event forget_told(struct smtp_server *s)
{
    bool told = s->chunked;
    verb_forget(s);
    return told ? SMTP_SERVER_ABORTED : SMTP_SERVER_MORE;
}

static bool hello(struct smtp_server *s, struct str name, struct buffer *out)
{
    if (!is_helo(name)) {
        (void)verb_refuse(s, REPLY_501_HELO, out);
        return false;
    }
    buffer_clear(&s->helo);
    buffer_put(&s->helo, name);
    s->state = READY;
    return true;
}

static enum smtp_server_event on_helo(struct smtp_server *s, struct str args, struct buffer *out)
{
    if (!hello(s, args, out))
        return SMTP_SERVER_MORE;
    s->esmtp = false;
    buffer_printf(out, "250 %.*s\r\n", STR_ARG(s->settings->hostname));
    return forget_told(s);
}

static bool offers_auth(const struct smtp_server *s)
{
    return s->settings->service != SMTP_RELAY && s->secure && !s->authenticated &&
           s->settings->mechanisms;
}

static void write_mechanisms(const struct smtp_server *s, struct buffer *out)
{
    buffer_puts(out, "250 AUTH");
    for (unsigned m = 0; m < SASL_MECHANISMS; m++)
        if (s->settings->mechanisms >> m & 1)
            buffer_printf(out, " %.*s", STR_ARG(sasl_name((enum sasl_mechanism)m)));
    buffer_puts(out, "\r\n");
}

/* RFC 4865: how long a mail may be held, and until when that is. */
static void put_future(const struct smtp_server *s, struct buffer *out)
{
    uint64_t most_s = s->settings->future_max_s;
    struct clock_date until = clock_stamp((s->now_ms / 1000 + most_s) * 1000);
    struct str date = str_head(str_c(until.at), strlen("2026-11-24T04:38:46"));
    if (most_s)
        buffer_printf(out, "250-FUTURERELEASE %llu %.*sZ\r\n", (unsigned long long)most_s,
                      STR_ARG(date));
}

static enum smtp_server_event on_ehlo(struct smtp_server *s, struct str args, struct buffer *out)
{
    if (!hello(s, args, out))
        return SMTP_SERVER_MORE;
    s->esmtp = true;
    bool starttls = s->settings->tls_offered && !s->secure, auth = offers_auth(s);
    buffer_printf(out,
                  "250-%.*s\r\n250-PIPELINING\r\n250-SIZE %llu\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"
                  "250-DSN\r\n250-CHUNKING\r\n250-LIMITS RCPTMAX=%u\r\n",
                  STR_ARG(s->settings->hostname),
                  (unsigned long long)s->settings->message_bytes_max, s->settings->recipients_max);
    put_future(s, out);
    buffer_printf(out, "250%cENHANCEDSTATUSCODES\r\n", starttls || auth ? '-' : ' ');
    if (starttls)
        buffer_puts(out, "250 STARTTLS\r\n");
    if (auth)
        write_mechanisms(s, out);
    return forget_told(s);
}

static enum smtp_server_event on_starttls(struct smtp_server *s, struct str args,
                                          struct buffer *out)
{
    (void)args;
    if (s->secure)
        return verb_refuse(s, REPLY_503_TLS_ACTIVE, out);
    if (!s->settings->tls_offered)
        return verb_refuse(s, REPLY_502_NOT_IMPLEMENTED, out);
    (void)verb_say(REPLY_220_STARTTLS, out);
    return verb_owe(s, SMTP_SERVER_STARTTLS);
}

enum smtp_server_event verb_on_sasl(struct smtp_server *s, enum sasl_status status,
                                    struct buffer *out)
{
    if (status == SASL_ASK) {
        line_set_max(&s->line, LIMIT_AUTH_BYTES);
        reply_write_text(REPLY_334_CHALLENGE, sasl_challenge(&s->auth), out);
        return SMTP_SERVER_MORE;
    }
    line_set_max(&s->line, LIMIT_COMMAND_BYTES);
    if (status == SASL_READY)
        return verb_owe(s, SMTP_SERVER_AUTH);
    return verb_refuse(s, sasl_refusal(status), out);
}

void verb_challenge(struct smtp_server *s, struct str message, struct buffer *out)
{
    struct buffer coded;
    must(message.len <= SASL_MESSAGE_BYTES);
    buffer_init(&coded, 2 * SASL_MESSAGE_BYTES);
    base64_encode(message, BASE64_PADDED, &coded);
    line_set_max(&s->line, LIMIT_AUTH_BYTES);
    buffer_printf(out, "334 %.*s\r\n", STR_ARG(buffer_str(&coded))); /* longer than other replies */
    buffer_drop(&coded);
}

static enum smtp_server_event on_auth(struct smtp_server *s, struct str args, struct buffer *out)
{
    if (s->settings->service == SMTP_RELAY)
        return verb_refuse(s, REPLY_502_NOT_IMPLEMENTED, out);
    if (s->authenticated)
        return verb_refuse(s, REPLY_503_AUTHENTICATED, out);
    if (args.len == 0)
        return verb_refuse(s, REPLY_501_SYNTAX, out);
    if (s->auth_failures >= s->settings->auth_failures_max)
        return verb_close(s, REPLY_421_ERRORS, out);
    return verb_on_sasl(s, sasl_start(&s->auth, args, s->settings->mechanisms), out);
}

/* "FROM:<path> parameters"; blanks behind the colon are forgiven, as everybody does. */
static bool cut_path(struct str keyword, struct str *args, struct str *path)
{
    if (!str_starts_nocase(*args, keyword))
        return false;
    *args = str_skip(*args, keyword.len);
    while (args->len && args->at[0] == ' ')
        *args = str_skip(*args, 1);
    return address_cut_path(args, path);
}

/* Those of the extensions in on_ehlo(); of the others even the names are unknown. */
static unsigned offered_parameters(const struct smtp_server *s)
{
    unsigned always = PARAMETER_SIZE | PARAMETER_8BITMIME | PARAMETER_DSN | PARAMETER_SMTPUTF8;
    if (s->settings->future_max_s)
        always |= PARAMETER_FUTURE;
    return s->settings->service == SMTP_RELAY ? always : always | PARAMETER_AUTH;
}

static unsigned utf8_flag(const struct smtp_server *s)
{
    return s->asked.smtputf8 ? ADDRESS_UTF8 : 0;
}

/* A release that lies further ahead than EHLO allows. */
static bool asks_too_late(const struct smtp_server *s)
{
    uint64_t most_s = s->settings->future_max_s;
    return s->asked.hold_for_s > most_s || s->asked.hold_until_ms > s->now_ms + most_s * 1000;
}

static enum smtp_server_event refuse_mail(struct smtp_server *s, enum reply reply,
                                          struct buffer *out)
{
    verb_forget(s); /* nothing of it stays behind */
    return verb_refuse(s, reply, out);
}

static enum smtp_server_event on_mail(struct smtp_server *s, struct str args, struct buffer *out)
{
    struct str path;
    verb_forget(s);
    if (!cut_path(STR("FROM:"), &args, &path))
        return verb_refuse(s, REPLY_501_SYNTAX, out);
    /* read first: they say whether the address may be UTF-8 */
    enum reply reply = parameter_parse_mail(args, offered_parameters(s), &s->arena, &s->asked);
    if (reply != REPLY_250_OK) /* SMTPUTF8 may stand behind the one that is wrong */
        return refuse_mail(s, reply, out);
    unsigned flags = ADDRESS_SENDER | utf8_flag(s);
    enum address_status status = address_parse_path(path, flags, &s->arena, &s->sender);
    if (status != ADDRESS_OK)
        return refuse_mail(s, address_refusal(status, flags), out);
    if (s->sender.whole.len == 0 && s->settings->service != SMTP_RELAY)
        return refuse_mail(s, REPLY_550_SENDER, out);
    if (asks_too_late(s))
        return refuse_mail(s, REPLY_501_FUTURE, out);
    if (s->asked.size > s->settings->message_bytes_max)
        return refuse_mail(s, REPLY_552_SIZE, out);
    return verb_owe(s, SMTP_SERVER_MAIL);
}

static enum smtp_server_event on_rcpt(struct smtp_server *s, struct str args, struct buffer *out)
{
    struct str path;
    struct parameter_rcpt p;
    struct address address;
    if (s->chunked)
        return verb_refuse(s, REPLY_503_CHUNKED, out);
    s->recipients_tried++;
    if (s->recipient_count >= s->settings->recipients_max) {
        /* Not an error at first: RFC 5321 4.5.3.1.10 wants the sender to go on with those taken. */
        if (s->recipients_tried - s->settings->recipients_max > OVERSHOOT_FREE)
            s->errors++;
        return verb_say(REPLY_452_RECIPIENTS, out);
    }
    if (!cut_path(STR("TO:"), &args, &path))
        return verb_refuse(s, REPLY_501_SYNTAX, out);
    unsigned flags = ADDRESS_RECIPIENT | utf8_flag(s);
    enum address_status status = address_parse_path(path, flags, &s->arena, &address);
    if (status != ADDRESS_OK)
        return verb_refuse(s, address_refusal(status, flags), out);
    unsigned offered = offered_parameters(s) | (s->asked.smtputf8 ? PARAMETER_IN_UTF8 : 0);
    enum reply reply = parameter_parse_rcpt(args, offered, &s->arena, &p);
    if (reply != REPLY_250_OK)
        return verb_refuse(s, reply, out);
    struct smtp_recipient *r = add_recipient(s);
    if (!r)
        return verb_refuse(s, REPLY_452_MEMORY, out);
    *r = (struct smtp_recipient){address, p.orcpt, p.notify};
    return verb_owe(s, SMTP_SERVER_RCPT);
}

static enum smtp_server_event on_data(struct smtp_server *s, struct str args, struct buffer *out)
{
    (void)args;
    if (s->chunked) /* DATA and BDAT don't mix (RFC 3030 3) */
        return verb_refuse(s, REPLY_503_CHUNKED, out);
    if (s->state != RCPT)
        return verb_refuse(s, s->recipients_tried ? REPLY_554_TRANSACTION : REPLY_503_NEED_RCPT,
                           out);
    return verb_owe(s, SMTP_SERVER_DATA);
}

/* "SIZE", "SIZE LAST". */
static bool parse_chunk(struct str args, uint64_t *bytes, bool *last)
{
    struct str size = str_word(&args), word = str_word(&args);
    *last = word.len > 0;
    return size.len && size.len <= 20 && str_number(size, UINT64_MAX, bytes) &&
           (!word.len || str_eq_nocase(word, STR("LAST"))) && str_trim(args).len == 0;
}

/* Why a chunk is not taken; REPLIES: it is. Its bytes have come, or come anyway. */
static enum reply chunk_refusal(const struct smtp_server *s)
{
    bool relay = s->settings->service == SMTP_RELAY;
    if (!relay && !s->secure)
        return REPLY_530_TLS_FIRST;
    if (!relay && !s->authenticated)
        return REPLY_530_AUTH_FIRST;
    if (s->state == RCPT)
        return REPLIES;
    if (s->state == MAIL)
        return s->recipients_tried ? REPLY_554_TRANSACTION : REPLY_503_NEED_RCPT;
    return s->state == READY ? REPLY_503_NEED_MAIL : REPLY_503_SEQUENCE;
}

/* A chunk is eaten even where it may not come: its bytes must never be read as commands. A size
 * that can't be read, or that is beyond all reason where nothing is taken, ends the session. */
static enum smtp_server_event on_bdat(struct smtp_server *s, struct str args, struct buffer *out)
{
    uint64_t bytes;
    bool last;
    if (!parse_chunk(args, &bytes, &last))
        return verb_close(s, REPLY_501_CHUNK, out);
    enum reply refusal = chunk_refusal(s);
    if (refusal != REPLIES && bytes > s->settings->message_bytes_max)
        return verb_close(s, refusal, out);
    s->chatter += bytes == 0 && !last;
    s->chunk_last = last;
    if (refusal == REPLIES && !s->chunked) {
        body_chunk_init(&s->chunk);
        s->chunk.left = bytes;
        s->chunk_starts = true;
        return verb_owe(s, SMTP_SERVER_DATA);
    }
    if (refusal != REPLIES)
        body_chunk_init(&s->chunk);
    s->chunk_refusal = refusal;
    s->chunk.left = bytes;
    s->in_chunk = true;
    return SMTP_SERVER_MORE;
}

static enum smtp_server_event on_rset(struct smtp_server *s, struct str args, struct buffer *out)
{
    (void)args;
    enum smtp_server_event event = forget_told(s);
    (void)verb_say(REPLY_250_OK, out);
    return event;
}

static enum smtp_server_event on_noop(struct smtp_server *s, struct str args, struct buffer *out)
{
    (void)s;
    (void)args;
    return verb_say(REPLY_250_OK, out);
}

static enum smtp_server_event on_vrfy(struct smtp_server *s, struct str args, struct buffer *out)
{
    if (args.len == 0)
        return verb_refuse(s, REPLY_501_SYNTAX, out);
    if (!utf8_is_ascii(args) && !str_ends_nocase(args, STR(" SMTPUTF8"))) /* RFC 6531 3.1 */
        return verb_refuse(s, REPLY_553_UTF8, out);
    if (!utf8_is_valid(args))
        return verb_refuse(s, REPLY_501_SYNTAX, out);
    return verb_say(REPLY_252_VRFY, out);
}

static enum smtp_server_event on_expn(struct smtp_server *s, struct str args, struct buffer *out)
{
    (void)args;
    return verb_refuse(s, REPLY_502_NOT_IMPLEMENTED, out);
}

static enum smtp_server_event on_help(struct smtp_server *s, struct str args, struct buffer *out)
{
    (void)s;
    (void)args;
    return verb_say(REPLY_214_HELP, out);
}

static enum smtp_server_event on_quit(struct smtp_server *s, struct str args, struct buffer *out)
{
    (void)args;
    return verb_close(s, REPLY_221_BYE, out);
}

static enum smtp_server_event on_http(struct smtp_server *s, struct str args, struct buffer *out)
{
    (void)args;
    return verb_close(s, REPLY_554_REFUSED, out);
}

/* ---- which verb, and may it */

static const struct verb {
    struct str name;
    enum smtp_server_event (*handler)(struct smtp_server *s, struct str args, struct buffer *out);
    uint32_t legal, flags;
} verbs[] = {

#define VERB(name, handler, legal, flags) {STR_INIT(name), handler, legal, flags},
#include "shards/smtp_server.def"
#undef VERB
};

static const struct verb *find_verb(struct str name)
{
    for (size_t i = 0; i < countof(verbs); i++)
        if (str_eq_nocase(verbs[i].name, name))
            return &verbs[i];
    return NULL;
}

static enum reply illegal(const struct smtp_server *s, const struct verb *v)
{
    return s->state == READY && v->legal & MAIL ? REPLY_503_NEED_MAIL : REPLY_503_SEQUENCE;
}

enum smtp_server_event verb_run(struct smtp_server *s, struct str line, bool more_waiting,
                                struct buffer *out)
{
    struct str args = line;
    const struct verb *v = find_verb(str_cut(&args, ' '));
    while (args.len && args.at[args.len - 1] == ' ')
        args.len--;
    if (!v)
        return verb_refuse(s, REPLY_500_UNKNOWN, out);
    if (v->flags & COSTS_PATIENCE)
        s->chatter++;
    if (v->flags & LAST_IN_PIPELINE && more_waiting)
        return verb_close(s, REPLY_503_PIPELINE, out);
    if (!(v->legal & s->state))
        return verb_refuse(s, illegal(s, v), out);
    if (s->settings->service != SMTP_RELAY) {
        if (!s->secure && !(v->flags & BEFORE_TLS))
            return verb_refuse(s, REPLY_530_TLS_FIRST, out);
        if (!s->authenticated && !(v->flags & BEFORE_AUTH))
            return verb_refuse(s, REPLY_530_AUTH_FIRST, out);
    }
    if (v->flags & BARE && args.len)
        return verb_refuse(s, REPLY_501_NO_ARGUMENT, out);
    return v->handler(s, args, out);
}
