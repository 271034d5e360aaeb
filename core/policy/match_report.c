#include "core/policy/match_report.h"
#include "core/base/heap.h"

#include <stdio.h>

void match_report_init(struct match_report *r)
{
    *r = (struct match_report){.refusals = 0};
    buffer_init(&r->file, LIMIT_MATCH_FILE_BYTES);
    buffer_init(&r->text, REPORT_REASON_BYTES);
}

void match_report_drop(struct match_report *r)
{
    heap_drop(r->refusal);
    buffer_drop(&r->file);
    buffer_drop(&r->text);
}

static void copy_reason(struct match_report *r, char reason[REPORT_REASON_BYTES])
{
    (void)snprintf(reason, REPORT_REASON_BYTES, "%.*s", STR_ARG(buffer_str(&r->text)));
    for (char *c = reason; *c; c++)
        if ((unsigned char)*c < ' ')
            *c = ' ';
}

static bool on_refused(struct match_report *r)
{
    if (!r->refusal)
        r->refusal = heap_try(REPORT_REFUSALS * sizeof *r->refusal);
    if (!r->refusal)
        return false;
    if (r->refusals < REPORT_REFUSALS) {
        struct match_refusal *refusal = &r->refusal[r->refusals];
        refusal->pattern = load32(r->head + 1);
        copy_reason(r, refusal->reason);
    }
    r->refusals++;
    return true;
}

/* The frame is complete; false: there is no such frame. */
static bool on_frame(struct match_report *r)
{
    switch (r->head[0]) {
    case 'C':
        r->checking = true;
        r->at = load32(r->head + 1);
        return !r->text.len;
    case 'R':
        return on_refused(r);
    case 'U':
        copy_reason(r, r->reason);
        return true;
    case 'F':
        r->checking = false;
        return !r->file.full;
    case 'E':
        r->ended = true;
        return !r->text.len;
    default:
        return false;
    }
}

static bool on_head(struct match_report *r)
{
    char kind = r->head[0];
    r->left = load32(r->head + 5);
    buffer_clear(&r->text);
    return kind && strchr("CRUFE", kind) && !r->ended &&
           r->left <= (kind == 'F' ? (size_t)LIMIT_MATCH_FILE_BYTES : REPORT_REASON_BYTES - 1);
}

bool match_report_feed(struct match_report *r, struct str bytes)
{
    while (bytes.len && !r->malformed) {
        if (r->head_bytes < sizeof r->head) {
            r->head[r->head_bytes++] = bytes.at[0];
            bytes = str_skip(bytes, 1);
            if (r->head_bytes < sizeof r->head)
                continue;
            r->malformed = !on_head(r);
        } else {
            struct str piece = str_head(bytes, r->left);
            buffer_put(r->head[0] == 'F' ? &r->file : &r->text, piece);
            r->left -= piece.len;
            bytes = str_skip(bytes, piece.len);
        }
        if (!r->malformed && !r->left) {
            r->malformed = !on_frame(r);
            r->head_bytes = 0;
        }
    }
    return !r->malformed;
}

enum match_build match_report_result(const struct match_report *r)
{
    if (!r->ended || r->malformed)
        return MATCH_UNBUILT;
    if (r->refusals)
        return MATCH_REFUSED;
    return r->file.len ? MATCH_BUILT : MATCH_UNBUILT;
}

void match_report_put(struct buffer *out, char kind, uint32_t number, struct str bytes)
{
    if (kind != 'F')
        bytes = str_head(bytes, REPORT_REASON_BYTES - 1);
    buffer_putc(out, kind);
    buffer_put32(out, number);
    buffer_put_bytes32(out, bytes);
}
