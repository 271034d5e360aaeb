#include "core/mail/mailbox.h"

#include "core/base/limit.h"
#include "core/mail/mailbox_scan.h"
#include "core/mail/utf8.h"
#include "core/mail/word.h"

enum {
    SPEC_BYTES = 4096, /* an addr-spec that is longer is ADDRESS_LONG anyway */
    TEXT_BYTES = 64 << 10,
    FULLWIDTH_AT = 0xFF20,
};

struct reader {
    struct mailbox_scan scan;
    struct arena *arena;
    struct buffer boxes, groups; /* of struct mailbox, struct mailbox_group */
    struct buffer text, shown;   /* scratch */
    uint32_t box_count, group_count;
    unsigned doubts;
    bool no_memory;
    bool past_group;     /* it just ended: a comma should follow */
    uint32_t open_group; /* number of the group that is open, or 0 */
    uint32_t last_end;   /* of what was closed last */
    uint32_t word_end;   /* where the last "?=" that was looked for begins */

    /* the element that is being read */
    uint32_t token_count;
    uint32_t element, start, end; /* start == end: nothing of it yet */
    uint32_t first_box;
    uint32_t comment_start, comment_end;
    unsigned element_doubts;
    bool past_angle; /* it has its address: what follows should be a comma */
    struct scan_token token[LIMIT_MAILBOX_TOKENS]; /* those that are in no mailbox yet */
};

static struct str between(const struct reader *r, uint32_t start, uint32_t end)
{
    return str_from(r->scan.in.at + start, end - start);
}

static struct str token_text(const struct reader *r, const struct scan_token *t)
{
    return between(r, t->start, t->end);
}

/* ---- names */

static bool is_plain(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.at[i] < ' ' || s.at[i] > '~')
            return false;
    return s.len <= LIMIT_MAILBOX_NAME_BYTES && str_find_str(s, STR("=?")) == SIZE_MAX;
}

/* What `text` holds, as people shall see it. */
static struct str show(struct reader *r)
{
    struct str raw = str_trim(buffer_str(&r->text));
    if (raw.len == 0)
        return str_from("", 0);
    if (!is_plain(raw)) {
        buffer_clear(&r->shown);
        word_decode(raw, LIMIT_MAILBOX_NAME_BYTES + 4, &r->shown);
        raw = str_trim(buffer_str(&r->shown));
        if (raw.len > LIMIT_MAILBOX_NAME_BYTES) {
            r->element_doubts |= MAILBOX_LONG;
            raw = utf8_head(raw, LIMIT_MAILBOX_NAME_BYTES);
        }
    }
    struct str name = arena_copy(r->arena, raw);
    r->no_memory |= !name.at;
    return name.at ? name : str_from("", 0);
}

/* The content of a quoted string or comment, without its backslashes. */
static void put_unquoted(struct str inside, struct buffer *out)
{
    for (size_t i = 0; i < inside.len; i++) {
        if (inside.at[i] == '\\' && i + 1 < inside.len)
            i++;
        buffer_putc(out, inside.at[i]);
    }
}

static struct str inner(struct str s)
{
    return str_from(s.at + 1, s.len - 2);
}

/* The tokens as one phrase. */
static struct str read_name(struct reader *r, uint32_t first, uint32_t last)
{
    buffer_clear(&r->text);
    for (uint32_t i = first; i < last; i++) {
        const struct scan_token *t = &r->token[i];
        if (t->apart && i > first)
            buffer_putc(&r->text, ' ');
        if (t->kind == SCAN_QUOTED)
            put_unquoted(inner(token_text(r, t)), &r->text);
        else
            buffer_put(&r->text, token_text(r, t));
        if (t->kind == SCAN_BRACKET || t->kind == SCAN_AT)
            r->element_doubts |= MAILBOX_PHRASE;
        else if (t->kind != SCAN_ATOM && t->kind != SCAN_QUOTED && t->kind != SCAN_DOT)
            r->element_doubts |= MAILBOX_REST;
    }
    if (r->text.full)
        r->element_doubts |= MAILBOX_LONG;
    return show(r);
}

/* What stands where no address could be read. */
static struct str read_text(struct reader *r, uint32_t first, uint32_t last)
{
    unsigned doubts = r->element_doubts;
    struct str text = read_name(r, first, last);
    r->element_doubts = doubts;
    return text;
}

static struct str read_comment(struct reader *r)
{
    if (r->comment_start == r->comment_end)
        return str_from("", 0);
    buffer_clear(&r->text);
    put_unquoted(inner(between(r, r->comment_start, r->comment_end)), &r->text);
    return show(r);
}

static bool ends_run(char c)
{
    return (unsigned char)c <= ' ' || str_find(STR("<>()[]\",;:'"), c) != SIZE_MAX;
}

/* Does the name show an address, or what looks like one, that is not `whole`? (ADDR-07, ADDR-08) */
static bool shows_another(struct str name, struct str whole)
{
    for (size_t i = 0; i < name.len; i++) {
        uint32_t c = 0;
        size_t sign = name.at[i] == '@' ? 1 : utf8_take(str_skip(name, i), &c);
        if (sign == 0 || (name.at[i] != '@' && c != FULLWIDTH_AT))
            continue;
        size_t start = i, end = i + sign;
        while (start > 0 && !ends_run(name.at[start - 1]))
            start--;
        while (end < name.len && !ends_run(name.at[end]))
            end++;
        while (end > i + sign && name.at[end - 1] == '.')
            end--;
        if (start < i && end > i + sign &&
            !str_eq_nocase(str_from(name.at + start, end - start), whole))
            return true;
        i = end - 1;
    }
    return false;
}

/* An atom that begins as an encoded word and holds, before that word's end, what separates
 * addresses: who decodes first reads another list. Each end is looked for once. */
static void note_encoded(struct reader *r, const struct scan_token *t)
{
    struct str text = token_text(r, t);
    if (t->kind != SCAN_ATOM || !str_starts(text, STR("=?")))
        return;
    if (r->word_end < t->start + 2) {
        size_t end = str_find_str(str_skip(r->scan.in, t->start + 2), STR("?="));
        r->word_end = end == SIZE_MAX ? UINT32_MAX : t->start + 2 + (uint32_t)end;
    }
    if (r->word_end == UINT32_MAX || r->word_end < t->end)
        return;
    struct str rest = between(r, t->end, r->word_end);
    for (size_t i = 0; i < rest.len; i++)
        if (str_find(STR("<>@,;:\"("), rest.at[i]) != SIZE_MAX) {
            r->element_doubts |= MAILBOX_ENCODED;
            return;
        }
}

/* ---- mailboxes */

static bool has_at(const struct reader *r, uint32_t first, uint32_t last)
{
    for (uint32_t i = first; i < last; i++)
        if (r->token[i].kind == SCAN_AT)
            return true;
    return false;
}

static void emit(struct reader *r, struct mailbox *m)
{
    if (m->status != ADDRESS_OK) {
        const struct str none = {"", 0};
        m->address = (struct address){none, none, none, false, false};
    }
    r->no_memory |= m->status == ADDRESS_NO_MEMORY;
    if (r->box_count == LIMIT_MAILBOXES) {
        r->doubts |= MAILBOX_LIMIT;
        return;
    }
    m->group = r->open_group;
    m->element = r->element;
    bool own_text = m->status != ADDRESS_OK && has_at(r, 0, r->token_count);
    if (!own_text && shows_another(m->name, m->address.whole))
        m->doubts |= MAILBOX_NAME;
    buffer_put(&r->boxes, str_from((const char *)m, sizeof *m));
    r->no_memory |= r->boxes.full;
    r->box_count++;
}

static void put_quoted(struct str inside, struct buffer *out)
{
    for (size_t i = 0; i < inside.len; i++) {
        char c = inside.at[i];
        if (c == '\r' || c == '\n')
            continue; /* folded */
        if (c == '\\' && i + 1 < inside.len)
            c = inside.at[++i];
        if (c == '"' || c == '\\')
            buffer_putc(out, '\\');
        buffer_putc(out, c);
    }
}

/* Tokens [first, sign) "@" (sign, last) to the strict parser, in the spelling that it takes. */
static void parse_spec(struct reader *r, uint32_t first, uint32_t sign, uint32_t last,
                       struct mailbox *m)
{
    bool quoted = false;
    for (uint32_t i = first; i < sign; i++)
        quoted |= r->token[i].kind == SCAN_QUOTED;
    buffer_clear(&r->text);
    if (quoted)
        buffer_putc(&r->text, '"');
    for (uint32_t i = first; i < last; i++) {
        const struct scan_token *t = &r->token[i];
        if (t->apart && i > first)
            m->doubts |= MAILBOX_OBSOLETE;
        if (i == sign && quoted)
            buffer_putc(&r->text, '"');
        if (t->kind == SCAN_QUOTED)
            put_quoted(inner(token_text(r, t)), &r->text);
        else
            buffer_put(&r->text, token_text(r, t));
    }
    struct str spec = buffer_str(&r->text);
    m->status = spec.len > SPEC_BYTES || r->text.full
                    ? ADDRESS_LONG
                    : address_parse(spec, ADDRESS_UTF8, r->arena, &m->address);
    struct str local = m->address.local;
    if (m->status != ADDRESS_OK)
        return;
    for (size_t i = 0; local.at[0] == '"' && i < local.len; i++)
        if (str_find(STR("@,;:<>() "), local.at[i]) != SIZE_MAX)
            m->doubts |= MAILBOX_QUOTED;
    if (str_find_str(local, STR("=?")) != SIZE_MAX)
        m->doubts |= MAILBOX_ENCODED;
}

static bool is_word(const struct scan_token *t)
{
    return t->kind == SCAN_ATOM || t->kind == SCAN_QUOTED;
}

/* Where the local part begins whose at sign is `sign`: words with dots between them. */
static uint32_t find_local(const struct reader *r, uint32_t first, uint32_t sign)
{
    uint32_t at = sign;
    while (at > first) {
        const struct scan_token *t = &r->token[at - 1];
        if (t->kind != SCAN_DOT && !(is_word(t) && (at == sign || !is_word(t + 1))))
            break;
        at--;
    }
    return at;
}

static uint32_t find_domain_end(const struct reader *r, uint32_t sign, uint32_t last)
{
    uint32_t at = sign + 1;
    if (at < last && r->token[at].kind == SCAN_LITERAL)
        return at + 1;
    while (at < last) {
        const struct scan_token *t = &r->token[at];
        if (t->kind != SCAN_DOT &&
            !(t->kind == SCAN_ATOM && (at == sign + 1 || t[-1].kind == SCAN_DOT)))
            break;
        at++;
    }
    return at;
}

/* Where the grammar sees no more than a quoted string, some read the address in it. */
static uint32_t guess_quoted(struct reader *r, uint32_t first, uint32_t last)
{
    uint32_t found = 0;
    for (uint32_t i = first; i < last; i++) {
        struct str text = token_text(r, &r->token[i]);
        if (r->token[i].kind != SCAN_QUOTED || str_find(text, '@') == SIZE_MAX)
            continue;
        struct mailbox m = {.name = {"", 0}, .guess = true};
        buffer_clear(&r->text);
        put_unquoted(inner(text), &r->text);
        m.status =
            address_parse(str_trim(buffer_str(&r->text)), ADDRESS_UTF8, r->arena, &m.address);
        if (m.status == ADDRESS_OK || m.status == ADDRESS_NO_MEMORY) {
            emit(r, &m);
            found++;
        }
    }
    return found;
}

/* `a . b@c . d`, which is a.b@c.d: some read b@c. */
static void guess_tight(struct reader *r, uint32_t start, uint32_t sign, uint32_t end)
{
    uint32_t first = sign, last = sign + 1;
    for (uint32_t i = sign; i > start && !r->token[i].apart; i--)
        first = i - 1;
    while (last < end && !r->token[last].apart)
        last++;
    first += r->token[first].kind == SCAN_DOT;
    last -= r->token[last - 1].kind == SCAN_DOT;
    if (first >= sign || last <= sign + 1 || (first == start && last == end))
        return;
    struct mailbox m = {.name = {"", 0}, .guess = true};
    parse_spec(r, first, sign, last, &m);
    if (m.status == ADDRESS_OK)
        emit(r, &m);
}

/* Every address in tokens [first, last). Only one that fills them all is by the grammar. */
static void read_addresses(struct reader *r, uint32_t first, uint32_t last, struct str name,
                           bool guess)
{
    uint32_t found = 0;
    bool whole = false;
    for (uint32_t i = first; i < last && !r->no_memory; i++) {
        note_encoded(r, &r->token[i]);
        if (r->token[i].kind != SCAN_AT)
            continue;
        uint32_t start = find_local(r, first, i), end = find_domain_end(r, i, last);
        if (start == i || end == i + 1)
            continue;
        whole = start == first && end == last;
        struct mailbox m = {.name = name, .guess = guess || !whole};
        parse_spec(r, start, i, end, &m);
        if (m.status != ADDRESS_OK && !name.len)
            m.name = read_text(r, start, end);
        r->element_doubts |= m.status != ADDRESS_OK ? MAILBOX_REST : 0;
        emit(r, &m);
        guess_tight(r, start, i, end);
        found++;
    }
    if (!whole) {
        r->element_doubts |= MAILBOX_REST;
        found += guess_quoted(r, first, last);
    }
    if (found > 1)
        r->element_doubts |= MAILBOX_SECOND;
    if (!found && !guess) {
        struct mailbox m = {.name = name, .status = ADDRESS_BAD};
        if (!name.len)
            m.name = read_text(r, first, last);
        emit(r, &m);
    }
}

/* ---- elements */

static void widen(struct reader *r, uint32_t start, uint32_t end)
{
    if (r->start == r->end)
        r->start = start;
    r->end = end;
}

static struct scan_token next_token(struct reader *r)
{
    struct scan_token t = mailbox_scan_next(&r->scan);
    if (r->scan.comments) {
        widen(r, r->scan.first_comment, r->scan.comment_end);
        r->comment_start = r->scan.comment_start;
        r->comment_end = r->scan.comment_end;
    }
    return t;
}

/* What waits is in the way: look for addresses in it, and let it go. */
static void flush_tokens(struct reader *r)
{
    read_addresses(r, 0, r->token_count, str_from("", 0), true);
    r->element_doubts |= has_at(r, 0, r->token_count) ? MAILBOX_SECOND : MAILBOX_REST;
    r->token_count = 0;
}

static void push(struct reader *r, const struct scan_token *t)
{
    widen(r, t->start, t->end);
    if (r->token_count == LIMIT_MAILBOX_TOKENS) {
        r->element_doubts |= MAILBOX_LIMIT;
        r->past_angle = true;
        flush_tokens(r);
    }
    r->token[r->token_count++] = *t;
}

/* Behind "<": tokens up to ">" are appended. False: there is none before the next element or "<";
 * the scanner is back behind the "<". */
static bool read_angle(struct reader *r)
{
    uint32_t first = r->token_count, back = r->scan.at, end = r->end;
    uint32_t comment_start = r->comment_start, comment_end = r->comment_end;
    bool route = false;
    for (;;) {
        struct scan_token t = next_token(r);
        if (t.kind == SCAN_GREATER && !route) {
            widen(r, t.start, t.end);
            return true;
        }
        if (t.kind == SCAN_END || t.kind == SCAN_LESS || t.kind == SCAN_GREATER ||
            (t.kind == SCAN_COMMA && !route) || r->token_count == LIMIT_MAILBOX_TOKENS)
            break;
        if (route && t.kind == SCAN_COLON) {
            r->token_count = first; /* RFC 5322 4.4: the route is ignored */
            r->element_doubts |= MAILBOX_OBSOLETE;
            route = false;
            continue;
        }
        route |= t.kind == SCAN_AT && r->token_count == first;
        r->token[r->token_count++] = t;
    }
    r->token_count = first;
    r->scan.at = back;
    r->scan.before = SCAN_LESS;
    r->end = end;
    r->comment_start = comment_start;
    r->comment_end = comment_end;
    return false;
}

/* `a@b <c@d>`: some take the first of them. */
static void read_phrase(struct reader *r, uint32_t phrase)
{
    if (has_at(r, 0, phrase)) {
        read_addresses(r, 0, phrase, str_from("", 0), true);
        r->element_doubts |= MAILBOX_SECOND;
        return;
    }
    for (uint32_t i = 0; i < phrase; i++)
        note_encoded(r, &r->token[i]);
    if (r->element_doubts & (MAILBOX_REST | MAILBOX_PHRASE) && guess_quoted(r, 0, phrase))
        r->element_doubts |= MAILBOX_SECOND;
}

/* `a@b <a@b>`: if all boxes from `first` on are one address, the last of them stays. */
static bool says_the_same(struct reader *r, uint32_t first)
{
    struct mailbox *m = (struct mailbox *)(void *)r->boxes.at;
    uint32_t last = r->box_count - 1;
    if (m[last].guess)
        return false;
    for (uint32_t i = first; i <= last; i++)
        if (m[i].doubts || m[i].status != ADDRESS_OK ||
            !address_eq(&m[i].address, &m[last].address))
            return false;
    m[first] = m[last];
    r->box_count = first + 1;
    r->boxes.len = r->box_count * sizeof *m;
    return true;
}

static void take_angle(struct reader *r, const struct scan_token *less)
{
    uint32_t phrase = r->token_count;
    widen(r, less->start, less->end);
    if (!read_angle(r)) {
        r->element_doubts |= MAILBOX_UNCLOSED;
        struct scan_token stray = *less;
        stray.kind = SCAN_STRAY;
        push(r, &stray);
        return;
    }
    struct str name = read_name(r, 0, phrase);
    unsigned before = r->element_doubts;
    uint32_t guesses = r->box_count;
    read_phrase(r, phrase);
    uint32_t box = r->box_count;
    if (r->past_angle)
        r->element_doubts |= MAILBOX_SECOND;
    read_addresses(r, phrase, r->token_count, name, r->past_angle);
    if (box == r->box_count)
        r->element_doubts |= MAILBOX_REST;
    else if (guesses < box && says_the_same(r, guesses))
        r->element_doubts = before | MAILBOX_PHRASE;
    r->token_count = 0;
    r->past_angle = true;
}

static void close_group(struct reader *r, uint32_t end)
{
    if (r->open_group && !r->no_memory)
        ((struct mailbox_group *)(void *)r->groups.at)[r->open_group - 1].end = end;
    r->open_group = 0;
}

static void open_group(struct reader *r)
{
    if (r->open_group) {
        r->element_doubts |= MAILBOX_NESTED;
        close_group(r, r->last_end);
    }
    for (uint32_t i = 0; i < r->token_count; i++)
        note_encoded(r, &r->token[i]);
    struct mailbox_group g = {read_name(r, 0, r->token_count), r->start, r->scan.at};
    if (shows_another(g.name, STR("")))
        r->element_doubts |= MAILBOX_NAME | MAILBOX_REST; /* some look no further than the quotes */
    r->doubts |= r->element_doubts;
    r->element_doubts = 0;
    r->token_count = 0;
    r->start = r->end = 0;
    r->last_end = r->scan.at;
    r->comment_start = r->comment_end = 0;
    if (r->group_count == LIMIT_MAILBOXES) {
        r->doubts |= MAILBOX_LIMIT;
        return;
    }
    buffer_put(&r->groups, str_from((const char *)&g, sizeof g));
    r->no_memory |= r->groups.full;
    r->open_group = ++r->group_count;
}

static void close_element(struct reader *r)
{
    if (r->token_count) {
        if (r->past_angle)
            flush_tokens(r);
        else
            read_addresses(r, 0, r->token_count, str_from("", 0), false);
    }
    struct mailbox *m = (struct mailbox *)(void *)r->boxes.at;
    struct str comment = r->box_count || r->comment_end ? read_comment(r) : str_from("", 0);
    for (uint32_t i = r->first_box; i < r->box_count && !r->no_memory; i++) {
        m[i].start = r->start;
        m[i].end = r->end;
        if (m[i].name.len == 0 && i == r->first_box)
            m[i].name = comment;
        if (shows_another(comment, m[i].address.whole))
            m[i].doubts |= MAILBOX_NAME;
        m[i].doubts |= r->element_doubts;
        r->doubts |= m[i].doubts;
    }
    if (r->first_box == r->box_count && comment.len && shows_another(comment, STR("")))
        r->doubts |= MAILBOX_NAME | MAILBOX_REST; /* without another, some take that one */
    r->doubts |= r->element_doubts;
    r->last_end = r->end ? r->end : r->last_end;
    r->element += r->first_box < r->box_count;
    r->first_box = r->box_count;
    r->element_doubts = 0;
    r->past_angle = false;
    r->token_count = 0;
    r->start = r->end = 0;
    r->comment_start = r->comment_end = 0;
}

/* A phrase with a colon behind it is a group's name. */
static bool is_group_name(const struct reader *r)
{
    return r->token_count && !r->past_angle && !has_at(r, 0, r->token_count);
}

static void take_semicolon(struct reader *r)
{
    close_element(r);
    r->past_group = r->open_group != 0;
    if (r->open_group)
        close_group(r, r->scan.at);
    else
        r->doubts |= MAILBOX_SEMICOLON;
}

static void read_list(struct reader *r)
{
    while (!r->no_memory) {
        struct scan_token t = next_token(r);
        if (t.kind == SCAN_END)
            break;
        if (r->past_group && t.kind != SCAN_COMMA)
            r->doubts |= MAILBOX_SEMICOLON;
        r->past_group = false;
        if (t.kind == SCAN_COMMA)
            close_element(r);
        else if (t.kind == SCAN_SEMICOLON)
            take_semicolon(r);
        else if (t.kind == SCAN_COLON && is_group_name(r))
            open_group(r);
        else if (t.kind == SCAN_LESS)
            take_angle(r, &t);
        else
            push(r, &t);
    }
    close_element(r);
    if (r->open_group) {
        r->doubts |= MAILBOX_UNCLOSED;
        close_group(r, r->last_end);
    }
}

static void *keep(struct reader *r, const struct buffer *b)
{
    if (!b->len)
        return NULL;
    void *at = arena_take(r->arena, b->len);
    if (at)
        memcpy(at, b->at, b->len);
    r->no_memory |= !at;
    return at;
}

bool mailbox_read(struct str value, struct arena *arena, struct mailbox_list *out)
{
    struct reader r;
    memset(&r, 0, offsetof(struct reader, token));
    r.arena = arena;
    mailbox_scan_init(&r.scan, value);
    buffer_init(&r.boxes, LIMIT_MAILBOXES * sizeof(struct mailbox));
    buffer_init(&r.groups, LIMIT_MAILBOXES * sizeof(struct mailbox_group));
    buffer_init(&r.text, TEXT_BYTES);
    buffer_init(&r.shown, TEXT_BYTES);
    read_list(&r);
    *out = (struct mailbox_list){keep(&r, &r.boxes), r.box_count, keep(&r, &r.groups),
                                 r.group_count, r.doubts | r.scan.doubts};
    buffer_drop(&r.boxes);
    buffer_drop(&r.groups);
    buffer_drop(&r.text);
    buffer_drop(&r.shown);
    return !r.no_memory;
}

/* ---- doubts */

static const struct {
    enum mailbox_kind kind;
    const char *text;
} rows[] = {

#define MAILBOX(name, kind, text) {MAILBOX_##kind, text},
#include "core/mail/mailbox.def"
#undef MAILBOX
};

unsigned mailbox_doubts_of(unsigned doubts, enum mailbox_kind kind)
{
    for (unsigned bit = 0; bit < MAILBOX_BITS; bit++)
        if (rows[bit].kind != kind)
            doubts &= ~(1u << bit);
    return doubts;
}

const char *mailbox_doubt_text(unsigned *doubts)
{
    for (unsigned bit = 0; bit < MAILBOX_BITS; bit++)
        if (*doubts >> bit & 1) {
            *doubts &= ~(1u << bit);
            return rows[bit].text;
        }
    return NULL;
}
