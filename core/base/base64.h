/* base64.h -- RFC 4648 section 4, as SASL and stored hashes need it: one spelling for one value.
 *
 * Thread   any; pure.
 * Errors   decoding is strict: no blanks or line ends, padding exactly where it belongs (nowhere,
 *          for BASE64_BARE), no bits behind the last byte. MIME's lenient reader is in core/mail.
 */
#ifndef CORE_BASE_BASE64_H
#define CORE_BASE_BASE64_H

#include "core/base/buffer.h"

enum base64_form {
    BASE64_PADDED,
    BASE64_BARE
};

/* 0 to 63, or -1: not a letter of the alphabet. */
int base64_value(char c);

/* Appends; on false nothing is appended. */
NODISCARD bool base64_decode(struct str in, enum base64_form form, struct buffer *out);
void base64_encode(struct str in, enum base64_form form, struct buffer *out);

#endif
