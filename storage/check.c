/* check.c -- may this unit happen? One place decides it: the table of core/mail/stage.def, what the
 * asker expects, and the states in force with the earlier units of the same group laid over them.
 * */
#include "core/base/base.h"
#include "core/base/heap.h"
#include "core/base/id.h"
#include "storage/inside.h"
#include "storage/unit.h"

static void remember(struct partition *p, struct state *s, uint32_t recipient)
{
    if (p->undo_count == p->undo_room) {
        size_t room = p->undo_room ? p->undo_room * 2 : 256;
        struct undo *larger = heap_grow(p->undo, room * sizeof *larger);
        must(larger != NULL);
        p->undo = larger;
        p->undo_room = room;
    }
    p->undo[p->undo_count++] = (struct undo){.state = s,
                                             .recipient = recipient,
                                             .flags = s->flags,
                                             .dirty = s->dirty,
                                             .before = s->recipient[recipient]};
}

void check_undo(struct partition *p)
{
    while (p->undo_count) {
        const struct undo *u = &p->undo[--p->undo_count];
        u->state->recipient[u->recipient] = u->before;
        u->state->flags = u->flags;
        u->state->dirty = u->dirty;
    }
}

static bool is_legal(const struct recipient_state *r, enum stage to, uint32_t from)
{
    if (!stage_may_follow(r->stage, to) || (from && !(from >> r->stage & 1)))
        return false;
    if (to == STAGE_DISCARDED && r->flags & RECIPIENT_EXPOSED)
        return false;
    return to != STAGE_SENDING || !(r->flags & RECIPIENT_DAMAGED);
}

static bool check_move(struct partition *p, struct move *m)
{
    m->done = false;
    m->was = STAGES;
    m->was_flags = 0;
    struct state *s = state_get(&p->states, m->id);
    if (s->is != STATE_KNOWN || m->recipient >= s->count)
        return false;
    struct recipient_state *r = &s->recipient[m->recipient];
    m->was = r->stage;
    m->was_flags = r->flags;
    if (!is_legal(r, m->to, m->from) || (m->to == STAGE_SENDING && m->revision != r->revision))
        return false;
    remember(p, s, m->recipient);
    r->stage = m->to;
    r->flags = (r->flags | m->set) & ~m->clear;
    r->attempts += m->count_attempt;
    if (stage_is_timed(m->to))
        r->due_ms = m->due_ms;
    s->dirty = true;
    m->done = true;
    return true;
}

static bool check_decide(struct partition *p, const struct extra *e)
{
    struct decision d;
    if (!decision_decode(e->id, e->payload, &d))
        return false;
    struct state *s = state_get(&p->states, e->id);
    if (s->is != STATE_KNOWN || d.recipient >= s->count)
        return false;
    struct recipient_state *r = &s->recipient[d.recipient];
    if (stage_is_final(r->stage) || r->stage == STAGE_SENDING || d.stage == STAGE_SENDING ||
        d.revision != r->revision + 1 || (d.stage != r->stage && !is_legal(r, d.stage, 0)))
        return false;
    remember(p, s, d.recipient);
    r->stage = d.stage;
    r->revision = d.revision;
    r->due_ms = d.due_ms;
    s->dirty = true;
    return true;
}

static bool check_extras(struct partition *p, const struct unit *u)
{
    if (u->extra.full)
        return false;
    struct str in = buffer_str(&u->extra);
    struct extra e;
    while (unit_extra_next(&in, &e))
        if (e.type == RECORD_DECIDE && !check_decide(p, &e))
            return false;
    return in.len == 0;
}

/* Ids are never used twice. Serials rise, so that only one that is not the largest needs a look. */
static bool is_new(struct partition *p, uint64_t id)
{
    return id_serial(id) > p->at.serial_seen || state_get(&p->states, id)->is == STATE_ABSENT;
}

static bool check_accept(struct partition *p, const struct unit *u, uint32_t i)
{
    const struct message *m = u->accept[i];
    if (!m || id_partition(m->id) != p->settings.number || !is_new(p, m->id) ||
        m->recipient_count == 0)
        return false;
    for (uint32_t other = 0; other < i; other++)
        if (u->accept[other]->id == m->id)
            return false;
    for (uint32_t r = 0; r < m->recipient_count; r++)
        if (m->recipients[r].stage >= STAGES || m->recipients[r].stage == STAGE_SENDING)
            return false;
    if (m->body_inline)
        return u->body[i].at && u->body[i].len == m->body_bytes &&
               m->body_bytes <= LIMIT_INLINE_BYTES;
    return m->extent_count > 0;
}

bool check_unit(struct partition *p, struct unit *u)
{
    p->undo_count = 0;
    bool good = true;
    for (uint32_t i = 0; good && i < u->accept_count; i++)
        good = check_accept(p, u, i);
    for (uint32_t i = 0; good && i < u->move_count; i++)
        good = check_move(p, &u->moves[i]) || u->moves[i].may_skip;
    good = good && check_extras(p, u);
    if (!good) {
        check_undo(p);
        for (uint32_t i = 0; i < u->move_count; i++)
            u->moves[i].done = false;
    }
    return good;
}
