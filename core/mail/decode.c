#include "core/mail/decode.h"

#include "core/base/base64.h"

void decode_base64(struct str in, struct buffer *out)
{
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < in.len && !out->full; i++) {
        int value = base64_value(in.at[i]);
        if (value < 0) {
            if (in.at[i] == '=')
                have = 0; /* what is left of the group is padding */
            continue;
        }
        bits = bits << 6 | (uint32_t)value;
        have += 6;
        if (have >= 8) {
            have -= 8;
            buffer_putc(out, (char)(bits >> have));
        }
    }
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = char_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "=XX" at `i` of `in`, or -1. */
static int hex_pair(struct str in, size_t i)
{
    if (in.len - i < 3 || hex(in.at[i + 1]) < 0 || hex(in.at[i + 2]) < 0)
        return -1;
    return hex(in.at[i + 1]) << 4 | hex(in.at[i + 2]);
}

void decode_q(struct str in, struct buffer *out)
{
    for (size_t i = 0; i < in.len && !out->full; i++) {
        int byte = in.at[i] == '=' ? hex_pair(in, i) : -1;
        if (byte >= 0)
            i += 2;
        buffer_putc(out, byte >= 0 ? (char)byte : in.at[i] == '_' ? ' ' : in.at[i]);
    }
}

static void put_quoted(struct str line, struct buffer *out)
{
    for (size_t i = 0; i < line.len; i++) {
        int byte = line.at[i] == '=' ? hex_pair(line, i) : -1;
        buffer_putc(out, byte >= 0 ? (char)byte : line.at[i]);
        i += byte >= 0 ? 2 : 0;
    }
}

static struct str trim_end(struct str line)
{
    while (line.len && (line.at[line.len - 1] == ' ' || line.at[line.len - 1] == '\t'))
        line.len--;
    return line;
}

void decode_quoted(struct str in, struct buffer *out)
{
    while (in.len && !out->full) {
        size_t lf = str_find(in, '\n');
        bool ended = lf != SIZE_MAX;
        struct str line = str_head(in, lf);
        in = str_skip(in, ended ? lf + 1 : in.len);
        if (line.len && line.at[line.len - 1] == '\r')
            line.len--;
        line = trim_end(line);
        bool soft = line.len && line.at[line.len - 1] == '=';
        line.len -= soft;
        put_quoted(line, out);
        if (ended && !soft)
            buffer_puts(out, "\r\n");
    }
}

void encode_base64_lines(struct str in, struct buffer *out)
{
    enum {
        LINE_BYTES = 76 / 4 * 3
    };

    while (in.len && !out->full) {
        base64_encode(str_head(in, LINE_BYTES), BASE64_PADDED, out);
        buffer_puts(out, "\r\n");
        in = str_skip(in, LINE_BYTES);
    }
}

static void encode_quoted_line(struct str line, struct buffer *out)
{
    enum {
        LINE_BYTES = 75
    }; /* and the "=" of a soft break */

    size_t column = 0;
    for (size_t i = 0; i < line.len; i++) {
        char c = line.at[i];
        bool last = i + 1 == line.len;
        bool plain = (c > ' ' && c <= '~' && c != '=') || ((c == ' ' || c == '\t') && !last);
        size_t need = plain ? 1 : 3;
        if (column + need > LINE_BYTES) {
            buffer_puts(out, "=\r\n");
            column = 0;
        }
        column += need;
        if (plain)
            buffer_putc(out, c);
        else
            buffer_printf(out, "=%02X", (unsigned)(unsigned char)c);
    }
}

void encode_quoted(struct str in, struct buffer *out)
{
    while (in.len && !out->full) {
        size_t end = str_find_str(in, STR("\r\n"));
        encode_quoted_line(str_head(in, end), out);
        buffer_puts(out, "\r\n");
        in = str_skip(in, end == SIZE_MAX ? in.len : end + 2);
    }
}
