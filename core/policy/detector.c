/* detector.c -- the window, and what begins a look at each place of it. */
#include "core/policy/detector.h"
#include "core/base/heap.h"
#include "core/base/map.h"
#include "core/policy/detector_inside.h"

enum {
    SLOTS_FIRST = 32,
    SLOTS_MAX = 2048,
};

_Static_assert(DETECTOR_COUNT_MAX * 2 <= SLOTS_MAX, "a full set is half empty");

const struct detector_row detector_rows[DETECTOR_KINDS] = {
#define DETECT(id, name, what) [DETECTOR_##id] = {STR_INIT(name), STR_INIT(what)},
#include "core/policy/detector.def"
};

struct detector *detector_make(void)
{
    struct detector *d = heap_try(sizeof *d);
    if (d)
        memset(d, 0, sizeof *d - sizeof d->window);
    return d;
}

void detector_drop(struct detector **d)
{
    if (!*d)
        return;
    for (int i = 0; i < DETECTOR_KINDS; i++)
        heap_drop((*d)->set[i].value);
    heap_drop(*d);
    *d = NULL;
}

static bool put(uint64_t *slot, uint32_t slots, uint64_t value)
{
    uint32_t i = (uint32_t)value & (slots - 1);
    while (slot[i] && slot[i] != value)
        i = (i + 1) & (slots - 1);
    bool fresh = !slot[i];
    slot[i] = value;
    return fresh;
}

static bool set_grow(struct detector_set *s)
{
    uint32_t slots = s->slots ? 2 * s->slots : SLOTS_FIRST;
    uint64_t *grown = heap_try(slots * sizeof *grown);
    if (!grown)
        return false;
    memset(grown, 0, slots * sizeof *grown);
    for (uint32_t i = 0; i < s->slots; i++)
        if (s->value[i])
            (void)put(grown, slots, s->value[i]);
    heap_drop(s->value);
    s->value = grown;
    s->slots = slots;
    return true;
}

void detector_found(struct detector *d, enum detector_kind kind, size_t from, size_t to,
                    struct str value)
{
    struct detector_set *s = &d->set[kind];
    if (s->count == DETECTOR_COUNT_MAX)
        return;
    if (2 * (s->count + 1) > s->slots && !set_grow(s)) {
        d->failed = true;
        return;
    }
    uint64_t hash = hash_bytes(value, (uint64_t)kind + 1);
    if (!put(s->value, s->slots, hash ? hash : 1))
        return;
    if (s->count < DETECTOR_SPOTS)
        s->spot[s->count] = (struct detector_spot){d->offset + from, (uint32_t)(to - from)};
    s->count++;
}

size_t hyphen_at(const struct detector *d, size_t at)
{
    static const struct str forms[] = {
        STR_INIT("\u2010"), STR_INIT("\u2011"), STR_INIT("\u2012"), STR_INIT("\u2013"),
        STR_INIT("\u2014"), STR_INIT("\u2015"), STR_INIT("\u2212"), STR_INIT("\u30fc"),
        STR_INIT("\uff0d"), STR_INIT("\uff70"), STR_INIT("\u2500"),
    };
    if (at >= d->len)
        return 0;
    if (d->window[at] == '-')
        return 1;
    unsigned char lead = (unsigned char)d->window[at];
    if (lead < 0xe2 || lead > 0xef)
        return 0;
    for (size_t i = 0; i < countof(forms); i++)
        if (is_at(d, at, forms[i]))
            return 3;
    return 0;
}

size_t blank_at(const struct detector *d, size_t at)
{
    if (at >= d->len)
        return 0;
    if (d->window[at] == ' ')
        return 1;
    return is_at(d, at, STR("\u00a0")) ? 2 : is_at(d, at, STR("\u3000")) ? 3 : 0;
}

static size_t look_at_character(struct detector *d, size_t at)
{
    if (d->len - at < 3)
        return at + 1;
    const unsigned char *c = (const unsigned char *)d->window + at;
    switch ((uint32_t)c[0] << 16 | (uint32_t)c[1] << 8 | c[2]) {
    case 0xe38092: /* 〒 */
        return detect_postal(d, at);
    case 0xe983bd: /* 都 */
    case 0xe98193: /* 道 */
    case 0xe5ba9c: /* 府 */
    case 0xe79c8c: /* 県 */
        return detect_address(d, at);
    case 0xe699ae: /* 普 */
    case 0xe5bd93: /* 当 */
    case 0xe8b2af: /* 貯 */
    case 0xe58fa3: /* 口 */
    case 0xe8a898: /* 記 */
        return detect_account(d, at);
    case 0xe7949f: /* 生 */
    case 0xe8aa95: /* 誕 */
        return detect_birth(d, at);
    case 0xe6988e: /* 明 */
    case 0xe5a4a7: /* 大 */
    case 0xe698ad: /* 昭 */
    case 0xe5b9b3: /* 平 */
    case 0xe4bba4: /* 令 */
        return detect_era(d, at);
    default:
        return at + 1;
    }
}

/* What may begin something: digits, signs, the b of birth and d of date, and lead bytes. */
static const uint8_t interesting[256] = {
    ['0'] = 1,  ['1'] = 1,  ['2'] = 1,  ['3'] = 1,  ['4'] = 1,  ['5'] = 1,  ['6'] = 1,  ['7'] = 1,
    ['8'] = 1,  ['9'] = 1,  ['+'] = 1,  ['@'] = 1,  ['b'] = 1,  ['B'] = 1,  ['d'] = 1,  ['D'] = 1,
    [0xe3] = 2, [0xe4] = 2, [0xe5] = 2, [0xe6] = 2, [0xe7] = 2, [0xe8] = 2, [0xe9] = 2,
};

static size_t look_at(struct detector *d, size_t at)
{
    char c = d->window[at];
    if (interesting[(unsigned char)c] == 2)
        return look_at_character(d, at);
    if (c == '@')
        return detect_email(d, at);
    if (c == '+')
        return detect_plus(d, at);
    if (!is_digit(c))
        return detect_birth(d, at);
    if (at && is_digit(d->window[at - 1])) /* the rest of a number that is too long */
        return at + 1;
    return detect_number(d, at);
}

static void run(struct detector *d, bool end)
{
    size_t stop = end ? d->len : d->len > DETECTOR_AHEAD ? d->len - DETECTOR_AHEAD : 0;
    while (d->at < stop) {
        size_t at = d->at;
        while (at < stop && !interesting[(unsigned char)d->window[at]])
            at++;
        d->at = at < stop ? look_at(d, at) : at;
    }
}

void detector_feed(struct detector *d, struct str text)
{
    while (text.len) {
        if (d->len == DETECTOR_WINDOW) {
            size_t from = d->at > DETECTOR_BACK ? d->at - DETECTOR_BACK : 0;
            memmove(d->window, d->window + from, d->len - from);
            d->offset += from;
            d->len -= from;
            d->at -= from;
        }
        size_t bytes = size_min(text.len, DETECTOR_WINDOW - d->len);
        memcpy(d->window + d->len, text.at, bytes);
        d->len += bytes;
        text = str_skip(text, bytes);
        run(d, false);
    }
}

void detector_end(struct detector *d)
{
    run(d, true);
    d->offset += d->len;
    d->len = d->at = 0;
    d->birth_until = 0;
    d->groups = false;
}

uint32_t detector_count(const struct detector *d, enum detector_kind kind)
{
    return d->set[kind].count;
}

bool detector_failed(const struct detector *d)
{
    return d->failed;
}

const struct detector_spot *detector_spots(const struct detector *d, enum detector_kind kind,
                                           size_t *count)
{
    *count = size_min(d->set[kind].count, DETECTOR_SPOTS);
    return d->set[kind].spot;
}
