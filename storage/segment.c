#include "storage/segment.h"

#include "core/base/base.h"
#include "core/base/heap.h"
#include "core/base/limit.h"
#include "core/base/log.h"
#include "storage/file.h"

#include <errno.h>
#include <stdio.h>

enum {
    NAMES_BYTES_MAX = 64 << 20,
    GRAVE_MS = 60000
};

/* Only read; aligned for O_DIRECT. */
static const _Alignas(LIMIT_BLOCK_BYTES) char zeros[1 << 20];

static const char *const prefixes[] = {[SEGMENT_JOURNAL] = "journal-", [SEGMENT_BODY] = "body-"};

void segment_name(char *out, enum segment_kind kind, uint32_t number)
{
    (void)snprintf(out, SEGMENT_NAME_BYTES, "%s%06u", prefixes[kind], number % 1000000);
}

bool segment_name_parse(struct str name, enum segment_kind *kind, uint32_t *number)
{
    for (int k = SEGMENT_JOURNAL; k <= SEGMENT_BODY; k++) {
        struct str prefix = str_c(prefixes[k]);
        uint64_t n;
        if (!str_starts(name, prefix) || name.len != prefix.len + 6 ||
            !str_number(str_skip(name, prefix.len), SEGMENTS_MAX - 1, &n))
            continue;
        *kind = (enum segment_kind)k;
        *number = (uint32_t)n;
        return true;
    }
    return false;
}

struct segment *pool_segment(const struct pool *p, uint32_t number)
{
    return number < SEGMENTS_MAX ? p->segment[number] : NULL;
}

static struct segment *enter(struct pool *p, enum segment_kind kind, uint32_t number, int fd)
{
    struct segment *s = heap_take(sizeof *s);
    *s = (struct segment){.number = number, .kind = kind, .fd = fd, .bytes = p->segment_bytes};
    p->segment[number] = s;
    atomic_store_explicit(&p->fd[number], fd, memory_order_release);
    p->end = number >= p->end ? number + 1 : p->end;
    p->count++;
    return s;
}

static void make_slots(struct segment *s)
{
    s->slots = (uint32_t)(s->bytes / LIMIT_EXTENT_BYTES);
    s->slot = heap_take(s->slots * sizeof *s->slot);
}

static int open_file(struct pool *p, const char *name, bool create)
{
    bool direct;
    int fd = file_open(p->directory, name, create, &direct);
    if (fd >= 0 && !direct && !p->buffered) {
        p->buffered = true;
        log_warning("storage_without_direct_io", log_text("file", name));
    }
    return fd;
}

static int open_one(struct pool *p, struct str name)
{
    enum segment_kind kind;
    uint32_t number;
    if (!segment_name_parse(name, &kind, &number))
        return 0;
    if (p->segment[number])
        return -EEXIST;
    int fd = open_file(p, name.at, false);
    if (fd < 0)
        return fd;
    struct segment *s = enter(p, kind, number, fd);
    int error = file_size(fd, &s->written);
    if (error)
        return error;
    /* made under another setting: it keeps its size */
    if (kind == SEGMENT_BODY)
        s->bytes = s->written - s->written % LIMIT_EXTENT_BYTES;
    else if (s->written > s->bytes)
        s->bytes = s->written;
    s->written -= s->written % LIMIT_BLOCK_BYTES;
    if (kind == SEGMENT_BODY)
        make_slots(s);
    return 0;
}

int pool_open(struct pool *p, int directory, const char *path, uint64_t segment_bytes)
{
    p->directory = directory;
    p->segment_bytes = segment_bytes;
    for (uint32_t i = 0; i < SEGMENTS_MAX; i++)
        atomic_init(&p->fd[i], -1);
    for (int i = 0; i < GRAVES; i++)
        p->grave[i].fd = -1;
    struct buffer names;
    buffer_init(&names, NAMES_BYTES_MAX);
    int error = file_names(path, &names);
    for (size_t at = 0; !error && at < names.len;) {
        struct str name = str_c(names.at + at);
        at += name.len + 1;
        error = open_one(p, name);
    }
    buffer_drop(&names);
    return error;
}

void pool_close(struct pool *p)
{
    for (uint32_t i = 0; i < p->end; i++) {
        struct segment *s = p->segment[i];
        if (!s)
            continue;
        atomic_store_explicit(&p->fd[i], -1, memory_order_release);
        file_close(s->fd);
        heap_drop(s->slot);
        heap_drop(s);
        p->segment[i] = NULL;
    }
    for (int i = 0; i < GRAVES; i++)
        file_close(p->grave[i].fd);
}

static uint32_t free_number(const struct pool *p)
{
    for (uint32_t i = 1; i < SEGMENTS_MAX; i++)
        if (!p->segment[i] && atomic_load_explicit(&p->fd[i], memory_order_relaxed) < 0)
            return i;
    return 0;
}

struct segment *pool_make(struct pool *p, enum segment_kind kind, int *error)
{
    uint32_t number = free_number(p);
    if (number == 0) {
        *error = -ENOSPC;
        return NULL;
    }
    char name[SEGMENT_NAME_BYTES];
    segment_name(name, kind, number);
    int fd = open_file(p, name, true);
    *error = fd < 0 ? fd : file_allocate(fd, p->segment_bytes);
    if (!*error && kind == SEGMENT_BODY)
        *error = file_resize(fd, p->segment_bytes);
    if (!*error)
        *error = file_sync(fd);
    if (!*error)
        *error = file_sync_directory(p->directory);
    if (*error) {
        /* nothing was promised about this file yet */
        if (fd >= 0)
            (void)file_unlink(p->directory, name);
        file_close(fd);
        return NULL;
    }
    struct segment *s = enter(p, kind, number, fd);
    if (kind == SEGMENT_BODY)
        make_slots(s);
    else
        pool_give(p, s);
    return s;
}

struct segment *pool_take(struct pool *p)
{
    struct segment *best = NULL;
    for (uint32_t i = 0; i < p->end; i++) {
        struct segment *s = p->segment[i];
        if (s && s->spare && (!best || s->written > best->written))
            best = s;
    }
    if (!best)
        return NULL;
    best->spare = false;
    p->spares--;
    best->generation = ++p->generation;
    best->live_messages = best->live_bytes = 0;
    best->counted = true;
    best->uncopyable = false;
    return best;
}

void pool_give(struct pool *p, struct segment *s)
{
    must(s->kind == SEGMENT_JOURNAL && !s->spare);
    s->spare = true;
    p->spares++;
}

int pool_remove(struct pool *p, struct segment **s_p, uint64_t now_ms)
{
    struct segment *s = *s_p;
    int grave = 0;
    while (grave < GRAVES && p->grave[grave].fd >= 0)
        grave++;
    if (grave == GRAVES)
        return -EBUSY;
    char name[SEGMENT_NAME_BYTES];
    segment_name(name, s->kind, s->number);
    int error = file_unlink(p->directory, name);
    if (error)
        return error;
    p->grave[grave].fd = s->fd;
    p->grave[grave].close_ms = now_ms + GRAVE_MS;
    atomic_store_explicit(&p->fd[s->number], -1, memory_order_release);
    p->segment[s->number] = NULL;
    p->count--;
    p->spares -= s->spare;
    heap_drop(s->slot);
    heap_drop(s);
    *s_p = NULL;
    return 0;
}

void pool_bury(struct pool *p, uint64_t now_ms)
{
    for (int i = 0; i < GRAVES; i++)
        if (p->grave[i].fd >= 0 && p->grave[i].close_ms <= now_ms) {
            file_close(p->grave[i].fd);
            p->grave[i].fd = -1;
        }
}

int pool_zero(struct pool *p, struct segment *s, size_t bytes)
{
    (void)p;
    if (s->written >= s->bytes)
        return 0;
    bytes = size_min(size_min(bytes, sizeof zeros), (size_t)(s->bytes - s->written));
    int error = file_write(s->fd, zeros, bytes, s->written);
    if (!error)
        s->written += bytes;
    return error;
}
