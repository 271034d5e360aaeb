/* sink_data.h -- where a message ends: at CRLF . CRLF and nowhere else.
 *
 * Bytes in, content out. A bare LF or CR is content, `LF . LF` and `CRLF . LF` are content: the
 * sink must show what a sender really sent. A dot that begins a line is removed (RFC 5321, 4.5.2).
 *
 * Thread   one.
 * Cost     one memchr() per line.
 * Promise  the result does not depend on how the input was cut.
 */
#ifndef BENCH_SINK_DATA_H
#define BENCH_SINK_DATA_H

#include "bench/bench_base.h"

enum {
    SINK_TOKEN_BYTES_MAX = 128
};

enum sink_data_at {
    SINK_AT_LINE_START, /* after CRLF, or after DATA */
    SINK_AT_MIDDLE,
    SINK_AT_CR,
    SINK_AT_DOT,    /* a dot began the line */
    SINK_AT_DOT_CR, /* ... and CR follows */
};

/* The value of the header field X-Token, looked for line by line. */
struct sink_token {
    bool header_over, in_value;
    uint8_t column; /* characters of the name matched at this line; SKIP: another field */
    uint8_t bytes;
    char text[SINK_TOKEN_BYTES_MAX];
};

struct sink_data {
    enum sink_data_at at;
    struct sink_token token;
    uint64_t bytes; /* of content, dots removed */
};

typedef void sink_data_fn(void *owner, const char *content, size_t bytes);

void sink_data_begin(struct sink_data *d);

/* Bytes consumed; `*done` says that the end was seen, what follows it is not consumed. */
NODISCARD size_t sink_data_feed(struct sink_data *d, const char *in, size_t bytes, bool *done,
                                sink_data_fn *take, void *owner);

#endif
