#include "tests/unit/harness.h"

static int sign(int n)
{
    return (n > 0) - (n < 0);
}

static const struct {
    const char *name;
    struct str a, b;
    bool eq, eq_nocase, starts, starts_nocase, ends_nocase;
    int order;
} pair_rows[] = {
    {"nothing twice", STR_INIT(""), STR_INIT(""), 1, 1, 1, 1, 1, 0},
    {"nothing at both ends", STR_INIT("a"), STR_INIT(""), 0, 0, 1, 1, 1, 1},
    {"longer than the whole", STR_INIT("ab"), STR_INIT("abc"), 0, 0, 0, 0, 0, -1},
    {"the same", STR_INIT("abc"), STR_INIT("abc"), 1, 1, 1, 1, 1, 0},
    {"another case", STR_INIT("aBz"), STR_INIT("AbZ"), 0, 1, 0, 1, 1, 1},
    {"beginning", STR_INIT("abc"), STR_INIT("ab"), 0, 0, 1, 1, 0, 1},
    {"beginning in another case", STR_INIT("abc"), STR_INIT("AB"), 0, 0, 0, 1, 0, 1},
    {"end", STR_INIT("abc"), STR_INIT("BC"), 0, 0, 0, 0, 1, 1},
    {"[ is not { in another case", STR_INIT("["), STR_INIT("{"), 0, 0, 0, 0, 0, -1},
    {"@ is not ` in another case", STR_INIT("@"), STR_INIT("`"), 0, 0, 0, 0, 0, -1},
    {"no case above ASCII", STR_INIT("\xc4"), STR_INIT("\xe4"), 0, 0, 0, 0, 0, -1},
    {"bytes are unsigned", STR_INIT("\xff"), STR_INIT("a"), 0, 0, 0, 0, 0, 1},
    {"a NUL is a byte", STR_INIT("a\0b"), STR_INIT("a\0c"), 0, 0, 0, 0, 0, -1},
};

static void test_pairs(void)
{
    for (size_t i = 0; i < countof(pair_rows); i++) {
        const char *name = pair_rows[i].name;
        struct str a = pair_rows[i].a, b = pair_rows[i].b;
        expect(str_eq(a, b) == pair_rows[i].eq, "%s", name);
        expect(str_eq_nocase(a, b) == pair_rows[i].eq_nocase, "%s", name);
        expect(str_starts(a, b) == pair_rows[i].starts, "%s", name);
        expect(str_starts_nocase(a, b) == pair_rows[i].starts_nocase, "%s", name);
        expect(str_ends_nocase(a, b) == pair_rows[i].ends_nocase, "%s", name);
        expect(sign(str_compare(a, b)) == pair_rows[i].order, "%s", name);
        expect(sign(str_compare(b, a)) == -pair_rows[i].order, "%s, turned round", name);
    }
    expect_str(str_c(NULL), STR(""), "NULL is the empty str");
}

static const struct {
    const char *name;
    struct str in, needle;
    size_t want;
} find_rows[] = {
    {"in nothing", STR_INIT(""), STR_INIT("a"), SIZE_MAX},
    {"first", STR_INIT("abca"), STR_INIT("a"), 0},
    {"last", STR_INIT("abc"), STR_INIT("c"), 2},
    {"absent", STR_INIT("abc"), STR_INIT("d"), SIZE_MAX},
    {"behind a NUL", STR_INIT("a\0b"), STR_INIT("b"), 2},
    {"a NUL", STR_INIT("a\0b"), STR_INIT("\0"), 1},
    {"above ASCII", STR_INIT("a\xff"), STR_INIT("\xff"), 1},
    {"two bytes", STR_INIT("a\r\r\nb"), STR_INIT("\r\n"), 2},
    {"longer than the whole", STR_INIT("ab"), STR_INIT("abc"), SIZE_MAX},
    {"begun at the end", STR_INIT("xab"), STR_INIT("abc"), SIZE_MAX},
};

static void test_find(void)
{
    for (size_t i = 0; i < countof(find_rows); i++) {
        struct str in = find_rows[i].in, needle = find_rows[i].needle;
        expect(str_find_str(in, needle) == find_rows[i].want, "%s", find_rows[i].name);
        if (needle.len == 1)
            expect(str_find(in, needle.at[0]) == find_rows[i].want, "%s", find_rows[i].name);
    }
}

static const struct {
    const char *in, *before, *after; /* cut at ',' */
    const char *word, *rest, *trimmed;
} cut_rows[] = {
    {"", "", "", "", "", ""},
    {"ab", "ab", "", "ab", "", "ab"},
    {",", "", "", ",", "", ","},
    {"a,b,c", "a", "b,c", "a,b,c", "", "a,b,c"},
    {"a,", "a", "", "a,", "", "a,"},
    {" a\tb ", " a\tb ", "", "a", "\tb ", "a\tb"},
    {" \t ", " \t ", "", "", "", ""},
    {"a\r\n", "a\r\n", "", "a\r\n", "", "a"},
    {"\r\n a \t\r\n", "\r\n a \t\r\n", "", "\r\n", " a \t\r\n", "a"},
    {"a\v", "a\v", "", "a\v", "", "a\v"},
};

static void test_cut(void)
{
    for (size_t i = 0; i < countof(cut_rows); i++) {
        struct str rest = str_c(cut_rows[i].in);
        expect_str(str_cut(&rest, ','), str_c(cut_rows[i].before), cut_rows[i].in);
        expect_str(rest, str_c(cut_rows[i].after), cut_rows[i].in);
        rest = str_c(cut_rows[i].in);
        expect_str(str_word(&rest), str_c(cut_rows[i].word), cut_rows[i].in);
        expect_str(rest, str_c(cut_rows[i].rest), cut_rows[i].in);
        expect_str(str_trim(str_c(cut_rows[i].in)), str_c(cut_rows[i].trimmed), cut_rows[i].in);
    }
    expect_str(str_skip(STR("abc"), 1), STR("bc"), "skip");
    expect_str(str_skip(STR("abc"), 9), STR(""), "skip more than there is");
    expect_str(str_head(STR("abc"), 1), STR("a"), "head");
    expect_str(str_head(STR("abc"), SIZE_MAX), STR("abc"), "head of more than there is");
}

static const struct {
    const char *name;
    struct str in;
    size_t room;
    bool want;
} to_c_rows[] = {
    {"nothing", STR_INIT(""), 1, true},
    {"fits with its terminator", STR_INIT("abc"), 4, true},
    {"no room for the terminator", STR_INIT("abc"), 3, false},
    {"holds a NUL", STR_INIT("a\0c"), 8, false},
    {"ends in a NUL", STR_INIT("ab\0"), 8, false},
};

static void test_to_c(void)
{
    for (size_t i = 0; i < countof(to_c_rows); i++) {
        char to[8];
        memset(to, '#', sizeof to);
        bool ok = str_to_c(to_c_rows[i].in, to, to_c_rows[i].room);
        expect(ok == to_c_rows[i].want, "%s", to_c_rows[i].name);
        expect_str(str_c(to), ok ? to_c_rows[i].in : STR(""), to_c_rows[i].name);
        for (size_t j = to_c_rows[i].room; j < sizeof to; j++)
            expect(to[j] == '#', "%s: wrote past its room", to_c_rows[i].name);
    }
}

static const struct {
    const char *in;
    uint64_t max;
    bool ok;
    uint64_t want;
} number_rows[] = {
    {"0", 0, true, 0},
    {"1", 0, false, 0},
    {"007", 9, true, 7},
    {"42", 42, true, 42},
    {"43", 42, false, 0},
    {"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
    {"18446744073709551616", UINT64_MAX, false, 0},
    {"99999999999999999999", UINT64_MAX, false, 0},
    {"184467440737095516150", UINT64_MAX, false, 0},
    {"", 9, false, 0},
    {"+1", 9, false, 0},
    {"-1", UINT64_MAX, false, 0},
    {" 1", 9, false, 0},
    {"1 ", 9, false, 0},
    {"1/", 99, false, 0},
    {"1:", 99, false, 0},
    {"0x1", 9, false, 0},
};

static void test_number(void)
{
    for (size_t i = 0; i < countof(number_rows); i++) {
        uint64_t got = 77;
        bool ok = str_number(str_c(number_rows[i].in), number_rows[i].max, &got);
        expect(ok == number_rows[i].ok, "\"%s\"", number_rows[i].in);
        expect(got == (ok ? number_rows[i].want : 77), "\"%s\": %lu", number_rows[i].in, got);
    }
    uint64_t got;
    expect(!str_number(STR("1\0"), 9, &got), "a NUL behind");
}

int main(void)
{
    const struct test tests[] = {
        {"two strs", test_pairs}, {"find", test_find},     {"cut, word, trim", test_cut},
        {"to C", test_to_c},      {"number", test_number}, {0},
    };
    return harness_run("str", tests);
}
