#include "bench/load.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum {
    EVENTS_PER_TURN = 256,
    TICK_MS = 20,
};

bool load_is_over(const struct load_worker *w, uint64_t now_ns)
{
    const struct load_run *run = w->run;
    if (now_ns >= run->stop_ns)
        return true;
    uint64_t next = run->options.rate > 0 ? w->next_number : atomic_load(&run->next_number);
    return next >= run->options.messages;
}

bool load_claim(struct load_worker *w, uint64_t now_ns, uint64_t *number)
{
    if (now_ns >= w->run->stop_ns)
        return false;
    *number = atomic_fetch_add(&w->run->next_number, 1);
    return *number < w->run->options.messages;
}

static uint64_t due_ns_of(const struct load_run *run, uint64_t number)
{
    return run->start_ns + (uint64_t)((double)number * 1e9 / run->options.rate);
}

static void arm_timer(struct load_worker *w, uint64_t due_ns)
{
    if (w->timer_ns == due_ns)
        return;
    struct itimerspec when = {.it_value = {.tv_sec = (time_t)(due_ns / BENCH_NS_PER_S),
                                           .tv_nsec = (long)(due_ns % BENCH_NS_PER_S)}};
    timerfd_settime(w->timer, TFD_TIMER_ABSTIME, &when, NULL);
    w->timer_ns = due_ns;
}

uint64_t load_unsent(const struct load_worker *w)
{
    const struct load_run *run = w->run;
    uint64_t n = w->next_number, step = run->options.threads, end = run->options.messages;
    if (run->options.rate <= 0 || n >= end)
        return 0;
    if (run->stop_ns != UINT64_MAX) {
        double seconds = (double)(run->stop_ns - run->start_ns) / 1e9;
        uint64_t scheduled = (uint64_t)(seconds * run->options.rate);
        end = scheduled < end ? scheduled : end;
    }
    return n >= end ? 0 : (end - n + step - 1) / step;
}

/* Open loop: hand what is due to who is idle. What finds nobody idle stays due, and its latency
 * grows from the time it should have left: no coordinated omission. */
static void hand_out_due(struct load_worker *w)
{
    const struct load_run *run = w->run;
    while (w->next_number < run->options.messages) {
        uint64_t due_ns = due_ns_of(run, w->next_number);
        if (due_ns >= run->stop_ns) {
            w->next_number = UINT64_MAX; /* the schedule ends here */
            return;
        }
        uint64_t now_ns = bench_now_ns();
        if (due_ns > now_ns) {
            arm_timer(w, due_ns);
            return;
        }
        struct load_session *s = bench_lapse_take(&w->idle, UINT64_MAX);
        if (!s)
            return;
        if (now_ns >= run->measure_ns)
            bench_hist_add(&w->counts.lateness, now_ns - due_ns);
        uint64_t number = w->next_number;
        w->next_number += run->options.threads;
        load_smtp_begin(s, number, due_ns);
    }
}

static void reconnect_due(struct load_worker *w)
{
    struct load_session *s;
    uint64_t now_ns = bench_now_ns();
    while ((s = bench_lapse_take(&w->again, now_ns)) || (s = bench_lapse_take(&w->retry, now_ns))) {
        if (load_is_over(w, now_ns))
            load_session_abandon(s);
        else
            load_session_open(s);
    }
}

/* Rare things: the end of the run, and servers that went silent. */
static void tick(struct load_worker *w)
{
    const struct load_run *run = w->run;
    uint64_t now_ns = bench_now_ns();
    bool is_end = now_ns >= run->end_ns;
    uint64_t timeout_ns = (uint64_t)(run->options.timeout_s * 1e9);
    for (unsigned i = 0; i < w->session_count; i++) {
        struct load_session *s = &w->sessions[i];
        if (!s->live)
            continue;
        bool is_early = s->state != LOAD_ENVELOPE && s->state != LOAD_DOT && s->state != LOAD_QUIT;
        if (is_end || (is_early && s->state != LOAD_IDLE && load_is_over(w, now_ns)))
            load_session_abandon(s);
        else if (s->state == LOAD_IDLE && load_is_over(w, now_ns))
            load_smtp_quit(s);
        else if (s->state > LOAD_CLOSED && s->state != LOAD_IDLE &&
                 now_ns - s->progress_ns > timeout_ns)
            load_session_over(s);
    }
}

static int sleep_ms(const struct load_worker *w)
{
    uint64_t due_ns = bench_lapse_next_ns(&w->retry);
    if (due_ns == UINT64_MAX)
        return TICK_MS;
    uint64_t now_ns = bench_now_ns();
    uint64_t ms = due_ns <= now_ns ? 0 : (due_ns - now_ns) / BENCH_NS_PER_MS + 1;
    return ms < TICK_MS ? (int)ms : TICK_MS;
}

static void *worker_run(void *argument)
{
    struct load_worker *w = argument;
    struct epoll_event events[EVENTS_PER_TURN];
    uint64_t tick_ns = 0;
    for (unsigned i = 0; i < w->session_count; i++)
        load_session_open(&w->sessions[i]);
    while (w->live) {
        int n = epoll_wait(w->epoll, events, EVENTS_PER_TURN, sleep_ms(w));
        for (int i = 0; i < n; i++) {
            uint64_t fired;
            if (events[i].data.ptr != w)
                load_session_event(events[i].data.ptr, events[i].events);
            else if (read(w->timer, &fired, sizeof fired) == sizeof fired)
                w->timer_ns = UINT64_MAX;
        }
        if (w->run->options.rate > 0)
            hand_out_due(w);
        reconnect_due(w);
        uint64_t now_ns = bench_now_ns();
        if (now_ns - tick_ns >= (uint64_t)TICK_MS * BENCH_NS_PER_MS) {
            tick_ns = now_ns;
            tick(w);
        }
    }
    return NULL;
}

static void worker_prepare(struct load_worker *w, struct load_run *run, unsigned index)
{
    const struct load_options *o = &run->options;
    w->run = run;
    w->next_number = index;
    w->timer_ns = UINT64_MAX;
    w->session_count = o->connections / o->threads + (index < o->connections % o->threads);
    w->live = w->session_count;
    w->sessions = bench_alloc(w->session_count, sizeof *w->sessions);
    bench_lapse_init(&w->idle, 0);
    bench_lapse_init(&w->again, 0);
    bench_lapse_init(&w->retry, (uint64_t)LOAD_RETRY_MS * BENCH_NS_PER_MS);
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    w->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = w};
    if (w->epoll < 0 || w->timer < 0 || epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->timer, &event) < 0)
        bench_die_errno("epoll");
    for (unsigned i = 0; i < w->session_count; i++) {
        struct load_session *s = &w->sessions[i];
        s->worker = w;
        s->conn.fd = -1;
        s->lapse.owner = s;
        s->live = true;
    }
}

static void auth_prepare(struct load_run *run)
{
    const char *auth = run->options.auth;
    unsigned char plain[256] = {0};
    unsigned char coded[400];
    size_t bytes = strlen(auth);
    const char *colon = strchr(auth, ':');
    if (!colon || bytes + 1 > sizeof plain)
        bench_die("--auth USER:PASS, at most %zu bytes", sizeof plain - 1);
    memcpy(plain + 1, auth, bytes); /* NUL user NUL pass */
    plain[1 + (colon - auth)] = '\0';
    EVP_EncodeBlock(coded, plain, (int)bytes + 1);
    (void)snprintf(run->auth_command, sizeof run->auth_command, "AUTH PLAIN %s\r\n", coded);
}

static void run_prepare(struct load_run *run)
{
    const struct load_options *o = &run->options;
    bench_parse_endpoint(&run->to, o->to);
    load_bodies_make(&run->bodies, o);
    run->ledger = o->ledger ? bench_ledger_open(o->ledger) : -1;
    if (o->tls != LOAD_TLS_NONE)
        run->tls = bench_tls_client();
    if (o->auth)
        auth_prepare(run);
    run->start_ns = bench_now_ns();
    run->measure_ns = run->start_ns + (uint64_t)(o->warmup_s * 1e9);
    run->stop_ns = run->end_ns = UINT64_MAX;
    if (o->seconds > 0) {
        run->stop_ns = run->measure_ns + (uint64_t)(o->seconds * 1e9);
        run->end_ns = run->stop_ns + (uint64_t)(o->grace_s * 1e9);
    }
}

int main(int argc, char **argv)
{
    static struct load_run run;
    load_options_parse(&run.options, argc, argv);
    (void)signal(SIGPIPE, SIG_IGN);
    bench_raise_file_limit();
    run_prepare(&run);

    unsigned threads = run.options.threads;
    struct load_worker *workers = bench_alloc(threads, sizeof *workers);
    for (unsigned i = 0; i < threads; i++)
        worker_prepare(&workers[i], &run, i);
    for (unsigned i = 0; i < threads; i++)
        if ((errno = pthread_create(&workers[i].thread, NULL, worker_run, &workers[i])))
            bench_die_errno("thread");
    for (unsigned i = 0; i < threads; i++)
        pthread_join(workers[i].thread, NULL);
    load_report(&run, workers);

    uint64_t answered = 0;
    for (unsigned i = 0; i < threads; i++) {
        const struct load_counts *c = &workers[i].counts;
        answered += c->acked + c->failed + c->unknown + c->warmup_messages;
        free(workers[i].counts.acked_by_second);
        free(workers[i].sessions);
    }
    for (unsigned i = 0; i < run.bodies.count; i++)
        free(run.bodies.body[i].text);
    SSL_CTX_free(run.tls);
    free(workers);
    bool complete = run.stop_ns == UINT64_MAX ? answered >= run.options.messages
                                              : answered > 0 && bench_now_ns() >= run.measure_ns;
    return complete ? 0 : 1;
}
