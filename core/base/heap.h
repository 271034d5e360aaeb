/* heap.h -- the door to the allocator, for the few files that own memory by themselves.
 *
 * Thread   any; memory may be given back by another thread than the one that took it.
 * Errors   heap_take() stops the program when memory is gone: it is for start-up and for amounts
 *          that limits bound. heap_try() returns NULL: the caller has an answer (452).
 */
#ifndef CORE_BASE_HEAP_H
#define CORE_BASE_HEAP_H

#include "core/base/base.h"

void *heap_take(size_t bytes);                           /* zeroed */
NODISCARD void *heap_try(size_t bytes);                  /* not zeroed */
NODISCARD void *heap_grow(void *at, size_t bytes);       /* NULL: `at` is still there */
void *heap_take_aligned(size_t alignment, size_t bytes); /* not zeroed */
void heap_drop(void *at);                                /* NULL is allowed */

#endif
