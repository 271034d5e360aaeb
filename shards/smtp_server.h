/* smtp_server.h -- the receiving side of SMTP (RFC 5321) as a session without I/O: bytes in,
 * replies and events out. The verbs are smtp_server.def.
 *
 * The owner feeds bytes and acts on the event that smtp_server_feed() stops at; while an answer of
 * the owner is owed (an event marked "settle"), it feeds nothing. A body is given out in runs
 * (BODY); the owner must take a run before it feeds again. Everything that has arrived is fed in
 * one piece: bytes behind EHLO, AUTH, DATA, VRFY, EXPN or QUIT are seen only while they stand in
 * the same `in`, and bytes behind STARTTLS that were not fed yet are the owner's to drop (SMUG-18,
 * TLSIN-01).
 *
 * Order of events: MAIL, RCPT (one or more), DATA, BODY (none or more), then MESSAGE or ABORTED;
 * the same for a mail that comes by BDAT (RFC 3030), where DATA stands for its first chunk, and
 * RSET and EHLO can abort it.
 *
 * Thread   one at a time.
 * Memory   sender, recipients and parameters of the transaction live in `arena` and are gone at the
 *          next MAIL, RSET, EHLO or settled message. Bounded by the limits given; independent of
 *          the mail.
 * Promise  only CRLF ends a line, only CRLF.CRLF ends data; bare CR, bare LF and NUL are refused
 *          and end the session (SMUG). After any other refusal in DATA the rest of the data is
 *          eaten as data and the reply is given at its end (SMUG-14). A transaction never survives
 *          a refused end of data (STATE-01, 02). One reply a command.
 * Errors   replies, and SMTP_SERVER_CLOSE when patience is over: the command after the last allowed
 *          error gets 421. Also when `out` is full: the peer does not read.
 */
#ifndef SHARDS_SMTP_SERVER_H
#define SHARDS_SMTP_SERVER_H

#include "core/base/arena.h"
#include "core/base/buffer.h"
#include "core/mail/address.h"
#include "core/mail/body.h"
#include "core/mail/line.h"
#include "core/mail/parameter.h"
#include "core/mail/reply.h"
#include "shards/sasl.h"

enum smtp_service {
    SMTP_RELAY,
    SMTP_SUBMISSION,
    SMTP_SUBMISSIONS
};

enum smtp_server_event {
    SMTP_SERVER_MORE,     /* all input used; feed more when it comes */
    SMTP_SERVER_STARTTLS, /* 220 is in `out`: send it, handshake, then smtp_server_secured() */
    SMTP_SERVER_AUTH,     /* settle: `auth` is READY; smtp_server_challenge() or _settle_auth() */
    SMTP_SERVER_MAIL,     /* settle: `sender` is set; REPLY_250_SENDER, or the refusal */
    SMTP_SERVER_RCPT,     /* settle: the newest recipient; REPLY_250_RECIPIENT, or the refusal */
    SMTP_SERVER_DATA,     /* settle: REPLY_354_DATA (not said for BDAT), or the refusal */
    SMTP_SERVER_BODY,     /* a run of content is in `run` */
    SMTP_SERVER_MESSAGE,  /* settle: end of data. Nothing is ours until the owner says 250 */
    SMTP_SERVER_ABORTED,  /* the mail is refused after 354: drop what was stored; feed on */
    SMTP_SERVER_CLOSE,    /* send `out`, then close */
};

struct smtp_server_settings { /* borrowed; must outlive the session */
    struct str hostname;
    uint64_t message_bytes_max;
    uint32_t recipients_max, errors_max;
    uint64_t future_max_s; /* RFC 4865; 0: FUTURERELEASE is not offered */
    enum smtp_service service;
    bool tls_offered;           /* a certificate is there */
    unsigned mechanisms;        /* of AUTH, bits 1 << enum sasl_mechanism; may change at any time */
    uint32_t auth_failures_max; /* the AUTH after so many gets 421 */
};

struct smtp_recipient {
    struct address address;
    struct str orcpt; /* as `notify`, of core/mail/parameter.h */
    uint32_t notify;
};

struct smtp_server {
    const struct smtp_server_settings *settings;
    struct arena arena; /* of the transaction */
    struct line line;
    struct body_in body;
    struct body_chunk chunk;
    uint32_t state, errors, chatter; /* chatter: commands that did nothing since the last mail */
    uint32_t auth_failures;
    enum smtp_server_event owed; /* the settle that is missing, or SMTP_SERVER_MORE */

    uint64_t now_ms;          /* adopted time, kept by the owner: EHLO's and HOLDUNTIL's measure */
    bool chunked;             /* the mail comes by BDAT: until it ends, only BDAT goes on with it */
    bool chunk_starts;        /* DATA was told for a first chunk */
    bool in_chunk;            /* a chunk is being read */
    bool chunk_last;          /* it is the last one */
    enum reply chunk_refusal; /* of the chunk that is being eaten; REPLIES: none */
    bool esmtp, secure, authenticated, in_data, refused_data, closing;
    struct buffer helo; /* as given, printable */
    struct buffer user; /* who is authenticated */
    struct sasl auth;   /* wiped after settle */

    struct address sender;             /* .whole empty: null reverse-path */
    struct parameter_mail asked;       /* by MAIL */
    struct smtp_recipient *recipients; /* in the arena, grown by doubling */
    uint32_t recipient_count, recipient_room, recipients_tried;

    struct str run;      /* SMTP_SERVER_BODY */
    uint64_t body_bytes; /* content bytes so far */
    uint64_t messages;   /* accepted in this session */
};

void smtp_server_init(struct smtp_server *s, const struct smtp_server_settings *settings,
                      bool secure);
void smtp_server_drop(struct smtp_server *s);

/* The greeting; to be called once, before anything is fed. */
void smtp_server_greet(struct smtp_server *s, struct buffer *out);

/* Instead of the greeting, when the client talked first: 554, then close (SMUG-18). */
void smtp_server_early_talk(struct smtp_server *s, struct buffer *out);

/* Eat from the front of `in`, append replies to `out`, stop at the first event. After an event, and
 * after a settle, feed again even if nothing is left: CLOSE may be next. After CLOSE: CLOSE. */
NODISCARD enum smtp_server_event smtp_server_feed(struct smtp_server *s, struct str *in,
                                                  struct buffer *out);

/* The answer that is owed for MAIL, RCPT, DATA or MESSAGE. `text` overrides the table's text
 * when it is not empty (the queue id in 250). A 421 closes: the next feed gives
 * SMTP_SERVER_CLOSE. */
void smtp_server_settle(struct smtp_server *s, enum reply reply, struct str text,
                        struct buffer *out);

/* REPLY_235…: auth.user is authenticated; else REPLY_535…, REPLY_454… */
void smtp_server_settle_auth(struct smtp_server *s, enum reply reply, struct buffer *out);

/* The answer to a message of SCRAM: the client shall say another, and AUTH comes again. At most
 * SASL_MESSAGE_BYTES; here, before base64. */
void smtp_server_challenge(struct smtp_server *s, struct str message, struct buffer *out);

/* TLS is up: everything known is forgotten (RFC 3207 4.2). */
void smtp_server_secured(struct smtp_server *s);

/* "ESMTPSA" and friends for Received (RFC 3848, RFC 6531 4.3). */
struct str smtp_server_protocol(const struct smtp_server *s);

#endif
