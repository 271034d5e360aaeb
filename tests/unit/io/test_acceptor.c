#include "core/io/acceptor.h"

#include "core/base/base.h"
#include "core/base/clock.h"
#include "tests/unit/harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <unistd.h>

static struct buffer errors;
static struct loop *loop;

static const struct {
    const char *text;
    bool ok;
    int family;
    const char *address;
    uint16_t port;
} rows[] = {
    {"127.0.0.1:25", true, AF_INET, "127.0.0.1", 25},
    {"0.0.0.0:0", true, AF_INET, "0.0.0.0", 0},
    {"[::1]:25", true, AF_INET6, "::1", 25},
    {"[2001:db8::1]:65535", true, AF_INET6, "2001:db8::1", 65535},
    {"[::ffff:192.0.2.1]:25", true, AF_INET6, "192.0.2.1", 25},
    {"127.0.0.1", false, 0, "", 0},
    {"127.0.0.1:", false, 0, "", 0},
    {"127.0.0.1:65536", false, 0, "", 0},
    {"127.0.0.1:-1", false, 0, "", 0},
    {"127.0.0.1:25 ", false, 0, "", 0},
    {"127.0.0.256:25", false, 0, "", 0},
    {"::1:25", false, 0, "", 0},
    {"[::1]", false, 0, "", 0},
    {"[::1:25", false, 0, "", 0},
    {"[127.0.0.1]:25", false, 0, "", 0},
    {"localhost:25", false, 0, "", 0},
    {":25", false, 0, "", 0},
    {"", false, 0, "", 0},
    {"[aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]:25", false, 0, "", 0},
};

static void test_parse(void)
{
    for (size_t i = 0; i < countof(rows); i++) {
        struct sockaddr_storage a;
        socklen_t len = 0;
        bool ok = acceptor_parse(str_c(rows[i].text), &a, &len);
        expect(ok == rows[i].ok, "%s", rows[i].text);
        if (!ok)
            continue;
        const struct sockaddr *address = (const struct sockaddr *)&a;
        expect(a.ss_family == rows[i].family, "%s", rows[i].text);
        expect_str(str_c(address_text(address).at), str_c(rows[i].address), rows[i].text);
        expect(address_port(address) == rows[i].port, "%s", rows[i].text);
    }
    struct sockaddr_storage a;
    socklen_t len;
    expect(!acceptor_parse(STR("127.0.0.1\0x:25"), &a, &len), "NUL");
    struct sockaddr local = {.sa_family = AF_UNIX};
    expect_str(str_c(address_text(&local).at), STR(""), "neither");
}

static int accepted[64], accepted_count;
static const struct acceptor *accepted_by;

static void on_accepted(struct acceptor *a, int fd)
{
    expect(a->tag == 7, "tag");
    must(accepted_count < (int)countof(accepted));
    accepted_by = a;
    accepted[accepted_count++] = fd;
}

static int listen_on(const char *text, uint16_t *port)
{
    struct sockaddr_storage a;
    socklen_t len;
    must(acceptor_parse(str_c(text), &a, &len));
    return acceptor_listen((struct sockaddr *)&a, len, port);
}

static int dial(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(port),
                            .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
    return fd;
}

static void stop(struct acceptor *a)
{
    acceptor_stop(a);
    acceptor_stop(a);
    for (int turn = 0; turn < 100 && !acceptor_stopped(a); turn++)
        loop_turn(loop, 10);
    expect(acceptor_stopped(a) && !a->op.in_flight, "stopped");
    loop_turn(loop, 0);
    while (accepted_count)
        (void)close(accepted[--accepted_count]);
}

static void test_accept(void)
{
    uint16_t port, again;
    int fd = listen_on("127.0.0.1:0", &port);
    expect(fd >= 0 && port != 0, "%d", fd);
    char same[32];
    (void)snprintf(same, sizeof same, "127.0.0.1:%u", port);
    int other = listen_on(same, &again);
    expect(other >= 0 && again == port, "another worker joins the port");
    (void)close(other);
    expect(fcntl(fd, F_GETFD) & FD_CLOEXEC, "close on exec");
    expect(listen_on("192.0.2.1:0", NULL) == -EADDRNOTAVAIL, "not our address");
    struct acceptor a = {0};
    acceptor_start(&a, loop, fd, on_accepted, NULL, 7);
    int dialled[20];
    for (size_t i = 0; i < countof(dialled); i++)
        dialled[i] = dial(port);
    for (int turn = 0; turn < 100 && accepted_count < 20; turn++)
        loop_turn(loop, 10);
    expect(accepted_count == 20, "%d accepted", accepted_count);
    expect(fcntl(accepted[0], F_GETFD) & FD_CLOEXEC, "close on exec");
    expect(!(fcntl(accepted[0], F_GETFL) & O_NONBLOCK), "the ring would not wait for it");
    stop(&a);
    expect(fcntl(fd, F_GETFD) < 0, "the listener is closed");
    for (size_t i = 0; i < countof(dialled); i++)
        (void)close(dialled[i]);
}

/* DOS-10: one who waits hears no; then a pause, not a busy loop; then it goes on. */
static void test_no_descriptors(void)
{
    uint16_t port;
    struct acceptor a = {0};
    char text[64];
    int fd = listen_on("127.0.0.1:0", &port);
    loop_turn(loop, 0); /* what others closed is closed now */
    int client = dial(port), other = dial(port);
    int lowest = fcntl(client, F_DUPFD_CLOEXEC, 0);
    (void)close(lowest);
    struct rlimit before, none;
    must(getrlimit(RLIMIT_NOFILE, &before) == 0);
    none = before;
    none.rlim_cur = (rlim_t)lowest + 1; /* the spare one */
    must(setrlimit(RLIMIT_NOFILE, &none) == 0);
    acceptor_start(&a, loop, fd, on_accepted, NULL, 7); /* the kernel notes the limit here */
    a.no = STR("421 no\r\n");
    expect(a.spare == lowest, "%d is spare", a.spare);
    uint64_t start = clock_monotonic_ms();
    for (int turn = 0; turn < 1000 && clock_monotonic_ms() - start < 350; turn++)
        loop_turn(loop, 10);
    expect(accepted_count == 0 && a.pauses >= 1, "paused: %u", (unsigned)a.pauses);
    expect(a.pauses <= 4, "not a busy loop: %u", (unsigned)a.pauses);
    expect(a.turned_away == 2 && a.spare == lowest, "%u heard no", (unsigned)a.turned_away);
    expect(recv(client, text, sizeof text, MSG_DONTWAIT) == 8 && memcmp(text, "421 no\r\n", 8) == 0,
           "told");
    expect(recv(client, text, sizeof text, MSG_DONTWAIT) == 0, "closed");
    must(setrlimit(RLIMIT_NOFILE, &before) == 0);
    int late = dial(port);
    start = clock_monotonic_ms();
    while (accepted_count == 0 && clock_monotonic_ms() - start < 2000)
        loop_turn(loop, 10);
    expect(accepted_count == 1, "accepted when descriptors are back");
    stop(&a);
    (void)close(client);
    (void)close(other);
    (void)close(late);
}

static void test_stop_paused(void)
{
    struct acceptor a = {0};
    acceptor_start(&a, loop, listen_on("127.0.0.1:0", NULL), on_accepted, NULL, 7);
    stop(&a);
    loop_turn(loop, 0);
    expect(acceptor_stopped(&a), "stays stopped");
}

/* Two workers: we are 0. What they have before, and who gets the next connection. */
static const struct {
    const char *name;
    uint32_t open[2], us[2];
    bool leaving;
    int to;
} deals[] = {
    {"nobody has any, nothing is known", {0, 0}, {0, 0}, false, 0},
    {"the other one is not known", {0, 0}, {300, 0}, false, 1},
    {"we are not known", {0, 0}, {0, 300}, false, 0},
    {"the other one is sooner", {0, 0}, {400, 300}, false, 1},
    {"we are sooner", {0, 0}, {300, 400}, false, 0},
    {"as soon", {0, 0}, {300, 300}, false, 0},
    {"sooner, but it leaves", {0, 0}, {400, 300}, true, 0},
    {"as many: soon is no matter", {1, 1}, {400, 300}, false, 0},
    {"one more", {2, 1}, {0, 0}, false, 0},
    {"two more", {3, 1}, {0, 0}, false, 1},
    {"fewer", {1, 9}, {0, 0}, false, 0},
    {"44 and 20", {44, 20}, {0, 0}, false, 1},
    {"44 and 20, but it leaves", {44, 20}, {0, 0}, true, 0},
    {"a thirty-second part more is fair", {3301, 3200}, {0, 0}, false, 0},
    {"beyond it", {3302, 3200}, {0, 0}, false, 1},
};

static struct acceptor_peers peers;

static void deal(size_t row, struct acceptor ours[2], struct loop *theirs, uint16_t port)
{
    peers.count = 2;
    for (int i = 0; i < 2; i++) {
        atomic_store(&peers.at[i].open, deals[row].open[i]);
        atomic_store(&peers.at[i].answer_us, deals[row].us[i]);
    }
    atomic_store(&peers.at[1].leaving, deals[row].leaving);
    int client = dial(port);
    const uint64_t until = clock_monotonic_ms() + 5000;
    while (accepted_count == 0 && clock_monotonic_ms() < until) {
        loop_turn(loop, 1);
        loop_turn(theirs, 1);
    }
    loop_turn(loop, 1); /* and hears that it was taken */
    expect(accepted_count == 1, "%s: %d", deals[row].name, accepted_count);
    struct acceptor *at = &ours[deals[row].to];
    expect(accepted_by == at, "%s: the other one has it", deals[row].name);
    for (int i = 0; i < 2; i++)
        expect(atomic_load(&peers.at[i].open) == deals[row].open[i] + (i == deals[row].to),
               "%s: count %d", deals[row].name, i);
    acceptor_closed(&peers, at->self);
    (void)close(accepted[--accepted_count]);
    (void)close(client);
}

static void test_fair_shares(void)
{
    uint16_t port;
    struct acceptor ours[2];
    struct loop *theirs = loop_open(64, 1, &errors);
    must(theirs != NULL);
    peers.at[0] = (struct acceptor_peer){.loop = loop, .acceptors = &ours[0]};
    peers.at[1] = (struct acceptor_peer){.loop = theirs, .acceptors = &ours[1]};
    /* the other one's port has no callers: what it gets it was handed */
    acceptor_join(&ours[0], &peers, 0);
    acceptor_start(&ours[0], loop, listen_on("127.0.0.1:0", &port), on_accepted, NULL, 7);
    acceptor_join(&ours[1], &peers, 1);
    acceptor_start(&ours[1], theirs, listen_on("127.0.0.1:0", NULL), on_accepted, NULL, 7);
    peers.count = 2;
    atomic_store(&peers.at[0].open, 9);
    int early = dial(port); /* before the other loop has begun: it stays with us */
    for (int turn = 0; turn < 100 && accepted_count == 0; turn++)
        loop_turn(loop, 10);
    expect(accepted_count == 1 && accepted_by == &ours[0], "handed to a loop that does not run");
    expect(atomic_load(&peers.at[0].open) == 10 && atomic_load(&peers.at[1].open) == 0, "counted");
    (void)close(early);
    (void)close(accepted[--accepted_count]);
    loop_turn(theirs, 0);
    for (size_t row = 0; row < countof(deals); row++)
        deal(row, ours, theirs, port);
    acceptor_stop(&ours[1]);
    for (int turn = 0; turn < 100 && !acceptor_stopped(&ours[1]); turn++)
        loop_turn(theirs, 10);
    expect(atomic_load(&peers.at[1].leaving), "others know");
    stop(&ours[0]);
    loop_close(&theirs);
}

/* A time is a median, and an old one is doubted: who is passed over is tried again one day. */
static void test_soonest(void)
{
    struct acceptor_peer *p = &peers.at[0];
    atomic_store(&p->answer_us, 0);
    acceptor_answered(&peers, 0, 400);
    expect(atomic_load(&p->answer_us) == 400, "the first");
    acceptor_answered(&peers, 0, 1000000);
    expect(atomic_load(&p->answer_us) == 413, "one late answer moves it little");
    for (int i = 0; i < 1000; i++)
        acceptor_answered(&peers, 0, i % 4 ? 200 : 5000);
    uint32_t us = (uint32_t)atomic_load(&p->answer_us);
    expect(us >= 190 && us <= 240, "where most are: %u", us);
}

int main(void)
{
    buffer_init(&errors, 1 << 16);
    loop = loop_open(64, 1, &errors);
    must(loop != NULL);
    const struct test tests[] = {
        {"addresses", test_parse},
        {"accept", test_accept},
        {"no descriptors left", test_no_descriptors},
        {"stop", test_stop_paused},
        {"fair shares", test_fair_shares},
        {"who answers soonest", test_soonest},
        {0},
    };
    int status = harness_run("acceptor", tests);
    loop_close(&loop);
    buffer_drop(&errors);
    return status;
}
