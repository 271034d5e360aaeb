/* checkpoint.c -- what lives is written again from time to time, so that the journal alone can tell it.
 *
 * Envelope and body of a live message stay in their segment, but its moves may lie in segments that
 * hold nothing else and are used again. Therefore every few segments the states of all live messages
 * (and the documents) are written once more, between two CHECKPOINT records, in slices between other
 * groups. Segments from the begin of the last complete checkpoint on are kept. So the index can be
 * made from the journal (rebuild.c): a message lives iff it came after that begin, or was carried by
 * the checkpoint; later moves are all there. */
#include "core/base/base.h"
#include "storage/inside.h"
#include "storage/unit.h"

enum {
    SLICE_BYTES = 1 << 20,
    SLICE_ROOM = 2 << 20,
    BEGIN = 0,
    END = 1
};

static bool put_mark(struct partition *p, int kind)
{
    char payload[9];
    uint64_t offset;
    payload[0] = (char)kind;
    store64(payload + 1, p->checkpoint.sequence);
    return group_add(&p->group, RECORD_CHECKPOINT, 0, str_from(payload, sizeof payload), STR(""),
                     &offset);
}

static bool write_slice(struct partition *p)
{
    if (p->group.records == 0) {
        states_clear(&p->states);
        return true;
    }
    return commit_write(p) && commit_index(p);
}

/* What the index keeps beside the states: all values below a key, as records of one type. */
static bool put_beside(struct partition *p, enum index_key kind, enum record_type type, uint64_t id)
{
    struct key from = key_64(kind, id), until = key_64(kind, id + 1);
    struct cursor *c = cursor_open(p->index, key_str(&from), key_str(&until));
    struct str key, value;
    bool fits = c != NULL;
    uint64_t offset;
    while (fits && cursor_next(c, &key, &value) == INDEX_FOUND) {
        buffer_clear(&p->scratch);
        if (type == RECORD_LINE) {
            buffer_put32(&p->scratch, load32(key.at + 9));
            buffer_put_bytes32(&p->scratch, value);
        } else {
            buffer_put(&p->scratch, value);
        }
        fits = group_add(&p->group, type, id, buffer_str(&p->scratch), STR(""), &offset);
    }
    cursor_close(&c);
    return fits;
}

/* Decisions first: they name stages too, and the states come after them. */
static bool put_message(struct partition *p, uint64_t id)
{
    const struct state *s = state_get(&p->states, id);
    if (s->is != STATE_KNOWN || state_is_final(s))
        return true;
    struct group_mark mark = group_mark(&p->group);
    bool fits = (!(s->flags & STATE_DECIDED) || put_beside(p, KEY_DECISION, RECORD_DECIDE, id)) &&
                (!(s->flags & STATE_LINES) || put_beside(p, KEY_LINE, RECORD_LINE, id));
    uint64_t offset;
    buffer_clear(&p->scratch);
    states_encode(s->recipient, s->count, &p->scratch);
    fits =
        fits && group_add(&p->group, RECORD_STATES, id, buffer_str(&p->scratch), STR(""), &offset);
    if (!fits)
        group_rewind(&p->group, mark);
    return fits;
}

static bool put_messages(struct partition *p)
{
    struct checkpoint *k = &p->checkpoint;
    struct key from = key_64(KEY_LIVE, k->next_id);
    struct key until = key_start((enum index_key)(KEY_LIVE + 1));
    struct cursor *c = cursor_open(p->index, key_str(&from), key_str(&until));
    struct str key, value;
    enum index_result result = INDEX_BROKEN;
    while (c && p->group.used < SLICE_BYTES &&
           (result = cursor_next(c, &key, &value)) == INDEX_FOUND) {
        uint64_t id = load64(key.at + 1);
        if (!put_message(p, id))
            break;
        k->next_id = id + 1;
    }
    cursor_close(&c);
    k->documents = result == INDEX_ABSENT;
    return result != INDEX_BROKEN;
}

/* True while there are more. */
static bool put_documents(struct partition *p, bool *good)
{
    struct checkpoint *k = &p->checkpoint;
    if (k->next_key.len == 0)
        buffer_put8(&k->next_key, KEY_DOCUMENT);
    struct key until = key_start((enum index_key)(KEY_DOCUMENT + 1));
    struct cursor *c = cursor_open(p->index, buffer_str(&k->next_key), key_str(&until));
    struct str key, value;
    enum index_result result = INDEX_BROKEN;
    uint64_t offset;
    while (c && p->group.used < SLICE_BYTES &&
           (result = cursor_next(c, &key, &value)) == INDEX_FOUND) {
        buffer_clear(&p->scratch);
        buffer_put_bytes32(&p->scratch, str_skip(key, 1));
        buffer_put_bytes32(&p->scratch, value);
        if (!group_add(&p->group, RECORD_DOCUMENT, 0, buffer_str(&p->scratch), STR(""), &offset))
            break;
        buffer_clear(&k->next_key);
        buffer_put(&k->next_key, key);
        buffer_put8(&k->next_key, 0);
    }
    cursor_close(&c);
    *good = result != INDEX_BROKEN;
    return result != INDEX_ABSENT;
}

static bool begin(struct partition *p)
{
    struct checkpoint *k = &p->checkpoint;
    uint64_t floor = u64_max(p->at.checkpoint_floor, 1);
    if (p->at.next.generation < floor + CHECKPOINT_SEGMENTS)
        return false;
    commit_open_group(p);
    if (!commit_make_room(p, LIMIT_BLOCK_BYTES, true))
        return false;
    k->sequence = p->group.place.sequence;
    k->generation = p->group.place.generation;
    k->next_id = 0;
    k->documents = false;
    buffer_clear(&k->next_key);
    char reserved[8];
    uint64_t offset;
    store64(reserved, p->at.serial_reserved);
    k->running = put_mark(p, BEGIN) &&
                 group_add(&p->group, RECORD_RESERVE, 0, str_from(reserved, 8), STR(""), &offset) &&
                 write_slice(p);
    return k->running;
}

bool checkpoint_turn(struct partition *p)
{
    struct checkpoint *k = &p->checkpoint;
    if (!k->running)
        return begin(p);
    commit_open_group(p);
    if (!commit_make_room(p, SLICE_ROOM, true))
        return false; /* no space: later */
    bool good = true, more = true;
    if (!k->documents)
        good = put_messages(p);
    else
        more = put_documents(p, &good);
    uint64_t floor = p->at.checkpoint_floor;
    bool end = good && !more && put_mark(p, END);
    if (end)
        p->at.checkpoint_floor = k->generation; /* goes with the batch that covers its end */
    if (good && write_slice(p)) {
        k->running = !end;
        return true;
    }
    p->at.checkpoint_floor = floor;
    k->running = false;
    states_clear(&p->states);
    return false;
}
