/* authority.h -- may this user decide about that mail?
 *
 * The sender may, a member of the group whose shared mailbox the sender is, and an administrator of
 * the mail's organisation. Nobody else learns even that the mail exists.
 *
 * Thread   the coordinator's.
 */
#ifndef CORE_COORDINATOR_AUTHORITY_H
#define CORE_COORDINATOR_AUTHORITY_H

#include "core/base/str.h"

struct coordinator;

/* An empty user is an operator, who may. */
bool authority_may_act(const struct coordinator *c, struct str user, struct str organisation,
                       uint64_t id);

#endif
