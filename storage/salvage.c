/* salvage.c -- a region of the journal that was synced and is damaged now: every record that is
 * intact by its own checksum is used, every other one is named, as far as the directories of its
 * groups tell. */
#include "storage/salvage.h"
#include "core/base/base.h"
#include "core/base/counter.h"
#include "core/base/heap.h"
#include "core/base/log.h"

struct found {
    uint64_t *offset; /* of intact records, ascending */
    size_t count, room;
};

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

static void lost(struct partition *p, enum record_type type, uint64_t id, uint64_t offset)
{
    count(storage_damaged);
    p->report.damaged_records++;
    log_error("record_damaged", log_text("partition", p->path),
              log_text("type", record_type_name(type)), log_u64("offset", offset));
    if (id)
        apply_damage(p, id, record_type_name(type));
}

/* A directory names what its group held: what was not found is lost. */
static void name_lost(struct partition *p, const struct record *directory, const struct found *f)
{
    uint64_t group = directory->id;
    struct directory_entry e;
    for (uint32_t i = 0; directory_entry(directory->payload, i, &e); i++)
        if (!is_found(f, group + e.offset))
            lost(p, e.type, e.id, group + e.offset);
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
        in = str_skip(in, RECORD_ALIGNMENT);
        offset += RECORD_ALIGNMENT;
    }
}

static void visit_note(struct salvage *s, const struct record *r, struct found *f)
{
    note(f, r->offset);
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
    walk(s, visit_note, &f);
    walk(s, visit_apply, &f);
    walk(s, visit_directory, &f);
    heap_drop(f.offset);
}
