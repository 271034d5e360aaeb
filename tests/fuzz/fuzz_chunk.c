/* BDAT's content against a model that sees it whole: whatever the borders of chunks and pieces, the
 * same bytes come out, and a fault is told with the byte that shows it.
 *
 * Bytes 0 and 1: the pieces (fuzz.h). Byte 2: how many of the next bytes are lengths of chunks; the
 * last chunk is what is left. The rest is the content.
 */
#include "tests/fuzz/fuzz.h"

#include "core/mail/body.h"

enum {
    MAX_BYTES = 1 << 20,
    CHUNKS_MAX = 16,
    SPLIT_BYTES = 80 /* so much is also cut at every byte */
};

struct chunks {
    size_t length[CHUNKS_MAX], count;
};

struct model {
    enum body_in_status verdict; /* at the end */
    enum body_in_status fault;   /* told before the end, MORE: none */
    size_t fault_at;             /* the byte that shows it */
    bool ends_line, eight_bit;
};

static void model_line(struct model *m, struct str line, size_t start, bool ended)
{
    for (size_t i = 0; i < line.len && m->fault == BODY_IN_MORE; i++) {
        bool is_last = i + 1 == line.len && !ended;
        m->fault_at = start + i;
        if (line.at[i] == '\n')
            m->fault = BODY_IN_BARE_LF;
        else if (line.at[i] == '\0')
            m->fault = BODY_IN_NUL;
        else if (line.at[i] == '\r' && is_last)
            m->verdict = BODY_IN_BARE_CR; /* known at the end only */
        else if (line.at[i] == '\r')
            m->fault = BODY_IN_BARE_CR;
        if (m->fault == BODY_IN_BARE_CR)
            m->fault_at++; /* the byte behind it shows it */
    }
    if (line.len > LIMIT_TEXT_LINE_BYTES && m->verdict == BODY_IN_DONE)
        m->verdict = BODY_IN_LINE_TOO_LONG;
}

static struct model model(struct str whole)
{
    struct model m = {.verdict = BODY_IN_DONE, .fault = BODY_IN_MORE};
    size_t at = 0, crlf;
    for (size_t i = 0; i < whole.len; i++)
        m.eight_bit |= (unsigned char)whole.at[i] > 0x7F;
    while ((crlf = str_find_str(str_skip(whole, at), STR("\r\n"))) != SIZE_MAX) {
        model_line(&m, str_from(whole.at + at, crlf), at, true);
        at += crlf + 2;
    }
    model_line(&m, str_skip(whole, at), at, false);
    m.ends_line = at == whole.len;
    if (m.fault != BODY_IN_MORE)
        m.verdict = m.fault;
    return m;
}

/* One chunk from what the pieces hold; `in` is what is left of the last one. */
static void feed_chunk(struct body_chunk *b, struct fuzz *f, struct str *in, struct buffer *got,
                       const struct model *want)
{
    for (;;) {
        bool told = b->fault != BODY_IN_MORE;
        struct str out;
        size_t had = in->len;
        enum body_in_status status = body_chunk_feed(b, in, &out);
        size_t fed = f->at - in->len;
        must(b->left == 0 || in->len == 0);
        if (status == BODY_IN_DATA) {
            must(!told && out.len == had - in->len);
            buffer_put(got, out);
        } else if (status == BODY_IN_DONE) {
            must(b->left == 0);
            return;
        } else if (status == BODY_IN_MORE) {
            must(in->len == 0 && b->left > 0);
            must(fuzz_piece(f, in));
        } else {
            must(!told && status == want->fault);
            must(fed > want->fault_at && fed - (had - in->len) <= want->fault_at);
        }
        must((b->fault != BODY_IN_MORE) == (want->fault != BODY_IN_MORE && fed > want->fault_at));
    }
}

static void drive(struct fuzz f, const struct chunks *c, const struct model *want)
{
    struct body_chunk b;
    struct buffer got;
    struct str in = {"", 0}, out;
    buffer_init(&got, MAX_BYTES);
    body_chunk_init(&b);
    for (size_t i = 0; i < c->count; i++) {
        b.left = c->length[i];
        feed_chunk(&b, &f, &in, &got, want);
    }
    must(in.len == 0 && f.at == f.whole.len);
    must(str_starts(f.whole, buffer_str(&got)));
    enum body_in_status status = body_chunk_end(&b, &out);
    must(status == want->verdict);
    if (want->fault == BODY_IN_MORE)
        must(str_eq(f.whole, buffer_str(&got)) && b.scan.eight_bit == want->eight_bit);
    if (status == BODY_IN_DONE || status == BODY_IN_LINE_TOO_LONG)
        must(str_eq(out, want->ends_line ? STR("") : STR("\r\n")));
    heap_drop(f.piece);
    buffer_drop(&got);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz f = fuzz_start(data, size);
    struct chunks c = {.count = 0};
    uint8_t count = 0, length = 0;
    if (!take8(&f.whole, &count))
        return 0;
    uint8_t lengths[CHUNKS_MAX - 1];
    size_t given = 0;
    while (given < count % CHUNKS_MAX && take8(&f.whole, &length))
        lengths[given++] = length;
    size_t left = f.whole.len;
    for (size_t i = 0; i < given; i++) {
        c.length[c.count] = size_min(lengths[i], left);
        left -= c.length[c.count++];
    }
    c.length[c.count++] = left;
    struct model want = model(f.whole);
    drive(f, &c, &want);
    for (size_t cut = 0; cut <= f.whole.len && f.whole.len <= SPLIT_BYTES; cut++) {
        f.first = cut;
        f.step = cut == f.whole.len ? 1 : SIZE_MAX;
        drive(f, &c, &want);
    }
    return 0;
}
