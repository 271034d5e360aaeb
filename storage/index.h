/* index.h -- the only door to RocksDB: ordered keys behind the journal. The keys are specified at
 * the top of index.c and frozen by number.
 *
 * Thread   index_get(), cursors: any. Writing, flushing, reopening: the keeper. Reopening waits
 *          until no get and no cursor is under way: keep cursors short.
 * Memory   values are copied into the caller's buffer; a cursor's key and value are good until the
 *          next step.
 * Promise  nothing is durable before index_flush(); what is durable is always a prefix of what was
 *          written, batch by batch.
 * Errors   INDEX_BROKEN: the library found damage or the disk failed; the reason was logged. Write
 *          errors are sticky: the caller shuts, opens and replays. index_open() says why not, in
 *          the library's words.
 */
#ifndef STORAGE_INDEX_H
#define STORAGE_INDEX_H

#include "core/base/buffer.h"

enum index_key { /* first byte of each key, frozen */
    KEY_MESSAGE = 'M',
    KEY_STATES = 'S',
    KEY_DUE = 'D',
    KEY_LINE = 'R',
    KEY_SENDER = 'U',
    KEY_FINISHED = 'F',
    KEY_DOCUMENT = 'K',
    KEY_POSITION = 'P',
    KEY_TOKEN = 'T',
    KEY_EXTENT = 'E',
    KEY_SEGMENT = 'L',
    KEY_ATTEMPT = 'A',
    KEY_DECISION = 'C',
    KEY_NOTE = 'N',
    KEY_LIVE = 'V',
};

enum {
    KEY_FIXED_BYTES = 32
};

/* A key of fixed parts. */
struct key {
    char at[KEY_FIXED_BYTES];
    size_t len;
};

static inline struct key key_start(enum index_key k)
{
    return (struct key){.at = {(char)k}, .len = 1};
}

static inline void key_put32(struct key *k, uint32_t v)
{
    store32(k->at + k->len, v);
    k->len += 4;
}

static inline void key_put64(struct key *k, uint64_t v)
{
    store64(k->at + k->len, v);
    k->len += 8;
}

static inline struct key key_64(enum index_key kind, uint64_t a)
{
    struct key k = key_start(kind);
    key_put64(&k, a);
    return k;
}

static inline struct key key_64_64(enum index_key kind, uint64_t a, uint64_t b)
{
    struct key k = key_64(kind, a);
    key_put64(&k, b);
    return k;
}

static inline struct key key_64_32(enum index_key kind, uint64_t a, uint32_t b)
{
    struct key k = key_64(kind, a);
    key_put32(&k, b);
    return k;
}

static inline struct str key_str(const struct key *k)
{
    return str_from(k->at, k->len);
}

struct index;

enum index_result {
    INDEX_FOUND,
    INDEX_ABSENT,
    INDEX_BROKEN
};

/* Once in each thread that asks much: no profiling of the library's in it. */
void index_thread_start(void);

/* The index below `path`, shut. */
struct index *index_make(const char *path);
void index_close(struct index **ix);

/* Close the library's side (readers get INDEX_BROKEN) and open it again. */
void index_shut(struct index *ix);
NODISCARD bool index_open(struct index *ix, struct buffer *error); /* made when missing */
void index_place(struct index *ix, const char *path);              /* while shut */
void index_destroy(struct index *ix);                              /* its files; while shut */

/* Did a read find damage since it was opened? Readers that find it by their own checksums say so.
 * */
bool index_is_suspect(const struct index *ix);
void index_suspect(struct index *ix);

NODISCARD enum index_result index_get(struct index *ix, struct str key, struct buffer *value);

/* The same of what is on stable storage already: how far flushes have come. */
NODISCARD enum index_result index_get_durable(struct index *ix, struct str key,
                                              struct buffer *value);

/* Changes gather in one batch, which the index owns. */
void index_put(struct index *ix, struct str key, struct str value);
void index_delete(struct index *ix, struct str key);
NODISCARD bool index_write(struct index *ix); /* all or nothing; the batch is empty afterwards */
void index_forget(struct index *ix);          /* empty the batch without writing */

/* Start a flush, or `wait` for it. */
NODISCARD bool index_flush(struct index *ix, bool wait);

struct cursor;

/* Keys in [from, until), ascending. NULL when the index is shut. */
NODISCARD struct cursor *cursor_open(struct index *ix, struct str from, struct str until);
NODISCARD enum index_result cursor_next(struct cursor *c, struct str *key, struct str *value);
void cursor_seek(struct cursor *c, struct str key); /* the next one is at or behind `key` */
void cursor_close(struct cursor **c);

#endif
