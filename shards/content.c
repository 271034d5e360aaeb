#include "shards/content.h"

#include "core/base/counter.h"
#include "core/base/heap.h"
#include "core/base/log.h"

struct content {
    struct shard *shard;
    const struct message *message;
    struct body_reader reader;
    struct remake remake;
    struct op read;
    char *raw;
    size_t raw_bytes, asked;
    struct str payload; /* not yet given out */
    bool reading, orphan, damaged;
    void (*ready)(void *owner);
    void *owner;
};

static void damaged(struct content *c, const char *why)
{
    count(storage_damaged);
    log_error("body_damaged", log_id("id", c->message->id), log_str("from", c->message->sender),
              log_text("why", why));
    c->damaged = true;
}

static void take(struct content *c)
{
    if (c->read.result < 0) {
        damaged(c, strerrorname_np(-c->read.result));
        return;
    }
    struct str raw = str_from(c->raw, (size_t)c->read.result);
    if (body_reader_take(&c->reader, raw, &c->payload) != BODY_OK)
        damaged(c, "checksum");
}

static void free_content(struct content *c)
{
    heap_drop(c->raw);
    heap_drop(c);
}

static void read_done(struct op *op)
{
    struct content *c = owner_of(op, struct content, read);
    c->reading = false;
    if (c->orphan) {
        free_content(c);
        return;
    }
    take(c);
    c->ready(c->owner);
}

/* Ask for the next block. False: the body has no more. */
static bool read_next(struct content *c)
{
    uint32_t segment;
    uint64_t offset;
    size_t length;
    if (!body_reader_next(&c->reader, &segment, &offset, &length))
        return false;
    const struct shard_partition *p = shard_partition_of(c->shard, c->message->id);
    int fd = partition_fd(p->partition, segment);
    if (fd < 0) {
        damaged(c, "its segment is gone");
        return true;
    }
    if (c->raw_bytes < length) {
        heap_drop(c->raw);
        c->raw = heap_take_aligned(LIMIT_BLOCK_BYTES, length);
        c->raw_bytes = length;
    }
    c->reading = true;
    c->read.done = read_done;
    loop_read(c->shard->loop, &c->read, fd, c->raw, length, offset);
    return true;
}

struct content *content_make(struct shard *s, const struct message *m, void (*ready)(void *owner),
                             void *owner)
{
    struct content *c = heap_take(sizeof *c);
    *c = (struct content){.shard = s, .message = m, .ready = ready, .owner = owner};
    body_reader_init(&c->reader, m);
    remake_init(&c->remake, m);
    (void)read_next(c);
    return c;
}

enum content_status content_piece(struct content *c, struct str *piece)
{
    if (c->damaged)
        return CONTENT_DAMAGED;
    if (remake_piece(&c->remake, &c->payload, piece))
        return CONTENT_PIECE;
    if (c->reading)
        return CONTENT_WAIT;
    if (!read_next(c))
        return CONTENT_END;
    return c->damaged ? CONTENT_DAMAGED : CONTENT_WAIT;
}

void content_drop(struct content **c_p)
{
    struct content *c = *c_p;
    *c_p = NULL;
    if (!c)
        return;
    if (c->reading)
        c->orphan = true;
    else
        free_content(c);
}
