/* ticket.h -- the keys of TLS session tickets: the same on every worker of a process, new every
 * hour, without a word between the workers.
 *
 * Each worker holds its own copy, made from one seed and one moment. The key of an hour is derived
 * from a chain, the chain of the next hour from that of this one, and what is past is overwritten:
 * who reads the memory of a worker can open the tickets of this hour and the last, and none before.
 * A ticket is accepted for one hour at least and two at most; what is older, of another process or
 * of another start is not ours, and leads to a full handshake.
 *
 * Thread   one owner, who advances it; tls.h reads it on the same thread.
 * Time     monotonic milliseconds, an argument. The copies agree as far as their clocks do: a
 *          worker that is late by a second refuses what a ticket of that second brings, once.
 * Cost     four HMACs an hour.
 * Errors   none; without memory the program stops.
 */
#ifndef CRYPTO_TICKET_H
#define CRYPTO_TICKET_H

#include "core/base/str.h"

enum {
    TICKET_SEED_BYTES = 32,
    TICKET_NAME_BYTES = 16,
    TICKET_KEY_BYTES = 32,
    TICKET_SECONDS = 3600, /* how long a ticket is good, and a key makes new ones */
};

struct ticket_key {
    uint8_t name[TICKET_NAME_BYTES]; /* stands in the ticket, in the clear */
    uint8_t cipher[TICKET_KEY_BYTES], mac[TICKET_KEY_BYTES];
};

struct ticket_keys {
    uint8_t chain[TICKET_SEED_BYTES];
    uint64_t next_ms; /* when the next key is due */
    struct ticket_key current, previous;
};

/* The caller wipes the seed when every worker has its copy. */
void ticket_keys_init(struct ticket_keys *k, const uint8_t seed[TICKET_SEED_BYTES],
                      uint64_t start_ms);
void ticket_keys_advance(struct ticket_keys *k, uint64_t now_ms);

/* NULL: not one of ours. What &k->previous opens should be replaced by a fresh ticket. */
const struct ticket_key *ticket_keys_find(const struct ticket_keys *k,
                                          const uint8_t name[TICKET_NAME_BYTES]);

#endif
