#include "shards/report.h"

#include "core/base/heap.h"
#include "core/base/id.h"
#include "core/base/random.h"
#include "core/mail/dsn.h"
#include "core/mail/notice.h"
#include "core/mail/utf8.h"
#include "core/policy/directory.h"

enum {
    REPORT_BYTES_MAX = 8 << 20, /* a mail to 10,000 recipients that all failed */
    MESSAGE_BYTES_MAX = 64 << 10,
    TOKEN_BYTES = 26, /* 130 bits */
    ZONE_TOKYO = 9 * 60,
};

struct names {
    struct buffer message_id;
    char boundary[TOKEN_BYTES + 1];
};

static void random_letters(char *to, size_t count)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
    for (size_t i = 0; i < count; i++)
        to[i] = letters[random_below(sizeof letters - 1)];
    to[count] = '\0';
}

static struct names make_names(const struct shard *s, uint64_t id)
{
    struct names n;
    random_letters(n.boundary, sizeof n.boundary - 1);
    buffer_init(&n.message_id, LIMIT_DOMAIN_BYTES + 64);
    buffer_printf(&n.message_id, "<%s.%.8s@%.*s>", id_text(id).at, n.boundary,
                  STR_ARG(s->snapshot->notice_domain));
    return n;
}

/* Of the organisation, now; without one Japan's. */
static int zone_minutes(const struct organisation *o)
{
    if (o && o->zone)
        return zone_offset(o->zone, (int64_t)(clock_wall_ms() / 1000), NULL) / 60;
    return ZONE_TOKYO;
}

/* A message of ours to the sender of another, due at once. */
static struct message *address_to_sender(struct shard *s, const struct message *about, uint64_t id,
                                         enum message_kind kind, const char *tag,
                                         const struct names *n)
{
    struct buffer subject;
    struct message *m = message_make(MESSAGE_BYTES_MAX);
    if (!m)
        return NULL;
    m->id = id;
    m->kind = kind;
    m->flags = MESSAGE_AUTO;
    if (!utf8_is_ascii(about->sender)) /* it stands in To, and in the envelope */
        m->flags |= MESSAGE_SMTPUTF8 | MESSAGE_8BIT | MESSAGE_8BIT_HEADER;
    m->parent = about->id;
    m->accepted_ms = shard_adopted_ms(s);
    m->accepted_boot_ms = clock_boot_ms();
    m->boot = s->boot;
    m->organisation = arena_copy(&m->arena, about->organisation);
    buffer_init(&subject, LIMIT_SUBJECT_BYTES + 64);
    buffer_printf(&subject, "%s ", tag);
    buffer_put(&subject, about->subject);
    m->subject = arena_copy(&m->arena, buffer_str(&subject));
    buffer_drop(&subject);
    m->message_id = arena_copy(&m->arena, buffer_str(&n->message_id));
    m->sender = m->user = m->client = m->envid = m->token = m->prefix = STR("");
    m->recipients = arena_take(&m->arena, sizeof *m->recipients);
    m->recipient_count = 1;
    if (!m->organisation.at || !m->subject.at || !m->message_id.at || !m->recipients) {
        message_drop(&m);
        return NULL;
    }
    struct recipient *r = &m->recipients[0];
    r->address = arena_copy(&m->arena, about->sender);
    r->orcpt = r->rule = r->last = STR("");
    r->stage = STAGE_WAITING;
    r->release_ms = r->due_ms = m->accepted_ms;
    if (!r->address.at)
        message_drop(&m);
    return m;
}

static struct report finish(struct message *m, struct buffer *body, bool good)
{
    struct report r = {0};
    if (!good || !m || body->full || body->len > LIMIT_INLINE_BYTES) {
        message_drop(&m);
        buffer_drop(body);
        return r;
    }
    m->body_bytes = body->len;
    m->body_inline = true;
    return (struct report){.message = m, .body = body->at, .body_bytes = body->len};
}

/* Replies begin with their code; what we say ourselves is for people. */
static bool is_reply(struct str why)
{
    return why.len > 3 && why.at[0] >= '2' && why.at[0] <= '5' && why.at[3] == ' ';
}

static struct dsn_recipient told(const struct message *about, const struct outcome *o)
{
    const struct recipient *r = &about->recipients[o->recipient];
    bool reply = is_reply(o->why), failed = o->tell == DSN_FAILED;
    bool fits = o->status.len && (!failed || o->status.at[0] == '5');
    return (struct dsn_recipient){
        .action = o->tell,
        .address = r->address,
        .orcpt = r->orcpt,
        .status = fits ? o->status : STR("5.4.7"), /* RFC 3463: the time for it is over */
        .diagnostic = reply ? o->why : STR(""),
        .remote = o->remote,
        .reason = reply ? STR("") : o->why,
        .retry_until_ms = o->retry_until_ms,
    };
}

struct report report_delivery(struct shard *s, const struct message *about, uint64_t id,
                              const struct outcome *outcomes, uint32_t count, struct str header)
{
    struct names n = make_names(s, id);
    struct dsn_recipient *recipients = heap_take(count * sizeof *recipients);
    struct dsn d = {
        .about = about,
        .recipients = recipients,
        .header = header,
        .mta = s->snapshot->hostname,
        .message_id = buffer_str(&n.message_id),
        .boundary = str_c(n.boundary),
        .date_ms = clock_wall_ms(),
        .zone_minutes = zone_minutes(directory_find(s->snapshot->directory, about->organisation)),
    };
    for (uint32_t i = 0; i < count; i++)
        if (outcomes[i].tell != DSN_NONE)
            recipients[d.recipient_count++] = told(about, &outcomes[i]);
    struct buffer body;
    buffer_init(&body, REPORT_BYTES_MAX);
    bool good = dsn_write(&d, &body);
    struct message *m =
        good ? address_to_sender(s, about, id, MESSAGE_DSN, dsn_tag(dsn_heaviest(&d)), &n) : NULL;
    heap_drop(recipients);
    struct report r = finish(m, &body, good);
    buffer_drop(&n.message_id);
    return r;
}

struct report report_hold(struct shard *s, struct message *about, uint64_t id)
{
    struct names n = make_names(s, id);
    char token[TOKEN_BYTES + 1];
    const struct organisation *o = directory_find(s->snapshot->directory, about->organisation);
    random_letters(token, sizeof token - 1);
    about->token = arena_copy(&about->arena, str_c(token));
    struct notice notice = {
        .about = about,
        .domain = s->snapshot->notice_domain,
        .url = STR(""),
        .message_id = buffer_str(&n.message_id),
        .boundary = str_c(n.boundary),
        .language = o && str_eq(o->language, STR("en")) ? COMPOSE_ENGLISH : COMPOSE_JAPANESE,
        .date_ms = clock_wall_ms(),
        .zone_minutes = zone_minutes(o),
    };
    struct buffer body;
    buffer_init(&body, REPORT_BYTES_MAX);
    bool good = about->token.at && notice_write(&notice, &body);
    struct report r =
        finish(address_to_sender(s, about, id, MESSAGE_NOTICE, "[配送保留]", &n), &body, good);
    buffer_drop(&n.message_id);
    return r;
}
