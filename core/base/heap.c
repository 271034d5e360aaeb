#include "core/base/heap.h"

#include <stdlib.h>

void *heap_take(size_t bytes)
{
    void *at = calloc(1, bytes ? bytes : 1);
    must(at != NULL);
    return at;
}

void *heap_try(size_t bytes)
{
    return malloc(bytes ? bytes : 1);
}

void *heap_grow(void *at, size_t bytes)
{
    return realloc(at, bytes ? bytes : 1);
}

void *heap_take_aligned(size_t alignment, size_t bytes)
{
    void *at = NULL;
    must(posix_memalign(&at, alignment, bytes) == 0);
    return at;
}

void heap_drop(void *at)
{
    free(at);
}
