/* storage_rate.c -- how many mails of 4 KiB a partition makes durable in a second, by cells, as a
 * worker asks it: storage_rate [DIRECTORY [SECONDS [BODY_BYTES]]]. Prints one line for each number
 * of mails in flight, and a hash of what is found afterwards. */
#include "core/base/clock.h"
#include "core/base/counter.h"
#include "core/base/heap.h"
#include "core/base/histogram.h"
#include "core/base/id.h"
#include "core/base/log.h"
#include "storage/partition.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

struct bench {
    struct partition *p;
    struct port port;
    struct ring *ask, *answer;
    uint64_t serial;
    size_t body_bytes;
    struct histogram us;
    uint64_t done, refused;
};

static void ask(struct bench *b)
{
    struct message *m = message_make(1 << 20);
    m->id = id_make(1, 1, b->serial++);
    m->accepted_ms = clock_wall_ms();
    m->sender = STR("taro.yamada@int.example");
    m->organisation = STR("demo");
    m->subject = STR("Quotation for the third quarter");
    m->client = STR("[192.0.2.7] mail.int.example");
    m->message_id = STR("<20261124.0438.46@int.example>");
    m->prefix =
        STR("Received: from mail.int.example ([192.0.2.7]) by gate.example with ESMTPS\r\n");
    m->recipients = arena_take(&m->arena, sizeof *m->recipients);
    m->recipient_count = 1;
    m->recipients[0] = (struct recipient){.address = STR("hanako@ext.example"),
                                          .class = CLASS_EXTERNAL,
                                          .stage = STAGE_WAITING,
                                          .due_ms = m->accepted_ms + 300000};
    m->body_inline = true;
    m->body_bytes = b->body_bytes;
    char *body = heap_try(b->body_bytes + 8);
    memset(body, 'x', b->body_bytes);
    struct unit *u = unit_make();
    if (!unit_accept(u, m, body, b->body_bytes))
        abort();
    ring_put(b->ask, &(struct cell){.kind = CELL_COMMIT, .object = u, .a = clock_monotonic_ns()});
}

static void take(struct bench *b)
{
    struct cell c;
    while (ring_take(b->answer, &c)) {
        struct unit *u = c.object;
        histogram_add(&b->us, (clock_monotonic_ns() - c.a) / 1000);
        b->done += u->result == COMMIT_SYNCED;
        b->refused += u->result != COMMIT_SYNCED;
        unit_drop(&u);
    }
}

static void rest(struct bench *b)
{
    port_drowse(&b->port);
    if (ring_empty(b->answer)) {
        struct pollfd fd = {.fd = b->port.wake_fd, .events = POLLIN};
        uint64_t n;
        if (poll(&fd, 1, 1000) > 0 && read(b->port.wake_fd, &n, sizeof n) < 0)
            abort();
    }
    port_awake(&b->port);
}

static double cpu_us(void)
{
    struct rusage r;
    (void)getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e6 +
           (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

static void run(struct bench *b, uint64_t in_flight, double seconds)
{
    b->us = (struct histogram){0};
    b->done = b->refused = 0;
    uint64_t asked = 0, start = clock_monotonic_ns();
    double cpu = cpu_us();
    uint64_t groups = counter_read(COUNTER_commit_groups);
    uint64_t end = start + (uint64_t)(seconds * 1e9);
    while (clock_monotonic_ns() < end || b->done + b->refused < asked) {
        while (asked - b->done - b->refused < in_flight && clock_monotonic_ns() < end) {
            ask(b);
            asked++;
        }
        ring_flush(b->ask);
        if (ring_empty(b->answer))
            rest(b);
        take(b);
    }
    double took = (double)(clock_monotonic_ns() - start) / 1e9;
    (void)printf("in_flight=%" PRIu64 " rate=%.0f/s group=%.1f p50_us=%" PRIu64 " p99_us=%" PRIu64
                 " cpu_us_per_mail=%.2f refused=%" PRIu64 "\n",
                 in_flight, (double)b->done / took,
                 (double)b->done / (double)(counter_read(COUNTER_commit_groups) - groups),
                 histogram_quantile(&b->us, 0.5), histogram_quantile(&b->us, 0.99),
                 (cpu_us() - cpu) / (double)b->done, b->refused);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    const char *directory = argc > 1 ? argv[1] : "/tmp/sekimori-storage-rate";
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 5;
    struct bench b = {.body_bytes = argc > 3 ? strtoul(argv[3], NULL, 10) : 4096};
    struct partition_settings s = {.directory = directory,
                                   .number = 1,
                                   .node = 1,
                                   .segment_bytes = 256 << 20,
                                   .disk_reserve = 1 << 20,
                                   .history_ms = 3600000};
    struct buffer errors;
    buffer_init(&errors, 4096);
    uint64_t start = clock_monotonic_ms();
    b.p = partition_open(&s, &errors);
    if (!b.p) {
        (void)fprintf(stderr, "%.*s\n", STR_ARG(buffer_str(&errors)));
        return 1;
    }
    (void)printf("open_ms=%" PRIu64 " replayed=%" PRIu64 "\n", clock_monotonic_ms() - start,
                 partition_report(b.p)->replayed_groups);
    b.serial = partition_report(b.p)->serial_next;
    port_init(&b.port);
    b.ask = ring_make(partition_port(b.p));
    b.answer = ring_make(&b.port);
    partition_start(b.p, &b.ask, &b.answer, 1, NULL);
    (void)sleep((unsigned)seconds); /* spare segments get their zeros */
    static const uint64_t flights[] = {1, 64, 256};
    for (size_t i = 0; i < sizeof flights / sizeof *flights; i++)
        run(&b, flights[i], seconds);
    struct partition_usage u;
    partition_usage(b.p, &u);
    struct rusage r;
    (void)getrusage(RUSAGE_SELF, &r);
    (void)printf("messages=%" PRIu64 " segments=%" PRIu64 " commit_p50_us=%" PRIu64
                 " commit_p99_us=%" PRIu64 " rss_max_kib=%ld\n",
                 u.messages, u.segments, u.commit_p50_us, u.commit_p99_us, r.ru_maxrss);
    partition_stop(&b.p);
    ring_drop(&b.ask);
    ring_drop(&b.answer);
    port_drop(&b.port);
    buffer_drop(&errors);
    log_flush();
    return 0;
}
