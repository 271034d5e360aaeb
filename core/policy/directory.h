/* directory.h -- all organisations of this server: whose is this user, client, domain, host?
 *
 * Thread   any; immutable.
 * Memory   directory_make() takes the organisations over; directory_drop() frees them too.
 * Cost     users, domains (per label) and hosts O(1); clients O(1) a length of prefix in use.
 * Errors   two that claim one domain, user, host or network: a line each, and no directory; the
 *          organisations then still are the caller's. Of overlapping networks the most specific
 *          wins.
 */
#ifndef CORE_POLICY_DIRECTORY_H
#define CORE_POLICY_DIRECTORY_H

#include "core/policy/organisation.h"

struct directory {
    struct organisation **at;
    size_t count;
    struct map names, users, domains, hosts, networks;
    size_t passwords, scrams; /* users with a password, and those of them with a SCRAM verifier */
    uint8_t prefixes[2][129]; /* [0] IPv4, [1] IPv6: lengths in use, longest first */
    size_t prefix_count[2];
};

NODISCARD struct directory *directory_make(struct organisation *const *organisations, size_t count,
                                           struct buffer *errors);
void directory_drop(struct directory **d);

const struct organisation *directory_find(const struct directory *d, struct str name);

/* By address or login name (which is the address), without case. `organisation` may be NULL. */
const struct user *directory_user(const struct directory *d, struct str login,
                                  const struct organisation **organisation);

/* Can everybody who has a password sign in by SCRAM? A client that sees it offered takes it, and
 * who has no verifier would fail there, with the right password. */
bool directory_offers_scram(const struct directory *d);

/* `address` in network order, 4 or 16 bytes. NULL: nobody's. */
const struct organisation *directory_by_network(const struct directory *d, const void *address,
                                                size_t bytes);
const struct organisation *directory_by_domain(const struct directory *d, struct str domain);
const struct organisation *directory_by_host(const struct directory *d, struct str host);

#endif
