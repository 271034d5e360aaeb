#include "core/base/base.h"
#include "core/base/counter.h"
#include "core/base/crc.h"
#include "core/base/heap.h"
#include "core/base/id.h"
#include "core/base/log.h"
#include "core/base/random.h"
#include "storage/file.h"
#include "storage/inside.h"
#include "storage/killpoint.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

/* File `identity`, written once: "SKMI" version:4 node:4 number:4 stamp:8 checksum:4. When it is
 * lost, the stamp is taken from the journal. */
enum {
    IDENTITY_BYTES = 28,
    IDENTITY_VERSION = 1,
    SEGMENT_BYTES_LEAST = 4 << 20
};

static int write_identity(struct partition *p)
{
    char raw[IDENTITY_BYTES] = "SKMI";
    store32(raw + 4, IDENTITY_VERSION);
    store32(raw + 8, p->settings.node);
    store32(raw + 12, p->settings.number);
    store64(raw + 16, p->stamp);
    store32(raw + 24, crc32c(0, str_from(raw, 24)));
    bool direct;
    int fd = file_open(p->directory, "identity.new", true, &direct);
    if (fd < 0)
        return fd;
    /* O_DIRECT wants whole blocks; readers look at the start only */
    memset(p->staging, 0, LIMIT_BLOCK_BYTES);
    memcpy(p->staging, raw, sizeof raw);
    int error = file_write(fd, p->staging, LIMIT_BLOCK_BYTES, 0);
    if (!error)
        error = file_sync(fd);
    file_close(fd);
    if (!error)
        error = file_rename(p->directory, "identity.new", "identity");
    return error ? error : file_sync_directory(p->directory);
}

/* 1: read; 0: absent or damaged; negative errno. */
static int read_identity(struct partition *p, uint32_t *node, uint32_t *number)
{
    int fd = file_open_read(p->directory, "identity");
    if (fd == -ENOENT)
        return 0;
    if (fd < 0)
        return fd;
    size_t got;
    int error = file_read(fd, p->staging, LIMIT_BLOCK_BYTES, 0, &got);
    file_close(fd);
    const char *raw = p->staging;
    if (error || got < IDENTITY_BYTES || memcmp(raw, "SKMI", 4) != 0 ||
        load32(raw + 24) != crc32c(0, str_from(raw, 24)))
        return 0;
    *node = load32(raw + 8);
    *number = load32(raw + 12);
    p->stamp = load64(raw + 16);
    return 1;
}

/* The stamp as the records of a segment have it. */
static bool stamp_of_segment(struct partition *p, const struct segment *s)
{
    size_t got;
    uint32_t partition = p->settings.node << ID_PARTITION_BITS | p->settings.number;
    struct group_header h;
    uint64_t end = u64_min(s->written, 64 * (uint64_t)LIMIT_BLOCK_BYTES);
    for (uint64_t at = 0; at < end; at += LIMIT_BLOCK_BYTES) {
        if (file_read(s->fd, p->staging, LIMIT_BLOCK_BYTES, at, &got) ||
            !group_header_read(str_from(p->staging, got), &h) || h.records == 0 ||
            h.place.partition != partition || group_bytes(&h) > GROUP_BYTES_MAX ||
            file_read(s->fd, p->staging, group_bytes(&h), at, &got))
            continue;
        uint64_t stamp = load64(p->staging + GROUP_HEADER_BYTES + 20);
        if (!group_check(str_from(p->staging, got), &h, stamp))
            continue;
        p->stamp = stamp;
        return true;
    }
    return false;
}

static bool find_identity(struct partition *p, struct buffer *errors)
{
    uint32_t node = 0, number = 0;
    int found = read_identity(p, &node, &number);
    if (found == 1 && (node != p->settings.node || number != p->settings.number)) {
        buffer_printf(errors, "%s belongs to node %u partition %u, not to node %u partition %u",
                      p->path, node, number, p->settings.node, p->settings.number);
        return false;
    }
    if (found == 1)
        return true;
    bool journal = false;
    for (uint32_t i = 0; found == 0 && i < p->pool.end; i++) {
        const struct segment *s = p->pool.segment[i];
        if (!s || s->kind != SEGMENT_JOURNAL || s->written == 0)
            continue;
        journal = true;
        if (stamp_of_segment(p, s)) {
            log_error("identity_restored", log_text("partition", p->path));
            found = 1;
            break;
        }
    }
    if (found == 0 && journal && file_exists(p->directory, "index/CURRENT")) {
        buffer_printf(errors, "%s: the file identity is damaged and the journal can't replace it",
                      p->path);
        return false;
    }
    if (found == 0)
        p->stamp = random_u64();
    int error = found < 0 ? found : write_identity(p);
    if (error)
        buffer_printf(errors,
                      found < 0 ? "%s: the file identity can't be read: %s; look at the disk"
                                : "%s: the file identity can't be written: %s; look at the disk",
                      p->path, strerrorname_np(-error));
    return error == 0;
}

static bool open_directory(struct partition *p, struct buffer *errors)
{
    p->lock = -1;
    p->directory = file_directory(p->path);
    if (p->directory < 0) {
        buffer_printf(errors, "%s can't be opened: %s; check owner and mount", p->path,
                      strerrorname_np(-p->directory));
        return false;
    }
    p->lock = file_lock(p->directory, "lock");
    if (p->lock == -EWOULDBLOCK)
        buffer_printf(errors, "%s is in use by another process", p->path);
    else if (p->lock == -EROFS || p->lock == -EACCES)
        buffer_printf(errors, "%s can't be written: it is read-only or belongs to somebody else",
                      p->path);
    else if (p->lock < 0)
        buffer_printf(errors, "%s can't be locked: %s; it must lie on a local file system", p->path,
                      strerrorname_np(-p->lock));
    return p->lock >= 0;
}

/* Reasons that lie outside the index: making it again would not help. */
static bool is_outside(struct str words)
{
    static const char *const reasons[] = {"No space",  "Permission denied",   "lock file",
                                          "lock hold", "Read-only",           "Disk quota",
                                          "allocate",  "Too many open files", "Operation not"};
    if (str_find_str(words, STR("Corruption")) != SIZE_MAX)
        return false;
    for (size_t i = 0; i < countof(reasons); i++)
        if (str_find_str(words, str_c(reasons[i])) != SIZE_MAX)
            return true;
    return false;
}

static bool open_index(struct partition *p, struct buffer *errors)
{
    char path[PATH_BYTES];
    index_path(p, "index", path);
    p->index = index_make(path);
    states_init(&p->states, p->index);
    if (index_open(p->index, errors))
        return replay(p, errors);
    if (is_outside(buffer_str(errors)))
        return false;
    count(storage_damaged);
    log_error("index_not_opened", log_str("reason", buffer_str(errors)));
    buffer_clear(errors);
    replay_prepare(p);
    return rebuild(p, errors);
}

static void release(struct partition **p_p)
{
    struct partition *p = *p_p;
    if (p->index)
        states_drop(&p->states);
    index_close(&p->index);
    pool_close(&p->pool);
    file_close(p->lock);
    file_close(p->directory);
    port_drop(&p->port);
    buffer_drop(&p->scratch);
    buffer_drop(&p->extra);
    buffer_drop(&p->group.directory);
    buffer_drop(&p->checkpoint.next_key);
    heap_drop(p->undo);
    heap_drop(p->asked);
    heap_drop(p->blocked);
    heap_drop(p->from);
    heap_drop(p->to);
    heap_drop(p->staging);
    heap_drop(p->reclaim.raw);
    heap_drop(p->path);
    heap_drop(p);
    *p_p = NULL;
}

static struct partition *make(const struct partition_settings *s)
{
    struct partition *p = heap_take(sizeof *p);
    p->settings = *s;
    size_t bytes = strlen(s->directory) + 1;
    p->path = heap_take(bytes);
    memcpy(p->path, s->directory, bytes);
    p->settings.directory = p->path;
    const uint64_t unit = LIMIT_EXTENT_BYTES;
    p->settings.segment_bytes =
        u64_max((s->segment_bytes + unit - 1) / unit * unit, SEGMENT_BYTES_LEAST);
    p->staging = heap_take_aligned(LIMIT_BLOCK_BYTES, GROUP_BYTES_MAX);
    buffer_init(&p->scratch, (size_t)LIMIT_RECORD_BYTES * 2);
    buffer_init(&p->extra, LIMIT_RECORD_BYTES);
    buffer_init(&p->group.directory, GROUP_BYTES_MAX);
    buffer_init(&p->checkpoint.next_key, LIMIT_RECORD_BYTES);
    port_init(&p->port);
    return p;
}

/* Where the index lies, or is made. Paths that are too long were refused at the opening. */
void index_path(const struct partition *p, const char *name, char *path)
{
    int length = snprintf(path, PATH_BYTES, "%s/%s", p->path, name);
    must(length > 0 && length < PATH_BYTES);
}

struct partition *partition_open(const struct partition_settings *s, struct buffer *errors)
{
    killpoint_start();
    if (strlen(s->directory) > PATH_BYTES - 64) {
        buffer_puts(errors, "the path of the partition is too long");
        return NULL;
    }
    struct partition *p = make(s);
    bool good = open_directory(p, errors);
    if (good) {
        int error = pool_open(&p->pool, p->directory, p->path, p->settings.segment_bytes);
        if (error)
            buffer_printf(errors, "%s: segments can't be opened: %s; check owner and LimitNOFILE",
                          p->path, strerrorname_np(-error));
        good = error == 0;
    }
    good = good && find_identity(p, errors) && open_index(p, errors) &&
           grant_name_missing(p, errors) && start_run(p, errors);
    if (good)
        keeper_publish(p, clock_monotonic_ms());
    else
        release(&p);
    return p;
}

const struct partition_report *partition_report(const struct partition *p)
{
    return &p->report;
}

struct port *partition_port(struct partition *p)
{
    return &p->port;
}

void partition_start(struct partition *p, struct ring *const *from, struct ring *const *to,
                     size_t rings, struct ring *coordinator)
{
    must(!p->started);
    p->rings = rings;
    p->from = heap_take((rings + 1) * sizeof(void *));
    p->to = heap_take((rings + 1) * sizeof(void *));
    p->blocked = heap_take(rings + 1);
    for (size_t i = 0; i < rings; i++) {
        p->from[i] = from[i];
        p->to[i] = to[i];
    }
    p->coordinator = coordinator;
    p->started = true;
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    must(pthread_create(&p->thread, NULL, keeper_main, p) == 0);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void partition_stop(struct partition **p_p)
{
    struct partition *p = *p_p;
    if (!p)
        return;
    if (p->started) {
        atomic_store(&p->stop, true);
        port_wake(&p->port);
        must(pthread_join(p->thread, NULL) == 0);
    } else {
        keeper_finish(p);
    }
    release(p_p);
}

void partition_commit(struct partition *p, struct unit *u)
{
    must(!p->started);
    keeper_turn_alone(p, u);
}

int partition_fd(const struct partition *p, uint32_t segment)
{
    return pool_fd(&p->pool, segment);
}

void partition_usage(const struct partition *p, struct partition_usage *out)
{
    *out = (struct partition_usage){.segments = atomic_load(&p->usage_segments),
                                    .segment_bytes = atomic_load(&p->usage_segment_bytes),
                                    .free_bytes = atomic_load(&p->usage_free_bytes),
                                    .live_bytes = atomic_load(&p->usage_live_bytes),
                                    .ready_bytes = atomic_load(&p->usage_ready_bytes),
                                    .messages = atomic_load(&p->usage_messages),
                                    .held = atomic_load(&p->usage_held),
                                    .failed = atomic_load(&p->usage_failed),
                                    .full = atomic_load(&p->usage_full),
                                    .commit_p50_us = atomic_load(&p->usage_p50_us),
                                    .commit_p99_us = atomic_load(&p->usage_p99_us)};
}
