/* ring.h -- how two threads talk: one single-producer single-consumer ring of 64-byte cells for
 * each direction, and a port on which its reader sleeps.
 *
 * Thread   one writer: ring_put(), ring_flush(). One reader: ring_take(). port_*: the reader, but
 *          port_wake() which the writer calls through ring_flush().
 * Memory   a cell carries ids, handles and numbers; an `object` is handed over: from the put on it
 *          belongs to the reader.
 * Promise  ring_put() never loses a cell: what finds the ring full is kept on the writer's side, in
 *          order, until ring_flush() finds room. ring_kept() tells the writer to slow down.
 */
#ifndef CORE_BASE_RING_H
#define CORE_BASE_RING_H

#include "core/base/limit.h"
#include "core/base/slab.h"

#include <stdatomic.h>

enum cell_kind {
#define CELL(name, from, to, meaning) CELL_##name,
#include "core/base/cell.def"
#undef CELL
};

struct cell {
    uint32_t kind; /* enum cell_kind */
    uint32_t from; /* shard or partition number of the sender, where the reader needs it */
    struct handle request;
    uint64_t id, a, b, c;
    void *object;
    uint64_t spare;
};

_Static_assert(sizeof(struct cell) == 64, "a cell is a cache line");

/* Where one reader sleeps for all its rings. */
struct port {
    int wake_fd; /* eventfd */
    _Alignas(64) atomic_bool asleep;
};

struct ring {
    _Alignas(64) atomic_uint_fast32_t head; /* written by the reader only */
    _Alignas(64) atomic_uint_fast32_t tail; /* written by the writer only */
    bool dirty;                             /* writer's: put since the last flush */
    struct port *reader;
    struct cell *kept; /* writer's, oldest first */
    size_t kept_count, kept_room;
    _Alignas(64) struct cell cell[LIMIT_RING_CELLS];
};

void port_init(struct port *p); /* makes the eventfd; stops the program when there is none */
void port_drop(struct port *p);
void port_wake(struct port *p); /* any thread */

/* Before sleeping: mark, then look at every ring once more (ring_empty()), then block on wake_fd.
 * After waking, or when something was there: port_awake(). */
void port_drowse(struct port *p);
void port_awake(struct port *p);

struct ring *ring_make(struct port *reader);
void ring_drop(struct ring **r);

void ring_put(struct ring *r, const struct cell *c);
void ring_flush(struct ring *r); /* once a turn: kept cells move on, the reader is woken */
size_t ring_kept(const struct ring *r);

bool ring_take(struct ring *r, struct cell *out);
bool ring_empty(const struct ring *r);

#endif
