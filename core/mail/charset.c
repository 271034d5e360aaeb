#include "core/mail/charset.h"

#include "core/base/heap.h"
#include "core/base/limit.h"
#include "core/mail/utf8.h"

#include <unicode/ucnv.h>
#include <unicode/ucnv_cb.h>

/* Bytes of the EUC-JP character at the front of `s`, which begins with 8-bit; 0: impossible. */
static size_t euc_bytes(struct str s)
{
    unsigned char lead = (unsigned char)s.at[0];
    size_t bytes = lead == 0x8F ? 3 : 2;
    if ((lead < 0xA1 && lead != 0x8E && lead != 0x8F) || lead == 0xFF || s.len < bytes)
        return 0;
    for (size_t k = 1; k < bytes; k++)
        if ((unsigned char)s.at[k] < 0xA1 || (unsigned char)s.at[k] == 0xFF)
            return 0;
    return bytes;
}

/* Score of `s` as pairs of an encoding; negative: impossible. Kana and common kanji count. */
static int score_euc(struct str s)
{
    int score = 0;
    while (s.len) {
        unsigned char lead = (unsigned char)s.at[0];
        size_t bytes = lead < 0x80 ? 1 : euc_bytes(s);
        if (!bytes)
            return -1;
        score += lead == 0xA4 || lead == 0xA5 ? 3 : lead >= 0xB0 && lead <= 0xF4 ? 2 : 0;
        s = str_skip(s, bytes);
    }
    return score;
}

static int score_cp932(struct str s)
{
    int score = 0;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char lead = (unsigned char)s.at[i];
        if (lead < 0x80)
            continue;
        if (lead >= 0xA1 && lead <= 0xDF) { /* half-width kana: rare in mail */
            score -= 1;
            continue;
        }
        if (lead == 0x80 || lead == 0xA0 || lead > 0xFC || i + 1 >= s.len)
            return -1 - (int)s.len;
        unsigned char tail = (unsigned char)s.at[++i];
        if (tail < 0x40 || tail == 0x7F || tail > 0xFC)
            return -1 - (int)s.len;
        score += lead == 0x82 || lead == 0x83 ? 3 : lead >= 0x88 && lead <= 0x9F ? 2 : 0;
    }
    return score;
}

struct str charset_guess(struct str bytes)
{
    static const struct str escapes[] = {STR_INIT("\x1b$"), STR_INIT("\x1b(")};

    enum {
        LOOK_BYTES = 64 << 10
    };

    if (utf8_is_ascii(bytes)) {
        for (size_t i = 0; i < countof(escapes); i++)
            if (str_find_str(bytes, escapes[i]) != SIZE_MAX)
                return STR("iso-2022-jp");
        return STR("utf-8");
    }
    if (utf8_is_valid(bytes))
        return STR("utf-8");
    struct str head = bytes.len > LOOK_BYTES ? str_head(bytes, LOOK_BYTES) : bytes;
    int euc = score_euc(head), sjis = score_cp932(head);
    if (euc >= 0 && euc >= sjis)
        return STR("euc-jp");
    return sjis >= -(int)head.len ? STR("cp932") : STR("windows-1252");
}

/* What ICU calls the converter that reads everything Japanese mailers write under that name. */
static const char *icu_name(struct str name)
{
    static const struct {
        struct str prefix;
        const char *icu;
    } names[] = {
        {STR_INIT("iso-2022-jp"), "ISO_2022,locale=ja,version=3"},
        {STR_INIT("csiso2022jp"), "ISO_2022,locale=ja,version=3"},
        {STR_INIT("cp5022"), "ISO_2022,locale=ja,version=3"},
        {STR_INIT("shift"), "ibm-943_P15A-2003"},
        {STR_INIT("sjis"), "ibm-943_P15A-2003"},
        {STR_INIT("x-sjis"), "ibm-943_P15A-2003"},
        {STR_INIT("cp932"), "ibm-943_P15A-2003"},
        {STR_INIT("ms932"), "ibm-943_P15A-2003"},
        {STR_INIT("windows-31j"), "ibm-943_P15A-2003"},
        {STR_INIT("euc-jp"), "EUC-JP"},
        {STR_INIT("eucjp"), "EUC-JP"},
        {STR_INIT("x-euc-jp"), "EUC-JP"},
        {STR_INIT("cp51932"), "EUC-JP"},
        {STR_INIT("iso-8859-1"), "windows-1252"},
        {STR_INIT("gb2312"), "gb18030"},
    };

    for (size_t i = 0; i < countof(names); i++)
        if (str_starts_nocase(name, names[i].prefix)) {
            /* iso-8859-1, not iso-8859-15 */
            bool longer = name.len > names[i].prefix.len;
            if (longer && str_eq(names[i].prefix, STR("iso-8859-1")))
                continue;
            return names[i].icu;
        }
    return NULL;
}

/* The converter's name: ours for what mailers write, else what the mail says. False: it is none. */
static bool converter_name(struct str name, char *to, size_t room)
{
    const char *icu = icu_name(name);
    if (icu)
        name = str_c(icu);
    for (size_t i = 0; i < name.len && !icu; i++) {
        /* no options ("name,version=1") and no paths from a mail */
        char c = name.at[i];
        if (c <= ' ' || c > '~' || c == ',' || c == '/' || c == '\\')
            return false;
    }
    return name.len && str_to_c(name, to, room);
}

struct charset_library {
    char name[64]; /* that it was opened with */
    UConverter *converter;
    UConverterType type;
    bool ascii;
};

struct charset_cache {
    struct charset_library *idle[CHARSET_CACHE];
    unsigned next; /* to make room */
};

struct charset_cache *charset_cache_make(void)
{
    return heap_take(sizeof(struct charset_cache));
}

static void library_close(struct charset_library *l)
{
    if (l)
        ucnv_close(l->converter);
    heap_drop(l);
}

void charset_cache_drop(struct charset_cache **cache)
{
    struct charset_cache *c = *cache;
    for (size_t i = 0; c && i < CHARSET_CACHE; i++)
        library_close(c->idle[i]);
    heap_drop(c);
    *cache = NULL;
}

/* ASCII without controls: some charsets have theirs in another order. */
static bool is_plain(char c)
{
    return (c >= ' ' && c <= '~') || c == '\n' || c == '\r' || c == '\t';
}

/* Are the plain ASCII bytes themselves, with nothing behind them? */
static bool keeps_ascii(UConverter *converter)
{
    char all[128];
    UChar text[256];
    for (size_t i = 0; i < sizeof all; i++)
        all[i] = (char)i;
    UErrorCode error = U_ZERO_ERROR;
    const char *source = all;
    UChar *target = text;
    ucnv_toUnicode(converter, &target, text + countof(text), &source, all + sizeof all, NULL, true,
                   &error);
    bool same = U_SUCCESS(error) && target - text == sizeof all;
    for (size_t i = 0; same && i < sizeof all; i++)
        same = text[i] == i || !is_plain((char)i);
    ucnv_reset(converter);
    return same;
}

static struct charset_library *library_open(const char *name)
{
    UErrorCode error = U_ZERO_ERROR;
    UConverter *converter = ucnv_open(name, &error);
    if (U_FAILURE(error))
        return NULL;
    struct charset_library *l = heap_try(sizeof *l);
    if (!l) {
        ucnv_close(converter);
        return NULL;
    }
    *l = (struct charset_library){.converter = converter, .type = ucnv_getType(converter)};
    must(str_to_c(str_c(name), l->name, sizeof l->name));
    l->ascii = (l->type <= UCNV_MBCS || l->type == UCNV_LATIN_1 || l->type == UCNV_US_ASCII) &&
               keeps_ascii(converter);
    return l;
}

static struct charset_library *library_take(struct charset_cache *cache, struct str name)
{
    char text[sizeof((struct charset_library *)NULL)->name];
    if (!converter_name(name, text, sizeof text))
        return NULL;
    for (size_t i = 0; cache && i < CHARSET_CACHE; i++) {
        struct charset_library *l = cache->idle[i];
        if (!l || strcmp(l->name, text) != 0)
            continue;
        cache->idle[i] = NULL;
        ucnv_reset(l->converter);
        return l;
    }
    return library_open(text);
}

static void library_give(struct charset_cache *cache, struct charset_library *l)
{
    for (size_t i = 0; cache && i < CHARSET_CACHE; i++)
        if (!cache->idle[i]) {
            cache->idle[i] = l;
            return;
        }
    if (cache) {
        unsigned at = cache->next++ % CHARSET_CACHE;
        library_close(cache->idle[at]);
        cache->idle[at] = l;
        return;
    }
    library_close(l);
}

static void set_library(struct charset *c, struct charset_library *l)
{
    c->library = l;
    c->kind = CHARSET_KIND_LIBRARY;
    c->ascii = l->ascii;
    c->escapes = str_starts(str_c(l->name), STR("ISO_2022,locale=ja"));
    c->plain = c->ascii || c->escapes;
    switch ((int)l->type) {
    case UCNV_UTF8:
        c->kind = CHARSET_KIND_UTF8;
        break;
    case UCNV_UTF7:
        c->doubt |= CHARSET_UTF7;
        break;
    case UCNV_UTF16:
    case UCNV_UTF32:
        c->unmarked = true;
        break;
    case UCNV_UTF16_BigEndian:
    case UCNV_UTF16_LittleEndian:
    case UCNV_UTF32_BigEndian:
    case UCNV_UTF32_LittleEndian:
    case UCNV_ISO_2022:
        break;
    default:
        c->doubt |= c->ascii ? 0u : CHARSET_RARE;
    }
}

static bool is_utf8_name(struct str name)
{
    return str_eq_nocase(name, STR("utf-8")) || str_eq_nocase(name, STR("utf8"));
}

static bool is_ascii_name(struct str name)
{
    return name.len == 0 || str_eq_nocase(name, STR("us-ascii")) ||
           str_eq_nocase(name, STR("ascii")) || str_eq_nocase(name, STR("ansi_x3.4-1968"));
}

/* A name that somebody knows. */
static bool open_known(struct charset *c, struct str name)
{
    if (is_utf8_name(name)) {
        c->kind = CHARSET_KIND_UTF8;
        return true;
    }
    struct charset_library *l = library_take(c->cache, name);
    if (l)
        set_library(c, l);
    return l;
}

void charset_open(struct charset *c, struct charset_cache *cache, struct str name)
{
    *c = (struct charset){.cache = cache, .kind = CHARSET_KIND_LOOK};
    buffer_init(&c->look, LIMIT_CHARSET_LOOK_BYTES);
    bool ascii = is_ascii_name(name);
    if (!ascii && !open_known(c, name))
        c->doubt |= CHARSET_UNKNOWN;
}

void charset_drop(struct charset *c)
{
    if (c->library)
        library_give(c->cache, c->library);
    c->library = NULL;
    buffer_drop(&c->look);
}

/* UTF-8 */

/* Bytes at the front that are ASCII. */
static size_t ascii_bytes(struct str s)
{
    size_t n = 0;
    uint64_t word;
    for (; n + sizeof word <= s.len; n += sizeof word) {
        memcpy(&word, s.at + n, sizeof word);
        if (word & 0x8080808080808080)
            break;
    }
    while (n < s.len && (unsigned char)s.at[n] < 0x80)
        n++;
    return n;
}

/* Bytes at the front that are good characters. */
static size_t good_bytes(struct str s)
{
    size_t n = 0;
    while (n < s.len) {
        const unsigned char *at = (const unsigned char *)s.at + n;
        uint32_t c;
        size_t bytes;
        if (at[0] < 0x80)
            bytes = ascii_bytes(str_skip(s, n));
        else if (s.len - n >= 3 && at[0] > 0xE0 && at[0] < 0xED && (at[1] & 0xC0) == 0x80 &&
                 (at[2] & 0xC0) == 0x80)
            bytes = 3;
        else
            bytes = utf8_take(str_skip(s, n), &c);
        if (!bytes)
            break;
        n += bytes;
    }
    return n;
}

static void put_bad(struct charset *c, struct buffer *out)
{
    c->doubt |= CHARSET_MALFORMED;
    utf8_put(out, 0xFFFD);
}

/* What is held and what follows it, a byte at a time, until nothing is held. */
static void feed_held(struct charset *c, struct str *in, bool last, struct buffer *out)
{
    while (c->held_bytes) {
        struct str held = str_from(c->held, c->held_bytes);
        uint32_t character;
        size_t bytes = utf8_take(held, &character);
        if (!bytes && utf8_is_head(held) && !last) {
            if (!in->len)
                return;
            c->held[c->held_bytes++] = in->at[0];
            *in = str_skip(*in, 1);
            continue;
        }
        if (bytes) {
            buffer_put(out, str_head(held, bytes));
        } else {
            put_bad(c, out);
            bytes = 1;
        }
        c->held_bytes = (uint8_t)(c->held_bytes - bytes);
        memmove(c->held, c->held + bytes, c->held_bytes);
    }
}

static void feed_utf8(struct charset *c, struct str in, struct buffer *out)
{
    while (!out->full) {
        feed_held(c, &in, false, out);
        if (c->held_bytes || !in.len)
            return;
        size_t n = good_bytes(in);
        buffer_put(out, str_head(in, n));
        in = str_skip(in, n);
        if (in.len) {
            c->held[c->held_bytes++] = in.at[0];
            in = str_skip(in, 1);
        }
    }
}

/* ICU */

/* Called for what cannot be read. Two escape sequences with nothing between them are harmless. */
static void on_malformed(const void *context, UConverterToUnicodeArgs *args, const char *bytes,
                         int32_t length, UConverterCallbackReason reason, UErrorCode *error)
{
    static const UChar mark = 0xFFFD;
    (void)bytes;
    (void)length;
    if (reason > UCNV_IRREGULAR)
        return;
    *error = U_ZERO_ERROR;
    if (reason == UCNV_IRREGULAR)
        return;
    struct charset *c = *(struct charset *const *)context;
    c->doubt |= CHARSET_MALFORMED;
    ucnv_cbToUWriteUChars(args, &mark, 1, 0, error);
}

static char *put_unit(struct charset *c, uint32_t u, char *to)
{
    if (u < 0x80) {
        *to++ = (char)u;
    } else if (u < 0x800) {
        *to++ = (char)(0xC0 | u >> 6);
        *to++ = (char)(0x80 | (u & 0x3F));
    } else if (u < 0x10000) {
        bool half = u >= 0xD800 && u <= 0xDFFF;
        c->doubt |= half ? CHARSET_MALFORMED : 0u;
        u = half ? 0xFFFD : u;
        *to++ = (char)(0xE0 | u >> 12);
        *to++ = (char)(0x80 | (u >> 6 & 0x3F));
        *to++ = (char)(0x80 | (u & 0x3F));
    } else {
        *to++ = (char)(0xF0 | u >> 18);
        *to++ = (char)(0x80 | (u >> 12 & 0x3F));
        *to++ = (char)(0x80 | (u >> 6 & 0x3F));
        *to++ = (char)(0x80 | (u & 0x3F));
    }
    return to;
}

enum {
    PIVOT_UNITS = 1024,
    SHIFT_OUT = 0x0E,
    SLICE_BYTES = 4096, /* looked through at once for the way back to ASCII */
};

static void put_units(struct charset *c, const UChar *at, size_t count, struct buffer *out)
{
    char text[3 * PIVOT_UNITS + 8], *to = text;
    for (size_t i = 0; i < count; i++) {
        uint32_t u = at[i];
        if (c->high) {
            uint32_t high = c->high;
            c->high = 0;
            if (u >= 0xDC00 && u <= 0xDFFF)
                u = 0x10000 + ((high - 0xD800) << 10) + (u - 0xDC00);
            else
                to = put_unit(c, high, to);
        }
        if (u >= 0xD800 && u <= 0xDBFF)
            c->high = (uint16_t)u;
        else
            to = put_unit(c, u, to);
    }
    buffer_put(out, str_from(text, (size_t)(to - text)));
}

static void convert(struct charset *c, struct str in, bool last, struct buffer *out)
{
    UConverter *converter = c->library->converter;
    UErrorCode error = U_ZERO_ERROR;
    const char *source = in.at, *end = in.at + in.len;
    ucnv_setToUCallBack(converter, on_malformed, &c, NULL, NULL, &error);
    do {
        UChar pivot[PIVOT_UNITS], *target = pivot;
        const char *before = source;
        error = U_ZERO_ERROR;
        ucnv_toUnicode(converter, &target, pivot + countof(pivot), &source, end, NULL, last,
                       &error);
        put_units(c, pivot, (size_t)(target - pivot), out);
        if (U_FAILURE(error) && error != U_BUFFER_OVERFLOW_ERROR) {
            put_bad(c, out); /* our callback leaves none; still nothing goes unread */
            ucnv_resetToUnicode(converter);
            source += source == before && source < end;
        }
    } while ((error == U_BUFFER_OVERFLOW_ERROR || source < end) && !out->full);
    if (last && c->high) {
        c->high = 0;
        put_bad(c, out);
    }
}

static size_t plain_bytes(struct str s)
{
    size_t n = 0;
    while (n < s.len && is_plain(s.at[n]))
        n++;
    return n;
}

/* Bytes at the front behind which ASCII may be copied again. Two ASCII bytes are enough in every
 * charset that has them: the first is a character or the end of one. */
static size_t slice_bytes(const struct charset *c, struct str in)
{
    enum {
        WORTH_IT = 8
    };

    if (c->escapes) {
        size_t back = str_find_str(in, STR("\x1b(B"));
        return back == SIZE_MAX ? in.len : back + 3;
    }
    size_t run = 0;
    for (size_t i = 0; c->ascii && i < in.len; i++) {
        run = (unsigned char)in.at[i] < 0x80 ? run + 1 : 0;
        if (run == WORTH_IT)
            return i + 2 - WORTH_IT + 1;
    }
    return in.len;
}

static void feed_library(struct charset *c, struct str in, struct buffer *out)
{
    while (in.len && !out->full) {
        size_t n = c->plain ? plain_bytes(in) : 0;
        buffer_put(out, str_head(in, n));
        in = str_skip(in, n);
        if (!in.len)
            return;
        struct str slice = str_head(in, slice_bytes(c, str_head(in, SLICE_BYTES)));
        if (c->escapes && str_find(slice, SHIFT_OUT) != SIZE_MAX)
            c->escapes = false; /* ASCII bytes may be kana from here on, also behind "ESC ( B" */
        unsigned doubt = c->doubt;
        c->doubt = 0;
        convert(c, slice, false, out);
        bool bad = c->doubt & CHARSET_MALFORMED;
        c->doubt |= doubt;
        in = str_skip(in, slice.len);
        UErrorCode error = U_ZERO_ERROR;
        bool pending = c->high || ucnv_toUCountPending(c->library->converter, &error) != 0;
        c->plain = !pending && (c->ascii || (c->escapes && !bad && slice.len >= 3 &&
                                             memcmp(slice.at + slice.len - 3, "\x1b(B", 3) == 0));
    }
}

/* Is there a mark at the front? */
static void look_for_mark(struct charset *c, struct str in)
{
    size_t need = c->library->type == UCNV_UTF16 ? 2 : 4;
    for (; c->held_bytes < need && in.len; in = str_skip(in, 1))
        c->held[c->held_bytes++] = in.at[0];
    if (c->held_bytes < need)
        return;
    c->unmarked = false;
    static const char big[] = {0, 0, (char)0xFE, (char)0xFF};
    static const char little[] = {(char)0xFF, (char)0xFE, 0, 0};
    bool marked = memcmp(c->held, big + 4 - need, need) == 0 || memcmp(c->held, little, need) == 0;
    c->doubt |= marked ? 0u : CHARSET_NO_ORDER;
    c->held_bytes = 0;
}

/* No name */

static void feed_known(struct charset *c, struct str in, struct buffer *out)
{
    if (c->kind == CHARSET_KIND_UTF8) {
        feed_utf8(c, in, out);
        return;
    }
    if (c->unmarked)
        look_for_mark(c, in);
    feed_library(c, in, out);
}

/* Without a tail that is no whole character, perhaps. */
static struct str guess_head(struct str s)
{
    size_t good = good_bytes(s);
    if (good == s.len || utf8_is_head(str_skip(s, good)))
        return str_head(s, good);
    size_t n = s.len;
    while (n && (unsigned char)s.at[n - 1] >= 0x40) /* no second byte of anything Japanese */
        n--;
    return n ? str_head(s, n) : s;
}

static void settle(struct charset *c, bool last, struct buffer *out)
{
    struct buffer look = c->look;
    struct str bytes = buffer_str(&look);
    buffer_init(&c->look, 0);
    if (!(c->doubt & CHARSET_UNKNOWN))
        c->doubt |= CHARSET_GUESSED;
    if (!open_known(c, charset_guess(last ? bytes : guess_head(bytes))))
        c->kind = CHARSET_KIND_UTF8;
    feed_known(c, bytes, out);
    buffer_drop(&look);
}

static void feed_look(struct charset *c, struct str in, struct buffer *out)
{
    if (c->look.len == 0) {
        size_t n = 0;
        while (n < in.len && (unsigned char)in.at[n] < 0x80 && in.at[n] != 0x1B)
            n++;
        buffer_put(out, str_head(in, n));
        in = str_skip(in, n);
    }
    struct str head = str_head(in, LIMIT_CHARSET_LOOK_BYTES - c->look.len);
    buffer_put(&c->look, head);
    if (c->look.full) /* no memory: not seen */
        c->doubt |= CHARSET_MALFORMED;
    in = str_skip(in, head.len);
    if (c->look.len < LIMIT_CHARSET_LOOK_BYTES && !c->look.full)
        return;
    settle(c, false, out);
    feed_known(c, in, out);
}

void charset_feed(struct charset *c, struct str in, struct buffer *out)
{
    if (c->kind == CHARSET_KIND_LOOK)
        feed_look(c, in, out);
    else
        feed_known(c, in, out);
}

void charset_finish(struct charset *c, struct buffer *out)
{
    struct str none = STR("");
    if (c->kind == CHARSET_KIND_LOOK && c->look.len)
        settle(c, true, out);
    if (c->kind == CHARSET_KIND_UTF8)
        feed_held(c, &none, true, out);
    else if (c->kind == CHARSET_KIND_LIBRARY)
        convert(c, none, true, out);
}

bool charset_to_utf8(struct str name, struct str bytes, struct buffer *out)
{
    struct charset c;
    charset_open(&c, NULL, name);
    if (c.kind == CHARSET_KIND_LOOK && !open_known(&c, charset_guess(bytes)))
        c.kind = CHARSET_KIND_UTF8;
    charset_feed(&c, bytes, out);
    charset_finish(&c, out);
    charset_drop(&c);
    return !(c.doubt & (CHARSET_UNKNOWN | CHARSET_MALFORMED));
}
