#include "core/base/base.h"
#include "core/base/counter.h"
#include "core/base/log.h"
#include "storage/inside.h"
#include "storage/unit.h"

static void next_id(struct key *k)
{
    store64(k->at + 1, load64(k->at + 1) + 1);
}

/* Walk the keys of one kind that belong to the message and note what they say. */
static bool load_lines(struct index *ix, struct message *m)
{
    struct key from = key_64(KEY_LINE, m->id), until = from;
    next_id(&until);
    struct cursor *c = cursor_open(ix, key_str(&from), key_str(&until));
    struct str key, value;
    enum index_result result = c ? INDEX_FOUND : INDEX_BROKEN;
    while (c && (result = cursor_next(c, &key, &value)) == INDEX_FOUND) {
        uint32_t recipient = key.len == 13 ? load32(key.at + 9) : UINT32_MAX;
        if (recipient < m->recipient_count)
            m->recipients[recipient].last = arena_copy(&m->arena, value);
    }
    cursor_close(&c);
    return result == INDEX_ABSENT;
}

static bool load_decisions(struct index *ix, struct message *m)
{
    struct key from = key_64(KEY_DECISION, m->id), until = from;
    next_id(&until);
    struct cursor *c = cursor_open(ix, key_str(&from), key_str(&until));
    struct str key, value;
    enum index_result result = c ? INDEX_FOUND : INDEX_BROKEN;
    while (c && (result = cursor_next(c, &key, &value)) == INDEX_FOUND) {
        struct decision d;
        if (!decision_decode(m->id, value, &d) || d.recipient >= m->recipient_count) {
            result = INDEX_BROKEN;
            break;
        }
        struct recipient *r = &m->recipients[d.recipient];
        r->form = d.form;
        r->rule = arena_copy(&m->arena, d.rule);
    }
    cursor_close(&c);
    return result == INDEX_ABSENT;
}

static struct message *place_inline(struct message *m, const struct message_value *v)
{
    if (!m || !m->body_inline)
        return m;
    m->extents = arena_take(&m->arena, sizeof *m->extents);
    if (!m->extents) {
        message_drop(&m);
        return NULL;
    }
    m->extent_count = 1;
    m->extents[0] = (struct extent){.segment = v->place.segment,
                                    .generation = v->place.generation,
                                    .offset = v->place.body_offset,
                                    .length = v->body_bytes};
    return m;
}

static struct message *complain(struct index *ix, struct message *m, uint64_t id, const char *what)
{
    index_suspect(ix);
    log_error("message_damaged", log_id("id", id), log_text("what", what),
              log_str("from", m ? m->sender : STR("")));
    count(storage_damaged);
    message_drop(&m);
    return NULL;
}

struct message *message_load(struct index *ix, uint64_t id)
{
    struct buffer value;
    buffer_init(&value, (size_t)LIMIT_RECORD_BYTES * 2);
    struct message *m = NULL;
    struct key key = key_64(KEY_MESSAGE, id);
    enum index_result result = index_get(ix, key_str(&key), &value);
    if (result == INDEX_FOUND) {
        struct message_value v;
        if (message_value_read(buffer_str(&value), &v))
            m = place_inline(message_decode(id, v.message), &v);
        result = m ? INDEX_FOUND : INDEX_BROKEN;
    }
    if (result != INDEX_FOUND) {
        buffer_drop(&value);
        return result == INDEX_ABSENT ? NULL : complain(ix, NULL, id, "envelope in the index");
    }
    buffer_clear(&value);
    key = key_64(KEY_STATES, id);
    result = index_get(ix, key_str(&key), &value);
    struct state_value s;
    bool good = result == INDEX_FOUND && state_value_read(buffer_str(&value), &s) &&
                message_decode_states(m, s.states) &&
                (!(s.flags & STATE_LINES) || load_lines(ix, m)) &&
                (!(s.flags & STATE_DECIDED) || load_decisions(ix, m));
    buffer_drop(&value);
    if (result == INDEX_ABSENT)
        message_drop(&m); /* purged between the two */
    return good || !m ? m : complain(ix, m, id, "states in the index");
}
