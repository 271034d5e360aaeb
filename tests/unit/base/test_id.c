#include "core/base/id.h"

#include "tests/unit/base/dice.h"
#include "tests/unit/harness.h"

static const struct {
    const char *text;
    bool ok;
    uint64_t want;
} rows[] = {
    {"0000000000000", true, 0},
    {"0000000000001", true, 1},
    {"000000000000z", true, 31},
    {"0000000000010", true, 32},
    {"fzzzzzzzzzzzz", true, UINT64_MAX},
    {"FZZZZZZZZZZZZ", true, UINT64_MAX},
    {"8000000000000", true, 1ull << 63},
    {"0000000000abc", true, 10 << 10 | 11 << 5 | 12},
    {"0000000000aBC", true, 10 << 10 | 11 << 5 | 12},
    {"g000000000000", false, 0}, /* 65 bits */
    {"zzzzzzzzzzzzz", false, 0},
    {"000000000000", false, 0},
    {"00000000000000", false, 0},
    {"", false, 0},
    {"000000000000i", false, 0}, /* not a digit of Crockford's */
    {"000000000000l", false, 0},
    {"000000000000o", false, 0},
    {"000000000000u", false, 0},
    {"000000000000O", false, 0},
    {" 000000000001", false, 0},
    {"00000-0000001", false, 0},
    {"000000000000\xff", false, 0},
    {"000000000000@", false, 0},
    {"000000000000[", false, 0},
};

static void test_parse(void)
{
    for (size_t i = 0; i < countof(rows); i++) {
        uint64_t id = 77;
        bool ok = id_parse(str_c(rows[i].text), &id);
        expect(ok == rows[i].ok, "\"%s\"", rows[i].text);
        expect(id == (ok ? rows[i].want : 77), "\"%s\": %lu", rows[i].text, id);
    }
    uint64_t id;
    expect(!id_parse(STR("000000000000\0"), &id), "a NUL is not a digit");
}

static void test_order(void)
{
    struct dice dice = {3};
    for (int i = 0; i < 20000; i++) {
        uint64_t a = dice_u64(&dice) >> dice_below(&dice, 64), b = a + dice_below(&dice, 3) - 1;
        if (i & 1)
            b = dice_u64(&dice);
        struct id_text ta = id_text(a), tb = id_text(b);
        uint64_t back = ~a;
        expect(strlen(ta.at) == ID_TEXT_BYTES, "%s", ta.at);
        expect(id_parse(str_c(ta.at), &back) && back == a, "%s", ta.at);
        for (size_t j = 0; j < ID_TEXT_BYTES; j++)
            expect(ta.at[j] == char_lower(ta.at[j]), "%s: lower case", ta.at);
        int order = strcmp(ta.at, tb.at);
        expect((order < 0) == (a < b) && (order == 0) == (a == b), "%s %s", ta.at, tb.at);
    }
}

static void test_parts(void)
{
    static const uint32_t nodes[] = {0, 1, 4095};
    static const uint32_t partitions[] = {0, 1, 512, ID_PARTITION_REGISTRY};
    static const uint64_t serials[] = {1, 1ull << 41, (1ull << 42) - 1};
    for (size_t n = 0; n < countof(nodes); n++)
        for (size_t p = 0; p < countof(partitions); p++)
            for (size_t s = 0; s < countof(serials); s++) {
                uint64_t id = id_make(nodes[n], partitions[p], serials[s]);
                expect(id_partition(id) == partitions[p], "%lx", id);
                expect(id_serial(id) == serials[s], "%lx", id);
                expect(id >> 52 == nodes[n], "%lx", id);
            }
}

int main(void)
{
    const struct test tests[] = {{"parse", test_parse},
                                 {"text order is numeric order", test_order},
                                 {"parts", test_parts},
                                 {0}};
    return harness_run("id", tests);
}
