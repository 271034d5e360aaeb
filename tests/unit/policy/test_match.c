#include "tests/unit/policy/match_helper.h"

#include "core/base/heap.h"

#include <pthread.h>

enum {
    RANDOM_WORDS = 300,
    RANDOM_TEXT_BYTES = 20000,
    ROWS_PATTERNS = 6,
};

struct found {
    uint32_t count[ROWS_PATTERNS], dictionary[3];
    uint64_t end[ROWS_PATTERNS][MATCH_ENDS];
};

static void read_hits(const struct match_scan *scan, enum match_place place, struct found *f)
{
    size_t count;
    const struct match_hit *hit = match_hits(scan, &count);
    for (size_t i = 0; i < count && hit[i].pattern < ROWS_PATTERNS; i++) {
        f->count[hit[i].pattern] = hit[i].count[place];
        memcpy(f->end[hit[i].pattern], hit[i].end[place], sizeof f->end[0]);
    }
    for (uint32_t d = 0; d < 3; d++)
        f->dictionary[d] = match_count(scan, d, place);
}

static void scan_split(const struct built *b, struct str text, size_t split, struct found *f)
{
    struct match_scan *scan = match_scan_make(b->m);
    struct str piece;
    size_t at = 0;
    *f = (struct found){0};
    while (harness_piece(text, split, &at, &piece))
        expect(match_feed(scan, b->scratch, MATCH_BODY, piece) == MATCH_OK, "feed: %s",
               match_reason(scan));
    expect(match_end(scan, b->scratch, MATCH_BODY) == MATCH_OK, "end: %s", match_reason(scan));
    read_hits(scan, MATCH_BODY, f);
    match_scan_drop(&scan);
}

/* Patterns, a text, how often each is in it, and the ends of the first's first occurrences. */
static const struct {
    const char *name, *patterns[ROWS_PATTERNS], *text;
    struct found want;
} rows[] = {
    {"a word", {"社外秘"}, "これは社外秘です社外秘", {{2}, {2}, {{18, 33}}}},
    {"no word", {"社外秘"}, "社内秘", {{0}, {0}, {{0}}}},
    {"words count without overlaps", {"aa"}, "aaaaa", {{2}, {2}, {{2, 4}}}},
    {"only the first ends are kept", {"a"}, "aaaaa", {{5}, {5}, {{1, 2, 3}}}},
    {"three dictionaries",
     {"a", "b", "c", "ab"},
     "abcab",
     {{2, 2, 1, 2}, {4, 2, 1}, {{1, 4}, {2, 5}, {3}, {2, 5}}}},
    {"a word in a word", {"社外", "社外秘"}, "社外秘", {{1, 1}, {1, 1}, {{6}, {9}}}},
    {"signs stand for themselves",
     {"a.b", "(株)", "\\e"},
     "a.b axb (株)/\\e",
     {{1, 1, 1}, {1, 1, 1}, {{3}, {13}, {16}}}},
    {"a number", {"/案件番号[0-9]{3}"}, "案件番号123456 案件番号78", {{1}, {1}, {{15}}}},
    {"a longer number is one", {"/[0-9]+"}, "12 345 6", {{3}, {3}, {{1, 4, 8}}}},
    {"kana that go on are one", {"/[ぁ-ん]+"}, "ああaいい", {{2}, {2}, {{3, 10}}}},
    {"one behind the other are two", {"/案件[0-9]+"}, "案件12案件3", {{2}, {2}, {{7, 15}}}},
    {"any character is one", {"/社.秘"}, "社外秘社ab秘社a秘", {{2}, {2}, {{9, 24}}}},
    {"\\w knows Japanese", {"/\\w様"}, "山田様 様", {{1}, {1}, {{9}}}},
    {"\\b does not", {"/\\bcat\\b"}, "cat concat 猫cat猫", {{2}, {2}, {{3, 17}}}},
    {"capital letters are folded",
     {"CONFIDENTIAL", "/Top-?Secret"},
     "confidential topsecret",
     {{1, 1}, {1, 1}, {{12}, {22}}}},
    {"begin", {"/^ab"}, "abab", {{1}, {1}, {{2}}}},
    {"end", {"/ab$"}, "abab", {{1}, {1}, {{4}}}},
    {"MIME-19: words as they are written",
     {"ＴＯＰ Secret", "ｼｬｶﾞｲﾋ", "社 外\n秘"},
     "top secretシャガイヒ社外秘",
     {{1, 1, 1}, {1, 1, 1}, {{10}, {25}, {34}}}},
    {"MIME-19: blanks beside Japanese",
     {"/案件 番号 [0-9]+", "/(案件)\\s番号"},
     "案件番号 1 案件番号2",
     {{2, 2}, {2, 2}, {{14, 28}, {12, 27}}}},
    {"alternatives", {"/(社外|部外)秘"}, "部外秘社外秘外秘", {{2}, {2}, {{9, 18}}}},
};

static void test_rows(void)
{
    for (size_t i = 0; i < countof(rows); i++) {
        struct built b;
        size_t count = 0;
        while (count < ROWS_PATTERNS && rows[i].patterns[count])
            count++;
        build(&b, rows[i].patterns, count);
        expect(b.m != NULL, "%s: %s %s", rows[i].name, b.reason, b.refusals.reason);
        struct str text = str_c(rows[i].text);
        for (size_t split = 0; b.m && split <= text.len; split++) {
            struct found f;
            scan_split(&b, text, split, &f);
            expect(!memcmp(f.count, rows[i].want.count, sizeof f.count), "%s, split %zu: %u %u %u",
                   rows[i].name, split, f.count[0], f.count[1], f.count[2]);
            expect(!memcmp(f.dictionary, rows[i].want.dictionary, sizeof f.dictionary),
                   "%s, split %zu: dictionaries", rows[i].name, split);
            expect(!memcmp(f.end, rows[i].want.end, sizeof f.end),
                   "%s, split %zu: end %d %d %d, %d", rows[i].name, split, (int)f.end[0][0],
                   (int)f.end[0][1], (int)f.end[0][2], (int)f.end[1][0]);
        }
        unbuild(&b);
    }
}

static const struct {
    const char *pattern, *text;
    uint32_t count;
} python[] = {

#include "tests/unit/policy/match_re.inc"
};

/* What Python's re.findall() counts. */
static void test_python(void)
{
    for (size_t i = 0; i < countof(python); i++) {
        char pattern[64];
        const char *patterns[] = {pattern};
        struct built b;
        struct found f;
        (void)snprintf(pattern, sizeof pattern, "/%s", python[i].pattern);
        build(&b, patterns, 1);
        for (size_t split = 0; split <= strlen(python[i].text); split++) {
            scan_split(&b, str_c(python[i].text), split, &f);
            expect(f.count[0] == python[i].count, "%s in %s: %u, re says %u", python[i].pattern,
                   python[i].text, f.count[0], python[i].count);
        }
        unbuild(&b);
    }
}

static uint32_t number(uint32_t *seed, uint32_t below)
{
    *seed = *seed * 1664525 + 1013904223;
    return (*seed >> 8) % below;
}

/* Characters of a small alphabet, so that random words are found. */
static void put_random(struct buffer *b, uint32_t *seed)
{
    static const char *const letters[] = {"a", "b", "社", "外", "秘", "é", " ", "."};
    buffer_puts(b, letters[number(seed, countof(letters))]);
}

static uint32_t count_naive(struct str text, struct str word)
{
    uint32_t count = 0;
    const char *at;
    while ((at = memmem(text.at, text.len, word.at, word.len)) != NULL) {
        count++;
        text = str_skip(text, (size_t)(at - text.at) + word.len);
    }
    return count;
}

/* Random words in random text, in random pieces, against memmem(). */
static void test_naive(void)
{
    uint32_t seed = 1;
    struct buffer source, word, text;
    struct built b = {0};
    match_source_init(&source);
    buffer_init(&word, 100);
    buffer_init(&text, 4 * RANDOM_TEXT_BYTES);
    for (uint32_t i = 0; i < RANDOM_WORDS; i++) {
        buffer_clear(&word);
        for (uint32_t n = 1 + number(&seed, 7); n; n--)
            put_random(&word, &seed);
        const struct match_pattern p = {.text = buffer_str(&word)};
        if (match_source_add(&source, &p, fold_text))
            i--; /* nothing but blanks */
    }
    b.source = source;
    compile_source(&b);
    expect(b.m != NULL, "%s", b.reason);
    while (text.len < RANDOM_TEXT_BYTES)
        put_random(&text, &seed);
    struct match_scan *scan = match_scan_make(b.m);
    for (struct str left = buffer_str(&text); left.len;) {
        size_t bytes = 1 + number(&seed, 200);
        expect(match_feed(scan, b.scratch, MATCH_FILE_TEXT, str_head(left, bytes)) == MATCH_OK,
               "%s", match_reason(scan));
        left = str_skip(left, bytes);
    }
    expect(match_end(scan, b.scratch, MATCH_FILE_TEXT) == MATCH_OK, "end");
    size_t hits, sum = 0;
    const struct match_hit *hit = match_hits(scan, &hits);
    uint32_t *counts = heap_take(RANDOM_WORDS * sizeof *counts);
    for (size_t i = 0; i < hits; i++)
        counts[hit[i].pattern] = hit[i].count[MATCH_FILE_TEXT];
    for (uint32_t i = 0; i < RANDOM_WORDS; i++) {
        uint32_t want = count_naive(buffer_str(&text), match_text(b.m, i));
        expect(counts[i] == want, "\"%.*s\": %u, memmem says %u", STR_ARG(match_text(b.m, i)),
               counts[i], want);
        sum += want;
    }
    expect(hits > RANDOM_WORDS / 2 && match_count(scan, 0, MATCH_FILE_TEXT) == sum, "dictionary");
    heap_drop(counts);
    match_scan_drop(&scan);
    unbuild(&b);
    buffer_drop(&word);
    buffer_drop(&text);
}

/* Places do not mix; texts of one place that end do not, either. */
static void test_places(void)
{
    struct built b;
    const char *const patterns[] = {"社外秘", "/exe$"};
    build(&b, patterns, 2);
    struct match_scan *scan = match_scan_make(b.m);
    size_t hits;
    (void)match_feed(scan, b.scratch, MATCH_SUBJECT, STR("社外"));
    (void)match_feed(scan, b.scratch, MATCH_BODY, STR("秘 社"));
    (void)match_feed(scan, b.scratch, MATCH_SUBJECT, STR("秘"));
    (void)match_feed(scan, b.scratch, MATCH_BODY, STR("外秘"));
    (void)match_feed(scan, b.scratch, MATCH_FILE_NAME, STR("a.exe"));
    (void)match_end(scan, b.scratch, MATCH_FILE_NAME);
    (void)match_feed(scan, b.scratch, MATCH_FILE_NAME, STR("b.exe.社外"));
    (void)match_end(scan, b.scratch, MATCH_FILE_NAME);
    (void)match_feed(scan, b.scratch, MATCH_FILE_NAME, STR("秘.exe"));
    (void)match_end(scan, b.scratch, MATCH_FILE_NAME);
    const struct match_hit *hit = match_hits(scan, &hits);
    expect(hits == 2, "both: %zu", hits);
    expect(hit[0].pattern == 0 && hit[0].count[MATCH_SUBJECT] == 1 &&
               hit[0].count[MATCH_BODY] == 1 && !hit[0].count[MATCH_FILE_NAME],
           "the word");
    expect(hit[0].end[MATCH_SUBJECT][0] == 9 && hit[0].end[MATCH_BODY][0] == 13, "its ends");
    expect(hit[1].pattern == 1 && hit[1].count[MATCH_FILE_NAME] == 2, "two names end in exe");
    expect(hit[1].end[MATCH_FILE_NAME][0] == 5 && hit[1].end[MATCH_FILE_NAME][1] == 24,
           "offsets go on: %d", (int)hit[1].end[MATCH_FILE_NAME][1]);
    expect(match_count(scan, 1, MATCH_FILE_NAME) == 2 && !match_count(scan, 1, MATCH_BODY) &&
               !match_count(scan, 99, MATCH_BODY),
           "dictionaries");
    match_scan_drop(&scan);
    unbuild(&b);
}

/* DOS-07: a pattern that is found everywhere, and very many that are. */
static void test_storm(void)
{
    const char *one[] = {"a"};
    const char *many[40];
    struct built b;
    struct buffer text;
    size_t hits;
    buffer_init(&text, 4 << 20);
    buffer_fill(&text, 'a', 2 << 20);
    build(&b, one, 1);
    struct match_scan *scan = match_scan_make(b.m);
    expect(match_feed(scan, b.scratch, MATCH_BODY, buffer_str(&text)) == MATCH_OK, "%s",
           match_reason(scan));
    expect(match_hits(scan, &hits)->count[MATCH_BODY] == MATCH_COUNT_MAX && hits == 1 &&
               match_count(scan, 0, MATCH_BODY) == MATCH_COUNT_MAX,
           "counts stop");
    match_scan_drop(&scan);
    unbuild(&b);

    for (size_t i = 0; i < countof(many); i++)
        many[i] = "a";
    build(&b, many, countof(many));
    scan = match_scan_make(b.m);
    expect(match_feed(scan, b.scratch, MATCH_BODY, buffer_str(&text)) == MATCH_STORM, "a storm");
    expect(match_feed(scan, b.scratch, MATCH_SUBJECT, STR("a")) == MATCH_STORM &&
               match_end(scan, b.scratch, MATCH_BODY) == MATCH_STORM && *match_reason(scan),
           "it stays");
    expect(match_count(scan, 0, MATCH_BODY) > 0, "what was found stays");
    match_scan_drop(&scan);
    unbuild(&b);
    buffer_drop(&text);
}

static void test_scratch(void)
{
    struct built b;
    const char *const patterns[] = {"社外秘"};
    build(&b, patterns, 1);
    struct match_scratch *bare = match_scratch_make();
    struct match_scan *scan = match_scan_make(b.m);
    expect(match_feed(scan, bare, MATCH_BODY, STR("社外秘")) == MATCH_FAILED &&
               strstr(match_reason(scan), "hs_scan_stream"),
           "an error of a scan is said: %s", match_reason(scan));
    expect(match_feed(scan, b.scratch, MATCH_BODY, STR("a")) == MATCH_FAILED, "and stays");
    match_scan_drop(&scan);
    match_scratch_drop(&bare);
    unbuild(&b);
}

static void test_empty(void)
{
    struct built b;
    build(&b, NULL, 0);
    expect(b.m && match_patterns(b.m) == 0 && match_dictionaries(b.m) == 0, "%s", b.reason);
    struct match_scan *scan = match_scan_make(b.m);
    size_t hits = 1;
    expect(match_feed(scan, b.scratch, MATCH_BODY, STR("a")) == MATCH_OK &&
               match_end(scan, b.scratch, MATCH_BODY) == MATCH_OK,
           "nothing to look for");
    (void)match_hits(scan, &hits);
    expect(!hits, "nothing found");
    match_scan_drop(&scan);
    unbuild(&b);
}

static const struct {
    const char *name, *pattern, *text;
    size_t end;
    const char *want; /* NULL: not there */
} looks[] = {
    {"a word", "社外秘", "これは社外秘です", 18, "社外秘"},
    {"not its end", "社外秘", "これは社外秘です", 17, NULL},
    {"too early", "社外秘", "秘", 3, NULL},
    {"fixed", "/[0-9]{3}", "ab1234", 5, "123"},
    {"the shortest, and what goes on", "/案件[0-9]+", "x案件1234 5", 8, "案件1234"},
    {"not what is beyond a gap", "/案件[0-9]+", "案件1 案件2", 7, "案件1"},
    {"alternatives of several lengths", "/(とても)?大切", "とても大切", 15, "大切"},
    {"begin", "/^ab", "abc", 2, "ab"},
    {"end", "/ab$", "xab", 3, "ab"},
    {"word boundary", "/\\bcat", "the cat", 7, "cat"},
    {"a gap inside", "/社.{0,20}秘", "社とても長い秘", 21, "社とても長い秘"},
};

static void test_look(void)
{
    for (size_t i = 0; i < countof(looks); i++) {
        struct built b;
        struct str found = STR("");
        build(&b, &looks[i].pattern, 1);
        bool ok = match_look(b.m, b.scratch, 0, str_c(looks[i].text), looks[i].end, &found);
        expect(ok == !!looks[i].want, "%s", looks[i].name);
        if (ok && looks[i].want)
            expect_str(found, str_c(looks[i].want), looks[i].name);
        unbuild(&b);
    }
}

/* The database of a file is believed only when all of it is right. */
static void test_damage(void)
{
    struct built b;
    const char *const patterns[] = {"社外秘", "/案件[0-9]{6}"};
    build(&b, patterns, 2);
    struct buffer reason, other;
    buffer_init(&reason, 200);
    for (size_t i = 0; i < b.file.len; i++) {
        b.file.at[i] ^= 1;
        struct matcher *m = match_load(buffer_str(&b.file), buffer_str(&b.source), &reason);
        expect(!m && reason.len, "byte %zu", i);
        match_drop(&m);
        b.file.at[i] ^= 1;
        buffer_clear(&reason);
    }
    for (size_t i = 0; i < b.file.len; i += 7)
        expect(!match_load(str_head(buffer_str(&b.file), i), buffer_str(&b.source), &reason),
               "cut at %zu", i);
    match_source_init(&other);
    buffer_clear(&reason);
    expect(!match_load(buffer_str(&b.file), buffer_str(&other), &reason) &&
               strstr(reason.at, "other patterns"),
           "of another source");
    struct match_key a = match_key_of(buffer_str(&b.source)), c = match_key_of(buffer_str(&other));
    expect(strlen(a.at) == 32 && strcmp(a.at, c.at), "another name");
    a = match_key_of(buffer_str(&b.source));
    struct match_key again = match_key_of(buffer_str(&b.source));
    expect(!strcmp(a.at, again.at), "the same name");
    buffer_drop(&reason);
    buffer_drop(&other);
    unbuild(&b);
}

/* DOS-07: what only Hyperscan can say. */
static const struct {
    const char *pattern, *why;
} refused[] = {
    {"/a.{1,32767}{1,3}", "repeat"},
    {"/(abc|def).{1,32767}x", "too large"},
    {"/(abc)?", "empty text"},
    {"/a*", "empty text"},
    {"/(a", "parenth"},
    {"/(?<=a)b", "upported"},
    {"/(a)\\1", "upported"},
    {"/[z-a]", "ange"},
};

static void test_refused(void)
{
    for (size_t i = 0; i < countof(refused); i++) {
        struct built b;
        const char *const patterns[] = {"first", refused[i].pattern, "/last"};
        build(&b, patterns, 3);
        expect(b.build == MATCH_REFUSED && !b.file.len && b.refusals.count == 1 &&
                   b.refusals.first == 1 && b.refusals.checked == 2,
               "%s is refused", refused[i].pattern);
        expect(strstr(b.refusals.reason, refused[i].why) != NULL, "%s: %s", refused[i].pattern,
               b.refusals.reason);
        unbuild(&b);
    }
    struct built b = {0};
    buffer_init(&b.source, 10);
    buffer_puts(&b.source, "\1junk");
    compile_source(&b);
    expect(b.build == MATCH_UNBUILT && strstr(b.reason, "not a list"), "a malformed source");
    unbuild(&b);
}

struct reader {
    const struct matcher *m;
    uint32_t count;
};

static void *read_much(void *context)
{
    struct reader *r = context;
    struct match_scratch *scratch = match_scratch_make();
    must(match_scratch_fit(scratch, r->m));
    for (int i = 0; i < 200; i++) {
        struct match_scan *scan = match_scan_make(r->m);
        for (int j = 0; j < 20; j++)
            (void)match_feed(scan, scratch, MATCH_BODY, STR("社外秘 案件12 案"));
        r->count += match_count(scan, 0, MATCH_BODY) + match_count(scan, 1, MATCH_BODY);
        match_scan_drop(&scan);
    }
    match_scratch_drop(&scratch);
    return NULL;
}

static void test_threads(void)
{
    struct built b;
    const char *const patterns[] = {"社外秘", "/案件[0-9]+"};
    build(&b, patterns, 2);
    struct reader r[2] = {{.m = b.m}, {.m = b.m}};
    pthread_t thread[2]; /* not thrd_t: TSan does not see those begin */
    for (int i = 0; i < 2; i++)
        must(pthread_create(&thread[i], NULL, read_much, &r[i]) == 0);
    for (int i = 0; i < 2; i++) {
        must(pthread_join(thread[i], NULL) == 0);
        expect(r[i].count == 200 * 20 * 2, "thread %d: %u", i, r[i].count);
    }
    unbuild(&b);
}

int main(void)
{
    const struct test tests[] = {{"what is found, whole and split", test_rows},
                                 {"as Python's re counts", test_python},
                                 {"random words, as memmem counts", test_naive},
                                 {"MIME-19: across pieces, not across places", test_places},
                                 {"DOS-07: storms are bounded", test_storm},
                                 {"a scan that fails says so", test_scratch},
                                 {"no patterns", test_empty},
                                 {"second look", test_look},
                                 {"a damaged file", test_damage},
                                 {"DOS-07: refused by the compiler", test_refused},
                                 {"two threads, one matcher", test_threads},
                                 {0}};
    return harness_run("match", tests);
}
