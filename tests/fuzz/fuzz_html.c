/* Whole and in pieces the same, bounded, and UTF-8 stays UTF-8. */
#include "tests/fuzz/fuzz.h"

#include "core/mail/html.h"
#include "core/mail/utf8.h"

enum {
    MAX_BYTES = 4 << 20
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz f = fuzz_start(data, size);
    struct html whole, pieces;
    struct buffer shown, aside, shown_too, aside_too;
    struct str piece;
    buffer_init(&shown, MAX_BYTES);
    buffer_init(&aside, MAX_BYTES);
    buffer_init(&shown_too, MAX_BYTES);
    buffer_init(&aside_too, MAX_BYTES);
    html_init(&whole, NULL);
    html_feed(&whole, f.whole, &shown, &aside);
    html_finish(&whole, &shown, &aside);
    html_init(&pieces, NULL);
    while (fuzz_piece(&f, &piece))
        html_feed(&pieces, piece, &shown_too, &aside_too);
    html_finish(&pieces, &shown_too, &aside_too);
    must(fuzz_same(&shown, &shown_too) && fuzz_same(&aside, &aside_too));
    must(whole.doubt == pieces.doubt && whole.data_uris == pieces.data_uris);
    must(shown.len + aside.len <= f.whole.len * HTML_GROWTH + HTML_HELD);
    if (utf8_is_valid(f.whole))
        must(utf8_is_valid(buffer_str(&shown)));
    buffer_drop(&shown);
    buffer_drop(&aside);
    buffer_drop(&shown_too);
    buffer_drop(&aside_too);
    return 0;
}
