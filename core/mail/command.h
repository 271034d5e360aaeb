/* command.h -- what a person asks of a held message, from a reply mail, the command line or the
 * portal.
 *
 * Thread   one owner at a time; handed over by cell.
 * Memory   made by the asker with heap_take(), texts in its arena; the asker frees it after
 *          COMMANDED.
 */
#ifndef CORE_MAIL_COMMAND_H
#define CORE_MAIL_COMMAND_H

#include "core/base/arena.h"

enum command_verb {
    COMMAND_RELEASE,
    COMMAND_DISCARD,
    COMMAND_HOLD
};

enum command_result {
    COMMAND_DONE,    /* for all recipients asked for that were not final already */
    COMMAND_REFUSED, /* `text` says which and why */
    COMMAND_UNKNOWN, /* no such message, or not this user's: one answer for both */
    COMMAND_FAILED,  /* the partition can't write: try again */
};

struct command {
    struct arena arena;
    enum command_verb verb;
    struct str token; /* of the notice; or empty and `id` */
    uint64_t id;
    struct str user; /* who asks, for the check and the log; empty: an operator */
    struct str organisation;
    enum command_result result;
    struct str text; /* answer, one line, in the arena */
    uint64_t owner;  /* the asker's handle, untouched */
};

#endif
