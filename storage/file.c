#include "storage/file.h"

#include "core/base/base.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Set by tests before there are threads. */
static file_fault_fn *fault_now;
static void *fault_context;

void file_fault_set(file_fault_fn *fault, void *context)
{
    fault_now = fault;
    fault_context = context;
}

static int faulted(enum file_op op, uint64_t offset, size_t length)
{
    return fault_now ? fault_now(fault_context, op, offset, length) : 0;
}

int file_directory(const char *path)
{
    if (mkdir(path, 0700) && errno != EEXIST)
        return -errno;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int file_lock(int directory, const char *name)
{
    int fd = openat(directory, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB)) {
        int error = errno;
        (void)close(fd);
        return -error;
    }
    return fd;
}

int file_open(int directory, const char *name, bool create, bool *direct)
{
    int error = faulted(FILE_OPEN, 0, 0);
    if (error)
        return error;
    int flags = O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0);
    int fd = openat(directory, name, flags | O_DIRECT, 0600);
    *direct = fd >= 0;
    if (fd < 0 && errno == EINVAL)
        fd = openat(directory, name, flags, 0600);
    return fd < 0 ? -errno : fd;
}

int file_open_read(int directory, const char *name)
{
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

void file_close(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

int file_size(int fd, uint64_t *bytes)
{
    struct stat st;
    if (fstat(fd, &st))
        return -errno;
    *bytes = (uint64_t)st.st_size;
    return 0;
}

int file_write(int fd, const void *at, size_t length, uint64_t offset)
{
    int error = faulted(FILE_WRITE, offset, length);
    if (error)
        return error;
    const char *from = at;
    while (length) {
        ssize_t wrote = pwrite(fd, from, length, (off_t)offset);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return -errno;
        if (wrote == 0)
            return -ENOSPC;
        from += wrote;
        offset += (uint64_t)wrote;
        length -= (size_t)wrote;
    }
    return 0;
}

int file_read(int fd, void *at, size_t length, uint64_t offset, size_t *got)
{
    *got = 0;
    int error = faulted(FILE_READ, offset, length);
    if (error)
        return error;
    char *to = at;
    while (*got < length) {
        ssize_t n = pread(fd, to + *got, length - *got, (off_t)(offset + *got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        *got += (size_t)n;
        if (n % 512) /* end of a file of odd size: O_DIRECT refuses to go on from here */
            break;
    }
    return 0;
}

int file_sync(int fd)
{
    int error = faulted(FILE_SYNC, 0, 0);
    if (error)
        return error;
    return fdatasync(fd) ? -errno : 0;
}

int file_sync_directory(int directory)
{
    int error = faulted(FILE_SYNC_DIRECTORY, 0, 0);
    if (error)
        return error;
    return fsync(directory) ? -errno : 0;
}

int file_allocate(int fd, uint64_t bytes)
{
    int error = faulted(FILE_ALLOCATE, 0, bytes);
    if (error)
        return error;
    if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)bytes) == 0)
        return 0;
    return errno == EOPNOTSUPP || errno == ENOSYS ? 0 : -errno;
}

int file_resize(int fd, uint64_t bytes)
{
    return ftruncate(fd, (off_t)bytes) ? -errno : 0;
}

int file_unlink(int directory, const char *name)
{
    int error = faulted(FILE_UNLINK, 0, 0);
    if (error)
        return error;
    return unlinkat(directory, name, 0) ? -errno : 0;
}

int file_rename(int directory, const char *from, const char *to)
{
    return renameat(directory, from, directory, to) ? -errno : 0;
}

bool file_exists(int directory, const char *name)
{
    return faccessat(directory, name, F_OK, 0) == 0;
}

int file_free_bytes(int directory, uint64_t *bytes)
{
    int error = faulted(FILE_FREE, 0, 0);
    if (error == -ENOSPC) {
        *bytes = 0;
        return 0;
    }
    struct statvfs st;
    if (fstatvfs(directory, &st))
        return -errno;
    *bytes = (uint64_t)st.f_bavail * st.f_frsize;
    return 0;
}

int file_names(const char *path, struct buffer *out)
{
    DIR *d = opendir(path);
    if (!d)
        return -errno;
    errno = 0;
    for (struct dirent *e; (e = readdir(d));) /* NOLINT(concurrency-mt-unsafe): our own DIR */
        buffer_put(out, str_from(e->d_name, strlen(e->d_name) + 1));
    int error = errno;
    (void)closedir(d);
    return out->full ? -ENOMEM : -error;
}

bool file_is_full(int error)
{
    return error == -ENOSPC || error == -EDQUOT || error == -EFBIG;
}
