/* receive_rate.c -- what connections cost the thread that reads them: receive_rate [ROUNDS
 * [bulk|small]].
 *
 * Bulk over 1, 16 and 64 connections and small exchanges over 64, plain and TLS, for each way of
 * receiving that loop.h knows, by turns in one run. A second thread sends. Prints the median of the
 * rounds: rate, and CPU of the reading thread for each MiB or exchange. */
#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/io/connection.h"
#include "tests/unit/crypto/certificate.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>

enum {
    PAIRS_MAX = 64,
    BULK_BYTES = 60 << 10,
    COMMAND_BYTES = 40,
    SEND_MAX = 64 << 10,
    ROUND_MS = 300,
    WARM_MS = 100,
    BUFFERS = 512,
    ENTRIES = 1024,
#ifndef BEFORE
    WAYS = RECEIVE_SINGLE + 1
#else
    WAYS = 1
#endif
};

struct end {
    struct connection c;
    struct bench *bench;
    bool is_server, gone;
};

struct bench {
    bool bulk;
    struct tls_context *server_tls, *client_tls; /* NULL: plain */
    size_t pairs;
    unsigned way;
    struct end servers[PAIRS_MAX], clients[PAIRS_MAX];
    int fds[PAIRS_MAX][2];
    atomic_bool over;
    size_t secured; /* of the servers */
    uint64_t got;   /* bytes, or exchanges */
};

static char bytes[BULK_BYTES];

static struct end *of(struct connection *c)
{
    return owner_of(c, struct end, c);
}

static void push(struct end *e)
{
    (void)connection_send(&e->c, str_from(bytes, e->bench->bulk ? BULK_BYTES : COMMAND_BYTES));
}

static void on_data(struct connection *c, struct str *in)
{
    struct end *e = of(c);
    if (e->bench->bulk) {
        e->bench->got += in->len;
    } else {
        e->bench->got += e->is_server;
        push(e);
    }
    *in = str_skip(*in, in->len);
}

static void on_secured(struct connection *c, bool ok)
{
    must(ok);
    if (of(c)->is_server)
        of(c)->bench->secured++;
    else
        push(of(c));
}

static void on_drained(struct connection *c)
{
    if (!of(c)->is_server && of(c)->bench->bulk)
        push(of(c));
}

static void on_lost(struct connection *c, int error)
{
    (void)error;
    connection_close(c);
}

static void on_gone(struct connection *c)
{
    of(c)->gone = true;
}

static const struct connection_calls calls = {
    .data = on_data,
    .secured = on_secured,
    .drained = on_drained,
    .lost = on_lost,
    .gone = on_gone,
};

static struct loop *open_loop(unsigned way)
{
    struct buffer errors;
    buffer_init(&errors, 1 << 12);
    struct loop *l = loop_open(ENTRIES, BUFFERS, &errors);
    must(l != NULL);
#ifndef BEFORE
    loop_receive_as(l, (enum receiving)way);
#else
    (void)way;
#endif
    buffer_drop(&errors);
    return l;
}

static void start(struct end *e, struct loop *l, int fd)
{
    struct bench *b = e->bench;
    connection_accept(&e->c, l, &calls, fd, SEND_MAX);
    if (b->server_tls) {
        struct tls *t = e->is_server ? tls_accept(b->server_tls, STR("smtp"))
                                     : tls_connect(b->client_tls, NULL);
        connection_secure(&e->c, &t);
    } else if (!e->is_server) {
        push(e);
    }
}

static void end_all(struct end *ends, size_t pairs, struct loop **l)
{
    for (size_t i = 0; i < pairs; i++)
        connection_close(&ends[i].c);
    for (size_t i = 0; i < pairs; i++)
        while (!ends[i].gone)
            loop_turn(*l, 10);
    loop_turn(*l, 0);
    loop_close(l);
}

static void *run_clients(void *argument)
{
    struct bench *b = argument;
    struct loop *l = open_loop(WAYS - 1);
    for (size_t i = 0; i < b->pairs; i++) {
        b->clients[i] = (struct end){.bench = b};
        start(&b->clients[i], l, b->fds[i][1]);
    }
    while (!atomic_load_explicit(&b->over, memory_order_relaxed))
        loop_turn(l, 10);
    end_all(b->clients, b->pairs, &l);
    return NULL;
}

static void make_pair(int fds[2])
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof a;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(listener >= 0 && bind(listener, (struct sockaddr *)&a, sizeof a) == 0);
    must(listen(listener, 1) == 0 && getsockname(listener, (struct sockaddr *)&a, &len) == 0);
    fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(fds[1] >= 0 && connect(fds[1], (struct sockaddr *)&a, sizeof a) == 0);
    fds[0] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    must(fds[0] >= 0);
    (void)close(listener);
}

static uint64_t cpu_ns(void)
{
    struct timespec ts;
    must(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts) == 0);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

struct figures {
    double rate, cpu; /* MB/s and us a MiB; thousand exchanges/s and us each */
};

static struct figures run_round(struct bench *b)
{
    atomic_store(&b->over, false);
    b->secured = 0;
    for (size_t i = 0; i < b->pairs; i++)
        make_pair(b->fds[i]);
    struct loop *l = open_loop(b->way);
    for (size_t i = 0; i < b->pairs; i++) {
        b->servers[i] = (struct end){.bench = b, .is_server = true};
        start(&b->servers[i], l, b->fds[i][0]);
    }
    pthread_t clients;
    must(pthread_create(&clients, NULL, run_clients, b) == 0);
    while (b->server_tls && b->secured < b->pairs)
        loop_turn(l, 10);
    uint64_t start_ms = clock_monotonic_ms();
    while (loop_now_ms(l) < start_ms + WARM_MS)
        loop_turn(l, 10);
    b->got = 0;
    start_ms = loop_now_ms(l);
    uint64_t cpu = cpu_ns();
    while (loop_now_ms(l) < start_ms + ROUND_MS)
        loop_turn(l, 10);
    double us = (double)(cpu_ns() - cpu) / 1000, ms = (double)(loop_now_ms(l) - start_ms);
    double got = (double)b->got;
    atomic_store(&b->over, true);
    end_all(b->servers, b->pairs, &l);
    must(pthread_join(clients, NULL) == 0);
    return b->bulk ? (struct figures){got / ms / 1000, us / (got / (1 << 20))}
                   : (struct figures){got / ms, us / got};
}

static int compare(const void *a, const void *b)
{
    const struct figures *x = a, *y = b;
    return (x->cpu > y->cpu) - (x->cpu < y->cpu);
}

static void measure(struct bench *b, unsigned rounds)
{
    static const char *const names[] = {"multishot", "single"};
    static struct figures f[WAYS][100];
    for (unsigned round = 0; round < rounds; round++)
        for (b->way = 0; b->way < WAYS; b->way++)
            f[b->way][round] = run_round(b);
    printf("%-5s %-5s %2zu:", b->bulk ? "bulk" : "small", b->server_tls ? "TLS" : "plain",
           b->pairs);
    for (unsigned way = 0; way < WAYS; way++) {
        qsort(f[way], rounds, sizeof f[way][0], compare);
        struct figures m = f[way][rounds / 2];
        printf("  %s %7.1f %s %7.2f us (%.2f-%.2f)", WAYS > 1 ? names[way] : "before", m.rate,
               b->bulk ? "MB/s" : "k/s", m.cpu, f[way][0].cpu, f[way][rounds - 1].cpu);
    }
    printf("\n");
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 5;
    const char *only = argc > 2 ? argv[2] : "";
    must(rounds > 0 && rounds <= 100);
    struct buffer errors;
    buffer_init(&errors, 1 << 16);
    struct certificate certificate;
    certificate_make(&certificate, false);
    struct tls_context *server =
        tls_context_server(certificate.certificate, certificate.key, NULL, &errors);
    struct tls_context *client = tls_context_client(&errors);
    must(server && client);
    static struct bench b;
    static const size_t pairs[] = {1, 16, 64};
    for (int secure = 0; secure < 2; secure++) {
        b.server_tls = secure ? server : NULL;
        b.client_tls = secure ? client : NULL;
        for (size_t i = 0; i < countof(pairs) && strcmp(only, "small") != 0; i++) {
            b.bulk = true;
            b.pairs = pairs[i];
            measure(&b, rounds);
        }
        b.bulk = false;
        b.pairs = PAIRS_MAX;
        if (strcmp(only, "bulk") != 0)
            measure(&b, rounds);
    }
    tls_context_drop(&server);
    tls_context_drop(&client);
    certificate_remove(&certificate);
    buffer_drop(&errors);
    return 0;
}
