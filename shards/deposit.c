#include "shards/deposit.h"

#include "core/base/heap.h"
#include "core/base/log.h"

#include <errno.h>

enum {
    EXTENTS_FIRST = 4,
    SPILL_BYTES_MAX = 1 << 20
};

struct staging {
    struct deposit *deposit;
    struct op write;
    char *at;
    size_t payload, bytes;
    uint32_t number; /* of the block */
    bool writing;
};

struct deposit {
    struct shard *shard;
    struct shard_partition *partition;
    uint64_t id, expected, bytes;
    struct buffer start; /* the body while it is inline */
    struct buffer spill; /* what came while both buffers were being written */
    struct grant *grant;
    struct staging staging[2];
    uint32_t filling, blocks;
    bool streaming, asking, finishing, finished, orphan, kept;
    enum deposit_status trouble; /* DEPOSIT_OK: none */
    void (*ready)(void *owner);
    void *owner;
};

static void move_spill(struct deposit *d);

struct deposit *deposit_make(struct shard *s, struct shard_partition *p, uint64_t id,
                             uint64_t expected, void (*ready)(void *owner), void *owner)
{
    struct deposit *d = heap_take(sizeof *d);
    *d = (struct deposit){.shard = s,
                          .partition = p,
                          .id = id,
                          .expected = expected,
                          .ready = ready,
                          .owner = owner};
    buffer_init(&d->start, LIMIT_INLINE_BYTES);
    buffer_init(&d->spill, LIMIT_INLINE_BYTES + SPILL_BYTES_MAX);
    for (size_t i = 0; i < countof(d->staging); i++)
        d->staging[i].deposit = d;
    return d;
}

static bool is_writing(const struct deposit *d)
{
    return d->staging[0].writing || d->staging[1].writing;
}

/* Used extents stay with the committed mail; the rest, or all, goes back to the keeper. */
static void give_back(struct deposit *d)
{
    struct grant *g = d->grant;
    if (!g)
        return;
    uint32_t used = d->kept ? body_extents(d->bytes) : 0;
    if (used < g->count) {
        memmove(g->extent, g->extent + used, (g->count - used) * sizeof g->extent[0]);
        g->count -= used;
        struct cell c = {.kind = CELL_REVOKE, .object = g};
        ring_put(d->partition->ask, &c);
    } else {
        heap_drop(g);
    }
    d->grant = NULL;
}

static void free_deposit(struct deposit *d)
{
    give_back(d);
    for (size_t i = 0; i < countof(d->staging); i++)
        heap_drop(d->staging[i].at);
    buffer_drop(&d->start);
    buffer_drop(&d->spill);
    heap_drop(d);
}

static bool is_busy(const struct deposit *d)
{
    return is_writing(d) || d->asking;
}

void deposit_drop(struct deposit **d_p)
{
    struct deposit *d = *d_p;
    *d_p = NULL;
    if (!d)
        return;
    if (is_busy(d))
        d->orphan = true;
    else
        free_deposit(d);
}

/* After anything that was waited for. */
static void go_on(struct deposit *d)
{
    if (d->orphan) {
        if (!is_busy(d))
            free_deposit(d);
        return;
    }
    if (d->trouble == DEPOSIT_OK)
        move_spill(d);
    d->ready(d->owner);
}

static void granted(struct waiter *w, const struct cell *answer)
{
    struct deposit *d = w->owner;
    struct grant *more = answer->object;
    d->asking = false;
    if (!more) {
        d->trouble = DEPOSIT_FULL;
    } else if (!d->grant) {
        d->grant = more;
    } else {
        uint32_t count = d->grant->count + more->count;
        struct grant *all = heap_grow(d->grant, sizeof *all + count * sizeof all->extent[0]);
        must(all != NULL);
        memcpy(all->extent + all->count, more->extent, more->count * sizeof more->extent[0]);
        all->count = count;
        d->grant = all;
        heap_drop(more);
    }
    go_on(d);
}

static void ask_for_extents(struct deposit *d)
{
    uint32_t have = d->grant ? d->grant->count : 0;
    uint32_t want = have ? have : EXTENTS_FIRST;
    if (!have && d->expected > d->bytes)
        want = body_extents(d->expected);
    struct cell c = {.kind = CELL_GRANT, .a = want};
    if (shard_ask(d->shard, d->partition->ask, &c, granted, d))
        d->asking = true;
    else
        d->trouble = DEPOSIT_FULL;
}

static bool has_place(const struct deposit *d, uint32_t number)
{
    return d->grant && number < d->grant->count * (LIMIT_EXTENT_BYTES / LIMIT_STAGING_BYTES);
}

static void written(struct op *op)
{
    struct staging *s = owner_of(op, struct staging, write);
    struct deposit *d = s->deposit;
    s->writing = false;
    s->payload = 0;
    if (op->result != (int32_t)s->bytes) {
        d->trouble = op->result == -ENOSPC ? DEPOSIT_FULL : DEPOSIT_FAILED;
        log_error("body_write_failed", log_id("id", d->id), log_errno("error", op->result));
    }
    go_on(d);
}

static void write_block(struct deposit *d, struct staging *s)
{
    struct body_place place = body_block_place(d->grant, s->number);
    uint32_t extent = s->number / (LIMIT_EXTENT_BYTES / LIMIT_STAGING_BYTES);
    size_t bytes =
        body_block_finish(s->at, s->payload, d->id, d->grant->extent[extent].generation, s->number);
    int fd = partition_fd(d->partition->partition, place.segment);
    if (fd < 0) {
        d->trouble = DEPOSIT_FAILED;
        return;
    }
    s->bytes = bytes;
    s->writing = true;
    s->write.done = written;
    loop_write(d->shard->loop, &s->write, fd, s->at, bytes, place.offset);
}

/* Fill the staging buffers from `in`; what finds no room stays in it. */
static void stage(struct deposit *d, struct str *in)
{
    while (d->trouble == DEPOSIT_OK) {
        struct staging *s = &d->staging[d->filling];
        if (s->writing)
            return;
        if (!s->at)
            s->at = heap_take_aligned(LIMIT_BLOCK_BYTES, LIMIT_STAGING_BYTES);
        size_t len = size_min(in->len, BODY_BLOCK_PAYLOAD - s->payload);
        if (len)
            memcpy(s->at + BODY_BLOCK_HEADER_BYTES + s->payload, in->at, len);
        s->payload += len;
        *in = str_skip(*in, len);
        bool last = d->finishing && in->len == 0 && s->payload > 0;
        if (s->payload < BODY_BLOCK_PAYLOAD && !last)
            return;
        s->number = d->blocks;
        if (!has_place(d, s->number)) {
            if (!d->asking)
                ask_for_extents(d);
            return;
        }
        d->blocks++;
        d->filling ^= 1;
        write_block(d, s);
    }
}

static void move_spill(struct deposit *d)
{
    if (!d->streaming)
        return;
    struct str in = buffer_str(&d->spill);
    size_t before = in.len;
    stage(d, &in);
    buffer_consume(&d->spill, before - in.len);
    if (d->spill.len == 0)
        buffer_drop(&d->spill);
}

static enum deposit_status status(const struct deposit *d)
{
    if (d->trouble != DEPOSIT_OK)
        return d->trouble;
    return d->spill.len || d->asking ? DEPOSIT_WAIT : DEPOSIT_OK;
}

static void start_streaming(struct deposit *d)
{
    struct str in = buffer_str(&d->start);
    d->streaming = true;
    ask_for_extents(d);
    stage(d, &in);
    buffer_put(&d->spill, in);
    buffer_drop(&d->start);
}

enum deposit_status deposit_put(struct deposit *d, struct str run)
{
    if (d->trouble != DEPOSIT_OK)
        return d->trouble;
    if (!d->streaming) {
        bool large =
            d->expected > LIMIT_INLINE_BYTES || d->start.len + run.len > LIMIT_INLINE_BYTES;
        if (!large) {
            d->bytes += run.len;
            buffer_put(&d->start, run);
            return d->start.full ? DEPOSIT_FULL : DEPOSIT_OK;
        }
        start_streaming(d);
    }
    d->bytes += run.len;
    if (d->spill.len == 0)
        stage(d, &run);
    buffer_put(&d->spill, run);
    if (d->spill.full)
        d->trouble = DEPOSIT_FULL;
    return status(d);
}

enum deposit_status deposit_finish(struct deposit *d)
{
    if (!d->streaming || d->trouble != DEPOSIT_OK)
        return d->trouble;
    if (!d->finishing) {
        d->finishing = true;
        move_spill(d);
    }
    if (d->trouble != DEPOSIT_OK)
        return d->trouble;
    bool over = d->spill.len == 0 && d->staging[0].payload == 0 && d->staging[1].payload == 0;
    return over && !is_busy(d) ? DEPOSIT_OK : DEPOSIT_WAIT;
}

bool deposit_settle(struct deposit *d, struct message *m, char **body)
{
    m->body_bytes = d->bytes;
    m->body_inline = !d->streaming;
    *body = NULL;
    if (d->streaming)
        return body_settle(m, d->grant, d->bytes);
    *body = d->start.at ? d->start.at : heap_try(1);
    d->start.at = NULL;
    buffer_drop(&d->start);
    return *body != NULL;
}

void deposit_keep(struct deposit *d)
{
    d->kept = true;
}

size_t deposit_memory(const struct deposit *d)
{
    size_t bytes = d->start.room + d->spill.room;
    for (size_t i = 0; i < countof(d->staging); i++)
        bytes += d->staging[i].at ? LIMIT_STAGING_BYTES : 0;
    return bytes;
}

struct str deposit_inline(const struct deposit *d)
{
    return buffer_str(&d->start);
}
