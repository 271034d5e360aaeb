/* cover.c -- the index follows the journal: what the states of a group change in it, and how far the
 * journal is covered, in one batch. */
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

static void put_extents(struct partition *p, const struct state *s, bool live)
{
    for (uint32_t i = 0; i < s->extents; i++) {
        struct key key = key_start(KEY_EXTENT);
        key_put32(&key, s->extent[i].segment);
        key_put32(&key, (uint32_t)(s->extent[i].offset / LIMIT_EXTENT_BYTES));
        char value[12];
        store64(value, s->id);
        store32(value + 8, s->extent[i].generation);
        if (live)
            index_put(p->index, key_str(&key), str_from(value, sizeof value));
        else
            index_delete(p->index, key_str(&key));
    }
    if (!live)
        grant_free(p, s->extent, s->extents);
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
    put_extents(p, s, false);
}

static void put_fresh(struct partition *p, const struct state *s)
{
    struct key key = key_64_64(KEY_SENDER, sender_hash(s->sender), ~s->id);
    index_put(p->index, key_str(&key), STR(""));
    if (s->token.len) {
        char id[8];
        store64(id, s->id);
        buffer_clear(&p->scratch);
        buffer_put8(&p->scratch, KEY_TOKEN);
        buffer_put(&p->scratch, s->token);
        index_put(p->index, buffer_str(&p->scratch), str_from(id, sizeof id));
    }
}

static void account(struct partition *p, struct state *s, bool final)
{
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

static void put_times(struct partition *p, struct state *s, bool final)
{
    uint64_t due = final ? UINT64_MAX : states_due_ms(s->recipient, s->count);
    if (due != s->was_due_ms) {
        struct key old = key_64_64(KEY_DUE, s->was_due_ms, s->id);
        struct key new = key_64_64(KEY_DUE, due, s->id);
        if (s->was_due_ms != UINT64_MAX)
            index_delete(p->index, key_str(&old));
        if (due != UINT64_MAX)
            index_put(p->index, key_str(&new), STR(""));
        p->at.due_low = u64_min(p->at.due_low, due);
    }
    bool sending = state_is_sending(s);
    if (sending != s->was_sending) {
        struct key key = key_64(KEY_ATTEMPT, s->id);
        if (sending)
            index_put(p->index, key_str(&key), STR(""));
        else
            index_delete(p->index, key_str(&key));
    }
    if (s->fresh ? !final : final != s->was_final) {
        struct key key = key_64(KEY_LIVE, s->id);
        if (final)
            index_delete(p->index, key_str(&key));
        else
            index_put(p->index, key_str(&key), STR(""));
    }
    if (final && !s->finished_ms) {
        s->finished_ms = p->wall_ms ? p->wall_ms : 1;
        struct key key = key_64_64(KEY_FINISHED, s->finished_ms, s->id);
        index_put(p->index, key_str(&key), STR(""));
        p->at.finished_low = u64_min(p->at.finished_low, s->finished_ms);
    }
}

static void put_state(struct partition *p, struct state *s)
{
    bool final = state_is_final(s);
    account(p, s, final);
    put_times(p, s, final);
    if (s->fresh)
        put_fresh(p, s);
    if (s->flags & STATE_LARGE) {
        if (s->fresh && !final)
            put_extents(p, s, true);
        else if (final && !s->was_final)
            free_extents(p, s);
    }
    struct key key = key_64(KEY_MESSAGE, s->id);
    if (s->moved) {
        buffer_clear(&p->scratch);
        state_encode_message(s, &p->scratch);
        index_put(p->index, key_str(&key), buffer_str(&p->scratch));
    }
    key.at[0] = KEY_STATES;
    buffer_clear(&p->scratch);
    state_encode(s, &p->scratch);
    index_put(p->index, key_str(&key), buffer_str(&p->scratch));
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
    if (due < p->horizon_ms && (due != s->was_due_ms || s->fresh))
        ring_put(
            p->coordinator,
            &(struct cell){.kind = CELL_ARM, .from = p->settings.number, .id = s->id, .a = due});
}

bool commit_index(struct partition *p)
{
    for (struct state *s = p->states.first; s; s = s->next)
        if (s->dirty)
            put_state(p, s);
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
