/* zip_look.h -- a second look at a zip, before anything is taken out of it: the central directory,
 * and whether a program that goes by the local headers would find the same (ZIP-05, 07).
 *
 * Memory   borrows the file and an array of the caller's. Names point into the file.
 * Cost     linear in the directory, plus sorting the entries by place.
 * Promise  of GOOD no two entries share a byte, local headers say what the directory says, nothing
 *          that looks like an entry lies between them, in front of them or behind the directory.
 */
#ifndef TOOLS_EXTRACTOR_ZIP_LOOK_H
#define TOOLS_EXTRACTOR_ZIP_LOOK_H

#include "core/base/str.h"

enum zip_look_status {
    ZIP_LOOK_GOOD,
    ZIP_LOOK_NONE, /* not a zip: no end of a directory */
    ZIP_LOOK_DAMAGED,
    ZIP_LOOK_DIFFERS,  /* programs may read it differently */
    ZIP_LOOK_OVERLAPS, /* a bomb */
    ZIP_LOOK_MANY,     /* more entries than there is room for */
    ZIP_LOOK_DISKS,    /* one of several parts */
};

struct zip_look_entry {
    struct str name;
    uint64_t at, packed, bytes; /* at: of its local header */
    uint64_t end;               /* behind its data */
    uint16_t flags, method;
    uint32_t crc;
    bool unicode; /* the name is marked as UTF-8 */
};

struct zip_look {
    struct zip_look_entry *entries; /* in the order of the directory */
    size_t count, room;
    uint64_t bytes; /* of all, as the directory says; UINT64_MAX: beyond counting */
    const char *why;
};

/* `places` has room for as many as `entries`. */
enum zip_look_status zip_look(struct str file, struct zip_look *z, uint32_t *places);

/* Does the file end with a directory of a zip that lies in it? (behind a program, a picture) */
bool zip_look_tail(struct str file);

#endif
