/* utf8.h -- code points of UTF-8, strictly: no surrogates, no overlong forms, nothing over
 * U+10FFFF.
 *
 * Thread   any; pure.
 */
#ifndef CORE_MAIL_UTF8_H
#define CORE_MAIL_UTF8_H

#include "core/base/buffer.h"

/* Bytes of the first character, and the character; 0 when it is malformed or `s` is empty. */
size_t utf8_take(struct str s, uint32_t *c);

/* Can more bytes make one character of `s`, which is none now? */
bool utf8_is_head(struct str s);

void utf8_put(struct buffer *out, uint32_t c);

bool utf8_is_valid(struct str s);
bool utf8_is_ascii(struct str s);

bool utf8_is_control(uint32_t c);      /* C0, DEL, C1, line and paragraph separators */
bool utf8_is_bidi_control(uint32_t c); /* makes text read in another order than it is in */
bool utf8_is_hidden(uint32_t c); /* shows nothing: bidi controls, zero widths, soft hyphen… */

/* The longest head of `s` with at most `max` bytes that does not end inside a character. */
struct str utf8_head(struct str s, size_t max);

/* For display in one line: malformed bytes, controls and bidi controls become U+FFFD, line breaks
 * and tabs become a blank. At most `max` bytes are written, whole characters only (INJ-01). */
void utf8_clean(struct str s, size_t max, struct buffer *out);

#endif
