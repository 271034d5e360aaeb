#include "shards/transmit.h"

#include "core/base/counter.h"
#include "core/base/heap.h"
#include "core/base/log.h"
#include "core/io/connection.h"
#include "crypto/digest.h"
#include "shards/content.h"
#include "shards/suit.h"
#include "shards/trial.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

enum {
    OUT_BYTES_MAX = 1 << 20,   /* wire bytes waiting in one connection */
    OUT_BYTES_LOW = 128 << 10, /* below this more content is made */
    COMMAND_BYTES_MAX = 1 << 20,
    STUCK_MS = 5000, /* without a reply or progress: others that need a connection may have it */
    STUCK_LOOKS = 64,
};

struct transmit {
    struct connection connection;
    struct smtp_client client;
    struct destination *destination;
    struct shard *shard;
    struct list idle;         /* in the destination's list */
    struct deadline deadline; /* of the next reply, or of progress */
    struct deadline total;    /* of the mail as a whole (OUT-18) */
    struct trial *trial;
    struct content *content;
    struct digest *digest;    /* of the content as it leaves, dots not stuffed */
    struct address_text from; /* the address of ours that it calls from */
    uint32_t exchanger, mails, organisation;
    bool connecting, reached, envelope_known, sending, plain;
    const char *why; /* closed by us: the reason */
};

static void on_data(struct connection *c, struct str *in);
static void on_connected(struct connection *c, int error);
static void on_secured(struct connection *c, bool ok);
static void on_drained(struct connection *c);
static void on_lost(struct connection *c, int error);
static void on_gone(struct connection *c);

static const struct connection_calls calls = {
    .data = on_data,
    .connected = on_connected,
    .secured = on_secured,
    .drained = on_drained,
    .lost = on_lost,
    .gone = on_gone,
};

static struct transmit *of(struct connection *c)
{
    return owner_of(c, struct transmit, connection);
}

struct transmit *transmit_of_idle(struct list *link)
{
    return owner_of(link, struct transmit, idle);
}

static const struct exchanger *exchanger_of(const struct transmit *t)
{
    static const struct exchanger gone;
    const struct destination *d = t->destination;
    return t->exchanger < d->exchanger_count ? &d->exchangers[t->exchanger] : &gone;
}

/* Is it as good an exchanger as the best? */
static bool is_preferred(const struct transmit *t)
{
    const struct destination *d = t->destination;
    return d->exchanger_count == 0 || exchanger_of(t)->preference == d->exchangers[0].preference;
}

/* ---- the end of a trial or of the connection */

static void stop_content(struct transmit *t)
{
    t->sending = false;
    content_drop(&t->content);
}

static void trial_over(struct transmit *t)
{
    t->trial = NULL;
    t->envelope_known = false;
    lapse_stop(&t->total.entry);
    stop_content(t);
}

/* Close, and let the trial end with `why` where nothing better is known. */
static void give_up(struct transmit *t, struct str why)
{
    struct trial *trial = t->trial;
    lapse_stop(&t->deadline.entry);
    lapse_stop(&t->total.entry);
    list_remove(&t->idle);
    if (trial) {
        bool exposed = t->client.phase == PHASE_CONTENT || t->client.phase == PHASE_DOT;
        trial_over(t);
        bool stale =
            t->mails > 1 && t->client.phase == PHASE_ENVELOPE && !t->client.mail_reply.code;
        if (t->reached && !stale)
            route_slowed(t->destination, why);
        trial_lost(trial, exposed, stale, why);
    }
    if (!t->reached) {
        log_info("exchanger_failed", log_str("destination", buffer_str(&t->destination->name)),
                 log_text("exchanger", exchanger_of(t)->name),
                 log_text("address",
                          address_text((const struct sockaddr *)&exchanger_of(t)->address).at),
                 log_text("source", t->from.at), log_str("why", why));
    }
    if (t->connecting) {
        t->connecting = false;
        t->destination->connecting--;
    }
    t->destination->connections--;
    t->shard->outbound_count--;
    t->shard->organisation_connections[t->organisation]--;
    route_slot_free(t->shard);
    struct destination *d = t->destination;
    t->destination = NULL;
    connection_close(&t->connection);
    route_connection_gone(d, t->reached, t->exchanger, why);
}

static void quit(struct transmit *t);

static void passed(struct deadline *deadline)
{
    struct transmit *t = owner_of(deadline, struct transmit, deadline);
    static const char *const doing[] = {
        [PHASE_GREETING] = "no greeting in time",
        [PHASE_EHLO] = "no reply to EHLO in time",
        [PHASE_STARTTLS] = "no TLS in time",
        [PHASE_IDLE] = "idle",
        [PHASE_ENVELOPE] = "no reply to MAIL or RCPT in time",
        [PHASE_DATA] = "no reply to DATA in time",
        [PHASE_CONTENT] = "the next hop stopped reading",
        [PHASE_DOT] = "no reply to the end of data in time; the mail may have been taken",
        [PHASE_RSET] = "no reply to RSET in time",
        [PHASE_QUIT] = "no reply to QUIT in time",
        [PHASE_OVER] = "over",
    };
    if (t->client.phase == PHASE_IDLE && !t->connecting) {
        list_remove(&t->idle);
        quit(t);
        return;
    }
    give_up(t, str_c(t->connecting ? "no connection in time" : doing[t->client.phase]));
}

static void passed_total(struct deadline *deadline)
{
    give_up(owner_of(deadline, struct transmit, total),
            STR("the next hop was too slow with the mail as a whole"));
}

static void watch(struct transmit *t)
{
    enum shard_lapse which = LAPSE_REPLY;
    if (t->client.phase == PHASE_DATA || t->client.phase == PHASE_CONTENT)
        which = LAPSE_DATA;
    if (t->client.phase == PHASE_DOT)
        which = LAPSE_DOT;
    if (t->client.phase == PHASE_IDLE)
        which = LAPSE_IDLE;
    shard_deadline(t->shard, which, &t->deadline);
}

static void send_out(struct transmit *t, struct buffer *out)
{
    if (out->len && !connection_send(&t->connection, buffer_str(out)))
        t->why = "output buffer full";
    buffer_drop(out);
}

/* ---- content */

static void pump_content(struct transmit *t)
{
    struct buffer out;
    buffer_init(&out, 4 * OUT_BYTES_MAX);
    bool good = true, damaged = false;
    while (good && t->sending && connection_unsent(&t->connection) + out.len < OUT_BYTES_LOW) {
        struct str piece;
        enum content_status status = content_piece(t->content, &piece);
        if (status == CONTENT_WAIT)
            break;
        if (status == CONTENT_PIECE) {
            digest_feed(t->digest, piece);
            good = smtp_client_content(&t->client, piece, &out);
            continue;
        }
        damaged = status == CONTENT_DAMAGED;
        good = !damaged && smtp_client_end(&t->client, &out);
        t->sending = false;
    }
    if (!good) { /* the dot is never sent: the server drops what it has */
        struct trial *trial = t->trial;
        buffer_drop(&out);
        trial_over(t);
        trial_unsendable(trial, damaged);
        give_up(t, STR("the content cannot be sent"));
        return;
    }
    send_out(t, &out);
    watch(t);
}

static void content_ready(void *owner)
{
    struct transmit *t = owner;
    if (t->sending)
        pump_content(t);
}

/* ---- the envelope */

static void start_envelope(struct transmit *t)
{
    struct buffer out;
    buffer_init(&out, COMMAND_BYTES_MAX);
    if (!smtp_client_start(&t->client, trial_envelope(t->trial), trial_replies(t->trial), &out)) {
        struct trial *trial = t->trial; /* never: what was accepted can be said again */
        trial_over(t);
        trial_unsendable(trial, false);
        smtp_client_reset(&t->client, &out);
    }
    send_out(t, &out);
    watch(t);
}

static void reset(struct transmit *t)
{
    struct buffer out;
    buffer_init(&out, COMMAND_BYTES_MAX);
    smtp_client_reset(&t->client, &out);
    send_out(t, &out);
    watch(t);
}

static void quit(struct transmit *t)
{
    struct buffer out;
    buffer_init(&out, COMMAND_BYTES_MAX);
    smtp_client_quit(&t->client, &out);
    send_out(t, &out);
    shard_deadline(t->shard, LAPSE_CONNECT, &t->deadline);
}

static void heed(struct transmit *t, const struct reply_seen *reply)
{
    struct buffer why;
    if (!pace_is_slow_down(reply))
        return;
    buffer_init(&why, LIMIT_REPLY_LINE_BYTES * 2);
    reply_seen_write(reply, &why);
    route_slowed(t->destination, buffer_str(&why));
    buffer_drop(&why);
}

/* MAIL or a recipient may be told to slow down: once is enough. */
static void heed_envelope(struct transmit *t)
{
    const struct reply_seen *replies = trial_replies(t->trial);
    uint32_t count = trial_envelope(t->trial)->recipient_count, i = 0;
    if (reply_class(&t->client.mail_reply) != 2) {
        heed(t, &t->client.mail_reply);
        return;
    }
    while (i < count && !pace_is_slow_down(&replies[i]))
        i++;
    if (i < count)
        heed(t, &replies[i]);
}

/* Both the envelope's replies and the keeper's permission are here. */
static void proceed(struct transmit *t)
{
    struct trial *trial = t->trial;
    if (!t->envelope_known || !trial_is_answered(trial))
        return;
    heed_envelope(t);
    switch (trial_choose(trial, &t->client.mail_reply)) {
    case TRIAL_SEND: {
        struct buffer out;
        buffer_init(&out, COMMAND_BYTES_MAX);
        smtp_client_data(&t->client, &out);
        send_out(t, &out);
        watch(t);
        return;
    }
    case TRIAL_NARROW: /* somebody was taken back: the envelope again, without them */
        t->envelope_known = false;
        start_envelope(t);
        return;
    case TRIAL_OVER:
        trial_over(t);
        trial_conclude(trial);
        reset(t);
        return;
    }
}

void transmit_proceed(struct transmit *t)
{
    proceed(t);
}

static void begin(struct transmit *t, struct delivery *delivery)
{
    t->mails++;
    t->envelope_known = false;
    t->trial = trial_make(delivery, t, str_c(exchanger_of(t)->name), t->client.offers & SMTP_DSN);
    trial_comes_from(t->trial, str_c(t->from.at));
    t->content = content_make(t->shard, delivery->mail->message, content_ready, t);
    shard_deadline(t->shard, LAPSE_TRANSACTION, &t->total);
    start_envelope(t);
}

void transmit_offer(struct transmit *t)
{
    struct destination *d = t->destination;
    const struct settings *settings = t->shard->snapshot->settings;
    const struct suit_hop hop = {str_c(exchanger_of(t)->name), is_preferred(t), t->mails > 0};
    list_remove(&t->idle);
    if (t->mails >= settings->outbound_mails || t->shard->stopping || route_is_crowded(d)) {
        quit(t);
        return;
    }
    struct delivery *delivery;
    while ((delivery = route_take(d))) {
        switch (suit_check(delivery, &t->client, &hop)) {
        case SUIT_GO:
            begin(t, delivery);
            return;
        case SUIT_ELSEWHERE:
            route_add(d, delivery);
            quit(t);
            return;
        case SUIT_OVER:
            break;
        }
    }
    list_append(&d->idle, &t->idle);
    watch(t);
}

/* ---- events of the session */

static void ready(struct transmit *t)
{
    if (!t->reached) {
        t->reached = true;
        t->destination->connecting--;
        t->connecting = false;
        route_greeted(t->destination);
    }
    transmit_offer(t);
}

/* The whole content is out, and this is what the hop says of it. */
static void done(struct transmit *t)
{
    struct trial *trial = t->trial;
    uint8_t digest[DIGEST_BYTES];
    digest_finish(t->digest, digest);
    trial_over(t);
    trial_answered_dot(trial, &t->client.reply, str_c(digest_text(digest).at));
    if (reply_class(&t->client.reply) == 2)
        route_took(t->destination);
    else
        heed(t, &t->client.reply);
    transmit_offer(t);
}

static void failed(struct transmit *t)
{
    struct buffer why;
    struct trial *trial = t->trial;
    buffer_init(&why, LIMIT_REPLY_LINE_BYTES * 2);
    /* it answered before the end, and means all. Before the keeper's answer it ends as lost: what
     * may be concluded is not known yet */
    if (trial && trial_is_answered(trial) && t->client.reply.code >= 400) {
        heed(t, &t->client.reply);
        trial_over(t);
        trial_answered_dot(trial, &t->client.reply, STR(""));
    }
    if (t->client.reply.code)
        reply_seen_write(&t->client.reply, &why);
    else
        buffer_puts(&why, t->client.failure ? t->client.failure : "protocol error");
    give_up(t, buffer_str(&why));
    buffer_drop(&why);
}

static void start_tls(struct transmit *t)
{
    struct tls *tls = tls_connect(t->shard->tls_client, exchanger_of(t)->name);
    if (!tls) {
        give_up(t, STR("no memory for TLS"));
        return;
    }
    connection_secure(&t->connection, &tls);
}

static void act(struct transmit *t, enum smtp_client_event event)
{
    switch (event) {
    case SMTP_CLIENT_MORE:
        return;
    case SMTP_CLIENT_STARTTLS:
        start_tls(t);
        return;
    case SMTP_CLIENT_READY:
        ready(t);
        return;
    case SMTP_CLIENT_ENVELOPE:
        t->envelope_known = true;
        proceed(t);
        return;
    case SMTP_CLIENT_CONTENT:
        trial_mark_exposed(t->trial);
        digest_start(t->digest);
        t->sending = true;
        pump_content(t);
        return;
    case SMTP_CLIENT_REFUSED: {
        struct trial *trial = t->trial;
        trial_over(t);
        heed(t, &t->client.reply);
        trial_refused_data(trial, &t->client.reply);
        transmit_offer(t);
        return;
    }
    case SMTP_CLIENT_DONE:
        done(t);
        return;
    case SMTP_CLIENT_FAILED:
        failed(t);
        return;
    case SMTP_CLIENT_OVER:
        give_up(t, STR("closed after QUIT"));
        return;
    }
}

static void on_data(struct connection *c, struct str *in)
{
    struct transmit *t = of(c);
    while (in->len && t->destination) {
        struct buffer out;
        buffer_init(&out, COMMAND_BYTES_MAX);
        uint32_t replies = t->client.replies;
        enum smtp_client_event event = smtp_client_feed(&t->client, in, &out);
        send_out(t, &out);
        if (t->client.replies != replies) /* a whole reply came: time for the next; not for bytes */
            watch(t);
        act(t, event);
        if (event == SMTP_CLIENT_STARTTLS)
            return;
    }
}

static void on_connected(struct connection *c, int error)
{
    struct transmit *t = of(c);
    if (error) {
        char why[64];
        (void)snprintf(why, sizeof why, "connection failed: %s", strerrorname_np(-error));
        give_up(t, str_c(why));
        return;
    }
    struct sockaddr_storage from;
    socklen_t len = sizeof from;
    if (getsockname(c->fd, (struct sockaddr *)&from, &len) == 0)
        t->from = address_text((const struct sockaddr *)&from);
    count(outbound_connections);
    watch(t);
}

static void on_secured(struct connection *c, bool ok)
{
    struct transmit *t = of(c);
    if (!ok) { /* opportunistic: the same exchanger once more, in the clear */
        struct destination *d = t->destination;
        uint32_t exchanger = t->exchanger;
        t->reached = true;
        d->connecting--;
        t->connecting = false;
        log_info("tls_failed", log_str("destination", buffer_str(&d->name)),
                 log_text("exchanger", exchanger_of(t)->name),
                 log_text("why", c->tls ? tls_error(c->tls) : ""));
        d->plain_next = true;
        give_up(t, STR("TLS failed"));
        if (d->queue.count && !transmit_dial(d, exchanger))
            d->plain_next = false;
        return;
    }
    struct buffer out;
    buffer_init(&out, COMMAND_BYTES_MAX);
    smtp_client_secured(&t->client, SMTP_TLS_ENCRYPTED, &out);
    send_out(t, &out);
    watch(t);
}

static void on_drained(struct connection *c)
{
    struct transmit *t = of(c);
    if (t->sending)
        pump_content(t);
}

static void on_lost(struct connection *c, int error)
{
    struct transmit *t = of(c);
    char why[96];
    if (!t->destination)
        return;
    (void)snprintf(why, sizeof why, "connection lost%s%s%s", error ? ": " : "",
                   error ? strerrorname_np(-error) : "",
                   t->client.phase == PHASE_DOT
                       ? " after the end of data; the mail may have been taken"
                       : "");
    give_up(t, str_c(why));
}

static void on_gone(struct connection *c)
{
    struct transmit *t = of(c);
    digest_drop(&t->digest);
    slab_give(&t->shard->transmits, t);
}

/* ---- dial */

enum {
    TRANSMITS_MAX = 200000
};

void transmit_prepare(struct shard *s)
{
    slab_init(&s->transmits, sizeof(struct transmit), TRANSMITS_MAX);
}

/* Nothing is left of what every call needs: another source or exchanger has no more of it. */
static bool is_out_of(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -ENOBUFS;
}

static void tell_source(struct source *from, const struct shard *s, int error)
{
    count(outbound_source_failed);
    if (source_fails(from, loop_now_ms(s->loop)))
        log_error("source_failed",
                  log_text("address", address_text((const struct sockaddr *)&from->address).at),
                  log_text("why", strerrorname_np(-error)),
                  log_text("hint",
                           "outbound_addresses names it; it is left out until it is there"));
}

/* Call from the first source in turn that can be bound. */
static int dial(struct transmit *t, const struct exchanger *e)
{
    struct shard *s = t->shard;
    unsigned plain = t->plain ? 1 : 0;
    struct connection_way way = {.to = (const struct sockaddr *)&e->address,
                                 .to_len = e->address_len,
                                 .fd_end = shard_descriptor_end(s)};
    struct source *from;
    int error = -EADDRNOTAVAIL;
    while (sources_next(&s->sources, way.to->sa_family, loop_now_ms(s->loop),
                        &t->destination->source_turn, &from)) {
        bool is_named = from && from->name[0];
        way.from = from ? (const struct sockaddr *)&from->address : NULL;
        smtp_client_init(&t->client,
                         is_named ? &from->settings[plain] : &s->client_settings[plain]);
        error = connection_dial(&t->connection, s->loop, &calls, &way, OUT_BYTES_MAX * 4);
        if (!error && from)
            source_works(from);
        if (!error || !from || is_out_of(error))
            return error;
        tell_source(from, s, error);
    }
    return error;
}

bool transmit_dial(struct destination *d, uint32_t exchanger)
{
    struct shard *s = d->shard;
    struct transmit *t = slab_take(&s->transmits);
    if (!t)
        return false;
    t->shard = s;
    t->destination = d;
    t->exchanger = exchanger;
    t->plain = d->plain_next;
    d->plain_next = false;
    list_init(&t->idle);
    t->deadline.passed = passed;
    t->total.passed = passed_total;
    t->digest = digest_make();
    int error = -EADDRNOTAVAIL;
    while (t->exchanger < d->exchanger_count && (error = dial(t, &d->exchangers[t->exchanger])) &&
           !is_out_of(error))
        t->exchanger++; /* no IPv6 here, or no source for it: the next may have IPv4 */
    if (error) {
        digest_drop(&t->digest);
        slab_give(&s->transmits, t);
        return false;
    }
    t->connecting = true;
    d->connecting++;
    d->connections++;
    s->outbound_count++;
    t->organisation = route_organisation(d);
    s->organisation_connections[t->organisation]++;
    shard_deadline(s, LAPSE_CONNECT, &t->deadline);
    return true;
}

/* The oldest of this lapse that has waited long enough and is one of ours; the lapses are shared
 * with nobody, but QUIT is in one, too. NULL: none. */
static struct transmit *oldest(struct shard *s, enum shard_lapse which, uint64_t age_ms,
                               uint32_t organisation)
{
    uint64_t now = loop_now_ms(s->loop);
    unsigned looks = 0;
    list_each(link, &s->lapses[which].waiting) {
        struct lapse_entry *e = owner_of(link, struct lapse_entry, link);
        struct deadline *d = owner_of(e, struct deadline, entry);
        if (now - e->started_ms < age_ms || ++looks > STUCK_LOOKS)
            break;
        if (d->passed != passed)
            continue;
        struct transmit *t = owner_of(d, struct transmit, deadline);
        if (organisation == LANE_ORGANISATIONS || t->organisation == organisation)
            return t;
    }
    return NULL;
}

bool transmit_make_room(struct shard *s, uint32_t organisation)
{
    static const enum shard_lapse waits[] = {LAPSE_CONNECT, LAPSE_REPLY, LAPSE_DATA};
    struct transmit *t = oldest(s, LAPSE_IDLE, 0, organisation);
    if (t) { /* its room comes when it has said goodbye */
        list_remove(&t->idle);
        quit(t);
        return false;
    }
    for (size_t i = 0; i < countof(waits) && !t; i++)
        t = oldest(s, waits[i], STUCK_MS, organisation);
    if (!t) /* not those that await the reply to the dot: their mail may have been taken */
        return false;
    count(outbound_stuck);
    give_up(t, STR("the next hop was too slow while others needed the connection"));
    return true;
}

void transmit_stop(struct shard *s)
{
    for (uint32_t i = 0; i < s->transmits.made; i++) {
        struct transmit *t = slab_at(&s->transmits, i);
        if (!t || !t->destination || t->trial)
            continue;
        if (!t->reached)
            give_up(t, STR("stopping"));
        else if (list_linked(&t->idle)) {
            list_remove(&t->idle);
            quit(t);
        }
    }
}
