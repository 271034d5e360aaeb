#include "core/io/timers.h"

#include "core/base/base.h"
#include "core/base/heap.h"

void timers_init(struct timers *s)
{
    *s = (struct timers){0};
}

void timers_drop(struct timers *s)
{
    heap_drop(s->at);
    *s = (struct timers){0};
}

static void put(struct timers *s, size_t place, struct timer *t)
{
    s->at[place - 1] = t;
    t->place = place;
}

static void rise(struct timers *s, struct timer *t)
{
    size_t place = t->place;
    while (place > 1 && s->at[place / 2 - 1]->due_ms > t->due_ms) {
        put(s, place, s->at[place / 2 - 1]);
        place /= 2;
    }
    put(s, place, t);
}

static void sink(struct timers *s, struct timer *t)
{
    size_t place = t->place;
    while (place * 2 <= s->count) {
        size_t child = place * 2;
        if (child < s->count && s->at[child]->due_ms < s->at[child - 1]->due_ms)
            child++;
        if (s->at[child - 1]->due_ms >= t->due_ms)
            break;
        put(s, place, s->at[child - 1]);
        place = child;
    }
    put(s, place, t);
}

void timers_start(struct timers *s, struct timer *t, uint64_t due_ms)
{
    timers_stop(s, t);
    if (s->count == s->room) {
        size_t room = s->room ? s->room * 2 : 64;
        struct timer **at = heap_grow(s->at, room * sizeof(struct timer *));
        must(at != NULL);
        s->at = at;
        s->room = room;
    }
    t->due_ms = due_ms;
    put(s, ++s->count, t);
    rise(s, t);
}

void timers_stop(struct timers *s, struct timer *t)
{
    size_t place = t->place;
    if (place == 0)
        return;
    must(s->at[place - 1] == t);
    t->place = 0;
    struct timer *last = s->at[--s->count];
    if (last == t)
        return;
    put(s, place, last);
    rise(s, last);
    sink(s, last);
}

struct timer *timers_take(struct timers *s, uint64_t now_ms)
{
    if (s->count == 0 || s->at[0]->due_ms > now_ms)
        return NULL;
    struct timer *t = s->at[0];
    timers_stop(s, t);
    return t;
}

uint64_t timers_next(const struct timers *s)
{
    return s->count ? s->at[0]->due_ms : UINT64_MAX;
}
