#include "bench/load.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void retire(struct load_session *s)
{
    s->state = LOAD_CLOSED;
    if (s->live)
        s->worker->live--;
    s->live = false;
    bench_bytes_free(&s->out);
}

void load_session_open(struct load_session *s)
{
    struct load_worker *w = s->worker;
    const struct bench_endpoint *to = &w->run->to;
    int one = 1;
    int fd = socket(to->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        bench_die_errno("socket");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    s->opened_ns = s->progress_ns = bench_now_ns();
    s->line_bytes = 0;
    s->sent_count = 0;
    s->secure = s->can_pipeline = s->can_size = s->can_starttls = s->needs_rset = false;
    s->state = LOAD_CONNECT;
    s->body = NULL;
    int n = connect(fd, (const struct sockaddr *)&to->address, to->address_bytes);
    if (n < 0 && errno != EINPROGRESS) {
        close(fd);
        s->conn.fd = -1;
        load_session_over(s);
        return;
    }
    bench_conn_attach(&s->conn, w->epoll, fd, EPOLLOUT, s);
}

void load_session_start_tls(struct load_session *s)
{
    s->state = LOAD_HANDSHAKE;
    s->opened_ns = bench_now_ns(); /* from here the handshake is timed */
    s->line_bytes = 0;             /* nothing said in the clear may leak into the secure part */
    bench_bytes_drop(&s->out, bench_bytes_left(&s->out));
    bench_conn_start_tls(&s->conn, s->worker->run->tls, false);
    if (bench_conn_handshake(&s->conn) < 0)
        load_session_over(s);
}

static void on_connected(struct load_session *s)
{
    struct load_worker *w = s->worker;
    int error = 0;
    socklen_t bytes = sizeof error;
    getsockopt(s->conn.fd, SOL_SOCKET, SO_ERROR, &error, &bytes);
    if (error) {
        load_session_over(s);
        return;
    }
    s->progress_ns = bench_now_ns();
    bench_hist_add(&w->counts.connect, s->progress_ns - s->opened_ns);
    w->counts.connections_opened++;
    bench_conn_want(&s->conn, EPOLLIN);
    s->state = LOAD_BANNER;
    if (w->run->options.tls == LOAD_TLS_IMPLICIT)
        load_session_start_tls(s);
}

static void on_handshake(struct load_session *s)
{
    struct load_counts *c = &s->worker->counts;
    int n = bench_conn_handshake(&s->conn);
    if (n < 0)
        load_session_over(s);
    if (n <= 0)
        return;
    s->secure = true;
    s->progress_ns = bench_now_ns();
    bench_hist_add(&c->handshake, s->progress_ns - s->opened_ns);
    if (!c->tls_handshakes++)
        (void)snprintf(c->tls_version, sizeof c->tls_version, "%s", SSL_get_version(s->conn.ssl));
    s->state = LOAD_BANNER;
    if (s->worker->run->options.tls == LOAD_TLS_STARTTLS)
        load_smtp_hello(s);
}

void load_session_flush(struct load_session *s)
{
    size_t token_bytes = s->worker->run->bodies.token_bytes;
    bool body = s->state == LOAD_DOT && s->body;
    for (;;) {
        struct iovec parts[2 * LOAD_STAMPS + 2];
        size_t said = bench_bytes_left(&s->out);
        int count = 0;
        if (said)
            parts[count++] = (struct iovec){s->out.data + s->out.start, said};
        if (body && s->body_left)
            count += load_body_gather(s->body, s->token, token_bytes, s->body_left, parts + count);
        if (!count)
            break;
        uint64_t before_ns = bench_now_ns(); /* the answer may come before the call returns */
        ssize_t n = bench_conn_write(&s->conn, parts, count);
        if (n == -EAGAIN) {
            bench_conn_want(&s->conn, EPOLLIN | EPOLLOUT);
            return;
        }
        if (n < 0) {
            /* Dead. Reading finds out: a last reply, like 421, may still be there. */
            bench_conn_want(&s->conn, EPOLLIN);
            bench_bytes_drop(&s->out, said);
            return;
        }
        s->progress_ns = before_ns;
        size_t done = (size_t)n < said ? (size_t)n : said;
        bench_bytes_drop(&s->out, done);
        if (body)
            s->body_left -= (size_t)n - done;
    }
    if (body)
        s->dot_ns = s->progress_ns;
    bench_conn_want(&s->conn, EPOLLIN);
}

static void keep_partial(struct load_session *s, const char *p, size_t bytes)
{
    size_t room = sizeof s->line - s->line_bytes;
    bytes = bytes < room ? bytes : room;
    memcpy(s->line + s->line_bytes, p, bytes);
    s->line_bytes += bytes;
}

/* Hands whole lines to SMTP; keeps a partial one. */
static void on_bytes(struct load_session *s, const char *p, size_t bytes)
{
    const char *end = p + bytes;
    while (p < end) {
        const char *lf = memchr(p, '\n', (size_t)(end - p));
        if (!lf) {
            keep_partial(s, p, (size_t)(end - p));
            return;
        }
        const char *line = p;
        size_t line_bytes = (size_t)(lf - p);
        if (s->line_bytes) {
            keep_partial(s, p, line_bytes);
            line = s->line;
            line_bytes = s->line_bytes;
            s->line_bytes = 0;
        }
        load_smtp_line(s, line, line_bytes);
        if (s->conn.fd < 0 || s->state == LOAD_HANDSHAKE)
            return; /* over, or in another language from here */
        p = lf + 1;
    }
}

static void on_readable(struct load_session *s)
{
    struct load_worker *w = s->worker;
    do {
        ssize_t n = bench_conn_read(&s->conn, w->read, sizeof w->read);
        if (n == -EAGAIN)
            return;
        if (n <= 0) {
            load_session_over(s);
            return;
        }
        on_bytes(s, w->read, (size_t)n);
    } while (s->conn.fd >= 0 && s->state > LOAD_HANDSHAKE && bench_conn_has_more(&s->conn));
}

void load_session_event(struct load_session *s, uint32_t events)
{
    if (s->conn.fd < 0)
        return;
    if (s->state == LOAD_CONNECT) {
        on_connected(s);
        return;
    }
    if (s->state == LOAD_HANDSHAKE) {
        on_handshake(s);
        if (s->conn.fd < 0 || s->state == LOAD_HANDSHAKE || !bench_conn_has_more(&s->conn))
            return;
        events = EPOLLIN;
    }
    if (events & EPOLLOUT)
        load_session_flush(s);
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        on_readable(s);
}

void load_session_over(struct load_session *s)
{
    struct load_worker *w = s->worker;
    enum load_state was = s->state;
    load_smtp_died(s);
    bench_conn_close(&s->conn, was == LOAD_QUIT);
    bench_lapse_stop(&s->lapse);
    bench_bytes_drop(&s->out, bench_bytes_left(&s->out));
    if (was == LOAD_CONNECT)
        w->counts.connect_failures++;
    else if (was != LOAD_QUIT)
        w->counts.connections_lost++;
    uint64_t now_ns = bench_now_ns();
    if (load_is_over(w, now_ns) || (was != LOAD_QUIT && !w->run->options.reconnect)) {
        retire(s);
        return;
    }
    s->state = LOAD_CLOSED;
    bench_lapse_start(was == LOAD_QUIT ? &w->again : &w->retry, &s->lapse, now_ns);
}

void load_session_abandon(struct load_session *s)
{
    if (!s->live)
        return;
    load_smtp_died(s);
    bench_conn_close(&s->conn, false);
    bench_lapse_stop(&s->lapse);
    retire(s);
}
