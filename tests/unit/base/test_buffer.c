#include "tests/unit/harness.h"

enum {
    MAX_BYTES = 8
};

static void put_u8(struct buffer *b)
{
    buffer_put8(b, 1);
}

static void put_u16(struct buffer *b)
{
    buffer_put16(b, 0x0102);
}

static void put_u32(struct buffer *b)
{
    buffer_put32(b, 0x01020304);
}

static void put_u64(struct buffer *b)
{
    buffer_put64(b, 0x0102030405060708u);
}

static void put_bytes32(struct buffer *b)
{
    buffer_put_bytes32(b, STR("xy"));
}

static void put_bytes32_empty(struct buffer *b)
{
    buffer_put_bytes32(b, STR(""));
}

static void put_str(struct buffer *b)
{
    buffer_put(b, STR("a\0c"));
}

static void put_str_empty(struct buffer *b)
{
    buffer_put(b, (struct str){NULL, 0});
}

static void put_text(struct buffer *b)
{
    buffer_puts(b, "abc");
}

static void put_text_empty(struct buffer *b)
{
    buffer_puts(b, "");
}

static void put_char(struct buffer *b)
{
    buffer_putc(b, 'a');
}

static void put_printf(struct buffer *b)
{
    buffer_printf(b, "%s-%d", "a", 42);
}

static void put_printf_empty(struct buffer *b)
{
    buffer_printf(b, "%s", "");
}

static void put_fill(struct buffer *b)
{
    buffer_fill(b, 'f', 5);
}

static void put_fill_empty(struct buffer *b)
{
    buffer_fill(b, 'f', 0);
}

static void put_reserved(struct buffer *b)
{
    char *to = buffer_reserve(b, 3);
    if (!to)
        return;
    memcpy(to, "xyz", 3);
    buffer_added(b, 3);
}

static const struct {
    const char *name;
    void (*put)(struct buffer *b);
    struct str want;
} put_rows[] = {
    {"8 bits", put_u8, STR_INIT("\1")},
    {"16 bits", put_u16, STR_INIT("\1\2")},
    {"32 bits", put_u32, STR_INIT("\1\2\3\4")},
    {"64 bits", put_u64, STR_INIT("\1\2\3\4\5\6\7\x08")},
    {"length and bytes", put_bytes32, STR_INIT("\0\0\0\2xy")},
    {"length and no bytes", put_bytes32_empty, STR_INIT("\0\0\0\0")},
    {"str", put_str, STR_INIT("a\0c")},
    {"empty str at NULL", put_str_empty, STR_INIT("")},
    {"text", put_text, STR_INIT("abc")},
    {"empty text", put_text_empty, STR_INIT("")},
    {"char", put_char, STR_INIT("a")},
    {"printf", put_printf, STR_INIT("a-42")},
    {"empty printf", put_printf_empty, STR_INIT("")},
    {"fill", put_fill, STR_INIT("fffff")},
    {"fill none", put_fill_empty, STR_INIT("")},
    {"reserve and add", put_reserved, STR_INIT("xyz")},
};

/* What is there before, the put, and whether it was to fit: all of it goes in or nothing. */
static void check_put(size_t row, size_t before)
{
    const char *name = put_rows[row].name;
    struct str want = put_rows[row].want;
    bool fits = before + want.len <= MAX_BYTES;
    struct buffer b;
    buffer_init(&b, MAX_BYTES);
    buffer_fill(&b, '-', before);
    put_rows[row].put(&b);
    expect(b.full == !fits, "%s behind %zu", name, before);
    expect_str(str_skip(buffer_str(&b), before), fits ? want : STR(""), name);
    expect_str(str_head(buffer_str(&b), before), str_head(STR("--------"), before), name);
    if (!fits) {
        size_t len = b.len;
        buffer_putc(&b, 'x');
        expect(b.full && b.len == len, "%s behind %zu: full is sticky", name, before);
        expect(!buffer_reserve(&b, 0), "%s behind %zu: full is sticky", name, before);
        put_rows[row].put(&b);
        expect(b.full && b.len == len, "%s behind %zu: full is sticky", name, before);
    }
    buffer_clear(&b);
    expect(!b.full && b.len == 0, "%s: clear", name);
    put_rows[row].put(&b);
    expect_str(buffer_str(&b), want, name);
    buffer_drop(&b);
    expect(b.max == MAX_BYTES && !b.at && b.len == 0, "%s: dropped", name);
}

static void test_put(void)
{
    for (size_t row = 0; row < countof(put_rows); row++)
        for (size_t before = 0; before <= MAX_BYTES; before++)
            check_put(row, before);
}

static void test_zero_length(void)
{
    struct buffer b;
    buffer_init(&b, 0);
    buffer_put(&b, STR(""));
    buffer_printf(&b, "%s", "");
    buffer_fill(&b, 'x', 0);
    buffer_consume(&b, 0);
    expect(!b.full && b.len == 0, "nothing fits into nothing");
    expect_str(buffer_str(&b), STR(""), "an empty buffer has a str");
    expect(buffer_reserve(&b, 0) != NULL, "room for nothing is there");
    buffer_putc(&b, 'x');
    expect(b.full && b.len == 0, "one byte does not fit into nothing");
    buffer_drop(&b);
}

static void test_growth(void)
{
    enum {
        BYTES = 100000
    };
    struct buffer b;
    buffer_init(&b, BYTES);
    for (int i = 0; i < BYTES; i++)
        buffer_putc(&b, (char)i);
    expect(!b.full && b.len == BYTES, "%zu", b.len);
    size_t wrong = 0;
    for (size_t i = 0; i < b.len; i++)
        wrong += b.at[i] != (char)i;
    expect(wrong == 0, "%zu bytes changed while it grew", wrong);
    buffer_putc(&b, 'x');
    expect(b.full && b.len == BYTES && b.room <= BYTES, "%zu", b.room);
    buffer_drop(&b);

    buffer_init(&b, SIZE_MAX);
    buffer_put(&b, STR("ab"));
    expect(!buffer_reserve(&b, SIZE_MAX - 1), "len + bytes must not wrap");
    expect(b.full && b.len == 2, "len + bytes must not wrap");
    buffer_drop(&b);
}

static void test_consume(void)
{
    struct buffer b;
    for (size_t n = 0; n <= 5; n++) {
        buffer_init(&b, 5);
        buffer_put(&b, STR("abcde"));
        buffer_consume(&b, n);
        expect_str(buffer_str(&b), str_skip(STR("abcde"), n), "consume");
        buffer_fill(&b, 'z', n);
        expect(!b.full && b.len == 5, "what was consumed is room again");
        buffer_drop(&b);
    }
}

static void test_take(void)
{
    const struct str whole = STR("\x81\x82\x83\x84\x85\x86\x87\x88z");
    uint8_t v8 = 0;
    uint16_t v16 = 0;
    uint32_t v32 = 0;
    uint64_t v64 = 0;
    for (size_t len = 0; len <= 9; len++) {
        struct str cut = str_head(whole, len), in = cut;
        expect(take8(&in, &v8) == (len >= 1) && in.len == len - (len >= 1), "8 of %zu", len);
        in = cut;
        expect(take16(&in, &v16) == (len >= 2) && in.len == len - 2 * (len >= 2), "%zu", len);
        in = cut;
        expect(take32(&in, &v32) == (len >= 4) && in.len == len - 4 * (len >= 4), "%zu", len);
        in = cut;
        expect(take64(&in, &v64) == (len >= 8) && in.len == len - 8 * (len >= 8), "%zu", len);
    }
    expect(v8 == 0x81 && v16 == 0x8182 && v32 == 0x81828384u, "%x %x %x", v8, v16, v32);
    expect(v64 == 0x8182838485868788u, "%lx", v64);
    char raw[8];
    store64(raw, v64);
    expect(memcmp(raw, whole.at, 8) == 0 && load64(raw) == v64, "store64");
    store32(raw, v32);
    expect(memcmp(raw, whole.at, 4) == 0 && load32(raw) == v32, "store32");
}

static const struct {
    const char *name;
    struct str in;
    bool ok;
    struct str want, left;
} take_rows[] = {
    {"whole", STR_INIT("\0\0\0\2xy"), true, STR_INIT("xy"), STR_INIT("")},
    {"more behind", STR_INIT("\0\0\0\2xyz"), true, STR_INIT("xy"), STR_INIT("z")},
    {"empty", STR_INIT("\0\0\0\0z"), true, STR_INIT(""), STR_INIT("z")},
    {"one byte short", STR_INIT("\0\0\0\2x"), false, STR_INIT(""), STR_INIT("\0\0\0\2x")},
    {"length cut", STR_INIT("\0\0\0"), false, STR_INIT(""), STR_INIT("\0\0\0")},
    {"length of 4 GiB", STR_INIT("\xff\xff\xff\xffz"), false, STR_INIT(""),
     STR_INIT("\xff\xff\xff\xffz")},
};

static void test_take_bytes(void)
{
    for (size_t i = 0; i < countof(take_rows); i++) {
        struct str in = take_rows[i].in, got = STR("");
        expect(take_bytes32(&in, &got) == take_rows[i].ok, "%s", take_rows[i].name);
        expect_str(got, take_rows[i].want, take_rows[i].name);
        expect_str(in, take_rows[i].left, take_rows[i].name);
    }
}

int main(void)
{
    const struct test tests[] = {
        {"every put, up to the last byte of room", test_put},
        {"zero length", test_zero_length},
        {"growth", test_growth},
        {"consume", test_consume},
        {"take numbers", test_take},
        {"take bytes", test_take_bytes},
        {0},
    };
    return harness_run("buffer", tests);
}
