/* Any bytes as a part of an Office file: however they are cut, text and marks are the same. */
#include "tests/fuzz/fuzz.h"

#include "tools/extractor/xml_text.h"

enum {
    MAX_BYTES = 1 << 22
};

static void put(void *owner, struct str utf8)
{
    buffer_put(owner, utf8);
}

static void drive(struct fuzz f, struct buffer *out)
{
    struct xml_text x;
    struct str piece;
    bool good = true;
    must(xml_text_init(&x, put, out));
    while (good && fuzz_piece(&f, &piece))
        good = xml_text_feed(&x, piece);
    good = good && xml_text_finish(&x);
    if (!good)
        buffer_clear(out); /* how far it came depends on the pieces */
    else
        buffer_printf(out, "%d%d", x.hidden, x.encrypted);
    buffer_putc(out, good ? '+' : '-');
    heap_drop(f.piece);
    xml_text_drop(&x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz f = fuzz_start(data, size), whole = f;
    struct buffer a, b;
    whole.first = 0;
    whole.step = SIZE_MAX;
    buffer_init(&a, MAX_BYTES);
    buffer_init(&b, MAX_BYTES);
    drive(f, &a);
    drive(whole, &b);
    must(fuzz_same(&a, &b));
    buffer_drop(&a);
    buffer_drop(&b);
    return 0;
}
