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

static void on_accepted(struct acceptor *a, int fd)
{
    expect(a->tag == 7, "tag");
    must(accepted_count < (int)countof(accepted));
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
    struct acceptor a;
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
    struct acceptor a;
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
    struct acceptor a;
    acceptor_start(&a, loop, listen_on("127.0.0.1:0", NULL), on_accepted, NULL, 7);
    stop(&a);
    loop_turn(loop, 0);
    expect(acceptor_stopped(&a), "stays stopped");
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
        {0},
    };
    int status = harness_run("acceptor", tests);
    loop_close(&loop);
    buffer_drop(&errors);
    return status;
}
