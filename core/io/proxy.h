/* proxy.h -- the header of the PROXY protocol, version 2: who the client behind a load balancer is.
 *
 *   bytes  0..11  "\r\n\r\n\0\r\nQUIT\n"
 *         12      version 2 in the high half; 0 LOCAL, 1 PROXY in the low half
 *         13      0x11 TCP over IPv4, 0x21 TCP over IPv6
 *         14..15  how many bytes follow, big-endian
 *         16..    source address, destination address, source port, destination port; then TLVs
 *
 * LOCAL is a connection of the proxy's own (a health check): the peer of the socket is the client.
 * What follows it is skipped, as TLVs are. Everything that is not one of these is refused: also
 * version 1, UDP, Unix sockets, and a PROXY of unknown family, which would lend the proxy's own
 * address to a stranger.
 *
 * Thread   any; pure.
 * Memory   the fixed part of the header; what is skipped is not kept.
 * Promise  the verdict does not depend on how the bytes are split, and comes with the first byte
 *          that is wrong. Bytes behind the header are not touched.
 * Errors   PROXY_BAD: nothing of this connection can be believed; close it without a word.
 */
#ifndef CORE_IO_PROXY_H
#define CORE_IO_PROXY_H

#include "core/base/str.h"

enum {
    PROXY_HEADER_BYTES = 16,
    PROXY_FIXED_BYTES = PROXY_HEADER_BYTES + 36, /* with the addresses of TCP over IPv6 */
    PROXY_REST_BYTES_MAX = 4096, /* addresses and TLVs; the specification's 536 hold no certificate
                                    names, which some proxies send */
};

enum proxy_status {
    PROXY_MORE,
    PROXY_DONE,
    PROXY_BAD
};

struct proxy {
    uint8_t at[PROXY_FIXED_BYTES];
    size_t have; /* bytes of the header that have come, skipped ones included */
    bool bad;
};

/* Eat from the front of `in`, not beyond the header. */
NODISCARD enum proxy_status proxy_feed(struct proxy *p, struct str *in);

/* After DONE: the client's address in network order, 4 bytes or 16 (::ffff:192.0.2.1 is 4). 0: the
 * header says LOCAL. */
size_t proxy_source(const struct proxy *p, uint8_t address[16]);

#endif
