/* rules.h -- a small model of RFC 5321 and the extensions of our EHLO, as far as the state is
 * concerned: which codes may answer a command, and what follows from the code that did.
 *
 * It knows nothing of the server's code. Where several things are wrong with a command, the code of
 * each is legal; the RFCs do not say which comes first.
 *
 * Thread   one.
 * Memory   rules_init() to rules_drop(): the content of one mail.
 */
#ifndef TESTS_SIM_RULES_H
#define TESTS_SIM_RULES_H

#include "core/base/buffer.h"

enum verb {
    V_EHLO,
    V_HELO,
    V_STARTTLS,
    V_AUTH,
    V_MAIL,
    V_RCPT,
    V_DATA,
    V_BDAT,
    V_RSET,
    V_NOOP,
    V_VRFY,
    V_EXPN,
    V_HELP,
    V_QUIT,
    V_UNKNOWN,
    V_HTTP,
    V_LONG,   /* a line longer than any */
    V_BARE,   /* a line with a bare CR, a bare LF or a NUL */
    V_SECRET, /* a line of the exchange of AUTH */
    V_CONTENT /* behind 354, up to the end */
};

enum {
    RULES_RECIPIENTS = 3, /* RCPTMAX */
    RULES_SIZE = 3000,    /* SIZE */
    RULES_ERRORS = 40,
    RULES_CHATTER = 5,
    RULES_TEXT = 64
};

/* One command, or what stands for one. */
struct step {
    enum verb verb;
    unsigned wrong;        /* code that its arguments deserve by themselves; 0: they are good */
    unsigned owner;        /* code that the owner of the session answers with, where it is asked */
    unsigned asks;         /* AUTH: 334s still to come */
    bool argument;         /* has one, where none may be */
    bool utf8;             /* MAIL: says SMTPUTF8. RCPT: has an address in UTF-8 */
    bool last;             /* BDAT: LAST */
    uint64_t said;         /* BDAT: the size */
    char text[RULES_TEXT]; /* address */
    struct str content;    /* BDAT and CONTENT: as it is meant, without stuffed dots */
};

struct rules {
    bool relay, offers_tls;
    bool secure, authenticated, greeted, esmtp, closed;
    bool mail, utf8, chunked;
    unsigned tried, taken; /* RCPTs */
    unsigned accepted;     /* mails */
    char sender[RULES_TEXT], recipient[RULES_RECIPIENTS][RULES_TEXT];
    struct buffer content;
    unsigned errors_least, errors_most, chatter; /* patience */
    bool bare, full;                             /* of the content that is judged */
};

void rules_init(struct rules *r, bool relay, bool secure, bool offers_tls);
void rules_drop(struct rules *r);

/* May this code answer? */
NODISCARD bool rules_allow(struct rules *r, const struct step *s, unsigned code);

/* It did. */
void rules_follow(struct rules *r, const struct step *s, unsigned code);

/* "ESMTPSA" (RFC 3848, RFC 6531 4.3). */
void rules_protocol(const struct rules *r, char *out); /* 16 bytes */

#endif
