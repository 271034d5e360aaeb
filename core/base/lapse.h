/* lapse.h -- deadlines that all share one length. Start is an append, expiry looks at the head.
 *
 * Thread   one.
 * Memory   entries are embedded in their owners; stop before freeing the owner.
 * Time     milliseconds of whatever clock the caller uses, which must not go back.
 * Cost     O(1).
 */
#ifndef CORE_BASE_LAPSE_H
#define CORE_BASE_LAPSE_H

#include "core/base/list.h"

struct lapse_entry {
    struct list link;
    uint64_t started_ms;
};

struct lapse {
    struct list waiting; /* oldest first */
    uint64_t length_ms;
};

static inline void lapse_init(struct lapse *l, uint64_t length_ms)
{
    list_init(&l->waiting);
    l->length_ms = length_ms;
}

static inline void lapse_stop(struct lapse_entry *e)
{
    list_remove(&e->link);
}

/* Start, or start anew. */
static inline void lapse_start(struct lapse *l, struct lapse_entry *e, uint64_t now_ms)
{
    lapse_stop(e);
    e->started_ms = now_ms;
    list_append(&l->waiting, &e->link);
}

/* The next expired entry, stopped; NULL when none is. */
static inline struct lapse_entry *lapse_take(struct lapse *l, uint64_t now_ms)
{
    if (list_empty(&l->waiting))
        return NULL;
    struct lapse_entry *e = owner_of(l->waiting.next, struct lapse_entry, link);
    if (now_ms - e->started_ms < l->length_ms)
        return NULL;
    lapse_stop(e);
    return e;
}

/* When the head expires, or UINT64_MAX. */
static inline uint64_t lapse_next(const struct lapse *l)
{
    if (list_empty(&l->waiting))
        return UINT64_MAX;
    return owner_of(l->waiting.next, struct lapse_entry, link)->started_ms + l->length_ms;
}

#endif
