#include "storage/unit.h"
#include "core/base/base.h"
#include "core/base/heap.h"
#include "storage/inside.h"

enum {
    UNIT_BYTES_MAX = 64 << 20
};

struct unit *unit_make(void)
{
    struct unit *u = heap_try(sizeof *u);
    if (!u)
        return NULL;
    *u = (struct unit){0};
    arena_init(&u->arena, UNIT_BYTES_MAX);
    buffer_init(&u->extra, LIMIT_RECORD_BYTES);
    return u;
}

void unit_drop(struct unit **u_p)
{
    struct unit *u = *u_p;
    if (!u)
        return;
    for (uint32_t i = 0; i < u->accept_count; i++) {
        message_drop(&u->accept[i]);
        heap_drop((void *)(uintptr_t)u->body[i].at);
    }
    buffer_drop(&u->extra);
    arena_drop(&u->arena);
    heap_drop(u);
    *u_p = NULL;
}

/* The array, with room for one more: sizes are powers of two. NULL: no memory. */
static void *grown(struct arena *a, void *array, uint32_t count, size_t element)
{
    if (count && (count & (count - 1)))
        return array;
    void *larger = arena_take(a, (count ? (size_t)count * 2 : 1) * element);
    if (larger && count)
        memcpy(larger, array, count * element);
    return larger;
}

bool unit_accept(struct unit *u, struct message *m, char *body, size_t body_bytes)
{
    struct message **accept = grown(&u->arena, u->accept, u->accept_count, sizeof(void *));
    struct str *bodies = grown(&u->arena, u->body, u->accept_count, sizeof *bodies);
    if (!accept || !bodies)
        return false;
    u->accept = accept;
    u->body = bodies;
    u->accept[u->accept_count] = m;
    u->body[u->accept_count++] = str_from(body, body_bytes);
    return true;
}

struct move *unit_move(struct unit *u)
{
    struct move *moves = grown(&u->arena, u->moves, u->move_count, sizeof *moves);
    if (!moves)
        return NULL;
    u->moves = moves;
    u->moves[u->move_count] = (struct move){0};
    return &u->moves[u->move_count++];
}

/* Open an extra record; its payload follows, then extra_end(). */
static size_t extra_start(struct unit *u, enum record_type type, uint64_t id)
{
    buffer_put8(&u->extra, (uint8_t)type);
    buffer_put64(&u->extra, id);
    buffer_put32(&u->extra, 0);
    return u->extra.len;
}

static void extra_end(struct unit *u, size_t start)
{
    if (!u->extra.full)
        store32(u->extra.at + start - 4, (uint32_t)(u->extra.len - start));
}

void unit_add_document(struct unit *u, struct str key, struct str value)
{
    size_t start = extra_start(u, RECORD_DOCUMENT, 0);
    buffer_put_bytes32(&u->extra, key);
    buffer_put_bytes32(&u->extra, value);
    extra_end(u, start);
}

void unit_add_note(struct unit *u, uint64_t id, struct str text)
{
    size_t start = extra_start(u, RECORD_NOTE, id);
    buffer_put(&u->extra, text);
    extra_end(u, start);
}

void unit_add_decide(struct unit *u, const struct decision *d)
{
    size_t start = extra_start(u, RECORD_DECIDE, d->id);
    decision_encode(d, &u->extra);
    extra_end(u, start);
}

bool unit_extra_next(struct str *in, struct extra *out)
{
    uint8_t type;
    if (!take8(in, &type) || !take64(in, &out->id) || !take_bytes32(in, &out->payload))
        return false;
    out->type = (enum record_type)type;
    return true;
}

void decision_encode(const struct decision *d, struct buffer *out)
{
    buffer_put32(out, d->recipient);
    buffer_put32(out, d->revision);
    buffer_put8(out, (uint8_t)d->form);
    buffer_put8(out, (uint8_t)d->stage);
    buffer_put64(out, d->due_ms);
    buffer_put_bytes32(out, d->rule);
    buffer_put_bytes32(out, d->sealed);
}

bool decision_decode(uint64_t id, struct str in, struct decision *out)
{
    uint8_t form, stage;
    *out = (struct decision){.id = id};
    if (!take32(&in, &out->recipient) || !take32(&in, &out->revision) || !take8(&in, &form) ||
        !take8(&in, &stage) || !take64(&in, &out->due_ms) || !take_bytes32(&in, &out->rule) ||
        !take_bytes32(&in, &out->sealed) || form > FORM_LINK || stage >= STAGES)
        return false;
    out->form = (enum form)form;
    out->stage = (enum stage)stage;
    return true;
}

void move_encode(uint32_t recipient, const struct recipient_state *to, struct str last,
                 struct buffer *out)
{
    buffer_put32(out, recipient);
    buffer_put8(out, (uint8_t)to->stage);
    buffer_put32(out, to->flags);
    buffer_put32(out, to->attempts);
    buffer_put32(out, to->revision);
    buffer_put64(out, to->due_ms);
    buffer_put_bytes32(out, last);
}

bool move_decode(struct str in, uint32_t *recipient, struct recipient_state *to, struct str *last)
{
    uint8_t stage;
    if (!take32(&in, recipient) || !take8(&in, &stage) || !take32(&in, &to->flags) ||
        !take32(&in, &to->attempts) || !take32(&in, &to->revision) || !take64(&in, &to->due_ms) ||
        !take_bytes32(&in, last) || stage >= STAGES)
        return false;
    to->stage = (enum stage)stage;
    return true;
}

static void encode_lines(const struct message *m, struct buffer *out)
{
    uint32_t lines = 0;
    for (uint32_t i = 0; i < m->recipient_count; i++)
        lines += m->recipients[i].last.len > 0;
    buffer_put32(out, lines);
    for (uint32_t i = 0; lines && i < m->recipient_count; i++)
        if (m->recipients[i].last.len) {
            buffer_put32(out, i);
            buffer_put_bytes32(out, m->recipients[i].last);
        }
}

void accept_encode(const struct message *m, uint64_t body_offset, struct buffer *out)
{
    buffer_put64(out, body_offset);
    buffer_put32(out, 0);
    size_t start = out->len;
    message_encode(m, out);
    if (!out->full)
        store32(out->at + start - 4, (uint32_t)(out->len - start));
    size_t states = out->len;
    buffer_put32(out, 0);
    message_encode_states(m, out);
    if (!out->full)
        store32(out->at + states, (uint32_t)(out->len - states - 4));
    encode_lines(m, out);
}

bool accept_decode(struct str in, struct accept *out)
{
    uint32_t lines;
    if (!take64(&in, &out->body_offset) || !take_bytes32(&in, &out->message) ||
        !take_bytes32(&in, &out->states) || !take32(&in, &lines))
        return false;
    out->lines = in;
    return true;
}

bool accept_line(struct str *in, uint32_t *recipient, struct str *line)
{
    return take32(in, recipient) && take_bytes32(in, line);
}
