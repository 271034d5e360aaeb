#include "core/base/base.h"
#include "core/base/counter.h"
#include "core/base/heap.h"
#include "core/base/log.h"
#include "core/base/random.h"
#include "storage/file.h"
#include "storage/inside.h"

enum {
    GRANT_EXTENTS_MAX = 4096
};

/* The slot an extent lies in; NULL: there is none. */
static struct slot *slot_of(const struct partition *p, const struct extent *e,
                            struct segment **segment)
{
    struct segment *s = pool_segment(&p->pool, e->segment);
    *segment = s;
    if (!s || s->kind != SEGMENT_BODY || e->offset % LIMIT_EXTENT_BYTES ||
        e->offset / LIMIT_EXTENT_BYTES >= s->slots)
        return NULL;
    return &s->slot[e->offset / LIMIT_EXTENT_BYTES];
}

static void set_free(struct segment *s, struct slot *slot)
{
    slot->use = SLOT_FREE;
    s->slots_used--;
}

/* Take free slots of one segment, up to `count` in the grant. */
static void take_from(struct segment *s, struct grant *g, uint32_t count, uint32_t generation)
{
    for (uint32_t i = 0; i < s->slots && g->count < count; i++) {
        if (s->slot[i].use != SLOT_FREE)
            continue;
        s->slot[i] = (struct slot){.generation = generation, .use = SLOT_GRANTED};
        s->slots_used++;
        g->extent[g->count++] = (struct extent){.segment = s->number,
                                                .generation = generation,
                                                .offset = (uint64_t)i * LIMIT_EXTENT_BYTES,
                                                .length = LIMIT_EXTENT_BYTES};
    }
}

struct grant *grant_make(struct partition *p, uint32_t count)
{
    if (count == 0 || count > GRANT_EXTENTS_MAX || p->full || p->failed || p->index_down)
        return NULL;
    struct grant *g = heap_try(sizeof *g + count * sizeof g->extent[0]);
    if (!g)
        return NULL;
    g->count = 0;
    /* random, so that what an extent held before can never pass for this grant's */
    uint32_t generation = (uint32_t)random_u64() | 1;
    for (uint32_t i = 0; i < p->pool.end && g->count < count; i++) {
        struct segment *s = p->pool.segment[i];
        if (s && s->kind == SEGMENT_BODY && s->slots_used < s->slots)
            take_from(s, g, count, generation);
    }
    while (g->count < count) {
        int error = 0;
        struct segment *s = pool_make(&p->pool, SEGMENT_BODY, &error);
        if (!s) {
            if (!file_is_full(error)) /* the first such error is final, wherever it comes */
                commit_fail(p, "making a body segment", error);
            log_warning("body_segment_failed", log_errno("reason", error));
            grant_revoke(p, g);
            return NULL;
        }
        take_from(s, g, count, generation);
    }
    return g;
}

void grant_revoke(struct partition *p, struct grant *g)
{
    for (uint32_t i = 0; g && i < g->count; i++) {
        struct segment *s;
        struct slot *slot = slot_of(p, &g->extent[i], &s);
        if (slot && slot->use == SLOT_GRANTED && slot->generation == g->extent[i].generation)
            set_free(s, slot);
    }
    heap_drop(g);
}

static void set_use(struct partition *p, const struct message *m, enum slot_use use)
{
    for (uint32_t i = 0; i < m->extent_count; i++) {
        struct segment *s;
        struct slot *slot = slot_of(p, &m->extents[i], &s);
        if (slot)
            slot->use = use;
    }
}

bool grant_settle(struct partition *p, const struct message *m)
{
    struct segment *s;
    for (uint32_t i = 0; i < m->extent_count; i++) {
        const struct slot *slot = slot_of(p, &m->extents[i], &s);
        if (!slot || !s || slot->use != SLOT_GRANTED ||
            slot->generation != m->extents[i].generation)
            return false;
    }
    set_use(p, m, SLOT_LIVE);
    return true;
}

void grant_unsettle(struct partition *p, const struct message *m)
{
    set_use(p, m, SLOT_GRANTED);
}

int grant_sync(struct partition *p, const struct message *m)
{
    for (uint32_t i = 0; i < m->extent_count; i++) {
        const struct segment *s = pool_segment(&p->pool, m->extents[i].segment);
        bool again = i && m->extents[i - 1].segment == m->extents[i].segment;
        int error = !s || again ? 0 : file_sync(s->fd);
        if (error)
            return error;
    }
    return 0;
}

void grant_forget(struct partition *p, uint64_t id, const struct extent *e, uint32_t count)
{
    struct buffer value;
    buffer_init(&value, 64);
    for (uint32_t i = 0; i < count; i++) {
        struct segment *s;
        struct key key = key_start(KEY_EXTENT);
        key_put32(&key, e[i].segment);
        key_put32(&key, (uint32_t)(e[i].offset / LIMIT_EXTENT_BYTES));
        buffer_clear(&value);
        /* somebody who lives may have it by now: after a rebuild, or in place of a lost file */
        if (index_get(p->index, key_str(&key), &value) == INDEX_FOUND && value.len == 12 &&
            load64(value.at) == id)
            index_delete(p->index, key_str(&key));
        struct slot *slot = slot_of(p, &e[i], &s);
        if (slot && slot->use == SLOT_LIVE && slot->generation == e[i].generation)
            set_free(s, slot);
    }
    buffer_drop(&value);
}

void grant_adopt(struct partition *p, const struct extent *e, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct segment *s;
        struct slot *slot = slot_of(p, &e[i], &s);
        if (!slot) /* of a mail that is final by now, or grant_name_missing() says it */
            continue;
        /* A replay in the run (the index is made again) meets mails that are long final. Their
         * extent may be a worker's by now: it must not become free under its hands. */
        if (slot->use == SLOT_GRANTED && slot->generation != e[i].generation)
            continue;
        s->slots_used += slot->use == SLOT_FREE;
        *slot = (struct slot){.generation = e[i].generation, .use = SLOT_LIVE};
    }
}

/* Each extent that the index says is in use, and whose it is. */
static bool each_extent(struct partition *p, struct buffer *errors,
                        void (*see)(struct partition *p, uint64_t id, const struct extent *e))
{
    struct key from = key_start(KEY_EXTENT), until = key_start((enum index_key)(KEY_EXTENT + 1));
    struct cursor *c = cursor_open(p->index, key_str(&from), key_str(&until));
    struct str key, value;
    enum index_result result = c ? INDEX_FOUND : INDEX_BROKEN;
    while (c && (result = cursor_next(c, &key, &value)) == INDEX_FOUND) {
        if (key.len != 9 || value.len != 12)
            continue;
        struct extent e = {.segment = load32(key.at + 1),
                           .generation = load32(value.at + 8),
                           .offset = (uint64_t)load32(key.at + 5) * LIMIT_EXTENT_BYTES};
        see(p, load64(value.at), &e);
    }
    cursor_close(&c);
    if (result == INDEX_BROKEN)
        buffer_printf(errors, "%s: the index can't be read (extents); look at the disk", p->path);
    return result == INDEX_ABSENT;
}

static void see_live(struct partition *p, uint64_t id, const struct extent *e)
{
    (void)id;
    grant_adopt(p, e, 1);
}

bool grant_load(struct partition *p, struct buffer *errors)
{
    return each_extent(p, errors, see_live);
}

/* Said once for each mail: by the first of its extents that is missing. Its states stay: when the
 * file is restored before the mail is due, nothing is lost. */
static void name_missing(struct partition *p, uint64_t id, uint32_t segment, uint64_t offset)
{
    struct message *m = message_load(p->index, id);
    bool first = true;
    for (uint32_t i = 0; m && i < m->extent_count; i++) {
        struct segment *s;
        if (slot_of(p, &m->extents[i], &s))
            continue;
        first = m->extents[i].segment == segment && m->extents[i].offset == offset;
        break;
    }
    if (first) {
        log_error("body_missing", log_id("id", id), log_str("from", m ? m->sender : STR("unknown")),
                  log_text("partition", p->path), log_u64("segment", segment),
                  log_text("advice", "restore this body segment and start again; else the mail "
                                     "goes back to its sender when it is due"));
        count(storage_damaged);
        p->report.damaged_messages++;
    }
    message_drop(&m);
}

static void see_missing(struct partition *p, uint64_t id, const struct extent *e)
{
    struct segment *s;
    if (!slot_of(p, e, &s))
        name_missing(p, id, e->segment, e->offset);
}

bool grant_name_missing(struct partition *p, struct buffer *errors)
{
    return each_extent(p, errors, see_missing);
}
