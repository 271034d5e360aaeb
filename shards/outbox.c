#include "shards/outbox.h"

#include "core/base/heap.h"
#include "core/base/limit.h"
#include "core/base/log.h"
#include "shards/route.h"

enum {
    FETCHES_PER_TURN = 64,
    SHARE = 4,         /* of an organisation: this part of what is free */
    LOOK_EVERY_MS = 5, /* into a held lane */
};

static struct str id_key(const uint64_t *id)
{
    return str_from((const char *)id, sizeof *id);
}

void outbox_due(struct shard *s, uint64_t id, uint32_t lane)
{
    struct mail *mail = map_get(&s->mails, id_key(&id));
    if (mail)
        mail->again = true;
    else
        turns_put(&s->turns, &s->ready, lane, id);
}

/* ---- an organisation's share */

static bool organisation_has_room(const struct shard *s, uint32_t organisation)
{
    uint32_t free = OUTBOX_MAILS - s->mails_in_work;
    uint32_t share = free / SHARE ? free / SHARE : 1;
    return s->organisation_mails[organisation] < share;
}

static void organisation_free(struct shard *s, uint32_t organisation)
{
    if (!s->organisation_held[organisation] || !organisation_has_room(s, organisation))
        return;
    s->organisation_held[organisation] = false;
    turns_free_organisation(&s->turns, &s->ready, organisation * (LANE_SENDERS * LANE_DOMAINS));
}

static void mail_begins(struct mail *mail)
{
    struct shard *s = mail->shard;
    map_set(&s->mails, id_key(&mail->id), mail);
    s->mails_in_work++;
    s->organisation_mails[lane_organisation(mail->lane)]++;
}

void mail_use(struct mail *mail)
{
    mail->users++;
}

void mail_release(struct mail *mail)
{
    must(mail->users > 0);
    if (--mail->users == 0)
        outbox_finished(mail);
}

void outbox_finished(struct mail *mail)
{
    struct shard *s = mail->shard;
    (void)map_remove(&s->mails, id_key(&mail->id));
    s->mails_in_work--;
    s->organisation_mails[lane_organisation(mail->lane)]--;
    organisation_free(s, lane_organisation(mail->lane));
    if (mail->again || mail->later)
        turns_put(&s->turns, mail->again ? &s->ready : &s->later, mail->lane, mail->id);
    message_drop(&mail->message);
    heap_drop(mail);
}

/* What a recipient needs now. */
enum need {
    NEED_NOTHING,
    NEED_SEND,
    NEED_RETURN
};

static enum need need_of(const struct recipient *r, uint64_t now_ms)
{
    if (r->due_ms > now_ms)
        return NEED_NOTHING;
    switch (r->stage) {
    case STAGE_WAITING:
    case STAGE_RETRY:
        return r->flags & RECIPIENT_DAMAGED ? NEED_RETURN : NEED_SEND;
    case STAGE_HELD:
    case STAGE_APPROVAL:
        return NEED_RETURN;
    case STAGE_SENDING:
    case STAGE_DELIVERED:
    case STAGE_BOUNCED:
    case STAGE_DISCARDED:
    case STAGES:
        break;
    }
    return NEED_NOTHING;
}

static struct str domain_of(struct str address)
{
    size_t at = address.len;
    while (at > 0 && address.at[at - 1] != '@')
        at--;
    return at ? str_skip(address, at) : address;
}

/* A destination's delivery that still has room, while one mail is being cut up. */
static void close_delivery(struct destination *d)
{
    struct delivery *delivery = d->open;
    d->open = NULL;
    mail_use(delivery->mail);
    route_add(d, delivery);
}

/* Puts recipient `i` into the open delivery of its destination. False: no memory for it now. */
static bool place(struct mail *mail, uint32_t i, struct list *open)
{
    struct shard *s = mail->shard;
    struct destination *d = route_of(s, domain_of(mail->message->recipients[i].address));
    uint32_t room = (uint32_t)s->snapshot->settings->outbound_recipients;
    if (!d)
        return false;
    if (!d->open && mail->admitted != d && route_is_full(d)) {
        if (!mail->parked)
            route_park(d, mail, i == 0);
        mail->parked = true;
        return true;
    }
    if (!d->open) {
        d->open = heap_take(sizeof *d->open + room * sizeof(uint32_t));
        d->open->mail = mail;
        list_append(open, &d->open_link);
    }
    d->open->recipient[d->open->count++] = i;
    if (d->open->count == room) {
        list_remove(&d->open_link);
        close_delivery(d);
    }
    return true;
}

static void give_back(struct mail *mail, uint64_t now_ms)
{
    const struct message *m = mail->message;
    struct outcome *outcomes = heap_take(m->recipient_count * sizeof *outcomes);
    uint32_t count = 0;
    for (uint32_t i = 0; i < m->recipient_count; i++) {
        const struct recipient *r = &m->recipients[i];
        if (need_of(r, now_ms) != NEED_RETURN)
            continue;
        bool damaged = r->flags & RECIPIENT_DAMAGED;
        outcomes[count++] = (struct outcome){
            .recipient = i,
            .verdict = VERDICT_BOUNCE,
            .why = damaged ? STR("the stored mail is damaged and cannot be sent")
                           : STR("nobody decided about the stopped mail in time; it was not sent"),
            .status = damaged ? STR("5.3.0") : STR("5.7.1"),
        };
    }
    if (count) {
        mail_use(mail);
        mail_conclude(mail, outcomes, count);
    }
    heap_drop(outcomes);
}

static void work_on(struct mail *mail)
{
    const struct message *m = mail->message;
    uint64_t now_ms = shard_adopted_ms(mail->shard);
    struct list open, *link;
    list_init(&open);
    mail_use(mail); /* ours, while we look */
    give_back(mail, now_ms);
    for (uint32_t i = 0; i < m->recipient_count; i++)
        if (need_of(&m->recipients[i], now_ms) == NEED_SEND && !place(mail, i, &open))
            mail->later = true;
    while ((link = list_take(&open)))
        close_delivery(owner_of(link, struct destination, open_link));
    mail_release(mail);
}

static void fetched(struct waiter *w, const struct cell *answer)
{
    struct mail *mail = w->owner;
    mail->message = answer->object;
    if (mail->admitted)
        route_came(mail->admitted);
    if (mail->message) {
        work_on(mail);
        return;
    }
    mail_use(mail); /* purged or unknown: a stale due */
    mail_release(mail);
}

/* `admitted`: the destination that parked it and now has room for it, or NULL. */
static bool fetch(struct shard *s, uint64_t id, uint32_t lane, struct destination *admitted)
{
    struct mail *known = map_get(&s->mails, id_key(&id));
    struct shard_partition *p = shard_partition_of(s, id);
    if (known)
        known->again = true;
    if (known || !p)
        return false;
    struct mail *mail = heap_take(sizeof *mail);
    *mail = (struct mail){.shard = s, .id = id, .lane = lane, .admitted = admitted};
    struct cell c = {.kind = CELL_FETCH, .id = id};
    if (!shard_ask(s, p->ask, &c, fetched, mail)) {
        heap_drop(mail);
        turns_put(&s->turns, &s->later, lane, id);
        return false;
    }
    mail_begins(mail);
    return true;
}

/* Those that wait at destinations that have room now. */
static void fetch_waiting(struct shard *s, int left)
{
    struct list *link;
    while (left > 0 && s->mails_in_work < OUTBOX_MAILS && (link = list_take(&s->unparking))) {
        struct destination *d = owner_of(link, struct destination, unparking);
        uint64_t id;
        uint32_t lane;
        while (left > 0 && route_unpark(d, &lane, &id)) {
            left--;
            if (!fetch(s, id, lane, d))
                route_came(d);
        }
    }
}

/* The next whose organisation has not its share yet. */
static bool take_ready(struct shard *s, uint32_t *lane, uint64_t *id)
{
    while (turns_peek(&s->turns, &s->ready, lane)) {
        uint32_t organisation = lane_organisation(*lane);
        if (organisation_has_room(s, organisation))
            return turns_take(&s->turns, &s->ready, lane, id);
        s->organisation_held[organisation] = true;
        turns_hold_organisation(&s->turns, &s->ready);
    }
    return false;
}

/* A lane is a hash: behind those for a full destination there may be one for another. */
static void look_into_held(struct shard *s)
{
    uint64_t id, now = loop_now_ms(s->loop);
    uint32_t lane;
    if (list_empty(&s->holding) || now - s->looked_ms < LOOK_EVERY_MS)
        return;
    s->looked_ms = now;
    struct destination *d = owner_of(s->holding.next, struct destination, holding);
    if (route_look(d, &lane, &id))
        (void)fetch(s, id, lane, NULL);
}

void outbox_turn(struct shard *s)
{
    uint64_t id;
    uint32_t lane;
    if (s->stopping)
        return;
    fetch_waiting(s, FETCHES_PER_TURN);
    for (int left = FETCHES_PER_TURN;
         left > 0 && s->mails_in_work < OUTBOX_MAILS && take_ready(s, &lane, &id); left--)
        (void)fetch(s, id, lane, NULL);
    if (s->mails_in_work < OUTBOX_MAILS)
        look_into_held(s);
}

uint64_t outbox_wait_ms(const struct shard *s)
{
    uint32_t lane;
    if (s->stopping)
        return UINT64_MAX;
    if (turns_peek(&s->turns, &s->ready, &lane) || !list_empty(&s->unparking))
        return 1;
    return list_empty(&s->holding) ? UINT64_MAX : LOOK_EVERY_MS;
}

void outbox_tick(struct shard *s)
{
    uint64_t id;
    uint32_t lane;
    uint64_t room = LIMIT_DESTINATIONS - u64_min(s->destinations.count, LIMIT_DESTINATIONS);
    uint64_t left = u64_min(s->later.count, room + FETCHES_PER_TURN);
    for (; left && turns_take(&s->turns, &s->later, &lane, &id); left--)
        turns_put(&s->turns, &s->ready, lane, id);
    for (uint32_t i = 0; i < LANE_ORGANISATIONS; i++) /* what is free may have grown */
        organisation_free(s, i);
}
