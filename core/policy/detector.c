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

static uint32_t three_bytes(const struct detector *d, size_t at)
{
    const unsigned char *c = (const unsigned char *)d->window + at;
    return (uint32_t)c[0] << 16 | (uint32_t)c[1] << 8 | c[2];
}

size_t hyphen_at(const struct detector *d, size_t at)
{
    if (at < d->len && d->window[at] == '-')
        return 1;
    if (d->len < at + 3)
        return 0;
    switch (three_bytes(d, at)) {
    case 0xe28090: /* hyphens and dashes, U+2010 to U+2015 */
    case 0xe28091:
    case 0xe28092:
    case 0xe28093:
    case 0xe28094:
    case 0xe28095:
    case 0xe28892: /* minus */
    case 0xe29480: /* a line of a box */
    case 0xe383bc: /* the long vowel mark, and half-width */
    case 0xefbdb0:
    case 0xefbc8d: /* full-width */
        return 3;
    default:
        return 0;
    }
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
    switch (three_bytes(d, at)) {
#define CHARACTER(code, look) \
    case code:                \
        return look(d, at);
#include "core/policy/detector_character.def"
    default:
        return at + 1;
    }
}

/* By the last two bytes of a character: may it begin something? */
static const uint8_t characters[4096] = {
#define CHARACTER(code, look) [((code) >> 2 & 0xfc0) | ((code)&0x3f)] = 1,
#include "core/policy/detector_character.def"
};

/* What may begin something: digits, signs; lead bytes; the b of birth and d of dob. */
static const uint8_t interesting[256] = {
    ['0'] = 1,  ['1'] = 1,  ['2'] = 1,  ['3'] = 1,  ['4'] = 1,  ['5'] = 1,  ['6'] = 1,  ['7'] = 1,
    ['8'] = 1,  ['9'] = 1,  ['+'] = 1,  ['@'] = 1,  ['b'] = 3,  ['B'] = 3,  ['d'] = 3,  ['D'] = 3,
    [0xe3] = 2, [0xe4] = 2, [0xe5] = 2, [0xe6] = 2, [0xe7] = 2, [0xe8] = 2, [0xe9] = 2,
};

static size_t look_at(struct detector *d, size_t at)
{
    char c = d->window[at];
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

/* The next place before `stop` where something may begin, or `stop` or a little more. */
static size_t skip(const struct detector *d, size_t at, size_t stop)
{
    const unsigned char *w = (const unsigned char *)d->window;
    while (at < stop) {
        uint8_t kind = interesting[w[at]];
        if (kind == 1)
            return at;
        if (kind == 0) {
            at++;
        } else if (kind == 3) {
            if (at + 1 < d->len &&
                (char_lower(d->window[at + 1]) == 'i' || char_lower(d->window[at + 1]) == 'o'))
                return at;
            at++;
        } else if (d->len < at + 3 || (w[at + 1] & 0xc0) != 0x80 || (w[at + 2] & 0xc0) != 0x80) {
            at++; /* malformed, or cut off */
        } else if (characters[(w[at + 1] & 0x3f) << 6 | (w[at + 2] & 0x3f)]) {
            return at;
        } else {
            at += 3;
        }
    }
    return at;
}

static void run(struct detector *d, bool end)
{
    size_t stop = end ? d->len : d->len > DETECTOR_AHEAD ? d->len - DETECTOR_AHEAD : 0;
    while ((d->at = skip(d, d->at, stop)) < stop)
        d->at = interesting[(unsigned char)d->window[d->at]] == 2 ? look_at_character(d, d->at)
                                                                  : look_at(d, d->at);
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
