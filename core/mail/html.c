/* html.c -- a byte at a time where it matters, runs of text at once.
 *
 * The states follow the tokenizer of the HTML standard as far as it changes what is text. Bytes of
 * the text go to `shown`, or to `aside` while something hides them.
 */
#include "core/mail/html.h"

#include "core/mail/utf8.h"

enum {
    TEXT,
    LESS,  /* behind "<" */
    CLOSE, /* behind "</" */
    TAG_NAME,
    BEFORE_NAME, /* between attributes */
    NAME,
    AFTER_NAME, /* behind the name, perhaps before "=" */
    BEFORE_VALUE,
    VALUE,
    MARKUP,  /* behind "<!", "<?" or "</" and no letter: until ">" */
    DASH,    /* behind "<!-" */
    COMMENT, /* until "-->" */
    RAW,     /* script, style: until its end tag */

    VALUE_LAYOUT = 0, /* says nothing to people */
    VALUE_STYLE,
    VALUE_LINK,
    VALUE_OTHER,

    URI_HEAD = 0, /* collected: may be "data:...," */
    URI_NONE,
    URI_BASE64,
    URI_PLAIN,
};

static char letter_of(char c)
{
    c = char_lower(c);
    return (char)(c >= 'a' && c <= 'z' ? c : 0);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static bool among(struct str word, const char *const *words)
{
    for (; *words; words++)
        if (str_eq_nocase(word, str_c(*words)))
            return true;
    return false;
}

static struct str tag_of(const struct html *h)
{
    return str_from(h->tag, h->tag_bytes);
}

static void put_text(struct html *h, struct str s)
{
    if (h->hidden && s.len)
        h->doubt |= HTML_HIDDEN;
    buffer_put(h->hidden ? h->aside : h->shown, s);
}

static bool in_value(const struct html *h)
{
    return h->state == VALUE;
}

/* Values of attributes */

static void put_value(struct html *h, struct str s)
{
    if (h->value_kind == VALUE_LINK && h->uri == URI_HEAD)
        return;
    if (h->value_kind == VALUE_OTHER || (h->value_kind == VALUE_LINK && h->uri != URI_BASE64))
        buffer_put(h->aside, s);
    if (h->value_kind == VALUE_LINK && h->uri >= URI_BASE64 && h->sink && h->sink->bytes)
        h->sink->bytes(h->sink, s);
}

/* The head of a link is known: a data URI or not. */
static void decide_link(struct html *h)
{
    struct str head = str_trim(str_from(h->value, h->value_bytes));
    size_t comma = str_find(head, ',');
    h->uri = URI_NONE;
    if (!str_starts_nocase(head, STR("data:")) || comma == SIZE_MAX) {
        if (h->sink && h->sink->link && head.len)
            h->sink->link(h->sink, head);
        put_value(h, str_from(h->value, h->value_bytes));
        return;
    }
    struct str type = str_from(head.at + 5, comma - 5);
    h->uri = str_ends_nocase(type, STR(";base64")) ? URI_BASE64 : URI_PLAIN;
    h->data_uris++;
    if (h->sink && h->sink->data)
        h->sink->data(h->sink, type);
    buffer_put(h->aside, type);
    buffer_putc(h->aside, '\n');
    put_value(h, str_skip(head, comma + 1));
}

static bool may_be_data(const struct html *h)
{
    struct str head = str_from(h->value, h->value_bytes);
    while (head.len && is_space(head.at[0]))
        head = str_skip(head, 1);
    return str_starts_nocase(STR("data:"), str_head(head, 5)) ||
           str_starts_nocase(head, STR("data:"));
}

static void value_byte(struct html *h, char c)
{
    bool collected =
        h->value_kind == VALUE_STYLE || (h->value_kind == VALUE_LINK && h->uri == URI_HEAD);
    if (!collected) {
        put_value(h, str_from(&c, 1));
        return;
    }
    if (h->value_kind == VALUE_STYLE && is_space(c))
        return;
    if (h->value_bytes < sizeof h->value)
        h->value[h->value_bytes++] = h->value_kind == VALUE_STYLE ? char_lower(c) : c;
    if (h->value_kind != VALUE_LINK)
        return;
    if ((c == ',' && may_be_data(h)) || h->value_bytes == sizeof h->value)
        decide_link(h);
}

static bool style_hides(struct str style)
{
    static const char *const words[] = {"display:none",
                                        "visibility:hidden",
                                        "mso-hide:all",
                                        "font-size:0",
                                        "opacity:0",
                                        "font:0",
                                        NULL};
    for (const char *const *w = words; *w; w++) {
        size_t at = str_find_str(style, str_c(*w));
        struct str rest = str_skip(style, at == SIZE_MAX ? style.len : at + strlen(*w));
        /* not font-size:0.9em */
        bool number = rest.len > 1 && rest.at[0] == '.' && rest.at[1] != '0';
        if (at != SIZE_MAX && !number)
            return true;
    }
    return false;
}

static void begin_value(struct html *h)
{
    static const char *const layout[] = {"class",   "id",          "width",       "height",
                                         "align",   "valign",      "border",      "bgcolor",
                                         "color",   "face",        "size",        "dir",
                                         "lang",    "cellpadding", "cellspacing", "colspan",
                                         "rowspan", "rel",         "target",      NULL};
    static const char *const links[] = {"href",     "src",        "background", "poster",
                                        "data",     "action",     "srcset",     "cite",
                                        "longdesc", "xlink:href", NULL};
    struct str name = str_from(h->name, h->name_bytes);
    h->value_kind = among(name, layout)                 ? VALUE_LAYOUT
                    : str_eq_nocase(name, STR("style")) ? VALUE_STYLE
                    : among(name, links)                ? VALUE_LINK
                                                        : VALUE_OTHER;
    h->value_bytes = 0;
    h->uri = URI_HEAD;
}

static void end_value(struct html *h)
{
    if (h->value_kind == VALUE_STYLE)
        h->hides |= style_hides(str_from(h->value, h->value_bytes));
    if (h->value_kind == VALUE_STYLE)
        buffer_put(h->aside, str_from(h->value, h->value_bytes));
    if (h->value_kind == VALUE_LINK && h->uri == URI_HEAD)
        decide_link(h);
    if (h->value_kind == VALUE_LINK && h->uri >= URI_BASE64 && h->sink && h->sink->end)
        h->sink->end(h->sink);
    if (h->value_kind != VALUE_LAYOUT)
        buffer_putc(h->aside, '\n');
    h->state = BEFORE_NAME;
}

static void end_name(struct html *h)
{
    if (str_eq_nocase(str_from(h->name, h->name_bytes), STR("hidden")))
        h->hides = true;
}

/* Tags */

static bool is_block(struct str tag)
{
    static const char *const blocks[] = {
        "address",  "article",  "aside",   "blockquote", "body",    "br",     "caption",
        "center",   "dd",       "details", "dialog",     "dir",     "div",    "dl",
        "dt",       "fieldset", "figure",  "footer",     "form",    "h1",     "h2",
        "h3",       "h4",       "h5",      "h6",         "head",    "header", "hr",
        "html",     "legend",   "li",      "main",       "menu",    "nav",    "ol",
        "optgroup", "option",   "p",       "pre",        "section", "select", "summary",
        "table",    "tbody",    "td",      "textarea",   "tfoot",   "th",     "thead",
        "title",    "tr",       "ul",      "figcaption", NULL};
    return among(tag, blocks);
}

static bool is_void(struct str tag)
{
    static const char *const voids[] = {"area",  "base", "br",   "col",    "embed", "hr",  "img",
                                        "input", "link", "meta", "source", "track", "wbr", NULL};
    return among(tag, voids);
}

static void count_hidden(struct html *h)
{
    struct str tag = tag_of(h);
    bool same = h->hidden && str_eq_nocase(tag, str_from(h->hider, h->hider_bytes));
    if (h->closing) {
        if (same && --h->hidden == 0)
            buffer_putc(h->aside, '\n');
    } else if (same) {
        h->hidden++;
    } else if (!h->hidden && h->hides && !is_void(tag)) {
        h->hidden = 1;
        h->hider_bytes = h->tag_bytes;
        memcpy(h->hider, h->tag, h->tag_bytes);
    }
}

static void end_tag(struct html *h)
{
    static const char *const raws[] = {"script", "style", NULL};
    struct str tag = tag_of(h);
    h->state = TEXT;
    if (is_block(tag))
        buffer_putc(h->hidden ? h->aside : h->shown, '\n');
    count_hidden(h);
    if (!h->closing && among(tag, raws)) {
        h->state = RAW;
        h->raw_bytes = h->tag_bytes;
        memcpy(h->raw, h->tag, h->tag_bytes);
        h->tail_bytes = 0;
    }
}

static void begin_tag(struct html *h, char c, bool closing)
{
    h->closing = closing;
    h->hides = false;
    h->tag[0] = c;
    h->tag_bytes = 1;
    h->state = TAG_NAME;
}

/* References */

static void put_character(struct html *h, uint32_t c)
{
    struct buffer one;
    buffer_init(&one, 8);
    utf8_put(&one, c);
    if (in_value(h))
        for (size_t i = 0; i < one.len; i++)
            value_byte(h, one.at[i]);
    else
        put_text(h, buffer_str(&one));
    buffer_drop(&one);
}

static void put_plain(struct html *h, struct str s)
{
    if (in_value(h))
        for (size_t i = 0; i < s.len; i++)
            value_byte(h, s.at[i]);
    else
        put_text(h, s);
}

/* The windows-1252 letters that numbers 128 to 159 stand for. */
static uint32_t number_to_character(uint32_t c)
{
    static const uint16_t latin[32] = {0x20AC, 0x81,   0x201A, 0x0192, 0x201E, 0x2026, 0x2020,
                                       0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8D,
                                       0x017D, 0x8F,   0x90,   0x2018, 0x2019, 0x201C, 0x201D,
                                       0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A,
                                       0x0153, 0x9D,   0x017E, 0x0178};
    if (c >= 0x80 && c < 0xA0)
        return latin[c - 0x80];
    return c == 0 || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF) ? 0xFFFD : c;
}

static bool number_reference(struct html *h, struct str s)
{
    bool hex = s.len > 1 && char_lower(s.at[1]) == 'x';
    uint32_t value = 0;
    size_t i = hex ? 2 : 1, from = i;
    for (; i < s.len; i++) {
        char c = char_lower(s.at[i]);
        int digit = c >= '0' && c <= '9'          ? c - '0'
                    : hex && c >= 'a' && c <= 'f' ? c - 'a' + 10
                                                  : -1;
        if (digit < 0)
            break;
        value = value > 0x10FFFF ? value : value * (hex ? 16 : 10) + (uint32_t)digit;
    }
    if (i == from)
        return false;
    put_character(h, number_to_character(value));
    if (i < s.len && s.at[i] == ';')
        i++;
    put_plain(h, str_skip(s, i));
    return true;
}

/* What `refer` holds behind "&" is complete; `next` is the byte behind it. */
static void end_reference(struct html *h, char next)
{
    struct str s = str_from(h->refer, h->refer_bytes);
    uint32_t first = 0, second = 0;
    h->reference = false;
    if (s.len && s.at[0] == '#' && number_reference(h, s))
        return;
    size_t used = s.len ? html_named(s, &first, &second) : 0;
    bool ended = used && s.at[used - 1] == ';';
    /* "?a=1&copy=2" in a link is no reference */
    bool query = in_value(h) && used && !ended && (used < s.len || next == '=');
    if (!used || query) {
        put_plain(h, STR("&"));
        put_plain(h, s);
        return;
    }
    put_character(h, first);
    if (second)
        put_character(h, second);
    put_plain(h, str_skip(s, used));
}

/* True: the byte belongs to the reference. */
static bool reference_byte(struct html *h, char c)
{
    bool word = (c >= '0' && c <= '9') || letter_of(c) || (c == '#' && h->refer_bytes == 0);
    if ((word || c == ';') && h->refer_bytes < sizeof h->refer) {
        h->refer[h->refer_bytes++] = c;
        if (c == ';')
            end_reference(h, 0);
        return true;
    }
    end_reference(h, c);
    return false;
}

/* Comments and scripts: all of it is put aside, and its end is looked for in the last bytes. */

static void keep_tail(struct html *h, char c)
{
    if (h->tail_bytes == sizeof h->tail)
        memmove(h->tail, h->tail + 1, --h->tail_bytes);
    h->tail[h->tail_bytes++] = c;
}

static bool tail_is(const struct html *h, const char *end)
{
    return str_ends_nocase(str_from(h->tail, h->tail_bytes), str_c(end));
}

static void comment_byte(struct html *h, char c)
{
    keep_tail(h, c);
    buffer_putc(h->aside, c);
    bool short_end = h->tail_bytes <= 2 && c == '>' && (h->tail_bytes == 1 || h->tail[0] == '-');
    if (tail_is(h, "-->") || tail_is(h, "--!>") || short_end) {
        buffer_putc(h->aside, '\n');
        h->state = TEXT;
    }
}

static void raw_byte(struct html *h, char c)
{
    keep_tail(h, c);
    buffer_putc(h->aside, c);
    if (c != '>' && c != '/' && !is_space(c))
        return;
    struct str tail = str_from(h->tail, h->tail_bytes - 1u);
    if (tail.len < h->raw_bytes + 2u)
        return;
    struct str name = str_skip(tail, tail.len - h->raw_bytes);
    struct str open = str_from(name.at - 2, 2);
    if (!str_eq(open, STR("</")) || !str_eq_nocase(name, str_from(h->raw, h->raw_bytes)))
        return;
    buffer_putc(h->aside, '\n');
    begin_tag(h, h->raw[0], true);
    memcpy(h->tag, h->raw, h->raw_bytes);
    h->tag_bytes = h->raw_bytes;
    h->state = BEFORE_NAME;
    if (c == '>')
        end_tag(h);
}

/* Between "<" and ">" */

static void tag_byte(struct html *h, char c)
{
    if (c == '>') {
        end_tag(h);
    } else if (is_space(c) || c == '/') {
        h->state = BEFORE_NAME;
    } else if (h->tag_bytes < sizeof h->tag) {
        h->tag[h->tag_bytes++] = char_lower(c);
    }
}

static void name_byte(struct html *h, char c)
{
    if (h->state == BEFORE_NAME && (is_space(c) || c == '/'))
        return;
    if (c == '>') {
        if (h->state != BEFORE_NAME)
            end_name(h);
        end_tag(h);
    } else if (c == '=' && h->state != BEFORE_NAME) {
        end_name(h);
        h->state = BEFORE_VALUE;
    } else if (is_space(c) || c == '/') {
        h->state = AFTER_NAME;
    } else {
        if (h->state != NAME) {
            if (h->state == AFTER_NAME)
                end_name(h);
            h->name_bytes = 0;
        }
        h->state = NAME;
        if (h->name_bytes < sizeof h->name)
            h->name[h->name_bytes++] = c;
    }
}

static void before_value_byte(struct html *h, char c)
{
    if (is_space(c))
        return;
    if (c == '>') {
        end_tag(h);
        return;
    }
    begin_value(h);
    h->state = VALUE;
    h->quote = (char)(c == '"' || c == '\'' ? c : 0);
    if (c == '&') {
        h->reference = true;
        h->refer_bytes = 0;
    } else if (!h->quote) {
        value_byte(h, c);
    }
}

static void value_step(struct html *h, char c)
{
    bool end = h->quote ? c == h->quote : is_space(c) || c == '>';
    if (end) {
        end_value(h);
        if (!h->quote && c == '>')
            end_tag(h);
    } else if (c == '&') {
        h->reference = true;
        h->refer_bytes = 0;
    } else {
        value_byte(h, c);
    }
}

static void text_byte(struct html *h, char c)
{
    if (c == '<') {
        h->state = LESS;
    } else if (c == '&') {
        h->reference = true;
        h->refer_bytes = 0;
    } else {
        put_text(h, str_from(&c, 1));
    }
}

static void less_byte(struct html *h, char c)
{
    bool closing = h->state == CLOSE;
    if (letter_of(c)) {
        begin_tag(h, letter_of(c), closing);
    } else if (!closing && c == '/') {
        h->state = CLOSE;
    } else if (!closing && (c == '!' || c == '?')) {
        h->state = MARKUP;
        h->tail_bytes = 0;
    } else if (closing) {
        h->state = c == '>' ? TEXT : MARKUP;
        h->tail_bytes = 1;
        if (c != '>')
            buffer_putc(h->aside, c);
    } else {
        h->state = TEXT;
        put_text(h, STR("<"));
        text_byte(h, c);
    }
}

static void markup_byte(struct html *h, char c)
{
    if (h->state == DASH && c == '-') {
        h->state = COMMENT;
        h->tail_bytes = 0;
        return;
    }
    if (h->tail_bytes == 0 && h->state == MARKUP && c == '-') {
        h->state = DASH;
        h->tail_bytes = 1;
        return;
    }
    h->tail_bytes = 1;
    h->state = c == '>' ? TEXT : MARKUP;
    buffer_putc(h->aside, (char)(c == '>' ? '\n' : c));
}

static void take(struct html *h, char c)
{
    if (c == 0) {
        h->doubt |= HTML_CONTROL;
        return;
    }
    if (h->reference && reference_byte(h, c))
        return;
    switch (h->state) {
    case TEXT:
        text_byte(h, c);
        break;
    case LESS:
    case CLOSE:
        less_byte(h, c);
        break;
    case TAG_NAME:
        tag_byte(h, c);
        break;
    case BEFORE_NAME:
    case NAME:
    case AFTER_NAME:
        name_byte(h, c);
        break;
    case BEFORE_VALUE:
        before_value_byte(h, c);
        break;
    case VALUE:
        value_step(h, c);
        break;
    case MARKUP:
    case DASH:
        markup_byte(h, c);
        break;
    case COMMENT:
        comment_byte(h, c);
        break;
    case RAW:
        raw_byte(h, c);
        break;
    }
}

/* Bytes at the front that are nothing but text. */
static size_t text_bytes(struct str s)
{
    size_t n = 0;
    while (n < s.len && s.at[n] != '<' && s.at[n] != '&' && s.at[n] != 0)
        n++;
    return n;
}

void html_init(struct html *h, struct html_sink *sink)
{
    memset(h, 0, offsetof(struct html, tag));
    h->sink = sink;
}

void html_feed(struct html *h, struct str in, struct buffer *shown, struct buffer *aside)
{
    h->shown = shown;
    h->aside = aside;
    while (in.len && !shown->full && !aside->full) {
        size_t n = h->state == TEXT && !h->reference ? text_bytes(in) : 0;
        put_text(h, str_head(in, n));
        in = str_skip(in, n);
        if (in.len)
            take(h, in.at[0]);
        in = str_skip(in, 1);
    }
}

void html_finish(struct html *h, struct buffer *shown, struct buffer *aside)
{
    h->shown = shown;
    h->aside = aside;
    if (h->reference)
        end_reference(h, 0);
    if (h->state == LESS || h->state == CLOSE)
        put_text(h, h->state == LESS ? STR("<") : STR("</"));
    if (h->state != TEXT || h->hidden)
        h->doubt |= HTML_OPEN_END;
    if (h->state == VALUE)
        end_value(h);
}
