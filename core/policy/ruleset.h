/* ruleset.h -- an organisation's rules, made ready to be asked for many recipients.
 *
 * Leaves that ask the same get one number, so that what they say is worked out once. What hangs on
 * a recipient's address, domain, groups and lists is not asked leaf by leaf: all those names stand
 * in one sorted index that leads to the leaves, so that a recipient costs a few look-ups however
 * many rules there are.
 *
 * Thread   any; immutable.
 * Memory   in the arena given.
 * Cost     ruleset_find() O(log names + what is found).
 */
#ifndef CORE_POLICY_RULESET_H
#define CORE_POLICY_RULESET_H

#include "core/policy/rule.h"

/* A rule's leaf for the walk: small, so that a thousand rules stay in the cache. */
struct step {
    uint32_t leaf;
    uint16_t on_true, on_false; /* index, RULE_YES or RULE_NO */
};

struct name_entry {
    struct str key;
    uint32_t set;
};

struct set_leaf {
    uint32_t leaf, next; /* next: index and 1; 0: the last */
};

struct ruleset {
    struct rule *rules;
    size_t count;
    const struct step **steps; /* of each rule, as long as its conditions; groups' are unused */
    const struct condition **leaves; /* by number */
    uint32_t leaf_count;
    uint64_t asked;             /* bit 1 << enum condition_kind: some rule asks it */
    const uint32_t *by_message; /* leaves that the message alone decides */
    uint32_t by_message_count;
    const uint32_t *by_recipient; /* leaves that are asked for each recipient: not in the index */
    uint32_t by_recipient_count;
    const struct name_entry *names; /* sorted by key */
    size_t name_count;
    const uint32_t *set_first; /* of each set: index of its first set_leaf, and 1 */
    const struct set_leaf *set_leaves;
};

/* Numbers the leaves of rules that are read and linked, and says of their actions which are equal.
 * False: no memory. */
NODISCARD bool ruleset_make(struct arena *a, struct rule *rules, size_t count, struct ruleset *out);

/* Fills in value[] of what is set. */
void actions_seal(struct actions *a);

/* Entries of this very key: [first, end). */
struct name_range {
    size_t first, end;
};
struct name_range ruleset_find(const struct ruleset *s, struct str key);

#endif
