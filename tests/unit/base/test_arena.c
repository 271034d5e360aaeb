#include "core/base/arena.h"

#include "tests/unit/harness.h"

static const size_t sizes[] = {0, 1, 15, 16, 17, 100, 4095, 4096, 4097, 10000};

static void test_cap(void)
{
    for (size_t i = 0; i < countof(sizes); i++) {
        struct arena a;
        size_t whole = (sizes[i] + 15) / 16 * 16;
        arena_init(&a, whole);
        expect(arena_take(&a, sizes[i]) != NULL, "%zu of %zu", sizes[i], whole);
        expect(arena_take(&a, 1) == NULL, "one more behind %zu", sizes[i]);
        expect(a.used == whole, "%zu", a.used);
        arena_reset(&a);
        expect(arena_take(&a, whole + 1) == NULL, "more than the cap at once");
        expect(arena_take(&a, sizes[i]) != NULL, "the cap again after a reset");
        arena_drop(&a);
        arena_init(&a, whole ? whole - 1 : 0);
        expect(!whole || !arena_take(&a, sizes[i]), "%zu of %zu", sizes[i], whole - 1);
        arena_drop(&a);
    }
}

static void test_cap_wraps(void)
{
    struct arena a;
    for (size_t less = 0; less < 40; less++) {
        arena_init(&a, 4096);
        expect(arena_take(&a, SIZE_MAX - less) == NULL, "SIZE_MAX - %zu", less);
        expect(a.used == 0, "%zu", a.used);
        arena_drop(&a);
    }
}

static void test_alignment(void)
{
    struct arena a;
    arena_init(&a, 1 << 20);
    char *before = NULL;
    for (size_t i = 0; i < 300; i++) {
        size_t bytes = i * 7 % 257;
        char *at = arena_take(&a, bytes);
        expect(at && (uintptr_t)at % 16 == 0, "%zu bytes at %p", bytes, (void *)at);
        if (!at)
            return;
        expect(at != before || bytes == 0, "the same place twice");
        size_t dirty = 0;
        for (size_t j = 0; j < bytes; j++)
            dirty += at[j] != 0;
        expect(dirty == 0, "%zu bytes not zeroed", dirty);
        memset(at, 0xa5, bytes); /* the next must be elsewhere, and zeroed */
        before = bytes ? at : NULL;
    }
    arena_drop(&a);
}

/* What was written stays, over all chunks; a reset chunk comes back zeroed. */
static void test_reset(void)
{
    struct arena a;
    char *at[500];
    arena_init(&a, 1 << 20);
    for (int round = 0; round < 3; round++) {
        size_t wrong = 0;
        for (size_t i = 0; i < countof(at); i++) {
            at[i] = arena_take(&a, 40);
            if (!at[i])
                break;
            for (size_t j = 0; j < 40; j++)
                wrong += at[i][j] != 0;
            memset(at[i], (int)i & 0x7f, 40);
        }
        expect(wrong == 0, "round %d: %zu bytes not zeroed", round, wrong);
        for (size_t i = 0; i < countof(at); i++)
            for (size_t j = 0; j < 40; j++)
                wrong += at[i][j] != (char)(i & 0x7f);
        expect(wrong == 0, "round %d: %zu bytes overwritten", round, wrong);
        arena_reset(&a);
        expect(a.used == 0, "%zu", a.used);
    }
    const struct arena_chunk *kept = a.chunk;
    expect(kept != NULL, "one chunk is kept");
    expect(arena_take(&a, 4096) != NULL && a.chunk == kept, "and used from its start");
    arena_drop(&a);
    expect(a.chunk == NULL && a.used == 0, "dropped");
    arena_reset(&a);
    expect(arena_take(&a, 1) != NULL, "usable after drop and reset");
    arena_drop(&a);
}

static void test_copy(void)
{
    struct arena a;
    arena_init(&a, 64);
    struct str copy = arena_copy(&a, STR("a\0c"));
    expect_str(copy, STR("a\0c"), "copy");
    expect(copy.at[3] == '\0', "terminator");
    copy = arena_copy(&a, (struct str){NULL, 0});
    expect(copy.at && copy.len == 0 && copy.at[0] == '\0', "copy of nothing");
    copy = arena_copy(&a, STR("0123456789abcdef0123456789abcdef"));
    expect(!copy.at && copy.len == 0, "no room for the terminator");
    copy = arena_copy(&a, STR("0123456789abcde"));
    expect(copy.at != NULL, "a failed copy takes nothing");
    arena_drop(&a);
}

int main(void)
{
    const struct test tests[] = {
        {"cap", test_cap},
        {"a size that wraps", test_cap_wraps},
        {"alignment", test_alignment},
        {"reset", test_reset},
        {"copy", test_copy},
        {0},
    };
    return harness_run("arena", tests);
}
