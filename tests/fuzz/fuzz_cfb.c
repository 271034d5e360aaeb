/* Any bytes as a compound file: the walk ends, and no stream is longer than the file. */
#include "tests/fuzz/fuzz.h"

#include "tools/extractor/cfb.h"

enum {
    STREAM_BYTES = 1 << 16
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cfb c;
    struct cfb_stream s;
    struct str file = str_from((const char *)data, size);
    if (!cfb_open(&c, file))
        return 0;
    for (size_t steps = 0; cfb_next(&c, &s) == CFB_ENTRY; steps++) {
        struct buffer out;
        must(steps <= size / 128 + 1 && strlen(s.name) < sizeof s.name);
        buffer_init(&out, STREAM_BYTES);
        if (steps < 64 && cfb_read(&c, &s, STREAM_BYTES, &out))
            must(out.len == u64_min(s.bytes, STREAM_BYTES));
        buffer_drop(&out);
    }
    return 0;
}
