/* cfb.h -- OLE compound files ([MS-CFB]): the streams of old Office files, of mails that Outlook
 * saved, of encrypted OOXML.
 *
 * Memory   borrows the file. One table of directory entries of the caller's.
 * Cost     linear: a chain is followed for no more sectors than the file has.
 * Errors   false: damaged.
 */
#ifndef TOOLS_EXTRACTOR_CFB_H
#define TOOLS_EXTRACTOR_CFB_H

#include "core/base/buffer.h"

enum {
    CFB_NAME_BYTES = 32 * 3 + 1,
};

struct cfb_stream {
    char name[CFB_NAME_BYTES]; /* UTF-8 */
    uint8_t kind;              /* 1 storage, 2 stream, 5 root */
    uint32_t first;
    uint64_t bytes;
};

struct cfb {
    struct str file;
    unsigned sector_shift, small_shift;
    uint32_t small_below; /* streams shorter than this live in small sectors */
    uint32_t sectors, fat_sectors, directory, small_fat, table_next;
    struct cfb_stream root;
    uint32_t at, seen; /* of the walk through the directory */
};

bool cfb_is(struct str file); /* by its signature */

NODISCARD bool cfb_open(struct cfb *c, struct str file);

enum cfb_step {
    CFB_ENTRY,
    CFB_END,
    CFB_DAMAGED
};

/* The entries of the directory, in its order; cfb_open() starts. */
NODISCARD enum cfb_step cfb_next(struct cfb *c, struct cfb_stream *out);

/* The stream's first `max` bytes, appended to `out`. */
NODISCARD bool cfb_read(const struct cfb *c, const struct cfb_stream *s, uint64_t max,
                        struct buffer *out);

#endif
