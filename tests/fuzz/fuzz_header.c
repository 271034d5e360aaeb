/* However it is cut, a mail has the same header section; fields lie in order and fill it. */
#include "tests/fuzz/fuzz.h"

#include "core/mail/header.h"

static enum header_status drive(struct header *h, struct fuzz f)
{
    header_init(h);
    struct str piece;
    enum header_status status = HEADER_MORE;
    while (status == HEADER_MORE && fuzz_piece(&f, &piece))
        status = header_feed(h, piece);
    heap_drop(f.piece);
    return status == HEADER_MORE ? header_finish(h) : status;
}

static void check(const struct header *h, struct str whole)
{
    const struct header_field *f = header_fields(h);
    uint32_t at = h->count ? f->start : h->end;
    must(at == 0 || h->odd & HEADER_ODD_FROM_LINE);
    for (uint32_t i = 0; i < h->count; i++) {
        must(f[i].start == at && f[i].name_len > 0);
        must(f[i].value > f[i].start + f[i].name_len && f[i].end >= f[i].value);
        at = f[i].end;
    }
    must(at == h->end && h->body >= h->end && h->body <= whole.len);
    must(h->body == h->end || str_eq(str_from(whole.at + h->end, h->body - h->end), STR("\r\n")));

    struct arena arena;
    struct header_facts facts;
    arena_init(&arena, 1 << 20);
    must(header_read_facts(h, &arena, &facts));
    uint32_t last = 0;
    for (uint32_t i = 0; i < facts.cut_count; i++) {
        must(facts.cuts[i].offset >= last && facts.cuts[i].length > 0);
        last = facts.cuts[i].offset + facts.cuts[i].length;
        must(last <= h->end);
    }
    arena_drop(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz f = fuzz_start(data, size), whole = f;
    whole.first = 0;
    whole.step = SIZE_MAX;
    struct header a, b;
    enum header_status one = drive(&a, f), two = drive(&b, whole);
    must(one == two && a.count == b.count && a.odd == b.odd && a.body == b.body);
    if (one == HEADER_DONE) {
        must(fuzz_same(&a.list, &b.list) && fuzz_same(&a.bytes, &b.bytes));
        check(&a, f.whole);
    }
    header_drop(&a);
    header_drop(&b);
    return 0;
}
