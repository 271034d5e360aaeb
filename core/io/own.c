#include "core/io/own.h"

#include "core/base/base.h"

#include <ifaddrs.h>
#include <netinet/in.h>

/* The address alone, a mapped one as IPv4. */
static bool address_of(const struct sockaddr *a, struct network *out)
{
    if (a->sa_family == AF_INET)
        return network_of(&((const struct sockaddr_in *)(const void *)a)->sin_addr, 4, 32, out);
    if (a->sa_family != AF_INET6)
        return false;
    const void *six = &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr;
    bool is_mapped = IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)six);
    return network_of(six, 16, is_mapped ? 32 : 128, out);
}

static bool is_same(const struct network *a, const struct network *b)
{
    return a->bytes == b->bytes && memcmp(a->at, b->at, a->bytes) == 0;
}

size_t own_addresses(struct network *out, size_t room)
{
    struct ifaddrs *all = NULL;
    size_t count = 0;
    if (getifaddrs(&all) != 0)
        return 0;
    for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
        struct network address;
        if (!i->ifa_addr || !address_of(i->ifa_addr, &address))
            continue;
        if (count < room)
            out[count] = address;
        count++;
    }
    freeifaddrs(all);
    return count;
}

void own_listen(struct own *o, int fd)
{
    struct sockaddr_storage at = {0};
    socklen_t len = sizeof at;
    if (o->listener_count < LIMIT_LISTENERS && getsockname(fd, (struct sockaddr *)&at, &len) == 0)
        o->listeners[o->listener_count++] = at;
}

static uint16_t port_of(const struct sockaddr *a)
{
    if (a->sa_family == AF_INET)
        return ((const struct sockaddr_in *)(const void *)a)->sin_port;
    return ((const struct sockaddr_in6 *)(const void *)a)->sin6_port;
}

static bool is_any(const struct network *n)
{
    static const uint8_t zero[16];
    return memcmp(n->at, zero, n->bytes) == 0;
}

/* All of 127.0.0.0/8 is here, though the interface has only one of it. */
static bool is_here(const struct own *o, const struct network *n)
{
    static const struct network four = {.at = {127}, .bytes = 4, .bits = 8};
    static const struct network six = {.at = {[15] = 1}, .bytes = 16, .bits = 128};
    if (network_holds(&four, n->at, n->bytes) || network_holds(&six, n->at, n->bytes))
        return true;
    for (size_t i = 0; i < o->address_count; i++)
        if (is_same(&o->addresses[i], n))
            return true;
    return false;
}

bool own_is(const struct own *o, const struct sockaddr *to)
{
    struct network want, bound;
    if (!address_of(to, &want))
        return false;
    for (size_t i = 0; i < o->listener_count; i++) {
        const struct sockaddr *listener = (const struct sockaddr *)&o->listeners[i];
        if (!address_of(listener, &bound) || port_of(listener) != port_of(to) ||
            bound.bytes != want.bytes)
            continue;
        /* who calls 0.0.0.0 or [::] calls this machine */
        if (is_same(&bound, &want) || is_any(&want) || (is_any(&bound) && is_here(o, &want)))
            return true;
    }
    return false;
}
