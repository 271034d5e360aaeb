#include "shards/intake.h"

#include "core/base/counter.h"
#include "core/base/heap.h"
#include "core/base/log.h"
#include "core/policy/directory.h"
#include "shards/labour.h"
#include "shards/login.h"

#include <netinet/in.h>

enum {
    PIECE_BYTES = 8 << 10,
    REPLY_BYTES_MAX = 256 << 10, /* LIMIT_SEND_BYTES and the longest replies to a piece */
    INTAKES_MAX = 1 << 20
};

/* To which of these a session ticket belongs. */
static const struct str service_names[] = {STR_INIT("relay"), STR_INIT("submission"),
                                           STR_INIT("submissions")};

static void on_data(struct connection *c, struct str *in);
static void on_secured(struct connection *c, bool ok);
static void on_lost(struct connection *c, int error);
static void on_gone(struct connection *c);
static void on_drained(struct connection *c);
static void go_on(struct intake *i);
static void read_proxy(struct intake *i, struct str *in);

static const struct connection_calls calls = {
    .data = on_data,
    .secured = on_secured,
    .lost = on_lost,
    .gone = on_gone,
    .drained = on_drained,
};

static struct intake *of(struct connection *c)
{
    return owner_of(c, struct intake, connection);
}

static uint64_t now_ms(const struct intake *i)
{
    return loop_now_ms(i->shard->loop);
}

/* ---- patience: a command must come whole in its time; content must come with a rate */

static void watch(struct intake *i)
{
    i->rating = false;
    shard_deadline(i->shard, LAPSE_COMMAND, &i->deadline);
}

static void watch_shortly(struct intake *i)
{
    i->rating = false;
    shard_deadline(i->shard, LAPSE_HANDSHAKE, &i->deadline);
}

static void watch_rate(struct intake *i)
{
    i->rating = true;
    i->rate_bytes = i->session.body_bytes;
    shard_deadline(i->shard, LAPSE_RATE, &i->deadline);
}

/* After bytes were taken. What is not yet a whole command is no progress (DOS-01). */
static void watch_on(struct intake *i, bool progress)
{
    bool content = i->session.in_data || i->session.chunked;
    if (content && !i->rating)
        watch_rate(i);
    else if (!content && (i->rating || progress))
        watch(i);
}

static bool takes_too_long(const struct intake *i)
{
    return now_ms(i) - i->began_ms > i->shard->snapshot->settings->message_timeout;
}

static void send_out(struct intake *i, struct buffer *out)
{
    if (out->len && !connection_send(&i->connection, buffer_str(out)))
        i->closing = true; /* it talks and does not listen */
    buffer_drop(out);
}

static void count_memory(struct intake *i)
{
    struct shard *s = i->shard;
    size_t now = i->deposit ? deposit_memory(i->deposit) : 0;
    s->mail_memory += now - i->memory;
    i->memory = now;
}

static void end_mail(struct intake *i)
{
    deposit_drop(&i->deposit);
    count_memory(i);
    header_drop(&i->header);
    i->refusal = REPLIES;
}

static void finish(struct intake *i)
{
    i->closing = true;
    lapse_stop(&i->deadline.entry);
    connection_finish(&i->connection);
    watch_shortly(i); /* what does not read its last reply is closed anyway */
}

/* The last words of a connection. */
static void say_and_finish(struct intake *i, enum reply reply)
{
    struct buffer out;
    buffer_init(&out, REPLY_BYTES_MAX);
    reply_write(reply, &out);
    send_out(i, &out);
    finish(i);
}

/* Is the content too slow? REPLIES: no. */
static enum reply judge_rate(const struct intake *i)
{
    const struct shard *s = i->shard;
    uint64_t bytes = i->session.body_bytes - i->rate_bytes;
    if (bytes == 0)
        return REPLY_421_IDLE;
    if (takes_too_long(i))
        return REPLY_421_LONG;
    uint64_t least = s->snapshot->settings->data_rate_min * s->lapses[LAPSE_RATE].length_ms / 1000;
    return bytes < least ? REPLY_421_SLOW : REPLIES;
}

static void say_login(struct intake *i, enum reply reply);

static void passed(struct deadline *d)
{
    struct intake *i = owner_of(d, struct intake, deadline);
    if (i->wait == WAIT_PAUSE && !i->closing) {
        say_login(i, REPLY_535_AUTH);
        return;
    }
    enum reply reply = i->rating ? judge_rate(i) : REPLY_421_IDLE;
    if (!i->closing && reply == REPLIES) {
        watch_rate(i);
        return;
    }
    count_by(smtpd_slow, !i->closing);
    if (i->closing || i->proxied || i->connection.handshaking)
        connection_close(&i->connection);
    else
        say_and_finish(i, reply);
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

static struct str client_address(const struct intake *i)
{
    return str_from(i->client, i->client_bytes);
}

/* The organisation's share of this worker. False: it has no more. */
static bool join_organisation(struct intake *i, struct str name)
{
    struct guard *g = &i->shard->guard;
    struct guard_entry **e = &i->party.organisation;
    if (*e && guard_is(g, *e, name))
        return true;
    guard_close(g, e);
    return guard_open(g, GUARD_ORGANISATION, name, now_ms(i), e) == GUARD_OK;
}

/* The user proved to be itself; may it have one connection more? */
static enum reply may_join(struct intake *i, struct str user)
{
    struct guard *g = &i->shard->guard;
    const struct organisation *o = NULL;
    const struct user *u = directory_user(i->shard->snapshot->directory, user, &o);
    if (!u)
        return REPLY_535_AUTH; /* removed meanwhile */
    if (guard_open(g, GUARD_USER, u->key, now_ms(i), &i->party.user) != GUARD_OK)
        return REPLY_421_USER;
    return join_organisation(i, o->name) ? REPLY_235_AUTHENTICATED : REPLY_421_ORGANISATION;
}

static enum reply overload_reply(const struct overload *o)
{
    if (overload_is(o, OVERLOAD_STORAGE))
        return REPLY_451_STORAGE;
    if (overload_is(o, OVERLOAD_DISK))
        return REPLY_452_STORAGE_FULL;
    bool busy = overload_is(o, OVERLOAD_MEMORY) || overload_is(o, OVERLOAD_COMMIT);
    return busy ? REPLY_452_BUSY : REPLY_250_SENDER;
}

/* MAIL */
static enum reply may_begin(struct intake *i)
{
    struct shard *s = i->shard;
    enum reply reply = may_send(i);
    i->began_ms = now_ms(i);
    if (reply != REPLY_250_SENDER)
        return reply;
    shard_look(s);
    reply = overload_reply(&s->overload);
    if (reply != REPLY_250_SENDER) {
        count(smtpd_shed);
        return reply;
    }
    if (!join_organisation(i, buffer_str(&i->organisation)))
        return REPLY_421_ORGANISATION;
    if (guard_message(&s->guard, &i->party, now_ms(i)))
        return REPLY_250_SENDER;
    count(smtpd_limited);
    return REPLY_450_RATE;
}

/* RCPT */
static enum reply may_add(struct intake *i)
{
    if (takes_too_long(i))
        return REPLY_421_LONG;
    if (guard_recipient(&i->shard->guard, &i->party, now_ms(i)))
        return REPLY_250_RECIPIENT;
    count(smtpd_limited);
    return REPLY_450_RATE;
}

static enum reply may_start_data(struct intake *i)
{
    struct shard *s = i->shard;
    if (s->stopping)
        return REPLY_421_SHUTDOWN;
    if (takes_too_long(i))
        return REPLY_421_LONG;
    shard_look(s);
    if (overload_is(&s->overload, OVERLOAD_STORAGE)) { /* what began before it failed */
        count(smtpd_shed);
        return REPLY_451_STORAGE;
    }
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
    watch_rate(i); /* our disk's time is not the client's */
    struct str none = STR("");
    on_data(&i->connection, &none); /* the end of a chunk may be due without another byte */
    if (i->wait == WAIT_NOTHING && !i->closing)
        connection_resume(&i->connection);
}

static void refuse(struct intake *i, enum reply reply)
{
    if (i->refusal == REPLIES)
        i->refusal = reply;
    deposit_drop(&i->deposit);
    count_memory(i);
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
    const struct shard *s = i->shard;
    if (i->refusal != REPLIES)
        return;
    scan_header(i, i->session.run);
    if (i->refusal != REPLIES)
        return;
    size_t before = i->memory;
    enum deposit_status status = deposit_put(i->deposit, i->session.run);
    count_memory(i);
    switch (status) {
    case DEPOSIT_OK:
    case DEPOSIT_WAIT:
        if (i->memory > before && s->mail_memory > s->snapshot->settings->mail_memory) {
            count(smtpd_shed);
            refuse(i, REPLY_452_MEMORY);
        } else if (status == DEPOSIT_WAIT) {
            i->wait = WAIT_DEPOSIT;
        }
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
    shard_expect(s, p);
}

/* ---- events of the session */

static void start_tls(struct intake *i)
{
    struct tls *tls = tls_accept(i->shard->tls_server, service_names[i->service]);
    lapse_stop(&i->deadline.entry);
    if (!tls) {
        connection_close(&i->connection);
        return;
    }
    watch_shortly(i);
    if (i->service == SMTP_SUBMISSIONS && i->behind)
        connection_secure_rest(&i->connection, &tls);
    else
        connection_secure(&i->connection, &tls);
}

static void tell_errors(struct intake *i)
{
    uint32_t more = i->session.errors - i->errors_told;
    i->errors_told += more;
    if (more)
        guard_errors(&i->shard->guard, i->party.client, more, now_ms(i));
}

static void begin_login(struct intake *i)
{
    struct shard *s = i->shard;
    struct str user = buffer_str(&i->session.auth.user);
    if (guard_login(&s->guard, i->party.client, client_address(i), user, now_ms(i))) {
        login_begin(i);
        return;
    }
    count(smtpd_auth_locked);
    intake_settle_login(i, REPLY_454_LOCKED);
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
        begin_login(i);
        return;
    case SMTP_SERVER_MAIL:
        settle(i, may_begin(i), out);
        return;
    case SMTP_SERVER_RCPT:
        settle(i, may_add(i), out);
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

/* Commands are fed in pieces, so that their replies can be bounded: a client that pipelines much is
 * read again when it has read (RFC 2920). A piece with a line's end at its end would hide that more
 * stands behind that line. */
static struct str next_piece(const struct intake *i, struct str in)
{
    size_t len = size_min(in.len, PIECE_BYTES);
    if (i->session.in_data || i->session.in_chunk)
        return in;
    while (len > 0 && len < in.len && in.at[len - 1] == '\n')
        len++;
    return str_head(in, len);
}

static void on_data(struct connection *c, struct str *in)
{
    struct intake *i = of(c);
    if (i->proxied) {
        read_proxy(i, in);
        return;
    }
    enum smtp_server_event event = SMTP_SERVER_BODY;
    struct buffer out;
    bool progress = false;
    buffer_init(&out, REPLY_BYTES_MAX);
    i->session.now_ms = shard_adopted_ms(i->shard);
    while ((event != SMTP_SERVER_MORE || in->len) && i->wait == WAIT_NOTHING && !i->closing) {
        struct str piece = next_piece(i, *in), rest = piece;
        event = smtp_server_feed(&i->session, &rest, &out);
        *in = str_skip(*in, piece.len - rest.len);
        if (event == SMTP_SERVER_AUTH || event == SMTP_SERVER_MESSAGE)
            send_out(i, &out); /* their answer may come at once, and must come after these */
        act(i, event, &out);
        if (event == SMTP_SERVER_CLOSE || event == SMTP_SERVER_STARTTLS)
            break;
        if (in->len && i->wait == WAIT_NOTHING && out.len + connection_unsent(c) > LIMIT_SEND_BYTES)
            i->wait = WAIT_DRAIN;
    }
    progress = out.len > 0; /* each command has a reply */
    tell_errors(i);
    send_out(i, &out);
    if (event == SMTP_SERVER_STARTTLS)
        start_tls(i);
    else if (event == SMTP_SERVER_CLOSE || i->closing) {
        const struct smtp_server *s = &i->session;
        enum body_in_status fault = s->chunk.fault ? s->chunk.fault : s->body.fault;
        count_by(smtpd_smuggling,
                 fault == BODY_IN_BARE_LF || fault == BODY_IN_BARE_CR || fault == BODY_IN_NUL);
        finish(i);
    } else if (i->wait != WAIT_NOTHING) {
        if (i->wait != WAIT_PAUSE) /* that one has its own deadline */
            lapse_stop(&i->deadline.entry);
        if (i->wait == WAIT_DRAIN)
            watch(i);
        connection_pause(c);
    } else {
        watch_on(i, progress);
    }
}

static void on_drained(struct connection *c)
{
    struct intake *i = of(c);
    if (i->wait == WAIT_DRAIN && !i->closing)
        go_on(i);
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

/* A password was checked. */
static enum reply note_login(struct intake *i, enum reply reply)
{
    struct shard *s = i->shard;
    struct str user = buffer_str(&i->session.auth.user);
    bool good = reply == REPLY_235_AUTHENTICATED;
    if (!good && reply != REPLY_535_AUTH)
        return reply;
    if (guard_login_done(&s->guard, i->party.client, client_address(i), user, good, now_ms(i)))
        log_warning("client_locked", log_text("client", i->client_text.at),
                    log_text("why", "too many failed AUTH"));
    return good ? may_join(i, user) : reply;
}

static void say_login(struct intake *i, enum reply reply)
{
    struct buffer out;
    buffer_init(&out, REPLY_BYTES_MAX);
    smtp_server_settle_auth(&i->session, reply, &out);
    send_out(i, &out);
    go_on(i);
}

void intake_settle_login(struct intake *i, enum reply reply)
{
    if (i->closing)
        return;
    reply = note_login(i, reply);
    if (reply != REPLY_535_AUTH) {
        say_login(i, reply);
        return;
    }
    i->wait = WAIT_PAUSE;
    shard_deadline(i->shard, LAPSE_AUTH, &i->deadline); /* passed() says it */
}

void intake_challenge(struct intake *i, struct str message)
{
    struct buffer out;
    if (i->closing)
        return;
    buffer_init(&out, REPLY_BYTES_MAX);
    smtp_server_challenge(&i->session, message, &out);
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
    count(smtpd_tls);
    count_by(smtpd_tls_resumed, tls_resumed(c->tls));
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

/* ---- life of one connection */

static void on_gone(struct connection *c)
{
    struct intake *i = of(c);
    struct shard *s = i->shard;
    lapse_stop(&i->deadline.entry);
    guard_close(&s->guard, &i->party.client);
    guard_close(&s->guard, &i->party.user);
    guard_close(&s->guard, &i->party.organisation);
    login_drop(i);
    end_mail(i);
    smtp_server_drop(&i->session);
    buffer_drop(&i->organisation);
    slab_give(&s->intakes, i);
    acceptor_closed(s->peers, s->index);
}

static void learn_client(struct intake *i)
{
    const struct sockaddr_storage *peer = &i->connection.peer;
    if (peer->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)peer;
        i->client_bytes = sizeof v4->sin_addr;
        memcpy(i->client, &v4->sin_addr, i->client_bytes);
    } else if (peer->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)peer;
        i->client_bytes = sizeof v6->sin6_addr;
        memcpy(i->client, &v6->sin6_addr, i->client_bytes);
    }
    i->client_text = address_text((const struct sockaddr *)peer);
}

static bool is_in(const struct intake *i, const struct network *networks, size_t count)
{
    for (size_t n = 0; n < count; n++)
        if (network_holds(&networks[n], i->client, i->client_bytes))
            return true;
    return false;
}

/* The address' share, and for a mail server that of its organisation. */
static enum reply may_connect(struct intake *i)
{
    static const enum reply replies[] = {
        [GUARD_OK] = REPLY_220_GREETING,   [GUARD_CONNECTIONS] = REPLY_421_CONNECTIONS,
        [GUARD_RATE] = REPLY_421_CONNECTS, [GUARD_FAULTS] = REPLY_421_FAULTS,
        [GUARD_FULL] = REPLY_421_BUSY,
    };
    struct shard *s = i->shard;
    const struct organisation *o = organisation_of(i);
    enum guard_kind kind = o ? GUARD_RELAY : GUARD_CLIENT;
    struct str address = client_address(i);
    if (!is_in(i, s->exempt, s->exempt_count)) {
        enum guard_verdict v = guard_open(&s->guard, kind, address, now_ms(i), &i->party.client);
        if (v != GUARD_OK && guard_is_news(&s->guard, kind, address))
            log_warning("client_refused", log_text("client", i->client_text.at),
                        log_str("why", reply_text(replies[v])));
        if (v != GUARD_OK)
            return replies[v];
    }
    return !o || join_organisation(i, o->name) ? REPLY_220_GREETING : REPLY_421_ORGANISATION;
}

/* Whoever talks before the greeting speaks no SMTP, or is in a hurry to get rid of something
 * (SMUG-18). */
static bool talks_early(const struct intake *i)
{
    char byte;
    return recv(i->connection.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static void refuse_early(struct intake *i)
{
    struct buffer out;
    count(smtpd_early);
    buffer_init(&out, REPLY_BYTES_MAX);
    smtp_server_early_talk(&i->session, &out);
    send_out(i, &out);
    finish(i);
}

/* The client is known; `rest` has come behind the header that told. */
static void begin(struct intake *i, struct str rest)
{
    bool implicit = i->service == SMTP_SUBMISSIONS;
    enum reply reply = may_connect(i);
    if (reply != REPLY_220_GREETING) {
        count(smtpd_refused);
        if (implicit) /* there is no TLS yet to say it in */
            finish(i);
        else
            say_and_finish(i, reply);
        return;
    }
    if (implicit)
        start_tls(i);
    else if (rest.len || talks_early(i))
        refuse_early(i);
    else
        greet(i);
}

/* The client behind a load balancer. */
static void adopt_client(struct intake *i)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    struct sockaddr_in four = {.sin_family = AF_INET};
    uint8_t at[16];
    size_t bytes = proxy_source(&i->proxy, at);
    if (bytes == 0) /* the balancer looks whether we are there */
        return;
    memcpy(i->client, at, bytes);
    i->client_bytes = bytes;
    memcpy(&four.sin_addr, at, sizeof four.sin_addr);
    memcpy(&six.sin6_addr, at, sizeof six.sin6_addr);
    i->client_text =
        address_text(bytes == 4 ? (const struct sockaddr *)&four : (const struct sockaddr *)&six);
}

static void read_proxy(struct intake *i, struct str *in)
{
    switch (proxy_feed(&i->proxy, in)) {
    case PROXY_MORE:
        return;
    case PROXY_DONE:
        i->proxied = false;
        i->behind = true;
        adopt_client(i);
        begin(i, *in);
        return;
    case PROXY_BAD:
        count(smtpd_proxy_refused);
        log_warning("proxy_refused", log_text("client", i->client_text.at),
                    log_text("why", "no header of the PROXY protocol, version 2"));
        i->closing = true;
        lapse_stop(&i->deadline.entry);
        connection_close(&i->connection);
        return;
    }
}

/* Is there room for one more, the newest, whose descriptor is `fd`? The lowest free one is given
 * out, so its number says how many there are at least. */
static enum reply look_for_room(struct shard *s, int fd)
{
    uint64_t most = s->snapshot->settings->connections, used = s->intakes.used;
    uint64_t spare = u64_max(s->descriptors / LIMIT_DESCRIPTOR_PART, LIMIT_DESCRIPTORS_SPARE);
    if (s->stopping)
        return REPLY_421_SHUTDOWN;
    overload_look(&s->overload, OVERLOAD_CONNECTIONS, used, most + 1, most - most / 10 + 1);
    bool is_short = (uint64_t)fd + spare >= s->descriptors;
    if (is_short && !overload_is(&s->overload, OVERLOAD_DESCRIPTORS))
        s->descriptors_short = (uint32_t)used;
    bool is_near = used > s->descriptors_short - s->descriptors_short / 10;
    overload_look(&s->overload, OVERLOAD_DESCRIPTORS, is_short ? 2 : is_near, 2, 1);
    bool busy = overload_is(&s->overload, OVERLOAD_CONNECTIONS) ||
                overload_is(&s->overload, OVERLOAD_DESCRIPTORS);
    return busy ? REPLY_421_BUSY : REPLIES;
}

static void accepted(struct acceptor *a, int fd)
{
    struct shard *s = a->owner;
    struct intake *i = slab_take(&s->intakes);
    if (!i) {
        loop_close_fd(s->loop, fd);
        acceptor_closed(s->peers, s->index);
        return;
    }
    count(smtpd_connections);
    i->shard = s;
    i->service = (enum smtp_service)a->tag;
    i->deadline.passed = passed;
    i->refusal = REPLIES;
    buffer_init(&i->organisation, 256);
    smtp_server_init(&i->session, &s->server_settings[i->service], i->service == SMTP_SUBMISSIONS);
    connection_accept(&i->connection, s->loop, &calls, fd, REPLY_BYTES_MAX);
    learn_client(i);
    enum reply reply = look_for_room(s, fd);
    if (reply == REPLIES) {
        i->proxied = is_in(i, s->proxies, s->proxy_count);
        if (i->proxied)
            watch_shortly(i);
        else
            begin(i, STR(""));
        return;
    }
    count(smtpd_refused);
    if (i->service == SMTP_SUBMISSIONS)
        finish(i);
    else
        say_and_finish(i, reply);
}

/* ---- life */

void intake_prepare(struct shard *s, const struct shard_listener *listeners, uint32_t count)
{
    slab_init(&s->intakes, sizeof(struct intake), INTAKES_MAX);
    for (uint32_t n = 0; n < count && n < LIMIT_LISTENERS; n++) {
        s->acceptors[n].fd = listeners[n].fd;
        s->acceptors[n].tag = (uint32_t)listeners[n].service;
        acceptor_join(&s->acceptors[n], s->peers, s->index);
        s->acceptor_count++;
    }
}

void intake_start(struct shard *s)
{
    for (uint32_t n = 0; n < s->acceptor_count; n++) {
        struct acceptor *a = &s->acceptors[n];
        if (a->tag == SMTP_SUBMISSIONS && !s->tls_server)
            continue;
        acceptor_start(a, s->loop, a->fd, accepted, s, a->tag);
        if (a->tag != SMTP_SUBMISSIONS)
            a->no = STR("421 4.3.2 Too busy, try again later\r\n");
    }
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
