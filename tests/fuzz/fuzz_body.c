/* The automaton against a model that sees everything at once: lines are what stands between CRLFs.
 * */
#include "tests/fuzz/fuzz.h"

#include "core/mail/body.h"

enum {
    MAX_BYTES = 1 << 20
};

static enum body_in_status fault_in(struct str line)
{
    for (size_t i = 0; i < line.len; i++)
        if (line.at[i] == '\r' || line.at[i] == '\n' || line.at[i] == '\0')
            return line.at[i] == '\r'   ? BODY_IN_BARE_CR
                   : line.at[i] == '\n' ? BODY_IN_BARE_LF
                                        : BODY_IN_NUL;
    return BODY_IN_MORE;
}

static enum body_in_status model(struct str whole, struct buffer *content, size_t *end)
{
    enum body_in_status fault = BODY_IN_MORE;
    bool is_long = false;
    struct str rest = whole;
    for (;;) {
        size_t crlf = str_find_str(rest, STR("\r\n"));
        if (crlf == SIZE_MAX)
            return BODY_IN_MORE;
        struct str line = str_head(rest, crlf);
        rest = str_skip(rest, crlf + 2);
        if (str_eq(line, STR("."))) {
            *end = whole.len - rest.len;
            return fault != BODY_IN_MORE ? fault : is_long ? BODY_IN_LINE_TOO_LONG : BODY_IN_DONE;
        }
        if (line.len && line.at[0] == '.')
            line = str_skip(line, 1);
        if (fault == BODY_IN_MORE)
            fault = fault_in(line);
        is_long |= line.len > LIMIT_TEXT_LINE_BYTES;
        buffer_put(content, line);
        buffer_puts(content, "\r\n");
    }
}

/* What went in and came out again must go out and come in the same. */
static void check_out(const struct buffer *content)
{
    struct body_out o;
    body_out_init(&o);
    struct buffer wire, back;
    buffer_init(&wire, (size_t)2 * MAX_BYTES);
    buffer_init(&back, (size_t)2 * MAX_BYTES);
    bool ok = body_out_feed(&o, str_head(buffer_str(content), content->len / 2), &wire);
    ok = ok && body_out_feed(&o, str_skip(buffer_str(content), content->len / 2), &wire);
    must(ok && body_out_end(&o, &wire));
    size_t end = 0;
    enum body_in_status status = model(buffer_str(&wire), &back, &end);
    must(status == BODY_IN_DONE && end == wire.len && fuzz_same(&back, content));
    buffer_drop(&wire);
    buffer_drop(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz f = fuzz_start(data, size);
    struct buffer got, want;
    buffer_init(&got, MAX_BYTES);
    buffer_init(&want, MAX_BYTES);
    size_t want_end = 0, end = 0;
    enum body_in_status wanted = model(f.whole, &want, &want_end), status = BODY_IN_MORE;

    struct body_in b;
    body_in_init(&b);
    struct str piece = {"", 0}, out;
    bool fault = false;
    while (!b.ended && fuzz_piece(&f, &piece)) {
        struct str in = piece;
        while ((status = body_in_feed(&b, &in, &out)) != BODY_IN_MORE && !b.ended) {
            must(status != BODY_IN_DONE && status != BODY_IN_LINE_TOO_LONG);
            must(!fault);
            fault = status != BODY_IN_DATA;
            if (!fault)
                buffer_put(&got, out);
        }
        end = f.at - in.len;
    }
    heap_drop(f.piece);
    must(b.ended == (wanted != BODY_IN_MORE));
    if (b.ended)
        must(status == wanted && end == want_end);
    if (!fault)
        must(str_starts(buffer_str(&got), buffer_str(&want)));
    if (status == BODY_IN_DONE) {
        must(fuzz_same(&got, &want));
        check_out(&got);
    }
    buffer_drop(&got);
    buffer_drop(&want);
    return 0;
}
