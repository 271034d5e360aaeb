/* helper.h -- programs that read what we do not: pdftotext, catdoc, xls2csv, catppt.
 *
 * Each runs as a child inside of the same sandbox, with the file as its standard input.
 *
 * Promise  it is over when helper_run() returns, or dies with us: by its alarm, its CPU limit, or
 *          the death of its parent.
 * Errors   the enum.
 */
#ifndef TOOLS_EXTRACTOR_HELPER_H
#define TOOLS_EXTRACTOR_HELPER_H

#include "core/base/str.h"

enum helper {
    HELPER_PDFTOTEXT,
    HELPER_CATDOC,
    HELPER_XLS2CSV,
    HELPER_CATPPT,
    HELPERS,
};

enum helper_outcome {
    HELPER_DONE,
    HELPER_FAILED, /* it said so itself */
    HELPER_DIED,
    HELPER_LATE,
    HELPER_MISSING,
};

/* Look where they are, before the sandbox: NULL where one is not installed, pdftotext
 * without poppler-data among them. */
const char *const *helper_find(void);

/* Give what it writes to `put` as it comes; `put` says false when it wants no more (DONE then). */
NODISCARD enum helper_outcome helper_run(enum helper h, int fd, uint64_t time_ms,
                                         bool (*put)(void *owner, struct str bytes), void *owner);

#endif
