/* faultdisk.h -- a directory tree on a disk that can lose power: the model behind sekimori-faultfs.
 *
 * Every tree is kept twice. The *live* tree is what the running daemon sees; the *durable* one is
 * what the disk holds. Content that is durable lies in files of the backing directory; what was
 * written since the last sync of a file is a list of changes in memory, laid over it on each read.
 * A sync moves changes from the one to the other; a power cut decides for each change alone.
 *
 * Thread   one.
 * Memory   nodes live until the process ends, since the kernel may name them at any time; content
 *          of files that nobody can reach any more is given back at once.
 * Promise  what was synced is never touched by a cut, to the byte: a write is torn only inside its
 *          own range, at multiples of 512 in the file. A sync that was reported as failed leaves
 *          its changes readable and never durable, whatever a later sync says (as Linux does).
 *          The same calls with the same seed leave the same disk.
 * Errors   a failing backing directory ends the process with a message: a test must see that.
 */
#ifndef TESTS_CRASH_FAULTDISK_H
#define TESTS_CRASH_FAULTDISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/* OP(name, word in the control protocol)                                                        */
#define DISK_OPS(OP)           \
    OP(READ, "read")           \
    OP(WRITE, "write")         \
    OP(FSYNC, "fsync")         \
    OP(FSYNCDIR, "fsyncdir")   \
    OP(OPEN, "open")           \
    OP(CREATE, "create")       \
    OP(RENAME, "rename")       \
    OP(TRUNCATE, "truncate")   \
    OP(FALLOCATE, "fallocate") \
    OP(UNLINK, "unlink")       \
    OP(MKDIR, "mkdir")

enum op {
#define OP(name, word) OP_##name,
    DISK_OPS(OP)
#undef OP
    OP_COUNT
};

enum cut_mode {
    CUT_KEEP,
    CUT_DROP,
    CUT_GARBLE,
    CUT_MIX
};

enum {
    SECTOR_BYTES = 512
};

struct node;
struct change;

/* Names of one directory, in no order. */
struct names {
    struct name {
        char *text;
        struct node *node;
    } * at;

    size_t count;
    size_t room;
};

struct node {
    uint64_t ino;
    mode_t mode;
    uid_t uid;
    gid_t gid;
    struct timespec changed_at;
    off_t size;
    int fd;      /* durable content; -1: not a regular file, or given back */
    bool reaped; /* no name and no handle leads here any more */
    uint32_t live_names;
    uint32_t durable_names;
    uint32_t opens;
    struct node *parent; /* where it was last seen alive, for paths in the control protocol */
    char *last_name;
    struct names live;
    struct names durable;
    struct change *changes; /* not yet durable, oldest first */
    size_t change_count;
    size_t change_room;
    uint64_t calls[OP_COUNT];
};

/* Take over the tree in `backing`. With `dir_loss`, a name is durable from the sync of its
 * directory on; without, at once. */
void disk_load(const char *backing, bool dir_loss);

/* Node 1 is the root; inode numbers are dense. */
uint64_t disk_node_count(void);
struct node *disk_node(uint64_t ino);
struct node *disk_find(const struct node *dir, const char *name);

/* Write "/a/b/name" of `name` in `dir`, or of `dir` itself where `name` is NULL. */
void disk_path(const struct node *dir, const char *name, char *path, size_t room);

struct node *disk_make(mode_t mode, uid_t uid, gid_t gid);

/* Give `node` the name (to, to_name), taking (from, from_name) away, as one step. Without `to` it
 * is an unlink, without `from` a creation or a hard link. */
void disk_name(struct node *node, struct node *from, const char *from_name, struct node *to,
               const char *to_name);

void disk_open(struct node *n);
void disk_release(struct node *n);

ssize_t disk_read(const struct node *n, void *bytes, size_t length, off_t at);
void disk_write(struct node *n, const void *bytes, size_t length, off_t at);
void disk_zero(struct node *n, size_t length, off_t at);
void disk_resize(struct node *n, off_t size);

void disk_sync(struct node *n);
void disk_sync_failed(struct node *n);

/* Sum of the sizes of all live files. */
uint64_t disk_used_bytes(void);

/* Flip the lowest bit of the durable byte at `at`. False: there is no such byte. */
bool disk_flip(struct node *n, off_t at);

/* The power goes: decide about everything that is not durable. Nothing may change after it. */
void disk_cut(enum cut_mode mode, uint64_t seed);

/* Make the backing directory show the durable tree. Once, at the end, after a cut. */
void disk_settle(void);

#endif
