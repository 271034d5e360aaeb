#include "shards/turns.h"

#include "core/base/heap.h"
#include "core/mail/lane.h"

enum {
    LEVELS = 3, /* below the root */
    ROOM_FIRST = 64,
    ROOM_KEPT = 4096, /* what is more is given back when nothing waits */
};

struct turn_item {
    uint64_t value;
    uint32_t next; /* of its lane, the last one's is the first; or free */
    uint32_t lane;
};

struct turn_node {
    uint32_t parent, chain;
    uint32_t prev, next; /* in the ring of its parent or of its holds; next: free */
    uint32_t last;    /* of the ring of children that have turns, or of a lane's items; 0: none */
    uint32_t count;   /* of children, held ones too; of a lane's items */
    uint16_t part;    /* which child of its parent */
    uint8_t level;    /* 0 root .. LEVELS lane */
    bool held, rings; /* rings: it stands in its parent's ring */
};

/* ---- pools; index 0 is nobody */

static void *grow(void *at, uint32_t *room, size_t each)
{
    uint32_t more = *room ? *room * 2 : ROOM_FIRST;
    must(more > *room);
    at = heap_grow(at, more * each);
    must(at != NULL);
    *room = more;
    return at;
}

static uint32_t item_take(struct turns *t)
{
    uint32_t index = t->item_free;
    t->items++;
    if (index) {
        t->item_free = t->item[index].next;
        return index;
    }
    if (t->item_made + 1 >= t->item_room)
        t->item = grow(t->item, &t->item_room, sizeof *t->item);
    return ++t->item_made;
}

static void item_give(struct turns *t, uint32_t index)
{
    t->item[index].next = t->item_free;
    t->item_free = index;
    t->items--;
}

static uint32_t *bucket_of(const struct turns *t, uint32_t parent, uint32_t part)
{
    uint64_t mixed = ((uint64_t)parent << 16 | part) * 0x9e3779b97f4a7c15u;
    return &t->bucket[(mixed >> 32) & (t->buckets - 1)];
}

static void chain_in(struct turns *t, uint32_t index)
{
    struct turn_node *n = &t->node[index];
    uint32_t *bucket = bucket_of(t, n->parent, n->part);
    n->chain = *bucket;
    *bucket = index;
}

static void grow_nodes(struct turns *t)
{
    t->node = grow(t->node, &t->node_room, sizeof *t->node);
    heap_drop(t->bucket);
    t->buckets = t->node_room;
    t->bucket = heap_take(t->buckets * sizeof *t->bucket);
    for (uint32_t i = 1; i <= t->node_made; i++)
        if (t->node[i].level)
            chain_in(t, i);
}

static uint32_t node_take(struct turns *t, uint32_t parent, uint32_t part)
{
    uint32_t index = t->node_free;
    if (index) {
        t->node_free = t->node[index].next;
    } else {
        if (t->node_made + 1 >= t->node_room)
            grow_nodes(t);
        index = ++t->node_made;
    }
    t->nodes++;
    t->node[index] = (struct turn_node){.parent = parent, .part = (uint16_t)part};
    if (parent) {
        t->node[index].level = (uint8_t)(t->node[parent].level + 1);
        t->node[parent].count++;
        chain_in(t, index);
    }
    return index;
}

static void node_give(struct turns *t, uint32_t index)
{
    struct turn_node *n = &t->node[index];
    if (n->level) {
        uint32_t *at = bucket_of(t, n->parent, n->part);
        while (*at != index)
            at = &t->node[*at].chain;
        *at = n->chain;
        t->node[n->parent].count--;
    }
    *n = (struct turn_node){.next = t->node_free};
    t->node_free = index;
    t->nodes--;
}

static uint32_t child_of(const struct turns *t, uint32_t parent, uint32_t part)
{
    uint32_t i = *bucket_of(t, parent, part);
    while (i && (t->node[i].parent != parent || t->node[i].part != part))
        i = t->node[i].chain;
    return i;
}

void turns_drop(struct turns *t)
{
    heap_drop(t->item);
    heap_drop(t->node);
    heap_drop(t->bucket);
    *t = (struct turns){0};
}

/* ---- lanes and their parts */

static uint32_t part_of(uint32_t lane, uint32_t level)
{
    switch (level) {
    case 1:
        return lane_organisation(lane);
    case 2:
        return lane / LANE_DOMAINS % LANE_SENDERS;
    default:
        return lane % LANE_DOMAINS;
    }
}

/* The node of the lane at this level, or 0. */
static uint32_t find(const struct turns *t, const struct turn_queue *q, uint32_t lane,
                     uint32_t level)
{
    uint32_t i = q->root;
    for (uint32_t l = 1; i && l <= level; l++)
        i = child_of(t, i, part_of(lane, l));
    return i;
}

/* ---- rings */

static void ring_append(struct turns *t, uint32_t *last, uint32_t index)
{
    struct turn_node *n = &t->node[index];
    uint32_t before = *last ? *last : index;
    uint32_t after = *last ? t->node[*last].next : index;
    n->prev = before;
    n->next = after;
    t->node[before].next = index;
    t->node[after].prev = index;
    *last = index;
}

static void ring_remove(struct turns *t, uint32_t *last, uint32_t index)
{
    struct turn_node *n = &t->node[index];
    if (*last == index)
        *last = n->prev == index ? 0 : n->prev;
    t->node[n->prev].next = n->next;
    t->node[n->next].prev = n->prev;
}

/* It has something whose turn may come: so have those above it. */
static void enter(struct turns *t, uint32_t index)
{
    while (t->node[index].level && !t->node[index].held && !t->node[index].rings) {
        uint32_t parent = t->node[index].parent;
        ring_append(t, &t->node[parent].last, index);
        t->node[index].rings = true;
        index = parent;
    }
}

static void leave(struct turns *t, uint32_t index)
{
    while (t->node[index].rings) {
        uint32_t parent = t->node[index].parent;
        ring_remove(t, &t->node[parent].last, index);
        t->node[index].rings = false;
        if (t->node[parent].last)
            return;
        index = parent;
    }
}

/* Those that have nothing any more go, from the lane up. */
static void prune(struct turns *t, struct turn_queue *q, uint32_t index)
{
    while (index && t->node[index].count == 0) {
        uint32_t parent = t->node[index].parent;
        leave(t, index);
        node_give(t, index);
        if (!parent)
            q->root = 0;
        index = parent;
    }
    if (t->items == 0 && (t->item_room > ROOM_KEPT || t->node_room > ROOM_KEPT))
        turns_drop(t);
}

/* ---- items */

void turns_put(struct turns *t, struct turn_queue *q, uint32_t lane, uint64_t value)
{
    if (!q->root)
        q->root = node_take(t, 0, 0);
    uint32_t index = q->root;
    for (uint32_t level = 1; level <= LEVELS; level++) {
        uint32_t child = child_of(t, index, part_of(lane, level));
        index = child ? child : node_take(t, index, part_of(lane, level));
    }
    uint32_t fresh = item_take(t);
    struct turn_item *item = &t->item[fresh];
    struct turn_node *n = &t->node[index];
    *item = (struct turn_item){.value = value, .next = fresh, .lane = lane};
    if (n->last) {
        item->next = t->item[n->last].next;
        t->item[n->last].next = fresh;
    }
    n->last = fresh;
    n->count++;
    q->count++;
    enter(t, index);
}

static void take_from(struct turns *t, struct turn_queue *q, uint32_t index, uint32_t *lane,
                      uint64_t *value)
{
    struct turn_node *n = &t->node[index];
    uint32_t first = t->item[n->last].next;
    *lane = t->item[first].lane;
    *value = t->item[first].value;
    if (first == n->last)
        n->last = 0;
    else
        t->item[n->last].next = t->item[first].next;
    item_give(t, first);
    n->count--;
    q->count--;
}

static uint32_t first_of(const struct turns *t, uint32_t parent)
{
    uint32_t last = t->node[parent].last;
    return last ? t->node[last].next : 0;
}

/* The lane whose turn it is, or 0. */
static uint32_t lane_next(const struct turns *t, const struct turn_queue *q)
{
    uint32_t index = q->root;
    for (uint32_t level = 1; index && level <= LEVELS; level++)
        index = first_of(t, index);
    return index;
}

bool turns_peek(const struct turns *t, const struct turn_queue *q, uint32_t *lane)
{
    uint32_t index = lane_next(t, q);
    if (index)
        *lane = t->item[t->item[t->node[index].last].next].lane;
    return index != 0;
}

bool turns_take(struct turns *t, struct turn_queue *q, uint32_t *lane, uint64_t *value)
{
    uint32_t index = lane_next(t, q);
    if (!index)
        return false;
    take_from(t, q, index, lane, value);
    for (uint32_t i = index; t->node[i].level; i = t->node[i].parent) /* to the end of its ring */
        t->node[t->node[i].parent].last = i;
    prune(t, q, index);
    return true;
}

void turns_pass(struct turns *t, struct turn_queue *q)
{
    if (q->root && t->node[q->root].last)
        t->node[q->root].last = first_of(t, q->root);
}

/* ---- holding */

void turns_hold_organisation(struct turns *t, struct turn_queue *q)
{
    uint32_t index = q->root ? first_of(t, q->root) : 0;
    if (!index)
        return;
    leave(t, index);
    t->node[index].held = true;
}

void turns_free_organisation(struct turns *t, struct turn_queue *q, uint32_t lane)
{
    uint32_t index = find(t, q, lane, 1);
    if (!index || !t->node[index].held)
        return;
    t->node[index].held = false;
    if (t->node[index].last)
        enter(t, index);
}

bool turns_hold(struct turns *t, struct turn_queue *q, uint32_t lane, struct turn_holds *holds)
{
    uint32_t index = find(t, q, lane, LEVELS);
    if (!index || t->node[index].held)
        return false;
    leave(t, index);
    t->node[index].held = true;
    ring_append(t, &holds->last, index);
    holds->count++;
    return true;
}

static void unhold(struct turns *t, struct turn_holds *holds, uint32_t index)
{
    ring_remove(t, &holds->last, index);
    holds->count--;
    t->node[index].held = false;
}

bool turns_free(struct turns *t, struct turn_holds *holds)
{
    if (!holds->last)
        return false;
    uint32_t index = t->node[holds->last].next;
    unhold(t, holds, index);
    enter(t, index);
    return true;
}

bool turns_take_held(struct turns *t, struct turn_queue *q, struct turn_holds *holds,
                     uint32_t *lane, uint64_t *value)
{
    if (!holds->last)
        return false;
    uint32_t index = t->node[holds->last].next;
    take_from(t, q, index, lane, value);
    holds->last = index;
    if (t->node[index].count == 0) {
        unhold(t, holds, index);
        prune(t, q, index);
    }
    return true;
}

/* ---- for tests */

static uint32_t ring_length(const struct turns *t, uint32_t last)
{
    uint32_t length = 0, i = last;
    if (!last)
        return 0;
    do {
        must(t->node[t->node[i].next].prev == i);
        i = t->node[i].next;
        length++;
    } while (i != last && length <= t->node_made);
    must(i == last);
    return length;
}

static void verify_node(const struct turns *t, uint32_t index, uint32_t *children, uint32_t *rings)
{
    const struct turn_node *n = &t->node[index];
    must(n->count > 0 && n->level <= LEVELS);
    if (n->level) {
        must(child_of(t, n->parent, n->part) == index);
        must(n->rings == (!n->held && n->last));
        children[n->parent]++;
        rings[n->parent] += n->rings;
    }
    if (n->level < LEVELS) {
        must(ring_length(t, n->last) <= n->count);
        return;
    }
    uint32_t items = 1;
    for (uint32_t i = t->item[n->last].next; i != n->last; i = t->item[i].next)
        items++;
    must(items == n->count);
}

void turns_verify(const struct turns *t, const struct turn_queue *q, const struct turn_holds *h,
                  size_t holds)
{
    uint32_t *children = heap_take((t->node_made + 1) * sizeof *children), held = 0;
    uint32_t *rings = heap_take((t->node_made + 1) * sizeof *rings), nodes = 0;
    for (uint32_t i = 1; i <= t->node_made; i++) {
        if (t->node[i].count == 0)
            continue;
        nodes++;
        verify_node(t, i, children, rings);
        held += t->node[i].held && t->node[i].level == LEVELS;
    }
    for (uint32_t i = 1; i <= t->node_made; i++)
        if (t->node[i].count && t->node[i].level < LEVELS)
            must(children[i] == t->node[i].count && rings[i] == ring_length(t, t->node[i].last));
    must(nodes == t->nodes);
    must(!q->root == !q->count && t->items >= q->count);
    for (size_t i = 0; i < holds; i++) {
        must(ring_length(t, h[i].last) == h[i].count);
        held -= h[i].count;
    }
    must(held == 0);
    heap_drop(children);
    heap_drop(rings);
}
