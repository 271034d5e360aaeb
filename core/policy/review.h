/* review.h -- a policy looked at by people: what would it do, what is new in it, whom would it have
 * changed?
 *
 * Thread   any; pure.
 * Memory   everything asked for is text in the buffer given; it says by `full` when it was cut.
 */
#ifndef CORE_POLICY_REVIEW_H
#define CORE_POLICY_REVIEW_H

#include "core/policy/decide.h"
#include "core/policy/rulefile.h"

/* Each recipient with its trace, then what happens to the mail as a whole: `policy test`, explain.
 * False: no memory. */
NODISCARD bool review_mail(const struct decide_input *in, struct buffer *out);

/* The same of a rule file that is not in use: problems of the file, then false. */
NODISCARD bool review_file(struct str text, const char *name,
                           const struct rulefile_options *options, const struct facts *f,
                           uint64_t hold_standard_ms, struct buffer *out);

/* "+ rule 'x': …", "- user …": what one has and the other has not. Empty: they are the same. */
void review_diff(const struct organisation *before, const struct organisation *after,
                 struct buffer *out);

/* Recipients for whom the outcome is another; a line each: "x@ext.example: hold 5m -> reject …".
 * UINT32_MAX: no memory. */
uint32_t review_replay(const struct decide_input *before, const struct decide_input *after,
                       struct buffer *out);

#endif
