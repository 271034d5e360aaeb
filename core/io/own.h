/* own.h -- which socket addresses lead back to us: loop detection (RFC 5321 5.1).
 *
 * An address does where one of our listeners is bound to it, or to the wildcard of its family on
 * its port while the address is one of this machine's.
 *
 * Thread   own_addresses(): any, it asks the kernel; the rest: any, pure.
 */
#ifndef CORE_IO_OWN_H
#define CORE_IO_OWN_H

#include "core/base/limit.h"
#include "core/base/network.h"

#include <sys/socket.h>

struct own {
    const struct network *addresses; /* of this machine's interfaces; borrowed */
    size_t address_count;
    struct sockaddr_storage listeners[LIMIT_LISTENERS];
    size_t listener_count;
};

/* The addresses of this machine's interfaces, at most `room`; how many there are. */
size_t own_addresses(struct network *out, size_t room);

/* A socket that listens; what it is bound to is looked up. */
void own_listen(struct own *o, int fd);

bool own_is(const struct own *o, const struct sockaddr *to);

#endif
