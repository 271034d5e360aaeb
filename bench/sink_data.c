#include "bench/sink_data.h"

#include <string.h>

enum {
    SKIP = 255
};

static const char withheld_cr[] = "\r";
static const char token_name[] = "x-token:";

/* One character of a line that may yet be ours. False: look at it again, as of a skipped line. */
static bool token_step(struct sink_token *t, char c)
{
    if (t->in_value) {
        if (c == '\r' || c == '\n')
            t->header_over = true; /* found: no need to look on */
        else if (c > ' ' && t->bytes < SINK_TOKEN_BYTES_MAX)
            t->text[t->bytes++] = c;
        return true;
    }
    if (t->column == 0 && (c == '\r' || c == '\n')) {
        t->header_over = c == '\n'; /* an empty line */
        return true;
    }
    if (c == token_name[t->column] || (c | 0x20) == token_name[t->column]) {
        t->in_value = token_name[++t->column] == '\0';
        return true;
    }
    t->column = SKIP;
    return false;
}

static void token_feed(struct sink_token *t, const char *p, size_t bytes)
{
    const char *end = p + bytes;
    while (p < end && !t->header_over) {
        if (t->column != SKIP) {
            p += token_step(t, *p);
            continue;
        }
        const char *lf = memchr(p, '\n', (size_t)(end - p));
        if (!lf)
            return;
        t->column = 0;
        p = lf + 1;
    }
}

void sink_data_begin(struct sink_data *d)
{
    d->at = SINK_AT_LINE_START;
    d->bytes = 0;
    d->token.header_over = d->token.in_value = false;
    d->token.column = d->token.bytes = 0;
}

static void give(struct sink_data *d, const char *from, const char *to, sink_data_fn *take,
                 void *owner)
{
    if (to == from)
        return;
    d->bytes += (size_t)(to - from);
    if (!d->token.header_over)
        token_feed(&d->token, from, (size_t)(to - from));
    take(owner, from, (size_t)(to - from));
}

/* Where we are after CR and then `c`; a `c` that is neither CR nor LF is not used up by this. */
static enum sink_data_at after_cr(char c)
{
    if (c == '\n')
        return SINK_AT_LINE_START;
    return c == '\r' ? SINK_AT_CR : SINK_AT_MIDDLE;
}

static const char *skip_to_cr(struct sink_data *d, const char *p, const char *end)
{
    const char *cr = memchr(p, '\r', (size_t)(end - p));
    if (!cr)
        return end;
    d->at = SINK_AT_CR;
    return cr + 1;
}

size_t sink_data_feed(struct sink_data *d, const char *in, size_t bytes, bool *done,
                      sink_data_fn *take, void *owner)
{
    const char *p = in, *end = in + bytes, *from = in; /* from..p is content not yet given */
    *done = false;
    while (p < end) {
        char c = *p;
        switch (d->at) {
        case SINK_AT_LINE_START:
            d->at = c == '.' ? SINK_AT_DOT : SINK_AT_MIDDLE;
            if (c != '.')
                break;
            give(d, from, p, take, owner);
            from = ++p;
            break;
        case SINK_AT_MIDDLE:
            p = skip_to_cr(d, p, end);
            break;
        case SINK_AT_CR:
            d->at = after_cr(c);
            p += d->at != SINK_AT_MIDDLE;
            break;
        case SINK_AT_DOT:
            d->at = c == '\r' ? SINK_AT_DOT_CR : SINK_AT_MIDDLE;
            if (c == '\r')
                from = ++p; /* withheld until we know whether it is the end */
            break;
        case SINK_AT_DOT_CR:
            if (c == '\n') {
                *done = true;
                return (size_t)(p + 1 - in);
            }
            give(d, withheld_cr, withheld_cr + 1, take, owner);
            d->at = SINK_AT_CR;
            break;
        }
    }
    give(d, from, p, take, owner);
    return bytes;
}
