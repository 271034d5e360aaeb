/* The splitter against a model that sees everything at once. */
#include "tests/fuzz/fuzz.h"

#include "core/mail/line.h"

enum {
    MAX_BYTES = 1 << 20,
    LINE_MAX_BYTES = 40
};

static void put_event(struct buffer *b, enum line_status status, struct str text)
{
    buffer_printf(b, "%u:", (unsigned)status);
    if (status == LINE_DONE)
        buffer_put(b, text);
    buffer_putc(b, '\n');
}

static enum line_status fault_in(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] == '\r' || text.at[i] == '\n' || text.at[i] == '\0')
            return text.at[i] == '\r' ? LINE_BARE_CR : text.at[i] == '\n' ? LINE_BARE_LF : LINE_NUL;
    return LINE_MORE;
}

static void model(struct str rest, struct buffer *out)
{
    for (;;) {
        size_t crlf = str_find_str(rest, STR("\r\n"));
        struct str line = str_head(rest, crlf);
        bool ended = crlf != SIZE_MAX;
        if (!ended && line.len && line.at[line.len - 1] == '\r')
            line.len--; /* whether it is bare is not known yet */
        enum line_status fault = fault_in(line);
        if (fault != LINE_MORE)
            put_event(out, fault, line);
        else if (ended)
            put_event(out, line.len + 2 > LINE_MAX_BYTES ? LINE_TOO_LONG : LINE_DONE, line);
        if (!ended)
            return;
        rest = str_skip(rest, crlf + 2);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz f = fuzz_start(data, size);
    struct buffer got, want;
    buffer_init(&got, MAX_BYTES);
    buffer_init(&want, MAX_BYTES);
    model(f.whole, &want);

    struct line l;
    line_init(&l, LINE_MAX_BYTES);
    struct str piece, out;
    while (fuzz_piece(&f, &piece)) {
        enum line_status status;
        while ((status = line_feed(&l, &piece, &out)) != LINE_MORE)
            put_event(&got, status, out);
        must(piece.len == 0);
    }
    must(got.full || want.full || fuzz_same(&got, &want));
    line_drop(&l);
    buffer_drop(&got);
    buffer_drop(&want);
    return 0;
}
