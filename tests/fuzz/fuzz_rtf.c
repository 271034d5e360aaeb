/* Any bytes as RTF: however they are cut, the text is the same, and it is not longer than three
 * bytes for each that came. */
#include "tests/fuzz/fuzz.h"

#include "tools/extractor/rtf.h"

enum {
    MAX_BYTES = 1 << 22
};

struct heard {
    struct buffer text;
    size_t bytes;
    char last[32];
};

static void put(void *owner, struct str charset, struct str bytes)
{
    struct heard *h = owner;
    must(charset.len < sizeof h->last && bytes.len > 0);
    h->bytes += bytes.len;
    if (!str_eq(charset, str_c(h->last))) {
        buffer_putc(&h->text, '[');
        buffer_put(&h->text, charset);
        buffer_putc(&h->text, ']');
        must(str_to_c(charset, h->last, sizeof h->last));
    }
    buffer_put(&h->text, bytes);
}

static void drive(struct fuzz f, struct heard *h)
{
    static struct rtf r;
    struct str piece;
    *h = (struct heard){0};
    buffer_init(&h->text, MAX_BYTES);
    rtf_init(&r, put, h);
    while (fuzz_piece(&f, &piece))
        rtf_feed(&r, piece);
    rtf_finish(&r);
    must(h->bytes <= 3 * f.whole.len);
    buffer_printf(&h->text, "%d%d%d", r.hidden, r.objects, r.wrong);
    heap_drop(f.piece);
    rtf_drop(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz f = fuzz_start(data, size), whole = f;
    struct heard a, b;
    whole.first = 0;
    whole.step = SIZE_MAX;
    drive(f, &a);
    drive(whole, &b);
    must(fuzz_same(&a.text, &b.text));
    buffer_drop(&a.text);
    buffer_drop(&b.text);
    return 0;
}
