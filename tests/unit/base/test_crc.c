#include "core/base/crc.h"

#include "tests/unit/base/dice.h"
#include "tests/unit/harness.h"

/* RFC 3720 B.4, and the check value of the CRC catalogue. */
static const struct {
    const char *name;
    struct str in;
    uint32_t want;
} rows[] = {
    {"nothing", STR_INIT(""), 0},
    {"check", STR_INIT("123456789"), 0xe3069283},
    {"32 zeros", STR_INIT("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
     0x8a9136aa},
    {"32 ones",
     STR_INIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
              "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
     0x62a8ab43},
    {"32 up",
     STR_INIT("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"
              "\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f"),
     0x46dd794e},
    {"32 down",
     STR_INIT("\x1f\x1e\x1d\x1c\x1b\x1a\x19\x18\x17\x16\x15\x14\x13\x12\x11\x10"
              "\x0f\x0e\x0d\x0c\x0b\x0a\x09\x08\x07\x06\x05\x04\x03\x02\x01\x00"),
     0x113fdb5c},
    {"iSCSI read",
     STR_INIT("\x01\xc0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x14\0\0\0\0\0\x04\0\0\0\0\x14\0\0\0\x18"
              "\x28\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0"),
     0xd9963a56},
};

static void test_vectors(void)
{
    for (size_t i = 0; i < countof(rows); i++) {
        struct str in = rows[i].in;
        expect(crc32c(0, in) == rows[i].want, "%s: %x", rows[i].name, crc32c(0, in));
        expect(crc32c_table(0, in) == rows[i].want, "%s: %x", rows[i].name, crc32c_table(0, in));
        for (size_t cut = 0; cut <= in.len; cut++) {
            uint32_t first = crc32c(0, str_head(in, cut));
            expect(crc32c(first, str_skip(in, cut)) == rows[i].want, "%s at %zu", rows[i].name,
                   cut);
        }
    }
}

/* Bit by bit, after the definition. */
static uint32_t slow(uint32_t crc, struct str s)
{
    crc = ~crc;
    for (size_t i = 0; i < s.len; i++) {
        crc ^= (uint8_t)s.at[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
    }
    return ~crc;
}

/* The instruction, the table and the definition agree, over the length of three lanes (4032) and of
 * several rounds, at any alignment, from any start. */
static void test_same(void)
{
    enum {
        BYTES = 3 * 4032 + 100
    };

    static char at[BYTES + 16];
    struct dice dice = {5};
    dice_fill(&dice, at, sizeof at);
    for (int i = 0; i < 600; i++) {
        size_t len = dice_below(&dice, i < 200 ? 64 : BYTES);
        if (i >= 500)
            len = (size_t)4032 * (1 + (size_t)i % 3) - 10 + (size_t)(i - 500) / 5;
        struct str s = str_from(at + dice_below(&dice, 16), len);
        uint32_t start = i % 3 ? (uint32_t)dice_u64(&dice) : 0, want = slow(start, s);
        expect(crc32c(start, s) == want, "%zu bytes from %x", len, start);
        expect(crc32c_table(start, s) == want, "%zu bytes from %x by table", len, start);
        size_t cut = len ? dice_below(&dice, len) : 0;
        expect(crc32c(crc32c(start, str_head(s, cut)), str_skip(s, cut)) == want,
               "%zu bytes in two at %zu", len, cut);
    }
}

int main(void)
{
    const struct test tests[] = {{"known vectors", test_vectors},
                                 {"hardware, table and definition", test_same},
                                 {0}};
    return harness_run("crc", tests);
}
