/* remake.h -- from a stored mail to the bytes that a recipient gets, as a stream.
 *
 * What leaves is: the prefix (Received and fields that were missing), then the stored body without
 * its cuts (Bcc fields). It is a pure function of what is stored, so every retry sends the same.
 *
 * Thread   one owner. Memory: none of its own; pieces borrow from the message and from what is fed.
 */
#ifndef CORE_REMAKE_REMAKE_H
#define CORE_REMAKE_REMAKE_H

#include "core/mail/envelope.h"

struct remake {
    const struct message *message;
    uint64_t at;  /* offset in the stored body of the next fed byte */
    uint32_t cut; /* next cut that is not behind us */
    bool begun;
};

void remake_init(struct remake *r, const struct message *m);

/* The next piece to send; `in` are stored body bytes, in order, and is advanced. False: feed more.
 * */
bool remake_piece(struct remake *r, struct str *in, struct str *piece);

/* Bytes that the whole will have. */
uint64_t remake_bytes(const struct message *m);

#endif
