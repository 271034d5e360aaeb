/* fact_read.h -- what is found out about a mail without its content: header fields, addresses of To
 * and Cc, and whether calendars are open. Only what the organisation's rules ask.
 *
 * Thread   any; pure.
 * Memory   in the arena given; names of fields are the header's.
 * Cost     linear in the header.
 */
#ifndef CORE_POLICY_FACT_READ_H
#define CORE_POLICY_FACT_READ_H

#include "core/mail/header.h"
#include "core/policy/fact.h"
#include "core/policy/organisation.h"

/* `f` has its time. False: no memory, or a calendar that cannot be asked: nothing may be decided by
 * what is there. */
NODISCARD bool fact_read(const struct organisation *o, const struct header *h, struct arena *arena,
                         struct facts *f);

#endif
