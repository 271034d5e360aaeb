/* echo.h -- an echo server on core/io for the tests of connections: it reads in random pieces,
 * pauses at random, resumes on its own, and can be told to close itself at its n-th callback.
 *
 * Memory   connections are kept in the server until echo_close().
 */
#ifndef TESTS_UNIT_IO_ECHO_H
#define TESTS_UNIT_IO_ECHO_H

#include "core/base/random.h"
#include "core/io/acceptor.h"
#include "core/io/connection.h"
#include "tests/unit/harness.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    ECHO_CONNECTIONS = 4096,
    ECHO_SEND_MAX = 32 << 10
};

struct echo_connection {
    struct connection c;
    struct echo *server;
    struct timer pause;
    int callbacks, lost, gone, secured;
    bool over; /* connection_close() or _finish() was called: only gone() may follow */
};

struct echo {
    struct loop *loop;
    struct acceptor acceptor;
    struct sockaddr_in address;
    struct tls_context *tls; /* NULL: plain */
    bool restless;           /* random pieces and pauses */
    bool deaf;               /* pause at once, for ever */
    int close_at;            /* callback number; 0: never */
    bool finish;             /* ... by connection_finish() */
    int accepted, gone, broken;
    struct echo_connection *at[ECHO_CONNECTIONS];
};

static inline struct echo_connection *echo_of(struct connection *c)
{
    return owner_of(c, struct echo_connection, c);
}

/* Count a callback; false: the connection was closed by it. */
static inline bool echo_called(struct echo_connection *e)
{
    if (e->over || e->gone)
        e->server->broken++;
    if (++e->callbacks != e->server->close_at)
        return true;
    e->over = true;
    if (e->server->finish)
        connection_finish(&e->c);
    else
        connection_close(&e->c);
    return false;
}

static inline void echo_on_data(struct connection *c, struct str *in)
{
    struct echo_connection *e = echo_of(c);
    if (!echo_called(e))
        return;
    size_t take = in->len;
    if (e->server->restless) {
        take = random_below(take + 1);
        if (random_below(4) == 0 && !e->pause.place) {
            connection_pause(c);
            loop_timer_start(e->server->loop, &e->pause, random_below(3));
        }
    }
    while (take && !connection_send(c, str_head(*in, take)))
        take /= 2;
    *in = str_skip(*in, take);
    if (in->len && !c->paused) { /* no room: drained() goes on */
        connection_pause(c);
        if (connection_unsent(c) == 0)
            loop_timer_start(e->server->loop, &e->pause, 0);
    }
}

static inline void echo_on_pause_over(struct timer *t)
{
    struct echo_connection *e = t->owner;
    if (!e->gone)
        connection_resume(&e->c);
}

static inline void echo_on_secured(struct connection *c, bool ok)
{
    struct echo_connection *e = echo_of(c);
    e->secured++;
    if (!echo_called(e))
        return;
    if (!ok) {
        e->over = true;
        connection_finish(c);
    }
}

static inline void echo_on_drained(struct connection *c)
{
    struct echo_connection *e = echo_of(c);
    if (echo_called(e) && c->paused && !e->pause.place && !e->server->deaf)
        connection_resume(c);
}

static inline void echo_on_lost(struct connection *c, int error)
{
    struct echo_connection *e = echo_of(c);
    e->lost++;
    if (!echo_called(e))
        return;
    e->over = true;
    if (error == 0)
        connection_finish(c);
    else
        connection_close(c);
}

static inline void echo_on_gone(struct connection *c)
{
    struct echo_connection *e = echo_of(c);
    e->gone++;
    e->server->gone++;
    loop_timer_stop(e->server->loop, &e->pause);
    if (e->gone > 1 || e->lost > 1 || !e->over)
        e->server->broken++;
}

static const struct connection_calls echo_calls = {
    .data = echo_on_data,
    .secured = echo_on_secured,
    .drained = echo_on_drained,
    .lost = echo_on_lost,
    .gone = echo_on_gone,
};

static inline void echo_on_accepted(struct acceptor *a, int fd)
{
    struct echo *s = a->owner;
    must(s->accepted < ECHO_CONNECTIONS);
    struct echo_connection *e = calloc(1, sizeof *e);
    must(e != NULL);
    s->at[s->accepted++] = e;
    e->server = s;
    e->pause = (struct timer){.due = echo_on_pause_over, .owner = e};
    connection_accept(&e->c, s->loop, &echo_calls, fd, ECHO_SEND_MAX);
    if (s->deaf)
        connection_pause(&e->c);
    if (s->tls) {
        struct tls *t = tls_accept(s->tls, STR("smtp"));
        connection_secure(&e->c, &t);
    }
}

static inline void echo_open(struct echo *s, struct loop *l, struct tls_context *tls)
{
    memset(s, 0, sizeof *s);
    s->loop = l;
    s->tls = tls;
    struct sockaddr_storage address;
    socklen_t len;
    must(acceptor_parse(STR("127.0.0.1:0"), &address, &len));
    uint16_t port;
    int fd = acceptor_listen((struct sockaddr *)&address, len, &port);
    must(fd >= 0);
    memcpy(&s->address, &address, sizeof s->address);
    s->address.sin_port = htons(port);
    acceptor_start(&s->acceptor, l, fd, echo_on_accepted, s, 1);
}

/* Forget the connections, which must all be gone. */
static inline void echo_clear(struct echo *s)
{
    for (int i = 0; i < s->accepted; i++)
        free(s->at[i]);
    s->accepted = s->gone = 0;
}

static inline void echo_close(struct echo *s)
{
    acceptor_stop(&s->acceptor);
    while (!acceptor_stopped(&s->acceptor))
        loop_turn(s->loop, 10);
    loop_turn(s->loop, 0);
    echo_clear(s);
}

static inline int open_files(void)
{
    int count = 0;
    DIR *d = opendir("/proc/self/fd");
    must(d != NULL);
    while (readdir(d))
        count++;
    (void)closedir(d);
    return count;
}

#endif
