/* compose.h -- the pieces of the mails that we write ourselves: DSN, notice, password mail.
 *
 * Whatever is put in comes from strangers (subjects, addresses, replies): nothing of it can end its
 * line, open a tag or begin a field (INJ-01). What comes out is 7-bit, in CRLF lines of at most
 * 998.
 *
 * Thread   any; pure.
 */
#ifndef CORE_MAIL_COMPOSE_H
#define CORE_MAIL_COMPOSE_H

#include "core/base/buffer.h"

enum compose_language {
    COMPOSE_JAPANESE,
    COMPOSE_ENGLISH
};

/* "Name: value" CRLF: printable ASCII, other bytes '?', cut to fit a line. */
void compose_field(const char *name, struct str value, struct buffer *out);

/* "Name: <address>" CRLF. UTF-8 addresses stay: such a mail needs SMTPUTF8. */
void compose_address(const char *name, struct str phrase, struct str address, struct buffer *out);

/* "Subject: prefix subject" CRLF; both are UTF-8, encoded as needed. */
void compose_subject(const char *prefix, struct str subject, struct buffer *out);

/* "Date: ..." CRLF, in UTC. */
void compose_date(uint64_t ms, struct buffer *out);

/* CRLF "--boundary" CRLF, or the last with "--" behind it. */
void compose_boundary(struct str boundary, bool last, struct buffer *out);

/* Header and content of a part: `type` such as "text/plain"; `text` is UTF-8 with LF, in base64. */
void compose_text(const char *type, struct str text, struct buffer *out);

/* One line of display, in text or with &<>"' escaped. At most LIMIT_SUBJECT_BYTES of it. */
void compose_put(struct str s, bool html, struct buffer *out);

/* "2026-11-24 13:38 JST", or "2026-11-24 04:38 (UTC+01:00)". */
void compose_time(uint64_t ms, int zone_minutes, struct buffer *out);

/* "512 B", "12 KiB", "3.4 MiB" */
void compose_size(uint64_t bytes, struct buffer *out);

#endif
