/* mailbox_scan.h -- the words of an address list (RFC 5322 3.2), blanks and comments passed over.
 *
 * A quote or comment without end is a stray letter, and so are all later ones of its kind: what
 * stands behind it is read. ISO-2022-JP that is not encoded is one atom from its first escape to
 * the next one to ASCII.
 *
 * Thread   one; pure.
 * Cost     linear over the whole of `in`, unless the caller goes back.
 */
#ifndef CORE_MAIL_MAILBOX_SCAN_H
#define CORE_MAIL_MAILBOX_SCAN_H

#include "core/base/str.h"

enum scan_kind {
    SCAN_END,
    SCAN_ATOM,    /* letters, without dots; 8-bit bytes are letters */
    SCAN_QUOTED,  /* with its quotes */
    SCAN_LITERAL, /* of a domain: with its brackets, behind an at sign */
    SCAN_BRACKET, /* "[" or "]" anywhere else */
    SCAN_DOT,
    SCAN_AT,
    SCAN_COMMA,
    SCAN_SEMICOLON,
    SCAN_COLON,
    SCAN_LESS,
    SCAN_GREATER,
    SCAN_STRAY, /* a byte that may not stand here */
};

struct scan_token {
    uint32_t start, end;
    enum scan_kind kind;
    bool apart; /* blanks or a comment before it */
};

struct mailbox_scan {
    struct str in;
    uint32_t at;
    unsigned doubts;                         /* of mailbox.h */
    uint32_t comment_start, comment_end;     /* the last one, with its brackets */
    uint32_t first_comment;                  /* where the first before this token begins */
    uint32_t comments;                       /* before this token */
    enum scan_kind before;                   /* the token before the next */
    bool no_quotes, no_comments, no_escapes; /* one has no end: no more are looked for */
};

void mailbox_scan_init(struct mailbox_scan *s, struct str in);
struct scan_token mailbox_scan_next(struct mailbox_scan *s);

#endif
