/* rule.h -- rules as the program keeps them: conditions that jump, actions that are set or not.
 *
 * A rule's conditions stand in one array, a parent before its children: `when` and each mapping in
 * any, all and not is a WHEN node (all of its entries), and what asks something is a leaf. Asking
 * begins at the first leaf; each says where to go on when it is true and when it is false, so that
 * no stack and no recursion is needed however they nest. The array is also what is exported.
 *
 * Thread   any; immutable once linked.
 * Memory   in the organisation's arena.
 * Cost     rule_matches() O(leaves), each O(log values) but networks, which are walked.
 */
#ifndef CORE_POLICY_RULE_H
#define CORE_POLICY_RULE_H

#include "core/base/network.h"
#include "core/base/setting.h"
#include "core/mail/envelope.h"
#include "core/policy/keyset.h"

enum {
    RULES_MAX = 1000,
    RULE_CONDITIONS_MAX = 1000, /* of one rule */
    RULE_DEPTH_MAX = 12,        /* any, all, not inside each other */
    RULE_NAME_BYTES = 128,
    HOLD_MS_MAX = 7 * 86400000,
};

enum condition_kind {
#define CONDITION(id, section, name, value, since, why) CONDITION_##id,
#include "core/policy/rule.def"
    CONDITION_LEAVES, /* from here on they only combine */
    CONDITION_WHEN = CONDITION_LEAVES,
    CONDITION_ANY,
    CONDITION_ALL,
    CONDITION_NOT,
};

enum condition_value {
    VALUE_ADDRESSES,
    VALUE_DOMAINS,
    VALUE_CLASSES,
    VALUE_GROUPS,
    VALUE_NETWORKS
};

enum action_kind {
#define ACTION(id, name, value, since, why) ACTION_##id,
#include "core/policy/rule.def"
    ACTIONS,
};

enum notice_kind {
    NOTICE_NONE,
    NOTICE_EACH,
    NOTICE_EVERY
};

struct condition {
    enum condition_kind kind;
    uint16_t end;               /* one past the last of its children */
    uint16_t on_true, on_false; /* of a leaf: index, RULE_YES or RULE_NO */
    struct str_list values;     /* as they are exported */
    struct keyset keys;
    const struct group *const *groups;
    const struct network *networks;
    uint32_t classes; /* bit 1 << enum recipient_class */
};

struct actions {
    uint32_t set; /* bit 1 << enum action_kind */
    enum notice_kind notice;
    uint64_t notice_every_ms, hold_ms;
};

struct rule {
    struct str name;
    struct condition *conditions;
    uint16_t condition_count; /* 0: always matches */
    uint32_t line;
    struct actions then;
};

enum {
    RULE_YES = 0xffff,
    RULE_NO = 0xfffe
};

/* One message and one recipient, as keys. */
struct rule_facts {
    struct str sender, sender_domain, user;
    struct str recipient, recipient_domain;
    enum recipient_class class;
    const void *client;
    size_t client_bytes;
};

struct condition_row {
    struct str section, name;
    enum condition_value value;
};

extern const struct condition_row condition_rows[CONDITION_LEAVES];
extern const struct str action_names[ACTIONS];
extern const struct str class_names[3];

/* Fill in where each leaf goes. Every combining node has children. */
void rule_link(struct rule *r);

/* `last` becomes the leaf that decided it; CONDITION_LEAVES without conditions. NULL is allowed. */
bool rule_matches(const struct rule *r, const struct rule_facts *f, enum condition_kind *last);

/* "hold 5m, notice each, stop": what is in `set`, and of that only `mask`. */
void actions_write(const struct actions *a, uint32_t mask, struct buffer *out);

#endif
