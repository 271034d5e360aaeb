#include "tests/unit/harness.h"

#include "core/base/limit.h"
#include "core/mail/mailbox.h"

#include <time.h>

enum {
    ARENA_BYTES = 64 << 20,
    OUT_BYTES = 8 << 20,
};

/* "name<address>" or "name!" of each, "?" before guesses, "group{" before and "}" after members. */
static void describe(const struct mailbox_list *l, struct buffer *out)
{
    uint32_t at = 0;
    for (uint32_t group = 0; group <= l->group_count; group++) {
        for (; at < l->count && (l->at[at].group == 0 || l->at[at].group == group); at++) {
            const struct mailbox *m = &l->at[at];
            buffer_puts(out, m->guess ? " ?" : " ");
            buffer_put(out, m->name);
            if (m->status == ADDRESS_OK)
                buffer_printf(out, "<%.*s>", STR_ARG(m->address.whole));
            else
                buffer_putc(out, '!');
            if (m->group && (at + 1 == l->count || l->at[at + 1].group != group))
                buffer_puts(out, " }");
        }
        if (group < l->group_count) {
            bool any = at < l->count && l->at[at].group == group + 1;
            buffer_printf(out, " %.*s{%s", STR_ARG(l->groups[group].name), any ? "" : "}");
        }
    }
}

static const struct {
    const char *name;
    struct str in;
    const char *want;
    unsigned doubts;
} rows[] = {
    /* RFC 5322 3.4, and its examples */
    {"bare", STR_INIT("a@ext.example"), " <a@ext.example>", 0},
    {"angle", STR_INIT("<a@ext.example>"), " <a@ext.example>", 0},
    {"name", STR_INIT("Bob Brown <bob@ext.example>"), " Bob Brown<bob@ext.example>", 0},
    {"no blank", STR_INIT("Bob<bob@ext.example>"), " Bob<bob@ext.example>", 0},
    {"quoted name", STR_INIT("\"Brown, \\\"Bob\\\" B.\" <bob@ext.example>"),
     " Brown, \"Bob\" B.<bob@ext.example>", 0},
    {"two", STR_INIT("a@x.example, B <b@y.example>"), " <a@x.example> B<b@y.example>", 0},
    {"folded", STR_INIT("a@x.example,\r\n\tB\r\n <b@y.example>"), " <a@x.example> B<b@y.example>",
     0},
    {"domain in other case", STR_INIT("A@X.Example"), " <A@x.example>", 0},
    {"literal", STR_INIT("a@[192.0.2.1], b@[IPv6:2001:DB8::1]"),
     " <a@[192.0.2.1]> <b@[IPv6:2001:db8::1]>", 0},
    {"quoted local part", STR_INIT("\"joe\"@x.example, \"a\\\"b\"@x.example"),
     " <joe@x.example> <\"a\\\"b\"@x.example>", 0},
    {"comment as name", STR_INIT("a@x.example (Ann \\(A\\) B)"), " Ann (A) B<a@x.example>", 0},
    {"comment beside a name", STR_INIT("A (not B) <a@x.example> (c)"), " A<a@x.example>", 0},
    {"comments nest", STR_INIT("(a (b (c)) d) a@x.example"), " a (b (c)) d<a@x.example>", 0},
    {"RFC 5322 A.5", STR_INIT("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>"),
     " Pete<pete@silly.test>", MAILBOX_OBSOLETE},
    {"ADDR-15 group", STR_INIT("friends: a@int.example, b@ext.example;"),
     " friends{ <a@int.example> <b@ext.example> }", 0},
    {"ADDR-15 empty group", STR_INIT("undisclosed-recipients:;"), " undisclosed-recipients{}", 0},
    {"ADDR-15 ADDR-21 nothing", STR_INIT(""), "", 0},
    {"ADDR-21 blanks only", STR_INIT(" \r\n "), "", 0},
    {"ADDR-15 group between", STR_INIT("a@x.example, \"G, 1\": B <b@x.example>,;, c@x.example"),
     " <a@x.example> G, 1{ B<b@x.example> } <c@x.example>", 0},
    {"ADDR-15 RFC 5322 A.5 group",
     STR_INIT("A Group(Some people)\r\n   :Chris Jones <c@(Chris's host.)public.example>,\r\n"
              "     joe@example.org,\r\n John <jdoe@one.test> (my dear friend); (the end)"),
     " A Group{ Chris Jones<c@public.example> <joe@example.org> John<jdoe@one.test> }",
     MAILBOX_OBSOLETE},
    {"ADDR-15 two groups", STR_INIT("a:b@x.example;,c:d@x.example;"),
     " a{ <b@x.example> } c{ <d@x.example> }", 0},

    /* RFC 5322 4.4: obsolete */
    {"empty elements", STR_INIT(", ,a@x.example,,\r\n , b@x.example,"),
     " <a@x.example> <b@x.example>", 0},
    {"dots in a phrase", STR_INIT("Joe Q. Public <john.q.public@x.example>"),
     " Joe Q. Public<john.q.public@x.example>", 0},
    {"blanks around dots", STR_INIT("a . b @ x . example"), " <a.b@x.example>", MAILBOX_OBSOLETE},
    {"blanks in one part", STR_INIT("a. b@x.example, c@y .example"),
     " <a.b@x.example> ?<b@x.example> <c@y.example> ?<c@y>", MAILBOX_OBSOLETE},
    {"comments in an address", STR_INIT("<a(x).b@(y)x.example>"), " y<a.b@x.example>",
     MAILBOX_OBSOLETE},
    {"folded address", STR_INIT("<a@x\r\n .example>"), " <a@x.example> ?<a@x>", MAILBOX_OBSOLETE},
    {"blanks inside brackets", STR_INIT("< a@x.example >"), " <a@x.example>", 0},
    {"words in a local part", STR_INIT("a.\"b c\".d@x.example"), " <\"a.b c.d\"@x.example>",
     MAILBOX_QUOTED},
    {"a route", STR_INIT("Mary <@node.test,,@b.test:mary@x.example>"), " Mary<mary@x.example>",
     MAILBOX_OBSOLETE},
    {"a route of nothing", STR_INIT("<@node.test>, b@x.example"), " <@node.test>! <b@x.example>",
     MAILBOX_REST | MAILBOX_UNCLOSED},

    /* names */
    {"encoded name", STR_INIT("=?UTF-8?B?5bGx55Sw?= =?UTF-8?B?6Iqx5a2Q?= <a@x.example>"),
     " 山田花子<a@x.example>", 0},
    {"encoded comment", STR_INIT("a@x.example (=?UTF-8?B?5bGx55Sw?=)"), " 山田<a@x.example>", 0},
    {"encoded and quoted", STR_INIT("\"=?UTF-8?B?5bGx55Sw?=\" <a@x.example>"), " 山田<a@x.example>",
     0},
    {"raw UTF-8", STR_INIT("山田 花子 <a@x.example>"), " 山田 花子<a@x.example>", 0},
    {"raw CP932", STR_INIT("\x8e\x52\x93\x63 <a@x.example>"), " 山田<a@x.example>", 0},
    {"raw ISO-2022-JP", STR_INIT("\x1b$B;3ED\x1b(B <a@x.example>"), " 山田<a@x.example>",
     MAILBOX_PHRASE},
    {"raw ISO-2022-JP, quoted", STR_INIT("\"\x1b$B!\"\"!\x1b(B\" <a@x.example>"),
     " 、◆<a@x.example>", MAILBOX_PHRASE},
    {"INJ-01 a name with line breaks", STR_INIT("=?utf-8?q?a=0D=0AB=3A_x?= <a@x.example>"),
     " a  B: x<a@x.example>", 0},
    {"brackets in a name", STR_INIT("[Tracker] Bob <a@x.example>"), " [Tracker] Bob<a@x.example>",
     MAILBOX_PHRASE},
    {"ADDR-08 brackets around another", STR_INIT("[b@y.example] <a@x.example>"),
     " ?<b@y.example> [b@y.example]<a@x.example>",
     MAILBOX_SECOND | MAILBOX_REST | MAILBOX_NAME | MAILBOX_PHRASE},
    {"ADDR-08 a group's name", STR_INIT("\"b@y.example\": a@x.example;"),
     " b@y.example{ <a@x.example> }", MAILBOX_NAME | MAILBOX_REST},
    {"apostrophes", STR_INIT("\"'a@x.example'\" <A@x.example>"), " 'a@x.example'<A@x.example>", 0},
    {"the address as name", STR_INIT("\"a@x.example\" <a@x.example>"), " a@x.example<a@x.example>",
     0},
    {"the address as name, bare", STR_INIT("a@x.example <a@x.example>"),
     " a@x.example<a@x.example>", MAILBOX_PHRASE},
    {"at home", STR_INIT("\"Bob @ home\" <a@x.example>"), " Bob @ home<a@x.example>", 0},

    /* what is made to be misread */
    {"ADDR-05 encoded words are letters",
     STR_INIT("=?x?q?user=40ext.example=3e=00?=foo@int.example"),
     " <=?x?q?user=40ext.example=3e=00?=foo@int.example>", MAILBOX_ENCODED},
    {"ADDR-05 in brackets", STR_INIT("A <=?utf-8?q?x=40ext.example=2c?=@int.example>"),
     " A<=?utf-8?q?x=40ext.example=2c?=@int.example>", MAILBOX_ENCODED},
    {"ADDR-07 a whole address in an encoded word", STR_INIT("=?utf-8?b?dXNlckBleHQuZXhhbXBsZQ==?="),
     " user@ext.example!", MAILBOX_REST | MAILBOX_NAME},
    {"ADDR-07 an address in an encoded name",
     STR_INIT("=?utf-8?b?dXNlckBleHQuZXhhbXBsZQ==?= <a@int.example>"),
     " user@ext.example<a@int.example>", MAILBOX_NAME},
    {"ADDR-07 an encoded word around brackets",
     STR_INIT("=?utf-8?Q?\"x\" <user@ext.example>?=, a@int.example"),
     " =?utf-8?Q?x<user@ext.example> <a@int.example>", MAILBOX_ENCODED | MAILBOX_REST},
    {"ADDR-07 a list in an encoded word", STR_INIT("=?utf-8?q?a=40x.example=2C?= <b@y.example>"),
     " a@x.example,<b@y.example>", MAILBOX_NAME},
    {"a comma in an encoded word", STR_INIT("=?utf-8?q?Brown,_Bob?= <b@y.example>"),
     " =?utf-8?q?Brown! _Bob?=<b@y.example>", MAILBOX_ENCODED | MAILBOX_REST},
    {"ADDR-08 quoted name", STR_INIT("\"user@int.example\" <user@ext.example>"),
     " user@int.example<user@ext.example>", MAILBOX_NAME},
    {"ADDR-08 name", STR_INIT("user@int.example <user@ext.example>"),
     " ?<user@int.example> user@int.example<user@ext.example>",
     MAILBOX_NAME | MAILBOX_SECOND | MAILBOX_PHRASE},
    {"ADDR-08 two brackets", STR_INIT("<user@int.example> <user@ext.example>"),
     " <user@int.example> ?<user@ext.example>", MAILBOX_SECOND},
    {"ADDR-08 behind brackets", STR_INIT("<a@int.example>b@ext.example"),
     " <a@int.example> ?<b@ext.example>", MAILBOX_SECOND},
    {"ADDR-08 glued by a comma", STR_INIT("a@int.example,<b@ext.example>"),
     " <a@int.example> <b@ext.example>", 0},
    {"ADDR-08 backslash", STR_INIT("<a@int.example>\\,<b@ext.example>"),
     " <a@int.example> <b@ext.example>", MAILBOX_REST},
    {"ADDR-08 full-width at sign", STR_INIT("\"user＠int.example\" <user@ext.example>"),
     " user＠int.example<user@ext.example>", MAILBOX_NAME},
    {"ADDR-08 comment", STR_INIT("a@int.example (b@ext.example)"), " b@ext.example<a@int.example>",
     MAILBOX_NAME},
    {"ADDR-08 comment beside a name", STR_INIT("A <a@int.example> (b@ext.example)"),
     " A<a@int.example>", MAILBOX_NAME},
    {"ADDR-08 only a comment", STR_INIT("(b@ext.example), a@int.example"), " <a@int.example>",
     MAILBOX_NAME | MAILBOX_REST},
    {"ADDR-08 comment in comment", STR_INIT("a@int.example (x (y) b@ext.example)"),
     " x (y) b@ext.example<a@int.example>", MAILBOX_NAME | MAILBOX_COMMENT},
    {"ADDR-08 quotes in comments", STR_INIT("(\"a) b@ext.example, (d\") c@int.example"),
     " \"a<b@ext.example> d\"<c@int.example>", 0},
    {"ADDR-08 comment in a literal's place", STR_INIT("user@[192.0.2.1](@int.example)"),
     " @int.example<user@[192.0.2.1]>", 0},
    {"ADDR-08 two at signs", STR_INIT("a@int.example@ext.example"),
     " ?<a@int.example> ?<int.example@ext.example>", MAILBOX_REST | MAILBOX_SECOND},
    {"ADDR-08 words before", STR_INIT("Bob bob@ext.example"), " ?<bob@ext.example>", MAILBOX_REST},
    {"ADDR-08 words before, in brackets", STR_INIT("<Bob bob@ext.example>"), " ?<bob@ext.example>",
     MAILBOX_REST},
    {"ADDR-08 quoted at sign", STR_INIT("\"user@ext.example\"@int.example"),
     " <\"user@ext.example\"@int.example>", MAILBOX_QUOTED},
    {"ADDR-08 quoted and nothing else", STR_INIT("\"user@ext.example\", a@int.example"),
     " ?<user@ext.example> <a@int.example>", MAILBOX_REST},
    {"ADDR-08 quoted behind brackets", STR_INIT("<a@int.example> \"user@ext.example\""),
     " <a@int.example> ?<user@ext.example>", MAILBOX_REST},
    {"ADDR-08 odd brackets in a name", STR_INIT("\"user@ext.example\") <a@int.example>"),
     " ?<user@ext.example> user@ext.example)<a@int.example>",
     MAILBOX_REST | MAILBOX_SECOND | MAILBOX_NAME},
    {"ADDR-08 brackets beside a quoted name", STR_INIT("\"user@ext.example\" [x] <a@int.example>"),
     " ?<user@ext.example> user@ext.example [x]<a@int.example>",
     MAILBOX_PHRASE | MAILBOX_SECOND | MAILBOX_NAME},
    {"ADDR-08 quoted list", STR_INIT("\"a@x.example,b\"@y.example"),
     " <\"a@x.example,b\"@y.example>", MAILBOX_QUOTED},
    {"ADDR-08 semicolons", STR_INIT("a@x.example; b@y.example"), " <a@x.example> <b@y.example>",
     MAILBOX_SEMICOLON},
    {"ADDR-08 list in brackets", STR_INIT("<a@x.example,b@y.example>"),
     " ?<a@x.example> ?<b@y.example>", MAILBOX_REST | MAILBOX_UNCLOSED},
    {"ADDR-08 brackets in brackets", STR_INIT("<<a@x.example>>"), " <<a@x.example>",
     MAILBOX_REST | MAILBOX_UNCLOSED},
    {"ADDR-08 mailto", STR_INIT("<mailto:a@x.example>"), " ?<a@x.example>", MAILBOX_REST},
    {"ADDR-08 mailto, bare", STR_INIT("mailto:a@x.example"), " mailto{ <a@x.example> }",
     MAILBOX_UNCLOSED},
    {"ADDR-08 raw ISO-2022-JP with an address", STR_INIT("\x1b$B,a@x.example,\x1b(B <b@y.example>"),
     NULL, MAILBOX_ESCAPE},
    {"ADDR-11 hidden characters in a domain", STR_INIT("a@in\u200bt.example"), NULL, MAILBOX_REST},
    {"NUL", STR_INIT("a\0@x.example"), " a\uFFFD@x.example!", MAILBOX_REST | MAILBOX_BYTE},

    /* what is broken hides nothing */
    {"no domain", STR_INIT("root, a@x.example"), " root! <a@x.example>", MAILBOX_REST},
    {"no local part", STR_INIT("@x.example, a@x.example"), " @x.example! <a@x.example>",
     MAILBOX_REST},
    {"null path", STR_INIT("<>, a@x.example"), " ! <a@x.example>", MAILBOX_REST},
    {"name without address", STR_INIT("Bob <bob>, a@x.example"), " Bob! <a@x.example>",
     MAILBOX_REST},
    {"dots as of old Japanese phones", STR_INIT("a..b.@docomo.example, c@x.example"),
     " a..b.@docomo.example! <c@x.example>", MAILBOX_REST},
    {"domain that is none", STR_INIT("a@-x-.example, c@x.example"), NULL, MAILBOX_REST},
    {"quote without end", STR_INIT("\"abc <user@ext.example>, x@y.example"),
     " \"abc<user@ext.example> <x@y.example>", MAILBOX_UNCLOSED | MAILBOX_REST},
    {"comment without end", STR_INIT("A (b <user@ext.example>, x@y.example"),
     " A (b<user@ext.example> <x@y.example>", MAILBOX_UNCLOSED | MAILBOX_REST},
    {"bracket without end", STR_INIT("A <user@ext.example, x@y.example"),
     " ?<user@ext.example> <x@y.example>", MAILBOX_UNCLOSED | MAILBOX_REST},
    {"literal without end", STR_INIT("a@[192.0.2.1, x@y.example"), " a@[192.0.2.1! <x@y.example>",
     MAILBOX_UNCLOSED | MAILBOX_REST},
    {"group without end", STR_INIT("g: a@x.example, b@x.example"),
     " g{ <a@x.example> <b@x.example> }", MAILBOX_UNCLOSED},
    {"group in a group", STR_INIT("g: h: a@x.example;, b@x.example;"),
     " g{} h{ <a@x.example> } <b@x.example>", MAILBOX_NESTED | MAILBOX_SEMICOLON},
    {"ADDR-15 no comma behind a group", STR_INIT("g: a@x.example; b@x.example"),
     " g{ <a@x.example> } <b@x.example>", MAILBOX_SEMICOLON},
    {"closing bracket alone", STR_INIT("a@x.example>, b@x.example"),
     " ?<a@x.example> <b@x.example>", MAILBOX_REST},
    {"comma in a name", STR_INIT("Brown, Bob <bob@x.example>"), " Brown! Bob<bob@x.example>",
     MAILBOX_REST},
};

static void test_rows(void)
{
    for (size_t i = 0; i < countof(rows); i++) {
        struct arena arena;
        struct buffer out;
        struct mailbox_list list;
        arena_init(&arena, ARENA_BYTES);
        buffer_init(&out, OUT_BYTES);
        CU_ASSERT_FATAL(mailbox_read(rows[i].in, &arena, &list));
        describe(&list, &out);
        if (rows[i].want)
            expect_str(buffer_str(&out), str_c(rows[i].want), rows[i].name);
        expect(list.doubts == rows[i].doubts, "%s: doubts %x, want %x", rows[i].name, list.doubts,
               rows[i].doubts);
        buffer_drop(&out);
        arena_drop(&arena);
    }
}

/* ---- ranges and cuts: `remove` has a letter a mailbox, x goes */

static const struct {
    const char *name, *in, *remove, *want; /* NULL: the field is gone */
} cut_rows[] = {
    {"none", "a@x.example, b@x.example", "..", "a@x.example, b@x.example"},
    {"first", "a@x.example, B <b@x.example>", "x.", "B <b@x.example>"},
    {"last", "A <a@x.example> (c), b@x.example", ".x", "A <a@x.example> (c)"},
    {"middle", "a@x.example,\r\n b@x.example,\r\n c@x.example", ".x.",
     "a@x.example,\r\n c@x.example"},
    {"two at the front", "a@x.example,\r\n b@x.example,\r\n c@x.example", "xx.", "c@x.example"},
    {"two at the end", "a@x.example,\r\n b@x.example,\r\n c@x.example", ".xx", "a@x.example"},
    {"outer two", "a@x.example, b@x.example, c@x.example", "x.x", "b@x.example"},
    {"all", "a@x.example, b@x.example", "xx", NULL},
    {"comments go with theirs", "(1) a@x.example (2), (3) b@x.example (4)", "x.",
     "(3) b@x.example (4)"},
    {"empty elements", ",,a@x.example,,b@x.example,,", ".x", ",,a@x.example,,"},
    {"empty elements before", ",,a@x.example,,b@x.example,,", "x.", ",,b@x.example,,"},
    {"broken ones are elements", "root, a@x.example", ".x", "root"},
    {"member", "g: a@x.example, b@x.example;, c@x.example", "x..", "g: b@x.example;, c@x.example"},
    {"last member", "g: a@x.example, b@x.example;", ".x", "g: a@x.example;"},
    {"a whole group", "g:\r\n a@x.example,\r\n b@x.example;,\r\n c@x.example", "xx.",
     "c@x.example"},
    {"all but a group", "a@x.example, g: b@x.example; , c@x.example", "x.x", "g: b@x.example;"},
    {"an empty group stays", "nobody:;, a@x.example", "x", "nobody:;"},
    {"groups only", "g: a@x.example;, h:;, i: b@x.example;", "xx", "h:;"},
    {"group without end", "a@x.example, g: b@x.example, c@x.example", ".xx", "a@x.example"},
    {"an element of two", "a@x.example <b@x.example>, c@x.example", "xx.", "c@x.example"},
    {"quoted comma", "\"a, b\" <a@x.example>, c@x.example", "x.", "c@x.example"},
};

static void test_cut(void)
{
    for (size_t i = 0; i < countof(cut_rows); i++) {
        struct arena arena;
        struct mailbox_list list;
        struct mailbox_cuts cuts;
        struct buffer out;
        bool remove[8] = {false};
        arena_init(&arena, ARENA_BYTES);
        buffer_init(&out, OUT_BYTES);
        struct str in = str_c(cut_rows[i].in);
        CU_ASSERT_FATAL(mailbox_read(in, &arena, &list));
        expect(list.count == strlen(cut_rows[i].remove), "%s: %u", cut_rows[i].name, list.count);
        for (uint32_t k = 0; k < list.count; k++)
            remove[k] = cut_rows[i].remove[k] == 'x';
        CU_ASSERT_FATAL(mailbox_cut(&list, remove, &arena, &cuts));
        uint32_t at = 0;
        for (uint32_t k = 0; k < cuts.count; k++) {
            expect(cuts.at[k].offset >= at, "%s: overlap", cut_rows[i].name);
            buffer_put(&out, str_from(in.at + at, cuts.at[k].offset - at));
            at = cuts.at[k].offset + cuts.at[k].length;
        }
        buffer_put(&out, str_skip(in, at));
        expect(cuts.gone == !cut_rows[i].want, "%s: gone", cut_rows[i].name);
        if (cut_rows[i].want)
            expect_str(buffer_str(&out), str_c(cut_rows[i].want), cut_rows[i].name);
        buffer_drop(&out);
        arena_drop(&arena);
    }
}

static void test_ranges(void)
{
    static const char in[] = "  A <a@x.example> , (c) b@x.example (d) ,\r\n g : root ; ";
    static const char *const want[] = {"A <a@x.example>", "(c) b@x.example (d)", "root"};
    struct arena arena;
    struct mailbox_list list;
    arena_init(&arena, ARENA_BYTES);
    CU_ASSERT_FATAL(mailbox_read(str_c(in), &arena, &list));
    CU_ASSERT_FATAL(list.count == countof(want) && list.group_count == 1);
    for (uint32_t i = 0; i < list.count; i++)
        expect_str(str_from(in + list.at[i].start, list.at[i].end - list.at[i].start),
                   str_c(want[i]), "range");
    expect_str(str_from(in + list.groups[0].start, list.groups[0].end - list.groups[0].start),
               STR("g : root ;"), "group");
    arena_drop(&arena);
}

/* ---- over fields */

static void read_header(struct header *h, struct str section)
{
    header_init(h);
    enum header_status status = header_feed(h, section);
    if (status == HEADER_MORE)
        status = header_finish(h);
    CU_ASSERT_FATAL(status == HEADER_DONE);
}

static void test_collect(void)
{
    static const struct str names[] = {STR_INIT("To"), STR_INIT("Cc")};
    struct header h;
    struct arena arena;
    struct mailbox_set set;
    struct buffer out;
    arena_init(&arena, ARENA_BYTES);
    buffer_init(&out, OUT_BYTES);
    read_header(&h, STR("To: b@x.example, A <a@X.example>, root\r\n"
                        "Bcc: hidden@x.example\r\n"
                        "cc: a@x.example, A@x.example, c@x.example <a@x.example>\r\n"
                        "TO: d@x.example, c@x.example, g: b@x.EXAMPLE;\r\n\r\n"));
    CU_ASSERT_FATAL(mailbox_collect(&h, names, countof(names), &arena, &set));
    for (uint32_t i = 0; i < set.count; i++)
        buffer_printf(&out, "%s%.*s ", set.at[i].guess ? "?" : "",
                      STR_ARG(set.at[i].address.whole));
    expect_str(buffer_str(&out),
               STR("b@x.example a@x.example A@x.example c@x.example d@x.example "),
               "distinct, in order");
    CU_ASSERT(set.broken == 1);
    expect(set.doubts ==
               (MAILBOX_REST | MAILBOX_SECOND | MAILBOX_NAME | MAILBOX_PHRASE | MAILBOX_REPEATED),
           "%x", set.doubts);
    header_drop(&h);
    buffer_drop(&out);

    read_header(&h, STR("Subject: x\r\n\r\n"));
    CU_ASSERT_FATAL(mailbox_collect(&h, names, countof(names), &arena, &set));
    expect(set.count == 0 && set.doubts == 0, "ADDR-21 no recipients in the header");
    header_drop(&h);
    arena_drop(&arena);
}

static const struct {
    const char *name;
    struct str section;
    const char *want; /* "field=address" or "!field=address" of each claim */
    bool all_agree;
    unsigned doubts;
} claim_rows[] = {
    {"own", STR_INIT("From: Alice <alice@int.example>\r\n"), "From=alice@int.example ", true, 0},
    {"own, the other one", STR_INIT("From: sales@INT.example\r\n"), "From=sales@int.example ", true,
     0},
    {"REL-04 another's", STR_INIT("From: bob@int.example\r\n"), "!From=bob@int.example ", false, 0},
    {"REL-04 local parts keep their case", STR_INIT("From: ALICE@int.example\r\n"),
     "!From=ALICE@int.example ", false, 0},
    {"REL-04 none", STR_INIT("Subject: x\r\n"), "", false, 0},
    {"REL-04 empty", STR_INIT("From: \r\n"), "", false, 0},
    {"REL-04 group", STR_INIT("From: nobody:;\r\n"), "", false, 0},
    {"REL-04 two fields", STR_INIT("From: alice@int.example\r\nFrom: bob@int.example\r\n"),
     "From=alice@int.example !From=bob@int.example ", false, MAILBOX_REPEATED},
    {"REL-04 twice the same", STR_INIT("From: alice@int.example\r\nFROM: alice@int.example\r\n"),
     "From=alice@int.example FROM=alice@int.example ", true, MAILBOX_REPEATED},
    {"REL-04 two addresses", STR_INIT("From: alice@int.example, bob@int.example\r\n"),
     "From=alice@int.example !From=bob@int.example ", false, MAILBOX_SEVERAL},
    {"REL-04 name of another", STR_INIT("From: \"bob@int.example\" <alice@int.example>\r\n"),
     "From=alice@int.example ", true, MAILBOX_NAME},
    {"REL-04 two readings", STR_INIT("From: bob@int.example <alice@int.example>\r\n"),
     "!From=bob@int.example From=alice@int.example ", false,
     MAILBOX_NAME | MAILBOX_PHRASE | MAILBOX_SECOND | MAILBOX_SEVERAL},
    {"REL-04 colon apart", STR_INIT("From : bob@int.example\r\n"), "!From=bob@int.example ", false,
     0},
    {"REL-04 another's Sender", STR_INIT("From: alice@int.example\r\nSender: bob@int.example\r\n"),
     "From=alice@int.example !Sender=bob@int.example ", false, 0},
    {"REL-04 resent games",
     STR_INIT("Resent-From: bob@int.example\r\nResent-Sender: alice@int.example\r\n"
              "From: alice@int.example\r\n"),
     "!Resent-From=bob@int.example Resent-Sender=alice@int.example From=alice@int.example ", false,
     0},
    {"REL-04 no address", STR_INIT("From: alice\r\n"), "!From= ", false, MAILBOX_REST},
};

static void test_claims(void)
{
    struct arena arena;
    struct address allowed[2];
    arena_init(&arena, ARENA_BYTES);
    CU_ASSERT_FATAL(address_parse(STR("alice@int.example"), 0, &arena, &allowed[0]) == ADDRESS_OK);
    CU_ASSERT_FATAL(address_parse(STR("sales@int.example"), 0, &arena, &allowed[1]) == ADDRESS_OK);
    for (size_t i = 0; i < countof(claim_rows); i++) {
        struct header h;
        struct mailbox_claims claims;
        struct buffer out;
        buffer_init(&out, OUT_BYTES);
        read_header(&h, claim_rows[i].section);
        CU_ASSERT_FATAL(mailbox_read_claims(&h, allowed, countof(allowed), &arena, &claims));
        for (uint32_t k = 0; k < claims.count; k++)
            buffer_printf(&out, "%s%.*s=%.*s ", claims.at[k].agrees ? "" : "!",
                          STR_ARG(claims.at[k].field),
                          STR_ARG(claims.at[k].mailbox->address.whole));
        expect_str(buffer_str(&out), str_c(claim_rows[i].want), claim_rows[i].name);
        expect(claims.all_agree == claim_rows[i].all_agree, "%s", claim_rows[i].name);
        expect(claims.doubts == claim_rows[i].doubts, "%s: %x", claim_rows[i].name, claims.doubts);
        buffer_drop(&out);
        header_drop(&h);
    }
    arena_drop(&arena);
}

/* ---- BOMB-04, BOMB-09: a million of anything, in linear time and bounded memory */

static const struct {
    const char *name, *head, *unit, *tail;
    uint32_t count;  /* mailboxes */
    unsigned doubts; /* at least */
} bomb_rows[] = {
    {"BOMB-09 open brackets", "", "(", "a@x.example", 1, MAILBOX_UNCLOSED},
    {"BOMB-09 nested comments", "a@x.example ((", "()", "))", 1, 0},
    {"BOMB-09 commas", "", ",", "a@x.example", 1, 0},
    {"BOMB-09 quote without end", "\"", "a ", ", a@x.example", 1, MAILBOX_UNCLOSED},
    {"BOMB-09 quotes", "", "\" ", "", 0, MAILBOX_REST | MAILBOX_LIMIT},
    {"BOMB-09 words with an open quote each", "", "\"a\\", ", a@x.example", 1, MAILBOX_UNCLOSED},
    {"BOMB-09 angles", "", "<", "a@x.example", 1, MAILBOX_UNCLOSED},
    {"BOMB-09 angles with words", "", "<a ", "", 0, MAILBOX_UNCLOSED | MAILBOX_LIMIT},
    {"BOMB-09 routes", "", "<@a,", "", 0, MAILBOX_UNCLOSED},
    {"BOMB-09 one route", "<", "@a,", "@b:a@x.example>", 0, MAILBOX_UNCLOSED},
    {"BOMB-09 brackets", "", "[", "", 0, MAILBOX_REST | MAILBOX_LIMIT},
    {"BOMB-09 literals", "", "@[", "", 0, MAILBOX_UNCLOSED | MAILBOX_LIMIT},
    {"BOMB-09 at signs", "", "@", "", 0, MAILBOX_REST | MAILBOX_LIMIT},
    {"BOMB-09 addresses without commas", "", "a@b", "", LIMIT_MAILBOXES, MAILBOX_LIMIT},
    {"BOMB-09 dots", "a", ".", "@x.example", 1, MAILBOX_REST},
    {"BOMB-09 words", "", "a ", "<a@x.example>", 1, MAILBOX_LIMIT},
    {"BOMB-09 colons", "", "a:", "", 0, MAILBOX_NESTED | MAILBOX_LIMIT},
    {"BOMB-09 semicolons", "", ";", "a@x.example", 1, MAILBOX_SEMICOLON},
    {"BOMB-09 groups", "", "a:;", "a@x.example", 1, MAILBOX_LIMIT},
    {"BOMB-09 encoded words", "", "=?utf-8?q?", " <a@x.example>", 1, 0},
    {"BOMB-09 encoded words apart", "", "=?utf-8?q? ", "<a@x.example>", 1, MAILBOX_LIMIT},
    {"BOMB-09 escapes", "", "\x1b$B", "", 0, MAILBOX_REST | MAILBOX_LIMIT},
    {"BOMB-09 backslashes", "", "\\", "a@x.example", 1, MAILBOX_REST},
    {"BOMB-04 addresses", "", "a@x.example,", "", LIMIT_MAILBOXES, MAILBOX_LIMIT},
    {"BOMB-04 broken addresses", "", "a,", "", LIMIT_MAILBOXES, MAILBOX_LIMIT},
    {"BOMB-04 one long word", "", "abcdefgh", "@x.example", 1, MAILBOX_REST},
};

static void test_bombs(void)
{
    for (size_t i = 0; i < countof(bomb_rows); i++) {
        struct arena arena;
        struct buffer in;
        struct mailbox_list list;
        arena_init(&arena, ARENA_BYTES);
        buffer_init(&in, 16 << 20);
        buffer_puts(&in, bomb_rows[i].head);
        for (int k = 0; k < 1000000; k++)
            buffer_puts(&in, bomb_rows[i].unit);
        buffer_puts(&in, bomb_rows[i].tail);
        clock_t start = clock();
        expect(mailbox_read(buffer_str(&in), &arena, &list), "%s", bomb_rows[i].name);
        double s = (double)(clock() - start) / CLOCKS_PER_SEC;
        expect(s < 20, "%s: %.1f s", bomb_rows[i].name, s); /* quadratic would be hours */
        if (bomb_rows[i].count)
            expect(list.count >= bomb_rows[i].count, "%s: %u", bomb_rows[i].name, list.count);
        expect(list.count <= LIMIT_MAILBOXES, "%s: %u", bomb_rows[i].name, list.count);
        expect((list.doubts & bomb_rows[i].doubts) == bomb_rows[i].doubts, "%s: %x",
               bomb_rows[i].name, list.doubts);
        buffer_drop(&in);
        arena_drop(&arena);
    }
}

static void test_no_memory(void)
{
    struct str in = STR("A <a@x.example>, =?utf-8?q?b?= <b@x.example>, g: root;");
    for (size_t cap = 0; cap < 4096; cap += 16) {
        struct arena arena;
        struct mailbox_list list;
        arena_init(&arena, cap);
        if (mailbox_read(in, &arena, &list))
            expect(list.count == 3 && list.group_count == 1, "whole or not at all: %zu", cap);
        arena_drop(&arena);
    }
}

static void test_doubts(void)
{
    unsigned all = (1u << MAILBOX_BITS) - 1, rest = all, texts = 0;
    while (mailbox_doubt_text(&rest))
        texts++;
    CU_ASSERT(texts == MAILBOX_BITS && rest == 0 && !mailbox_doubt_text(&rest));
    unsigned ambiguous = mailbox_doubts_of(all, MAILBOX_AMBIGUOUS);
    unsigned deceptive = mailbox_doubts_of(all, MAILBOX_DECEPTIVE);
    unsigned untidy = mailbox_doubts_of(all, MAILBOX_UNTIDY);
    CU_ASSERT((ambiguous | deceptive | untidy) == all);
    CU_ASSERT((ambiguous & MAILBOX_SECOND) && !(ambiguous & (MAILBOX_NAME | MAILBOX_LONG)));
    CU_ASSERT(deceptive & MAILBOX_NAME);
}

int main(void)
{
    const struct test tests[] = {
        {"rows", test_rows},           {"ranges", test_ranges}, {"cut", test_cut},
        {"collect", test_collect},     {"REL-04", test_claims}, {"BOMB-04, BOMB-09", test_bombs},
        {"no memory", test_no_memory}, {"doubts", test_doubts}, {NULL, NULL},
    };
    return harness_run("mailbox", tests);
}
