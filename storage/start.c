#include "core/base/base.h"
#include "core/base/heap.h"
#include "core/base/log.h"
#include "storage/file.h"
#include "storage/inside.h"
#include "storage/unit.h"

#include <string.h>

enum {
    ADOPTED_MAX = 1024
};

uint64_t partition_now_ms(const struct partition *p)
{
    uint64_t wall = clock_wall_ms();
    struct clock_boot_id boot = clock_boot_id();
    if (!p->at.anchored || memcmp(boot.at, p->at.boot.at, sizeof boot.at) != 0)
        return wall;
    return clock_adopted_ms(&p->at.anchor, wall, clock_boot_ms());
}

/* Ids of messages with a recipient in SENDING, from `from` on. */
static bool find_attempts(struct partition *p, uint64_t from, uint64_t *ids, size_t *count)
{
    struct key first = key_64(KEY_ATTEMPT, from);
    struct key until = key_start((enum index_key)(KEY_ATTEMPT + 1));
    struct cursor *c = cursor_open(p->index, key_str(&first), key_str(&until));
    struct str key, value;
    enum index_result result = c ? INDEX_FOUND : INDEX_BROKEN;
    *count = 0;
    while (c && *count < ADOPTED_MAX && (result = cursor_next(c, &key, &value)) == INDEX_FOUND)
        if (key.len == 9)
            ids[(*count)++] = load64(key.at + 1);
    cursor_close(&c);
    return result != INDEX_BROKEN;
}

static bool put_retries(struct partition *p, uint64_t id, uint64_t now_ms)
{
    struct state *s = state_get(&p->states, id);
    if (s->is != STATE_KNOWN) {
        if (s->is == STATE_UNREADABLE)
            apply_damage(p, id, "states in the index");
        return true;
    }
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->recipient[i].stage != STAGE_SENDING)
            continue;
        struct recipient_state to = s->recipient[i];
        to.stage = STAGE_RETRY;
        to.flags |= RECIPIENT_EXPOSED;
        to.due_ms = now_ms;
        struct str last = STR("the gateway stopped while it was being sent");
        uint64_t offset;
        buffer_clear(&p->scratch);
        move_encode(i, &to, last, &p->scratch);
        if (!group_add(&p->group, RECORD_MOVE, id, buffer_str(&p->scratch), STR(""), &offset))
            return false;
        apply_move(p, s, i, &to, last);
    }
    return true;
}

static bool write_start(struct partition *p, struct buffer *errors)
{
    if (p->group.records == 0)
        return true;
    if (commit_write(p) && commit_index(p)) {
        commit_open_group(p);
        return true;
    }
    buffer_printf(errors, "%s: the journal can't be written", p->path);
    return false;
}

/* Every attempt that was under way: content may have reached a server. A real, committed move,
 * before anything is served. */
static bool adopt_attempts(struct partition *p, struct buffer *errors)
{
    uint64_t *ids = heap_take(ADOPTED_MAX * sizeof *ids);
    uint64_t now = partition_now_ms(p), from = 0;
    if (p->at.anchored)
        now = u64_min(now, p->at.anchor.adopted_ms);
    bool good = true;
    for (size_t count = 1; good && count;) {
        good = find_attempts(p, from, ids, &count);
        for (size_t i = 0; good && i < count; i++) {
            from = ids[i] + 1;
            if (put_retries(p, ids[i], now))
                continue;
            /* the group is full: what is in it of this message is legal by itself */
            good = write_start(p, errors) && commit_make_room(p, GROUP_BYTES_MAX / 16, false) &&
                   put_retries(p, ids[i], now);
        }
        if (good && count)
            log_info("attempts_adopted", log_text("partition", p->path), log_u64("count", count));
    }
    heap_drop(ids);
    if (!good && errors->len == 0)
        buffer_printf(errors, "%s: attempts under way can't be adopted", p->path);
    return good && write_start(p, errors);
}

/* The last group that was read may never have been synced: the process died in between, the machine
 * did not. What follows it proves that it was, so first it has to be. */
static bool sync_journal(struct partition *p, struct buffer *errors)
{
    for (uint32_t i = 0; i < p->pool.end; i++) {
        const struct segment *s = p->pool.segment[i];
        int error = s && s->kind == SEGMENT_JOURNAL ? file_sync(s->fd) : 0;
        if (error) {
            buffer_printf(errors, "%s: a journal segment can't be synced: %s; look at the disk",
                          p->path, strerrorname_np(-error));
            return false;
        }
    }
    return true;
}

bool start_run(struct partition *p, struct buffer *errors)
{
    if (!sync_journal(p, errors))
        return false;
    uint64_t last = u64_max(p->at.serial_seen, p->at.serial_reserved);
    p->report.serial_next = last + 1;
    p->report.anchor = p->at.anchor;
    p->report.boot = p->at.boot;
    p->report.anchored = p->at.anchored;
    commit_open_group(p);
    if (!commit_make_room(p, LIMIT_BLOCK_BYTES, false)) {
        buffer_printf(errors, "%s: no space for a journal segment; free some disk space", p->path);
        return false;
    }
    char reserved[8];
    uint64_t offset;
    p->serial_used = last;
    p->at.serial_reserved = last + SERIALS_RESERVED;
    store64(reserved, p->at.serial_reserved);
    if (!group_add(&p->group, RECORD_RESERVE, 0, str_from(reserved, 8), STR(""), &offset))
        return false;
    return adopt_attempts(p, errors);
}
