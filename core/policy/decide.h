/* decide.h -- what happens to one recipient: rules in their order, and nothing else.
 *
 * For each action the first rule that matches and has it decides; `stop` ends the list; then the
 * organisation's defaults; then the settings. That is the whole semantics.
 *
 * Thread   any; pure.
 * Memory   the decision borrows rule names from the organisation. No allocation but the trace's.
 * Cost     O(rules).
 */
#ifndef CORE_POLICY_DECIDE_H
#define CORE_POLICY_DECIDE_H

#include "core/policy/organisation.h"

/* The message: prepared once, asked for each recipient. */
struct decide_facts {
    struct str sender;       /* reverse-path in the spelling of core/mail/address; empty: null */
    const struct user *user; /* authenticated, or NULL */
    const void *client;      /* address bytes in network order, or NULL */
    size_t client_bytes;     /* 4, 16 or 0 */
    bool is_auto;            /* null sender or an RFC 3834 mark: judged like any, but no notices */
};

struct decision {
    enum recipient_class class;
    uint64_t hold_ms;
    enum notice_kind notice; /* of a hold; whether notices go out at all is the settings' */
    uint64_t notice_every_ms;
    struct str hold_rule, notice_rule; /* empty: defaults or settings */
};

/* `recipient` in the spelling of core/mail/address. `trace` gets one line a step; NULL: none. */
void decide(const struct organisation *o, const struct decide_facts *f, struct str recipient,
            uint64_t hold_standard_ms, struct decision *out, struct buffer *trace);

#endif
