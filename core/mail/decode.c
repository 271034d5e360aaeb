#include "core/mail/decode.h"

#include "core/base/base64.h"

enum {
    SLICE_BYTES = 16 << 10, /* of one reservation: a full buffer loses less than this */
    LETTER = 0x80,          /* base64_letters: this byte is one */

    /* decode.state of quoted-printable */
    QUOTED_TEXT = 0,
    QUOTED_EQUAL,       /* behind "=" */
    QUOTED_HEX,         /* behind "=" and a digit, which is in decode.bits */
    QUOTED_EQUAL_BLANK, /* behind "=" and blanks, which are held */

    /* decode.state of uuencode */
    UU_BEFORE = 0,
    UU_DATA,
    UU_AFTER,
};

/* LETTER and the value; what is left out is zero. */
static const uint8_t base64_letters[256] = {
    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,
    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,
    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0xBE, 0,    0,    0,    0xBF,
    0xB4, 0xB5, 0xB6, 0xB7, 0xB8, 0xB9, 0xBA, 0xBB, 0xBC, 0xBD, 0,    0,    0,    0,    0,    0,
    0,    0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8B, 0x8C, 0x8D, 0x8E,
    0x8F, 0x90, 0x91, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0,    0,    0,    0,    0,
    0,    0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8,
    0xA9, 0xAA, 0xAB, 0xAC, 0xAD, 0xAE, 0xAF, 0xB0, 0xB1, 0xB2, 0xB3, 0,    0,    0,    0,    0,
};

void decode_init(struct decode *d, enum decode_kind kind)
{
    memset(d, 0, offsetof(struct decode, held));
    d->kind = kind;
}

static void pass(struct decode *d, uint32_t bytes)
{
    d->column += bytes;
    if (d->column > DECODE_LINE_MAX) {
        d->doubt |= DECODE_LONG_LINE;
        d->column = DECODE_LINE_MAX + 1;
    }
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* base64: `count` letters of the group are in `bits`. */

/* The group ends, by "=" or with the text. */
static void end_group(struct decode *d)
{
    if (d->count == 1)
        d->doubt |= DECODE_PADDING_ODD;
    uint32_t rest = d->count == 2 ? 0xF : d->count == 3 ? 3 : 0;
    if (d->bits & rest)
        d->doubt |= DECODE_BITS;
    d->count = 0;
}

/* decode.state is the number of "=" that are still due. */
static void take_padding(struct decode *d)
{
    if (d->count == 0) {
        if (d->state == 0)
            d->doubt |= DECODE_PADDING_ODD;
        d->state -= d->state > 0;
    } else {
        d->state = d->count == 2;
        end_group(d);
    }
    d->padded = true;
}

static char *take_letter(struct decode *d, uint8_t letter, char *to)
{
    if (d->padded) {
        d->doubt |= DECODE_PADDING_INSIDE | (d->state ? DECODE_PADDING_ODD : 0u);
        d->padded = false;
        d->state = 0;
    }
    d->bits = d->bits << 6 | (letter & 63u);
    d->count = (d->count + 1) & 3;
    if (d->count != 1)
        *to++ = (char)(d->bits >> (2 * (3 - ((d->count + 3) & 3))));
    return to;
}

/* One byte, of which at most one comes out. */
static char *take_base64(struct decode *d, char c, char *to)
{
    uint8_t letter = base64_letters[(uint8_t)c];
    bool was_cr = d->cr;
    d->cr = c == '\r';
    if (was_cr != (c == '\n')) /* CR without LF behind, or LF without CR before it */
        d->doubt |= DECODE_LINE_END;
    if (c == '\n') {
        d->column = 0;
        return to;
    }
    if (c == '\r')
        return to;
    pass(d, 1);
    if (letter)
        return take_letter(d, letter, to);
    if (c == '=')
        take_padding(d);
    else
        d->doubt |= is_blank(c) ? DECODE_BLANKS : DECODE_FOREIGN;
    return to;
}

/* Whole groups as long as there are only letters: where the time goes. */
static char *take_groups(struct decode *d, struct str *in, char *to)
{
    enum {
        LETTERS = LETTER << 18 | LETTER << 12 | LETTER << 6 | LETTER
    };

    const uint8_t *at = (const uint8_t *)in->at, *end = at + (in->len & ~(size_t)3), *from = at;
    for (; at < end; at += 4, to += 3) {
        uint32_t a = base64_letters[at[0]], b = base64_letters[at[1]];
        uint32_t c = base64_letters[at[2]], e = base64_letters[at[3]];
        if (!(a & b & c & e & LETTER))
            break;
        uint32_t v = (a << 18) + (b << 12) + (c << 6) + e - LETTERS;
        to[0] = (char)(v >> 16);
        to[1] = (char)(v >> 8);
        to[2] = (char)v;
    }
    pass(d, (uint32_t)(at - from));
    *in = str_skip(*in, (size_t)(at - from));
    return to;
}

static void feed_base64(struct decode *d, struct str in, struct buffer *out)
{
    while (in.len) {
        struct str slice = str_head(in, SLICE_BYTES);
        in = str_skip(in, slice.len);
        char *start = buffer_reserve(out, slice.len / 4 * 3 + 3), *to = start;
        if (!to)
            return;
        while (slice.len) {
            if (d->count == 0 && !d->padded && !d->cr)
                to = take_groups(d, &slice, to);
            for (size_t n = size_min(slice.len, 4); n; n--) {
                to = take_base64(d, slice.at[0], to);
                slice = str_skip(slice, 1);
                if (d->count == 0)
                    break;
            }
        }
        buffer_added(out, (size_t)(to - start));
    }
}

static void finish_base64(struct decode *d)
{
    if (d->cr)
        d->doubt |= DECODE_LINE_END;
    if (d->count || d->state)
        d->doubt |= DECODE_PADDING_ODD;
    end_group(d);
}

/* quoted-printable */

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

static void put_held(struct decode *d, struct buffer *out)
{
    buffer_put(out, str_from(d->held, d->held_bytes));
    d->held_bytes = 0;
}

/* A blank that the end of the line may drop. */
static void hold(struct decode *d, char c, struct buffer *out)
{
    if (d->held_bytes == sizeof d->held) {
        d->doubt |= DECODE_LONG_LINE;
        put_held(d, out);
    }
    d->held[d->held_bytes++] = c;
}

/* What looked like an escape was none. */
static void end_escape(struct decode *d, struct buffer *out)
{
    if (d->state != QUOTED_TEXT) {
        d->doubt |= DECODE_ESCAPE;
        buffer_putc(out, '=');
        if (d->state == QUOTED_HEX)
            buffer_putc(out, (char)d->bits);
    }
    d->state = QUOTED_TEXT;
}

static void end_quoted_line(struct decode *d, struct buffer *out)
{
    bool soft = d->state == QUOTED_EQUAL || d->state == QUOTED_EQUAL_BLANK;
    if (d->state == QUOTED_EQUAL_BLANK)
        d->doubt |= DECODE_BLANKS;
    if (!soft) {
        end_escape(d, out);
        buffer_puts(out, "\r\n");
    }
    d->state = QUOTED_TEXT;
    d->held_bytes = 0;
    d->cr = false;
    d->column = 0;
}

static void take_text(struct decode *d, char c, struct buffer *out)
{
    if (is_blank(c)) {
        hold(d, c, out);
        return;
    }
    put_held(d, out);
    if (c == '=') {
        d->state = QUOTED_EQUAL;
        return;
    }
    if (c < ' ' || c > '~')
        d->doubt |= DECODE_FOREIGN;
    buffer_putc(out, c);
}

static void take_quoted(struct decode *d, char c, struct buffer *out)
{
    if (c == '\n') {
        d->doubt |= d->cr ? 0u : DECODE_LINE_END;
        end_quoted_line(d, out);
        return;
    }
    if (d->cr) { /* it stands alone and is text */
        d->doubt |= DECODE_LINE_END;
        d->cr = false;
        end_escape(d, out);
        put_held(d, out);
        buffer_putc(out, '\r');
    }
    if (c == '\r') {
        d->cr = true;
        return;
    }
    pass(d, 1);
    bool blank = is_blank(c);
    if (d->state == QUOTED_EQUAL && hex(c) >= 0) {
        d->state = QUOTED_HEX;
        d->bits = (uint8_t)c;
    } else if (d->state == QUOTED_HEX && hex(c) >= 0) {
        buffer_putc(out, (char)(hex((char)d->bits) << 4 | hex(c)));
        d->state = QUOTED_TEXT;
    } else if ((d->state == QUOTED_EQUAL || d->state == QUOTED_EQUAL_BLANK) && blank) {
        d->state = QUOTED_EQUAL_BLANK;
        hold(d, c, out);
    } else {
        end_escape(d, out);
        take_text(d, c, out);
    }
}

/* Bytes at the front that stand for themselves, blanks among them. */
static size_t plain_bytes(struct str in)
{
    size_t n = 0;
    while (n < in.len &&
           ((in.at[n] >= ' ' && in.at[n] <= '~' && in.at[n] != '=') || in.at[n] == '\t'))
        n++;
    while (n && is_blank(in.at[n - 1]))
        n--;
    return n;
}

static void feed_quoted(struct decode *d, struct str in, struct buffer *out)
{
    while (in.len && !out->full) {
        size_t n = d->state == QUOTED_TEXT && !d->cr ? plain_bytes(in) : 0;
        if (n) {
            pass(d, (uint32_t)size_min(n, DECODE_LINE_MAX + 1));
            put_held(d, out);
            buffer_put(out, str_head(in, n));
            in = str_skip(in, n);
        }
        for (; in.len; in = str_skip(in, 1)) {
            take_quoted(d, in.at[0], out);
            if (d->state == QUOTED_TEXT && !d->cr && d->held_bytes == 0) {
                in = str_skip(in, 1);
                break;
            }
        }
    }
}

static void finish_quoted(struct decode *d, struct buffer *out)
{
    if (d->cr)
        d->doubt |= DECODE_LINE_END;
    if (d->state == QUOTED_HEX)
        end_escape(d, out);
    else if (d->state != QUOTED_TEXT)
        d->doubt |= DECODE_ESCAPE; /* a soft line break without a next line */
    d->held_bytes = 0;
}

/* uuencode: a line is held until it is whole. */

static bool read_begin(struct decode *d, struct str line)
{
    struct str word = str_word(&line);
    if (!str_eq(word, STR("begin")))
        return false;
    struct str mode = str_word(&line);
    for (size_t i = 0; i < mode.len; i++)
        if (mode.at[i] < '0' || mode.at[i] > '7')
            return false;
    struct str name = str_trim(line);
    if (mode.len < 3 || mode.len > 4 || name.len == 0)
        return false;
    d->name_bytes = (uint16_t)size_min(name.len, sizeof d->name);
    memcpy(d->name, name.at, d->name_bytes);
    return true;
}

static uint32_t uu_value(struct decode *d, struct str line, size_t i)
{
    if (i >= line.len) {
        d->doubt |= DECODE_UU_SHORT;
        return 0;
    }
    if (line.at[i] < ' ' || line.at[i] > '`')
        d->doubt |= DECODE_FOREIGN;
    return ((uint8_t)line.at[i] - 32u) & 63;
}

static void uu_data(struct decode *d, struct str line, struct buffer *out)
{
    size_t bytes = line.len ? uu_value(d, line, 0) : 0;
    for (size_t i = 1; bytes; i += 4) {
        uint32_t v = uu_value(d, line, i) << 18 | uu_value(d, line, i + 1) << 12;
        v |= (bytes > 1 ? uu_value(d, line, i + 2) : 0) << 6;
        v |= bytes > 2 ? uu_value(d, line, i + 3) : 0;
        const char three[] = {(char)(v >> 16), (char)(v >> 8), (char)v};
        size_t n = size_min(bytes, 3);
        buffer_put(out, str_from(three, n));
        bytes -= n;
    }
}

static void uu_line(struct decode *d, struct str line, struct buffer *out)
{
    if (d->state == UU_DATA) {
        if (str_eq(str_trim(line), STR("end")))
            d->state = UU_AFTER;
        else
            uu_data(d, line, out);
        return;
    }
    if (read_begin(d, line)) {
        d->doubt |= d->state == UU_AFTER ? DECODE_UU_MORE : 0u;
        d->state = UU_DATA;
    } else if (str_trim(line).len) {
        d->doubt |= DECODE_UU_TEXT;
    }
}

static void end_uu_line(struct decode *d, struct buffer *out)
{
    struct str line = str_from(d->held, d->held_bytes);
    bool crlf = line.len && line.at[line.len - 1] == '\r';
    line.len -= crlf;
    d->doubt |= crlf ? 0u : DECODE_LINE_END;
    if (line.len > DECODE_LINE_MAX + 1) /* 61 letters are usual */
        d->doubt |= DECODE_LONG_LINE;
    uu_line(d, line, out);
    d->held_bytes = 0;
}

static void feed_uu(struct decode *d, struct str in, struct buffer *out)
{
    while (in.len && !out->full) {
        size_t end = str_find(in, '\n');
        struct str piece = str_head(in, end);
        size_t n = size_min(piece.len, sizeof d->held - d->held_bytes);
        memcpy(d->held + d->held_bytes, piece.at, n);
        d->held_bytes = (uint16_t)(d->held_bytes + n);
        in = str_skip(in, end == SIZE_MAX ? in.len : end + 1);
        if (end != SIZE_MAX)
            end_uu_line(d, out);
    }
}

static void finish_uu(struct decode *d, struct buffer *out)
{
    if (d->held_bytes)
        end_uu_line(d, out);
    if (d->state == UU_BEFORE)
        d->doubt |= DECODE_UU_NO_BEGIN;
    if (d->state == UU_DATA)
        d->doubt |= DECODE_UU_NO_END;
}

void decode_feed(struct decode *d, struct str in, struct buffer *out)
{
    switch (d->kind) {
    case DECODE_IDENTITY:
        buffer_put(out, in);
        break;
    case DECODE_BASE64:
        feed_base64(d, in, out);
        break;
    case DECODE_QUOTED:
        feed_quoted(d, in, out);
        break;
    case DECODE_UU:
        feed_uu(d, in, out);
        break;
    }
}

void decode_finish(struct decode *d, struct buffer *out)
{
    if (d->kind == DECODE_BASE64)
        finish_base64(d);
    else if (d->kind == DECODE_QUOTED)
        finish_quoted(d, out);
    else if (d->kind == DECODE_UU)
        finish_uu(d, out);
}

static void whole(enum decode_kind kind, struct str in, struct buffer *out)
{
    struct decode d;
    decode_init(&d, kind);
    decode_feed(&d, in, out);
    decode_finish(&d, out);
}

void decode_base64(struct str in, struct buffer *out)
{
    whole(DECODE_BASE64, in, out);
}

void decode_quoted(struct str in, struct buffer *out)
{
    whole(DECODE_QUOTED, in, out);
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
