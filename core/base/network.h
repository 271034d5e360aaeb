/* network.h -- 192.0.2.0/24, 2001:db8::/32: which clients belong to whom.
 *
 * Thread   any; pure.
 */
#ifndef CORE_BASE_NETWORK_H
#define CORE_BASE_NETWORK_H

#include "core/base/buffer.h"

struct network {
    uint8_t at[16];
    uint8_t bytes; /* 4 or 16 */
    uint8_t bits;  /* of the prefix */
};

enum network_status {
    NETWORK_OK,
    NETWORK_BAD,
    NETWORK_HOST_BITS
};

/* A plain address is a network of one. NETWORK_HOST_BITS: bits behind the prefix are set; `out`
 * then has them cleared, for the suggestion. */
NODISCARD enum network_status network_parse(struct str text, struct network *out);
void network_write(const struct network *n, struct buffer *out);

/* `address` in network order; 16 bytes of ::ffff:a.b.c.d are the 4 of a.b.c.d. */
bool network_holds(const struct network *n, const void *address, size_t bytes);

/* The prefix of an address as a network, mapped addresses as IPv4. False: no address. */
NODISCARD bool network_of(const void *address, size_t bytes, size_t bits, struct network *out);

#endif
