/* state.c -- 'M' and 'S' values of the index. Version 1, frozen; integers are big-endian.
 *
 *   'M'  version:1 segment:4 generation:4 offset:8 body_offset:8 bytes:4 body_bytes:8
 *        checksum:4 of the rest, the message (core/mail/envelope.c)
 *   'S'  version:1 flags:4 segment:4 generation:4 bytes:4 finished_ms:8 checksum:4 of the rest,
 *   states
 *
 * The checksums are our own because a value is kept in memory tables and caches, where the library
 * does not check it. */
#include "storage/state.h"

#include "core/base/base.h"
#include "core/base/crc.h"
#include "core/base/limit.h"
#include "core/base/map.h"
#include "core/mail/lane.h"

enum {
    VERSION = 1,
    ARENA_BYTES_MAX = 512 << 20
};

void states_init(struct states *s, struct index *ix)
{
    s->index = ix;
    arena_init(&s->arena, ARENA_BYTES_MAX);
    buffer_init(&s->value, (size_t)LIMIT_RECORD_BYTES * 2);
}

void states_drop(struct states *s)
{
    arena_drop(&s->arena);
    buffer_drop(&s->value);
}

static size_t bucket_of(uint64_t id)
{
    return (size_t)(id * 0x9e3779b97f4a7c15ull >> 52) % STATE_BUCKETS;
}

void states_clear(struct states *s)
{
    for (struct state *i = s->first; i; i = i->next)
        s->bucket[bucket_of(i->id)] = NULL;
    s->first = s->last = NULL;
    s->count = 0;
    arena_reset(&s->arena);
}

static struct state *insert(struct states *s, uint64_t id)
{
    struct state *n = arena_take(&s->arena, sizeof *n);
    must(n != NULL);
    n->id = id;
    n->chain = s->bucket[bucket_of(id)];
    s->bucket[bucket_of(id)] = n;
    if (s->last)
        s->last->next = n;
    else
        s->first = n;
    s->last = n;
    s->count++;
    return n;
}

static bool read_state(struct states *s, struct state *n)
{
    struct state_value v;
    if (!state_value_read(buffer_str(&s->value), &v) || !states_count(v.states, &n->count))
        return false;
    n->recipient = arena_take(&s->arena, n->count * sizeof *n->recipient);
    must(n->recipient != NULL);
    if (!states_decode(v.states, n->recipient, n->count))
        return false;
    n->flags = v.flags;
    n->segment = v.segment;
    n->generation = v.generation;
    n->bytes = v.bytes;
    n->finished_ms = v.finished_ms;
    n->was_final = state_is_final(n);
    n->was_sending = state_is_sending(n);
    n->was_due_ms = states_due_ms(n->recipient, n->count);
    n->was_open = state_open(n);
    return true;
}

struct state *states_find(const struct states *s, uint64_t id)
{
    for (struct state *i = s->bucket[bucket_of(id)]; i; i = i->chain)
        if (i->id == id)
            return i;
    return NULL;
}

struct state *state_get(struct states *s, uint64_t id)
{
    struct state *n = states_find(s, id);
    if (n)
        return n;
    n = insert(s, id);
    buffer_clear(&s->value);
    struct key key = key_64(KEY_STATES, id);
    switch (index_get(s->index, key_str(&key), &s->value)) {
    case INDEX_FOUND:
        n->is = read_state(s, n) ? STATE_KNOWN : STATE_UNREADABLE;
        if (n->is == STATE_UNREADABLE)
            index_suspect(s->index);
        break;
    case INDEX_ABSENT:
        n->is = STATE_ABSENT;
        break;
    case INDEX_BROKEN:
        n->is = STATE_UNREADABLE;
        break;
    }
    return n;
}

struct state *state_accept(struct states *s, const struct message *m, struct str encoded,
                           const struct placement *place)
{
    struct state *n = insert(s, m->id);
    n->is = STATE_KNOWN;
    n->dirty = n->fresh = n->moved = true;
    n->was_due_ms = UINT64_MAX;
    n->flags = lane_of(m) << STATE_LANE_SHIFT | (m->body_inline ? 0u : STATE_LARGE);
    n->count = m->recipient_count;
    n->recipient = arena_take(&s->arena, n->count * sizeof *n->recipient);
    must(n->recipient != NULL);
    for (uint32_t i = 0; i < n->count; i++)
        n->recipient[i] = recipient_state(&m->recipients[i]);
    n->place = *place;
    n->segment = place->segment;
    n->generation = place->generation;
    n->bytes = place->bytes;
    n->message = encoded;
    /* copies: the unit's owner has its answer, and may be done with it, before the index has this
     * */
    n->sender = arena_copy(&s->arena, m->sender);
    n->token = arena_copy(&s->arena, m->token);
    must(n->sender.at && n->token.at);
    n->body_bytes = m->body_bytes;
    n->accepted_ms = m->accepted_ms;
    if (!m->body_inline) {
        n->extents = m->extent_count;
        n->extent = arena_take(&s->arena, n->extents * sizeof *n->extent);
        must(n->extent != NULL);
        for (uint32_t i = 0; i < n->extents; i++)
            n->extent[i] = m->extents[i];
    }
    return n;
}

bool state_is_final(const struct state *s)
{
    return state_open(s) == 0;
}

bool state_is_sending(const struct state *s)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (s->recipient[i].stage == STAGE_SENDING)
            return true;
    return false;
}

uint32_t state_open(const struct state *s)
{
    uint32_t open = 0;
    for (uint32_t i = 0; i < s->count; i++)
        open += !stage_is_final(s->recipient[i].stage);
    return open;
}

/* The checksum goes before what it covers, and covers what is before it too. */
static void seal(struct buffer *out, size_t checksum_at)
{
    if (out->full)
        return;
    uint32_t crc = crc32c(0, str_from(out->at, checksum_at));
    crc = crc32c(crc, str_skip(buffer_str(out), checksum_at + 4));
    store32(out->at + checksum_at, crc);
}

static bool sealed(struct str value, size_t checksum_at)
{
    if (value.len < checksum_at + 4 || value.at[0] != VERSION)
        return false;
    uint32_t crc = crc32c(0, str_head(value, checksum_at));
    crc = crc32c(crc, str_skip(value, checksum_at + 4));
    return crc == load32(value.at + checksum_at);
}

enum {
    MESSAGE_CHECKSUM_AT = 37,
    STATE_CHECKSUM_AT = 25
};

void state_encode_message(const struct state *s, struct buffer *out)
{
    buffer_put8(out, VERSION);
    buffer_put32(out, s->place.segment);
    buffer_put32(out, s->place.generation);
    buffer_put64(out, s->place.offset);
    buffer_put64(out, s->place.body_offset);
    buffer_put32(out, s->place.bytes);
    buffer_put64(out, s->body_bytes);
    buffer_put32(out, 0);
    buffer_put(out, s->message);
    seal(out, MESSAGE_CHECKSUM_AT);
}

bool message_value_read(struct str value, struct message_value *out)
{
    if (!sealed(value, MESSAGE_CHECKSUM_AT))
        return false;
    const char *at = value.at + 1;
    out->place = (struct placement){.segment = load32(at),
                                    .generation = load32(at + 4),
                                    .offset = load64(at + 8),
                                    .body_offset = load64(at + 16),
                                    .bytes = load32(at + 24)};
    out->body_bytes = load64(at + 28);
    out->message = str_skip(value, MESSAGE_CHECKSUM_AT + 4);
    return true;
}

void state_encode(const struct state *s, struct buffer *out)
{
    buffer_put8(out, VERSION);
    buffer_put32(out, s->flags);
    buffer_put32(out, s->segment);
    buffer_put32(out, s->generation);
    buffer_put32(out, s->bytes);
    buffer_put64(out, s->finished_ms);
    buffer_put32(out, 0);
    states_encode(s->recipient, s->count, out);
    seal(out, STATE_CHECKSUM_AT);
}

bool state_value_read(struct str value, struct state_value *out)
{
    if (!sealed(value, STATE_CHECKSUM_AT))
        return false;
    const char *at = value.at + 1;
    *out = (struct state_value){.flags = load32(at),
                                .segment = load32(at + 4),
                                .generation = load32(at + 8),
                                .bytes = load32(at + 12),
                                .finished_ms = load64(at + 16),
                                .states = str_skip(value, STATE_CHECKSUM_AT + 4)};
    return true;
}

uint64_t sender_hash(struct str sender)
{
    return hash_bytes(sender, 0);
}
