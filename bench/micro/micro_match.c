#include "bench/micro/micro.h"
#include "core/base/base.h"
#include "core/mail/fold.h"
#include "core/mail/utf8.h"
#include "core/policy/detector.h"
#include "core/policy/match.h"
#include "core/policy/match_build.h"
#include "core/policy/match_loaded.h"

enum {
    WORDS = 10000,
    EXPRESSIONS = 200,
    TEXT_BYTES = 1 << 20,
    PIECE_BYTES = 64 << 10, /* what a worker reads in a turn */
};

static uint32_t below(uint32_t *seed, uint32_t n)
{
    *seed = *seed * 1664525 + 1013904223;
    return (*seed >> 8) % n;
}

static void put_kanji(struct buffer *b, uint32_t *seed)
{
    utf8_put(b, 0x4e00 + below(seed, 3000));
}

static void put_letters(struct buffer *b, uint32_t *seed, uint32_t count)
{
    for (; count; count--)
        buffer_putc(b, "etaoinshrdlucmfwygpb"[below(seed, 20)]);
}

/* Words of a Japanese company's dictionaries: half Japanese, half English. */
static void put_word(struct buffer *b, uint32_t *seed, bool japanese)
{
    uint32_t count = japanese ? 2 + below(seed, 4) : 5 + below(seed, 8);
    if (!japanese)
        put_letters(b, seed, count);
    for (; japanese && count; count--)
        put_kanji(b, seed);
}

static void on_checking(void *owner, uint32_t pattern)
{
    (void)owner;
    (void)pattern;
}

static void on_refused(void *owner, uint32_t pattern, const char *reason)
{
    (void)owner;
    (void)pattern;
    base_panic(__FILE__, __LINE__, reason);
}

/* Built once. */
static struct matcher *matcher(void)
{
    static struct matcher *m;
    const struct match_observer observer = {NULL, on_checking, on_refused};
    struct buffer source, text, file;
    uint32_t seed = 1;
    if (m)
        return m;
    match_source_init(&source);
    buffer_init(&text, 256);
    buffer_init(&file, LIMIT_MATCH_FILE_BYTES);
    for (uint32_t i = 0; i < WORDS + EXPRESSIONS; i++) {
        buffer_clear(&text);
        put_word(&text, &seed, i % 2);
        if (i >= WORDS)
            buffer_puts(&text, i % 4 == 0   ? "[0-9]{4,6}"
                               : i % 4 == 1 ? "第[0-9]+号"
                                            : "-[a-z]{2,8}");
        const struct match_pattern p = {.text = buffer_str(&text),
                                        .dictionary = i % 20,
                                        .expression = i >= WORDS};
        must(!match_source_add(&source, &p, fold_text));
    }
    must(match_compile(buffer_str(&source), &observer, &file, &text) == MATCH_BUILT);
    m = match_load(buffer_str(&file), buffer_str(&source), &text);
    must(m);
    buffer_drop(&source);
    buffer_drop(&text);
    buffer_drop(&file);
    return m;
}

/* A Japanese company's mail: kana, kanji, English words, numbers, and now and then a keyword. */
static struct str text(void)
{
    static struct buffer b;
    uint32_t seed = 99;
    if (b.len)
        return buffer_str(&b);
    buffer_init(&b, TEXT_BYTES + 256);
    for (uint32_t i = 0; b.len < TEXT_BYTES; i++) {
        uint32_t what = below(&seed, 20);
        if (what < 9)
            utf8_put(&b, 0x3042 + below(&seed, 0x50));
        else if (what < 15)
            put_kanji(&b, &seed);
        else if (what < 18)
            put_word(&b, &seed, false);
        else
            buffer_printf(&b, " %u", below(&seed, 100000));
        if (i % 1000 == 0)
            buffer_put(&b, match_text(matcher(), below(&seed, WORDS)));
    }
    return buffer_str(&b);
}

static int on_bare(unsigned id, unsigned long long from, unsigned long long to, unsigned flags,
                   void *context)
{
    uint64_t *found = context;
    (void)id;
    (void)from;
    (void)to;
    (void)flags;
    (*found)++;
    return 0;
}

/* Hyperscan alone, with the same database, text and pieces: what match_words is compared with. */
void micro_match_bare(struct micro *m)
{
    struct match_scratch *scratch = match_scratch_make();
    uint64_t found = 0;
    must(match_scratch_fit(scratch, matcher()));
    struct str all = text();
    while (micro_more(m)) {
        hs_stream_t *stream;
        must(hs_open_stream(matcher()->database, 0, &stream) == HS_SUCCESS);
        for (struct str left = all; left.len;) {
            struct str piece = str_head(left, PIECE_BYTES);
            must(hs_scan_stream(stream, piece.at, (unsigned)piece.len, 0, scratch->room, on_bare,
                                &found) == HS_SUCCESS);
            left = str_skip(left, piece.len);
        }
        must(hs_close_stream(stream, scratch->room, on_bare, &found) == HS_SUCCESS);
    }
    micro_keep(found);
    micro_bytes(m, all.len);
    match_scratch_drop(&scratch);
}

void micro_match_words(struct micro *m)
{
    struct match_scratch *scratch = match_scratch_make();
    must(match_scratch_fit(scratch, matcher()));
    struct str all = text();
    while (micro_more(m)) {
        struct match_scan *scan = match_scan_make(matcher());
        must(scan);
        for (struct str left = all; left.len;) {
            struct str piece = str_head(left, PIECE_BYTES);
            must(match_feed(scan, scratch, MATCH_BODY, piece) == MATCH_OK);
            left = str_skip(left, piece.len);
        }
        must(match_end(scan, scratch, MATCH_BODY) == MATCH_OK);
        micro_keep(match_count(scan, 0, MATCH_BODY));
        match_scan_drop(&scan);
    }
    micro_bytes(m, all.len);
    match_scratch_drop(&scratch);
}

void micro_detector(struct micro *m)
{
    struct str all = text();
    while (micro_more(m)) {
        struct detector *d = detector_make();
        must(d);
        for (struct str left = all; left.len;) {
            struct str piece = str_head(left, PIECE_BYTES);
            detector_feed(d, piece);
            left = str_skip(left, piece.len);
        }
        detector_end(d);
        micro_keep(detector_count(d, DETECTOR_PHONE));
        detector_drop(&d);
    }
    micro_bytes(m, all.len);
}
