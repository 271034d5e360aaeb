#include "core/mail/mailbox_scan.h"

#include "core/mail/mailbox.h"

enum {
    NOT_FOUND = UINT32_MAX,
    ESCAPE_BYTE = 0x1B,
};

void mailbox_scan_init(struct mailbox_scan *s, struct str in)
{
    must(in.len < UINT32_MAX / 2);
    *s = (struct mailbox_scan){.in = in};
}

/* Behind "ESC $ B ... ESC ( B", which begins at `at`; `at` itself when none does. */
static uint32_t skip_escape(struct mailbox_scan *s, uint32_t at)
{
    struct str rest = str_skip(s->in, at);
    if (s->no_escapes || !str_starts(rest, STR("\x1b$")))
        return at;
    size_t end = str_find_str(rest, STR("\x1b("));
    if (end == SIZE_MAX || end + 3 > rest.len) {
        s->no_escapes = true;
        return at;
    }
    s->doubts |= str_find(str_head(rest, end), '@') != SIZE_MAX ? MAILBOX_ESCAPE : MAILBOX_PHRASE;
    return at + (uint32_t)end + 3;
}

/* Behind the quote that closes the one at `at`. */
static uint32_t find_quote_end(struct mailbox_scan *s, uint32_t at)
{
    uint32_t i = at + 1;
    while (i < s->in.len) {
        char c = s->in.at[i];
        if (c == '"')
            return i + 1;
        uint32_t next = c == ESCAPE_BYTE ? skip_escape(s, i) : i;
        i = next > i ? next : i + (c == '\\' ? 2 : 1);
    }
    return NOT_FOUND;
}

static uint32_t find_comment_end(struct mailbox_scan *s, uint32_t at)
{
    uint32_t depth = 0, i = at;
    bool deep = false, shows = false;
    while (i < s->in.len) {
        char c = s->in.at[i];
        depth += c == '(';
        depth -= c == ')';
        deep |= depth > 1 || c == '"';
        shows |= c == '@';
        if (depth == 0) {
            s->doubts |= deep && shows ? MAILBOX_COMMENT : 0;
            return i + 1;
        }
        uint32_t next = c == ESCAPE_BYTE ? skip_escape(s, i) : i;
        i = next > i ? next : i + (c == '\\' ? 2 : 1);
    }
    return NOT_FOUND;
}

/* Brackets do not nest: the next "[" ends the search, so that it stays linear. */
static uint32_t find_literal_end(const struct mailbox_scan *s, uint32_t at)
{
    for (uint32_t i = at + 1; i < s->in.len && s->in.at[i] != '['; i++)
        if (s->in.at[i] == ']')
            return i + 1;
    return NOT_FOUND;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool skip_comment(struct mailbox_scan *s)
{
    if (s->no_comments)
        return false;
    uint32_t end = find_comment_end(s, s->at);
    if (end == NOT_FOUND) {
        s->no_comments = true;
        s->doubts |= MAILBOX_UNCLOSED;
        return false;
    }
    if (!s->comments++)
        s->first_comment = s->at;
    s->comment_start = s->at;
    s->comment_end = s->at = end;
    return true;
}

static bool is_letter(char c)
{
    static const uint8_t letters[32] = {
        /* RFC 5322 atext, and everything over 0x7F: a bit each */
        0x00, 0x00, 0x00, 0x00, 0xFA, 0xAC, 0xFF, 0xA3, 0xFE, 0xFF, 0xFF,
        0xC7, 0xFF, 0xFF, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
        0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
    };
    unsigned char byte = (unsigned char)c;
    return letters[byte / 8] >> byte % 8 & 1;
}

static uint32_t find_atom_end(struct mailbox_scan *s, uint32_t at)
{
    while (at < s->in.len) {
        uint32_t next = s->in.at[at] == ESCAPE_BYTE ? skip_escape(s, at) : at;
        if (next == at && !is_letter(s->in.at[at]))
            break;
        at = next > at ? next : at + 1;
    }
    return at;
}

static enum scan_kind kind_of(char c)
{
    switch (c) {
    case '.':
        return SCAN_DOT;
    case '@':
        return SCAN_AT;
    case ',':
        return SCAN_COMMA;
    case ';':
        return SCAN_SEMICOLON;
    case ':':
        return SCAN_COLON;
    case '<':
        return SCAN_LESS;
    case '>':
        return SCAN_GREATER;
    case '[':
    case ']':
        return SCAN_BRACKET;
    default:
        return SCAN_STRAY;
    }
}

static struct scan_token take_special(struct mailbox_scan *s, struct scan_token t)
{
    char c = s->in.at[s->at];
    uint32_t end = NOT_FOUND;
    if (c == '"' && !s->no_quotes) {
        end = find_quote_end(s, s->at);
        s->no_quotes = end == NOT_FOUND;
        t.kind = SCAN_QUOTED;
    } else if (c == '[' && s->before == SCAN_AT) {
        end = find_literal_end(s, s->at);
        t.kind = SCAN_LITERAL;
    }
    if (end == NOT_FOUND) {
        t.kind = kind_of(c);
        end = s->at + 1;
        if (c == '"' || c == '(' || (c == '[' && s->before == SCAN_AT))
            s->doubts |= MAILBOX_UNCLOSED;
        if ((unsigned char)c < ' ' || c == 0x7F)
            s->doubts |= MAILBOX_BYTE;
    }
    t.end = s->at = end;
    return t;
}

static struct scan_token take_token(struct mailbox_scan *s, bool apart)
{
    struct scan_token t = {.start = s->at, .end = s->at, .apart = apart};
    if (s->at >= s->in.len)
        return t;
    t.end = find_atom_end(s, s->at);
    if (t.end == t.start)
        return take_special(s, t);
    t.kind = SCAN_ATOM;
    s->at = t.end;
    return t;
}

struct scan_token mailbox_scan_next(struct mailbox_scan *s)
{
    uint32_t from = s->at;
    s->comments = 0;
    while (s->at < s->in.len) {
        char c = s->in.at[s->at];
        if (is_blank(c))
            s->at++;
        else if (c != '(' || !skip_comment(s))
            break;
    }
    struct scan_token t = take_token(s, s->at > from);
    s->before = t.kind;
    return t;
}
