/* html.h -- what HTML shows, as text to be matched, in pieces of any size.
 *
 * Two texts come out. `shown` is what a reader sees: tags of blocks become a line end, all others
 * nothing, so that a word split by <b> is one word; references (&amp; &#x3042;) are characters.
 * `aside` is everything else that could carry words: values of attributes (alt, title, href ...;
 * not those of layout), comments, scripts, styles, and text that is hidden by an attribute
 * (display:none, visibility:hidden, font-size:0, mso-hide, hidden), each ended by a line end.
 * So a keyword with hidden letters inside is read as people see it, in `shown`, and hidden text is
 * still matched, in `aside`. Both are to be folded and scanned, each with a stream of its own.
 * Nothing but tags, names and layout goes unseen, whatever is malformed: text swallowed by an
 * unclosed quote or comment is in `aside`. Not known here: what a style sheet hides by class, and
 * white on white; such text is in `shown`.
 *
 * Data URIs and links are also given to a sink (MIME-16): the bytes of a data URI as they stand
 * behind the comma, still base64 or with %XX as its head says; base64 is not repeated in `aside`.
 *
 * Thread   one a reader; pure.
 * Memory   the struct. Each text grows by at most HTML_GROWTH bytes a byte and HTML_HELD.
 * Cost     linear; no stack, no recursion: of nesting only the element that hides is counted.
 * Errors   none of its own; look at the buffers' `full`.
 */
#ifndef CORE_MAIL_HTML_H
#define CORE_MAIL_HTML_H

#include "core/base/buffer.h"

enum html_doubt {
    HTML_HIDDEN = 1 << 0,   /* text that is not shown */
    HTML_OPEN_END = 1 << 1, /* ends inside a tag, a comment, a script or hidden text */
    HTML_CONTROL = 1 << 2,  /* NUL: dropped, other programs may stop there */
};

enum {
    HTML_NAME_BYTES = 32,
    HTML_VALUE_BYTES = 2048, /* of a link that the sink gets; the rest is cut off there only */
    HTML_REFERENCE_BYTES = 40,
    HTML_GROWTH = 3,
    HTML_HELD = HTML_VALUE_BYTES + 64,
};

struct html_sink {
    void (*link)(struct html_sink *s, struct str url);  /* of any scheme but data: */
    void (*data)(struct html_sink *s, struct str head); /* begins: "image/png;base64" */
    void (*bytes)(struct html_sink *s, struct str bytes);
    void (*end)(struct html_sink *s); /* of the data */
};

struct html {
    struct html_sink *sink;
    struct buffer *shown, *aside; /* of this call */
    unsigned doubt;               /* of enum html_doubt, complete after html_finish() */
    uint32_t data_uris;

    uint8_t state;
    bool closing;   /* </name */
    bool reference; /* `refer` is being read */
    char quote;     /* of the value: " ' or 0 */
    uint8_t value_kind, uri;
    bool hides;      /* this tag has an attribute that hides it */
    uint32_t hidden; /* depth of elements called `hider`, in hidden text */
    uint8_t tag_bytes, name_bytes, hider_bytes, refer_bytes, tail_bytes, raw_bytes;
    uint16_t value_bytes;
    char tag[HTML_NAME_BYTES], name[HTML_NAME_BYTES], hider[HTML_NAME_BYTES];
    char raw[HTML_NAME_BYTES];      /* the element whose content is no HTML: script, style */
    char tail[HTML_NAME_BYTES + 8]; /* what may be the end of it, or of a comment */
    char refer[HTML_REFERENCE_BYTES];
    char value[HTML_VALUE_BYTES];
};

/* `sink` may be NULL. */
void html_init(struct html *h, struct html_sink *sink);
void html_feed(struct html *h, struct str in, struct buffer *shown, struct buffer *aside);
void html_finish(struct html *h, struct buffer *shown, struct buffer *aside);

/* The characters of a named reference ("amp;", "amp", "eacute;"): how much of `name` it takes, or
 * 0. `second` is 0 unless it stands for two. */
size_t html_named(struct str name, uint32_t *first, uint32_t *second);

#endif
