/* match_source.c -- patterns as people write them, folded as the text will be.
 *
 * An expression is not text: only what stands for itself may be folded, and what folding makes of
 * it ("㈱" becomes "(株)") must go on standing for itself. So it is walked: escapes, classes and
 * groups are copied, runs of other characters folded and escaped.
 */
#include "core/mail/utf8.h"
#include "core/policy/match_build.h"
#include "core/policy/match_inside.h"

struct walk {
    struct str in;
    size_t at;
    bool in_class; /* inside [] */
    match_fold_fn *fold;
    struct buffer *out;
};

void match_source_init(struct buffer *source)
{
    buffer_init(source, LIMIT_PATTERN_SOURCE_BYTES);
    buffer_put8(source, MATCH_SOURCE_VERSION);
}

bool match_source_open(struct str *source)
{
    uint8_t version;
    return take8(source, &version) && version == MATCH_SOURCE_VERSION;
}

bool match_source_take(struct str *source, struct match_item *item)
{
    struct str in = *source;
    uint8_t kind;
    if (!take8(&in, &kind) || kind > MATCH_EXPRESSION || !take32(&in, &item->dictionary) ||
        item->dictionary >= LIMIT_DICTIONARIES || !take_bytes32(&in, &item->text) ||
        !item->text.len)
        return false;
    item->kind = kind;
    *source = in;
    return true;
}

static bool is_letter_or_digit(char c)
{
    return (c >= '0' && c <= '9') || (char_lower(c) >= 'a' && char_lower(c) <= 'z');
}

static bool is_ascii(char c)
{
    return !((unsigned char)c & 0x80);
}

static size_t characters(struct str s)
{
    size_t count = 0;
    for (size_t i = 0; i < s.len; i++)
        count += ((unsigned char)s.at[i] & 0xc0) != 0x80;
    return count;
}

/* Each byte stands for itself. */
static void put_escaped(struct buffer *out, struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (is_ascii(s.at[i]) && !is_letter_or_digit(s.at[i]) && s.at[i] != ' ')
            buffer_putc(out, '\\');
        buffer_putc(out, s.at[i]);
    }
}

static char peek(const struct walk *w, size_t ahead)
{
    return w->at + ahead < w->in.len ? w->in.at[w->at + ahead] : '\0';
}

static void copy(struct walk *w, size_t bytes)
{
    bytes = size_min(bytes, w->in.len - w->at);
    buffer_put(w->out, str_from(w->in.at + w->at, bytes));
    w->at += bytes;
}

/* Up to and with the first of `ends`, or all. */
static void copy_through(struct walk *w, const char *ends)
{
    while (w->at < w->in.len) {
        char c = w->in.at[w->at];
        copy(w, 1);
        if (strchr(ends, c))
            return;
    }
}

/* Folded and escaped; as one thing when a repeat follows, and it is one character that became
 * several. */
static void put_folded(struct walk *w, struct str run)
{
    struct buffer folded;
    buffer_init(&folded, LIMIT_PATTERN_FOLDED_BYTES);
    w->fold(run, &folded);
    bool together = !w->in_class && characters(run) == 1 && characters(buffer_str(&folded)) > 1;
    w->out->full |= folded.full;
    buffer_puts(w->out, together ? "(?:" : "");
    put_escaped(w->out, buffer_str(&folded));
    buffer_puts(w->out, together ? ")" : "");
    buffer_drop(&folded);
}

/* Bytes of a blank: a space or an ideographic one, or "\\s". */
static size_t blank_bytes(const struct walk *w, size_t ahead)
{
    struct str rest = str_skip(w->in, w->at + ahead);
    if (str_starts(rest, STR(" ")))
        return 1;
    return str_starts(rest, STR("\\s")) ? 2 : str_starts(rest, STR("\u3000")) ? 3 : 0;
}

/* Folding drops blanks beside Japanese characters, but not before every other: there the text may
 * have one or not, whatever the pattern says. */
static void walk_blank(struct walk *w)
{
    size_t bytes = blank_bytes(w, 0), next;
    bool any = peek(w, 0) == '\\';
    bool beside = w->out->len && !is_ascii(w->out->at[w->out->len - 1]);
    while ((next = blank_bytes(w, bytes)) != 0) {
        any |= peek(w, bytes) == '\\';
        bytes += next;
    }
    beside |= !is_ascii(peek(w, bytes));
    buffer_puts(w->out, any ? "\\s" : " ");
    w->at += bytes;
    if (beside && peek(w, 0) == '+') {
        buffer_putc(w->out, '*');
        w->at++;
    } else if (beside && (!peek(w, 0) || !strchr("*?{", peek(w, 0)))) {
        buffer_putc(w->out, '?');
    }
}

/* Characters outside ASCII, and blanks between them. Before a repeat the last stands alone if
 * folding makes it more than one. */
static void walk_run(struct walk *w)
{
    size_t end = w->at, last = w->at;
    for (size_t i = w->at; i < w->in.len; i++) {
        char c = w->in.at[i];
        size_t blank = w->in_class ? 0 : blank_bytes(w, i - w->at);
        if (blank == 2 || (is_ascii(c) && !blank))
            break;
        i += blank ? blank - 1 : 0;
        if (blank)
            continue;
        if (((unsigned char)c & 0xc0) != 0x80)
            last = i;
        end = i + 1;
    }
    struct str run = str_from(w->in.at + w->at, end - w->at);
    struct str tail = str_from(w->in.at + last, end - last);
    w->at = end;
    if (last > (size_t)(run.at - w->in.at) && strchr("*+?{", peek(w, 0)) && peek(w, 0)) {
        struct buffer folded;
        buffer_init(&folded, LIMIT_PATTERN_FOLDED_BYTES);
        w->fold(tail, &folded);
        if (characters(buffer_str(&folded)) > 1) {
            put_folded(w, str_head(run, run.len - tail.len));
            run = tail;
        }
        buffer_drop(&folded);
    }
    put_folded(w, run);
}

/* \x41 and \x{793e}: a character by its number, folded like one that is written. */
static void walk_number(struct walk *w)
{
    size_t digits = w->at + 2, bytes = 4;
    bool braces = peek(w, 2) == '{';
    uint32_t c = 0;
    if (braces) {
        struct str rest = str_skip(w->in, w->at);
        bytes = str_find(rest, '}');
        bytes = bytes == SIZE_MAX ? rest.len : bytes + 1;
        digits++;
    }
    size_t end = size_min(w->at + bytes - braces, w->in.len);
    for (size_t i = digits; i < end; i++) {
        char d = char_lower(w->in.at[i]);
        if (!(d >= '0' && d <= '9') && !(d >= 'a' && d <= 'f'))
            break; /* Hyperscan's to refuse */
        c = c << 4 | (uint32_t)(d <= '9' ? d - '0' : d - 'a' + 10);
        if (c > 0x10ffff)
            break;
    }
    if (c >= 'A' && c <= 'Z') {
        buffer_putc(w->out, (char)(c + ('a' - 'A')));
        w->at += bytes;
    } else if (c >= 0x80 && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff)) {
        struct buffer one;
        buffer_init(&one, 8);
        utf8_put(&one, c);
        w->at += bytes;
        put_folded(w, buffer_str(&one));
        buffer_drop(&one);
    } else {
        copy(w, bytes);
    }
}

/* \Q...\E */
static void walk_quoted(struct walk *w)
{
    w->at += 2;
    struct str rest = str_skip(w->in, w->at);
    size_t end = str_find_str(rest, STR("\\E"));
    struct str quoted = str_head(rest, end == SIZE_MAX ? rest.len : end);
    struct buffer folded;
    buffer_init(&folded, LIMIT_PATTERN_FOLDED_BYTES);
    w->fold(quoted, &folded);
    w->out->full |= folded.full;
    put_escaped(w->out, buffer_str(&folded));
    buffer_drop(&folded);
    w->at = size_min(w->at + quoted.len + 2, w->in.len);
}

static void walk_escape(struct walk *w)
{
    char c = peek(w, 1);
    if (c == 'x') {
        walk_number(w);
    } else if (c == 'Q') {
        walk_quoted(w);
    } else if (c == 'E') {
        w->at += 2;
    } else if (c == 'c') {
        copy(w, 3);
    } else if (c == 'p' && str_starts(str_skip(w->in, w->at + 2), STR("{Lu}"))) {
        buffer_puts(w->out, "\\p{Ll}");
        w->at += 6;
    } else if (c == 'p' || c == 'P') {
        copy(w, 2);
        if (peek(w, 0) == '{')
            copy_through(w, "}");
        else
            copy(w, 1);
    } else if (!is_ascii(c)) {
        w->at++;
    } else {
        copy(w, 2);
    }
}

static void walk_bracket(struct walk *w)
{
    if (!w->in_class) {
        w->in_class = true;
        copy(w, 1);
        if (peek(w, 0) == '^')
            copy(w, 1);
        if (peek(w, 0) == ']')
            copy(w, 1);
    } else if (str_starts(str_skip(w->in, w->at), STR("[:upper:]"))) {
        buffer_puts(w->out, "[:lower:]");
        w->at += 9;
    } else if (peek(w, 1) == ':') {
        copy_through(w, "]");
    } else {
        copy(w, 1);
    }
}

static void walk_expression(struct walk *w)
{
    while (w->at < w->in.len && !w->out->full) {
        char c = peek(w, 0);
        if (!w->in_class && blank_bytes(w, 0)) {
            walk_blank(w);
        } else if (c == '\\') {
            walk_escape(w);
        } else if (c == '[') {
            walk_bracket(w);
        } else if (c == ']') {
            w->in_class = false;
            copy(w, 1);
        } else if (c == '(' && !w->in_class && peek(w, 1) == '?') {
            copy(w, 3);
            if (!strchr(":=!>|", w->in.at[w->at - 1]))
                copy_through(w, w->in.at[w->at - 1] == '#' ? ")" : ":)>=!'");
        } else if (c == '(' && !w->in_class && peek(w, 1) == '*') {
            copy_through(w, ")");
        } else if (is_ascii(c)) {
            buffer_putc(w->out, char_lower(c));
            w->at++;
        } else {
            walk_run(w);
        }
    }
}

/* ".*x" ends wherever "x" does, and costs a look at everything before. */
static bool begins_anywhere(struct str s)
{
    for (;;) {
        size_t end;
        if (str_starts(s, STR("^")) || (str_starts(s, STR("(")) && !str_starts(s, STR("(?"))))
            s = str_skip(s, 1);
        else if (str_starts(s, STR("(?")) && (end = str_find(s, ':')) < 8)
            s = str_skip(s, end + 1);
        else if (str_starts(s, STR("(?")) && (end = str_find(s, ')')) < 8)
            s = str_skip(s, end + 1);
        else
            break;
    }
    if (!str_starts(s, STR(".")))
        return false;
    s = str_skip(s, 1);
    if (str_starts(s, STR("*")) || str_starts(s, STR("+")))
        return true;
    size_t comma = str_find(s, ',');
    return str_starts(s, STR("{")) && comma + 1 < s.len && s.at[comma + 1] == '}';
}

static const char *add_expression(struct buffer *out, struct str text, match_fold_fn *fold)
{
    if (begins_anywhere(text))
        return "it begins with anything (\".*\"): leave that out, the rest is found anywhere";
    struct walk w = {.in = text, .fold = fold, .out = out};
    walk_expression(&w);
    return NULL;
}

const char *match_source_add(struct buffer *source, const struct match_pattern *p,
                             match_fold_fn *fold)
{
    if (p->text.len > LIMIT_PATTERN_BYTES)
        return "it is longer than 4096 bytes";
    if (!utf8_is_valid(p->text))
        return "it is not valid UTF-8";
    if (str_find(p->text, '\0') != SIZE_MAX)
        return "it holds a NUL";
    if (p->dictionary >= LIMIT_DICTIONARIES)
        return "there are too many dictionaries";
    struct buffer text;
    const char *refused = NULL;
    buffer_init(&text, LIMIT_PATTERN_FOLDED_BYTES);
    if (p->expression)
        refused = add_expression(&text, p->text, fold);
    else
        fold(p->text, &text);
    if (!refused && text.full)
        refused = "it is too long once it is folded";
    if (!refused && !text.len)
        refused = p->text.len ? "nothing is left of it once it is folded" : "it is empty";
    if (!refused && source->len + text.len + 9 > source->max)
        refused = "the patterns of this organisation are too many: 16 MiB is the maximum";
    if (!refused) {
        buffer_put8(source, p->expression ? MATCH_EXPRESSION : MATCH_WORD);
        buffer_put32(source, p->dictionary);
        buffer_put_bytes32(source, buffer_str(&text));
        if (source->full)
            refused = "no memory";
    }
    buffer_drop(&text);
    return refused;
}
