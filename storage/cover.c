/* cover.c -- the index follows the journal: what the states of a group change in it, and how far
 * the journal is covered, in one batch. */
#include "core/base/base.h"
#include "core/base/log.h"
#include "storage/inside.h"
#include "storage/killpoint.h"

static void count_live(struct partition *p, uint32_t segment, uint32_t generation, uint32_t bytes,
                       int direction)
{
    struct segment *s = pool_segment(&p->pool, segment);
    if (!s || s->kind != SEGMENT_JOURNAL || s->generation != generation)
        return;
    s->live_messages += direction;
    s->live_bytes += (int64_t)direction * bytes;
    s->counted = true;
}

static void put_extents(struct partition *p, const struct state *s)
{
    for (uint32_t i = 0; i < s->extents; i++) {
        struct key key = key_start(KEY_EXTENT);
        key_put32(&key, s->extent[i].segment);
        key_put32(&key, (uint32_t)(s->extent[i].offset / LIMIT_EXTENT_BYTES));
        char value[12];
        store64(value, s->id);
        store32(value + 8, s->extent[i].generation);
        index_put(p->index, key_str(&key), str_from(value, sizeof value));
    }
}

/* The extents of a large message that became final are free at once: no one reads them any more. */
static void free_extents(struct partition *p, struct state *s)
{
    if (!s->fresh) {
        struct message *m = message_load(p->index, s->id);
        if (!m)
            return; /* its extents stay in use: said in the log */
        s->extents = m->extent_count;
        s->extent = arena_take(&p->states.arena, s->extents * sizeof *s->extent);
        must(s->extent != NULL);
        memcpy(s->extent, m->extents, s->extents * sizeof *s->extent);
        message_drop(&m);
    }
    grant_forget(p, s->id, s->extent, s->extents);
}

static void put_sender(struct partition *p, struct state *s)
{
    if (!s->fresh)
        return;
    struct key key = key_64_64(KEY_SENDER, sender_hash(s->sender), ~s->id);
    index_put(p->index, key_str(&key), STR(""));
}

static void put_token(struct partition *p, struct state *s)
{
    if (!s->fresh || s->token.len == 0)
        return;
    char id[8];
    store64(id, s->id);
    buffer_clear(&p->scratch);
    buffer_put8(&p->scratch, KEY_TOKEN);
    buffer_put(&p->scratch, s->token);
    index_put(p->index, buffer_str(&p->scratch), str_from(id, sizeof id));
}

static void account(struct partition *p, struct state *s)
{
    bool final = s->final = state_is_final(s);
    p->at.open_recipients += state_open(s);
    p->at.open_recipients -= s->was_open;
    if (s->fresh ? !final : s->was_final && !final)
        p->at.messages++;
    if (!s->fresh && !s->was_final && final)
        p->at.messages--;
    if (!s->fresh && !s->was_final && (final || s->moved))
        count_live(p, s->segment, s->generation, s->bytes, -1);
    if (s->moved) {
        s->segment = s->place.segment;
        s->generation = s->place.generation;
        s->bytes = s->place.bytes;
    }
    if (!final && (s->fresh || s->moved || s->was_final))
        count_live(p, s->segment, s->generation, s->bytes, 1);
}

/* A key that is there or not. */
static void put_mark(struct partition *p, struct key key, bool there)
{
    if (there)
        index_put(p->index, key_str(&key), STR(""));
    else
        index_delete(p->index, key_str(&key));
}

static void put_lane(struct partition *p, struct key key, uint32_t lane)
{
    char value[4];
    store32(value, lane);
    index_put(p->index, key_str(&key), str_from(value, sizeof value));
}

static void put_due(struct partition *p, struct state *s)
{
    uint64_t due = s->final ? UINT64_MAX : states_due_ms(s->recipient, s->count);
    if (due == s->was_due_ms)
        return;
    if (s->was_due_ms != UINT64_MAX)
        put_mark(p, key_64_64(KEY_DUE, s->was_due_ms, s->id), false);
    if (due != UINT64_MAX)
        put_lane(p, key_64_64(KEY_DUE, due, s->id), s->flags >> STATE_LANE_SHIFT);
    p->at.due_low = u64_min(p->at.due_low, due);
}

static void put_attempt(struct partition *p, struct state *s)
{
    bool sending = state_is_sending(s);
    if (sending != s->was_sending)
        put_mark(p, key_64(KEY_ATTEMPT, s->id), sending);
}

static void put_live(struct partition *p, struct state *s)
{
    if (s->fresh ? !s->final : s->final != s->was_final)
        put_mark(p, key_64(KEY_LIVE, s->id), !s->final);
}

static void put_finished(struct partition *p, struct state *s)
{
    if (!s->final || s->finished_ms)
        return;
    s->finished_ms = p->wall_ms ? p->wall_ms : 1;
    put_mark(p, key_64_64(KEY_FINISHED, s->finished_ms, s->id), true);
    p->at.finished_low = u64_min(p->at.finished_low, s->finished_ms);
}

static void put_large(struct partition *p, struct state *s)
{
    if (!(s->flags & STATE_LARGE))
        return;
    if (s->fresh && !s->final)
        put_extents(p, s);
    else if (s->final && !s->was_final)
        free_extents(p, s);
}

static void put_message(struct partition *p, struct state *s)
{
    if (!s->moved)
        return;
    struct key key = key_64(KEY_MESSAGE, s->id);
    buffer_clear(&p->scratch);
    state_encode_message(s, &p->scratch);
    index_put(p->index, key_str(&key), buffer_str(&p->scratch));
}

static void put_states(struct partition *p, struct state *s)
{
    struct key key = key_64(KEY_STATES, s->id);
    buffer_clear(&p->scratch);
    state_encode(s, &p->scratch);
    index_put(p->index, key_str(&key), buffer_str(&p->scratch));
}

/* One kind of key after another, not one message after another: neighbours in the batch are
 * neighbours in the memory table then, which costs it a third. */
static void put_dirty(struct partition *p)
{
    typedef void put_fn(struct partition *, struct state *);
    static put_fn *const passes[] = {account,     put_attempt, put_due,   put_large,  put_finished,
                                     put_message, put_states,  put_token, put_sender, put_live};
    for (size_t i = 0; i < countof(passes); i++)
        for (struct state *s = p->states.first; s; s = s->next)
            if (s->dirty)
                passes[i](p, s);
}

static void put_counts(struct partition *p)
{
    for (uint32_t i = 0; i < p->pool.end; i++) {
        struct segment *s = p->pool.segment[i];
        if (!s || !s->counted)
            continue;
        s->counted = false;
        struct key key = key_start(KEY_SEGMENT);
        key_put32(&key, s->number);
        char value[20];
        store32(value, s->generation);
        store64(value + 4, s->live_messages);
        store64(value + 12, s->live_bytes);
        index_put(p->index, key_str(&key), str_from(value, sizeof value));
    }
}

static void arm(struct partition *p, const struct state *s)
{
    if (!p->coordinator || !p->horizon_known || !s->dirty)
        return;
    uint64_t due = states_due_ms(s->recipient, s->count);
    if (s->fresh && due <= s->accepted_ms)
        return; /* due at once: who accepted it takes it up when it hears the answer */
    if (due < p->horizon_ms && (due != s->was_due_ms || s->fresh))
        ring_put(p->coordinator, &(struct cell){.kind = CELL_ARM,
                                                .from = p->settings.number,
                                                .id = s->id,
                                                .a = due,
                                                .b = s->flags >> STATE_LANE_SHIFT});
}

bool commit_index(struct partition *p)
{
    put_dirty(p);
    put_counts(p);
    buffer_clear(&p->scratch);
    position_encode(&p->at, &p->scratch);
    index_put(p->index, STR("P"), buffer_str(&p->scratch));
    bool good = index_write(p->index);
    for (struct state *s = p->states.first; good && s; s = s->next)
        arm(p, s);
    states_clear(&p->states);
    if (!good && !p->index_down) {
        log_error("index_down", log_text("partition", p->path));
        p->index_down = true;
        p->reopen_at_ms = clock_monotonic_ms();
    }
    killpoint(KILL_AFTER_INDEX);
    return good;
}
