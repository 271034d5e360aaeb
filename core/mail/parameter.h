/* parameter.h -- what follows the path in MAIL and RCPT: "SIZE=100 BODY=8BITMIME".
 *
 * Extensions that are not offered are unknown: 555, not ignored (RFC 5321 4.1.1.11). Values are
 * decoded here, and a decoded value holds no control byte (INJ-03).
 *
 * Thread   any; pure.
 * Memory   decoded values live in the arena given.
 */
#ifndef CORE_MAIL_PARAMETER_H
#define CORE_MAIL_PARAMETER_H

#include "core/base/arena.h"
#include "core/mail/reply.h"

enum {                           /* extensions that EHLO offered */
    PARAMETER_SIZE = 1 << 0,     /* RFC 1870 */
    PARAMETER_8BITMIME = 1 << 1, /* RFC 6152: BODY= */
    PARAMETER_SMTPUTF8 = 1 << 2, /* RFC 6531 */
    PARAMETER_AUTH = 1 << 3,     /* RFC 4954: AUTH= */
    PARAMETER_DSN = 1 << 4,      /* RFC 3461: RET, ENVID; NOTIFY, ORCPT */
    PARAMETER_FUTURE = 1 << 5,   /* RFC 4865: HOLDFOR or HOLDUNTIL */
    PARAMETER_IN_UTF8 = 1 << 6,  /* of RCPT: its MAIL had SMTPUTF8, so ORCPT=utf-8; may be UTF-8 */
};

enum { /* RFC 3461 NOTIFY; frozen: in envelopes */
    NOTIFY_NEVER = 1 << 0,
    NOTIFY_SUCCESS = 1 << 1,
    NOTIFY_FAILURE = 1 << 2,
    NOTIFY_DELAY = 1 << 3,
};

struct parameter_mail {
    uint64_t size; /* 0: not given (RFC 1870: or unknown) */
    bool body_8bit, smtputf8;
    struct str auth;  /* xtext decoded; "<>" or an address; not trusted, not passed on */
    struct str envid; /* decoded, printable ASCII */
    bool return_full, return_headers;
    uint64_t hold_for_s;    /* RFC 4865; 0: not given */
    uint64_t hold_until_ms; /* wall clock; 0: not given. One that is past is kept by any release at
                               all, and asks for nothing: a client that was away over its time
                               submits as late as this, and the policy's own hold stays */
};

struct parameter_rcpt {
    uint32_t notify; /* 0: not given */
    /* "rfc822;a@b", decoded; printable ASCII or clean UTF-8. Postfix writes UTF-8 in xtext and
     * under the type rfc822, which has no place for it (RFC 6533 3): it is of type utf-8 then. */
    struct str orcpt;
};

/* REPLY_250_OK, or the refusal: 555 unknown, 501 bad value or given twice, 452 memory. */
NODISCARD enum reply parameter_parse_mail(struct str in, unsigned offered, struct arena *arena,
                                          struct parameter_mail *out);
NODISCARD enum reply parameter_parse_rcpt(struct str in, unsigned offered, struct arena *arena,
                                          struct parameter_rcpt *out);

/* RFC 3461 4. Decoding refuses what is not xtext, and anything but printable ASCII in the result;
 * with `utf8` the result may be UTF-8, valid and without controls, and may stand for itself. */
NODISCARD bool xtext_decode(struct str in, bool utf8, struct arena *arena, struct str *out);
void xtext_encode(struct str in, struct buffer *out);

#endif
