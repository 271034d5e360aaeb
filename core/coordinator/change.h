/* change.h -- release, discard and hold: what a person asks, as moves that the keeper judges.
 *
 * The same for the control socket and for COMMAND cells of workers (reply mails): look at the
 * message, propose one move a recipient with may_skip set and the stages it may come from, and
 * answer from what the keeper says became of each. Only a move that is done and synced is
 * confirmed; between looking and committing anything may have happened, and only the keeper knows.
 *
 * Thread   the coordinator's.
 * Memory   a change lives in c->changes until its COMMITTED has come; the unit is the keeper's
 *          until then.
 */
#ifndef CORE_COORDINATOR_CHANGE_H
#define CORE_COORDINATOR_CHANGE_H

#include "core/base/slab.h"
#include "core/mail/command.h"
#include "storage/partition.h"

struct coordinator;
struct change;

typedef void change_done(struct coordinator *c, struct change *ch);

/* What is planned for, or became of, one recipient that was asked for. */
struct verdict {
    uint32_t recipient; /* index in the message */
    uint32_t move;      /* in the unit; UINT32_MAX: none */
    const char *reason; /* why not; NULL: done, or to be seen from the move */
};

struct change {
    enum command_verb verb;
    struct unit *unit; /* NULL while the keeper has it */
    change_done *done;
    struct arena arena;
    struct message *message; /* as it was looked at; NULL: a flush */
    struct verdict *verdicts;
    uint32_t verdict_count;
    enum commit_result result;

    struct handle client; /* who waits at the control socket */
    struct command *command;
    uint32_t worker;
    struct handle request; /* the worker's own */
};

enum change_start {
    CHANGE_ASKED,        /* `done` will be called, perhaps already was */
    CHANGE_UNKNOWN,      /* no such message */
    CHANGE_NO_RECIPIENT, /* the message has no such recipient */
    CHANGE_BUSY,         /* too many at once, or no memory */
};

struct change_order {
    enum command_verb verb;
    uint64_t id;
    struct str recipient; /* empty: all of them */
    struct str by;        /* for the ledger */
};

/* `template` has what `done` needs (client, command, worker, request). When no recipient needs a
 * move nothing is committed and `done` is called at once. */
NODISCARD enum change_start change_start(struct coordinator *c, const struct change_order *order,
                                         const struct change *template);

/* Commit a unit that was made elsewhere (flush); `done` finds it in ch->unit. False: too many. */
NODISCARD bool change_commit(struct coordinator *c, uint32_t partition, struct unit *unit,
                             const struct change *template);

/* COMMITTED came. */
void change_settled(struct coordinator *c, struct handle request, struct unit *unit);
void change_forget(struct change *ch);

/* In `done`: was everything that was asked for done? And why not, recipient by recipient. */
bool change_complete(const struct change *ch);
const char *change_reason(const struct change *ch, uint32_t verdict); /* NULL: done */

/* COMMAND of a worker. */
void change_command(struct coordinator *c, uint32_t worker, struct command *command,
                    struct handle request);

#endif
