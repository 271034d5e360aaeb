/* Text in pieces is found as in one, and words as memmem() finds them; any pattern can be added, or
 * is refused, and is read back as it was added. Patterns of the input are not compiled: that
 * would be Hyperscan's fuzzer. */
#include "tests/fuzz/fuzz.h"

#include "core/mail/utf8.h"
#include "core/policy/match.h"
#include "core/policy/match_build.h"
#include "core/policy/match_inside.h"

enum {
    PATTERNS = 9,
    WORDS = 5, /* the first of them */
};

static const char *const patterns[PATTERNS] = {"社外秘", "a",          "ab",        "aba", "秘",
                                               "a+b",    "社.{0,3}秘", "[0-9]{2,}", "ab$"};

static void fold(struct str text, struct buffer *out)
{
    for (size_t i = 0; i < text.len; i++)
        buffer_putc(out, char_lower(text.at[i]));
}

static void checking(void *owner, uint32_t pattern)
{
    (void)owner;
    (void)pattern;
}

static void refused(void *owner, uint32_t pattern, const char *reason)
{
    (void)owner;
    (void)pattern;
    base_panic(__FILE__, __LINE__, reason);
}

/* Compiled once. */
static struct matcher *matcher(void)
{
    static struct matcher *m;
    const struct match_observer observer = {NULL, checking, refused};
    struct buffer source, file, reason;
    if (m)
        return m;
    match_source_init(&source);
    buffer_init(&file, LIMIT_MATCH_FILE_BYTES);
    buffer_init(&reason, 200);
    for (uint32_t i = 0; i < PATTERNS; i++) {
        const struct match_pattern p = {.text = str_c(patterns[i]),
                                        .dictionary = i % 2,
                                        .expression = i >= WORDS};
        must(!match_source_add(&source, &p, fold));
    }
    must(match_compile(buffer_str(&source), &observer, &file, &reason) == MATCH_BUILT);
    m = match_load(buffer_str(&file), buffer_str(&source), &reason);
    must(m);
    buffer_drop(&source);
    buffer_drop(&file);
    buffer_drop(&reason);
    return m;
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

static void check_counts(struct match_scan *whole, struct match_scan *cut, struct str text,
                         struct match_scratch *scratch)
{
    size_t hits, same;
    const struct match_hit *a = match_hits(whole, &hits), *b = match_hits(cut, &same);
    uint32_t words[PATTERNS] = {0};
    must(hits == same && hits <= PATTERNS);
    for (size_t i = 0; i < hits; i++) {
        size_t k = 0;
        while (k < same && b[k].pattern != a[i].pattern)
            k++;
        must(k < same && !memcmp(a[i].count, b[k].count, sizeof a[i].count) &&
             !memcmp(a[i].end, b[k].end, sizeof a[i].end));
        words[a[i].pattern] = a[i].count[MATCH_BODY];
        struct str found;
        must(match_look(matcher(), scratch, a[i].pattern, text, a[i].end[MATCH_BODY][0], &found));
        must(found.len && found.at >= text.at && found.at + found.len <= text.at + text.len);
    }
    for (uint32_t i = 0; i < WORDS; i++)
        must(words[i] == count_naive(text, str_c(patterns[i])));
}

static void check_scan(struct fuzz *f)
{
    static const char *const letters[16] = {"a", "b", "社",     "外", "秘", "1",  "2", "é",
                                            "a", "b", "社外秘", " ",  "x",  "ab", "A", "9"};
    struct match_scratch *scratch = match_scratch_make();
    struct match_scan *whole = match_scan_make(matcher()), *cut = match_scan_make(matcher());
    struct buffer text;
    struct str piece;
    buffer_init(&text, 1 << 20);
    must(match_scratch_fit(scratch, matcher()) && whole && cut);
    for (size_t i = 0; i < f->whole.len; i++)
        buffer_puts(&text, letters[(unsigned char)f->whole.at[i] & 15]);
    f->whole = buffer_str(&text);
    must(match_feed(whole, scratch, MATCH_BODY, f->whole) == MATCH_OK);
    must(match_end(whole, scratch, MATCH_BODY) == MATCH_OK);
    while (fuzz_piece(f, &piece))
        must(match_feed(cut, scratch, MATCH_BODY, piece) == MATCH_OK);
    must(match_end(cut, scratch, MATCH_BODY) == MATCH_OK);
    check_counts(whole, cut, f->whole, scratch);
    match_scan_drop(&whole);
    match_scan_drop(&cut);
    match_scratch_drop(&scratch);
    buffer_drop(&text);
}

static void check_pattern(struct str text, bool expression)
{
    struct buffer source;
    struct match_item item;
    match_source_init(&source);
    const struct match_pattern p = {.text = text, .dictionary = 3, .expression = expression};
    const char *reason = match_source_add(&source, &p, fold);
    struct str in = buffer_str(&source);
    must(match_source_open(&in) && match_source_take(&in, &item) == !reason && !in.len);
    must(reason || (utf8_is_valid(item.text) && str_find(item.text, '\0') == SIZE_MAX));
    buffer_drop(&source);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz f = fuzz_start(data, size);
    check_pattern(f.whole, false);
    check_pattern(f.whole, true);
    check_scan(&f);
    return 0;
}
