#include "core/mail/fold_table.h"

#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/utf16.h>

static const UNormalizer2 *normaliser(void)
{
    UErrorCode error = U_ZERO_ERROR;
    const UNormalizer2 *n = unorm2_getNFKCCasefoldInstance(&error);
    must(U_SUCCESS(error)); /* its data is linked in */
    return n;
}

size_t fold_normalise(const uint32_t *at, size_t count, uint16_t *to, size_t room)
{
    enum {
        COUNT_MAX = 64
    };

    UChar text[2 * COUNT_MAX];
    int32_t len = 0;
    UErrorCode error = U_ZERO_ERROR;
    must(count <= COUNT_MAX);
    for (size_t i = 0; i < count; i++)
        U16_APPEND_UNSAFE(text, len, at[i]);
    int32_t got = unorm2_normalize(normaliser(), text, len, (UChar *)to, (int32_t)room, &error);
    must(U_SUCCESS(error));
    return (size_t)got;
}

uint32_t fold_unify(uint32_t c)
{
    switch (c) {
    case 0x02D7: /* modifier minus */
    case 0x2010: /* hyphens and dashes */
    case 0x2011:
    case 0x2012:
    case 0x2013:
    case 0x2014:
    case 0x2015:
    case 0x2043: /* hyphen bullet */
    case 0x207B: /* raised and lowered minus */
    case 0x208B:
    case 0x2212: /* minus */
    case 0x2500: /* box drawing, as some type it */
    case 0x2501:
    case 0x2796: /* heavy minus */
    case 0xFE58:
    case 0xFE63:
    case 0xFF0D:
        return '-';
    case 0x02DC: /* small tilde, else a blank with a mark */
    case 0x2053: /* swung dash */
    case 0x223C: /* tilde operator */
    case 0x223E:
    case 0x301C: /* wave dash */
    case 0x3030: /* wavy dash */
    case 0xFF5E: /* what Windows writes for it */
        return '~';
    case 0x309B: /* voiced marks with a blank of their own, as some type か゛ */
        return 0x3099;
    case 0x309C:
        return 0x309A;
    case 0x2016: /* JIS and Microsoft differ: parallels, broken bar */
        return 0x2225;
    default:
        return c;
    }
}

enum fold_class fold_class(uint32_t c)
{
    static const struct {
        uint32_t first, last;
    } japanese[] = {
        {0x2E80, 0x2FDF}, /* radicals */
        {0x3001, 0x3098}, /* punctuation, hiragana */
        {0x309D, 0x30FF}, /* katakana; voicing marks are between them */
        {0x3190, 0x319F}, /* kanbun */
        {0x31C0, 0x31FF}, /* strokes, small katakana */
        {0x3200, 0x33FF}, /* in circles and squares */
        {0x3400, 0x4DBF}, /* Han */
        {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},
        {0xFF61, 0xFF9F},   {0x1AFF0, 0x1B16F}, /* old and small kana */
        {0x1F200, 0x1F2FF},                     /* in squares */
        {0x20000, 0x3FFFF},                     /* Han */
    };

    if (c < 0x80) {
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        return letter ? FOLD_LETTER : FOLD_PUNCTUATION;
    }
    for (size_t i = 0; i < countof(japanese); i++)
        if (c >= japanese[i].first && c <= japanese[i].last)
            return FOLD_JAPANESE;
    return FOLD_LETTER;
}

static bool is_white(uint32_t c)
{
    return u_isUWhiteSpace((UChar32)c) || c == 0x2800; /* braille without dots */
}

static bool shows_nothing(uint32_t c)
{
    int8_t type = u_charType((UChar32)c);
    return type == U_CONTROL_CHAR || type == U_FORMAT_CHAR || type == U_SURROGATE;
}

uint32_t fold_describe(uint32_t c)
{
    UChar result[FOLD_RESULT_UNITS];
    UChar32 to;
    if (is_white(c))
        return FOLD_BLANK;
    if (shows_nothing(c))
        return FOLD_DROP;
    uint32_t same = fold_unify(c);
    size_t len = fold_normalise(&same, 1, (uint16_t *)result, countof(result));
    if (len == 0)
        return FOLD_DROP;
    if (!unorm2_hasBoundaryBefore(normaliser(), (UChar32)same))
        return FOLD_JOINS;
    int32_t at = 0;
    U16_NEXT_UNSAFE(result, at, to);
    to = (UChar32)fold_unify((uint32_t)to);
    if ((size_t)at != len || c >= FOLD_PLANE || to >= FOLD_PLANE || to == ' ')
        return 0;
    return FOLD_SIMPLE | (uint32_t)fold_class((uint32_t)to) << FOLD_CLASS_SHIFT |
           (((uint32_t)to - c) & FOLD_DELTA);
}
