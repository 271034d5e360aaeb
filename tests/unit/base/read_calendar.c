/* read_calendar.c -- for compare_calendar.py: what zone.c and holiday.c say.
 *
 *   read_calendar DIRECTORY     a line "ZONE SECONDS": its offset there, and the next change
 *   read_calendar               every holiday in Japan: "2026-01-01 NAME"
 */
#include "core/base/holiday.h"
#include "core/base/map.h"
#include "core/base/zone.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    ARENA_BYTES = 64 << 20,
    LINE_BYTES = 256,
};

static const struct zone *find_zone(const char *directory, struct str name, struct map *zones,
                                    struct arena *arena)
{
    struct zone *z = map_get(zones, name);
    if (z)
        return z;
    z = arena_take(arena, sizeof *z);
    must(z);
    if (zone_load(directory, name, arena, z) != ZONE_OK)
        return NULL;
    map_set(zones, name, z);
    return z;
}

static int tell_offsets(const char *directory)
{
    char line[LINE_BYTES];
    struct map zones;
    struct arena arena;
    map_init(&zones, 1);
    arena_init(&arena, ARENA_BYTES);
    while (fgets(line, sizeof line, stdin)) {
        struct str rest = str_c(line), name = str_cut(&rest, ' ');
        const struct zone *z = find_zone(directory, name, &zones, &arena);
        if (!z) {
            (void)fprintf(stderr, "cannot read %.*s\n", STR_ARG(name));
            return 1;
        }
        int64_t until;
        int32_t offset = zone_offset(z, strtoll(rest.at, NULL, 10), &until);
        (void)printf("%d %lld\n", offset, (long long)until);
    }
    map_drop(&zones);
    arena_drop(&arena);
    return 0;
}

static int tell_holidays(void)
{
    int32_t first = date_to_day((struct date){HOLIDAY_FIRST_YEAR, 1, 1});
    int32_t last = date_to_day((struct date){HOLIDAY_LAST_YEAR, 12, 31});
    for (int32_t day = first; day <= last; day++) {
        struct date d = date_of_day(day);
        const char *name = holiday_in_japan(day);
        if (name)
            (void)printf("%d-%02u-%02u %s\n", d.year, d.month, d.day, name);
    }
    return 0;
}

int main(int argc, char **argv)
{
    return argc > 1 ? tell_offsets(argv[1]) : tell_holidays();
}
