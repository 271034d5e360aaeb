/* sasl.h -- what a client says within AUTH: PLAIN (RFC 4616), LOGIN and SCRAM-SHA-256 (RFC 5802,
 * 7677), from base64 to a user with a password, or with the messages of a proof.
 *
 * Who the user is and whether the password or the proof is right is not decided here.
 *
 * Thread   any; pure.
 * Memory   sasl_init() to sasl_drop(). sasl_end() overwrites all that the client said.
 * Promise  at READY a user has 1 to SASL_USER_BYTES bytes, all printable or UTF-8: no NUL, CR, LF
 *          or other control byte reaches a log, a look-up or a file name (TLSIN-07); nor does one
 *          reach who checks the messages of SCRAM.
 * Errors   the status; sasl_refusal() gives the reply. After anything but ASK and READY the
 *          exchange is over, and nothing is left of it.
 */
#ifndef SHARDS_SASL_H
#define SHARDS_SASL_H

#include "core/base/buffer.h"
#include "core/mail/reply.h"

enum {
    SASL_USER_BYTES = 320,
    SASL_MESSAGE_BYTES = 2048, /* of SCRAM; a user, two nonces and a proof are 600 */
};

enum sasl_mechanism {
    SASL_PLAIN,
    SASL_LOGIN,
    SASL_SCRAM_SHA_256,
    SASL_MECHANISMS
};

enum sasl_step { /* what we wait for */
    SASL_NOTHING,
    SASL_RESPONSE, /* the only one of PLAIN, the first or next of SCRAM */
    SASL_LOGIN_USER,
    SASL_LOGIN_PASSWORD,
};

enum sasl_status {
    SASL_ASK,       /* say 334 with sasl_challenge(), feed the next line */
    SASL_READY,     /* PLAIN, LOGIN: user and password. SCRAM: user and message; see sasl_more() */
    SASL_CANCELLED, /* "*" */
    SASL_NO_MECHANISM,
    SASL_BAD_BASE64,
    SASL_MALFORMED,      /* NULs missing or too many, user empty or with control bytes */
    SASL_OTHER_IDENTITY, /* authorisation as somebody else */
};

struct sasl {
    enum sasl_step step;
    enum sasl_mechanism mechanism;
    bool is_first;      /* SCRAM: `message` is the client's first */
    struct buffer user; /* stays from the first to the last message */
    struct buffer password;
    struct buffer message; /* SCRAM, decoded */
};

void sasl_init(struct sasl *s);
void sasl_drop(struct sasl *s);

/* The arguments of AUTH: mechanism and initial response. `offered`: bits 1 << mechanism. */
NODISCARD enum sasl_status sasl_start(struct sasl *s, struct str args, unsigned offered);

/* A line after 334. */
NODISCARD enum sasl_status sasl_feed(struct sasl *s, struct str line);

struct str sasl_challenge(const struct sasl *s); /* base64, of ASK */
enum reply sasl_refusal(enum sasl_status status);

/* After READY: a challenge answers the message, and the client shall say another; or it is over. */
void sasl_more(struct sasl *s);
void sasl_end(struct sasl *s);

struct str sasl_name(enum sasl_mechanism m);

/* Overwrites, then gives the memory back. */
void sasl_wipe(struct buffer *secret);

#endif
