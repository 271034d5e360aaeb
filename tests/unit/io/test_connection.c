#include "core/io/connection.h"

#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/base/limit.h"
#include "tests/unit/crypto/certificate.h"
#include "tests/unit/io/echo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

static struct buffer errors;
static struct certificate certificate;
static struct loop *loop;
static struct tls_context *server_tls, *client_tls;
static struct echo echo;

enum {
    DEADLINE_MS = 20000
};

/* Turn until the condition holds; false when the deadline comes first. */
#define turn_until(condition)                                                   \
    __extension__({                                                             \
        uint64_t turn_start = clock_monotonic_ms();                             \
        while (!(condition) && clock_monotonic_ms() - turn_start < DEADLINE_MS) \
            loop_turn(loop, 20);                                                \
        (condition);                                                            \
    })

/* ---- a client that sends and compares ---- */

struct client {
    struct connection c;
    struct tls_context *tls;
    size_t to_send, sent, received, differ;
    uint64_t seed;
    bool connected, secured, gone, failed, stays;
};

static char pattern(uint64_t seed, size_t at)
{
    uint64_t x = (seed + at) * 0x9e3779b97f4a7c15u;
    return (char)(x >> 56);
}

static void client_push(struct client *k)
{
    char bytes[8192];
    while (k->sent < k->to_send) {
        size_t len = 1 + random_below(size_min(sizeof bytes, k->to_send - k->sent));
        for (size_t i = 0; i < len; i++)
            bytes[i] = pattern(k->seed, k->sent + i);
        if (!connection_send(&k->c, str_from(bytes, len)))
            return; /* drained() goes on */
        k->sent += len;
        if (random_below(5) == 0)
            return;
    }
}

static void client_on_data(struct connection *c, struct str *in)
{
    struct client *k = owner_of(c, struct client, c);
    for (size_t i = 0; i < in->len; i++)
        k->differ += in->at[i] != pattern(k->seed, k->received + i);
    k->received += in->len;
    *in = str_skip(*in, in->len);
    if (k->received == k->to_send && !k->stays)
        connection_finish(c);
    else
        client_push(k);
}

static void client_on_connected(struct connection *c, int error)
{
    struct client *k = owner_of(c, struct client, c);
    k->connected = true;
    if (error) {
        k->failed = true;
        connection_close(c);
    } else if (k->tls) {
        struct tls *t = tls_connect(k->tls, "echo.example");
        connection_secure(c, &t);
    } else {
        client_push(k);
    }
}

static void client_on_secured(struct connection *c, bool ok)
{
    struct client *k = owner_of(c, struct client, c);
    k->secured = ok;
    if (ok)
        client_push(k);
    else
        connection_close(c);
}

static void client_on_drained(struct connection *c)
{
    client_push(owner_of(c, struct client, c));
}

static void client_on_lost(struct connection *c, int error)
{
    (void)error;
    owner_of(c, struct client, c)->failed = true;
    connection_close(c);
}

static void client_on_gone(struct connection *c)
{
    owner_of(c, struct client, c)->gone = true;
}

static const struct connection_calls client_calls = {
    .data = client_on_data,
    .connected = client_on_connected,
    .secured = client_on_secured,
    .drained = client_on_drained,
    .lost = client_on_lost,
    .gone = client_on_gone,
};

static void client_dial(struct client *k, struct tls_context *tls, size_t to_send)
{
    *k = (struct client){.tls = tls, .to_send = to_send, .seed = random_u64()};
    struct connection_way way = {.to = (struct sockaddr *)&echo.address,
                                 .to_len = sizeof echo.address};
    must(connection_dial(&k->c, loop, &client_calls, &way, ECHO_SEND_MAX) == 0);
}

/* ---- 200 at once ---- */

static int count_gone(const struct client *k, size_t n)
{
    int gone = 0;
    for (size_t i = 0; i < n; i++)
        gone += k[i].gone;
    return gone;
}

static void exchange(struct tls_context *server, struct tls_context *client, bool restless)
{
    enum {
        CLIENTS = 200
    };

    int files = open_files();
    echo_open(&echo, loop, server);
    echo.restless = restless;
    static struct client k[CLIENTS];
    for (size_t i = 0; i < CLIENTS; i++)
        client_dial(&k[i], client, i ? 1 + random_below(60000) : 3 << 20);
    bool done = turn_until(count_gone(k, CLIENTS) == CLIENTS && echo.gone == CLIENTS);
    expect(done, "%d clients and %d connections are gone", count_gone(k, CLIENTS), echo.gone);
    for (size_t i = 0; i < CLIENTS; i++)
        expect(k[i].received == k[i].to_send && !k[i].differ && !k[i].failed &&
                   k[i].secured == (client != NULL),
               "client %zu: %zu of %zu, %zu differ", i, k[i].received, k[i].to_send, k[i].differ);
    expect(echo.broken == 0, "callbacks after the end: %d", echo.broken);
    echo_close(&echo);
    expect(open_files() == files, "descriptors leaked: %d, %d", open_files(), files);
}

static void test_plain(void)
{
    exchange(NULL, NULL, false);
    exchange(NULL, NULL, true);
}

static void test_tls(void)
{
    exchange(server_tls, client_tls, false);
    exchange(server_tls, client_tls, true);
}

/* ---- peers that leave ---- */

static int dial_raw(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(fd >= 0);
    must(connect(fd, (struct sockaddr *)&echo.address, sizeof echo.address) == 0);
    return fd;
}

static void leave_raw(int fd, bool reset)
{
    if (reset) {
        const struct linger now = {.l_onoff = 1};
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    (void)close(fd);
}

/* `hello` cut at every byte, then gone, by close or by reset. */
static void leave_at_every_byte(struct str hello, struct tls_context *tls)
{
    int files = open_files();
    echo_open(&echo, loop, tls);
    for (int reset = 0; reset < 2; reset++)
        for (size_t len = 0; len <= hello.len; len++) {
            int fd = dial_raw();
            must(write(fd, hello.at, len) == (ssize_t)len);
            if (len % 3)
                loop_turn(loop, 0);
            leave_raw(fd, reset);
            if (len % 2)
                loop_turn(loop, 0);
        }
    int want = 2 * ((int)hello.len + 1);
    expect(turn_until(echo.gone == want), "%d of %d gone", echo.gone, want);
    expect(echo.broken == 0, "%d broken", echo.broken);
    echo_close(&echo);
    expect(open_files() == files, "descriptors leaked: %d, %d", open_files(), files);
}

static void test_leaving(void)
{
    struct buffer hello;
    buffer_init(&hello, 1 << 16);
    struct tls *t = tls_connect(client_tls, "echo.example");
    (void)tls_start(t, &hello);
    leave_at_every_byte(STR("EHLO client.example\r\n"), NULL);
    leave_at_every_byte(buffer_str(&hello), server_tls);
    leave_at_every_byte(STR("POST / HTTP/1.1\r\n\r\n"), server_tls);
    tls_drop(&t);
    buffer_drop(&hello);
}

/* The server closes itself at its n-th callback. */
static void test_closing(void)
{
    enum {
        CLIENTS = 8,
        STEPS = 24
    };

    int files = open_files();
    for (int variant = 0; variant < 4; variant++) {
        bool secure = variant & 1;
        echo_open(&echo, loop, secure ? server_tls : NULL);
        echo.finish = variant & 2;
        echo.restless = true;
        for (int step = 1; step <= STEPS; step++) {
            echo.close_at = step;
            static struct client k[CLIENTS];
            for (size_t i = 0; i < CLIENTS; i++)
                client_dial(&k[i], secure ? client_tls : NULL, 100000);
            bool done = turn_until(count_gone(k, CLIENTS) == CLIENTS && echo.gone == echo.accepted);
            expect(done, "variant %d step %d: %d, %d of %d", variant, step, count_gone(k, CLIENTS),
                   echo.gone, echo.accepted);
            for (size_t i = 0; i < CLIENTS; i++)
                expect(k[i].differ == 0, "variant %d step %d", variant, step);
            echo_clear(&echo);
        }
        expect(echo.broken == 0, "callbacks after the end: %d", echo.broken);
        echo_close(&echo);
    }
    expect(open_files() == files, "descriptors leaked: %d, %d", open_files(), files);
}

/* The client closes at random times, also while it connects. */
static void test_hanging_up(void)
{
    enum {
        CLIENTS = 300
    };

    int files = open_files();
    echo_open(&echo, loop, server_tls);
    static struct client k[CLIENTS];
    for (size_t i = 0; i < CLIENTS; i++) {
        client_dial(&k[i], client_tls, 1 << 20);
        for (uint64_t turns = random_below(12); turns; turns--)
            loop_turn(loop, 0);
        connection_close(&k[i].c);
        connection_close(&k[i].c);
    }
    expect(turn_until(count_gone(k, CLIENTS) == CLIENTS && echo.gone == echo.accepted), "%d gone",
           count_gone(k, CLIENTS));
    expect(echo.broken == 0, "%d broken", echo.broken);
    echo_close(&echo);
    expect(open_files() == files, "descriptors leaked: %d, %d", open_files(), files);
}

static void test_refused(void)
{
    echo_open(&echo, loop, NULL);
    echo_close(&echo); /* nobody listens there now */
    struct client k;
    client_dial(&k, NULL, 10);
    expect(!k.connected, "never from inside");
    expect(turn_until(k.gone), "gone");
    expect(k.connected && k.failed, "ECONNREFUSED is told");
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr = {htonl(0xc0000201)}};
    struct connection_way way = {.to = (struct sockaddr *)&echo.address,
                                 .to_len = sizeof echo.address,
                                 .from = (struct sockaddr *)&from};
    expect(connection_dial(&k.c, loop, &client_calls, &way, 100) == -EADDRNOTAVAIL,
           "an address that is not ours");
    int lowest = dup(0);
    (void)close(lowest);
    way = (struct connection_way){.to = way.to, .to_len = way.to_len, .fd_end = lowest};
    expect(connection_dial(&k.c, loop, &client_calls, &way, 100) == -EMFILE,
           "DOS-10 a descriptor that is left to others");
    expect(dup(0) == lowest && close(lowest) == 0, "and is given back");
}

/* ---- bounds ---- */

static void flood(struct tls_context *tls)
{
    echo_open(&echo, loop, tls);
    struct client k;
    client_dial(&k, tls ? client_tls : NULL, 8 << 20);
    if (!turn_until(echo.accepted == 1 && (!tls || echo.at[0]->secured)))
        expect(false, "connected");
    struct connection *c = &echo.at[0]->c;
    connection_pause(c);
    for (int turn = 0; turn < 300; turn++)
        loop_turn(loop, 1);
    size_t unread = c->in.len;
    expect(unread <= LOOP_RECEIVE_BYTES, "%zu bytes read while paused", unread);
    expect(k.sent < k.to_send && connection_unsent(&k.c) <= 3 * ECHO_SEND_MAX, "client waits");
    connection_resume(c);
    expect(turn_until(k.gone && echo.gone == 1), "gone");
    expect(k.received == k.to_send && !k.differ, "%zu received", k.received);
    echo_close(&echo);
}

static void test_bounds(void)
{
    flood(NULL);
    flood(server_tls);
}

/* ---- pauses in the middle of a stream ---- */

/* An owner that pauses as it likes, and a raw peer that sends as fast as the socket takes it. */
struct sink {
    struct connection c;
    int peer;
    size_t to_send, sent, received, differ, unread_max;
    int calls, close_at; /* callback; 0: never */
    bool pauses, toggles, gone, lost;
    int error;
};

static void sink_on_data(struct connection *c, struct str *in)
{
    struct sink *s = owner_of(c, struct sink, c);
    expect(!s->lost && in->len <= CONNECTION_UNREAD_BYTES, "%zu at once", in->len);
    size_t take = s->toggles ? random_below(in->len + 1) : in->len;
    for (size_t i = 0; i < take; i++)
        s->differ += in->at[i] != pattern(0, s->received + i);
    s->received += take;
    *in = str_skip(*in, take);
    if (s->pauses || (s->toggles && (in->len || random_below(3) == 0)))
        connection_pause(c);
    if (s->toggles && random_below(3) == 0)
        connection_resume(c);
    if (++s->calls == s->close_at)
        connection_close(c);
}

static void sink_on_lost(struct connection *c, int error)
{
    struct sink *s = owner_of(c, struct sink, c);
    s->lost = true;
    s->error = error;
    connection_close(c);
}

static void sink_on_gone(struct connection *c)
{
    struct sink *s = owner_of(c, struct sink, c);
    expect(!s->gone, "gone once");
    s->gone = true;
}

static const struct connection_calls sink_calls = {
    .data = sink_on_data,
    .lost = sink_on_lost,
    .gone = sink_on_gone,
};

static void sink_open(struct sink *s, size_t to_send)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof a;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(listener >= 0 && bind(listener, (struct sockaddr *)&a, sizeof a) == 0);
    must(listen(listener, 1) == 0 && getsockname(listener, (struct sockaddr *)&a, &len) == 0);
    *s = (struct sink){.to_send = to_send};
    s->peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(s->peer >= 0 && connect(s->peer, (struct sockaddr *)&a, sizeof a) == 0);
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    must(fd >= 0);
    (void)close(listener);
    connection_accept(&s->c, loop, &sink_calls, fd, ECHO_SEND_MAX);
}

/* Send what the socket takes. */
static void sink_send(struct sink *s)
{
    char bytes[8192];
    while (s->sent < s->to_send) {
        size_t len = size_min(sizeof bytes, s->to_send - s->sent);
        for (size_t i = 0; i < len; i++)
            bytes[i] = pattern(0, s->sent + i);
        ssize_t sent = send(s->peer, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent <= 0)
            break;
        s->sent += (size_t)sent;
    }
}

/* Send, at last the end; turn once. */
static void sink_turn(struct sink *s)
{
    sink_send(s);
    if (s->sent == s->to_send)
        (void)shutdown(s->peer, SHUT_WR);
    loop_turn(loop, 0);
    if (s->c.in.len > s->unread_max)
        s->unread_max = s->c.in.len;
}

static void sink_check(struct sink *s, int files)
{
    (void)close(s->peer);
    loop_turn(loop, 0);
    expect(s->differ == 0, "%zu differ", s->differ);
    expect(open_files() == files, "descriptors leaked: %d, %d", open_files(), files);
    expect(loop_buffers_out(loop) == 0, "%u buffers leaked", loop_buffers_out(loop));
}

/* The owner takes everything that it is given, and pauses each time for some turns. */
static void test_pause_bounds(void)
{
    int files = open_files();
    struct sink s;
    sink_open(&s, 6 << 20);
    s.pauses = true;
    for (int turn = 0; turn < 20000 && !s.gone; turn++) {
        sink_turn(&s);
        expect(!s.c.paused || loop_buffers_out(loop) == 0, "buffers kept while paused");
        if (turn % 8 == 0 && s.c.paused)
            connection_resume(&s.c);
    }
    expect(s.gone && s.lost && s.error == 0 && s.received == s.to_send, "%zu of %zu", s.received,
           s.to_send);
    expect(s.unread_max <= LOOP_RECEIVE_BYTES, "%zu kept while paused", s.unread_max);
    sink_check(&s, files);
}

/* A peer that goes on a little at a time: the first bytes during a pause stop the receive. */
static void test_pause_cancels(void)
{
    int files = open_files();
    struct sink s;
    sink_open(&s, 1000);
    sink_send(&s);
    expect(turn_until(s.received == 1000), "%zu received", s.received);
    connection_pause(&s.c);
    for (int i = 1; i <= 40; i++) {
        s.to_send = (size_t)(i + 1) * 1000;
        sink_send(&s);
        for (int turn = 0; turn < 3; turn++)
            loop_turn(loop, 1);
    }
    expect(s.c.in.len <= 2000 && !s.c.receive.in_flight, "%zu kept", s.c.in.len);
    connection_resume(&s.c);
    expect(turn_until(s.received == s.to_send), "%zu received", s.received);
    connection_close(&s.c);
    expect(turn_until(s.gone), "gone");
    sink_check(&s, files);
}

/* Pauses and resumes at random, in callbacks and between turns, so that cancels meet completions,
 * new receives, and the end. */
static void test_pause_races(void)
{
    int files = open_files();
    for (int run = 0; run < 30; run++) {
        struct sink s;
        sink_open(&s, 1 + random_below(1 << 20));
        s.toggles = true;
        uint64_t start = clock_monotonic_ms();
        while (!s.gone && clock_monotonic_ms() - start < DEADLINE_MS) {
            sink_turn(&s);
            if (random_below(3) == 0)
                connection_pause(&s.c);
            if (random_below(2) == 0 || s.c.in.len == 0)
                connection_resume(&s.c);
        }
        expect(s.gone && s.lost && s.error == 0, "gone %d, lost %d: %d", s.gone, s.lost, s.error);
        expect(s.unread_max <= CONNECTION_UNREAD_BYTES + LOOP_RECEIVE_BYTES, "%zu kept",
               s.unread_max);
        sink_check(&s, files);
    }
}

/* Paused at the first bytes, closed some turns and callbacks later: while the cancel of the pause
 * is prepared, submitted, or has completed. */
static void test_close_while_cancelling(void)
{
    int files = open_files();
    for (int wait = 0; wait < 40; wait++) {
        struct sink s;
        sink_open(&s, 2 << 20);
        s.pauses = true;
        s.close_at = wait % 4;
        for (int turn = 0; turn < wait / 4; turn++) {
            sink_turn(&s);
            if (s.close_at && s.c.paused && !s.gone)
                connection_resume(&s.c);
        }
        if (!s.gone)
            connection_close(&s.c);
        expect(turn_until(s.gone), "wait %d", wait);
        expect(!s.c.receive.in_flight && s.c.in.room == 0, "nothing is kept");
        sink_check(&s, files);
    }
}

/* One that sends without end, and one with a line: the line is not behind the whole stream. */
static void test_greedy(void)
{
    int files = open_files();
    struct sink greedy, modest;
    sink_open(&greedy, 64 << 20);
    sink_open(&modest, 16);
    for (int turn = 0; turn < 3; turn++)
        sink_turn(&greedy);
    size_t before = greedy.received;
    for (int turn = 0; turn < 3 && !modest.received; turn++)
        sink_turn(&modest);
    expect(modest.received == 16, "%zu", modest.received);
    expect(greedy.received - before <= 3 * LOOP_RECEIVE_BYTES, "%zu in three turns",
           greedy.received - before);
    connection_close(&greedy.c);
    connection_close(&modest.c);
    expect(turn_until(greedy.gone && modest.gone), "gone");
    (void)close(modest.peer);
    sink_check(&greedy, files);
}

/* A peer that sends and does not read: connection_send() says so. */
static void test_send_max(void)
{
    echo_open(&echo, loop, NULL);
    int fd = dial_raw();
    expect(turn_until(echo.accepted == 1), "accepted");
    struct connection *c = &echo.at[0]->c;
    static char chunk[1000];
    int chunks = 0;
    while (chunks < 100000 && connection_send(c, str_from(chunk, sizeof chunk))) {
        chunks++;
        if (chunks % 8 == 0)
            loop_turn(loop, 0);
    }
    expect(chunks < 100000 && connection_unsent(c) <= ECHO_SEND_MAX, "%d chunks", chunks);
    echo.at[0]->over = true;
    connection_close(c);
    expect(turn_until(echo.gone == 1), "closed although a send is blocked");
    (void)close(fd);
    echo_close(&echo);
}

static void test_idle(void)
{
    echo_open(&echo, loop, server_tls);
    struct client k;
    client_dial(&k, client_tls, 200000);
    k.stays = true;
    expect(turn_until(k.received == k.to_send), "%zu", k.received);
    for (int turn = 0; turn < 5; turn++)
        loop_turn(loop, 1);
    const struct connection *both[] = {&k.c, &echo.at[0]->c};
    for (size_t i = 0; i < countof(both); i++)
        expect(both[i]->in.room <= 4096 && both[i]->out.room <= 4096 &&
                   both[i]->sending.room <= 4096,
               "idle: %zu %zu %zu", both[i]->in.room, both[i]->out.room, both[i]->sending.room);
    connection_close(&k.c);
    expect(turn_until(k.gone && echo.gone == 1), "gone");
    echo_close(&echo);
}

/* ---- STARTTLS ---- */

struct starttls {
    struct connection c;
    struct buffer seen; /* plain bytes given to data() */
    bool is_server, greet_more, secured, failed, gone;
    int lost;
};

static void starttls_on_data(struct connection *c, struct str *in)
{
    struct starttls *s = owner_of(c, struct starttls, c);
    struct str all = *in;
    size_t end = str_find(all, '\n');
    while (end != SIZE_MAX) {
        struct str line = str_head(all, end + 1);
        buffer_put(&s->seen, line);
        *in = all = str_skip(all, end + 1);
        if (s->is_server && str_eq(line, STR("STARTTLS\r\n"))) {
            (void)connection_send(c, s->greet_more ? STR("220 go\r\n250 injected\r\n")
                                                   : STR("220 go\r\n"));
            struct tls *t = tls_accept(server_tls, STR("smtp"));
            connection_secure(c, &t);
            return; /* what follows in the clear is left unread */
        }
        if (!s->is_server && str_starts(line, STR("220"))) {
            struct tls *t = tls_connect(client_tls, NULL);
            connection_secure(c, &t);
            return;
        }
        end = str_find(all, '\n');
    }
}

static void starttls_on_connected(struct connection *c, int error)
{
    (void)c;
    expect(error == 0, "connected");
}

static void starttls_on_secured(struct connection *c, bool ok)
{
    struct starttls *s = owner_of(c, struct starttls, c);
    s->secured = ok;
    s->failed = !ok;
    if (!ok)
        connection_finish(c);
    else if (!s->is_server)
        (void)connection_send(c, STR("EHLO inside\r\n"));
}

static void starttls_on_lost(struct connection *c, int error)
{
    (void)error;
    owner_of(c, struct starttls, c)->lost++;
    connection_close(c);
}

static void starttls_on_gone(struct connection *c)
{
    owner_of(c, struct starttls, c)->gone = true;
}

static const struct connection_calls starttls_calls = {
    .data = starttls_on_data,
    .connected = starttls_on_connected,
    .secured = starttls_on_secured,
    .lost = starttls_on_lost,
    .gone = starttls_on_gone,
};

static void starttls_open(struct starttls *s, bool is_server, int fd)
{
    *s = (struct starttls){.is_server = is_server};
    buffer_init(&s->seen, 1 << 16);
    connection_accept(&s->c, loop, &starttls_calls, fd, ECHO_SEND_MAX);
}

static bool starttls_is_over(const struct starttls *server, const struct starttls *client)
{
    return str_ends_nocase(buffer_str(&server->seen), STR("inside\r\n")) || server->gone ||
           client->gone;
}

/* The client sends `words` cut at `split`; the rest after the first turn. Were both secured? */
static bool starttls_run(struct str words, size_t split, bool greet_more)
{
    int fds[2];
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    struct starttls client, server;
    starttls_open(&server, true, fds[0]);
    starttls_open(&client, false, fds[1]);
    server.greet_more = greet_more;
    (void)connection_send(&client.c, str_head(words, split));
    loop_turn(loop, 0);
    if (split < words.len)
        (void)connection_send(&client.c, str_skip(words, split));
    expect(turn_until(starttls_is_over(&server, &client)), "split %zu", split);
    bool secured = server.secured && client.secured;
    expect_str(buffer_str(&server.seen),
               secured ? STR("STARTTLS\r\nEHLO inside\r\n") : STR("STARTTLS\r\n"), "server saw");
    expect_str(buffer_str(&client.seen), STR("220 go\r\n"), "client saw");
    connection_close(&client.c);
    connection_close(&server.c);
    expect(turn_until(server.gone && client.gone), "gone");
    buffer_drop(&server.seen);
    buffer_drop(&client.seen);
    return secured;
}

static void test_starttls(void)
{
    struct str fair = STR("STARTTLS\r\n"), foul = STR("STARTTLS\r\nNOOP\r\n");
    for (size_t split = 1; split <= fair.len; split++)
        expect(starttls_run(fair, split, false), "split %zu", split);
    /* In one segment with STARTTLS it is dropped. Later it is taken for TLS, which may fail. Never
     * is it a command: starttls_run() compares what was seen. */
    expect(starttls_run(foul, foul.len, false), "in one segment");
    for (size_t split = 1; split < foul.len; split++)
        (void)starttls_run(foul, split, false);
    expect(starttls_run(fair, fair.len, true), "a reply injected before TLS");
}

/* ---- the end ---- */

static void test_half_close(void)
{
    echo_open(&echo, loop, NULL);
    int fd = dial_raw();
    must(write(fd, "QUIT\r\n", 6) == 6);
    must(shutdown(fd, SHUT_WR) == 0);
    expect(turn_until(echo.gone == 1), "gone");
    char bytes[16];
    expect(read(fd, bytes, sizeof bytes) == 6, "the answer comes although the peer is done");
    expect(read(fd, bytes, sizeof bytes) == 0, "then the end");
    (void)close(fd);
    echo_close(&echo);
}

static void test_paused_end(void)
{
    echo_open(&echo, loop, NULL);
    echo.deaf = true;
    int fd = dial_raw();
    must(write(fd, "QUIT\r\n", 6) == 6);
    expect(turn_until(echo.accepted == 1 && echo.at[0]->c.in.len == 6), "read");
    leave_raw(fd, false);
    for (int turn = 0; turn < 10; turn++)
        loop_turn(loop, 1);
    expect(echo.at[0]->callbacks == 0, "paused: nothing is told");
    connection_resume(&echo.at[0]->c);
    expect(turn_until(echo.gone == 1), "gone");
    expect(echo.at[0]->callbacks >= 2 && echo.at[0]->lost == 1, "the bytes, then the end");
    echo_close(&echo);
}

static void test_buffers(void)
{
    expect(loop_buffers_out(loop) == 0, "%u", loop_buffers_out(loop));
}

int main(void)
{
    buffer_init(&errors, 1 << 16);
    certificate_make(&certificate, false);
    loop = loop_open(256, 64, &errors);
    server_tls = tls_context_server(certificate.certificate, certificate.key, NULL, &errors);
    client_tls = tls_context_client(&errors);
    must(loop && server_tls && client_tls);
    loop_turn(loop, 0);
    const struct test tests[] = {
        {"200 plain", test_plain},
        {"200 TLS", test_tls},
        {"peers leave at every byte", test_leaving},
        {"owners close at every callback", test_closing},
        {"clients hang up", test_hanging_up},
        {"nobody listens", test_refused},
        {"a paused owner holds back its peer", test_bounds},
        {"a peer that does not read", test_send_max},
        {"idle connections are small", test_idle},
        {"TLSIN-01 STARTTLS and what was sent with it", test_starttls},
        {"half-closed", test_half_close},
        {"end while paused", test_paused_end},
        {"pauses bound what is kept", test_pause_bounds},
        {"bytes during a pause stop the receive", test_pause_cancels},
        {"pauses race with completions", test_pause_races},
        {"closed while a cancel is on its way", test_close_while_cancelling},
        {"a greedy peer leaves room", test_greedy},
        {"no buffer is kept", test_buffers},
        {0},
    };
    int status = harness_run("connection", tests);
    loop_receive_as(loop, RECEIVE_SINGLE);
    status |= harness_run("connection, single receives", tests);
    loop_close(&loop);
    tls_context_drop(&server_tls);
    tls_context_drop(&client_tls);
    certificate_remove(&certificate);
    buffer_drop(&errors);
    return status;
}
