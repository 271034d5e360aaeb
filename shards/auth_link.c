#include "shards/auth_link.h"

#include "core/base/heap.h"
#include "core/base/log.h"

#include <errno.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    AUTH_LINK_FIRST_MS = 1000,
    AUTH_LINK_LAST_MS = 30000,
    SLOT_BITS = 10, /* of an id; above them a serial */
    SEND_BYTES = LIMIT_AUTH_REQUESTS * 4096,
};

_Static_assert(LIMIT_AUTH_REQUESTS <= 1 << SLOT_BITS, "a slot fits an id");

struct request {
    struct auth_link *link;
    struct deadline deadline;
    struct handle intake;
    uint32_t id;
    bool asked; /* Dovecot's turn; else the client's */
};

struct auth_link {
    struct shard *shard;
    struct connection connection;
    struct dovecot dovecot;
    struct buffer path;
    bool open, up, leaving; /* open: `connection` is in use. leaving: for good, or for a new path */
    bool told;              /* that it is not there */
    unsigned mechanisms;
    struct slab requests;
    uint32_t serial;
    uint64_t since_ms, next_ms, pause_ms;
};

struct auth_link *auth_link_of(const struct shard *s)
{
    return s->auth_link && s->snapshot->settings->auth_socket.len ? s->auth_link : NULL;
}

unsigned auth_link_mechanisms(const struct auth_link *a)
{
    return a->mechanisms;
}

static void offer(struct auth_link *a, unsigned mechanisms)
{
    struct shard *s = a->shard;
    a->mechanisms = mechanisms;
    for (size_t i = 0; i < countof(s->server_settings); i++)
        s->server_settings[i].mechanisms = login_mechanisms(s);
}

/* ---- requests */

static struct request *find(struct auth_link *a, uint32_t id)
{
    struct request *r = slab_at(&a->requests, id & ((1u << SLOT_BITS) - 1));
    return r && r->id == id ? r : NULL;
}

static struct intake *forget(struct auth_link *a, struct request *r)
{
    struct intake *i = slab_get(&a->shard->intakes, r->intake);
    lapse_stop(&r->deadline.entry);
    slab_give(&a->requests, r);
    return i;
}

static bool send_line(struct auth_link *a, struct buffer *line)
{
    bool sent = a->up && !line->full && connection_send(&a->connection, buffer_str(line));
    sasl_wipe(line);
    return sent;
}

/* Dovecot forgets it, and so do we; who waits for its answer is told. */
static void give_up(struct auth_link *a, struct request *r)
{
    struct buffer line;
    bool asked = r->asked;
    buffer_init(&line, 64);
    dovecot_cancel(r->id, &line);
    (void)send_line(a, &line);
    uint32_t id = r->id;
    struct intake *i = forget(a, r);
    if (i && asked)
        login_answered(i, id, DOVECOT_UNAVAILABLE, STR(""));
}

static void passed(struct deadline *d)
{
    struct request *r = owner_of(d, struct request, deadline);
    if (r->asked)
        log_warning("auth_timeout", log_str("path", buffer_str(&r->link->path)));
    give_up(r->link, r);
}

static void give_up_all(struct auth_link *a)
{
    a->up = false;
    for (uint32_t n = 0; n < a->requests.made; n++) {
        struct request *r = slab_at(&a->requests, n);
        if (r)
            give_up(a, r);
    }
}

bool auth_link_ask(struct auth_link *a, struct intake *i, enum sasl_mechanism m,
                   const struct str *response, uint32_t *id)
{
    struct buffer line;
    struct request *r = a->up ? slab_take(&a->requests) : NULL;
    if (!r)
        return false;
    r->link = a;
    r->deadline.passed = passed;
    r->intake = slab_handle(&a->shard->intakes, i);
    a->serial += a->serial == UINT32_MAX >> SLOT_BITS ? 2 : 1; /* no id is 0 */
    r->id = a->serial << SLOT_BITS | slab_handle(&a->requests, r).index;
    r->asked = true;
    buffer_init(&line, DOVECOT_LINE_BYTES);
    dovecot_ask(r->id, m, str_c(i->client_text.at), response, &line);
    if (!send_line(a, &line)) {
        slab_give(&a->requests, r);
        return false;
    }
    *id = r->id;
    shard_deadline(a->shard, LAPSE_AUTHORITY, &r->deadline);
    return true;
}

bool auth_link_answer(struct auth_link *a, uint32_t id, struct str response)
{
    struct buffer line;
    struct request *r = find(a, id);
    if (!r)
        return false;
    buffer_init(&line, DOVECOT_LINE_BYTES);
    dovecot_answer(id, response, &line);
    if (!send_line(a, &line)) {
        (void)forget(a, r);
        return false;
    }
    r->asked = true;
    shard_deadline(a->shard, LAPSE_AUTHORITY, &r->deadline);
    return true;
}

void auth_link_cancel(struct auth_link *a, uint32_t id)
{
    struct request *r = find(a, id);
    if (!r)
        return;
    r->asked = false; /* nobody waits any more */
    give_up(a, r);
}

static void on_answer(struct auth_link *a, enum dovecot_event event)
{
    struct request *r = find(a, a->dovecot.id);
    if (!r || !r->asked)
        return; /* cancelled meanwhile, or never asked */
    uint32_t id = r->id;
    struct intake *i = slab_get(&a->shard->intakes, r->intake);
    if (event == DOVECOT_CHALLENGE)
        r->asked = false; /* its deadline now watches the client */
    else
        (void)forget(a, r);
    if (i)
        login_answered(i, id, event, buffer_str(&a->dovecot.text));
}

/* ---- the connection */

static void tell(struct auth_link *a, const char *why)
{
    if (!a->told && !a->leaving)
        log_error("auth_socket_lost", log_str("path", buffer_str(&a->path)), log_text("why", why),
                  log_text("hint", "AUTH is answered 454 until it is there again"));
    a->told = true;
}

static void lose(struct auth_link *a, const char *why)
{
    tell(a, why);
    connection_close(&a->connection);
    give_up_all(a);
}

static void on_ready(struct auth_link *a)
{
    a->up = true;
    a->told = false;
    a->pause_ms = AUTH_LINK_FIRST_MS;
    log_info("auth_socket_up", log_str("path", buffer_str(&a->path)),
             log_u64("mechanisms", (uint64_t)__builtin_popcount(a->dovecot.mechanisms)));
    if (!a->dovecot.mechanisms)
        log_warning("auth_socket_offers_nothing",
                    log_text("hint", "auth_mechanisms of Dovecot needs plain, login or "
                                     "scram-sha-256"));
    offer(a, a->dovecot.mechanisms);
}

static void on_data(struct connection *c, struct str *in)
{
    struct auth_link *a = owner_of(c, struct auth_link, connection);
    for (;;) {
        enum dovecot_event event = dovecot_feed(&a->dovecot, in);
        switch (event) {
        case DOVECOT_MORE:
            return;
        case DOVECOT_READY:
            on_ready(a);
            break;
        case DOVECOT_CHALLENGE:
        case DOVECOT_OK:
        case DOVECOT_FAIL:
        case DOVECOT_UNAVAILABLE:
            on_answer(a, event);
            break;
        case DOVECOT_BROKEN:
            lose(a, a->dovecot.why);
            return;
        }
    }
}

static void on_connected(struct connection *c, int error)
{
    struct auth_link *a = owner_of(c, struct auth_link, connection);
    struct buffer line;
    if (error) {
        lose(a, strerrorname_np(-error));
        return;
    }
    buffer_init(&line, 64);
    dovecot_hello((uint32_t)gettid(), &line); /* each worker's own */
    (void)connection_send(c, buffer_str(&line));
    buffer_drop(&line);
}

static void on_lost(struct connection *c, int error)
{
    struct auth_link *a = owner_of(c, struct auth_link, connection);
    lose(a, error ? strerrorname_np(-error) : "closed by Dovecot");
}

static void on_gone(struct connection *c)
{
    struct auth_link *a = owner_of(c, struct auth_link, connection);
    a->open = a->up = false;
    dovecot_drop(&a->dovecot);
    a->next_ms = a->leaving ? 0 : loop_now_ms(a->shard->loop) + a->pause_ms;
    a->pause_ms = u64_min(2 * a->pause_ms, AUTH_LINK_LAST_MS);
    a->leaving = false;
}

static const struct connection_calls calls = {
    .data = on_data,
    .connected = on_connected,
    .lost = on_lost,
    .gone = on_gone,
};

static void dial(struct auth_link *a)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    uint64_t now = loop_now_ms(a->shard->loop);
    a->next_ms = now + a->pause_ms;
    if (!str_to_c(buffer_str(&a->path), to.sun_path, sizeof to.sun_path)) {
        tell(a, "not a path of a socket");
        return;
    }
    dovecot_init(&a->dovecot);
    a->since_ms = now;
    const struct connection_way way = {.to = (const struct sockaddr *)&to, .to_len = sizeof to};
    a->open = connection_dial(&a->connection, a->shard->loop, &calls, &way, SEND_BYTES) == 0;
    if (!a->open)
        tell(a, "no more descriptors");
}

/* ---- life */

static void leave(struct auth_link *a)
{
    a->leaving = a->open;
    a->told = false;
    a->pause_ms = AUTH_LINK_FIRST_MS;
    if (!a->open)
        return;
    connection_close(&a->connection);
    give_up_all(a);
}

void auth_link_use(struct shard *s)
{
    struct str path = s->snapshot->settings->auth_socket;
    struct auth_link *a = s->auth_link;
    if (!a) {
        if (path.len == 0)
            return;
        s->auth_link = a = heap_take(sizeof *a);
        a->shard = s;
        slab_init(&a->requests, sizeof(struct request), LIMIT_AUTH_REQUESTS);
        buffer_init(&a->path, sizeof((struct sockaddr_un *)0)->sun_path);
    }
    if (str_eq(buffer_str(&a->path), path))
        return;
    buffer_clear(&a->path);
    buffer_put(&a->path, path);
    leave(a);
    a->next_ms = 0;
    offer(a, 1 << SASL_PLAIN | 1 << SASL_LOGIN);
}

void auth_link_tick(struct shard *s)
{
    struct auth_link *a = auth_link_of(s);
    uint64_t now = loop_now_ms(s->loop);
    if (!a || s->stopping)
        return;
    if (!a->open && now >= a->next_ms)
        dial(a);
    else if (a->open && !a->up && now - a->since_ms > s->snapshot->settings->auth_timeout)
        lose(a, "it says nothing");
}

bool auth_link_stopped(struct shard *s)
{
    if (s->auth_link && s->auth_link->open)
        leave(s->auth_link);
    return !s->auth_link || !s->auth_link->open;
}
