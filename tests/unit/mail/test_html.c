#include "tests/unit/harness.h"

#include "core/mail/html.h"

static const struct {
    const char *name;
    struct str in;
    const char *shown, *aside;
    unsigned doubt;
} rows[] = {
    {"text", STR_INIT("見積 a"), "見積 a", "", 0},
    {"a word split by tags", STR_INIT("社<b>外</b><wbr>秘"), "社外秘", "", 0},
    {"blocks", STR_INIT("<p>a</p><div>b<br/>c"), "\na\n\nb\nc", "", 0},
    {"MIME-19 references", STR_INIT("&#31038;&#x5916;&#X79d8;&amp;&lt;&nbsp;x"), "社外秘&<\u00a0x",
     "", 0},
    {"references of two, of old, of none", STR_INIT("&NotEqualTilde; &copy2 &notit; &x; &#; & &"),
     "\u2242\u0338 ©2 ¬it; &x; &#; & &", "", 0},
    {"numbers that are none", STR_INIT("&#0;&#xD800;&#99999999999;&#128;"), "\ufffd\ufffd\ufffd€",
     "", 0},
    {"not a tag", STR_INIT("a < b <3 <<i>c"), "a < b <3 <c", "", 0},
    {"attributes", STR_INIT("<a href='http://x/?a=1&copy=2&amp;b' class=k TITLE=\"t &#x3042;\">x"),
     "x", "http://x/?a=1&copy=2&b\nt あ\n", 0},
    {"attributes without quotes", STR_INIT("<img alt=abc src=/i.png/>y<input disabled value=z>"),
     "y", "abc\n/i.png/\nz\n", 0},
    {"an end of a tag inside quotes", STR_INIT("<a title='>'>x"), "x", ">\n", 0},
    {"comments", STR_INIT("a<!-- 社 > - -- -->b<!-->c<!--->d<!---->e"), "abcde",
     " 社 > - -- -->\n>\n->\n-->\n", 0},
    {"declarations", STR_INIT("<!DOCTYPE html>a<?xml v?>b<![if !mso]>c</ x>d</>e"), "abcde",
     "DOCTYPE html\nxml v?\n[if !mso]\n x\n", 0},
    {"CDATA", STR_INIT("<![CDATA[x]]>y"), "y", "[CDATA[x]]\n", 0},
    {"scripts and styles",
     STR_INIT("a<script>if (a<b) '</p>'</scripty></SCRIPT >b<style>p{}</style>c"), "abc",
     "if (a<b) '</p>'</scripty></SCRIPT \np{}</style>\n", 0},
    {"MIME-19 zero font", STR_INIT("社<span style='FONT-SIZE : 0px'>x<span>y</span>z</span>外秘"),
     "社外秘", "font-size:0px\nxyz\n", HTML_HIDDEN},
    {"MIME-19 display, hidden", STR_INIT("a<i style=display:none>b</i>c<p hidden>d</p>e"), "ac\ne",
     "display:none\nb\nd\n\n", HTML_HIDDEN},
    {"small is not hidden", STR_INIT("<i style='font-size:0.9em'>b</i>"), "b", "font-size:0.9em\n",
     0},
    {"void elements hide nothing", STR_INIT("<img hidden>a"), "a", "", 0},
    {"hidden to the end", STR_INIT("<b hidden>a"), "", "a", HTML_HIDDEN | HTML_OPEN_END},
    {"open quote", STR_INIT("<a title=\"社外秘</a>"), "", "社外秘</a>\n", HTML_OPEN_END},
    {"open comment", STR_INIT("a<!--社外秘"), "a", "社外秘", HTML_OPEN_END},
    {"open reference", STR_INIT("a&amp"), "a&", "", 0},
    {"ends in a bracket", STR_INIT("a<"), "a<", "", HTML_OPEN_END},
    {"NUL", STR_INIT("a\0b"), "ab", "", HTML_CONTROL},
    {"MIME-16 data", STR_INIT("<img src=\"data:image/png;base64,QUJD\">x"), "x",
     "image/png;base64\n\n", 0},
    {"MIME-16 data as text", STR_INIT("<a href='data:text/plain,%41b'>x"), "x",
     "text/plain\n%41b\n", 0},
};

static void test_rows(void)
{
    for (size_t i = 0; i < countof(rows); i++)
        for (size_t split = 0; split <= rows[i].in.len; split++) {
            struct html h;
            struct buffer shown, aside;
            struct str piece;
            buffer_init(&shown, 8192);
            buffer_init(&aside, 8192);
            html_init(&h, NULL);
            for (size_t at = 0; harness_piece(rows[i].in, split, &at, &piece);)
                html_feed(&h, piece, &shown, &aside);
            html_finish(&h, &shown, &aside);
            expect_str(buffer_str(&shown), str_c(rows[i].shown), rows[i].name);
            expect_str(buffer_str(&aside), str_c(rows[i].aside), rows[i].name);
            expect(h.doubt == rows[i].doubt, "%s: split %zu: doubt %#x", rows[i].name, split,
                   h.doubt);
            buffer_drop(&shown);
            buffer_drop(&aside);
        }
}

struct log {
    struct html_sink sink;
    struct buffer text;
};

static void on_link(struct html_sink *s, struct str url)
{
    struct log *l = owner_of(s, struct log, sink);
    buffer_printf(&l->text, "link %.*s;", STR_ARG(url));
}

static void on_data(struct html_sink *s, struct str head)
{
    struct log *l = owner_of(s, struct log, sink);
    buffer_printf(&l->text, "data %.*s:", STR_ARG(head));
}

static void on_bytes(struct html_sink *s, struct str bytes)
{
    struct log *l = owner_of(s, struct log, sink);
    buffer_put(&l->text, bytes);
}

static void on_end(struct html_sink *s)
{
    struct log *l = owner_of(s, struct log, sink);
    buffer_puts(&l->text, ";");
}

/* MIME-16: data URIs and links, at any cut. */
static void test_sink(void)
{
    struct str in =
        STR("<a href=' https://share.example/f '><img SRC=' DATA:image/png;base64,QU\nJD'>"
            "<img src=data:,a%20b><a href=data:x>");
    for (size_t split = 0; split <= in.len; split++) {
        struct log l = {.sink = {on_link, on_data, on_bytes, on_end}};
        struct html h;
        struct buffer shown, aside;
        struct str piece;
        buffer_init(&l.text, 4096);
        buffer_init(&shown, 4096);
        buffer_init(&aside, 4096);
        html_init(&h, &l.sink);
        for (size_t at = 0; harness_piece(in, split, &at, &piece);)
            html_feed(&h, piece, &shown, &aside);
        html_finish(&h, &shown, &aside);
        expect_str(buffer_str(&l.text),
                   STR("link https://share.example/f;data image/png;base64:QU\nJD;data :a%20b;"
                       "link data:x;"),
                   "sink");
        CU_ASSERT(h.data_uris == 2);
        buffer_drop(&l.text);
        buffer_drop(&shown);
        buffer_drop(&aside);
    }
}

/* BOMB-09: nothing grows with nesting, or with what is left open. */
static void test_bomb(void)
{
    static const struct str parts[] = {
        STR_INIT("<div hidden>"), STR_INIT("<"),      STR_INIT("&"),  STR_INIT("<!--"),
        STR_INIT("<script>"),     STR_INIT("<a b='"), STR_INIT("&#"), STR_INIT("<a href=data:")};
    for (size_t i = 0; i < countof(parts); i++) {
        struct html h;
        struct buffer in, shown, aside;
        buffer_init(&in, 32 << 20);
        buffer_init(&shown, 32 << 20);
        buffer_init(&aside, 32 << 20);
        for (int n = 0; n < 300000; n++)
            buffer_put(&in, parts[i]);
        html_init(&h, NULL);
        html_feed(&h, buffer_str(&in), &shown, &aside);
        html_finish(&h, &shown, &aside);
        CU_ASSERT(!shown.full && !aside.full);
        buffer_drop(&in);
        buffer_drop(&shown);
        buffer_drop(&aside);
    }
}

int main(void)
{
    const struct test tests[] = {{"MIME-16, MIME-19 rows", test_rows},
                                 {"MIME-16 sink", test_sink},
                                 {"BOMB-09", test_bomb},
                                 {NULL, NULL}};
    return harness_run("html", tests);
}
