/* dsn.h -- delivery status notifications (RFC 3464) to the sender of a mail.
 *
 * The whole mail as it is stored: header, a part for people in Japanese and English, the part for
 * programs, and the header section of the mail it is about, without its Bcc. Its body is never
 * returned (H-5). Goes out with a null reverse-path; never about a mail that had one (P-3).
 *
 * Thread   any; pure: date, identifiers and boundary are arguments.
 */
#ifndef CORE_MAIL_DSN_H
#define CORE_MAIL_DSN_H

#include "core/base/buffer.h"
#include "core/mail/envelope.h"

enum dsn_kind {
    DSN_FAILURE,
    DSN_DELAY
};

struct dsn_recipient {
    struct str address;
    struct str orcpt;      /* "rfc822;a@b"; empty: none */
    struct str status;     /* "5.1.1" */
    struct str diagnostic; /* reply of the next hop, "550 5.1.1 No such user"; empty: none */
    struct str remote;     /* name of the next hop; empty: none */
    struct str reason;     /* ours, for people, when there was no reply; empty: none */
};

struct dsn {
    enum dsn_kind kind;
    const struct message *about; /* sender, subject, envid, message_id, accepted_ms */
    const struct dsn_recipient *recipients;
    uint32_t recipient_count;
    struct str header;     /* the beginning of the mail, at least its header section if that is
   known */
    struct str mta;        /* our name */
    struct str message_id; /* of the DSN, with brackets */
    struct str boundary;   /* random letters and digits, at most 60 */
    uint64_t date_ms;
    uint64_t retry_until_ms; /* DSN_DELAY */
    int zone_minutes;        /* for the part for people */
};

/* False: the mail had a null reverse-path, or `out` is full. */
NODISCARD bool dsn_write(const struct dsn *d, struct buffer *out);

#endif
