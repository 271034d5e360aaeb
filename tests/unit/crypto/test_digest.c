/* SHA-256 against the vectors of FIPS 180-4, in pieces cut at every byte, and reused. */
#include "crypto/digest.h"

#include "tests/unit/harness.h"

static const struct {
    const char *name, *in, *want;
} rows[] = {
    {"empty", "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"two blocks", "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

static void test_vectors(void)
{
    struct digest *d = digest_make();
    for (size_t row = 0; row < countof(rows); row++)
        for (size_t cut = 0; cut <= strlen(rows[row].in); cut++) {
            uint8_t out[DIGEST_BYTES];
            struct str in = str_c(rows[row].in);
            digest_start(d);
            digest_feed(d, str_head(in, cut));
            digest_feed(d, str_skip(in, cut));
            digest_finish(d, out);
            expect_str(str_c(digest_text(out).at), str_c(rows[row].want), rows[row].name);
        }
    digest_drop(&d);
    expect(d == NULL, "dropped");
    digest_drop(&d);
}

int main(void)
{
    const struct test tests[] = {{"vectors", test_vectors}, {0}};
    return harness_run("digest", tests);
}
