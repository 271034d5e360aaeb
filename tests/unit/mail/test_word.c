#include "tests/unit/harness.h"

#include "core/mail/charset.h"
#include "core/mail/word.h"

static const struct {
    const char *name;
    struct str in;
    const char *want;
} rows[] = {
    {"ASCII", STR_INIT(" Hello there "), "Hello there"},
    {"folded", STR_INIT("Hello\r\n there"), "Hello there"},
    {"folded by tab", STR_INIT("Hello\r\n\tthere"), "Hello there"},
    {"B", STR_INIT("=?UTF-8?B?6KaL56mN5pu4?="), "見積書"},
    {"Q", STR_INIT("=?iso-8859-1?q?Andr=E9_x?="), "André x"},
    {"language", STR_INIT("=?utf-8*ja?q?a?="), "a"},
    {"two words join", STR_INIT("=?UTF-8?B?6KaL?=\r\n =?UTF-8?B?56mN?="), "見積"},
    {"word and text", STR_INIT("Re: =?UTF-8?B?6KaL?= ok"), "Re: 見 ok"},
    {"text glued to a word", STR_INIT("[a]=?UTF-8?B?6KaL?=b"), "[a]見b"},
    {"character split between words", STR_INIT("=?UTF-8?B?6Ka=?= =?utf-8?B?iw==?="), "見"},
    {"ISO-2022-JP", STR_INIT("=?ISO-2022-JP?B?GyRCOCtAUT1xGyhC?="), "見積書"},
    {"ISO-2022-JP split in the middle",
     STR_INIT("=?ISO-2022-JP?B?GyRCOCtA?= =?ISO-2022-JP?B?UT1xGyhC?="), "見積書"},
    {"ISO-2022-JP by Q", STR_INIT("=?iso-2022-jp?Q?=1B$B8+@Q=1B(B?="), "見積"},
    {"NEC letters in ISO-2022-JP", STR_INIT("=?ISO-2022-JP?B?GyRCLSF8YhsoQg==?="), "①髙"},
    {"Shift_JIS", STR_INIT("=?Shift_JIS?B?jKmQz4+R?="), "見積書"},
    {"EUC-JP", STR_INIT("=?EUC-JP?B?uKvA0b3x?="), "見積書"},
    {"two charsets", STR_INIT("=?EUC-JP?B?uKs=?= =?UTF-8?B?56mN?="), "見積"},
    {"raw UTF-8", STR_INIT("見積 ok"), "見積 ok"},
    {"raw CP932", STR_INIT("\x8c\xa9\x90\xcf\x8f\x91"), "見積書"},
    {"raw CP932 kana", STR_INIT("\x82\xa8\x90\xa2\x98\x62\x82\xc9"), "お世話に"},
    {"raw EUC-JP", STR_INIT("\xa4\xaa\xc0\xa4\xcf\xc3\xa4\xcb"), "お世話に"},
    {"raw ISO-2022-JP", STR_INIT("\x1b$B8+@Q=q\x1b(B"), "見積書"},
    {"raw Latin", STR_INIT("caf\xe9"), "café"},
    {"unknown charset", STR_INIT("=?x-none?B?6KaL?="), "見"},
    {"options in a charset", STR_INIT("=?utf-8,version=1?q?a?="), "a"},
    {"blanks inside Q", STR_INIT("=?utf-8?q?a b?="), "a b"},
    {"unfinished", STR_INIT("=?utf-8?q?abc"), "=?utf-8?q?abc"},
    {"not a word", STR_INIT("=?utf-8?x?abc?="), "=?utf-8?x?abc?="},
    {"empty word",
     STR_INIT("a =?utf-8?q?"
              "?= b"),
     "a  b"},
    {"INJ-01", STR_INIT("=?utf-8?Q?a=0D=0ABcc:_x@ext.example?="), "a  Bcc: x@ext.example"},
    {"INJ-01 separators", STR_INIT("=?utf-8?Q?a=E2=80=A8b=C2=85c?="), "a b c"},
    {"controls", STR_INIT("=?utf-8?q?a=1B[2J=00?="), "a\uFFFD[2J\uFFFD"},
    {"bidi", STR_INIT("=?utf-8?B?4oCuZ3Bq?="), "\uFFFDgpj"},
    {"malformed UTF-8", STR_INIT("=?utf-8?q?a=FFb?="), "a\uFFFDb"},
};

static void test_decode(void)
{
    for (size_t i = 0; i < countof(rows); i++) {
        struct buffer out;
        buffer_init(&out, 4096);
        word_decode(rows[i].in, 512, &out);
        expect_str(buffer_str(&out), str_c(rows[i].want), rows[i].name);
        buffer_drop(&out);
    }
}

static void test_cut(void)
{
    struct buffer out;
    buffer_init(&out, 4096);
    word_decode(STR("見積書"), 7, &out);
    expect_str(buffer_str(&out), STR("見積"), "cut at a character");
    buffer_drop(&out);
}

/* BOMB-09, BOMB-10: long and hostile, in no time. */
static void test_bomb(void)
{
    struct buffer in, out;
    buffer_init(&in, 1 << 20);
    buffer_init(&out, 4096);
    for (int i = 0; i < 20000; i++)
        buffer_puts(&in, "=?utf-8?q?");
    word_decode(buffer_str(&in), 512, &out);
    buffer_clear(&in);
    for (int i = 0; i < 50000; i++)
        buffer_puts(&in, "\x1b$B\x1b(B");
    word_decode(buffer_str(&in), 512, &out);
    buffer_clear(&in);
    for (int i = 0; i < 30000; i++)
        buffer_puts(&in, "=?a?q?"
                         "?=");
    word_decode(buffer_str(&in), 512, &out);
    CU_ASSERT(!out.full);
    buffer_drop(&in);
    buffer_drop(&out);
}

/* Lines, words and what a reader makes of it. */
static void check_encode(struct str text, struct str want, size_t column)
{
    struct buffer out, back;
    buffer_init(&out, 64 << 10);
    buffer_init(&back, 64 << 10);
    word_encode(text, column, &out);
    struct str rest = buffer_str(&out);
    size_t at = column;
    while (rest.len) {
        size_t end = size_min(str_find(rest, '\r'), rest.len);
        expect(at + end <= 76, "column %zu", at + end);
        rest = str_skip(rest, end + 2);
        at = 0;
    }
    word_decode(buffer_str(&out), 64 << 10, &back);
    expect_str(buffer_str(&back), want, "round trip");
    buffer_drop(&out);
    buffer_drop(&back);
}

static void test_encode(void)
{
    struct buffer out;
    buffer_init(&out, 4096);
    word_encode(STR("Hello"), 9, &out);
    expect_str(buffer_str(&out), STR("Hello"), "plain stays");
    buffer_clear(&out);
    word_encode(STR("見積"), 9, &out);
    expect_str(buffer_str(&out), STR("=?UTF-8?B?6KaL56mN?="), "B");
    buffer_clear(&out);
    word_encode(STR("a\r\nBcc: x"), 9, &out);
    expect(str_find(buffer_str(&out), '\n') == SIZE_MAX, "INJ-01");
    buffer_drop(&out);

    struct buffer text;
    buffer_init(&text, 64 << 10);
    for (int i = 0; i < 200; i++) {
        for (size_t column = 0; column < 75; column += 3)
            check_encode(buffer_str(&text), buffer_str(&text), column);
        buffer_puts(&text, i % 7 == 3 ? "x y" : i % 5 == 1 ? "𠮷" : "配");
    }
    check_encode(STR("=?utf-8?q?a?="), STR("=?utf-8?q?a?="), 9);
    check_encode(STR("\xff\x00"), STR("\uFFFD\uFFFD"), 9);
    buffer_drop(&text);
}

static void test_charset(void)
{
    struct buffer out;
    buffer_init(&out, 4096);
    CU_ASSERT(charset_to_utf8(STR("utf-8"), STR("あ"), &out));
    CU_ASSERT(!charset_to_utf8(STR("x-none"), STR("a"), &out));
    CU_ASSERT(!charset_to_utf8(STR("utf-8"), STR("\xff"), &out));
    CU_ASSERT(!charset_to_utf8(STR("shift_jis"), STR("\x81"), &out));
    buffer_clear(&out);
    CU_ASSERT(charset_to_utf8(STR("iso-2022-jp"), STR("\x1b(I12\x1b(B"), &out));
    expect_str(buffer_str(&out), STR("ｱｲ"), "half-width kana");
    buffer_clear(&out);
    CU_ASSERT(charset_to_utf8(STR("ISO-8859-15"), STR("\xa4"), &out));
    expect_str(buffer_str(&out), STR("€"), "a longer name");
    buffer_drop(&out);
    expect_str(charset_guess(STR("\xa4\xb3\xa4\xf3")), STR("euc-jp"), "guess");
}

int main(void)
{
    const struct test tests[] = {
        {"decode", test_decode}, {"cut", test_cut},         {"BOMB-09, 10", test_bomb},
        {"encode", test_encode}, {"charset", test_charset}, {NULL, NULL},
    };
    return harness_run("word", tests);
}
