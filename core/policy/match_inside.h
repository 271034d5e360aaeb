/* match_inside.h -- what the files of the matcher share. */
#ifndef CORE_POLICY_MATCH_INSIDE_H
#define CORE_POLICY_MATCH_INSIDE_H

#include "core/base/buffer.h"

enum {
    MATCH_SOURCE_VERSION = 1,
    MATCH_FILE_VERSION = 1,
};

enum match_kind {
    MATCH_WORD,
    MATCH_EXPRESSION
};

struct match_item {
    enum match_kind kind;
    uint32_t dictionary;
    struct str text;
};

/* The version before the first pattern. False: not a source of ours. */
NODISCARD bool match_source_open(struct str *source);

/* The next pattern; false at the end, and then `source` is empty, or malformed from there. */
NODISCARD bool match_source_take(struct str *source, struct match_item *item);

/* "5.4.0 ... tune features": what a database depends on besides its source. */
void match_build_text(struct buffer *out);

#endif
