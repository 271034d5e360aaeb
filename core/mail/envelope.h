/* envelope.h -- a message as the queue knows it: who, to whom, when, where its body lies; and how
 * that is written into ACCEPT records and index values.
 *
 * Records are length-prefixed and versioned (the layout is specified at the top of envelope.c and
 * frozen): a reader of version 1 skips fields that it does not know at the end.
 *
 * Thread   a message has one owner at a time; it may be handed to another thread whole.
 * Memory   everything in a struct message lives in its arena; message_drop() frees all.
 * Time     *_ms are adopted wall-clock milliseconds (core/base/clock.h) unless named otherwise.
 * Errors   decode returns false for anything that it does not fully understand.
 */
#ifndef CORE_MAIL_ENVELOPE_H
#define CORE_MAIL_ENVELOPE_H

#include "core/base/arena.h"
#include "core/base/buffer.h"
#include "core/base/clock.h"
#include "core/mail/stage.h"

enum message_kind { /* frozen */
    MESSAGE_MAIL = 0,
    MESSAGE_NOTICE = 1, /* made here: exempt from policy and notices */
    MESSAGE_DSN = 2,    /* made here: null reverse-path */
    MESSAGE_PASSWORD = 3,
};

enum {                     /* flags of a message, frozen */
    MESSAGE_AUTO = 1 << 0, /* null sender or an RFC 3834 mark: no notice goes back */
    MESSAGE_8BIT = 1 << 1, /* it has 8-bit bytes, in header or body */
    MESSAGE_SMTPUTF8 = 1 << 2,
    MESSAGE_SUBMITTED = 1 << 3,      /* came with AUTH */
    MESSAGE_TLS = 1 << 4,            /* came inside TLS */
    MESSAGE_RETURN_FULL = 1 << 5,    /* RFC 3461 RET=FULL; neither bit: not asked */
    MESSAGE_RETURN_HEADERS = 1 << 6, /* RET=HDRS */
    MESSAGE_8BIT_HEADER = 1 << 7,    /* its header section has 8-bit bytes */
};

enum recipient_class {
    CLASS_INTERNAL = 0,
    CLASS_AFFILIATE = 1,
    CLASS_EXTERNAL = 2
}; /* frozen */

enum form {
    FORM_PLAIN = 0,
    FORM_ZIP = 1,
    FORM_LINK = 2
}; /* frozen */

/* Where bytes lie: in a segment file of the partition (storage/extent.h). */
struct extent {
    uint32_t segment;    /* file number */
    uint32_t generation; /* of the segment when it was written */
    uint64_t offset;     /* of the record or block in the file */
    uint64_t length;     /* payload bytes */
};

/* A piece of the stored body that never leaves: a Bcc field. Those of a message are in order, apart
 * from each other and within its body; a record where they are not is damaged. */
struct cut {
    uint32_t offset, length;
};

struct recipient {
    struct str
        address;      /* as it goes into RCPT: local-part as given, domain in lower-case A-labels */
    struct str orcpt; /* RFC 3461, decoded; empty: none */
    struct str rule;  /* name of the rule that set the hold; empty: defaults */
    enum recipient_class class;
    enum form form;
    uint32_t notify;     /* RFC 3461 NOTIFY bits; 0: not given */
    uint64_t release_ms; /* decided at acceptance */

    /* State: kept beside the ACCEPT record, changed by MOVE and DECIDE only. */
    enum stage stage;
    uint32_t flags;    /* RECIPIENT_… */
    uint32_t attempts; /* attempts that ended */
    uint32_t revision; /* of the decision in force; 0 is ACCEPT's own */
    uint64_t due_ms;
    struct str last; /* last outcome in one line, safe to print: reply of the next hop, or reason */
};

struct message {
    struct arena arena;
    uint64_t id;
    enum message_kind kind;
    uint32_t flags;
    uint64_t parent; /* the message that a notice or DSN is about; 0: none */
    uint64_t accepted_ms, accepted_boot_ms;
    struct clock_boot_id boot;
    struct str organisation, sender /* reverse-path; empty: null */,
        user /* authenticated, or empty */;
    struct str client;     /* address and HELO name, as logged */
    struct str envid;      /* RFC 3461 */
    struct str subject;    /* decoded, cut to LIMIT_SUBJECT_BYTES */
    struct str message_id; /* with angle brackets, as in the mail */
    struct str token;      /* secret of the hold notice's Reply-To and page; empty: none */
    struct str future; /* RFC 4865: "for;3600", "until;2026-11-24T04:38:46Z"; empty: not asked */
    struct str prefix; /* trace and added fields that go before the stored body, CRLF lines */
    struct cut *cuts;
    uint32_t cut_count;

    uint64_t body_bytes;    /* stored body, without prefix */
    bool body_inline;       /* one extent of a BODY record; else blocks in body segments */
    struct extent *extents; /* of an inline body: filled by storage when it is placed */
    uint32_t extent_count;

    struct recipient *recipients;
    uint32_t recipient_count;
};

/* An empty message whose arena may hold `cap` bytes; NULL without memory. */
NODISCARD struct message *message_make(size_t cap);
void message_drop(struct message **m);

/* The immutable part (ACCEPT payload). With an inline body the extent is not in the payload:
 * storage knows where it put the BODY record. */
void message_encode(const struct message *m, struct buffer *out);
NODISCARD struct message *message_decode(uint64_t id, struct str payload);

/* The mutable part of all recipients (index value): stage, flags, attempts, revision, due; `last`
 * lines are separate values. */
void message_encode_states(const struct message *m, struct buffer *out);
NODISCARD bool message_decode_states(struct message *m, struct str payload);

/* The states alone, as storage works with them; the same layout. */
struct recipient_state {
    enum stage stage;
    uint32_t flags, attempts, revision;
    uint64_t due_ms;
};
struct recipient_state recipient_state(const struct recipient *r);
void states_encode(const struct recipient_state *s, uint32_t count, struct buffer *out);
NODISCARD bool states_count(struct str payload, uint32_t *count);
NODISCARD bool states_decode(struct str payload, struct recipient_state *s, uint32_t count);
uint64_t states_due_ms(const struct recipient_state *s, uint32_t count);

/* Earliest due of the recipients that stand in the due index; UINT64_MAX when none does. */
uint64_t message_due_ms(const struct message *m);
bool message_is_final(const struct message *m);

/* What the sender, lists and logs see of a state: "due" for a timed one whose time has come. */
const char *recipient_state_name(const struct recipient *r, uint64_t now_ms);

#endif
