#include "core/io/proxy.h"

#include "core/base/base.h"

enum {
    VERSION_COMMAND = 12,
    FAMILY = 13,
    LENGTH = 14,
    LOCAL = 0x20,
    PROXY = 0x21,
    TCP4 = 0x11,
    TCP6 = 0x21,
    TCP4_BYTES = 12,
    TCP6_BYTES = 36,
};

static const uint8_t signature[12] = "\r\n\r\n\0\r\nQUIT\n";

static size_t rest_bytes(const struct proxy *p)
{
    return (size_t)p->at[LENGTH] << 8 | p->at[LENGTH + 1];
}

/* Of the addresses that a PROXY of this family must have. */
static size_t address_bytes(const struct proxy *p)
{
    return p->at[FAMILY] == TCP4 ? TCP4_BYTES : TCP6_BYTES;
}

static bool is_local(const struct proxy *p)
{
    return p->at[VERSION_COMMAND] == LOCAL;
}

/* Byte number `have` has come; may the header begin like this? */
static bool is_good(const struct proxy *p, size_t have)
{
    if (have <= sizeof signature)
        return p->at[have - 1] == signature[have - 1];
    if (have == VERSION_COMMAND + 1)
        return is_local(p) || p->at[VERSION_COMMAND] == PROXY;
    if (have == FAMILY + 1)
        return is_local(p) || p->at[FAMILY] == TCP4 || p->at[FAMILY] == TCP6;
    if (have == PROXY_HEADER_BYTES)
        return rest_bytes(p) <= PROXY_REST_BYTES_MAX &&
               (is_local(p) || rest_bytes(p) >= address_bytes(p));
    return true;
}

/* All of the header, as far as it is known by now. */
static size_t whole_bytes(const struct proxy *p)
{
    return p->have < PROXY_HEADER_BYTES ? PROXY_HEADER_BYTES : PROXY_HEADER_BYTES + rest_bytes(p);
}

enum proxy_status proxy_feed(struct proxy *p, struct str *in)
{
    while (in->len && !p->bad && p->have < PROXY_FIXED_BYTES && p->have < whole_bytes(p)) {
        p->at[p->have++] = (uint8_t)in->at[0];
        *in = str_skip(*in, 1);
        p->bad = !is_good(p, p->have);
    }
    if (p->bad)
        return PROXY_BAD;
    size_t skip = size_min(whole_bytes(p) - p->have, in->len);
    p->have += skip;
    *in = str_skip(*in, skip);
    return p->have == whole_bytes(p) ? PROXY_DONE : PROXY_MORE;
}

size_t proxy_source(const struct proxy *p, uint8_t address[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    const uint8_t *source = p->at + PROXY_HEADER_BYTES;
    if (is_local(p))
        return 0;
    bool is_four = p->at[FAMILY] == TCP4;
    if (!is_four && memcmp(source, mapped, sizeof mapped) == 0) {
        is_four = true;
        source += sizeof mapped;
    }
    memcpy(address, source, is_four ? 4 : 16);
    return is_four ? 4 : 16;
}
