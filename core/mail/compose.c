#include "core/mail/compose.h"

#include "core/base/clock.h"
#include "core/base/limit.h"
#include "core/mail/decode.h"
#include "core/mail/utf8.h"
#include "core/mail/word.h"

#include <stdlib.h>

enum {
    FIELD_BYTES = 900,
    TEXT_BYTES = 8 << 20
};

void compose_field(const char *name, struct str value, struct buffer *out)
{
    buffer_printf(out, "%s: ", name);
    value = str_head(value, FIELD_BYTES);
    for (size_t i = 0; i < value.len; i++) {
        char c = value.at[i];
        buffer_putc(out, c >= ' ' && c <= '~' ? c : '?');
    }
    buffer_puts(out, "\r\n");
}

/* An address came through address_parse() or from settings; a byte that could break out is
 * dropped. */
static void put_address(struct str address, struct buffer *out)
{
    buffer_putc(out, '<');
    address = str_head(address, FIELD_BYTES);
    for (size_t i = 0; i < address.len; i++) {
        unsigned char c = (unsigned char)address.at[i];
        if (c >= ' ' && c != 0x7F && c != '<' && c != '>')
            buffer_putc(out, address.at[i]);
    }
    buffer_putc(out, '>');
}

void compose_address(const char *name, struct str phrase, struct str address, struct buffer *out)
{
    buffer_printf(out, "%s: ", name);
    if (phrase.len) {
        word_encode(phrase, strlen(name) + 2, out);
        buffer_puts(out, " ");
    }
    put_address(address, out);
    buffer_puts(out, "\r\n");
}

void compose_subject(const char *prefix, struct str subject, struct buffer *out)
{
    struct buffer text;
    buffer_init(&text, (size_t)4 * LIMIT_SUBJECT_BYTES);
    buffer_puts(&text, prefix);
    buffer_putc(&text, ' ');
    utf8_clean(str_trim(subject), LIMIT_SUBJECT_BYTES, &text);
    buffer_puts(out, "Subject: ");
    word_encode(str_trim(buffer_str(&text)), strlen("Subject: "), out);
    buffer_puts(out, "\r\n");
    buffer_drop(&text);
}

void compose_date(uint64_t ms, struct buffer *out)
{
    struct clock_date date = clock_date(ms);
    compose_field("Date", str_c(date.at), out);
}

void compose_boundary(struct str boundary, bool last, struct buffer *out)
{
    buffer_puts(out, "\r\n--");
    buffer_put(out, boundary);
    buffer_puts(out, last ? "--\r\n" : "\r\n");
}

void compose_text(const char *type, struct str text, struct buffer *out)
{
    buffer_printf(out, "Content-Type: %s; charset=utf-8\r\n", type);
    buffer_puts(out, "Content-Transfer-Encoding: base64\r\n\r\n");
    struct buffer lines;
    buffer_init(&lines, TEXT_BYTES);
    while (text.len) {
        buffer_put(&lines, str_cut(&text, '\n'));
        buffer_puts(&lines, "\r\n");
    }
    encode_base64_lines(buffer_str(&lines), out);
    out->full |= lines.full;
    buffer_drop(&lines);
}

static const char *entity(char c)
{
    return c == '&'    ? "&amp;"
           : c == '<'  ? "&lt;"
           : c == '>'  ? "&gt;"
           : c == '"'  ? "&quot;"
           : c == '\'' ? "&#39;"
                       : NULL;
}

void compose_put(struct str s, bool html, struct buffer *out)
{
    struct buffer clean;
    buffer_init(&clean, LIMIT_SUBJECT_BYTES);
    utf8_clean(s, LIMIT_SUBJECT_BYTES, &clean);
    for (size_t i = 0; i < clean.len; i++) {
        const char *escaped = html ? entity(clean.at[i]) : NULL;
        if (escaped)
            buffer_puts(out, escaped);
        else
            buffer_putc(out, clean.at[i]);
    }
    buffer_drop(&clean);
}

void compose_time(uint64_t ms, int zone_minutes, struct buffer *out)
{
    enum {
        JAPAN = 9 * 60,
        MINUTE_MS = 60000
    };
    struct clock_date stamp = clock_stamp(ms + (uint64_t)((int64_t)zone_minutes * MINUTE_MS));
    buffer_printf(out, "%.10s %.5s ", stamp.at, stamp.at + 11);
    if (zone_minutes == JAPAN) {
        buffer_puts(out, "JST");
        return;
    }
    int minutes = abs(zone_minutes);
    buffer_printf(out, "(UTC%c%02d:%02d)", zone_minutes < 0 ? '-' : '+', minutes / 60,
                  minutes % 60);
}

void compose_size(uint64_t bytes, struct buffer *out)
{
    if (bytes < 1024)
        buffer_printf(out, "%lu B", (unsigned long)bytes);
    else if (bytes < 1048576)
        buffer_printf(out, "%lu KiB", (unsigned long)((bytes + 512) >> 10));
    else
        buffer_printf(out, "%.1f MiB", (double)bytes / 1048576);
}
