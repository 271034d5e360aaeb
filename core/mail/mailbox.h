/* mailbox.h -- the addresses in a header field: RFC 5322 3.4 with the obsolete syntax of 4.4.
 *
 * What is found is the union of readings: where programs differ (`a@int <b@ext>`, a quote without
 * end, a semicolon between addresses) every address that any of them may see is in the list, those
 * that the grammar does not give as `guess`, and `doubts` says what is wrong (ADDR-08). Each
 * address is made by core/mail/address, strictly: encoded words in it are letters (ADDR-05). A
 * broken element stands in the list without address and hides nothing behind it.
 *
 * Thread   any; pure.
 * Memory   results live in the arena given; a list of up to LIMIT_MAILBOXES while it is read.
 * Cost     linear, without recursion (BOMB-09): no byte is looked at more than a few times.
 * Errors   false: no memory. Everything else is a doubt.
 */
#ifndef CORE_MAIL_MAILBOX_H
#define CORE_MAIL_MAILBOX_H

#include "core/mail/address.h"
#include "core/mail/header.h"

enum mailbox_bit {
#define MAILBOX(name, kind, text) MAILBOX_BIT_##name,
#include "core/mail/mailbox.def"
#undef MAILBOX
    MAILBOX_BITS
};

enum { /* doubts */
#define MAILBOX(name, kind, text) MAILBOX_##name = 1 << MAILBOX_BIT_##name,
#include "core/mail/mailbox.def"
#undef MAILBOX
};

enum mailbox_kind {
    MAILBOX_AMBIGUOUS,
    MAILBOX_DECEPTIVE,
    MAILBOX_UNTIDY,
};

/* Those bits of `doubts` that are of this kind. */
unsigned mailbox_doubts_of(unsigned doubts, enum mailbox_kind kind);

/* What the lowest bit means, for people; NULL without one. The bit is taken out. */
const char *mailbox_doubt_text(unsigned *doubts);

struct mailbox {
    struct address address;     /* whole is "" where the element is broken */
    enum address_status status; /* why it is broken */
    struct str name;     /* for people, decoded and clean: the phrase, else the comment; of a broken
                            element without either, what stands there; or "" */
    uint32_t group;      /* number in `groups`, from 1; 0: in none */
    uint32_t element;    /* number in the list; mailboxes of one element have one range */
    uint32_t start, end; /* of the element in the value, without blanks around it */
    unsigned doubts;
    bool guess; /* not by the grammar: another program may see it */
};

struct mailbox_group {
    struct str name;     /* for people */
    uint32_t start, end; /* in the value; `end` behind the semicolon */
};

struct mailbox_list {
    struct mailbox *at;
    uint32_t count;
    struct mailbox_group *groups;
    uint32_t group_count;
    unsigned doubts; /* of all of it, also of what is in no mailbox */
};

/* `value`: of a field, raw and folded as it came; ranges count from its first byte. */
NODISCARD bool mailbox_read(struct str value, struct arena *arena, struct mailbox_list *out);

/* What to cut out of the value, so that the elements of `remove` (one bool a mailbox; all mailboxes
 * of an element, or none) are gone and a list remains. Groups of which all are removed go too.
 * `gone`: nothing is left, the field itself must go. */
struct mailbox_cuts {
    struct cut *at; /* in order; none overlaps another */
    uint32_t count;
    bool gone;
};

NODISCARD bool mailbox_cut(const struct mailbox_list *list, const bool *remove, struct arena *arena,
                           struct mailbox_cuts *out);

/* ---- over the fields of a header section */

struct mailbox_set {
    struct mailbox *at; /* one for each distinct address, in order; a guess where all of it were */
    uint32_t count;
    uint32_t broken; /* elements without address */
    unsigned doubts;
};

/* The distinct addresses of every field that has one of the `names` (To, Cc, ...); ranges and
 * groups mean nothing here. */
NODISCARD bool mailbox_collect(const struct header *h, const struct str *names, size_t name_count,
                               struct arena *arena, struct mailbox_set *out);

/* Who the mail says it is from: each address of each From, Sender, Resent-From and Resent-Sender
 * (REL-04). */
struct mailbox_claim {
    struct str field; /* name, borrowed from the header */
    struct mailbox *mailbox;
    bool agrees; /* one of the addresses allowed; never a broken one */
};

struct mailbox_claims {
    struct mailbox_claim *at;
    uint32_t count;
    uint32_t from_fields;
    unsigned doubts;
    bool all_agree; /* one From at least, and every claim agrees */
};

NODISCARD bool mailbox_read_claims(const struct header *h, const struct address *allowed,
                                   size_t allowed_count, struct arena *arena,
                                   struct mailbox_claims *out);

#endif
