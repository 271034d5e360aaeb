/* tls.h -- a byte pump for TLS over memory; door to OpenSSL's SSL. It does no I/O.
 *
 * Thread   a context and its sessions belong to one thread: one OSSL_LIB_CTX and SSL_CTX a worker.
 * Memory   SSL_MODE_RELEASE_BUFFERS: an idle session holds about 8 KiB.
 * Promise  TLS 1.2 at least. A session ticket is bound to the `purpose` for which it was given (the
 *          service of the listener): another one answers it with a full handshake (TLSIN-10). With
 *          the same ticket_keys it is good on every worker. No early data.
 * Errors   TLS_FAILED: tls_error() says why in one printable line; close the connection after
 *          sending what is in `wire_out` (the alert).
 */
#ifndef CRYPTO_TLS_H
#define CRYPTO_TLS_H

#include "core/base/buffer.h"
#include "crypto/ticket.h"

enum {
    TLS_PURPOSE_BYTES = 32
};

enum tls_status {
    TLS_OK,        /* progress made; handshake done if tls_ready() */
    TLS_WANT_MORE, /* more wire bytes are needed */
    TLS_CLOSED,    /* close_notify from the peer */
    TLS_FAILED,
};

struct tls_context;
struct tls;

/* Once, in the main thread, before anything else of crypto/ is used. A context may be made by one
 * thread and freed by another: what the maker's thread keeps for it must not be looked at once more
 * by the library's handler when the process exits. */
void tls_prepare(void);

/* A server's, from PEM files (chain and key). `tickets` are the keys of its session tickets; they
 * must outlive it. NULL: keys of its own. NULL is returned when it cannot be: errors say why. */
NODISCARD struct tls_context *tls_context_server(const char *certificate, const char *key,
                                                 const struct ticket_keys *tickets,
                                                 struct buffer *errors);

/* A client's for opportunistic TLS: no certificate is asked to be good, what was seen is told by
 * tls_describe(). */
NODISCARD struct tls_context *tls_context_client(struct buffer *errors);
void tls_context_drop(struct tls_context **c);

/* Sessions keep their context alive until they are gone, so a reload may drop it. `purpose` has at
 * most TLS_PURPOSE_BYTES. */
NODISCARD struct tls *tls_accept(struct tls_context *c, struct str purpose);
NODISCARD struct tls *tls_connect(struct tls_context *c, const char *host_name); /* SNI, or NULL */
void tls_drop(struct tls **t);

/* Give wire bytes (all are taken) and get plain bytes and wire bytes to send. */
enum tls_status tls_feed(struct tls *t, struct str wire_in, struct buffer *plain_out,
                         struct buffer *wire_out);

/* Encrypt plain bytes (all are taken). Only when ready. */
enum tls_status tls_write(struct tls *t, struct str plain, struct buffer *wire_out);

/* Start the handshake (client hello) or send close_notify. */
enum tls_status tls_start(struct tls *t, struct buffer *wire_out);
void tls_finish(struct tls *t, struct buffer *wire_out);

bool tls_ready(const struct tls *t);
bool tls_resumed(const struct tls *t); /* by a ticket, without a full handshake */
const char *tls_error(const struct tls *t);

/* "TLSv1.3 TLS_AES_256_GCM_SHA384 256" for Received and log. */
struct tls_text {
    char at[96];
};
struct tls_text tls_describe(const struct tls *t);
struct str tls_server_name(const struct tls *t); /* SNI asked for by the client; empty: none */

#endif
