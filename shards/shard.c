#include "shards/shard.h"

#include "core/base/counter.h"
#include "core/base/heap.h"
#include "core/base/id.h"
#include "core/base/log.h"
#include "core/base/random.h"
#include "shards/auth_link.h"
#include "shards/intake.h"
#include "shards/labour.h"
#include "shards/login.h"
#include "shards/outbox.h"
#include "shards/route.h"
#include "shards/transmit.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>

enum {
    LOOP_ENTRIES = 4096,
    WAITERS_MAX = 200000,
    PULSE_MS = 1000,
    BUSY_WATCH_US = 5, /* with commits under way: a yield is cheaper than a sleep and its wake-up */
    TURN_MS_MAX = 1000,
};

/* ---- ids */

/* The boot clock alone since the anchor. The coordinator also looks at the wall clock, so its time
 * is never ahead of this one: a hold that begins here is never shorter than it should be, even
 * when the wall clock goes back and forth between two anchors. */
uint64_t shard_adopted_ms(const struct shard *s)
{
    return s->anchor.adopted_ms + (clock_boot_ms() - s->anchor.boot_ms);
}

struct shard_partition *shard_partition_of(struct shard *s, uint64_t id)
{
    uint32_t number = id_partition(id);
    if (number % s->count != s->index || number / s->count >= s->partition_count)
        return NULL;
    return &s->partitions[number / s->count];
}

uint64_t shard_new_id(const struct shard *s, struct shard_partition *p)
{
    uint32_t number = s->index + (uint32_t)(p - s->partitions) * s->count;
    return id_make((uint32_t)s->snapshot->settings->node, number, p->serial_next++);
}

/* ---- questions and answers */

bool shard_ask(struct shard *s, struct ring *r, struct cell *question,
               void (*answered)(struct waiter *, const struct cell *), void *owner)
{
    struct waiter *w = slab_take(&s->waiters);
    if (!w)
        return false;
    w->answered = answered;
    w->owner = owner;
    w->asked_ms = loop_now_ms(s->loop);
    if (question->kind == CELL_COMMIT) {
        list_append(&s->commits, &w->commit);
        lone_asked(&s->lone, clock_monotonic_ns());
    }
    question->request = slab_handle(&s->waiters, w);
    question->from = s->index;
    ring_put(r, question);
    return true;
}

bool shard_commit(struct shard *s, struct shard_partition *p, struct unit *u,
                  void (*answered)(struct waiter *, const struct cell *), void *owner)
{
    struct cell c = {.kind = CELL_COMMIT, .object = u};
    return shard_ask(s, p->ask, &c, answered, owner);
}

void shard_expect(struct shard *s, struct shard_partition *p)
{
    struct cell c = {.kind = CELL_EXPECT, .a = s->snapshot->settings->commit_watch};
    if (c.a && lone_is_usual(&s->lone))
        ring_put(p->ask, &c);
}

static void answer(struct shard *s, const struct cell *c)
{
    struct waiter *slot = slab_get(&s->waiters, c->request);
    must(slot != NULL);
    if (list_linked(&slot->commit)) {
        uint64_t took_ns = lone_answered(&s->lone, clock_monotonic_ns());
        if (took_ns)
            acceptor_answered(s->peers, s->index, took_ns / 1000);
    }
    list_remove(&slot->commit);
    struct waiter w = *slot;
    slab_give(&s->waiters, slot);
    w.answered(&w, c);
}

/* ---- deadlines */

void shard_deadline(struct shard *s, enum shard_lapse which, struct deadline *d)
{
    lapse_start(&s->lapses[which], &d->entry, loop_now_ms(s->loop));
}

static void set_lapses(struct shard *s)
{
    const struct settings *set = s->snapshot->settings;
    s->lapses[LAPSE_COMMAND].length_ms = set->command_timeout;
    s->lapses[LAPSE_HANDSHAKE].length_ms = set->handshake_timeout;
    s->lapses[LAPSE_RATE].length_ms = u64_min(set->data_grace, set->command_timeout);
    s->lapses[LAPSE_CONNECT].length_ms = set->connect_timeout;
    s->lapses[LAPSE_REPLY].length_ms = set->reply_timeout;
    s->lapses[LAPSE_DATA].length_ms = set->data_timeout;
    s->lapses[LAPSE_DOT].length_ms = set->dot_timeout;
    s->lapses[LAPSE_TRANSACTION].length_ms = set->transaction_timeout;
    s->lapses[LAPSE_IDLE].length_ms = set->outbound_idle;
    s->lapses[LAPSE_AUTHORITY].length_ms = set->auth_timeout;
    s->lapses[LAPSE_AUTH].length_ms = set->auth_delay;
}

static uint64_t sweep(struct shard *s)
{
    uint64_t now = loop_now_ms(s->loop), next = UINT64_MAX;
    struct lapse_entry *e;
    for (size_t i = 0; i < LAPSES; i++) {
        while ((e = lapse_take(&s->lapses[i], now))) {
            struct deadline *d = owner_of(e, struct deadline, entry);
            d->passed(d);
        }
        next = u64_min(next, lapse_next(&s->lapses[i]));
    }
    return next;
}

int shard_descriptor_end(const struct shard *s)
{
    if (s->descriptors == 0) /* not known */
        return INT_MAX;
    uint64_t spare =
        u64_max(s->descriptors / LIMIT_DESCRIPTOR_PART_OUT, LIMIT_DESCRIPTORS_SPARE_OUT);
    uint64_t end = s->descriptors > spare ? s->descriptors - spare : 1;
    return (int)u64_min(end, INT_MAX);
}

/* ---- settings */

static size_t read_networks(const struct str_list *list, struct network out[LIMIT_NETWORKS])
{
    size_t count = 0;
    for (size_t i = 0; i < list->count && count < LIMIT_NETWORKS; i++)
        if (network_parse(list->at[i], &out[count]) == NETWORK_OK) /* it was checked at load */
            count++;
    return count;
}

/* Which exchangers may be called. */
static void use_way(struct shard *s)
{
    const struct snapshot *n = s->snapshot;
    char name[256];
    struct resolver_rules rules = {
        .allow_loopback = n->settings->outbound_loopback,
        .allow_private = n->settings->outbound_private,
        .own_name = str_to_c(n->hostname, name, sizeof name) ? name : "",
        .own = &s->own,
    };
    s->own.addresses = n->addresses;
    s->own.address_count = n->address_count;
    resolver_use(s->resolver, &rules);
    sources_use(&s->sources, n->settings);
}

static void use_settings(struct shard *s)
{
    const struct snapshot *n = s->snapshot;
    for (size_t i = 0; i < countof(s->server_settings); i++)
        s->server_settings[i] = (struct smtp_server_settings){
            .hostname = n->hostname,
            .message_bytes_max = n->settings->message_size,
            .recipients_max = (uint32_t)n->settings->recipients,
            .errors_max = (uint32_t)n->settings->errors,
            .future_max_s = n->settings->future_release / 1000,
            .service = (enum smtp_service)i,
            .tls_offered = s->tls_server != NULL,
            .mechanisms = login_mechanisms(s),
            .auth_failures_max = (uint32_t)n->settings->auth_failures_per_connection,
        };
    s->client_settings[0] = (struct smtp_client_settings){.hostname = n->hostname,
                                                          .use_tls = n->settings->outbound_tls};
    s->client_settings[1] = (struct smtp_client_settings){.hostname = n->hostname};
    s->exempt_count = read_networks(&n->settings->limit_exempt, s->exempt);
    s->proxy_count = read_networks(&n->settings->proxy_clients, s->proxies);
    guard_use(&s->guard, n->settings);
    auth_link_use(s);
    set_lapses(s);
    use_way(s);
}

static bool load_certificate(struct shard *s, struct buffer *errors)
{
    const struct settings *set = s->snapshot->settings;
    char certificate[4097], key[4097];
    if (set->tls_certificate.len == 0)
        return true;
    if (!str_to_c(set->tls_certificate, certificate, sizeof certificate) ||
        !str_to_c(set->tls_key, key, sizeof key)) {
        buffer_puts(errors, "tls_certificate or tls_key is no file name\n");
        return false;
    }
    struct tls_context *fresh = tls_context_server(certificate, key, &s->tickets, errors);
    if (!fresh)
        return false;
    tls_context_drop(&s->tls_server);
    s->tls_server = fresh;
    return true;
}

/* Nothing on this thread refers to the old snapshot once this returns: sessions hold copies. */
static void adopt(struct shard *s, const struct snapshot *fresh)
{
    struct cell c = {.kind = CELL_ADOPTED, .from = s->index};
    struct buffer errors;
    bool reload = fresh->settings != s->snapshot->settings;
    c.object = (void *)(uintptr_t)s->snapshot; /* goes home: it is the coordinator's to change */
    s->snapshot = fresh;
    buffer_init(&errors, 4096);
    if (reload && !load_certificate(s, &errors))
        log_error("certificate_not_loaded", log_str("why", buffer_str(&errors)));
    buffer_drop(&errors);
    use_settings(s);
    ring_put(s->to_coordinator, &c);
}

/* ---- the turn */

static void hear_coordinator(struct shard *s, const struct cell *c)
{
    switch (c->kind) {
    case CELL_DUE:
        outbox_due(s, c->id, (uint32_t)c->b);
        return;
    case CELL_PUBLISH:
        adopt(s, c->object);
        return;
    case CELL_ANCHORED:
        s->anchor = (struct clock_anchor){.adopted_ms = c->a, .boot_ms = c->b};
        return;
    case CELL_COMMANDED:
        answer(s, c);
        return;
    case CELL_RETRY:
        route_try(s);
        return;
    case CELL_STOP:
        s->stopping = true;
        intake_stop_all(s);
        return;
    default:
        must(!"a cell that coordinators say to workers");
    }
}

static void hear(struct shard *s)
{
    struct cell c;
    for (int i = 0; i < LIMIT_CELLS_PER_TURN && ring_take(s->from_coordinator, &c); i++)
        hear_coordinator(s, &c);
    for (uint32_t p = 0; p < s->partition_count; p++)
        for (int i = 0; i < LIMIT_CELLS_PER_TURN && ring_take(s->partitions[p].answer, &c); i++)
            answer(s, &c);
    for (int i = 0; i < LIMIT_CELLS_PER_TURN && ring_take(s->from_labourer, &c); i++)
        answer(s, &c);
}

static bool is_idle(void *owner)
{
    const struct shard *s = owner;
    bool idle = ring_empty(s->from_coordinator) && ring_empty(s->from_labourer);
    for (uint32_t p = 0; p < s->partition_count; p++)
        idle = idle && ring_empty(s->partitions[p].answer);
    return idle;
}

static void speak(struct shard *s)
{
    size_t kept = 0;
    ring_flush(s->to_coordinator);
    ring_flush(s->to_labourer);
    for (uint32_t p = 0; p < s->partition_count; p++) {
        ring_flush(s->partitions[p].ask);
        kept += ring_kept(s->partitions[p].ask);
    }
    count_by(ring_kept, kept);
}

/* What the keeper of the partition that takes new mail says of it, at once. */
static void look_at_storage(struct shard *s)
{
    struct partition_usage u = {0};
    uint64_t reserve = s->snapshot->settings->disk_reserve;
    if (s->partition_count)
        partition_usage(s->partitions[0].partition, &u);
    /* the keeper begins to refuse at the reserve; we begin again a little above it */
    uint64_t above = u.full ? 2 : u.free_bytes < reserve + reserve / 16;
    overload_look(&s->overload, OVERLOAD_DISK, above, 2, 1);
    overload_look(&s->overload, OVERLOAD_STORAGE, u.failed, 1, 1);
}

void shard_look(struct shard *s)
{
    const struct settings *set = s->snapshot->settings;
    uint64_t memory = set->mail_memory, slow = set->commit_slow, age = 0;
    if (!list_empty(&s->commits))
        age = loop_now_ms(s->loop) - owner_of(s->commits.next, struct waiter, commit)->asked_ms;
    overload_look(&s->overload, OVERLOAD_MEMORY, s->mail_memory, memory / 4 * 3, memory / 2);
    overload_look(&s->overload, OVERLOAD_COMMIT, age, slow, slow / 2);
    look_at_storage(s);
}

/* What changes slowly. */
static void look_around(struct shard *s)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        s->descriptors = files.rlim_cur;
    shard_look(s);
}

static void tick(struct shard *s)
{
    uint64_t now = loop_now_ms(s->loop);
    if (now - s->pulse_ms < PULSE_MS)
        return;
    s->pulse_ms = now;
    look_around(s);
    struct cell pulse = {.kind = CELL_PULSE,
                         .from = s->index,
                         .a = now,
                         .b = (uint64_t)(s->ready.count + s->later.count) << 32 | s->intakes.used,
                         .c = s->overload.causes,
                         .id = (uint64_t)s->destinations.count << 32 | s->outbound_count,
                         .spare = (uint64_t)s->lookups << 32 | s->destinations_down};
    ring_put(s->to_coordinator, &pulse);
    ticket_keys_advance(&s->tickets, now);
    auth_link_tick(s);
    outbox_tick(s);
    route_tick(s);
}

/* Everything that was promised is written down, and nobody waits for an answer any more. */
static void try_to_stop(struct shard *s)
{
    transmit_stop(s);
    if (s->waiters.used || s->outbound_count || s->intakes.used || !auth_link_stopped(s))
        return;
    struct cell stopped = {.kind = CELL_STOPPED, .from = s->index};
    ring_put(s->to_coordinator, &stopped);
    s->stopped = true;
}

static void turn(struct shard *s)
{
    uint64_t now = loop_now_ms(s->loop);
    hear(s);
    uint64_t next = sweep(s);
    outbox_turn(s);
    route_turn(s);
    tick(s);
    if (s->stopping)
        try_to_stop(s);
    speak(s);
    uint64_t wait = u64_min(TURN_MS_MAX, next > now ? next - now : 0);
    wait = u64_min(wait, !list_empty(&s->pumping) ? 1 : outbox_wait_ms(s));
    uint64_t watch_us = lone_watch_us(&s->lone, s->snapshot->settings->commit_watch);
    loop_watch(s->loop, s->lone.open > 1 ? BUSY_WATCH_US : watch_us);
    /* replies go out before the log is written: nobody waits for a line */
    loop_turn(s->loop, s->stopped || log_waiting() ? 0 : wait);
    log_flush();
}

static void *run(void *shard)
{
    struct shard *s = shard;
    char name[16];
    cpu_set_t cores;
    (void)snprintf(name, sizeof name, "worker-%u", s->index % 1000);
    (void)prctl(PR_SET_NAME, name);
    CPU_ZERO(&cores);
    CPU_SET(s->core, &cores);
    if (sched_setaffinity(0, sizeof cores, &cores) != 0)
        log_warning("not_pinned", log_u64("worker", s->index), log_u64("core", s->core));
    counter_thread_start();
    loop_watch_port(s->loop, &s->port, is_idle, s);
    look_around(s);
    intake_start(s);
    while (!s->stopped)
        turn(s);
    struct work *w = work_make(WORK_STOP);
    struct cell c = {.kind = CELL_WORK, .object = w};
    ring_put(s->to_labourer, &c);
    ring_flush(s->to_labourer);
    log_flush();
    return NULL;
}

/* ---- life */

static bool make_resolver(struct shard *s, struct buffer *errors)
{
    const struct settings *set = s->snapshot->settings;
    char forward[256];
    if (!str_to_c(set->resolver, forward, sizeof forward)) {
        buffer_puts(errors, "resolver is too long\n");
        return false;
    }
    struct resolver_settings r = {
        .forward = set->resolver.len ? forward : NULL,
        .port = (uint16_t)set->outbound_port,
    };
    s->resolver = resolver_open(s->loop, &r, errors);
    return s->resolver != NULL;
}

struct shard *shard_make(const struct shard_settings *given, struct buffer *errors)
{
    struct shard *s = heap_take(sizeof *s);
    s->index = given->index;
    s->count = given->count;
    s->core = given->core;
    s->snapshot = given->snapshot;
    s->anchor = given->anchor;
    s->boot = clock_boot_id();
    s->to_coordinator = given->to_coordinator;
    s->scram = scram_server_make(given->secrets->scram);
    ticket_keys_init(&s->tickets, given->secrets->tickets, given->secrets->made_ms);
    port_init(&s->port);
    list_init(&s->commits);
    list_init(&s->pumping);
    list_init(&s->unparking);
    list_init(&s->holding);
    list_init(&s->asked);
    list_init(&s->wanting);
    map_init(&s->mails, random_u64());
    map_init(&s->destinations, random_u64());
    guard_init(&s->guard);
    slab_init(&s->waiters, sizeof(struct waiter), WAITERS_MAX);
    for (size_t i = 0; i < LAPSES; i++)
        lapse_init(&s->lapses[i], 0);
    s->loop = loop_open(LOOP_ENTRIES, LIMIT_RECEIVE_BUFFERS, errors);
    s->tls_client = tls_context_client(errors);
    if (!s->loop || !s->tls_client || !load_certificate(s, errors) || !make_resolver(s, errors))
        return NULL;
    for (uint32_t i = 0; i < given->listener_count; i++)
        own_listen(&s->own, given->listeners[i].fd);
    use_settings(s);
    s->peers = given->peers;
    s->peers->at[s->index] = (struct acceptor_peer){.loop = s->loop, .acceptors = s->acceptors};
    intake_prepare(s, given->listeners, given->listener_count);
    transmit_prepare(s);
    return s;
}

struct port *shard_port(struct shard *s)
{
    return &s->port;
}

static struct labourer *make_labourer(struct shard *s)
{
    struct labourer *l = heap_take(sizeof *l);
    port_init(&l->port);
    s->to_labourer = l->from_worker = ring_make(&l->port);
    s->from_labourer = l->to_worker = ring_make(&s->port);
    return l;
}

void shard_start(struct shard *s, struct ring *from_coordinator, struct shard_partition *partitions,
                 uint32_t partition_count)
{
    s->from_coordinator = from_coordinator;
    s->partitions = partitions;
    s->partition_count = partition_count;
    struct labourer *l = make_labourer(s);
    must(pthread_create(&s->labour_thread, NULL, labour_run, l) == 0);
    must(pthread_create(&s->thread, NULL, run, s) == 0);
}

void shard_join(struct shard **s_p)
{
    struct shard *s = *s_p;
    *s_p = NULL;
    (void)pthread_join(s->thread, NULL);
    (void)pthread_join(s->labour_thread, NULL);
}
