/* What is shown is valid, one line, bounded; and what we write reads back the same. */
#include "tests/fuzz/fuzz.h"

#include "core/mail/utf8.h"
#include "core/mail/word.h"

enum {
    MAX_BYTES = 1 << 20,
    SHOWN_BYTES = 512
};

static void check_shown(struct str s)
{
    must(s.len <= SHOWN_BYTES && utf8_is_valid(s));
    while (s.len) {
        uint32_t c;
        s = str_skip(s, utf8_take(s, &c));
        must(!utf8_is_control(c) && !utf8_is_bidi_control(c));
    }
}

/* 7-bit, lines of at most 76, each behind the first begins with a blank. */
static void check_lines(struct str s, size_t column)
{
    while (s.len) {
        size_t end = str_find_str(s, STR("\r\n"));
        struct str line = str_head(s, end);
        must(utf8_is_ascii(line) && column + line.len <= 76);
        must(str_find(line, '\r') == SIZE_MAX && str_find(line, '\n') == SIZE_MAX);
        s = str_skip(s, end == SIZE_MAX ? s.len : end + 2);
        must(s.len == 0 || s.at[0] == ' ');
        column = 0;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct str in = str_from((const char *)data + 1, size - 1);
    struct buffer shown, written, back;
    buffer_init(&shown, MAX_BYTES);
    buffer_init(&written, MAX_BYTES);
    buffer_init(&back, MAX_BYTES);
    word_decode(in, SHOWN_BYTES, &shown);
    check_shown(buffer_str(&shown));

    size_t column = data[0] % 70;
    word_encode(buffer_str(&shown), column, &written);
    check_lines(buffer_str(&written), column);
    word_decode(buffer_str(&written), SHOWN_BYTES, &back);
    must(fuzz_same(&back, &shown));

    buffer_clear(&written);
    word_encode(in, column, &written);
    check_lines(buffer_str(&written), column);
    buffer_drop(&shown);
    buffer_drop(&written);
    buffer_drop(&back);
    return 0;
}
