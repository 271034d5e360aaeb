/* dovecot.h -- the client's side of Dovecot's authentication protocol, version 1, without I/O:
 * lines in, events out.
 *
 *   -> VERSION 1 1, CPID n          <- VERSION 1 n, MECH name ..., SPID, CUID, COOKIE, DONE
 *   -> AUTH id mech service=smtp secured rip=address [resp=base64]
 *   -> CONT id base64               <- CONT id base64
 *   -> CANCEL id                    <- OK id user=name ..., or FAIL id [temp] ...
 *
 * Fields are separated by tabs; within one, tab, LF and \1 are written as \1t, \1n and \1 1.
 *
 * Thread   one owner.
 * Memory   dovecot_init() to dovecot_drop(): one line of at most DOVECOT_LINE_BYTES.
 * Promise  OK is told for a line that says so and names a user of 1 to SASL_USER_BYTES clean bytes,
 *          and for nothing else (TLSIN-08). Whose id it is, and whether it is still asked, is the
 *          owner's to know.
 * Errors   BROKEN: it does not speak this protocol (any more): hang up. why() says what was wrong.
 */
#ifndef SHARDS_DOVECOT_H
#define SHARDS_DOVECOT_H

#include "shards/sasl.h"

enum {
    DOVECOT_LINE_BYTES = 8192, /* what Dovecot takes too */
};

enum dovecot_event {
    DOVECOT_MORE,      /* all of `in` is used */
    DOVECOT_READY,     /* `mechanisms` is known: it may be asked */
    DOVECOT_CHALLENGE, /* of `id`; `text` is for the client, not base64 */
    DOVECOT_OK,        /* `text` is the user */
    DOVECOT_FAIL,
    DOVECOT_UNAVAILABLE, /* it could not look, for now */
    DOVECOT_BROKEN,
};

struct dovecot {
    struct buffer line; /* its start, until the rest comes */
    struct buffer text;
    bool greeted, ready, broken;
    unsigned mechanisms; /* bits 1 << enum sasl_mechanism */
    uint32_t id;
    const char *why;
};

void dovecot_init(struct dovecot *d);
void dovecot_drop(struct dovecot *d);

/* What we say first. `number` must be no other client's: of a thread, its id. */
void dovecot_hello(uint32_t number, struct buffer *out);

/* Eat from the front of `in` up to the first event. */
NODISCARD enum dovecot_event dovecot_feed(struct dovecot *d, struct str *in);

/* `response`: NULL for none. Appended to `out`, which the caller wipes. */
void dovecot_ask(uint32_t id, enum sasl_mechanism m, struct str client, const struct str *response,
                 struct buffer *out);
void dovecot_answer(uint32_t id, struct str response, struct buffer *out);
void dovecot_cancel(uint32_t id, struct buffer *out);

#endif
