#include "core/mail/utf8.h"

enum {
    REPLACEMENT = 0xFFFD
};

static bool is_tail(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

size_t utf8_take(struct str s, uint32_t *c)
{
    if (s.len == 0)
        return 0;
    unsigned char lead = (unsigned char)s.at[0];
    if (lead < 0x80) {
        *c = lead;
        return 1;
    }
    size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || s.len < bytes)
        return 0;
    uint32_t value = lead & (0x7Fu >> bytes);
    for (size_t i = 1; i < bytes; i++) {
        if (!is_tail(s.at[i]))
            return 0;
        value = value << 6 | ((unsigned char)s.at[i] & 0x3F);
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (value < least[bytes] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF))
        return 0;
    *c = value;
    return bytes;
}

bool utf8_is_head(struct str s)
{
    static const char fill[] = {(char)0x80, (char)0xBF};
    char whole[4];
    uint32_t c;
    if (s.len == 0 || s.len >= sizeof whole || (unsigned char)s.at[0] < 0x80)
        return false;
    for (size_t i = 0; i < sizeof fill; i++) {
        memset(whole, fill[i], sizeof whole);
        memcpy(whole, s.at, s.len);
        if (utf8_take(str_from(whole, sizeof whole), &c) > s.len)
            return true;
    }
    return false;
}

void utf8_put(struct buffer *out, uint32_t c)
{
    char at[4];
    size_t bytes = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = bytes; i-- > 1; c >>= 6)
        at[i] = (char)(0x80 | (c & 0x3F));
    at[0] = (char)(lead[bytes] | c);
    buffer_put(out, str_from(at, bytes));
}

bool utf8_is_valid(struct str s)
{
    uint32_t c;
    while (s.len) {
        size_t bytes = utf8_take(s, &c);
        if (!bytes)
            return false;
        s = str_skip(s, bytes);
    }
    return true;
}

bool utf8_is_ascii(struct str s)
{
    unsigned char all = 0;
    for (size_t i = 0; i < s.len; i++)
        all |= (unsigned char)s.at[i];
    return all < 0x80;
}

bool utf8_is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0x2028 || c == 0x2029;
}

bool utf8_is_bidi_control(uint32_t c)
{
    return c == 0x61C || c == 0x200E || c == 0x200F || (c >= 0x202A && c <= 0x202E) ||
           (c >= 0x2066 && c <= 0x2069);
}

bool utf8_is_hidden(uint32_t c)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        {0xAD, 0xAD},     {0x34F, 0x34F},   {0x61C, 0x61C},   {0x115F, 0x1160}, {0x17B4, 0x17B5},
        {0x180B, 0x180F}, {0x200B, 0x200F}, {0x202A, 0x202E}, {0x2060, 0x206F}, {0x3164, 0x3164},
        {0xFE00, 0xFE0F}, {0xFEFF, 0xFEFF}, {0xFFA0, 0xFFA0}, {0xFFF0, 0xFFFB}, {0xE0000, 0xE0FFF},
    };

    for (size_t i = 0; i < countof(ranges); i++)
        if (c >= ranges[i].first && c <= ranges[i].last)
            return true;
    return false;
}

struct str utf8_head(struct str s, size_t max)
{
    if (s.len <= max)
        return s;
    while (max && is_tail(s.at[max]))
        max--;
    return str_head(s, max);
}

static uint32_t displayed(uint32_t c)
{
    if (c == '\t' || c == '\r' || c == '\n' || c == 0x85 || c == 0x2028 || c == 0x2029)
        return ' ';
    return utf8_is_control(c) || utf8_is_bidi_control(c) ? REPLACEMENT : c;
}

void utf8_clean(struct str s, size_t max, struct buffer *out)
{
    size_t start = out->len;
    while (s.len && !out->full) {
        uint32_t c;
        size_t bytes = utf8_take(s, &c);
        c = bytes ? displayed(c) : REPLACEMENT;
        size_t need = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        if (out->len - start + need > max)
            return;
        utf8_put(out, c);
        s = str_skip(s, bytes ? bytes : 1);
    }
}
