/* line.h -- SMTP commands, cut out of a stream that may stop at any byte.
 *
 * Only CRLF ends a line (RFC 5321 2.3.8). A bare CR, a bare LF or a NUL is reported at once, and
 * everything up to the next CRLF is swallowed, so that what stands behind it is never executed
 * even if the owner does not hang up (SMUG-19, 20). A line that is too long is swallowed to its
 * end, then reported, once.
 *
 * Thread   one at a time.
 * Memory   nothing while lines arrive whole; else the beginning of one line, at most `max` bytes.
 * Cost     each byte is looked at once; a whole line is not copied.
 */
#ifndef CORE_MAIL_LINE_H
#define CORE_MAIL_LINE_H

#include "core/base/buffer.h"
#include "core/base/limit.h"

struct line {
    struct buffer kept; /* the beginning of a line whose end has not come */
    size_t max;         /* bytes of a line, with its CRLF */
    bool given;         /* `kept` was handed out: forget it at the next feed */
    bool cr, swallowing, too_long;
};

enum line_status {
    LINE_MORE, /* all of `in` was used */
    LINE_DONE, /* `out` is a line without CRLF, good until the next feed and while `in`'s bytes are
   */
    LINE_TOO_LONG,
    LINE_BARE_LF,
    LINE_BARE_CR,
    LINE_NUL,
    LINE_NO_MEMORY, /* the line is swallowed */
};

void line_init(struct line *l, size_t max); /* LIMIT_COMMAND_BYTES */
void line_drop(struct line *l);

/* Another maximum from the next line on: LIMIT_AUTH_BYTES while AUTH goes on. */
void line_set_max(struct line *l, size_t max);

/* Eat from the front of `in`, advancing it, up to the end of one line. */
NODISCARD enum line_status line_feed(struct line *l, struct str *in, struct str *out);

#endif
