/* apply.c -- what a record means for the index. Replay takes every record through here; the keeper,
 * which has just checked what it wrote, uses the same steps for moves. Records are absolute, so
 * that applying one twice changes nothing. */
#include "core/base/base.h"
#include "core/base/counter.h"
#include "core/base/id.h"
#include "core/base/log.h"
#include "storage/inside.h"
#include "storage/unit.h"

void apply_line(struct partition *p, struct state *s, uint32_t recipient, struct str line)
{
    struct key key = key_64_32(KEY_LINE, s->id, recipient);
    index_put(p->index, key_str(&key), line);
    s->flags |= STATE_LINES;
}

void apply_move(struct partition *p, struct state *s, uint32_t recipient,
                const struct recipient_state *to, struct str last)
{
    s->recipient[recipient] = *to;
    s->dirty = true;
    if (last.len)
        apply_line(p, s, recipient, last);
}

/* Its content can't be trusted any more: nothing of it is sent, a person must look. */
void apply_damage(struct partition *p, uint64_t id, const char *what)
{
    struct state *s = state_get(&p->states, id);
    struct message *m = s->is == STATE_KNOWN && !s->fresh ? message_load(p->index, id) : NULL;
    log_error("message_damaged", log_id("id", id), log_text("what", what),
              log_str("from", s->fresh ? s->sender
                              : m      ? m->sender
                                       : STR("unknown")));
    message_drop(&m);
    p->report.damaged_messages++;
    if (s->is != STATE_KNOWN)
        return;
    for (uint32_t i = 0; i < s->count; i++) {
        struct recipient_state *r = &s->recipient[i];
        if (stage_is_final(r->stage))
            continue;
        r->stage = STAGE_HELD;
        r->flags |= RECIPIENT_DAMAGED;
        r->due_ms = DUE_NEVER;
        s->dirty = true;
    }
}

/* A rebuilt index keeps only what is known to live: what came, or was carried, since the
 * checkpoint. */
static void prove(const struct partition *p, const struct group_header *h, struct state *s)
{
    if (p->rebuilding && h->place.sequence >= p->proven_from)
        s->flags |= STATE_PROVEN;
}

static void apply_accept(struct partition *p, const struct group_header *h, const struct record *r)
{
    struct accept a;
    struct str payload = arena_copy(&p->states.arena, r->payload);
    struct message *m = NULL;
    if (payload.at && accept_decode(payload, &a))
        m = message_decode(r->id, a.message);
    if (!m || !message_decode_states(m, a.states)) {
        message_drop(&m);
        apply_damage(p, r->id, "envelope can't be read");
        return;
    }
    struct placement place = {
        .segment = h->place.segment,
        .generation = h->place.generation,
        .offset = r->offset,
        .body_offset = a.body_offset,
        .bytes = (uint32_t)(record_bytes(r->payload.len) +
                            (m->body_inline ? record_bytes((size_t)m->body_bytes) : 0))};
    struct state *s = state_get(&p->states, r->id);
    if (s->is == STATE_KNOWN && r->type == RECORD_COPY) {
        s->dirty = s->moved = true;
        s->place = place;
        s->message = a.message;
        s->body_bytes = m->body_bytes;
    } else if (s->is == STATE_ABSENT) {
        s = state_accept(&p->states, m, a.message, &place);
        uint32_t recipient;
        struct str line;
        while (accept_line(&a.lines, &recipient, &line))
            if (recipient < s->count)
                apply_line(p, s, recipient, line);
        grant_adopt(p, s->extent, s->extents);
        prove(p, h, s);
    }
    p->at.serial_seen = u64_max(p->at.serial_seen, id_serial(r->id));
    if (r->type == RECORD_ACCEPT && m->accepted_ms) {
        p->at.anchor = (struct clock_anchor){m->accepted_ms, m->accepted_boot_ms};
        p->at.boot = m->boot;
        p->at.anchored = true;
    }
    message_drop(&m);
}

static bool apply_decide(struct partition *p, const struct record *r)
{
    struct decision d;
    if (!decision_decode(r->id, r->payload, &d))
        return false;
    struct state *s = state_get(&p->states, r->id);
    if (s->is == STATE_KNOWN && d.recipient < s->count)
        apply_decision(p, s, &d, r->payload);
    return true;
}

void apply_decision(struct partition *p, struct state *s, const struct decision *d,
                    struct str payload)
{
    struct recipient_state *r = &s->recipient[d->recipient];
    r->stage = d->stage;
    r->revision = d->revision;
    r->due_ms = d->due_ms;
    s->flags |= STATE_DECIDED;
    s->dirty = true;
    struct key key = key_64_32(KEY_DECISION, s->id, d->recipient);
    index_put(p->index, key_str(&key), payload);
}

void apply_note(struct partition *p, uint64_t id, uint64_t sequence, uint32_t number,
                struct str text)
{
    struct state *s = state_get(&p->states, id);
    if (s->is != STATE_KNOWN)
        return;
    s->flags |= STATE_NOTED;
    s->dirty = true;
    struct key key = key_64_64(KEY_NOTE, id, sequence);
    key_put32(&key, number);
    index_put(p->index, key_str(&key), text);
}

bool apply_document(struct partition *p, struct str payload)
{
    struct str name, value;
    if (!take_bytes32(&payload, &name) || !take_bytes32(&payload, &value))
        return false;
    buffer_clear(&p->extra);
    buffer_put8(&p->extra, KEY_DOCUMENT);
    buffer_put(&p->extra, name);
    if (value.len)
        index_put(p->index, buffer_str(&p->extra), value);
    else
        index_delete(p->index, buffer_str(&p->extra));
    return true;
}

static bool apply_states(struct partition *p, const struct group_header *h, const struct record *r)
{
    struct state *s = state_get(&p->states, r->id);
    if (s->is != STATE_KNOWN)
        return true;
    s->dirty = true;
    prove(p, h, s);
    return states_decode(r->payload, s->recipient, s->count);
}

static bool apply_anchor(struct partition *p, const struct record *r)
{
    struct str in = r->payload, boot;
    struct clock_anchor a;
    if (!take64(&in, &a.adopted_ms) || !take64(&in, &a.boot_ms) ||
        !take_bytes(&in, sizeof p->at.boot.at, &boot))
        return false;
    p->at.anchor = a;
    memcpy(p->at.boot.at, boot.at, sizeof p->at.boot.at);
    p->at.anchored = true;
    return true;
}

static bool apply_one_move(struct partition *p, const struct record *r)
{
    uint32_t recipient;
    struct recipient_state to;
    struct str last;
    if (!move_decode(r->payload, &recipient, &to, &last))
        return false;
    struct state *s = state_get(&p->states, r->id);
    if (s->is == STATE_KNOWN && recipient < s->count)
        apply_move(p, s, recipient, &to, last);
    return true;
}

static bool apply_carried_line(struct partition *p, const struct record *r)
{
    struct str in = r->payload, line;
    uint32_t recipient;
    if (!accept_line(&in, &recipient, &line))
        return false;
    struct state *s = state_get(&p->states, r->id);
    if (s->is == STATE_KNOWN && recipient < s->count) {
        apply_line(p, s, recipient, line);
        s->dirty = true;
    }
    return true;
}

void apply_record(struct partition *p, const struct group_header *h, const struct record *r)
{
    bool good = true;
    switch (r->type) {
    case RECORD_ACCEPT:
    case RECORD_COPY:
        apply_accept(p, h, r);
        break;
    case RECORD_MOVE:
        good = apply_one_move(p, r);
        break;
    case RECORD_DECIDE:
        good = apply_decide(p, r);
        break;
    case RECORD_NOTE:
        apply_note(p, r->id, h->place.sequence,
                   (uint32_t)((r->offset - h->place.offset) / RECORD_ALIGNMENT), r->payload);
        break;
    case RECORD_ANCHOR:
        good = apply_anchor(p, r);
        break;
    case RECORD_DOCUMENT:
        good = apply_document(p, r->payload);
        break;
    case RECORD_STATES:
        good = apply_states(p, h, r);
        break;
    case RECORD_LINE:
        good = apply_carried_line(p, r);
        break;
    case RECORD_RESERVE:
        if (r->payload.len == 8)
            p->at.serial_reserved = load64(r->payload.at);
        break;
    case RECORD_BODY:
    case RECORD_DIRECTORY:
    case RECORD_CHECKPOINT:
        break;
    }
    if (good)
        return;
    /* intact, but not understood: written by something newer, or a bug; nothing may be sent on it
     * */
    count(storage_damaged);
    p->report.damaged_records++;
    if (r->id)
        apply_damage(p, r->id, record_type_name(r->type));
    else
        log_error("record_damaged", log_text("type", record_type_name(r->type)));
}
