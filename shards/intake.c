#include "shards/intake.h"

#include "core/base/counter.h"
#include "core/base/heap.h"
#include "core/base/log.h"
#include "core/policy/directory.h"
#include "shards/labour.h"
#include "shards/login.h"

#include <netinet/in.h>
#include <unistd.h>

enum {
    REPLY_BYTES_MAX = 256 << 10,
    INTAKES_MAX = 1 << 20
};

static void on_data(struct connection *c, struct str *in);
static void on_secured(struct connection *c, bool ok);
static void on_lost(struct connection *c, int error);
static void on_gone(struct connection *c);

static const struct connection_calls calls = {
    .data = on_data,
    .secured = on_secured,
    .lost = on_lost,
    .gone = on_gone,
};

static struct intake *of(struct connection *c)
{
    return owner_of(c, struct intake, connection);
}

static void watch(struct intake *i)
{
    shard_deadline(i->shard, LAPSE_COMMAND, &i->deadline);
}

static void send_out(struct intake *i, struct buffer *out)
{
    if (out->len && !connection_send(&i->connection, buffer_str(out)))
        i->closing = true; /* it talks and does not listen */
    buffer_drop(out);
}

static void end_mail(struct intake *i)
{
    deposit_drop(&i->deposit);
    header_drop(&i->header);
    i->refusal = REPLIES;
}

static void finish(struct intake *i)
{
    i->closing = true;
    lapse_stop(&i->deadline.entry);
    connection_finish(&i->connection);
    watch(i); /* what does not read its last reply is closed anyway */
}

static void passed(struct deadline *d)
{
    struct intake *i = owner_of(d, struct intake, deadline);
    struct buffer out;
    if (i->closing) {
        connection_close(&i->connection);
        return;
    }
    buffer_init(&out, REPLY_BYTES_MAX);
    reply_write(REPLY_421_IDLE, &out);
    send_out(i, &out);
    finish(i);
}

/* ---- who may send */

static const struct organisation *organisation_of(const struct intake *i)
{
    const struct directory *d = i->shard->snapshot->directory;
    const struct organisation *o = NULL;
    if (i->session.authenticated)
        (void)directory_user(d, buffer_str(&i->session.user), &o);
    else if (i->service == SMTP_RELAY)
        o = directory_by_network(d, i->client, i->client_bytes);
    return o;
}

static enum reply may_send(struct intake *i)
{
    const struct directory *d = i->shard->snapshot->directory;
    const struct organisation *o = organisation_of(i);
    const struct address *sender = &i->session.sender;
    if (!o)
        return REPLY_550_RELAY;
    buffer_clear(&i->organisation);
    buffer_put(&i->organisation, o->name);
    if (i->session.authenticated) {
        const struct user *u = directory_user(d, buffer_str(&i->session.user), NULL);
        return organisation_may_send(o, u, sender->whole) ? REPLY_250_SENDER : REPLY_550_SENDER;
    }
    if (sender->whole.len && organisation_class(o, sender->domain) != CLASS_INTERNAL)
        return REPLY_550_SENDER; /* trusting a network never allows a foreign reverse-path */
    return REPLY_250_SENDER;
}

static enum reply may_start_data(struct intake *i)
{
    struct shard *s = i->shard;
    if (s->stopping)
        return REPLY_421_SHUTDOWN;
    end_mail(i);
    return REPLY_354_DATA;
}

/* ---- content */

static void deposit_ready(void *owner)
{
    struct intake *i = owner;
    if (i->closing)
        return;
    if (i->wait == WAIT_FINISH) {
        acceptance_begin(i);
        return;
    }
    if (i->wait != WAIT_DEPOSIT)
        return;
    i->wait = WAIT_NOTHING;
    watch(i);
    connection_resume(&i->connection);
}

static void refuse(struct intake *i, enum reply reply)
{
    if (i->refusal == REPLIES)
        i->refusal = reply;
    deposit_drop(&i->deposit);
}

static void scan_header(struct intake *i, struct str run)
{
    if (i->header.done)
        return;
    switch (header_feed(&i->header, run)) {
    case HEADER_MORE:
    case HEADER_DONE:
        return;
    case HEADER_TOO_BIG:
    case HEADER_TOO_MANY:
        refuse(i, REPLY_552_HEADERS_LONG);
        return;
    case HEADER_NO_MEMORY:
        refuse(i, REPLY_452_MEMORY);
        return;
    }
}

static void take_run(struct intake *i)
{
    if (i->refusal != REPLIES)
        return;
    scan_header(i, i->session.run);
    if (i->refusal != REPLIES)
        return;
    switch (deposit_put(i->deposit, i->session.run)) {
    case DEPOSIT_OK:
        return;
    case DEPOSIT_WAIT:
        i->wait = WAIT_DEPOSIT;
        return;
    case DEPOSIT_FULL:
        refuse(i, REPLY_452_STORAGE_FULL);
        return;
    case DEPOSIT_FAILED:
        refuse(i, REPLY_451_STORAGE);
        return;
    }
}

static void start_content(struct intake *i)
{
    struct shard *s = i->shard;
    struct shard_partition *p = &s->partitions[0];
    i->id = shard_new_id(s, p);
    header_init(&i->header);
    i->deposit = deposit_make(s, p, i->id, i->session.asked.size, deposit_ready, i);
}

/* ---- events of the session */

static void start_tls(struct intake *i)
{
    struct tls *tls = tls_accept(i->shard->tls_server);
    lapse_stop(&i->deadline.entry);
    if (!tls) {
        connection_close(&i->connection);
        return;
    }
    watch(i);
    connection_secure(&i->connection, &tls);
}

static void settle(struct intake *i, enum reply reply, struct buffer *out)
{
    if (reply_code(reply) >= 500)
        count(smtpd_rejected);
    smtp_server_settle(&i->session, reply, STR(""), out);
}

static void act(struct intake *i, enum smtp_server_event event, struct buffer *out)
{
    enum reply reply;
    switch (event) {
    case SMTP_SERVER_MORE:
    case SMTP_SERVER_STARTTLS:
    case SMTP_SERVER_CLOSE:
        return;
    case SMTP_SERVER_AUTH:
        i->wait = WAIT_LOGIN;
        login_begin(i);
        return;
    case SMTP_SERVER_MAIL:
        settle(i, may_send(i), out);
        return;
    case SMTP_SERVER_RCPT:
        settle(i, REPLY_250_RECIPIENT, out);
        return;
    case SMTP_SERVER_DATA:
        reply = may_start_data(i);
        if (reply == REPLY_354_DATA)
            start_content(i);
        settle(i, reply, out);
        return;
    case SMTP_SERVER_BODY:
        take_run(i);
        return;
    case SMTP_SERVER_ABORTED:
        count(smtpd_rejected);
        end_mail(i);
        return;
    case SMTP_SERVER_MESSAGE:
        i->wait = WAIT_FINISH;
        acceptance_begin(i);
        return;
    }
}

static void on_data(struct connection *c, struct str *in)
{
    struct intake *i = of(c);
    enum smtp_server_event event = SMTP_SERVER_BODY;
    struct buffer out;
    watch(i);
    buffer_init(&out, REPLY_BYTES_MAX);
    while (event != SMTP_SERVER_MORE && i->wait == WAIT_NOTHING && !i->closing) {
        event = smtp_server_feed(&i->session, in, &out);
        if (event == SMTP_SERVER_AUTH || event == SMTP_SERVER_MESSAGE)
            send_out(i, &out); /* their answer may come at once, and must come after these */
        act(i, event, &out);
        if (event == SMTP_SERVER_CLOSE || event == SMTP_SERVER_STARTTLS)
            break;
    }
    send_out(i, &out);
    if (event == SMTP_SERVER_STARTTLS)
        start_tls(i);
    else if (event == SMTP_SERVER_CLOSE || i->closing) {
        enum body_in_status fault = i->session.body.fault;
        count_by(smtpd_smuggling,
                 fault == BODY_IN_BARE_LF || fault == BODY_IN_BARE_CR || fault == BODY_IN_NUL);
        finish(i);
    } else if (i->wait != WAIT_NOTHING) {
        lapse_stop(&i->deadline.entry);
        connection_pause(c);
    }
}

/* After an answer that came later. */
static void go_on(struct intake *i)
{
    i->wait = WAIT_NOTHING;
    if (i->session.closing || i->shard->stopping) {
        finish(i);
        return;
    }
    watch(i);
    connection_resume(&i->connection);
}

void intake_settle(struct intake *i, enum reply reply, struct str text)
{
    struct buffer out;
    end_mail(i);
    if (i->closing) /* hung up meanwhile: the answer is lost, the mail is not */
        return;
    buffer_init(&out, REPLY_BYTES_MAX);
    smtp_server_settle(&i->session, reply, text, &out);
    send_out(i, &out);
    go_on(i);
}

void intake_settle_login(struct intake *i, enum reply reply)
{
    struct buffer out;
    if (i->closing)
        return;
    buffer_init(&out, REPLY_BYTES_MAX);
    smtp_server_settle_auth(&i->session, reply, &out);
    send_out(i, &out);
    go_on(i);
}

static void greet(struct intake *i)
{
    struct buffer out;
    buffer_init(&out, REPLY_BYTES_MAX);
    smtp_server_greet(&i->session, &out);
    send_out(i, &out);
    watch(i);
}

static void on_secured(struct connection *c, bool ok)
{
    struct intake *i = of(c);
    if (!ok) {
        log_info("tls_failed", log_text("client", i->client_text.at),
                 log_text("why", c->tls ? tls_error(c->tls) : ""));
        finish(i); /* the alert still goes out */
        return;
    }
    if (i->service == SMTP_SUBMISSIONS) { /* its session began as a secure one */
        greet(i);
        return;
    }
    smtp_server_secured(&i->session);
    watch(i);
}

static void on_lost(struct connection *c, int error)
{
    struct intake *i = of(c);
    (void)error;
    i->closing = true;
    lapse_stop(&i->deadline.entry);
    connection_close(c);
}

/* ---- connections of one client */

static uint64_t client_count(struct shard *s, const struct intake *i)
{
    return (uint64_t)(uintptr_t)map_get(&s->clients, str_from(i->client, i->client_bytes));
}

static void client_set(struct shard *s, const struct intake *i, uint64_t count)
{
    struct str key = str_from(i->client, i->client_bytes);
    if (count)
        map_set(&s->clients, key, (void *)(uintptr_t)count);
    else
        (void)map_remove(&s->clients, key);
}

static void on_gone(struct connection *c)
{
    struct intake *i = of(c);
    struct shard *s = i->shard;
    lapse_stop(&i->deadline.entry);
    if (i->counted)
        client_set(s, i, client_count(s, i) - 1);
    end_mail(i);
    smtp_server_drop(&i->session);
    buffer_drop(&i->organisation);
    slab_give(&s->intakes, i);
}

static void learn_client(struct intake *i, int fd)
{
    struct sockaddr_storage peer = {0};
    socklen_t len = sizeof peer;
    if (getpeername(fd, (struct sockaddr *)&peer, &len) != 0)
        peer.ss_family = AF_UNSPEC;
    if (peer.ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)&peer;
        i->client_bytes = sizeof v4->sin_addr;
        memcpy(i->client, &v4->sin_addr, i->client_bytes);
    } else if (peer.ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)&peer;
        i->client_bytes = sizeof v6->sin6_addr;
        memcpy(i->client, &v6->sin6_addr, i->client_bytes);
    }
    i->client_text = address_text((const struct sockaddr *)&peer);
    struct str text = str_c(i->client_text.at);
    for (size_t at = 0; at < text.len; at++)
        if (text.at[at] == ' ')
            i->client_text.at[at] = '\0';
}

static enum reply may_connect(struct intake *i)
{
    struct shard *s = i->shard;
    const struct settings *set = s->snapshot->settings;
    if (s->stopping)
        return REPLY_421_SHUTDOWN;
    if (s->intakes.used > set->connections)
        return REPLY_421_BUSY;
    uint64_t others = client_count(s, i);
    if (others >= set->connections_per_client)
        return REPLY_421_CONNECTIONS;
    client_set(s, i, others + 1);
    i->counted = true;
    return REPLY_220_GREETING;
}

static void accepted(struct acceptor *a, int fd)
{
    struct shard *s = a->owner;
    struct intake *i = slab_take(&s->intakes);
    if (!i) {
        loop_close_fd(s->loop, fd);
        return;
    }
    count(smtpd_connections);
    i->shard = s;
    i->service = (enum smtp_service)a->tag;
    i->deadline.passed = passed;
    i->refusal = REPLIES;
    buffer_init(&i->organisation, 256);
    learn_client(i, fd);
    bool implicit = i->service == SMTP_SUBMISSIONS;
    smtp_server_init(&i->session, &s->server_settings[i->service], implicit);
    connection_accept(&i->connection, s->loop, &calls, fd, LIMIT_SEND_BYTES);
    enum reply reply = may_connect(i);
    if (reply != REPLY_220_GREETING) {
        struct buffer out;
        count(smtpd_refused);
        buffer_init(&out, REPLY_BYTES_MAX);
        if (!implicit)
            reply_write(reply, &out);
        send_out(i, &out);
        finish(i);
        return;
    }
    if (implicit)
        start_tls(i);
    else
        greet(i);
}

/* ---- life */

void intake_prepare(struct shard *s, const struct shard_listener *listeners, uint32_t count)
{
    slab_init(&s->intakes, sizeof(struct intake), INTAKES_MAX);
    for (uint32_t n = 0; n < count && n < LIMIT_LISTENERS; n++) {
        s->acceptors[n].fd = listeners[n].fd;
        s->acceptors[n].tag = (uint32_t)listeners[n].service;
        s->acceptor_count++;
    }
}

void intake_start(struct shard *s)
{
    for (uint32_t n = 0; n < s->acceptor_count; n++)
        if (s->acceptors[n].tag != SMTP_SUBMISSIONS || s->tls_server)
            acceptor_start(&s->acceptors[n], s->loop, s->acceptors[n].fd, accepted, s,
                           s->acceptors[n].tag);
}

void intake_stop_all(struct shard *s)
{
    for (uint32_t n = 0; n < s->acceptor_count; n++)
        acceptor_stop(&s->acceptors[n]);
    for (uint32_t index = 0; index < s->intakes.made; index++) {
        struct intake *i = slab_at(&s->intakes, index);
        if (!i || i->closing || i->wait == WAIT_COMMIT || i->wait == WAIT_ORDER)
            continue;
        struct buffer out;
        buffer_init(&out, REPLY_BYTES_MAX);
        reply_write(REPLY_421_SHUTDOWN, &out);
        send_out(i, &out);
        i->closing = true;
        connection_finish(&i->connection);
    }
}
