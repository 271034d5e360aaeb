#include "tools/extractor/rtf.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    OUT_BYTES = 16 << 10,
    PAGE_UTF8 = 65001,
    NUMBER_MAX = 1 << 28,
};

static void hand_out(struct rtf *r)
{
    char name[32];
    if (r->out.len == 0)
        return;
    (void)snprintf(name, sizeof name, "windows-%u", r->out_page);
    r->put(r->owner,
           r->out_page == PAGE_UTF8 ? STR("utf-8")
           : r->out_page == 932     ? STR("shift_jis")
                                    : str_c(name),
           buffer_str(&r->out));
    buffer_clear(&r->out);
}

static void put_byte(struct rtf *r, uint16_t page, char c)
{
    if (r->out.len && (r->out_page != page || r->out.len == OUT_BYTES))
        hand_out(r);
    r->out_page = page;
    buffer_putc(&r->out, c);
}

static void put_point(struct rtf *r, uint32_t p)
{
    char b[4];
    size_t len = 0;
    if (p < 0x80) {
        b[len++] = (char)p;
    } else if (p < 0x800) {
        b[len++] = (char)(0xC0 | p >> 6);
        b[len++] = (char)(0x80 | (p & 0x3F));
    } else if (p < 0x10000) {
        b[len++] = (char)(0xE0 | p >> 12);
        b[len++] = (char)(0x80 | (p >> 6 & 0x3F));
        b[len++] = (char)(0x80 | (p & 0x3F));
    } else {
        b[len++] = (char)(0xF0 | p >> 18);
        b[len++] = (char)(0x80 | (p >> 12 & 0x3F));
        b[len++] = (char)(0x80 | (p >> 6 & 0x3F));
        b[len++] = (char)(0x80 | (p & 0x3F));
    }
    if (r->out.len + len > OUT_BYTES)
        hand_out(r);
    for (size_t i = 0; i < len; i++)
        put_byte(r, PAGE_UTF8, b[i]);
}

static struct rtf_group *top(struct rtf *r)
{
    return &r->group[r->depth];
}

/* One byte of text: itself, or what stands for a \u. */
static void text(struct rtf *r, char c, bool plain)
{
    const struct rtf_group *g = top(r);
    if (r->skipping) {
        r->skipping--;
        return;
    }
    if (g->mute || g->fonts)
        return;
    /* ASCII is the same in all code pages: it stays with what came before */
    bool ascii = plain && c >= 0 && r->out.len && r->out_page == PAGE_UTF8;
    put_byte(r, ascii ? PAGE_UTF8 : g->page, c);
}

static void unicode(struct rtf *r)
{
    uint32_t u = (uint32_t)(r->negative ? 65536 - (r->number & 0xFFFF) : r->number) & 0xFFFF;
    const struct rtf_group *g = top(r);
    r->skipping = g->skip;
    if (g->mute || g->fonts)
        return;
    if (u >= 0xD800 && u < 0xDC00) {
        r->high = u;
    } else if (u >= 0xDC00 && u < 0xE000) {
        put_point(r, r->high ? 0x10000 + ((r->high - 0xD800) << 10) + (u - 0xDC00) : 0xFFFD);
        r->high = 0;
    } else {
        put_point(r, u);
        r->high = 0;
    }
}

static uint16_t page_of_charset(uint64_t charset, uint16_t otherwise)
{
    static const struct {
        uint16_t charset, page;
    } pages[] = {{0, 1252},   {77, 10000}, {128, 932},  {129, 949},  {134, 936},
                 {136, 950},  {161, 1253}, {162, 1254}, {163, 1258}, {177, 1255},
                 {178, 1256}, {186, 1257}, {204, 1251}, {222, 874},  {238, 1250}};

    for (size_t i = 0; i < countof(pages); i++)
        if (pages[i].charset == charset)
            return pages[i].page;
    return otherwise;
}

static const char *const muted[] = {
    "pict",      "colortbl",     "stylesheet", "objdata",   "themedata", "colorschememapping",
    "datastore", "latentstyles", "rsidtbl",    "generator", "listtable", "listoverridetable",
    "blipuid",   "panose",       "filetbl",    "xmlnstbl",  "pnseclvl",  "bin",
};

static const struct {
    const char *word;
    char c;
} letters[] = {
    {"par", '\n'}, {"line", '\n'}, {"row", '\n'},      {"page", '\n'},    {"sect", '\n'},
    {"tab", '\t'}, {"cell", '\t'}, {"nestcell", '\t'}, {"nestrow", '\n'},
};

static bool is(const struct rtf *r, const char *word)
{
    return strcmp(r->word, word) == 0;
}

static void set_font(struct rtf *r)
{
    r->font = (uint32_t)u64_min(r->number, RTF_FONTS - 1);
    if (!top(r)->fonts)
        top(r)->page = r->font_page[r->font] ? r->font_page[r->font] : r->page;
}

static void points(struct rtf *r)
{
    static const struct {
        const char *word;
        uint16_t point;
    } named[] = {{"emdash", 0x2014},    {"endash", 0x2013},  {"bullet", 0x2022},
                 {"lquote", 0x2018},    {"rquote", 0x2019},  {"ldblquote", 0x201C},
                 {"rdblquote", 0x201D}, {"emspace", 0x2003}, {"enspace", 0x2002}};
    const struct rtf_group *g = top(r);
    for (size_t i = 0; i < countof(letters); i++)
        if (is(r, letters[i].word))
            text(r, letters[i].c, true);
    for (size_t i = 0; i < countof(named); i++)
        if (is(r, named[i].word) && !g->mute && !g->fonts)
            put_point(r, named[i].point);
}

/* A word that ends: `\word` or `\word12`. */
static void act(struct rtf *r)
{
    struct rtf_group *g = top(r);
    r->word[r->word_len] = 0;
    if (is(r, "u") && r->numbered) {
        unicode(r);
        return;
    }
    r->skipping = 0;
    if (is(r, "uc"))
        g->skip = (uint8_t)u64_min(r->number, 16);
    else if (is(r, "ansicpg"))
        r->page = g->page = (uint16_t)u64_min(r->number, 65000);
    else if (is(r, "f") && r->numbered)
        set_font(r);
    else if (is(r, "fcharset") && g->fonts)
        r->font_page[r->font] = page_of_charset(r->number, r->page);
    else if (is(r, "fonttbl"))
        g->fonts = true;
    else if (is(r, "bin"))
        r->binary = r->number;
    else if (is(r, "plain"))
        g->page = r->page;
    for (size_t i = 0; i < countof(muted); i++)
        g->mute = g->mute || is(r, muted[i]);
    bool off = r->numbered && r->number == 0;
    r->hidden = r->hidden || ((is(r, "v") || is(r, "deleted") || is(r, "revised")) && !off) ||
                is(r, "annotation");
    r->objects = r->objects || is(r, "objdata");
    points(r);
}

static void open_group(struct rtf *r)
{
    if (r->depth + 1 == RTF_DEPTH) {
        r->deeper++;
        r->wrong = true;
        return;
    }
    r->group[r->depth + 1] = r->group[r->depth];
    r->depth++;
}

static void close_group(struct rtf *r)
{
    r->skipping = 0;
    if (r->deeper)
        r->deeper--;
    else if (r->depth)
        r->depth--;
    else
        r->wrong = true;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void plain(struct rtf *r, char c)
{
    if (c == '\\')
        r->state = RTF_SLASH;
    else if (c == '{')
        open_group(r);
    else if (c == '}')
        close_group(r);
    else if (c != '\r' && c != '\n')
        text(r, c, true);
}

static void after_slash(struct rtf *r, char c)
{
    r->state = RTF_TEXT;
    if (is_letter(c)) {
        r->state = RTF_WORD;
        r->word[0] = c;
        r->word_len = 1;
        r->number = 0;
        r->negative = r->numbered = false;
    } else if (c == '\'') {
        r->state = RTF_HEX;
    } else if (c == '\\' || c == '{' || c == '}') {
        text(r, c, true);
    } else if (c == '~' || c == '\r' || c == '\n') {
        text(r, c == '~' ? ' ' : '\n', true);
    }
}

static void end_word(struct rtf *r, char c)
{
    r->state = RTF_TEXT;
    act(r);
    if (c == ' ')
        return;
    if (r->binary)
        r->binary--;
    else
        plain(r, c);
}

static void in_word(struct rtf *r, char c)
{
    bool digit = c >= '0' && c <= '9';
    if (r->state == RTF_WORD && is_letter(c)) {
        if (r->word_len < RTF_WORD_BYTES)
            r->word[r->word_len++] = c;
    } else if (digit || (c == '-' && r->state == RTF_WORD)) {
        r->state = RTF_NUMBER;
        r->numbered = true;
        r->negative = r->negative || c == '-';
        if (digit && r->number < NUMBER_MAX)
            r->number = r->number * 10 + (uint64_t)(c - '0');
    } else {
        end_word(r, c);
    }
}

static void hex(struct rtf *r, char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, char_lower(c)) : NULL;
    if (!at) {
        r->state = RTF_TEXT;
        r->wrong = true;
        plain(r, c);
        return;
    }
    r->hex = (r->hex << 4 | (unsigned)(at - digits)) & 0xFF;
    if (r->state == RTF_HEX) {
        r->state = RTF_HEX2;
        return;
    }
    r->state = RTF_TEXT;
    text(r, (char)r->hex, false);
}

void rtf_init(struct rtf *r, void (*put)(void *owner, struct str charset, struct str bytes),
              void *owner)
{
    memset(r, 0, sizeof *r);
    r->put = put;
    r->owner = owner;
    r->page = 1252;
    r->group[0] = (struct rtf_group){.page = 1252, .skip = 1};
    buffer_init(&r->out, OUT_BYTES);
}

void rtf_feed(struct rtf *r, struct str bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        char c = bytes.at[i];
        if (r->binary) {
            r->binary--;
            continue;
        }
        switch (r->state) {
        case RTF_TEXT:
            plain(r, c);
            break;
        case RTF_SLASH:
            after_slash(r, c);
            break;
        case RTF_WORD:
        case RTF_NUMBER:
            in_word(r, c);
            break;
        case RTF_HEX:
        case RTF_HEX2:
            hex(r, c);
            break;
        }
    }
}

void rtf_finish(struct rtf *r)
{
    if (r->state == RTF_WORD || r->state == RTF_NUMBER)
        act(r);
    r->wrong = r->wrong || r->depth || r->deeper;
    r->depth = r->deeper = 0;
    hand_out(r);
}

void rtf_drop(struct rtf *r)
{
    buffer_drop(&r->out);
}
