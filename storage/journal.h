/* journal.h -- the format of the journal, and the code that writes and reads groups in memory. The
 * format itself is specified at the top of journal.c.
 *
 * Thread   one owner each; no I/O.
 * Errors   group_check() and record_take() tell what is wrong; they believe nothing they read.
 */
#ifndef STORAGE_JOURNAL_H
#define STORAGE_JOURNAL_H

#include "core/base/buffer.h"
#include "core/base/limit.h"

enum record_type {
#define RECORD(name, number, meaning) RECORD_##name = (number),
#include "storage/record.def"
#undef RECORD
};

enum {
    GROUP_HEADER_BYTES = 64,
    RECORD_HEADER_BYTES = 32,
    RECORD_ALIGNMENT = 8,
    DIRECTORY_ENTRY_BYTES = 16,
    GROUP_BYTES_MAX = LIMIT_GROUP_BYTES,
};

/* Where a group lies and what it must continue. */
struct journal_place {
    uint32_t segment, generation;
    uint64_t offset;
    uint64_t sequence;
    uint32_t previous;  /* checksum of the group before */
    uint32_t partition; /* node and number, as in ids */
    uint64_t stamp;     /* secret of the partition: a mail can't hold what looks like a record */
};

static inline size_t record_bytes(size_t payload)
{
    return (RECORD_HEADER_BYTES + payload + RECORD_ALIGNMENT - 1) & ~(size_t)(RECORD_ALIGNMENT - 1);
}

/* --- writing -------------------------------------------------------------------------------- */

struct group {
    struct journal_place place;
    char *at;     /* aligned to LIMIT_BLOCK_BYTES */
    size_t limit; /* bytes that this group may have when closed */
    size_t used;
    uint32_t records;
    struct buffer directory;
};

struct group_mark {
    size_t used;
    uint32_t records;
};

void group_open(struct group *g, const struct journal_place *place, size_t limit);

static inline struct group_mark group_mark(const struct group *g)
{
    return (struct group_mark){g->used, g->records};
}

void group_rewind(struct group *g, struct group_mark mark);

/* Append a record of two pieces. False: it does not fit. `*offset` is where it lies in the file. */
NODISCARD bool group_add(struct group *g, enum record_type type, uint64_t id, struct str head,
                         struct str tail, uint64_t *offset);

/* Directory, header and padding. Returns bytes to write, a multiple of LIMIT_BLOCK_BYTES;
 * `*checksum` is what the next group names as `previous`. */
size_t group_close(struct group *g, uint64_t wall_ms, uint32_t *checksum);

/* --- reading -------------------------------------------------------------------------------- */

struct group_header {
    struct journal_place place;
    uint32_t length; /* of the records, behind the header */
    uint32_t records;
    uint32_t records_checksum;
    uint64_t wall_ms;
    uint32_t checksum;
};

/* Is there an intact header at the start of `raw`? Nothing is said about its records. */
NODISCARD bool group_header_read(struct str raw, struct group_header *h);

static inline size_t group_bytes(const struct group_header *h)
{
    return ((size_t)GROUP_HEADER_BYTES + h->length + LIMIT_BLOCK_BYTES - 1) &
           ~(size_t)(LIMIT_BLOCK_BYTES - 1);
}

struct record {
    enum record_type type;
    uint64_t id;
    uint64_t offset; /* in the file */
    uint32_t checksum;
    struct str payload;
};

enum record_status {
    RECORD_OK,
    RECORD_END,
    RECORD_BROKEN
};

/* Take the record at the front of `in`, which lies at `*offset` in the file; both move on. Of
 * `place` generation and stamp count. Broken: nothing is taken. */
NODISCARD enum record_status record_take(struct str *in, const struct journal_place *place,
                                         uint64_t *offset, struct record *out);

/* Whose record began here, though its checksum is wrong? False: nothing that looks like one. For
 * telling people only: nothing else of it can be believed. */
NODISCARD bool record_name(struct str in, const struct journal_place *place, uint64_t *id);

/* Are all records of a group intact? `raw` is the group from its header on. */
NODISCARD bool group_check(struct str raw, const struct group_header *h, uint64_t stamp);

/* Entry `i` of a DIRECTORY record: where a record of the group began (from the group's start), and
 * what it was. */
struct directory_entry {
    uint32_t offset;
    enum record_type type;
    uint64_t id;
};

NODISCARD bool directory_entry(struct str payload, uint32_t i, struct directory_entry *out);

const char *record_type_name(enum record_type t);

#endif
