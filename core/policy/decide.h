/* decide.h -- what happens to each recipient of a message: rules in their order, and nothing else.
 *
 * Three tiers, each a list: the provider's forced rules, the organisation's rules, then what the
 * sending user, then the organisation has set as defaults; then the settings. For each recipient
 * and each action the first that matches and has it decides; `stop` ends its list; a reject beats
 * everything else. `stagger` counts from the end of the hold. That is the whole semantics.
 *
 * Recipients for whom everything comes out the same are one delivery: they may get the same bytes
 * in the same session, whichever rules led there.
 *
 * Thread   any; pure.
 * Memory   results live in the arena given, and borrow from the organisation and the facts.
 * Cost     each leaf about the message once, each recipient a few look-ups; the rules are walked
 *          once for each group of recipients about whom all leaves say the same.
 * Errors   NULL without memory in the arena: the mail has to be held, or answered 452.
 */
#ifndef CORE_POLICY_DECIDE_H
#define CORE_POLICY_DECIDE_H

#include "core/policy/fact.h"
#include "core/policy/organisation.h"

enum tier {
    TIER_PROVIDER,
    TIER_ORGANISATION,
    TIER_USER,
    TIER_DEFAULTS,
    TIERS
};

struct decide_input {
    const struct organisation *organisation;
    const struct organisation *provider; /* rulefile_options.is_provider; NULL: none */
    const struct facts *facts;
    uint64_t hold_standard_ms; /* of the settings */
};

/* Who decided: a rule of a tier, or a tier's defaults (then its name is empty). */
struct decider {
    const struct rule *rule; /* NULL: nobody */
    enum tier tier;
};

struct decision {
    enum recipient_class class;
    uint32_t set; /* bit 1 << enum action_kind: somebody decided; after a reject only that */
    struct decider by[ACTIONS];
    uint64_t hold_ms; /* with stagger's delay */
    enum notice_kind notice;
    uint64_t notice_every_ms;
    uint32_t delivery; /* number of the delivery in the outcome */
};

struct delivery {
    uint64_t key;   /* the same for the same outcome, also tomorrow */
    uint32_t first; /* its first recipient */
    uint32_t count;
    const struct decision *decision; /* of the first */
};

struct outcome {
    struct decision **decisions;
    uint32_t decision_count;
    struct delivery *deliveries; /* by first recipient */
    uint32_t delivery_count;
    const uint32_t *of; /* of each recipient: index into decisions */
    uint32_t recipient_count;
    bool is_rejected;     /* the whole mail: one forbidden recipient is enough */
    uint32_t rejected_by; /* that recipient; one whose rule answers in SMTP goes first */
};

NODISCARD struct outcome *decide(const struct decide_input *in, struct arena *arena);

static inline const struct decision *outcome_of(const struct outcome *o, uint32_t recipient)
{
    return o->decisions[o->of[recipient]];
}

/* What the deciding rule says; only of an action in `set`. */
const struct actions *decision_actions(const struct decision *d, enum action_kind kind);

/* Its name; empty: defaults, settings or nobody. */
struct str decision_rule(const struct decision *d, enum action_kind kind);

/* Why: step by step for one recipient. */

struct evidence {
    enum condition_kind kind;
    struct str text; /* "'社外秘' of confidential in subject, once" */
};

struct trace_step {
    enum tier tier;
    const struct rule *rule;
    bool matched;
    enum condition_kind last;        /* the leaf that had the last word; CONDITION_LEAVES: none */
    uint32_t decided, late;          /* bits of `then`: decided here; decided before */
    const struct evidence *evidence; /* of a rule that matched */
    size_t evidence_count;
};

struct trace {
    const struct decision *decision;
    struct trace_step *steps;
    size_t count;
    bool is_auto;
};

/* Does it all again for this recipient. NULL: no memory. */
NODISCARD struct trace *decide_trace(const struct decide_input *in, const struct outcome *o,
                                     uint32_t recipient, struct arena *arena);
void trace_write(const struct trace *t, const struct decide_input *in, struct buffer *out);

#endif
