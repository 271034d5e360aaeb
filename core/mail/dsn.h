/* dsn.h -- delivery status notifications (RFC 3464, RFC 6533) to the sender of a mail.
 *
 * The whole mail as it is stored: header, a part for people in Japanese and English, the part for
 * programs, and the header section of the mail it is about, without its Bcc. Its body is never
 * returned, whatever was asked (RET=FULL): a text that policy keeps from leaving would leave this
 * way (H-5), and RFC 3461 4.3 leaves the choice to us. Goes out with a null reverse-path; never
 * about a mail that had one (P-3).
 *
 * One report may tell of several recipients with different actions. "delivered" is never said: we
 * hand on, and only the last server knows. "relayed" says that the next hop took the mail and will
 * tell nobody what became of it.
 *
 * About a mail that came with SMTPUTF8 and has something to say in UTF-8, the parts are RFC 6533's
 * message/global-*: as they are where the sender's own address asks for SMTPUTF8 on the whole way
 * back, else in quoted-printable, so that every hop takes the report. About any other mail they
 * are RFC 3464's, 7-bit.
 *
 * Thread   any; pure: date, identifiers and boundary are arguments.
 */
#ifndef CORE_MAIL_DSN_H
#define CORE_MAIL_DSN_H

#include "core/base/buffer.h"
#include "core/mail/envelope.h"

enum dsn_action { /* by weight: the heaviest gives the subject */
    DSN_NONE,
    DSN_RELAYED,
    DSN_DELAYED,
    DSN_FAILED,
};

/* RFC 3461 4.1: does a recipient's NOTIFY (0: not given) ask to be told? Without it of failures
 * and delays. */
bool dsn_is_wanted(enum dsn_action action, uint32_t notify);

/* "[配送不能]" and its like: how the subject begins. */
const char *dsn_tag(enum dsn_action action);

struct dsn_recipient {
    enum dsn_action action; /* not DSN_NONE */
    struct str address;
    struct str orcpt;        /* "rfc822;a@b"; empty: none */
    struct str status;       /* "5.1.1" */
    struct str diagnostic;   /* reply of the next hop, "550 5.1.1 No such user"; empty: none */
    struct str remote;       /* name of the next hop; empty: none */
    struct str reason;       /* ours, for people, when there was no reply; empty: none */
    uint64_t retry_until_ms; /* DSN_DELAYED */
};

struct dsn {
    const struct message *about; /* sender, subject, envid, message_id, accepted_ms, flags */
    const struct dsn_recipient *recipients;
    uint32_t recipient_count;
    struct str header;     /* the beginning of the mail, at least its header section if that is
                              known */
    struct str mta;        /* our name */
    struct str message_id; /* of the DSN, with brackets */
    struct str boundary;   /* random letters and digits, at most 60 */
    uint64_t date_ms;
    int zone_minutes; /* for the part for people */
};

enum dsn_action dsn_heaviest(const struct dsn *d);

/* False: the mail had a null reverse-path, or `out` is full. The result is ASCII unless the
 * sender's address is not. */
NODISCARD bool dsn_write(const struct dsn *d, struct buffer *out);

/* "utf-8;address" as the value of ORCPT, RFC 6533 3: utf-8-addr-unitext, or without `utf8`
 * utf-8-addr-xtext. An escape that is there already ("\x{7528}") stays. */
void dsn_put_parameter(struct str typed, bool utf8, struct buffer *out);

#endif
