/* job.h -- one file being looked at: what may still be spent on it, and what is told about it.
 *
 * Thread   one; the process is for this one file.
 * Memory   messages gather in one buffer and are written when it is full, and at the end.
 * Promise  what is over a limit makes the file unreadable, with the reason; it is never cut in
 *          silence. After job_stopped() nothing more needs to be read.
 * Errors   when the worker does not read any more, the process ends.
 */
#ifndef TOOLS_EXTRACTOR_JOB_H
#define TOOLS_EXTRACTOR_JOB_H

#include "shards/inspect.h"

struct job {
    struct inspect_limits limits;
    int fd;
    struct buffer out;
    uint32_t members, entries, flags;
    uint64_t file_bytes, expanded, text;
    uint64_t end_ms; /* monotonic */
    bool stopped;    /* a limit of the whole was reached */
    enum inspect_reason reason;
    struct buffer detail;
};

void job_init(struct job *j, int fd, const struct inspect_limits *limits, uint64_t file_bytes);

/* Tell a member; its index. `stopped` when there are too many. */
uint32_t job_member(struct job *j, struct inspect_member *m);

void job_text(struct job *j, uint32_t member, enum inspect_form form, struct str charset,
              struct str bytes);
void job_flag(struct job *j, uint32_t member, uint32_t flags);

/* This member could not be read; the rest goes on. */
void job_unreadable(struct job *j, uint32_t member, enum inspect_reason reason, const char *detail);

/* The same, and no more is looked at. */
void job_stop(struct job *j, uint32_t member, enum inspect_reason reason, const char *detail);

/* So much came out of a container; false: no more may. */
NODISCARD bool job_expand(struct job *j, uint32_t member, size_t bytes);

/* One more entry of a container, folders included; false: there are too many. */
NODISCARD bool job_entry(struct job *j, uint32_t member);

/* Looks at the clock, too. */
NODISCARD bool job_stopped(struct job *j, uint32_t member);

/* Milliseconds that are left, at least 1. */
uint64_t job_left_ms(const struct job *j);

void job_end(struct job *j); /* tells the verdict */

#endif
