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

/* Of streams: what comes out, and what others may have read differently. */
static const struct {
    const char *name;
    enum decode_kind kind;
    struct str in, want;
    unsigned doubt;
} streams[] = {
    {"identity", DECODE_IDENTITY, STR_INIT("a\r\n=3D"), STR_INIT("a\r\n=3D"), 0},
    {"base64", DECODE_BASE64, STR_INIT("aGVs\r\nbG8=\r\n"), STR_INIT("hello"), 0},
    {"nothing", DECODE_BASE64, STR_INIT(""), STR_INIT(""), 0},
    {"line of 76", DECODE_BASE64,
     STR_INIT(
         "QUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJD\r\nQQ=="),
     STR_INIT("ABCABCABCABCABCABCABCABCABCABCABCABCABCABCABCABCABCABCABCA"), 0},
    {"MIME-05 line of 77", DECODE_BASE64,
     STR_INIT(
         "QUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQ\r\nQ=="),
     STR_INIT("ABCABCABCABCABCABCABCABCABCABCABCABCABCABCABCABCABCABCABCA"), DECODE_LONG_LINE},
    {"MIME-04 padding in the middle", DECODE_BASE64, STR_INIT("QUJD RA== RUZH"),
     STR_INIT("ABCDEFG"), DECODE_PADDING_INSIDE | DECODE_BLANKS},
    {"MIME-04 one =", DECODE_BASE64, STR_INIT("QUI=\r\nQUJD"), STR_INIT("ABABC"),
     DECODE_PADDING_INSIDE},
    {"MIME-04 half a padding", DECODE_BASE64, STR_INIT("QQ=QUJD"), STR_INIT("AABC"),
     DECODE_PADDING_INSIDE | DECODE_PADDING_ODD},
    {"MIME-05 only padding", DECODE_BASE64, STR_INIT("===="), STR_INIT(""), DECODE_PADDING_ODD},
    {"MIME-05 too much padding", DECODE_BASE64, STR_INIT("QUI=="), STR_INIT("AB"),
     DECODE_PADDING_ODD},
    {"MIME-05 no padding", DECODE_BASE64, STR_INIT("aGVsbG8"), STR_INIT("hello"),
     DECODE_PADDING_ODD},
    {"MIME-05 one letter more", DECODE_BASE64, STR_INIT("QUJDQ"), STR_INIT("ABC"),
     DECODE_PADDING_ODD},
    {"MIME-05 one = too few", DECODE_BASE64, STR_INIT("QQ="), STR_INIT("A"), DECODE_PADDING_ODD},
    {"MIME-05 foreign bytes", DECODE_BASE64, STR_INIT("aG*Vs-bG8=\xe3!"), STR_INIT("hello"),
     DECODE_FOREIGN},
    {"MIME-05 bits behind the end", DECODE_BASE64, STR_INIT("QR=="), STR_INIT("A"), DECODE_BITS},
    {"MIME-05 LF alone", DECODE_BASE64, STR_INIT("QUJD\nQUJD\n"), STR_INIT("ABCABC"),
     DECODE_LINE_END},
    {"MIME-05 CR alone", DECODE_BASE64, STR_INIT("QUJD\rQUJD"), STR_INIT("ABCABC"),
     DECODE_LINE_END},
    {"MIME-05 CR at the end", DECODE_BASE64, STR_INIT("QUJD\r"), STR_INIT("ABC"), DECODE_LINE_END},
    {"QP", DECODE_QUOTED, STR_INIT("a=3Db=\r\nc =E3=81=82  \r\nd \t"),
     STR_INIT("a=bc \xe3\x81\x82\r\nd"), 0},
    {"QP blanks before =", DECODE_QUOTED, STR_INIT("a  =\r\n b\r\n"), STR_INIT("a   b\r\n"), 0},
    {"QP lower case", DECODE_QUOTED, STR_INIT("=c3=a9\r\n"), STR_INIT("\xc3\xa9\r\n"), 0},
    {"QP malformed", DECODE_QUOTED, STR_INIT("a=ZZ=4=3D=4=\r\n=\r\n=4"), STR_INIT("a=ZZ=4==4=4"),
     DECODE_ESCAPE},
    {"QP two =", DECODE_QUOTED, STR_INIT("==41==\r\nb"), STR_INIT("=A=b"), DECODE_ESCAPE},
    {"QP soft break at the end", DECODE_QUOTED, STR_INIT("a="), STR_INIT("a"), DECODE_ESCAPE},
    {"QP blanks behind =", DECODE_QUOTED, STR_INIT("a= \t\r\nb"), STR_INIT("ab"), DECODE_BLANKS},
    {"QP = and blanks inside", DECODE_QUOTED, STR_INIT("a= b"), STR_INIT("a= b"), DECODE_ESCAPE},
    {"QP LF alone", DECODE_QUOTED, STR_INIT("a=\nb \nc"), STR_INIT("ab\r\nc"), DECODE_LINE_END},
    {"QP CR alone", DECODE_QUOTED, STR_INIT("a \rb \r\r\n"), STR_INIT("a \rb \r\r\n"),
     DECODE_LINE_END},
    {"QP = CR alone", DECODE_QUOTED, STR_INIT("a=\rb"), STR_INIT("a=\rb"),
     DECODE_ESCAPE | DECODE_LINE_END},
    {"QP 8-bit", DECODE_QUOTED, STR_INIT("\xe3\x81\x82"), STR_INIT("\xe3\x81\x82"), DECODE_FOREIGN},
    {"uuencode", DECODE_UU, STR_INIT("begin 644 a.txt\r\n#86)C\r\n`\r\nend\r\n"), STR_INIT("abc"),
     0},
    {"uuencode of one byte", DECODE_UU, STR_INIT("begin 0644 a b\r\n!80``\r\n \r\nend\r\n"),
     STR_INIT("a"), 0},
    {"MIME-05 uuencode, blanks lost", DECODE_UU, STR_INIT("begin 644 a\r\n#80\r\n`\r\nend\r\n"),
     STR_INIT("a\0\0"), DECODE_UU_SHORT},
    {"MIME-05 uuencode without end", DECODE_UU, STR_INIT("begin 644 a\r\n#86)C\r\n"),
     STR_INIT("abc"), DECODE_UU_NO_END},
    {"MIME-05 uuencode without begin", DECODE_UU, STR_INIT("#86)C\r\nend\r\n"), STR_INIT(""),
     DECODE_UU_NO_BEGIN | DECODE_UU_TEXT},
    {"MIME-05 uuencode in text", DECODE_UU,
     STR_INIT("Hi\r\nbegin 644 a\r\n#86)C\r\nend\r\nbegin 644 b\r\n#86)C\r\nend\r\nBye\r\n"),
     STR_INIT("abcabc"), DECODE_UU_TEXT | DECODE_UU_MORE},
    {"uuencode, LF", DECODE_UU, STR_INIT("begin 644 a\n#86)C\n`\nend\n"), STR_INIT("abc"),
     DECODE_LINE_END},
};

static void test_streams(void)
{
    for (size_t i = 0; i < countof(streams); i++)
        for (size_t split = 0; split <= streams[i].in.len; split++) {
            struct decode d;
            struct buffer out;
            struct str piece;
            buffer_init(&out, 4096);
            decode_init(&d, streams[i].kind);
            for (size_t at = 0; harness_piece(streams[i].in, split, &at, &piece);)
                decode_feed(&d, piece, &out);
            decode_finish(&d, &out);
            expect_str(buffer_str(&out), streams[i].want, streams[i].name);
            expect(d.doubt == streams[i].doubt, "%s: split %zu: doubt %#x", streams[i].name, split,
                   d.doubt);
            buffer_drop(&out);
        }
}

static void test_uu_name(void)
{
    struct decode d;
    struct buffer out;
    buffer_init(&out, 4096);
    decode_init(&d, DECODE_UU);
    decode_feed(&d, STR("begin 644 my file.txt \r\n"), &out);
    expect_str(decode_name(&d), STR("my file.txt"), "name");
    buffer_drop(&out);
}

/* A line of blanks without end is not held in memory. */
static void test_bounds(void)
{
    struct decode d;
    struct buffer in, out;
    buffer_init(&in, 1 << 20);
    buffer_init(&out, 1 << 20);
    buffer_fill(&in, ' ', 100000);
    buffer_puts(&in, "a\r\n");
    decode_init(&d, DECODE_QUOTED);
    decode_feed(&d, buffer_str(&in), &out);
    decode_finish(&d, &out);
    expect_str(buffer_str(&out), buffer_str(&in), "blanks are kept");
    CU_ASSERT(d.doubt == DECODE_LONG_LINE);
    buffer_drop(&out);
    buffer_init(&out, 100); /* what does not fit is said */
    decode_base64(buffer_str(&in), &out);
    CU_ASSERT(out.full);
    buffer_drop(&in);
    buffer_drop(&out);
}

int main(void)
{
    const struct test tests[] = {{"rows", test_rows},
                                 {"MIME-04, MIME-05 streams", test_streams},
                                 {"name of uuencode", test_uu_name},
                                 {"bounds", test_bounds},
                                 {NULL, NULL}};
    return harness_run("decode", tests);
}
