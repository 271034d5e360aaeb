/* test_sessions.c -- plays *.session against shards/smtp_server, whole and cut at every byte. */
#include "tests/smtp/script.h"

#include "core/base/base.h"

#include <stdio.h>

static const uint64_t NOW_MS = 1795478400000; /* 2026-11-24T00:00:00Z */

/* Bytes that are waiting before a feed are one piece; a cut is a position in all that the client
 * says. */
struct player {
    const struct session *session;
    struct smtp_server server;
    struct buffer pending, out, body, recipients, sender;
    size_t cut, sent; /* cut 0: none; SIZE_MAX: every byte */
    unsigned mails;
    bool closed, secured, in_data;
    const char *wrong;
};

enum {
    CUTS_MAX = 600,
    LONG_BYTES = 20000
};

static bool contains(struct str text, const char *what)
{
    return str_find_str(text, str_c(what)) != SIZE_MAX;
}

static void fail(struct player *p, const char *why)
{
    if (!p->wrong)
        p->wrong = why;
}

static void on_message(struct player *p)
{
    const struct session *n = p->session;
    const struct smtp_server *s = &p->server;
    if (contains(buffer_str(&p->body), "REJECT ME")) {
        smtp_server_settle(&p->server, REPLY_550_POLICY, STR(""), &p->out);
        return;
    }
    buffer_clear(&p->recipients);
    for (uint32_t i = 0; i < s->recipient_count; i++) {
        buffer_puts(&p->recipients, i ? "," : "");
        buffer_put(&p->recipients, s->recipients[i].address.whole);
    }
    if (p->mails >= n->mail_count) {
        fail(p, "a mail too many became ours");
    } else {
        const struct wanted_mail *m = &n->mails[p->mails];
        if (!str_eq(s->sender.whole, m->sender))
            fail(p, "wrong sender");
        if (!str_eq(buffer_str(&p->recipients), m->recipients))
            fail(p, "wrong recipients");
        if (m->body.at && !str_eq(buffer_str(&p->body), m->body))
            fail(p, "wrong body");
    }
    p->mails++;
    smtp_server_settle(&p->server, REPLY_250_OK, STR("queued as 1"), &p->out);
}

static void on_auth(struct player *p)
{
    const struct sasl *a = &p->server.auth;
    bool dead = str_eq(buffer_str(&a->user), STR("dead"));
    bool right = str_eq(buffer_str(&a->user), STR("alice")) &&
                 str_eq(buffer_str(&a->password), STR("secret"));
    /* "SCRAM" of the test: any first message, then the message "secret", then an empty one */
    if (a->mechanism == SASL_SCRAM_SHA_256) {
        bool proves = str_eq(buffer_str(&a->message), STR("secret"));
        right = !a->is_first && a->message.len == 0;
        if (!dead && (a->is_first || proves)) {
            smtp_server_challenge(&p->server, a->is_first ? STR("prove it") : STR("so do I"),
                                  &p->out);
            return;
        }
    }
    enum reply refusal = dead ? REPLY_454_AUTH : REPLY_535_AUTH;
    smtp_server_settle_auth(&p->server, right ? REPLY_235_AUTHENTICATED : refusal, &p->out);
}

static void on_event(struct player *p, enum smtp_server_event event, struct str rest)
{
    struct smtp_server *s = &p->server;
    bool refused;
    switch (event) {
    case SMTP_SERVER_MORE:
        break;
    case SMTP_SERVER_STARTTLS:
        p->secured = true;
        if (rest.len)
            fail(p, "bytes behind STARTTLS were left");
        break;
    case SMTP_SERVER_AUTH:
        on_auth(p);
        break;
    case SMTP_SERVER_MAIL:
        smtp_server_settle(s, REPLY_250_SENDER, STR(""), &p->out);
        break;
    case SMTP_SERVER_RCPT:
        refused = str_starts(s->recipients[s->recipient_count - 1].address.whole, STR("refused"));
        smtp_server_settle(s, refused ? REPLY_550_POLICY : REPLY_250_RECIPIENT, STR(""), &p->out);
        break;
    case SMTP_SERVER_DATA:
        refused = str_starts(s->sender.whole, STR("full@"));
        buffer_clear(&p->body);
        p->in_data = !refused;
        smtp_server_settle(s, refused ? REPLY_452_STORAGE_FULL : REPLY_354_DATA, STR(""), &p->out);
        break;
    case SMTP_SERVER_BODY:
        buffer_put(&p->body, s->run);
        break;
    case SMTP_SERVER_MESSAGE:
        p->in_data = false;
        on_message(p);
        break;
    case SMTP_SERVER_ABORTED:
        if (!p->in_data)
            fail(p, "aborted without data");
        p->in_data = false;
        break;
    case SMTP_SERVER_CLOSE:
        p->closed = true;
        break;
    }
    if (event == SMTP_SERVER_BODY && !p->in_data)
        fail(p, "a run outside of data");
}

static void feed(struct player *p, struct str in)
{
    enum smtp_server_event event;
    do {
        event = smtp_server_feed(&p->server, &in, &p->out);
        on_event(p, event, in);
    } while (event != SMTP_SERVER_MORE && !p->closed && !p->secured);
}

/* Send what is pending, in the pieces that the cut makes of it. */
static void send_pending(struct player *p)
{
    struct str all = buffer_str(&p->pending);
    while (all.len && !p->closed && !p->secured) {
        size_t piece = all.len;
        if (p->cut == SIZE_MAX)
            piece = 1;
        else if (p->cut > p->sent)
            piece = size_min(piece, p->cut - p->sent);
        p->sent += piece;
        feed(p, str_head(all, piece));
        all = str_skip(all, piece);
    }
    buffer_clear(&p->pending);
}

static void expect_line(struct player *p, struct str want)
{
    struct str replies = buffer_str(&p->out);
    size_t end = str_find_str(replies, STR("\r\n"));
    if (end == SIZE_MAX)
        fail(p, "a reply is missing");
    else if (!str_starts(replies, want) || end + 2 > LIMIT_REPLY_LINE_BYTES)
        fail(p, "another reply");
    if (!p->wrong)
        buffer_consume(&p->out, end + 2);
}

static bool begins_with_word(struct str line, struct str words)
{
    for (struct str word = str_word(&words); word.len; word = str_word(&words))
        if (str_starts(line, word))
            return true;
    return false;
}

/* "250 text": all lines of one reply, of which one begins so, or, `without`, none with a word. */
static void expect_whole(struct player *p, struct str want, bool without)
{
    struct str text = want, code = str_cut(&text, ' ');
    bool said = text.len == 0, last = false;
    while (!p->wrong && !last) {
        struct str line = str_skip(buffer_str(&p->out), code.len + 1);
        last = p->out.len <= code.len || p->out.at[code.len] != '-';
        if (without && begins_with_word(line, text))
            fail(p, "the reply has a line that it must not have");
        said = said || without || str_starts(line, text);
        expect_line(p, code);
    }
    if (!said)
        fail(p, "the reply has no such line");
}

static void play_step(struct player *p, const struct step *step)
{
    switch (step->kind) {
    case STEP_SEND:
        if (p->out.len)
            fail(p, "a reply too many");
        buffer_put(&p->pending, step->bytes);
        break;
    case STEP_EXPECT:
        send_pending(p);
        for (unsigned i = 0; i < step->count && !p->wrong; i++)
            expect_line(p, step->bytes);
        break;
    case STEP_WHOLE:
    case STEP_WITHOUT:
        send_pending(p);
        expect_whole(p, step->bytes, step->kind == STEP_WITHOUT);
        break;
    case STEP_TLS:
        if (!p->secured)
            fail(p, "no STARTTLS");
        else
            smtp_server_secured(&p->server);
        p->secured = false;
        break;
    case STEP_CLOSED:
        send_pending(p);
        if (!p->closed)
            fail(p, "not closed");
        break;
    }
}

static void start(struct player *p, const struct session *n, size_t cut)
{
    *p = (struct player){.session = n, .cut = cut};
    buffer_init(&p->pending, 16 << 20);
    buffer_init(&p->out, 1 << 20);
    buffer_init(&p->body, 16 << 20);
    buffer_init(&p->recipients, 1 << 20);
    smtp_server_init(&p->server, &n->settings, n->secure);
    p->server.now_ms = NOW_MS;
    smtp_server_greet(&p->server, &p->out);
}

static bool play(const struct session *n, size_t cut, size_t *sent)
{
    struct player p;
    start(&p, n, cut);
    for (unsigned i = 0; i < n->step_count && !p.wrong; i++) {
        play_step(&p, &n->steps[i]);
        if (p.wrong)
            (void)fprintf(stderr, "%.*s: line %u, cut %zd: %s\n  want %.*s\n  have %.*s\n",
                          STR_ARG(n->name), n->steps[i].line, (ssize_t)cut, p.wrong,
                          STR_ARG(n->steps[i].bytes), (int)size_min(p.out.len, 400),
                          buffer_str(&p.out).at);
    }
    if (!p.wrong && (p.out.len || p.mails != n->mail_count)) {
        fail(&p, "left over");
        (void)fprintf(stderr, "%.*s: cut %zd: %u of %u mails, and %.*s\n", STR_ARG(n->name),
                      (ssize_t)cut, p.mails, n->mail_count, STR_ARG(buffer_str(&p.out)));
    }
    *sent = p.sent;
    smtp_server_drop(&p.server);
    buffer_drop(&p.pending);
    buffer_drop(&p.out);
    buffer_drop(&p.body);
    buffer_drop(&p.recipients);
    return !p.wrong;
}

/* Whole, byte by byte, then cut in two at every position; longer sessions at CUTS_MAX of them,
 * bombs at ten. */
static bool play_all(const struct session *n)
{
    size_t total, ignored;
    if (!play(n, 0, &total))
        return false;
    if (!n->cut)
        return true;
    if (!play(n, SIZE_MAX, &ignored))
        return false;
    size_t stride = total / CUTS_MAX + 1;
    if (total > LONG_BYTES)
        stride = total / 10;
    for (size_t cut = 1; cut < total; cut += stride)
        if (!play(n, cut, &ignored))
            return false;
    return true;
}

static struct script script;
static char text[1 << 20];

int main(int argc, char **argv)
{
    unsigned failures = 0;
    FILE *file = argc == 2 ? fopen(argv[1], "rbe") : NULL;
    if (!file) {
        (void)fprintf(stderr, "usage: test_sessions FILE\n");
        return 2;
    }
    size_t len = fread(text, 1, sizeof text, file);
    (void)fclose(file);
    if (!script_read(&script, str_from(text, len)))
        return 2;
    for (unsigned i = 0; i < script.session_count; i++)
        failures += !play_all(&script.sessions[i]);
    (void)printf("%u sessions, %u failed\n", script.session_count, failures);
    arena_drop(&script.arena);
    return failures ? 1 : 0;
}
