/* charset.h -- any bytes to UTF-8. The only door to ICU.
 *
 * Names are taken as mailers mean them: "iso-2022-jp" reads NEC and IBM letters and half-width
 * kana too, "shift_jis" is CP932, "us-ascii" with 8-bit bytes is guessed.
 *
 * Thread   any; pure.
 * Memory   a converter is opened and closed in each call.
 * Errors   what can't be read becomes U+FFFD.
 */
#ifndef CORE_MAIL_CHARSET_H
#define CORE_MAIL_CHARSET_H

#include "core/base/buffer.h"

/* False: a charset that nobody knows, the bytes were guessed instead; or malformed bytes. */
bool charset_to_utf8(struct str name, struct str bytes, struct buffer *out);

/* What bytes without a name are: "utf-8" when they are valid, else ISO-2022-JP (by its escapes),
 * EUC-JP or CP932 by their pairs, else windows-1252. */
struct str charset_guess(struct str bytes);

#endif
