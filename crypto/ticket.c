#include "crypto/ticket.h"

#include "core/base/base.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

enum {
    EPOCH_MS = TICKET_SECONDS * 1000
};

static void derive(const uint8_t chain[TICKET_SEED_BYTES], struct str label, void *out, size_t len)
{
    uint8_t digest[TICKET_KEY_BYTES];
    unsigned digest_len = 0;
    must(len <= sizeof digest);
    must(HMAC(EVP_sha256(), chain, TICKET_SEED_BYTES, (const unsigned char *)label.at, label.len,
              digest, &digest_len) != NULL &&
         digest_len == sizeof digest);
    memcpy(out, digest, len);
    OPENSSL_cleanse(digest, sizeof digest);
}

/* The key of the chain's hour, and the chain of the next. */
static void make_key(struct ticket_keys *k)
{
    derive(k->chain, STR("ticket name"), k->current.name, sizeof k->current.name);
    derive(k->chain, STR("ticket cipher"), k->current.cipher, sizeof k->current.cipher);
    derive(k->chain, STR("ticket mac"), k->current.mac, sizeof k->current.mac);
    derive(k->chain, STR("next"), k->chain, sizeof k->chain);
}

void ticket_keys_init(struct ticket_keys *k, const uint8_t seed[TICKET_SEED_BYTES],
                      uint64_t start_ms)
{
    *k = (struct ticket_keys){.next_ms = start_ms + EPOCH_MS};
    memcpy(k->chain, seed, TICKET_SEED_BYTES);
    make_key(k);
    k->previous = k->current; /* there is none before the first: it opens what that one opens */
}

void ticket_keys_advance(struct ticket_keys *k, uint64_t now_ms)
{
    for (; now_ms >= k->next_ms; k->next_ms += EPOCH_MS) {
        k->previous = k->current;
        make_key(k);
    }
}

const struct ticket_key *ticket_keys_find(const struct ticket_keys *k,
                                          const uint8_t name[TICKET_NAME_BYTES])
{
    if (memcmp(name, k->current.name, TICKET_NAME_BYTES) == 0)
        return &k->current;
    if (memcmp(name, k->previous.name, TICKET_NAME_BYTES) == 0)
        return &k->previous;
    return NULL;
}
