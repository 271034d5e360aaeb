/* compiler.h -- one compilation of a policy's patterns in a process of its own, never waited for.
 *
 * The process is started by posix_spawn (no fork of a program with threads), gets the source and
 * gives a report (core/policy/match_report.h) over one socket. It has bounds of its own on CPU time
 * and memory; the deadline is kept here, and kills it. Whatever comes of it, the database in use
 * stays as it is: the caller swaps when there is a new one that match_load() takes.
 *
 * Thread   one: who starts it makes the other calls, and lives as long as the process.
 * Memory   a copy of the source, and what a report holds.
 * Time     milliseconds of one clock, as arguments.
 * Errors   COMPILER_FAILED with a reason for people, which names the pattern that was looked at.
 */
#ifndef CORE_COORDINATOR_COMPILER_H
#define CORE_COORDINATOR_COMPILER_H

#include "core/policy/match_report.h"

struct compiler_limits {
    uint32_t cpu_s;
    uint32_t wall_ms;
    uint32_t memory_mib;
};

enum compiler_state {
    COMPILER_BUSY,
    COMPILER_BUILT,   /* compiler_file() */
    COMPILER_REFUSED, /* compiler_refusals() */
    COMPILER_FAILED,  /* compiler_reason() */
};

struct compiler;

/* `program` is the path of sekimori-match-compile. Never NULL: what goes wrong is a failure. */
struct compiler *compiler_start(const char *program, struct str source,
                                const struct compiler_limits *limits, uint64_t now_ms);

/* Ends the process, if it runs. */
void compiler_drop(struct compiler **c);

/* What to wait for between turns: a descriptor, and poll()'s events. -1: nothing but time; then,
 * and until compiler_deadline(), a turn some milliseconds later. */
int compiler_descriptor(const struct compiler *c, short *events);
uint64_t compiler_deadline(const struct compiler *c);

/* Does what can be done now. After something else than COMPILER_BUSY it is always that. */
enum compiler_state compiler_turn(struct compiler *c, uint64_t now_ms);

/* Good until compiler_drop(). */
struct str compiler_file(const struct compiler *c);
const struct match_refusal *compiler_refusals(const struct compiler *c, uint32_t *known,
                                              uint32_t *all);
const char *compiler_reason(const struct compiler *c);

#endif
