/* segment.h -- the files of a partition: journal segments and body segments, their descriptors,
 * what lives in them, and which can be used next.
 *
 * Thread   the keeper (the opener before). pool_fd(): any.
 * Promise  a descriptor handed out by pool_fd() stays open for at least a minute after its segment
 *          was given up.
 */
#ifndef STORAGE_SEGMENT_H
#define STORAGE_SEGMENT_H

#include "core/base/buffer.h"

#include <stdatomic.h>

enum {
    SEGMENTS_MAX = 16384,
    GRAVES = 64,
    SEGMENT_NAME_BYTES = 24
};

enum segment_kind {
    SEGMENT_JOURNAL,
    SEGMENT_BODY
};

enum slot_use {
    SLOT_FREE,
    SLOT_GRANTED,
    SLOT_LIVE
};

/* An extent of a body segment. */
struct slot {
    uint32_t generation;
    enum slot_use use;
};

struct segment {
    uint32_t number;
    enum segment_kind kind;
    bool spare;      /* journal: free to be taken */
    bool uncopyable; /* something in it counts as live but was not found */
    bool counted;    /* its counts go into the next index batch */
    int fd;
    uint32_t generation;     /* journal: of its last use; 0: never used */
    uint64_t first_sequence; /* of its last use; 0: unknown */
    uint64_t bytes;          /* of the file when complete */
    uint64_t written;        /* zeros or more, from the start */
    uint64_t live_messages, live_bytes;
    uint32_t slots, slots_used; /* body */
    struct slot *slot;
};

struct pool {
    int directory;
    uint64_t segment_bytes;
    uint32_t generation; /* of the newest journal segment */
    uint32_t end;        /* numbers in use are below it */
    uint32_t count, spares;
    bool buffered; /* the file system refuses O_DIRECT */
    struct segment *segment[SEGMENTS_MAX];
    atomic_int fd[SEGMENTS_MAX];

    struct {
        int fd;
        uint64_t close_ms;
    } grave[GRAVES];
};

/* Find and open what is in the directory. Negative errno. */
int pool_open(struct pool *p, int directory, const char *path, uint64_t segment_bytes);
void pool_close(struct pool *p);

struct segment *pool_segment(const struct pool *p, uint32_t number); /* NULL: none */

/* A new file, made durable with its name; a spare when of the journal. NULL: `*error` says why. */
struct segment *pool_make(struct pool *p, enum segment_kind kind, int *error);

/* A spare journal segment for use under the next generation; NULL: none left. */
struct segment *pool_take(struct pool *p);
void pool_give(struct pool *p, struct segment *s); /* it holds nothing any more: spare again */
int pool_remove(struct pool *p, struct segment **s, uint64_t now_ms); /* delete the file */
void pool_bury(struct pool *p, uint64_t now_ms); /* close what was given up long ago */

/* Write the next zeros of a segment that is not complete. 0: done or nothing to do. */
int pool_zero(struct pool *p, struct segment *s, size_t bytes);

static inline int pool_fd(const struct pool *p, uint32_t number)
{
    return number < SEGMENTS_MAX ? atomic_load_explicit(&p->fd[number], memory_order_acquire) : -1;
}

void segment_name(char *out, enum segment_kind kind, uint32_t number); /* SEGMENT_NAME_BYTES */
NODISCARD bool segment_name_parse(struct str name, enum segment_kind *kind, uint32_t *number);

#endif
