#include "tests/unit/harness.h"

#include "core/base/limit.h"
#include "core/mail/content.h"

/* What is in `want`: t type, n name, b boundary, c charset, e encodings, d dispositions, k kinds,
 * ? doubts; "|" between the readings of a list. */
static const struct {
    const char *name;
    struct str in;
    const char *want;
} rows[] = {
    {"nothing", STR_INIT(""), "e=7 k=text"},
    {"a usual text", STR_INIT("Content-Type: text/plain; charset=UTF-8\r\n"),
     "t=text/plain c=UTF-8 e=7 k=text"},
    {"upper case, tabs, quotes", STR_INIT("CONTENT-TYPE:\tTEXT/HTML;CHARSET=\"iso-2022-jp\"\r\n"),
     "t=text/html c=iso-2022-jp e=7 k=text,html"},
    {"folded",
     STR_INIT("Content-Type: multipart/mixed;\r\n\tboundary=\"=_a b\"\r\n"
              "Content-Transfer-Encoding:\r\n 8bit\r\n"),
     "t=multipart/mixed b==_a b e=7 k=multipart"},
    {"lines with LF", STR_INIT("Content-Type: text/html;\n charset=utf-8\nContent-ID: <a@b>\n"),
     "t=text/html c=utf-8 i=a@b e=7 k=text,html"},
    {"an attachment",
     STR_INIT("Content-Type: application/pdf; name=\"a.pdf\"\r\n"
              "Content-Disposition: attachment; filename=\"a.pdf\"; size=12\r\n"
              "Content-Transfer-Encoding: base64\r\n"),
     "t=application/pdf n=a.pdf e=64 d=att k="},

    /* two of a field */
    {"MIME-01: two Content-Type",
     STR_INIT("Content-Type: text/plain\r\nX: y\r\nContent-Type: "
              "multipart/mixed; boundary=x\r\n"),
     "t=text/plain|multipart/mixed b=x e=7 k=text,multipart ?two-types"},
    {"MIME-01: in reverse",
     STR_INIT("Content-Type: multipart/mixed; boundary=x\r\nContent-Type: "
              "text/plain\r\n"),
     "t=multipart/mixed|text/plain b=x e=7 k=text,multipart ?two-types"},
    {"MIME-02: two boundaries in one field",
     STR_INIT("Content-Type: multipart/mixed; boundary=a; boundary=b\r\n"),
     "t=multipart/mixed b=a|b e=7 k=multipart ?two-boundaries"},
    {"MIME-02: plain and extended",
     STR_INIT("Content-Type: multipart/mixed; boundary=a; boundary*=us-ascii''b\r\n"),
     "t=multipart/mixed b=b|a e=7 k=multipart ?two-boundaries"},
    {"MIME-03: two encodings",
     STR_INIT("Content-Transfer-Encoding: 7bit\r\n"
              "Content-Transfer-Encoding: base64\r\n"),
     "e=7,64 k=text ?two-encodings"},
    {"MIME-03: two dispositions",
     STR_INIT("Content-Disposition: inline; filename=a\r\n"
              "Content-Disposition: attachment; filename=b\r\n"),
     "n=a|b e=7 d=att,inl k=text ?two-dispositions,two-names"},
    {"MIME-03: two file names",
     STR_INIT("Content-Disposition: attachment; filename=a.txt;"
              " filename=b.exe\r\n"),
     "n=a.txt|b.exe e=7 d=att k=text ?two-names"},

    /* encodings */
    {"MIME-05: misspelt", STR_INIT("Content-Transfer-Encoding: base-64\r\n"),
     "e=7,64 k=text ?encoding"},
    {"MIME-05: semicolon", STR_INIT("Content-Transfer-Encoding: base64;\r\n"),
     "e=7,64 k=text ?encoding"},
    {"MIME-05: comment", STR_INIT("Content-Transfer-Encoding: (x) base64 (y)\r\n"),
     "e=7,64 k=text ?comment,encoding"},
    {"MIME-05: quoted", STR_INIT("Content-Transfer-Encoding: \"quoted-printable\"\r\n"),
     "e=7,qp k=text ?encoding"},
    {"MIME-05: blank", STR_INIT("Content-Transfer-Encoding: quoted printable\r\n"),
     "e=7,qp k=text ?encoding"},
    {"MIME-05: uuencode", STR_INIT("Content-Transfer-Encoding: X-UUENCODE\r\n"), "e=uu k=text"},
    {"MIME-05: unknown", STR_INIT("Content-Transfer-Encoding: x-rot13\r\n"),
     "e=7,? k=text ?encoding"},
    {"MIME-05: empty", STR_INIT("Content-Transfer-Encoding:\r\n"), "e=7 k=text ?encoding"},
    {"MIME-05: 7-bit", STR_INIT("Content-Transfer-Encoding: 7-bit\r\n"), "e=7 k=text ?encoding"},
    {"MIME-05: two words", STR_INIT("Content-Transfer-Encoding: 7bit, base64\r\n"),
     "e=7,64 k=text ?encoding"},

    /* names */
    {"MIME-11: name only", STR_INIT("Content-Type: application/zip; name=a.zip\r\n"),
     "t=application/zip n=a.zip e=7 k="},
    {"MIME-11: inline", STR_INIT("Content-Disposition: inline; filename=a.png\r\n"),
     "n=a.png e=7 d=inl k=text"},
    {"MIME-11: extended",
     STR_INIT("Content-Disposition: attachment;\r\n"
              " filename*=utf-8'ja'%E8%A6%8B%E7%A9%8D.pdf\r\n"),
     "n=見積.pdf e=7 d=att k=text"},
    {"MIME-11: pieces",
     STR_INIT("Content-Disposition: attachment; filename*0=\"ab\";\r\n"
              " filename*1=\"c.p\"; filename*2=df\r\n"),
     "n=abc.pdf e=7 d=att k=text"},
    {"MIME-11: extended pieces, a letter split between them",
     STR_INIT("Content-Disposition: attachment; filename*0*=utf-8''%E8%A6;\r\n"
              " filename*1*=%8B; filename*2=\".pdf\"\r\n"),
     "n=見.pdf e=7 d=att k=text"},
    {"MIME-11: ISO-2022-JP",
     STR_INIT("Content-Disposition: attachment; "
              "filename*=iso-2022-jp''%1B$B8%2B@Q%1B%28B.xls\r\n"),
     "n=見積.xls e=7 d=att k=text"},
    {"MIME-11: both and different",
     STR_INIT("Content-Disposition: attachment; filename=a.txt;"
              " filename*=utf-8''b.exe\r\n"),
     "n=b.exe|a.txt e=7 d=att k=text ?two-names"},
    {"MIME-11: name and filename differ",
     STR_INIT("Content-Type: x/y; name=a.txt\r\nContent-Disposition: attachment;"
              " filename=b.exe\r\n"),
     "t=x/y n=a.txt|b.exe e=7 d=att k= ?two-names"},
    {"MIME-11: out of order",
     STR_INIT("Content-Disposition: attachment; filename*1=b.exe;"
              " filename*0=a\r\n"),
     "n=ab.exe|b.exea e=7 d=att k=text ?two-names,pieces"},
    {"MIME-11: gap",
     STR_INIT("Content-Disposition: attachment; filename*0=a.txt;"
              " filename*2=.exe\r\n"),
     "n=a.txt|a.txt.exe e=7 d=att k=text ?two-names,pieces"},
    {"MIME-11: no first", STR_INIT("Content-Disposition: attachment; filename*1=a.exe\r\n"),
     "n=a.exe e=7 d=att k=text ?pieces"},
    {"MIME-11: duplicate",
     STR_INIT("Content-Disposition: attachment; filename*0=a;"
              " filename*0=b; filename*1=.exe\r\n"),
     "n=a.exe|b.exe|ab.exe e=7 d=att k=text ?two-names,pieces"},
    {"MIME-11: leading zeros",
     STR_INIT("Content-Disposition: attachment; filename*00=a;"
              " filename*01=.exe\r\n"),
     "n=a.exe e=7 d=att k=text ?pieces"},
    {"MIME-11: pieces and plain",
     STR_INIT("Content-Disposition: attachment; filename=old.txt;"
              " filename*0*=utf-8''n%2E; filename*1=exe\r\n"),
     "n=n.exe|old.txt e=7 d=att k=text ?two-names"},
    {"MIME-12: word in a parameter",
     STR_INIT("Content-Type: x/y; name=\"=?UTF-8?B?6KaL56mN?=\r\n =?UTF-8?B?LnBkZg==?=\"\r\n"),
     "t=x/y n=見積.pdf e=7 k="},
    {"MIME-12: word without quotes",
     STR_INIT("Content-Type: x/y; name==?ISO-2022-JP?B?GyRCOCtAUT1xGyhC?=\r\n"),
     "t=x/y n=見積書 e=7 k="},
    {"MIME-12: raw ISO-2022-JP with a quote and a backslash in it",
     STR_INIT("Content-Type: x/y; name=\"\x1b$B8+@Q\x25\x22\x25\x5c\x1b(B.xls\"; x=y\r\n"),
     "t=x/y n=見積アボ.xls|見積\uFFFD|見積 e=7 k= ?two-names,raw,unsafe"},
    {"MIME-12: raw CP932 with a backslash as second byte",
     STR_INIT("Content-Type: x/y; name=\"\x95\x5c\x8e\xa6.xls\"\r\n"), NULL},
    {"MIME-12: raw UTF-8", STR_INIT("Content-Type: x/y; name=見積.xls\r\n"),
     "t=x/y n=見積.xls e=7 k= ?raw"},
    {"MIME-12: RLO",
     STR_INIT("Content-Disposition: attachment;"
              " filename*=utf-8''a%E2%80%AEfdp.exe\r\n"),
     "n=a\uFFFDfdp.exe|afdp.exe e=7 d=att k=text ?two-names,unsafe"},
    {"MIME-12: NUL", STR_INIT("Content-Disposition: attachment; filename*=utf-8''a.txt%00.exe\r\n"),
     "n=a.txt\uFFFD.exe|a.txt.exe|a.txt e=7 d=att k=text ?two-names,unsafe"},
    {"MIME-12: overlong UTF-8",
     STR_INIT("Content-Disposition: attachment; filename*=utf-8''..%C0%AFx\r\n"), NULL},
    {"MIME-12: a path", STR_INIT("Content-Disposition: attachment; filename=../../x\r\n"),
     "n=../../x e=7 d=att k=text ?unsafe"},
    {"MIME-12: a path of Windows",
     STR_INIT("Content-Disposition: attachment; filename=\"C:\\tmp\\a.txt\"\r\n"),
     "n=C:tmpa.txt|C:\\tmp\\a.txt e=7 d=att k=text ?two-names,unsafe"},
    {"MIME-12: dots at the end",
     STR_INIT("Content-Disposition: attachment; filename=\"a.exe. . "
              "\"\r\n"),
     "n=a.exe. . e=7 d=att k=text ?unsafe"},

    /* what is malformed */
    {"blanks in a name", STR_INIT("Content-Disposition: attachment; filename=my big file.doc\r\n"),
     "n=my big file.doc|my e=7 d=att k=text ?two-names,syntax"},
    {"open quote", STR_INIT("Content-Disposition: attachment; filename=\"a.exe; x=y\r\n"),
     "n=a.exe; x=y|a.exe e=7 d=att k=text ?two-names,syntax"},
    {"text behind the quote", STR_INIT("Content-Disposition: attachment; filename=\"a\".exe\r\n"),
     "n=a|a.exe e=7 d=att k=text ?two-names,syntax"},
    {"no semicolon", STR_INIT("Content-Type: x/y; charset=utf-8 name=\"a.exe\"\r\n"),
     "t=x/y n=a.exe c=utf-8|utf-8 name=\"a.exe\" e=7 k= ?two-charsets,syntax"},
    {"no semicolon behind the type", STR_INIT("Content-Type: multipart/mixed boundary=x\r\n"),
     "t=multipart/mixed b=x e=7 k=multipart ?syntax"},
    {"no semicolon behind quotes", STR_INIT("Content-Type: x/y; a=\"b\" name=\"a.exe\"\r\n"),
     "t=x/y n=a.exe e=7 k= ?syntax"},
    {"a comment in the name", STR_INIT("Content-Type: x/y; name=a.txt (b)\r\n"),
     "t=x/y n=a.txt|a.txt (b) e=7 k= ?two-names,comment"},
    {"parentheses in the name", STR_INIT("Content-Type: x/y; name=a(1)\r\n"),
     "t=x/y n=a(1)|a e=7 k= ?two-names,comment"},
    {"comments everywhere",
     STR_INIT("Content-Type: (a) text (b) / (c) html (d); (e) charset (f) = utf-8\r\n"),
     "t=text/html c=utf-8 e=7 k=text,html ?comment"},
    {"type without subtype", STR_INIT("Content-Type: text\r\n"), "t=text e=7 k=text ?syntax"},
    {"empty type", STR_INIT("Content-Type: ; name=x\r\n"), "t= n=x e=7 k=text ?syntax"},
    {"disposition without a word", STR_INIT("Content-Disposition: filename=a.exe\r\n"),
     "n=a.exe e=7 d=att k=text ?syntax"},
    {"unknown disposition", STR_INIT("Content-Disposition: x-foo; filename=a\r\n"),
     "n=a e=7 d=att k=text"},
    {"blank before the colon", STR_INIT("Content-Type : text/html\r\n"),
     "t=text/html e=7 k=text,html ?colon"},
    {"a line that is no field", STR_INIT("foo\r\nContent-Type: text/html\r\n"),
     "t=text/html e=7 k=text,html ?colon"},
    {"CR alone", STR_INIT("Content-Type: text/html;\r name=a.exe\r\n"),
     "t=text/html n=a.exe e=7 k=text,html ?syntax"},
    {"empty boundary", STR_INIT("Content-Type: multipart/mixed; boundary=\"\"\r\n"),
     "t=multipart/mixed b= e=7 k=multipart ?empty-boundary"},

    /* what it is */
    {"MIME-08: TNEF", STR_INIT("Content-Type: application/ms-tnef; name=winmail.dat\r\n"),
     "t=application/ms-tnef n=winmail.dat e=7 k=tnef"},
    {"MIME-09: partial", STR_INIT("Content-Type: message/partial; id=a; number=1; total=3\r\n"),
     "t=message/partial e=7 k=partial"},
    {"MIME-10: external body",
     STR_INIT("Content-Type: message/external-body; access-type=URL;\r\n"
              " URL=\"http://x.example/\"\r\n"),
     "t=message/external-body e=7 k=external"},
    {"MIME-13: enveloped",
     STR_INIT("Content-Type: application/pkcs7-mime;"
              " smime-type=enveloped-data; name=smime.p7m\r\n"),
     "t=application/pkcs7-mime n=smime.p7m e=7 k=encrypted"},
    {"MIME-13: opaque-signed",
     STR_INIT("Content-Type: application/x-pkcs7-mime;"
              " smime-type=Signed-Data; name=smime.p7m\r\n"),
     "t=application/x-pkcs7-mime n=smime.p7m e=7 k=opaque"},
    {"MIME-13: signed", STR_INIT("Content-Type: multipart/signed; boundary=x; protocol=\"y\"\r\n"),
     "t=multipart/signed b=x e=7 k=multipart,signed"},
    {"MIME-13: PGP", STR_INIT("Content-Type: multipart/encrypted; boundary=x\r\n"),
     "t=multipart/encrypted b=x e=7 k=multipart,encrypted"},
    {"MIME-15: calendar", STR_INIT("Content-Type: text/calendar; method=REQUEST\r\n"),
     "t=text/calendar e=7 k=text,calendar"},
    {"MIME-15: report", STR_INIT("Content-Type: multipart/report; boundary=x\r\n"),
     "t=multipart/report b=x e=7 k=multipart,report"},
    {"MIME-15: message", STR_INIT("Content-Type: message/rfc822\r\n"),
     "t=message/rfc822 e=7 k=message"},
};

static void put_list(struct buffer *out, char letter, const struct content_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        if (i)
            buffer_putc(out, '|');
        else
            buffer_printf(out, "%c=", letter);
        buffer_put(out, list->at[i]);
    }
    if (list->count)
        buffer_putc(out, ' ');
}

static void put_bits(struct buffer *out, unsigned bits, const char *const *names, size_t count)
{
    for (size_t i = 0, said = 0; i < count; i++)
        if (bits >> i & 1)
            buffer_printf(out, "%s%s", said++ ? "," : "", names[i]);
}

static void put_content(struct buffer *out, const struct content *c)
{
    static const char *const encodings[] = {"7", "64", "qp", "uu", "yenc", "binhex", "?"};
    static const char *const dispositions[] = {"att", "inl"};
    static const char *const kinds[] = {"text",      "html",        "multipart", "digest",
                                        "related",   "alternative", "message",   "partial",
                                        "external",  "report",      "calendar",  "signed",
                                        "signature", "opaque",      "encrypted", "tnef",
                                        "image",     "uu",          "binhex"};
    static const char *const doubts[] = {"two-types", "two-encodings",  "two-dispositions",
                                         "two-names", "two-boundaries", "two-charsets",
                                         "syntax",    "comment",        "pieces",
                                         "encoding",  "bad-text",       "raw",
                                         "colon",     "unsafe",         "empty-boundary",
                                         "limit"};
    put_list(out, 't', &c->types);
    put_list(out, 'n', &c->names);
    put_list(out, 'b', &c->boundaries);
    put_list(out, 'c', &c->charsets);
    if (c->id.len)
        buffer_printf(out, "i=%.*s ", STR_ARG(c->id));
    buffer_puts(out, "e=");
    put_bits(out, c->encodings, encodings, countof(encodings));
    if (c->dispositions)
        buffer_puts(out, " d=");
    put_bits(out, c->dispositions, dispositions, countof(dispositions));
    buffer_puts(out, " k=");
    put_bits(out, c->kinds, kinds, countof(kinds));
    if (c->doubt)
        buffer_puts(out, " ?");
    put_bits(out, c->doubt, doubts, countof(doubts));
}

static void test_rows(void)
{
    for (size_t i = 0; i < countof(rows); i++) {
        struct arena arena;
        struct buffer out;
        struct content c;
        arena_init(&arena, 1 << 20);
        buffer_init(&out, 1 << 16);
        content_read(rows[i].in, &arena, &c);
        put_content(&out, &c);
        if (rows[i].want)
            expect_str(buffer_str(&out), str_c(rows[i].want), rows[i].name);
        buffer_drop(&out);
        arena_drop(&arena);
    }
}

static bool has_name(const struct content *c, const char *name)
{
    for (uint32_t i = 0; i < c->names.count; i++)
        if (str_eq(c->names.at[i], str_c(name)))
            return true;
    return false;
}

/* Rows above whose readings are many: the right one is among them. */
static void test_among(void)
{
    static const struct {
        struct str in;
        const char *want;
    } names[] = {
        {STR_INIT("Content-Type: x/y; name=\"\x95\x5c\x8e\xa6.xls\"\r\n"), "表示.xls"},
        {STR_INIT("Content-Disposition: attachment; filename=\"a\\\"b.txt\"\r\n"), "a\"b.txt"},
        {STR_INIT("Content-Disposition: attachment; filename=\"a\\\\b.txt\"\r\n"), "a\\b.txt"},
        {STR_INIT("Content-Disposition: attachment; filename=\"a\\\".exe\r\n"), "a\\"},
        {STR_INIT("Content-Disposition: attachment; filename*=b.exe\r\n"), "b.exe"},
        {STR_INIT("Content-Disposition: attachment; filename*=\"utf-8''b%2Eexe\"\r\n"), "b.exe"},
        {STR_INIT("Content-Disposition: attachment;filename='a.exe'\r\n"), "'a.exe'"},
        {STR_INIT("Content-Disposition: attachment; filename*0=\"=?utf-8?q?a\";"
                  "filename*1=\"=2Eexe?=\"\r\n"),
         "a.exe"},
    };

    for (size_t i = 0; i < countof(names); i++) {
        struct arena arena;
        struct content c;
        arena_init(&arena, 1 << 20);
        content_read(names[i].in, &arena, &c);
        expect(has_name(&c, names[i].want), "MIME-12: %s", names[i].want);
        arena_drop(&arena);
    }
}

static void test_parameters(void)
{
    struct arena arena;
    struct content c;
    arena_init(&arena, 1 << 20);
    content_read(STR("Content-Type: message/external-body; Access-Type=URL;\r\n"
                     " url*0=\"http://x.example\"; url*1=\"/a\"; size=7\r\n"),
                 &arena, &c);
    expect_str(content_parameter(&c, STR("access-TYPE")), STR("URL"), "any case");
    expect_str(content_parameter(&c, STR("url")), STR("http://x.example/a"), "MIME-10");
    expect_str(content_parameter(&c, STR("none")), STR(""), "not there");
    expect(content_has_type(&c, STR("message/external-body")), "type");
    struct buffer out;
    buffer_init(&out, 256);
    content_say_doubt(CONTENT_TWO_TYPES | CONTENT_LIMIT, &out);
    expect_str(buffer_str(&out), STR("two Content-Type fields, header over a limit"), "words");
    buffer_drop(&out);
    arena_drop(&arena);
}

/* BOMB-09: 100,000 of anything take no time, and what was left out is said. */
static void test_bombs(void)
{
    static const struct {
        const char *name, *piece;
        bool limit;
    } bombs[] = {
        {"continuations", "filename*%d=a; ", true},
        {"the same again", "filename*0=a; ", true},
        {"names", "n%d=\"a", true},
        {"comments", "(((((((", false},
        {"quotes", "\"", false},
        {"semicolons", ";;;;", false},
        {"escapes", "a=\"\x1b$\"; ", true},
        {"words", "=?utf-8?q?", true},
    };

    for (size_t i = 0; i < countof(bombs); i++) {
        struct arena arena;
        struct buffer in;
        struct content c;
        arena_init(&arena, 16 << 20);
        buffer_init(&in, 4 << 20);
        buffer_puts(&in, "Content-Disposition: attachment; filename=");
        for (int n = 0; n < 100000; n++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            buffer_printf(&in, bombs[i].piece, n);
#pragma GCC diagnostic pop
        }
        buffer_puts(&in, "\r\n");
        content_read(buffer_str(&in), &arena, &c);
        if (bombs[i].limit)
            expect(c.doubt & CONTENT_LIMIT, "BOMB-09: %s", bombs[i].name);
        buffer_drop(&in);
        arena_drop(&arena);
    }
}

/* MIME-12: 4 kB, and one byte more; and an arena that is full. */
static void test_limits(void)
{
    for (int more = 0; more < 2; more++) {
        struct arena arena;
        struct buffer in;
        struct content c;
        arena_init(&arena, 1 << 20);
        buffer_init(&in, 1 << 16);
        buffer_puts(&in, "Content-Disposition: attachment; filename=\"");
        buffer_fill(&in, 'a', LIMIT_PARAMETER_BYTES + (size_t)more);
        buffer_puts(&in, "\"\r\n");
        content_read(buffer_str(&in), &arena, &c);
        expect(((c.doubt & CONTENT_LIMIT) != 0) == more, "over by %d: %x", more, c.doubt);
        expect(content_name(&c).len == LIMIT_PARAMETER_BYTES, "%zu", content_name(&c).len);
        buffer_drop(&in);
        arena_drop(&arena);
    }
    struct arena small;
    struct content c;
    arena_init(&small, 64);
    content_read(STR("Content-Type: multipart/mixed; boundary=\"abc\"; charset=x; name=y\r\n"),
                 &small, &c);
    expect(c.doubt & CONTENT_LIMIT, "no memory is said");
    arena_drop(&small);
}

int main(void)
{
    const struct test tests[] = {
        {"MIME-01 .. 15", test_rows}, {"MIME-12", test_among}, {"parameters", test_parameters},
        {"BOMB-09", test_bombs},      {"limits", test_limits}, {NULL, NULL},
    };
    return harness_run("content", tests);
}
