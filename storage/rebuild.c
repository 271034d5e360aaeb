/* rebuild.c -- when the index is damaged: a new one from the journal. See checkpoint.c for why
 * that is possible. What is lost is history: finished messages whose records are gone, and old
 * notes. */
#include "core/base/base.h"
#include "core/base/log.h"
#include "storage/file.h"
#include "storage/inside.h"
#include "storage/scan.h"

#include <stdio.h>

enum {
    ASIDE_MAX = 1000,
    DEAD_SLICE = 256,
    NAME_BYTES = 32
};

/* The begin of the last complete checkpoint: 0 when there was none, and then nothing was ever used
 * again. */
static uint64_t find_checkpoint(struct partition *p)
{
    struct scan scan;
    scan_init(&scan, p);
    uint64_t begin = 0, end = 0;
    for (uint32_t i = 0; i < p->pool.end; i++) {
        const struct segment *s = p->pool.segment[i];
        if (!s || s->kind != SEGMENT_JOURNAL || s->generation == 0)
            continue;
        struct group_header h;
        for (uint64_t at = 0; at < s->written;) {
            if (!scan_header(&scan, s, at, &h) || h.place.generation != s->generation) {
                at += LIMIT_BLOCK_BYTES;
                continue;
            }
            struct str in = str_skip(scan_bytes(&scan, s, at, group_bytes(&h)), GROUP_HEADER_BYTES);
            in = str_head(in, h.length);
            uint64_t offset = at + GROUP_HEADER_BYTES;
            struct journal_place place = h.place;
            place.stamp = p->stamp;
            struct record r;
            while (record_take(&in, &place, &offset, &r) == RECORD_OK)
                if (r.type == RECORD_CHECKPOINT && r.payload.len == 9 && r.payload.at[0] == 1 &&
                    h.place.sequence > end) {
                    end = h.place.sequence;
                    begin = load64(r.payload.at + 1);
                }
            at += group_bytes(&h);
        }
    }
    return begin;
}

static bool move_aside(struct partition *p, struct buffer *errors)
{
    if (!file_exists(p->directory, "index"))
        return true;
    char name[NAME_BYTES];
    for (int i = 1; i < ASIDE_MAX; i++) {
        (void)snprintf(name, sizeof name, "index.damaged-%d", i);
        if (file_exists(p->directory, name))
            continue;
        int error = file_rename(p->directory, "index", name);
        if (error) {
            buffer_printf(errors, "%s/index can't be moved aside: %s; look at the disk", p->path,
                          strerrorname_np(-error));
            return false;
        }
        log_error("index_damaged", log_text("partition", p->path), log_text("moved_to", name),
                  log_text("advice", "a new one is made from the journal; history may be shorter; "
                                     "check the disk, then delete the old one"));
        return true;
    }
    buffer_printf(errors, "%s: too many damaged indexes lie there; delete index.damaged-*",
                  p->path);
    return false;
}

/* It finished before the checkpoint; only its first record was still there. */
static void drop_dead(struct partition *p, uint64_t id, const struct state *s)
{
    struct message *m = message_load(p->index, id);
    if (m && !m->body_inline)
        grant_forget(p, id, m->extents, m->extent_count);
    message_drop(&m);
    uint64_t due = states_due_ms(s->recipient, s->count);
    struct key key = key_64_64(KEY_DUE, due, id);
    if (due != UINT64_MAX)
        index_delete(p->index, key_str(&key));
    key = key_64(KEY_ATTEMPT, id);
    index_delete(p->index, key_str(&key));
    key = key_64(KEY_LIVE, id);
    index_delete(p->index, key_str(&key));
    struct segment *segment = pool_segment(&p->pool, s->segment);
    if (segment && segment->generation == s->generation && segment->live_messages) {
        segment->live_messages--;
        segment->live_bytes -= s->bytes;
        segment->counted = true;
    }
    p->at.messages--;
    p->at.open_recipients -= state_open(s);
    purge_message(p, id);
}

static bool drop_all_dead(struct partition *p)
{
    struct key from = key_start(KEY_LIVE), until = key_start((enum index_key)(KEY_LIVE + 1));
    uint64_t dead = 0;
    for (bool more = true; more;) {
        uint64_t ids[DEAD_SLICE];
        size_t count = 0;
        struct cursor *c = cursor_open(p->index, key_str(&from), key_str(&until));
        struct str key, value;
        enum index_result result = INDEX_BROKEN;
        while (c && count < DEAD_SLICE && (result = cursor_next(c, &key, &value)) == INDEX_FOUND)
            ids[count++] = load64(key.at + 1);
        cursor_close(&c);
        if (result == INDEX_BROKEN)
            return false;
        more = result == INDEX_FOUND;
        for (size_t i = 0; i < count; i++) {
            const struct state *s = state_get(&p->states, ids[i]);
            if (s->is != STATE_KNOWN || s->flags & STATE_PROVEN)
                continue;
            drop_dead(p, ids[i], s);
            dead++;
        }
        if (count)
            from = key_64(KEY_LIVE, ids[count - 1] + 1);
        if (!commit_index(p))
            return false;
    }
    log_warning("index_rebuilt", log_text("partition", p->path),
                log_u64("messages", p->at.messages), log_u64("finished_dropped", dead));
    return true;
}

/* Made beside, and put in place when it is complete: what a crash leaves of it is never used. */
static bool put_in_place(struct partition *p, struct buffer *errors)
{
    char path[PATH_BYTES];
    index_shut(p->index);
    int error = file_rename(p->directory, "index.new", "index");
    if (!error)
        error = file_sync_directory(p->directory);
    if (error) {
        buffer_printf(errors, "%s/index.new can't be renamed: %s; look at the disk", p->path,
                      strerrorname_np(-error));
        return false;
    }
    index_path(p, "index", path);
    index_place(p->index, path);
    p->reopens = 0;
    return index_open(p->index, errors);
}

bool rebuild(struct partition *p, struct buffer *errors)
{
    char path[PATH_BYTES];
    p->report.rebuilt = true;
    p->reopens = REOPENS_MAX; /* what is half made is never opened again */
    index_shut(p->index);
    index_forget(p->index);
    states_clear(&p->states);
    p->index_down = false;
    p->checkpoint.running = false;
    index_path(p, "index.new", path);
    index_place(p->index, path);
    index_destroy(p->index);
    if (!move_aside(p, errors) || !index_open(p->index, errors))
        return false;
    p->proven_from = find_checkpoint(p);
    p->rebuilding = true;
    bool good = replay_all(p, errors) && drop_all_dead(p) && index_flush(p->index, true);
    p->rebuilding = false;
    if (!good && errors->len == 0)
        buffer_printf(errors, "%s: the new index can't be written", p->path);
    return good && put_in_place(p, errors);
}
