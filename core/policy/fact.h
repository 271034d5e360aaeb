/* fact.h -- everything that a rule can ask about one message, as plain data.
 *
 * Whoever reads the mail fills it (core/remake/judge from core/mail, match, detector, extractor and
 * calendar); core/policy/decide asks it; fact_code.h keeps it, so that a draft can be asked later
 * what it would have done. What the organisation makes of a fact (classes, groups, counts of
 * outsiders) is not in here: it is worked out from the rules at hand, also at a replay.
 *
 * Doubt is a fact too: what could not be looked at has a reason in `unreadable`, what programs read
 * differently one in `ambiguous`. A fact that nobody could find out is never left at "no" without
 * one of them.
 *
 * Thread   any; nobody changes it once it is filled.
 * Memory   borrowed: all texts and arrays belong to the filler's arena. {0} is a mail without
 *          anything.
 */
#ifndef CORE_POLICY_FACT_H
#define CORE_POLICY_FACT_H

#include "core/base/setting.h"
#include "core/policy/match.h"

enum {
    FACT_PERSONAL_MAX = 32,  /* kinds of personal information: detector.h has fewer */
    FACT_CALENDARS_MAX = 64, /* of an organisation: a bit each */
};

enum {                            /* of an attachment; frozen */
    ATTACHMENT_INLINE = 1 << 0,   /* shown within the text: its Content-ID is referred to */
    ATTACHMENT_CALENDAR = 1 << 1, /* text/calendar: an invitation */
    ATTACHMENT_ENCRYPTED = 1 << 2,
    ATTACHMENT_HIDDEN_DATA = 1 << 3, /* tracked changes, comments, hidden sheets, EXIF position */
    ATTACHMENT_UNREADABLE = 1 << 4,  /* not all of it was looked at; `unreadable` says why */
    ATTACHMENT_TNEF = 1 << 5,        /* from a winmail.dat */
    ATTACHMENT_UUENCODE = 1 << 6,    /* from the text of a part */
    ATTACHMENT_MESSAGE = 1 << 7,     /* message/rfc822, or a file of such a mail */
    ATTACHMENT_INFECTED = 1 << 8,
};

struct attachment {
    struct str_list names;    /* all candidates, UTF-8, without folders; none: it has no name */
    struct str declared_type; /* "application/pdf", lower case; empty: none */
    struct str true_type;     /* what its bytes say; empty: not known */
    struct str path;       /* "a.zip/b.docx": a member of a container; empty: a part of the mail */
    struct str unreadable; /* why not all of it could be looked at; empty: it could */
    uint64_t bytes;        /* decoded */
    uint64_t offset, length; /* of the part's content as stored, still encoded */
    uint32_t depth;          /* 0: a part of the mail; 1: in a container; 2: in one in one ... */
    uint32_t flags;          /* ATTACHMENT_... */
};

struct header_fact {
    struct str name;  /* as written */
    struct str value; /* decoded to UTF-8, unfolded, without blanks around */
};

/* One dictionary in one place. Dictionaries that were not found have none. */
struct keyword_fact {
    struct str dictionary;
    enum match_place place;
    uint32_t count;
    struct str text;  /* what was found there first */
    struct str where; /* file name of a file's text; else empty */
};

enum { /* what the sender's history says about one recipient; nobody fills them yet */
    RELATION_FIRST_CONTACT = 1 << 0,
    RELATION_LOOK_ALIKE = 1 << 1,
    RELATION_MIXED_COMPANIES = 1 << 2,
};

struct facts {
    uint64_t time_ms;  /* adopted time of the judgement */
    uint64_t open;     /* bit i: the organisation's calendar i is open at time_ms */
    uint64_t size;     /* bytes of the mail as received */
    struct str sender; /* reverse-path in the spelling of core/mail/address; empty: null */
    struct str user;   /* address of the authenticated user; empty: none */
    struct str client; /* its address: 4 or 16 bytes in network order; empty: not known */
    bool is_auto;      /* null sender or an RFC 3834 mark */
    bool is_signed;    /* S/MIME or OpenPGP */
    bool is_encrypted; /* the whole mail: S/MIME or OpenPGP */

    struct str_list recipients;        /* envelope, in the spelling of core/mail/address */
    struct str_list header_recipients; /* To and Cc of all their fields; may repeat */
    const uint32_t *relations;         /* RELATION_..., one a recipient; NULL: not known */

    const struct header_fact *headers;
    size_t header_count;
    const struct attachment *attachments;
    size_t attachment_count;
    const struct keyword_fact *keywords;
    size_t keyword_count;
    struct str dictionaries;              /* match_key_of() what was looked for; empty: nothing */
    uint32_t personal[FACT_PERSONAL_MAX]; /* different values, by enum detector_kind */

    struct str_list unreadable, ambiguous; /* reasons, for people; none: it is not */
    struct str_list infected;              /* names of what the virus scanner found */
};

#endif
