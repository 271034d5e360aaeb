#include "core/base/network.h"

#include "core/base/base.h"
#include "tests/unit/harness.h"

#include <arpa/inet.h>

static const struct {
    const char *text, *spelt;
    enum network_status status;
} parse_rows[] = {
    {"192.0.2.0/24", "192.0.2.0/24", NETWORK_OK},
    {"192.0.2.1", "192.0.2.1/32", NETWORK_OK},
    {"2001:DB8:0::/32", "2001:db8::/32", NETWORK_OK},
    {"2001:db8::1", "2001:db8::1/128", NETWORK_OK},
    {"0.0.0.0/0", "0.0.0.0/0", NETWORK_OK},
    {"192.0.2.1/24", "192.0.2.0/24", NETWORK_HOST_BITS},
    {"10.0.0.0/9", "10.0.0.0/9", NETWORK_OK},
    {"10.64.0.0/9", "10.0.0.0/9", NETWORK_HOST_BITS},
    {"2001:db8::1/64", "2001:db8::/64", NETWORK_HOST_BITS},
    {"192.0.2.0/33", NULL, NETWORK_BAD},
    {"192.0.2.0/", NULL, NETWORK_BAD},
    {"192.0.2/24", NULL, NETWORK_BAD},
    {"192.0.2.0/+8", NULL, NETWORK_BAD},
    {"192.0.2.0/24/1", NULL, NETWORK_BAD},
    {"::ffff:192.0.2.0/120", NULL, NETWORK_BAD},
    {"int.example", NULL, NETWORK_BAD},
    {"", NULL, NETWORK_BAD},
};

static void test_parse(void)
{
    for (size_t i = 0; i < countof(parse_rows); i++) {
        struct network n;
        char room[64];
        struct buffer b = {.at = room, .room = sizeof room, .max = sizeof room};
        enum network_status status = network_parse(str_c(parse_rows[i].text), &n);
        expect(status == parse_rows[i].status, "%s: %u", parse_rows[i].text, (unsigned)status);
        if (!parse_rows[i].spelt)
            continue;
        network_write(&n, &b);
        expect_str(buffer_str(&b), str_c(parse_rows[i].spelt), parse_rows[i].text);
    }
}

static const struct {
    const char *network, *address;
    bool holds;
} holds_rows[] = {
    {"192.0.2.0/24", "192.0.2.255", true},
    {"192.0.2.0/24", "192.0.3.0", false},
    {"192.0.2.0/24", "::ffff:192.0.2.9", true},
    {"192.0.2.0/25", "192.0.2.128", false},
    {"10.0.0.0/9", "10.127.255.255", true},
    {"10.0.0.0/9", "10.128.0.0", false},
    {"2001:db8::/32", "2001:db8:ffff::1", true},
    {"2001:db8::/33", "2001:db8:8000::1", false},
    {"2001:db8::/32", "192.0.2.1", false},
    {"32.1.13.184/32", "2001:db8::", false}, /* the same first bytes */
    {"127.0.0.0/8", "127.0.0.1", true},
    {"127.0.0.0/8", "::1", false},
};

static void test_holds(void)
{
    for (size_t i = 0; i < countof(holds_rows); i++) {
        struct network n;
        uint8_t at[16];
        bool is_six = strchr(holds_rows[i].address, ':') != NULL;
        CU_ASSERT_FATAL(network_parse(str_c(holds_rows[i].network), &n) == NETWORK_OK);
        CU_ASSERT_FATAL(inet_pton(is_six ? AF_INET6 : AF_INET, holds_rows[i].address, at) == 1);
        expect(network_holds(&n, at, is_six ? 16 : 4) == holds_rows[i].holds, "%s in %s",
               holds_rows[i].address, holds_rows[i].network);
    }
    struct network n;
    CU_ASSERT_FATAL(network_parse(STR("127.0.0.0/8"), &n) == NETWORK_OK);
    expect(!network_holds(&n, NULL, 0), "no address is in no network");
}

int main(void)
{
    const struct test tests[] = {
        {"CIDR texts", test_parse},
        {"addresses in networks", test_holds},
        {0},
    };
    return harness_run("network", tests);
}
