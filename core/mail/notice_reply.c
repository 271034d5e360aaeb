#include "core/mail/notice_reply.h"

#include "core/base/limit.h"
#include "core/mail/charset.h"
#include "core/mail/decode.h"
#include "core/mail/header.h"
#include "core/mail/utf8.h"

enum {
    BOUNDARIES = 8,
    PARTS = 64,
    BOUNDARY_BYTES = 70,
    CHARSET_BYTES = 40,
    LOOK_BYTES = 16 << 10,
    LINE_BYTES = 256,
};

struct part {
    struct str type;     /* "text/plain" */
    struct str boundary; /* "" if it is no multipart */
    struct str charset, encoding;
    struct str body; /* up to the end of the mail: cut it at the next boundary */
    bool attachment;
};

/* The multiparts that are open; a line that begins with any of their boundaries ends a part. All
 * parts are walked in one loop over lines, so that nesting costs nothing. */
struct walk {
    struct str boundary[BOUNDARIES];
    unsigned count;
};

/* The value of `name` in "type; a=b; c=\"d\"", without quotes; "" without it. */
static struct str parameter(struct str value, struct str name)
{
    (void)str_cut(&value, ';');
    while (value.len) {
        struct str rest = str_trim(value), key = str_trim(str_cut(&rest, '='));
        rest = str_trim(rest);
        struct str found;
        if (rest.len && rest.at[0] == '"') {
            rest = str_skip(rest, 1);
            found = str_cut(&rest, '"');
            (void)str_cut(&rest, ';');
        } else {
            found = str_trim(str_cut(&rest, ';'));
        }
        if (str_eq_nocase(key, name))
            return found;
        value = rest;
    }
    return str_from("", 0);
}

static struct str field(const struct header *h, struct str name)
{
    const struct header_field *f = header_find(h, name);
    return f ? header_value(h, f) : str_from("", 0);
}

static struct str first_of(struct str value)
{
    return str_trim(str_cut(&value, ';'));
}

/* Strings of `p` are borrowed from `section`: the header's own copy is gone at return. */
static struct str borrow(const struct header *h, struct str section, struct str s)
{
    return s.len ? str_from(section.at + (s.at - h->bytes.at), s.len) : s;
}

static bool read_part(struct str section, struct part *p)
{
    struct header h;
    header_init(&h);
    enum header_status status = header_feed(&h, str_head(section, LIMIT_HEADER_BYTES));
    if (status == HEADER_MORE)
        status = header_finish(&h);
    bool ok = status == HEADER_DONE;
    if (ok) {
        struct str type = field(&h, STR("Content-Type"));
        p->type = borrow(&h, section, first_of(type));
        p->boundary = borrow(&h, section, parameter(type, STR("boundary")));
        p->charset = borrow(&h, section, parameter(type, STR("charset")));
        p->encoding = borrow(&h, section, first_of(field(&h, STR("Content-Transfer-Encoding"))));
        p->attachment =
            str_eq_nocase(first_of(field(&h, STR("Content-Disposition"))), STR("attachment"));
        p->body = str_skip(section, h.body);
    }
    header_drop(&h);
    return ok;
}

static bool is_boundary(const struct walk *w, struct str line)
{
    if (!str_starts(line, STR("--")))
        return false;
    line = str_skip(line, 2);
    for (unsigned i = 0; i < w->count; i++)
        if (str_starts(line, w->boundary[i]))
            return true;
    return false;
}

/* Position of the next boundary line, or the end of `s`; `after` gets what follows that line. */
static size_t find_boundary(const struct walk *w, struct str s, struct str *after)
{
    struct str rest = s;
    while (rest.len) {
        size_t at = (size_t)(rest.at - s.at);
        struct str line = str_cut(&rest, '\n');
        if (is_boundary(w, line)) {
            *after = rest;
            return at;
        }
    }
    *after = str_from("", 0);
    return s.len;
}

static bool is_text(const struct part *p)
{
    return !p->attachment && (p->type.len == 0 || str_eq_nocase(p->type, STR("text/plain")));
}

/* The first text/plain part, with its body cut. */
static bool find_text(struct str mail, struct part *p)
{
    struct walk w = {.count = 0};
    struct str section = mail, after;
    for (unsigned parts = 0; section.len && parts < PARTS; parts++) {
        if (!read_part(section, p))
            return false;
        if (is_text(p)) {
            p->body.len = find_boundary(&w, p->body, &after);
            return true;
        }
        bool multipart = str_starts_nocase(p->type, STR("multipart/")) && p->boundary.len &&
                         p->boundary.len <= BOUNDARY_BYTES && w.count < BOUNDARIES;
        if (multipart)
            w.boundary[w.count++] = p->boundary;
        (void)find_boundary(&w, p->body, &after);
        section = after;
    }
    return false;
}

static void decode_text(const struct part *p, struct buffer *out)
{
    struct buffer raw;
    buffer_init(&raw, (size_t)2 * LOOK_BYTES);
    struct str body = str_head(p->body, LOOK_BYTES);
    if (str_eq_nocase(p->encoding, STR("base64")))
        decode_base64(body, &raw);
    else if (str_eq_nocase(p->encoding, STR("quoted-printable")))
        decode_quoted(body, &raw);
    else
        buffer_put(&raw, body);
    struct str charset = p->charset.len <= CHARSET_BYTES ? p->charset : str_from("", 0);
    (void)charset_to_utf8(charset, buffer_str(&raw), out);
    buffer_drop(&raw);
}

/* Full-width letters become ASCII, letters small, all kinds of blanks one. */
static uint32_t fold(uint32_t c)
{
    if (c >= 0xFF01 && c <= 0xFF5E)
        c = c - 0xFF01 + '!';
    if (c >= 'A' && c <= 'Z')
        c += 'a' - 'A';
    return c == 0x3000 || c == 0xA0 || c == 0xFEFF || c == '\t' || c == '\r' ? ' ' : c;
}

static void fold_line(struct str line, struct buffer *out)
{
    line = utf8_head(line, LINE_BYTES);
    while (line.len) {
        uint32_t c;
        size_t bytes = utf8_take(line, &c);
        utf8_put(out, bytes ? fold(c) : 0xFFFD);
        line = str_skip(line, bytes ? bytes : 1);
    }
}

/* Does a word end here? Letters of any script go on. */
static bool is_end(struct str s)
{
    static const uint32_t marks[] = {' ', '.', ',', '!', ';', ':', '"', 0x3001, 0x3002, 0x300D};
    uint32_t c;
    if (!utf8_take(s, &c))
        return s.len == 0;
    for (size_t i = 0; i < countof(marks); i++)
        if (c == marks[i])
            return true;
    return false;
}

static bool match(struct str line, enum command_verb *verb)
{
    static const struct {
        struct str word;
        enum command_verb verb;
    } words[] = {
        {STR_INIT("破棄"), COMMAND_DISCARD},
        {STR_INIT("破棄する"), COMMAND_DISCARD},
        {STR_INIT("破棄します"), COMMAND_DISCARD},
        {STR_INIT("破棄してください"), COMMAND_DISCARD},
        {STR_INIT("破棄して下さい"), COMMAND_DISCARD},
        {STR_INIT("破棄お願いします"), COMMAND_DISCARD},
        {STR_INIT("cancel"), COMMAND_DISCARD},
        {STR_INIT("discard"), COMMAND_DISCARD},
        {STR_INIT("今すぐ"), COMMAND_RELEASE},
        {STR_INIT("今すぐ配送"), COMMAND_RELEASE},
        {STR_INIT("今すぐ送信"), COMMAND_RELEASE},
        {STR_INIT("今すぐ配送してください"), COMMAND_RELEASE},
        {STR_INIT("release"), COMMAND_RELEASE},
    };
    static const struct str openings[] = {STR_INIT("「"), STR_INIT("\""), STR_INIT("'")};
    for (size_t i = 0; i < countof(openings); i++)
        if (str_starts(line, openings[i]))
            line = str_skip(line, openings[i].len);
    for (size_t i = 0; i < countof(words); i++)
        if (str_starts(line, words[i].word) && is_end(str_skip(line, words[i].word.len))) {
            *verb = words[i].verb;
            return true;
        }
    return false;
}

static bool read_lines(struct str text, enum command_verb *verb)
{
    bool found = false, decided = false;
    struct buffer folded;
    buffer_init(&folded, (size_t)4 * LINE_BYTES);
    while (text.len && !decided) {
        buffer_clear(&folded);
        fold_line(str_cut(&text, '\n'), &folded);
        struct str line = str_trim(buffer_str(&folded));
        decided = line.len && line.at[0] != '>';
        found = decided && match(line, verb);
    }
    buffer_drop(&folded);
    return found;
}

bool notice_reply_read(struct str mail, enum command_verb *verb)
{
    struct part p;
    if (!find_text(mail, &p))
        return false;
    struct buffer text;
    buffer_init(&text, (size_t)8 * LOOK_BYTES);
    decode_text(&p, &text);
    bool found = read_lines(buffer_str(&text), verb);
    buffer_drop(&text);
    return found;
}
