/* match_look.c -- where an occurrence begins, when only its end is known.
 *
 * The scan knows no starts: they would cost it most of its speed. For the few occurrences that a
 * person is shown, the text before the end is tried from the latest possible start backwards, with
 * the very database that found it, so that nothing has to be compiled.
 */
#include "core/policy/match.h"
#include "core/policy/match_loaded.h"

struct look {
    uint32_t pattern;
    const struct match_row *row;
    struct str text; /* from the start that is tried */
    size_t end;      /* where it is to end; then, where it ends when what goes on is added */
    bool found;
};

static int on_look(unsigned id, unsigned long long from, unsigned long long to, unsigned flags,
                   void *context)
{
    struct look *l = context;
    (void)from;
    (void)flags;
    if (id != l->pattern)
        return 0;
    l->found = l->found || to == l->end;
    return 0;
}

/* What overlaps with it or touches it, as match.c counts. */
static int on_more(unsigned id, unsigned long long from, unsigned long long to, unsigned flags,
                   void *context)
{
    struct look *l = context;
    (void)from;
    (void)flags;
    if (id != l->pattern || to <= l->end)
        return 0;
    size_t next = l->end + 1;
    while (next < l->text.len && ((unsigned char)l->text.at[next] & 0xc0) == 0x80)
        next++;
    if (to >= l->end + l->row->least && !(l->row->least <= 4 && to == next))
        return 1;
    l->end = to;
    return 0;
}

static bool scan(const struct matcher *m, struct match_scratch *scratch, struct str text,
                 match_event_handler on, struct look *l)
{
    hs_stream_t *stream;
    if (hs_open_stream(m->database, 0, &stream) != HS_SUCCESS)
        return false;
    hs_error_t status =
        hs_scan_stream(stream, text.at, (unsigned)text.len, 0, scratch->room, on, l);
    bool ok = status == HS_SUCCESS || status == HS_SCAN_TERMINATED;
    /* "$" speaks when the stream ends */
    ok &= hs_close_stream(stream, scratch->room, status == HS_SUCCESS ? on : NULL, l) == HS_SUCCESS;
    return ok;
}

bool match_look(const struct matcher *m, struct match_scratch *scratch, uint32_t pattern,
                struct str text, size_t end, struct str *found)
{
    must(pattern < m->count);
    const struct match_row *row = &m->row[pattern];
    if (end > text.len || end < row->least)
        return false;
    size_t start = end - row->least;
    size_t first = size_min(start, end > MATCH_LOOK_BYTES ? end - MATCH_LOOK_BYTES : 0);
    if (row->word) {
        *found = str_from(text.at + start, row->least);
        return str_eq(*found, row->text);
    }
    for (;; start--) {
        if (((unsigned char)text.at[start] & 0xc0) != 0x80) {
            struct look l = {.pattern = pattern, .row = row, .end = end - start};
            if (!scan(m, scratch, str_from(text.at + start, end - start), on_look, &l))
                return false;
            if (l.found)
                break;
        }
        if (start == first)
            return false;
    }
    struct look l = {.pattern = pattern,
                     .row = row,
                     .text = str_skip(text, start),
                     .end = end - start};
    if (row->longer && !scan(m, scratch, l.text, on_more, &l))
        return false;
    *found = str_head(l.text, l.end);
    return true;
}
