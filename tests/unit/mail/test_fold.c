#include "tests/unit/harness.h"

#include "core/mail/fold.h"

static const struct {
    const char *name;
    struct str in;
    const char *want;
} rows[] = {
    {"nothing", STR_INIT(""), ""},
    {"ASCII", STR_INIT("Hello World"), "hello world"},
    {"capitals and all their neighbours", STR_INIT("@AZ[`az{~ ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
     "@az[`az{~ abcdefghijklmnopqrstuvwxyz"},
    {"blanks", STR_INIT("  a \t\r\n b  c\n"), "a b c"},
    {"a blank at every place of a word", STR_INIT("a bcdefghi jklmnopqr stuvwxyz0 12345678 "),
     "a bcdefghi jklmnopqr stuvwxyz0 12345678"},
    {"MIME-19 full-width", STR_INIT("ＡＢＣ１２３　ｘ"), "abc123 x"},
    {"MIME-19 half-width kana", STR_INIT("ｶﾞｷﾞﾊﾟｱ｡｢ｶ｣"), "ガギパア。「カ」"},
    {"half-width kana, and a blank before the mark", STR_INIT("ｶ ﾞ"), "カ \u3099"},
    {"a mark on what has none, then a blank", STR_INIT("あ\u3099 い"), "あ\u3099い"},
    {"voiced marks of their own", STR_INIT("か゛は゜"), "がぱ"},
    {"hiragana stays apart", STR_INIT("かカ"), "かカ"},
    {"composed", STR_INIT("か\u3099は\u309ae\u0301"), "がぱé"},
    {"MIME-19 zero widths", STR_INIT("社\u200b外\u2060\ufeff秘\u00ad\u200d"), "社外秘"},
    {"MIME-19 bidi, variation, tags", STR_INIT("a\u202eb\u2066c\ufe0fd\U000e0041e\U000e0100"),
     "abcde"},
    {"MIME-19 controls", STR_INIT("社\x01外\x7f秘\xc2\x81"), "社外秘"},
    {"a zero width does not keep a mark away", STR_INIT("か\u200b\u3099"), "が"},
    {"a line end inside a word", STR_INIT("社外\r\n秘、 見積\n書"), "社外秘、見積書"},
    {"Japanese and Latin", STR_INIT("これは PDF です"), "これは pdf です"},
    {"Latin at the end of a line", STR_INIT("PDF\n見"), "pdf 見"},
    {"Japanese and punctuation of any width", STR_INIT("秘！ 社 （外） 秘 ! 社"), "秘!社(外)秘!社"},
    {"punctuation and Latin", STR_INIT("a , b - c"), "a , b - c"},
    {"wave dashes", STR_INIT("１〜２～3~4\u223c5"), "1~2~3~4~5"},
    {"minus signs", STR_INIT("03−1234－5678‐9—0–1―2"), "03-1234-5678-9-0-1-2"},
    {"the long vowel mark is a letter", STR_INIT("サーバー ｻｰﾊﾞｰ"), "サーバーサーバー"},
    {"ligatures and squares", STR_INIT("ﬁ㈱㍿①㌔ª"), "fi(株)株式会社1キロa"},
    {"compatibility Han", STR_INIT("\ufa19\U0002f800𠮷"), "神\u4e3d𠮷"},
    {"case", STR_INIT("ΑΒΓ ÄÖ Straße İ"), "αβγ äö strasse i\u0307"},
    {"Hangul", STR_INIT("\u1100\u1161\u11a8 각"), "각 각"},
    {"accent with its own blank", STR_INIT("a\u00a8"), "a \u0308"},
    {"an astral letter", STR_INIT("\U0001d400\U0001f600"), "a\U0001f600"},
    {"MIME-12 malformed",
     STR_INIT("a\xff"
              "b\xe7\xa4"),
     "a\ufffd"
     "b\ufffd\ufffd"},
    {"a mark alone", STR_INIT("\u3099"), "\u3099"},
    {"a mark behind ASCII", STR_INIT("abcdefghE\u0301"), "abcdefghé"},
    {"a mark behind a blank and a letter", STR_INIT("秘 e\u0338 <\u0338"), "秘 e\u0338 ≮"},
    {"Thai, Devanagari", STR_INIT("ภาษา हिन्दी"), "ภาษา हिन्दी"},
};

static void fold_cut(struct str in, size_t split, struct fold_map *map, struct buffer *out)
{
    struct fold f;
    struct str piece;
    fold_init(&f, map);
    for (size_t at = 0; harness_piece(in, split, &at, &piece);)
        fold_feed(&f, piece, out);
    fold_finish(&f, out);
    CU_ASSERT(f.folded == out->len && f.source == in.len);
}

static void test_rows(void)
{
    for (size_t i = 0; i < countof(rows); i++)
        for (size_t split = 0; split <= rows[i].in.len; split++) {
            struct buffer out, again;
            buffer_init(&out, 4096);
            buffer_init(&again, 4096);
            fold_cut(rows[i].in, split, NULL, &out);
            expect_str(buffer_str(&out), str_c(rows[i].want), rows[i].name);
            fold_text(buffer_str(&out), &again);
            expect_str(buffer_str(&again), str_c(rows[i].want), "folded again");
            buffer_drop(&out);
            buffer_drop(&again);
        }
}

/* A long text: folding on from any mark gives what follows in the whole. */
static void check_map(struct str text, size_t split, uint64_t step)
{
    struct fold_map map;
    struct buffer out, rest;
    fold_map_init(&map);
    buffer_init(&out, 64 << 20);
    buffer_init(&rest, 4096);
    fold_cut(text, split, &map, &out);
    CU_ASSERT(map.step == step && !map.lost && map.count > 10);
    for (uint64_t at = 0; at + 64 < out.len; at += out.len / 97) {
        struct fold_mark mark = fold_map_find(&map, at);
        expect(mark.folded <= at && at - mark.folded < 2 * step + 16, "a mark is near");
        buffer_clear(&rest);
        fold_text(str_head(str_skip(text, mark.source), 32), &rest);
        struct str want = str_skip(buffer_str(&out), mark.folded);
        want = str_skip(want, want.len && want.at[0] == ' ');
        rest.len -= size_min(rest.len, 16); /* its end was cut */
        expect_str(str_head(want, rest.len), buffer_str(&rest), "from a mark");
    }
    fold_map_drop(&map);
    buffer_drop(&out);
    buffer_drop(&rest);
}

static void test_map(void)
{
    struct buffer text;
    buffer_init(&text, 64 << 20);
    while (text.len < 20000)
        buffer_puts(&text, "お世話に なって\r\nおります。  The quick Brown ｶﾞｷﾞ fox; \u200bｘ ");
    check_map(buffer_str(&text), 0, FOLD_STEP_BYTES);
    check_map(buffer_str(&text), 7777, FOLD_STEP_BYTES);
    check_map(buffer_str(&text), SIZE_MAX, FOLD_STEP_BYTES);
    while (text.len < (3 << 20))
        buffer_puts(&text, "The quick Brown fox jumps over お世話に なって  ");
    check_map(buffer_str(&text), 0, (uint64_t)16 * FOLD_STEP_BYTES);
    buffer_drop(&text);
}

/* BOMB-09: a million marks on one letter, and what grows most. */
static void test_bomb(void)
{
    static const struct str parts[] = {STR_INIT("\u0301"), STR_INIT("\ufdfa"), STR_INIT("\u0323"),
                                       STR_INIT(" "),      STR_INIT("\u200b"), STR_INIT("\u3099")};
    for (size_t i = 0; i < countof(parts); i++) {
        struct buffer in, out;
        buffer_init(&in, 8 << 20);
        buffer_init(&out, 64 << 20);
        buffer_putc(&in, 'a');
        for (int n = 0; n < 1000000; n++)
            buffer_put(&in, parts[i]);
        fold_text(buffer_str(&in), &out);
        CU_ASSERT(!out.full && out.len <= in.len * FOLD_GROWTH + FOLD_HELD);
        buffer_drop(&in);
        buffer_drop(&out);
    }
}

int main(void)
{
    const struct test tests[] = {{"MIME-19 rows", test_rows},
                                 {"map", test_map},
                                 {"BOMB-09", test_bomb},
                                 {NULL, NULL}};
    return harness_run("fold", tests);
}
