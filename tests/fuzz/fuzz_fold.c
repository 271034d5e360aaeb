/* Whole and in pieces the same, folded text folds to itself, and what a model says that normalises
 * the whole text at once. */
#include "tests/fuzz/fuzz.h"

#include "core/mail/fold.h"
#include "core/mail/fold_table.h"
#include "core/mail/utf8.h"

#include <unicode/unorm2.h>

enum {
    MAX_BYTES = 4 << 20,
    MODEL_UNITS = 4096,
};

/* Without what shows nothing, unified, white space as "\n"; 0: too long, or more marks than one
 * segment has. */
static int32_t model_read(struct str in, UChar *to)
{
    int32_t len = 0;
    size_t marks = 0;
    while (in.len) {
        uint32_t c;
        size_t bytes = utf8_take(in, &c);
        c = bytes ? c : 0xFFFD;
        in = str_skip(in, bytes ? bytes : 1);
        uint32_t what = fold_describe(c);
        if (what & FOLD_DROP)
            continue;
        marks = what & FOLD_JOINS ? marks + 1 : 0;
        c = what & FOLD_BLANK ? '\n' : fold_unify(c);
        if (len + 2 > MODEL_UNITS || marks >= FOLD_SEGMENT - 1)
            return 0;
        U16_APPEND_UNSAFE(to, len, c);
    }
    return len;
}

static bool is_blank_between(unsigned last, unsigned next)
{
    bool japanese = last == FOLD_JAPANESE || next == FOLD_JAPANESE;
    bool letter = last == FOLD_LETTER || next == FOLD_LETTER;
    return last != FOLD_NOTHING && (!japanese || letter);
}

static bool model(struct str in, struct buffer *out)
{
    static UChar text[MODEL_UNITS], folded[MODEL_UNITS * 18];
    UErrorCode error = U_ZERO_ERROR;
    int32_t len = model_read(in, text);
    if (!len)
        return false;
    len = unorm2_normalize(unorm2_getNFKCCasefoldInstance(&error), text, len, folded,
                           countof(folded), &error);
    must(U_SUCCESS(error));
    unsigned last = FOLD_NOTHING;
    bool blank = false;
    for (int32_t i = 0; i < len;) {
        UChar32 c;
        U16_NEXT_UNSAFE(folded, i, c);
        if (c == '\n' || c == ' ') {
            blank = true;
            continue;
        }
        c = (UChar32)fold_unify((uint32_t)c);
        unsigned class = fold_class((uint32_t)c);
        if (c == 0x3099 || c == 0x309A)
            class = blank || last == FOLD_NOTHING ? FOLD_LETTER : last;
        if (blank && is_blank_between(last, class))
            buffer_putc(out, ' ');
        utf8_put(out, (uint32_t)c);
        blank = false;
        last = class;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz f = fuzz_start(data, size);
    struct fold pieces;
    struct fold_map map;
    struct buffer a, b;
    struct str piece;
    buffer_init(&a, MAX_BYTES);
    buffer_init(&b, MAX_BYTES);
    fold_map_init(&map);
    fold_text(f.whole, &a);
    fold_init(&pieces, &map);
    while (fuzz_piece(&f, &piece))
        fold_feed(&pieces, piece, &b);
    fold_finish(&pieces, &b);
    must(!a.full && utf8_is_valid(buffer_str(&a)) && fuzz_same(&a, &b));
    must(a.len <= f.whole.len * FOLD_GROWTH + FOLD_HELD);
    must(pieces.folded == b.len && pieces.source == f.whole.len);
    for (uint32_t i = 0; i + 1 < map.count; i++)
        must(map.mark[i].folded < map.mark[i + 1].folded &&
             map.mark[i].source < map.mark[i + 1].source);
    buffer_clear(&b);
    if (model(f.whole, &b)) {
        must(fuzz_same(&a, &b));
        buffer_clear(&b);
        fold_text(buffer_str(&a), &b);
        must(fuzz_same(&a, &b));
    }
    fold_map_drop(&map);
    buffer_drop(&a);
    buffer_drop(&b);
    return 0;
}
