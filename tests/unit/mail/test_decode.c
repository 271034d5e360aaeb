#include "tests/unit/harness.h"

#include "core/mail/decode.h"

static const struct {
    const char *name;
    void (*run)(struct str, struct buffer *);
    struct str in, want;
} rows[] = {
    {"base64", decode_base64, STR_INIT("aGVsbG8="), STR_INIT("hello")},
    {"lines", decode_base64, STR_INIT("aGVs\r\nbG8=\r\n"), STR_INIT("hello")},
    {"no padding", decode_base64, STR_INIT("aGVsbG8"), STR_INIT("hello")},
    {"MIME-04 padding in the middle", decode_base64, STR_INIT("QUJD RA== RUZH"),
     STR_INIT("ABCDEFG")},
    {"MIME-05 foreign bytes", decode_base64, STR_INIT("aG*Vs-bG8=!"), STR_INIT("hello")},
    {"one letter is nothing", decode_base64, STR_INIT("a"), STR_INIT("")},
    {"quoted", decode_quoted, STR_INIT("a=3Db=\r\nc =E3=81=82  \r\nd"),
     STR_INIT("a=bc \xe3\x81\x82\r\nd")},
    {"quoted, malformed", decode_quoted, STR_INIT("a=ZZ=4"), STR_INIT("a=ZZ=4")},
    {"quoted, lower case", decode_quoted, STR_INIT("=c3=a9\n"), STR_INIT("\xc3\xa9\r\n")},
    {"Q", decode_q, STR_INIT("a_b=20c="), STR_INIT("a b c=")},
    {"encode none", encode_base64_lines, STR_INIT(""), STR_INIT("")},
    {"encode lines", encode_base64_lines,
     STR_INIT("0123456789012345678901234567890123456789012345678901234567890"),
     STR_INIT("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2\r\n"
              "Nzg5MA==\r\n")},
};

static void test_rows(void)
{
    for (size_t i = 0; i < countof(rows); i++) {
        struct buffer out;
        buffer_init(&out, 4096);
        rows[i].run(rows[i].in, &out);
        expect_str(buffer_str(&out), rows[i].want, rows[i].name);
        buffer_drop(&out);
    }
}

int main(void)
{
    const struct test tests[] = {{"rows", test_rows}, {NULL, NULL}};
    return harness_run("decode", tests);
}
