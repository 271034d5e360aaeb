/* domain.h -- one spelling for a domain: lower-case A-labels. The door to libidn2.
 *
 * Whatever is compared, classified, looked up or sent is the result of domain_to_ascii(), so that
 * no two of these can mean different domains (ADDR-09).
 *
 * Thread   any; pure.
 * Memory   results live in the arena given.
 * Cost     plain ASCII never enters the library.
 */
#ifndef CORE_MAIL_DOMAIN_H
#define CORE_MAIL_DOMAIN_H

#include "core/base/arena.h"

enum domain_status {
    DOMAIN_OK,
    DOMAIN_BAD,  /* not a host name: empty label, trailing dot, other letters, all digits */
    DOMAIN_LONG, /* over LIMIT_DOMAIN_BYTES, or a label over 63 */
    DOMAIN_NO_MEMORY,
};

/* UTS#46 (non-transitional) to lower-case A-labels. Invisible and bidirectional characters, which
 * the mapping would silently drop, are refused (ADDR-11). */
NODISCARD enum domain_status domain_to_ascii(struct str in, struct arena *arena, struct str *out);

/* Pattern "int.example": that domain. "*.int.example": every domain below it, not itself. "*": any.
 * Both in lower-case A-labels. Only label boundaries count: evilint.example is not below. */
bool domain_matches(struct str domain, struct str pattern);

/* Strict UTF-8 without characters that hide or reorder text. */
bool domain_is_plain_utf8(struct str s);

#endif
