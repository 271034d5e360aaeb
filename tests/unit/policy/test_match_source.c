#include "tests/unit/policy/match_helper.h"

#include "core/policy/match_inside.h"

static const struct {
    const char *name, *in, *want;
} folded[] = {
    {"letters are small", "Secret", "secret"},
    {"classes stay what they are", "\\W\\D\\S\\B[\\D]", "\\W\\D\\S\\B[\\D]"},
    {"ranges", "[A-Z]{2,3}", "[a-z]{2,3}"},
    {"what becomes a sign is escaped", "㈱山田", "\\(株\\)山田"},
    {"in a class", "[㈱]", "[\\(株\\)]"},
    {"a repeat holds all of it", "㈱+", "(?:\\(株\\))+"},
    {"and only that", "山㈱?", "山(?:\\(株\\))?"},
    {"a repeat of one", "山ｱ*", "山ア*"},
    {"nothing left", "a\u200b+", "a+"},
    {"blanks", "山 田", "山田"},
    {"ideographic blanks", "山\u3000田", "山田"},
    {"blanks behind", "山 [0-9]\u3000[0-9]", "山 ?[0-9] [0-9]"},
    {"ideographic blank behind", "山\u3000[0-9]", "山 ?[0-9]"},
    {"blanks before", "x  山\\) 田", "x ?山\\) ?田"},
    {"blanks that repeat", "山 *x 山 {2}x山 +x", "山 *x ?山 {2}x山 *x"},
    {"white space", "山\\s田\\s+x\\sy\\s", "山\\s?田\\s*x\\sy\\s"},
    {"white space that may be", "山\\s*田\\s?", "山\\s*田\\s?"},
    {"blanks of English", "top secret", "top secret"},
    {"dashes", "a‐b—c", "a\\-b\\-c"},
    {"by number", "\\x41\\x{41}\\x61\\x{ff71}", "aa\\x61ア"},
    {"number of a sign", "\\x2e\\x{2e}", "\\x2e\\x{2e}"},
    {"malformed number", "\\x{41", "\\x{41"},
    {"property", "\\p{Lu}\\p{Han}\\pL\\PN", "\\p{Ll}\\p{Han}\\pL\\PN"},
    {"posix class", "[[:upper:][:digit:]A]", "[[:lower:][:digit:]a]"},
    {"bracket first", "[]A]B[^]A]", "[]a]b[^]a]"},
    {"bracket in a class", "[[A]B", "[[a]b"},
    {"group names", "(?P<Name>A)(?<N>B)", "(?P<Name>a)(?<N>b)"},
    {"flags", "(?i)A(?i-m:B)(?:C)(?>D)", "(?i)a(?i-m:b)(?:c)(?>d)"},
    {"comment", "A(?#ABC)B", "a(?#ABC)b"},
    {"verb", "(*UTF8)A", "(*UTF8)a"},
    {"quoted", "\\Q.A㈱\\E.", "\\.a\\(株\\)."},
    {"quoted to the end", "\\Qa.b", "a\\.b"},
    {"control", "\\cA", "\\cA"},
    {"escaped character", "\\山", "山"},
    {"lonely backslash", "a\\", "a\\"},
    {"lonely group", "a(?", "a(?"},
};

static void add(struct buffer *source, struct str text, bool expression, const char **refused)
{
    const struct match_pattern p = {.text = text, .dictionary = 7, .expression = expression};
    *refused = match_source_add(source, &p, fold_text);
}

static void test_expressions(void)
{
    for (size_t i = 0; i < countof(folded); i++) {
        struct buffer source;
        struct match_item item = {0};
        const char *refused;
        match_source_init(&source);
        add(&source, str_c(folded[i].in), true, &refused);
        struct str in = buffer_str(&source);
        bool ok = !refused && match_source_open(&in) && match_source_take(&in, &item);
        expect(ok && !in.len && item.kind == MATCH_EXPRESSION && item.dictionary == 7, "%s: %s",
               folded[i].name, refused);
        expect_str(item.text, str_c(folded[i].want), folded[i].name);
        buffer_drop(&source);
    }
}

static void test_words(void)
{
    struct buffer source;
    struct match_item item = {0};
    const char *refused;
    match_source_init(&source);
    add(&source, STR("㈱A.B"), false, &refused);
    struct str in = buffer_str(&source);
    expect(!refused && match_source_open(&in) && match_source_take(&in, &item), "%s", refused);
    expect(item.kind == MATCH_WORD && !in.len, "a word");
    expect_str(item.text, STR("(株)a.b"), "a word stands for itself");
    buffer_drop(&source);
}

/* DOS-07, and what cannot be meant. */
static const struct {
    const char *name;
    struct str in;
    bool expression;
    const char *why;
} bad[] = {
    {"empty word", STR_INIT(""), false, "empty"},
    {"empty expression", STR_INIT(""), true, "empty"},
    {"only a zero width", STR_INIT("\u200b"), false, "nothing is left"},
    {"not UTF-8", STR_INIT("a\xff"), false, "UTF-8"},
    {"NUL", STR_INIT("a\0b"), true, "NUL"},
    {".* first", STR_INIT(".*secret"), true, "begins with anything"},
    {"^.*", STR_INIT("^.*secret"), true, "begins with anything"},
    {".+", STR_INIT(".+x"), true, "begins with anything"},
    {".{3,}", STR_INIT(".{3,}x"), true, "begins with anything"},
    {"in groups", STR_INIT("((?:(?i).*a)"), true, "begins with anything"},
};

static void test_refused(void)
{
    for (size_t i = 0; i < countof(bad); i++) {
        struct buffer source;
        const char *refused;
        match_source_init(&source);
        size_t before = source.len;
        add(&source, bad[i].in, bad[i].expression, &refused);
        expect(refused && strstr(refused, bad[i].why), "%s: %s", bad[i].name, refused);
        expect(source.len == before, "%s: nothing was added", bad[i].name);
        buffer_drop(&source);
    }
}

static void test_size(void)
{
    struct buffer source, text;
    const char *refused;
    match_source_init(&source);
    buffer_init(&text, 1 << 20);
    buffer_fill(&text, 'a', LIMIT_PATTERN_BYTES);
    add(&source, buffer_str(&text), false, &refused);
    expect(!refused, "the longest: %s", refused);
    buffer_putc(&text, 'a');
    add(&source, buffer_str(&text), false, &refused);
    expect(refused != NULL, "one more");

    /* What may be written may become too long: "㈱" 1,365 times is 9,555 bytes and fits. */
    buffer_clear(&text);
    while (text.len + 3 <= LIMIT_PATTERN_BYTES)
        buffer_puts(&text, "㈱");
    add(&source, buffer_str(&text), true, &refused);
    expect(!refused, "folded it is longer: %s", refused);

    buffer_clear(&text);
    buffer_fill(&text, 'a', LIMIT_PATTERN_BYTES);
    for (refused = NULL; !refused && source.len < 2 * (size_t)LIMIT_PATTERN_SOURCE_BYTES;)
        add(&source, buffer_str(&text), false, &refused);
    expect(refused && strstr(refused, "16 MiB") && !source.full, "all together: %s", refused);
    buffer_drop(&source);
    buffer_drop(&text);
}

static void test_malformed(void)
{
    struct buffer source;
    const char *refused;
    match_source_init(&source);
    add(&source, STR("word"), false, &refused);
    for (size_t cut = 0; cut < source.len; cut++) {
        struct str in = str_head(buffer_str(&source), cut);
        struct match_item item;
        expect(!match_source_open(&in) || !match_source_take(&in, &item), "cut at %zu", cut);
    }
    buffer_drop(&source);
}

int main(void)
{
    const struct test tests[] = {{"expressions are folded where they are text", test_expressions},
                                 {"words stand for themselves", test_words},
                                 {"DOS-07: refused as they are added", test_refused},
                                 {"sizes", test_size},
                                 {"a malformed source", test_malformed},
                                 {0}};
    return harness_run("match_source", tests);
}
