/* stage.h -- which moves are legal in the life of one recipient. The table is stage.def.
 *
 * Thread   any; pure.
 */
#ifndef CORE_MAIL_STAGE_H
#define CORE_MAIL_STAGE_H

#include "core/base/str.h"

/* Numbers are frozen: they are in journals. */
enum stage {
    STAGE_WAITING = 0,
    STAGE_HELD = 1,
    STAGE_APPROVAL = 2,
    STAGE_SENDING = 3,
    STAGE_RETRY = 4,
    STAGE_DELIVERED = 5,
    STAGE_BOUNCED = 6,
    STAGE_DISCARDED = 7,
    STAGES = 8,
};

/* Flags of a recipient, frozen too. */
enum {
    RECIPIENT_EXPOSED = 1 << 0,    /* content may have reached a server */
    RECIPIENT_DAMAGED = 1 << 1,    /* its content can't be read any more; never sent */
    RECIPIENT_TOLD_DELAY = 1 << 2, /* a delay notice has gone out */
    RECIPIENT_RELEASED = 1 << 3,   /* a person let it go before its time */
};

bool stage_may_follow(enum stage from, enum stage to);
bool stage_is_final(enum stage s);
bool stage_is_timed(enum stage s);    /* stands in the due index */
const char *stage_name(enum stage s); /* "waiting", as sekictl shows it */
bool stage_parse(struct str name, enum stage *s);

#endif
