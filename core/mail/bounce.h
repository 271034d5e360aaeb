/* bounce.h -- the class of an outcome: why a next hop, or we, did not deliver. The table is
 * bounce.def.
 *
 * Thread   any; pure.
 * Cost     rows of the table times length of the text, once for each recipient that failed.
 */
#ifndef CORE_MAIL_BOUNCE_H
#define CORE_MAIL_BOUNCE_H

#include "core/base/str.h"

enum bounce {
#define BOUNCE_CLASS(name, help) BOUNCE_##name,
#include "core/mail/bounce.def"
    BOUNCES
};

/* `why` is a reply ("550 5.1.1 No such user") or a reason of ours in words; `status` its enhanced
 * code ("5.1.1"), may be empty. */
enum bounce bounce_of(struct str why, struct str status);

const char *bounce_name(enum bounce b); /* "bad_address" */
const char *bounce_help(enum bounce b);

#endif
