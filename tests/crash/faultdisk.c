#include "tests/crash/faultdisk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIMBO "/.faultfs"  /* in the backing directory: content that was made while mounted */
#define NEW   LIMBO "/new" /* the settled tree, while it is built */

enum {
    PATH_ROOM = PATH_MAX + 64
};

enum change_kind {
    CHANGE_WRITE,
    CHANGE_ZERO,
    CHANGE_RESIZE
};

struct change {
    enum change_kind kind;
    bool lost; /* a sync of it failed: it never becomes durable */
    bool done; /* durable, but kept because a lost change lies below it */
    off_t at;  /* CHANGE_RESIZE: the new size */
    size_t length;
    unsigned char *bytes; /* CHANGE_WRITE only */
};

/* One step of the name space that is not durable yet: its parts happen together or not at all. */
struct step {
    struct edit {
        struct node *dir;
        char *name;
        struct node *node; /* NULL: the name goes away */
    } edit[2];

    int edits;
};

static char backing_path[PATH_MAX];
static bool names_can_be_lost;
static struct node **nodes; /* by inode number; [0] is unused */
static uint64_t node_count;
static uint64_t node_room;
static struct step *steps;
static size_t step_count;
static size_t step_room;
static uint64_t used_bytes;
static uint64_t random_state;

static void die(const char *what)
{
    (void)fprintf(stderr, "sekimori-faultfs: %s: %s\n", what, strerrordesc_np(errno));
    _exit(3);
}

static void *grow(void *old, size_t count, size_t *room, size_t item_bytes)
{
    if (count < *room)
        return old;
    *room = *room ? *room * 2 : 8;
    void *grown = realloc(old, *room * item_bytes);
    if (!grown)
        die("out of memory");
    return grown;
}

static void *copy_of(const void *bytes, size_t length)
{
    void *copy = malloc(length);
    if (!copy)
        die("out of memory");
    memcpy(copy, bytes, length);
    return copy;
}

static uint64_t random_next(void)
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static void backing_at(char *path, const char *part, const char *below)
{
    int length = snprintf(path, PATH_ROOM, "%s%s%s", backing_path, part, below);
    if (length < 0 || length >= PATH_ROOM) {
        errno = ENAMETOOLONG;
        die(below);
    }
}

/* Nodes and names */

uint64_t disk_node_count(void)
{
    return node_count;
}

struct node *disk_node(uint64_t ino)
{
    return nodes[ino];
}

static struct node *node_new(mode_t mode)
{
    struct node *n = calloc(1, sizeof(*n));
    if (!n)
        die("out of memory");
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): it is an array of pointers */
    nodes = grow(nodes, node_count + 2, &node_room, sizeof(*nodes));
    n->ino = ++node_count;
    n->mode = mode;
    n->fd = -1;
    (void)clock_gettime(CLOCK_REALTIME, &n->changed_at);
    nodes[n->ino] = n;
    return n;
}

static struct name *names_find(const struct names *names, const char *text)
{
    for (size_t i = 0; i < names->count; i++) {
        if (!strcmp(names->at[i].text, text))
            return &names->at[i];
    }
    return NULL;
}

struct node *disk_find(const struct node *dir, const char *name)
{
    const struct name *found = names_find(&dir->live, name);
    return found ? found->node : NULL;
}

/* Returns the node that lost the name, or NULL. */
static struct node *names_set(struct names *names, const char *text, struct node *node)
{
    struct name *found = names_find(names, text);
    struct node *before = found ? found->node : NULL;
    if (found && node) {
        found->node = node;
    } else if (found) {
        free(found->text);
        *found = names->at[--names->count];
    } else if (node) {
        names->at = grow(names->at, names->count, &names->room, sizeof(struct name));
        char *copy = copy_of(text, strlen(text) + 1);
        names->at[names->count++] = (struct name){copy, node};
    }
    return before;
}

void disk_path(const struct node *dir, const char *name, char *path, size_t room)
{
    const char *part[64];
    int parts = 0;
    if (name)
        part[parts++] = name;
    for (const struct node *n = dir; n->parent && parts < 64; n = n->parent)
        part[parts++] = n->last_name;
    size_t used = 0;
    path[0] = '\0';
    while (parts > 0 && used < room)
        used += (size_t)snprintf(path + used, room - used, "/%s", part[--parts]);
}

static bool waits_for_name(const struct node *n)
{
    for (size_t i = 0; i < step_count; i++) {
        for (int e = 0; e < steps[i].edits; e++) {
            if (steps[i].edit[e].node == n)
                return true;
        }
    }
    return false;
}

static void forget_changes(struct node *n, size_t count)
{
    if (!count)
        return;
    for (size_t i = 0; i < count; i++)
        free(n->changes[i].bytes);
    n->change_count -= count;
    memmove(n->changes, n->changes + count, n->change_count * sizeof(struct change));
}

static void reap(struct node *n)
{
    if (n->reaped || n->fd < 0 || n->live_names || n->durable_names || n->opens ||
        waits_for_name(n))
        return;
    forget_changes(n, n->change_count);
    if (ftruncate(n->fd, 0) || close(n->fd))
        die("reap");
    used_bytes -= (uint64_t)n->size;
    n->fd = -1;
    n->size = 0;
    n->reaped = true;
}

static void set_live(struct node *dir, const char *name, struct node *node)
{
    if (node) {
        node->live_names++;
        node->parent = dir;
        free(node->last_name);
        node->last_name = copy_of(name, strlen(name) + 1);
    }
    struct node *before = names_set(&dir->live, name, node);
    if (before) {
        before->live_names--;
        reap(before);
    }
    (void)clock_gettime(CLOCK_REALTIME, &dir->changed_at);
}

static void set_durable(struct node *dir, const char *name, struct node *node)
{
    if (node)
        node->durable_names++;
    struct node *before = names_set(&dir->durable, name, node);
    if (before) {
        before->durable_names--;
        reap(before);
    }
}

static void step_make_durable(struct step *s)
{
    for (int e = 0; e < s->edits; e++)
        set_durable(s->edit[e].dir, s->edit[e].name, s->edit[e].node);
    for (int e = 0; e < s->edits; e++)
        free(s->edit[e].name);
}

void disk_name(struct node *node, struct node *from, const char *from_name, struct node *to,
               const char *to_name)
{
    struct step s = {.edits = 0};
    if (to)
        s.edit[s.edits++] = (struct edit){to, copy_of(to_name, strlen(to_name) + 1), node};
    if (from)
        s.edit[s.edits++] = (struct edit){from, copy_of(from_name, strlen(from_name) + 1), NULL};
    steps = grow(steps, step_count, &step_room, sizeof(struct step));
    steps[step_count++] = s; /* before the live tree, so that nothing of it is reaped */
    for (int e = 0; e < s.edits; e++)
        set_live(s.edit[e].dir, s.edit[e].name, s.edit[e].node);
    if (!names_can_be_lost)
        step_make_durable(&steps[--step_count]);
}

static bool touches(const struct step *s, struct node *const *dirs, size_t dir_count)
{
    for (int e = 0; e < s->edits; e++) {
        for (size_t d = 0; d < dir_count; d++) {
            if (s->edit[e].dir == dirs[d])
                return true;
        }
    }
    return false;
}

/* A sync of `dir` takes along its own steps and, where a rename ties it to another directory, the
 * earlier steps of that one, so that durable names are always those of some moment of each. */
static void sync_names(struct node *dir)
{
    if (!step_count)
        return;
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): it is an array of pointers */
    struct node **dirs = calloc(2 * step_count + 1, sizeof(*dirs));
    bool *due = calloc(step_count, sizeof(*due));
    struct step *ready = calloc(step_count, sizeof(*ready));
    if (!dirs || !due || !ready)
        die("out of memory");
    size_t dir_count = 0;
    dirs[dir_count++] = dir;
    for (size_t i = step_count; i-- > 0;) {
        due[i] = touches(&steps[i], dirs, dir_count);
        for (int e = 0; due[i] && e < steps[i].edits; e++)
            dirs[dir_count++] = steps[i].edit[e].dir;
    }
    size_t left = 0;
    size_t ready_count = 0;
    for (size_t i = 0; i < step_count; i++) {
        if (due[i])
            ready[ready_count++] = steps[i];
        else
            steps[left++] = steps[i];
    }
    step_count = left;
    for (size_t i = 0; i < ready_count; i++)
        step_make_durable(&ready[i]);
    free(dirs);
    free(due);
    free(ready);
}

struct node *disk_make(mode_t mode, uid_t uid, gid_t gid)
{
    struct node *n = node_new(mode);
    n->uid = uid;
    n->gid = gid;
    if (!S_ISREG(mode))
        return n;
    char path[PATH_ROOM];
    char number[32];
    (void)snprintf(number, sizeof(number), "/%llu", (unsigned long long)n->ino);
    backing_at(path, LIMBO, number);
    n->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (n->fd < 0)
        die(path);
    return n;
}

void disk_open(struct node *n)
{
    n->opens++;
}

void disk_release(struct node *n)
{
    n->opens--;
    reap(n);
}

/* Content */

uint64_t disk_used_bytes(void)
{
    return used_bytes;
}

static void set_size(struct node *n, off_t size)
{
    used_bytes += (uint64_t)size - (uint64_t)n->size;
    n->size = size;
}

static void change_add(struct node *n, struct change c)
{
    n->changes = grow(n->changes, n->change_count, &n->change_room, sizeof(struct change));
    n->changes[n->change_count++] = c;
    off_t end = c.at + (off_t)c.length;
    if (c.kind == CHANGE_RESIZE || end > n->size)
        set_size(n, end);
    (void)clock_gettime(CLOCK_REALTIME, &n->changed_at);
}

static bool all_zero(const unsigned char *bytes, size_t length)
{
    return length && !bytes[0] && !memcmp(bytes, bytes + 1, length - 1);
}

void disk_write(struct node *n, const void *bytes, size_t length, off_t at)
{
    if (all_zero(bytes, length)) /* segments are filled with zeros by the hundred MiB */
        disk_zero(n, length, at);
    else if (length)
        change_add(n, (struct change){.kind = CHANGE_WRITE,
                                      .at = at,
                                      .length = length,
                                      .bytes = copy_of(bytes, length)});
}

void disk_zero(struct node *n, size_t length, off_t at)
{
    change_add(n, (struct change){.kind = CHANGE_ZERO, .at = at, .length = length});
}

void disk_resize(struct node *n, off_t size)
{
    change_add(n, (struct change){.kind = CHANGE_RESIZE, .at = size});
}

static size_t pread_all(int fd, unsigned char *bytes, size_t length, off_t at)
{
    size_t got = 0;
    while (got < length) {
        ssize_t r = pread(fd, bytes + got, length - got, at + (off_t)got);
        if (r < 0)
            die("backing read");
        if (r == 0)
            break;
        got += (size_t)r;
    }
    return got;
}

static void pwrite_all(int fd, const unsigned char *bytes, size_t length, off_t at)
{
    while (length) {
        ssize_t r = pwrite(fd, bytes, length, at);
        if (r <= 0)
            die("backing write");
        bytes += r;
        at += r;
        length -= (size_t)r;
    }
}

/* Lay `c` over the `length` bytes that were read from `at`. */
static void change_show(const struct change *c, unsigned char *bytes, size_t length, off_t at)
{
    off_t end = at + (off_t)length;
    off_t from = c->at > at ? c->at : at;
    off_t until = c->kind == CHANGE_RESIZE ? end : c->at + (off_t)c->length;
    if (until > end)
        until = end;
    if (from >= until)
        return;
    if (c->kind == CHANGE_WRITE)
        memcpy(bytes + (from - at), c->bytes + (from - c->at), (size_t)(until - from));
    else
        memset(bytes + (from - at), 0, (size_t)(until - from));
}

ssize_t disk_read(const struct node *n, void *bytes, size_t length, off_t at)
{
    if (at >= n->size)
        return 0;
    if ((off_t)length > n->size - at)
        length = (size_t)(n->size - at);
    size_t got = pread_all(n->fd, bytes, length, at);
    memset((unsigned char *)bytes + got, 0, length - got);
    for (size_t i = 0; i < n->change_count; i++)
        change_show(&n->changes[i], bytes, length, at);
    return (ssize_t)length;
}

static void zero_durable(int fd, size_t length, off_t at)
{
    struct stat st;
    off_t end = at + (off_t)length;
    if (fstat(fd, &st) || (st.st_size < end && ftruncate(fd, end)) ||
        fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, (off_t)length))
        die("backing zero");
}

static void change_make_durable(const struct node *n, const struct change *c)
{
    switch (c->kind) {
    case CHANGE_WRITE:
        pwrite_all(n->fd, c->bytes, c->length, c->at);
        break;
    case CHANGE_ZERO:
        zero_durable(n->fd, c->length, c->at);
        break;
    case CHANGE_RESIZE:
        if (ftruncate(n->fd, c->at))
            die("backing truncate");
        break;
    }
}

void disk_sync(struct node *n)
{
    if (S_ISDIR(n->mode)) {
        sync_names(n);
        return;
    }
    size_t kept_from = n->change_count;
    for (size_t i = 0; i < n->change_count; i++) {
        struct change *c = &n->changes[i];
        if (c->lost && kept_from > i)
            kept_from = i;
        if (!c->lost && !c->done)
            change_make_durable(n, c);
        c->done = !c->lost;
    }
    forget_changes(n, kept_from);
}

void disk_sync_failed(struct node *n)
{
    for (size_t i = 0; i < n->change_count; i++)
        n->changes[i].lost = !n->changes[i].done;
}

bool disk_flip(struct node *n, off_t at)
{
    unsigned char byte;
    if (n->fd < 0 || pread_all(n->fd, &byte, 1, at) != 1)
        return false;
    byte ^= 1;
    pwrite_all(n->fd, &byte, 1, at);
    return true;
}

/* Power cut */

static void garble_sector(const struct node *n, const unsigned char *fresh, size_t length, off_t at)
{
    unsigned char noise[SECTOR_BYTES];
    switch (random_next() % 4) {
    case 0: /* the old sector stays */
        return;
    case 1:
        break;
    case 2: /* torn inside the sector */
        length = (length + 1) / 2;
        break;
    default:
        for (size_t i = 0; i < length; i++)
            noise[i] = (unsigned char)random_next();
        fresh = noise;
    }
    pwrite_all(n->fd, fresh, length, at);
}

static void garble(const struct node *n, const struct change *c)
{
    static const unsigned char zeros[SECTOR_BYTES];
    if (c->kind == CHANGE_RESIZE) {
        if (random_next() % 2)
            change_make_durable(n, c);
        return;
    }
    size_t done = 0;
    while (done < c->length) {
        off_t at = c->at + (off_t)done;
        size_t piece = SECTOR_BYTES - (size_t)(at % SECTOR_BYTES);
        if (piece > c->length - done)
            piece = c->length - done;
        garble_sector(n, c->bytes ? c->bytes + done : zeros, piece, at);
        done += piece;
    }
}

static void change_cut(const struct node *n, const struct change *c, enum cut_mode mode)
{
    if (mode == CUT_MIX)
        mode = (enum cut_mode)(random_next() % CUT_MIX);
    if (mode == CUT_KEEP)
        change_make_durable(n, c);
    else if (mode == CUT_GARBLE)
        garble(n, c);
}

void disk_cut(enum cut_mode mode, uint64_t seed)
{
    random_state = seed;
    size_t kept = mode == CUT_KEEP ? step_count : 0; /* names come back in order, up to a point */
    if (mode == CUT_MIX || mode == CUT_GARBLE)
        kept = random_next() % (step_count + 1);
    for (size_t i = 0; i < kept; i++)
        step_make_durable(&steps[i]);
    step_count = 0;
    for (uint64_t ino = 1; ino <= node_count; ino++) {
        struct node *n = nodes[ino];
        for (size_t i = 0; i < n->change_count; i++) {
            if (!n->changes[i].lost && !n->changes[i].done)
                change_cut(n, &n->changes[i], mode);
        }
        forget_changes(n, n->change_count);
    }
}

/* Load and settle */

static struct node *load_one(int dir_fd, const char *name)
{
    struct stat st;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW))
        die(name);
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return NULL; /* a socket of the run before: the settled tree will not have it */
    struct node *n = node_new(st.st_mode);
    n->uid = st.st_uid;
    n->gid = st.st_gid;
    n->changed_at = st.st_mtim;
    if (S_ISREG(st.st_mode)) {
        n->fd = openat(dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (n->fd < 0)
            die(name);
        set_size(n, st.st_size);
    }
    return n;
}

static void load_dir(struct node *dir)
{
    char path[PATH_ROOM];
    char below[PATH_MAX];
    disk_path(dir, NULL, below, sizeof(below));
    backing_at(path, "", below);
    DIR *d = opendir(path);
    if (!d)
        die(path);
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): this thread alone has `d` */
    for (const struct dirent *e; (e = readdir(d));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
            (dir->ino == 1 && !strcmp(e->d_name, LIMBO + 1)))
            continue;
        struct node *n = load_one(dirfd(d), e->d_name);
        if (!n)
            continue;
        set_live(dir, e->d_name, n);
        set_durable(dir, e->d_name, n);
    }
    closedir(d);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    static const char limbo[] = LIMBO;
    const char *below = path + strlen(backing_path);
    bool is_limbo = !strncmp(below, limbo, sizeof(limbo) - 1) &&
                    (below[sizeof(limbo) - 1] == '/' || !below[sizeof(limbo) - 1]);
    if (where->level > 0 && !is_limbo && remove(path))
        die(path);
    return 0;
}

static int remove_any(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    if (remove(path))
        die(path);
    return 0;
}

void disk_load(const char *backing, bool dir_loss)
{
    names_can_be_lost = dir_loss;
    if (!realpath(backing, backing_path))
        die(backing);
    char limbo[PATH_ROOM];
    backing_at(limbo, LIMBO, "");
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): only this thread walks trees */
    (void)nftw(limbo, remove_any, 16, FTW_DEPTH | FTW_PHYS); /* left by a run that was killed */
    if (mkdir(limbo, 0700))
        die(limbo);
    struct stat st;
    if (stat(backing_path, &st))
        die(backing_path);
    struct node *root = node_new(st.st_mode);
    root->uid = st.st_uid;
    root->gid = st.st_gid;
    for (uint64_t ino = 1; ino <= node_count; ino++) {
        if (S_ISDIR(nodes[ino]->mode))
            load_dir(nodes[ino]);
    }
}

static void settle_one(const struct node *n, const char *path)
{
    char self[64];
    (void)snprintf(self, sizeof(self), "/proc/self/fd/%d", n->fd);
    if (S_ISDIR(n->mode) ? mkdir(path, 0700)
                         : linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW))
        die(path);
    if (chown(path, n->uid, n->gid) || chmod(path, n->mode & 07777))
        die(path);
}

/* A directory that the walk has still to enter. */
struct visit {
    const struct node *dir;
    char *path; /* below the root */
};

static void settle_dir(const struct visit *v, struct visit *queue, size_t *queued)
{
    char path[PATH_ROOM];
    char below[PATH_ROOM];
    for (size_t i = 0; i < v->dir->durable.count; i++) {
        const struct node *n = v->dir->durable.at[i].node;
        if (!S_ISDIR(n->mode) && n->fd < 0)
            continue; /* a socket */
        (void)snprintf(below, sizeof(below), "%s/%s", v->path, v->dir->durable.at[i].text);
        backing_at(path, NEW, below);
        settle_one(n, path);
        if (S_ISDIR(n->mode))
            queue[(*queued)++] = (struct visit){n, copy_of(below, strlen(below) + 1)};
    }
}

static void build_new_tree(void)
{
    struct visit *queue = calloc(node_count + 1, sizeof(*queue));
    if (!queue)
        die("out of memory");
    size_t queued = 0;
    queue[queued++] = (struct visit){nodes[1], copy_of("", 1)};
    for (size_t i = 0; i < queued; i++) {
        settle_dir(&queue[i], queue, &queued);
        free(queue[i].path);
    }
    free(queue);
}

void disk_settle(void)
{
    char from[PATH_ROOM];
    char to[PATH_ROOM];
    backing_at(from, NEW, "");
    if (mkdir(from, 0700))
        die(from);
    build_new_tree();
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): only this thread walks trees */
    (void)nftw(backing_path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    for (size_t i = 0; i < nodes[1]->durable.count; i++) {
        char below[NAME_MAX + 2];
        (void)snprintf(below, sizeof(below), "/%s", nodes[1]->durable.at[i].text);
        backing_at(from, NEW, below);
        backing_at(to, "", below);
        if (rename(from, to) && errno != ENOENT) /* ENOENT: a socket */
            die(from);
    }
    backing_at(from, LIMBO, "");
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): only this thread walks trees */
    (void)nftw(from, remove_any, 16, FTW_DEPTH | FTW_PHYS);
}
