/* fact_code.h -- facts written down, so that a draft of a policy can be asked later what it would
 * have done with the mail. No bodies: names, addresses, counts, and the words that were found.
 *
 * The layout is specified at the top of fact_code.c and frozen.
 *
 * Thread   any; pure.
 * Memory   what is decoded borrows texts from `in` and has its arrays in the arena.
 * Errors   facts_encode(): false past FACTS_BYTES_MAX, and `out` is as before: such a mail is not
 *          kept for replay. facts_decode(): false for anything that it does not fully understand.
 */
#ifndef CORE_POLICY_FACT_CODE_H
#define CORE_POLICY_FACT_CODE_H

#include "core/base/arena.h"
#include "core/policy/fact.h"

enum {
    FACTS_BYTES_MAX = 4 << 20, /* 10,000 recipients and all header fields fit */
};

NODISCARD bool facts_encode(const struct facts *f, struct buffer *out);

/* `open` is not kept: who asks a policy fills it in from time_ms and that policy's calendars. */
NODISCARD bool facts_decode(struct str in, struct arena *arena, struct facts *out);

#endif
