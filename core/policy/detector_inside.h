/* detector_inside.h -- what the files of the detector share: a window that runs over the text.
 *
 * What is at a position is decided when DETECTOR_AHEAD bytes behind it are there, or the text has
 * ended, and looks back at most DETECTOR_BACK bytes: so it does not matter how the text is cut.
 */
#ifndef CORE_POLICY_DETECTOR_INSIDE_H
#define CORE_POLICY_DETECTOR_INSIDE_H

#include "core/policy/detector.h"

enum {
    DETECTOR_WINDOW = 8192,
    DETECTOR_AHEAD = 512,
    DETECTOR_BACK = 192,
};

struct detector_set {
    uint64_t *value; /* open addressing; 0: free */
    uint32_t count, slots;
    struct detector_spot spot[DETECTOR_SPOTS];
};

struct detector {
    struct detector_set set[DETECTOR_KINDS];
    bool failed;
    bool groups;          /* the number at hand goes on with groups of four from before */
    uint64_t birth_until; /* a date that begins before here is one of birth */
    uint64_t offset;      /* of window[0] */
    size_t len, at;       /* filled; next to look at */
    char window[DETECTOR_WINDOW];
};

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool is_alpha(char c)
{
    return char_lower(c) >= 'a' && char_lower(c) <= 'z';
}

/* What is found stands in the window from `from` to `to`; `value` is what makes it different. */
void detector_found(struct detector *d, enum detector_kind kind, size_t from, size_t to,
                    struct str value);

/* Bytes of a hyphen in any of its forms at `at`; 0: none. */
size_t hyphen_at(const struct detector *d, size_t at);
/* Bytes of a blank: space, no-break, ideographic. */
size_t blank_at(const struct detector *d, size_t at);

static inline struct str rest_at(const struct detector *d, size_t at)
{
    return str_from(d->window + at, d->len - at);
}

static inline bool is_at(const struct detector *d, size_t at, struct str s)
{
    return d->len - at >= s.len && !memcmp(d->window + at, s.at, s.len);
}

/* Does `s` end at `at`? */
static inline bool ends_at(const struct detector *d, size_t at, struct str s)
{
    return at >= s.len && !memcmp(d->window + at - s.len, s.at, s.len);
}

/* Each looks at what is at `at` and returns where to go on: at least one byte further. */
size_t detect_number(struct detector *d, size_t at);  /* the first digit of a number */
size_t detect_plus(struct detector *d, size_t at);    /* + */
size_t detect_postal(struct detector *d, size_t at);  /* 〒 */
size_t detect_email(struct detector *d, size_t at);   /* @ */
size_t detect_address(struct detector *d, size_t at); /* 都 道 府 県 */
size_t detect_account(struct detector *d, size_t at); /* 普通 当座 貯蓄 口座番号 記号 */
size_t detect_birth(struct detector *d, size_t at);   /* a word of birth, in three bytes or more */
size_t detect_era(struct detector *d, size_t at);     /* 明治 大正 昭和 平成 令和 */

/* A date of digits that begins at `at`, western or with an era's letter before it. */
void detect_date(struct detector *d, size_t at);

#endif
