#include "tests/unit/harness.h"

#include "core/mail/charset.h"
#include "core/mail/utf8.h"

#define MS "\xef\xbf\xbd" /* U+FFFD */

static const struct {
    const char *name;
    struct str charset, in;
    const char *want;
    unsigned doubt;
} rows[] = {
    {"UTF-8", STR_INIT("UTF-8"), STR_INIT("見積 𠮷 é a"), "見積 𠮷 é a", 0},
    {"UTF-8, other names", STR_INIT("utf_8"), STR_INIT("見積"), "見積", 0},
    {"nothing", STR_INIT("utf-8"), STR_INIT(""), "", 0},
    {"BOMB-10 UTF-8 cut", STR_INIT("utf-8"), STR_INIT("a\xe8\xa6"), "a" MS MS, CHARSET_MALFORMED},
    {"UTF-8 malformed", STR_INIT("utf-8"),
     STR_INIT("a\xff"
              "b\xe8\xa6"
              "c"),
     "a" MS "b" MS MS "c", CHARSET_MALFORMED},
    {"UTF-8 overlong", STR_INIT("utf-8"), STR_INIT("\xc0\xaf\xe0\x80\xaf"), MS MS MS MS MS,
     CHARSET_MALFORMED},
    {"UTF-8 surrogates", STR_INIT("utf-8"), STR_INIT("\xed\xa0\x80"), MS MS MS, CHARSET_MALFORMED},
    {"ISO-2022-JP", STR_INIT("ISO-2022-JP"), STR_INIT("Hi \x1b$B8+@Q=q\x1b(B ok\r\n"),
     "Hi 見積書 ok\r\n", 0},
    {"ISO-2022-JP, long ASCII between", STR_INIT("ISO-2022-JP"),
     STR_INIT("\x1b$B8+\x1b(Babcdefghijklmnop\x1b$B@Q\x1b(B.\x1b(J\\\x1b(B\\"),
     "見abcdefghijklmnop積.¥\\", 0},
    {"MIME-19 NEC letters", STR_INIT("iso-2022-jp"), STR_INIT("\x1b$B-!|b\x1b(B"), "①髙", 0},
    {"MIME-19 half-width kana", STR_INIT("iso-2022-jp"), STR_INIT("\x1b(I12\x1b(B"), "ｱｲ", 0},
    {"MIME-19 half-width kana by SO", STR_INIT("iso-2022-jp"), STR_INIT("\x0e\x31\x32\x0f"), "ｱｲ",
     0},
    {"JIS X 0212", STR_INIT("iso-2022-jp-1"), STR_INIT("\x1b$(D0!\x1b(B"), "丂", 0},
    {"JIS X 0208-1978", STR_INIT("iso-2022-jp"), STR_INIT("\x1b$@8+\x1b(B"), "見", 0},
    {"a line end ends the Japanese", STR_INIT("iso-2022-jp"), STR_INIT("\x1b$B8+\r\nab"),
     "見\r\nab", 0},
    {"escapes with nothing between", STR_INIT("iso-2022-jp"),
     STR_INIT("\x1b$B8+\x1b(B\x1b$B@Q\x1b$B\x1b(B\x1b(Ba"), "見積a", 0},
    {"BOMB-10 escape cut", STR_INIT("iso-2022-jp"), STR_INIT("\x1b$"), MS, CHARSET_MALFORMED},
    {"BOMB-10 escape nobody knows", STR_INIT("iso-2022-jp"), STR_INIT("\x1b$Zab"), MS "$Zab",
     CHARSET_MALFORMED},
    {"ISO-2022-JP with 8-bit", STR_INIT("iso-2022-jp"),
     STR_INIT("a\xb1"
              "b"),
     "a" MS "b", CHARSET_MALFORMED},
    {"Shift_JIS", STR_INIT("Shift_JIS"), STR_INIT("\x8c\xa9\x90\xcf ok, abcdefghijkl \x8f\x91"),
     "見積 ok, abcdefghijkl 書", 0},
    {"CP932 vendor letters", STR_INIT("windows-31j"), STR_INIT("\x87\x40\xfb\xfc\x87\x8a\xee\xe0"),
     "①髙㈱髙", 0},
    {"CP932 wave dash, minus, kana, backslash", STR_INIT("cp932"),
     STR_INIT("\x81\x60\x81\x7c\xb1\xb2\\~"), "～－ｱｲ\\~", 0},
    {"CP932 gaiji", STR_INIT("cp932"), STR_INIT("\xf0\x40"), "\xee\x80\x80", 0},
    {"CP932 second byte is ASCII", STR_INIT("x-sjis"), STR_INIT("\x83\x5c\x83\x5c\x83\x5c"),
     "ソソソ", 0},
    {"BOMB-10 Shift_JIS pair", STR_INIT("shift_jis"),
     STR_INIT("\x81\x0a\x81"
              "\"a"),
     MS "\n" MS "\"a", CHARSET_MALFORMED},
    {"BOMB-10 Shift_JIS cut", STR_INIT("shift_jis"), STR_INIT("a\x81"), "a" MS, CHARSET_MALFORMED},
    {"EUC-JP", STR_INIT("EUC-JP"), STR_INIT("\xb8\xab\xc0\xd1 \x8e\xb1\x8f\xb0\xa1 \xad\xa1"),
     "見積 ｱ丂 ①", 0},
    {"GB2312", STR_INIT("gb2312"), STR_INIT("\xc4\xe3\xba\xc3"), "你好", 0},
    {"Big5", STR_INIT("big5"), STR_INIT("\xa7\x41\xa6\x6e"), "你好", 0},
    {"EUC-KR", STR_INIT("euc-kr"), STR_INIT("\xbe\xc8"), "안", 0},
    {"Latin-1 is windows-1252", STR_INIT("iso-8859-1"), STR_INIT("\x80\xe9"), "€é", 0},
    {"Latin-9", STR_INIT("iso-8859-15"), STR_INIT("\xa4"), "€", 0},
    {"UTF-16 by its mark", STR_INIT("utf-16"), STR_INIT("\xff\xfe\x8b\x89\x4d\x7a"), "見積", 0},
    {"UTF-16, big", STR_INIT("utf-16"), STR_INIT("\xfe\xff\x89\x8b\xd8\x42\xdf\xb7"), "見𠮷", 0},
    {"UTF-16 without a mark", STR_INIT("utf-16"), STR_INIT("\x89\x8b\x7a\x4d"), "見積",
     CHARSET_NO_ORDER},
    {"UTF-16LE", STR_INIT("utf-16le"), STR_INIT("\x8b\x89"), "見", 0},
    {"UTF-16 half a pair", STR_INIT("utf-16be"), STR_INIT("\xd8\x42\x00\x61\xdf\xb7"), MS "a" MS,
     CHARSET_MALFORMED},
    {"UTF-16 cut", STR_INIT("utf-16be"), STR_INIT("\x89\x8b\x7a"), "見" MS, CHARSET_MALFORMED},
    {"BOMB-10 UTF-7", STR_INIT("utf-7"), STR_INIT("+iYs-a"), "見a", CHARSET_UTF7},
    {"EBCDIC", STR_INIT("ibm-037"), STR_INIT("\x81\x82"), "ab", CHARSET_RARE},
    {"BOMB-10 unknown", STR_INIT("x-none"), STR_INIT("見積"), "見積", CHARSET_UNKNOWN},
    {"BOMB-10 unknown, CP932", STR_INIT("x-none"), STR_INIT("ok \x8c\xa9\x90\xcf"), "ok 見積",
     CHARSET_UNKNOWN},
    {"options are no charset", STR_INIT("utf-8,version=1"), STR_INIT("a"), "a", CHARSET_UNKNOWN},
    {"a path is no charset", STR_INIT("../../x"), STR_INIT("a"), "a", CHARSET_UNKNOWN},
    {"no name, ASCII", STR_INIT(""), STR_INIT("abc"), "abc", 0},
    {"no name, UTF-8", STR_INIT("us-ascii"), STR_INIT("abc 見積"), "abc 見積", CHARSET_GUESSED},
    {"no name, ISO-2022-JP", STR_INIT(""), STR_INIT("abc \x1b$B8+\x1b(B"), "abc 見",
     CHARSET_GUESSED},
    {"no name, EUC-JP", STR_INIT(""), STR_INIT("\xa4\xaa\xc0\xa4\xcf\xc3\xa4\xcb"), "お世話に",
     CHARSET_GUESSED},
    {"no name, Latin", STR_INIT(""), STR_INIT("caf\xe9"), "café", CHARSET_GUESSED},
};

static void test_rows(void)
{
    struct charset_cache *cache = charset_cache_make();
    for (size_t i = 0; i < countof(rows); i++)
        for (size_t split = 0; split <= rows[i].in.len; split++) {
            struct charset c;
            struct buffer out;
            struct str piece;
            buffer_init(&out, 4096);
            charset_open(&c, split & 1 ? cache : NULL, rows[i].charset);
            for (size_t at = 0; harness_piece(rows[i].in, split, &at, &piece);)
                charset_feed(&c, piece, &out);
            charset_finish(&c, &out);
            charset_drop(&c);
            expect_str(buffer_str(&out), str_c(rows[i].want), rows[i].name);
            expect(c.doubt == rows[i].doubt, "%s: split %zu: doubt %#x", rows[i].name, split,
                   c.doubt);
            buffer_drop(&out);
        }
    charset_cache_drop(&cache);
    charset_cache_drop(&cache);
}

/* More converters at once than a cache keeps; what is dropped in the middle leaves nothing behind.
 */
static void test_cache(void)
{
    struct charset_cache *cache = charset_cache_make();
    struct charset c[2 * CHARSET_CACHE];
    struct buffer out;
    buffer_init(&out, 4096);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < countof(c); i++) {
            charset_open(&c[i], cache, i & 1 ? STR("iso-2022-jp") : STR("cp932"));
            charset_feed(&c[i], i & 1 ? STR("\x1b$B8+@") : STR("\x8c\xa9\x90"), &out);
        }
        for (size_t i = 0; i < countof(c); i++)
            charset_drop(&c[i]);
    }
    buffer_clear(&out);
    charset_open(&c[0], cache, STR("iso-2022-jp"));
    charset_feed(&c[0], STR("8+"), &out);
    charset_finish(&c[0], &out);
    charset_drop(&c[0]);
    expect_str(buffer_str(&out), STR("8+"), "reset");
    buffer_drop(&out);
    charset_cache_drop(&cache);
}

/* BOMB-10: a million escapes, and what follows is read. */
static void test_bomb(void)
{
    static const struct str toggles[] = {STR_INIT("\x1b$B\x1b(B"), STR_INIT("\x1b$B8+\x1b(B"),
                                         STR_INIT("\x1b"), STR_INIT("\x1b$"), STR_INIT("\x0e\x0f")};
    for (size_t i = 0; i < countof(toggles); i++) {
        struct buffer in, out;
        struct charset c;
        buffer_init(&in, 16 << 20);
        buffer_init(&out, 16 << 20);
        for (int n = 0; n < 500000; n++)
            buffer_put(&in, toggles[i]);
        buffer_puts(&in, "\x1b(Bend");
        charset_open(&c, NULL, STR("iso-2022-jp"));
        charset_feed(&c, buffer_str(&in), &out);
        charset_finish(&c, &out);
        charset_drop(&c);
        CU_ASSERT(!out.full && str_ends_nocase(buffer_str(&out), STR("end")));
        buffer_drop(&in);
        buffer_drop(&out);
    }
}

/* What has no name is held back to be guessed, but not for ever. */
static void test_look(void)
{
    struct buffer in, out;
    struct charset c;
    buffer_init(&in, 1 << 20);
    buffer_init(&out, 1 << 20);
    for (int n = 0; n < 20000; n++)
        buffer_puts(&in, "見積\n");
    charset_open(&c, NULL, STR(""));
    charset_feed(&c, buffer_str(&in), &out);
    CU_ASSERT(out.len + 8 >= in.len);
    charset_finish(&c, &out);
    charset_drop(&c);
    expect_str(buffer_str(&out), buffer_str(&in), "UTF-8");
    buffer_drop(&in);
    buffer_drop(&out);
}

int main(void)
{
    const struct test tests[] = {{"BOMB-10, MIME-19 rows", test_rows},
                                 {"cache", test_cache},
                                 {"BOMB-10 escapes", test_bomb},
                                 {"look", test_look},
                                 {NULL, NULL}};
    return harness_run("charset", tests);
}
