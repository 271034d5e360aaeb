/* decide_inside.h -- what deciding and tracing share.
 *
 * Thread   one owner.
 * Memory   in the arena given.
 */
#ifndef CORE_POLICY_DECIDE_INSIDE_H
#define CORE_POLICY_DECIDE_INSIDE_H

#include "core/policy/ask.h"
#include "core/policy/decide.h"

/* What each leaf says, at the moment about one recipient. */
struct truths {
    struct asking *asking;
    const struct ruleset *rules[TIER_ORGANISATION + 1];
    uint32_t offset[TIER_ORGANISATION + 1]; /* of a tier's first leaf */
    uint8_t *at;
    uint32_t *touched; /* leaves that this recipient made true */
    uint32_t touched_count;
};

NODISCARD bool truths_make(struct truths *t, const struct decide_input *in, struct arena *arena);
NODISCARD bool truths_addressee(const struct truths *t, const struct decide_input *in,
                                uint32_t recipient, struct arena *arena, struct addressee *out);
void truths_of(struct truths *t, const struct addressee *r);

/* What nobody decided before. */
void take_actions(struct decision *d, const struct rule *r, enum tier tier);

/* After the last tier. */
void decision_close(struct decision *d, const struct decide_input *in);

#endif
