#include "bench/load.h"

#include <inttypes.h>
#include <stdlib.h>

struct totals {
    struct load_counts counts;
    uint64_t unsent;
    double seconds, elapsed_s, cpu_s, cpu_share;
};

static void add_seconds(struct load_counts *sum, const struct load_counts *c)
{
    if (c->seconds > sum->seconds) {
        uint32_t *grown = bench_alloc(c->seconds, sizeof *grown);
        for (size_t i = 0; i < sum->seconds; i++)
            grown[i] = sum->acked_by_second[i];
        free(sum->acked_by_second);
        sum->acked_by_second = grown;
        sum->seconds = c->seconds;
    }
    for (size_t i = 0; i < c->seconds; i++)
        sum->acked_by_second[i] += c->acked_by_second[i];
}

static void add_counts(struct load_counts *sum, const struct load_counts *c)
{
    sum->acked += c->acked;
    sum->failed += c->failed;
    sum->unknown += c->unknown;
    sum->warmup_messages += c->warmup_messages;
    sum->bytes += c->bytes;
    sum->rcpts_refused += c->rcpts_refused;
    sum->replies_4xx += c->replies_4xx;
    sum->replies_5xx += c->replies_5xx;
    sum->connections_opened += c->connections_opened;
    sum->connections_lost += c->connections_lost;
    sum->connect_failures += c->connect_failures;
    sum->tls_handshakes += c->tls_handshakes;
    sum->last_ns = c->last_ns > sum->last_ns ? c->last_ns : sum->last_ns;
    bench_hist_merge(&sum->dot, &c->dot);
    bench_hist_merge(&sum->transaction, &c->transaction);
    bench_hist_merge(&sum->lateness, &c->lateness);
    bench_hist_merge(&sum->connect, &c->connect);
    bench_hist_merge(&sum->handshake, &c->handshake);
    add_seconds(sum, c);
    if (c->tls_version[0])
        (void)snprintf(sum->tls_version, sizeof sum->tls_version, "%s", c->tls_version);
}

static void add_up(struct totals *t, const struct load_run *run, const struct load_worker *workers)
{
    uint64_t now_ns = bench_now_ns();
    for (unsigned i = 0; i < run->options.threads; i++) {
        add_counts(&t->counts, &workers[i].counts);
        t->unsent += load_unsent(&workers[i]);
    }
    if (run->options.rate <= 0 && run->stop_ns == UINT64_MAX) {
        const struct load_counts *c = &t->counts;
        uint64_t done = c->acked + c->failed + c->unknown + c->warmup_messages;
        t->unsent = run->options.messages > done ? run->options.messages - done : 0;
    }
    /* A server that died early must not shorten the time that its rate is divided by. */
    uint64_t end_ns = now_ns < run->stop_ns && run->stop_ns != UINT64_MAX ? now_ns : run->stop_ns;
    if (run->stop_ns == UINT64_MAX || t->counts.last_ns > end_ns)
        end_ns = t->counts.last_ns;
    if (end_ns > run->measure_ns)
        t->seconds = (double)(end_ns - run->measure_ns) / 1e9;
    t->elapsed_s = (double)(now_ns - run->start_ns) / 1e9;
    t->cpu_s = bench_cpu_s();
    t->cpu_share = t->elapsed_s > 0 ? t->cpu_s / t->elapsed_s / run->options.threads : 0;
}

static double per_second(double n, double seconds)
{
    return seconds > 0 ? n / seconds : 0;
}

static const struct {
    const char *name;
    double share;
} quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}};

static void text_hist(FILE *f, const char *name, const struct bench_hist *h)
{
    if (!h->count)
        return;
    (void)fprintf(f, "%-18s us: min %.0f mean %.0f", name, (double)h->min_ns / 1e3,
                  bench_hist_mean_ns(h) / 1e3);
    for (size_t i = 0; i < COUNTOF(quantiles); i++)
        (void)fprintf(f, " %s %.0f", quantiles[i].name,
                      (double)bench_hist_quantile_ns(h, quantiles[i].share) / 1e3);
    (void)fprintf(f, " max %.0f\n", (double)h->max_ns / 1e3);
}

static void report_text(FILE *f, const struct load_run *run, const struct totals *t)
{
    const struct load_options *o = &run->options;
    const struct load_counts *c = &t->counts;
    (void)fprintf(f, "%s, %u connections, %u threads, %s loop, tls %s\n", o->to, o->connections,
                  o->threads, o->rate > 0 ? "open" : "closed",
                  c->tls_version[0] ? c->tls_version : "no");
    (void)fprintf(f,
                  "acked %" PRIu64 " failed %" PRIu64 " unknown %" PRIu64 " unsent %" PRIu64
                  " (warm-up %" PRIu64 ") in %.3f s\n",
                  c->acked, c->failed, c->unknown, t->unsent, c->warmup_messages, t->seconds);
    (void)fprintf(f, "rate %.1f messages/s, %.2f MB/s\n", per_second((double)c->acked, t->seconds),
                  per_second((double)c->bytes, t->seconds) / 1e6);
    text_hist(f, "dot to 250", &c->dot);
    text_hist(f, "transaction", &c->transaction);
    text_hist(f, "start behind time", &c->lateness);
    text_hist(f, "connect", &c->connect);
    text_hist(f, "tls handshake", &c->handshake);
    (void)fprintf(f,
                  "connections opened %" PRIu64 " lost %" PRIu64 " failed %" PRIu64
                  "; tls handshakes %" PRIu64 " (%.1f/s)\n",
                  c->connections_opened, c->connections_lost, c->connect_failures,
                  c->tls_handshakes, per_second((double)c->tls_handshakes, t->elapsed_s));
    (void)fprintf(f,
                  "replies 4xx %" PRIu64 " 5xx %" PRIu64
                  "; generator %.2f cpu s, %.0f %% of a core "
                  "per thread\n",
                  c->replies_4xx, c->replies_5xx, t->cpu_s, t->cpu_share * 100);
    if (t->cpu_share > 0.8 && t->elapsed_s > 1)
        (void)fprintf(f, "WARNING: the generator is saturated; this measures it, not the server\n");
}

static void json_hist(const char *name, const struct bench_hist *h, const char *after)
{
    printf("\"%s\":{\"count\":%" PRIu64 ",\"min\":%.1f,\"mean\":%.1f", name, h->count,
           (double)h->min_ns / 1e3, bench_hist_mean_ns(h) / 1e3);
    for (size_t i = 0; i < COUNTOF(quantiles); i++)
        printf(",\"%s\":%.1f", quantiles[i].name,
               (double)bench_hist_quantile_ns(h, quantiles[i].share) / 1e3);
    printf(",\"max\":%.1f}%s", (double)h->max_ns / 1e3, after);
}

static void json_string(const char *name, const char *text)
{
    printf("\"%s\":\"", name);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        if ((unsigned char)*text >= ' ')
            putchar(*text);
    }
    printf("\",");
}

static void json_conditions(const struct load_run *run, const struct totals *t)
{
    static const char *const tls[] = {"none", "starttls", "implicit"};
    const struct load_options *o = &run->options;
    json_string("to", o->to);
    json_string("loop", o->rate > 0 ? "open" : "closed");
    json_string("mix", o->mix);
    json_string("tls", tls[o->tls]);
    json_string("tls_version", t->counts.tls_version);
    json_string("token_prefix", o->token_prefix);
    printf("\"threads\":%u,\"connections\":%u,\"pipeline\":%s,\"rcpts_per_message\":%u,"
           "\"rate_wanted\":%.3f,\"warmup_seconds\":%.3f,\"seed\":%" PRIu64 ",",
           o->threads, o->connections, o->pipeline ? "true" : "false", o->rcpts, o->rate,
           o->warmup_s, o->seed);
}

static void report_json(const struct load_run *run, const struct totals *t)
{
    const struct load_counts *c = &t->counts;
    printf("{\"program\":\"sekimori-load\",\"version\":1,");
    json_conditions(run, t);
    printf("\"messages\":%" PRIu64 ",\"acked\":%" PRIu64 ",\"failed\":%" PRIu64
           ",\"unknown\":%" PRIu64 ",\"unsent\":%" PRIu64 ",\"warmup_messages\":%" PRIu64 ",",
           c->acked + c->failed + c->unknown, c->acked, c->failed, c->unknown, t->unsent,
           c->warmup_messages);
    printf("\"seconds\":%.6f,\"rate_per_second\":%.3f,\"bytes\":%" PRIu64
           ",\"bytes_per_second\":%.1f,",
           t->seconds, per_second((double)c->acked, t->seconds), c->bytes,
           per_second((double)c->bytes, t->seconds));
    printf("\"rcpts_refused\":%" PRIu64 ",\"replies_4xx\":%" PRIu64 ",\"replies_5xx\":%" PRIu64 ",",
           c->rcpts_refused, c->replies_4xx, c->replies_5xx);
    printf("\"connections_opened\":%" PRIu64 ",\"connections_lost\":%" PRIu64
           ",\"connect_failures\":%" PRIu64 ",\"tls_handshakes\":%" PRIu64
           ",\"tls_handshakes_per_second\":%.3f,",
           c->connections_opened, c->connections_lost, c->connect_failures, c->tls_handshakes,
           per_second((double)c->tls_handshakes, t->elapsed_s));
    printf("\"latency_us\":{");
    json_hist("dot_to_250", &c->dot, ",");
    json_hist("transaction", &c->transaction, ",");
    json_hist("start_lateness", &c->lateness, ",");
    json_hist("connect", &c->connect, ",");
    json_hist("tls_handshake", &c->handshake, "},");
    printf("\"elapsed_seconds\":%.6f,\"cpu_seconds\":%.3f,\"cpu_share_of_threads\":%.3f,",
           t->elapsed_s, t->cpu_s, t->cpu_share);
    printf("\"acked_by_second\":[");
    size_t seconds = (size_t)t->elapsed_s + 1;
    for (size_t i = 0; i < seconds && i < c->seconds; i++)
        printf("%s%" PRIu32, i ? "," : "", c->acked_by_second[i]);
    printf("]}\n");
}

void load_report(const struct load_run *run, const struct load_worker *workers)
{
    struct totals *t = bench_alloc(1, sizeof *t);
    add_up(t, run, workers);
    report_text(run->options.json ? stderr : stdout, run, t);
    if (run->options.json)
        report_json(run, t);
    free(t->counts.acked_by_second);
    free(t);
}
