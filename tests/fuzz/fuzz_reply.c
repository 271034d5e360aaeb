/* However it is cut, a conversation has the same replies, and their text is one printable line. */
#include "tests/fuzz/fuzz.h"

#include "core/mail/reply.h"

enum {
    MAX_BYTES = 1 << 20
};

static void drive(struct fuzz f, struct buffer *seen)
{
    struct reply_parser p;
    reply_parser_init(&p);
    struct str piece;
    while (fuzz_piece(&f, &piece)) {
        enum reply_status status;
        while ((status = reply_parser_feed(&p, &piece)) != REPLY_MORE && status != REPLY_BAD) {
            buffer_printf(seen, "%u %.*s|", (unsigned)status, STR_ARG(p.line));
            if (status == REPLY_DONE)
                reply_seen_write(&p.seen, seen);
            must(p.seen.code >= 200 && p.seen.code < 600);
            must(p.seen.text_len <= REPLY_TEXT_BYTES);
            for (size_t i = 0; i < p.seen.text_len; i++)
                must(p.seen.text[i] >= ' ' && p.seen.text[i] <= '~');
        }
        if (status == REPLY_BAD)
            buffer_puts(seen, "!"); /* and stays bad */
        must(status != REPLY_BAD || p.broken);
        if (p.broken)
            break;
    }
    heap_drop(f.piece);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz f = fuzz_start(data, size), whole = f;
    whole.first = 0;
    whole.step = SIZE_MAX;
    struct buffer a, b;
    buffer_init(&a, MAX_BYTES);
    buffer_init(&b, MAX_BYTES);
    drive(f, &a);
    drive(whole, &b);
    must(fuzz_same(&a, &b));
    buffer_drop(&a);
    buffer_drop(&b);
    return 0;
}
