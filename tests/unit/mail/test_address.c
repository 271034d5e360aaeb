#include "tests/unit/harness.h"

#include "core/mail/address.h"
#include "core/mail/domain.h"

#define A10(s)  s s s s s s s s s s
#define A60     A10("aaaaaa")
#define LOCAL64 A60 "aaaa"
#define LABEL63 A60 "aaa"

static const struct {
    const char *name, *in;
    unsigned flags;
    enum address_status want;
    const char *whole, *domain;
} rows[] = {
    {"plain", "<a@ext.example>", 0, ADDRESS_OK, "a@ext.example", "ext.example"},
    {"null path of MAIL", "<>", ADDRESS_SENDER, ADDRESS_OK, "", ""},
    {"null path of RCPT", "<>", ADDRESS_RECIPIENT, ADDRESS_BAD, NULL, NULL},
    {"ADDR-01 two at signs", "<user@ext.example@int.example>", 0, ADDRESS_BAD_DOMAIN, NULL, NULL},
    {"ADDR-02 percent", "<user%ext.example@int.example>", 0, ADDRESS_OK,
     "user%ext.example@int.example", "int.example"},
    {"ADDR-02 bang", "<ext.example!user@int.example>", 0, ADDRESS_OK,
     "ext.example!user@int.example", "int.example"},
    {"ADDR-02 quoted at", "<\"user@ext.example\"@int.example>", 0, ADDRESS_OK,
     "\"user@ext.example\"@int.example", "int.example"},
    {"ADDR-03 route", "<@int.example:user@ext.example>", 0, ADDRESS_OK, "user@ext.example",
     "ext.example"},
    {"ADDR-03 long route", "<@int.example,@a.example:user@ext.example>", 0, ADDRESS_OK,
     "user@ext.example", "ext.example"},
    {"ADDR-03 broken route", "<@int.example,:user@ext.example>", 0, ADDRESS_BAD, NULL, NULL},
    {"ADDR-03 route without name", "<@:user@ext.example>", 0, ADDRESS_BAD, NULL, NULL},
    {"ADDR-04 comment", "<user@ext.example(@int.example)>", 0, ADDRESS_BAD_DOMAIN, NULL, NULL},
    {"ADDR-04 comment in literal", "<user@[192.0.2.1](@int.example>", 0, ADDRESS_BAD_DOMAIN, NULL,
     NULL},
    {"ADDR-04 comment in local", "<user(x@int.example)@ext.example>", 0, ADDRESS_BAD, NULL, NULL},
    {"ADDR-05 encoded word", "<=?x?q?user=40ext.example=3e=00?=foo@int.example>", 0, ADDRESS_OK,
     "=?x?q?user=40ext.example=3e=00?=foo@int.example", "int.example"},
    {"ADDR-06 utf-7", "<=?utf-7?q?user&AEA-ext.example&ACA-?=foo@int.example>", 0, ADDRESS_OK,
     "=?utf-7?q?user&AEA-ext.example&ACA-?=foo@int.example", "int.example"},
    {"ADDR-09 full-width at", "<user＠ext.example>", ADDRESS_UTF8, ADDRESS_BAD, NULL, NULL},
    {"ADDR-09 full-width dot", "<user@int．example>", ADDRESS_UTF8, ADDRESS_OK, "user@int.example",
     "int.example"},
    {"ADDR-09 ideographic dot, no SMTPUTF8", "<user@int。example>", 0, ADDRESS_NEEDS_UTF8, NULL,
     NULL},
    {"ADDR-09 full-width letters", "<user@ｉｎｔ.example>", ADDRESS_UTF8, ADDRESS_OK,
     "user@int.example", "int.example"},
    {"ADDR-09 Kelvin", "<user@\u212A.example>", ADDRESS_UTF8, ADDRESS_OK, "user@k.example",
     "k.example"},
    {"ADDR-11 RLO in domain",
     "<user@int\xe2\x80\xae"
     "ext.example>",
     ADDRESS_UTF8, ADDRESS_BAD_DOMAIN, NULL, NULL},
    {"ADDR-11 zero width in domain", "<user@in\u200Bt.example>", ADDRESS_UTF8, ADDRESS_BAD_DOMAIN,
     NULL, NULL},
    {"ADDR-11 soft hyphen in domain", "<user@in\u00ADt.example>", ADDRESS_UTF8, ADDRESS_BAD_DOMAIN,
     NULL, NULL},
    {"ADDR-11 BOM in local",
     "<us\uFEFF"
     "er@int.example>",
     ADDRESS_UTF8, ADDRESS_BAD, NULL, NULL},
    {"ADDR-12 case", "<u@INT.EXAMPLE>", 0, ADDRESS_OK, "u@int.example", "int.example"},
    {"ADDR-12 trailing dot", "<u@int.example.>", 0, ADDRESS_BAD_DOMAIN, NULL, NULL},
    {"ADDR-12 empty label", "<u@int..example>", 0, ADDRESS_BAD_DOMAIN, NULL, NULL},
    {"ADDR-12 leading dot", "<u@.int.example>", 0, ADDRESS_BAD_DOMAIN, NULL, NULL},
    {"ADDR-12 hyphen first", "<u@-int.example>", 0, ADDRESS_BAD_DOMAIN, NULL, NULL},
    {"ADDR-13 IPv4", "<u@[192.0.2.1]>", 0, ADDRESS_OK, "u@[192.0.2.1]", "[192.0.2.1]"},
    {"ADDR-13 IPv6", "<u@[ipv6:2001:DB8::0:1]>", 0, ADDRESS_OK, "u@[IPv6:2001:db8::1]",
     "[IPv6:2001:db8::1]"},
    {"ADDR-13 IPv6 loopback", "<u@[IPv6:::1]>", 0, ADDRESS_OK, "u@[IPv6:::1]", "[IPv6:::1]"},
    {"ADDR-13 bare IPv4", "<u@127.0.0.1>", 0, ADDRESS_BAD_DOMAIN, NULL, NULL},
    {"ADDR-13 odd IPv4", "<u@[127.1]>", 0, ADDRESS_BAD_DOMAIN, NULL, NULL},
    {"ADDR-13 other literal", "<u@[x:y]>", 0, ADDRESS_BAD_DOMAIN, NULL, NULL},
    {"ADDR-13 empty literal", "<u@[]>", 0, ADDRESS_BAD_DOMAIN, NULL, NULL},
    {"ADDR-14 bare user", "<user>", ADDRESS_RECIPIENT, ADDRESS_BAD, NULL, NULL},
    {"ADDR-14 postmaster", "<PostMaster>", ADDRESS_RECIPIENT, ADDRESS_OK, "PostMaster", ""},
    {"ADDR-14 postmaster behind a route", "<@int.example:postmaster>", ADDRESS_RECIPIENT,
     ADDRESS_BAD, NULL, NULL},
    {"ADDR-14 postmaster as sender", "<postmaster>", ADDRESS_SENDER, ADDRESS_BAD, NULL, NULL},
    {"ADDR-14 postmaster somewhere", "<PostMaster@int.example>", ADDRESS_RECIPIENT, ADDRESS_OK,
     "PostMaster@int.example", "int.example"},
    {"ADDR-17 quoted blank", "<\"a b\"@ext.example>", 0, ADDRESS_OK, "\"a b\"@ext.example",
     "ext.example"},
    {"ADDR-17 quoted quote", "<\"a\\\"b\"@ext.example>", 0, ADDRESS_OK, "\"a\\\"b\"@ext.example",
     "ext.example"},
    {"ADDR-17 quoted backslash", "<\"a\\\\\"@ext.example>", 0, ADDRESS_OK, "\"a\\\\\"@ext.example",
     "ext.example"},
    {"ADDR-17 empty quotes", "<\"\"@ext.example>", 0, ADDRESS_OK, "\"\"@ext.example",
     "ext.example"},
    {"ADDR-17 needless quotes", "<\"a\\b.c\"@ext.example>", 0, ADDRESS_OK, "ab.c@ext.example",
     "ext.example"},
    {"ADDR-17 quotes in the middle", "<a\"b\"c@ext.example>", 0, ADDRESS_BAD, NULL, NULL},
    {"ADDR-17 unclosed", "<\"a@ext.example>", 0, ADDRESS_BAD, NULL, NULL},
    {"ADDR-17 backslash last", "<\"a\\\"@ext.example>", 0, ADDRESS_BAD, NULL, NULL},
    {"ADDR-18 case and plus", "<Ki.Ku+Tag@ext.example>", 0, ADDRESS_OK, "Ki.Ku+Tag@ext.example",
     "ext.example"},
    {"two dots", "<a..b@ext.example>", 0, ADDRESS_BAD, NULL, NULL},
    {"dot last, as some carriers allow", "<a.@ext.example>", 0, ADDRESS_BAD, NULL, NULL},
    {"ADDR-24 UTF-8 without SMTPUTF8", "<用户@例え.jp>", 0, ADDRESS_NEEDS_UTF8, NULL, NULL},
    {"ADDR-24 UTF-8", "<用户@例え.jp>", ADDRESS_UTF8, ADDRESS_OK, "用户@xn--r8jz45g.jp",
     "xn--r8jz45g.jp"},
    {"ADDR-24 not UTF-8", "<\xff@ext.example>", ADDRESS_UTF8, ADDRESS_BAD, NULL, NULL},
    {"no brackets", "a@ext.example", 0, ADDRESS_BAD, NULL, NULL},
    {"blank inside", "< a@ext.example>", 0, ADDRESS_BAD, NULL, NULL},
    {"BOMB-02 local 64", "<" LOCAL64 "@ext.example>", 0, ADDRESS_OK, LOCAL64 "@ext.example",
     "ext.example"},
    {"BOMB-02 local 65", "<a" LOCAL64 "@ext.example>", 0, ADDRESS_LONG, NULL, NULL},
    {"BOMB-02 label 63", "<a@" LABEL63 ".jp>", 0, ADDRESS_OK, "a@" LABEL63 ".jp", LABEL63 ".jp"},
    {"BOMB-02 label 64", "<a@a" LABEL63 ".jp>", 0, ADDRESS_LONG, NULL, NULL},
    {"BOMB-02 path 256", "<" A60 "aa@" LABEL63 "." LABEL63 "." LABEL63 ">", 0, ADDRESS_OK,
     A60 "aa@" LABEL63 "." LABEL63 "." LABEL63, LABEL63 "." LABEL63 "." LABEL63},
    {"BOMB-02 path 257", "<" A60 "aaa@" LABEL63 "." LABEL63 "." LABEL63 ">", 0, ADDRESS_LONG, NULL,
     NULL},
    {"BOMB-02 domain 256", "<a@" LABEL63 "." LABEL63 "." LABEL63 "." LABEL63 "a>", 0, ADDRESS_LONG,
     NULL, NULL},
};

static void test_rows(void)
{
    for (size_t i = 0; i < countof(rows); i++) {
        struct arena arena;
        arena_init(&arena, 64 << 10);
        struct address a;
        enum address_status got = address_parse_path(str_c(rows[i].in), rows[i].flags, &arena, &a);
        expect(got == rows[i].want, "%s: status %u, want %u", rows[i].name, got, rows[i].want);
        if (got == ADDRESS_OK && rows[i].whole) {
            expect_str(a.whole, str_c(rows[i].whole), rows[i].name);
            expect_str(a.domain, str_c(rows[i].domain), rows[i].name);
        }
        arena_drop(&arena);
    }
}

/* ADDR-16: what is accepted goes on the wire byte for byte, quoted or not. */
static void test_every_byte(void)
{
    for (unsigned c = 0; c < 256; c++)
        for (unsigned where = 0; where < 3; where++)
            for (unsigned quoted = 0; quoted < 2; quoted++) {
                char in[] = "<\"abc\"@ext.example>";
                in[2 + where] = (char)c;
                struct str s = str_from(in, sizeof in - 1);
                char bare[] = "<abc@ext.example>";
                bare[1 + where] = (char)c;
                if (!quoted)
                    s = str_from(bare, sizeof bare - 1);
                struct arena arena;
                arena_init(&arena, 64 << 10);
                struct address a, b;
                enum address_status got = address_parse_path(s, ADDRESS_UTF8, &arena, &a);
                bool control = c < ' ' || c >= 0x7F;
                expect(!control || got != ADDRESS_OK, "byte %02x at %u", c, where);
                if (got == ADDRESS_OK)
                    expect(address_parse(a.whole, 0, &arena, &b) == ADDRESS_OK &&
                               str_eq(a.whole, b.whole),
                           "byte %02x at %u: not a fixed point", c, where);
                arena_drop(&arena);
            }
}

static void test_cut(void)
{
    struct str in = STR("<\"a>b\"@ext.example> SIZE=1"), path;
    CU_ASSERT(address_cut_path(&in, &path));
    expect_str(path, STR("<\"a>b\"@ext.example>"), "path");
    expect_str(in, STR(" SIZE=1"), "rest");
    in = STR("<a@b");
    CU_ASSERT(!address_cut_path(&in, &path));
    CU_ASSERT(address_refusal(ADDRESS_BAD, ADDRESS_SENDER) == REPLY_501_SENDER_SYNTAX);
    CU_ASSERT(address_refusal(ADDRESS_LONG, ADDRESS_RECIPIENT) == REPLY_501_RECIPIENT_SYNTAX);
    CU_ASSERT(address_refusal(ADDRESS_NEEDS_UTF8, 0) == REPLY_553_UTF8);
}

static void test_no_memory(void)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct address a;
    CU_ASSERT(address_parse_path(STR("<a@b.example>"), 0, &arena, &a) == ADDRESS_NO_MEMORY);
    arena_drop(&arena);
}

static void test_suffix(void)
{
    static const struct {
        const char *domain, *pattern;
        bool want;
    } matches[] = {
        {"int.example", "int.example", true},
        {"sub.int.example", "int.example", false},
        {"sub.int.example", "*.int.example", true},
        {"a.b.int.example", "*.int.example", true},
        {"int.example", "*.int.example", false},
        {"evilint.example", "*.int.example", false},
        {"evilint.example", "int.example", false},
        {".int.example", "*.int.example", false},
        {"x.example", "*", true},
        {"", "*", false},
        {"x.example", "*.", false},
    };

    for (size_t i = 0; i < countof(matches); i++)
        expect(domain_matches(str_c(matches[i].domain), str_c(matches[i].pattern)) ==
                   matches[i].want,
               "ADDR-12 %s against %s", matches[i].domain, matches[i].pattern);
}

int main(void)
{
    const struct test tests[] = {
        {"paths", test_rows},
        {"ADDR-16 every byte", test_every_byte},
        {"cut and refuse", test_cut},
        {"no memory", test_no_memory},
        {"ADDR-12 suffix", test_suffix},
        {NULL, NULL},
    };
    return harness_run("address", tests);
}
