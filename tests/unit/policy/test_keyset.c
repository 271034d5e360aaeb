#include "core/policy/keyset.h"

#include "core/base/base.h"
#include "tests/unit/harness.h"

static const struct {
    const char *domain, *found;
} domain_rows[] = {
    {"int.example", "int.example"},
    {"a.int.example", ""},
    {"evilint.example", ""},
    {"a.sub.example", ".sub.example"},
    {"b.a.sub.example", ".sub.example"},
    {"sub.example", ""}, /* "*." is all below, not itself */
    {"evilsub.example", ""},
    {"x.deep.sub.example", ".deep.sub.example"}, /* the longest */
    {"example", ""},
    {"", ""},
    {".sub.example.", ""},
    {"[127.0.0.1]", ""},
};

static void test_domains(void)
{
    static const struct str set[] = {STR_INIT("int.example"), STR_INIT("*.sub.example"),
                                     STR_INIT("*.deep.sub.example")};
    struct arena a;
    struct keyset keys;
    arena_init(&a, 1 << 16);
    CU_ASSERT_FATAL(keyset_make(&a, set, countof(set), &keys));
    for (size_t i = 0; i < countof(domain_rows); i++)
        expect_str(keyset_domain(&keys, str_c(domain_rows[i].domain)), str_c(domain_rows[i].found),
                   domain_rows[i].domain);
    arena_drop(&a);
}

int main(void)
{
    const struct test tests[] = {
        {"domains at label boundaries", test_domains},
        {0},
    };
    return harness_run("keyset", tests);
}
