/* list.h -- doubly linked, circular, embedded in what it links. A link that is in no list points to
 * itself or is all zero; list_linked() tells.
 */
#ifndef CORE_BASE_LIST_H
#define CORE_BASE_LIST_H

#include "core/base/base.h"

struct list {
    struct list *prev, *next;
};

static inline void list_init(struct list *l)
{
    l->prev = l->next = l;
}

static inline bool list_linked(const struct list *l)
{
    return l->next && l->next != l;
}

static inline bool list_empty(const struct list *l)
{
    return !list_linked(l);
}

static inline void list_append(struct list *l, struct list *entry)
{
    entry->prev = l->prev;
    entry->next = l;
    l->prev->next = entry;
    l->prev = entry;
}

static inline void list_remove(struct list *entry)
{
    if (!entry->next)
        return;
    entry->prev->next = entry->next;
    entry->next->prev = entry->prev;
    list_init(entry);
}

/* First entry, taken out; NULL when empty. */
static inline struct list *list_take(struct list *l)
{
    if (list_empty(l))
        return NULL;
    struct list *first = l->next;
    list_remove(first);
    return first;
}

/* Move all of `from` to the end of `to`. */
static inline void list_splice(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

/* The body may remove the entry it looks at with list_each_safe. */
#define list_each(entry, l) for (struct list *entry = (l)->next; entry != (l); entry = entry->next)
#define list_each_safe(entry, l)                                                    \
    for (struct list *entry = (l)->next, *entry##_next = entry->next; entry != (l); \
         entry = entry##_next, entry##_next = entry->next)

#endif
