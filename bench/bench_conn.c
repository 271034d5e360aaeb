#include "bench/bench_conn.h"

#include <openssl/err.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum {
    RECORD_BYTES_MAX = 16384
};

/* Parts are joined here, because SSL_write() takes one piece and makes a record of it. */
static _Thread_local char record[RECORD_BYTES_MAX];

void bench_conn_attach(struct bench_conn *c, int epoll, int fd, uint32_t events, void *owner)
{
    *c = (struct bench_conn){.fd = fd, .epoll = epoll, .events = events, .owner = owner};
    struct epoll_event event = {.events = events, .data.ptr = owner};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        bench_die_errno("epoll");
}

void bench_conn_want(struct bench_conn *c, uint32_t events)
{
    if (c->events == events)
        return;
    c->events = events;
    struct epoll_event event = {.events = events, .data.ptr = c->owner};
    if (epoll_ctl(c->epoll, EPOLL_CTL_MOD, c->fd, &event) < 0)
        bench_die_errno("epoll");
}

void bench_conn_close(struct bench_conn *c, bool polite)
{
    if (c->ssl) {
        ERR_clear_error();
        if (polite && SSL_is_init_finished(c->ssl))
            SSL_shutdown(c->ssl);
        SSL_free(c->ssl);
        c->ssl = NULL;
    }
    if (c->fd >= 0)
        close(c->fd); /* leaves the epoll set by itself */
    c->fd = -1;
}

static ssize_t tls_error(struct bench_conn *c, int result)
{
    switch (SSL_get_error(c->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        return -ECONNRESET;
    }
}

ssize_t bench_conn_read(struct bench_conn *c, void *to, size_t bytes)
{
    if (c->ssl) {
        ERR_clear_error();
        int n = SSL_read(c->ssl, to, bytes > INT32_MAX ? INT32_MAX : (int)bytes);
        return n > 0 ? n : tls_error(c, n);
    }
    ssize_t n = recv(c->fd, to, bytes, 0);
    return n < 0 ? -errno : n;
}

bool bench_conn_has_more(const struct bench_conn *c)
{
    return c->ssl && SSL_has_pending(c->ssl);
}

ssize_t bench_conn_write(struct bench_conn *c, const struct iovec *parts, int count)
{
    if (!c->ssl) {
        struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts,
                                 .msg_iovlen = (size_t)count};
        ssize_t n = sendmsg(c->fd, &message, MSG_NOSIGNAL);
        return n < 0 ? -errno : n;
    }
    size_t bytes = 0;
    for (int i = 0; i < count && bytes < RECORD_BYTES_MAX; i++) {
        size_t room = RECORD_BYTES_MAX - bytes;
        size_t take = parts[i].iov_len < room ? parts[i].iov_len : room;
        memcpy(record + bytes, parts[i].iov_base, take);
        bytes += take;
    }
    ERR_clear_error();
    int n = SSL_write(c->ssl, record, (int)bytes);
    if (n > 0)
        return n;
    ssize_t error = tls_error(c, n);
    return error ? error : -EPIPE;
}

void bench_conn_start_tls(struct bench_conn *c, SSL_CTX *context, bool is_server)
{
    c->ssl = SSL_new(context);
    if (!c->ssl || !SSL_set_fd(c->ssl, c->fd))
        bench_die("out of memory for TLS");
    if (is_server)
        SSL_set_accept_state(c->ssl);
    else
        SSL_set_connect_state(c->ssl);
}

int bench_conn_handshake(struct bench_conn *c)
{
    ERR_clear_error();
    int n = SSL_do_handshake(c->ssl);
    if (n == 1) {
        bench_conn_want(c, EPOLLIN);
        return 1;
    }
    int error = SSL_get_error(c->ssl, n);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
        return -EPROTO;
    bench_conn_want(c, error == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT);
    return 0;
}

void bench_lapse_init(struct bench_lapse *l, uint64_t length_ns)
{
    l->waiting.next = l->waiting.previous = &l->waiting;
    l->length_ns = length_ns;
}

void bench_lapse_start(struct bench_lapse *l, struct bench_lapse_entry *e, uint64_t now_ns)
{
    bench_lapse_stop(e);
    e->due_ns = now_ns + l->length_ns;
    e->next = &l->waiting;
    e->previous = l->waiting.previous;
    e->previous->next = e;
    l->waiting.previous = e;
}

void bench_lapse_stop(struct bench_lapse_entry *e)
{
    if (!e->next)
        return;
    e->next->previous = e->previous;
    e->previous->next = e->next;
    e->next = e->previous = NULL;
}

void *bench_lapse_take(struct bench_lapse *l, uint64_t now_ns)
{
    struct bench_lapse_entry *oldest = l->waiting.next;
    if (oldest == &l->waiting || oldest->due_ns > now_ns)
        return NULL;
    bench_lapse_stop(oldest);
    return oldest->owner;
}

uint64_t bench_lapse_next_ns(const struct bench_lapse *l)
{
    return l->waiting.next == &l->waiting ? UINT64_MAX : l->waiting.next->due_ns;
}
