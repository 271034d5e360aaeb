#include "core/base/slab.h"

#include "tests/unit/base/dice.h"
#include "tests/unit/harness.h"

static void test_max(void)
{
    static const uint32_t maxima[] = {0, 1, 63, 64, 65, 200};
    for (size_t i = 0; i < countof(maxima); i++) {
        struct slab s;
        slab_init(&s, 24, maxima[i]);
        void *last = NULL;
        for (uint32_t n = 0; n < maxima[i]; n++) {
            last = slab_take(&s);
            expect(last != NULL, "%u of %u", n, maxima[i]);
        }
        expect(slab_take(&s) == NULL, "one more than %u", maxima[i]);
        expect(s.used == maxima[i], "%u", s.used);
        if (last) {
            slab_give(&s, last);
            expect(slab_take(&s) == last, "what was given is taken again");
            expect(slab_take(&s) == NULL, "still no more than %u", maxima[i]);
        }
        slab_drop(&s);
        expect(slab_get(&s, (struct handle){0, 1}) == NULL, "dropped");
    }
}

static void test_stale(void)
{
    struct slab s;
    slab_init(&s, sizeof(int), 4);
    int *a = slab_take(&s), *b = slab_take(&s);
    struct handle ha = slab_handle(&s, a), hb = slab_handle(&s, b);
    expect(ha.generation && slab_get(&s, ha) == a && slab_get(&s, hb) == b, "both live");
    slab_give(&s, a);
    expect(slab_get(&s, ha) == NULL, "stale when given");
    expect(slab_at(&s, ha.index) == NULL, "not in a walk");
    expect(slab_get(&s, hb) == b, "the other is still there");
    int *again = slab_take(&s);
    struct handle now = slab_handle(&s, again);
    expect(again == a && now.index == ha.index, "the slot is used again");
    expect(slab_get(&s, ha) == NULL, "the old handle does not name the new object");
    expect(slab_get(&s, now) == again && slab_at(&s, now.index) == again, "the new one does");
    expect(slab_get(&s, (struct handle){now.index, 0}) == NULL, "generation 0 is nobody");
    expect(slab_get(&s, (struct handle){2, 1}) == NULL, "never made");
    expect(slab_get(&s, (struct handle){UINT32_MAX, 1}) == NULL, "far outside");
    struct handle round = handle_unpack(handle_pack((struct handle){0xfffffffe, 0x80000001}));
    expect(round.index == 0xfffffffe && round.generation == 0x80000001, "pack");
    slab_drop(&s);
}

/* 2^32 gives take too long: the slot before the object is set to its last generation by hand. */
static void test_generation_wraps(void)
{
    struct slab s;
    slab_init(&s, 16, 1);
    void *object = slab_take(&s);
    uint32_t last[2] = {0, UINT32_MAX};
    memcpy((char *)object - 16, last, sizeof last);
    struct handle old = slab_handle(&s, object);
    expect(old.generation == UINT32_MAX && slab_get(&s, old) == object, "where the slot lies");
    slab_give(&s, object);
    expect(slab_take(&s) == object, "one slot");
    struct handle fresh = slab_handle(&s, object);
    expect(fresh.generation != 0, "0 is never live");
    expect(slab_get(&s, old) == NULL && slab_get(&s, fresh) == object, "wrapped");
    slab_drop(&s);
}

enum {
    OBJECTS = 300,
    OBJECT_BYTES = 20
};

struct model {
    struct slab slab;
    struct dice dice;
    char *object[OBJECTS]; /* NULL: not live */
    struct handle handle[OBJECTS];
    struct handle stale[OBJECTS];
};

static bool is_filled(const char *at, int with)
{
    for (size_t i = 0; i < OBJECT_BYTES; i++)
        if (at[i] != (char)with)
            return false;
    return true;
}

static void step(struct model *m)
{
    size_t i = dice_below(&m->dice, OBJECTS);
    if (m->object[i]) {
        expect(is_filled(m->object[i], (int)i), "object %zu was overwritten", i);
        expect(slab_get(&m->slab, m->handle[i]) == m->object[i], "object %zu moved", i);
        slab_give(&m->slab, m->object[i]);
        m->object[i] = NULL;
        m->stale[i] = m->handle[i];
    } else {
        m->object[i] = slab_take(&m->slab);
        expect(m->object[i] && is_filled(m->object[i], 0), "taken zeroed");
        expect((uintptr_t)m->object[i] % 16 == 0, "aligned");
        memset(m->object[i], (int)i, OBJECT_BYTES);
        m->handle[i] = slab_handle(&m->slab, m->object[i]);
        expect(m->handle[i].generation != 0, "a live object has a generation");
    }
    expect(slab_get(&m->slab, m->stale[i]) == NULL, "object %zu came back", i);
}

static void test_many(void)
{
    static struct model m = {.dice = {7}};
    slab_init(&m.slab, OBJECT_BYTES, OBJECTS);
    for (int i = 0; i < 20000; i++)
        step(&m);
    uint32_t live = 0, walked = 0;
    for (size_t i = 0; i < OBJECTS; i++)
        live += m.object[i] != NULL;
    for (uint32_t i = 0; i < m.slab.made; i++)
        walked += slab_at(&m.slab, i) != NULL;
    expect(live == walked && live == m.slab.used, "%u, %u, %u", live, walked, m.slab.used);
    expect(slab_at(&m.slab, m.slab.made) == NULL, "behind the last");
    slab_drop(&m.slab);
}

int main(void)
{
    const struct test tests[] = {
        {"max", test_max},
        {"handles go stale", test_stale},
        {"generation wraps", test_generation_wraps},
        {"many", test_many},
        {0},
    };
    return harness_run("slab", tests);
}
