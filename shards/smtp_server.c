#include "shards/smtp_server.h"

#include "core/base/base.h"
#include "core/base/limit.h"
#include "shards/smtp_verb.h"

enum {
    CHATTER_PER_ERROR = 5,  /* so many NOOPs and the like cost as much as one error */
    ARENA_BYTES = 64 << 10, /* a transaction without its recipients */
    ARENA_RECIPIENT_BYTES = 1 << 10,
};

/* ---- lines */

static enum smtp_server_event on_line(struct smtp_server *s, struct str line, bool more_waiting,
                                      struct buffer *out)
{
    if (s->errors + s->chatter / CHATTER_PER_ERROR >= s->settings->errors_max)
        return verb_close(s, REPLY_421_ERRORS, out);
    if (s->auth.step == SASL_NOTHING)
        return verb_run(s, line, more_waiting, out);
    if (more_waiting)
        return verb_close(s, REPLY_503_PIPELINE, out);
    return verb_on_sasl(s, sasl_feed(&s->auth, line), out);
}

/* The exchange is over: what the client sends next is a command again. */
static enum smtp_server_event on_long_line(struct smtp_server *s, struct buffer *out)
{
    if (s->errors >= s->settings->errors_max)
        return verb_close(s, REPLY_421_ERRORS, out);
    if (s->auth.step == SASL_NOTHING)
        return verb_refuse(s, REPLY_500_LINE_LONG, out);
    sasl_end(&s->auth);
    line_set_max(&s->line, LIMIT_COMMAND_BYTES);
    return verb_refuse(s, REPLY_500_AUTH_LONG, out);
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
        return verb_close(s, REPLY_521_BARE_LF, out);
    case LINE_BARE_CR:
        return verb_close(s, REPLY_521_BARE_CR, out);
    case LINE_NUL:
        return verb_close(s, REPLY_521_NUL, out);
    case LINE_NO_MEMORY:
        return verb_refuse(s, REPLY_452_MEMORY, out);
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
    verb_forget(s);
    (void)verb_refuse(s, reply, out);
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
        return verb_owe(s, SMTP_SERVER_MESSAGE);
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

/* ---- chunks */

/* A chunk that was not taken has been eaten: now its reply. */
static enum smtp_server_event end_eaten(struct smtp_server *s, struct buffer *out)
{
    enum reply reply = s->chunk_refusal;
    s->in_chunk = false;
    s->chunk_refusal = REPLIES;
    if (s->chunked)
        verb_forget(s);
    s->closing = reply == REPLY_550_BARE; /* as after DATA: who does this is not to be trusted */
    return verb_refuse(s, reply, out);
}

/* The mail is refused: the owner is told at once, the client at the end of the chunk. */
static enum smtp_server_event refuse_chunk(struct smtp_server *s, enum reply reply)
{
    s->chunk_refusal = reply;
    s->refused_data = true;
    return SMTP_SERVER_ABORTED;
}

static enum smtp_server_event on_chunk_run(struct smtp_server *s, struct str run)
{
    enum smtp_server_event event = on_run(s, run);
    return event == SMTP_SERVER_ABORTED ? refuse_chunk(s, REPLY_552_SIZE) : event;
}

static enum reply chunk_reply(enum body_in_status fault)
{
    return fault == BODY_IN_LINE_TOO_LONG ? REPLY_550_LINE_LONG : REPLY_550_BARE;
}

static enum smtp_server_event end_chunk(struct smtp_server *s, struct buffer *out)
{
    struct str line_end;
    if (s->chunk_refusal != REPLIES)
        return end_eaten(s, out);
    if (!s->chunk_last) {
        s->in_chunk = false;
        return verb_say(REPLY_250_CHUNK, out);
    }
    enum body_in_status status = body_chunk_end(&s->chunk, &line_end);
    if (status != BODY_IN_DONE)
        return refuse_chunk(s, chunk_reply(status)); /* and the next feed says so */
    if (line_end.len) {
        s->chunk.scan.at = BODY_AT_START;
        return on_chunk_run(s, line_end);
    }
    s->in_chunk = s->chunked = false;
    s->body.scan.eight_bit = s->chunk.scan.eight_bit;
    return verb_owe(s, SMTP_SERVER_MESSAGE);
}

static enum smtp_server_event feed_chunk(struct smtp_server *s, struct str *in, struct buffer *out)
{
    struct str run;
    enum body_in_status status = body_chunk_feed(&s->chunk, in, &run);
    if (status == BODY_IN_MORE)
        return SMTP_SERVER_MORE;
    if (status == BODY_IN_DONE)
        return end_chunk(s, out);
    if (s->chunk_refusal != REPLIES)
        return SMTP_SERVER_MORE; /* what is eaten has no verdict of its own */
    if (status != BODY_IN_DATA)
        return refuse_chunk(s, chunk_reply(status));
    return on_chunk_run(s, run);
}

/* A chunk whose bytes are all here has an end to be worked off, with or without more input. */
static bool is_due(const struct smtp_server *s)
{
    return s->in_chunk && s->chunk.left == 0;
}

/* The owner's answer to the first chunk; it is not said, the chunk comes anyway. */
static void settle_chunk(struct smtp_server *s, enum reply reply)
{
    s->chunked = s->in_chunk = true;
    s->chunk_refusal = reply == REPLY_354_DATA ? REPLIES : reply;
    s->refused_data = reply != REPLY_354_DATA;
}

/* ---- the owner's side */

void smtp_server_init(struct smtp_server *s, const struct smtp_server_settings *settings,
                      bool secure)
{
    *s = (struct smtp_server){.settings = settings, .secure = secure, .state = FRESH};
    arena_init(&s->arena, ARENA_BYTES + (size_t)settings->recipients_max * ARENA_RECIPIENT_BYTES);
    line_init(&s->line, LIMIT_COMMAND_BYTES);
    buffer_init(&s->helo, LIMIT_DOMAIN_BYTES);
    sasl_init(&s->auth);
    buffer_init(&s->user, SASL_USER_BYTES);
    s->chunk_refusal = REPLIES;
    verb_forget(s);
}

void smtp_server_drop(struct smtp_server *s)
{
    arena_drop(&s->arena);
    line_drop(&s->line);
    buffer_drop(&s->helo);
    buffer_drop(&s->user);
    sasl_drop(&s->auth);
}

void smtp_server_greet(struct smtp_server *s, struct buffer *out)
{
    buffer_printf(out, "220 %.*s %.*s\r\n", STR_ARG(s->settings->hostname),
                  STR_ARG(reply_text(REPLY_220_GREETING)));
}

void smtp_server_early_talk(struct smtp_server *s, struct buffer *out)
{
    (void)verb_close(s, REPLY_554_PIPELINE, out);
}

enum smtp_server_event smtp_server_feed(struct smtp_server *s, struct str *in, struct buffer *out)
{
    must(s->owed == SMTP_SERVER_MORE);
    while ((in->len || is_due(s)) && !s->closing && !out->full) {
        enum smtp_server_event event = s->in_chunk  ? feed_chunk(s, in, out)
                                       : s->in_data ? feed_data(s, in, out)
                                                    : feed_line(s, in, out);
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
    if (owed == SMTP_SERVER_DATA && s->chunk_starts) {
        s->chunk_starts = false;
        settle_chunk(s, reply);
        return;
    }
    reply_write_text(reply, text.len ? text : reply_text(reply), out);
    s->closing = s->closing || reply_code(reply) == 421;
    if (owed == SMTP_SERVER_MAIL) {
        must(class == 2 || class >= 4);
        s->chatter += class == 4;
        if (class == 2)
            s->state = MAIL;
        else
            verb_forget(s);
    } else if (owed == SMTP_SERVER_RCPT) {
        must(class == 2 || class >= 4);
        s->state = class == 2 ? RCPT : s->state;
        s->recipient_count -= class != 2;
        /* not now is no error of the client's, while it does not insist */
        s->errors +=
            class == 5 || (class == 4 && s->recipients_tried > s->settings->recipients_max);
    } else if (owed == SMTP_SERVER_DATA) {
        must(reply == REPLY_354_DATA || class >= 4);
        if (class >= 4)
            verb_forget(s);
        s->in_data = class == 3;
        body_in_init(&s->body);
    } else {
        must(owed == SMTP_SERVER_MESSAGE && (class == 2 || class >= 4));
        s->messages += class == 2;
        s->chatter = class == 2 ? 0 : s->chatter;
        verb_forget(s);
    }
}

void smtp_server_settle_auth(struct smtp_server *s, enum reply reply, struct buffer *out)
{
    must(s->owed == SMTP_SERVER_AUTH && !s->authenticated);
    s->owed = SMTP_SERVER_MORE;
    (void)verb_say(reply, out);
    s->authenticated = reply == REPLY_235_AUTHENTICATED;
    s->errors += !s->authenticated;
    s->auth_failures += reply_code(reply) == 535;
    s->closing = s->closing || reply_code(reply) == 421;
    buffer_clear(&s->user);
    if (s->authenticated)
        buffer_put(&s->user, buffer_str(&s->auth.user));
    sasl_end(&s->auth);
    sasl_wipe(&s->line.kept); /* the same in base64, if it came in pieces */
}

void smtp_server_challenge(struct smtp_server *s, struct str message, struct buffer *out)
{
    must(s->owed == SMTP_SERVER_AUTH && !s->authenticated);
    s->owed = SMTP_SERVER_MORE;
    sasl_more(&s->auth);
    verb_challenge(s, message, out);
}

void smtp_server_secured(struct smtp_server *s)
{
    must(s->owed == SMTP_SERVER_STARTTLS && !s->secure);
    s->owed = SMTP_SERVER_MORE;
    s->state = FRESH;
    verb_forget(s);
    s->esmtp = s->authenticated = false;
    s->secure = true;
    sasl_end(&s->auth);
    buffer_clear(&s->helo);
    buffer_clear(&s->user);
    line_drop(&s->line);
    line_init(&s->line, LIMIT_COMMAND_BYTES);
}

struct str smtp_server_protocol(const struct smtp_server *s)
{
    if (!s->esmtp)
        return STR("SMTP");
    if (s->asked.smtputf8 && s->authenticated)
        return s->secure ? STR("UTF8SMTPSA") : STR("UTF8SMTPA");
    if (s->asked.smtputf8)
        return s->secure ? STR("UTF8SMTPS") : STR("UTF8SMTP");
    if (s->authenticated)
        return s->secure ? STR("ESMTPSA") : STR("ESMTPA");
    return s->secure ? STR("ESMTPS") : STR("ESMTP");
}
