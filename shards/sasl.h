/* sasl.h -- what a client says within AUTH: PLAIN (RFC 4616) and LOGIN, from base64 to user and
 * password.
 *
 * Who the user is and whether the password is right is not decided here.
 *
 * Thread   any; pure.
 * Memory   `user` and `password` are the caller's, who wipes them with sasl_wipe(); copies that are
 *          made on the way are wiped here.
 * Promise  a user has 1 to SASL_USER_BYTES bytes, all printable or UTF-8: no NUL, CR, LF or other
 *          control byte reaches a log, a look-up or a file name (TLSIN-07).
 * Errors   the status; sasl_refusal() gives the reply. After anything but ASK the exchange is over.
 */
#ifndef SHARDS_SASL_H
#define SHARDS_SASL_H

#include "core/base/buffer.h"
#include "core/mail/reply.h"

enum {
    SASL_USER_BYTES = 320
};

enum sasl_step { /* what we wait for */
    SASL_NOTHING,
    SASL_PLAIN,
    SASL_LOGIN_USER,
    SASL_LOGIN_PASSWORD,
};

enum sasl_status {
    SASL_ASK,       /* say 334 with sasl_challenge(), feed the next line */
    SASL_READY,     /* user and password are complete */
    SASL_CANCELLED, /* "*" */
    SASL_NO_MECHANISM,
    SASL_BAD_BASE64,
    SASL_MALFORMED,      /* NULs missing or too many, user empty or with control bytes */
    SASL_OTHER_IDENTITY, /* authorisation as somebody else */
};

/* The arguments of AUTH: mechanism and initial response. */
NODISCARD enum sasl_status sasl_start(enum sasl_step *step, struct str args, struct buffer *user,
                                      struct buffer *password);

/* A line after 334. */
NODISCARD enum sasl_status sasl_feed(enum sasl_step *step, struct str line, struct buffer *user,
                                     struct buffer *password);

struct str sasl_challenge(enum sasl_step step); /* base64 */
enum reply sasl_refusal(enum sasl_status status);

/* Overwrites, then gives the memory back. */
void sasl_wipe(struct buffer *secret);

#endif
