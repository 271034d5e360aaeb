/* A file that is taken tells the time: offsets in bounds, changes ahead, the first moment of each
 * local time, and calendars that open where they say. */
#include "tests/fuzz/fuzz.h"

#include "core/base/calendar.h"

enum {
    ARENA_BYTES = 1 << 20,
    OFFSET_MAX_S = 26 * 60 * 60,
};

static const int64_t far_s = 100000000000; /* beyond, days stand still */

static void check_time(const struct zone *z, int64_t at)
{
    int64_t until;
    int32_t offset = zone_offset(z, at, &until);
    must(offset >= -OFFSET_MAX_S && offset <= OFFSET_MAX_S && until > at);
    if (at < -far_s || at > far_s)
        return;
    if (until < INT64_MAX)
        must(zone_offset(z, until - 1, NULL) == offset);
    struct zone_time t = zone_local(z, at);
    must(t.second < DATE_DAY_S);
    int64_t first = zone_utc(z, t.day, t.second);
    must(first <= at);
    struct zone_time there = zone_local(z, first);
    must(there.day > t.day || (there.day == t.day && there.second >= t.second));
    int64_t from, to;
    zone_day(z, t.day, &from, &to);
    must(from <= first && from <= to);
}

static void check_calendar(const struct zone *z, uint64_t ms, struct arena *arena)
{
    struct calendar c;
    calendar_init(&c, z, arena);
    calendar_use_japan(&c);
    must(calendar_add_window(&c, 0x3E, 19 * 60, 9 * 60) == CALENDAR_OK);
    must(calendar_add_window(&c, 0x7F, 125, 140) == CALENDAR_OK);
    bool open = calendar_is_open(&c, ms);
    uint64_t opening = calendar_next_opening(&c, ms), closing = calendar_next_closing(&c, ms);
    must(open ? opening == ms && closing > ms : closing == ms && opening > ms);
    if (!open && opening != UINT64_MAX)
        must(calendar_is_open(&c, opening) && !calendar_is_open(&c, opening - 1));
    if (open && closing != UINT64_MAX)
        must(!calendar_is_open(&c, closing) && calendar_is_open(&c, closing - 1));
}

/* The input as a footer, behind a block of one type. */
static enum zone_status read_footer(struct str footer, struct arena *arena, struct zone *z)
{
    struct buffer file;
    buffer_init(&file, 1 << 16);
    for (int part = 0; part < 2; part++) {
        buffer_puts(&file, "TZif2");
        buffer_fill(&file, 0, 15);
        for (int i = 0; i < 6; i++)
            buffer_put32(&file, i >= 4);
        buffer_fill(&file, 0, 7);
    }
    buffer_putc(&file, '\n');
    buffer_put(&file, footer);
    buffer_putc(&file, '\n');
    enum zone_status status = zone_read(STR("X"), buffer_str(&file), arena, z);
    buffer_drop(&file);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 5)
        return 0;
    struct str in = str_from((const char *)data + 5, size - 5);
    struct arena arena;
    struct zone z;
    arena_init(&arena, ARENA_BYTES);
    enum zone_status status =
        data[0] & 1 ? read_footer(in, &arena, &z) : zone_read(STR("X"), in, &arena, &z);
    if (status == ZONE_OK) {
        uint32_t ahead = load32((const char *)data + 1);
        check_time(&z, (int64_t)ahead * 3 / 2);
        check_time(&z, -(int64_t)ahead);
        check_time(&z, (int64_t)ahead * (1LL << 30));
        check_time(&z, (int64_t)ahead * -(1LL << 30));
        for (uint32_t i = 0; i < z.change_count && i < 8; i++)
            if (z.changes[i].at_s > INT64_MIN / 2 && z.changes[i].at_s < INT64_MAX / 2)
                check_time(&z, z.changes[i].at_s - 1);
        check_calendar(&z, (uint64_t)ahead * 1500, &arena);
    }
    arena_drop(&arena);
    return 0;
}
