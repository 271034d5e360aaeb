/* micro_text.c -- from the bytes of a part to the text that is looked at. */
#include "bench/micro/micro.h"

#include "core/mail/decode.h"

enum {
    TEXT_BYTES = 64 << 10,
    OUT_BYTES = 4 << 20,
};

/* `text` again and again, about TEXT_BYTES of it. */
static void repeat(struct str text, struct buffer *b)
{
    buffer_init(b, OUT_BYTES);
    while (b->len + text.len <= TEXT_BYTES)
        buffer_put(b, text);
}

static void decode(struct micro *m, enum decode_kind kind, struct str in)
{
    struct buffer out;
    buffer_init(&out, OUT_BYTES);
    while (micro_more(m)) {
        struct decode d;
        buffer_clear(&out);
        decode_init(&d, kind);
        decode_feed(&d, in, &out);
        decode_finish(&d, &out);
        must(d.doubt == 0 && !out.full);
    }
    micro_bytes(m, in.len);
    buffer_drop(&out);
}

void micro_decode_base64(struct micro *m)
{
    struct buffer text, in;
    repeat(STR("The quick brown fox jumps over the lazy dog."), &text);
    buffer_init(&in, OUT_BYTES);
    encode_base64_lines(buffer_str(&text), &in);
    decode(m, DECODE_BASE64, buffer_str(&in));
    buffer_drop(&text);
    buffer_drop(&in);
}

void micro_decode_quoted(struct micro *m)
{
    struct buffer text, in;
    repeat(STR("Dear all, please find the 見積書 of this month below.\r\n"), &text);
    buffer_init(&in, OUT_BYTES);
    encode_quoted(buffer_str(&text), &in);
    decode(m, DECODE_QUOTED, buffer_str(&in));
    buffer_drop(&text);
    buffer_drop(&in);
}
