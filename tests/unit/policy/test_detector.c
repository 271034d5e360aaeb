#include "tests/unit/harness.h"

#include "core/policy/detector.h"

enum {
    PIECE_MAX = 300,
    RANDOM_TEXTS = 300,
};

/* The counts, in the order of detector.def. */
struct counts {
    uint32_t my, corporate, card, phone, post, address, email, bank, birth;
};

static struct counts counts_of(const struct detector *d)
{
    return (struct counts){
        detector_count(d, DETECTOR_MY_NUMBER),     detector_count(d, DETECTOR_CORPORATE_NUMBER),
        detector_count(d, DETECTOR_CREDIT_CARD),   detector_count(d, DETECTOR_PHONE),
        detector_count(d, DETECTOR_POST_CODE),     detector_count(d, DETECTOR_ADDRESS),
        detector_count(d, DETECTOR_EMAIL),         detector_count(d, DETECTOR_BANK_ACCOUNT),
        detector_count(d, DETECTOR_DATE_OF_BIRTH),
    };
}

static struct counts count_split(struct str text, size_t split)
{
    struct detector *d = detector_make();
    struct str piece;
    size_t at = 0;
    while (harness_piece(text, split, &at, &piece))
        detector_feed(d, piece);
    detector_end(d);
    struct counts c = counts_of(d);
    expect(!detector_failed(d), "memory");
    detector_drop(&d);
    return c;
}

/* clang-format off */
#define ROW(name, text, ...) {name, text, {__VA_ARGS__}}

/* clang-format on */

static const struct {
    const char *name, *text;
    struct counts want;
} rows[] = {

#include "tests/unit/policy/detector_rows.inc"
};

static void test_rows(void)
{
    for (size_t i = 0; i < countof(rows); i++) {
        struct str text = str_c(rows[i].text);
        for (size_t split = 0; split <= text.len; split++) {
            struct counts c = count_split(text, split);
            bool same = !memcmp(&c, &rows[i].want, sizeof c);
            expect(same, "%s, split %zu: %u %u %u | %u %u %u %u | %u %u", rows[i].name, split, c.my,
                   c.corporate, c.card, c.phone, c.post, c.address, c.email, c.bank, c.birth);
            if (!same)
                break;
        }
    }
}

/* The same wherever it stands, with nothing to be found before and behind. */
static void test_window(void)
{
    struct buffer b;
    buffer_init(&b, 1 << 20);
    for (size_t i = 0; i < countof(rows); i++)
        for (size_t before = 8192 - 600; before < 8192 + 40; before += 37) {
            buffer_clear(&b);
            buffer_fill(&b, 'x', before);
            buffer_puts(&b, "\n");
            buffer_puts(&b, rows[i].text);
            buffer_puts(&b, "\n");
            buffer_fill(&b, 'x', 600);
            struct counts c = count_split(buffer_str(&b), 0);
            expect(!memcmp(&c, &rows[i].want, sizeof c), "%s behind %zu bytes", rows[i].name,
                   before);
        }
    buffer_drop(&b);
}

static const struct {
    struct str digits;
    bool my, corporate, card;
} checks[] = {
    {STR_INIT("123456789018"), true, false, false},
    {STR_INIT("123456789019"), false, false, false},
    {STR_INIT("987654321093"), true, false, false},
    {STR_INIT("210987654320"), true, false, false}, /* remainder 1 */
    {STR_INIT("234567890130"), true, false, false}, /* remainder 0 */
    {STR_INIT("111111111118"), true, false, false},
    {STR_INIT("000000000000"), false, false, false},
    {STR_INIT("12345678901"), false, false, false},
    {STR_INIT("7000012050002"), false, true, false}, /* National Tax Agency */
    {STR_INIT("1180301018771"), false, true, false},
    {STR_INIT("8000012010038"), false, true, false},
    {STR_INIT("5010401067252"), false, true, false},
    {STR_INIT("2180301018771"), false, false, false},
    {STR_INIT("7000012050003"), false, false, false},
    {STR_INIT("4111111111111111"), false, false, true},
    {STR_INIT("4111111111111112"), false, false, false},
    {STR_INIT("5555555555554444"), false, false, true},
    {STR_INIT("2223003122003222"), false, false, true},
    {STR_INIT("378282246310005"), false, false, true},
    {STR_INIT("30569309025904"), false, false, true},
    {STR_INIT("38520000023237"), false, false, true},
    {STR_INIT("36227206271667"), false, false, true},
    {STR_INIT("3530111333300000"), false, false, true},
    {STR_INIT("3566002020360505"), false, false, true},
    {STR_INIT("6011111111111117"), false, false, true},
    {STR_INIT("6250941006528599"), false, false, true},
    {STR_INIT("4222222222222"), false, false, false},    /* 13 digits are no more */
    {STR_INIT("8111111111111113"), false, false, false}, /* Luhn, and no issuer */
    {STR_INIT("0000000000000000"), false, false, false},
};

static void test_checks(void)
{
    for (size_t i = 0; i < countof(checks); i++) {
        struct str s = checks[i].digits;
        expect(detector_my_number(s) == checks[i].my, "my number %s", s.at);
        expect(detector_corporate_number(s) == checks[i].corporate, "corporate %s", s.at);
        expect(detector_card(s) == checks[i].card, "card %s", s.at);
    }
    /* Of ten last digits exactly one is right, whatever is before. */
    for (uint64_t n = 10000000007; n < 99999999999; n += 7777777777) {
        int mine = 0;
        char text[32];
        for (int last = 0; last < 10; last++) {
            int len = snprintf(text, sizeof text, "%011ju%d", (uintmax_t)n, last);
            mine += detector_my_number(str_from(text, (size_t)len));
        }
        expect(mine == 1, "%ju has one check digit", (uintmax_t)n);
    }
}

static void test_names(void)
{
    expect_str(detector_rows[DETECTOR_MY_NUMBER].name, STR("my_number"), "first");
    expect_str(detector_rows[DETECTOR_DATE_OF_BIRTH].name, STR("date_of_birth"), "last");
    expect(DETECTOR_KINDS == 9 && sizeof(struct counts) == 9 * sizeof(uint32_t), "nine kinds");
}

static uint32_t number(uint32_t *seed, uint32_t below)
{
    *seed = *seed * 1664525 + 1013904223;
    return (*seed >> 8) % below;
}

/* Pieces of what is looked for, in any order: however it is cut, it is the same. */
static void test_random(void)
{
    static const char *const words[] = {
        "123456789018",
        "1234",
        "5678",
        "9018",
        "-",
        " ",
        "0",
        "03",
        "(",
        ")",
        "〒",
        "ー",
        "東京都",
        "千代田区",
        "\n",
        "1980年1月2日",
        "生年月日",
        "昭和",
        "55",
        "年",
        "/",
        "@",
        "a.example",
        ".jp",
        "普通",
        "銀行",
        "1234567",
        "口座番号",
        "+81",
        "4111",
        "1111",
        "x",
        ",",
        ".",
        "090",
        "1234-5678",
        "100-0001",
        "3.",
    };
    uint32_t seed = 7;
    struct buffer text;
    buffer_init(&text, 1 << 20);
    for (int i = 0; i < RANDOM_TEXTS; i++) {
        buffer_clear(&text);
        size_t bytes = i < 200 ? 100 + number(&seed, 900) : 10000;
        while (text.len < bytes)
            buffer_puts(&text, words[number(&seed, countof(words))]);
        struct counts whole = count_split(buffer_str(&text), 0);
        struct detector *d = detector_make();
        for (struct str left = buffer_str(&text); left.len;) {
            size_t piece = 1 + number(&seed, PIECE_MAX);
            detector_feed(d, str_head(left, piece));
            left = str_skip(left, piece);
        }
        detector_end(d);
        struct counts cut = counts_of(d);
        expect(!memcmp(&whole, &cut, sizeof cut), "text %d", i);
        detector_drop(&d);
    }
    buffer_drop(&text);
}

/* Random numbers in lines against the check digits alone. */
static void test_naive(void)
{
    uint32_t seed = 3, mine = 0, corporate = 0;
    struct buffer text;
    buffer_init(&text, 1 << 20);
    for (int i = 0; i < 4000; i++) {
        size_t len = 12 + number(&seed, 2);
        char digits[16];
        digits[0] = (char)('1' + number(&seed, 3)); /* neither a phone nor a JAN */
        for (size_t k = 1; k < len; k++)
            digits[k] = (char)('0' + number(&seed, 10));
        mine += detector_my_number(str_from(digits, len));
        corporate += detector_corporate_number(str_from(digits, len));
        buffer_put(&text, str_from(digits, len));
        buffer_puts(&text, i % 3 ? "\n" : i % 2 ? "、" : " , ");
    }
    struct counts c = count_split(buffer_str(&text), 0);
    expect(mine > 100 && c.my == mine, "%u, naive %u", c.my, mine);
    expect(corporate > 100 && c.corporate == corporate, "%u, naive %u", c.corporate, corporate);
    buffer_drop(&text);
}

/* A column of a table, which folding made a row: all of it, however long. */
static void test_column(void)
{
    struct buffer plain, grouped;
    uint32_t want = 0;
    buffer_init(&plain, 1 << 20);
    buffer_init(&grouped, 1 << 20);
    for (uint64_t n = 20000000000; want < 200; n += 12345678) {
        char digits[32];
        for (int last = 0; last < 10; last++) {
            int len = snprintf(digits, sizeof digits, "%011ju%d", (uintmax_t)n, last);
            if (!detector_my_number(str_from(digits, (size_t)len)))
                continue;
            buffer_printf(&plain, "%s ", digits);
            buffer_printf(&grouped, "%.4s %.4s %.4s ", digits, digits + 4, digits + 8);
            want++;
        }
    }
    struct counts a = count_split(buffer_str(&plain), 0);
    struct counts b = count_split(buffer_str(&grouped), 0);
    expect(a.my == want, "plain: %u of %u", a.my, want);
    expect(b.my == want, "grouped: %u of %u", b.my, want);
    buffer_drop(&plain);
    buffer_drop(&grouped);
}

static void test_bound(void)
{
    struct detector *d = detector_make();
    for (int i = 0; i < 2 * DETECTOR_COUNT_MAX; i++) {
        char text[64];
        int len = snprintf(text, sizeof text, "user%d@ext.example\n", i);
        detector_feed(d, str_from(text, (size_t)len));
    }
    detector_end(d);
    expect(detector_count(d, DETECTOR_EMAIL) == DETECTOR_COUNT_MAX, "counts end");
    detector_drop(&d);
}

static void test_texts(void)
{
    struct detector *d = detector_make();
    size_t count;
    detector_feed(d, STR("a 123456"));
    detector_end(d);
    detector_feed(d, STR("789018 x"));
    detector_end(d);
    expect(detector_count(d, DETECTOR_MY_NUMBER) == 0, "not across texts");
    detector_feed(d, STR("b 1234-5678-9018"));
    detector_end(d);
    detector_feed(d, STR("123456789018 987654321093"));
    detector_end(d);
    expect(detector_count(d, DETECTOR_MY_NUMBER) == 2, "values go on");
    const struct detector_spot *spot = detector_spots(d, DETECTOR_MY_NUMBER, &count);
    expect(count == 2 && spot[0].at == 18 && spot[0].bytes == 14 && spot[1].at == 45 &&
               spot[1].bytes == 12,
           "spots: %d %d", (int)spot[0].at, (int)spot[1].at);
    detector_drop(&d);
}

/* BOMB: no input makes it slow; a few MB in no time. */
static void test_bomb(void)
{
    static const char *const bombs[] = {"1",      "1-",   "1 ",     "1234 ", "0(",       "@a.",
                                        "県市県", "普通", "記号1 ", "平成1", "銀行口座", "12-34 "};
    struct buffer text;
    buffer_init(&text, 4 << 20);
    for (size_t i = 0; i < countof(bombs); i++) {
        buffer_clear(&text);
        while (text.len < 2 << 20)
            buffer_puts(&text, bombs[i]);
        (void)count_split(buffer_str(&text), 0);
    }
    CU_PASS("it ends");
    buffer_drop(&text);
}

int main(void)
{
    const struct test tests[] = {{"check digits", test_checks},
                                 {"names", test_names},
                                 {"what counts, whole and split", test_rows},
                                 {"wherever it stands", test_window},
                                 {"random pieces, cut at random", test_random},
                                 {"random numbers against the check digits", test_naive},
                                 {"a column that became a row", test_column},
                                 {"bounded counts", test_bound},
                                 {"MIME-19: texts and spots", test_texts},
                                 {"bombs", test_bomb},
                                 {0}};
    return harness_run("detector", tests);
}
