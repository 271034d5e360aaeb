#include "core/mail/line.h"

void line_init(struct line *l, size_t max)
{
    *l = (struct line){.max = max};
    buffer_init(&l->kept, max);
}

void line_drop(struct line *l)
{
    buffer_drop(&l->kept);
}

void line_set_max(struct line *l, size_t max)
{
    l->max = max;
    l->kept.max = max > l->kept.room ? max : l->kept.room;
}

/* The whole line is in `in`, and nothing is odd about it: no copy. */
static bool take_whole(const struct line *l, struct str *in, struct str *out)
{
    const char *lf = memchr(in->at, '\n', size_min(in->len, l->max));
    if (!lf || lf == in->at || lf[-1] != '\r')
        return false;
    struct str text = str_from(in->at, (size_t)(lf - in->at) - 1);
    if (str_find(text, '\r') != SIZE_MAX || str_find(text, '\0') != SIZE_MAX)
        return false;
    *out = text;
    *in = str_skip(*in, text.len + 2);
    return true;
}

static enum line_status swallow_from(struct line *l, enum line_status why)
{
    l->swallowing = true;
    l->too_long = false;
    return why;
}

/* A CRLF was seen. */
static enum line_status end_line(struct line *l, struct str *out)
{
    bool too_long = l->too_long, swallowing = l->swallowing;
    l->too_long = l->swallowing = l->cr = false;
    l->given = true;
    if (swallowing)
        return LINE_MORE;
    if (too_long)
        return LINE_TOO_LONG;
    *out = buffer_str(&l->kept);
    return LINE_DONE;
}

static enum line_status keep(struct line *l, char c)
{
    if (l->swallowing || l->too_long)
        return LINE_MORE;
    if (l->kept.len + 2 >= l->max) {
        l->too_long = true;
        return LINE_MORE;
    }
    buffer_putc(&l->kept, c);
    return l->kept.full ? swallow_from(l, LINE_NO_MEMORY) : LINE_MORE;
}

static enum line_status take_byte(struct line *l, char c, struct str *out)
{
    bool cr = l->cr;
    l->cr = c == '\r';
    if (c == '\n' && cr)
        return end_line(l, out);
    enum line_status wrong = cr ? LINE_BARE_CR : c == '\n' ? LINE_BARE_LF : LINE_NUL;
    if (cr || c == '\n' || c == '\0')
        return l->swallowing ? LINE_MORE : swallow_from(l, wrong);
    return c == '\r' ? LINE_MORE : keep(l, c);
}

enum line_status line_feed(struct line *l, struct str *in, struct str *out)
{
    if (l->given) {
        buffer_clear(&l->kept);
        l->given = false;
    }
    *out = str_from("", 0);
    bool fresh = l->kept.len == 0 && !l->cr && !l->swallowing && !l->too_long;
    if (fresh && in->len && take_whole(l, in, out))
        return LINE_DONE;
    while (in->len) {
        char c = in->at[0];
        *in = str_skip(*in, 1);
        enum line_status status = take_byte(l, c, out);
        if (status != LINE_MORE)
            return status;
        if (l->given) { /* the end of a line that was swallowed */
            buffer_clear(&l->kept);
            l->given = false;
        }
    }
    return LINE_MORE;
}
