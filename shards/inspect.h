/* inspect.h -- what a worker and the extractor (tools/extractor) say to each other about one file,
 * without I/O: bytes in, messages out.
 *
 * A message is type:1 length:4 payload; integers are big-endian, strings are length:4 and bytes.
 *
 *   worker -> extractor                                   one file a connection
 *     'B'  version:1 limits name* type                    BEGIN: names as declared, declared type
 *     'D'  bytes                                          DATA: the file, in pieces
 *     'E'                                                 END
 *   extractor -> worker
 *     'M'  index:4 parent:4 depth:1 flags:4 bytes:8 name type   MEMBER; 0 is the file itself
 *     'T'  member:4 form:1 charset bytes                  TEXT of a member, a piece of it
 *     'F'  member:4 flags:4 reason:1 detail               FLAG: what turned out later; flags add up
 *     'V'  verdict:1 reason:1 flags:4 detail              VERDICT: the last message
 *
 * The text of a member is its pieces in order, each decoded from its charset ("" is: guess); a
 * character may be cut only between pieces of one charset that follow each other.
 *
 * Thread   one owner.
 * Memory   a reader holds one unfinished message, at most INSPECT_MESSAGE_BYTES. What a message
 *          names is good until the next call.
 * Promise  the worker's reader believes nothing: indexes come in order, parents and texts name
 *          members that were told, members and bytes of text stay within `limits`, and one verdict
 *          ends it. READABLE stands only where no member is UNREADABLE or ENCRYPTED.
 * Errors   BROKEN: the other side does not speak this; `why` says what was wrong. For a worker that
 *          is "not inspectable".
 */
#ifndef SHARDS_INSPECT_H
#define SHARDS_INSPECT_H

#include "core/base/buffer.h"

enum {
    INSPECT_VERSION = 1,
    INSPECT_MESSAGE_BYTES = 128 << 10,
    INSPECT_PIECE_BYTES = 64 << 10, /* of a DATA or TEXT */
    INSPECT_NAMES = 16,
    INSPECT_NAME_BYTES = 4096, /* longer ones are cut, and say so */
    INSPECT_TYPE_BYTES = 255,
    INSPECT_DETAIL_BYTES = 255,
};

enum inspect_verdict {
    INSPECT_READABLE,   /* everything in it was told */
    INSPECT_ENCRYPTED,  /* it, or a part of it; what is not, was told */
    INSPECT_UNREADABLE, /* it, or a part of it: `reason` of the first */
};

enum inspect_reason {
#define REASON(name, text) INSPECT_REASON_##name,
#include "shards/inspect.def"
#undef REASON
    INSPECT_REASONS,
};

enum inspect_form {
    INSPECT_PLAIN,
    INSPECT_HTML, /* as it stands: tags and entities are the reader's business */
    INSPECT_FORMS,
};

/* Of a member, and, added up, of the verdict. */
enum inspect_flag {
    INSPECT_IS_CONTAINER = 1 << 0,
    INSPECT_IS_ENCRYPTED = 1 << 1,
    INSPECT_IS_UNREADABLE = 1 << 2,
    INSPECT_IS_OPAQUE = 1 << 3,   /* a known kind that holds no text: pictures, sound, programs */
    INSPECT_IS_LINK = 1 << 4,     /* a symbolic or hard link, or a device: nothing is in it */
    INSPECT_HIDDEN_DATA = 1 << 5, /* tracked changes, comments, hidden sheets, rows, slides, text */
    INSPECT_HAS_MACROS = 1 << 6,
    INSPECT_NAME_RAW = 1 << 7, /* the name is not UTF-8: its charset is to be guessed */
    INSPECT_NAME_ODD = 1 << 8, /* climbs, is absolute, or holds \ or control characters (ZIP-06) */
    INSPECT_NAME_CUT = 1 << 9,
    INSPECT_IS_MESSAGE = 1 << 10, /* a mail */
    INSPECT_FLAGS_END = 1 << 11,
};

struct inspect_limits {
    uint64_t bytes;    /* of the file, and of each file inside that must be kept while it is read */
    uint64_t expanded; /* of everything that is taken out of containers */
    uint64_t text;     /* bytes of TEXT */
    uint32_t members, depth;
    uint32_t ratio; /* expanded : bytes of the file, once INSPECT_RATIO_FROM came out */
    uint32_t time_ms;
};

enum {
    INSPECT_RATIO_FROM = 16 << 20
};

struct inspect_request { /* of BEGIN */
    struct inspect_limits limits;
    struct str names[INSPECT_NAMES];
    size_t name_count;
    struct str type; /* declared */
};

struct inspect_member {
    uint32_t index, parent, depth, flags;
    uint64_t bytes;        /* as its container says, or as they came; UINT64_MAX: unknown */
    struct str name, type; /* its path inside; "" of the file itself. type: the true one, or "" */
};

struct inspect_text {
    uint32_t member;
    enum inspect_form form;
    struct str charset, bytes;
};

struct inspect_flagged {
    uint32_t member, flags;
    enum inspect_reason reason;
    struct str detail;
};

struct inspect_end {
    enum inspect_verdict verdict;
    enum inspect_reason reason;
    uint32_t flags;
    struct str detail; /* for people: what, where */
};

enum inspect_event {
    INSPECT_MORE, /* all of `in` is used */
    INSPECT_BEGIN,
    INSPECT_DATA,
    INSPECT_END,
    INSPECT_MEMBER,
    INSPECT_TEXT,
    INSPECT_FLAG,
    INSPECT_VERDICT,
    INSPECT_BROKEN,
};

struct inspect_reader {
    struct buffer held; /* a message that began, until the rest comes */
    bool used;          /* `held` is the message that was told last */
    bool asks;          /* reads what a worker says; else what the extractor says */
    bool begun, over;
    const char *why; /* not NULL: broken */
    struct inspect_limits limits;
    uint32_t members, flags;
    uint64_t text;
    struct inspect_request request;
    struct inspect_member member;
    struct inspect_text piece;
    struct inspect_flagged flagged;
    struct inspect_end end;
    struct str data;
};

/* What a worker says, read by the extractor; or what the extractor says, within these limits. */
void inspect_reader_init_request(struct inspect_reader *r);
void inspect_reader_init_answer(struct inspect_reader *r, const struct inspect_limits *limits);
void inspect_reader_drop(struct inspect_reader *r);

/* Eat from the front of `in` up to the first message. */
NODISCARD enum inspect_event inspect_feed(struct inspect_reader *r, struct str *in);

/* Each appends one message. What is too long for its field is cut; pieces must not be longer than
 * INSPECT_PIECE_BYTES. */
void inspect_put_begin(struct buffer *out, const struct inspect_request *q);
void inspect_put_data(struct buffer *out, struct str bytes);
void inspect_put_end(struct buffer *out);
void inspect_put_member(struct buffer *out, const struct inspect_member *m);
void inspect_put_text(struct buffer *out, const struct inspect_text *t);
void inspect_put_flag(struct buffer *out, const struct inspect_flagged *f);
void inspect_put_verdict(struct buffer *out, const struct inspect_end *e);

const char *inspect_reason_text(enum inspect_reason r);

#endif
