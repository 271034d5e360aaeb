#include "tests/unit/harness.h"

#include "core/base/limit.h"
#include "storage/extent.h"

/* Where an envelope says that the body lies, and what would be read for it. */
static const struct {
    const char *name;
    bool is_inline;
    uint64_t body_bytes;
    struct extent extent;
    bool reads;
    uint64_t offset;
    size_t length;
} rows[] = {
    {"inline, at the start of a block", true, 5, {1, 1, 4096, 5}, true, 4096, 4096},
    {"inline, over the end of a block", true, 5, {1, 1, 8170, 5}, true, 4096, 8192},
    {"inline, as long as may be",
     true,
     LIMIT_INLINE_BYTES,
     {1, 1, 4095, LIMIT_INLINE_BYTES},
     true,
     0,
     LIMIT_INLINE_BYTES + 2 * LIMIT_BLOCK_BYTES},
    {"inline, too long", true, 5, {1, 1, 4096, LIMIT_INLINE_BYTES + 1}, false, 0, 0},
    {"inline, a length that wraps", true, 5, {1, 1, 4096, UINT64_MAX - 40}, false, 0, 0},
    {"blocks", false, 5, {1, 1, 1 << 20, 5}, true, 1 << 20, 4096},
    {"blocks, not where a block begins", false, 5, {1, 1, (1 << 20) + 1, 5}, false, 0, 0},
};

static void test_places(void)
{
    for (size_t i = 0; i < countof(rows); i++) {
        struct extent extent = rows[i].extent;
        struct message m = {.body_inline = rows[i].is_inline,
                            .body_bytes = rows[i].body_bytes,
                            .extents = &extent,
                            .extent_count = 1};
        struct body_reader r;
        uint32_t segment;
        uint64_t offset;
        size_t length;
        body_reader_init(&r, &m);
        bool reads = body_reader_next(&r, &segment, &offset, &length);
        expect(reads == rows[i].reads, "%s", rows[i].name);
        expect(!reads || (offset == rows[i].offset && length == rows[i].length),
               "%s: %lu bytes at %lu", rows[i].name, (unsigned long)length, (unsigned long)offset);
        expect(!body_reader_is_done(&r), "%s: done", rows[i].name);
    }
}

int main(void)
{
    const struct test tests[] = {{"places", test_places}, {NULL, NULL}};
    return harness_run("extent", tests);
}
