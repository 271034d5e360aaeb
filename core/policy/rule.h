/* rule.h -- rules as the program keeps them: conditions that jump, actions that are set or not.
 *
 * A rule's conditions stand in one array, a parent before its children: `when` and each mapping in
 * any, all and not is a WHEN node (all of its entries), and what asks something is a leaf. Asking
 * begins at the first leaf; each says where to go on when it is true and when it is false, so that
 * no stack and no recursion is needed however they nest. The array is also what is exported.
 *
 * What a leaf says is looked up by its number: ruleset.h gives the same number to leaves that ask
 * the same, so that a question that a thousand rules ask is answered once.
 *
 * Thread   any; immutable once linked.
 * Memory   in the organisation's arena.
 * Cost     rule_walk() O(leaves).
 */
#ifndef CORE_POLICY_RULE_H
#define CORE_POLICY_RULE_H

#include "core/base/network.h"
#include "core/base/setting.h"
#include "core/mail/envelope.h"
#include "core/policy/keyset.h"

enum {
    RULE_OFFERED = 1,     /* rows of rule.def with a later `since` are refused */
    RULE_OFFERED_ALL = 8, /* what this program knows, for tests of what is not offered yet */

    RULES_MAX = 1000,
    RULE_CONDITIONS_MAX = 1000, /* of one rule */
    RULE_DEPTH_MAX = 12,        /* any, all, not inside each other */
    RULE_NAME_BYTES = 128,
    RULE_TEXT_BYTES = 1024,      /* of one line */
    RULE_BLOCK_BYTES = 16 << 10, /* of a text of several lines */
    HOLD_MS_MAX = 7 * 86400000,
};

#define APPROVE_MS_STANDARD (10ull * 86400000)
#define APPROVE_MS_MAX      (30ull * 86400000)

enum condition_kind {
#define CONDITION(id, section, name, value, since, why) CONDITION_##id,
#include "core/policy/rule.def"
    CONDITION_LEAVES, /* from here on they only combine */
    CONDITION_WHEN = CONDITION_LEAVES,
    CONDITION_ANY,
    CONDITION_ALL,
    CONDITION_NOT,
};

enum value_kind {
    VALUE_ADDRESSES, /* lists of texts first */
    VALUE_DOMAINS,
    VALUE_CLASSES,
    VALUE_GROUPS,
    VALUE_NETWORKS,
    VALUE_PATTERNS,
    VALUE_LISTS,
    VALUE_CALENDARS,
    VALUE_DICTIONARIES,
    VALUE_EXTENSIONS,
    VALUE_HEADERS,
    VALUE_TEXTS,
    VALUE_TEXTS_END,
    VALUE_FLAG = VALUE_TEXTS_END, /* bool */
    VALUE_TRUE,
    VALUE_COUNT, /* uint64_t */
    VALUE_BYTES_COUNT,
    VALUE_NUMBER,
    VALUE_BYTES,
    VALUE_DURATION,
    VALUE_WORD,  /* uint32_t: which of the row's words */
    VALUE_WORDS, /* uint32_t: bit 1 << which */
    VALUE_TEXT,  /* struct str */
    VALUE_BLOCK,
    VALUE_HEADER,
    VALUE_FIELDS, /* struct field_list */
    VALUE_NOTICE,
    VALUE_APPROVER,
    VALUE_PARTS,
};

enum action_kind {
#define ACTION(id, name, value, field, since, why) ACTION_##id,
#include "core/policy/rule.def"
    ACTIONS,
};

enum notice_kind {
    NOTICE_NONE,
    NOTICE_EACH,
    NOTICE_EVERY
};

enum attachment_kind { /* bits: attachments: {kind: ...} */
    ATTACHMENTS_ATTACHED = 1 << 0,
    ATTACHMENTS_INLINE = 1 << 1,
    ATTACHMENTS_CALENDAR = 1 << 2,
};

struct header_test {
    struct str name;
    struct str_list is, matches;
};

struct attachment_test {
    uint64_t at_least, total_size;
    struct str_list name, extension, except, type;
    uint32_t kinds;
    bool encrypted, hidden_data, infected;
};

struct keyword_test {
    struct str_list dictionaries;
    const uint32_t *numbers; /* of the dictionaries, in the organisation's order */
    uint32_t places;         /* bit 1 << enum match_place */
    uint64_t at_least;
};

struct condition {
    enum condition_kind kind;
    uint16_t end;               /* one past the last of its children */
    uint16_t on_true, on_false; /* of a leaf: index, RULE_YES or RULE_NO */
    uint32_t number;            /* of a leaf in its ruleset */
    bool flag;
    uint32_t classes;       /* bit 1 << enum recipient_class */
    uint64_t calendars;     /* bit 1 << the organisation's */
    uint64_t at_least;      /* COUNT, BYTES_COUNT */
    struct str_list values; /* as they are exported */
    struct keyset keys;
    const struct group *const *groups;
    const struct named_list *const *lists;
    const struct network *networks;

    union {
        const struct header_test *header;
        const struct attachment_test *attachments;
        const struct keyword_test *keyword;
        const void *parts; /* of a PARTS row */
    };
};

enum reject_in {
    REJECT_SMTP,
    REJECT_MAIL
};

enum reject_only {
    REJECT_WHOLE,
    REJECT_RECIPIENT
};

enum bcc_mode {
    BCC_PRUNE,
    BCC_EMPTY,
    BCC_HIDE_INTERNAL
};

enum disclaimer_place {
    DISCLAIMER_HEAD,
    DISCLAIMER_FOOT
};

enum approver_kind {
    APPROVER_SUPERVISOR,
    APPROVER_GROUP,
    APPROVER_ADDRESS,
    APPROVER_SENDER_CHOICE
};

struct approver {
    enum approver_kind kind;
    struct str name; /* of the group, or the address */
    const struct group *group;
};

struct field_list {
    struct str_list names, values; /* as many of both */
};

/* What `then` says; only what is set means anything. */
struct actions {
    uint32_t set;            /* bit 1 << enum action_kind */
    uint64_t value[ACTIONS]; /* of what is set: equal when they say the same (ruleset.h) */
    uint64_t hold_ms;

    struct {
        uint64_t delay_ms[3]; /* by enum recipient_class; beyond the hold */
    } stagger;

    struct {
        uint32_t in, only; /* enum reject_in, enum reject_only */
        struct str text;
    } reject;

    struct {
        struct approver by;
        uint64_t within_ms;
    } approve;

    struct {
        uint32_t mode; /* enum bcc_mode */
        struct str_list exempt;
        struct keyset exempt_keys;
    } bcc;

    struct {
        struct str_list to, cc, bcc;
    } add;

    struct {
        struct field_list set;
        struct str_list remove;
    } header;
    struct str subject_prefix;

    struct {
        uint32_t place;        /* enum disclaimer_place */
        struct str text, html; /* lines end with LF; html may be empty */
    } disclaimer;
    struct str tag;

    struct {
        enum notice_kind kind;
        uint64_t every_ms;
    } notice;

    bool stop;
};

struct rule {
    struct str name; /* empty: the organisation's defaults */
    struct condition *conditions;
    uint16_t condition_count; /* 0: always matches */
    uint32_t line;
    struct actions then;
};

enum {
    RULE_YES = 0xffff,
    RULE_NO = 0xfffe
};

enum {
    ACTION_OWNER = 1000, /* an action's rows among those of parts: this and its kind */
    PART_NEEDED = 1,
};

struct part_row {
    uint32_t owner; /* enum condition_kind, or ACTION_OWNER and enum action_kind */
    struct str key;
    enum value_kind value;
    size_t offset; /* of its field in the owner's struct */
    bool needed;
    uint64_t standard, min, max;
    const char *words, *why; /* "smtp|mail" */
};

struct condition_row {
    struct str section, name;
    enum value_kind value;
    unsigned since;
    const char *why;
};

struct action_row {
    struct str name;
    enum value_kind value;
    size_t offset; /* in struct actions */
    unsigned since;
    const char *why;
};

extern const struct condition_row condition_rows[CONDITION_LEAVES];
extern const struct action_row action_rows[ACTIONS];
extern const struct part_row part_rows[];
extern const size_t part_row_count;
extern const struct str later_actions[];
extern const size_t later_action_count;
extern const struct str class_names[3];

/* Does what it says hang on the recipient, not on the message alone? */
bool condition_by_recipient(enum condition_kind kind);

/* "recipient.class", "external_domains". */
void condition_write_name(struct buffer *out, enum condition_kind kind);

/* Fill in where each leaf goes. Every combining node has children. */
void rule_link(struct rule *r);

/* Index of the first leaf, or RULE_YES: where asking begins. */
uint16_t rule_begin(const struct rule *r);

/* "hold 5m, notice each, stop": what is in `set`, and of that only `mask`. */
void actions_write(const struct actions *a, uint32_t mask, struct buffer *out);

/* Every condition and action with its values: a table for people, made from rule.def. */
void rule_write_reference(struct buffer *out);

#endif
