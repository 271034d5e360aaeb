/* acceptance.c -- the end of data: a mail becomes ours, or is refused.
 *
 * One unit carries the mail and, where somebody waits and a rule wants it told, the hold notice.
 * When it is synced the client hears 250, and what is due at once goes to the outbox. The
 * acceptance outlives its connection: a client that hangs up before the answer loses the answer,
 * not the mail. */

#include "core/base/counter.h"
#include "core/base/heap.h"
#include "core/base/id.h"
#include "core/base/log.h"
#include "core/mail/word.h"
#include "core/policy/directory.h"
#include "core/remake/judge.h"
#include "core/remake/remake.h"
#include "shards/intake.h"
#include "shards/outbox.h"
#include "shards/report.h"

#include <stdio.h>

enum {
    PREFIX_BYTES_MAX = 16 << 10,
    MESSAGE_BYTES_MAX = 16 << 20,
    TEXT_BYTES_MAX = 1024
};

struct acceptance {
    struct shard *shard;
    struct handle intake;
    struct deposit *deposit; /* kept until the answer: what the mail does not use goes back then */
    uint64_t id, notice_id;  /* 0: no notice */
    uint32_t bounced;
};

static void settle(struct shard *s, struct handle intake, enum reply reply, struct str text)
{
    struct intake *i = slab_get(&s->intakes, intake);
    if (i && i->wait == WAIT_COMMIT)
        intake_settle(i, reply, text);
}

/* The keeper arms what is not: the same comparison there. */
static bool is_due_at_once(const struct message *m)
{
    return message_due_ms(m) <= m->accepted_ms;
}

static void tell(const struct acceptance *a, const struct message *m)
{
    count(smtpd_accepted);
    log_info("accepted", log_id("id", m->id), log_str("from", m->sender),
             log_str("organisation", m->organisation), log_str("client", m->client),
             log_u64("recipients", m->recipient_count), log_u64("bytes", m->body_bytes),
             log_str("message_id", m->message_id));
    for (uint32_t n = 0; a->bounced && n < m->recipient_count; n++)
        if (m->recipients[n].stage == STAGE_BOUNCED)
            log_info("bounced_by_policy", log_id("id", m->id),
                     log_str("to", m->recipients[n].address),
                     log_str("rule", m->recipients[n].rule));
    count_by(bounced, a->bounced);
    count_by(notices, a->bounced && m->sender.len);
    if (a->notice_id) {
        count(notices);
        log_info("notice_written", log_id("id", a->notice_id), log_id("about", m->id));
    }
}

static void committed(struct waiter *w, const struct cell *answer)
{
    struct acceptance *a = w->owner;
    struct shard *s = a->shard;
    struct unit *u = answer->object;
    char text[64];
    switch (u->result) {
    case COMMIT_SYNCED:
        deposit_keep(a->deposit);
        tell(a, u->accept[0]);
        for (uint32_t n = 0; n < u->accept_count; n++)
            if (is_due_at_once(u->accept[n]))
                outbox_due(s, u->accept[n]->id, lane_of(u->accept[n]));
        (void)snprintf(text, sizeof text, "Message accepted as %s", id_text(a->id).at);
        settle(s, a->intake, REPLY_250_ACCEPTED, str_c(text));
        break;
    case COMMIT_FULL:
        count(smtpd_tempfailed);
        settle(s, a->intake, REPLY_452_STORAGE_FULL, STR(""));
        break;
    case COMMIT_REFUSED:
    case COMMIT_FAILED:
        count(smtpd_tempfailed);
        settle(s, a->intake, REPLY_451_STORAGE, STR(""));
        break;
    }
    unit_drop(&u);
    deposit_drop(&a->deposit);
    heap_drop(a);
}

/* Strings of the session, copied into the message. */
static bool fill_texts(const struct intake *i, const struct header_facts *facts, struct message *m)
{
    struct buffer prefix, message_id, subject, client;
    buffer_init(&prefix, PREFIX_BYTES_MAX);
    buffer_init(&message_id, TEXT_BYTES_MAX);
    buffer_init(&subject, LIMIT_SUBJECT_BYTES * 4);
    buffer_init(&client, TEXT_BYTES_MAX);
    trace_fields_write(i, facts, clock_wall_ms(), &prefix, &message_id);
    word_decode(facts->subject, LIMIT_SUBJECT_BYTES, &subject);
    buffer_printf(&client, "%s %.*s", i->client_text.at, STR_ARG(buffer_str(&i->session.helo)));
    m->prefix = arena_copy(&m->arena, buffer_str(&prefix));
    m->message_id = arena_copy(&m->arena, buffer_str(&message_id));
    m->subject = arena_copy(&m->arena, buffer_str(&subject));
    m->client = arena_copy(&m->arena, buffer_str(&client));
    m->sender = arena_copy(&m->arena, i->session.sender.whole);
    m->envid = arena_copy(&m->arena, i->session.asked.envid);
    m->user = arena_copy(&m->arena, buffer_str(&i->session.user));
    m->organisation = arena_copy(&m->arena, buffer_str(&i->organisation));
    bool good = !prefix.full && m->prefix.at && m->message_id.at && m->subject.at && m->client.at &&
                m->sender.at && m->envid.at && m->user.at && m->organisation.at;
    buffer_drop(&prefix);
    buffer_drop(&message_id);
    buffer_drop(&subject);
    buffer_drop(&client);
    return good;
}

/* RFC 4865 5: what DSNs name. The time may be given in any zone, and is told in UTC. */
static bool fill_future(const struct parameter_mail *asked, struct message *m)
{
    struct buffer text;
    struct clock_date until = clock_stamp(asked->hold_until_ms);
    buffer_init(&text, 64);
    if (asked->hold_for_s)
        buffer_printf(&text, "for;%llu", (unsigned long long)asked->hold_for_s);
    else if (asked->hold_until_ms)
        buffer_printf(&text, "until;%.*sZ", (int)strlen("2026-11-24T04:38:46"), until.at);
    m->future = arena_copy(&m->arena, buffer_str(&text));
    buffer_drop(&text);
    return m->future.at;
}

static uint32_t flags_of(const struct intake *i, const struct header_facts *facts)
{
    const struct smtp_server *session = &i->session;
    uint32_t flags = 0;
    if (facts->is_auto || session->sender.whole.len == 0)
        flags |= MESSAGE_AUTO;
    if (session->body.scan.eight_bit)
        flags |= MESSAGE_8BIT;
    if (i->header.eight_bit)
        flags |= MESSAGE_8BIT_HEADER;
    if (session->authenticated)
        flags |= MESSAGE_SUBMITTED;
    if (session->secure)
        flags |= MESSAGE_TLS;
    if (session->asked.smtputf8)
        flags |= MESSAGE_SMTPUTF8;
    if (session->asked.return_full)
        flags |= MESSAGE_RETURN_FULL;
    if (session->asked.return_headers)
        flags |= MESSAGE_RETURN_HEADERS;
    return flags;
}

static bool fill_recipients(const struct intake *i, struct message *m)
{
    uint32_t count = i->session.recipient_count;
    m->recipients = arena_take(&m->arena, count * sizeof *m->recipients);
    if (!m->recipients)
        return false;
    for (uint32_t n = 0; n < count; n++) {
        const struct smtp_recipient *from = &i->session.recipients[n];
        struct recipient *r = &m->recipients[n];
        r->address = arena_copy(&m->arena, from->address.whole);
        r->orcpt = arena_copy(&m->arena, from->orcpt);
        r->notify = from->notify;
        if (!r->address.at || !r->orcpt.at)
            return false;
    }
    m->recipient_count = count;
    return true;
}

static bool fill_cuts(const struct header_facts *facts, struct message *m)
{
    if (facts->cut_count == 0)
        return true;
    m->cuts = arena_take(&m->arena, facts->cut_count * sizeof *m->cuts);
    if (!m->cuts)
        return false;
    memcpy(m->cuts, facts->cuts, facts->cut_count * sizeof *m->cuts);
    m->cut_count = facts->cut_count;
    return true;
}

static struct message *build(const struct intake *i, const struct header_facts *facts)
{
    struct message *m = message_make(MESSAGE_BYTES_MAX);
    if (!m)
        return NULL;
    m->id = i->id;
    m->kind = MESSAGE_MAIL;
    m->flags = flags_of(i, facts);
    m->accepted_ms = shard_adopted_ms(i->shard);
    m->accepted_boot_ms = clock_boot_ms();
    m->boot = i->shard->boot;
    if (!fill_texts(i, facts, m) || !fill_future(&i->session.asked, m) || !fill_recipients(i, m) ||
        !fill_cuts(facts, m))
        message_drop(&m);
    return m;
}

/* Whose postmaster <postmaster> alone is (RFC 5321 4.5.1): the organisation's, at the first of its
 * domains that is one; ours where it has only "*.domain". */
static struct str postmaster_domain(const struct organisation *o, const struct snapshot *now)
{
    for (size_t i = 0; i < o->domains.count; i++)
        if (!str_starts(o->domains.at[i], STR("*.")))
            return o->domains.at[i];
    return now->hostname;
}

/* An address without a domain is the postmaster's. It gets one before it is classified: what is
 * classified is what is sent. */
static bool complete_postmaster(const struct organisation *o, const struct snapshot *now,
                                struct message *m)
{
    bool good = true;
    for (uint32_t n = 0; n < m->recipient_count && good; n++) {
        struct recipient *r = &m->recipients[n];
        struct buffer whole;
        if (str_find(r->address, '@') != SIZE_MAX)
            continue;
        buffer_init(&whole, LIMIT_LOCAL_BYTES + LIMIT_DOMAIN_BYTES + 1);
        buffer_put(&whole, r->address);
        buffer_putc(&whole, '@');
        buffer_put(&whole, postmaster_domain(o, now));
        r->address = arena_copy(&m->arena, buffer_str(&whole));
        good = !whole.full && r->address.at;
        buffer_drop(&whole);
    }
    return good;
}

/* Rules of the organisation as it is now; false: it is gone, or no memory. */
static bool decide_all(const struct intake *i, struct message *m, struct judgement *j)
{
    const struct snapshot *now = i->shard->snapshot;
    const struct organisation *o = directory_find(now->directory, m->organisation);
    const struct parameter_mail *asked = &i->session.asked;
    struct judge_facts f = {
        .organisation = o,
        .user = o && m->user.len ? organisation_user(o, m->user) : NULL,
        .client = i->client,
        .client_bytes = i->client_bytes,
        .header = &i->header,
        .now_ms = m->accepted_ms,
        .hold_standard_ms = now->settings->hold,
        .not_before_ms =
            asked->hold_for_s ? m->accepted_ms + asked->hold_for_s * 1000 : asked->hold_until_ms,
    };
    if (!o || (m->user.len && !f.user) || !complete_postmaster(o, now, m) || !judge(&f, m, j))
        return false;
    for (uint32_t n = 0; n < m->recipient_count; n++) /* the rule may be gone before the mail */
        m->recipients[n].rule = arena_copy(&m->arena, m->recipients[n].rule);
    j->notice = j->notice && now->settings->notices && m->sender.len && !(m->flags & MESSAGE_AUTO);
    return true;
}

/* Tells the sender who does not get it, and why. */
static bool add_refusal(struct intake *i, const struct message *m, struct unit *u)
{
    struct shard *s = i->shard;
    struct outcome *outcomes = heap_take(m->recipient_count * sizeof *outcomes);
    struct str header = buffer_str(&i->header.bytes), piece;
    struct buffer sent;
    struct remake remake;
    uint32_t count = 0;
    for (uint32_t n = 0; n < m->recipient_count; n++)
        if (m->recipients[n].stage == STAGE_BOUNCED)
            outcomes[count++] = (struct outcome){
                .recipient = n,
                .why = str_skip(m->recipients[n].last, strlen("5.7.1 ")),
                .status = STR("5.7.1"),
                .tell = DSN_FAILED,
            };
    buffer_init(&sent, PREFIX_BYTES_MAX + LIMIT_HEADER_BYTES);
    remake_init(&remake, m);
    while (remake_piece(&remake, &header, &piece))
        buffer_put(&sent, piece);
    struct report r = report_delivery(s, m, shard_new_id(s, &s->partitions[0]), outcomes, count,
                                      buffer_str(&sent));
    buffer_drop(&sent);
    heap_drop(outcomes);
    return r.message && unit_accept(u, r.message, r.body, r.body_bytes);
}

static enum reply commit(struct intake *i, struct message *m, char *body, struct unit *u,
                         const struct judgement *j)
{
    struct shard *s = i->shard;
    struct report r = {0};
    struct acceptance *a = heap_take(sizeof *a);
    *a = (struct acceptance){.shard = s, .intake = slab_handle(&s->intakes, i), .id = i->id};
    if (j->notice) {
        a->notice_id = shard_new_id(s, &s->partitions[0]);
        r = report_hold(s, m, a->notice_id);
    }
    a->bounced = j->bounced;
    bool good = unit_accept(u, m, body, body ? m->body_bytes : 0);
    if (good && j->notice)
        good = r.message && unit_accept(u, r.message, r.body, r.body_bytes);
    if (good && j->bounced && m->sender.len)
        good = add_refusal(i, m, u);
    if (good) {
        a->deposit = i->deposit;
        i->deposit = NULL;
        i->wait = WAIT_COMMIT;
        if (shard_commit(s, &s->partitions[0], u, committed, a))
            return REPLY_250_ACCEPTED;
        deposit_drop(&a->deposit);
    }
    unit_drop(&u);
    heap_drop(a);
    return REPLY_452_MEMORY;
}

/* In the words of the rule, so that the mail client shows them. */
static enum reply refuse(const struct message *m, const struct judgement *j, struct buffer *text)
{
    log_info("refused_by_policy", log_id("id", m->id), log_str("from", m->sender),
             log_str("organisation", m->organisation), log_str("client", m->client),
             log_str("rule", j->refused_rule), log_str("message_id", m->message_id));
    buffer_put(text, j->refused_text);
    if (j->refused_rule.len)
        buffer_printf(text, " (rule '%.*s')", STR_ARG(j->refused_rule));
    return REPLY_550_POLICY;
}

/* `text` gets the reply's, where it has one of its own. */
static enum reply queue(struct intake *i, const struct header_facts *facts, struct buffer *text)
{
    struct judgement j;
    char *body = NULL;
    struct message *m = build(i, facts);
    struct unit *u = unit_make();
    enum reply refusal = REPLY_452_MEMORY;
    if (m && u && !decide_all(i, m, &j))
        refusal = REPLY_451_POLICY;
    else if (m && u && j.refused)
        refusal = refuse(m, &j, text);
    else if (m && u && deposit_settle(i->deposit, m, &body))
        return commit(i, m, body, u, &j);
    message_drop(&m);
    unit_drop(&u);
    return refusal;
}

static enum reply check_header(struct intake *i, struct arena *arena, struct header_facts *facts)
{
    const unsigned refused = HEADER_ODD_BLANK | HEADER_ODD_BYTE;
    if (!i->header.done && header_finish(&i->header) != HEADER_DONE)
        return REPLY_552_HEADERS_LONG;
    /* the header must end where every reader sees its end (SMUG-16, SMUG-17) */
    bool odd_line = i->header.odd & HEADER_ODD_LINE && i->header.count > 0;
    bool odd_start = i->header.odd & HEADER_ODD_START && i->header.bytes.len &&
                     (i->header.bytes.at[0] == ' ' || i->header.bytes.at[0] == '\t');
    if (i->header.odd & refused || odd_line || odd_start)
        return REPLY_550_HEADERS;
    if (!header_read_facts(&i->header, arena, facts))
        return REPLY_452_MEMORY;
    return facts->received >= LIMIT_RECEIVED_FIELDS ? REPLY_554_LOOP : REPLY_250_ACCEPTED;
}

/* All content is here, or a refusal is known. */
static void conclude(struct intake *i)
{
    struct header_facts facts;
    struct arena arena;
    struct buffer text;
    arena_init(&arena, LIMIT_HEADER_BYTES);
    buffer_init(&text, TEXT_BYTES_MAX);
    enum reply reply = check_header(i, &arena, &facts);
    if (reply == REPLY_250_ACCEPTED && order_is_for_gate(i)) {
        order_begin(i);
    } else {
        if (reply == REPLY_250_ACCEPTED)
            reply = queue(i, &facts, &text);
        if (reply != REPLY_250_ACCEPTED) {
            count(smtpd_rejected);
            intake_settle(i, reply, buffer_str(&text));
        }
    }
    buffer_drop(&text);
    arena_drop(&arena);
}

void acceptance_begin(struct intake *i)
{
    if (i->refusal == REPLIES && i->deposit) {
        switch (deposit_finish(i->deposit)) {
        case DEPOSIT_OK:
            conclude(i);
            return;
        case DEPOSIT_WAIT:
            return;
        case DEPOSIT_FULL:
            i->refusal = REPLY_452_STORAGE_FULL;
            break;
        case DEPOSIT_FAILED:
            i->refusal = REPLY_451_STORAGE;
            break;
        }
    }
    intake_settle(i, i->refusal == REPLIES ? REPLY_451_LOCAL : i->refusal, STR(""));
}
