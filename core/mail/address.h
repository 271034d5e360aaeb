/* address.h -- the address of an envelope, parsed once and strictly (RFC 5321 4.1.2).
 *
 * What is classified, shown and sent is the same struct: nothing is ever parsed a second time, and
 * what goes on the wire is rebuilt from the parsed parts. No comments, no folding white space, no
 * RFC 2047 decoding, no percent or bang routes: those bytes are either letters of an atom or an
 * error.
 *
 * Thread   any; pure.
 * Memory   results live in the arena given.
 * Errors   address_refusal() gives the reply for each.
 */
#ifndef CORE_MAIL_ADDRESS_H
#define CORE_MAIL_ADDRESS_H

#include "core/base/arena.h"
#include "core/mail/reply.h"

struct address {
    struct str local; /* as it goes on the wire: case kept, quoted only where it must be */
    struct str
        domain; /* lower-case A-labels, or "[192.0.2.1]", "[IPv6:2001:db8::1]"; no domain: "" */
    struct str whole; /* local@domain, as it goes on the wire without brackets; null path: "" */
    bool literal;     /* the domain is an address: never internal, never looked up */
    bool utf8;        /* `whole` needs SMTPUTF8 at the next hop */
};

enum {                           /* flags */
    ADDRESS_NULL = 1 << 0,       /* <> may stand here */
    ADDRESS_POSTMASTER = 1 << 1, /* <postmaster> without domain may stand here */
    ADDRESS_UTF8 = 1 << 2,       /* the transaction has SMTPUTF8 */
    ADDRESS_SENDER = ADDRESS_NULL,
    ADDRESS_RECIPIENT = ADDRESS_POSTMASTER,
};

enum address_status {
    ADDRESS_OK,
    ADDRESS_BAD,        /* not an address */
    ADDRESS_BAD_DOMAIN, /* its domain is none */
    ADDRESS_LONG,       /* over LIMIT_LOCAL_BYTES, LIMIT_DOMAIN_BYTES or LIMIT_PATH_BYTES */
    ADDRESS_NEEDS_UTF8, /* not ASCII, and no ADDRESS_UTF8 */
    ADDRESS_NO_MEMORY,
};

/* Cut "<...>" off the front of a MAIL or RCPT argument: `path` gets it with its brackets, and `in`
 * what follows (parameters, after one blank). False: no path there. */
NODISCARD bool address_cut_path(struct str *in, struct str *path);

/* The whole of `in` is "<...>". A source route is recognised and dropped (ADDR-03). */
NODISCARD enum address_status address_parse_path(struct str in, unsigned flags, struct arena *arena,
                                                 struct address *out);

/* The same without brackets: settings, portal, command line. */
NODISCARD enum address_status address_parse(struct str in, unsigned flags, struct arena *arena,
                                            struct address *out);

/* The reply for a status that is not OK; `flags` as given tell MAIL from RCPT. */
enum reply address_refusal(enum address_status status, unsigned flags);

/* Same mailbox: domains without case, local parts exactly. */
bool address_eq(const struct address *a, const struct address *b);

#endif
