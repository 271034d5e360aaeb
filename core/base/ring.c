#include "core/base/ring.h"

#include "core/base/heap.h"

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

void port_init(struct port *p)
{
    p->wake_fd = eventfd(0, EFD_CLOEXEC);
    must(p->wake_fd >= 0);
    atomic_init(&p->asleep, false);
}

void port_drop(struct port *p)
{
    (void)close(p->wake_fd);
}

void port_wake(struct port *p)
{
    const uint64_t one = 1;
    ssize_t wrote = write(p->wake_fd, &one, sizeof one);
    must(wrote == sizeof one);
}

void port_drowse(struct port *p)
{
    atomic_store_explicit(&p->asleep, true, memory_order_relaxed);
    /* pairs with the fence of ring_flush(): either it sees `asleep`, or we see its tail */
    atomic_thread_fence(memory_order_seq_cst);
}

void port_awake(struct port *p)
{
    atomic_store_explicit(&p->asleep, false, memory_order_relaxed);
}

struct ring *ring_make(struct port *reader)
{
    struct ring *r = heap_take_aligned(64, sizeof *r);
    memset(r, 0, sizeof *r);
    atomic_init(&r->head, 0);
    atomic_init(&r->tail, 0);
    r->reader = reader;
    return r;
}

void ring_drop(struct ring **r)
{
    if (!*r)
        return;
    heap_drop((*r)->kept);
    heap_drop(*r);
    *r = NULL;
}

static bool push(struct ring *r, const struct cell *c)
{
    uint32_t tail = (uint32_t)atomic_load_explicit(&r->tail, memory_order_relaxed);
    uint32_t head = (uint32_t)atomic_load_explicit(&r->head, memory_order_acquire);
    if (tail - head == LIMIT_RING_CELLS)
        return false;
    r->cell[tail % LIMIT_RING_CELLS] = *c;
    atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
    r->dirty = true;
    return true;
}

void ring_put(struct ring *r, const struct cell *c)
{
    if (r->kept_count == 0 && push(r, c))
        return;
    if (r->kept_count == r->kept_room) {
        size_t room = r->kept_room ? r->kept_room * 2 : 64;
        struct cell *kept = heap_grow(r->kept, room * sizeof *kept);
        must(kept != NULL);
        r->kept = kept;
        r->kept_room = room;
    }
    r->kept[r->kept_count++] = *c;
}

void ring_flush(struct ring *r)
{
    size_t moved = 0;
    while (moved < r->kept_count && push(r, &r->kept[moved]))
        moved++;
    if (moved) {
        r->kept_count -= moved;
        memmove(r->kept, r->kept + moved, r->kept_count * sizeof *r->kept);
    }
    if (!r->dirty)
        return;
    r->dirty = false;
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_exchange_explicit(&r->reader->asleep, false, memory_order_relaxed))
        port_wake(r->reader);
}

size_t ring_kept(const struct ring *r)
{
    return r->kept_count;
}

bool ring_take(struct ring *r, struct cell *out)
{
    uint32_t head = (uint32_t)atomic_load_explicit(&r->head, memory_order_relaxed);
    uint32_t tail = (uint32_t)atomic_load_explicit(&r->tail, memory_order_acquire);
    if (head == tail)
        return false;
    *out = r->cell[head % LIMIT_RING_CELLS];
    atomic_store_explicit(&r->head, head + 1, memory_order_release);
    return true;
}

bool ring_empty(const struct ring *r)
{
    return atomic_load_explicit(&r->head, memory_order_relaxed) ==
           atomic_load_explicit(&r->tail, memory_order_acquire);
}
