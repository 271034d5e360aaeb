#include "core/remake/remake.h"

#include "tests/unit/base/dice.h"
#include "tests/unit/harness.h"

enum {
    CUTS_MAX = 8,
    BODY_BYTES = 200
};

static const struct {
    const char *name, *prefix, *body;
    struct cut cuts[4];
    uint32_t cut_count;
    const char *want;
} rows[] = {
    {"as it is", "P:", "0123456789", {{0}}, 0, "P:0123456789"},
    {"no prefix", "", "0123456789", {{0}}, 0, "0123456789"},
    {"no body", "P:", "", {{0}}, 0, "P:"},
    {"nothing", "", "", {{0}}, 0, ""},
    {"cut at the start", "P:", "0123456789", {{0, 3}}, 1, "P:3456789"},
    {"cut of the first byte", "P:", "0123456789", {{0, 1}}, 1, "P:123456789"},
    {"cut in the middle", "P:", "0123456789", {{4, 2}}, 1, "P:01236789"},
    {"cut at the end", "P:", "0123456789", {{7, 3}}, 1, "P:0123456"},
    {"cut of the last byte", "P:", "0123456789", {{9, 1}}, 1, "P:012345678"},
    {"all is cut", "P:", "0123456789", {{0, 10}}, 1, "P:"},
    {"all is cut, no prefix", "", "0123456789", {{0, 10}}, 1, ""},
    {"both ends", "P:", "0123456789", {{0, 2}, {8, 2}}, 2, "P:234567"},
    {"adjacent", "P:", "0123456789", {{2, 2}, {4, 3}}, 2, "P:01789"},
    {"adjacent at both ends", "P:", "0123456789", {{0, 5}, {5, 5}}, 2, "P:"},
    {"one byte between", "P:", "0123456789", {{2, 2}, {5, 2}}, 2, "P:014789"},
    {"every other byte", "P:", "01234567", {{0, 1}, {2, 1}, {4, 1}, {6, 1}}, 4, "P:1357"},
    {"empty cuts", "P:", "0123456789", {{0, 0}, {3, 0}, {3, 1}, {10, 0}}, 4, "P:012456789"},
};

/* What comes out when the body is fed in pieces that end at every set bit of `ends`. */
static void run(const struct message *m, struct str body, const bool *ends, struct buffer *out)
{
    struct remake r;
    struct str piece;
    remake_init(&r, m);
    for (size_t at = 0, end; at < body.len; at = end) {
        for (end = at + 1; end < body.len && !ends[end];)
            end++;
        struct str in = str_from(body.at + at, end - at);
        while (remake_piece(&r, &in, &piece)) {
            expect(piece.len > 0, "an empty piece");
            buffer_put(out, piece);
        }
        expect(in.len == 0, "all that was fed is used");
    }
    struct str none = STR("");
    while (remake_piece(&r, &none, &piece)) /* the prefix of an empty body */
        buffer_put(out, piece);
}

static void check(const struct message *m, struct str body, const bool *ends, struct str want,
                  const char *name)
{
    struct buffer out;
    buffer_init(&out, 1 << 16);
    run(m, body, ends, &out);
    expect_str(buffer_str(&out), want, name);
    expect(remake_bytes(m) == out.len, "%s: %lu bytes said, %zu came", name, remake_bytes(m),
           out.len);
    buffer_drop(&out);
}

/* Bodies are short: all ways to cut ten bytes into pieces. */
static void test_rows(void)
{
    for (size_t i = 0; i < countof(rows); i++) {
        struct str body = str_c(rows[i].body);
        struct cut cuts[4];
        memcpy(cuts, rows[i].cuts, sizeof cuts);
        struct message m = {.prefix = str_c(rows[i].prefix),
                            .cuts = cuts,
                            .cut_count = rows[i].cut_count,
                            .body_bytes = body.len};
        for (unsigned ways = 0; ways < 1u << 10; ways += 2) { /* bit 0 would cut before all */
            bool ends[10];
            for (unsigned bit = 0; bit < 10; bit++)
                ends[bit] = ways >> bit & 1;
            check(&m, body, ends, str_c(rows[i].want), rows[i].name);
        }
    }
}

static void test_random(void)
{
    struct dice dice = {1};
    for (int n = 0; n < 3000; n++) {
        char body[BODY_BYTES], want[BODY_BYTES + 8] = "prefix";
        bool ends[BODY_BYTES], gone[BODY_BYTES + 1] = {false};
        struct cut cuts[CUTS_MAX];
        size_t len = dice_below(&dice, BODY_BYTES), want_len = 6;
        dice_fill(&dice, body, len);
        struct message m = {.prefix = STR("prefix"), .cuts = cuts, .body_bytes = len};
        for (size_t at = 0; m.cut_count < CUTS_MAX && dice_below(&dice, 8);) {
            size_t offset = at + dice_below(&dice, 30), length = dice_below(&dice, 20);
            if (offset + length > len)
                break;
            cuts[m.cut_count++] = (struct cut){(uint32_t)offset, (uint32_t)length};
            memset(gone + offset, 1, length);
            at = offset + length;
        }
        for (size_t i = 0; i < len; i++) {
            ends[i] = dice_below(&dice, 1 + (uint64_t)n % 9) == 0;
            if (!gone[i])
                want[want_len++] = body[i];
        }
        check(&m, str_from(body, len), ends, str_from(want, want_len), "random");
    }
}

/* The prefix goes first even before there is a body, once; and a retry sends the same. */
static void test_prefix(void)
{
    struct message m = {.prefix = STR("P"), .body_bytes = 2};
    for (int attempt = 0; attempt < 2; attempt++) {
        struct remake r;
        struct str in = STR(""), piece = STR("");
        remake_init(&r, &m);
        expect(remake_piece(&r, &in, &piece), "before a byte was fed");
        expect_str(piece, STR("P"), "prefix");
        expect(!remake_piece(&r, &in, &piece) && !remake_piece(&r, &in, &piece), "feed more");
        in = STR("ab");
        expect(remake_piece(&r, &in, &piece), "body");
        expect_str(piece, STR("ab"), "body");
        expect(!remake_piece(&r, &in, &piece), "feed more");
    }
}

int main(void)
{
    const struct test tests[] = {{"cuts and all ways to feed", test_rows},
                                 {"random cuts and pieces", test_random},
                                 {"prefix", test_prefix},
                                 {0}};
    return harness_run("remake", tests);
}
