/* word.h -- RFC 2047: what a header field says, for people; and how to say it in one of ours.
 *
 * Reading is lenient, as Japanese mailers need it: adjacent encoded words of one charset are joined
 * before they are converted (a character may be split between them), blanks inside Q words are
 * taken, raw 8-bit and raw ISO-2022-JP are guessed. It is for display and matching only: no address
 * is ever read from what comes out (ADDR-05, ADDR-07).
 *
 * Thread   any; pure.
 * Cost     linear (BOMB-09).
 */
#ifndef CORE_MAIL_WORD_H
#define CORE_MAIL_WORD_H

#include "core/base/buffer.h"

/* Unfolded, decoded, cleaned as by utf8_clean(): one line of valid UTF-8 without controls, at most
 * `max` bytes more in `out` (INJ-01). */
void word_decode(struct str raw, size_t max, struct buffer *out);

/* `text` (UTF-8, cleaned here) as a field's value in lines of at most 76: as it is when that is
 * possible, else B words in UTF-8 of at most 75, folded with CRLF and a blank. `column` is where
 * the value begins: the length of "Subject: ". No CRLF at the end. */
void word_encode(struct str text, size_t column, struct buffer *out);

#endif
