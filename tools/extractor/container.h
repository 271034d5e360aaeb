/* container.h -- files in files: zips by libzip, everything else by libarchive, one way to walk.
 *
 * Memory   a container borrows the bytes of its file.
 * Promise  nothing is written anywhere, whatever the paths inside say (ZIP-06): an entry is read
 *          as bytes.
 * Errors   CONTAINER_BAD: `reason` and `why` say it; no more entries come. An entry that cannot be
 *          read alone says so in container_read().
 */
#ifndef TOOLS_EXTRACTOR_CONTAINER_H
#define TOOLS_EXTRACTOR_CONTAINER_H

#include "core/base/buffer.h"
#include "shards/inspect.h"
#include "tools/extractor/zip_look.h"

enum container_step {
    CONTAINER_ENTRY,
    CONTAINER_END,
    CONTAINER_BAD,
    CONTAINER_LOCKED, /* even its list is encrypted */
};

enum container_hint {
    CONTAINER_LISTED, /* files and their names */
    CONTAINER_PACKED, /* compressed as a whole; files may be inside */
    CONTAINER_RAW,    /* the same, and there are none: one file without a name */
};

struct container_entry {
    struct str name;
    uint64_t bytes; /* UINT64_MAX: unknown */
    bool folder, link, encrypted, unicode;
};

struct zip;
struct zip_file;
struct archive;

struct container {
    bool is_zip;
    enum inspect_reason reason;
    const char *why;
    bool locked; /* the entry that is read turned out to be encrypted */

    /* zip */
    struct zip *zip;
    struct zip_file *file;
    struct zip_look look;
    uint32_t *places;
    size_t at;

    /* others */
    struct archive *archive;
    struct buffer text; /* of an error */
};

/* False: `reason` and `why`. `entries_max`: of a zip; others are counted by who walks. */
NODISCARD bool container_open_zip(struct container *c, struct str file, uint32_t entries_max);
NODISCARD bool container_open_archive(struct container *c, struct str file,
                                      enum container_hint hint);
void container_close(struct container *c);

NODISCARD enum container_step container_next(struct container *c, struct container_entry *e);

/* Bytes of the entry: how many, 0 at its end, negative: it cannot be read, see `reason`. */
NODISCARD int64_t container_read(struct container *c, char *at, size_t room);

/* Of a zip: does it hold an entry of this name, or whose name begins with it? */
bool container_has(const struct container *c, const char *name);
/* Of a zip: the start of the entry of this name. */
NODISCARD bool container_peek(struct container *c, const char *name, uint64_t max,
                              struct buffer *out);

#endif
