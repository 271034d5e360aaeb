/* desk.h -- what tests of storage need on the table: a directory that is gone afterwards, a
 * partition in it, mails, moves. */
#ifndef TESTS_UNIT_STORAGE_DESK_H
#define TESTS_UNIT_STORAGE_DESK_H

#include "tests/unit/harness.h"

#include "core/base/heap.h"
#include "core/base/id.h"
#include "core/base/log.h"
#include "storage/extent.h"
#include "storage/file.h"
#include "storage/partition.h"

#include <stdlib.h>
#include <unistd.h>

#ifndef DESK_ROOT
#define DESK_ROOT "/tmp" /* "/dev/shm" where many runs matter more than O_DIRECT */
#endif

enum {
    DESK_NODE = 1,
    DESK_PARTITION = 2
};

struct desk {
    char path[256];
    uint64_t segment_bytes;
    uint64_t reserve;
    uint64_t history_ms;
    uint64_t serial;
    struct partition *p;
    struct buffer errors;
};

static inline void desk_init(struct desk *d, const char *name)
{
    *d = (struct desk){.segment_bytes = 4 << 20, .history_ms = 1000ull * 3600 * 24 * 30};
    (void)snprintf(d->path, sizeof d->path, DESK_ROOT "/sekimori-%s-%d", name, (int)getpid());
    buffer_init(&d->errors, 4096);
    log_open(STDERR_FILENO, getenv("DESK_LOG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR + 1);
}

static inline bool desk_open(struct desk *d)
{
    buffer_clear(&d->errors);
    struct partition_settings s = {.directory = d->path,
                                   .number = DESK_PARTITION,
                                   .node = DESK_NODE,
                                   .segment_bytes = d->segment_bytes,
                                   .disk_reserve = d->reserve,
                                   .history_ms = d->history_ms};
    d->p = partition_open(&s, &d->errors);
    log_flush();
    if (d->p)
        d->serial = partition_report(d->p)->serial_next;
    return d->p != NULL;
}

static inline void desk_must_open(struct desk *d)
{
    if (!desk_open(d)) {
        (void)fprintf(stderr, "%.*s\n", STR_ARG(buffer_str(&d->errors)));
        abort();
    }
}

static inline void desk_wipe(struct desk *d)
{
    char command[512];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", d->path);
    if (system(command))
        (void)fprintf(stderr, "%s stays\n", d->path);
}

static inline void desk_drop(struct desk *d)
{
    partition_stop(&d->p);
    desk_wipe(d);
    buffer_drop(&d->errors);
    log_flush();
}

/* A message with `recipients`, all WAITING until `due_ms`. */
static inline struct message *desk_message(struct desk *d, uint32_t recipients, uint64_t due_ms)
{
    struct message *m = message_make(1 << 24);
    m->id = id_make(DESK_NODE, DESK_PARTITION, d->serial++);
    m->accepted_ms = 1700000000000ull;
    m->sender = STR("taro@int.example");
    m->organisation = STR("demo");
    m->subject = STR("\xe8\xa6\x8b\xe7\xa9\x8d");
    m->message_id = STR("<1@int.example>");
    m->token = arena_copy(&m->arena, str_c(id_text(m->id).at));
    m->recipients = arena_take(&m->arena, recipients * sizeof *m->recipients);
    m->recipient_count = recipients;
    for (uint32_t i = 0; i < recipients; i++) {
        char address[64];
        int n = snprintf(address, sizeof address, "r%u@ext.example", i);
        m->recipients[i] =
            (struct recipient){.address = arena_copy(&m->arena, str_from(address, (size_t)n)),
                               .class = CLASS_EXTERNAL,
                               .stage = STAGE_WAITING,
                               .due_ms = due_ms,
                               .release_ms = due_ms};
    }
    return m;
}

/* The bytes of its body can be told from the id. */
static inline char desk_byte(uint64_t id, size_t i)
{
    return (char)('a' + (id * 7 + i * 13 + i / 97) % 26);
}

static inline char *desk_body(struct message *m, size_t bytes)
{
    char *body = heap_take(bytes);
    for (size_t i = 0; i < bytes; i++)
        body[i] = desk_byte(m->id, i);
    m->body_inline = true;
    m->body_bytes = bytes;
    return body;
}

static inline struct unit *desk_accept(struct desk *d, uint32_t recipients, size_t body_bytes,
                                       uint64_t due_ms, uint64_t *id)
{
    struct unit *u = unit_make();
    struct message *m = desk_message(d, recipients, due_ms);
    *id = m->id;
    char *body = desk_body(m, body_bytes);
    if (!unit_accept(u, m, body, body_bytes))
        abort();
    return u;
}

static inline enum commit_result desk_commit(struct desk *d, struct unit *u)
{
    partition_commit(d->p, u);
    enum commit_result result = u->result;
    unit_drop(&u);
    return result;
}

/* 0 when it was not accepted. */
static inline uint64_t desk_mail(struct desk *d, uint32_t recipients, size_t body_bytes,
                                 uint64_t due_ms)
{
    uint64_t id;
    struct unit *u = desk_accept(d, recipients, body_bytes, due_ms, &id);
    return desk_commit(d, u) == COMMIT_SYNCED ? id : 0;
}

static inline struct move *desk_move_in(struct unit *u, uint64_t id, uint32_t recipient,
                                        enum stage to, uint64_t due_ms)
{
    struct move *m = unit_move(u);
    *m = (struct move){.id = id, .recipient = recipient, .to = to, .due_ms = due_ms};
    return m;
}

static inline enum commit_result desk_move(struct desk *d, uint64_t id, uint32_t recipient,
                                           enum stage to, uint64_t due_ms)
{
    struct unit *u = unit_make();
    (void)desk_move_in(u, id, recipient, to, due_ms);
    return desk_commit(d, u);
}

/* Sent and delivered, recipient by recipient. */
static inline void desk_deliver(struct desk *d, uint64_t id, uint32_t recipients)
{
    struct unit *u = unit_make();
    for (uint32_t i = 0; i < recipients; i++)
        (void)desk_move_in(u, id, i, STAGE_SENDING, 0);
    for (uint32_t i = 0; i < recipients; i++)
        desk_move_in(u, id, i, STAGE_DELIVERED, 0)->last = STR("250 2.0.0 ok");
    if (desk_commit(d, u) != COMMIT_SYNCED)
        abort();
}

static inline enum stage desk_stage(struct desk *d, uint64_t id, uint32_t recipient)
{
    struct message *m = view_get(d->p, id);
    enum stage s = m && recipient < m->recipient_count ? m->recipients[recipient].stage : STAGES;
    message_drop(&m);
    return s;
}

/* Read the body as an outbox would; false: damaged. */
static inline bool desk_read(struct desk *d, const struct message *m)
{
    struct body_reader r;
    body_reader_init(&r, m);
    char *raw = heap_take_aligned(LIMIT_BLOCK_BYTES, BODY_READ_BYTES);
    uint32_t segment;
    uint64_t offset;
    size_t length, got, at = 0;
    bool good = true;
    while (good && body_reader_next(&r, &segment, &offset, &length)) {
        struct str payload = STR("");
        good = file_read(partition_fd(d->p, segment), raw, length, offset, &got) == 0 &&
               body_reader_take(&r, str_from(raw, got), &payload) == BODY_OK;
        for (size_t i = 0; good && i < payload.len; i++)
            good = payload.at[i] == desk_byte(m->id, at++);
    }
    heap_drop(raw);
    return good && body_reader_is_done(&r);
}

/* What a crash leaves: synced is what was written, the index's memory is lost. */
static inline void crash_copy(const struct desk *from, const char *to)
{
    char command[1024];
    (void)snprintf(command, sizeof command, "rm -rf '%s'; cp -a --sparse=always '%s' '%s'", to,
                   from->path, to);
    if (system(command))
        abort();
}

static inline bool desk_body_is_good(struct desk *d, uint64_t id)
{
    struct message *m = view_get(d->p, id);
    bool good = m && desk_read(d, m);
    message_drop(&m);
    return good;
}

#endif
