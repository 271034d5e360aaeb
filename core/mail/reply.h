/* reply.h -- SMTP replies: those we give (reply.def), and a strict reader of those we get.
 *
 * Thread   any; pure.
 * Memory   a parser holds one line and the beginning of the text; nothing grows with the peer's
 *          talk.
 */
#ifndef CORE_MAIL_REPLY_H
#define CORE_MAIL_REPLY_H

#include "core/base/buffer.h"
#include "core/base/limit.h"

/* ---- what we say */

enum reply {
#define REPLY(code, name, enhanced, text) REPLY_##code##_##name,
#include "core/mail/reply.def"
#undef REPLY
    REPLIES
};

unsigned reply_code(enum reply r);
struct str reply_enhanced(enum reply r); /* "2.1.5", or empty */
struct str reply_text(enum reply r);

/* "250 2.1.5 Recipient OK" CRLF. */
void reply_write(enum reply r, struct buffer *out);

/* With another text, in UTF-8: what a policy says, Japanese or not, goes out as it is, since mail
 * clients show it, and servers that don't know RFC 6531 put something else in place. Controls and
 * malformed bytes become '?', and it is cut to fit. */
void reply_write_text(enum reply r, struct str text, struct buffer *out);

/* ---- what we hear */

enum {
    REPLY_TEXT_BYTES = 400
};

/* A reply that is complete. It can be copied and kept. */
struct reply_seen {
    uint16_t code; /* 200 .. 599; 0: none yet */
    uint16_t text_len;
    uint16_t enhanced[3];        /* 5.1.1; all 0: none given, or of another class than the code */
    char text[REPLY_TEXT_BYTES]; /* one line, printable ASCII, others as \xNN; without codes */
};

struct reply_parser {
    struct reply_seen seen;
    struct str line; /* after LINE and DONE: text of that line, raw, good until the next feed */
    uint32_t lines, len;
    bool broken, cr;
    bool cut; /* the text did not fit: nothing more of this reply is kept */
    char store[LIMIT_REPLY_LINE_BYTES];
};

enum reply_status {
    REPLY_MORE, /* all of `in` was used */
    REPLY_LINE, /* one line of a reply that goes on: EHLO's client looks at `line` */
    REPLY_DONE, /* `line` is the last line, `seen` the reply. Bytes left in `in` are another reply:
                   without a command to answer that is an error of the peer (SMUG-22) */
    REPLY_BAD,  /* protocol error; the connection is of no more use. Stays BAD */
};

void reply_parser_init(struct reply_parser *p);

/* Eat from the front of `in` up to the end of one line. After DONE the next feed begins a reply. */
NODISCARD enum reply_status reply_parser_feed(struct reply_parser *p, struct str *in);

static inline struct str reply_seen_text(const struct reply_seen *r)
{
    return str_from(r->text, r->text_len);
}

static inline unsigned reply_class(const struct reply_seen *r)
{
    return r->code / 100u;
}

/* "550 5.1.1 No such user": for log, lists and DSN. */
void reply_seen_write(const struct reply_seen *r, struct buffer *out);

/* "5.1.1", or the class's plain code (5.0.0) when none was given. */
void reply_seen_write_enhanced(const struct reply_seen *r, struct buffer *out);

#endif
