#include "core/mail/charset.h"

#include "core/mail/utf8.h"

#include <unicode/ucnv.h>

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

static UConverter *open_converter(struct str name)
{
    char text[64] = "";
    UErrorCode error = U_ZERO_ERROR;
    const char *icu = icu_name(name);
    if (!icu) {
        if (name.len == 0 || name.len >= sizeof text)
            return NULL;
        for (size_t i = 0; i < name.len; i++) {
            /* no options ("name,version=1") and no paths from a mail */
            char c = name.at[i];
            if (c <= ' ' || c > '~' || c == ',' || c == '/' || c == '\\')
                return NULL;
            text[i] = c;
        }
        icu = text;
    }
    UConverter *converter = ucnv_open(icu, &error);
    return U_SUCCESS(error) ? converter : NULL;
}

/* ICU marks what it can't read by SUB (U+001A) where the charset has single bytes. */
static void put_marked(struct str text, struct buffer *out)
{
    while (text.len) {
        size_t sub = str_find(text, '\x1a');
        buffer_put(out, str_head(text, sub));
        if (sub != SIZE_MAX)
            utf8_put(out, 0xFFFD);
        text = str_skip(text, sub == SIZE_MAX ? text.len : sub + 1);
    }
}

static bool convert(UConverter *from, struct str bytes, struct buffer *out)
{
    UErrorCode error = U_ZERO_ERROR;
    UConverter *to = ucnv_open("UTF-8", &error);
    if (U_FAILURE(error))
        return false;
    UChar pivot[512], *pivot_source = pivot, *pivot_target = pivot;
    const char *source = bytes.at, *end = bytes.at + bytes.len;
    char text[2048];
    bool reset = true;
    do {
        char *target = text;
        error = U_ZERO_ERROR;
        ucnv_convertEx(to, from, &target, text + sizeof text, &source, end, pivot, &pivot_source,
                       &pivot_target, pivot + countof(pivot), reset, true, &error);
        reset = false;
        put_marked(str_from(text, (size_t)(target - text)), out);
    } while (error == U_BUFFER_OVERFLOW_ERROR && !out->full);
    ucnv_close(to);
    return U_SUCCESS(error);
}

/* UTF-8 that is not: good characters stay, each bad byte becomes U+FFFD. */
static void repair(struct str bytes, struct buffer *out)
{
    while (bytes.len && !out->full) {
        uint32_t c;
        size_t len = utf8_take(bytes, &c);
        utf8_put(out, len ? c : 0xFFFD);
        bytes = str_skip(bytes, len ? len : 1);
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

bool charset_to_utf8(struct str name, struct str bytes, struct buffer *out)
{
    bool known = true;
    if (is_ascii_name(name))
        name = charset_guess(bytes);
    if (is_utf8_name(name)) {
        bool valid = utf8_is_valid(bytes);
        if (valid)
            buffer_put(out, bytes);
        else
            repair(bytes, out);
        return valid;
    }
    UConverter *from = open_converter(name);
    if (!from) {
        known = false;
        name = charset_guess(bytes);
        from = open_converter(name);
    }
    if (!from) {
        repair(bytes, out);
        return false;
    }
    size_t start = out->len;
    bool ok = convert(from, bytes, out);
    ucnv_close(from);
    return known && ok &&
           str_find_str(str_skip(buffer_str(out), start), STR("\xef\xbf\xbd")) == SIZE_MAX;
}
