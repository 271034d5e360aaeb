#include "tools/extractor/spool.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

bool spool_open(struct spool *s, uint64_t max)
{
    *s = (struct spool){.max = max, .seen = {"", 0}};
    s->fd = memfd_create("file", MFD_CLOEXEC);
    return s->fd >= 0;
}

bool spool_put(struct spool *s, struct str bytes)
{
    if (bytes.len > s->max - s->bytes)
        return false;
    while (bytes.len) {
        ssize_t n = write(s->fd, bytes.at, bytes.len);
        if (n < 0 && errno != EINTR)
            return false;
        s->bytes += n > 0 ? (uint64_t)n : 0;
        bytes = str_skip(bytes, n > 0 ? (size_t)n : 0);
    }
    return true;
}

bool spool_see(struct spool *s)
{
    if (s->bytes == 0)
        return true;
    char *at = mmap(NULL, s->bytes, PROT_READ, MAP_SHARED, s->fd, 0);
    if (at == MAP_FAILED)
        return false;
    s->seen = str_from(at, s->bytes);
    return true;
}

void spool_drop(struct spool *s)
{
    if (s->seen.len)
        (void)munmap((void *)(uintptr_t)s->seen.at, s->seen.len);
    if (s->fd >= 0)
        (void)close(s->fd);
    s->fd = -1;
    s->seen = STR("");
}
