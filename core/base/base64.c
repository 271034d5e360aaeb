#include "core/base/base64.h"

#include "core/base/base.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static bool strip_padding(struct str *in)
{
    if (in->len % 4)
        return false;
    for (int i = 0; i < 2 && in->len && in->at[in->len - 1] == '='; i++)
        in->len--;
    return true;
}

bool base64_decode(struct str in, enum base64_form form, struct buffer *out)
{
    if (form == BASE64_PADDED && !strip_padding(&in))
        return false;
    char *to = in.len % 4 == 1 ? NULL : buffer_reserve(out, in.len / 4 * 3 + 2);
    if (!to)
        return false;
    uint32_t bits = 0;
    size_t have = 0, len = 0;
    for (size_t i = 0; i < in.len; i++) {
        int v = base64_value(in.at[i]);
        if (v < 0)
            return false;
        bits = bits << 6 | (uint32_t)v;
        have += 6;
        if (have >= 8) {
            have -= 8;
            to[len++] = (char)(bits >> have & 0xff);
        }
    }
    if (bits & ((1u << have) - 1))
        return false;
    buffer_added(out, len);
    return true;
}

void base64_encode(struct str in, enum base64_form form, struct buffer *out)
{
    for (size_t i = 0; i < in.len; i += 3) {
        size_t left = size_min(in.len - i, 3);
        uint32_t v = (uint32_t)(uint8_t)in.at[i] << 16;
        v |= left > 1 ? (uint32_t)(uint8_t)in.at[i + 1] << 8 : 0;
        v |= left > 2 ? (uint8_t)in.at[i + 2] : 0;
        for (size_t k = 0; k <= left; k++)
            buffer_putc(out, letters[v >> (18 - 6 * k) & 63]);
        if (form == BASE64_PADDED)
            buffer_fill(out, '=', 3 - left);
    }
}
