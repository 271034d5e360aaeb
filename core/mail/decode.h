/* decode.h -- base64 and quoted-printable, both ways, leniently in (RFC 2045).
 *
 * Thread   any; pure.
 * Cost     linear.
 */
#ifndef CORE_MAIL_DECODE_H
#define CORE_MAIL_DECODE_H

#include "core/base/buffer.h"

/* Bytes outside the alphabet are passed over; padding ends a group, not the text (MIME-04). */
void decode_base64(struct str in, struct buffer *out);

/* "=XX", soft line breaks, blanks at the end of lines off; what is malformed is taken as it is. */
void decode_quoted(struct str in, struct buffer *out);

/* The Q of RFC 2047: "_" is a blank. */
void decode_q(struct str in, struct buffer *out);

/* Base64 in lines of 76 with CRLF, also behind the last. */
void encode_base64_lines(struct str in, struct buffer *out);

/* Quoted-printable lines of at most 76; CRLF in `in` are line ends. */
void encode_quoted(struct str in, struct buffer *out);

#endif
