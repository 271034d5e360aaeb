/* checkpoint.c -- what lives is written again from time to time, so that the journal alone can
 * tell it.
 *
 * Envelope and body of a live message stay in their segment, but its moves may lie in segments that
 * hold nothing else and are used again. Therefore every few segments the states of all live
 * messages (and the documents) are written once more, between two CHECKPOINT records, in slices
 * between other groups. Segments from the begin of the last complete checkpoint on are kept. So
 * the index can be made from the journal (rebuild.c): a message lives iff it came after that
 * begin, or was carried by the checkpoint; later moves are all there. */
#include "core/base/base.h"
#include "storage/inside.h"
#include "storage/unit.h"

enum {
    BUSY_BYTES = 32 << 10, /* that a group of others carries for us */
    IDLE_BYTES = 256 << 10,
    STATES_BYTES = 96, /* of one message in a checkpoint, about */
    CARRIED_SHARE = 8,
    STEPS = 16, /* of a cursor before it seeks */
    BEGIN = 0,
    END = 1,
};

static bool put(struct partition *p, enum record_type type, uint64_t id, struct str payload)
{
    uint64_t offset;
    return group_add(&p->group, type, id, payload, STR(""), &offset);
}

static bool put_mark(struct partition *p, int kind)
{
    char payload[9];
    payload[0] = (char)kind;
    store64(payload + 1, p->checkpoint.sequence);
    p->group_matters = true;
    return put(p, RECORD_CHECKPOINT, 0, str_from(payload, sizeof payload));
}

/* What the index keeps beside the states: all values below a key, as records of one type. */
static bool put_beside(struct partition *p, enum index_key kind, enum record_type type, uint64_t id)
{
    struct key from = key_64(kind, id), until = key_64(kind, id + 1);
    struct cursor *c = cursor_open(p->index, key_str(&from), key_str(&until));
    struct str key, value;
    bool fits = c != NULL;
    while (fits && cursor_next(c, &key, &value) == INDEX_FOUND) {
        buffer_clear(&p->scratch);
        if (type == RECORD_LINE) {
            buffer_put32(&p->scratch, load32(key.at + 9));
            buffer_put_bytes32(&p->scratch, value);
        } else {
            buffer_put(&p->scratch, value);
        }
        fits = put(p, type, id, buffer_str(&p->scratch));
    }
    cursor_close(&c);
    return fits;
}

/* Decisions first: they name stages too, and the states come after them. */
static bool put_all(struct partition *p, uint64_t id, uint32_t flags, struct str states)
{
    struct group_mark mark = group_mark(&p->group);
    if ((!(flags & STATE_DECIDED) || put_beside(p, KEY_DECISION, RECORD_DECIDE, id)) &&
        (!(flags & STATE_LINES) || put_beside(p, KEY_LINE, RECORD_LINE, id)) &&
        put(p, RECORD_STATES, id, states))
        return true;
    group_rewind(&p->group, mark);
    return false;
}

/* The states of a live message: as this group has them by now, else as the index has them, where
 * `beside` walks along. False: it does not fit. */
static bool put_message(struct partition *p, uint64_t id, struct cursor *beside)
{
    const struct state *touched = states_find(&p->states, id);
    if (touched) {
        if (touched->is != STATE_KNOWN || touched->fresh)
            return true;
        buffer_clear(&p->extra);
        states_encode(touched->recipient, touched->count, &p->extra);
        return put_all(p, id, touched->flags, buffer_str(&p->extra));
    }
    struct str key, value;
    struct key wanted = key_64(KEY_STATES, id);
    enum index_result result = INDEX_ABSENT;
    for (int i = 0; i <= STEPS; i++) {
        if (i == STEPS)
            cursor_seek(beside, key_str(&wanted));
        result = cursor_next(beside, &key, &value);
        if (result != INDEX_FOUND || load64(key.at + 1) >= id)
            break;
    }
    struct state_value v;
    if (result != INDEX_FOUND || load64(key.at + 1) != id || !state_value_read(value, &v)) {
        index_suspect(p->index); /* a live message has states */
        return true;
    }
    return put_all(p, id, v.flags, v.states);
}

static bool put_messages(struct partition *p, size_t room)
{
    struct checkpoint *k = &p->checkpoint;
    struct key from = key_64(KEY_LIVE, k->next_id), first = key_64(KEY_STATES, k->next_id);
    struct key until = key_start((enum index_key)(KEY_LIVE + 1));
    struct key last = key_start((enum index_key)(KEY_STATES + 1));
    struct cursor *c = cursor_open(p->index, key_str(&from), key_str(&until));
    struct cursor *beside = cursor_open(p->index, key_str(&first), key_str(&last));
    struct str key, value;
    enum index_result result = INDEX_BROKEN;
    while (c && beside && p->group.used < room &&
           (result = cursor_next(c, &key, &value)) == INDEX_FOUND) {
        uint64_t id = load64(key.at + 1);
        if (!put_message(p, id, beside))
            break;
        k->next_id = id + 1;
    }
    cursor_close(&beside);
    cursor_close(&c);
    k->documents = result == INDEX_ABSENT;
    return result != INDEX_BROKEN;
}

/* `*end`: there are no more. */
static bool put_documents(struct partition *p, size_t room, bool *end)
{
    struct checkpoint *k = &p->checkpoint;
    if (k->next_key.len == 0)
        buffer_put8(&k->next_key, KEY_DOCUMENT);
    struct key until = key_start((enum index_key)(KEY_DOCUMENT + 1));
    struct cursor *c = cursor_open(p->index, buffer_str(&k->next_key), key_str(&until));
    struct str key, value;
    enum index_result result = INDEX_BROKEN;
    while (c && p->group.used < room && (result = cursor_next(c, &key, &value)) == INDEX_FOUND) {
        buffer_clear(&p->scratch);
        buffer_put_bytes32(&p->scratch, str_skip(key, 1));
        buffer_put_bytes32(&p->scratch, value);
        if (!put(p, RECORD_DOCUMENT, 0, buffer_str(&p->scratch)))
            break;
        buffer_clear(&k->next_key);
        buffer_put(&k->next_key, key);
        buffer_put8(&k->next_key, 0);
    }
    cursor_close(&c);
    *end = result == INDEX_ABSENT;
    return result != INDEX_BROKEN;
}

/* Is it time? Every few segments, and the more lives the later: so that what is carried is at most
 * an eighth of what is written. */
static bool is_due(const struct partition *p, uint32_t generation)
{
    uint64_t carried = p->at.messages * STATES_BYTES;
    uint64_t segments =
        u64_max(CHECKPOINT_SEGMENTS, carried * CARRIED_SHARE / p->settings.segment_bytes);
    return generation >= u64_max(p->at.checkpoint_floor, 1) + segments;
}

static void begin(struct partition *p)
{
    struct checkpoint *k = &p->checkpoint;
    k->sequence = p->group.place.sequence;
    k->generation = p->group.place.generation;
    k->next_id = 0;
    k->documents = false;
    buffer_clear(&k->next_key);
    char reserved[8];
    store64(reserved, p->at.serial_reserved);
    k->running = put_mark(p, BEGIN) && put(p, RECORD_RESERVE, 0, str_from(reserved, 8));
}

void checkpoint_put(struct partition *p, size_t bytes)
{
    struct checkpoint *k = &p->checkpoint;
    size_t room = p->group.used + bytes;
    bool end = false;
    if (!k->running && is_due(p, p->group.place.generation))
        begin(p);
    else if (k->running && !k->documents)
        k->running = put_messages(p, room);
    else if (k->running)
        k->running = put_documents(p, room, &end);
    if (!end || !put_mark(p, END))
        return;
    p->at.checkpoint_floor = k->generation; /* goes with the batch that covers its end */
    k->running = false;
}

bool checkpoint_turn(struct partition *p)
{
    if (p->busy || (!p->checkpoint.running && !is_due(p, p->at.next.generation)))
        return false; /* the groups of others carry it */
    commit_open_group(p);
    if (!commit_make_room(p, (size_t)2 * IDLE_BYTES, true))
        return false; /* no space: later */
    checkpoint_put(p, IDLE_BYTES);
    if (p->group.records == 0) {
        states_clear(&p->states);
        return p->checkpoint.running;
    }
    return commit_write(p) && commit_index(p);
}

void checkpoint_ride(struct partition *p)
{
    if (p->group.records)
        checkpoint_put(p, BUSY_BYTES);
}
