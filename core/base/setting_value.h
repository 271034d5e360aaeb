/* setting_value.h -- what the parts of setting share: the rows of setting.def as data.
 *
 * Thread   any; pure.
 */
#ifndef CORE_BASE_SETTING_VALUE_H
#define CORE_BASE_SETTING_VALUE_H

#include "core/base/setting.h"

enum setting_type {
    SETTING_NUMBER,
    SETTING_DURATION,
    SETTING_SIZE,
    SETTING_FLAG,
    SETTING_TEXT,
    SETTING_LIST
};

struct setting_row {
    struct str name, standard;
    uint64_t min, max;
    const char *why;
    size_t offset; /* of its field in struct settings */
    enum setting_type type;
    bool needs_restart;
};

extern const struct setting_row setting_rows[];
extern const size_t setting_row_count;

/* What is wrong with a value; `text` is empty when nothing is. */
struct complaint {
    char text[200];
    struct str suggestion;
};

/* One value of the row: a number, a text, or one entry of a list. `*number` is set for all but
 * texts. False: `why` says what is wrong. */
NODISCARD bool setting_check(const struct setting_row *row, struct str value, uint64_t *number,
                             struct complaint *why);

/* As the file has it: 5m, 50MiB, on. */
void setting_write_number(struct buffer *out, enum setting_type type, uint64_t number);

#endif
