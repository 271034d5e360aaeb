#include "core/io/own.h"

#include "core/base/base.h"
#include "core/io/acceptor.h"
#include "tests/unit/harness.h"

#include <unistd.h>

static const char *const addresses[] = {"127.0.0.1", "192.0.2.7", "2001:db8::7", "::1"};

static const struct {
    const char *name, *listener, *to;
    bool is_own;
} rows[] = {
    {"REL-06 bound to it", "192.0.2.99:25", "192.0.2.99:25", true},
    {"another port", "192.0.2.99:25", "192.0.2.99:26", false},
    {"another address", "192.0.2.99:25", "192.0.2.7:25", false},
    {"REL-06 wildcard, an interface's", "0.0.0.0:25", "192.0.2.7:25", true},
    {"wildcard, nobody's here", "0.0.0.0:25", "192.0.2.8:25", false},
    {"wildcard, another port", "0.0.0.0:587", "192.0.2.7:25", false},
    {"REL-06 wildcard, loopback", "0.0.0.0:25", "127.0.0.1:25", true},
    {"REL-06 wildcard, any of 127.0.0.0/8", "0.0.0.0:25", "127.9.9.9:25", true},
    {"REL-06 the unspecified address", "127.0.0.1:25", "0.0.0.0:25", true},
    {"families are apart", "0.0.0.0:25", "[2001:db8::7]:25", false},
    {"families are apart, the other way", "[::]:25", "192.0.2.7:25", false},
    {"REL-06 wildcard, IPv6", "[::]:25", "[2001:db8::7]:25", true},
    {"wildcard, IPv6, nobody's here", "[::]:25", "[2001:db8::8]:25", false},
    {"REL-06 loopback, IPv6", "[::]:25", "[::1]:25", true},
    {"REL-06 mapped", "0.0.0.0:25", "[::ffff:192.0.2.7]:25", true},
    {"REL-06 mapped, bound to it", "192.0.2.9:25", "[::ffff:192.0.2.9]:25", true},
    {"mapped, nobody's here", "0.0.0.0:25", "[::ffff:192.0.2.8]:25", false},
};

static void test_rows(void)
{
    struct network at[countof(addresses)];
    struct own o = {.addresses = at, .address_count = countof(at), .listener_count = 1};
    for (size_t i = 0; i < countof(at); i++)
        must(network_parse(str_c(addresses[i]), &at[i]) == NETWORK_OK);
    for (size_t i = 0; i < countof(rows); i++) {
        struct sockaddr_storage to;
        socklen_t len;
        must(acceptor_parse(str_c(rows[i].listener), &o.listeners[0], &len));
        must(acceptor_parse(str_c(rows[i].to), &to, &len));
        expect(own_is(&o, (const struct sockaddr *)&to) == rows[i].is_own, "%s", rows[i].name);
    }
}

static void test_kernel(void)
{
    struct network at[64];
    struct network loopback;
    bool found = false;
    size_t count = own_addresses(at, countof(at));
    must(network_parse(STR("127.0.0.1"), &loopback) == NETWORK_OK);
    for (size_t i = 0; i < count && i < countof(at); i++)
        found |= at[i].bytes == 4 && memcmp(at[i].at, loopback.at, 4) == 0;
    expect(found, "127.0.0.1 is among %zu", count);
    expect(own_addresses(at, 0) == count, "counted beyond the room");

    struct own o = {0};
    struct sockaddr_storage any, to;
    socklen_t len;
    uint16_t port;
    must(acceptor_parse(STR("127.0.0.3:0"), &any, &len));
    int fd = acceptor_listen((struct sockaddr *)&any, len, &port);
    must(fd >= 0);
    own_listen(&o, fd);
    char text[32];
    (void)snprintf(text, sizeof text, "127.0.0.3:%u", port);
    must(acceptor_parse(str_c(text), &to, &len));
    expect(own_is(&o, (const struct sockaddr *)&to), "%s", text);
    (void)close(fd);
    own_listen(&o, fd); /* no socket: none */
    expect(o.listener_count == 1, "%zu", o.listener_count);
}

int main(void)
{
    const struct test tests[] = {
        {"rows", test_rows},
        {"kernel", test_kernel},
        {0},
    };
    return harness_run("own", tests);
}
