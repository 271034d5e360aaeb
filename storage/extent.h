/* extent.h -- how a body lies in files, and how to write and read it from any event loop: these do
 * no I/O themselves, they say what to read or write where and check what came back.
 *
 * An inline body is one BODY record in the journal (storage/journal.h). A large body is a row of
 * blocks of LIMIT_STAGING_BYTES in the extents of a grant; each block opens with a header of 64
 * bytes: magic, message id, generation of the segment, number of the block, payload length, CRC-32C
 * of header and payload.
 *
 * Thread   one owner each.
 * Memory   buffers are the caller's: LIMIT_STAGING_BYTES (+ LIMIT_BLOCK_BYTES for reads), aligned
 *          to LIMIT_BLOCK_BYTES.
 * Errors   BODY_DAMAGED: a checksum, id or generation is not what it should be: never send it.
 */
#ifndef STORAGE_EXTENT_H
#define STORAGE_EXTENT_H

#include "storage/partition.h"

enum {
    BODY_BLOCK_HEADER_BYTES = 64,
    BODY_BLOCK_PAYLOAD = LIMIT_STAGING_BYTES - 64,
    BODY_READ_BYTES = LIMIT_INLINE_BYTES + 3 * LIMIT_BLOCK_BYTES
};

/* Make a block in place: payload lies at buffer + BODY_BLOCK_HEADER_BYTES, `payload` bytes long;
 * the header is filled and the rest up to the next LIMIT_BLOCK_BYTES zeroed. Returns the bytes to
 * write. */
size_t body_block_finish(char *buffer, size_t payload, uint64_t id, uint32_t generation,
                         uint32_t number);

/* Where block `number` of a grant goes. */
struct body_place {
    uint32_t segment;
    uint64_t offset;
};
struct body_place body_block_place(const struct grant *g, uint32_t number);

/* How many extents a body of `bytes` needs. */
uint32_t body_extents(uint64_t bytes);

/* Copy the used extents of a grant into the message (m->extents) once all blocks are written. */
NODISCARD bool body_settle(struct message *m, const struct grant *g, uint64_t body_bytes);

enum body_status {
    BODY_OK,
    BODY_DAMAGED
};

struct body_reader {
    const struct message *message;
    uint32_t next; /* block */
    uint64_t done; /* payload bytes already given out */
};

void body_reader_init(struct body_reader *r, const struct message *m);

/* What to read next: false at the end of the body, or when its place makes no sense: ask
 * body_reader_is_done(), which is false then. `length` is at most BODY_READ_BYTES. */
bool body_reader_next(const struct body_reader *r, uint32_t *segment, uint64_t *offset,
                      size_t *length);

bool body_reader_is_done(const struct body_reader *r);

/* The bytes asked for have arrived: check them and give the payload that lies in them. */
NODISCARD enum body_status body_reader_take(struct body_reader *r, struct str raw,
                                            struct str *payload);

#endif
