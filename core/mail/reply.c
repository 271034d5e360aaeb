#include "core/mail/reply.h"

#include "core/mail/utf8.h"

static const struct {
    uint16_t code;
    struct str enhanced, text;
} table[REPLIES] = {

#define REPLY(code, name, enhanced, text) {code, STR_INIT(enhanced), STR_INIT(text)},
#include "core/mail/reply.def"
#undef REPLY
};

unsigned reply_code(enum reply r)
{
    must(r < REPLIES);
    return table[r].code;
}

struct str reply_enhanced(enum reply r)
{
    must(r < REPLIES);
    return table[r].enhanced;
}

struct str reply_text(enum reply r)
{
    must(r < REPLIES);
    return table[r].text;
}

void reply_write(enum reply r, struct buffer *out)
{
    must(r < REPLIES);
    reply_write_text(r, table[r].text, out);
}

static bool is_printable(char c)
{
    return c >= ' ' && c <= '~';
}

void reply_write_text(enum reply r, struct str text, struct buffer *out)
{
    must(r < REPLIES);
    struct str enhanced = table[r].enhanced;
    buffer_printf(out, "%u %.*s%s", table[r].code, STR_ARG(enhanced), enhanced.len ? " " : "");
    size_t room = LIMIT_REPLY_LINE_BYTES - sizeof "250 5.1.10 \r\n";
    text = utf8_head(text, room);
    while (text.len) {
        uint32_t c;
        size_t bytes = utf8_take(text, &c);
        bool shown = bytes == 1 ? is_printable(text.at[0]) : bytes && !utf8_is_control(c);
        bytes = bytes ? bytes : 1;
        buffer_put(out, shown ? str_head(text, bytes) : STR("?"));
        text = str_skip(text, bytes);
    }
    buffer_puts(out, "\r\n");
}

/* ---- what we hear */

void reply_parser_init(struct reply_parser *p)
{
    *p = (struct reply_parser){.lines = 0};
}

static void keep_text(struct reply_parser *p, struct str text)
{
    struct reply_seen *r = &p->seen;
    if (r->text_len && text.len && r->text_len < REPLY_TEXT_BYTES && !p->cut)
        r->text[r->text_len++] = ' ';
    for (size_t i = 0; i < text.len && !p->cut; i++) {
        static const char hex[] = "0123456789abcdef";
        unsigned char c = (unsigned char)text.at[i];
        size_t need = is_printable(text.at[i]) ? 1 : 4;
        p->cut = r->text_len + need > REPLY_TEXT_BYTES;
        if (p->cut)
            return;
        char *to = r->text + r->text_len;
        if (need == 1)
            *to = text.at[i];
        else
            memcpy(to, (char[]){'\\', 'x', hex[c >> 4], hex[c & 15]}, 4);
        r->text_len = (uint16_t)(r->text_len + need);
    }
}

static bool take_number(struct str *s, uint16_t *out)
{
    size_t digits = 0;
    unsigned value = 0;
    while (digits < s->len && digits < 4 && s->at[digits] >= '0' && s->at[digits] <= '9')
        value = value * 10 + (unsigned)(s->at[digits++] - '0');
    if (digits == 0 || digits > 3)
        return false;
    *out = (uint16_t)value;
    *s = str_skip(*s, digits);
    return true;
}

/* "5.1.1 text": the code, and the text behind it. */
static bool take_enhanced(struct str *text, uint16_t out[3])
{
    struct str s = *text;
    for (unsigned i = 0; i < 3; i++) {
        if (i && (s.len == 0 || s.at[0] != '.'))
            return false;
        s = i ? str_skip(s, 1) : s;
        if (!take_number(&s, &out[i]))
            return false;
    }
    if (s.len && s.at[0] != ' ')
        return false;
    *text = str_skip(s, 1);
    return true;
}

static void keep_line(struct reply_parser *p, struct str text)
{
    uint16_t enhanced[3];
    struct str rest = text;
    bool ours = take_enhanced(&rest, enhanced) && enhanced[0] == p->seen.code / 100;
    if (ours && p->lines == 0)
        memcpy(p->seen.enhanced, enhanced, sizeof enhanced);
    keep_text(p, ours && !memcmp(p->seen.enhanced, enhanced, sizeof enhanced) ? rest : text);
}

static enum reply_status take_line(struct reply_parser *p)
{
    struct str s = str_from(p->store, p->len);
    p->len = 0;
    bool digits = s.len >= 3 && s.at[0] >= '2' && s.at[0] <= '5' && s.at[1] >= '0' &&
                  s.at[1] <= '5' && s.at[2] >= '0' && s.at[2] <= '9';
    if (!digits || (s.len > 3 && s.at[3] != ' ' && s.at[3] != '-'))
        return REPLY_BAD;
    uint16_t code = (uint16_t)((s.at[0] - '0') * 100 + (s.at[1] - '0') * 10 + (s.at[2] - '0'));
    if (p->lines == 0) {
        p->seen = (struct reply_seen){.code = code};
        p->cut = false;
    }
    if (code != p->seen.code || p->lines >= LIMIT_REPLY_LINES)
        return REPLY_BAD;
    p->line = str_skip(s, 4);
    keep_line(p, p->line);
    p->lines++;
    if (s.len > 3 && s.at[3] == '-')
        return REPLY_LINE;
    p->lines = 0;
    return REPLY_DONE;
}

enum reply_status reply_parser_feed(struct reply_parser *p, struct str *in)
{
    while (in->len && !p->broken) {
        char c = in->at[0];
        *in = str_skip(*in, 1);
        enum reply_status status = REPLY_MORE;
        if (p->cr) {
            p->cr = false;
            status = c == '\n' ? take_line(p) : REPLY_BAD;
        } else if (c == '\r') {
            p->cr = true;
        } else if (c == '\n' || c == '\0' || p->len >= LIMIT_REPLY_LINE_BYTES - 2) {
            status = REPLY_BAD;
        } else {
            p->store[p->len++] = c;
        }
        p->broken = status == REPLY_BAD;
        if (status != REPLY_MORE)
            return status;
    }
    return p->broken ? REPLY_BAD : REPLY_MORE;
}

void reply_seen_write_enhanced(const struct reply_seen *r, struct buffer *out)
{
    if (r->enhanced[0])
        buffer_printf(out, "%u.%u.%u", r->enhanced[0], r->enhanced[1], r->enhanced[2]);
    else
        buffer_printf(out, "%u.0.0", reply_class(r));
}

void reply_seen_write(const struct reply_seen *r, struct buffer *out)
{
    buffer_printf(out, "%u ", r->code);
    if (r->enhanced[0]) {
        reply_seen_write_enhanced(r, out);
        buffer_putc(out, ' ');
    }
    buffer_put(out, reply_seen_text(r));
}
