/* content.h -- the bytes of one delivery, read from the disk as they are needed.
 *
 * Thread   the shard's.
 * Memory   one read buffer of what the body's next block needs (at most BODY_READ_BYTES), aligned.
 *          A content that is dropped while the kernel reads is freed when the read has come back.
 * Promise  nothing is given out whose checksum was not right.
 */
#ifndef SHARDS_CONTENT_H
#define SHARDS_CONTENT_H

#include "core/remake/remake.h"
#include "shards/shard.h"
#include "storage/extent.h"

enum content_status {
    CONTENT_PIECE,
    CONTENT_WAIT, /* being read: ready() will be called */
    CONTENT_END,
    CONTENT_DAMAGED, /* a checksum is wrong, or the disk gave an error: it can't be sent */
};

struct content;

/* Starts reading at once. The message must live until content_drop(). */
struct content *content_make(struct shard *s, const struct message *m, void (*ready)(void *owner),
                             void *owner);
NODISCARD enum content_status content_piece(struct content *c, struct str *piece);
void content_drop(struct content **c);

#endif
