/* detector_number.c -- numbers: which are whole, how they are grouped, and their check digits.
 *
 * Runs of digits joined by hyphens or parentheses are a cluster; clusters of one run that follow
 * each other behind a blank are a row. What is asked for is looked for in a cluster first, since
 * blanks also stand between different numbers. Four digits by four need a count: three are a My
 * Number, four a card and never a My Number and something else; six and more are a column of a
 * table, which is read from its begin, check digit by check digit.
 */
#include "core/policy/detector_inside.h"

enum {
    RUN_DIGITS = 20,
    CLUSTER_RUNS = 8,
    ROW_RUNS = 24,
    ROW_KEEP = 4, /* what a number takes of a row, at most */
};

struct digits {
    char at[RUN_DIGITS * 4];
    size_t len;
};

struct part {
    size_t at, len;
    char join; /* what is before it: - ( or a blank; NUL: the first */
};

struct cluster {
    struct part part[ROW_RUNS];
    size_t count, end;
    bool whole; /* false: it is longer than what is known of it */
};

static bool all_same(struct str s)
{
    for (size_t i = 1; i < s.len; i++)
        if (s.at[i] != s.at[0])
            return false;
    return true;
}

bool detector_my_number(struct str digits)
{
    unsigned sum = 0;
    if (digits.len != 12 || all_same(digits))
        return false;
    for (unsigned n = 1; n <= 11; n++)
        sum += (unsigned)(digits.at[11 - n] - '0') * (n <= 6 ? n + 1 : n - 5);
    unsigned rest = sum % 11;
    return (unsigned)(digits.at[11] - '0') == (rest <= 1 ? 0 : 11 - rest);
}

/* A bar code of Japan (JAN): orders are full of them, and one in nine would pass. */
static bool is_jan(struct str digits)
{
    unsigned sum = 0;
    if (digits.at[0] != '4' || (digits.at[1] != '5' && digits.at[1] != '9'))
        return false;
    for (unsigned i = 0; i < 13; i++)
        sum += (unsigned)(digits.at[i] - '0') * (i % 2 ? 3 : 1);
    return sum % 10 == 0;
}

bool detector_corporate_number(struct str digits)
{
    unsigned sum = 0;
    if (digits.len != 13 || all_same(digits) || is_jan(digits))
        return false;
    for (unsigned n = 1; n <= 12; n++)
        sum += (unsigned)(digits.at[13 - n] - '0') * (n % 2 ? 1 : 2);
    return (unsigned)(digits.at[0] - '0') == 9 - sum % 9;
}

/* Issuers by their first six digits, and how long their numbers may be. */
static const struct issuer {
    uint32_t from, to;
    uint8_t least, most;
} issuers[] = {
    {222100, 272099, 16, 16},                           /* Mastercard */
    {300000, 305999, 14, 14},                           /* Diners Club */
    {309500, 309599, 14, 14}, {340000, 349999, 15, 15}, /* American Express */
    {352800, 358999, 16, 19},                           /* JCB */
    {360000, 369999, 14, 19}, {370000, 379999, 15, 15}, {380000, 399999, 14, 19},
    {400000, 499999, 16, 16}, /* Visa; its 13 digits are gone */
    {400000, 499999, 19, 19}, {510000, 559999, 16, 16}, {601100, 601199, 16, 19}, /* Discover */
    {620000, 629999, 16, 19},                                                     /* UnionPay */
    {644000, 659999, 16, 19},
};

bool detector_card(struct str digits)
{
    unsigned sum = 0;
    uint32_t first = 0;
    if (digits.len < 14 || digits.len > 19)
        return false;
    for (size_t i = 0; i < digits.len; i++) {
        unsigned v = (unsigned)(digits.at[digits.len - 1 - i] - '0') << (i & 1);
        sum += v > 9 ? v - 9 : v;
    }
    for (size_t i = 0; i < 6; i++)
        first = first * 10 + (uint32_t)(digits.at[i] - '0');
    for (size_t i = 0; sum % 10 == 0 && i < countof(issuers); i++)
        if (first >= issuers[i].from && first <= issuers[i].to && digits.len >= issuers[i].least &&
            digits.len <= issuers[i].most)
            return true;
    return false;
}

static size_t limit_of(const struct detector *d, size_t at)
{
    return size_min(d->len, at + DETECTOR_AHEAD);
}

static size_t digits_at(const struct detector *d, size_t at, size_t limit)
{
    size_t n = 0;
    while (at + n < limit && is_digit(d->window[at + n]))
        n++;
    return n;
}

/* What joins a digit before `at` to one behind: a hyphen, also between blanks, or a parenthesis.
 * Its bytes; 0: nothing. */
static size_t join_at(const struct detector *d, size_t at, size_t limit, char *join)
{
    size_t to = at + blank_at(d, at), n;
    if ((n = hyphen_at(d, to)) != 0) {
        *join = '-';
        to += n;
        to += blank_at(d, to);
    } else if (at < limit && (d->window[at] == '(' || d->window[at] == ')')) {
        *join = '(';
        to = at + 1;
        if (d->window[at] == ')')
            to += hyphen_at(d, to) ? hyphen_at(d, to) : blank_at(d, to);
    } else {
        return 0;
    }
    return to < limit && is_digit(d->window[to]) ? to - at : 0;
}

static void cluster_take(const struct detector *d, size_t at, size_t limit, struct cluster *c)
{
    char join = '\0';
    c->count = 0;
    c->whole = true;
    for (;;) {
        size_t n = digits_at(d, at, limit);
        c->end = at + n;
        if (c->count == CLUSTER_RUNS || n > RUN_DIGITS) {
            c->whole = false;
            return;
        }
        c->part[c->count++] = (struct part){at, n, join};
        size_t gap = join_at(d, c->end, limit, &join);
        if (!gap)
            return;
        at = c->end + gap;
    }
}

static void cluster_digits(const struct detector *d, const struct part *p, size_t count,
                           struct digits *out)
{
    out->len = 0;
    for (size_t i = 0; i < count && out->len + p[i].len <= sizeof out->at; i++) {
        memcpy(out->at + out->len, d->window + p[i].at, p[i].len);
        out->len += p[i].len;
    }
}

static struct str digits_str(const struct digits *n)
{
    return str_from(n->at, n->len);
}

/* Letters and digits that end at `at`, with a digit among them: a code of which this is a part. */
static bool code_before(const struct detector *d, size_t at)
{
    size_t first = at > 40 ? at - 40 : 0;
    for (; at > first && (is_alpha(d->window[at - 1]) || is_digit(d->window[at - 1])); at--)
        if (is_digit(d->window[at - 1]))
            return true;
    return false;
}

/* "3.14", "1,234", "a3f7", "e29b-1234": is this inside of something else? */
static bool part_before(const struct detector *d, const struct part *p)
{
    size_t at = p->at;
    if (at < 2)
        return false;
    char last = d->window[at - 1];
    bool digit = is_digit(d->window[at - 2]);
    return (last == '.' && digit) || (last == ',' && digit && p->len == 3) ||
           (last == '-' && code_before(d, at - 1)) || code_before(d, at);
}

static bool part_behind(const struct detector *d, size_t at, size_t last, size_t limit)
{
    if (at >= limit)
        return false;
    size_t more = digits_at(d, at + 1, limit);
    char c = d->window[at];
    return is_alpha(c) || c == '_' || (c == '.' && more) || (c == ',' && more == 3 && last <= 3);
}

/* A cluster that was cut off before, since it is too long. */
static bool glued_before(const struct detector *d, size_t at)
{
    static const struct str blanks[] = {STR_INIT(" "), STR_INIT("\u00a0"), STR_INIT("\u3000")};
    for (size_t i = 0; i < countof(blanks); i++)
        if (ends_at(d, at, blanks[i]))
            at -= blanks[i].len;
    if (at && d->window[at - 1] == '-')
        at--;
    else if (at >= 3 && hyphen_at(d, at - 3) == 3)
        at -= 3;
    else
        return false;
    for (size_t i = 0; i < countof(blanks); i++)
        if (ends_at(d, at, blanks[i]))
            at -= blanks[i].len;
    return at && is_digit(d->window[at - 1]);
}

static const struct shape {
    enum detector_kind kind;
    bool blanks; /* the groups may stand behind blanks */
    uint8_t len[5];
} shapes[] = {
    {DETECTOR_MY_NUMBER, false, {12}},
    {DETECTOR_MY_NUMBER, false, {4, 4, 4}}, /* behind blanks: rows */
    {DETECTOR_MY_NUMBER, false, {6, 6}},
    {DETECTOR_MY_NUMBER, false, {3, 3, 3, 3}},
    {DETECTOR_CORPORATE_NUMBER, false, {13}},
    {DETECTOR_CORPORATE_NUMBER, true, {1, 4, 4, 4}},
    {DETECTOR_CREDIT_CARD, false, {4, 4, 4, 4}},
    {DETECTOR_CREDIT_CARD, false, {4, 4, 4, 4, 3}},
    {DETECTOR_CREDIT_CARD, true, {4, 6, 5}},
    {DETECTOR_CREDIT_CARD, true, {4, 6, 4}},
    {DETECTOR_POST_CODE, false, {3, 4}},
};

static bool is_valid(enum detector_kind kind, struct str digits)
{
    if (kind == DETECTOR_MY_NUMBER)
        return detector_my_number(digits);
    if (kind == DETECTOR_CORPORATE_NUMBER)
        return detector_corporate_number(digits);
    return kind == DETECTOR_CREDIT_CARD ? detector_card(digits) : !all_same(digits);
}

static void found(struct detector *d, enum detector_kind kind, const struct part *p, size_t count,
                  const struct digits *n)
{
    detector_found(d, kind, p[0].at, p[count - 1].at + p[count - 1].len, digits_str(n));
}

/* The first `count` parts as one of the shapes, with its check digit. */
static bool shaped(struct detector *d, const struct part *p, size_t count, bool blanks)
{
    struct digits n;
    cluster_digits(d, p, count, &n);
    for (size_t i = 0; i < countof(shapes); i++) {
        const struct shape *s = &shapes[i];
        size_t k = 0;
        while (k < count && k < countof(s->len) && s->len[k] == p[k].len)
            k++;
        bool same = k == count && (k == countof(s->len) || !s->len[k]);
        if (same && (s->blanks || !blanks) && is_valid(s->kind, digits_str(&n))) {
            found(d, s->kind, p, count, &n);
            return true;
        }
    }
    return false;
}

/* Ten or eleven digits from 0, as they are given out in Japan. */
static bool is_phone(struct str n)
{
    if (n.len < 10 || n.len > 11 || n.at[0] != '0' || n.at[1] == '0' || all_same(str_skip(n, 1)))
        return false;
    bool mobile = n.at[1] >= '5' && n.at[2] == '0';
    if (n.len == 11)
        return (mobile && n.at[3] != '0') || str_starts(n, STR("0800"));
    return !mobile;
}

static bool phone(struct detector *d, const struct part *p, size_t count)
{
    struct digits n;
    if (count > 3 || (count > 1 && (p[0].len < 2 || p[0].len > 5 || p[count - 1].len < 3)))
        return false;
    cluster_digits(d, p, count, &n);
    if (!is_phone(digits_str(&n)))
        return false;
    found(d, DETECTOR_PHONE, p, count, &n);
    return true;
}

/* Clusters of one run each behind blanks, from the one that is `c` on. */
static void row_take(const struct detector *d, size_t limit, struct cluster *c)
{
    while (c->count < ROW_RUNS) {
        size_t gap = blank_at(d, c->end);
        if (gap && blank_at(d, c->end + gap))
            gap += blank_at(d, c->end + gap);
        struct cluster next;
        size_t at = c->end + gap;
        if (!gap || at >= limit || !is_digit(d->window[at]))
            return;
        cluster_take(d, at, limit, &next);
        bool cut = next.end == c->part[0].at + DETECTOR_AHEAD;
        if (next.count != 1 || !next.whole || cut)
            return;
        next.part[0].join = ' ';
        c->part[c->count++] = next.part[0];
        c->end = next.end;
    }
}

/* How many parts from `p` on are numbers of the kind, each in `each` parts of four. */
static size_t tiles(const struct detector *d, const struct part *p, size_t count, size_t each)
{
    size_t at = 0;
    for (struct digits n; at + each <= count; at += each) {
        cluster_digits(d, p + at, each, &n);
        if (!(each == 3 ? detector_my_number(digits_str(&n)) : detector_card(digits_str(&n))))
            break;
    }
    return at;
}

/* Four digits by four: cards, and My Numbers when they are three or a column; what goes on longer
 * is right, since every tenth number has a check digit by chance. */
static size_t row_of_fours(struct detector *d, const struct cluster *c, size_t fours, bool going_on)
{
    bool mine = fours == 3 || fours >= 6 || going_on, more = fours == ROW_RUNS;
    size_t i = 0;
    while (i + 3 <= fours && !(more && i + ROW_KEEP > fours)) {
        const struct part *p = c->part + i;
        size_t cards = tiles(d, p, fours - i, 4), numbers = mine ? tiles(d, p, fours - i, 3) : 0;
        size_t each = cards >= numbers ? 4 : 3;
        if (cards || numbers) {
            struct digits n;
            cluster_digits(d, p, each, &n);
            found(d, each == 4 ? DETECTOR_CREDIT_CARD : DETECTOR_MY_NUMBER, p, each, &n);
            i += each;
        } else {
            i++;
        }
    }
    d->groups = more && i < fours;
    return d->groups ? c->part[i].at : c->part[fours - 1].at + c->part[fours - 1].len;
}

/* "03 1234-5678" */
static bool phone_behind_blank(struct detector *d, const struct cluster *first, size_t limit,
                               size_t *end)
{
    struct cluster c;
    size_t at = first->part[0].at + first->part[0].len;
    at += blank_at(d, at);
    if (d->window[first->part[0].at] != '0' || at >= limit || !is_digit(d->window[at]))
        return false;
    cluster_take(d, at, limit, &c);
    const struct part parts[] = {first->part[0], c.part[0], c.part[1]};
    if (c.count != 2 || !c.whole || !phone(d, parts, 3))
        return false;
    *end = c.end;
    return true;
}

static size_t detect_row(struct detector *d, struct cluster *c, size_t limit, bool going_on)
{
    size_t fours = 0, end = c->end;
    if (phone_behind_blank(d, c, limit, &end))
        return end;
    row_take(d, limit, c);
    const struct part *p = c->part;
    while (fours < c->count && p[fours].len == 4)
        fours++;
    if (fours >= 3)
        return row_of_fours(d, c, fours, going_on);
    if (c->count >= 3 && d->window[p[0].at] == '0' && p[2].len >= 3 && phone(d, p, 3))
        return p[2].at + p[2].len;
    for (size_t count = 3; count <= 4 && count <= c->count; count++)
        if ((count == c->count || p[count].len != 4) && shaped(d, p, count, true))
            return p[count - 1].at + p[count - 1].len;
    return end;
}

size_t detect_number(struct detector *d, size_t at)
{
    struct cluster c;
    size_t limit = limit_of(d, at);
    bool going_on = d->groups;
    d->groups = false;
    detect_date(d, at);
    cluster_take(d, at, limit, &c);
    if (!c.whole || glued_before(d, at) || (c.count > 1 && phone(d, c.part, c.count)))
        return c.end;
    if (part_before(d, &c.part[0]) || part_behind(d, c.end, c.part[c.count - 1].len, limit))
        return c.end;
    if (c.count == 1 && phone(d, c.part, 1))
        return c.end;
    for (size_t i = 1; i < c.count; i++)
        if (c.part[i].join == '(') { /* "123456789018(1)" */
            c.count = i;
            c.end = c.part[i - 1].at + c.part[i - 1].len;
        }
    if (shaped(d, c.part, c.count, false))
        return c.end;
    if (c.count > 1)
        return c.end;
    struct digits n;
    cluster_digits(d, c.part, 1, &n);
    if (detector_card(digits_str(&n))) {
        found(d, DETECTOR_CREDIT_CARD, c.part, 1, &n);
        return c.end;
    }
    return detect_row(d, &c, limit, going_on);
}

/* "+81 3-1234-5678", "+81(0)90 1234 5678" */
size_t detect_plus(struct detector *d, size_t at)
{
    size_t limit = limit_of(d, at), from = at;
    struct digits n = {.at = "0", .len = 1};
    if (!is_at(d, at, STR("+81")))
        return at + 1;
    at += 3;
    for (int runs = 0; runs < 5; runs++) {
        at += blank_at(d, at) + hyphen_at(d, at);
        at += at < limit && (d->window[at] == '(' || d->window[at] == ')');
        at += at < limit && d->window[at] == ')';
        at += blank_at(d, at);
        size_t digits = digits_at(d, at, limit);
        if (!digits || n.len + digits > 12)
            break;
        memcpy(n.at + n.len, d->window + at, digits);
        n.len += digits;
        at += digits;
        if (n.len == 2 && n.at[1] == '0') /* "(0)" */
            n.len = 1;
        struct str number = str_from(n.at, n.len);
        if (number.len > 2 && number.at[1] == '0')
            number = str_skip(number, 1);
        if (is_phone(number)) {
            detector_found(d, DETECTOR_PHONE, from, at, number);
            return at;
        }
    }
    return from + 1;
}

size_t detect_postal(struct detector *d, size_t at)
{
    size_t limit = limit_of(d, at), from = at;
    struct cluster c;
    struct digits n;
    at += 3;
    at += blank_at(d, at);
    if (at >= limit || !is_digit(d->window[at]))
        return from + 3;
    cluster_take(d, at, limit, &c);
    if (c.count == 1 && c.part[0].len == 3)
        row_take(d, limit, &c);
    size_t parts = c.part[0].len == 7 ? 1 : 2;
    if (parts > c.count || (parts == 2 && (c.part[0].len != 3 || c.part[1].len != 4)))
        return from + 3;
    cluster_digits(d, c.part, parts, &n);
    detector_found(d, DETECTOR_POST_CODE, from, c.part[parts - 1].at + c.part[parts - 1].len,
                   digits_str(&n));
    return c.part[parts - 1].at + c.part[parts - 1].len;
}
