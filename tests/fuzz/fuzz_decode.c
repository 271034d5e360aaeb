/* Whole and in pieces the same; base64 also as a model says that knows no streams. */
#include "tests/fuzz/fuzz.h"

#include "core/base/base64.h"
#include "core/mail/decode.h"

enum {
    MAX_BYTES = 4 << 20
};

static void model_base64(struct str in, struct buffer *out)
{
    uint32_t bits = 0, have = 0;
    for (size_t i = 0; i < in.len; i++) {
        int value = base64_value(in.at[i]);
        have = in.at[i] == '=' ? 0 : have;
        if (value < 0)
            continue;
        bits = bits << 6 | (uint32_t)value;
        have += 6;
        if (have >= 8) {
            have -= 8;
            buffer_putc(out, (char)(bits >> have));
        }
    }
}

/* What the strict reader takes raises no doubt and reads the same. */
static void check_strict(struct str in, unsigned doubt, const struct buffer *got)
{
    struct buffer strict;
    buffer_init(&strict, MAX_BYTES);
    if (base64_decode(in, BASE64_PADDED, &strict))
        must((doubt & ~(unsigned)DECODE_LONG_LINE) == 0 && fuzz_same(&strict, got));
    else
        must(doubt || in.len == 0 || str_find(in, '\n') != SIZE_MAX);
    buffer_drop(&strict);
}

/* Encoded and decoded again. */
static void check_back(struct str in)
{
    struct buffer there, back;
    struct decode d;
    buffer_init(&there, MAX_BYTES);
    buffer_init(&back, MAX_BYTES);
    encode_base64_lines(in, &there);
    decode_init(&d, DECODE_BASE64);
    decode_feed(&d, buffer_str(&there), &back);
    decode_finish(&d, &back);
    must(d.doubt == 0 && str_eq(buffer_str(&back), in));
    buffer_drop(&there);
    buffer_drop(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    enum decode_kind kind = (enum decode_kind)(data[0] & 3);
    struct fuzz f = fuzz_start(data + 1, size - 1);
    struct decode whole, pieces;
    struct buffer a, b;
    struct str piece;
    buffer_init(&a, MAX_BYTES);
    buffer_init(&b, MAX_BYTES);
    decode_init(&whole, kind);
    decode_init(&pieces, kind);
    decode_feed(&whole, f.whole, &a);
    decode_finish(&whole, &a);
    while (fuzz_piece(&f, &piece))
        decode_feed(&pieces, piece, &b);
    decode_finish(&pieces, &b);
    must(!a.full && fuzz_same(&a, &b) && whole.doubt == pieces.doubt);
    must(str_eq(decode_name(&whole), decode_name(&pieces)));
    must(kind == DECODE_UU || a.len <= f.whole.len * DECODE_GROWTH + DECODE_HELD);
    if (kind == DECODE_BASE64) {
        buffer_clear(&b);
        model_base64(f.whole, &b);
        must(fuzz_same(&a, &b));
        check_strict(f.whole, whole.doubt, &a);
        check_back(f.whole);
    }
    buffer_drop(&a);
    buffer_drop(&b);
    return 0;
}
