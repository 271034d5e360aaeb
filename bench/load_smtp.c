#include "bench/load.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    CODE_NONE = 0
}; /* no reply: the connection died */

static void count_ack(struct load_counts *c, const struct load_run *run, uint64_t now_ns)
{
    uint64_t second = (now_ns - run->start_ns) / BENCH_NS_PER_S;
    if (second >= LOAD_SECONDS_MAX)
        return;
    if (second >= c->seconds) {
        size_t seconds = (size_t)second + 64;
        uint32_t *grown = bench_alloc(seconds, sizeof *grown);
        if (c->seconds)
            memcpy(grown, c->acked_by_second, c->seconds * sizeof *grown);
        free(c->acked_by_second);
        c->acked_by_second = grown;
        c->seconds = seconds;
    }
    c->acked_by_second[second]++;
}

static void ledger(struct load_session *s, const char *outcome, const char *detail)
{
    if (s->worker->run->ledger < 0)
        return;
    char line[LOAD_TOKEN_BYTES_MAX + 64];
    int n = snprintf(line, sizeof line, "%s %s%s\n", outcome, s->token, detail);
    bench_ledger_write(s->worker->run->ledger, line, (size_t)n);
}

/* The outcome of the message at hand; CODE_NONE is no answer. */
static void conclude(struct load_session *s, unsigned code)
{
    struct load_worker *w = s->worker;
    struct load_counts *c = &w->counts;
    uint64_t now_ns = bench_now_ns();
    bool sent = s->state == LOAD_DOT && s->body && !s->body_left;
    bool acked = sent && code / 100 == 2;
    bool measured = now_ns >= w->run->measure_ns;
    char detail[32];
    if (acked) {
        uint64_t us = bench_wall_us();
        (void)snprintf(detail, sizeof detail, " %" PRIu64 ".%06" PRIu64, us / 1000000,
                       us % 1000000);
        ledger(s, "acked", detail);
        count_ack(c, w->run, now_ns);
    } else if (sent && code == CODE_NONE) {
        ledger(s, "unknown", "");
    } else {
        (void)snprintf(detail, sizeof detail, " %03u", s->failed_code ? s->failed_code : code);
        ledger(s, "failed", detail);
    }
    if (!measured) {
        c->warmup_messages++;
    } else if (acked) {
        c->acked++;
        c->bytes += s->body->size;
        bench_hist_add(&c->dot, now_ns - s->dot_ns);
        bench_hist_add(&c->transaction, now_ns - s->due_ns);
    } else if (sent && code == CODE_NONE) {
        c->unknown++;
    } else {
        c->failed++;
    }
    c->last_ns = now_ns;
    s->body = NULL;
}

void load_smtp_died(struct load_session *s)
{
    if (s->body && (s->state == LOAD_ENVELOPE || s->state == LOAD_DOT))
        conclude(s, CODE_NONE);
}

void load_smtp_quit(struct load_session *s)
{
    bench_lapse_stop(&s->lapse);
    s->state = LOAD_QUIT;
    bench_bytes_append(&s->out, "QUIT\r\n", 6);
    load_session_flush(s);
}

void load_smtp_ready(struct load_session *s)
{
    struct load_worker *w = s->worker;
    uint64_t now_ns = bench_now_ns(), number;
    s->state = LOAD_IDLE;
    bool is_enough = s->sent_count >= w->run->options.per_connection || load_is_over(w, now_ns);
    if (!is_enough && w->run->options.rate > 0)
        bench_lapse_start(&w->idle, &s->lapse, now_ns); /* the worker hands out what is due */
    else if (!is_enough && load_claim(w, now_ns, &number))
        load_smtp_begin(s, number, now_ns);
    else
        load_smtp_quit(s);
}

static void say_mail(struct load_session *s)
{
    const struct load_options *o = &s->worker->run->options;
    bench_bytes_append(&s->out, "MAIL FROM:<", 11);
    load_expand(&s->out, o->from, s->number);
    if (s->can_size)
        bench_bytes_print(&s->out, "> SIZE=%" PRIu64 "\r\n", s->body->size);
    else
        bench_bytes_append(&s->out, ">\r\n", 3);
}

static void say_rcpt(struct load_session *s, unsigned i)
{
    const struct load_options *o = &s->worker->run->options;
    bench_bytes_append(&s->out, "RCPT TO:<", 9);
    load_expand(&s->out, o->rcpt[i % o->rcpt_patterns], s->number * o->rcpts + i);
    bench_bytes_append(&s->out, ">\r\n", 3);
}

static void say_step(struct load_session *s)
{
    switch (s->step) {
    case LOAD_STEP_RSET:
        bench_bytes_append(&s->out, "RSET\r\n", 6);
        break;
    case LOAD_STEP_MAIL:
        say_mail(s);
        break;
    case LOAD_STEP_RCPT:
        say_rcpt(s, s->rcpts_answered);
        break;
    case LOAD_STEP_DATA:
        bench_bytes_append(&s->out, "DATA\r\n", 6);
        break;
    }
    load_session_flush(s);
}

void load_smtp_begin(struct load_session *s, uint64_t number, uint64_t due_ns)
{
    const struct load_run *run = s->worker->run;
    const struct load_options *o = &run->options;
    bench_lapse_stop(&s->lapse);
    s->number = number;
    s->body = load_body_pick(&run->bodies, bench_mix(o->seed ^ bench_mix(number)));
    s->body_left = s->body->bytes;
    s->rcpts_answered = s->rcpts_accepted = s->failed_code = 0;
    s->due_ns = due_ns;
    s->progress_ns = bench_now_ns();
    (void)snprintf(s->token, sizeof s->token, "%s-%0*" PRIu64, o->token_prefix, LOAD_TOKEN_DIGITS,
                   number);
    s->sent_count++;
    s->state = LOAD_ENVELOPE;
    s->step = s->needs_rset ? LOAD_STEP_RSET : LOAD_STEP_MAIL;
    s->needs_rset = false;
    if (!s->can_pipeline) {
        say_step(s);
        return;
    }
    if (s->step == LOAD_STEP_RSET)
        bench_bytes_append(&s->out, "RSET\r\n", 6);
    say_mail(s);
    for (unsigned i = 0; i < o->rcpts; i++)
        say_rcpt(s, i);
    bench_bytes_append(&s->out, "DATA\r\n", 6);
    load_session_flush(s);
}

static void give_up_envelope(struct load_session *s, unsigned code)
{
    conclude(s, code);
    s->needs_rset = true;
    load_smtp_ready(s);
}

static void on_data_reply(struct load_session *s, unsigned code)
{
    if (code != 354) {
        s->failed_code = s->failed_code ? s->failed_code : code;
        give_up_envelope(s, code);
        return;
    }
    s->state = LOAD_DOT;
    if (s->rcpts_accepted) {
        load_session_flush(s);
        return;
    }
    /* RFC 2920, 3.1: a server may say 354 though it took no recipient; send nothing but the dot */
    conclude(s, s->failed_code);
    bench_bytes_append(&s->out, ".\r\n", 3);
    load_session_flush(s);
}

static void on_envelope_reply(struct load_session *s, unsigned code)
{
    unsigned rcpts = s->worker->run->options.rcpts;
    bool good = code / 100 == 2;
    if (s->step != LOAD_STEP_DATA && !good && !s->failed_code)
        s->failed_code = code;
    switch (s->step) {
    case LOAD_STEP_RSET:
        s->step = LOAD_STEP_MAIL;
        s->failed_code = 0;
        break;
    case LOAD_STEP_MAIL:
        if (!good && !s->can_pipeline) {
            give_up_envelope(s, code);
            return;
        }
        s->step = LOAD_STEP_RCPT;
        break;
    case LOAD_STEP_RCPT:
        s->rcpts_accepted += good;
        s->worker->counts.rcpts_refused += !good;
        if (++s->rcpts_answered < rcpts)
            break;
        if (!s->rcpts_accepted && !s->can_pipeline) {
            give_up_envelope(s, code);
            return;
        }
        s->step = LOAD_STEP_DATA;
        break;
    case LOAD_STEP_DATA:
        on_data_reply(s, code);
        return;
    }
    if (!s->can_pipeline)
        say_step(s);
}

static void on_ehlo_line(struct load_session *s, const char *text, size_t bytes)
{
    if (bytes >= 10 && !strncasecmp(text, "PIPELINING", 10))
        s->can_pipeline = s->worker->run->options.pipeline;
    else if (bytes >= 8 && !strncasecmp(text, "STARTTLS", 8))
        s->can_starttls = true;
    else if (bytes >= 4 && !strncasecmp(text, "SIZE", 4))
        s->can_size = true;
}

static void on_ehlo_end(struct load_session *s)
{
    const struct load_run *run = s->worker->run;
    if (run->options.tls == LOAD_TLS_STARTTLS && !s->secure) {
        if (!s->can_starttls)
            bench_die("%s does not offer STARTTLS", run->options.to);
        s->state = LOAD_STARTTLS;
        bench_bytes_append(&s->out, "STARTTLS\r\n", 10);
    } else if (run->options.auth) {
        s->state = LOAD_AUTH;
        bench_bytes_append(&s->out, run->auth_command, strlen(run->auth_command));
    } else {
        load_smtp_ready(s);
        return;
    }
    load_session_flush(s);
}

void load_smtp_hello(struct load_session *s)
{
    s->state = LOAD_EHLO;
    s->can_pipeline = s->can_size = s->can_starttls = false;
    bench_bytes_print(&s->out, "EHLO %s\r\n", s->worker->run->options.helo);
    load_session_flush(s);
}

static void on_reply(struct load_session *s, unsigned code)
{
    bool is_broken;
    switch (s->state) {
    case LOAD_BANNER:
        if (code != 220)
            break;
        load_smtp_hello(s);
        return;
    case LOAD_EHLO:
        if (code != 250)
            break;
        on_ehlo_end(s);
        return;
    case LOAD_STARTTLS:
        if (code != 220)
            break;
        load_session_start_tls(s);
        return;
    case LOAD_AUTH:
        if (code != 235)
            break;
        load_smtp_ready(s);
        return;
    case LOAD_ENVELOPE:
        if (code == 421)
            break;
        on_envelope_reply(s, code);
        return;
    case LOAD_DOT:
        is_broken = s->body && s->body_left; /* answered before we were done: cannot go on */
        if (s->body)                         /* else it was the lone dot of a refused envelope */
            conclude(s, code);
        if (code == 421 || is_broken)
            break;
        load_smtp_ready(s);
        return;
    case LOAD_CLOSED:
    case LOAD_CONNECT:
    case LOAD_HANDSHAKE:
    case LOAD_IDLE: /* 421 of a server that waited too long */
        break;
    case LOAD_QUIT: /* the server closes now */
        return;
    }
    if (s->state == LOAD_ENVELOPE)
        conclude(s, code);
    if (s->state == LOAD_ENVELOPE || s->state == LOAD_DOT)
        s->state = LOAD_IDLE; /* concluded */
    load_session_over(s);
}

void load_smtp_line(struct load_session *s, const char *line, size_t bytes)
{
    if (bytes && line[bytes - 1] == '\r')
        bytes--;
    unsigned code = 0;
    for (size_t i = 0; i < 3; i++) {
        if (i >= bytes || line[i] < '0' || line[i] > '9') {
            load_session_over(s); /* not SMTP */
            return;
        }
        code = code * 10 + (unsigned)(line[i] - '0');
    }
    s->progress_ns = bench_now_ns();
    if (s->state == LOAD_EHLO && bytes > 4)
        on_ehlo_line(s, line + 4, bytes - 4);
    if (bytes > 3 && line[3] == '-')
        return;
    if (s->progress_ns >= s->worker->run->measure_ns) {
        s->worker->counts.replies_4xx += code / 100 == 4;
        s->worker->counts.replies_5xx += code / 100 == 5;
    }
    on_reply(s, code);
}
