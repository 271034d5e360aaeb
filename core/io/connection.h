/* connection.h -- a byte stream over a socket, plain or TLS, bounded both ways.
 *
 * Thread   the loop's.
 * Memory   embedded in its owner, who may free itself only in or after gone(). Output waits in one
 *          buffer of at most `send_max` bytes. While paused at most what was in flight is still
 *          read (LOOP_RECEIVE_BYTES), so a slow owner holds back the peer instead of memory. An
 *          idle connection holds at most 4 KiB each way, besides its TLS session.
 * Cost     output is collected and goes out in one send at the start of the next turn.
 * Promise  callbacks come from loop_turn() only, never from inside a call of this file.
 *          data() gets plain bytes; it may leave some unread (they are given again when
 *          connection_resume() is called, or with the next bytes).
 * Errors   lost(), once: the peer closed (0) or reset, TLS failed (-EPROTO), or data() left more
 *          than CONNECTION_UNREAD_BYTES unread (-EMSGSIZE). What came before the end was given to
 *          data() first. The owner then calls connection_close() or _finish(). After
 *          connection_close() and connection_finish() only gone() follows, always; there is no
 *          time-out here.
 */
#ifndef CORE_IO_CONNECTION_H
#define CORE_IO_CONNECTION_H

#include "core/io/loop.h"
#include "crypto/tls.h"

enum {
    CONNECTION_UNREAD_BYTES = 128 << 10
};

struct connection;

struct connection_calls {
    /* Bytes arrived; consume from the front of `in`. */
    void (*data)(struct connection *c, struct str *in);
    /* connect() finished; error 0 or negative errno. */
    void (*connected)(struct connection *c, int error);
    /* The TLS handshake finished; false: it failed (then lost() does not follow; close it). */
    void (*secured)(struct connection *c, bool ok);
    /* Everything that was sent has reached the kernel: room for more. */
    void (*drained)(struct connection *c);
    /* Peer closed (0) or error (negative errno). */
    void (*lost)(struct connection *c, int error);
    /* The last completion has come: the owner may be freed. */
    void (*gone)(struct connection *c);
};

struct connection {
    const struct connection_calls *calls;
    struct loop *loop;
    int fd; /* -1 once it is given back */
    struct sockaddr_storage peer;
    struct tls *tls; /* NULL: plain */
    struct op receive, send, other;
    struct buffer out;     /* wire bytes not yet handed to the kernel */
    struct buffer sending; /* wire bytes in flight */
    size_t sent;           /* of `sending` */
    struct buffer in;      /* plain bytes that data() left unread, or that came while paused */
    size_t send_max;
    bool connected, paused, again; /* again: resumed, give `in` once more */
    bool handshaking, deaf;        /* deaf: what arrives before our go-ahead left is dropped */
    bool early;                    /* `in` holds the first bytes of a handshake */
    bool ended, lost_told;         /* nothing more will be read; the owner knows */
    bool finishing, closing;
    int end_error;
    struct task task; /* deferred while there is something to do at the turn's start */
};

/* An accepted socket; starts reading at once unless `tls` says that a handshake comes first. */
void connection_accept(struct connection *c, struct loop *l, const struct connection_calls *calls,
                       int fd, size_t send_max);

struct connection_way {
    const struct sockaddr *to;
    socklen_t to_len;
    const struct sockaddr *from; /* NULL: the system chooses */
    int fd_end; /* a descriptor from here on is left to others (-EMFILE); 0: any will do */
};

/* Make a socket and connect; connected() follows. 0, or negative errno: then nothing does. */
NODISCARD int connection_dial(struct connection *c, struct loop *l,
                              const struct connection_calls *calls,
                              const struct connection_way *way, size_t send_max);

/* Append plain bytes; false when they would go over `send_max` (the peer does not read: close it),
 * during a handshake or after a failed one, and after connection_finish(); then nothing is
 * appended. After lost(c, 0) sending still works: the peer may have closed its half only. */
bool connection_send(struct connection *c, struct str bytes);
size_t connection_unsent(const struct connection *c);

void connection_pause(struct connection *c);
void connection_resume(struct connection *c);

/* Start TLS after what is queued has gone. Bytes that already arrived in the clear are dropped
 * (RFC 3207 4.2; TLSIN-01). Takes over `tls`. secured() follows. For TLS from the first byte call
 * it right after connection_accept() or in connected(). */
void connection_secure(struct connection *c, struct tls **tls);

/* The same for a handshake whose first bytes may have come already, behind a header of a load
 * balancer. Inside data(): what that leaves unread is where the handshake begins. */
void connection_secure_rest(struct connection *c, struct tls **tls);

/* Close when everything queued has been sent (close_notify last), or at once. */
void connection_finish(struct connection *c);
void connection_close(struct connection *c);

#endif
