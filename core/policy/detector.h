/* detector.h -- personal information in running text: how many different values of each kind.
 *
 * Text is UTF-8, folded by core/mail/fold or at least with full-width digits made ASCII; any bytes
 * are safe. It is fed in pieces as it comes and gives the same however it is cut. A value counts
 * once, in whatever form it is written; a number inside of a longer number does not count. Line
 * breaks and tabs end a number, one blank may stand in it (folded text has only blanks, so that a
 * column of My Numbers is a row: it is read in groups).
 *
 * Thread   one a detector; pure.
 * Memory   10 KiB, and up to 16 KiB a kind that is found often.
 * Cost     linear: each byte is looked at a bounded number of times.
 * Errors   without memory the count of a kind stops: detector_failed(), and the mail has to be
 *          held.
 */
#ifndef CORE_POLICY_DETECTOR_H
#define CORE_POLICY_DETECTOR_H

#include "core/base/str.h"

enum detector_kind {
#define DETECT(id, name, what) DETECTOR_##id,
#include "core/policy/detector.def"
    DETECTOR_KINDS
};

enum {
    DETECTOR_COUNT_MAX = 1000, /* different values of a kind; more are not counted */
    DETECTOR_SPOTS = 3,        /* places that are kept of a kind */
};

struct detector_row {
    struct str name; /* in policy files */
    struct str what;
};

extern const struct detector_row detector_rows[DETECTOR_KINDS];

struct detector_spot {
    uint64_t at; /* bytes that were fed before it */
    uint32_t bytes;
};

struct detector;

struct detector *detector_make(void); /* NULL: no memory */
void detector_drop(struct detector **d);

void detector_feed(struct detector *d, struct str text);

/* The text ends: nothing of the next one belongs to it. Values and offsets go on. Due before the
 * counts are read. */
void detector_end(struct detector *d);

uint32_t detector_count(const struct detector *d, enum detector_kind kind);
bool detector_failed(const struct detector *d);

/* Where the first different values are; at most DETECTOR_SPOTS. */
const struct detector_spot *detector_spots(const struct detector *d, enum detector_kind kind,
                                           size_t *count);

/* The published check digits, of ASCII digits. Never true of one digit repeated. */
bool detector_my_number(struct str digits); /* 12: Ordinance 85 of 2014, article 5 */
bool detector_corporate_number(
    struct str digits);                /* 13: ministerial ordinance 70 of 2014; no JAN */
bool detector_card(struct str digits); /* Luhn, an issuer's range and its length */

#endif
