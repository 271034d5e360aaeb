#include "bench/sink.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    EVENTS_PER_TURN = 256,
    BACKLOG = 16384, /* the kernel cuts it to somaxconn */
    SLOW_RECEIVE_BYTES = 8192,
};

static int listener_open(const struct sink_options *o, const struct bench_endpoint *at)
{
    int one = 1;
    int fd = socket(at->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        bench_die_errno("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (o->threads > 1) /* else a second sink on the same port would go unnoticed */
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    if (o->slow_bytes_per_s) { /* else the kernel swallows on our behalf */
        int bytes = SLOW_RECEIVE_BYTES;
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    }
    if (bind(fd, (const struct sockaddr *)&at->address, at->address_bytes) < 0 ||
        listen(fd, BACKLOG) < 0)
        bench_die_errno(o->listen);
    return fd;
}

/* Learn the port that the kernel chose, so that every thread listens on the same. */
static void announce(int fd, struct bench_endpoint *at)
{
    char host[INET6_ADDRSTRLEN] = "?";
    unsigned port;
    getsockname(fd, (struct sockaddr *)&at->address, &at->address_bytes);
    if (at->address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *a = (const void *)&at->address;
        port = ntohs(a->sin6_port);
        inet_ntop(AF_INET6, &a->sin6_addr, host, sizeof host);
        printf("listening [%s]:%u\n", host, port);
    } else {
        const struct sockaddr_in *a = (const void *)&at->address;
        port = ntohs(a->sin_port);
        inet_ntop(AF_INET, &a->sin_addr, host, sizeof host);
        printf("listening %s:%u\n", host, port);
    }
    (void)fflush(stdout);
}

static void accept_all(struct sink_worker *w)
{
    for (;;) {
        struct sockaddr_storage peer;
        socklen_t bytes = sizeof peer;
        int fd =
            accept4(w->listener, (struct sockaddr *)&peer, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE)
                bench_die("out of file descriptors: raise ulimit -n");
            if (errno == EAGAIN)
                return;
            continue; /* that connection died while it waited */
        }
        sink_session_open(w, fd, (const struct sockaddr *)&peer);
    }
}

static int sleep_ms(const struct sink_worker *w)
{
    uint64_t next_ns = UINT64_MAX;
    for (size_t i = 0; i < SINK_DELAYS; i++) {
        uint64_t due_ns = bench_lapse_next_ns(&w->lapse[i]);
        next_ns = due_ns < next_ns ? due_ns : next_ns;
    }
    if (next_ns == UINT64_MAX)
        return -1;
    uint64_t now_ns = bench_now_ns();
    return next_ns <= now_ns ? 0 : (int)((next_ns - now_ns) / BENCH_NS_PER_MS) + 1;
}

static void wake_due(struct sink_worker *w)
{
    for (size_t i = 0; i < SINK_DELAYS; i++) {
        if (bench_lapse_next_ns(&w->lapse[i]) == UINT64_MAX)
            continue;
        uint64_t now_ns = bench_now_ns();
        struct sink_session *s;
        while ((s = bench_lapse_take(&w->lapse[i], now_ns)))
            sink_session_wake(s);
    }
}

static void *worker_run(void *argument)
{
    struct sink_worker *w = argument;
    struct epoll_event events[EVENTS_PER_TURN];
    bool stop = false;
    while (!stop) {
        int n = epoll_wait(w->epoll, events, EVENTS_PER_TURN, sleep_ms(w));
        for (int i = 0; i < n; i++) {
            void *owner = events[i].data.ptr;
            if (owner == w)
                accept_all(w);
            else if (owner == &w->run->stop)
                stop = true;
            else
                sink_session_event(owner, events[i].events);
        }
        wake_due(w);
    }
    while (w->sessions)
        sink_session_close(w->sessions, false);
    return NULL;
}

static void watch(int epoll, int fd, void *owner)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = owner};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        bench_die_errno("epoll");
}

static struct sink_worker *workers_start(struct sink_run *run)
{
    struct sink_options *o = &run->options;
    struct bench_endpoint at;
    bench_parse_endpoint(&at, o->listen);
    struct sink_worker *workers = bench_alloc(o->threads, sizeof *workers);
    for (unsigned i = 0; i < o->threads; i++) {
        workers[i].listener = listener_open(o, &at);
        if (!i)
            announce(workers[i].listener, &at);
    }
    for (unsigned i = 0; i < o->threads; i++) {
        struct sink_worker *w = &workers[i];
        w->run = run;
        w->epoll = epoll_create1(EPOLL_CLOEXEC);
        if (w->epoll < 0)
            bench_die_errno("epoll");
        for (size_t k = 0; k < SINK_DELAYS; k++)
            bench_lapse_init(&w->lapse[k], o->delay_ms[k] * BENCH_NS_PER_MS);
        watch(w->epoll, w->listener, w);
        watch(w->epoll, run->stop, &run->stop);
        int error = pthread_create(&w->thread, NULL, worker_run, w);
        if (error) {
            errno = error;
            bench_die_errno("thread");
        }
    }
    return workers;
}

static void summary(const struct sink_run *run, const struct sink_worker *workers,
                    uint64_t start_ns)
{
    struct sink_counts sum = {0};
    for (unsigned i = 0; i < run->options.threads; i++) {
        const struct sink_counts *c = &workers[i].counts;
        sum.messages += c->messages;
        sum.recipients += c->recipients;
        sum.bytes += c->bytes;
        sum.connections += c->connections;
        sum.refused_connections += c->refused_connections;
        sum.tls_handshakes += c->tls_handshakes;
        sum.rejected_mail += c->rejected_mail;
        sum.rejected_rcpt += c->rejected_rcpt;
        sum.rejected_dot += c->rejected_dot;
        sum.unanswered += c->unanswered;
    }
    printf("{\"program\":\"sekimori-sink\",\"version\":1,\"threads\":%u,\"messages\":%" PRIu64
           ",\"recipients\":%" PRIu64 ",\"connections\":%" PRIu64 ",\"bytes\":%" PRIu64,
           run->options.threads, sum.messages, sum.recipients, sum.connections, sum.bytes);
    printf(",\"unanswered\":%" PRIu64 ",\"rejected_mail\":%" PRIu64 ",\"rejected_rcpt\":%" PRIu64
           ",\"rejected_dot\":%" PRIu64 ",\"refused_connections\":%" PRIu64
           ",\"tls_handshakes\":%" PRIu64,
           sum.unanswered, sum.rejected_mail, sum.rejected_rcpt, sum.rejected_dot,
           sum.refused_connections, sum.tls_handshakes);
    printf(",\"elapsed_seconds\":%.3f,\"cpu_seconds\":%.3f}\n",
           (double)(bench_now_ns() - start_ns) / 1e9, bench_cpu_s());
    (void)fflush(stdout);
}

/* A second run in the same directory must not overwrite the first. */
static uint64_t highest_file(int directory)
{
    uint64_t highest = 0;
    DIR *d = fdopendir(fcntl(directory, F_DUPFD_CLOEXEC, 0));
    if (!d)
        return 0;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): no other thread runs yet */
    for (struct dirent *entry; (entry = readdir(d));) {
        uint64_t n = strtoull(entry->d_name, NULL, 10);
        highest = n > highest ? n : highest;
    }
    closedir(d);
    return highest;
}

static void run_prepare(struct sink_run *run)
{
    const struct sink_options *o = &run->options;
    run->ledger = o->ledger ? bench_ledger_open(o->ledger) : -1;
    run->content = -1;
    if (o->content) {
        mkdir(o->content, 0755);
        run->content = open(o->content, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (run->content < 0)
            bench_die_errno(o->content);
        atomic_store(&run->files, highest_file(run->content));
    }
    if (o->tls)
        run->tls = bench_tls_server(o->name, o->certificate);
    run->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (run->stop < 0)
        bench_die_errno("eventfd");
}

int main(int argc, char **argv)
{
    static struct sink_run run;
    uint64_t start_ns = bench_now_ns();
    sink_options_parse(&run.options, argc, argv);

    sigset_t wanted;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGTERM);
    sigaddset(&wanted, SIGINT);
    pthread_sigmask(SIG_BLOCK, &wanted, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    bench_raise_file_limit();

    run_prepare(&run);
    struct sink_worker *workers = workers_start(&run);
    int got;
    sigwait(&wanted, &got);
    uint64_t one = 1;
    if (write(run.stop, &one, sizeof one) != sizeof one)
        bench_die_errno("eventfd");
    for (unsigned i = 0; i < run.options.threads; i++)
        pthread_join(workers[i].thread, NULL);
    summary(&run, workers, start_ns);
    SSL_CTX_free(run.tls);
    free(workers);
    return 0;
}
