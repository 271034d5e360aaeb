/* connection.c -- who may touch the socket, and when it is closed.
 *
 * The kernel knows at most three things of a connection at any time: one receive, one send, one
 * connect. The descriptor is given back when all three have completed: a prepared operation that
 * names a closed descriptor would reach whoever gets its number next. So closing is: cancel, wait
 * for the last completion, close, gone().
 *
 * Receives are multishots that end after LOOP_RECEIVE_BYTES: a fast peer fills buffers before the
 * owner can pause it, and this bounds what has to be kept then. It is also what one connection
 * gets in a turn, so that others get theirs. A pause alone cancels nothing, since most peers wait
 * for an answer then; the first bytes that come during a pause do. Where the kernel has no such
 * bound the receives are single: when it says that more is there already, that is read at once into
 * the same buffer, as long as the owner takes it.
 */
#include "core/io/connection.h"

#include "core/base/base.h"
#include "core/base/limit.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

enum {
    KEPT_BYTES = 4096, /* buffers larger than this are given back when they are empty */
    ROUNDS = LOOP_RECEIVE_BYTES / LIMIT_RECEIVE_BUFFER_BYTES, /* of single receives in a turn */
    /* what data() may leave, what is in flight then, and the TLS record that it completes */
    IN_BYTES_MAX = CONNECTION_UNREAD_BYTES + LOOP_RECEIVE_BYTES + (32 << 10),
    WIRE_SLACK_BYTES = 64 << 10, /* for TLS: records around small sends, handshakes, alerts */
};

static void wake(struct connection *c)
{
    loop_defer(c->loop, &c->task);
}

static void tidy(struct buffer *b)
{
    if (b->len)
        return;
    if (b->room > KEPT_BYTES)
        buffer_drop(b);
    buffer_clear(b);
}

/* Nothing more is told but gone(). */
static bool is_over(const struct connection *c)
{
    return c->closing || c->finishing;
}

static void tell_lost(struct connection *c, int error)
{
    c->ended = true;
    if (c->lost_told || is_over(c))
        return;
    c->lost_told = true;
    c->calls->lost(c, error);
}

/* ---- receiving ---- */

static void listen_on(struct connection *c)
{
    bool wanted = c->finishing || (!c->paused && c->in.len <= CONNECTION_UNREAD_BYTES);
    if (c->connected && wanted && !c->ended && !c->closing && !c->receive.in_flight)
        loop_receive(c->loop, &c->receive, c->fd);
}

/* Give plain bytes to the owner, first what is left of earlier ones. */
static void deliver(struct connection *c, struct str plain)
{
    if (is_over(c) || c->lost_told)
        return;
    bool hold = c->paused;
    if (c->in.len || hold) {
        buffer_put(&c->in, plain);
        if (c->in.full) {
            tell_lost(c, -EMSGSIZE);
            return;
        }
        if (hold)
            return;
        plain = str_head(buffer_str(&c->in), CONNECTION_UNREAD_BYTES);
    }
    if (plain.len == 0)
        return;
    struct str rest = plain;
    const struct tls *tls = c->tls;
    c->calls->data(c, &rest);
    must(rest.len <= plain.len);
    /* bytes in the clear never become bytes of the TLS session that data() just began */
    if (is_over(c) || (c->tls != tls && !c->early))
        buffer_clear(&c->in);
    else if (c->in.len)
        buffer_consume(&c->in, plain.len - rest.len);
    else
        buffer_put(&c->in, rest);
    if (c->early)
        return;
    bool more = c->in.len > CONNECTION_UNREAD_BYTES || (c->in.len && rest.len == 0);
    if (more && !c->paused) { /* than is given at once; it came during a pause */
        if (rest.len == plain.len)
            tell_lost(c, -EMSGSIZE);
        else
            connection_resume(c);
    }
    tidy(&c->in);
}

/* The end of input is told after the bytes before it, so a pause holds it back with them. */
static void end(struct connection *c, int error)
{
    if (c->ended) /* of the TLS session; this is of the socket */
        return;
    c->ended = true;
    c->end_error = error;
    if ((!c->paused && !c->again) || c->in.len == 0)
        tell_lost(c, error);
}

static void feed_tls(struct connection *c, struct str wire)
{
    struct buffer *plain = loop_scratch(c->loop);
    buffer_clear(plain);
    enum tls_status status = tls_feed(c->tls, wire, plain, &c->out);
    if (c->out.len)
        wake(c);
    if (c->handshaking && status == TLS_FAILED) {
        c->handshaking = false;
        c->ended = c->lost_told = true; /* secured(false) says it */
        if (!is_over(c) && c->calls->secured)
            c->calls->secured(c, false);
        return;
    }
    if (c->handshaking && tls_ready(c->tls)) {
        c->handshaking = false;
        if (!is_over(c) && c->calls->secured)
            c->calls->secured(c, true);
    }
    deliver(c, buffer_str(plain));
    if (plain->room > WIRE_SLACK_BYTES)
        buffer_drop(plain);
    if (status == TLS_FAILED)
        end(c, -EPROTO);
    else if (status == TLS_CLOSED)
        end(c, 0);
}

static void take_in(struct connection *c, struct str wire)
{
    if (is_over(c) || c->deaf || c->ended)
        return;
    if (c->early) {
        buffer_put(&c->in, wire);
        if (c->in.full)
            tell_lost(c, -EMSGSIZE);
    } else if (c->tls)
        feed_tls(c, wire);
    else
        deliver(c, wire);
}

/* What else is there already; no receive is in flight, so the order of bytes is kept. */
static void take_more(struct connection *c, const struct received *r)
{
    for (int round = 1; round < ROUNDS && !c->paused && !c->closing && !c->ended; round++) {
        ssize_t len = recv(c->fd, r->at, LIMIT_RECEIVE_BUFFER_BYTES, MSG_DONTWAIT);
        if (len > 0)
            take_in(c, str_from(r->at, (size_t)len));
        else if (len == 0 || (errno != EAGAIN && errno != EINTR))
            end(c, len == 0 ? 0 : -errno);
        if (len < LIMIT_RECEIVE_BUFFER_BYTES)
            return;
    }
}

static void on_receive(struct op *op)
{
    struct connection *c = op->owner;
    struct received r;
    if (loop_received(c->loop, op, &r)) {
        take_in(c, str_from(r.at, r.len));
        if (op->once && r.more)
            take_more(c, &r);
        loop_buffer_return(c->loop, &r);
        if (c->paused && !c->finishing)
            loop_cancel(c->loop, op);
    } else if (op->result != -ECANCELED && !c->closing) {
        end(c, op->result);
    }
    listen_on(c);
    if (c->closing)
        wake(c);
}

/* ---- sending ---- */

static void send_on(struct connection *c)
{
    struct str rest = str_skip(buffer_str(&c->sending), c->sent);
    loop_send(c->loop, &c->send, c->fd, rest.at, rest.len);
}

static void flush(struct connection *c)
{
    if (!c->connected || c->closing || c->send.in_flight)
        return;
    if (c->out.len == 0) {
        if (c->finishing)
            connection_close(c);
        return;
    }
    struct buffer empty = c->sending;
    c->sending = c->out;
    c->out = empty;
    c->sent = 0;
    c->deaf = false;
    send_on(c);
}

static void on_send(struct op *op)
{
    struct connection *c = op->owner;
    if (c->closing) {
        wake(c);
        return;
    }
    if (op->result <= 0) {
        c->sent = c->sending.len; /* nothing of it is waited for */
        buffer_clear(&c->sending);
        buffer_clear(&c->out);
        if (c->finishing)
            connection_close(c);
        else
            tell_lost(c, op->result ? op->result : -EPIPE);
        return;
    }
    c->sent += (size_t)op->result;
    if (c->sent < c->sending.len) {
        send_on(c);
        return;
    }
    buffer_clear(&c->sending);
    c->sent = 0;
    tidy(&c->sending);
    if (c->out.len == 0 && !is_over(c) && !c->handshaking && c->calls->drained)
        c->calls->drained(c);
    flush(c);
    tidy(&c->out);
}

/* ---- the task at the start of a turn ---- */

static void leave(struct connection *c)
{
    if (c->receive.in_flight || c->send.in_flight || c->other.in_flight)
        return;
    if (c->fd < 0)
        return;
    loop_close_fd(c->loop, c->fd);
    c->fd = -1;
    buffer_drop(&c->in);
    buffer_drop(&c->out);
    buffer_drop(&c->sending);
    tls_drop(&c->tls);
    loop_hurry(c->loop);
    c->calls->gone(c); /* the last touch: the owner may be freed now */
}

/* The bytes of the handshake that came before it was asked for. */
static void feed_early(struct connection *c)
{
    struct buffer first = c->in;
    buffer_init(&c->in, IN_BYTES_MAX);
    c->early = false;
    if (first.len && !is_over(c) && !c->lost_told)
        feed_tls(c, buffer_str(&first));
    buffer_drop(&first);
    listen_on(c);
}

static void on_task(struct task *t)
{
    struct connection *c = owner_of(t, struct connection, task);
    if (c->early)
        feed_early(c);
    if (c->again && !c->closing) {
        c->again = false;
        loop_hurry(c->loop);
        deliver(c, STR(""));
        if (c->ended && !c->paused && !c->again)
            tell_lost(c, c->end_error);
        listen_on(c);
    }
    if (!c->closing)
        flush(c);
    if (c->closing)
        leave(c);
}

static void on_connect(struct op *op)
{
    struct connection *c = op->owner;
    if (c->closing) {
        wake(c);
        return;
    }
    if (op->result < 0)
        c->ended = c->lost_told = true; /* connected() says it */
    else
        c->connected = true;
    if (!c->finishing)
        c->calls->connected(c, op->result);
    else if (op->result < 0)
        connection_close(c);
    listen_on(c);
    wake(c);
}

/* ---- calls ---- */

static void set_up(struct connection *c, struct loop *l, const struct connection_calls *calls,
                   int fd, size_t send_max)
{
    *c = (struct connection){
        .calls = calls,
        .loop = l,
        .fd = fd,
        .send_max = send_max,
        .receive = {.done = on_receive, .owner = c},
        .send = {.done = on_send, .owner = c},
        .other = {.done = on_connect, .owner = c},
        .task = {.run = on_task},
    };
    buffer_init(&c->out, 2 * send_max + WIRE_SLACK_BYTES);
    buffer_init(&c->sending, 2 * send_max + WIRE_SLACK_BYTES);
    buffer_init(&c->in, IN_BYTES_MAX);
    const int one =
        1; /* whole replies are sent at once: nothing to wait for (fails on Unix sockets) */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

void connection_accept(struct connection *c, struct loop *l, const struct connection_calls *calls,
                       int fd, size_t send_max)
{
    set_up(c, l, calls, fd, send_max);
    socklen_t len = sizeof c->peer;
    (void)getpeername(fd, (struct sockaddr *)&c->peer, &len); /* fails when already reset */
    c->connected = true;
    listen_on(c);
}

static int bind_from(int fd, const struct sockaddr *from)
{
    const int one = 1; /* the port is chosen at connect, so ports are shared between targets */
    socklen_t len =
        from->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    return bind(fd, from, len) < 0 ? -errno : 0;
}

int connection_dial(struct connection *c, struct loop *l, const struct connection_calls *calls,
                    const struct connection_way *way, size_t send_max)
{
    must(way->to_len <= sizeof c->peer);
    int fd = socket(way->to->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int error = way->fd_end && fd >= way->fd_end ? -EMFILE : 0;
    if (!error && way->from)
        error = bind_from(fd, way->from);
    if (error) {
        (void)close(fd);
        return error;
    }
    set_up(c, l, calls, fd, send_max);
    memcpy(&c->peer, way->to, way->to_len); /* must last until it is submitted */
    loop_connect(l, &c->other, fd, (const struct sockaddr *)&c->peer, way->to_len);
    return 0;
}

bool connection_send(struct connection *c, struct str bytes)
{
    if (is_over(c) || c->handshaking || bytes.len > c->send_max ||
        connection_unsent(c) > c->send_max - bytes.len)
        return false;
    if (c->tls) {
        if (!tls_ready(c->tls) || tls_write(c->tls, bytes, &c->out) != TLS_OK)
            return false;
    } else {
        buffer_put(&c->out, bytes);
    }
    if (c->out.full)
        return false;
    wake(c);
    return true;
}

size_t connection_unsent(const struct connection *c)
{
    return c->out.len + c->sending.len - c->sent;
}

void connection_pause(struct connection *c)
{
    c->paused = true;
}

void connection_resume(struct connection *c)
{
    c->paused = false;
    c->again = true;
    wake(c);
}

void connection_secure(struct connection *c, struct tls **tls)
{
    must(!c->tls);
    c->tls = *tls;
    *tls = NULL;
    c->handshaking = true;
    c->deaf = c->out.len > 0; /* hears again when our go-ahead is submitted */
    buffer_clear(&c->in);
    (void)tls_start(c->tls, &c->out);
    wake(c);
}

void connection_secure_rest(struct connection *c, struct tls **tls)
{
    must(!c->tls);
    c->tls = *tls;
    *tls = NULL;
    c->handshaking = c->early = true;
    (void)tls_start(c->tls, &c->out);
    wake(c);
}

void connection_finish(struct connection *c)
{
    if (is_over(c))
        return;
    if (c->tls)
        tls_finish(c->tls, &c->out);
    c->finishing = true;
    buffer_clear(&c->in);
    wake(c);
}

void connection_close(struct connection *c)
{
    if (c->closing)
        return;
    c->closing = true;
    loop_cancel(c->loop, &c->receive);
    loop_cancel(c->loop, &c->send);
    loop_cancel(c->loop, &c->other);
    wake(c);
}
