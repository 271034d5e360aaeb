/* filter.h -- which mails a person means: one syntax for every verb.
 *
 *   from:alice@int.example  from:int.example  from:<>    sender: an address, a domain, none
 *   to:bob@ext.example      to:ext.example               any recipient
 *   state:held,retry        org:demo                     id:ID
 *   older:2h  younger:7d    subject:見積                  age at least, at most; part of it
 *
 * Words are separated by blanks and must all hold; a value with blanks stands in double quotes:
 * subject:"two words". `to` and `state` must hold for the same recipient. Letters are compared
 * without case (ASCII).
 *
 * Thread   any; pure.
 * Memory   values point into the text given.
 * Errors   one line that says what is allowed.
 */
#ifndef CORE_COORDINATOR_FILTER_H
#define CORE_COORDINATOR_FILTER_H

#include "core/mail/envelope.h"

enum filter_state { /* what a person sees of a recipient */
    FILTER_WAITING,
    FILTER_HELD,
    FILTER_APPROVAL,
    FILTER_DUE,
    FILTER_SENDING,
    FILTER_RETRY,
    FILTER_DELIVERED,
    FILTER_BOUNCED,
    FILTER_DISCARDED,
    FILTER_STATES,
};

struct filter {
    struct str from, to, org, subject; /* .at NULL: any */
    uint32_t states;                   /* bit set of 1 << enum filter_state; 0: any */
    uint64_t older_ms, younger_ms;     /* 0: any */
    uint64_t id;                       /* 0: any */
};

NODISCARD bool filter_parse(struct str text, struct filter *f, struct buffer *error);

/* Does it ask for states that only finished recipients have? */
bool filter_wants_finished(const struct filter *f);

/* `now_ms` is adopted time. */
bool filter_matches_message(const struct filter *f, const struct message *m, uint64_t now_ms);
bool filter_matches_recipient(const struct filter *f, const struct recipient *r, uint64_t now_ms);

/* Both: the message, and at least one of its recipients. */
bool filter_matches(const struct filter *f, const struct message *m, uint64_t now_ms);

/* The state of a whole message: that of its least finished recipient, in the order approval, held,
 * waiting, retry, due, sending, bounced, discarded, delivered. */
const char *message_state_name(const struct message *m, uint64_t now_ms);

#endif
