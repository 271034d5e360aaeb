/* scram.h -- SCRAM-SHA-256 (RFC 5802, 7677): the server's side of the exchange, and the verifiers
 * that it needs in place of passwords. The door to libgsasl.
 *
 *   SCRAM-SHA-256$60000:<salt>$<StoredKey>:<ServerKey>      base64 with padding
 *
 * is a verifier's text, as RFC 5803 has it and PostgreSQL writes it. Without channel binding: a
 * client that asks for it is refused, and one that says that it could is not.
 *
 * Thread   a scram_server and its exchanges belong to one thread; the rest: any.
 * Memory   an exchange is about 2 KiB until scram_drop(). Messages are bounded by the caller.
 * Time     a step is some microseconds: the client does the work. scram_make() and scram_verify()
 *          are 10 to 100 ms: on a labour thread, or in a tool. Randomness of salts is an argument.
 * Promise  who has no verifier is answered as if there were one: the salt is made from the name and
 *          the server's secret, so it is the same each time, and the proof is wrong at the end, as
 *          a wrong password's is. (What tells is an iteration count other than ours.)
 * Errors   the status. A damaged verifier proves nothing.
 */
#ifndef CRYPTO_SCRAM_H
#define CRYPTO_SCRAM_H

#include "core/base/buffer.h"

enum {
    SCRAM_SECRET_BYTES = 32,
    SCRAM_SALT_BYTES = 16,
    SCRAM_ITERATIONS = 60000, /* Cyrus SASL stops at 65536; RFC 7677 asks for 4096 */
    SCRAM_TEXT_BYTES = 512,   /* a verifier has 130 */
};

struct scram_server;
struct scram;

enum scram_status {
    SCRAM_ASK,       /* `answer` is the challenge */
    SCRAM_PROVEN,    /* `answer` is our own proof; the client says nothing more of weight */
    SCRAM_WRONG,     /* wrong proof, or nobody has it */
    SCRAM_MALFORMED, /* not a message of SCRAM */
};

struct scram_server *scram_server_make(const uint8_t secret[SCRAM_SECRET_BYTES]);
void scram_server_drop(struct scram_server **s);

/* `user` as the client's first message names it; `key`: its spelling for look-ups; `verifier`:
 * empty when there is none. */
NODISCARD struct scram *scram_begin(struct scram_server *s, struct str user, struct str key,
                                    struct str verifier);
NODISCARD enum scram_status scram_step(struct scram *x, struct str message, struct buffer *answer);
void scram_drop(struct scram **x);

/* Appends a verifier. `salt` is SCRAM_SALT_BYTES from core/base/random. */
NODISCARD bool scram_make(struct str password, const uint8_t *salt, uint32_t iterations,
                          struct buffer *out);
NODISCARD bool scram_verify(struct str verifier, struct str password);
NODISCARD bool scram_is_valid(struct str verifier);

#endif
