/* walk.c -- a random walk of the whole receiving session, judged by a small model of RFC 5321.
 *
 *   build/tests/sim/walk [--seed N] [--steps N] [--verbose]
 *
 * Commands legal and not, with good and bad arguments, alone and in groups, cut anywhere. Of each
 * reply rules.c says whether it may be; of each mail that was accepted that it is the one that was
 * sent. A finding prints the session; the same seed finds it again.
 */
#include "tests/sim/rules.h"

#include "core/base/arena.h"
#include "core/base/base64.h"
#include "shards/smtp_server.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    GROUP = 6,
    WIRE_BYTES = 1 << 20,
    SESSION_STEPS = 120,
    OWNER_MAILS = 64
};

struct walk {
    struct smtp_server_settings settings;
    struct smtp_server server;
    struct rules rules;
    uint64_t seed, random;
    struct arena arena; /* of a group */
    struct buffer wire, out, log;
    size_t heard; /* of `out` */
    bool over;    /* the server closed */
    bool lf_due;  /* the last chunk ended with CR */

    /* the owner's side */
    bool in_mail;
    struct buffer body, mails;
    size_t mail_end[OWNER_MAILS], mail_first, mail_count;

    uint64_t steps, sessions, accepted, hash;
    uint64_t seen[V_CONTENT + 1][600];
};

static _Noreturn void finding(struct walk *w, const char *what, const struct step *s, unsigned code)
{
    (void)fwrite(w->log.at, 1, w->log.len, stderr);
    (void)fprintf(stderr, "\nwalk --seed %llu: %s (verb %d, code %u)\n",
                  (unsigned long long)w->seed, what, s ? (int)s->verb : -1, code);
    exit(EXIT_FAILURE);
}

/* splitmix64 */
static uint64_t draw(struct walk *w)
{
    uint64_t z = w->random += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static unsigned below(struct walk *w, unsigned n)
{
    return (unsigned)(draw(w) % n);
}

static bool one_in(struct walk *w, unsigned n)
{
    return below(w, n) == 0;
}

/* ---- the owner of the session: what it answers is written in what it is asked about */

static enum reply owner_of_address(struct str address, enum reply good)
{
    char c = address.len ? address.at[0] : 'o';
    return c == 'n' ? REPLY_550_POLICY : c == 'l' ? REPLY_451_LOCAL : good;
}

static unsigned owner_of_content(struct str content)
{
    if (str_find_str(content, STR("refuse")) != SIZE_MAX)
        return 550;
    return str_find_str(content, STR("later")) != SIZE_MAX ? 451 : 250;
}

static void put_mail(struct buffer *out, struct str sender, struct str protocol)
{
    buffer_printf(out, "%.*s\n%.*s\n", STR_ARG(protocol), STR_ARG(sender));
}

static enum reply take_mail(struct walk *w)
{
    struct smtp_server *s = &w->server;
    unsigned code = owner_of_content(buffer_str(&w->body));
    if (code != 250)
        return code == 550 ? REPLY_550_POLICY : REPLY_451_POLICY;
    put_mail(&w->mails, s->sender.whole, smtp_server_protocol(s));
    for (uint32_t i = 0; i < s->recipient_count; i++)
        buffer_printf(&w->mails, "%.*s\n", STR_ARG(s->recipients[i].address.whole));
    buffer_put(&w->mails, buffer_str(&w->body));
    must(w->mail_count < OWNER_MAILS);
    w->mail_end[w->mail_count++] = w->mails.len;
    return REPLY_250_ACCEPTED;
}

static void on_auth(struct walk *w)
{
    bool good = w->server.auth.user.at[0] == 'o';
    smtp_server_settle_auth(&w->server, good ? REPLY_235_AUTHENTICATED : REPLY_535_AUTH, &w->out);
}

static void on_event(struct walk *w, enum smtp_server_event event)
{
    struct smtp_server *s = &w->server;
    enum reply reply = REPLIES;
    switch (event) {
    case SMTP_SERVER_MORE:
        return;
    case SMTP_SERVER_STARTTLS:
        smtp_server_secured(s);
        return;
    case SMTP_SERVER_AUTH:
        on_auth(w);
        return;
    case SMTP_SERVER_MAIL:
        reply = owner_of_address(s->sender.whole, REPLY_250_SENDER);
        break;
    case SMTP_SERVER_RCPT:
        reply = owner_of_address(s->recipients[s->recipient_count - 1].address.whole,
                                 REPLY_250_RECIPIENT);
        break;
    case SMTP_SERVER_DATA:
        if (w->in_mail)
            finding(w, "DATA within a mail", NULL, 0);
        w->in_mail = true;
        buffer_clear(&w->body);
        reply = REPLY_354_DATA;
        break;
    case SMTP_SERVER_BODY:
        buffer_put(&w->body, s->run);
        return;
    case SMTP_SERVER_MESSAGE:
        reply = take_mail(w);
        w->in_mail = false;
        break;
    case SMTP_SERVER_ABORTED:
        if (!w->in_mail)
            finding(w, "ABORTED outside of a mail", NULL, 0);
        w->in_mail = false;
        return;
    case SMTP_SERVER_CLOSE:
        w->over = true;
        return;
    }
    smtp_server_settle(s, reply, STR(""), &w->out);
}

static void feed(struct walk *w, struct str bytes, unsigned cuts)
{
    do {
        size_t piece = cuts == 0 ? bytes.len : cuts == 1 ? 1 : 1 + below(w, cuts * cuts);
        struct str in = str_head(bytes, piece);
        bytes = str_skip(bytes, piece);
        enum smtp_server_event event;
        do {
            event = smtp_server_feed(&w->server, &in, &w->out);
            on_event(w, event);
        } while (event != SMTP_SERVER_MORE && !w->over);
    } while (bytes.len && !w->over);
}

/* ---- what the client says */

static void say(struct walk *w, const char *format, ...) PRINTFLIKE(2, 3);

static void say(struct walk *w, const char *format, ...)
{
    char line[8192];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    must(len >= 0 && (size_t)len < sizeof line);
    for (int i = 0; i < len && line[i] != ' ' && line[i] != '<'; i++) /* verbs in any case */
        if (one_in(w, 8) && line[i] >= 'A' && line[i] <= 'Z')
            line[i] = char_lower(line[i]);
    buffer_put(&w->wire, str_from(line, (size_t)len));
}

static const char *pick(struct walk *w, const char *const *words, size_t count)
{
    return words[draw(w) % count];
}

#define PICK(w, ...)                            \
    pick(w, (const char *const[]){__VA_ARGS__}, \
         sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

/* An address, and what its owner will say. */
static void make_address(struct walk *w, struct step *s)
{
    const char *word = one_in(w, 6) ? PICK(w, "no", "later") : "ok";
    s->owner = word[0] == 'o' ? 250 : word[0] == 'n' ? 550 : 451;
    s->utf8 = one_in(w, 12);
    (void)snprintf(s->text, sizeof s->text, "%s%s%u@%s", word, s->utf8 ? "\xc3\xbc" : "",
                   below(w, 1000), PICK(w, "b.example", "c.example", "[192.0.2.1]"));
}

static void drop_utf8(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text > 0x7F)
            *text = 'u';
}

static void make_mail(struct walk *w, struct step *s)
{
    const char *route = one_in(w, 20) ? "@r.example:" : "", *more = "", *tail = ">";
    make_address(w, s);
    bool address_utf8 = s->utf8, says = address_utf8 ? !one_in(w, 4) : one_in(w, 10);
    if (one_in(w, 8))
        more = PICK(w, " SIZE=100", " BODY=8BITMIME", " RET=HDRS ENVID=a+2Bb", " body=7bit size=0");
    if (one_in(w, 12)) {
        s->text[0] = '\0';
        s->owner = 250;
        route = "";
        address_utf8 = false;
    } else if (one_in(w, 12)) {
        s->wrong = 501;
        tail = PICK(w, "", ">x", "..>", "@b>", "> SIZE=x", "> SIZE=", "> BODY=9BIT", "> RET=SOME");
    } else if (one_in(w, 14)) {
        s->wrong = one_in(w, 3) ? 552 : 555;
        tail =
            s->wrong == 552 ? "> SIZE=9999" : PICK(w, "> FOO=1", "> HOLDFOR=5", "> NOTIFY=NEVER");
    }
    if (address_utf8 && !says && s->wrong)
        drop_utf8(s->text); /* one fault is enough */
    else if (address_utf8 && !says)
        s->wrong = 553;
    if (s->wrong && s->wrong != 553)
        more = "";
    s->utf8 = says;
    say(w, "MAIL FROM:<%s%s%s%s%s\r\n", route, s->text, tail, more, says ? " SMTPUTF8" : "");
}

static void make_rcpt(struct walk *w, struct step *s)
{
    const char *route = one_in(w, 20) ? "@r.example,@s.example:" : "", *tail = ">";
    make_address(w, s);
    if (one_in(w, 10)) {
        (void)snprintf(s->text, sizeof s->text, "%s", PICK(w, "postmaster", "Postmaster"));
        s->owner = 250;
        s->utf8 = false;
        route = "";
    } else if (one_in(w, 10)) {
        s->wrong = 501;
        tail = PICK(w, "", ">x", "..>", "@b>", "> NOTIFY=NEVER,DELAY", "> ORCPT=a", "> NOTIFY=");
    } else if (one_in(w, 16)) {
        s->wrong = 555;
        tail = PICK(w, "> FOO=1", "> SIZE=1", "> SMTPUTF8");
    } else if (one_in(w, 8)) {
        tail = PICK(w, "> NOTIFY=SUCCESS,DELAY", "> NOTIFY=NEVER", "> ORCPT=rfc822;a@b");
    }
    say(w, "RCPT TO:<%s%s%s\r\n", route, s->text, tail);
}

/* Words, ends of lines, dots; and now and then what no mail may have, or too much of it. */
static struct str make_content(struct walk *w)
{
    struct buffer b;
    buffer_init(&b, WIRE_BYTES);
    if (w->lf_due)
        buffer_putc(&b, '\n');
    for (unsigned parts = below(w, 12); parts > 0; parts--)
        buffer_puts(&b, PICK(w, "word", "Subject: x\r\n", "\r\n", "\r\n", "..", "\r\n.\r\n",
                             ".\r\n", "MAIL FROM:<a@b>\r\n", "\xe3\x81\x82", "\r\n\r\n"));
    if (one_in(w, 12))
        buffer_puts(&b, PICK(w, "refuse", "later"));
    if (one_in(w, 24))
        buffer_puts(&b, PICK(w, "\n.\n", "\r.\r", "\n", "\r", "x\n.\r\nMAIL", "\r\r\n"));
    if (one_in(w, 60))
        buffer_putc(&b, '\0');
    if (one_in(w, 24))
        buffer_fill(&b, 'x', 990 + below(w, 20));
    for (unsigned lines = one_in(w, 24) ? 20 + below(w, 25) : 0; lines > 0; lines--) {
        buffer_fill(&b, 'y', 78);
        buffer_puts(&b, "\r\n");
    }
    struct str kept = arena_copy(&w->arena, buffer_str(&b));
    must(kept.at != NULL);
    buffer_drop(&b);
    return kept;
}

static void make_chunk(struct walk *w, struct step *s)
{
    if (one_in(w, 60)) {
        s->wrong = 501;
        say(w, "BDAT%s\r\n",
            PICK(w, "", " x", " -1", " 1 2", " 1 LAST x", " 99999999999999999999999"));
        return;
    }
    s->content = make_content(w);
    if (one_in(w, 10))
        s->content = STR("");
    s->said = s->content.len;
    s->last = one_in(w, 3);
    w->lf_due = s->content.len && s->content.at[s->content.len - 1] == '\r' && !s->last;
    say(w, "BDAT %llu%s\r\n", (unsigned long long)s->said,
        s->last ? PICK(w, " LAST", " last") : "");
    buffer_put(&w->wire, s->content);
}

static struct str base64_of(struct walk *w, struct str in)
{
    struct buffer b;
    buffer_init(&b, 4096);
    base64_encode(in, BASE64_PADDED, &b);
    struct str kept = arena_copy(&w->arena, buffer_str(&b));
    must(kept.at != NULL);
    buffer_drop(&b);
    return kept;
}

static void make_auth(struct walk *w, struct step *s)
{
    struct str good = base64_of(w, STR("\0ok\0secret")), bad = base64_of(w, STR("\0no\0secret"));
    bool is_good = !one_in(w, 3);
    s->owner = is_good ? 235 : 535;
    if (one_in(w, 5)) {
        const char *form =
            PICK(w, "AUTH CRAM-MD5\r\n", "AUTH\r\n", "AUTH PLAIN !\r\n", "AUTH PLAIN YQ\r\n");
        s->wrong = form[5] == 'C' ? 504 : 501;
        buffer_puts(&w->wire, form);
    } else if (one_in(w, 3)) {
        s->asks = 2;
        say(w, "AUTH LOGIN\r\n");
    } else if (one_in(w, 3)) {
        s->asks = 1;
        say(w, "AUTH PLAIN\r\n");
    } else {
        struct str proof = is_good ? good : bad;
        say(w, "AUTH PLAIN %.*s\r\n", STR_ARG(proof));
    }
}

/* The line that a 334 asks for; `asks` of them were still to come with it. */
static void make_secret(struct walk *w, const struct step *auth, bool is_plain, struct step *s)
{
    *s = (struct step){.verb = V_SECRET, .asks = auth->asks - 1, .owner = auth->owner};
    struct str user = auth->owner == 235 ? STR("ok") : STR("no"), line = user;
    if (one_in(w, 6)) {
        s->wrong = 501;
        buffer_puts(&w->wire, PICK(w, "*\r\n", "!\r\n", "\r\n", "YWI\r\n"));
        return;
    }
    if (is_plain)
        line = auth->owner == 235 ? STR("\0ok\0secret") : STR("\0no\0secret");
    else if (s->asks == 0)
        line = STR("secret");
    struct str coded = base64_of(w, line);
    buffer_put(&w->wire, coded);
    buffer_puts(&w->wire, "\r\n");
}

static void make_hello(struct walk *w, struct step *s)
{
    const char *name = PICK(w, "x", "host.example", "[192.0.2.7]");
    if (one_in(w, 10)) {
        s->wrong = 501;
        name = PICK(w, "", "<x>", "a b", "\xc3\xbc.example");
    }
    say(w, "%s %s\r\n", s->verb == V_EHLO ? "EHLO" : "HELO", name);
}

static void make_plain(struct walk *w, struct step *s)
{
    static const char *const names[] = {
        [V_STARTTLS] = "STARTTLS", [V_DATA] = "DATA", [V_RSET] = "RSET", [V_NOOP] = "NOOP",
        [V_EXPN] = "EXPN",         [V_HELP] = "HELP", [V_QUIT] = "QUIT",
    };
    bool may_have = s->verb == V_NOOP || s->verb == V_EXPN || s->verb == V_HELP;
    s->argument = !may_have && one_in(w, 12);
    bool has = s->argument || (may_have && one_in(w, 3));
    say(w, "%s%s%s\r\n", names[s->verb], has ? " x" : "", !has && one_in(w, 16) ? " " : "");
}

static void make_odd(struct walk *w, struct step *s)
{
    if (s->verb == V_UNKNOWN)
        say(w, "%s\r\n",
            PICK(w, "FOO", "", "MAILFROM:<a@b>", "RCPTTO:<a@b>", "250 ok", "XCLIENT A=b", "TURN",
                 "SEND FROM:<a@b>", "DATA\tx"));
    else if (s->verb == V_HTTP)
        buffer_puts(&w->wire, PICK(w, "GET / HTTP/1.1\r\n", "POST / HTTP/1.1\r\n"));
    else if (s->verb == V_BARE)
        buffer_put(&w->wire, one_in(w, 3)   ? STR("NOOP\nRSET\r\n")
                             : one_in(w, 2) ? STR("NOOP \rx\r\n")
                                            : STR("NOOP \0x\r\n"));
    else
        buffer_fill(&w->wire, 'N', 5000);
    if (s->verb == V_LONG)
        buffer_puts(&w->wire, "\r\n");
}

static void make_vrfy(struct walk *w, struct step *s)
{
    const char *name = PICK(w, "alice", "a@b.example", "\xc3\xbc SMTPUTF8");
    if (one_in(w, 4)) {
        s->wrong = one_in(w, 2) ? 501 : 553;
        name = s->wrong == 501 ? "" : "\xc3\xbc";
    }
    say(w, "VRFY %s\r\n", name);
}

static void make_step(struct walk *w, enum verb verb, struct step *s)
{
    *s = (struct step){.verb = verb, .owner = 250};
    switch (verb) {
    case V_EHLO:
    case V_HELO:
        make_hello(w, s);
        break;
    case V_AUTH:
        make_auth(w, s);
        break;
    case V_MAIL:
        make_mail(w, s);
        break;
    case V_RCPT:
        make_rcpt(w, s);
        break;
    case V_BDAT:
        make_chunk(w, s);
        break;
    case V_VRFY:
        make_vrfy(w, s);
        break;
    case V_STARTTLS:
    case V_DATA:
    case V_RSET:
    case V_NOOP:
    case V_EXPN:
    case V_HELP:
    case V_QUIT:
        make_plain(w, s);
        break;
    case V_UNKNOWN:
    case V_HTTP:
    case V_LONG:
    case V_BARE:
    case V_SECRET:
    case V_CONTENT:
        make_odd(w, s);
        break;
    }
}

/* ---- what the server says, judged */

/* The code of the next reply, 0: none. All its lines look alike, are short, and are ASCII. */
static unsigned hear(struct walk *w, struct str *reply)
{
    unsigned first = 0;
    size_t start = w->heard;
    for (;;) {
        struct str rest = str_skip(buffer_str(&w->out), w->heard);
        size_t end = str_find_str(rest, STR("\r\n"));
        uint64_t code;
        if (rest.len == 0 && !first)
            return 0;
        if (end == SIZE_MAX || end + 2 > 512 || end < 4 ||
            !str_number(str_head(rest, 3), 599, &code) || code < 200 || (first && code != first))
            finding(w, "not a reply", NULL, first);
        for (size_t i = 0; i < end; i++)
            if (rest.at[i] < ' ' || rest.at[i] > '~')
                finding(w, "a byte that no reply may have", NULL, (unsigned)code);
        first = (unsigned)code;
        w->heard += end + 2;
        if (rest.at[3] == ' ')
            break;
    }
    *reply = str_from(w->out.at + start, w->heard - start);
    return first;
}

static void check_offers(struct walk *w, const struct step *s, struct str reply)
{
    const struct rules *r = &w->rules;
    bool auth = !r->relay && r->secure && !r->authenticated, tls = r->offers_tls && !r->secure;
    if ((str_find_str(reply, STR("STARTTLS\r\n")) != SIZE_MAX) != tls)
        finding(w, "STARTTLS is offered where it may not be, or not where it may", s, 250);
    if ((str_find_str(reply, STR("AUTH PLAIN")) != SIZE_MAX) != auth)
        finding(w, "AUTH is offered where it may not be, or not where it may", s, 250);
    if (str_find_str(reply, STR("LIMITS RCPTMAX=3\r\n")) == SIZE_MAX)
        finding(w, "LIMITS", s, 250);
}

/* The mail that the owner took is the one that was sent. */
static void check_mail(struct walk *w, const struct step *s)
{
    const struct rules *r = &w->rules;
    struct buffer want;
    char protocol[16];
    if (w->mail_first == w->mail_count)
        finding(w, "250, and nobody took the mail", s, 250);
    size_t start = w->mail_first ? w->mail_end[w->mail_first - 1] : 0;
    struct str got = str_from(w->mails.at + start, w->mail_end[w->mail_first++] - start);
    buffer_init(&want, WIRE_BYTES);
    rules_protocol(r, protocol);
    put_mail(&want, str_c(r->sender), str_c(protocol));
    for (unsigned i = 0; i < r->taken; i++)
        buffer_printf(&want, "%s\n", r->recipient[i]);
    buffer_put(&want, buffer_str(&r->content));
    if (r->content.len && r->content.at[r->content.len - 1] != '\n')
        buffer_puts(&want, "\r\n");
    buffer_printf(&w->log, "(mail: %.*s)\n", STR_ARG(got));
    if (!str_eq(got, buffer_str(&want)))
        finding(w, "another mail than the one that was sent", s, 250);
    for (size_t i = 0; i < got.len; i++)
        w->hash = (w->hash ^ (unsigned char)got.at[i]) * 0x100000001b3ull;
    buffer_drop(&want);
}

/* One reply to this step, or none once the session is over. Gives its code. */
static unsigned judge(struct walk *w, const struct step *s)
{
    struct str reply;
    if (w->rules.closed)
        return 0;
    unsigned code = hear(w, &reply);
    w->seen[s->verb][code]++;
    buffer_printf(&w->log, "%.*s", STR_ARG(reply));
    if (code == 0)
        finding(w, "no reply", s, code);
    if (!rules_allow(&w->rules, s, code))
        finding(w, "a reply that may not be", s, code);
    if (s->verb == V_EHLO && code == 250)
        check_offers(w, s, reply);
    if (code == 250 && (s->verb == V_CONTENT || s->last))
        check_mail(w, s);
    rules_follow(&w->rules, s, code);
    w->steps++;
    return code;
}

static void quiet(struct walk *w, const struct step *s)
{
    struct str reply;
    if (hear(w, &reply) != 0)
        finding(w, "a reply too many", s, 0);
    if (w->over != w->rules.closed)
        finding(w, w->over ? "closed where it must not" : "still open", s, 0);
    if (w->mail_first != w->mail_count)
        finding(w, "the owner took a mail that was not accepted", s, 0);
    w->mail_first = w->mail_count = 0;
    buffer_clear(&w->mails);
    buffer_clear(&w->out);
    w->heard = 0;
}

static void send_wire(struct walk *w, unsigned cuts)
{
    buffer_printf(&w->log, "--> (cuts %u) ", cuts);
    buffer_put(&w->log, buffer_str(&w->wire));
    feed(w, buffer_str(&w->wire), cuts);
    buffer_clear(&w->wire);
}

static unsigned draw_cuts(struct walk *w)
{
    return one_in(w, 3) ? 0 : 1 + below(w, 8);
}

/* ---- what goes on after some replies */

static void exchange_auth(struct walk *w, const struct step *auth)
{
    struct step s = *auth;
    bool is_plain = auth->asks == 1;
    for (unsigned code = 334; code == 334 && !w->rules.closed;) {
        struct step next;
        make_secret(w, &s, is_plain, &next);
        send_wire(w, draw_cuts(w));
        code = judge(w, &next);
        quiet(w, &next);
        s = next;
    }
}

static void send_content(struct walk *w)
{
    w->lf_due = false;
    struct str content = make_content(w);
    struct buffer b;
    buffer_init(&b, WIRE_BYTES);
    buffer_put(&b, content);
    if (content.len && !str_ends_nocase(content, STR("\r\n")))
        buffer_puts(&b, "\r\n");
    struct step s = {.verb = V_CONTENT, .content = buffer_str(&b)};
    s.owner = owner_of_content(s.content);
    for (size_t i = 0; i < b.len; i++) {
        bool starts = i == 0 || (i > 1 && b.at[i - 2] == '\r' && b.at[i - 1] == '\n');
        if (starts && b.at[i] == '.')
            buffer_putc(&w->wire, '.');
        buffer_putc(&w->wire, b.at[i]);
    }
    buffer_puts(&w->wire, ".\r\n");
    send_wire(w, draw_cuts(w));
    (void)judge(w, &s);
    quiet(w, &s);
    buffer_drop(&b);
}

/* What the owner says of a mail in chunks is written in all of them. */
static void find_owner(struct walk *w, struct step *s)
{
    struct buffer b;
    buffer_init(&b, WIRE_BYTES);
    buffer_put(&b, buffer_str(&w->rules.content));
    buffer_put(&b, s->content);
    s->owner = owner_of_content(buffer_str(&b));
    buffer_drop(&b);
}

/* Bytes behind a command that must be the last: with TLS they vanish, else they end the session. */
static bool push_on(struct walk *w, struct step *s)
{
    bool tls = s->verb == V_STARTTLS && !s->argument && w->rules.greeted && !w->rules.mail &&
               w->rules.offers_tls && !w->rules.secure;
    bool last = s->verb == V_EHLO || s->verb == V_HELO || s->verb == V_DATA || s->verb == V_AUTH ||
                s->verb == V_QUIT || s->verb == V_VRFY || s->verb == V_EXPN;
    if (!one_in(w, tls ? 3 : 50) || !(tls || last))
        return false;
    buffer_puts(&w->wire, "RSET\r\nMAIL FROM:<injected@b.example>\r\n");
    send_wire(w, 0);
    if (tls) {
        (void)judge(w, s);
    } else {
        struct str reply = STR("");
        unsigned code = hear(w, &reply);
        buffer_printf(&w->log, "%.*s", STR_ARG(reply));
        if (code != 421 && !str_starts(reply, STR("503 5.5.0 ")))
            finding(w, "bytes behind the last command of a group", s, code);
        w->rules.closed = true;
        w->steps++;
    }
    quiet(w, s);
    return true;
}

/* ---- the walk */

static enum verb draw_first(struct walk *w)
{
    static const enum verb usual[] = {V_MAIL, V_MAIL, V_RCPT, V_RCPT, V_RCPT,   V_BDAT,
                                      V_BDAT, V_RSET, V_NOOP, V_HELP, V_UNKNOWN};

    return usual[below(w, countof(usual))];
}

/* Which command would get further; the walk takes it often, so that it does get somewhere. */
static enum verb draw_wise(struct walk *w)
{
    const struct rules *r = &w->rules;
    if (!r->greeted)
        return one_in(w, 6) ? V_HELO : V_EHLO;
    if (!r->relay && !r->secure)
        return V_STARTTLS;
    if (!r->relay && !r->authenticated)
        return V_AUTH;
    if (r->relay && !r->secure && r->offers_tls && !r->mail && one_in(w, 8))
        return V_STARTTLS;
    if (!r->mail)
        return V_MAIL;
    if (r->chunked)
        return V_BDAT;
    if (!r->taken || one_in(w, 2))
        return V_RCPT;
    return one_in(w, 2) ? V_DATA : V_BDAT;
}

static enum verb draw_last(struct walk *w)
{
    if (one_in(w, 40))
        return one_in(w, 2) ? V_BARE : one_in(w, 3) ? V_HTTP : V_QUIT;
    if (!one_in(w, 3))
        return draw_wise(w);
    return (enum verb)below(w, one_in(w, 4) ? V_LONG + 1 : V_QUIT);
}

static void walk_group(struct walk *w)
{
    struct step steps[GROUP];
    size_t count = 0, many = one_in(w, 3) ? below(w, GROUP) : 0;
    arena_reset(&w->arena);
    while (count < many)
        make_step(w, draw_first(w), &steps[count++]);
    make_step(w, draw_last(w), &steps[count++]);
    struct step *last = &steps[count - 1];
    if (count == 1 && push_on(w, last))
        return;
    send_wire(w, draw_cuts(w));
    unsigned code = 0;
    for (size_t i = 0; i < count; i++) {
        if (steps[i].verb == V_BDAT)
            find_owner(w, &steps[i]);
        code = judge(w, &steps[i]);
    }
    quiet(w, last);
    if (w->rules.closed)
        return;
    if (last->verb == V_AUTH && code == 334)
        exchange_auth(w, last);
    if (last->verb == V_DATA && code == 354)
        send_content(w);
}

static void walk_session(struct walk *w)
{
    bool relay = one_in(w, 2), secure = one_in(w, 4), offers_tls = !relay || !one_in(w, 3);
    w->settings.service = relay ? SMTP_RELAY : SMTP_SUBMISSION;
    w->settings.tls_offered = offers_tls;
    smtp_server_init(&w->server, &w->settings, secure);
    rules_init(&w->rules, relay, secure, offers_tls);
    w->over = w->in_mail = w->lf_due = false;
    buffer_clear(&w->log);
    smtp_server_greet(&w->server, &w->out);
    struct str reply;
    if (hear(w, &reply) != 220)
        finding(w, "no greeting", NULL, 0);
    for (int i = 0; i < SESSION_STEPS && !w->rules.closed; i++)
        walk_group(w);
    if (w->server.messages != w->rules.accepted)
        finding(w, "another number of mails", NULL, 0);
    w->accepted += w->rules.accepted;
    w->sessions++;
    rules_drop(&w->rules);
    smtp_server_drop(&w->server);
}

static void print_seen(const struct walk *w)
{
    static const char *const names[] = {"EHLO", "HELO", "STARTTLS", "AUTH",   "MAIL",
                                        "RCPT", "DATA", "BDAT",     "RSET",   "NOOP",
                                        "VRFY", "EXPN", "HELP",     "QUIT",   "?",
                                        "HTTP", "long", "bare",     "secret", "content"};
    for (size_t v = 0; v < countof(names); v++) {
        (void)printf("%-8s", names[v]);
        for (unsigned code = 0; code < 600; code++)
            if (w->seen[v][code])
                (void)printf(" %u:%llu", code, (unsigned long long)w->seen[v][code]);
        (void)printf("\n");
    }
}

static bool take_option(int argc, char **argv, int *i, const char *name, uint64_t *value)
{
    if (!str_eq(str_c(argv[*i]), str_c(name)) || *i + 1 >= argc)
        return false;
    return str_number(str_c(argv[++*i]), UINT64_MAX, value);
}

int main(int argc, char **argv)
{
    static struct walk w = {.settings = {.hostname = {"gate.example", 12},
                                         .message_bytes_max = RULES_SIZE,
                                         .recipients_max = RULES_RECIPIENTS,
                                         .errors_max = RULES_ERRORS,
                                         .mechanisms = 1 << SASL_PLAIN | 1 << SASL_LOGIN,
                                         .auth_failures_max = 1000}};
    uint64_t steps = 250000; /* two seconds */
    bool verbose = false;
    w.seed = 1;
    for (int i = 1; i < argc; i++) {
        verbose |= str_eq(str_c(argv[i]), STR("--verbose"));
        if (!verbose && !take_option(argc, argv, &i, "--seed", &w.seed) &&
            !take_option(argc, argv, &i, "--steps", &steps)) {
            (void)fprintf(stderr, "usage: walk [--seed N] [--steps N] [--verbose]\n");
            return 2;
        }
    }
    w.random = w.seed;
    arena_init(&w.arena, 4 << 20);
    buffer_init(&w.wire, WIRE_BYTES);
    buffer_init(&w.out, WIRE_BYTES);
    buffer_init(&w.log, 16 << 20);
    buffer_init(&w.body, WIRE_BYTES);
    buffer_init(&w.mails, WIRE_BYTES);
    while (w.steps < steps)
        walk_session(&w);
    if (verbose)
        print_seen(&w);
    (void)printf("walk: seed %llu, %llu commands, %llu sessions, %llu mails, hash %016llx\n",
                 (unsigned long long)w.seed, (unsigned long long)w.steps,
                 (unsigned long long)w.sessions, (unsigned long long)w.accepted,
                 (unsigned long long)w.hash);
    return EXIT_SUCCESS;
}
