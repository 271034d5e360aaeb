/* The header of the PROXY protocol against a model that sees everything at once. */
#include "tests/fuzz/fuzz.h"

#include "core/io/proxy.h"

static const struct str signature = STR_INIT("\r\n\r\n\0\r\nQUIT\n");

/* The length of the header, or 0 where it is bad. `in` holds at least 16 bytes. */
static size_t model(struct str in, size_t *source)
{
    unsigned command = (uint8_t)in.at[12], family = (uint8_t)in.at[13];
    size_t rest = (size_t)(uint8_t)in.at[14] << 8 | (uint8_t)in.at[15];
    if (!str_starts(in, signature) || rest > PROXY_REST_BYTES_MAX)
        return 0;
    *source = 0;
    if (command == 0x20)
        return 16 + rest;
    if (command != 0x21)
        return 0;
    *source = family == 0x11 ? 4 : family == 0x21 ? 16 : 0;
    return *source && rest >= 2 * *source + 4 ? 16 + rest : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz f = fuzz_start(data, size);
    struct proxy p = {0};
    struct str piece;
    enum proxy_status status = PROXY_MORE;
    size_t left = 0, source = 0;
    while (fuzz_piece(&f, &piece)) {
        if (status == PROXY_MORE)
            status = proxy_feed(&p, &piece);
        left += piece.len;
    }
    if (f.whole.len < 16) {
        must(status != PROXY_DONE);
        must((status == PROXY_MORE) == str_starts(signature, str_head(f.whole, 12)) ||
             f.whole.len > 12);
        return 0;
    }
    size_t whole = model(f.whole, &source);
    uint8_t at[16];
    if (whole == 0) {
        must(status == PROXY_BAD);
    } else if (f.whole.len < whole) {
        must(status == PROXY_MORE && left == 0);
    } else {
        must(status == PROXY_DONE && left == f.whole.len - whole);
        size_t bytes = proxy_source(&p, at);
        must(bytes == source || (source == 16 && bytes == 4));
        const char *from = f.whole.at + 16 + (source - bytes);
        must(memcmp(at, from, bytes) == 0);
    }
    return 0;
}
