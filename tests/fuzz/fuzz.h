/* fuzz.h -- how a fuzz target cuts its input into pieces, and how it says that something is wrong.
 *
 * The first two bytes of the input choose the pieces, the rest is what is fed. Each piece is a
 * copy of its own, so that a read outside of it is seen. The model gets the whole.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "core/base/buffer.h"
#include "core/base/heap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz {
    struct str whole;
    size_t at, first, step;
    char *piece;
};

static inline struct fuzz fuzz_start(const uint8_t *data, size_t size)
{
    struct fuzz f = {.whole = {"", 0}, .first = 0, .step = SIZE_MAX};
    if (size < 2)
        return f;
    f.whole = str_from((const char *)data + 2, size - 2);
    f.first = data[0];
    f.step = data[1] ? data[1] : SIZE_MAX;
    return f;
}

static inline bool fuzz_piece(struct fuzz *f, struct str *piece)
{
    heap_drop(f->piece);
    f->piece = NULL;
    if (f->at >= f->whole.len)
        return false;
    size_t len = f->at == 0 && f->first ? f->first : f->step;
    len = size_min(len, f->whole.len - f->at);
    f->piece = heap_take(len);
    memcpy(f->piece, f->whole.at + f->at, len);
    *piece = str_from(f->piece, len);
    f->at += len;
    return true;
}

static inline bool fuzz_same(const struct buffer *a, const struct buffer *b)
{
    return str_eq(buffer_str(a), buffer_str(b));
}

#endif
