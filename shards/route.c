#include "shards/route.h"

#include "core/base/counter.h"
#include "core/base/heap.h"
#include "core/base/limit.h"
#include "core/base/log.h"
#include "shards/outbox.h"
#include "shards/transmit.h"

enum {
    RESOLUTION_FRESH_MS = 60000, /* then libunbound's cache is asked again: TTLs rule */
    ROUTE_PAUSE_MS = 10000,      /* the longest of the one hop that gets all mail */
    FORGET_MS = 60000,
    FORGET_SOON_MS = 5000,     /* where there are many destinations */
    LOOKUP_PATIENCE_MS = 3000, /* a question may take longer while nobody waits to ask another */
    UNPROVEN = 4, /* this part of outbound_total is for destinations that took a mail before */
    WHY_BYTES_MAX = 1024,
    DEFER_PER_TURN = 64,
    SHARE = 8, /* of a destination: this part of the mails for which there is room */
    HANDFUL =
        8, /* this part of a queue is filled at once: a wake-up of the keeper for each is dear */
};

struct destination *route_of(struct shard *s, struct str domain)
{
    const struct settings *settings = s->snapshot->settings;
    struct str name = settings->route.len ? settings->route : domain;
    struct destination *d = map_get(&s->destinations, name);
    if (d || s->destinations.count >= LIMIT_DESTINATIONS)
        return d;
    d = heap_try(sizeof *d);
    if (!d)
        return NULL;
    *d = (struct destination){.shard = s, .touched_ms = loop_now_ms(s->loop)};
    d->source_turn = s->sources.first++;
    d->is_route = settings->route.len > 0;
    list_init(&d->link);
    list_init(&d->unparking);
    list_init(&d->holding);
    list_init(&d->wanting);
    list_init(&d->asked);
    list_init(&d->idle);
    pace_init(&d->pace, (uint32_t)settings->outbound_connections_first);
    buffer_init(&d->name, LIMIT_DOMAIN_BYTES + 16);
    buffer_put(&d->name, name);
    buffer_init(&d->defer_why, WHY_BYTES_MAX);
    map_set(&s->destinations, name, d);
    return d;
}

static void pump_later(struct destination *d)
{
    d->touched_ms = loop_now_ms(d->shard->loop);
    if (!list_linked(&d->link))
        list_append(&d->shard->pumping, &d->link);
}

static bool anybody_waits(const struct destination *d)
{
    return d->parked.count || d->holds.count;
}

/* A part of what is free, so that the next destination finds room, whoever has the rest. */
static uint32_t room_of(const struct destination *d)
{
    uint32_t in_work = d->shard->mails_in_work;
    uint32_t share = (OUTBOX_MAILS - (in_work < OUTBOX_MAILS ? in_work : OUTBOX_MAILS)) / SHARE;
    uint32_t room = share < ROUTE_QUEUE_MAX ? share : ROUTE_QUEUE_MAX;
    return room ? room : 1;
}

static bool has_room(const struct destination *d)
{
    return d->queue.count + d->coming < room_of(d);
}

/* Whoever comes while others wait takes turns with them. */
bool route_is_full(const struct destination *d)
{
    return anybody_waits(d) || !has_room(d);
}

/* Room for some of those that wait, a handful at once: the outbox takes them in its next turn. */
static void unpark(struct destination *d)
{
    uint32_t room = room_of(d);
    if (anybody_waits(d) && d->queue.count + d->coming <= room - room / HANDFUL - 1 &&
        !list_linked(&d->unparking))
        list_append(&d->shard->unparking, &d->unparking);
}

void route_park(struct destination *d, const struct mail *mail, bool hold_lane)
{
    struct shard *s = d->shard;
    turns_put(&s->turns, &d->parked, mail->lane, mail->id);
    if (hold_lane && turns_hold(&s->turns, &s->ready, mail->lane, &d->holds) &&
        !list_linked(&d->holding))
        list_append(&s->holding, &d->holding);
    unpark(d);
}

static bool take_held(struct destination *d, uint32_t *lane, uint64_t *id)
{
    struct shard *s = d->shard;
    bool got = turns_take_held(&s->turns, &s->ready, &d->holds, lane, id);
    list_remove(&d->holding);
    if (d->holds.count)
        list_append(&s->holding, &d->holding);
    return got;
}

bool route_unpark(struct destination *d, uint32_t *lane, uint64_t *id)
{
    if (!has_room(d) ||
        (!turns_take(&d->shard->turns, &d->parked, lane, id) && !take_held(d, lane, id)))
        return false;
    d->coming++;
    return true;
}

bool route_look(struct destination *d, uint32_t *lane, uint64_t *id)
{
    return take_held(d, lane, id);
}

void route_came(struct destination *d)
{
    d->coming--;
    unpark(d);
}

void route_add(struct destination *d, struct delivery *delivery)
{
    turns_put(&d->shard->turns, &d->queue, delivery->mail->lane, (uintptr_t)delivery);
    pump_later(d);
}

struct delivery *route_take(struct destination *d)
{
    uint32_t lane;
    uint64_t first;
    if (!turns_take(&d->shard->turns, &d->queue, &lane, &first))
        return NULL;
    unpark(d);
    return (struct delivery *)(uintptr_t)first;
}

static void conclude_all(struct delivery *delivery, enum verdict verdict, struct str why,
                         struct str status)
{
    struct outcome *outcomes = heap_take(delivery->count * sizeof *outcomes);
    for (uint32_t i = 0; i < delivery->count; i++)
        outcomes[i] = (struct outcome){.recipient = delivery->recipient[i],
                                       .verdict = verdict,
                                       .why = why,
                                       .status = status};
    mail_conclude(delivery->mail, outcomes, delivery->count);
    heap_drop(outcomes);
    heap_drop(delivery);
}

static uint32_t connections_most(const struct destination *d)
{
    return (uint32_t)d->shard->snapshot->settings->outbound_connections;
}

/* It is down: what waits is deferred, and so is what comes until the pause is over. */
static void defer_from_now(struct destination *d, struct str why)
{
    const struct settings *settings = d->shard->snapshot->settings;
    uint64_t now = loop_now_ms(d->shard->loop);
    buffer_clear(&d->defer_why);
    buffer_put(&d->defer_why, str_head(why, WHY_BYTES_MAX));
    uint64_t longest = settings->route.len ? ROUTE_PAUSE_MS : PACE_PAUSES_MS;
    pace_failed(&d->pace, u64_min(settings->retry_first, longest), now);
    log_info("destination_down", log_str("destination", buffer_str(&d->name)),
             log_u64("pause_ms", d->pace.pause_ms), log_str("why", why));
    d->resolved = false;
    pump_later(d);
}

void route_greeted(struct destination *d)
{
    pace_greeted(&d->pace);
    pump_later(d); /* it may have more connections now */
}

void route_took(struct destination *d)
{
    uint32_t before = d->pace.window;
    pace_took(&d->pace, connections_most(d));
    if (d->pace.window > before && d->queue.count)
        pump_later(d);
}

void route_slowed(struct destination *d, struct str why)
{
    if (!pace_slowed(&d->pace))
        return;
    count(outbound_slowed);
    log_info("destination_slowed", log_str("destination", buffer_str(&d->name)),
             log_u64("connections", d->pace.window), log_str("why", why));
}

bool route_is_crowded(const struct destination *d)
{
    return d->connections > pace_limit(&d->pace, connections_most(d), loop_now_ms(d->shard->loop));
}

static void fail_all(struct destination *d, struct str why, struct str status)
{
    struct delivery *delivery;
    while ((delivery = route_take(d)))
        conclude_all(delivery, VERDICT_BOUNCE, why, status);
}

static void keep_exchangers(struct destination *d, const struct resolution *answer)
{
    heap_drop(d->exchangers);
    d->exchangers = heap_take(answer->count * sizeof *d->exchangers);
    memcpy(d->exchangers, answer->exchanger, answer->count * sizeof *d->exchangers);
    d->exchanger_count = (uint32_t)answer->count;
    d->resolved = true;
    d->resolved_ms = loop_now_ms(d->shard->loop);
}

static void stop_asking(struct destination *d)
{
    struct shard *s = d->shard;
    uint32_t lane;
    uint64_t next;
    if (!d->resolving)
        return;
    list_remove(&d->asked);
    d->resolving = false;
    s->lookups--;
    if (!turns_take(&s->turns, &s->asking, &lane, &next))
        return;
    struct destination *other = (struct destination *)(uintptr_t)next;
    other->waits_to_ask = false;
    pump_later(other);
}

/* Where others wait to ask, the oldest question has had its time: the silence of one domain's
 * servers holds up no other's. */
static bool may_ask(struct destination *d)
{
    struct shard *s = d->shard;
    uint64_t now = loop_now_ms(s->loop);
    if (s->lookups < LIMIT_LOOKUPS)
        return true;
    struct destination *oldest = owner_of(s->asked.next, struct destination, asked);
    if (now - oldest->asked_ms >= LOOKUP_PATIENCE_MS) {
        resolver_forget(s->resolver, &oldest->question);
        stop_asking(oldest);
        defer_from_now(oldest, STR("no answer from the DNS in time, and others wait to ask it"));
        return true;
    }
    uint32_t lane = 0;
    if (!d->waits_to_ask && turns_peek(&s->turns, &d->queue, &lane)) {
        turns_put(&s->turns, &s->asking, lane, (uintptr_t)d);
        d->waits_to_ask = true;
    }
    return false;
}

/* Ours to put right: no mail is returned for it. */
static void route_fails(struct destination *d, const char *why)
{
    log_error("route_unusable", log_str("route", buffer_str(&d->name)), log_text("why", why),
              log_text("hint", "the setting `route` names a host that cannot take our mail"));
    defer_from_now(d, str_c(why));
}

static void resolved(struct question *q, const struct resolution *answer)
{
    struct destination *d = q->owner;
    stop_asking(d);
    if (d->is_route && answer->status != RESOLVE_OK) {
        route_fails(d, answer->why);
        return;
    }
    switch (answer->status) {
    case RESOLVE_OK:
        keep_exchangers(d, answer);
        break;
    case RESOLVE_RETRY:
        defer_from_now(d, str_c(answer->why));
        break;
    case RESOLVE_NONE:
        fail_all(d, str_c(answer->why), STR("5.1.2"));
        break;
    case RESOLVE_NULL_MX:
        fail_all(d, str_c(answer->why), STR("5.1.10"));
        break;
    case RESOLVE_UNUSABLE: /* an error to report, not to wait for (RFC 5321 5.1) */
        fail_all(d, str_c(answer->why), STR("5.4.4"));
        break;
    case RESOLVE_LOOP:
        fail_all(d, str_c(answer->why), STR("5.4.6"));
        break;
    }
    pump_later(d);
}

/* A route HOST:PORT with an address needs no resolver. */
static bool take_route(struct destination *d)
{
    struct resolution fixed = {.status = RESOLVE_OK, .count = 1};
    struct exchanger one = {0};
    if (!acceptor_parse(buffer_str(&d->name), &one.address, &one.address_len))
        return false;
    if (own_is(&d->shard->own, (const struct sockaddr *)&one.address)) {
        route_fails(d, "it leads back to us");
        return true;
    }
    memcpy(one.name, d->name.at, size_min(d->name.len, sizeof one.name - 1));
    fixed.exchanger = &one;
    keep_exchangers(d, &fixed);
    return true;
}

/* Of its name only the addresses are asked for. */
static void ask_route(struct destination *d)
{
    struct str rest = buffer_str(&d->name), host = str_cut(&rest, ':');
    uint64_t port = 0;
    bool is_port = str_number(rest, UINT16_MAX, &port); /* it was checked at load */
    resolver_ask_host(d->shard->resolver, &d->question, is_port ? host : STR(""), (uint16_t)port);
}

static bool resolve(struct destination *d)
{
    if (d->resolved &&
        (d->connections || loop_now_ms(d->shard->loop) - d->resolved_ms < RESOLUTION_FRESH_MS))
        return true;
    if (d->resolving)
        return d->resolved;
    if (d->is_route && take_route(d))
        return d->resolved;
    if (!may_ask(d))
        return false;
    list_append(&d->shard->asked, &d->asked);
    d->shard->lookups++;
    d->asked_ms = loop_now_ms(d->shard->loop);
    d->resolving = true;
    d->question.done = resolved;
    d->question.owner = d;
    if (d->is_route)
        ask_route(d);
    else
        resolver_ask(d->shard->resolver, &d->question, buffer_str(&d->name));
    return false;
}

void route_connection_gone(struct destination *d, bool reached, uint32_t exchanger, struct str why)
{
    d->touched_ms = loop_now_ms(d->shard->loop);
    if (!reached && d->queue.count && !d->shard->stopping) {
        if (d->connections) { /* others still work: their queue is not lost for one failed dial */
            route_slowed(d, why);
            return;
        }
        uint32_t next = exchanger + 1;
        while (d->resolved && next < d->exchanger_count && !transmit_dial(d, next))
            next++;
        if (!d->resolved || next >= d->exchanger_count)
            defer_from_now(d, why);
    }
    pump_later(d);
}

/* A destination that failed as a whole: what waits is deferred in slices, parked ids too. */
static bool defer_waiting(struct destination *d)
{
    if (!pace_is_down(&d->pace, loop_now_ms(d->shard->loop)))
        return false;
    for (int i = 0; i < DEFER_PER_TURN; i++) {
        struct delivery *delivery = route_take(d);
        if (!delivery)
            break;
        conclude_all(delivery, VERDICT_RETRY, buffer_str(&d->defer_why), STR("4.4.1"));
    }
    unpark(d);
    return true;
}

uint32_t route_organisation(const struct destination *d)
{
    uint32_t lane = 0;
    (void)turns_peek(&d->shard->turns, &d->queue, &lane);
    return lane_organisation(lane);
}

void route_slot_free(struct shard *s)
{
    struct list *next = list_take(&s->wanting);
    if (next)
        pump_later(owner_of(next, struct destination, wanting));
}

/* Connections of outbound_total that this dial may count on. Of what is free one destination gets
 * a part, one organisation another, and whoever took no mail yet least: the next always finds some.
 * Where there is none, a connection that is stuck is given up. */
static bool may_dial(struct destination *d)
{
    struct shard *s = d->shard;
    uint64_t total = s->snapshot->settings->outbound_total, used = s->outbound_count;
    uint64_t left = total > used ? total - used : 0;
    uint64_t kept = d->pace.proven ? 0 : total / UNPROVEN;
    uint32_t whose = route_organisation(d);
    if (left <= kept)
        return transmit_make_room(s, LANE_ORGANISATIONS) && s->outbound_count < used;
    bool alone = s->snapshot->settings->route.len; /* there is no other destination */
    if (!alone && d->connections && d->connections >= left / 4)
        return false;
    uint64_t share = d->pace.proven ? left * 2 : left / 2;
    if (s->organisation_connections[whose] < (share ? share : 1))
        return true;
    turns_pass(&s->turns, &d->queue); /* another may dial next time */
    return transmit_make_room(s, whose) && s->outbound_count < used;
}

static void want(struct destination *d)
{
    if (!list_linked(&d->wanting))
        list_append(&d->shard->wanting, &d->wanting);
}

/* True: look again next turn. */
static bool pump(struct destination *d)
{
    struct shard *s = d->shard;
    uint32_t limit = pace_limit(&d->pace, connections_most(d), loop_now_ms(s->loop));
    if (d->queue.count == 0)
        return false;
    if (defer_waiting(d))
        return d->queue.count > 0;
    while (d->queue.count && !list_empty(&d->idle))
        transmit_offer(transmit_of_idle(d->idle.next));
    if (d->queue.count == 0 || !resolve(d))
        return false;
    /* as many dials under way as there are deliveries for them, but one at first: does it answer?
     * */
    while (d->connections < limit &&
           d->connecting < u64_min(d->queue.count, d->connections > d->connecting ? 4 : 1)) {
        if (!may_dial(d)) {
            want(d);
            return false;
        }
        if (!transmit_dial(d, 0)) {
            defer_from_now(d, STR("no socket could be opened here"));
            return true;
        }
    }
    return false;
}

void route_turn(struct shard *s)
{
    struct list now;
    struct list *link;
    list_init(&now);
    list_splice(&now, &s->pumping);
    while ((link = list_take(&now))) {
        struct destination *d = owner_of(link, struct destination, link);
        if (!s->stopping && pump(d) && !list_linked(&d->link)) /* it may have asked for it itself */
            list_append(&s->pumping, &d->link);
    }
}

static void forget(struct destination *d)
{
    list_remove(&d->link);
    list_remove(&d->unparking);
    list_remove(&d->wanting);
    if (d->resolving)
        resolver_forget(d->shard->resolver, &d->question);
    stop_asking(d);
    heap_drop(d->exchangers);
    buffer_drop(&d->name);
    buffer_drop(&d->defer_why);
    heap_drop(d);
}

void route_try(struct shard *s)
{
    struct map_entry *at = NULL;
    struct str name;
    void *value;
    while (map_next(&s->destinations, &at, &name, &value)) {
        struct destination *d = value;
        pace_try(&d->pace, loop_now_ms(s->loop));
        d->resolved = d->resolved && d->connections; /* its exchangers may be others now */
        pump_later(d);
    }
}

void route_tick(struct shard *s)
{
    struct map_entry *at = NULL;
    struct str name;
    void *value;
    uint64_t now = loop_now_ms(s->loop);
    bool many = s->destinations.count > LIMIT_DESTINATIONS / 2;
    uint32_t down = 0;
    while (map_next(&s->destinations, &at, &name, &value)) {
        struct destination *d = value;
        down += pace_is_down(&d->pace, now);
        unpark(d);
        if (d->queue.count) /* heals a lost wake-up */
            pump_later(d);
        else if (!d->connections && !d->resolving && !d->waits_to_ask && !anybody_waits(d) &&
                 !d->coming &&
                 now - d->touched_ms > (many ? FORGET_SOON_MS : FORGET_MS + d->pace.pause_ms)) {
            (void)map_remove(&s->destinations, name);
            forget(d);
        }
    }
    s->destinations_down = down;
}
