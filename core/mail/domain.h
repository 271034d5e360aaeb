/* domain.h -- one spelling for a domain: lower-case A-labels; and whose it is. The door to libidn2
 * and libpsl.
 *
 * Whatever is compared, classified, looked up or sent is the result of domain_to_ascii(), so that
 * no two of these can mean different domains (ADDR-09).
 *
 * Thread   any; pure. suffixes_open() reads a file, once, at start; what it gives only changes by
 *          suffixes_close().
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

/* ---- organisations, by the public suffix list (publicsuffix.org; its private part too) */

struct suffixes;

/* The newer of the system's list and the one that the library was built with. NULL: there is none,
 * or no memory. */
struct suffixes *suffixes_open(void);
void suffixes_close(struct suffixes **s_p);

/* The domain that somebody registered: "example.co.jp" of "a.b.example.co.jp"; borrowed from
 * `domain` (lower-case A-labels). "" of a public suffix ("co.jp") and of address literals. */
struct str domain_registrable(const struct suffixes *s, struct str domain);

/* The same domain, or both registered as one (ADDR-23). */
bool domain_same_organisation(const struct suffixes *s, struct str a, struct str b);

/* Strict UTF-8 without characters that hide or reorder text. */
bool domain_is_plain_utf8(struct str s);

#endif
