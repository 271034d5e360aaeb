/* match.c -- one pass over the text, and what was found in it. */
#include "core/policy/match.h"
#include "core/base/heap.h"
#include "core/policy/match_loaded.h"

#include <stdio.h>

enum {
    PIECE_BYTES = 16 << 20, /* of one call to Hyperscan, whose lengths are unsigned int */
    TAIL_BYTES = 4,         /* a character */
};

/* A place's text as it runs by. */
struct stream {
    hs_stream_t *of; /* NULL: nothing was fed */
    uint64_t base;   /* bytes of the texts before this one */
    uint64_t fed;    /* bytes before the piece */
    char tail[TAIL_BYTES];
};

struct match_scan {
    const struct matcher *matcher;
    enum match_status status;
    char reason[96];
    struct stream stream[MATCH_PLACES];
    enum match_place place; /* the one that is being read */
    struct str piece;
    uint64_t events, events_max;
    uint32_t *slot; /* of a pattern: its hit's index, and 1 */
    struct match_hit *hit;
    uint32_t hits, hit_room;
    uint32_t *counts; /* of dictionary and place */
};

struct match_scratch *match_scratch_make(void)
{
    return heap_take(sizeof(struct match_scratch));
}

void match_scratch_drop(struct match_scratch **s)
{
    if (!*s)
        return;
    if ((*s)->room)
        (void)hs_free_scratch((*s)->room);
    heap_drop(*s);
    *s = NULL;
}

bool match_scratch_fit(struct match_scratch *s, const struct matcher *m)
{
    return !m->database || hs_alloc_scratch(m->database, &s->room) == HS_SUCCESS;
}

struct match_scan *match_scan_make(const struct matcher *m)
{
    struct match_scan *scan = heap_try(sizeof *scan);
    if (!scan)
        return NULL;
    size_t slots = (m->count + 1) * sizeof *scan->slot;
    size_t counts = (m->dictionaries + 1) * MATCH_PLACES * sizeof *scan->counts;
    *scan = (struct match_scan){.matcher = m,
                                .events_max = LIMIT_MATCH_EVENTS,
                                .slot = heap_try(slots),
                                .counts = heap_try(counts)};
    if (!scan->slot || !scan->counts) {
        match_scan_drop(&scan);
        return NULL;
    }
    memset(scan->slot, 0, slots);
    memset(scan->counts, 0, counts);
    return scan;
}

void match_scan_drop(struct match_scan **scan)
{
    if (!*scan)
        return;
    for (int i = 0; i < MATCH_PLACES; i++)
        if ((*scan)->stream[i].of)
            (void)hs_close_stream((*scan)->stream[i].of, NULL, NULL, NULL);
    heap_drop((*scan)->slot);
    heap_drop((*scan)->counts);
    heap_drop((*scan)->hit);
    heap_drop(*scan);
    *scan = NULL;
}

static enum match_status fail(struct match_scan *scan, const char *what, int error)
{
    if (scan->status == MATCH_OK) {
        scan->status = MATCH_FAILED;
        (void)snprintf(scan->reason, sizeof scan->reason, "%s: %d", what, error);
    }
    return scan->status;
}

static struct match_hit *hit_of(struct match_scan *scan, uint32_t pattern)
{
    if (scan->slot[pattern])
        return &scan->hit[scan->slot[pattern] - 1];
    if (scan->hits == LIMIT_MATCH_HITS) {
        scan->status = MATCH_STORM;
        return NULL;
    }
    if (scan->hits == scan->hit_room) {
        uint32_t room = scan->hit_room ? 2 * scan->hit_room : 8;
        struct match_hit *grown = heap_grow(scan->hit, room * sizeof *grown);
        if (!grown) {
            (void)fail(scan, "no memory for what was found", 0);
            return NULL;
        }
        scan->hit = grown;
        scan->hit_room = room;
    }
    scan->slot[pattern] = ++scan->hits;
    scan->hit[scan->hits - 1] = (struct match_hit){.pattern = pattern};
    return &scan->hit[scan->hits - 1];
}

static size_t character_bytes(unsigned char lead)
{
    return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/* Does one character, and no more, stand between `from` and `to` of the text? */
static bool is_one_character(const struct match_scan *scan, uint64_t from, uint64_t to)
{
    const struct stream *s = &scan->stream[scan->place];
    unsigned char lead;
    if (from >= s->fed && from - s->fed < scan->piece.len)
        lead = (unsigned char)scan->piece.at[from - s->fed];
    else if (from < s->fed && s->fed - from <= TAIL_BYTES)
        lead = (unsigned char)s->tail[TAIL_BYTES - (s->fed - from)];
    else
        return false;
    return to - from == character_bytes(lead);
}

/* Is what ends at `end` a part of what was counted last? Then that may go on to here. */
static bool goes_on(struct match_scan *scan, const struct match_row *row, struct match_hit *hit,
                    uint64_t end)
{
    uint64_t *last = &hit->last[scan->place];
    if (!hit->count[scan->place])
        return false;
    bool overlaps = end < *last + row->least;
    bool touches = row->longer && row->least <= 4 && is_one_character(scan, *last, end);
    if (row->longer && end > *last && (overlaps || touches))
        *last = end;
    return overlaps || touches;
}

static int on_match(unsigned id, unsigned long long from, unsigned long long to, unsigned flags,
                    void *context)
{
    struct match_scan *scan = context;
    (void)from;
    (void)flags;
    if (++scan->events > scan->events_max) {
        scan->status = MATCH_STORM;
        return 1;
    }
    if (id >= scan->matcher->count) {
        (void)fail(scan, "Hyperscan found a pattern that there is not", (int)id);
        return 1;
    }
    const struct match_row *row = &scan->matcher->row[id];
    struct match_hit *hit = hit_of(scan, id);
    if (!hit)
        return 1;
    uint64_t end = scan->stream[scan->place].base + to;
    uint32_t *count = &hit->count[scan->place];
    if (*count == MATCH_COUNT_MAX || goes_on(scan, row, hit, end))
        return 0;
    if (*count < MATCH_ENDS)
        hit->end[scan->place][*count] = end;
    hit->last[scan->place] = end;
    (*count)++;
    uint32_t *all = &scan->counts[row->dictionary * MATCH_PLACES + scan->place];
    *all += *all < MATCH_COUNT_MAX;
    return 0;
}

static void remember_tail(struct stream *s, struct str piece)
{
    size_t bytes = size_min(piece.len, TAIL_BYTES);
    memmove(s->tail, s->tail + bytes, TAIL_BYTES - bytes);
    memcpy(s->tail + TAIL_BYTES - bytes, piece.at + piece.len - bytes, bytes);
    s->fed += piece.len;
}

static enum match_status after(struct match_scan *scan, const char *what, hs_error_t error)
{
    if (scan->status != MATCH_OK || error == HS_SUCCESS)
        return scan->status;
    return fail(scan, what, error);
}

enum match_status match_feed(struct match_scan *scan, struct match_scratch *scratch,
                             enum match_place place, struct str text)
{
    struct stream *s = &scan->stream[place];
    if (!scan->matcher->database || scan->status != MATCH_OK)
        return scan->status;
    if (!s->of) {
        hs_error_t error = hs_open_stream(scan->matcher->database, 0, &s->of);
        if (error != HS_SUCCESS)
            return fail(scan, "hs_open_stream", error);
    }
    scan->place = place;
    scan->events_max += LIMIT_MATCH_EVENTS_PER_BYTE * text.len;
    while (text.len && scan->status == MATCH_OK) {
        scan->piece = str_head(text, PIECE_BYTES);
        hs_error_t error = hs_scan_stream(s->of, scan->piece.at, (unsigned)scan->piece.len, 0,
                                          scratch->room, on_match, scan);
        (void)after(scan, "hs_scan_stream", error);
        remember_tail(s, scan->piece);
        text = str_skip(text, scan->piece.len);
    }
    scan->piece = str_from("", 0);
    return scan->status;
}

enum match_status match_end(struct match_scan *scan, struct match_scratch *scratch,
                            enum match_place place)
{
    struct stream *s = &scan->stream[place];
    if (!s->of || scan->status != MATCH_OK)
        return scan->status;
    scan->place = place;
    hs_error_t error = hs_reset_stream(s->of, 0, scratch->room, on_match, scan);
    s->base = s->fed;
    /* What begins here is never a part of what was found in the text before. */
    for (uint32_t i = 0; i < scan->hits; i++)
        scan->hit[i].last[place] = 0;
    memset(s->tail, 0, sizeof s->tail);
    return after(scan, "hs_reset_stream", error);
}

enum match_status match_status(const struct match_scan *scan)
{
    return scan->status;
}

const char *match_reason(const struct match_scan *scan)
{
    return scan->status == MATCH_STORM ? "far more is found than is worth looking at"
                                       : scan->reason;
}

const struct match_hit *match_hits(const struct match_scan *scan, size_t *count)
{
    *count = scan->hits;
    return scan->hit;
}

uint32_t match_count(const struct match_scan *scan, uint32_t dictionary, enum match_place place)
{
    return dictionary < scan->matcher->dictionaries
               ? scan->counts[dictionary * MATCH_PLACES + place]
               : 0;
}
