/* content.h -- what the header of one part says about it: type, names, encodings (RFC 2045, 2183,
 * 2231, 2047 in parameters as Japanese mailers write them).
 *
 * Nothing is decided here between readings. Where mail programs differ (two fields, two parameters
 * of one name, a misspelt encoding, an open quote, continuations out of order) every reading is in
 * the lists, the most usual one first, and `doubt` says why there is more than one. A policy looks
 * at all of them: one forbidden name among three is a forbidden name (MIME-01, 02, 03, 11).
 *
 * Thread   any; pure.
 * Memory   what content_read() returns lives in the arena; nothing is borrowed from the header.
 * Cost     linear in the header, times the pieces of one parameter (LIMIT_PARAMETERS) at worst.
 * Errors   none: over a limit or without memory CONTENT_LIMIT is set, and the part cannot be judged
 *          by what is listed.
 */
#ifndef CORE_MAIL_CONTENT_H
#define CORE_MAIL_CONTENT_H

#include "core/base/arena.h"

enum content_doubt {
    CONTENT_TWO_TYPES = 1 << 0, /* two Content-Type fields, whether or not they say the same */
    CONTENT_TWO_ENCODINGS = 1 << 1,
    CONTENT_TWO_DISPOSITIONS = 1 << 2,
    CONTENT_TWO_NAMES = 1 << 3, /* of names, boundaries, charsets there is more than one value */
    CONTENT_TWO_BOUNDARIES = 1 << 4,
    CONTENT_TWO_CHARSETS = 1 << 5,
    CONTENT_SYNTAX = 1 << 6,       /* open quote, missing semicolon, text behind a value ... */
    CONTENT_COMMENT = 1 << 7,      /* in parentheses: few programs know them */
    CONTENT_PIECES = 1 << 8,       /* RFC 2231: gaps, duplicates, order, leading zeros */
    CONTENT_ENCODING_ODD = 1 << 9, /* misspelt, unknown, or with something behind it */
    CONTENT_BAD_TEXT = 1 << 10,    /* bytes of a name that its charset does not have */
    CONTENT_RAW_BYTES = 1 << 11,   /* 8-bit or escape sequences outside of any encoding */
    CONTENT_COLON = 1 << 12,       /* blanks before the colon, or a line that is no field */
    CONTENT_NAME_UNSAFE = 1 << 13, /* controls, direction marks, slashes, dots at the end */
    CONTENT_EMPTY_BOUNDARY = 1 << 14,
    CONTENT_LIMIT = 1 << 15, /* something was left out: the lists are not complete */
};

/* What cannot be judged at all. */
#define CONTENT_UNREADABLE ((unsigned)CONTENT_LIMIT)

enum content_encoding {        /* a set: what readers may take it for */
    CONTENT_IDENTITY = 1 << 0, /* 7bit, 8bit, binary; also what nobody knows */
    CONTENT_BASE64 = 1 << 1,
    CONTENT_QUOTED = 1 << 2,
    CONTENT_UU = 1 << 3,
    CONTENT_YENC = 1 << 4,
    CONTENT_BINHEX = 1 << 5,
    CONTENT_UNKNOWN = 1 << 6, /* a name that is none of these */
};

enum content_disposition {       /* a set */
    CONTENT_ATTACHMENT = 1 << 0, /* and any unknown word (RFC 2183 2.8) */
    CONTENT_INLINE = 1 << 1,
};

enum content_kind {                       /* a set, of all types that the part may have */
    CONTENT_KIND_TEXT = 1 << 0,           /* text/..., or no type at all */
    CONTENT_KIND_HTML = 1 << 1,           /* text/html, application/xhtml+xml */
    CONTENT_KIND_MULTIPART = 1 << 2,      /* multipart/... */
    CONTENT_KIND_DIGEST = 1 << 3,         /* its parts are messages unless they say otherwise */
    CONTENT_KIND_RELATED = 1 << 4,        /* multipart/related */
    CONTENT_KIND_ALTERNATIVE = 1 << 5,    /* multipart/alternative */
    CONTENT_KIND_MESSAGE = 1 << 6,        /* message/rfc822, message/global, message/news */
    CONTENT_KIND_PARTIAL = 1 << 7,        /* message/partial (MIME-09) */
    CONTENT_KIND_EXTERNAL = 1 << 8,       /* message/external-body (MIME-10) */
    CONTENT_KIND_REPORT = 1 << 9,         /* multipart/report and the types that stand in it */
    CONTENT_KIND_CALENDAR = 1 << 10,      /* text/calendar, application/ics */
    CONTENT_KIND_SIGNED = 1 << 11,        /* multipart/signed: its bytes must not change */
    CONTENT_KIND_SIGNATURE = 1 << 12,     /* the signature in it */
    CONTENT_KIND_OPAQUE_SIGNED = 1 << 13, /* S/MIME signed-data: readable only with its ASN.1 */
    CONTENT_KIND_ENCRYPTED = 1 << 14,     /* multipart/encrypted, S/MIME enveloped, PGP/MIME */
    CONTENT_KIND_TNEF = 1 << 15,          /* application/ms-tnef, or winmail.dat */
    CONTENT_KIND_IMAGE = 1 << 16,
    CONTENT_KIND_UU = 1 << 17,     /* application/x-uuencode: the body is uuencoded text */
    CONTENT_KIND_BINHEX = 1 << 18, /* application/mac-binhex40 */
};

struct content_list {
    struct str *at;
    uint32_t count;
};

struct content_parameter {
    struct str name, value; /* name in lower case; the most usual reading of the value, raw bytes */
};

struct content {
    struct content_list types;      /* "text/html", lower case; empty: no Content-Type */
    struct content_list names;      /* file names: one line of UTF-8 each, as word_decode() gives */
    struct content_list boundaries; /* raw bytes */
    struct content_list charsets;   /* raw bytes */
    struct content_parameter *parameters; /* all of Content-Type, then of Content-Disposition */
    uint32_t parameter_count;
    struct str id;           /* Content-ID without brackets, "" if there is none */
    unsigned encodings;      /* of enum content_encoding, never empty */
    unsigned dispositions;   /* of enum content_disposition; empty: no such field */
    unsigned kinds;          /* of enum content_kind */
    unsigned doubt;          /* of enum content_doubt */
    uint32_t fields;         /* of any name */
    uint32_t content_fields; /* "Content-...": */
    bool mime_version;       /* MIME-Version is there */
};

/* `section`: the header of the part, raw, lines ending with CRLF or LF; what is no field is passed
 * over. */
void content_read(struct str section, struct arena *arena, struct content *out);

/* Value of the first parameter of that name (any case), or "". */
struct str content_parameter(const struct content *c, struct str name);

/* Is one of its types this one ("text/plain")? */
bool content_has_type(const struct content *c, struct str type);

/* The first name, or "". */
static inline struct str content_name(const struct content *c)
{
    return c->names.count ? c->names.at[0] : str_from("", 0);
}

/* For the log and the trace: words for the bits, separated by ", ". */
struct buffer;
void content_say_doubt(unsigned doubt, struct buffer *out);

#endif
