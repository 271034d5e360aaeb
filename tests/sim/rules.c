#include "tests/sim/rules.h"

#include <stdio.h>

enum {
    TEXT_LINE_BYTES = 998 /* RFC 5321 4.5.3.1.6 */
};

void rules_init(struct rules *r, bool relay, bool secure, bool offers_tls)
{
    *r = (struct rules){.relay = relay, .secure = secure, .offers_tls = offers_tls};
    buffer_init(&r->content, 1 << 20);
}

void rules_drop(struct rules *r)
{
    buffer_drop(&r->content);
}

static void end_transaction(struct rules *r)
{
    r->mail = r->utf8 = r->chunked = r->bare = r->full = false;
    r->tried = r->taken = 0;
    buffer_clear(&r->content);
}

/* ---- content */

/* Bytes that no mail may have. The CR at its end is bare only once nothing can follow. */
static bool has_bare(struct str s, bool over)
{
    for (size_t i = 0; i < s.len; i++) {
        bool after_cr = i > 0 && s.at[i - 1] == '\r', at_end = i + 1 == s.len;
        if (s.at[i] == '\0' || (s.at[i] == '\n' && !after_cr))
            return true;
        if (s.at[i] == '\r' && (at_end ? over : s.at[i + 1] != '\n'))
            return true;
    }
    return false;
}

static bool has_long_line(struct str s)
{
    while (s.len) {
        size_t end = str_find_str(s, STR("\r\n"));
        if (size_min(end, s.len) > TEXT_LINE_BYTES)
            return true;
        s = str_skip(s, end == SIZE_MAX ? s.len : end + 2);
    }
    return false;
}

/* What the end of a mail may be answered with. */
static bool allow_end(struct rules *r, const struct step *s, unsigned code)
{
    struct str all = buffer_str(&r->content);
    bool ended = all.len == 0 || (all.len > 1 && all.at[all.len - 1] == '\n');
    r->bare = has_bare(all, true);
    r->full = all.len + (ended ? 0 : 2) > RULES_SIZE;
    bool has_long = has_long_line(all);
    if (r->bare || r->full)
        return ((r->bare || has_long) && code == 550) || (r->full && code == 552);
    return code == (has_long ? 550 : s->owner);
}

static bool allow_chunk(struct rules *r, const struct step *s, unsigned code)
{
    buffer_put(&r->content, s->content);
    if (s->last)
        return allow_end(r, s, code);
    r->bare = has_bare(buffer_str(&r->content), false);
    r->full = r->content.len > RULES_SIZE;
    if (r->bare || r->full)
        return (r->bare && code == 550) || (r->full && code == 552);
    return code == 250;
}

/* ---- what stands in the way of a command */

struct way {
    unsigned code;
    bool blocked, hit; /* something stands there; and `code` says so */
};

static void stands(struct way *w, bool is_there, unsigned code)
{
    w->blocked |= is_there;
    w->hit |= is_there && w->code == code;
}

/* Submission: nothing but hello and TLS before TLS, nothing but AUTH before AUTH. */
static void needs_user(const struct rules *r, struct way *w)
{
    stands(w, !r->relay && (!r->secure || !r->authenticated), 530);
}

static void way_of_auth(const struct rules *r, const struct step *s, struct way *w)
{
    stands(w, !r->greeted || r->mail, 503);
    stands(w, r->relay, 502);
    stands(w, !r->relay && !r->secure, 530);
    stands(w, r->authenticated, 503);
    stands(w, s->wrong, s->wrong);
}

static void way_of_envelope(const struct rules *r, const struct step *s, struct way *w)
{
    needs_user(r, w);
    stands(w, !r->greeted, 503);
    stands(w, r->mail == (s->verb == V_MAIL), 503);
    stands(w, s->verb == V_MAIL && s->text[0] == '\0' && !r->relay, 550);
    stands(w, s->verb != V_MAIL && r->chunked, 503);
    stands(w, s->verb == V_RCPT && r->mail && r->taken == RULES_RECIPIENTS, 452);
    stands(w, s->verb == V_RCPT && s->utf8 && !r->utf8, 553);
    stands(w, s->wrong, s->wrong);
}

static void way_of_content(const struct rules *r, const struct step *s, struct way *w)
{
    needs_user(r, w);
    stands(w, !r->greeted || !r->mail, 503);
    stands(w, r->mail && !r->taken, 503);
    stands(w, r->mail && !r->taken && r->tried, 554);
    stands(w, s->verb == V_DATA && r->chunked, 503);
    stands(w, s->verb == V_DATA && s->argument, 501);
}

static struct way way_of(const struct rules *r, const struct step *s, unsigned code)
{
    struct way w = {.code = code};
    switch (s->verb) {
    case V_STARTTLS:
        stands(&w, !r->greeted || r->mail || r->secure, 503);
        stands(&w, !r->offers_tls, 502);
        stands(&w, s->argument, 501);
        break;
    case V_AUTH:
        way_of_auth(r, s, &w);
        break;
    case V_MAIL:
    case V_RCPT:
        way_of_envelope(r, s, &w);
        break;
    case V_DATA:
    case V_BDAT:
        way_of_content(r, s, &w);
        break;
    case V_VRFY:
    case V_EXPN:
        needs_user(r, &w);
        stands(&w, s->wrong, s->wrong);
        break;
    case V_EHLO:
    case V_HELO:
    case V_SECRET:
        stands(&w, s->wrong, s->wrong);
        break;
    case V_RSET:
    case V_QUIT:
        stands(&w, s->argument, 501);
        break;
    case V_NOOP:
    case V_HELP:
    case V_UNKNOWN:
    case V_HTTP:
    case V_LONG:
    case V_BARE:
    case V_CONTENT:
        break;
    }
    return w;
}

/* ---- what answers when nothing does */

static bool allow_good(struct rules *r, const struct step *s, unsigned code)
{
    static const unsigned codes[] = {
        [V_EHLO] = 250,    [V_HELO] = 250, [V_STARTTLS] = 220, [V_DATA] = 354, [V_RSET] = 250,
        [V_NOOP] = 250,    [V_VRFY] = 252, [V_EXPN] = 502,     [V_HELP] = 214, [V_QUIT] = 221,
        [V_UNKNOWN] = 500, [V_HTTP] = 554, [V_LONG] = 500,     [V_BARE] = 521,
    };

    switch (s->verb) {
    case V_AUTH:
    case V_SECRET:
        return code == (s->asks ? 334 : s->owner);
    case V_MAIL:
    case V_RCPT:
        return code == s->owner;
    case V_BDAT:
        return allow_chunk(r, s, code);
    case V_CONTENT:
        buffer_put(&r->content, s->content);
        return allow_end(r, s, code);
    case V_EHLO:
    case V_HELO:
    case V_STARTTLS:
    case V_DATA:
    case V_RSET:
    case V_NOOP:
    case V_VRFY:
    case V_EXPN:
    case V_HELP:
    case V_QUIT:
    case V_UNKNOWN:
    case V_HTTP:
    case V_LONG:
    case V_BARE:
        return code == codes[s->verb];
    }
    return false;
}

bool rules_allow(struct rules *r, const struct step *s, unsigned code)
{
    bool is_line = s->verb != V_CONTENT;
    if (r->closed)
        return false;
    if (code == 421)
        return is_line && r->errors_most + r->chatter / RULES_CHATTER >= RULES_ERRORS;
    if (is_line && s->verb != V_BARE && r->errors_least >= RULES_ERRORS)
        return false; /* patience is over */
    if (s->verb == V_BDAT && s->wrong)
        return code == s->wrong;
    struct way w = way_of(r, s, code);
    return w.blocked ? w.hit : allow_good(r, s, code);
}

/* ---- what follows */

/* The session ends with this reply. */
static bool closes(const struct rules *r, const struct step *s, unsigned code)
{
    if (code == 421 || s->verb == V_BARE || s->verb == V_HTTP || (s->verb == V_QUIT && code == 221))
        return true;
    if (s->verb == V_BDAT && s->wrong)
        return true; /* where the next command begins, nobody knows */
    if (s->verb == V_BDAT && (code == 503 || code == 530 || (code == 554 && !r->chunked)))
        return s->said > RULES_SIZE;
    return (s->verb == V_BDAT || s->verb == V_CONTENT) && r->bare && code == 550;
}

static void count_patience(struct rules *r, const struct step *s, unsigned code)
{
    bool is_chatter = s->verb == V_NOOP || s->verb == V_HELP || s->verb == V_RSET ||
                      s->verb == V_VRFY || s->verb == V_EXPN || s->verb == V_EHLO ||
                      s->verb == V_HELO || (s->verb == V_BDAT && !s->said);
    r->chatter += is_chatter || code / 100 == 4;
    r->errors_most += code >= 400;
    /* the commands that are wrong by themselves; what the owner refuses may not count */
    r->errors_least += code >= 500 && code <= 504;
    if ((s->verb == V_CONTENT || s->last) && code == 250)
        r->chatter = 0;
}

static void follow_rcpt(struct rules *r, const struct step *s, unsigned code)
{
    r->tried += r->mail && !r->chunked;
    if (code != 250)
        return;
    (void)snprintf(r->recipient[r->taken++], RULES_TEXT, "%s", s->text);
}

static void follow_chunk(struct rules *r, const struct step *s, unsigned code)
{
    if (code == 250 && !s->last) {
        r->chunked = true;
    } else if (r->mail && r->taken && (r->relay || r->authenticated)) {
        r->accepted += code == 250;
        end_transaction(r);
    }
}

void rules_follow(struct rules *r, const struct step *s, unsigned code)
{
    count_patience(r, s, code);
    r->closed = closes(r, s, code);
    if (r->closed)
        return;
    switch (s->verb) {
    case V_EHLO:
    case V_HELO:
        if (code == 250) {
            end_transaction(r);
            r->greeted = true;
            r->esmtp = s->verb == V_EHLO;
        }
        break;
    case V_STARTTLS:
        if (code == 220) {
            r->secure = true;
            r->greeted = r->esmtp = r->authenticated = false; /* RFC 3207 4.2 */
        }
        break;
    case V_AUTH:
    case V_SECRET:
        r->authenticated |= code == 235;
        break;
    case V_MAIL:
        if (code == 250) {
            r->mail = true;
            r->utf8 = s->utf8;
            (void)snprintf(r->sender, RULES_TEXT, "%s", s->text);
        }
        break;
    case V_RCPT:
        follow_rcpt(r, s, code);
        break;
    case V_BDAT:
        follow_chunk(r, s, code);
        break;
    case V_CONTENT:
        r->accepted += code == 250;
        end_transaction(r);
        break;
    case V_RSET:
        if (code == 250)
            end_transaction(r);
        break;
    case V_DATA:
    case V_NOOP:
    case V_VRFY:
    case V_EXPN:
    case V_HELP:
    case V_QUIT:
    case V_UNKNOWN:
    case V_HTTP:
    case V_LONG:
    case V_BARE:
        break;
    }
}

void rules_protocol(const struct rules *r, char *out)
{
    (void)snprintf(out, 16, "%s%s%s",
                   !r->esmtp ? "SMTP"
                   : r->utf8 ? "UTF8SMTP"
                             : "ESMTP",
                   r->esmtp && r->secure ? "S" : "", r->esmtp && r->authenticated ? "A" : "");
}
