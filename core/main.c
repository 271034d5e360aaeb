/* main.c -- builds the program: partitions, workers, coordinator, and the rings between them.
 *
 * The only file that knows both sides of floor 4. It runs the coordinator on its own thread, and
 * stops in the order in which nothing is lost: no new mail, what is in the air to its end,
 * keepers, index. */

#include "core/base/counter.h"
#include "core/base/heap.h"
#include "core/base/id.h"
#include "core/base/log.h"
#include "core/base/random.h"
#include "core/base/zones.h"
#include "core/coordinator/coordinator.h"
#include "core/main_options.h"
#include "crypto/tls.h"
#include "shards/shard.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum {
    ERROR_BYTES_MAX = 64 << 10,
    EXIT_CONFIG = 78,
    EXIT_SERVICE = 69
};

struct program {
    struct options options;
    struct settings *settings; /* of the start; the snapshot has its own */
    struct snapshot *snapshot;
    struct partition *partitions[LIMIT_SHARDS];
    struct partition *registry;
    uint32_t partition_count, shard_count;
    struct shard *shards[LIMIT_SHARDS];
    struct shard_partition *shard_partitions[LIMIT_SHARDS];
    struct port port; /* the coordinator's */
    struct coordinator_partition coordinator_partitions[LIMIT_SHARDS];
    struct coordinator_worker workers[LIMIT_SHARDS];
    struct coordinator_settings coordinator;
    struct shard_secrets secrets;
    struct acceptor_peers peers;
    struct buffer errors;
};

static struct coordinator *running; /* for the signal handlers only */

static void on_signal(int number)
{
    int saved = errno;
    if (running && number == SIGHUP)
        coordinator_reload(running);
    else if (running)
        coordinator_stop(running);
    errno = saved;
}

_Noreturn static void fail(struct program *p, int status)
{
    (void)fprintf(stderr, "sekimori: %.*s\n", STR_ARG(str_trim(buffer_str(&p->errors))));
    log_flush();
    exit(status);
}

static void block_signals(int how)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    must(sigprocmask(how, &set, NULL) == 0);
}

static void catch_signals(void)
{
    struct sigaction act = {.sa_handler = on_signal};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGTERM, &act, NULL);
    (void)sigaction(SIGINT, &act, NULL);
    (void)sigaction(SIGHUP, &act, NULL);
    (void)sigaction(SIGPIPE, &ignore, NULL);
    block_signals(SIG_UNBLOCK);
}

/* As many files as we may have: each connection is one. */
static void raise_limits(const struct settings *s, uint32_t shards)
{
    struct rlimit files;
    uint64_t want = (s->connections + s->outbound_total) * shards + 512;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return;
    if (files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    if (files.rlim_cur < want)
        log_warning("few_files", log_u64("limit", files.rlim_cur), log_u64("wanted", want),
                    log_text("hint", "raise LimitNOFILE, or lower connections"));
}

static void open_log(struct program *p)
{
    static const char *const levels[] = {"debug", "info", "warning", "error"};
    struct str name = p->settings->log;
    enum log_level least = LOG_LEVEL_INFO;
    char path[4097];
    int fd = STDERR_FILENO;
    for (unsigned i = 0; i < countof(levels); i++)
        if (str_eq(p->settings->log_level, str_c(levels[i])))
            least = (enum log_level)i;
    if (!str_eq(name, STR("stderr")) && !str_eq(name, STR("journald"))) {
        errno = ENAMETOOLONG;
        fd = str_to_c(name, path, sizeof path)
                 ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640)
                 : -1;
        if (fd < 0) {
            buffer_printf(&p->errors, "log file %s: %s", path, strerrorname_np(errno));
            fail(p, EXIT_CONFIG);
        }
    }
    log_open(fd, least); /* journald reads stderr of the unit */
}

static void make_directory(struct program *p, const char *path)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return;
    buffer_printf(&p->errors, "directory %s: %s; create it for the user that runs sekimori", path,
                  strerrorname_np(errno));
    fail(p, EXIT_CONFIG);
}

/* Partitions are never removed before they are drained: those of an earlier, larger start stay. */
static uint32_t count_partitions(struct program *p, const char *directory)
{
    uint32_t count = p->shard_count;
    DIR *d = opendir(directory);
    if (!d)
        return count;
    const struct dirent *e;
    while ((e = readdir(d))) {
        uint64_t number;
        struct str name = str_c(e->d_name);
        if (str_starts(name, STR("partition-")) &&
            str_number(str_skip(name, 10), LIMIT_SHARDS - 1, &number))
            count = (uint32_t)u64_max(count, number + 1);
    }
    (void)closedir(d);
    return count;
}

static struct partition *open_partition(struct program *p, const char *directory, uint32_t number,
                                        const char *name)
{
    const struct settings *s = p->settings;
    char path[4200];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    struct partition_settings ps = {
        .directory = path,
        .number = number,
        .node = (uint32_t)s->node,
        .segment_bytes = number == ID_PARTITION_REGISTRY ? 4u << 20 : s->segment_bytes,
        .ready_bytes = number == ID_PARTITION_REGISTRY ? 0 : s->journal_ready,
        .disk_reserve = s->disk_reserve,
        .history_ms = s->history,
    };
    struct partition *opened = partition_open(&ps, &p->errors);
    if (!opened)
        fail(p, EXIT_SERVICE);
    const struct partition_report *r = partition_report(opened);
    log_info("partition_open", log_text("name", name), log_u64("replayed", r->replayed_groups),
             log_u64("torn", r->torn_groups), log_u64("damaged", r->damaged_messages));
    return opened;
}

static void open_partitions(struct program *p)
{
    char directory[4097], name[32];
    if (!str_to_c(p->settings->directory, directory, sizeof directory)) {
        buffer_puts(&p->errors, "setting directory is no file name");
        fail(p, EXIT_CONFIG);
    }
    make_directory(p, directory);
    p->partition_count = count_partitions(p, directory);
    for (uint32_t i = 0; i < p->partition_count; i++) {
        (void)snprintf(name, sizeof name, "partition-%u", i);
        p->partitions[i] = open_partition(p, directory, i, name);
    }
    p->registry = open_partition(p, directory, ID_PARTITION_REGISTRY, "registry");
}

/* ---- workers */

static uint32_t count_cores(cpu_set_t *cores)
{
    CPU_ZERO(cores);
    if (sched_getaffinity(0, sizeof *cores, cores) != 0)
        CPU_SET(0, cores);
    return (uint32_t)CPU_COUNT(cores);
}

/* The n-th core that we may run on; more shards than cores share. */
static uint32_t core_of(const cpu_set_t *cores, uint32_t n)
{
    uint32_t seen = n % (uint32_t)CPU_COUNT(cores);
    for (uint32_t core = 0; core < CPU_SETSIZE; core++)
        if (CPU_ISSET(core, cores) && seen-- == 0)
            return core;
    return 0;
}

static void listen_on(struct program *p, const struct str_list *list, enum smtp_service service,
                      struct shard_listener *out, uint32_t *count)
{
    for (size_t i = 0; i < list->count && *count < LIMIT_LISTENERS; i++) {
        struct sockaddr_storage address;
        socklen_t len;
        uint16_t port;
        int fd = -EINVAL;
        if (acceptor_parse(list->at[i], &address, &len))
            fd = acceptor_listen((const struct sockaddr *)&address, len, &port);
        if (fd < 0) {
            buffer_printf(&p->errors, "cannot listen on %.*s: %s", STR_ARG(list->at[i]),
                          strerrorname_np(-fd));
            fail(p, EXIT_SERVICE);
        }
        out[(*count)++] = (struct shard_listener){.fd = fd, .service = service};
    }
}

static void make_shard(struct program *p, uint32_t index, uint32_t core)
{
    struct shard_listener listeners[LIMIT_LISTENERS];
    uint32_t count = 0;
    listen_on(p, &p->settings->relay_listen, SMTP_RELAY, listeners, &count);
    listen_on(p, &p->settings->submission_listen, SMTP_SUBMISSION, listeners, &count);
    listen_on(p, &p->settings->submissions_listen, SMTP_SUBMISSIONS, listeners, &count);
    struct shard_settings s = {
        .index = index,
        .count = p->shard_count,
        .core = core,
        .secrets = &p->secrets,
        .snapshot = p->snapshot,
        .anchor = p->coordinator.anchor,
        .to_coordinator = p->workers[index].from,
        .listeners = listeners,
        .listener_count = count,
        .peers = &p->peers,
    };
    p->shards[index] = shard_make(&s, &p->errors);
    if (!p->shards[index])
        fail(p, EXIT_SERVICE);
    p->workers[index].to = ring_make(shard_port(p->shards[index]));
}

static void start_keeper(struct program *p, uint32_t number)
{
    uint32_t index = number % p->shard_count;
    struct partition *partition = p->partitions[number];
    struct shard_partition *mine = &p->shard_partitions[index][number / p->shard_count];
    struct coordinator_partition *c = &p->coordinator_partitions[number];
    *mine = (struct shard_partition){
        .partition = partition,
        .ask = ring_make(partition_port(partition)),
        .answer = ring_make(shard_port(p->shards[index])),
        .serial_next = partition_report(partition)->serial_next,
    };
    *c = (struct coordinator_partition){
        .partition = partition,
        .ask = ring_make(partition_port(partition)),
        .answer = ring_make(&p->port),
        .arms = ring_make(&p->port),
    };
    struct ring *from[] = {mine->ask, c->ask}, *to[] = {mine->answer, c->answer};
    partition_start(partition, from, to, countof(from), c->arms);
}

static void start_threads(struct program *p)
{
    for (uint32_t i = 0; i < p->shard_count; i++)
        p->shard_partitions[i] =
            heap_take((p->partition_count / p->shard_count + 1) * sizeof *p->shard_partitions[i]);
    for (uint32_t i = 0; i < p->partition_count; i++)
        start_keeper(p, i);
    running = coordinator_make(&p->coordinator, p->snapshot, &p->errors);
    if (!running)
        fail(p, EXIT_SERVICE);
    for (uint32_t i = 0; i < p->shard_count; i++) {
        uint32_t extra = i < p->partition_count % p->shard_count;
        shard_start(p->shards[i], p->workers[i].to, p->shard_partitions[i],
                    p->partition_count / p->shard_count + extra);
    }
}

static void prepare(struct program *p)
{
    cpu_set_t cores;
    uint32_t core_count = count_cores(&cores);
    p->shard_count = p->settings->shards ? (uint32_t)p->settings->shards : core_count;
    p->shard_count = (uint32_t)u64_min(p->shard_count, LIMIT_SHARDS);
    raise_limits(p->settings, p->shard_count);
    open_partitions(p);
    port_init(&p->port);
    struct coordinator_settings *c = &p->coordinator;
    *c = (struct coordinator_settings){
        .config_path = p->options.config,
        .overrides = p->options.overrides,
        .override_count = p->options.override_count,
        .port = &p->port,
        .workers = p->workers,
        .worker_count = p->shard_count,
        .partitions = p->coordinator_partitions,
        .partition_count = p->partition_count,
        .registry = p->registry,
        .zones = zones_make(ZONE_DIRECTORY),
    };
    c->anchor = coordinator_first_anchor(p->partitions, p->partition_count, &c->clock_doubtful);
    p->snapshot = coordinator_first_snapshot(c, &p->errors);
    if (!p->snapshot)
        fail(p, EXIT_CONFIG);
    p->secrets.made_ms = clock_monotonic_ms();
    random_bytes(p->secrets.tickets, sizeof p->secrets.tickets);
    random_bytes(p->secrets.scram, sizeof p->secrets.scram);
    p->peers.count = p->shard_count;
    for (uint32_t i = 0; i < p->shard_count; i++) {
        p->workers[i].from = ring_make(&p->port);
        make_shard(p, i, core_of(&cores, i));
    }
    explicit_bzero(&p->secrets, sizeof p->secrets);
}

static void stop(struct program *p)
{
    log_info("stopping", log_u64("shards", p->shard_count));
    for (uint32_t i = 0; i < p->shard_count; i++)
        shard_join(&p->shards[i]);
    for (uint32_t i = 0; i < p->partition_count; i++)
        partition_stop(&p->partitions[i]);
    coordinator_drop(&running);
    partition_stop(&p->registry);
    log_info("stopped", log_u64("accepted", counter_read(COUNTER_smtpd_accepted)));
    log_flush();
}

int main(int argc, char **argv)
{
    static struct program p;
    buffer_init(&p.errors, ERROR_BYTES_MAX);
    tls_prepare();
    int status;
    if (!options_parse(argc, argv, &p.options, &status))
        return status;
    p.settings = options_load(&p.options, &p.errors);
    if (!p.settings)
        fail(&p, EXIT_CONFIG);
    if (p.options.check) {
        (void)fputs("configuration is good\n", stdout);
        return 0;
    }
    block_signals(SIG_BLOCK);
    (void)umask(0077);
    counter_thread_start();
    open_log(&p);
    log_info("starting", log_text("version", SEKIMORI_VERSION));
    prepare(&p);
    start_threads(&p);
    catch_signals();
    log_info("ready", log_u64("shards", p.shard_count), log_u64("partitions", p.partition_count));
    log_flush();
    (void)sd_notify(0, "READY=1");
    coordinator_run(running);
    (void)sd_notify(0, "STOPPING=1");
    block_signals(SIG_BLOCK);
    stop(&p);
    return 0;
}
