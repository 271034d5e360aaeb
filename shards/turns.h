/* turns.h -- what waits, and whose turn it is: organisations take turns, within each its senders,
 * within each of those its destinations, and there first come, first served. Whose something is
 * says its lane (core/mail/lane.h).
 *
 *   queue ─┬─ organisation ─┬─ sender ─┬─ lane: items, oldest first
 *          └─ ...           └─ ...     └─ ...
 *
 * The children of a node stand in a ring; whoever had its turn goes to the end. A lane or a whole
 * organisation can be held: it stands in no ring until it is let go, and what is put into it waits.
 *
 * Thread   one.
 * Memory   16 bytes an item; a node of 28 bytes for each organisation, sender and lane that has
 *          items. Given back when nothing waits in any queue.
 * Cost     O(1) each, but for growing.
 * Promise  between two turns of one child, each other that is not held has at most one.
 */
#ifndef SHARDS_TURNS_H
#define SHARDS_TURNS_H

#include "core/base/base.h"

struct turn_item;
struct turn_node;

/* What all queues of a shard share. All zero is empty. */
struct turns {
    struct turn_item *item;
    struct turn_node *node;
    uint32_t *bucket; /* of nodes, by parent and part */
    uint32_t item_room, item_made, item_free, items;
    uint32_t node_room, node_made, node_free, nodes;
    uint32_t buckets; /* a power of two */
};

/* All zero is empty; one that is not empty can't be dropped, only emptied. */
struct turn_queue {
    uint32_t root, count; /* count: held ones too */
};

/* Lanes that are held for one reason. All zero is empty. */
struct turn_holds {
    uint32_t last, count;
};

void turns_drop(struct turns *t);

void turns_put(struct turns *t, struct turn_queue *q, uint32_t lane, uint64_t item);

/* Whose turn it is; false: nothing waits, or all of it is held. */
bool turns_peek(const struct turns *t, const struct turn_queue *q, uint32_t *lane);
bool turns_take(struct turns *t, struct turn_queue *q, uint32_t *lane, uint64_t *item);

/* The organisation whose turn it is lets the others go first. */
void turns_pass(struct turns *t, struct turn_queue *q);

/* The organisation whose turn it is has none until it is let go. */
void turns_hold_organisation(struct turns *t, struct turn_queue *q);
void turns_free_organisation(struct turns *t, struct turn_queue *q, uint32_t lane);

/* The lane has no turn until turns_free(). False: nothing of it waits, or it is held already. */
bool turns_hold(struct turns *t, struct turn_queue *q, uint32_t lane, struct turn_holds *holds);

/* One lane gets its turns back, another each time; false: none is held. */
bool turns_free(struct turns *t, struct turn_holds *holds);

/* An item of a held lane, another lane's each time. */
bool turns_take_held(struct turns *t, struct turn_queue *q, struct turn_holds *holds,
                     uint32_t *lane, uint64_t *item);

/* Check every invariant, slowly. For tests. */
void turns_verify(const struct turns *t, const struct turn_queue *q, const struct turn_holds *h,
                  size_t holds);

#endif
