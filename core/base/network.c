#include "core/base/network.h"

#include "core/base/base.h"

#include <arpa/inet.h>

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

/* Zeroes what is behind the prefix; true if something was there. */
static bool clear_host_bits(struct network *n)
{
    bool had = false;
    for (size_t i = 0; i < n->bytes; i++) {
        size_t keep = n->bits > 8 * i ? size_min(n->bits - 8 * i, 8) : 0;
        uint8_t host = (uint8_t)(0xff >> keep);
        had |= (n->at[i] & host) != 0;
        n->at[i] &= (uint8_t)~host;
    }
    return had;
}

enum network_status network_parse(struct str text, struct network *out)
{
    char address[INET6_ADDRSTRLEN] = "";
    bool has_prefix = str_find(text, '/') != SIZE_MAX;
    struct str rest = text, host = str_cut(&rest, '/');
    *out = (struct network){.bytes = str_find(host, ':') == SIZE_MAX ? 4 : 16};
    if (host.len == 0 || host.len >= sizeof address || str_find(host, '\0') != SIZE_MAX)
        return NETWORK_BAD;
    memcpy(address, host.at, host.len);
    uint64_t bits = 8 * (uint64_t)out->bytes;
    if (inet_pton(out->bytes == 4 ? AF_INET : AF_INET6, address, out->at) != 1 ||
        (has_prefix && !str_number(rest, bits, &bits)))
        return NETWORK_BAD;
    if (out->bytes == 16 && bits >= 96 && memcmp(out->at, mapped, sizeof mapped) == 0)
        return NETWORK_BAD; /* is written as IPv4, and nothing would match it here */
    out->bits = (uint8_t)bits;
    return clear_host_bits(out) ? NETWORK_HOST_BITS : NETWORK_OK;
}

void network_write(const struct network *n, struct buffer *out)
{
    char text[INET6_ADDRSTRLEN] = "";
    if (inet_ntop(n->bytes == 4 ? AF_INET : AF_INET6, n->at, text, sizeof text))
        buffer_printf(out, "%s/%u", text, (unsigned)n->bits);
}

bool network_of(const void *address, size_t bytes, size_t bits, struct network *out)
{
    const uint8_t *at = address;
    if (bytes == 16 && memcmp(at, mapped, sizeof mapped) == 0) {
        at += sizeof mapped;
        bytes = 4;
    }
    if ((bytes != 4 && bytes != 16) || bits > 8 * bytes)
        return false;
    *out = (struct network){.bytes = (uint8_t)bytes, .bits = (uint8_t)bits};
    memcpy(out->at, at, bytes);
    (void)clear_host_bits(out);
    return true;
}

bool network_holds(const struct network *n, const void *address, size_t bytes)
{
    struct network of;
    return network_of(address, bytes, n->bits, &of) && of.bytes == n->bytes &&
           memcmp(of.at, n->at, n->bytes) == 0;
}
