/* Valid UTF-8 comes out, the same whole and in pieces; UTF-8 also as a model says. */
#include "tests/fuzz/fuzz.h"

#include "core/mail/charset.h"
#include "core/mail/utf8.h"

enum {
    MAX_BYTES = 4 << 20
};

static const struct str names[] = {
    STR_INIT("utf-8"),
    STR_INIT("iso-2022-jp"),
    STR_INIT("shift_jis"),
    STR_INIT("euc-jp"),
    STR_INIT(""),
    STR_INIT("utf-16"),
    STR_INIT("utf-7"),
    STR_INIT("gb18030"),
    STR_INIT("big5"),
    STR_INIT("euc-kr"),
    STR_INIT("windows-1252"),
    STR_INIT("utf-16le"),
    STR_INIT("utf-32"),
    STR_INIT("iso-2022-kr"),
    STR_INIT("iso-2022-cn"),
    STR_INIT("hz"),
    STR_INIT("iso-2022-jp-2"),
};

static void model_utf8(struct str in, struct buffer *out)
{
    while (in.len) {
        uint32_t c;
        size_t bytes = utf8_take(in, &c);
        utf8_put(out, bytes ? c : 0xFFFD);
        in = str_skip(in, bytes ? bytes : 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct charset_cache *cache;
    if (size < 1)
        return 0;
    if (!cache)
        cache = charset_cache_make();
    struct str name = names[data[0] % countof(names)];
    struct fuzz f = fuzz_start(data + 1, size - 1);
    struct charset whole, pieces;
    struct buffer a, b;
    struct str piece;
    buffer_init(&a, MAX_BYTES);
    buffer_init(&b, MAX_BYTES);
    charset_open(&whole, cache, name);
    charset_feed(&whole, f.whole, &a);
    charset_finish(&whole, &a);
    charset_drop(&whole);
    charset_open(&pieces, cache, name);
    while (fuzz_piece(&f, &piece)) {
        size_t before = b.len, held = pieces.look.len;
        charset_feed(&pieces, piece, &b);
        must(b.len - before <= CHARSET_GROWTH * (piece.len + held) + 16);
    }
    charset_finish(&pieces, &b);
    charset_drop(&pieces);
    must(!a.full && utf8_is_valid(buffer_str(&a)) && fuzz_same(&a, &b));
    must(whole.doubt == pieces.doubt);
    if (data[0] % countof(names) == 0) {
        buffer_clear(&b);
        model_utf8(f.whole, &b);
        must(fuzz_same(&a, &b));
    }
    buffer_drop(&a);
    buffer_drop(&b);
    return 0;
}
