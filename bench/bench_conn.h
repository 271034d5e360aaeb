/* bench_conn.h -- a non-blocking TCP connection in an epoll set, with or without TLS; and lapses,
 * the deadlines that all share one length.
 *
 * Thread   a connection belongs to the thread of its epoll set; an SSL_CTX may be shared.
 * Memory   embedded in the caller's object, which must not move while the connection is open.
 * Cost     reading and writing is one system call for plain text, one per record for TLS.
 * Errors   negative errno, as in system calls; -EAGAIN means wait for the next event.
 */
#ifndef BENCH_CONN_H
#define BENCH_CONN_H

#include "bench/bench_base.h"

#include <openssl/ssl.h>

#include <sys/epoll.h>
#include <sys/uio.h>

struct bench_conn {
    int fd; /* -1: closed */
    int epoll;
    uint32_t events; /* what epoll was told; 0 is not listening on purpose */
    void *owner;     /* what epoll hands back */
    SSL *ssl;        /* NULL: plain text */
};

void bench_conn_attach(struct bench_conn *c, int epoll, int fd, uint32_t events, void *owner);
void bench_conn_want(struct bench_conn *c, uint32_t events);

/* `polite` sends close_notify on TLS. Closing a closed connection does nothing. */
void bench_conn_close(struct bench_conn *c, bool polite);

/* > 0: bytes read; 0: the peer closed. */
NODISCARD ssize_t bench_conn_read(struct bench_conn *c, void *to, size_t bytes);

/* TLS may hold bytes that epoll does not see: read again while this is true. */
bool bench_conn_has_more(const struct bench_conn *c);

/* Writes a prefix of what is given. After -EAGAIN the next call must begin with the same bytes. */
NODISCARD ssize_t bench_conn_write(struct bench_conn *c, const struct iovec *parts, int count);

void bench_conn_start_tls(struct bench_conn *c, SSL_CTX *context, bool is_server);

/* 1: done; 0: not yet, and the right event is asked for; negative: failed. */
NODISCARD int bench_conn_handshake(struct bench_conn *c);

SSL_CTX *bench_tls_client(void);

/* A P-256 key and a self-signed certificate for `name`, made in memory; the certificate is also
 * written to `certificate_path` unless that is NULL. */
SSL_CTX *bench_tls_server(const char *name, const char *certificate_path);

struct bench_lapse_entry {
    struct bench_lapse_entry *next, *previous; /* NULL: not waiting */
    uint64_t due_ns;
    void *owner;
};

struct bench_lapse {
    struct bench_lapse_entry waiting; /* oldest first; also a plain queue of the idle */
    uint64_t length_ns;
};

void bench_lapse_init(struct bench_lapse *l, uint64_t length_ns);
void bench_lapse_start(struct bench_lapse *l, struct bench_lapse_entry *e, uint64_t now_ns);
void bench_lapse_stop(struct bench_lapse_entry *e); /* allowed if it is not waiting */

/* The owner of the oldest expired entry, which is stopped; NULL: nothing expired. */
void *bench_lapse_take(struct bench_lapse *l, uint64_t now_ns);

/* UINT64_MAX: nothing waits. */
uint64_t bench_lapse_next_ns(const struct bench_lapse *l);

#endif
