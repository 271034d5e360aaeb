#include "core/mail/word.h"

#include "core/base/base64.h"
#include "core/mail/charset.h"
#include "core/mail/decode.h"
#include "core/mail/utf8.h"

enum {
    CHARSET_BYTES = 40,     /* a longer name is none */
    VALUE_BYTES = 64 << 10, /* a longer value is cut before it is decoded */
    LINE_COLUMNS = 76,
    WORD_COLUMNS = 75,
};

struct encoded {
    struct str charset, text;
    bool base64;
    size_t len; /* with all its marks */
};

struct decoder {
    struct str charset; /* of the bytes that wait */
    struct buffer raw;  /* decoded bytes of adjacent words of one charset */
    struct buffer text; /* UTF-8 so far */
    bool no_more_ends;  /* a search for "?=" ran to the end: do not search again */
};

/* An encoded word at the front of `s`. */
static bool take_encoded(struct decoder *d, struct str s, struct encoded *e)
{
    if (!str_starts(s, STR("=?")) || d->no_more_ends)
        return false;
    struct str rest = str_skip(s, 2);
    size_t mark = str_find(str_head(rest, CHARSET_BYTES), '?');
    if (mark == SIZE_MAX || mark == 0 || rest.len < mark + 3 || rest.at[mark + 2] != '?')
        return false;
    e->charset = str_head(rest, mark);
    e->charset = str_head(e->charset, str_find(e->charset, '*')); /* RFC 2231 5: language */
    char encoding = char_lower(rest.at[mark + 1]);
    if (encoding != 'b' && encoding != 'q')
        return false;
    e->base64 = encoding == 'b';
    rest = str_skip(rest, mark + 3);
    size_t end = str_find_str(rest, STR("?="));
    if (end == SIZE_MAX) {
        d->no_more_ends = true;
        return false;
    }
    e->text = str_head(rest, end);
    e->len = (size_t)(rest.at - s.at) + end + 2;
    return true;
}

static void flush_words(struct decoder *d)
{
    if (d->raw.len)
        (void)charset_to_utf8(d->charset, buffer_str(&d->raw), &d->text);
    buffer_clear(&d->raw);
}

static void take_word(struct decoder *d, const struct encoded *e)
{
    if (!str_eq_nocase(d->charset, e->charset))
        flush_words(d);
    d->charset = e->charset;
    if (e->base64)
        decode_base64(e->text, &d->raw);
    else
        decode_q(e->text, &d->raw);
}

/* Bytes that are in no word. Between two words blanks do not count (RFC 2047 6.2). */
static void take_plain(struct decoder *d, struct str plain, bool between)
{
    if (plain.len == 0 || (between && str_trim(plain).len == 0))
        return;
    flush_words(d);
    (void)charset_to_utf8(charset_guess(plain), plain, &d->text);
}

static void decode_all(struct decoder *d, struct str s)
{
    struct str plain = str_head(s, 0);
    bool after_word = false;
    while (s.len) {
        struct encoded e;
        size_t at = str_find_str(s, STR("=?"));
        at = at == SIZE_MAX || d->no_more_ends ? s.len : at;
        plain.len += at;
        s = str_skip(s, at);
        if (!take_encoded(d, s, &e)) {
            size_t mark = size_min(s.len, 2);
            plain.len += mark;
            s = str_skip(s, mark);
            continue;
        }
        take_plain(d, plain, after_word);
        take_word(d, &e);
        s = str_skip(s, e.len);
        plain = str_head(s, 0);
        after_word = true;
    }
    take_plain(d, plain, false);
    flush_words(d);
}

void word_decode(struct str raw, size_t max, struct buffer *out)
{
    struct buffer unfolded;
    buffer_init(&unfolded, VALUE_BYTES);
    raw = str_trim(str_head(raw, VALUE_BYTES));
    for (size_t i = 0; i < raw.len; i++)
        if (raw.at[i] != '\r' && raw.at[i] != '\n')
            buffer_putc(&unfolded, raw.at[i]);

    struct decoder d = {.charset = {"", 0}};
    buffer_init(&d.raw, VALUE_BYTES);
    buffer_init(&d.text, (size_t)4 * VALUE_BYTES);
    decode_all(&d, buffer_str(&unfolded));
    utf8_clean(buffer_str(&d.text), max, out);
    buffer_drop(&d.text);
    buffer_drop(&d.raw);
    buffer_drop(&unfolded);
}

/* ---- the other way */

static bool is_plain(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.at[i] < ' ' || s.at[i] > '~')
            return false;
    return str_find_str(s, STR("=?")) == SIZE_MAX &&
           (s.len == 0 || (s.at[0] != ' ' && s.at[s.len - 1] != ' '));
}

/* How many bytes of text fit into a word of `columns`. */
static size_t bytes_in(size_t columns)
{
    size_t marks = sizeof "=?UTF-8?B?"
                          "?=" -
                   1;
    return columns > marks ? (columns - marks) / 4 * 3 : 0;
}

void word_encode(struct str text, size_t column, struct buffer *out)
{
    struct buffer clean;
    buffer_init(&clean, VALUE_BYTES);
    utf8_clean(text, VALUE_BYTES, &clean);
    struct str rest = buffer_str(&clean);
    if (is_plain(rest) && column + rest.len <= LINE_COLUMNS) {
        buffer_put(out, rest);
        rest.len = 0;
    }
    while (rest.len) {
        size_t columns = column < LINE_COLUMNS ? LINE_COLUMNS - column : 0;
        struct str word = utf8_head(rest, bytes_in(size_min(columns, WORD_COLUMNS)));
        if (word.len) {
            buffer_puts(out, "=?UTF-8?B?");
            base64_encode(word, BASE64_PADDED, out);
            buffer_puts(out, "?=");
        }
        rest = str_skip(rest, word.len);
        if (rest.len)
            buffer_puts(out, "\r\n ");
        column = 1;
    }
    buffer_drop(&clean);
}
