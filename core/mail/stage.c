#include "core/mail/stage.h"

enum {
    WAITING = 1 << STAGE_WAITING,
    HELD = 1 << STAGE_HELD,
    APPROVAL = 1 << STAGE_APPROVAL,
    SENDING = 1 << STAGE_SENDING,
    RETRY = 1 << STAGE_RETRY,
    DELIVERED = 1 << STAGE_DELIVERED,
    BOUNCED = 1 << STAGE_BOUNCED,
    DISCARDED = 1 << STAGE_DISCARDED,
};

static const unsigned followers[STAGES] = {
#define STAGE(name, next, meaning) [STAGE_##name] = (next),
#include "core/mail/stage.def"
#undef STAGE
};

bool stage_may_follow(enum stage from, enum stage to)
{
    return from < STAGES && to < STAGES && (followers[from] >> to & 1);
}

bool stage_is_final(enum stage s)
{
    return s < STAGES && followers[s] == 0;
}

bool stage_is_timed(enum stage s)
{
    return s == STAGE_WAITING || s == STAGE_HELD || s == STAGE_APPROVAL || s == STAGE_RETRY;
}

static const char *const names[STAGES] = {"waiting", "held",      "approval", "sending",
                                          "retry",   "delivered", "bounced",  "discarded"};

const char *stage_name(enum stage s)
{
    return s < STAGES ? names[s] : "unknown";
}

bool stage_parse(struct str name, enum stage *s)
{
    for (unsigned i = 0; i < STAGES; i++)
        if (str_eq_nocase(name, str_c(names[i]))) {
            *s = (enum stage)i;
            return true;
        }
    return false;
}
