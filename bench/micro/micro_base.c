#include "bench/micro/micro.h"
#include "core/base/base.h"
#include "core/base/calendar.h"
#include "core/base/crc.h"
#include "core/base/limit.h"
#include "core/base/ring.h"
#include "core/base/wheel.h"
#include "crypto/digest.h"

enum {
    ARMED = 10000
};

static char bytes[4096];

static struct str some_bytes(void)
{
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 31);
    return str_from(bytes, sizeof bytes);
}

void micro_crc_4k(struct micro *m)
{
    struct str in = some_bytes();
    uint32_t crc = 0;
    while (micro_more(m))
        crc = crc32c(crc, in);
    micro_keep(crc);
    micro_bytes(m, in.len);
}

void micro_digest_4k(struct micro *m)
{
    struct str in = some_bytes();
    struct digest *d = digest_make();
    uint8_t out[DIGEST_BYTES];
    while (micro_more(m)) {
        digest_start(d);
        digest_feed(d, in);
        digest_finish(d, out);
    }
    micro_keep(out[0]);
    micro_bytes(m, in.len);
    digest_drop(&d);
}

void micro_ring(struct micro *m)
{
    struct port port;
    port_init(&port);
    struct ring *r = ring_make(&port);
    struct cell c = {.id = 1}, out = {0};
    while (micro_more(m)) {
        ring_put(r, &c);
        ring_flush(r);
        must(ring_take(r, &out));
    }
    micro_keep(out.id);
    micro_items(m, 1);
    ring_drop(&r);
    port_drop(&port);
}

/* A second's worth of releases: each pass arms them and takes them out again. */
void micro_wheel(struct micro *m)
{
    struct wheel w;
    uint32_t tag = 0;
    uint64_t now = 1, key = 0, tick = 0, sum = 0;
    wheel_init(&w, now);
    while (micro_more(m)) {
        for (uint64_t i = 0; i < ARMED; i++)
            must(wheel_arm(&w, i, 0, now + 1 + i % 1000));
        now += 1001;
        wheel_advance(&w, now);
        while (wheel_take(&w, &key, &tag, &tick))
            sum += key;
    }
    micro_keep(sum);
    micro_items(m, ARMED);
    wheel_drop(&w);
}

void micro_calendar(struct micro *m)
{
    struct arena arena;
    struct zone zone;
    struct calendar c;
    arena_init(&arena, 1 << 20);
    must(zone_load(ZONE_DIRECTORY, STR("America/New_York"), &arena, &zone) == ZONE_OK);
    calendar_init(&c, &zone, &arena);
    calendar_use_japan(&c);
    must(calendar_add_window(&c, 0x3E, 9 * 60, 19 * 60) == CALENDAR_OK);
    while (micro_more(m)) {
        micro_keep(calendar_is_open(&c, 1795000000000));
        micro_keep(calendar_next_opening(&c, 1795230000000));
    }
    micro_items(m, 2);
    arena_drop(&arena);
}
