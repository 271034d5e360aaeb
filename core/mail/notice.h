/* notice.h -- the hold notice: tells a sender that a mail waits, until when, and how to take it
 * back.
 *
 * A whole mail: text and HTML, the organisation's language first, then the other.
 *
 * Thread   any; pure: date, identifiers and boundary are arguments.
 */
#ifndef CORE_MAIL_NOTICE_H
#define CORE_MAIL_NOTICE_H

#include "core/base/buffer.h"
#include "core/mail/compose.h"
#include "core/mail/envelope.h"

struct notice {
    const struct message *about; /* sender, subject, sizes, token, recipients with their release
   times */
    struct str domain;           /* of notices: gate@domain writes, gate+TOKEN@domain is answered */
    struct str url;              /* page of the mail; empty: no portal listens */
    struct str message_id;       /* of the notice, with brackets */
    struct str boundary;         /* random letters and digits, at most 60 */
    enum compose_language language;
    uint64_t date_ms; /* now */
    int zone_minutes; /* of the organisation, east of UTC */
};

/* False: the mail has no sender or no token, or `out` is full. */
NODISCARD bool notice_write(const struct notice *n, struct buffer *out);

/* "gate+TOKEN@domain": the token of an address that notices are answered to; false: another. */
NODISCARD bool notice_token(struct str address, struct str domain, struct str *token);

#endif
