/* suit.h -- may this delivery go over this connection? Asked before each mail, so that a connection
 * that is used again is judged anew (OUT-19), and before the keeper is asked for anything.
 *
 * A hop that lacks what a mail cannot do without is a verdict on the mail, like a reply:
 *   SIZE      5.3.4   MAIL would be answered 552 for good (RFC 1870 4)
 *   SMTPUTF8  5.6.7   it must not be sent there (RFC 6531 3.5); recipients with ASCII addresses get
 *                     the mail all the same when only other recipients' addresses are UTF-8
 *   8BITMIME  5.6.3   it must not be sent there as it is (RFC 6152 3), and it is not re-encoded yet
 *   TLS       4.7.10  tried again later: handshakes fail for a while too
 * At an exchanger that is not among the most preferred ones each is 4.x.x: those may take the mail
 * once they are back. No other exchanger is tried in the same round: they serve the same domain,
 * and where they offer less than each other the first one's word is taken, as with a 5xx to MAIL.
 *
 * Thread   the shard's.
 */
#ifndef SHARDS_SUIT_H
#define SHARDS_SUIT_H

#include "shards/mail.h"

struct suit_hop {
    struct str name;
    bool preferred; /* among the most preferred exchangers */
    bool used;      /* the connection has carried mail: a new one may have better TLS */
};

enum suit {
    SUIT_GO,        /* for those that are left in the delivery */
    SUIT_ELSEWHERE, /* its TLS is too weak; the delivery is untouched */
    SUIT_OVER,      /* nobody is left; all are concluded, and the delivery is gone */
};

NODISCARD enum suit suit_check(struct delivery *d, const struct smtp_client *c,
                               const struct suit_hop *hop);

/* What the hop must offer for the mail itself; recipients' addresses come on top. */
struct smtp_needs suit_needs(const struct delivery *d);

#endif
