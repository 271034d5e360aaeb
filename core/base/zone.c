#include "core/base/zone.h"

#include "core/base/buffer.h"
#include "core/base/heap.h"
#include "core/base/limit.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum {
    HEADER_BYTES = 44,
    HOUR_S = 60 * 60,
    OFFSET_MAX_S = 26 * HOUR_S,     /* RFC 8536 3.2 */
    EDGE_TIME_MAX_S = 167 * HOUR_S, /* RFC 8536 3.3.1 */
    TYPES_MAX = 256,
    NAME_BYTES = 64,
    PATH_BYTES = 256,
};

/* No day of a time outside of this is asked for; it fits int32_t well. */
static const int64_t reach_s = (int64_t)20000 * 366 * DATE_DAY_S;

/* ---- the file */

struct counts {
    uint32_t isut, isstd, leap, time, type, letters;
};

static bool take_header(struct str *in, uint8_t *version, struct counts *c)
{
    struct str head;
    if (!take_bytes(in, HEADER_BYTES, &head) || !str_starts(head, STR("TZif")))
        return false;
    *version = (uint8_t)head.at[4];
    head = str_skip(head, 20);
    return take32(&head, &c->isut) && take32(&head, &c->isstd) && take32(&head, &c->leap) &&
           take32(&head, &c->time) && take32(&head, &c->type) && take32(&head, &c->letters);
}

/* Everything before the next header. */
static bool skip_block(struct str *in, const struct counts *c)
{
    uint64_t bytes = (uint64_t)c->time * 5 + (uint64_t)c->type * 6 + c->letters +
                     (uint64_t)c->leap * 8 + c->isstd + c->isut;
    struct str ignored;
    return bytes <= in->len && take_bytes(in, (size_t)bytes, &ignored);
}

static bool take_types(struct str *in, uint32_t count, int32_t *offsets)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t offset;
        struct str ignored;
        if (!take32(in, &offset) || !take_bytes(in, 2, &ignored)) /* summer?, its name */
            return false;
        offsets[i] = (int32_t)offset;
        if (offsets[i] < -OFFSET_MAX_S || offsets[i] > OFFSET_MAX_S)
            return false;
    }
    return true;
}

static enum zone_status take_changes(struct str times, struct str kinds, const struct counts *c,
                                     const int32_t *offsets, struct zone *z)
{
    int64_t last = INT64_MIN;
    for (uint32_t i = 0; i < c->time; i++) {
        uint64_t at;
        uint8_t kind;
        if (!take64(&times, &at) || !take8(&kinds, &kind) || kind >= c->type ||
            (i && (int64_t)at <= last))
            return ZONE_BAD;
        last = (int64_t)at;
        z->changes[i] = (struct zone_change){last, offsets[kind]};
    }
    return ZONE_OK;
}

static enum zone_status take_block(struct str *in, const struct counts *c, struct arena *arena,
                                   struct zone *z)
{
    int32_t offsets[TYPES_MAX];
    struct str times, kinds, ignored;
    if (c->leap || !c->type || c->type > TYPES_MAX || c->letters > LIMIT_ZONE_BYTES)
        return ZONE_BAD;
    if (c->time > LIMIT_ZONE_CHANGES)
        return ZONE_TOO_BIG;
    if (!take_bytes(in, (size_t)c->time * 8, &times) || !take_bytes(in, c->time, &kinds) ||
        !take_types(in, c->type, offsets) || !take_bytes(in, c->letters, &ignored) ||
        !take_bytes(in, (size_t)c->isstd + c->isut, &ignored))
        return ZONE_BAD;
    z->first_offset_s = offsets[0];
    z->change_count = c->time;
    if (!c->time)
        return ZONE_OK;
    z->changes = arena_take(arena, c->time * sizeof *z->changes);
    return z->changes ? take_changes(times, kinds, c, offsets, z) : ZONE_NO_MEMORY;
}

/* ---- the footer: "EST5EDT,M3.2.0,M11.1.0" */

static bool take_char(struct str *in, char c)
{
    if (!in->len || in->at[0] != c)
        return false;
    *in = str_skip(*in, 1);
    return true;
}

static bool take_number(struct str *in, uint32_t max, uint32_t *out)
{
    size_t digits = 0;
    while (digits < in->len && in->at[digits] >= '0' && in->at[digits] <= '9')
        digits++;
    uint64_t value;
    if (!str_number(str_head(*in, digits), max, &value))
        return false;
    *in = str_skip(*in, digits);
    *out = (uint32_t)value;
    return true;
}

/* [+-]hh[:mm[:ss]] */
static bool take_time(struct str *in, int32_t max_s, int32_t *out)
{
    int32_t sign = take_char(in, '-') ? -1 : 1;
    if (sign == 1)
        (void)take_char(in, '+');
    uint32_t hour, minute = 0, second = 0;
    if (!take_number(in, 167, &hour))
        return false;
    if (take_char(in, ':')) {
        if (!take_number(in, 59, &minute))
            return false;
        if (take_char(in, ':') && !take_number(in, 59, &second))
            return false;
    }
    *out = sign * (int32_t)(hour * HOUR_S + minute * 60 + second);
    return *out >= -max_s && *out <= max_s;
}

/* "JST" or "<+09>" */
static bool take_name(struct str *in)
{
    size_t len = 0;
    if (take_char(in, '<')) {
        len = str_find(*in, '>');
        if (len == SIZE_MAX || len < 3)
            return false;
        *in = str_skip(*in, len + 1);
        return true;
    }
    while (len < in->len && (char_lower(in->at[len]) >= 'a' && char_lower(in->at[len]) <= 'z'))
        len++;
    *in = str_skip(*in, len);
    return len >= 3;
}

static bool take_edge(struct str *in, struct zone_edge *e)
{
    uint32_t month = 0, week = 0, day = 0;
    if (!take_char(in, ','))
        return false;
    if (take_char(in, 'M')) {
        e->kind = ZONE_MONTH;
        if (!take_number(in, 12, &month) || !take_char(in, '.') || !take_number(in, 5, &week) ||
            !take_char(in, '.') || !take_number(in, 6, &day) || month < 1 || week < 1)
            return false;
    } else {
        e->kind = take_char(in, 'J') ? ZONE_JULIAN : ZONE_DAY;
        if (!take_number(in, 365, &day) || (e->kind == ZONE_JULIAN && day < 1))
            return false;
    }
    e->month = (uint16_t)month;
    e->week = (uint16_t)week;
    e->day = (uint16_t)day;
    e->time_s = 2 * HOUR_S;
    return !take_char(in, '/') || take_time(in, EDGE_TIME_MAX_S, &e->time_s);
}

static bool take_rule(struct str in, struct zone *z)
{
    int32_t west;
    if (!take_name(&in) || !take_time(&in, OFFSET_MAX_S, &west))
        return false;
    z->has_rule = true;
    z->offset_s = -west;
    if (!in.len)
        return true;
    z->has_summer = true;
    z->summer_offset_s = z->offset_s + HOUR_S;
    if (!take_name(&in))
        return false;
    if (in.len && in.at[0] != ',') {
        if (!take_time(&in, OFFSET_MAX_S, &west))
            return false;
        z->summer_offset_s = -west;
    }
    return z->summer_offset_s <= OFFSET_MAX_S && take_edge(&in, &z->summer_start) &&
           take_edge(&in, &z->summer_end) && !in.len;
}

enum zone_status zone_read(struct str name, struct str bytes, struct arena *arena, struct zone *out)
{
    struct counts c;
    uint8_t version;
    *out = (struct zone){.name = arena_copy(arena, name)};
    if (!out->name.at)
        return ZONE_NO_MEMORY;
    if (bytes.len > LIMIT_ZONE_BYTES)
        return ZONE_TOO_BIG;
    if (!take_header(&bytes, &version, &c) || version < '2' || !skip_block(&bytes, &c) ||
        !take_header(&bytes, &version, &c))
        return ZONE_BAD;
    enum zone_status status = take_block(&bytes, &c, arena, out);
    if (status != ZONE_OK)
        return status;
    if (!take_char(&bytes, '\n'))
        return ZONE_BAD;
    size_t end = str_find(bytes, '\n');
    if (end == SIZE_MAX || (end > 0 && !take_rule(str_head(bytes, end), out)))
        return ZONE_BAD;
    return ZONE_OK;
}

/* ---- the door to the files */

static bool is_name(struct str name)
{
    if (!name.len || name.len > NAME_BYTES || name.at[0] == '/' || name.at[name.len - 1] == '/' ||
        str_find_str(name, STR("//")) != SIZE_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = char_lower(name.at[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
            str_find(STR("/_+-"), c) == SIZE_MAX) /* no dots: nothing leads out of the directory */
            return false;
    }
    return true;
}

static enum zone_status read_file(const char *path, struct buffer *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ZONE_MISSING;
    ssize_t got;
    do {
        char *at = buffer_reserve(out, LIMIT_ZONE_BYTES / 4);
        if (!at) {
            (void)close(fd);
            return ZONE_TOO_BIG;
        }
        got = read(fd, at, LIMIT_ZONE_BYTES / 4);
        if (got > 0)
            buffer_added(out, (size_t)got);
    } while (got > 0 || (got < 0 && errno == EINTR));
    (void)close(fd);
    return got < 0 ? ZONE_MISSING : ZONE_OK;
}

enum zone_status zone_load(const char *directory, struct str name, struct arena *arena,
                           struct zone *out)
{
    char path[PATH_BYTES];
    struct buffer file;
    *out = (struct zone){.name = {"", 0}};
    if (!is_name(name) || strlen(directory) + NAME_BYTES + 2 > sizeof path)
        return ZONE_NO_NAME;
    buffer_init(&file, sizeof path);
    buffer_printf(&file, "%s/%.*s", directory, STR_ARG(name));
    bool fits = str_to_c(buffer_str(&file), path, sizeof path);
    buffer_drop(&file);
    if (!fits)
        return ZONE_NO_NAME;
    buffer_init(&file, (size_t)2 * LIMIT_ZONE_BYTES);
    enum zone_status status = read_file(path, &file);
    if (status == ZONE_OK)
        status = zone_read(name, buffer_str(&file), arena, out);
    buffer_drop(&file);
    return status;
}

/* ---- time */

static int64_t floor_day(int64_t s)
{
    return s / DATE_DAY_S - (s % DATE_DAY_S < 0);
}

static int64_t clamp(int64_t s)
{
    return s < -reach_s ? -reach_s : s > reach_s ? reach_s : s;
}

/* Local seconds, by the clock before the edge. */
static int64_t edge_in_year(const struct zone_edge *e, int32_t year)
{
    int32_t day;
    switch (e->kind) {
    case ZONE_MONTH:
        day = date_to_day((struct date){year, (uint8_t)e->month, 1});
        day += (int32_t)((e->day + DATE_WEEK - date_weekday(day)) % DATE_WEEK) + (e->week - 1) * 7;
        if (date_of_day(day).month != e->month)
            day -= DATE_WEEK; /* there are four of it */
        break;
    case ZONE_JULIAN:
        day = date_to_day((struct date){year, 1, 1}) + e->day - 1;
        day += date_is_leap(year) && e->day >= 60;
        break;
    case ZONE_DAY:
    default:
        day = date_to_day((struct date){year, 1, 1}) + e->day;
        break;
    }
    return (int64_t)day * DATE_DAY_S + e->time_s;
}

/* The edges of the years around decide: the last that passed, and the next. */
static int32_t rule_offset(const struct zone *z, int64_t utc_s, int64_t *until_s)
{
    *until_s = INT64_MAX;
    if (!z->has_summer)
        return z->offset_s;
    int32_t year = date_of_day((int32_t)floor_day(clamp(utc_s))).year;
    int32_t offset = z->offset_s;
    int64_t last = INT64_MIN;
    for (int32_t y = year - 2; y <= year + 2; y++) { /* an edge may be a week outside its year */
        int64_t start = edge_in_year(&z->summer_start, y) - z->offset_s;
        int64_t end = edge_in_year(&z->summer_end, y) - z->summer_offset_s;
        /* where both are one moment summer goes on (RFC 8536 3.3.1: all year) */
        if (start <= utc_s && start >= last) {
            last = start;
            offset = z->summer_offset_s;
        }
        if (end <= utc_s && end > last) {
            last = end;
            offset = z->offset_s;
        }
        if (start > utc_s && start < *until_s)
            *until_s = start;
        if (end > utc_s && end < *until_s)
            *until_s = end;
    }
    return offset;
}

int32_t zone_offset(const struct zone *z, int64_t utc_s, int64_t *until_s)
{
    int64_t ignored;
    until_s = until_s ? until_s : &ignored;
    uint32_t low = 0, high = z->change_count; /* changes before `low` have passed */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (z->changes[middle].at_s <= utc_s)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == z->change_count && z->has_rule)
        return rule_offset(z, utc_s, until_s);
    *until_s = low < z->change_count ? z->changes[low].at_s : INT64_MAX;
    return low ? z->changes[low - 1].offset_s : z->first_offset_s;
}

struct zone_time zone_local(const struct zone *z, int64_t utc_s)
{
    int64_t local = clamp(utc_s + zone_offset(z, utc_s, NULL)), day = floor_day(local);
    return (struct zone_time){(int32_t)day, (uint32_t)(local - day * DATE_DAY_S)};
}

int64_t zone_utc(const struct zone *z, int32_t day, uint32_t second)
{
    int64_t local = (int64_t)day * DATE_DAY_S + second;
    int64_t at = local - OFFSET_MAX_S, until;
    for (;;) {
        int32_t offset = zone_offset(z, at, &until);
        int64_t there = local - offset > at ? local - offset : at;
        if (there < until)
            return there;
        at = until;
    }
}

void zone_day(const struct zone *z, int32_t day, int64_t *from_s, int64_t *to_s)
{
    *from_s = zone_utc(z, day, 0);
    *to_s = zone_utc(z, day + 1, 0);
}
