/* salvage.c -- a region of the journal that was synced and is damaged now: every record that is
 * intact by its own checksum is used, every other one is named, as far as the directories of its
 * groups tell. */
#include "storage/salvage.h"
#include "core/base/base.h"
#include "core/base/counter.h"
#include "core/base/heap.h"
#include "core/base/log.h"
#include "core/base/map.h"

struct found {
    uint64_t *offset; /* of intact records, ascending */
    size_t count, room;
    struct map bodies; /* ids of intact bodies */
    struct map heads;  /* ids in the heads of broken records: may be wrong themselves */
    struct map named;  /* ids that were told */
};

static struct str id_key(const uint64_t *id)
{
    return str_from((const char *)id, sizeof *id);
}

static void note(struct found *f, uint64_t offset)
{
    if (f->count == f->room) {
        size_t room = f->room ? f->room * 2 : 1024;
        uint64_t *larger = heap_grow(f->offset, room * sizeof *larger);
        must(larger != NULL);
        f->offset = larger;
        f->room = room;
    }
    f->offset[f->count++] = offset;
}

static bool is_found(const struct found *f, uint64_t offset)
{
    size_t low = 0, high = f->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (f->offset[middle] < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low < f->count && f->offset[low] == offset;
}

static void lost(struct partition *p, struct found *f, enum record_type type, uint64_t id,
                 uint64_t offset)
{
    count(storage_damaged);
    p->report.damaged_records++;
    log_error("record_damaged", log_text("partition", p->path),
              log_text("type", record_type_name(type)), log_u64("offset", offset));
    if (!id)
        return;
    map_set(&f->named, id_key(&id), f);
    apply_damage(p, id, record_type_name(type));
}

/* A directory names what its group held: what was not found is lost. */
static void name_lost(struct partition *p, const struct record *directory, struct found *f)
{
    uint64_t group = directory->id;
    struct directory_entry e;
    for (uint32_t i = 0; directory_entry(directory->payload, i, &e); i++)
        if (!is_found(f, group + e.offset))
            lost(p, f, e.type, e.id, group + e.offset);
}

/* A mail of which something is here, while no envelope of it is known, was lost. */
static void name_rest(struct partition *p, struct found *f, const struct map *ids)
{
    struct map_entry *at = NULL;
    struct str key;
    void *value;
    while (map_next(ids, &at, &key, &value)) {
        uint64_t id;
        memcpy(&id, key.at, sizeof id);
        if (!map_get(&f->named, key) && state_get(&p->states, id)->is != STATE_KNOWN)
            lost(p, f, RECORD_ACCEPT, id, 0);
    }
}

typedef void visit_fn(struct salvage *s, const struct record *r, struct found *f);

/* All intact records of the region, in order. */
static void walk(struct salvage *s, visit_fn *visit, struct found *f)
{
    struct str in = s->region;
    uint64_t offset = s->offset;
    struct record r;
    while (in.len >= RECORD_HEADER_BYTES) {
        if (record_take(&in, &s->place, &offset, &r) == RECORD_OK) {
            visit(s, &r, f);
            continue;
        }
        uint64_t id;
        if (record_name(in, &s->place, &id))
            map_set(&f->heads, id_key(&id), f);
        in = str_skip(in, RECORD_ALIGNMENT);
        offset += RECORD_ALIGNMENT;
    }
}

static void visit_note(struct salvage *s, const struct record *r, struct found *f)
{
    note(f, r->offset);
    if (r->type == RECORD_BODY)
        map_set(&f->bodies, id_key(&r->id), f);
    s->directories += r->type == RECORD_DIRECTORY;
}

static void visit_apply(struct salvage *s, const struct record *r, struct found *f)
{
    (void)f;
    struct group_header h = {.place = s->place, .wall_ms = s->p->wall_ms};
    h.place.offset = s->offset;
    apply_record(s->p, &h, r);
    s->used += r->type != RECORD_DIRECTORY;
}

static void visit_directory(struct salvage *s, const struct record *r, struct found *f)
{
    if (r->type == RECORD_DIRECTORY)
        name_lost(s->p, r, f);
}

void salvage_region(struct salvage *s)
{
    struct found f = {0};
    map_init(&f.bodies, s->p->stamp);
    map_init(&f.heads, s->p->stamp);
    map_init(&f.named, s->p->stamp);
    walk(s, visit_note, &f);
    walk(s, visit_apply, &f);
    walk(s, visit_directory, &f);
    name_rest(s->p, &f, &f.bodies);
    if (s->directories == 0) /* a directory would have told, and better */
        name_rest(s->p, &f, &f.heads);
    map_drop(&f.bodies);
    map_drop(&f.heads);
    map_drop(&f.named);
    heap_drop(f.offset);
}
