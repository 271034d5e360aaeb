/* rulefile.h -- an organisation as one YAML file: in and out, the same for command line and portal.
 *
 * The format is policy.md's. What this version cannot do is an error, never left out: a policy that
 * is silently not applied is worse than none.
 *
 * Thread   any; pure.
 * Errors   every problem is a line, "NAME:LINE:COLUMN: text (did you mean 'x'?)"; then NULL.
 * Promise  what rulefile_write() writes is read back as the same organisation.
 */
#ifndef CORE_POLICY_RULEFILE_H
#define CORE_POLICY_RULEFILE_H

#include "core/base/zones.h"
#include "core/policy/organisation.h"

enum {
    RULEFILE_BYTES_MAX = 16 << 20
};

struct rulefile_options {
    bool allow_password; /* `password: …` in plain text: sandboxes only */
    struct str network;  /* added when the file does not have it, as in a sandbox; empty: none */
    unsigned offered;    /* rows of rule.def up to this `since`; 0: RULE_OFFERED */
    bool is_provider;    /* the provider's forced rules: only `rules` and `lists` */
    struct zones *zones; /* NULL: time zones are not looked up, and calendars cannot be asked */
};

NODISCARD struct organisation *rulefile_read(struct str text, const char *name,
                                             const struct rulefile_options *options,
                                             struct buffer *errors);

void rulefile_write(const struct organisation *o, struct buffer *out);

/* The same without its rules. */
void rulefile_write_base(const struct organisation *o, struct buffer *out);

/* "when: {…}, then: {…}" of one rule. */
void rulefile_write_rule(const struct rule *r, struct buffer *out);

#endif
