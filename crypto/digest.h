/* digest.h -- SHA-256 of a stream.
 *
 * Thread   one owner. Memory: digest_make() to digest_drop(); reused from start to start.
 * Cost     the algorithm is fetched once a thread: EVP_sha256() takes locks at each use.
 */
#ifndef CRYPTO_DIGEST_H
#define CRYPTO_DIGEST_H

#include "core/base/str.h"

enum {
    DIGEST_BYTES = 32
};

struct digest;

struct digest *digest_make(void); /* stops the program when the library has no SHA-256 */
void digest_drop(struct digest **d);

void digest_start(struct digest *d);
void digest_feed(struct digest *d, struct str bytes);
void digest_finish(struct digest *d, uint8_t out[DIGEST_BYTES]);

struct digest_text {
    char at[2 * DIGEST_BYTES + 1];
};
struct digest_text digest_text(const uint8_t digest[DIGEST_BYTES]);

#endif
