#include "core/policy/directory.h"

#include "core/base/base.h"
#include "core/policy/rulefile.h"
#include "tests/unit/harness.h"

#include <arpa/inet.h>

static struct buffer errors;

static const char one_text[] =
    "organisation: one\n"
    "domains: [int.example, '*.int.example', '*.wide.example', 日本.example]\n"
    "affiliates: [group.example, '*.group.example', 'shop.wide.example']\n"
    "networks: [192.0.2.0/24, '2001:db8::/32', 10.0.0.0/8]\n"
    "hosts: [smtp.int.example]\n"
    "users:\n"
    "  - {address: Alice@int.example, send_as: [Info@int.example]}\n"
    "  - {address: bob@int.example}\n"
    "groups:\n"
    "  helpdesk: {members: [bob@int.example], mailbox: help@int.example}\n"
    "  plain: [alice@int.example]\n";
static const char two_text[] = "organisation: two\n"
                               "domains: [two.example, own.wide.example]\n"
                               "networks: [10.1.0.0/16, 192.0.2.7]\n"
                               "users:\n  - {address: carol@two.example}\n";

static struct organisation *make(const char *text)
{
    buffer_clear(&errors);
    struct organisation *o = rulefile_read(str_c(text), "f", NULL, &errors);
    expect_str(buffer_str(&errors), STR(""), "reading");
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    return o;
}

static const struct {
    const char *domain;
    enum recipient_class want;
} class_rows[] = {
    {"int.example", CLASS_INTERNAL},
    {"INT.Example", CLASS_INTERNAL},
    {"a.int.example", CLASS_INTERNAL},
    {"b.a.int.example", CLASS_INTERNAL},
    {"evilint.example", CLASS_EXTERNAL},
    {"int.example.evil", CLASS_EXTERNAL},
    {"int.example.", CLASS_EXTERNAL},
    {"example", CLASS_EXTERNAL},
    {"group.example", CLASS_AFFILIATE},
    {"x.group.example", CLASS_AFFILIATE},
    {"xgroup.example", CLASS_EXTERNAL},
    {"wide.example", CLASS_EXTERNAL}, /* only what is below */
    {"a.wide.example", CLASS_INTERNAL},
    {"shop.wide.example", CLASS_AFFILIATE}, /* the more specific */
    {"a.shop.wide.example", CLASS_INTERNAL},
    {"xn--wgv71a.example", CLASS_INTERNAL},
    {"", CLASS_EXTERNAL},
    {"[192.0.2.1]", CLASS_EXTERNAL},
};

static void test_class(void)
{
    struct organisation *o = make(one_text);
    for (size_t i = 0; i < countof(class_rows); i++)
        expect(organisation_class(o, str_c(class_rows[i].domain)) == class_rows[i].want, "%s",
               class_rows[i].domain);
    organisation_drop(&o);
}

static const struct {
    const char *name, *user, *address;
    bool may;
} send_rows[] = {
    {"REL-03 itself", "alice@int.example", "alice@int.example", true},
    {"REL-03 itself, another case", "alice@int.example", "ALICE@int.example", true},
    {"REL-03 a colleague", "alice@int.example", "bob@int.example", false},
    {"REL-03 null", "alice@int.example", "", false},
    {"REL-03 another domain", "alice@int.example", "alice@ext.example", false},
    {"REL-03 a domain below", "alice@int.example", "alice@a.int.example", false},
    {"granted", "alice@int.example", "info@int.example", true},
    {"granted to another", "bob@int.example", "info@int.example", false},
    {"shared mailbox of a member", "bob@int.example", "help@int.example", true},
    {"shared mailbox of others", "alice@int.example", "help@int.example", false},
    {"a member of a group that has none", "alice@int.example", "plain@int.example", false},
};

static void test_may_send(void)
{
    struct organisation *o = make(one_text);
    for (size_t i = 0; i < countof(send_rows); i++) {
        const struct user *u = organisation_user(o, str_c(send_rows[i].user));
        CU_ASSERT_PTR_NOT_NULL_FATAL(u);
        expect(organisation_may_send(o, u, str_c(send_rows[i].address)) == send_rows[i].may, "%s",
               send_rows[i].name);
    }
    const struct user *bob = organisation_user(o, STR("bob@int.example"));
    expect(organisation_is_member(organisation_group(o, STR("helpdesk")), bob), "member");
    expect(!organisation_is_member(organisation_group(o, STR("plain")), bob), "no member");
    expect(!organisation_group(o, STR("none")), "no group");
    organisation_drop(&o);
}

static const struct {
    const char *address, *owner;
} network_rows[] = {
    {"192.0.2.1", "one"},   {"192.0.2.7", "two"}, /* the most specific */
    {"192.0.3.1", NULL},    {"10.9.9.9", "one"},   {"10.1.2.3", "two"}, {"::ffff:10.1.2.3", "two"},
    {"2001:db8::1", "one"}, {"2001:db9::1", NULL}, {"::1", NULL},
};

static const struct {
    const char *domain, *owner;
} owner_rows[] = {
    {"int.example", "one"},
    {"a.int.example", "one"},
    {"TWO.example", "two"},
    {"own.wide.example", "two"},
    {"any.wide.example", "one"},
    {"a.two.example", NULL},
    {"group.example", NULL}, /* an affiliate is not its own */
    {"", NULL},
};

static void expect_owner(const struct organisation *o, const char *owner, const char *what)
{
    expect_str(o ? o->name : STR("nobody"), owner ? str_c(owner) : STR("nobody"), what);
}

static void test_directory(void)
{
    struct organisation *both[] = {make(one_text), make(two_text)};
    struct directory *d = directory_make(both, 2, &errors);
    expect_str(buffer_str(&errors), STR(""), "directory");
    CU_ASSERT_PTR_NOT_NULL_FATAL(d);
    for (size_t i = 0; i < countof(network_rows); i++) {
        uint8_t at[16];
        bool is_six = strchr(network_rows[i].address, ':') != NULL;
        CU_ASSERT_FATAL(inet_pton(is_six ? AF_INET6 : AF_INET, network_rows[i].address, at) == 1);
        expect_owner(directory_by_network(d, at, is_six ? 16 : 4), network_rows[i].owner,
                     network_rows[i].address);
    }
    for (size_t i = 0; i < countof(owner_rows); i++)
        expect_owner(directory_by_domain(d, str_c(owner_rows[i].domain)), owner_rows[i].owner,
                     owner_rows[i].domain);
    const struct organisation *o;
    const struct user *u = directory_user(d, STR("CAROL@two.example"), &o);
    expect(u != NULL, "user");
    expect_owner(o, "two", "user's");
    expect(!directory_user(d, STR("carol@one.example"), &o) && !o, "nobody");
    expect(directory_user(d, STR(""), NULL) == NULL, "no login");
    expect_owner(directory_find(d, STR("two")), "two", "by name");
    expect_owner(directory_by_host(d, STR("SMTP.int.example")), "one", "by host");
    expect(directory_by_network(d, NULL, 0) == NULL, "no address");
    directory_drop(&d);
    directory_drop(&d);
}

static const struct {
    const char *name, *text, *want;
} claim_rows[] = {
    {"name", "organisation: one\ndomains: [x.example]\n", "one: the name 'one' belongs to 'one'\n"},
    {"domain", "organisation: x\ndomains: [INT.example]\n",
     "x: domain 'int.example' belongs to 'one'\n"},
    {"domains below", "organisation: x\ndomains: ['*.int.example']\n",
     "x: domain '*.int.example' belongs to 'one'\n"},
    {"network", "organisation: x\ndomains: [x.example]\nnetworks: [10.0.0.0/8]\n",
     "x: network '10.0.0.0/8' belongs to 'one'\n"},
    {"host", "organisation: x\ndomains: [x.example]\nhosts: [smtp.int.example]\n",
     "x: host 'smtp.int.example' belongs to 'one'\n"},
    {"user", "organisation: x\ndomains: [int.example]\nusers:\n  - {address: ALICE@int.example}\n",
     "x: domain 'int.example' belongs to 'one'\nx: user 'ALICE@int.example' belongs to 'one'\n"},
};

static void test_claims(void)
{
    for (size_t i = 0; i < countof(claim_rows); i++) {
        struct organisation *both[] = {make(one_text), make(claim_rows[i].text)};
        expect(directory_make(both, 2, &errors) == NULL, "%s", claim_rows[i].name);
        expect_str(buffer_str(&errors), str_c(claim_rows[i].want), claim_rows[i].name);
        organisation_drop(&both[0]); /* still ours */
        organisation_drop(&both[1]);
    }
    buffer_clear(&errors);
    struct directory *d = directory_make(NULL, 0, &errors);
    CU_ASSERT_PTR_NOT_NULL_FATAL(d);
    expect(directory_by_domain(d, STR("int.example")) == NULL, "an empty directory");
    directory_drop(&d);
}

int main(void)
{
    buffer_init(&errors, 1 << 16);
    const struct test tests[] = {
        {"classes at label boundaries", test_class},
        {"REL-03 who may send as whom", test_may_send},
        {"directory", test_directory},
        {"two that claim one thing", test_claims},
        {0},
    };
    int status = harness_run("organisation", tests);
    buffer_drop(&errors);
    return status;
}
