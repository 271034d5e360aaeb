/* fold.h -- text as it is compared: what looks the same, or shows nothing, makes no difference.
 *
 * Both the text of a mail and the words that are looked for go through here, so that a match is a
 * comparison of bytes (MIME-19). In this order:
 *   - characters that show nothing are dropped: zero widths, format and control characters,
 *     variation selectors (Unicode's default ignorables, categories Cf and Cc);
 *   - NFKC_Casefold: full-width letters become ASCII, half-width kana full-width, ㈱ (株), capitals
 *     small, compositions are composed. Hiragana and katakana stay apart;
 *   - all kinds of hyphens, dashes and minus signs become "-", wave dashes and tildes "~"; the long
 *     vowel mark is a letter and stays;
 *   - runs of white space become one blank, and none at both ends; between two Japanese characters
 *     none, nor between one and ASCII punctuation (which may have been full-width): a word that is
 *     split by the end of a line is one word, and a width makes no difference.
 *
 *   struct fold f;
 *   fold_init(&f, NULL);
 *   fold_feed(&f, piece, &out);        any number of pieces, cut anywhere, also in a character
 *   fold_finish(&f, &out);
 *
 * Thread   one a fold; pure.
 * Memory   the struct. `out` grows by at most FOLD_GROWTH bytes a byte, and FOLD_HELD for what was
 *          held back. A map: 16 bytes a mark, at most LIMIT_FOLD_MARKS of them.
 * Cost     linear; ASCII and Japanese in their usual widths go by a table, the rest by ICU:
 *          `bench_micro --benchmark_filter=fold`.
 * Promise  whole or in pieces the same; folded text folds to itself.
 * Errors   malformed UTF-8 counts as U+FFFD a byte. No answer of its own; look at out.full.
 */
#ifndef CORE_MAIL_FOLD_H
#define CORE_MAIL_FOLD_H

#include "core/base/buffer.h"
#include "core/base/limit.h"

enum {
    FOLD_GROWTH = 12,  /* U+FDFA is a sentence */
    FOLD_SEGMENT = 32, /* characters that combine into one; more are the next one */
    FOLD_HELD = FOLD_SEGMENT * FOLD_GROWTH * 4,
    FOLD_STEP_BYTES = 64, /* of folded text between two marks of a map, as long as there is room */
};

/* From folded text back to where it came from: marks at every `step` bytes or so. When all are used
 * every second one goes and the step doubles: 64 bytes up to 256 KiB of folded text, 64 KiB at
 * 256 MiB. What lies between is found by folding again from the mark. */
struct fold_map {
    struct fold_mark {
        uint64_t folded,
            source; /* the character at `source` begins at `folded` or behind a blank */
    } * mark;

    uint32_t count, room;
    uint64_t step, next;
    bool lost; /* no memory: later marks are missing */
};

void fold_map_init(struct fold_map *m);
void fold_map_drop(struct fold_map *m);

/* The last mark at or before `folded`: O(log). {0, 0} before the first. */
struct fold_mark fold_map_find(const struct fold_map *m, uint64_t folded);

struct fold {
    struct fold_map *map;
    uint64_t source, folded; /* bytes taken and given so far */
    uint64_t segment_source; /* where the segment's first character is */
    uint32_t segment[FOLD_SEGMENT];
    uint8_t segment_count;
    uint8_t last; /* class of the last character given; FOLD_NOTHING before the first */
    bool blank;   /* white space is due, if something follows */
    uint8_t carried;
    char carry[4]; /* the head of a character */
};

/* `map` may be NULL. One map a fold. */
void fold_init(struct fold *f, struct fold_map *map);
void fold_feed(struct fold *f, struct str in, struct buffer *out);
void fold_finish(struct fold *f, struct buffer *out);

/* All at once: a keyword, a file name, a subject. */
void fold_text(struct str in, struct buffer *out);

#endif
