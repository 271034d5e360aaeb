/* fold.c -- runs of usual characters by a table, segments of others by ICU.
 *
 * A character is final once the next one is known not to combine with it. The fast loop writes each
 * at once and, where its run ends, takes the last one back into the segment, with the state before
 * it; so that a mark which follows, perhaps in the next piece, finds it there.
 */
#include "core/mail/fold.h"

#include "core/base/heap.h"
#include "core/mail/fold_table.h"
#include "core/mail/utf8.h"

#include "core/mail/fold_table.inc"

enum {
    SLICE_BYTES = 4096,
    WORD = sizeof(uint64_t),
};

static const uint64_t ones = 0x0101010101010101, tops = 0x8080808080808080;

static uint32_t describe(uint32_t c)
{
    if (c >= FOLD_PLANE)
        return fold_describe(c);
    return fold_blocks[fold_place[c / FOLD_BLOCK]][c % FOLD_BLOCK];
}

/* The map */

void fold_map_init(struct fold_map *m)
{
    *m = (struct fold_map){.step = FOLD_STEP_BYTES};
}

void fold_map_drop(struct fold_map *m)
{
    heap_drop(m->mark);
    *m = (struct fold_map){.step = FOLD_STEP_BYTES};
}

static bool make_room(struct fold_map *m)
{
    if (m->count < m->room)
        return true;
    if (m->count == LIMIT_FOLD_MARKS) {
        for (uint32_t i = 0; i < m->count / 2; i++)
            m->mark[i] = m->mark[2 * i];
        m->count /= 2;
        m->step *= 2;
        return true;
    }
    uint32_t room = m->room ? 2 * m->room : 64;
    struct fold_mark *mark = heap_grow(m->mark, room * sizeof *mark);
    if (!mark) {
        m->lost = true;
        return false;
    }
    m->mark = mark;
    m->room = room;
    return true;
}

static void put_mark(struct fold_map *m, uint64_t folded, uint64_t source)
{
    if (!make_room(m))
        return;
    m->mark[m->count++] = (struct fold_mark){.folded = folded, .source = source};
    m->next = folded + m->step;
}

struct fold_mark fold_map_find(const struct fold_map *m, uint64_t folded)
{
    uint32_t low = 0, high = m->count; /* the first mark behind `folded` is in [low, high] */
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (m->mark[middle].folded <= folded)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? m->mark[low - 1] : (struct fold_mark){.folded = 0, .source = 0};
}

/* One character at a time */

void fold_init(struct fold *f, struct fold_map *map)
{
    *f = (struct fold){.map = map};
}

/* Does white space between the two show in what is compared? */
static bool keeps_blank(unsigned last, unsigned next)
{
    if (last == FOLD_JAPANESE)
        return next == FOLD_LETTER;
    if (next == FOLD_JAPANESE)
        return last == FOLD_LETTER;
    return last != FOLD_NOTHING;
}

static void put_last(struct fold *f, uint32_t c, struct buffer *out)
{
    size_t before = out->len;
    unsigned class = fold_class(c);
    if (c == 0x3099 || c == 0x309A) /* a voicing mark that stays is part of what stands before it */
        class = f->blank || f->last == FOLD_NOTHING ? FOLD_LETTER : f->last;
    if (f->blank && keeps_blank(f->last, class))
        buffer_putc(out, ' ');
    utf8_put(out, c);
    f->blank = false;
    f->last = (uint8_t) class;
    f->folded += out->len - before;
}

/* Normalised text, with half a character where the input had one. */
static void put_units(struct fold *f, const uint16_t *at, size_t count, struct buffer *out)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t c = at[i];
        if (c >= 0xD800 && c < 0xDC00 && i + 1 < count)
            c = 0x10000 + ((c - 0xD800) << 10) + (at[++i] - 0xDC00u);
        if (c == ' ')
            f->blank = true;
        else
            put_last(f, fold_unify(c), out);
    }
}

static void end_segment(struct fold *f, struct buffer *out)
{
    uint16_t units[FOLD_SEGMENT * FOLD_RESULT_UNITS];
    if (f->segment_count == 0)
        return;
    if (f->map && f->folded >= f->map->next)
        put_mark(f->map, f->folded, f->segment_source);
    uint32_t only = f->segment_count == 1 ? describe(f->segment[0]) : 0;
    if (only & FOLD_SIMPLE) {
        put_last(f, (f->segment[0] + only) & FOLD_DELTA, out);
    } else {
        for (uint8_t i = 0; i < f->segment_count; i++) /* the twin may combine where it does not */
            f->segment[i] = fold_unify(f->segment[i]);
        size_t count = fold_normalise(f->segment, f->segment_count, units, countof(units));
        put_units(f, units, count, out);
    }
    f->segment_count = 0;
}

/* `c` is at `source`. */
static void take(struct fold *f, uint32_t c, uint64_t source, struct buffer *out)
{
    uint32_t what = describe(c);
    if (what & FOLD_DROP)
        return;
    if (!(what & FOLD_JOINS) || f->segment_count == FOLD_SEGMENT)
        end_segment(f, out);
    if (what & FOLD_BLANK) {
        f->blank = true;
        return;
    }
    if (f->segment_count == 0)
        f->segment_source = source;
    f->segment[f->segment_count++] = what & FOLD_SIMPLE ? c : fold_unify(c);
}

/* Runs */

struct run {
    const unsigned char *start, *at, *end;
    char *to;
    const char *mark_to; /* from here on a mark is due */

    /* The last character written, which may have to be taken back; NULL when there is none. */
    const unsigned char *last_at;
    char *last_to; /* where it, or the blank before it, begins */
    uint32_t last;
    uint8_t before; /* fold.last and fold.blank before it */
    bool before_blank;
};

/* Eight ASCII characters in small letters, if that is all there is to do: no controls, no two
 * blanks together. A blank at the end is left. The number of bytes taken. */
static size_t take_word(uint64_t w, char *to)
{
    uint64_t odd = (w | (w - 0x20 * ones) | (w + ones)) & tops;
    if (odd)
        return 0;
    uint64_t blanks = ~((w ^ 0x20 * ones) + 0x7F * ones) & tops;
    if (blanks & blanks >> 8)
        return 0;
    uint64_t capital = ((w + (0x80 - 'A') * ones) & ~(w + (0x80 - 'Z' - 1) * ones)) & tops;
    w |= capital >> 2;
    memcpy(to, &w, sizeof w);
    return blanks >> 63 ? WORD - 1 : WORD;
}

/* ASCII, as many words as possible: no white space is due. */
static void take_words(struct fold *f, struct run *r)
{
    const unsigned char *from = r->at;
    while (r->end - r->at >= WORD && r->to < r->mark_to) {
        uint64_t w;
        memcpy(&w, r->at, sizeof w);
        bool blank = r->at[0] == ' ';
        if (blank && (f->last == FOLD_JAPANESE || f->last == FOLD_NOTHING || r->at[1] == ' '))
            break;
        size_t n = take_word(blank ? w ^ (' ' ^ 'a') : w, r->to);
        if (!n)
            break;
        if (blank)
            r->to[0] = ' ';
        r->at += n;
        r->to += n;
        f->last = (uint8_t)fold_class(r->at[-1]);
    }
    if (r->at == from)
        return;
    bool blank = r->at[-2] == ' ';
    r->last = r->at[-1];
    r->last_at = r->at - 1;
    r->last_to = r->to - 1 - blank;
    r->before = (uint8_t)fold_class(blank ? r->at[-3] : r->at[-2]);
    r->before_blank = blank;
}

/* The character at the front, if it is whole and in the basic plane: its bytes, or 0. */
static inline size_t peek(const struct run *r, uint32_t *c)
{
    const unsigned char *at = r->at;
    size_t left = (size_t)(r->end - at);
    if (at[0] < 0x80) {
        *c = at[0];
        return 1;
    }
    if (left >= 3 && (at[0] & 0xF0) == 0xE0 && (at[1] & 0xC0) == 0x80 && (at[2] & 0xC0) == 0x80) {
        *c = (at[0] & 0x0Fu) << 12 | (at[1] & 0x3Fu) << 6 | (at[2] & 0x3Fu);
        return *c >= 0x800 && (*c & 0xF800) != 0xD800 ? 3 : 0;
    }
    if (left >= 2 && at[0] >= 0xC2 && at[0] < 0xE0 && (at[1] & 0xC0) == 0x80) {
        *c = (at[0] & 0x1Fu) << 6 | (at[1] & 0x3Fu);
        return 2;
    }
    return 0;
}

static inline char *put_plane(uint32_t c, char *to)
{
    if (c < 0x80) {
        *to++ = (char)c;
    } else if (c < 0x800) {
        *to++ = (char)(0xC0 | c >> 6);
        *to++ = (char)(0x80 | (c & 0x3F));
    } else {
        to[0] = (char)(0xE0 | c >> 12);
        to[1] = (char)(0x80 | (c >> 6 & 0x3F));
        to[2] = (char)(0x80 | (c & 0x3F));
        to += 3;
    }
    return to;
}

/* A character that the table makes another one of. */
static inline void take_simple(struct fold *f, struct run *r, uint32_t c, size_t bytes,
                               uint32_t what)
{
    unsigned class = what >> FOLD_CLASS_SHIFT;
    r->last = c;
    r->last_at = r->at;
    r->last_to = r->to;
    r->before = f->last;
    r->before_blank = f->blank;
    if (f->blank && keeps_blank(f->last, class))
        *r->to++ = ' ';
    r->to = put_plane((c + what) & FOLD_DELTA, r->to);
    r->at += bytes;
    f->blank = false;
    f->last = (uint8_t) class;
}

static void mark_run(struct fold *f, struct run *r, const char *start)
{
    uint64_t here = f->folded + (uint64_t)(r->to - start);
    put_mark(f->map, here, f->source + (uint64_t)(r->at - r->start));
    r->mark_to = f->map->lost ? r->to + 4 * SLICE_BYTES : r->to + f->map->step;
}

static void take_run(struct fold *f, struct run *r, const char *start)
{
    uint32_t c;
    while (r->at < r->end) {
        if (*r->at < 0x80 && !f->blank && r->end - r->at >= WORD)
            take_words(f, r);
        size_t bytes = r->at < r->end ? peek(r, &c) : 0;
        if (!bytes)
            return;
        uint32_t what = fold_blocks[fold_place[c / FOLD_BLOCK]][c % FOLD_BLOCK];
        if (what & FOLD_SIMPLE) {
            if (r->to >= r->mark_to) /* not before a character that combines with the last */
                mark_run(f, r, start);
            take_simple(f, r, c, bytes, what);
        } else if (what & FOLD_BLANK) {
            f->blank = true;
            r->last_at = NULL;
            r->at += bytes;
        } else {
            return;
        }
    }
}

/* As much of `in` as the table knows; the number of bytes. There is no segment. */
static size_t feed_run(struct fold *f, struct str in, struct buffer *out)
{
    in = str_head(in, SLICE_BYTES);
    char *start = buffer_reserve(out, 2 * in.len + WORD);
    if (!start)
        return 0;
    const unsigned char *at = (const unsigned char *)in.at;
    struct run r = {.start = at, .at = at, .end = at + in.len, .to = start};
    r.mark_to = start + 4 * SLICE_BYTES;
    if (f->map && !f->map->lost)
        r.mark_to =
            start + u64_min(f->map->next - u64_min(f->map->next, f->folded), 4 * SLICE_BYTES);
    take_run(f, &r, start);
    if (r.last_at) {
        r.to = r.last_to;
        f->last = r.before;
        f->blank = r.before_blank;
        f->segment[0] = r.last;
        f->segment_count = 1;
        f->segment_source = f->source + (uint64_t)(r.last_at - at);
    }
    buffer_added(out, (size_t)(r.to - start));
    f->folded += (uint64_t)(r.to - start);
    return (size_t)(r.at - at);
}

/* Bytes of a character that were held back, and what follows them. */
static void feed_carry(struct fold *f, struct str *in, bool last, struct buffer *out)
{
    while (f->carried) {
        struct str held = str_from(f->carry, f->carried);
        uint32_t c;
        size_t bytes = utf8_take(held, &c);
        if (!bytes && !last && utf8_is_head(held)) {
            if (!in->len)
                return;
            f->carry[f->carried++] = in->at[0];
            *in = str_skip(*in, 1);
            continue;
        }
        take(f, bytes ? c : 0xFFFD, f->source, out);
        bytes = bytes ? bytes : 1;
        f->source += bytes;
        f->carried = (uint8_t)(f->carried - bytes);
        memmove(f->carry, f->carry + bytes, f->carried);
    }
}

void fold_feed(struct fold *f, struct str in, struct buffer *out)
{
    feed_carry(f, &in, false, out);
    while (in.len && !out->full) {
        uint32_t c;
        size_t bytes = utf8_take(in, &c), used = 0;
        if (!bytes && utf8_is_head(in)) {
            memcpy(f->carry, in.at, in.len);
            f->carried = (uint8_t)in.len;
            return;
        }
        c = bytes ? c : 0xFFFD;
        if (bytes && describe(c) & (FOLD_SIMPLE | FOLD_BLANK)) {
            end_segment(f, out);
            used = feed_run(f, in, out);
        } else {
            used = bytes ? bytes : 1;
            take(f, c, f->source, out);
        }
        f->source += used;
        in = str_skip(in, used);
    }
}

void fold_finish(struct fold *f, struct buffer *out)
{
    struct str none = STR("");
    feed_carry(f, &none, true, out);
    end_segment(f, out);
}

void fold_text(struct str in, struct buffer *out)
{
    struct fold f;
    fold_init(&f, NULL);
    fold_feed(&f, in, out);
    fold_finish(&f, out);
}
