/* envelope.c -- how a message is written down. Version 1. Frozen: fields may be added at the end
 * of a message or of a recipient; readers skip what they do not know. Integers are big-endian; a
 * "text" is length:4 and its bytes.
 *
 *   message    version:1 kind:1 flags:4 parent:8 accepted_ms:8 accepted_boot_ms:8 boot:16
 *              text organisation, sender, user, client, envid, subject, message_id, token, prefix
 *              cuts:4 (offset:4 length:4)...
 *              body_bytes:8 inline:1 extents:4 (segment:4 generation:4 offset:8 length:8)...
 *              recipients:4 (text of one recipient)...
 *              text future; not in records of before there was FUTURERELEASE
 *   recipient  text address, orcpt, rule; class:1 form:1 notify:4 release_ms:8
 *   states     version:1 recipients:4 (stage:1 flags:4 attempts:4 revision:4 due_ms:8)...
 *
 * An inline body has no extents here: storage knows where it put the BODY record. */
#include "core/mail/envelope.h"

#include "core/base/base.h"
#include "core/base/heap.h"
#include "core/base/limit.h"

enum {
    VERSION = 1,
    STATE_BYTES = 1 + 4 + 4 + 4 + 8,
    CUT_BYTES = 8,
    EXTENT_BYTES = 24,
    RECIPIENT_LEAST_BYTES = 4 + 3 * 4 + 2 + 4 + 8,
};

struct message *message_make(size_t cap)
{
    struct message *m = heap_try(sizeof *m);
    if (!m)
        return NULL;
    *m = (struct message){0};
    arena_init(&m->arena, cap);
    return m;
}

void message_drop(struct message **m)
{
    if (!*m)
        return;
    arena_drop(&(*m)->arena);
    heap_drop(*m);
    *m = NULL;
}

static void encode_recipient(const struct recipient *r, struct buffer *out)
{
    size_t length = 3 * 4 + r->address.len + r->orcpt.len + r->rule.len + 2 + 4 + 8;
    buffer_put32(out, (uint32_t)length);
    buffer_put_bytes32(out, r->address);
    buffer_put_bytes32(out, r->orcpt);
    buffer_put_bytes32(out, r->rule);
    buffer_put8(out, (uint8_t)r->class);
    buffer_put8(out, (uint8_t)r->form);
    buffer_put32(out, r->notify);
    buffer_put64(out, r->release_ms);
}

static void encode_body(const struct message *m, struct buffer *out)
{
    buffer_put64(out, m->body_bytes);
    buffer_put8(out, m->body_inline);
    uint32_t extents = m->body_inline ? 0 : m->extent_count;
    buffer_put32(out, extents);
    for (uint32_t i = 0; i < extents; i++) {
        buffer_put32(out, m->extents[i].segment);
        buffer_put32(out, m->extents[i].generation);
        buffer_put64(out, m->extents[i].offset);
        buffer_put64(out, m->extents[i].length);
    }
}

void message_encode(const struct message *m, struct buffer *out)
{
    buffer_put8(out, VERSION);
    buffer_put8(out, (uint8_t)m->kind);
    buffer_put32(out, m->flags);
    buffer_put64(out, m->parent);
    buffer_put64(out, m->accepted_ms);
    buffer_put64(out, m->accepted_boot_ms);
    buffer_put(out, str_from(m->boot.at, sizeof m->boot.at));
    const struct str texts[] = {m->organisation, m->sender,     m->user,  m->client, m->envid,
                                m->subject,      m->message_id, m->token, m->prefix};
    for (size_t i = 0; i < countof(texts); i++)
        buffer_put_bytes32(out, texts[i]);
    buffer_put32(out, m->cut_count);
    for (uint32_t i = 0; i < m->cut_count; i++) {
        buffer_put32(out, m->cuts[i].offset);
        buffer_put32(out, m->cuts[i].length);
    }
    encode_body(m, out);
    buffer_put32(out, m->recipient_count);
    for (uint32_t i = 0; i < m->recipient_count; i++)
        encode_recipient(&m->recipients[i], out);
    buffer_put_bytes32(out, m->future);
}

static bool take_enum(struct str *in, unsigned last, unsigned *out)
{
    uint8_t v;
    if (!take8(in, &v) || v > last)
        return false;
    *out = v;
    return true;
}

/* An array of `count` elements, each at least `bytes` in `in`, so that a broken count can't ask for
 * more memory than the record has bytes. */
static void *take_array(struct message *m, const struct str *in, uint32_t count, size_t bytes,
                        size_t element)
{
    if (count > in->len / bytes)
        return NULL;
    return arena_take(&m->arena, count * element);
}

static bool decode_cuts(struct message *m, struct str *in)
{
    if (!take32(in, &m->cut_count))
        return false;
    m->cuts = take_array(m, in, m->cut_count, CUT_BYTES, sizeof *m->cuts);
    if (!m->cuts)
        return false;
    for (uint32_t i = 0; i < m->cut_count; i++)
        if (!take32(in, &m->cuts[i].offset) || !take32(in, &m->cuts[i].length))
            return false;
    return true;
}

static bool decode_body(struct message *m, struct str *in)
{
    unsigned is_inline;
    if (!take64(in, &m->body_bytes) || !take_enum(in, 1, &is_inline) ||
        !take32(in, &m->extent_count))
        return false;
    m->body_inline = is_inline;
    if (m->body_inline && m->extent_count)
        return false;
    m->extents = take_array(m, in, m->extent_count, EXTENT_BYTES, sizeof *m->extents);
    if (!m->extents)
        return false;
    for (uint32_t i = 0; i < m->extent_count; i++) {
        struct extent *e = &m->extents[i];
        if (!take32(in, &e->segment) || !take32(in, &e->generation) || !take64(in, &e->offset) ||
            !take64(in, &e->length))
            return false;
    }
    return true;
}

static bool decode_recipient(struct recipient *r, struct str in)
{
    unsigned class, form;
    if (!take_bytes32(&in, &r->address) || !take_bytes32(&in, &r->orcpt) ||
        !take_bytes32(&in, &r->rule) || !take_enum(&in, CLASS_EXTERNAL, &class) ||
        !take_enum(&in, FORM_LINK, &form) || !take32(&in, &r->notify) ||
        !take64(&in, &r->release_ms))
        return false;
    r->class = (enum recipient_class) class;
    r->form = (enum form)form;
    return true;
}

static bool decode_recipients(struct message *m, struct str *in)
{
    if (!take32(in, &m->recipient_count))
        return false;
    m->recipients =
        take_array(m, in, m->recipient_count, RECIPIENT_LEAST_BYTES, sizeof *m->recipients);
    if (!m->recipients)
        return false;
    for (uint32_t i = 0; i < m->recipient_count; i++) {
        struct str row;
        if (!take_bytes32(in, &row) || !decode_recipient(&m->recipients[i], row))
            return false;
    }
    return true;
}

static bool decode_head(struct message *m, struct str *in)
{
    uint8_t version;
    unsigned kind;
    struct str boot;
    if (!take8(in, &version) || version != VERSION || !take_enum(in, MESSAGE_PASSWORD, &kind) ||
        !take32(in, &m->flags) || !take64(in, &m->parent) || !take64(in, &m->accepted_ms) ||
        !take64(in, &m->accepted_boot_ms) || !take_bytes(in, sizeof m->boot.at, &boot))
        return false;
    m->kind = (enum message_kind)kind;
    memcpy(m->boot.at, boot.at, sizeof m->boot.at);
    struct str *const texts[] = {&m->organisation, &m->sender,     &m->user,  &m->client, &m->envid,
                                 &m->subject,      &m->message_id, &m->token, &m->prefix};
    for (size_t i = 0; i < countof(texts); i++)
        if (!take_bytes32(in, texts[i]))
            return false;
    return true;
}

/* In order, apart, and within the body: readers go through them once, and subtract. */
static bool cuts_fit(const struct message *m)
{
    uint64_t end = 0;
    for (uint32_t i = 0; i < m->cut_count; i++) {
        if (m->cuts[i].offset < end)
            return false;
        end = (uint64_t)m->cuts[i].offset + m->cuts[i].length;
    }
    return end <= m->body_bytes;
}

struct message *message_decode(uint64_t id, struct str payload)
{
    /* recipients are larger in memory than on disk: at most six times */
    struct message *m = message_make((size_t)LIMIT_RECORD_BYTES * 8);
    if (!m)
        return NULL;
    m->id = id;
    struct str in = arena_copy(&m->arena, payload);
    if (!in.at || !decode_head(m, &in) || !decode_cuts(m, &in) || !decode_body(m, &in) ||
        !cuts_fit(m) || !decode_recipients(m, &in) || (in.len && !take_bytes32(&in, &m->future)))
        message_drop(&m);
    return m;
}

void states_encode(const struct recipient_state *s, uint32_t count, struct buffer *out)
{
    buffer_put8(out, VERSION);
    buffer_put32(out, count);
    char *to = buffer_reserve(out, (size_t)count * STATE_BYTES);
    if (!to)
        return;
    for (uint32_t i = 0; i < count; i++, to += STATE_BYTES) {
        to[0] = (char)s[i].stage;
        store32(to + 1, s[i].flags);
        store32(to + 5, s[i].attempts);
        store32(to + 9, s[i].revision);
        store64(to + 13, s[i].due_ms);
    }
    buffer_added(out, (size_t)count * STATE_BYTES);
}

bool states_count(struct str payload, uint32_t *count)
{
    uint8_t version;
    return take8(&payload, &version) && version == VERSION && take32(&payload, count) &&
           *count <= payload.len / STATE_BYTES;
}

bool states_decode(struct str payload, struct recipient_state *s, uint32_t count)
{
    uint32_t found;
    if (!states_count(payload, &found) || found != count)
        return false;
    const char *at = payload.at + 5;
    for (uint32_t i = 0; i < count; i++, at += STATE_BYTES) {
        if ((uint8_t)at[0] >= STAGES)
            return false;
        s[i] = (struct recipient_state){.stage = (enum stage)at[0],
                                        .flags = load32(at + 1),
                                        .attempts = load32(at + 5),
                                        .revision = load32(at + 9),
                                        .due_ms = load64(at + 13)};
    }
    return true;
}

uint64_t states_due_ms(const struct recipient_state *s, uint32_t count)
{
    uint64_t due = UINT64_MAX;
    for (uint32_t i = 0; i < count; i++)
        if (stage_is_timed(s[i].stage))
            due = u64_min(due, s[i].due_ms);
    return due;
}

struct recipient_state recipient_state(const struct recipient *r)
{
    return (struct recipient_state){.stage = r->stage,
                                    .flags = r->flags,
                                    .attempts = r->attempts,
                                    .revision = r->revision,
                                    .due_ms = r->due_ms};
}

void message_encode_states(const struct message *m, struct buffer *out)
{
    buffer_put8(out, VERSION);
    buffer_put32(out, m->recipient_count);
    for (uint32_t i = 0; i < m->recipient_count; i++) {
        const struct recipient *r = &m->recipients[i];
        buffer_put8(out, (uint8_t)r->stage);
        buffer_put32(out, r->flags);
        buffer_put32(out, r->attempts);
        buffer_put32(out, r->revision);
        buffer_put64(out, r->due_ms);
    }
}

bool message_decode_states(struct message *m, struct str payload)
{
    uint32_t count;
    if (!states_count(payload, &count) || count != m->recipient_count)
        return false;
    const char *at = payload.at + 5;
    for (uint32_t i = 0; i < count; i++, at += STATE_BYTES) {
        struct recipient *r = &m->recipients[i];
        if ((uint8_t)at[0] >= STAGES)
            return false;
        r->stage = (enum stage)at[0];
        r->flags = load32(at + 1);
        r->attempts = load32(at + 5);
        r->revision = load32(at + 9);
        r->due_ms = load64(at + 13);
    }
    return true;
}

uint64_t message_due_ms(const struct message *m)
{
    uint64_t due = UINT64_MAX;
    for (uint32_t i = 0; i < m->recipient_count; i++)
        if (stage_is_timed(m->recipients[i].stage))
            due = u64_min(due, m->recipients[i].due_ms);
    return due;
}

bool message_is_final(const struct message *m)
{
    for (uint32_t i = 0; i < m->recipient_count; i++)
        if (!stage_is_final(m->recipients[i].stage))
            return false;
    return true;
}

const char *recipient_state_name(const struct recipient *r, uint64_t now_ms)
{
    if ((r->stage == STAGE_WAITING || r->stage == STAGE_RETRY) && r->due_ms <= now_ms)
        return "due";
    return stage_name(r->stage);
}
