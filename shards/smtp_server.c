#include "shards/smtp_server.h"

#include "core/base/base.h"
#include "core/base/limit.h"
#include "core/mail/parameter.h"

enum {
    FRESH = 1 << 0,
    READY = 1 << 1,
    MAIL = 1 << 2,
    RCPT = 1 << 3,
    ANY = FRESH | READY | MAIL | RCPT,
};

enum {
    LAST_IN_PIPELINE = 1 << 0,
    BEFORE_TLS = 1 << 1,
    BEFORE_AUTH = 1 << 2,
    FREE = BEFORE_TLS | BEFORE_AUTH,
    BARE = 1 << 3,
    COSTS_PATIENCE = 1 << 4,
};

enum {
    CHATTER_PER_ERROR = 5,  /* so many NOOPs and the like cost as much as one error */
    OVERSHOOT_FREE = 1000,  /* RCPTs over the limit that cost nothing: senders pipeline them */
    ARENA_BYTES = 64 << 10, /* a transaction without its recipients */
    ARENA_RECIPIENT_BYTES = 1 << 10,
    RECIPIENTS_FIRST = 8,
};

/* ---- answers */

static enum smtp_server_event say(enum reply reply, struct buffer *out)
{
    reply_write(reply, out);
    return SMTP_SERVER_MORE;
}

static enum smtp_server_event refuse(struct smtp_server *s, enum reply reply, struct buffer *out)
{
    s->errors++;
    return say(reply, out);
}

/* The last words of a session. */
static enum smtp_server_event close_with(struct smtp_server *s, enum reply reply,
                                         struct buffer *out)
{
    s->closing = true;
    return say(reply, out);
}

static enum smtp_server_event owe(struct smtp_server *s, enum smtp_server_event event)
{
    s->owed = event;
    return event;
}

/* ---- the transaction */

static void forget_transaction(struct smtp_server *s)
{
    arena_reset(&s->arena);
    s->sender = (struct address){.whole = STR("")};
    s->size_declared = s->body_bytes = 0;
    s->body_8bit = false;
    s->recipients = NULL;
    s->recipient_count = s->recipient_room = s->recipients_tried = 0;
    s->in_data = s->refused_data = false;
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

static bool hello(struct smtp_server *s, struct str name, struct buffer *out)
{
    if (!is_helo(name)) {
        (void)refuse(s, REPLY_501_HELO, out);
        return false;
    }
    buffer_clear(&s->helo);
    buffer_put(&s->helo, name);
    s->state = READY;
    forget_transaction(s);
    return true;
}

static enum smtp_server_event on_helo(struct smtp_server *s, struct str args, struct buffer *out)
{
    if (!hello(s, args, out))
        return SMTP_SERVER_MORE;
    s->esmtp = false;
    buffer_printf(out, "250 %.*s\r\n", STR_ARG(s->settings->hostname));
    return SMTP_SERVER_MORE;
}

static bool offers_auth(const struct smtp_server *s)
{
    return s->settings->service != SMTP_RELAY && s->secure && !s->authenticated;
}

static enum smtp_server_event on_ehlo(struct smtp_server *s, struct str args, struct buffer *out)
{
    if (!hello(s, args, out))
        return SMTP_SERVER_MORE;
    s->esmtp = true;
    bool starttls = s->settings->tls_offered && !s->secure, auth = offers_auth(s);
    buffer_printf(out, "250-%.*s\r\n250-PIPELINING\r\n250-SIZE %llu\r\n250-8BITMIME\r\n",
                  STR_ARG(s->settings->hostname),
                  (unsigned long long)s->settings->message_bytes_max);
    buffer_printf(out, "250%cENHANCEDSTATUSCODES\r\n", starttls || auth ? '-' : ' ');
    if (starttls)
        buffer_puts(out, "250 STARTTLS\r\n");
    if (auth)
        buffer_puts(out, "250 AUTH PLAIN LOGIN\r\n");
    return SMTP_SERVER_MORE;
}

static enum smtp_server_event on_starttls(struct smtp_server *s, struct str args,
                                          struct buffer *out)
{
    (void)args;
    if (s->secure)
        return refuse(s, REPLY_503_TLS_ACTIVE, out);
    if (!s->settings->tls_offered)
        return refuse(s, REPLY_502_NOT_IMPLEMENTED, out);
    (void)say(REPLY_220_STARTTLS, out);
    return owe(s, SMTP_SERVER_STARTTLS);
}

static enum smtp_server_event on_sasl(struct smtp_server *s, enum sasl_status status,
                                      struct buffer *out)
{
    if (status == SASL_ASK) {
        line_set_max(&s->line, LIMIT_AUTH_BYTES);
        reply_write_text(REPLY_334_CHALLENGE, sasl_challenge(s->auth_step), out);
        return SMTP_SERVER_MORE;
    }
    line_set_max(&s->line, LIMIT_COMMAND_BYTES);
    if (status == SASL_READY)
        return owe(s, SMTP_SERVER_AUTH);
    sasl_wipe(&s->auth_user);
    sasl_wipe(&s->auth_password);
    return refuse(s, sasl_refusal(status), out);
}

static enum smtp_server_event on_auth(struct smtp_server *s, struct str args, struct buffer *out)
{
    if (s->settings->service == SMTP_RELAY)
        return refuse(s, REPLY_502_NOT_IMPLEMENTED, out);
    if (s->authenticated)
        return refuse(s, REPLY_503_AUTHENTICATED, out);
    if (args.len == 0)
        return refuse(s, REPLY_501_SYNTAX, out);
    return on_sasl(s, sasl_start(&s->auth_step, args, &s->auth_user, &s->auth_password), out);
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
    unsigned always = PARAMETER_SIZE | PARAMETER_8BITMIME;
    return s->settings->service == SMTP_RELAY ? always : always | PARAMETER_AUTH;
}

static enum smtp_server_event on_mail(struct smtp_server *s, struct str args, struct buffer *out)
{
    struct str path;
    struct parameter_mail p;
    forget_transaction(s);
    if (!cut_path(STR("FROM:"), &args, &path))
        return refuse(s, REPLY_501_SYNTAX, out);
    enum address_status status = address_parse_path(path, ADDRESS_SENDER, &s->arena, &s->sender);
    if (status != ADDRESS_OK)
        return refuse(s, address_refusal(status, ADDRESS_SENDER), out);
    if (s->sender.whole.len == 0 && s->settings->service != SMTP_RELAY)
        return refuse(s, REPLY_550_SENDER, out);
    enum reply reply = parameter_parse_mail(args, offered_parameters(s), &s->arena, &p);
    if (reply != REPLY_250_OK)
        return refuse(s, reply, out);
    if (p.size > s->settings->message_bytes_max)
        return refuse(s, REPLY_552_SIZE, out);
    s->size_declared = p.size;
    s->body_8bit = p.body_8bit;
    return owe(s, SMTP_SERVER_MAIL);
}

static enum smtp_server_event on_rcpt(struct smtp_server *s, struct str args, struct buffer *out)
{
    struct str path;
    struct parameter_rcpt p;
    struct address address;
    s->recipients_tried++;
    if (s->recipient_count >= s->settings->recipients_max) {
        /* Not an error at first: RFC 5321 4.5.3.1.10 wants the sender to go on with those taken. */
        if (s->recipients_tried - s->settings->recipients_max > OVERSHOOT_FREE)
            s->errors++;
        return say(REPLY_452_RECIPIENTS, out);
    }
    if (!cut_path(STR("TO:"), &args, &path))
        return refuse(s, REPLY_501_SYNTAX, out);
    enum address_status status = address_parse_path(path, ADDRESS_RECIPIENT, &s->arena, &address);
    if (status != ADDRESS_OK)
        return refuse(s, address_refusal(status, ADDRESS_RECIPIENT), out);
    enum reply reply = parameter_parse_rcpt(args, offered_parameters(s), &s->arena, &p);
    if (reply != REPLY_250_OK)
        return refuse(s, reply, out);
    struct smtp_recipient *r = add_recipient(s);
    if (!r)
        return refuse(s, REPLY_452_MEMORY, out);
    *r = (struct smtp_recipient){address, p.orcpt, p.notify};
    return owe(s, SMTP_SERVER_RCPT);
}

static enum smtp_server_event on_data(struct smtp_server *s, struct str args, struct buffer *out)
{
    (void)args;
    if (s->state != RCPT)
        return refuse(s, s->recipients_tried ? REPLY_554_TRANSACTION : REPLY_503_NEED_RCPT, out);
    return owe(s, SMTP_SERVER_DATA);
}

static enum smtp_server_event on_rset(struct smtp_server *s, struct str args, struct buffer *out)
{
    (void)args;
    forget_transaction(s);
    return say(REPLY_250_OK, out);
}

static enum smtp_server_event on_noop(struct smtp_server *s, struct str args, struct buffer *out)
{
    (void)s;
    (void)args;
    return say(REPLY_250_OK, out);
}

static enum smtp_server_event on_vrfy(struct smtp_server *s, struct str args, struct buffer *out)
{
    if (args.len == 0)
        return refuse(s, REPLY_501_SYNTAX, out);
    return say(REPLY_252_VRFY, out);
}

static enum smtp_server_event on_expn(struct smtp_server *s, struct str args, struct buffer *out)
{
    (void)args;
    return refuse(s, REPLY_502_NOT_IMPLEMENTED, out);
}

static enum smtp_server_event on_help(struct smtp_server *s, struct str args, struct buffer *out)
{
    (void)s;
    (void)args;
    return say(REPLY_214_HELP, out);
}

static enum smtp_server_event on_quit(struct smtp_server *s, struct str args, struct buffer *out)
{
    (void)args;
    return close_with(s, REPLY_221_BYE, out);
}

static enum smtp_server_event on_http(struct smtp_server *s, struct str args, struct buffer *out)
{
    (void)args;
    return close_with(s, REPLY_554_REFUSED, out);
}

/* ---- lines */

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

static enum smtp_server_event dispatch(struct smtp_server *s, struct str line, bool more_waiting,
                                       struct buffer *out)
{
    struct str args = line;
    const struct verb *v = find_verb(str_cut(&args, ' '));
    while (args.len && args.at[args.len - 1] == ' ')
        args.len--;
    if (!v)
        return refuse(s, REPLY_500_UNKNOWN, out);
    if (v->flags & COSTS_PATIENCE)
        s->chatter++;
    if (v->flags & LAST_IN_PIPELINE && more_waiting)
        return close_with(s, REPLY_503_PIPELINE, out);
    if (!(v->legal & s->state))
        return refuse(s, illegal(s, v), out);
    if (s->settings->service != SMTP_RELAY) {
        if (!s->secure && !(v->flags & BEFORE_TLS))
            return refuse(s, REPLY_530_TLS_FIRST, out);
        if (!s->authenticated && !(v->flags & BEFORE_AUTH))
            return refuse(s, REPLY_530_AUTH_FIRST, out);
    }
    if (v->flags & BARE && args.len)
        return refuse(s, REPLY_501_NO_ARGUMENT, out);
    return v->handler(s, args, out);
}

static enum smtp_server_event on_line(struct smtp_server *s, struct str line, bool more_waiting,
                                      struct buffer *out)
{
    if (s->errors + s->chatter / CHATTER_PER_ERROR >= s->settings->errors_max)
        return close_with(s, REPLY_421_ERRORS, out);
    if (s->auth_step == SASL_NOTHING)
        return dispatch(s, line, more_waiting, out);
    if (more_waiting)
        return close_with(s, REPLY_503_PIPELINE, out);
    return on_sasl(s, sasl_feed(&s->auth_step, line, &s->auth_user, &s->auth_password), out);
}

/* The exchange is over: what the client sends next is a command again. */
static enum smtp_server_event on_long_line(struct smtp_server *s, struct buffer *out)
{
    if (s->errors >= s->settings->errors_max)
        return close_with(s, REPLY_421_ERRORS, out);
    if (s->auth_step == SASL_NOTHING)
        return refuse(s, REPLY_500_LINE_LONG, out);
    s->auth_step = SASL_NOTHING;
    sasl_wipe(&s->auth_user);
    sasl_wipe(&s->auth_password);
    line_set_max(&s->line, LIMIT_COMMAND_BYTES);
    return refuse(s, REPLY_500_AUTH_LONG, out);
}

static enum smtp_server_event feed_line(struct smtp_server *s, struct str *in, struct buffer *out)
{
    struct str line;
    switch (line_feed(&s->line, in, &line)) {
    case LINE_MORE:
        return SMTP_SERVER_MORE;
    case LINE_DONE:
        return on_line(s, line, in->len > 0, out);
    case LINE_TOO_LONG:
        return on_long_line(s, out);
    case LINE_BARE_LF:
        return close_with(s, REPLY_521_BARE_LF, out);
    case LINE_BARE_CR:
        return close_with(s, REPLY_521_BARE_CR, out);
    case LINE_NUL:
        return close_with(s, REPLY_521_NUL, out);
    case LINE_NO_MEMORY:
        return refuse(s, REPLY_452_MEMORY, out);
    }
    return SMTP_SERVER_MORE;
}

/* ---- data */

static enum smtp_server_event on_run(struct smtp_server *s, struct str run)
{
    s->body_bytes += run.len;
    if (s->refused_data)
        return SMTP_SERVER_MORE;
    if (s->body_bytes > s->settings->message_bytes_max) {
        s->refused_data = true;
        return SMTP_SERVER_ABORTED;
    }
    s->run = run;
    return SMTP_SERVER_BODY;
}

/* The end of a mail that is not taken; the owner is told once. */
static enum smtp_server_event end_refused(struct smtp_server *s, enum reply reply,
                                          struct buffer *out)
{
    bool told = s->refused_data;
    forget_transaction(s);
    (void)refuse(s, reply, out);
    return told ? SMTP_SERVER_MORE : SMTP_SERVER_ABORTED;
}

static enum smtp_server_event feed_data(struct smtp_server *s, struct str *in, struct buffer *out)
{
    struct str run;
    switch (body_in_feed(&s->body, in, &run)) {
    case BODY_IN_MORE:
        return SMTP_SERVER_MORE;
    case BODY_IN_DATA:
        return on_run(s, run);
    case BODY_IN_DONE:
        if (s->refused_data)
            return end_refused(s, REPLY_552_SIZE, out);
        s->in_data = false;
        return owe(s, SMTP_SERVER_MESSAGE);
    case BODY_IN_LINE_TOO_LONG:
        return end_refused(s, REPLY_550_LINE_LONG, out);
    case BODY_IN_BARE_LF:
    case BODY_IN_BARE_CR:
    case BODY_IN_NUL:
        /* Where this mail ends is a matter of opinion now, so nothing after it can be trusted. */
        s->closing = true;
        return end_refused(s, REPLY_550_BARE, out);
    }
    return SMTP_SERVER_MORE;
}

/* ---- the owner's side */

void smtp_server_init(struct smtp_server *s, const struct smtp_server_settings *settings,
                      bool secure)
{
    *s = (struct smtp_server){.settings = settings, .secure = secure, .state = FRESH};
    arena_init(&s->arena, ARENA_BYTES + (size_t)settings->recipients_max * ARENA_RECIPIENT_BYTES);
    line_init(&s->line, LIMIT_COMMAND_BYTES);
    buffer_init(&s->helo, LIMIT_DOMAIN_BYTES);
    buffer_init(&s->auth_user, SASL_USER_BYTES);
    buffer_init(&s->auth_password, LIMIT_AUTH_BYTES);
    buffer_init(&s->user, SASL_USER_BYTES);
    forget_transaction(s);
}

void smtp_server_drop(struct smtp_server *s)
{
    arena_drop(&s->arena);
    line_drop(&s->line);
    buffer_drop(&s->helo);
    buffer_drop(&s->user);
    sasl_wipe(&s->auth_user);
    sasl_wipe(&s->auth_password);
}

void smtp_server_greet(struct smtp_server *s, struct buffer *out)
{
    buffer_printf(out, "220 %.*s %.*s\r\n", STR_ARG(s->settings->hostname),
                  STR_ARG(reply_text(REPLY_220_GREETING)));
}

void smtp_server_early_talk(struct smtp_server *s, struct buffer *out)
{
    (void)close_with(s, REPLY_554_PIPELINE, out);
}

enum smtp_server_event smtp_server_feed(struct smtp_server *s, struct str *in, struct buffer *out)
{
    must(s->owed == SMTP_SERVER_MORE);
    while (in->len && !s->closing && !out->full) {
        enum smtp_server_event event = s->in_data ? feed_data(s, in, out) : feed_line(s, in, out);
        if (event == SMTP_SERVER_STARTTLS)
            *in = str_skip(*in, in->len); /* plaintext that somebody put behind it (TLSIN-01) */
        if (event != SMTP_SERVER_MORE)
            return event;
    }
    return s->closing || out->full ? SMTP_SERVER_CLOSE : SMTP_SERVER_MORE;
}

void smtp_server_settle(struct smtp_server *s, enum reply reply, struct str text,
                        struct buffer *out)
{
    enum smtp_server_event owed = s->owed;
    unsigned class = reply_code(reply) / 100;
    s->owed = SMTP_SERVER_MORE;
    reply_write_text(reply, text.len ? text : reply_text(reply), out);
    s->closing = s->closing || reply_code(reply) == 421;
    if (owed == SMTP_SERVER_MAIL) {
        must(class == 2 || class >= 4);
        if (class == 2)
            s->state = MAIL;
        else
            forget_transaction(s);
    } else if (owed == SMTP_SERVER_RCPT) {
        must(class == 2 || class >= 4);
        s->state = class == 2 ? RCPT : s->state;
        s->recipient_count -= class != 2;
        s->errors += class != 2;
    } else if (owed == SMTP_SERVER_DATA) {
        must(reply == REPLY_354_DATA || class >= 4);
        if (class >= 4)
            forget_transaction(s);
        s->in_data = class == 3;
        body_in_init(&s->body);
    } else {
        must(owed == SMTP_SERVER_MESSAGE && (class == 2 || class >= 4));
        s->messages += class == 2;
        s->chatter = class == 2 ? 0 : s->chatter;
        forget_transaction(s);
    }
}

void smtp_server_settle_auth(struct smtp_server *s, enum reply reply, struct buffer *out)
{
    must(s->owed == SMTP_SERVER_AUTH && !s->authenticated);
    s->owed = SMTP_SERVER_MORE;
    (void)say(reply, out);
    s->authenticated = reply == REPLY_235_AUTHENTICATED;
    s->errors += !s->authenticated;
    s->closing = s->closing || reply_code(reply) == 421;
    buffer_clear(&s->user);
    if (s->authenticated)
        buffer_put(&s->user, buffer_str(&s->auth_user));
    sasl_wipe(&s->auth_user);
    sasl_wipe(&s->auth_password);
    sasl_wipe(&s->line.kept); /* the same in base64, if it came in pieces */
}

void smtp_server_secured(struct smtp_server *s)
{
    must(s->owed == SMTP_SERVER_STARTTLS && !s->secure);
    s->owed = SMTP_SERVER_MORE;
    s->state = FRESH;
    forget_transaction(s);
    s->esmtp = s->authenticated = false;
    s->secure = true;
    s->auth_step = SASL_NOTHING;
    buffer_clear(&s->helo);
    buffer_clear(&s->user);
    line_drop(&s->line);
    line_init(&s->line, LIMIT_COMMAND_BYTES);
}

struct str smtp_server_protocol(const struct smtp_server *s)
{
    if (!s->esmtp)
        return STR("SMTP");
    if (s->authenticated)
        return s->secure ? STR("ESMTPSA") : STR("ESMTPA");
    return s->secure ? STR("ESMTPS") : STR("ESMTP");
}
