/* credential.h -- passwords as argon2id hashes in PHC strings. The door to libargon2.
 *
 *   $argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>      base64 without padding
 *
 * Thread   any.
 * Memory   a hash takes `memory_kib` while it runs (19 MiB by default).
 * Time     10 to 400 ms each: on a labour thread only. Randomness is an argument (the salt).
 * Promise  verifying an unknown user (credential_dummy_verify) costs what verifying a known one
 *          with the default cost does; hashes are compared in constant time.
 * Errors   a stored string that is damaged, too dear or of another kind verifies nothing.
 */
#ifndef CRYPTO_CREDENTIAL_H
#define CRYPTO_CREDENTIAL_H

#include "core/base/buffer.h"

enum {
    CREDENTIAL_SALT_BYTES = 16,
    CREDENTIAL_HASH_BYTES = 32,
    CREDENTIAL_PASSWORD_BYTES = 1024, /* longer ones are wrong */
};

struct credential_cost {
    uint32_t memory_kib, passes, lanes;
};

/* m=19456, t=2, p=1: OWASP's first choice. */
extern const struct credential_cost credential_standard;

/* Appends the PHC string. `salt` is CREDENTIAL_SALT_BYTES from core/base/random. False: the
 * password is empty or too long, or there is no memory. */
NODISCARD bool credential_hash(struct str password, const uint8_t *salt,
                               const struct credential_cost *cost, struct buffer *out);

NODISCARD bool credential_verify(struct str stored, struct str password);

/* Takes the time of a verification and finds nothing. */
void credential_dummy_verify(struct str password);

/* Can `stored` be verified at all? For what administrators bring along. */
NODISCARD bool credential_is_valid(struct str stored);

#endif
