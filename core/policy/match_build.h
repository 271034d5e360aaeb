/* match_build.h -- from what people write to a database that match_load() takes.
 *
 * Three steps, so that the costly one can be somebody else's: the source is made where the policy
 * is read (each pattern folded, and refused with a reason when it cannot be meant); it is compiled
 * in a process of its own with bounds on time and memory (tools/match-compile); the file that comes
 * back is kept on disk and loaded. All or nothing: one refused pattern, and there is no file.
 *
 *   source  version:1, then for each pattern: kind:1 dictionary:4 text (length:4, bytes)
 *   file    "SKMF" version:4 crc32c-of-the-rest:4 build (length:4, bytes: Hyperscan and processor)
 *           source (length:4, bytes) | for each pattern: least bytes:4, may be longer:1
 *           database (length:4, bytes; empty without patterns)
 *
 * Thread   any; pure.
 * Errors   reasons are for the person who wrote the pattern.
 */
#ifndef CORE_POLICY_MATCH_BUILD_H
#define CORE_POLICY_MATCH_BUILD_H

#include "core/base/buffer.h"
#include "core/base/limit.h"

/* fold_text() of core/mail/fold.h: what is done to the text before it is looked at. */
typedef void match_fold_fn(struct str text, struct buffer *out);

struct match_pattern {
    struct str text;     /* as a person wrote it */
    uint32_t dictionary; /* below LIMIT_DICTIONARIES */
    bool expression;     /* a regular expression of Hyperscan (PCRE's, without what looks back) */
};

/* Starts with nothing in it; buffer_drop() ends it. */
void match_source_init(struct buffer *source);

/* The next pattern, number 0 first. NULL, or why not: then nothing was added.
 *
 * Of an expression only what stands for itself is folded; ASCII capital letters become small ones,
 * since folded text has none. "." is any character; \w, \d and \s know Unicode unless \b is used,
 * too. A blank beside a Japanese character may be missing in folded text and so here. "^" and "$"
 * are the begin and the end of a text, not of a line. */
NODISCARD const char *match_source_add(struct buffer *source, const struct match_pattern *p,
                                       match_fold_fn *fold);

struct match_observer {
    void *owner;
    void (*checking)(void *owner, uint32_t pattern);
    void (*refused)(void *owner, uint32_t pattern, const char *reason);
};

enum match_build {
    MATCH_BUILT,
    MATCH_REFUSED, /* the observer heard which, and why: all of them */
    MATCH_UNBUILT, /* the whole could not be compiled: `reason` */
};

/* The costly step. `file` gets the file, when there is one. */
NODISCARD enum match_build match_compile(struct str source, const struct match_observer *observer,
                                         struct buffer *file, struct buffer *reason);

/* The name of a source's file: of the source, Hyperscan's version and the processor, 32 letters of
 * hexadecimal. It finds the file; that it is the right one, match_load() makes sure. */
struct match_key {
    char at[33];
};
struct match_key match_key_of(struct str source);

#endif
