#include "core/mail/content_parameter.h"

#include "core/base/buffer.h"
#include "core/mail/charset.h"
#include "core/mail/utf8.h"
#include "core/mail/word.h"

enum {
    JOINED_BYTES = LIMIT_PARAMETERS * LIMIT_PARAMETER_BYTES,
    NAME_BYTES = 16 << 10, /* of a decoded name: 4 bytes for each of LIMIT_PARAMETER_BYTES */
    ESCAPE = 0x1B,
};

bool content_list_add(struct content_list *list, struct str value, struct arena *arena)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (str_eq(list->at[i], value))
            return true;
    if (list->count == LIMIT_READINGS)
        return false;
    if ((list->count & (list->count - 1)) == 0) { /* 0, 1, 2, 4 ...: room for as many again */
        size_t room = list->count ? (size_t)2 * list->count : 1;
        struct str *more = arena_take(arena, room * sizeof *more);
        if (!more)
            return false;
        if (list->count)
            memcpy(more, list->at, list->count * sizeof *more);
        list->at = more;
    }
    struct str copy = arena_copy(arena, value);
    if (!copy.at)
        return false;
    list->at[list->count++] = copy;
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct str skip_blanks(struct str s)
{
    while (s.len && is_blank(s.at[0]))
        s = str_skip(s, 1);
    return s;
}

size_t content_comment_bytes(struct str s)
{
    size_t depth = 0, i = 0;
    for (; i < s.len; i++) {
        if (s.at[i] == '\\')
            i++;
        else if (s.at[i] == '(')
            depth++;
        else if (s.at[i] == ')' && --depth == 0)
            return i + 1;
    }
    return s.len;
}

/* ---- one value */

static void add_reading(struct parameters *p, struct piece *piece, struct str value)
{
    if (value.len > LIMIT_PARAMETER_BYTES) {
        p->doubt |= CONTENT_LIMIT;
        value.len = LIMIT_PARAMETER_BYTES;
    }
    for (uint8_t i = 0; i < piece->readings; i++)
        if (str_eq(piece->value[i], value))
            return;
    if (piece->readings == PIECE_READINGS)
        p->doubt |= CONTENT_LIMIT;
    else
        piece->value[piece->readings++] = value;
}

/* Bytes of the double-byte run of ISO-2022-JP at the front, whose letters may look like quotes and
 * backslashes; 0: there is none, or it does not end. */
static size_t jis_bytes(struct str s)
{
    if (s.len < 3 || s.at[0] != ESCAPE || s.at[1] != '$')
        return 0;
    size_t end = str_find_str(str_skip(s, 3), STR("\x1b("));
    return end == SIZE_MAX ? 0 : size_min(3 + end + 3, s.len);
}

/* Where the closing quote is, behind the opening one; SIZE_MAX: nowhere. */
static size_t quoted_end(struct str s, bool escapes, bool jis)
{
    for (size_t i = 0; i < s.len; i++) {
        size_t run = jis && s.at[i] == ESCAPE ? jis_bytes(str_skip(s, i)) : 0;
        if (run) {
            i += run - 1;
            continue;
        }
        jis = jis && s.at[i] != ESCAPE; /* one that does not end: no need to search again */
        if (escapes && s.at[i] == '\\')
            i++;
        else if (s.at[i] == '"')
            return i;
    }
    return SIZE_MAX;
}

static struct str unescape(struct parameters *p, struct str s)
{
    if (str_find(s, '\\') == SIZE_MAX)
        return s;
    char *to = arena_take(p->scratch, s.len);
    if (!to) {
        p->doubt |= CONTENT_LIMIT;
        return s;
    }
    size_t len = 0;
    for (size_t i = 0; i < s.len; i++) {
        size_t run = s.at[i] == ESCAPE ? jis_bytes(str_skip(s, i)) : 0;
        if (run) {
            memcpy(to + len, s.at + i, run);
            len += run;
            i += run - 1;
            continue;
        }
        i += s.at[i] == '\\' && i + 1 < s.len;
        to[len++] = s.at[i];
    }
    return str_from(to, len);
}

/* With the backslashes taken away, and as they stand: a path of Windows, or the second byte of a
 * letter of CP932. */
static void add_quoted(struct parameters *p, struct piece *piece, struct str s)
{
    bool raw_first = !utf8_is_valid(s);
    if (raw_first)
        add_reading(p, piece, s);
    add_reading(p, piece, unescape(p, s));
    if (!raw_first)
        add_reading(p, piece, s);
}

static void note_raw(struct parameters *p, struct str value)
{
    if (!utf8_is_ascii(value) || str_find(value, ESCAPE) != SIZE_MAX)
        p->doubt |= CONTENT_RAW_BYTES;
}

/* What stands between a value and its semicolon. If it is no comment and no next parameter whose
 * semicolon was forgotten, some programs take it for a part of the value. */
static struct str take_junk(struct parameters *p, struct piece *piece, struct str value,
                            struct str rest)
{
    struct str junk = str_trim(str_head(rest, str_find(rest, ';')));
    if (junk.len == 0 || junk.at[0] == '(')
        return rest;
    p->doubt |= CONTENT_SYNTAX;
    if (str_find(junk, '=') != SIZE_MAX)
        return rest;
    char *joined = arena_take(p->scratch, value.len + junk.len);
    if (!joined) {
        p->doubt |= CONTENT_LIMIT;
        return rest;
    }
    if (value.len)
        memcpy(joined, value.at, value.len);
    memcpy(joined + value.len, junk.at, junk.len);
    add_reading(p, piece, str_from(joined, value.len + junk.len));
    return str_skip(rest, (size_t)(junk.at + junk.len - rest.at));
}

/* `s` is behind the opening quote. */
static struct str take_quoted(struct parameters *p, struct piece *piece, struct str s)
{
    struct str near = str_head(s, LIMIT_PARAMETER_BYTES + 1); /* with the quote */
    size_t end = quoted_end(near, true, true), plain = quoted_end(near, false, false);
    if (end == SIZE_MAX) {
        p->doubt |= CONTENT_SYNTAX | (near.len < s.len ? CONTENT_LIMIT : 0u);
        size_t semicolon = str_find(s, ';');
        add_quoted(p, piece, str_trim(near));
        add_quoted(p, piece, str_trim(str_head(near, semicolon)));
        if (plain != SIZE_MAX)
            add_reading(p, piece, str_head(near, plain));
        return str_skip(s, semicolon == SIZE_MAX ? s.len : semicolon);
    }
    struct str value = str_head(s, end);
    note_raw(p, value);
    add_quoted(p, piece, value);
    size_t other = quoted_end(near, true, false);
    if (plain != end || other != end)
        p->doubt |= str_find(value, ESCAPE) == SIZE_MAX ? CONTENT_SYNTAX : 0u;
    if (plain != end)
        add_reading(p, piece, str_head(near, plain));
    if (other != end && other != SIZE_MAX)
        add_reading(p, piece, str_head(near, other));
    return take_junk(p, piece, value, str_skip(s, end + 1));
}

/* Without quotes: usually everything up to the semicolon, though a token has no blanks. */
static struct str take_token(struct parameters *p, struct piece *piece, struct str s)
{
    size_t semicolon = size_min(str_find(s, ';'), s.len), end = 0;
    struct str all = str_trim(str_head(s, semicolon));
    note_raw(p, all);
    bool words = str_starts(all, STR("=?")) && str_ends_nocase(all, STR("?="));
    while (end < all.len && !is_blank(all.at[end]) && all.at[end] != '(' && all.at[end] != '"')
        end++;
    if (words || end == all.len) {
        add_reading(p, piece, all);
        return str_skip(s, semicolon);
    }
    struct str first = str_head(all, end), more = skip_blanks(str_skip(all, end));
    if (end && more.at[0] == '(' && content_comment_bytes(more) == more.len) {
        p->doubt |= CONTENT_COMMENT;
        add_reading(p, piece, is_blank(all.at[end]) ? first : all);
        add_reading(p, piece, first);
        add_reading(p, piece, all);
        return str_skip(s, semicolon);
    }
    p->doubt |= CONTENT_SYNTAX;
    bool next = str_find(more, '=') != SIZE_MAX; /* the semicolon is missing */
    add_reading(p, piece, next ? first : all);
    add_reading(p, piece, next ? all : first);
    return str_skip(s, next ? (size_t)(more.at - s.at) : semicolon);
}

/* ---- pieces */

/* "filename*0*": base, index, extended. */
static void read_name(struct parameters *p, struct piece *piece, struct str name)
{
    size_t star = str_find(name, '*');
    piece->base = str_head(name, star);
    piece->index = -1;
    if (star == SIZE_MAX)
        return;
    struct str rest = str_skip(name, star + 1);
    if (rest.len == 0 || rest.at[rest.len - 1] == '*') {
        piece->extended = true;
        rest.len -= rest.len > 0;
    }
    uint64_t index;
    if (rest.len == 0)
        return;
    if (rest.len > 1 && rest.at[0] == '0')
        p->doubt |= CONTENT_PIECES;
    if (str_number(rest, INT32_MAX, &index))
        piece->index = (int32_t)index;
    else
        p->doubt |= CONTENT_PIECES | CONTENT_SYNTAX;
}

/* "name = value" at the front; what is none is passed over. */
static struct str take_piece(struct parameters *p, struct str s)
{
    size_t end = 0;
    while (end < s.len && !is_blank(s.at[end]) && !strchr("=;(\"", s.at[end]))
        end++;
    struct str name = str_head(s, end), rest = skip_blanks(str_skip(s, end));
    while (rest.len && rest.at[0] == '(') {
        p->doubt |= CONTENT_COMMENT;
        rest = skip_blanks(str_skip(rest, content_comment_bytes(rest)));
    }
    if (rest.len == 0 || rest.at[0] != '=' || name.len == 0) {
        p->doubt |= CONTENT_SYNTAX;
        return str_skip(s, end ? end : 1);
    }
    if (p->count == LIMIT_PARAMETERS) {
        p->doubt |= CONTENT_LIMIT;
        return str_skip(s, s.len);
    }
    struct piece *piece = p->piece + p->count++;
    *piece = (struct piece){.index = -1};
    read_name(p, piece, name);
    rest = skip_blanks(str_skip(rest, 1));
    if (rest.len && rest.at[0] == '"')
        return take_quoted(p, piece, str_skip(rest, 1));
    return take_token(p, piece, rest);
}

void parameters_read(struct parameters *p, struct str rest)
{
    for (;;) {
        while (rest.len && (is_blank(rest.at[0]) || rest.at[0] == ';'))
            rest = str_skip(rest, 1);
        if (rest.len == 0)
            return;
        if (rest.at[0] == '(') {
            p->doubt |= CONTENT_COMMENT;
            rest = str_skip(rest, content_comment_bytes(rest));
        } else {
            rest = take_piece(p, rest);
        }
    }
}

/* ---- values of one base name */

struct gather {
    struct parameters *p;
    enum parameter_text text;
    struct arena *arena;
    struct content_list *list;
};

static void add_value(struct gather *g, struct str value)
{
    if (!content_list_add(g->list, value, g->arena))
        g->p->doubt |= CONTENT_LIMIT;
}

/* A name as it may be shown; without what may not; and up to a NUL, where some stop. */
static void add_name(struct gather *g, struct str raw)
{
    static const char mark[] = "\uFFFD";
    struct buffer clean, less;
    buffer_init(&clean, NAME_BYTES);
    buffer_init(&less, NAME_BYTES);
    if (raw.len > LIMIT_PARAMETER_BYTES)
        g->p->doubt |= CONTENT_LIMIT;
    word_decode(str_head(raw, LIMIT_PARAMETER_BYTES), NAME_BYTES - 4, &clean);
    struct str name = buffer_str(&clean), rest = name;
    add_value(g, name);
    size_t at = str_find_str(rest, str_c(mark));
    if (at != SIZE_MAX)
        g->p->doubt |= CONTENT_NAME_UNSAFE;
    for (; at != SIZE_MAX; at = str_find_str(rest, str_c(mark))) {
        buffer_put(&less, str_head(rest, at));
        rest = str_skip(rest, at + sizeof mark - 1);
    }
    buffer_put(&less, rest);
    if (less.len < clean.len && less.len)
        add_value(g, str_trim(buffer_str(&less)));
    bool odd = str_find(name, '/') != SIZE_MAX || str_find(name, '\\') != SIZE_MAX;
    if (odd || (name.len && name.at[name.len - 1] == '.'))
        g->p->doubt |= CONTENT_NAME_UNSAFE;
    buffer_drop(&clean);
    buffer_drop(&less);
}

static void add_text(struct gather *g, struct str value)
{
    if (g->text == PARAMETER_RAW) {
        add_value(g, value);
        return;
    }
    add_name(g, value);
    size_t nul = str_find(value, '\0');
    if (nul != SIZE_MAX && nul)
        add_name(g, str_head(value, nul));
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = char_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void put_percent(struct parameters *p, struct str s, struct buffer *out)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] != '%') {
            buffer_putc(out, s.at[i]);
        } else if (i + 2 < s.len && hex(s.at[i + 1]) >= 0 && hex(s.at[i + 2]) >= 0) {
            buffer_putc(out, (char)(hex(s.at[i + 1]) << 4 | hex(s.at[i + 2])));
            i += 2;
        } else {
            p->doubt |= CONTENT_SYNTAX;
            buffer_putc(out, '%');
        }
    }
}

/* Bytes of a charset that was named; without a name they are guessed (by word_decode). */
static void add_converted(struct gather *g, struct str charset, struct str bytes)
{
    if (g->text == PARAMETER_RAW || charset.len == 0) {
        add_text(g, bytes);
        return;
    }
    struct buffer text;
    buffer_init(&text, (size_t)4 * JOINED_BYTES);
    if (!charset_to_utf8(charset, bytes, &text))
        g->p->doubt |= CONTENT_BAD_TEXT;
    add_text(g, buffer_str(&text));
    buffer_drop(&text);
}

/* charset'language' at the front of an extended value goes to `charset`. */
static struct str take_charset(struct parameters *p, struct str value, struct str *charset)
{
    size_t first = str_find(value, '\'');
    size_t second = first == SIZE_MAX ? SIZE_MAX : str_find(str_skip(value, first + 1), '\'');
    if (second == SIZE_MAX) {
        p->doubt |= CONTENT_SYNTAX;
        return value;
    }
    *charset = str_head(value, first);
    return str_skip(value, first + 1 + second + 1);
}

/* Put together in the order given; of each piece its first or its last reading. */
static void add_joined(struct gather *g, const struct piece *const *order, uint32_t count,
                       bool last)
{
    struct buffer bytes;
    struct str charset = {"", 0};
    if (count == 0)
        return;
    buffer_init(&bytes, JOINED_BYTES);
    for (uint32_t i = 0; i < count; i++) {
        struct str value = order[i]->value[last ? order[i]->readings - 1 : 0];
        if (!order[i]->extended) {
            buffer_put(&bytes, value);
            continue;
        }
        if (i == 0)
            value = take_charset(g->p, value, &charset);
        put_percent(g->p, value, &bytes);
    }
    if (bytes.full)
        g->p->doubt |= CONTENT_LIMIT;
    add_converted(g, charset, buffer_str(&bytes));
    buffer_drop(&bytes);
}

static void sort(const struct piece *const *from, uint32_t count, const struct piece **to)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = i;
        for (; at && to[at - 1]->index > from[i]->index; at--)
            to[at] = to[at - 1];
        to[at] = from[i];
    }
}

/* Of sorted pieces one of each index; those up to the first gap, if `strict`. */
static uint32_t choose(const struct piece *const *sorted, uint32_t count, bool last, bool strict,
                       const struct piece **to)
{
    uint32_t chosen = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool again = chosen && to[chosen - 1]->index == sorted[i]->index;
        if (again && !last)
            continue;
        if (strict && !again && sorted[i]->index != (int32_t)chosen)
            break;
        chosen -= again;
        to[chosen++] = sorted[i];
    }
    return chosen;
}

static void gather_pieces(struct gather *g, const struct piece *const *found, uint32_t count)
{
    const struct piece *sorted[LIMIT_PARAMETERS], *some[LIMIT_PARAMETERS];
    bool readings = false, in_order = true;
    if (count == 0)
        return;
    sort(found, count, sorted);
    for (uint32_t i = 0; i < count; i++) {
        readings |= found[i]->readings > 1;
        in_order = in_order && found[i]->index == (int32_t)i;
    }
    uint32_t strict = choose(sorted, count, false, true, some);
    if (strict)
        add_joined(g, some, strict, false);
    if (strict && readings)
        add_joined(g, some, strict, true);
    if (in_order)
        return;
    g->p->doubt |= CONTENT_PIECES;
    add_joined(g, some, choose(sorted, count, true, true, some), false);
    add_joined(g, some, choose(sorted, count, false, false, some), false);
    add_joined(g, some, choose(sorted, count, true, false, some), false);
    add_joined(g, sorted, count, false);
    add_joined(g, found, count, false);
}

/* One piece that is no continuation. */
static void gather_single(struct gather *g, const struct piece *piece)
{
    for (uint8_t i = 0; i < piece->readings; i++) {
        if (!piece->extended) {
            add_text(g, piece->value[i]);
            continue;
        }
        struct piece one = *piece;
        const struct piece *order = &one;
        one.value[0] = piece->value[i];
        one.readings = 1;
        add_joined(g, &order, 1, false);
    }
}

void parameter_gather(struct parameters *p, struct str base, enum parameter_text text,
                      struct arena *arena, struct content_list *list)
{
    const struct piece *found[LIMIT_PARAMETERS];
    struct gather g = {p, text, arena, list};
    uint32_t count = 0;
    for (uint32_t i = 0; i < p->count; i++)
        if (p->piece[i].index >= 0 && str_eq_nocase(p->piece[i].base, base))
            found[count++] = p->piece + i;
    gather_pieces(&g, found, count);
    for (int extended = 1; extended >= 0; extended--) /* RFC 2231 before plain values */
        for (uint32_t i = 0; i < p->count; i++) {
            const struct piece *piece = p->piece + i;
            if (piece->index < 0 && piece->extended == (extended == 1) &&
                str_eq_nocase(piece->base, base))
                gather_single(&g, piece);
        }
}
