/* header.h -- where the header section of a mail ends, and which fields it has.
 *
 * The rule, the same for policy, signing and the wire (SMUG-16): lines end with CRLF. A field is a
 * name of printable ASCII without colon, perhaps blanks, a colon, and everything up to the first
 * CRLF that no blank or tab follows. The section ends with the first empty line, which belongs to
 * neither header nor body. A line that is no field, no continuation and not empty ends it too and
 * is the body's first line. A first line "From " of a mailbox file is no field and is passed over.
 * Whatever other readers may take another way is flagged `odd`, for the owner to refuse or hold.
 *
 * Thread   one at a time.
 * Memory   a copy of the header section, at most LIMIT_HEADER_BYTES, and 16 bytes a field.
 * Cost     linear.
 */
#ifndef CORE_MAIL_HEADER_H
#define CORE_MAIL_HEADER_H

#include "core/base/arena.h"
#include "core/base/buffer.h"
#include "core/mail/envelope.h"

struct header_field {
    uint32_t start;    /* of the name */
    uint32_t name_len; /* without blanks before the colon */
    uint32_t value;    /* behind the colon */
    uint32_t end;      /* behind the field's last CRLF */
};

enum {                              /* why a header section is odd */
    HEADER_ODD_LINE = 1 << 0,       /* a line that is no field ended it (SMUG-16) */
    HEADER_ODD_BLANK = 1 << 1,      /* a line of blanks only, within a field (SMUG-16) */
    HEADER_ODD_START = 1 << 2,      /* begins with an empty line or a continuation (SMUG-17) */
    HEADER_ODD_FROM_LINE = 1 << 3,  /* begins with a mailbox "From " line (SMUG-17) */
    HEADER_ODD_COLON = 1 << 4,      /* blanks between name and colon (REL-04) */
    HEADER_ODD_BYTE = 1 << 5,       /* bare CR, bare LF or NUL */
    HEADER_ODD_UNFINISHED = 1 << 6, /* the mail ends within a header line */
};

struct header {
    struct buffer bytes; /* the section, with the empty line; then nothing more */
    struct buffer list;  /* of struct header_field */
    uint32_t count;
    uint32_t end;  /* of the last field */
    uint32_t body; /* offset in the mail where the body begins */
    unsigned odd;
    bool eight_bit; /* in the header section */
    bool done;
    uint32_t scanned; /* everything before is in lines that were looked at */
};

enum header_status {
    HEADER_MORE,     /* feed on */
    HEADER_DONE,     /* fields, end and body are known; more bytes are ignored */
    HEADER_TOO_BIG,  /* over LIMIT_HEADER_BYTES */
    HEADER_TOO_MANY, /* over LIMIT_HEADER_FIELDS */
    HEADER_NO_MEMORY,
};

void header_init(struct header *h);
void header_drop(struct header *h);

/* The next bytes of the mail, in order, from its first. */
NODISCARD enum header_status header_feed(struct header *h, struct str in);

/* The mail is over: without an empty line everything is header. */
NODISCARD enum header_status header_finish(struct header *h);

const struct header_field *header_fields(const struct header *h);
struct str header_name(const struct header *h, const struct header_field *f);

/* The raw value, folded as it came, without blanks and CRLF at both ends. */
struct str header_value(const struct header *h, const struct header_field *f);

/* The first field of that name (any case), or NULL. */
const struct header_field *header_find(const struct header *h, struct str name);

/* What acceptance needs to know. Strings are borrowed from the header. */
struct header_facts {
    unsigned from, sender, date, message_id_count, subject_count, received; /* how many of each */
    bool is_auto;          /* a mark of RFC 3834 or of a list: nothing answers it */
    struct str subject;    /* of the first, raw: word_decode() it */
    struct str message_id; /* of the first; "" if it has blanks, controls or no brackets */
    struct cut *cuts;      /* Bcc, Resent-Bcc and a mailbox "From " line: they never leave */
    uint32_t cut_count;
};

/* After DONE. False: no memory. Cuts live in the arena. */
NODISCARD bool header_read_facts(const struct header *h, struct arena *arena,
                                 struct header_facts *out);

#endif
