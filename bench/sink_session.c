#include "bench/sink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_waiting(const struct sink_session *s)
{
    return s->lapse.next != NULL;
}

bool sink_session_delay(struct sink_session *s, enum sink_delay which)
{
    if (s->waited) {
        s->waited = false;
        return false;
    }
    if (!s->worker->run->options.delay_ms[which])
        return false;
    s->waits_for = which;
    bench_lapse_start(&s->worker->lapse[which], &s->lapse, bench_now_ns());
    return true;
}

void sink_session_close(struct sink_session *s, bool polite)
{
    if (s->state == SINK_SETTLE) { /* the peer left while we delayed the answer */
        s->worker->counts.unanswered++;
        sink_store_end(s, "unanswered", 0);
    }
    sink_store_drop(s);
    bench_lapse_stop(&s->lapse);
    bench_conn_close(&s->conn, polite);
    if (s->next)
        s->next->previous = s->previous;
    if (s->previous)
        s->previous->next = s->next;
    else
        s->worker->sessions = s->next;
    bench_bytes_free(&s->in);
    bench_bytes_free(&s->out);
    bench_bytes_free(&s->mail);
    bench_bytes_free(&s->rcpts);
    EVP_MD_CTX_free(s->hash);
    free(s);
}

static void take_content(void *owner, const char *content, size_t bytes)
{
    sink_store_add(owner, content, bytes);
}

/* One command line from `in`; 0: not a whole line yet, or the session waits. */
static size_t eat_line(struct sink_session *s, const char *in, size_t bytes)
{
    const char *lf = memchr(in, '\n', bytes);
    size_t line = lf ? (size_t)(lf - in) : bytes;
    if (line > SINK_LINE_BYTES_MAX) {
        sink_say(s, "500 5.5.2 line too long");
        s->state = SINK_CLOSING;
        return bytes;
    }
    if (!lf)
        return 0;
    size_t text = line && in[line - 1] == '\r' ? line - 1 : line;
    return sink_command(s, in, text) ? line + 1 : 0;
}

/* Act on `in` as far as possible; returns how much was used. */
static size_t eat(struct sink_session *s, const char *in, size_t bytes)
{
    size_t used = 0;
    while (!is_waiting(s)) {
        size_t before = used;
        bool done = false;
        switch (s->state) {
        case SINK_BANNER:
            if (sink_session_delay(s, SINK_DELAY_BANNER))
                return used;
            sink_greet(s);
            s->state = SINK_COMMAND;
            continue;
        case SINK_COMMAND:
        case SINK_AUTH:
            used += eat_line(s, in + used, bytes - used);
            break;
        case SINK_DATA:
            used += sink_data_feed(&s->data, in + used, bytes - used, &done, take_content, s);
            if (!done)
                break;
            s->state = SINK_SETTLE;
            continue;
        case SINK_SETTLE:
            if (!sink_settle(s))
                return used;
            continue;
        case SINK_STARTTLS:
            if (used == bytes)
                return used;
            sink_say(s, "554 5.5.1 bytes after STARTTLS");
            s->state = SINK_CLOSING;
            return bytes;
        case SINK_HANDSHAKE:
            return used;
        case SINK_HUNG:
        case SINK_CLOSING:
            return bytes;
        }
        if (used == before)
            return used;
    }
    return used;
}

static bool flush(struct sink_session *s)
{
    while (bench_bytes_left(&s->out)) {
        struct iovec part = {s->out.data + s->out.start, bench_bytes_left(&s->out)};
        ssize_t n = bench_conn_write(&s->conn, &part, 1);
        if (n == -EAGAIN)
            return bench_bytes_left(&s->out) <= SINK_OUT_BYTES_MAX;
        if (n < 0)
            return false;
        bench_bytes_drop(&s->out, (size_t)n);
    }
    return true;
}

static bool go_secure(struct sink_session *s)
{
    int n = bench_conn_handshake(&s->conn);
    if (n <= 0)
        return n == 0;
    s->secure = true;
    s->worker->counts.tls_handshakes++;
    s->state = s->worker->run->options.tls_implicit ? SINK_BANNER : SINK_COMMAND;
    return true;
}

/* Say what there is to say, and ask for the next event. May end the session. */
static void settle_down(struct sink_session *s)
{
    if (!flush(s)) {
        sink_session_close(s, false);
        return;
    }
    bool said = !bench_bytes_left(&s->out);
    if (said && s->is_last)
        kill(getpid(), SIGTERM); /* main waits for it */
    if (said && s->state == SINK_CLOSING) {
        sink_session_close(s, true);
        return;
    }
    if (said && s->state == SINK_STARTTLS) {
        bench_conn_start_tls(&s->conn, s->worker->run->tls, true);
        s->state = SINK_HANDSHAKE;
    }
    if (s->state == SINK_HANDSHAKE)
        return; /* the handshake asks for its own events */
    uint32_t events = said ? 0 : EPOLLOUT;
    if (said && !is_waiting(s))
        events = EPOLLIN;
    bench_conn_want(&s->conn, events);
}

static void keep_rest(struct sink_session *s, const char *rest, size_t bytes)
{
    if (bytes)
        bench_bytes_append(&s->in, rest, bytes);
}

static void eat_kept(struct sink_session *s)
{
    const char *in = s->in.data ? s->in.data + s->in.start : "";
    size_t used = eat(s, in, bench_bytes_left(&s->in));
    bench_bytes_drop(&s->in, used);
}

/* False: the connection is over. */
static bool read_some(struct sink_session *s)
{
    struct sink_worker *w = s->worker;
    uint64_t slow = w->run->options.slow_bytes_per_s;
    size_t most = sizeof w->read;
    if (slow)
        most = slow < SINK_SLOW_SLICES ? 1 : (size_t)slow / SINK_SLOW_SLICES;
    if (most > sizeof w->read)
        most = sizeof w->read;
    do {
        ssize_t n = bench_conn_read(&s->conn, w->read, most);
        if (n == -EAGAIN)
            return true;
        if (n <= 0)
            return false;
        if (bench_bytes_left(&s->in)) {
            bench_bytes_append(&s->in, w->read, (size_t)n);
            eat_kept(s);
        } else {
            size_t used = eat(s, w->read, (size_t)n);
            keep_rest(s, w->read + used, (size_t)n - used);
        }
        if (slow && !is_waiting(s) && s->state != SINK_CLOSING) {
            s->waits_for = SINK_DELAY_SLOW;
            bench_lapse_start(&w->lapse[SINK_DELAY_SLOW], &s->lapse, bench_now_ns());
        }
    } while (bench_conn_has_more(&s->conn) && !is_waiting(s));
    return true;
}

void sink_session_event(struct sink_session *s, uint32_t events)
{
    if (s->state == SINK_HANDSHAKE) {
        if (!go_secure(s)) {
            sink_session_close(s, false);
            return;
        }
        if (s->state == SINK_HANDSHAKE)
            return;
        eat_kept(s); /* says the banner of implicit TLS */
        if (bench_conn_has_more(&s->conn) && !read_some(s)) {
            sink_session_close(s, false);
            return;
        }
    } else if (is_waiting(s) && (events & (EPOLLHUP | EPOLLERR))) {
        sink_session_close(s, false);
        return;
    } else if (!bench_bytes_left(&s->out) && (events & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
        if (!read_some(s)) {
            sink_session_close(s, false);
            return;
        }
    }
    settle_down(s);
}

void sink_session_wake(struct sink_session *s)
{
    s->waited = s->waits_for != SINK_DELAY_SLOW;
    eat_kept(s);
    if (!is_waiting(s) && bench_conn_has_more(&s->conn) && !read_some(s)) {
        sink_session_close(s, false);
        return;
    }
    settle_down(s);
}

static void name_peer(char text[static 64], const struct sockaddr *peer)
{
    const void *address =
        peer->sa_family == AF_INET6
            ? (const void *)&((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr
            : &((const struct sockaddr_in *)(const void *)peer)->sin_addr;
    if (!inet_ntop(peer->sa_family, address, text, 64))
        (void)snprintf(text, 64, "-");
}

void sink_session_open(struct sink_worker *w, int fd, const struct sockaddr *peer)
{
    const struct sink_options *o = &w->run->options;
    struct sink_session *s = bench_alloc(1, sizeof *s);
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    *s = (struct sink_session){.worker = w, .file = -1, .next = w->sessions};
    s->lapse.owner = s;
    s->number = atomic_fetch_add(&w->run->connections, 1) + 1;
    name_peer(s->peer, peer);
    if (s->next)
        s->next->previous = s;
    w->sessions = s;
    w->counts.connections++;
    bench_conn_attach(&s->conn, w->epoll, fd, EPOLLIN, s);
    if (o->refuse_every && s->number % o->refuse_every == 0) {
        w->counts.refused_connections++;
        sink_say(s, "421 4.3.2 %s refuses this connection", o->name);
        s->state = SINK_CLOSING;
    } else if (o->tls_implicit) {
        bench_conn_start_tls(&s->conn, w->run->tls, true);
        s->state = SINK_HANDSHAKE;
    } else {
        eat_kept(s);
    }
    settle_down(s);
}
