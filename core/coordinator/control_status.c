/* control_status.c -- verbs about the server itself: status, config, clock. */
#include "core/base/counter.h"
#include "core/base/log.h"
#include "core/base/overload.h"
#include "core/coordinator/control.h"
#include "core/coordinator/state.h"
#include "core/policy/directory.h"

#include <unistd.h>

static void put_partition(const struct coordinator *c, uint32_t i, struct js_writer *w)
{
    struct partition_usage u = {0};
    const struct release *r = &c->partitions[i].release;
    partition_usage(c->set.partitions[i].partition, &u);
    js_begin(w, NULL, '{');
    js_u64(w, "partition", i);
    js_text(w, "state", u.failed || c->partitions[i].failed ? "failed" : u.full ? "full" : "ok");
    js_u64(w, "messages", u.messages);
    js_u64(w, "held", u.held);
    js_u64(w, "armed", r->wheel.armed);
    js_u64(w, "late_ms_max", r->late_ms_max);
    js_u64(w, "segments", u.segments);
    js_u64(w, "segment_bytes", u.segment_bytes);
    js_u64(w, "live_bytes", u.live_bytes);
    js_u64(w, "ready_bytes", u.ready_bytes);
    js_u64(w, "free_bytes", u.free_bytes);
    js_u64(w, "commit_p50_us", u.commit_p50_us);
    js_u64(w, "commit_p99_us", u.commit_p99_us);
    js_end(w, '}');
}

static void put_clock(const struct coordinator *c, struct js_writer *w)
{
    js_begin(w, "clock", '{');
    js_text(w, "state", c->time.doubtful ? "doubtful" : "ok");
    js_time(w, "adopted", c->adopted_ms);
    js_time(w, "wall", c->now.wall_ms);
    js_u64(w, "behind_ms", c->now.wall_ms - c->adopted_ms);
    js_flag(w, "ntp", clock_synchronised());
    js_end(w, '}');
}

static void put_workers(const struct coordinator *c, struct js_writer *w)
{
    js_begin(w, "workers", '[');
    for (uint32_t i = 0; i < c->set.worker_count; i++) {
        uint64_t pulse_ms = c->workers[i].pulse_ms;
        js_begin(w, NULL, '{');
        js_u64(w, "worker", i);
        js_u64(w, "silent_ms",
               pulse_ms && c->now.monotonic_ms > pulse_ms ? c->now.monotonic_ms - pulse_ms : 0);
        js_u64(w, "connections", c->workers[i].connections);
        js_u64(w, "waiting", c->workers[i].waiting);
        js_u64(w, "outbound", c->workers[i].outbound);
        js_u64(w, "destinations", c->workers[i].destinations);
        js_u64(w, "destinations_down", c->workers[i].down);
        js_u64(w, "lookups", c->workers[i].lookups);
        js_begin(w, "overload", '[');
        for (unsigned n = 0; n < OVERLOAD_CAUSES; n++)
            if (c->workers[i].overload >> n & 1)
                js_text(w, NULL, overload_name((enum overload_cause)n));
        js_end(w, ']');
        js_u64(w, "ring_kept", ring_kept(c->set.workers[i].to));
        js_end(w, '}');
    }
    js_end(w, ']');
}

void control_on_status(struct coordinator *c, struct client *client)
{
    uint32_t failed = 0;
    struct js_writer w = control_row_begin(client);
    js_text(&w, "version", SEKIMORI_VERSION);
    js_u64(&w, "pid", (uint64_t)getpid());
    js_u64(&w, "uptime_ms", c->now.monotonic_ms - c->started.monotonic_ms);
    js_u64(&w, "shards", c->set.worker_count);
    js_u64(&w, "organisations", c->publish.current->snapshot.directory->count);
    js_u64(&w, "generation", c->publish.current->snapshot.generation);
    js_flag(&w, "stopping", c->stopping);
    put_clock(c, &w);
    put_workers(c, &w);
    js_begin(&w, "partitions", '[');
    for (uint32_t i = 0; i < c->set.partition_count; i++) {
        put_partition(c, i, &w);
        failed += c->partitions[i].failed;
    }
    js_end(&w, ']');
    js_begin(&w, "counters", '{');
    for (unsigned i = 0; i < COUNTERS; i++)
        js_u64(&w, counter_name((enum counter)i), counter_read((enum counter)i));
    js_end(&w, '}');
    control_row_end(client, &w);
    if (failed)
        control_endf(client, 1,
                     "%u partition%s failed: the first write or sync error is final; "
                     "see the log",
                     failed, failed == 1 ? "" : "s");
    else
        control_end(client, 0, STR(""));
}

void control_on_clock_confirm(struct coordinator *c, struct client *client)
{
    coordinator_confirm_clock(c);
    log_info("clock_confirmed", log_str("by", client->user));
    control_end(client, 0, STR(""));
}

/* --- config ---------------------------------------------------------------------------------- */

typedef bool config_act(struct coordinator *c, struct buffer *errors, struct buffer *restart);

static void config(struct coordinator *c, struct client *client, config_act *act)
{
    struct buffer errors;
    struct buffer restart;
    buffer_init(&errors, 256 << 10);
    buffer_init(&restart, 64 << 10);
    bool good = act(c, &errors, &restart);
    if (good && restart.len) {
        struct buffer text;
        buffer_init(&text, 128 << 10);
        buffer_printf(&text, "takes effect at the next start only: %.*s",
                      STR_ARG(buffer_str(&restart)));
        control_note(client, buffer_str(&text));
        buffer_drop(&text);
    }
    control_end(client, !good, good ? STR("") : str_trim(buffer_str(&errors)));
    buffer_drop(&errors);
    buffer_drop(&restart);
}

/* What is about files only, and needs no gateway. */
static void leave_to_sekictl(struct client *client)
{
    control_end(client, 1, STR("sekictl does this by itself, with files of its own machine"));
}

void control_on_policy_test(struct coordinator *c, struct client *client)
{
    (void)c;
    leave_to_sekictl(client);
}

void control_on_policy_diff(struct coordinator *c, struct client *client)
{
    (void)c;
    leave_to_sekictl(client);
}

void control_on_config_test(struct coordinator *c, struct client *client)
{
    config(c, client, publish_check);
}

void control_on_config_reload(struct coordinator *c, struct client *client)
{
    config(c, client, publish_reload);
}

void control_on_config_show(struct coordinator *c, struct client *client)
{
    struct buffer text;
    buffer_init(&text, 256 << 10);
    settings_write(c->publish.current->snapshot.settings, &text);
    struct js_writer w = control_row_begin(client);
    js_str(&w, "text", buffer_str(&text));
    control_row_end(client, &w);
    control_end(client, 0, STR(""));
    buffer_drop(&text);
}
