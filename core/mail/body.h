/* body.h -- the end of DATA: its own small automaton in, and the writer out; and BDAT's content,
 * whose end is a number of bytes.
 *
 * In: the only end is CRLF "." CRLF (the first CRLF may be the one after DATA). A line's first dot
 * is taken off. A bare CR, a bare LF or a NUL refuses the mail; nothing is repaired (SMUG-01 ..
 * 13). What comes out is content as it is stored: CRLF lines, the last one ended, no CRLF added.
 *
 * Out: CRLF lines with stuffed dots, ended by CRLF "." CRLF, and never a bare CR, bare LF or NUL.
 *
 * Thread   one at a time.
 * Memory   none: runs are borrowed from `in`.
 * Cost     64 bytes a step where a line has neither a first dot nor a fault.
 */
#ifndef CORE_MAIL_BODY_H
#define CORE_MAIL_BODY_H

#include "core/base/buffer.h"
#include "core/base/limit.h"

enum body_at { /* where in a line we stand; internal */
    BODY_AT_START,
    BODY_AT_TEXT,
    BODY_AT_CR,
    BODY_AT_DOT,    /* in only: a first dot */
    BODY_AT_DOT_CR, /* in only: a first dot and CR */
};

struct body_scan { /* what in and out share */
    enum body_at at;
    bool eight_bit; /* a byte over 0x7F was seen */
    bool long_line; /* a line over LIMIT_TEXT_LINE_BYTES was seen */
    size_t line;    /* bytes of the line so far, with a CR */
};

enum body_in_status {
    BODY_IN_MORE,    /* all of `in` was used */
    BODY_IN_DATA,    /* `out` is a run of content, borrowed from `in`'s bytes; feed again */
    BODY_IN_DONE,    /* the end; `in` begins behind it */
    BODY_IN_BARE_LF, /* the first fault, at once; and the same again at the end, see below */
    BODY_IN_BARE_CR,
    BODY_IN_NUL,
    BODY_IN_LINE_TOO_LONG, /* told at the end only */
};

/* After a fault the owner hangs up, or feeds on: the rest is eaten as data, never given out, and
 * the verdict is repeated at the true end, with `ended` set (SMUG-14). */
struct body_in {
    struct body_scan scan;
    enum body_in_status fault; /* BODY_IN_MORE: none */
    bool ended;
};

void body_in_init(struct body_in *b);
NODISCARD enum body_in_status body_in_feed(struct body_in *b, struct str *in, struct str *out);

/* BDAT (RFC 3030): content by count, in chunks; dots mean nothing. The same bytes are refused as in
 * DATA, across the borders of chunks too. The rest of a chunk with a fault is eaten. */
struct body_chunk {
    struct body_scan scan;     /* goes on from chunk to chunk */
    enum body_in_status fault; /* BODY_IN_MORE: none */
    uint64_t left;             /* of this chunk */
};

void body_chunk_init(struct body_chunk *b); /* a mail begins; then set `left` for each chunk */

/* MORE: all of `in` was used, the chunk goes on. DATA: `out` is a run. DONE: the chunk is over. A
 * fault, once. */
NODISCARD enum body_in_status body_chunk_feed(struct body_chunk *b, struct str *in,
                                              struct str *out);

/* After the last chunk: DONE, or what is wrong. `*out` is the CRLF of a last line that has none:
 * the next hop cannot be told it otherwise. */
NODISCARD enum body_in_status body_chunk_end(struct body_chunk *b, struct str *out);

struct body_out {
    struct body_scan scan;
    bool failed;
};

void body_out_init(struct body_out *o);

/* False: these bytes can't be sent as mail; nothing more is written, and the dot must not be sent.
 * */
NODISCARD bool body_out_feed(struct body_out *o, struct str in, struct buffer *out);
NODISCARD bool body_out_end(struct body_out *o, struct buffer *out);

#endif
