/* smtp_client.h -- the sending side of SMTP (RFC 5321) as a session without I/O.
 *
 * Extensions: SIZE (RFC 1870), 8BITMIME (6152), SMTPUTF8 (6531), DSN (3461), PIPELINING (2920),
 * STARTTLS (3207). Each is used where the hop offers it and the mail has something to say with it;
 * what a mail cannot do without, and this hop does not offer, is a misfit, which the owner asks for
 * before it starts. CHUNKING (3030) is not used: DATA costs one round trip more, and BDAT would
 * need a second path for content whose length must be exact.
 *
 * Thread   one at a time.
 * Memory   bounded by one reply and the extensions; the envelope belongs to the caller until
 *          ENVELOPE.
 * Promise  no content byte leaves before the caller said smtp_client_data() and got CONTENT;
 *          content goes out with CRLF lines and dots stuffed; bare CR, LF or NUL in it is a
 *          failure, never sent. Replies are parsed strictly: a reply too many, codes that differ
 *          within one reply, over-long lines end the session as SMTP_CLIENT_FAILED (SMUG-22), and
 *          nothing is counted as delivered. For that to hold, what has arrived is fed in one piece,
 *          and before each call that sends.
 * Errors   FAILED: `failure` says what, `reply` which reply (4xx or 5xx) did it; code 0: none, or
 *          one that breaks the protocol: try again later. `phase` says how far it got, so that the
 *          owner knows whether content may have been taken: only in PHASE_CONTENT and PHASE_DOT
 *          with `reply.code` 0. Replies by their first digit, but 421, which ends the session
 *          wherever it comes.
 */
#ifndef SHARDS_SMTP_CLIENT_H
#define SHARDS_SMTP_CLIENT_H

#include "core/base/buffer.h"
#include "core/mail/body.h"
#include "core/mail/reply.h"

enum smtp_phase { /* what we wait for; the owner has a deadline for each */
    PHASE_GREETING,
    PHASE_EHLO,
    PHASE_STARTTLS,
    PHASE_IDLE,
    PHASE_ENVELOPE,
    PHASE_DATA,    /* reply to DATA */
    PHASE_CONTENT, /* we are sending */
    PHASE_DOT,     /* reply to the final dot */
    PHASE_RSET,
    PHASE_QUIT,
    PHASE_OVER,
};

enum smtp_client_event {
    SMTP_CLIENT_MORE,
    SMTP_CLIENT_STARTTLS, /* 220 came: handshake, then smtp_client_secured(), or close */
    SMTP_CLIENT_READY,    /* a transaction can start. `tls` is NONE where STARTTLS was missing or
                             refused: smtp_client_misfit() judges that for each mail */
    SMTP_CLIENT_ENVELOPE, /* MAIL and every RCPT are answered: see rcpt_reply[] and `mail_reply` */
    SMTP_CLIENT_CONTENT,  /* 354: send content */
    SMTP_CLIENT_REFUSED,  /* DATA was refused with `reply`; nothing was sent, the session goes on */
    SMTP_CLIENT_DONE,     /* the final dot was answered with `reply`; the next mail can start */
    SMTP_CLIENT_FAILED,   /* `reply` (code 0: none) and `failure`; close */
    SMTP_CLIENT_OVER,     /* QUIT was answered: close */
};

struct smtp_client_settings { /* borrowed */
    struct str hostname;      /* for EHLO */
    bool use_tls;             /* STARTTLS where offered */
};

enum { /* extensions, as EHLO offered them */
    SMTP_PIPELINING = 1 << 0,
    SMTP_SIZE = 1 << 1,
    SMTP_8BITMIME = 1 << 2,
    SMTP_SMTPUTF8 = 1 << 3,
    SMTP_DSN = 1 << 4,
    SMTP_STARTTLS = 1 << 5,
};

enum smtp_tls { /* of a connection, and the least that a mail wants; each holds those before it */
    SMTP_TLS_NONE,
    SMTP_TLS_ENCRYPTED,
    SMTP_TLS_VERIFIED, /* and the certificate is the hop's: the owner finds that out */
};

/* What the next hop must offer. */
struct smtp_needs {
    uint64_t size; /* bytes of content; 0: unknown */
    bool eight_bit /* in header or body */, utf8 /* in sender or header; recipients: each alone */;
    enum smtp_tls tls;
};

enum smtp_misfit {
    SMTP_FITS,
    SMTP_MISFIT_TLS,
    SMTP_MISFIT_SIZE, /* RFC 1870 4: MAIL would be answered 552, for good */
    SMTP_MISFIT_UTF8, /* RFC 6531 3.5: must not be sent here */
    SMTP_MISFIT_8BIT, /* RFC 6152 3: must not be sent here as it is */
};

struct smtp_target {
    struct str address; /* without brackets */
    struct str orcpt;   /* RFC 3461, decoded; empty: none */
    uint32_t notify;    /* NOTIFY_... (core/mail/parameter.h); 0: not asked */
};

struct smtp_envelope {
    struct str sender; /* without brackets; empty: null */
    struct str envid;  /* RFC 3461, decoded; empty: none */
    bool return_full, return_headers;
    const struct smtp_target *recipients;
    uint32_t recipient_count;
    struct smtp_needs needs;
};

struct smtp_client {
    const struct smtp_client_settings *settings;
    enum smtp_phase phase;
    struct reply_parser parser;
    enum smtp_tls tls;
    bool over;      /* FAILED or OVER was told */
    bool resetting; /* the next reply is to the RSET before MAIL */
    bool early;     /* a reply had begun before its command was sent */
    bool tried_helo;
    unsigned offers;               /* SMTP_... of the EHLO in force */
    uint64_t size_max;             /* 0: none told */
    uint32_t replies;              /* complete ones so far: each has a deadline of its own */
    uint32_t outstanding, lines;   /* commands without reply; lines of EHLO's reply so far */
    struct smtp_envelope envelope; /* its strings are the caller's until ENVELOPE or FAILED */
    uint32_t answered, sent_rcpt;  /* RCPT replies seen and commands sent */
    struct reply_seen mail_reply;  /* copies: code, enhanced, text */
    struct reply_seen *rcpt_reply; /* caller's array, recipient_count long */
    struct reply_seen reply;
    struct body_out body;
    const char *failure; /* in words, for log and DSN */
};

void smtp_client_init(struct smtp_client *c, const struct smtp_client_settings *settings);

/* Eat from the front of `in` (advancing it), append commands to `out`, stop at the first event. */
NODISCARD enum smtp_client_event smtp_client_feed(struct smtp_client *c, struct str *in,
                                                  struct buffer *out);
void smtp_client_secured(struct smtp_client *c, enum smtp_tls tls, struct buffer *out);

/* In PHASE_IDLE: can this hop, as this connection stands, take such a mail? The worst misfit. */
enum smtp_misfit smtp_client_misfit(const struct smtp_client *c, const struct smtp_needs *needs);

/* MAIL and RCPTs, pipelined when offered; in PHASE_IDLE, or after ENVELOPE or REFUSED, then with
 * RSET before them. `replies` is filled until ENVELOPE; where MAIL is refused, each recipient
 * gets that reply. False: an address has bytes that can't stand in a command line, or it is a
 * misfit, or an address wants SMTPUTF8 that the hop has not; nothing was written. */
NODISCARD bool smtp_client_start(struct smtp_client *c, const struct smtp_envelope *e,
                                 struct reply_seen *replies, struct buffer *out);

/* 2, 4 or 5: what a reply to RCPT means. 552 was "too many recipients" once (RFC 5321
 * 4.5.3.1.10): 4, but where an enhanced code says that it means something else. */
unsigned smtp_client_recipient_class(const struct reply_seen *r);

/* After ENVELOPE with at least one 2xx recipient: DATA. */
void smtp_client_data(struct smtp_client *c, struct buffer *out);

/* After CONTENT; false: the bytes can't be sent as mail (bare CR, LF, NUL), or `out` is full
 * (the owner gives runs that fit): close without the dot, nothing was delivered. */
NODISCARD bool smtp_client_content(struct smtp_client *c, struct str bytes, struct buffer *out);
NODISCARD bool smtp_client_end(struct smtp_client *c, struct buffer *out);

/* After ENVELOPE or REFUSED, instead of DATA: forget the transaction; READY follows. */
void smtp_client_reset(struct smtp_client *c, struct buffer *out);
void smtp_client_quit(struct smtp_client *c, struct buffer *out);

#endif
