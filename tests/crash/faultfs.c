/* faultfs.c -- sekimori-faultfs: a mounted directory whose disk fails when it is told to.
 *
 *   sekimori-faultfs BACKING_DIR MOUNTPOINT [--control PATH] [--dir-loss on|off]
 *
 * Stays in the foreground (-f and -s are accepted and change nothing). The daemon under test runs
 * unmodified on MOUNTPOINT. BACKING_DIR gives the tree at the start and shows at the end, after
 * `finish` or once the process has exited after an unmount, what a disk would hold; then the next
 * run, mounted or not, may start from it. Without a cut everything is kept, as by a clean shutdown.
 * End it by umount(8) or SIGTERM; the latter pulls the plug on whoever still has files open. After
 * a kill -9 the backing directory is worthless. The model of the disk is faultdisk.h.
 *
 * Control: a UNIX stream socket at PATH. One command a line, one line of answer each: "ok",
 * "ok KEY=VALUE...", or "error WHY". Numbers are decimal.
 *
 *   counts [SUBSTRING]      calls so far by operation, those of paths with SUBSTRING only; `syncs`
 *                           is fsync (with fdatasync) plus fsyncdir, `failed` what rules made fail,
 *                           `used` the bytes in all files, `power` on or off
 *   cut N MODE SEED [SUBSTRING]
 *                           lose power at the N-th sync of a file or directory from now (of those
 *                           whose path has SUBSTRING). That sync fails with EIO, as does every
 *                           later call. A new cut replaces the one planned; `cut off` forgets it
 *   cut now MODE SEED       lose power at once
 *                           MODE says what becomes of each change not covered by a completed sync:
 *                             keep    it reaches the disk
 *                             drop    it does not
 *                             garble  each sector of 512 is old, new, half new or noise
 *                             mix     one of the three, by SEED, for each change alone
 *                           with the suffix -before (the default: the N-th sync did nothing) or
 *                           -after (it reached the disk, only its answer did not come back).
 *                           With --dir-loss on, names created, renamed or removed since the last
 *                           fsync of their directory go with the mode: all stay (keep), none does
 *                           (drop), or the first few do. Syncing a file does not help its name.
 *                           With off, names are durable at once.
 *   fail OP ERRNO N [COUNT|forever] [SUBSTRING]
 *                           the N-th next OP fails with ERRNO, and COUNT - 1 more after it.
 *                           OP: read write fsync fsyncdir open create rename truncate fallocate
 *                           unlink mkdir; ERRNO: EIO ENOSPC EDQUOT EFBIG EROFS EMFILE EACCES.
 *                           Changes under a failed fsync never become durable, although reads show
 *                           them and a second fsync says that all is well
 *   fail clear              drop all rules
 *   space BYTES             files may grow by so many bytes in sum; what is removed can be used
 *                           again; overwriting costs nothing. statfs tells the same. A write that
 *                           fits in part is short, else ENOSPC
 *   space off
 *   flip SUBSTRING OFFSET   flip a bit of the first live file whose path has SUBSTRING
 *   finish                  settle the backing directory (without a cut before: keep everything);
 *                           the mount answers EIO from then on
 *
 * Creations, links, renames and removals are counted for their directory (of a rename: the new
 * one), but rules see the path of the name itself. The kernel tries a failed buffered read a second
 * time: give `fail read` a COUNT of 2 or more there. What is in a mapping is written when the
 * kernel likes, and what the kernel has cached it may show for a moment after a cut. O_DSYNC is
 * honoured; RWF_DSYNC of a direct write is not, since the kernel does not pass it on.
 *
 * Thread   one loop serves the kernel and the control socket, so there are no locks.
 */
#define FUSE_USE_VERSION 35

#include "tests/crash/faultcontrol.h"
#include "tests/crash/faultdisk.h"

#include <fuse_lowlevel.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    WRITE_BYTES_MAX = 1 << 20,
    NAME_KEPT_S = 3600, /* only the kernel changes names, so it may remember them */
};

static const char *backing;

/* File system */

static void fs_init(void *unused, struct fuse_conn_info *conn)
{
    (void)unused;
    conn->max_write = WRITE_BYTES_MAX;
    conn->want &=
        ~((unsigned)FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_WRITEBACK_CACHE);
}

static struct stat stat_of(const struct node *n)
{
    return (struct stat){
        .st_ino = n->ino,
        .st_mode = n->mode,
        .st_nlink = S_ISDIR(n->mode) ? 2 : n->live_names,
        .st_uid = n->uid,
        .st_gid = n->gid,
        .st_size = n->size,
        .st_blksize = 4096,
        .st_blocks = (n->size + SECTOR_BYTES - 1) / SECTOR_BYTES,
        .st_atim = n->changed_at,
        .st_mtim = n->changed_at,
        .st_ctim = n->changed_at,
    };
}

static struct fuse_entry_param entry_of(const struct node *n)
{
    return (
        struct fuse_entry_param){.ino = n->ino, .attr = stat_of(n), .entry_timeout = NAME_KEPT_S};
}

static void fs_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    const struct node *n = disk_find(disk_node(parent), name);
    if (control_power_is_off() || !n) {
        fuse_reply_err(req, control_power_is_off() ? EIO : ENOENT);
        return;
    }
    struct fuse_entry_param e = entry_of(n);
    fuse_reply_entry(req, &e);
}

static void fs_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)fi;
    struct stat st = stat_of(disk_node(ino));
    if (control_power_is_off())
        fuse_reply_err(req, EIO);
    else
        fuse_reply_attr(req, &st, 0);
}

static void fs_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *to, int what,
                       struct fuse_file_info *fi)
{
    struct node *n = disk_node(ino);
    int error = control_power_is_off() ? EIO : 0;
    if (!error && (what & FUSE_SET_ATTR_SIZE))
        error = control_refuse(OP_TRUNCATE, n, NULL);
    if (error) {
        fuse_reply_err(req, error);
        return;
    }
    if ((what & FUSE_SET_ATTR_SIZE) && to->st_size != n->size)
        disk_resize(n, to->st_size);
    if (what & FUSE_SET_ATTR_MODE)
        n->mode = (n->mode & S_IFMT) | (to->st_mode & 07777);
    if (what & FUSE_SET_ATTR_UID)
        n->uid = to->st_uid;
    if (what & FUSE_SET_ATTR_GID)
        n->gid = to->st_gid;
    if (what & FUSE_SET_ATTR_MTIME)
        n->changed_at = to->st_mtim;
    if (what & FUSE_SET_ATTR_MTIME_NOW)
        clock_gettime(CLOCK_REALTIME, &n->changed_at);
    fs_getattr(req, ino, fi);
}

/* Returns the new node, or NULL with *error set. */
static struct node *make(fuse_req_t req, struct node *dir, const char *name, mode_t mode,
                         int *error)
{
    *error = control_refuse(S_ISDIR(mode) ? OP_MKDIR : OP_CREATE, dir, name);
    if (!*error && disk_find(dir, name))
        *error = EEXIST;
    if (*error)
        return NULL;
    const struct fuse_ctx *who = fuse_req_ctx(req);
    struct node *n = disk_make(mode, who->uid, who->gid);
    disk_name(n, NULL, NULL, dir, name);
    return n;
}

static void fs_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t dev)
{
    (void)dev;
    int error;
    const struct node *n = make(req, disk_node(parent), name, mode, &error);
    if (!n) {
        fuse_reply_err(req, error);
        return;
    }
    struct fuse_entry_param e = entry_of(n);
    fuse_reply_entry(req, &e);
}

static void fs_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    fs_mknod(req, parent, name, S_IFDIR | mode, 0);
}

static void fs_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
    int error = control_refuse(OP_CREATE, disk_node(parent), name);
    if (error) {
        fuse_reply_err(req, error);
        return;
    }
    disk_name(disk_node(ino), NULL, NULL, disk_node(parent), name);
    struct fuse_entry_param e = entry_of(disk_node(ino));
    fuse_reply_entry(req, &e);
}

static void fs_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct node *dir = disk_node(parent);
    struct node *n = disk_find(dir, name);
    int error = control_refuse(OP_UNLINK, dir, name);
    if (!error && !n)
        error = ENOENT;
    if (!error && n->live.count)
        error = ENOTEMPTY;
    if (!error)
        disk_name(n, dir, name, NULL, NULL);
    fuse_reply_err(req, error);
}

static void fs_rename(fuse_req_t req, fuse_ino_t from, const char *from_name, fuse_ino_t to,
                      const char *to_name, unsigned flags)
{
    struct node *from_dir = disk_node(from);
    struct node *to_dir = disk_node(to);
    struct node *n = disk_find(from_dir, from_name);
    const struct node *before = disk_find(to_dir, to_name);
    int error = control_refuse(OP_RENAME, to_dir, to_name);
    if (!error && flags & ~(unsigned)RENAME_NOREPLACE)
        error = EINVAL;
    if (!error && !n)
        error = ENOENT;
    if (!error && before && flags)
        error = EEXIST;
    if (!error && before && before->live.count)
        error = ENOTEMPTY;
    if (!error)
        disk_name(n, from_dir, from_name, to_dir, to_name);
    fuse_reply_err(req, error);
}

static void hand_out(struct node *n, struct fuse_file_info *fi)
{
    disk_open(n);
    fi->direct_io = (fi->flags & O_DIRECT) != 0;
}

static void fs_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct node *n = disk_node(ino);
    int error = control_refuse(OP_OPEN, n, NULL);
    if (error) {
        fuse_reply_err(req, error);
        return;
    }
    hand_out(n, fi);
    fuse_reply_open(req, fi);
}

static void fs_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                      struct fuse_file_info *fi)
{
    int error;
    struct node *n = make(req, disk_node(parent), name, S_IFREG | (mode & 07777), &error);
    if (!n) {
        fuse_reply_err(req, error);
        return;
    }
    hand_out(n, fi);
    struct fuse_entry_param e = entry_of(n);
    fuse_reply_create(req, &e, fi);
}

static void fs_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)fi;
    disk_release(disk_node(ino));
    fuse_reply_err(req, 0);
}

static void fs_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t at,
                    struct fuse_file_info *fi)
{
    (void)fi;
    static char bytes[WRITE_BYTES_MAX];
    struct node *n = disk_node(ino);
    int error = control_refuse(OP_READ, n, NULL);
    if (error)
        fuse_reply_err(req, error);
    else
        fuse_reply_buf(req, bytes,
                       (size_t)disk_read(n, bytes, size < sizeof(bytes) ? size : sizeof(bytes),
                                         at));
}

static void fs_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t at,
                     struct fuse_file_info *fi)
{
    struct node *n = disk_node(ino);
    int error = control_refuse(OP_WRITE, n, NULL);
    size_t fits = control_fitting(n, size, at, fi->flags & O_DIRECT);
    if (!error && size && !fits)
        error = ENOSPC;
    if (error) {
        fuse_reply_err(req, error);
        return;
    }
    disk_write(n, bytes, fits, at);
    /* For buffered writes the kernel sends the sync of O_DSYNC itself. */
    if ((fi->flags & O_DIRECT) && (fi->flags & O_DSYNC))
        error = control_sync(OP_FSYNC, n);
    if (error)
        fuse_reply_err(req, error);
    else
        fuse_reply_write(req, fits);
}

static void fs_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t at, off_t length,
                         struct fuse_file_info *fi)
{
    (void)fi;
    struct node *n = disk_node(ino);
    bool zero = mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE);
    bool may_grow = !(mode & FALLOC_FL_KEEP_SIZE);
    int error = control_refuse(OP_FALLOCATE, n, NULL);
    if (!error && mode & ~(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE))
        error = EOPNOTSUPP;
    if (!error && control_fitting(n, (size_t)length, at, false) < (size_t)length)
        error = ENOSPC;
    if (!error && may_grow && at + length > n->size)
        disk_resize(n, at + length);
    if (!error && zero && at < n->size)
        disk_zero(n, (size_t)(at + length < n->size ? length : n->size - at), at);
    fuse_reply_err(req, error);
}

static void fs_fsync(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *fi)
{
    (void)data_only; /* fdatasync keeps the size too, and there is nothing else to leave out */
    (void)fi;
    fuse_reply_err(req, control_sync(OP_FSYNC, disk_node(ino)));
}

static void fs_fsyncdir(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *fi)
{
    (void)data_only;
    (void)fi;
    fuse_reply_err(req, control_sync(OP_FSYNCDIR, disk_node(ino)));
}

/* A listing is taken whole at opendir: who removes files while reading still sees each once. */
struct listing {
    size_t length;
    char bytes[];
};

static void list_one(fuse_req_t req, struct listing **list, const char *name, const struct node *n)
{
    struct stat st = stat_of(n);
    size_t more = fuse_add_direntry(req, NULL, 0, name, &st, 0);
    size_t end = (*list)->length + more;
    struct listing *grown = realloc(*list, sizeof(struct listing) + end);
    if (!grown)
        abort();
    fuse_add_direntry(req, grown->bytes + grown->length, more, name, &st, (off_t)end);
    grown->length = end;
    *list = grown;
}

static void fs_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct node *dir = disk_node(ino);
    struct listing *list = calloc(1, sizeof(*list));
    int error = list ? control_refuse(OP_OPEN, dir, NULL) : ENOMEM;
    if (error) {
        free(list);
        fuse_reply_err(req, error);
        return;
    }
    list_one(req, &list, ".", dir);
    list_one(req, &list, "..", dir->parent ? dir->parent : dir);
    for (size_t i = 0; i < dir->live.count; i++)
        list_one(req, &list, dir->live.at[i].text, dir->live.at[i].node);
    fi->fh = (uintptr_t)list;
    fuse_reply_open(req, fi);
}

static void fs_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t at,
                       struct fuse_file_info *fi)
{
    (void)ino;
    /* `at` is the offset of an entry in the listing. The kernel copes with a cut last entry. */
    const struct listing *list = (const struct listing *)(uintptr_t)fi->fh;
    size_t left = (size_t)at < list->length ? list->length - (size_t)at : 0;
    if (control_power_is_off())
        fuse_reply_err(req, EIO);
    else
        fuse_reply_buf(req, list->bytes + at, left < size ? left : size);
}

static void fs_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    free((void *)(uintptr_t)fi->fh);
    fuse_reply_err(req, 0);
}

static void fs_statfs(fuse_req_t req, fuse_ino_t ino)
{
    (void)ino;
    struct statvfs v;
    int error = control_power_is_off() || statvfs(backing, &v) ? EIO : 0;
    if (error) {
        fuse_reply_err(req, error);
        return;
    }
    if (control_space_limit() != UINT64_MAX) {
        v.f_blocks = control_space_limit() / v.f_frsize;
        v.f_bfree = v.f_bavail = control_space_left() / v.f_frsize;
    }
    fuse_reply_statfs(req, &v);
}

static const struct fuse_lowlevel_ops fs_ops = {
    .init = fs_init,
    .lookup = fs_lookup,
    .getattr = fs_getattr,
    .setattr = fs_setattr,
    .mknod = fs_mknod,
    .mkdir = fs_mkdir,
    .link = fs_link,
    .unlink = fs_unlink,
    .rmdir = fs_unlink,
    .rename = fs_rename,
    .open = fs_open,
    .create = fs_create,
    .release = fs_release,
    .read = fs_read,
    .write = fs_write,
    .fallocate = fs_fallocate,
    .fsync = fs_fsync,
    .opendir = fs_opendir,
    .readdir = fs_readdir,
    .releasedir = fs_releasedir,
    .fsyncdir = fs_fsyncdir,
    .statfs = fs_statfs,
};

static int usage(void)
{
    (void)fputs(
        "usage: sekimori-faultfs BACKING_DIR MOUNTPOINT [--control PATH] [--dir-loss on|off]\n",
        stderr);
    return 2;
}

static void raise_file_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files))
        return;
    files.rlim_cur = files.rlim_max; /* every file of the tree is held open */
    setrlimit(RLIMIT_NOFILE, &files);
}

/* Serve until somebody unmounts (true) or a signal comes (false). */
static bool serve(struct fuse_session *session)
{
    struct fuse_buf buf = {.mem = NULL};
    bool unmounted = false;
    while (!unmounted && !fuse_session_exited(session)) {
        struct pollfd kernel = {.fd = fuse_session_fd(session), .events = POLLIN};
        control_wait(&kernel);
        if (!kernel.revents)
            continue;
        int got = fuse_session_receive_buf(session, &buf);
        if (got > 0)
            fuse_session_process_buf(session, &buf);
        else
            unmounted = got != -EINTR && got != -EAGAIN;
    }
    free(buf.mem);
    return unmounted;
}

static int run(char *program, const char *mountpoint, const char *control)
{
    char options[] = "-oallow_other,default_permissions,fsname=faultfs";
    char *argv[] = {program, options, NULL};
    struct fuse_args args = FUSE_ARGS_INIT(2, argv);
    struct fuse_session *session = fuse_session_new(&args, &fs_ops, sizeof(fs_ops), NULL);
    if (!session || fuse_set_signal_handlers(session) || fuse_session_mount(session, mountpoint))
        return 3;
    if (!control_start(control, session)) {
        perror("sekimori-faultfs: control");
        fuse_session_unmount(session);
        return 3;
    }
    if (!serve(session)) /* whoever still waits for an answer gets ENOTCONN now, not never */
        umount2(mountpoint, MNT_FORCE | MNT_DETACH);
    fuse_remove_signal_handlers(session);
    control_finish();
    fuse_session_unmount(session);
    return 0;
}

int main(int argc, char **argv)
{
    const char *mountpoint = NULL;
    const char *control = NULL;
    bool dir_loss = false;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--control") && i + 1 < argc)
            control = argv[++i];
        else if (!strcmp(argv[i], "--dir-loss") && i + 1 < argc)
            dir_loss = !strcmp(argv[++i], "on");
        else if (!strcmp(argv[i], "-f") || !strcmp(argv[i], "-s"))
            continue;
        else if (argv[i][0] != '-' && !backing)
            backing = argv[i];
        else if (argv[i][0] != '-' && !mountpoint)
            mountpoint = argv[i];
        else
            return usage();
    }
    if (!mountpoint)
        return usage();
    raise_file_limit();
    umask(0);
    disk_load(backing, dir_loss);
    return run(argv[0], mountpoint, control);
}
