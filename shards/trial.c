#include "shards/trial.h"

#include "core/base/heap.h"
#include "core/base/log.h"
#include "core/mail/bounce.h"
#include "shards/suit.h"

enum {
    UNREADABLE_TRIES = 3
};

/* How it ended, while the keeper's answer is still awaited. */
enum trial_end {
    END_OPEN,
    END_KNOWN,
    END_LOST
};

struct trial {
    struct delivery *delivery;
    struct transmit *transmit; /* NULL: lost */
    struct smtp_envelope envelope;
    struct smtp_target *targets; /* those still in */
    struct reply_seen *replies;  /* the same order */
    uint32_t *who;               /* the same order: index into delivery->recipient */
    bool *granted;               /* by index into delivery->recipient */
    struct outcome *outcomes;
    uint32_t outcome_count;
    struct buffer *texts; /* of the outcomes; by their number */
    bool answered, exposed, soon, dsn;
    enum trial_end end;
    struct buffer why, digest, remote, source;
};

static void finish(struct trial *t);

static void answered(struct waiter *w, const struct cell *answer)
{
    struct trial *t = w->owner;
    struct unit *u = answer->object;
    t->answered = true;
    for (uint32_t i = 0; i < u->move_count; i++) {
        t->granted[i] = u->result == COMMIT_SYNCED && u->moves[i].done;
        if (u->result == COMMIT_SYNCED && !u->moves[i].done)
            t->delivery->mail->again = true; /* taken back or decided anew: look again */
    }
    unit_drop(&u);
    if (t->end != END_OPEN)
        finish(t);
    else if (t->transmit)
        transmit_proceed(t->transmit);
}

static bool ask(struct trial *t)
{
    struct mail *mail = t->delivery->mail;
    struct unit *u = unit_make();
    if (!u)
        return false;
    for (uint32_t i = 0; i < t->delivery->count; i++) {
        uint32_t index = t->delivery->recipient[i];
        struct move *m = unit_move(u);
        if (!m) {
            unit_drop(&u);
            return false;
        }
        *m = (struct move){.id = mail->id,
                           .recipient = index,
                           .to = STAGE_SENDING,
                           .from = 1u << STAGE_WAITING | 1u << STAGE_RETRY,
                           .revision = mail->message->recipients[index].revision,
                           .may_skip = true};
    }
    struct shard_partition *p = shard_partition_of(mail->shard, mail->id);
    if (shard_commit(mail->shard, p, u, answered, t))
        return true;
    unit_drop(&u);
    return false;
}

struct trial *trial_make(struct delivery *delivery, struct transmit *transmit, struct str remote,
                         bool dsn)
{
    struct trial *t = heap_take(sizeof *t);
    const struct message *m = delivery->mail->message;
    uint32_t count = delivery->count;
    *t = (struct trial){.delivery = delivery, .transmit = transmit, .dsn = dsn};
    t->targets = heap_take(count * sizeof *t->targets);
    t->replies = heap_take(count * sizeof *t->replies);
    t->who = heap_take(count * sizeof *t->who);
    t->granted = heap_take(count * sizeof *t->granted);
    t->outcomes = heap_take(count * sizeof *t->outcomes);
    t->texts = heap_take(count * sizeof *t->texts);
    buffer_init(&t->why, LIMIT_REPLY_LINE_BYTES * 2);
    buffer_init(&t->digest, LIMIT_REPLY_LINE_BYTES);
    buffer_init(&t->remote, LIMIT_DOMAIN_BYTES + 16);
    buffer_put(&t->remote, remote);
    buffer_init(&t->source, LIMIT_REPLY_LINE_BYTES);
    for (uint32_t i = 0; i < count; i++) {
        const struct recipient *r = &m->recipients[delivery->recipient[i]];
        t->targets[i] = (struct smtp_target){r->address, r->orcpt, r->notify};
        t->who[i] = i;
        buffer_init(&t->texts[i], LIMIT_REPLY_LINE_BYTES * 2);
    }
    t->envelope = (struct smtp_envelope){.sender = m->sender,
                                         .envid = m->envid,
                                         .return_full = m->flags & MESSAGE_RETURN_FULL,
                                         .return_headers = m->flags & MESSAGE_RETURN_HEADERS,
                                         .recipients = t->targets,
                                         .recipient_count = count,
                                         .needs = suit_needs(delivery)};
    if (!ask(t))
        t->answered = true; /* nothing granted: tried again later */
    return t;
}

static void free_trial(struct trial *t)
{
    for (uint32_t i = 0; i < t->delivery->count; i++)
        buffer_drop(&t->texts[i]);
    buffer_drop(&t->why);
    buffer_drop(&t->digest);
    buffer_drop(&t->remote);
    buffer_drop(&t->source);
    heap_drop(t->texts);
    heap_drop(t->outcomes);
    heap_drop(t->granted);
    heap_drop(t->who);
    heap_drop(t->replies);
    heap_drop(t->targets);
    heap_drop(t->delivery);
    heap_drop(t);
}

void trial_comes_from(struct trial *t, struct str source)
{
    buffer_put(&t->source, source);
}

bool trial_is_answered(const struct trial *t)
{
    return t->answered;
}

const struct smtp_envelope *trial_envelope(struct trial *t)
{
    return &t->envelope;
}

struct reply_seen *trial_replies(struct trial *t)
{
    return t->replies;
}

void trial_mark_exposed(struct trial *t)
{
    t->exposed = true;
}

static enum verdict verdict_of(const struct reply_seen *r, bool rcpt)
{
    unsigned class = rcpt ? smtp_client_recipient_class(r) : reply_class(r);
    return class == 2 ? VERDICT_DELIVERED : class == 5 ? VERDICT_BOUNCE : VERDICT_RETRY;
}

/* NULL: the keeper did not let it go, there is nothing to conclude. */
static struct outcome *add(struct trial *t, uint32_t who, enum verdict verdict,
                           const struct reply_seen *reply, struct str why)
{
    if (!t->granted[who])
        return NULL;
    uint32_t n = t->outcome_count++;
    struct buffer *text = &t->texts[n];
    size_t status_at;
    if (reply && reply->code)
        reply_seen_write(reply, text);
    else
        buffer_put(text, str_head(why, LIMIT_REPLY_LINE_BYTES));
    status_at = text->len;
    if (reply && reply->code)
        reply_seen_write_enhanced(reply, text);
    else
        buffer_puts(text, verdict == VERDICT_BOUNCE ? "5.0.0" : "4.4.2");
    t->outcomes[n] = (struct outcome){
        .recipient = t->delivery->recipient[who],
        .verdict = verdict,
        .attempted = true,
        .exposed = t->exposed,
        .soon = t->soon,
        .relayed = !t->dsn,
        .remote = buffer_str(&t->remote),
        .source = buffer_str(&t->source),
        .digest = buffer_str(&t->digest),
        .why = str_head(buffer_str(text), status_at),
        .status = str_skip(buffer_str(text), status_at),
    };
    return &t->outcomes[n];
}

/* All that are still in share one outcome. */
static void add_rest(struct trial *t, enum verdict verdict, const struct reply_seen *reply,
                     struct str why)
{
    for (uint32_t i = 0; i < t->envelope.recipient_count; i++)
        (void)add(t, t->who[i], verdict, reply, why);
    t->envelope.recipient_count = 0;
}

/* Somebody gets the mail now: those who were too many come next, without waiting for a retry (RFC
 * 5321 4.5.3.1.10). Each round has one recipient less, so that ends. */
static bool takes_some(const struct trial *t)
{
    for (uint32_t i = 0; i < t->envelope.recipient_count; i++)
        if (reply_class(&t->replies[i]) == 2 && t->granted[t->who[i]])
            return true;
    return false;
}

/* Keep those that are in and were taken; false: nobody was left out of those that the hop took. */
static bool narrow(struct trial *t)
{
    bool some = takes_some(t);
    uint32_t kept = 0;
    bool taken_but_forbidden = false;
    for (uint32_t i = 0; i < t->envelope.recipient_count; i++) {
        bool taken = reply_class(&t->replies[i]) == 2, granted = t->granted[t->who[i]];
        if (taken && granted) {
            t->who[kept] = t->who[i];
            t->targets[kept++] = t->targets[i];
        } else if (taken) {
            taken_but_forbidden = true;
        } else {
            enum verdict verdict = verdict_of(&t->replies[i], true);
            struct outcome *o = add(t, t->who[i], verdict, &t->replies[i], STR(""));
            if (o && some && verdict == VERDICT_RETRY &&
                bounce_of(o->why, o->status) == BOUNCE_too_many)
                o->soon = true;
        }
    }
    t->envelope.recipient_count = kept;
    return taken_but_forbidden;
}

enum trial_next trial_choose(struct trial *t, const struct reply_seen *mail_reply)
{
    if (reply_class(mail_reply) != 2) {
        add_rest(t, verdict_of(mail_reply, false), mail_reply, STR(""));
        return TRIAL_OVER;
    }
    bool again = narrow(t);
    if (t->envelope.recipient_count == 0)
        return TRIAL_OVER;
    return again ? TRIAL_NARROW : TRIAL_SEND;
}

static void finish(struct trial *t)
{
    struct mail *mail = t->delivery->mail;
    if (t->end == END_LOST)
        add_rest(t, VERDICT_RETRY, NULL, buffer_str(&t->why));
    if (t->outcome_count)
        mail_conclude(mail, t->outcomes, t->outcome_count);
    else
        mail_release(mail);
    free_trial(t);
}

static void end(struct trial *t, enum trial_end how)
{
    t->transmit = NULL;
    t->end = how;
    if (t->answered)
        finish(t);
}

void trial_conclude(struct trial *t)
{
    end(t, END_KNOWN);
}

void trial_answered_dot(struct trial *t, const struct reply_seen *reply, struct str digest)
{
    buffer_clear(&t->digest);
    buffer_put(&t->digest, digest);
    add_rest(t, verdict_of(reply, false), reply, STR(""));
    end(t, END_KNOWN);
}

void trial_refused_data(struct trial *t, const struct reply_seen *reply)
{
    add_rest(t, verdict_of(reply, false), reply, STR(""));
    end(t, END_KNOWN);
}

void trial_lost(struct trial *t, bool exposed, bool soon, struct str why)
{
    t->soon = soon && !exposed && !t->exposed;
    t->exposed = t->exposed || exposed;
    buffer_put(&t->why, str_head(why, LIMIT_REPLY_LINE_BYTES));
    end(t, END_LOST);
}

/* A body that cannot be read may only have been moved, or its disk may recover: it is fetched anew
 * and tried again before that is believed. */
void trial_unsendable(struct trial *t, bool damaged)
{
    const struct recipient *r = &t->delivery->mail->message->recipients[t->delivery->recipient[0]];
    struct str why = damaged ? STR("the stored mail cannot be read")
                             : STR("the mail has bytes that SMTP cannot carry");
    bool again = damaged && r->attempts < UNREADABLE_TRIES;
    add_rest(t, again ? VERDICT_RETRY : VERDICT_BOUNCE, NULL, why);
    end(t, END_KNOWN);
}
