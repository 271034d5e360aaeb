/* match.h -- thousands of words and expressions, found in one pass over folded text. With its
 * sibling match_build.h the only door to Hyperscan.
 *
 * A matcher is what the build of one policy version's patterns gave (match_build.h), loaded. A scan
 * is one mail: a stream for each place in which words are looked for; pieces of text are fed as
 * they come, so that a word is found across pieces, and across parts that belong together. Text is
 * UTF-8 as core/mail/fold writes it, and patterns were folded by the same function.
 *
 * What is counted: occurrences of one pattern that do not overlap, as a reader would count them
 * from left to right; of an expression that may be longer, what goes on without a gap is one
 * ("[0-9]+" in "12 345" is found twice). Different patterns count each for itself. Counts stop at
 * MATCH_COUNT_MAX. Where a pattern was found is known by the ends of its first occurrences; where
 * it begins is asked for later, of the text around: match_look().
 *
 * Thread   a matcher: any, immutable. A scratch: one thread. A scan: one thread at a time, and in
 *          each call with the scratch of that thread.
 * Memory   matcher: match_bytes(). Scan: 4 bytes a pattern, MATCH_PLACES streams (each below
 *          LIMIT_MATCH_STREAM_BYTES) and at most LIMIT_MATCH_HITS hits. A scan keeps its matcher.
 * Cost     linear: events are bounded to LIMIT_MATCH_EVENTS_PER_BYTES a byte (DOS-07).
 * Errors   what is not MATCH_OK stays: the text was not looked at to its end, and the mail has to
 *          be held. Counts so far are true and may be too low.
 */
#ifndef CORE_POLICY_MATCH_H
#define CORE_POLICY_MATCH_H

#include "core/base/buffer.h"
#include "core/base/limit.h"

enum match_place {
    MATCH_SUBJECT,
    MATCH_BODY,
    MATCH_FILE_NAME,
    MATCH_FILE_TEXT,
    MATCH_PLACES
};

enum {
    MATCH_COUNT_MAX = 1000000, /* more is not counted */
    MATCH_ENDS = 3,            /* occurrences of a pattern in a place of which the end is kept */
    MATCH_LOOK_BYTES = 1024,   /* how far back match_look() goes for the start */
};

enum match_status {
    MATCH_OK,
    MATCH_STORM,  /* more occurrences than are worth looking at, by far */
    MATCH_FAILED, /* Hyperscan or memory: match_reason() */
};

struct matcher;
struct match_scratch;
struct match_scan;

/* What match_compile() wrote for this very source. NULL when it is damaged, of another source, of
 * another version of Hyperscan or another processor: `reason` says which; build it again. */
NODISCARD struct matcher *match_load(struct str file, struct str source, struct buffer *reason);
void match_drop(struct matcher **m); /* no scan uses it any more */
size_t match_bytes(const struct matcher *m);
uint32_t match_patterns(const struct matcher *m);
uint32_t match_dictionaries(const struct matcher *m); /* the highest number, and 1 */
uint32_t match_dictionary(const struct matcher *m, uint32_t pattern);
struct str match_text(const struct matcher *m, uint32_t pattern); /* folded, as it is looked for */

/* Room in which Hyperscan works, one a thread: made to fit each matcher before it is used there.
 * False: no memory, it stays as it was. */
struct match_scratch *match_scratch_make(void);
void match_scratch_drop(struct match_scratch **s);
NODISCARD bool match_scratch_fit(struct match_scratch *s, const struct matcher *m);

NODISCARD struct match_scan *match_scan_make(const struct matcher *m); /* NULL: no memory */
void match_scan_drop(struct match_scan **scan);

/* The status stays: it may be looked at after the last call only. */
enum match_status match_feed(struct match_scan *scan, struct match_scratch *scratch,
                             enum match_place place, struct str text);

/* The text of this place ends and another may begin: `$` has its say, nothing is found across.
 * Offsets go on. After the last text of each place, before the counts are read, it is due too. */
enum match_status match_end(struct match_scan *scan, struct match_scratch *scratch,
                            enum match_place place);

enum match_status match_status(const struct match_scan *scan);
const char *match_reason(const struct match_scan *scan);

struct match_hit {
    uint32_t pattern;
    uint32_t count[MATCH_PLACES];
    uint64_t end[MATCH_PLACES][MATCH_ENDS]; /* bytes fed to the place before and with it */
    uint64_t last[MATCH_PLACES];            /* where the last one ends: the scan's own */
};

/* In the order in which they were found first. Good until the next call that feeds. */
const struct match_hit *match_hits(const struct match_scan *scan, size_t *count);

/* Occurrences of all patterns of a dictionary in a place; 0 of a number that no pattern has. */
uint32_t match_count(const struct match_scan *scan, uint32_t dictionary, enum match_place place);

/* Second look. `text` is folded text that holds the occurrence which ends at `end` (of `text`): at
 * least MATCH_LOOK_BYTES before it, where there are so many, and what follows as far as it is to be
 * shown. The shortest that ends there, prolonged by what goes on without a gap. False: it does not
 * end there, or begins earlier than that. */
NODISCARD bool match_look(const struct matcher *m, struct match_scratch *scratch, uint32_t pattern,
                          struct str text, size_t end, struct str *found);

#endif
