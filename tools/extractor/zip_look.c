#include "tools/extractor/zip_look.h"

#include <stdlib.h>

enum {
    LOCAL_BYTES = 30,
    CENTRAL_BYTES = 46,
    END_BYTES = 22,
    END64_BYTES = 56,
    LOCATOR64_BYTES = 20,
    COMMENT_MAX = 65535,
    FLAG_ENCRYPTED = 1 << 0,
    FLAG_LENGTHS_BEHIND = 1 << 3,
    FLAG_UTF8 = 1 << 11,
    EXTRA_ZIP64 = 1,
};

static uint64_t little(struct str s, uint64_t at, unsigned bytes)
{
    uint64_t v = 0;
    for (unsigned i = bytes; i-- > 0;)
        v = v << 8 | (unsigned char)s.at[at + i];
    return v;
}

static uint16_t get16(struct str s, uint64_t at)
{
    return (uint16_t)little(s, at, 2);
}

static uint32_t get32(struct str s, uint64_t at)
{
    return (uint32_t)little(s, at, 4);
}

static bool is_at(struct str s, uint64_t at, const char *mark)
{
    return at <= s.len && s.len - at >= 4 && memcmp(s.at + at, mark, 4) == 0;
}

/* The last mark of an end, or SIZE_MAX. */
static uint64_t find_end(struct str file)
{
    uint64_t least = file.len > END_BYTES + COMMENT_MAX ? file.len - END_BYTES - COMMENT_MAX : 0;
    if (file.len < END_BYTES)
        return SIZE_MAX;
    for (uint64_t at = file.len - 3; at-- > least;)
        if (is_at(file, at, "PK\5\6"))
            return at;
    return SIZE_MAX;
}

struct directory {
    uint64_t at, bytes, count;
    uint64_t end; /* what stands behind it: an end, of the new or the old kind */
};

static enum zip_look_status say(struct zip_look *z, enum zip_look_status status, const char *why)
{
    z->why = why;
    return status;
}

static enum zip_look_status read_end64(struct str file, struct zip_look *z, uint64_t end,
                                       struct directory *d)
{
    if (end < LOCATOR64_BYTES || !is_at(file, end - LOCATOR64_BYTES, "PK\6\7"))
        return ZIP_LOOK_GOOD;
    uint64_t locator = end - LOCATOR64_BYTES, at = little(file, locator + 8, 8);
    if (get32(file, locator + 4) != 0 || get32(file, locator + 16) > 1)
        return say(z, ZIP_LOOK_DISKS, "one of several parts");
    if (at > locator || locator - at < END64_BYTES || !is_at(file, at, "PK\6\6"))
        return say(z, ZIP_LOOK_DAMAGED, "its locator points nowhere");
    if (little(file, at + 4, 8) != locator - at - 12)
        return say(z, ZIP_LOOK_DIFFERS, "bytes behind its directory");
    if (get32(file, at + 16) || get32(file, at + 20))
        return say(z, ZIP_LOOK_DISKS, "one of several parts");
    uint64_t count = little(file, at + 32, 8), bytes = little(file, at + 40, 8);
    uint64_t start = little(file, at + 48, 8);
    bool same = (d->count == 0xFFFF || d->count == count) &&
                (d->bytes == UINT32_MAX || d->bytes == bytes) &&
                (d->at == UINT32_MAX || d->at == start);
    if (!same)
        return say(z, ZIP_LOOK_DIFFERS, "two ends that differ");
    *d = (struct directory){.at = start, .bytes = bytes, .count = count, .end = at};
    return ZIP_LOOK_GOOD;
}

static enum zip_look_status read_end(struct str file, struct zip_look *z, struct directory *d)
{
    uint64_t end = find_end(file);
    if (end == SIZE_MAX)
        return say(z, ZIP_LOOK_NONE, "no directory");
    if (file.len - end < END_BYTES)
        return say(z, ZIP_LOOK_DAMAGED, "its end is cut off");
    if (file.len - end - END_BYTES != get16(file, end + 20))
        return say(z, ZIP_LOOK_DIFFERS, "bytes behind its end, or two ends");
    d->count = get16(file, end + 10);
    d->bytes = get32(file, end + 12);
    d->at = get32(file, end + 16);
    d->end = end;
    uint16_t disk = get16(file, end + 4), first = get16(file, end + 6);
    if ((disk && disk != 0xFFFF) || (first && first != 0xFFFF) || d->count != get16(file, end + 8))
        return say(z, ZIP_LOOK_DISKS, "one of several parts");
    enum zip_look_status status = read_end64(file, z, end, d);
    if (status != ZIP_LOOK_GOOD)
        return status;
    if (d->at > d->end || d->bytes > d->end)
        return say(z, ZIP_LOOK_DAMAGED, "its directory lies outside");
    if (d->at + d->bytes != d->end)
        return say(z, ZIP_LOOK_DIFFERS, "bytes in front of it, or behind its directory");
    return ZIP_LOOK_GOOD;
}

/* The 64-bit values of the fields that say "look there"; false: they are not there. */
static bool widen(struct str extra, uint64_t *const *fields, size_t count)
{
    while (extra.len >= 4) {
        uint16_t id = get16(extra, 0), len = get16(extra, 2);
        if (len > extra.len - 4)
            return false;
        struct str body = str_head(str_skip(extra, 4), len);
        extra = str_skip(extra, 4 + (size_t)len);
        if (id != EXTRA_ZIP64)
            continue;
        for (size_t i = 0; i < count; i++) {
            if (*fields[i] != UINT32_MAX)
                continue;
            if (body.len < 8)
                return false;
            *fields[i] = little(body, 0, 8);
            body = str_skip(body, 8);
        }
        return true;
    }
    return true; /* then UINT32_MAX is meant */
}

static enum zip_look_status read_central(struct str file, struct zip_look *z,
                                         const struct directory *d, uint64_t *at)
{
    if (d->end - *at < CENTRAL_BYTES || !is_at(file, *at, "PK\1\2"))
        return say(z, ZIP_LOOK_DAMAGED, "an entry of its directory is none");
    uint16_t name = get16(file, *at + 28), extra = get16(file, *at + 30);
    uint64_t bytes = CENTRAL_BYTES + (uint64_t)name + extra + get16(file, *at + 32);
    if (d->end - *at < bytes)
        return say(z, ZIP_LOOK_DAMAGED, "an entry of its directory is cut off");
    if (z->count == z->room)
        return say(z, ZIP_LOOK_MANY, "");
    struct zip_look_entry *e = &z->entries[z->count++];
    *e = (struct zip_look_entry){
        .name = str_from(file.at + *at + CENTRAL_BYTES, name),
        .flags = get16(file, *at + 8),
        .method = get16(file, *at + 10),
        .crc = get32(file, *at + 16),
        .packed = get32(file, *at + 20),
        .bytes = get32(file, *at + 24),
        .at = get32(file, *at + 42),
        .unicode = get16(file, *at + 8) & FLAG_UTF8,
    };
    uint64_t *const fields[] = {&e->bytes, &e->packed, &e->at};
    struct str more = str_from(file.at + *at + CENTRAL_BYTES + name, extra);
    uint16_t disk = get16(file, *at + 34);
    if (!widen(more, fields, countof(fields)))
        return say(z, ZIP_LOOK_DAMAGED, "an entry without its size");
    if (disk && disk != 0xFFFF)
        return say(z, ZIP_LOOK_DISKS, "one of several parts");
    z->bytes = z->bytes + e->bytes < z->bytes ? UINT64_MAX : z->bytes + e->bytes;
    *at += bytes;
    return ZIP_LOOK_GOOD;
}

static enum zip_look_status read_local(struct str file, struct zip_look *z,
                                       const struct directory *d, struct zip_look_entry *e)
{
    if (e->at > d->at || d->at - e->at < LOCAL_BYTES || !is_at(file, e->at, "PK\3\4"))
        return say(z, ZIP_LOOK_DAMAGED, "an entry lies outside");
    uint16_t name = get16(file, e->at + 26), extra = get16(file, e->at + 28);
    uint64_t head = LOCAL_BYTES + (uint64_t)name + extra, packed = get32(file, e->at + 18);
    uint64_t bytes = get32(file, e->at + 22);
    if (d->at - e->at < head || d->at - e->at - head < e->packed)
        return say(z, ZIP_LOOK_DAMAGED, "an entry is cut off");
    e->end = e->at + head + e->packed;
    uint16_t flags = get16(file, e->at + 6), method = get16(file, e->at + 8);
    uint64_t *const fields[] = {&bytes, &packed};
    struct str more = str_from(file.at + e->at + LOCAL_BYTES + name, extra);
    if (!str_eq(e->name, str_from(file.at + e->at + LOCAL_BYTES, name)) || method != e->method ||
        (flags ^ e->flags) & FLAG_ENCRYPTED || !widen(more, fields, countof(fields)))
        return say(z, ZIP_LOOK_DIFFERS, "an entry differs from the directory");
    bool behind = flags & FLAG_LENGTHS_BEHIND;
    bool same = packed == e->packed && bytes == e->bytes && get32(file, e->at + 14) == e->crc;
    if (!same && !(behind && (packed == 0 || packed == e->packed)))
        return say(z, ZIP_LOOK_DIFFERS, "an entry differs from the directory");
    return ZIP_LOOK_GOOD;
}

static int by_place(const void *a, const void *b, void *entries)
{
    const struct zip_look_entry *all = entries;
    uint64_t x = all[*(const uint32_t *)a].at, y = all[*(const uint32_t *)b].at;
    return (x > y) - (x < y);
}

/* Nothing overlaps, and no gap holds what another program would take for an entry. */
static enum zip_look_status check_places(struct str file, struct zip_look *z,
                                         const struct directory *d, uint32_t *places)
{
    uint64_t end = 0;
    for (size_t i = 0; i < z->count; i++)
        places[i] = (uint32_t)i;
    if (z->count)
        qsort_r(places, z->count, sizeof *places, by_place, z->entries);
    for (size_t i = 0; i <= z->count; i++) {
        uint64_t at = i < z->count ? z->entries[places[i]].at : d->at;
        if (at < end)
            return say(z, ZIP_LOOK_OVERLAPS, "entries that share their bytes");
        if (at > end && is_at(file, end, "PK\3\4"))
            return say(z, ZIP_LOOK_DIFFERS, "an entry that the directory does not name");
        if (i < z->count)
            end = z->entries[places[i]].end;
    }
    return ZIP_LOOK_GOOD;
}

enum zip_look_status zip_look(struct str file, struct zip_look *z, uint32_t *places)
{
    struct directory d = {0};
    z->count = 0;
    z->bytes = 0;
    z->why = "";
    enum zip_look_status status = read_end(file, z, &d);
    uint64_t at = d.at;
    while (status == ZIP_LOOK_GOOD && at < d.end)
        status = read_central(file, z, &d, &at);
    if (status == ZIP_LOOK_GOOD && z->count != d.count)
        status = say(z, ZIP_LOOK_DIFFERS, "more or fewer entries than its end says");
    for (size_t i = 0; status == ZIP_LOOK_GOOD && i < z->count; i++)
        status = read_local(file, z, &d, &z->entries[i]);
    return status == ZIP_LOOK_GOOD ? check_places(file, z, &d, places) : status;
}

bool zip_look_tail(struct str file)
{
    uint64_t end = find_end(file);
    if (end == SIZE_MAX || file.len - end < END_BYTES || get16(file, end + 10) == 0)
        return false;
    uint64_t bytes = get32(file, end + 12);
    return bytes <= end && is_at(file, end - bytes, "PK\1\2");
}
