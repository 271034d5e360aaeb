#include "shards/guard.h"

#include "core/base/base.h"
#include "core/base/limit.h"
#include "tests/unit/harness.h"

enum {
    MINUTE = 60000,
    HOUR = 3600000
};

static struct guard g;
static struct settings *settings;

/* The guard with some settings that are not the defaults. */
static void set_up(const char *overrides)
{
    struct str entries[16], rest = str_c(overrides);
    size_t count = 0;
    struct buffer errors;
    buffer_init(&errors, 4096);
    while (rest.len && count < countof(entries))
        entries[count++] = str_word(&rest);
    settings = settings_load(STR(""), "", entries, count, &errors);
    expect(settings != NULL, "%.*s", STR_ARG(buffer_str(&errors)));
    guard_init(&g);
    guard_use(&g, settings);
    buffer_drop(&errors);
}

static void tear_down(void)
{
    guard_drop(&g);
    settings_drop(&settings);
}

static struct str address(uint8_t at[16], size_t bytes, uint8_t net, uint8_t host)
{
    memset(at, 0, 16);
    at[0] = 0x20;
    at[bytes == 4 ? 2 : 7] = net;
    at[bytes - 1] = host;
    return str_from((const char *)at, bytes);
}

/* DOS-01, DOS-02: so many at once, and a place that was given back is there again. */
static void test_connections(void)
{
    uint8_t at[16];
    struct guard_entry *e[4], *other;
    set_up("connections_per_client=3");
    for (int i = 0; i < 3; i++)
        CU_ASSERT(guard_open(&g, GUARD_CLIENT, address(at, 4, 1, 1), 0, &e[i]) == GUARD_OK);
    CU_ASSERT(guard_open(&g, GUARD_CLIENT, address(at, 4, 1, 1), 0, &e[3]) == GUARD_CONNECTIONS);
    CU_ASSERT(e[3] == NULL);
    CU_ASSERT(guard_is_news(&g, GUARD_CLIENT, address(at, 4, 1, 1)));
    CU_ASSERT(!guard_is_news(&g, GUARD_CLIENT, address(at, 4, 1, 1)));
    CU_ASSERT(guard_open(&g, GUARD_CLIENT, address(at, 4, 1, 2), 0, &other) == GUARD_OK);
    CU_ASSERT(guard_open(&g, GUARD_RELAY, address(at, 4, 1, 1), 0, &e[3]) == GUARD_OK);
    guard_close(&g, &e[3]);
    guard_close(&g, &e[0]);
    CU_ASSERT(e[0] == NULL);
    CU_ASSERT(guard_open(&g, GUARD_CLIENT, address(at, 4, 1, 1), 0, &e[0]) == GUARD_OK);
    CU_ASSERT(guard_is_news(&g, GUARD_CLIENT, address(at, 4, 1, 1)));
    guard_close(&g, &e[3]); /* NULL is allowed */
    tear_down();
}

static void test_networks_of_ipv6(void)
{
    uint8_t at[16];
    struct guard_entry *e[3];
    set_up("connections_per_client=2");
    CU_ASSERT(guard_open(&g, GUARD_CLIENT, address(at, 16, 1, 1), 0, &e[0]) == GUARD_OK);
    CU_ASSERT(guard_open(&g, GUARD_CLIENT, address(at, 16, 1, 2), 0, &e[1]) == GUARD_OK);
    CU_ASSERT(guard_open(&g, GUARD_CLIENT, address(at, 16, 1, 3), 0, &e[2]) == GUARD_CONNECTIONS);
    CU_ASSERT(guard_open(&g, GUARD_CLIENT, address(at, 16, 2, 3), 0, &e[2]) == GUARD_OK);
    tear_down();
}

/* How many of `count` are let through, one each `step` ms from `at` on. */
static unsigned messages(const struct guard_party *p, unsigned count, uint64_t at, uint64_t step)
{
    unsigned good = 0;
    for (unsigned i = 0; i < count; i++)
        good += guard_message(&g, p, at + i * step);
    return good;
}

static void test_rates(void)
{
    struct guard_party p = {0};
    set_up("messages_per_user_minute=10 messages_per_user_hour=25 recipients_per_user_minute=3");
    CU_ASSERT(guard_open(&g, GUARD_USER, STR("a@int.example"), 0, &p.user) == GUARD_OK);
    CU_ASSERT(messages(&p, 20, 0, 100) == 10);
    CU_ASSERT(messages(&p, 20, MINUTE - 1, 0) == 0);
    expect(messages(&p, 20, MINUTE + MINUTE / 2, 0) == 5, "half of the minute before still counts");
    CU_ASSERT(messages(&p, 20, 5 * MINUTE, 0) == 10);
    expect(messages(&p, 20, 10 * MINUTE, 0) == 0, "the hour's 25 are used up");
    CU_ASSERT(messages(&p, 100, 3 * HOUR, 0) == 10);
    for (int i = 0; i < 3; i++)
        CU_ASSERT(guard_recipient(&g, &p, 4 * HOUR));
    CU_ASSERT(!guard_recipient(&g, &p, 4 * HOUR));
    guard_close(&g, &p.user);
    expect(guard_open(&g, GUARD_USER, STR("a@int.example"), 0, &p.user) == GUARD_OK &&
               messages(&p, 1, 3 * HOUR, 0) == 0,
           "hanging up does not help");
    tear_down();
}

/* Bursts that know where the minutes end: at most twice the limit in any 60 s, and the limit in the
 * long run. */
static void test_rate_bound(void)
{
    struct guard_party p = {0};
    static uint64_t taken[4096];
    unsigned count = 0, most = 0;
    set_up("messages_per_user_minute=60 messages_per_user_hour=1000000");
    CU_ASSERT(guard_open(&g, GUARD_USER, STR("a"), 0, &p.user) == GUARD_OK);
    for (uint64_t now = 0; now < 20 * (uint64_t)MINUTE && count < countof(taken); now += 700)
        if (now % (3 * MINUTE) > 2 * MINUTE - 5000 && guard_message(&g, &p, now))
            taken[count++] = now;
    for (unsigned i = 0, from = 0; i < count; i++) {
        while (taken[i] - taken[from] >= MINUTE)
            from++;
        most = i - from + 1 > most ? i - from + 1 : most;
    }
    expect(most <= 2 * 60 && most >= 60, "%u in a minute, of 60", most);
    expect(count <= 20 * 60, "%u in 20 minutes", count);
    tear_down();
}

/* Counted for all or for none: what the user may not does not use up the organisation's. */
static void test_party(void)
{
    struct guard_party a = {0}, b = {0};
    set_up("messages_per_user_minute=2 messages_per_organisation_hour=3");
    CU_ASSERT(guard_open(&g, GUARD_USER, STR("a"), 0, &a.user) == GUARD_OK);
    CU_ASSERT(guard_open(&g, GUARD_USER, STR("b"), 0, &b.user) == GUARD_OK);
    CU_ASSERT(guard_open(&g, GUARD_ORGANISATION, STR("o"), 0, &a.organisation) == GUARD_OK);
    CU_ASSERT(guard_open(&g, GUARD_ORGANISATION, STR("o"), 0, &b.organisation) == GUARD_OK);
    CU_ASSERT(a.organisation == b.organisation && guard_is(&g, a.organisation, STR("o")));
    CU_ASSERT(!guard_is(&g, a.organisation, STR("p")));
    CU_ASSERT(messages(&a, 10, 0, 0) == 2);
    CU_ASSERT(messages(&b, 10, 0, 0) == 1);
    tear_down();
}

static void test_errors(void)
{
    uint8_t at[16];
    struct guard_entry *e, *again;
    set_up("errors_per_client_minute=20");
    CU_ASSERT(guard_open(&g, GUARD_CLIENT, address(at, 4, 1, 1), 0, &e) == GUARD_OK);
    guard_errors(&g, e, 19, 0);
    CU_ASSERT(guard_open(&g, GUARD_CLIENT, address(at, 4, 1, 1), 0, &again) == GUARD_OK);
    guard_errors(&g, again, 1, 0);
    CU_ASSERT(guard_open(&g, GUARD_CLIENT, address(at, 4, 1, 1), 0, &again) == GUARD_FAULTS);
    CU_ASSERT(guard_open(&g, GUARD_CLIENT, address(at, 4, 1, 1), 2 * MINUTE, &again) == GUARD_OK);
    guard_errors(&g, NULL, 1, 0); /* exempt */
    tear_down();
}

static void test_connects(void)
{
    uint8_t at[16];
    struct guard_entry *e;
    unsigned good = 0;
    set_up("connects_per_client_minute=50");
    for (int i = 0; i < 100; i++) {
        good += guard_open(&g, GUARD_CLIENT, address(at, 4, 1, 1), 0, &e) == GUARD_OK;
        guard_close(&g, &e);
    }
    CU_ASSERT(good == 50);
    tear_down();
}

struct login {
    uint8_t host;
    const char *user;
    bool good; /* the password */
};

/* Was it heard? And then it is noted. */
static bool attempt(struct guard_entry *client, struct login l, uint64_t now)
{
    uint8_t at[16];
    struct str from = address(at, 4, 1, l.host);
    bool heard = guard_login(&g, client, from, str_c(l.user), now);
    if (heard)
        (void)guard_login_done(&g, client, from, str_c(l.user), l.good, now);
    return heard;
}

/* TLSIN-09: one address for many names. */
static void test_login_address(void)
{
    uint8_t at[16];
    char user[32];
    struct guard_entry *e;
    unsigned heard = 0;
    set_up("auth_failures_per_client=30 auth_lockout=10m auth_window=10m");
    CU_ASSERT(guard_open(&g, GUARD_CLIENT, address(at, 4, 1, 1), 0, &e) == GUARD_OK);
    CU_ASSERT(attempt(e, (struct login){1, "old@int.example", true}, 0));
    for (unsigned i = 0; i < 100; i++) {
        (void)snprintf(user, sizeof user, "user%u", i);
        heard += attempt(e, (struct login){1, user, false}, i);
    }
    expect(heard == 30, "%u heard", heard);
    expect(!attempt(e, (struct login){1, "new@int.example", true}, 1000), "the right one neither");
    expect(attempt(e, (struct login){1, "OLD@int.example", true}, 1000), "but who was here before");
    expect(attempt(NULL, (struct login){2, "new@int.example", true}, 1000), "or is elsewhere");
    expect(attempt(e, (struct login){1, "new@int.example", true}, 31 * MINUTE), "in the end");
    tear_down();
}

/* TLSIN-09: many addresses for one name, known or not: the same verdicts; and the victim. */
static void test_login_name(void)
{
    static const char *const names[] = {"alice@int.example", "nobody@int.example"};
    set_up("auth_failures_per_user=60 auth_window=10m");
    CU_ASSERT(attempt(NULL, (struct login){200, names[0], true}, 0));
    for (size_t n = 0; n < countof(names); n++) {
        unsigned heard = 0;
        for (unsigned i = 0; i < 100; i++)
            heard += attempt(NULL, (struct login){(uint8_t)i, names[n], false}, i);
        expect(heard == 60, "%s: %u heard", names[n], heard);
    }
    expect(attempt(NULL, (struct login){200, names[0], true}, 1000), "the victim, at its place");
    expect(!attempt(NULL, (struct login){201, names[0], true}, 1000), "elsewhere: not now");
    expect(attempt(NULL, (struct login){201, names[0], true}, 21 * MINUTE), "but soon");
    tear_down();
}

/* A friend that fails too often is none. */
static void test_login_friend(void)
{
    unsigned heard = 0;
    set_up("auth_failures_per_client=30 auth_failures_per_user=60");
    CU_ASSERT(attempt(NULL, (struct login){1, "a", true}, 0));
    for (unsigned i = 0; i < 100; i++)
        heard += attempt(NULL, (struct login){1, "a", false}, i);
    expect(heard == 60, "%u heard: 30 as a friend, and the name's others", heard);
    tear_down();
}

static void test_login_everybody(void)
{
    char user[32];
    unsigned heard = 0;
    set_up("auth_failures=100");
    CU_ASSERT(attempt(NULL, (struct login){1, "old", true}, 0));
    for (unsigned i = 0; i < 200; i++) {
        (void)snprintf(user, sizeof user, "user%u", i);
        heard += attempt(NULL, (struct login){(uint8_t)i, user, false}, i);
    }
    expect(heard == 100, "%u heard", heard);
    CU_ASSERT(attempt(NULL, (struct login){1, "old", true}, 300));
    tear_down();
}

/* More names than entries: the memory does not grow, the oldest idle one is forgotten, one with a
 * connection never. */
static void test_full(void)
{
    struct guard_party kept = {0}, first = {0};
    struct guard_entry *e;
    uint32_t n = 0;
    set_up("messages_per_user_minute=1");
    CU_ASSERT(guard_open(&g, GUARD_USER, STR("kept"), 0, &kept.user) == GUARD_OK);
    CU_ASSERT(guard_open(&g, GUARD_USER, STR("first"), 0, &first.user) == GUARD_OK);
    CU_ASSERT(messages(&kept, 2, 0, 0) == 1 && messages(&first, 2, 0, 0) == 1);
    guard_close(&g, &first.user);
    for (; n < 2 * LIMIT_GUARD_ENTRIES; n++) {
        CU_ASSERT(guard_open(&g, GUARD_USER, str_from((char *)&n, sizeof n), 0, &e) == GUARD_OK);
        guard_close(&g, &e);
    }
    CU_ASSERT(g.table[GUARD_USER].entries.used == LIMIT_GUARD_ENTRIES);
    CU_ASSERT(g.table[GUARD_USER].entries.made == LIMIT_GUARD_ENTRIES);
    CU_ASSERT(messages(&kept, 1, 0, 0) == 0);
    CU_ASSERT(guard_open(&g, GUARD_USER, STR("first"), 0, &first.user) == GUARD_OK);
    CU_ASSERT(messages(&first, 1, 0, 0) == 1);
    for (n = 0; n < LIMIT_GUARD_ENTRIES - 2; n++)
        CU_ASSERT(guard_open(&g, GUARD_USER, str_from((char *)&n, sizeof n), 0, &e) == GUARD_OK);
    CU_ASSERT(guard_open(&g, GUARD_USER, STR("one more"), 0, &e) == GUARD_FULL && !e);
    guard_close(&g, &first.user);
    CU_ASSERT(guard_open(&g, GUARD_USER, STR("one more"), 0, &e) == GUARD_OK);
    tear_down();
}

int main(void)
{
    const struct test tests[] = {
        {"connections at once", test_connections},
        {"an IPv6 client is its /64", test_networks_of_ipv6},
        {"rates of a minute and an hour", test_rates},
        {"no pattern gets around a rate", test_rate_bound},
        {"for all or for none", test_party},
        {"errors over connections", test_errors},
        {"new connections of a minute", test_connects},
        {"TLSIN-09 one address, many names", test_login_address},
        {"TLSIN-09 many addresses, one name", test_login_name},
        {"TLSIN-09 a friend that fails", test_login_friend},
        {"TLSIN-09 everybody", test_login_everybody},
        {"entries are used up", test_full},
        {0},
    };
    return harness_run("guard", tests);
}
