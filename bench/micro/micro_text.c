/* micro_text.c -- from the bytes of a part to the text that is looked at. */
#include "bench/micro/micro.h"

#include "core/mail/charset.h"
#include "core/mail/decode.h"
#include "core/mail/fold.h"

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

static void charset(struct micro *m, struct str name, struct str in)
{
    struct charset_cache *cache = charset_cache_make();
    struct buffer out;
    buffer_init(&out, OUT_BYTES);
    while (micro_more(m)) {
        struct charset c;
        buffer_clear(&out);
        charset_open(&c, cache, name);
        charset_feed(&c, in, &out);
        charset_finish(&c, &out);
        charset_drop(&c);
        must(c.doubt == 0 && !out.full);
    }
    micro_bytes(m, in.len);
    buffer_drop(&out);
    charset_cache_drop(&cache);
}

void micro_charset_utf8(struct micro *m)
{
    struct buffer in;
    repeat(STR("お世話になっております。Sekimori の見積書をお送りします。\r\n"), &in);
    charset(m, STR("utf-8"), buffer_str(&in));
    buffer_drop(&in);
}

void micro_charset_jis(struct micro *m)
{
    struct buffer in;
    repeat(STR("\x1b$B$*@$OC$K$J$C$F$*$j$^$9!#\x1b(BSekimori \x1b$B$N8+@Q=q$G$9!#\x1b(B\r\n"), &in);
    charset(m, STR("iso-2022-jp"), buffer_str(&in));
    buffer_drop(&in);
}

void micro_charset_cp932(struct micro *m)
{
    struct buffer in;
    repeat(STR("\x82\xa8\x90\xa2\x98\x62\x82\xc9\x82\xc8\x82\xc1\x82\xc4\x82\xa8\x82\xe8\x82\xdc"
               "\x82\xb7 Sekimori \x8c\xa9\x90\xcf\x8f\x91\r\n"),
           &in);
    charset(m, STR("cp932"), buffer_str(&in));
    buffer_drop(&in);
}

static void fold(struct micro *m, struct str text)
{
    struct buffer in, out;
    struct fold_map map;
    repeat(text, &in);
    buffer_init(&out, OUT_BYTES);
    while (micro_more(m)) {
        struct fold f;
        buffer_clear(&out);
        fold_map_init(&map);
        fold_init(&f, &map);
        fold_feed(&f, buffer_str(&in), &out);
        fold_finish(&f, &out);
        must(!out.full);
        fold_map_drop(&map);
    }
    micro_bytes(m, in.len);
    buffer_drop(&in);
    buffer_drop(&out);
}

void micro_fold_ascii(struct micro *m)
{
    fold(m, STR("Dear Bob, please find the quotation of this month attached. Kind regards, "
                "Alice\r\n"));
}

void micro_fold_japanese(struct micro *m)
{
    fold(m,
         STR("お世話になっております。Sekimori の見積書をお送りしますので、ご確認ください。\r\n"));
}

void micro_fold_kana(struct micro *m)
{
    fold(m, STR("ｵｾﾜﾆﾅｯﾃｵﾘﾏｽ｡ ﾐﾂﾓﾘｼｮｦ ｺﾞｶｸﾆﾝｸﾀﾞｻｲ｡\r\n"));
}
