#include "crypto/digest.h"

#include "core/base/heap.h"

#include <openssl/evp.h>

struct digest {
    EVP_MD_CTX *context;
};

static const EVP_MD *algorithm(void)
{
    static _Thread_local EVP_MD *fetched;
    if (!fetched)
        fetched = EVP_MD_fetch(NULL, "SHA256", NULL);
    must(fetched != NULL);
    return fetched;
}

struct digest *digest_make(void)
{
    struct digest *d = heap_take(sizeof *d);
    d->context = EVP_MD_CTX_new();
    must(d->context != NULL);
    return d;
}

void digest_drop(struct digest **d)
{
    if (!*d)
        return;
    EVP_MD_CTX_free((*d)->context);
    heap_drop(*d);
    *d = NULL;
}

void digest_start(struct digest *d)
{
    must(EVP_DigestInit_ex2(d->context, algorithm(), NULL) == 1);
}

void digest_feed(struct digest *d, struct str bytes)
{
    must(EVP_DigestUpdate(d->context, bytes.at, bytes.len) == 1);
}

void digest_finish(struct digest *d, uint8_t out[DIGEST_BYTES])
{
    unsigned length = 0;
    must(EVP_DigestFinal_ex(d->context, out, &length) == 1 && length == DIGEST_BYTES);
}

struct digest_text digest_text(const uint8_t digest[DIGEST_BYTES])
{
    static const char letters[] = "0123456789abcdef";
    struct digest_text t;
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        t.at[2 * i] = letters[digest[i] >> 4];
        t.at[2 * i + 1] = letters[digest[i] & 15];
    }
    t.at[2 * DIGEST_BYTES] = '\0';
    return t;
}
