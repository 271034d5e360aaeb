#include "tools/extractor/cfb.h"

#define SECTOR_LAST 0xFFFFFFFAu /* numbers from here on are marks */
#define SECTOR_END  0xFFFFFFFEu

enum {
    HEADER_BYTES = 512,
    ENTRY_BYTES = 128,
    HEADER_TABLE = 109, /* FAT sectors that the header names */
    KIND_STREAM = 2,
    KIND_ROOT = 5,
};

static uint32_t get32(struct str s, uint64_t at)
{
    return (uint32_t)(unsigned char)s.at[at] | (uint32_t)(unsigned char)s.at[at + 1] << 8 |
           (uint32_t)(unsigned char)s.at[at + 2] << 16 |
           (uint32_t)(unsigned char)s.at[at + 3] << 24;
}

static uint32_t get16(struct str s, uint64_t at)
{
    return (uint32_t)(unsigned char)s.at[at] | (uint32_t)(unsigned char)s.at[at + 1] << 8;
}

bool cfb_is(struct str file)
{
    return str_starts(file, STR("\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"));
}

/* The bytes of a sector; shorter at the end of the file, empty outside. */
static struct str sector(const struct cfb *c, uint32_t n)
{
    uint64_t at = ((uint64_t)n + 1) << c->sector_shift;
    if (at >= c->file.len)
        return STR("");
    return str_head(str_skip(c->file, at), (size_t)1 << c->sector_shift);
}

/* The sector that holds part `n` of the FAT. Chains of the table are short: 4 TiB a MiB. */
static bool fat_sector(const struct cfb *c, uint32_t n, uint32_t *out)
{
    uint32_t each = (1u << (c->sector_shift - 2)) - 1, at = c->table_next;
    if (n < HEADER_TABLE) {
        *out = get32(c->file, 76 + 4 * (uint64_t)n);
        return *out < SECTOR_LAST;
    }
    for (n -= HEADER_TABLE; n >= each; n -= each) {
        struct str s = at < c->sectors ? sector(c, at) : STR("");
        if (s.len < (size_t)1 << c->sector_shift)
            return false;
        at = get32(s, 4 * (uint64_t)each);
    }
    struct str s = at < c->sectors ? sector(c, at) : STR("");
    if (s.len < 4 * ((size_t)n + 1))
        return false;
    *out = get32(s, 4 * (uint64_t)n);
    return *out < SECTOR_LAST;
}

/* What follows sector `n`; false: damaged. */
static bool next_sector(const struct cfb *c, uint32_t n, uint32_t *next)
{
    uint32_t each = 1u << (c->sector_shift - 2), in;
    if (n >= c->sectors || n / each >= c->fat_sectors || !fat_sector(c, n / each, &in))
        return false;
    struct str s = sector(c, in);
    uint64_t at = 4 * (uint64_t)(n % each);
    if (s.len < at + 4)
        return false;
    *next = get32(s, at);
    return *next == SECTOR_END || *next < c->sectors;
}

/* The sector that is `steps` behind `n` in its chain. */
static bool walk(const struct cfb *c, uint32_t *n, uint64_t steps)
{
    if (steps > c->sectors)
        return false;
    while (steps-- > 0)
        if (!next_sector(c, *n, n) || *n == SECTOR_END)
            return false;
    return *n < c->sectors;
}

static void take_name(struct str entry, struct cfb_stream *s)
{
    size_t units = size_min(get16(entry, 64) / 2, 32), len = 0;
    for (size_t i = 0; i < units; i++) {
        uint32_t u = get16(entry, 2 * i);
        if (u == 0)
            break;
        if (u < 0x80) {
            s->name[len++] = (char)u;
        } else if (u < 0x800) {
            s->name[len++] = (char)(0xC0 | u >> 6);
            s->name[len++] = (char)(0x80 | (u & 0x3F));
        } else {
            s->name[len++] = (char)(0xE0 | u >> 12);
            s->name[len++] = (char)(0x80 | (u >> 6 & 0x3F));
            s->name[len++] = (char)(0x80 | (u & 0x3F));
        }
    }
    s->name[len] = 0;
}

static void take_entry(const struct cfb *c, struct str entry, struct cfb_stream *s)
{
    take_name(entry, s);
    s->kind = (uint8_t)entry.at[66];
    s->first = get32(entry, 116);
    s->bytes = get32(entry, 120);
    if (c->sector_shift > 9) /* version 3 leaves garbage there */
        s->bytes |= (uint64_t)get32(entry, 124) << 32;
}

enum cfb_step cfb_next(struct cfb *c, struct cfb_stream *out)
{
    uint32_t each = 1u << (c->sector_shift - 7);
    if (c->seen > 0 && c->seen % each == 0) {
        if (c->seen / each >= c->sectors || !next_sector(c, c->at, &c->at))
            return CFB_DAMAGED;
        if (c->at == SECTOR_END)
            return CFB_END;
    }
    struct str s = sector(c, c->at);
    uint64_t at = (uint64_t)(c->seen % each) * ENTRY_BYTES;
    if (s.len < at + ENTRY_BYTES)
        return CFB_DAMAGED;
    take_entry(c, str_skip(s, at), out);
    c->seen++;
    return CFB_ENTRY;
}

bool cfb_open(struct cfb *c, struct str file)
{
    *c = (struct cfb){.file = file};
    if (file.len < HEADER_BYTES || !cfb_is(file) || get16(file, 28) != 0xFFFE)
        return false;
    c->sector_shift = get16(file, 30);
    c->small_shift = get16(file, 32);
    if ((c->sector_shift != 9 && c->sector_shift != 12) || c->small_shift != 6)
        return false;
    uint64_t sectors = (file.len + (1u << c->sector_shift) - 1) >> c->sector_shift;
    c->sectors = (uint32_t)u64_min(sectors ? sectors - 1 : 0, SECTOR_LAST - 1);
    c->fat_sectors = get32(file, 44);
    c->directory = c->at = get32(file, 48);
    c->small_below = get32(file, 56);
    c->small_fat = get32(file, 60);
    c->table_next = get32(file, 68);
    if (c->directory >= c->sectors || cfb_next(c, &c->root) != CFB_ENTRY ||
        c->root.kind != KIND_ROOT)
        return false;
    c->at = c->directory;
    c->seen = 0;
    return true;
}

/* Small sectors are a file inside of the root's stream, with a FAT of its own. */
static bool read_small(const struct cfb *c, const struct cfb_stream *s, uint64_t want,
                       struct buffer *out)
{
    uint32_t n = s->first, shift = c->sector_shift;
    for (uint64_t done = 0, left = want; left; done++) {
        uint64_t at = (uint64_t)n << c->small_shift, fat_at = 4 * (uint64_t)n;
        uint32_t holds = c->root.first, fat = c->small_fat;
        if (at + (1u << c->small_shift) > c->root.bytes + (1u << c->small_shift) ||
            done > c->root.bytes >> c->small_shift || !walk(c, &holds, at >> shift) ||
            !walk(c, &fat, fat_at >> shift))
            return false;
        struct str bytes = str_skip(sector(c, holds), at & ((1u << shift) - 1));
        struct str some = str_head(bytes, (size_t)u64_min(left, 1u << c->small_shift));
        struct str next = str_skip(sector(c, fat), fat_at & ((1u << shift) - 1));
        if (some.len == 0 || next.len < 4)
            return false;
        buffer_put(out, some);
        left -= some.len;
        n = get32(next, 0);
    }
    return true;
}

bool cfb_read(const struct cfb *c, const struct cfb_stream *s, uint64_t max, struct buffer *out)
{
    uint64_t left = u64_min(s->bytes, max);
    uint32_t n = s->first;
    if (s->kind != KIND_STREAM || s->bytes > c->file.len)
        return false;
    if (s->bytes < c->small_below)
        return read_small(c, s, left, out) && !out->full;
    for (uint32_t steps = 0; left; steps++) {
        struct str some = n < c->sectors ? str_head(sector(c, n), (size_t)left) : STR("");
        if (some.len == 0 || steps > c->sectors)
            return false;
        buffer_put(out, some);
        left -= some.len;
        if (left && (!next_sector(c, n, &n) || n == SECTOR_END))
            return false;
    }
    return !out->full;
}
