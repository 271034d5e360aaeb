#include "bench/sink.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
    LINE_BYTES = 510, /* of a reply, without CRLF */
};

void sink_say(struct sink_session *s, const char *format, ...)
{
    char line[LINE_BYTES + 2];
    va_list list;
    va_start(list, format);
    int n = vsnprintf(line, LINE_BYTES, format, list);
    va_end(list);
    size_t bytes = n < 0 ? 0 : (size_t)n;
    bytes = bytes < LINE_BYTES ? bytes : LINE_BYTES - 1;
    line[bytes++] = '\r';
    line[bytes++] = '\n';
    bench_bytes_append(&s->out, line, bytes);
}

void sink_greet(struct sink_session *s)
{
    sink_say(s, "220 %s ESMTP sekimori-sink", s->worker->run->options.name);
}

bool sink_draw_percent(struct sink_session *s, double percent)
{
    if (percent <= 0)
        return false;
    uint64_t base = bench_mix(s->worker->run->options.seed ^ bench_mix(s->number));
    uint64_t n = bench_mix(base + s->draws++) >> 11;
    return (double)n * 0x1p-53 * 100 < percent;
}

unsigned sink_draw(struct sink_session *s, const struct sink_odds *odds)
{
    for (unsigned i = 0; i < odds->count; i++)
        if (sink_draw_percent(s, odds->of[i].percent))
            return odds->of[i].code;
    return 0;
}

void sink_forget(struct sink_session *s)
{
    bench_bytes_drop(&s->mail, bench_bytes_left(&s->mail));
    bench_bytes_drop(&s->rcpts, bench_bytes_left(&s->rcpts));
    s->rcpt_count = 0;
}

/* A refusal by the odds; 421 also hangs up, as RFC 5321 wants. */
static void reject(struct sink_session *s, unsigned code, const char *detail)
{
    sink_say(s, "%u %u.%s refused by the odds of this sink", code, code / 100, detail);
    if (code == 421)
        s->state = SINK_CLOSING;
}

static void on_ehlo(struct sink_session *s, const char *args)
{
    const struct sink_options *o = &s->worker->run->options;
    (void)snprintf(s->helo, sizeof s->helo, "%s", args);
    sink_forget(s);
    sink_say(s, "250-%s", o->name);
    sink_say(s, "250-PIPELINING");
    sink_say(s, "250-SIZE 1073741824");
    sink_say(s, "250-8BITMIME");
    if (o->tls && !o->tls_implicit && !s->secure)
        sink_say(s, "250-STARTTLS");
    if (o->auth)
        sink_say(s, "250-AUTH PLAIN");
    for (unsigned i = 0; i < o->ehlo_count; i++)
        sink_say(s, "250-%s", o->ehlo[i]);
    sink_say(s, "250 ENHANCEDSTATUSCODES");
}

static void on_helo(struct sink_session *s, const char *args)
{
    (void)snprintf(s->helo, sizeof s->helo, "%s", args);
    sink_forget(s);
    sink_say(s, "250 %s", s->worker->run->options.name);
}

static void on_mail(struct sink_session *s, const char *args)
{
    if (bench_bytes_left(&s->mail)) {
        sink_say(s, "503 5.5.1 one MAIL at a time");
        return;
    }
    if (strncasecmp(args, "FROM:", 5) != 0) {
        sink_say(s, "501 5.5.4 MAIL FROM:<address>");
        return;
    }
    unsigned code = sink_draw(s, &s->worker->run->options.reject_mail);
    if (code) {
        s->worker->counts.rejected_mail++;
        reject(s, code, "7.1");
        return;
    }
    bench_bytes_append(&s->mail, args, strlen(args));
    sink_say(s, "250 2.1.0 ok");
}

static void on_rcpt(struct sink_session *s, const char *args)
{
    if (!bench_bytes_left(&s->mail)) {
        sink_say(s, "503 5.5.1 MAIL first");
        return;
    }
    if (strncasecmp(args, "TO:", 3) != 0) {
        sink_say(s, "501 5.5.4 RCPT TO:<address>");
        return;
    }
    unsigned code = sink_draw(s, &s->worker->run->options.reject_rcpt);
    if (code) {
        s->worker->counts.rejected_rcpt++;
        reject(s, code, code < 500 ? "2.1" : "1.1");
        return;
    }
    bench_bytes_append(&s->rcpts, args, strlen(args) + 1);
    s->rcpt_count++;
    sink_say(s, "250 2.1.5 ok");
}

static void on_data(struct sink_session *s, const char *args)
{
    (void)args;
    if (!s->rcpt_count) {
        sink_say(s, "503 5.5.1 RCPT first");
        return;
    }
    sink_say(s, "354 go ahead");
    sink_store_begin(s);
    s->state = SINK_DATA;
}

static void on_rset(struct sink_session *s, const char *args)
{
    (void)args;
    sink_forget(s);
    sink_say(s, "250 2.0.0 ok");
}

static void on_noop(struct sink_session *s, const char *args)
{
    (void)args;
    sink_say(s, "250 2.0.0 ok");
}

static void on_vrfy(struct sink_session *s, const char *args)
{
    (void)args;
    sink_say(s, "252 2.1.5 cannot say");
}

static void on_quit(struct sink_session *s, const char *args)
{
    (void)args;
    sink_say(s, "221 2.0.0 bye");
    s->state = SINK_CLOSING;
}

static void on_starttls(struct sink_session *s, const char *args)
{
    const struct sink_options *o = &s->worker->run->options;
    (void)args;
    if (!o->tls || o->tls_implicit || s->secure) {
        sink_say(s, "502 5.5.1 no STARTTLS now");
        return;
    }
    sink_forget(s);
    s->helo[0] = '\0';
    sink_say(s, "220 2.0.0 go ahead");
    s->state = SINK_STARTTLS;
}

static void on_auth(struct sink_session *s, const char *args)
{
    if (!s->worker->run->options.auth) {
        sink_say(s, "502 5.5.1 no AUTH here");
        return;
    }
    if (strncasecmp(args, "PLAIN", 5) != 0) {
        sink_say(s, "504 5.5.4 PLAIN only");
        return;
    }
    if (args[5] == ' ') {
        sink_say(s, "235 2.7.0 anybody may");
        return;
    }
    sink_say(s, "334 ");
    s->state = SINK_AUTH;
}

static const struct verb {
    const char *name;
    void (*handler)(struct sink_session *s, const char *args);
    enum sink_delay delay;
} verbs[] = {
    {"MAIL", on_mail, SINK_DELAY_MAIL},         {"RCPT", on_rcpt, SINK_DELAY_RCPT},
    {"DATA", on_data, SINK_DELAY_DATA},         {"EHLO", on_ehlo, SINK_DELAY_NONE},
    {"HELO", on_helo, SINK_DELAY_NONE},         {"RSET", on_rset, SINK_DELAY_NONE},
    {"NOOP", on_noop, SINK_DELAY_NONE},         {"QUIT", on_quit, SINK_DELAY_NONE},
    {"AUTH", on_auth, SINK_DELAY_NONE},         {"VRFY", on_vrfy, SINK_DELAY_NONE},
    {"STARTTLS", on_starttls, SINK_DELAY_NONE},
};

bool sink_command(struct sink_session *s, const char *line, size_t bytes)
{
    char text[SINK_LINE_BYTES_MAX + 1];
    memcpy(text, line, bytes);
    text[bytes] = '\0';
    if (s->state == SINK_AUTH) {
        s->state = SINK_COMMAND;
        sink_say(s, "235 2.7.0 anybody may");
        return true;
    }
    size_t word = strcspn(text, " ");
    for (size_t i = 0; i < COUNTOF(verbs); i++) {
        const struct verb *v = &verbs[i];
        if (strncasecmp(text, v->name, word) != 0 || v->name[word])
            continue;
        if (sink_session_delay(s, v->delay))
            return false;
        v->handler(s, text + word + strspn(text + word, " "));
        return true;
    }
    sink_say(s, "500 5.5.2 unknown command");
    return true;
}

/* False: the Nth message was already answered, and the program is about to end. */
static bool may_accept(struct sink_session *s)
{
    uint64_t max = s->worker->run->options.messages_max;
    if (!max)
        return true;
    uint64_t before = atomic_fetch_add(&s->worker->run->messages, 1);
    s->is_last = before + 1 == max;
    return before < max;
}

bool sink_settle(struct sink_session *s)
{
    const struct sink_options *o = &s->worker->run->options;
    struct sink_counts *counts = &s->worker->counts;
    if (sink_session_delay(s, SINK_DELAY_DOT))
        return false;
    unsigned code = sink_draw(s, &o->reject_dot);
    s->state = SINK_COMMAND;
    if (sink_draw_percent(s, o->drop_percent)) {
        s->state = SINK_CLOSING;
        counts->unanswered++;
        sink_store_end(s, "unanswered", 0);
    } else if (sink_draw_percent(s, o->hang_percent)) {
        s->state = SINK_HUNG;
        counts->unanswered++;
        sink_store_end(s, "unanswered", 0);
    } else if (code) {
        counts->rejected_dot++;
        sink_store_end(s, "refused", code);
        reject(s, code, code < 500 ? "3.0" : "7.1");
    } else if (!may_accept(s)) {
        sink_store_drop(s);
        reject(s, 421, "3.2");
    } else {
        sink_store_end(s, "got", 0);
        counts->messages++;
        counts->recipients += s->rcpt_count;
        counts->bytes += s->data.bytes;
        sink_say(s, "250 2.0.0 swallowed");
    }
    sink_forget(s);
    return true;
}
