#include "core/io/resolver.h"

#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/base/limit.h"
#include "core/io/acceptor.h"
#include "core/io/answer.h"
#include "tests/unit/harness.h"
#include "tests/unit/io/name_server.h"

#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>

static struct buffer errors;
static struct loop *loop;

struct asked {
    struct question q;
    bool done;
    enum resolve_status status;
    char why[128];
    struct buffer list; /* "10 mx.example.jp 192.0.2.1 2001:db8::1; 20 ..." */
    size_t count;
};

static int compare_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Addresses of one exchanger are shuffled: sort them for comparison. */
static void describe(struct asked *a, const struct resolution *r)
{
    for (size_t i = 0; i < r->count;) {
        const struct exchanger *first = &r->exchanger[i];
        char text[LIMIT_ADDRESSES][64];
        size_t n = 0;
        for (; i < r->count && strcmp(r->exchanger[i].name, first->name) == 0; i++) {
            const struct sockaddr *address = (const struct sockaddr *)&r->exchanger[i].address;
            expect(address_port(address) == 25, "port");
            must(n < LIMIT_ADDRESSES);
            (void)snprintf(text[n++], sizeof text[0], "%s", address_text(address).at);
        }
        qsort(text, n, sizeof text[0], compare_text);
        buffer_printf(&a->list, "%s%u %s", a->list.len ? "; " : "", first->preference, first->name);
        for (size_t j = 0; j < n; j++)
            buffer_printf(&a->list, " %s", text[j]);
    }
}

static void on_done(struct question *q, const struct resolution *r)
{
    struct asked *a = owner_of(q, struct asked, q);
    expect(!a->done, "once");
    a->done = true;
    a->status = r->status;
    a->count = r->count;
    (void)snprintf(a->why, sizeof a->why, "%s", r->why);
    expect((r->status == RESOLVE_OK) == (r->why[0] == '\0'), "why: %s", r->why);
    expect((r->status == RESOLVE_OK) == (r->count > 0), "%zu", r->count);
    describe(a, r);
}

static void on_host(struct question *q, const struct resolution *r)
{
    struct asked *a = owner_of(q, struct asked, q);
    a->done = true;
    a->status = r->status;
    a->count = r->count;
}

static void begin(struct resolver *r, struct asked *a, struct str domain)
{
    *a = (struct asked){.q.done = on_done};
    buffer_init(&a->list, 1 << 16);
    resolver_ask(r, &a->q, domain);
    expect(!a->done, "never from inside");
}

static void wait_for(struct asked *a)
{
    uint64_t start = clock_monotonic_ms();
    while (!a->done && clock_monotonic_ms() - start < RESOLVE_LIMIT_MS + 2000)
        loop_turn(loop, 100);
}

static void ask(struct resolver *r, struct asked *a, struct str domain)
{
    begin(r, a, domain);
    wait_for(a);
    expect(a->done, "%.*s: no answer", STR_ARG(domain));
}

/* We have 203.0.113.200 and 2001:db8::200, and listen on port 25 of all our addresses. */
static struct network own_at[2];
static struct own own = {.addresses = own_at, .address_count = countof(own_at)};
static struct resolver_rules rules = {.own_name = "Gate.Example.JP", .own = &own};

static void set_own(void)
{
    socklen_t len;
    must(network_parse(STR("203.0.113.200"), &own_at[0]) == NETWORK_OK);
    must(network_parse(STR("2001:db8::200"), &own_at[1]) == NETWORK_OK);
    must(acceptor_parse(STR("0.0.0.0:25"), &own.listeners[0], &len));
    must(acceptor_parse(STR("[::]:25"), &own.listeners[1], &len));
    own.listener_count = 2;
}

static struct resolver *open_resolver(uint16_t port, bool allow_loopback)
{
    char forward[32];
    (void)snprintf(forward, sizeof forward, "127.0.0.1:%u", port);
    struct resolver_settings s = {.forward = forward, .port = 25};
    rules.allow_loopback = allow_loopback;
    buffer_clear(&errors);
    struct resolver *r = resolver_open(loop, &s, &errors);
    expect(r != NULL, "%.*s", STR_ARG(buffer_str(&errors)));
    must(r != NULL);
    resolver_use(r, &rules);
    return r;
}

static void shut(struct resolver **r)
{
    resolver_close(r);
    for (int turn = 0; turn < 50; turn++) /* hundreds of polls of its sockets end */
        loop_turn(loop, 1);
}

/* ---- against NSD ---- */

static const char zone_head[] = "$TTL 3600\n"
                                "@ SOA ns.example.jp. root.example.jp. 1 3600 600 86400 60\n"
                                "  NS ns.example.jp.\n";

static const char zone_body[] = "ns A 127.0.0.1\n"
                                "two MX 10 mx1\n"
                                "two MX 20 mx2\n"
                                "mx1 A 192.0.2.1\n"
                                "mx1 AAAA 2001:db8::1\n"
                                "mx2 A 192.0.2.2\n"
                                "mx2 A 192.0.2.3\n"
                                "null MX 0 .\n"
                                "nullish MX 0 .\n"
                                "nullish MX 10 mx1\n"
                                "plain A 192.0.2.9\n"
                                "six AAAA 2001:db8::9\n"
                                "empty TXT \"nothing here\"\n"
                                "alias CNAME two\n"
                                "aliased MX 10 aliasmx\n"
                                "aliasmx CNAME mx1\n"
                                "dangling MX 10 nowhere\n"
                                "dangling A 192.0.2.66\n"
                                "loopback MX 10 lo\n"
                                "lo A 127.0.0.1\n"
                                "lo AAAA ::1\n"
                                "lo A 0.0.0.0\n"
                                "lo A 169.254.1.1\n"
                                "lo AAAA fe80::1\n"
                                "lo AAAA ::ffff:127.0.0.1\n"
                                "lonely A 127.0.0.1\n"
                                "mixed MX 10 lo\n"
                                "mixed MX 20 mx1\n"
                                "backup MX 10 mx1\n"
                                "backup MX 20 gate\n"
                                "backup MX 20 mx2\n"
                                "backup MX 30 mx2\n"
                                "ours MX 10 gate\n"
                                "ours MX 20 mx1\n"
                                "gate A 192.0.2.100\n"
                                "same MX 10 mx1\n"
                                "same MX 10 mx2\n"
                                "twice MX 10 mx1\n"
                                "twice MX 20 mx1\n"
                                "lame MX 10 mx.other.example.\n"
                                "lamish MX 10 mx.other.example.\n"
                                "lamish MX 20 mx1\n"
                                "UPPER MX 10 MX1\n"
                                "us A 203.0.113.200\n"
                                "us6 AAAA 2001:db8::200\n"
                                "tous MX 10 us\n"
                                "behindus MX 10 mx1\n"
                                "behindus MX 20 us6\n"
                                "behindus MX 20 mx2\n"
                                "behindus MX 30 mx2\n"
                                "beforeus MX 10 nowhere\n"
                                "beforeus MX 20 us\n"
                                "partly MX 10 part\n"
                                "part A 192.0.2.1\n"
                                "part A 203.0.113.200\n"
                                "lost MX 10 mx.other.example.\n"
                                "lost MX 20 us\n"
                                "private MX 10 ten\n"
                                "private MX 20 mx1\n"
                                "inside MX 10 ten\n"
                                "ten A 10.1.2.3\n"
                                "ten A 172.31.255.255\n"
                                "ten A 192.168.0.1\n"
                                "ten A 100.127.0.1\n"
                                "ten A 198.19.0.1\n"
                                "ten AAAA fd00:ec2::254\n"
                                "ten AAAA ::ffff:10.0.0.1\n"
                                "ten AAAA 64:ff9b::10.0.0.1\n"
                                "ten AAAA 2002:0a00:0001::1\n"
                                "never MX 10 no\n"
                                "no A 169.254.169.254\n"
                                "no A 224.0.0.1\n"
                                "no A 255.255.255.255\n"
                                "no A 240.0.0.1\n"
                                "no AAAA ff02::1\n"
                                "no AAAA ::\n"
                                "no AAAA ::192.0.2.1\n"
                                "no AAAA 64:ff9b::169.254.169.254\n"
                                "edge A 172.32.0.1\n"
                                "edge A 100.128.0.1\n"
                                "edge A 11.0.0.1\n"
                                "edge A 223.255.255.1\n"
                                "edge AAAA 64:ff9b::192.0.2.1\n";

static const struct {
    const char *name, *domain;
    enum resolve_status status;
    const char *list;
} rows[] = {
    {"two exchangers", "two.example.jp", RESOLVE_OK,
     "10 mx1.example.jp 192.0.2.1 2001:db8::1; 20 mx2.example.jp 192.0.2.2 192.0.2.3"},
    {"again, from the cache", "two.example.jp.", RESOLVE_OK,
     "10 mx1.example.jp 192.0.2.1 2001:db8::1; 20 mx2.example.jp 192.0.2.2 192.0.2.3"},
    {"case", "uPPer.Example.JP", RESOLVE_OK, "10 mx1.example.jp 192.0.2.1 2001:db8::1"},
    {"OUT-13 null MX, no fallback", "null.example.jp", RESOLVE_NULL_MX, ""},
    {"OUT-13 null MX among others is none", "nullish.example.jp", RESOLVE_OK,
     "10 mx1.example.jp 192.0.2.1 2001:db8::1"},
    {"OUT-14 implicit MX", "plain.example.jp", RESOLVE_OK, "0 plain.example.jp 192.0.2.9"},
    {"OUT-14 implicit MX, IPv6", "six.example.jp", RESOLVE_OK, "0 six.example.jp 2001:db8::9"},
    {"OUT-14 neither MX nor address", "empty.example.jp", RESOLVE_NONE, ""},
    {"OUT-14 NXDOMAIN", "nosuch.example.jp", RESOLVE_NONE, ""},
    {"OUT-14 the server does not know the zone", "a.other.example", RESOLVE_RETRY, ""},
    {"domain is an alias", "alias.example.jp", RESOLVE_OK,
     "10 mx1.example.jp 192.0.2.1 2001:db8::1; 20 mx2.example.jp 192.0.2.2 192.0.2.3"},
    {"OUT-14 exchanger is an alias", "aliased.example.jp", RESOLVE_OK,
     "10 aliasmx.example.jp 192.0.2.1 2001:db8::1"},
    {"OUT-14 MX without address, never A", "dangling.example.jp", RESOLVE_UNUSABLE, ""},
    {"OUT-14 MX to loopback", "loopback.example.jp", RESOLVE_UNUSABLE, ""},
    {"OUT-14 A to loopback", "lonely.example.jp", RESOLVE_UNUSABLE, ""},
    {"OUT-14 only the usable ones", "mixed.example.jp", RESOLVE_OK,
     "20 mx1.example.jp 192.0.2.1 2001:db8::1"},
    {"we are a backup: only those before us", "backup.example.jp", RESOLVE_OK,
     "10 mx1.example.jp 192.0.2.1 2001:db8::1"},
    {"OUT-14 MX to ourselves", "ours.example.jp", RESOLVE_LOOP, ""},
    {"OUT-14 implicit MX to ourselves", "gate.example.jp", RESOLVE_LOOP, ""},
    {"OUT-14 MX to our address", "tous.example.jp", RESOLVE_LOOP, ""},
    {"OUT-14 A is our address", "us.example.jp", RESOLVE_LOOP, ""},
    {"OUT-14 AAAA is our address", "us6.example.jp", RESOLVE_LOOP, ""},
    {"REL-06 only those before our address", "behindus.example.jp", RESOLVE_OK,
     "10 mx1.example.jp 192.0.2.1 2001:db8::1"},
    {"REL-06 those before us are unusable", "beforeus.example.jp", RESOLVE_LOOP, ""},
    {"REL-06 one of several addresses is ours", "partly.example.jp", RESOLVE_LOOP, ""},
    {"REL-06 those before us do not answer now", "lost.example.jp", RESOLVE_RETRY, ""},
    {"OUT-14 MX to private addresses", "inside.example.jp", RESOLVE_UNUSABLE, ""},
    {"OUT-14 A to private addresses", "ten.example.jp", RESOLVE_UNUSABLE, ""},
    {"OUT-14 only the public ones", "private.example.jp", RESOLVE_OK,
     "20 mx1.example.jp 192.0.2.1 2001:db8::1"},
    {"OUT-14 MX to metadata, multicast and the like", "never.example.jp", RESOLVE_UNUSABLE, ""},
    {"beside private ranges", "edge.example.jp", RESOLVE_OK,
     "0 edge.example.jp 100.128.0.1 11.0.0.1 172.32.0.1 223.255.255.1 64:ff9b::c000:201"},
    {"ADDR-13 literal, private", "[10.0.0.1]", RESOLVE_UNUSABLE, ""},
    {"ADDR-13 literal, metadata", "[169.254.169.254]", RESOLVE_UNUSABLE, ""},
    {"ADDR-13 literal, our address", "[203.0.113.200]", RESOLVE_LOOP, ""},
    {"ADDR-13 literal, our address, mapped", "[IPv6:::ffff:203.0.113.200]", RESOLVE_LOOP, ""},
    {"an exchanger twice", "twice.example.jp", RESOLVE_OK,
     "10 mx1.example.jp 192.0.2.1 2001:db8::1"},
    {"the exchanger's zone does not answer", "lame.example.jp", RESOLVE_RETRY, ""},
    {"... but another exchanger's does", "lamish.example.jp", RESOLVE_OK,
     "20 mx1.example.jp 192.0.2.1 2001:db8::1"},
    {"test. is asked for, not answered here", "two.test", RESOLVE_OK,
     "10 mx1.test 192.0.2.1 2001:db8::1; 20 mx2.test 192.0.2.2 192.0.2.3"},
    {"literal", "[192.0.2.1]", RESOLVE_OK, "0 [192.0.2.1] 192.0.2.1"},
    {"literal, IPv6", "[IPv6:2001:db8::25]", RESOLVE_OK, "0 [IPv6:2001:db8::25] 2001:db8::25"},
    {"literal, loopback", "[127.0.0.1]", RESOLVE_UNUSABLE, ""},
    {"literal, mapped loopback", "[IPv6:::ffff:127.0.0.1]", RESOLVE_UNUSABLE, ""},
    {"literal, wrong", "[192.0.2.256]", RESOLVE_NONE, ""},
    {"literal, empty", "[]", RESOLVE_NONE, ""},
    {"no name", "", RESOLVE_NONE, ""},
    {"root", ".", RESOLVE_NONE, ""},
    {"empty label", "a..example.jp", RESOLVE_NONE, ""},
    {"blank", "a b.example.jp", RESOLVE_NONE, ""},
    {"label of 64", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example.jp",
     RESOLVE_NONE, ""},
};

struct nsd {
    char folder[64];
    uint16_t port;
    pid_t pid;
};

static void write_file(const struct nsd *n, const char *name, const char *format, ...)
    PRINTFLIKE(3, 4);

static void write_file(const struct nsd *n, const char *name, const char *format, ...)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", n->folder, name);
    FILE *f = fopen(path, "we");
    must(f != NULL);
    va_list args;
    va_start(args, format);
    (void)vfprintf(f, format, args);
    va_end(args);
    must(fclose(f) == 0);
}

/* 1000 exchangers and 100 addresses come by TCP. */
static void write_zones(const struct nsd *n)
{
    static char many[200000];
    size_t len = 0;
    for (int i = 0; i < 1000; i++)
        len += (size_t)snprintf(many + len, sizeof many - len, "many MX %d m%d\nm%d A 192.0.2.%d\n",
                                1000 - i, i, i, 1 + i % 200);
    for (int i = 0; i < 100; i++)
        len += (size_t)snprintf(many + len, sizeof many - len, "crowd A 198.51.100.%d\n", 1 + i);
    write_file(n, "zone", "%s%s%s", zone_head, zone_body, many);
}

static bool nsd_start(struct nsd *n)
{
    if (access("/usr/sbin/nsd", X_OK) != 0)
        return false;
    (void)snprintf(n->folder, sizeof n->folder, "/tmp/sekimori-nsd-XXXXXX");
    must(mkdtemp(n->folder) != NULL);
    struct sockaddr_storage any;
    socklen_t len;
    must(acceptor_parse(STR("127.0.0.1:0"), &any, &len));
    int fd = acceptor_listen((struct sockaddr *)&any, len, &n->port);
    must(fd >= 0 && close(fd) == 0); /* a port that is free now */
    write_zones(n);
    write_file(n, "nsd.conf",
               "server:\n ip-address: 127.0.0.1@%u\n username: \"\"\n zonesdir: \"%s\"\n"
               " pidfile: \"\"\n logfile: \"%s/log\"\n xfrdfile: \"%s/xfrd\"\n"
               " zonelistfile: \"%s/list\"\n xfrdir: \"%s\"\n server-count: 1\n"
               " database: \"\"\n rrl-ratelimit: 0\n"
               "remote-control:\n control-enable: no\n"
               "zone:\n name: example.jp\n zonefile: zone\n"
               "zone:\n name: test\n zonefile: zone\n",
               n->port, n->folder, n->folder, n->folder, n->folder, n->folder);
    char config[128];
    (void)snprintf(config, sizeof config, "%s/nsd.conf", n->folder);
    char nsd[] = "/usr/sbin/nsd", d[] = "-d", c[] = "-c";
    char *const arguments[] = {nsd, d, c, config, NULL};
    char *const environment[] = {NULL};
    must(posix_spawn(&n->pid, nsd, NULL, NULL, arguments, environment) == 0);
    return true;
}

static void nsd_stop(const struct nsd *n)
{
    (void)kill(n->pid, SIGTERM);
    (void)waitpid(n->pid, NULL, 0);
    static const char *const names[] = {"zone", "nsd.conf", "log", "xfrd", "list"};
    for (size_t i = 0; i < countof(names); i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/%s", n->folder, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(n->folder);
}

static void nsd_wait(const struct nsd *n)
{
    uint64_t start = clock_monotonic_ms();
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(n->port),
                            .sin_addr = {htonl(INADDR_LOOPBACK)}};
    while (clock_monotonic_ms() - start < 10000) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool up = connect(fd, (struct sockaddr *)&a, sizeof a) == 0;
        (void)close(fd);
        if (up)
            return;
        (void)usleep(20000);
    }
    expect(false, "nsd does not start");
}

static void check_rows(struct resolver *r)
{
    for (size_t i = 0; i < countof(rows); i++) {
        struct asked a;
        ask(r, &a, str_c(rows[i].domain));
        expect(a.status == rows[i].status, "%s: %u (%s)", rows[i].name, a.status, a.why);
        expect_str(buffer_str(&a.list), str_c(rows[i].list), rows[i].name);
        buffer_drop(&a.list);
    }
}

static void check_many(struct resolver *r)
{
    struct asked a;
    ask(r, &a, STR("many.example.jp"));
    expect(a.status == RESOLVE_OK, "OUT-14 1000 MX: %s", a.why);
    expect(str_starts(buffer_str(&a.list), STR("1 m999.example.jp 192.0.2.200; 2 m998.")),
           "OUT-14 1000 MX: %.*s", STR_ARG(buffer_str(&a.list)));
    expect(a.count >= LIMIT_ADDRESSES && a.count <= 2 * LIMIT_ADDRESSES, "%zu", a.count);
    buffer_drop(&a.list);
    ask(r, &a, STR("crowd.example.jp"));
    expect(a.status == RESOLVE_OK && a.count == LIMIT_ADDRESSES, "100 addresses: %zu", a.count);
    buffer_drop(&a.list);
}

static void check_shuffle(struct resolver *r)
{
    int first_one = 0;

    enum {
        TIMES = 200
    };

    for (int i = 0; i < TIMES; i++) {
        struct asked a;
        ask(r, &a, STR("same.example.jp"));
        first_one += str_starts(buffer_str(&a.list), STR("10 mx1"));
        buffer_drop(&a.list);
    }
    expect(first_one > TIMES / 5 && first_one < TIMES * 4 / 5, "equal preferences: %d", first_one);
}

static void check_parallel(struct resolver *r)
{
    enum {
        ASKED = 500
    };
    static struct asked a[ASKED];
    for (int i = 0; i < ASKED; i++) {
        char domain[64];
        (void)snprintf(domain, sizeof domain, "m%d.example.jp", i);
        begin(r, &a[i], str_c(domain));
    }
    for (int i = 0; i < ASKED; i++) {
        wait_for(&a[i]);
        expect(a[i].done && a[i].status == RESOLVE_OK, "%d: %s", i, a[i].why);
        buffer_drop(&a[i].list);
    }
}

/* A host that somebody named: no MX, any range, but never ourselves. */
static void check_hosts(struct resolver *r)
{
    static const struct {
        const char *host;
        uint16_t port;
        enum resolve_status status;
        size_t count;
    } hosts[] = {
        {"two.example.jp", 25, RESOLVE_NONE, 0},
        {"mx1.example.jp", 25, RESOLVE_OK, 2},
        {"ten.example.jp", 25, RESOLVE_OK, 9},
        {"nosuch.example.jp", 25, RESOLVE_NONE, 0},
        {"us.example.jp", 25, RESOLVE_LOOP, 0},
        {"us.example.jp", 26, RESOLVE_OK, 1},
        {"a b", 25, RESOLVE_NONE, 0},
        {"a.other.example", 25, RESOLVE_RETRY, 0},
        {"never.example.jp", 25, RESOLVE_NONE, 0},
        {"no.example.jp", 25, RESOLVE_UNUSABLE, 0},
    };

    for (size_t i = 0; i < countof(hosts); i++) {
        struct asked a = {.q.done = on_host};
        resolver_ask_host(r, &a.q, str_c(hosts[i].host), hosts[i].port);
        wait_for(&a);
        expect(a.done && a.status == hosts[i].status && a.count == hosts[i].count, "%s: %u, %zu",
               hosts[i].host, a.status, a.count);
    }
}

static void test_nsd(void)
{
    struct nsd n;
    if (!nsd_start(&n)) {
        (void)fprintf(stderr, "nsd is not installed: skipped\n");
        return;
    }
    nsd_wait(&n);
    struct resolver *r = open_resolver(n.port, false);
    check_rows(r);
    check_many(r);
    check_shuffle(r);
    check_parallel(r);
    shut(&r);
    rules.own = NULL;
    r = open_resolver(n.port, true);
    struct asked a;
    ask(r, &a, STR("lonely.example.jp"));
    expect_str(buffer_str(&a.list), STR("0 lonely.example.jp 127.0.0.1"), "loopback allowed");
    buffer_drop(&a.list);
    ask(r, &a, STR("inside.example.jp"));
    expect(a.status == RESOLVE_UNUSABLE, "private is another thing");
    rules.allow_private = true;
    rules.own = &own;
    resolver_use(r, &rules);
    ask(r, &a, STR("inside.example.jp"));
    expect(a.status == RESOLVE_OK && a.count == 9, "private allowed: %zu", a.count);
    buffer_drop(&a.list);
    ask(r, &a, STR("never.example.jp"));
    expect(a.status == RESOLVE_UNUSABLE, "never allowed");
    ask(r, &a, STR("lonely.example.jp"));
    expect(a.status == RESOLVE_LOOP, "REL-06 loopback allowed, and we listen there");
    rules.allow_private = false;
    resolver_use(r, &rules);
    check_hosts(r);
    shut(&r);
    nsd_stop(&n);
}

/* ---- against a hostile server ---- */

#define MX(len) "\xc0\x0c\0\17\0\1\0\0\0\74\0" len

static const struct name_row hostile[] = {
    {"fair", DNS_TYPE_MX, 0, 1, STR_INIT(MX("\7") "\0\12\2mx\xc0\x0c")},
    {"mx", DNS_TYPE_A, 0, 1, STR_INIT("\xc0\x0c\0\1\0\1\0\0\0\74\0\4\300\0\2\1")},
    {"short0", DNS_TYPE_MX, 0, 1, STR_INIT(MX("\0"))},
    {"short1", DNS_TYPE_MX, 0, 1, STR_INIT(MX("\1") "\0")},
    {"short2", DNS_TYPE_MX, 0, 1, STR_INIT(MX("\2") "\0\12")},
    {"short3", DNS_TYPE_MX, 0, 1, STR_INIT(MX("\3") "\0\12\77")},
    {"loop", DNS_TYPE_MX, 0, 1, STR_INIT(MX("\4") "\0\12\xc0\x0c\xc0\x0c")},
    {"beyond", DNS_TYPE_MX, 0, 1, STR_INIT(MX("\144") "\0\12")},
    {"fewer", DNS_TYPE_MX, 0, 9, STR_INIT(MX("\7") "\0\12\2mx\xc0\x0c")},
    {"shorta", DNS_TYPE_A, 0, 1, STR_INIT("\xc0\x0c\0\1\0\1\0\0\0\74\0\3\300\0\2")},
    {"servfail", DNS_TYPE_MX, 2, 0, STR_INIT("")},
    {"refused", DNS_TYPE_MX, 5, 0, STR_INIT("")},
    {"bytes", DNS_TYPE_MX, 0, 1, STR_INIT(MX("\7") "\0\12\3a\r\n\0")},
    {"silent", DNS_TYPE_MX, -1, 0, STR_INIT("")},
};

static void test_hostile(void)
{
    struct name_server s;
    name_server_start(&s, hostile, countof(hostile));
    struct resolver *r = open_resolver(s.port, false);
    for (size_t i = 0; i < countof(hostile); i++) {
        if (hostile[i].rcode < 0)
            continue;
        char domain[64];
        (void)snprintf(domain, sizeof domain, "%s.hostile.example", hostile[i].label);
        struct asked a;
        ask(r, &a, str_c(domain));
        bool is_fair = i < 2;
        expect((a.status == RESOLVE_OK) == is_fair, "OUT-15 %s: %u %.*s", domain, a.status,
               STR_ARG(buffer_str(&a.list)));
        buffer_drop(&a.list);
    }
    shut(&r);
    name_server_stop(&s);
}

static void test_forget(void)
{
    struct name_server s;
    name_server_start(&s, hostile, countof(hostile));
    struct resolver *r = open_resolver(s.port, false);
    struct asked a, b;
    begin(r, &a, STR("silent.hostile.example"));
    while (atomic_load(&s.asked) == 0)
        loop_turn(loop, 10);
    resolver_forget(r, &a.q);
    resolver_forget(r, &a.q);
    begin(r, &a, STR("fair.hostile.example"));
    resolver_forget(r, &a.q); /* before its first turn */
    for (int turns = 0; turns < 200; turns++) {
        begin(r, &b, STR("fair.hostile.example"));
        for (int turn = 0; turn < turns % 5; turn++)
            loop_turn(loop, 0);
        resolver_forget(r, &b.q);
        buffer_drop(&b.list);
    }
    expect(!a.done, "forgotten");
    begin(r, &a, STR("silent2.hostile.example"));
    loop_turn(loop, 0);
    shut(&r); /* with questions and look-ups open */
    expect(!a.done, "closed");
    buffer_drop(&a.list);
    name_server_stop(&s);
}

/* More questions than look-ups may be under way: they wait in turn, and those that are forgotten
 * count until libunbound has ended them. */
static void test_many(void)
{
    enum {
        ASKED = LIMIT_RESOLVER_LOOKUPS + 200
    };
    static struct asked a[ASKED];
    struct name_server s;
    name_server_start(&s, hostile, countof(hostile));
    struct resolver *r = open_resolver(s.port, false);
    for (unsigned round = 0; round < 2; round++) {
        bool is_silent = round == 1;
        for (int i = 0; i < ASKED; i++) {
            char domain[64];
            (void)snprintf(domain, sizeof domain, "%s.n%d.hostile.example",
                           is_silent ? "silent" : "fair", i);
            begin(r, &a[i], str_c(domain));
        }
        for (int turn = 0; turn < 50; turn++) {
            loop_turn(loop, 1);
            expect(resolver_busy(r) <= LIMIT_RESOLVER_LOOKUPS, "bounded: %u", resolver_busy(r));
        }
        for (int i = 0; i < ASKED && !is_silent; i++) {
            wait_for(&a[i]);
            expect(a[i].done && a[i].status != RESOLVE_RETRY, "%d: %s", i, a[i].why);
        }
        if (is_silent)
            expect(resolver_busy(r) == LIMIT_RESOLVER_LOOKUPS, "all that may: %u",
                   resolver_busy(r));
        for (int i = 0; i < ASKED; i++) {
            resolver_forget(r, &a[i].q);
            buffer_drop(&a[i].list);
        }
        for (int turn = 0; turn < 50 && is_silent; turn++)
            loop_turn(loop, 1);
        if (is_silent)
            expect(resolver_busy(r) == LIMIT_RESOLVER_LOOKUPS, "forgotten, not ended: %u",
                   resolver_busy(r));
    }
    shut(&r);
    name_server_stop(&s);
}

static void test_settings(void)
{
    static const char *const bad[] = {"", "localhost", "127.0.0.1", "127.0.0.1:x", "resolver:53"};
    for (size_t i = 0; i < countof(bad); i++) {
        struct resolver_settings s = {.forward = bad[i], .port = 25};
        buffer_clear(&errors);
        expect(resolver_open(loop, &s, &errors) == NULL, "%s", bad[i]);
        expect(errors.len > 0, "%s", bad[i]);
    }
    loop_turn(loop, 0);
}

int main(void)
{
    buffer_init(&errors, 1 << 16);
    loop = loop_open(256, 8, &errors);
    must(loop != NULL);
    set_own();
    const struct test tests[] = {
        {"OUT-13, OUT-14 NSD", test_nsd},     {"OUT-15 hostile answers", test_hostile},
        {"forgotten questions", test_forget}, {"more questions than look-ups", test_many},
        {"settings", test_settings},          {0},
    };
    int status = harness_run("resolver", tests);
    loop_close(&loop);
    buffer_drop(&errors);
    return status;
}
