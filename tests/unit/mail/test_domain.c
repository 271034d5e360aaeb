#include "tests/unit/harness.h"

#include "core/mail/domain.h"

/* ADDR-23: publicsuffix.org, tests/test_psl.txt. Its Unicode rows are given in A-labels, as
 * domain_to_ascii() makes them; "" where it says null. */
static const struct {
    const char *domain, *want;
} rows[] = {
    /* leading dot, unlisted TLD */
    {".com", ""},
    {".example", ""},
    {".example.com", ""},
    {"example", ""},
    {"example.example", "example.example"},
    {"b.example.example", "example.example"},
    {"a.b.example.example", "example.example"},
    /* one rule */
    {"biz", ""},
    {"domain.biz", "domain.biz"},
    {"b.domain.biz", "domain.biz"},
    {"a.b.domain.biz", "domain.biz"},
    /* two-level rules */
    {"com", ""},
    {"example.com", "example.com"},
    {"b.example.com", "example.com"},
    {"a.b.example.com", "example.com"},
    {"uk.com", ""},
    {"example.uk.com", "example.uk.com"},
    {"b.example.uk.com", "example.uk.com"},
    {"a.b.example.uk.com", "example.uk.com"},
    {"test.ac", "test.ac"},
    /* a wildcard only */
    {"mm", ""},
    {"c.mm", ""},
    {"b.c.mm", "b.c.mm"},
    {"a.b.c.mm", "b.c.mm"},
    /* more complex */
    {"jp", ""},
    {"test.jp", "test.jp"},
    {"www.test.jp", "test.jp"},
    {"ac.jp", ""},
    {"test.ac.jp", "test.ac.jp"},
    {"www.test.ac.jp", "test.ac.jp"},
    {"kyoto.jp", ""},
    {"test.kyoto.jp", "test.kyoto.jp"},
    {"ide.kyoto.jp", ""},
    {"b.ide.kyoto.jp", "b.ide.kyoto.jp"},
    {"a.b.ide.kyoto.jp", "b.ide.kyoto.jp"},
    {"c.kobe.jp", ""},
    {"b.c.kobe.jp", "b.c.kobe.jp"},
    {"a.b.c.kobe.jp", "b.c.kobe.jp"},
    {"city.kobe.jp", "city.kobe.jp"},
    {"www.city.kobe.jp", "city.kobe.jp"},
    /* a wildcard and exceptions */
    {"ck", ""},
    {"test.ck", ""},
    {"b.test.ck", "b.test.ck"},
    {"a.b.test.ck", "b.test.ck"},
    {"www.ck", "www.ck"},
    {"www.www.ck", "www.ck"},
    /* US K12 */
    {"us", ""},
    {"test.us", "test.us"},
    {"www.test.us", "test.us"},
    {"ak.us", ""},
    {"test.ak.us", "test.ak.us"},
    {"www.test.ak.us", "test.ak.us"},
    {"k12.ak.us", ""},
    {"test.k12.ak.us", "test.k12.ak.us"},
    {"www.test.k12.ak.us", "test.k12.ak.us"},
    /* IDN labels: 食狮.com.cn, 食狮.公司.cn, shishi.公司.cn, 食狮.中国, shishi.中国 */
    {"xn--85x722f.com.cn", "xn--85x722f.com.cn"},
    {"xn--85x722f.xn--55qx5d.cn", "xn--85x722f.xn--55qx5d.cn"},
    {"www.xn--85x722f.xn--55qx5d.cn", "xn--85x722f.xn--55qx5d.cn"},
    {"shishi.xn--55qx5d.cn", "shishi.xn--55qx5d.cn"},
    {"xn--55qx5d.cn", ""},
    {"xn--85x722f.xn--fiqs8s", "xn--85x722f.xn--fiqs8s"},
    {"www.xn--85x722f.xn--fiqs8s", "xn--85x722f.xn--fiqs8s"},
    {"shishi.xn--fiqs8s", "shishi.xn--fiqs8s"},
    {"xn--fiqs8s", ""},
    /* what Japan asks of it */
    {"co.jp", ""},
    {"example.co.jp", "example.co.jp"},
    {"mail.tokyo.example.co.jp", "example.co.jp"},
    {"kawasaki.jp", ""},
    {"c.kawasaki.jp", ""},
    {"b.c.kawasaki.jp", "b.c.kawasaki.jp"},
    {"city.kawasaki.jp", "city.kawasaki.jp"},
    {"pref.osaka.jp", "pref.osaka.jp"},
    {"www.pref.osaka.jp", "pref.osaka.jp"},
    {"www.city.osaka.jp", "city.osaka.jp"},
    {"example.lg.jp", "example.lg.jp"},
    /* the private part of the list */
    {"github.io", ""},
    {"a.github.io", "a.github.io"},
    /* none */
    {"", ""},
    {"[192.0.2.1]", ""},
};

static void test_registrable(void)
{
    struct suffixes *s = suffixes_open();
    CU_ASSERT_FATAL(s != NULL);
    for (size_t i = 0; i < countof(rows); i++)
        expect_str(domain_registrable(s, str_c(rows[i].domain)), str_c(rows[i].want),
                   rows[i].domain);
    suffixes_close(&s);
    CU_ASSERT(s == NULL);
}

/* A mapped domain comes out as the list has it, in whatever letters it went in. */
static void test_letters(void)
{
    static const char *const same[] = {"食狮.公司.cn", "xn--85x722f.xn--55qx5d.cn",
                                       "食狮。公司。CN", "XN--85X722F.xn--55qx5d.cn"};
    struct suffixes *s = suffixes_open();
    struct arena arena;
    arena_init(&arena, 1 << 16);
    for (size_t i = 0; i < countof(same); i++) {
        struct str domain;
        CU_ASSERT_FATAL(domain_to_ascii(str_c(same[i]), &arena, &domain) == DOMAIN_OK);
        expect_str(domain_registrable(s, domain), STR("xn--85x722f.xn--55qx5d.cn"), same[i]);
    }
    arena_drop(&arena);
    suffixes_close(&s);
}

static const struct {
    const char *a, *b;
    bool same;
} pairs[] = {
    {"a.example.co.jp", "b.example.co.jp", true},
    {"example.co.jp", "b.example.co.jp", true},
    {"one.co.jp", "two.co.jp", false},
    {"co.jp", "co.jp", true},
    {"co.jp", "one.co.jp", false},
    {"co.jp", "ac.jp", false},
    {"a.c.kawasaki.jp", "b.c.kawasaki.jp", false},
    {"www.city.kawasaki.jp", "mail.city.kawasaki.jp", true},
    {"a.github.io", "b.github.io", false},
    {"evilexample.com", "example.com", false},
    {"[192.0.2.1]", "[192.0.2.1]", true},
    {"[192.0.2.1]", "[192.0.2.2]", false},
};

static void test_same(void)
{
    struct suffixes *s = suffixes_open();
    for (size_t i = 0; i < countof(pairs); i++) {
        struct str a = str_c(pairs[i].a), b = str_c(pairs[i].b);
        expect(domain_same_organisation(s, a, b) == pairs[i].same, "%s, %s", pairs[i].a,
               pairs[i].b);
        expect(domain_same_organisation(s, b, a) == pairs[i].same, "%s, %s", pairs[i].b,
               pairs[i].a);
    }
    suffixes_close(&s);
}

int main(void)
{
    const struct test tests[] = {
        {"ADDR-23 registrable", test_registrable},
        {"ADDR-23 in any letters", test_letters},
        {"ADDR-23 same organisation", test_same},
        {NULL, NULL},
    };
    return harness_run("domain", tests);
}
