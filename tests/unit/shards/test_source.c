#include "shards/source.h"

#include "core/base/base.h"
#include "tests/unit/harness.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static struct buffer errors;

static struct settings *load(const char *text)
{
    struct settings *s = settings_load(str_c(text), "f", NULL, 0, &errors);
    expect(s != NULL, "%.*s", STR_ARG(buffer_str(&errors)));
    must(s != NULL);
    return s;
}

/* The last number of an address: which of the rows below. */
static unsigned last(const struct source *s)
{
    if (!s)
        return 0;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&s->address;
    const struct sockaddr_in *four = (const struct sockaddr_in *)&s->address;
    return s->address.ss_family == AF_INET6 ? six->sin6_addr.s6_addr[15]
                                            : ntohl(four->sin_addr.s_addr) & 0xff;
}

static const struct {
    const char *name, *setting;
    int family;
    const char *want; /* of six calls of one destination */
} rows[] = {
    {"none: the system chooses", "[]", AF_INET, "000000"},
    {"one", "[192.0.2.1]", AF_INET, "111111"},
    {"in turn", "[192.0.2.1, 192.0.2.2=b.example, 192.0.2.3]", AF_INET, "123123"},
    {"of the family", "[192.0.2.1, \"2001:db8::2\", \"2001:db8::3\", 192.0.2.4]", AF_INET,
     "141414"},
    {"of the other family", "[192.0.2.1, \"2001:db8::2\", \"2001:db8::3\", 192.0.2.4]", AF_INET6,
     "232323"},
    {"none of the family: the system chooses", "[192.0.2.1]", AF_INET6, "000000"},
};

static void test_rows(void)
{
    for (size_t i = 0; i < countof(rows); i++) {
        static struct sources s;
        char text[256], got[7] = "";
        uint32_t turn = 0;
        (void)snprintf(text, sizeof text, "outbound_addresses: %s\n", rows[i].setting);
        struct settings *set = load(text);
        s = (struct sources){0};
        sources_use(&s, set);
        for (size_t n = 0; n < 6; n++) {
            struct source *one;
            expect(sources_next(&s, rows[i].family, 1000, &turn, &one), "%s", rows[i].name);
            got[n] = (char)('0' + last(one));
        }
        expect_str(str_c(got), str_c(rows[i].want), rows[i].name);
        settings_drop(&set);
    }
}

static void test_failures(void)
{
    static struct sources s;
    struct settings *set = load("outbound_addresses: [192.0.2.1=a.example, 192.0.2.2]\n");
    struct source *one, *two;
    uint32_t turn = 0;
    sources_use(&s, set);
    expect(sources_next(&s, AF_INET, 1000, &turn, &one) && last(one) == 1, "the first");
    expect(source_fails(one, 1000), "is news");
    for (int n = 0; n < 4; n++)
        expect(sources_next(&s, AF_INET, 2000, &turn, &two) && last(two) == 2, "left out");
    expect(source_fails(two, 2000), "is news");
    expect(!sources_next(&s, AF_INET, 2000, &turn, &two) && !two, "none can be used");
    expect(sources_next(&s, AF_INET6, 2000, &turn, &two) && !two, "another family is as it was");
    sources_use(&s, set); /* a reload does not forget it */
    expect(!sources_next(&s, AF_INET, 1000 + SOURCE_SKIP_MS - 1, &turn, &two), "a minute");
    expect(sources_next(&s, AF_INET, 1000 + SOURCE_SKIP_MS, &turn, &two) && two == one, "over");
    expect(!source_fails(one, 100000), "still down is no news");
    source_works(one);
    expect(source_fails(one, 200000), "down again is");
    settings_drop(&set);
}

static void test_names(void)
{
    static struct sources s;
    struct settings *set = load("outbound_addresses: [192.0.2.1=a.example, 192.0.2.2]\n");
    sources_use(&s, set);
    settings_drop(&set); /* a session goes on with the bytes */
    expect_str(s.at[0].settings[0].hostname, STR("a.example"), "name");
    expect(s.at[0].settings[0].use_tls && !s.at[0].settings[1].use_tls, "with TLS, and without");
    expect(s.at[1].name[0] == '\0', "the host's");
    set = load("outbound_addresses: []\n");
    sources_use(&s, set);
    expect(s.count == 0, "none");
    expect_str(s.at[0].settings[1].hostname, STR("a.example"), "kept for those who still use it");
    settings_drop(&set);
}

int main(void)
{
    buffer_init(&errors, 1 << 16);
    const struct test tests[] = {
        {"which is next", test_rows},
        {"those that fail", test_failures},
        {"names", test_names},
        {0},
    };
    int status = harness_run("source", tests);
    buffer_drop(&errors);
    return status;
}
