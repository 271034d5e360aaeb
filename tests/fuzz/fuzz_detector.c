/* However the text is cut, the same is found, at the same places; and nothing outside of it. */
#include "tests/fuzz/fuzz.h"

#include "core/policy/detector.h"

static void check_spots(const struct detector *d, uint64_t bytes)
{
    for (int kind = 0; kind < DETECTOR_KINDS; kind++) {
        size_t count;
        const struct detector_spot *spot = detector_spots(d, (enum detector_kind)kind, &count);
        must(detector_count(d, (enum detector_kind)kind) >= count);
        for (size_t i = 0; i < count; i++)
            must(spot[i].bytes && spot[i].at + spot[i].bytes <= bytes);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz f = fuzz_start(data, size);
    struct detector *whole = detector_make(), *cut = detector_make();
    struct str piece;
    must(whole && cut);
    detector_feed(whole, f.whole);
    detector_end(whole);
    while (fuzz_piece(&f, &piece))
        detector_feed(cut, piece);
    detector_end(cut);
    check_spots(whole, f.whole.len);
    for (int i = 0; i < DETECTOR_KINDS; i++) {
        enum detector_kind kind = (enum detector_kind)i;
        size_t count, same;
        const struct detector_spot *a = detector_spots(whole, kind, &count);
        const struct detector_spot *b = detector_spots(cut, kind, &same);
        must(count == same && detector_count(whole, kind) == detector_count(cut, kind));
        for (size_t k = 0; k < count; k++)
            must(a[k].at == b[k].at && a[k].bytes == b[k].bytes);
    }
    detector_drop(&whole);
    detector_drop(&cut);
    return 0;
}
