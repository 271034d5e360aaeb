/* match_report.h -- what the compiling process says to the one that asked: a stream of frames.
 *
 *   frame  kind:1 number:4 length:4, bytes
 *     'C'  pattern `number` is looked at       'R'  it is refused: the reason
 *     'U'  the whole cannot be built: why      'F'  the file        'E'  that was all
 *
 * Thread   one a report; pure.
 * Memory   the file (LIMIT_MATCH_FILE_BYTES), and REPORT_REFUSALS reasons.
 * Errors   what comes from the process is not believed: it may be killed at any byte. Without its
 *          'E' there is no result. What it says in the file, match_load() judges.
 */
#ifndef CORE_POLICY_MATCH_REPORT_H
#define CORE_POLICY_MATCH_REPORT_H

#include "core/policy/match_build.h"

enum {
    REPORT_REFUSALS = 1000, /* the first; more are counted */
    REPORT_REASON_BYTES = 256,
};

struct match_refusal {
    uint32_t pattern;
    char reason[REPORT_REASON_BYTES];
};

struct match_report {
    struct match_refusal *refusal;
    uint32_t refusals; /* all; REPORT_REFUSALS of them are known */
    bool checking;     /* it was looking at pattern `at` last */
    uint32_t at;
    bool ended, malformed;
    struct buffer file;
    char reason[REPORT_REASON_BYTES];
    char head[9]; /* of the frame that is being read */
    size_t head_bytes, left;
    struct buffer text;
};

void match_report_init(struct match_report *r);
void match_report_drop(struct match_report *r);

/* False: malformed, from now on. */
bool match_report_feed(struct match_report *r, struct str bytes);

/* What it came to. MATCH_UNBUILT without an end, too. */
enum match_build match_report_result(const struct match_report *r);

/* The other side: one frame. */
void match_report_put(struct buffer *out, char kind, uint32_t number, struct str bytes);

#endif
