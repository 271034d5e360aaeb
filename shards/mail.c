#include "shards/mail.h"

#include "core/base/counter.h"
#include "core/base/heap.h"
#include "core/base/log.h"
#include "core/mail/bounce.h"
#include "shards/content.h"
#include "shards/outbox.h"
#include "shards/report.h"
#include "shards/retry.h"

enum {
    HEADER_ROOM = 64 << 10, /* of a mail's header in its DSN; more is cut */
    CONCLUDE_MAX = 100,     /* recipients of one unit: its DSN stays an inline body */
};

/* Outcomes on their way to the journal. */
struct conclusion {
    struct mail *mail;
    struct outcome *outcomes; /* texts in the unit's arena */
    uint32_t count;
    struct unit *unit;
    struct content *content; /* while the header for a DSN is read */
    struct buffer header;
    uint64_t now_ms; /* one for all: those that failed together come back together */
    uint64_t dsn_id; /* 0: none */
    uint32_t dsn_lane;
    bool tells; /* there is something for a DSN */
};

static void drop(struct conclusion *c)
{
    content_drop(&c->content);
    buffer_drop(&c->header);
    unit_drop(&c->unit);
    heap_drop(c->outcomes);
    heap_drop(c);
}

static const char *const verdict_events[] = {"delivered", "deferred", "bounced"};

static void tell_one(const struct message *m, const struct outcome *o)
{
    static const enum counter counters[] = {COUNTER_delivered, COUNTER_deferred, COUNTER_bounced};
    const struct recipient *r = &m->recipients[o->recipient];
    counter_add(counters[o->verdict], 1);
    if (o->verdict == VERDICT_DELIVERED)
        log_info(verdict_events[o->verdict], log_id("id", m->id), log_str("from", m->sender),
                 log_str("to", r->address), log_u64("attempts", r->attempts + 1),
                 log_str("hop", o->remote), log_str("source", o->source), log_str("reply", o->why));
    else
        log_info(verdict_events[o->verdict], log_id("id", m->id), log_str("from", m->sender),
                 log_str("to", r->address), log_u64("attempts", r->attempts + 1),
                 log_text("class", bounce_name(bounce_of(o->why, o->status))),
                 log_str("hop", o->remote), log_str("source", o->source), log_str("reply", o->why));
}

static void tell(const struct conclusion *c)
{
    const struct message *m = c->mail->message;
    for (uint32_t i = 0; i < c->count; i++)
        tell_one(m, &c->outcomes[i]);
    if (c->dsn_id) {
        count(notices);
        log_info("dsn_written", log_id("id", c->dsn_id), log_id("about", m->id),
                 log_str("to", m->sender));
    }
}

static void committed(struct waiter *w, const struct cell *answer)
{
    struct conclusion *c = w->owner;
    struct mail *mail = c->mail;
    c->unit = answer->object;
    switch (c->unit->result) {
    case COMMIT_SYNCED:
        tell(c);
        if (c->dsn_id)
            outbox_due(mail->shard, c->dsn_id, c->dsn_lane);
        break;
    case COMMIT_REFUSED: /* a person was faster: see what is left to do */
        mail->again = true;
        break;
    case COMMIT_FULL:
    case COMMIT_FAILED:
        log_error("outcome_not_stored", log_id("id", mail->id));
        break;
    }
    drop(c);
    mail_release(mail);
}

static void commit(struct conclusion *c)
{
    struct shard *s = c->mail->shard;
    struct unit *u = c->unit;
    c->unit = NULL;
    if (shard_commit(s, shard_partition_of(s, c->mail->id), u, committed, c))
        return;
    log_error("outcome_not_stored", log_id("id", c->mail->id));
    unit_drop(&u);
    struct mail *mail = c->mail;
    drop(c);
    mail_release(mail);
}

static void add_dsn(struct conclusion *c)
{
    struct shard *s = c->mail->shard;
    uint64_t id = shard_new_id(s, shard_partition_of(s, c->mail->id));
    struct report r =
        report_delivery(s, c->mail->message, id, c->outcomes, c->count, buffer_str(&c->header));
    if (!r.message || !unit_accept(c->unit, r.message, r.body, r.body_bytes)) {
        log_error("dsn_not_written", log_id("about", c->mail->id));
        return;
    }
    c->dsn_id = id;
    c->dsn_lane = lane_of(r.message);
}

static bool header_is_whole(const struct buffer *header)
{
    return str_find_str(buffer_str(header), STR("\r\n\r\n")) != SIZE_MAX;
}

/* Pieces of the mail until its header section is there, or can't be read. */
static void read_header(void *owner)
{
    struct conclusion *c = owner;
    struct str piece;
    for (;;) {
        enum content_status status = content_piece(c->content, &piece);
        if (status == CONTENT_WAIT)
            return;
        if (status == CONTENT_PIECE) {
            buffer_put(&c->header, str_head(piece, HEADER_ROOM - c->header.len));
            if (!header_is_whole(&c->header) && c->header.len < HEADER_ROOM)
                continue;
        }
        content_drop(&c->content);
        add_dsn(c);
        commit(c);
        return;
    }
}

/* For the ledger: the same mail must have the same digest at each of its attempts. */
static void add_note(struct conclusion *c, const struct outcome *o)
{
    struct buffer text;
    buffer_init(&text, LIMIT_REPLY_LINE_BYTES * 2);
    buffer_printf(&text, "sent recipient=%u sha256=%.*s reply=%.*s", o->recipient,
                  STR_ARG(o->digest), STR_ARG(o->why));
    unit_add_note(c->unit, c->mail->id, buffer_str(&text));
    buffer_drop(&text);
}

/* What the sender hears: nothing about what we wrote ourselves, nor where there is no sender. */
static enum dsn_action action_of(const struct settings *set, const struct message *m,
                                 const struct outcome *o, uint64_t now_ms)
{
    static const enum dsn_action actions[] = {DSN_RELAYED, DSN_DELAYED, DSN_FAILED};
    const struct recipient *r = &m->recipients[o->recipient];
    enum dsn_action action = actions[o->verdict];
    if (m->kind != MESSAGE_MAIL || m->sender.len == 0 || !dsn_is_wanted(action, r->notify))
        return DSN_NONE;
    if (action == DSN_RELAYED && !o->relayed)
        return DSN_NONE;
    uint64_t since_ms = u64_max(m->accepted_ms, r->release_ms);
    if (action == DSN_DELAYED &&
        (r->flags & RECIPIENT_TOLD_DELAY || now_ms < since_ms + set->delay_notice))
        return DSN_NONE;
    return action;
}

/* The line kept with the recipient: why, and of what class that is. */
static struct str last_of(struct unit *u, const struct outcome *o)
{
    struct buffer line;
    if (o->verdict == VERDICT_DELIVERED)
        return o->why;
    buffer_init(&line, LIMIT_REPLY_LINE_BYTES * 3);
    buffer_printf(&line, "%.*s class=%s", STR_ARG(o->why),
                  bounce_name(bounce_of(o->why, o->status)));
    struct str last = arena_copy(&u->arena, buffer_str(&line));
    buffer_drop(&line);
    return last;
}

static bool keep_texts(struct unit *u, struct outcome *o)
{
    o->why = arena_copy(&u->arena, o->why);
    o->status = arena_copy(&u->arena, o->status);
    o->remote = arena_copy(&u->arena, o->remote);
    o->source = arena_copy(&u->arena, o->source);
    return o->why.at && o->status.at && o->remote.at && o->source.at;
}

static bool add_move(struct conclusion *c, struct outcome *o)
{
    struct shard *s = c->mail->shard;
    const struct settings *settings = s->snapshot->settings;
    const struct message *m = c->mail->message;
    const struct recipient *r = &m->recipients[o->recipient];
    uint64_t now_ms = c->now_ms;
    if (o->verdict == VERDICT_RETRY && retry_is_over(settings, r, m->accepted_ms, now_ms))
        o->verdict = VERDICT_BOUNCE;
    o->tell = action_of(settings, m, o, now_ms);
    o->retry_until_ms = u64_max(m->accepted_ms, r->release_ms) + settings->retry_for;
    c->tells |= o->tell != DSN_NONE;

    static const enum stage to[] = {STAGE_DELIVERED, STAGE_RETRY, STAGE_BOUNCED};
    struct move *move = unit_move(c->unit);
    if (!move || !keep_texts(c->unit, o))
        return false;
    struct str last = last_of(c->unit, o);
    if (!last.at)
        return false;
    *move = (struct move){
        .id = m->id,
        .recipient = o->recipient,
        .to = to[o->verdict],
        .from = o->attempted ? 1u << STAGE_SENDING : 0,
        .set = (o->exposed ? RECIPIENT_EXPOSED : 0) |
               (o->tell == DSN_DELAYED ? RECIPIENT_TOLD_DELAY : 0),
        .count_attempt = !o->soon,
        .last = last,
    };
    if (o->digest.len)
        add_note(c, o);
    if (o->verdict == VERDICT_RETRY)
        move->due_ms = o->soon ? now_ms
                               : now_ms + retry_interval_ms(settings, r->attempts + 1,
                                                            retry_jitter(m->id, r->attempts + 1));
    return true;
}

static void conclude_some(struct mail *mail, const struct outcome *outcomes, uint32_t count,
                          uint64_t now_ms)
{
    struct conclusion *c = heap_take(sizeof *c);
    *c = (struct conclusion){.mail = mail, .count = count, .unit = unit_make(), .now_ms = now_ms};
    c->outcomes = heap_take(count * sizeof *outcomes);
    memcpy(c->outcomes, outcomes, count * sizeof *outcomes);
    buffer_init(&c->header, HEADER_ROOM);
    bool good = c->unit != NULL;
    for (uint32_t i = 0; i < count && good; i++)
        good = add_move(c, &c->outcomes[i]);
    if (!good) {
        log_error("outcome_not_stored", log_id("id", mail->id), log_text("why", "no memory"));
        drop(c);
        mail_release(mail);
        return;
    }
    if (!c->tells) {
        commit(c);
        return;
    }
    c->content = content_make(mail->shard, mail->message, read_header, c);
}

void mail_conclude(struct mail *mail, const struct outcome *outcomes, uint32_t count)
{
    uint64_t now_ms = shard_adopted_ms(mail->shard);
    while (count > CONCLUDE_MAX) {
        mail_use(mail);
        conclude_some(mail, outcomes, CONCLUDE_MAX, now_ms);
        outcomes += CONCLUDE_MAX;
        count -= CONCLUDE_MAX;
    }
    conclude_some(mail, outcomes, count, now_ms);
}
