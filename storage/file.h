/* file.h -- the only place of storage that opens, writes and syncs; the seam for fault tests.
 *
 * Thread   any; blocking.
 * Errors   negative errno. A short write counts as ENOSPC, as the kernel would say next.
 */
#ifndef STORAGE_FILE_H
#define STORAGE_FILE_H

#include "core/base/buffer.h"

enum file_op {
    FILE_OPEN,
    FILE_READ,
    FILE_WRITE,
    FILE_SYNC,
    FILE_SYNC_DIRECTORY,
    FILE_ALLOCATE,
    FILE_UNLINK,
    FILE_FREE
};

/* A test may make any operation fail: called before each, a negative errno is returned instead. */
typedef int file_fault_fn(void *context, enum file_op op, uint64_t offset, size_t length);
void file_fault_set(file_fault_fn *fault, void *context); /* before threads; NULL: none */

/* Directories are made with mode 0700, files with 0600. */
int file_directory(const char *path);           /* made when missing; a descriptor */
int file_lock(int directory, const char *name); /* descriptor; -EWOULDBLOCK: somebody has it */

/* Open for reading and writing, made when missing and `create`. With O_DIRECT where the file system
 * can (*direct says whether). */
int file_open(int directory, const char *name, bool create, bool *direct);
int file_open_read(int directory, const char *name);
void file_close(int fd);
int file_size(int fd, uint64_t *bytes);

int file_write(int fd, const void *at, size_t length, uint64_t offset);
int file_read(int fd, void *at, size_t length, uint64_t offset, size_t *got);
int file_sync(int fd);
int file_sync_directory(int directory);

/* Reserve space without changing the size; a file system that can't is not an error. */
int file_allocate(int fd, uint64_t bytes);
int file_resize(int fd, uint64_t bytes);
int file_unlink(int directory, const char *name);
int file_rename(int directory, const char *from, const char *to);
bool file_exists(int directory, const char *name);

/* Bytes of the file system that are free for us. */
int file_free_bytes(int directory, uint64_t *bytes);

/* Names in a directory, one after another, each ended by NUL. */
int file_names(const char *path, struct buffer *out);

/* Is it lack of space, which passes, or a failing disk, which does not? */
bool file_is_full(int error);

#endif
