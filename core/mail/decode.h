/* decode.h -- base64, quoted-printable and uuencode, leniently in (RFC 2045), and two of them out.
 *
 * Mail programs differ in what they make of damaged encodings. A decoder here gives the bytes of
 * the reading that shows most (nothing is passed over because of what stands before it: MIME-04),
 * and says in `doubt` what other programs may have read differently (MIME-05).
 *
 *   struct decode d;
 *   decode_init(&d, DECODE_BASE64);
 *   decode_feed(&d, piece, &out);      any number of pieces, cut anywhere
 *   decode_finish(&d, &out);           d.doubt is complete
 *
 * Thread   one a decoder; pure.
 * Memory   none besides the struct. `out` grows by at most DECODE_GROWTH bytes a byte, and by what
 *          the struct holds back (DECODE_HELD).
 * Cost     linear: see `bench_micro --benchmark_filter=decode`.
 * Errors   none of its own; look at out.full as always.
 */
#ifndef CORE_MAIL_DECODE_H
#define CORE_MAIL_DECODE_H

#include "core/base/buffer.h"

enum decode_kind {
    DECODE_IDENTITY, /* 7bit, 8bit, binary */
    DECODE_BASE64,
    DECODE_QUOTED,
    DECODE_UU, /* lines before "begin" and after "end" are not part of it */
};

enum decode_doubt {
    DECODE_FOREIGN = 1 << 0, /* bytes that the encoding does not have: passed over, or kept by QP */
    DECODE_PADDING_INSIDE = 1 << 1, /* data behind "=": many stop there */
    DECODE_PADDING_ODD = 1 << 2,    /* missing, too little or too much of it */
    DECODE_BITS = 1 << 3,           /* bits behind the last byte that are not zero */
    DECODE_LONG_LINE = 1 << 4,      /* over 76 */
    DECODE_LINE_END = 1 << 5,       /* LF or CR alone */
    DECODE_BLANKS = 1 << 6,         /* inside base64, or between "=" and the end of the line */
    DECODE_ESCAPE = 1 << 7,         /* "=" without two hexadecimal digits: taken as it is */
    DECODE_UU_SHORT = 1 << 8,       /* a line has fewer bytes than it says: they are zero */
    DECODE_UU_NO_BEGIN = 1 << 9,    /* nothing was decoded */
    DECODE_UU_NO_END = 1 << 10,
    DECODE_UU_TEXT = 1 << 11, /* other text before "begin" or after "end" */
    DECODE_UU_MORE = 1 << 12, /* a second "begin": its bytes follow those of the first */
};

enum {
    DECODE_LINE_MAX = 76,
    DECODE_GROWTH = 2,  /* a bare LF of quoted-printable becomes CRLF */
    DECODE_HELD = 1024, /* blanks at the end of a line, or a line of uuencode */
};

struct decode {
    enum decode_kind kind;
    unsigned doubt; /* of enum decode_doubt, complete after decode_finish() */

    unsigned state, count; /* of the kind: where in a group, an escape or a file */
    uint32_t bits;
    uint32_t column; /* bytes of this line so far; stops above DECODE_LINE_MAX */
    bool cr;         /* the last byte was a CR */
    bool padded;     /* base64: the last letter stands before a "=" */
    uint16_t held_bytes, name_bytes;
    char held[DECODE_HELD];
    char name[256]; /* uuencode: the file's name, of any charset: decode_name() */
};

void decode_init(struct decode *d, enum decode_kind kind);
void decode_feed(struct decode *d, struct str in, struct buffer *out);
void decode_finish(struct decode *d, struct buffer *out);

/* Of the last "begin" of uuencode; else empty. */
static inline struct str decode_name(const struct decode *d)
{
    return str_from(d->name, d->name_bytes);
}

/* The whole at once, without the doubts. */

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
