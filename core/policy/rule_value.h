/* rule_value.h -- the values of rule.def as data: how each is written, and where it is kept.
 *
 * Thread   any; pure.
 */
#ifndef CORE_POLICY_RULE_VALUE_H
#define CORE_POLICY_RULE_VALUE_H

#include "core/policy/rule.h"

/* "a|b|c": its i-th word; empty behind the last. */
struct str word_at(const char *words, size_t i);

static inline void *part_field(void *base, size_t offset)
{
    return (char *)base + offset;
}

static inline const void *part_field_of(const void *base, size_t offset)
{
    return (const char *)base + offset;
}

/* A value in the rule file's spelling. `at` points to what value_kind says. */
void value_write(struct buffer *out, enum value_kind kind, const char *words, const void *at);

/* {key: value, ...} of what is not as it is when left out. */
void parts_write(struct buffer *out, uint32_t owner, const void *base);

void action_value_write(struct buffer *out, const struct actions *a, enum action_kind kind);
void condition_value_write(struct buffer *out, const struct condition *c);

#endif
