/* detector_text.c -- what is told by words: addresses, mail addresses, accounts, dates of birth. */
#include "core/mail/utf8.h"
#include "core/policy/detector_inside.h"

#include <stdio.h>

enum {
    VALUE_BYTES = 128,
    ADDRESS_BYTES = 96,       /* behind the municipality */
    MUNICIPALITY_LETTERS = 8, /* "南巨摩郡", "つくばみらい市" */
    FILLER_BYTES = 64,
    LOCAL_BYTES = 64,
    BIRTH_BYTES = 256,      /* behind a word of birth */
    BIRTH_LIST_BYTES = 512, /* behind a date of birth: the next row of a table */
};

struct value {
    char at[VALUE_BYTES];
    size_t len;
};

static void value_put(struct value *v, struct str s)
{
    if (v->len + s.len <= sizeof v->at) {
        memcpy(v->at + v->len, s.at, s.len);
        v->len += s.len;
    }
}

static size_t limit_of(const struct detector *d, size_t at)
{
    return size_min(d->len, at + DETECTOR_AHEAD);
}

/* ---- places ---- */

static const struct str prefectures[] = {
    STR_INIT("北海道"), STR_INIT("青森県"),   STR_INIT("岩手県"), STR_INIT("宮城県"),
    STR_INIT("秋田県"), STR_INIT("山形県"),   STR_INIT("福島県"), STR_INIT("茨城県"),
    STR_INIT("栃木県"), STR_INIT("群馬県"),   STR_INIT("埼玉県"), STR_INIT("千葉県"),
    STR_INIT("東京都"), STR_INIT("神奈川県"), STR_INIT("新潟県"), STR_INIT("富山県"),
    STR_INIT("石川県"), STR_INIT("福井県"),   STR_INIT("山梨県"), STR_INIT("長野県"),
    STR_INIT("岐阜県"), STR_INIT("静岡県"),   STR_INIT("愛知県"), STR_INIT("三重県"),
    STR_INIT("滋賀県"), STR_INIT("京都府"),   STR_INIT("大阪府"), STR_INIT("兵庫県"),
    STR_INIT("奈良県"), STR_INIT("和歌山県"), STR_INIT("鳥取県"), STR_INIT("島根県"),
    STR_INIT("岡山県"), STR_INIT("広島県"),   STR_INIT("山口県"), STR_INIT("徳島県"),
    STR_INIT("香川県"), STR_INIT("愛媛県"),   STR_INIT("高知県"), STR_INIT("福岡県"),
    STR_INIT("佐賀県"), STR_INIT("長崎県"),   STR_INIT("熊本県"), STR_INIT("大分県"),
    STR_INIT("宮崎県"), STR_INIT("鹿児島県"), STR_INIT("沖縄県"),
};

/* Kana or Han at `at`, three bytes; no punctuation. */
static bool is_letter(const struct detector *d, size_t at)
{
    uint32_t c;
    return utf8_take(rest_at(d, at), &c) == 3 &&
           ((c >= 0x3041 && c <= 0x30ff && c != 0x30fb) || (c >= 0x4e00 && c <= 0x9fff) ||
            c == 0x3005 || (c >= 0x3400 && c <= 0x4dbf));
}

/* The end of the municipality that begins at `at`, or 0. */
static size_t municipality(const struct detector *d, size_t at)
{
    static const struct str kinds[] = {STR_INIT("市"), STR_INIT("区"), STR_INIT("町"),
                                       STR_INIT("村"), STR_INIT("郡")};
    at += blank_at(d, at);
    for (int letters = 0; letters <= MUNICIPALITY_LETTERS && is_letter(d, at); letters++) {
        for (size_t i = 0; letters && i < countof(kinds); i++)
            if (is_at(d, at, kinds[i]))
                return ends_at(d, at, STR("の")) && !ends_at(d, at, STR("たつの")) ? 0 : at + 3;
        if (is_at(d, at, STR("を")))
            return 0;
        at += 3;
    }
    return 0;
}

size_t detect_address(struct detector *d, size_t at)
{
    size_t from = at + 3, end = municipality(d, from);
    struct value v = {.len = 0};
    if (!end)
        return at + 3;
    for (size_t i = 0; i < countof(prefectures); i++)
        if (ends_at(d, at + 3, prefectures[i]))
            from = at + 3 - prefectures[i].len;
    if (from > at)
        return at + 3;
    size_t stop = size_min(end + ADDRESS_BYTES, limit_of(d, at));
    for (size_t i = from; i < stop;) {
        size_t blank = i < end ? blank_at(d, i) : 0, hyphen = hyphen_at(d, i);
        size_t n = is_letter(d, i) ? 3 : 1;
        if (blank) {
            i += blank;
        } else if (hyphen) {
            value_put(&v, STR("-"));
            i += hyphen;
        } else if (n == 3 || is_digit(d->window[i])) {
            value_put(&v, str_from(d->window + i, n));
            i += n;
        } else {
            stop = i;
        }
        end = i > end ? i : end;
    }
    detector_found(d, DETECTOR_ADDRESS, from, end, str_from(v.at, v.len));
    return at + 3;
}

/* ---- mail addresses ---- */

static bool is_local(char c)
{
    return is_alpha(c) || is_digit(c) || (c && strchr("!#$%&'*+/=?^_`{|}~.-", c));
}

/* The end of a domain of two labels and more that begins at `at`, or 0. */
static size_t domain_end(const struct detector *d, size_t at)
{
    size_t limit = size_min(d->len, at + 253), end = 0, start = at, labels = 0;
    for (; at <= limit; at++) {
        char c = at < limit ? d->window[at] : '\0';
        if (is_alpha(c) || is_digit(c) || (c == '-' && at > start))
            continue;
        bool label = at > start && at - start <= 63 && d->window[at - 1] != '-';
        labels += label;
        bool top = label && labels > 1 && is_alpha(d->window[start]) && at - start >= 2;
        if (top)
            end = at;
        if (!label || c != '.')
            break;
        start = at + 1;
    }
    return end;
}

size_t detect_email(struct detector *d, size_t at)
{
    size_t from = at, first = at > LOCAL_BYTES ? at - LOCAL_BYTES : 0, end;
    struct value v = {.len = 0};
    while (from > first && is_local(d->window[from - 1]))
        from--;
    while (from < at && d->window[from] == '.')
        from++;
    if (from == at || !(end = domain_end(d, at + 1)))
        return at + 1;
    for (size_t i = from; i < end; i++) {
        char c = char_lower(d->window[i]);
        value_put(&v, str_from(&c, 1));
    }
    detector_found(d, DETECTOR_EMAIL, from, end, str_from(v.at, v.len));
    return end;
}

/* ---- accounts ---- */

static size_t any_at(const struct detector *d, size_t at, const struct str *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (d->len - at >= words[i].len &&
            str_eq_nocase(str_from(d->window + at, words[i].len), words[i]))
            return words[i].len;
    return 0;
}

/* Is a bank spoken of before? */
static bool bank_before(const struct detector *d, size_t at)
{
    static const struct str banks[] = {
        STR_INIT("銀行"), STR_INIT("支店"), STR_INIT("本店"),   STR_INIT("金庫"),
        STR_INIT("信金"), STR_INIT("信組"), STR_INIT("組合"),   STR_INIT("農協"),
        STR_INIT("口座"), STR_INIT("振込"), STR_INIT("営業部"),
    };
    struct str before = str_from(d->window + (at > 160 ? at - 160 : 0), size_min(at, 160));
    for (size_t i = 0; i < countof(banks); i++)
        if (str_find_str(before, banks[i]) != SIZE_MAX)
            return true;
    return false;
}

/* Over what stands between a word and its number. */
static size_t skip_filler(const struct detector *d, size_t at)
{
    static const struct str fillers[] = {
        STR_INIT("預金"), STR_INIT("口座"), STR_INIT("番号"), STR_INIT("普通"),
        STR_INIT("当座"), STR_INIT("貯蓄"), STR_INIT("no"),   STR_INIT("№"),
        STR_INIT("は"),   STR_INIT("、"),   STR_INIT("："),   STR_INIT("・"),
        STR_INIT("（"),   STR_INIT("）"),   STR_INIT("】"),   STR_INIT("」"),
    };
    size_t stop = size_min(at + FILLER_BYTES, d->len), n;
    while (at < stop) {
        if ((n = any_at(d, at, fillers, countof(fillers))) != 0 || (n = blank_at(d, at)) != 0)
            at += n;
        else if (d->window[at] && strchr(":.,()[]|/#\"'\t\r\n=", d->window[at]))
            at++;
        else
            break;
    }
    return at;
}

static size_t digits_at(const struct detector *d, size_t at)
{
    size_t n = 0;
    while (at + n < d->len && n < 20 && is_digit(d->window[at + n]))
        n++;
    return n;
}

static bool goes_on(const struct detector *d, size_t at)
{
    size_t n = hyphen_at(d, at);
    return n && at + n < d->len && is_digit(d->window[at + n]);
}

/* Japan Post Bank: a sign of five digits and a number of up to eight. */
static void detect_post_bank(struct detector *d, size_t at)
{
    struct value v = {.len = 0};
    size_t sign = skip_filler(d, at + 6), n = digits_at(d, sign);
    size_t number = skip_filler(d, sign + n);
    number += hyphen_at(d, number);
    size_t digits = digits_at(d, number);
    if (n != 5 || number == sign + n || digits < 6 || digits > 8 || goes_on(d, number + digits))
        return;
    value_put(&v, str_from(d->window + sign, n));
    value_put(&v, str_from(d->window + number, digits));
    detector_found(d, DETECTOR_BANK_ACCOUNT, sign, number + digits, str_from(v.at, v.len));
}

size_t detect_account(struct detector *d, size_t at)
{
    static const struct str kinds[] = {STR_INIT("普通"), STR_INIT("当座"), STR_INIT("貯蓄")};
    bool number = is_at(d, at, STR("口座番号"));
    if (is_at(d, at, STR("記号")))
        detect_post_bank(d, at);
    if (!number && !((any_at(d, at, kinds, countof(kinds)) && bank_before(d, at)) ||
                     is_at(d, at, STR("口座"))))
        return at + 3;
    size_t from = skip_filler(d, at + (number ? 12 : 6)), digits = digits_at(d, from);
    if (digits < (number ? 6 : 7) || digits > (number ? 8 : 7) || goes_on(d, from + digits))
        return at + 3;
    detector_found(d, DETECTOR_BANK_ACCOUNT, from, from + digits,
                   str_from(d->window + from, digits));
    return at + 3;
}

/* ---- dates of birth ---- */

struct date {
    unsigned year, month, day;
    size_t end;
};

static bool take_number(const struct detector *d, size_t *at, size_t most, unsigned *out)
{
    size_t n = digits_at(d, *at);
    *out = 0;
    if (!n || n > most)
        return false;
    for (size_t i = 0; i < n; i++)
        *out = *out * 10 + (unsigned)(d->window[*at + i] - '0');
    *at += n;
    return true;
}

/* `word`, or a sign of dates; blanks around it. */
static bool take_between(const struct detector *d, size_t *at, struct str word)
{
    size_t i = *at + blank_at(d, *at), n;
    if (is_at(d, i, word))
        i += word.len;
    else if (i < d->len && (d->window[i] == '/' || d->window[i] == '.'))
        i++;
    else if ((n = hyphen_at(d, i)) != 0)
        i += n;
    else
        return false;
    *at = i + blank_at(d, i);
    return true;
}

/* What comes behind the year. */
static bool take_day(const struct detector *d, size_t at, struct date *out)
{
    if (!take_between(d, &at, STR("年")) || !take_number(d, &at, 2, &out->month) ||
        !take_between(d, &at, STR("月")) || !take_number(d, &at, 2, &out->day))
        return false;
    size_t end = at + blank_at(d, at);
    out->end = is_at(d, end, STR("日")) ? end + 3 : at;
    return true;
}

static bool is_day(const struct date *a)
{
    static const uint8_t days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return a->year >= 1868 && a->year <= 2100 && a->month >= 1 && a->month <= 12 && a->day >= 1 &&
           a->day <= days[a->month - 1];
}

/* Counts it if birth is spoken of, before or right behind. */
static void found_date(struct detector *d, size_t at, const struct date *date)
{
    char value[16];
    size_t behind = date->end + blank_at(d, date->end);
    behind += behind < d->len && d->window[behind] == '(';
    if (!is_day(date) || (d->offset + at >= d->birth_until && !is_at(d, behind, STR("生"))))
        return;
    int n = snprintf(value, sizeof value, "%04u%02u%02u", date->year % 10000, date->month % 100,
                     date->day % 100);
    detector_found(d, DETECTOR_DATE_OF_BIRTH, at, date->end, str_from(value, (size_t)n));
    d->birth_until = u64_max(d->birth_until, d->offset + date->end + BIRTH_LIST_BYTES);
}

/* 明治1年 is 1868. */
static const struct era {
    char letter;
    struct str name;
    unsigned before;
} eras[] = {
    {'m', STR_INIT("明治"), 1867}, {'t', STR_INIT("大正"), 1911}, {'s', STR_INIT("昭和"), 1925},
    {'h', STR_INIT("平成"), 1988}, {'r', STR_INIT("令和"), 2018},
};

size_t detect_era(struct detector *d, size_t at)
{
    struct date date;
    for (size_t i = 0; i < countof(eras); i++) {
        size_t from = at + eras[i].name.len;
        unsigned year = 1;
        if (!is_at(d, at, eras[i].name))
            continue;
        from += blank_at(d, from);
        if (is_at(d, from, STR("元")))
            from += 3;
        else if (!take_number(d, &from, 2, &year))
            continue;
        date.year = eras[i].before + year;
        if (take_day(d, from, &date))
            found_date(d, at, &date);
    }
    return at + 3;
}

void detect_date(struct detector *d, size_t at)
{
    struct date date;
    unsigned year = 0;
    size_t from = at, n = digits_at(d, at);
    char letter = at ? char_lower(d->window[at - 1]) : '\0';
    bool alone = at < 2 || !(is_alpha(d->window[at - 2]) || is_digit(d->window[at - 2]));
    if (n == 8) {
        for (size_t i = 0; i < n; i++)
            year = year * 10 + (unsigned)(d->window[at + i] - '0');
        date = (struct date){year / 10000, year / 100 % 100, year % 100, at + n};
        found_date(d, at, &date);
        return;
    }
    if ((n != 4 && n > 2) || !take_number(d, &from, 4, &year) || !take_day(d, from, &date))
        return;
    date.year = year;
    for (size_t i = 0; n <= 2 && i < countof(eras); i++)
        if (alone && letter == eras[i].letter)
            date.year = eras[i].before + year;
    found_date(d, at, &date);
}

size_t detect_birth(struct detector *d, size_t at)
{
    static const struct str words[] = {STR_INIT("生年月日"), STR_INIT("誕生"), STR_INIT("birth")};
    size_t n = any_at(d, at, words, countof(words));
    bool alone = !at || !is_alpha(d->window[at - 1]);
    if (!n && alone && any_at(d, at, &(const struct str)STR_INIT("dob"), 1) &&
        !(at + 3 < d->len && is_alpha(d->window[at + 3])))
        n = 3;
    if (n)
        d->birth_until = u64_max(d->birth_until, d->offset + at + n + BIRTH_BYTES);
    return at + (n ? n : 1);
}
