#include "bench/sink_data.h"

#include <string.h>

enum {
    SKIP = 255
};

static const char withheld_cr[] = "\r";
static const char token_name[] = "x-token:";

static void token_feed(struct sink_token *t, const char *p, size_t bytes)
{
    const char *end = p + bytes;
    while (p < end && !t->header_over) {
        if (t->column == SKIP && !t->in_value) { /* to the next line */
            const char *lf = memchr(p, '\n', (size_t)(end - p));
            if (!lf)
                return;
            t->column = 0;
            p = lf + 1;
            continue;
        }
        char c = *p++;
        if (t->in_value) {
            if (c == '\r' || c == '\n')
                t->header_over = true; /* found: no need to look on */
            else if (c > ' ' && t->bytes < SINK_TOKEN_BYTES_MAX)
                t->text[t->bytes++] = c;
        } else if (t->column == 0 && c == '\n') {
            t->header_over = true;
        } else if (t->column == 0 && c == '\r') {
            continue; /* an empty line if LF follows; harmless if not */
        } else if ((c | 0x20) == token_name[t->column] || c == token_name[t->column]) {
            t->in_value = token_name[++t->column] == '\0';
        } else {
            t->column = SKIP;
            p -= c == '\n'; /* so that the line ends */
        }
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

size_t sink_data_feed(struct sink_data *d, const char *in, size_t bytes, bool *done,
                      sink_data_fn *take, void *owner)
{
    const char *p = in, *end = in + bytes, *from = in; /* from..p is content not yet given */
    *done = false;
    while (p < end) {
        char c = *p;
        switch (d->at) {
        case SINK_AT_LINE_START:
            if (c == '.') {
                give(d, from, p, take, owner);
                from = ++p;
                d->at = SINK_AT_DOT;
                break;
            }
            d->at = SINK_AT_MIDDLE;
            break;
        case SINK_AT_MIDDLE:
            p = memchr(p, '\r', (size_t)(end - p));
            if (p)
                d->at = SINK_AT_CR;
            p = p ? p + 1 : end;
            break;
        case SINK_AT_CR:
            p += c == '\n' || c == '\r';
            d->at = c == '\n' ? SINK_AT_LINE_START : c == '\r' ? SINK_AT_CR : SINK_AT_MIDDLE;
            break;
        case SINK_AT_DOT:
            if (c == '\r') { /* withheld until we know whether it is the end */
                from = ++p;
                d->at = SINK_AT_DOT_CR;
                break;
            }
            d->at = SINK_AT_MIDDLE;
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
