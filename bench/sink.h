/* sink.h -- the parts of sekimori-sink: an SMTP server that swallows mail, rudely if told.
 *
 *   sink.c          threads, their loops, the summary
 *   sink_options.c  the command line
 *   sink_session.c  bytes of one connection: waiting, reading, writing
 *   sink_verb.c     what each command does
 *   sink_data.c     the end-of-data automaton
 *   sink_store.c    what is kept of a message: ledger lines and content files
 *
 * Thread   a worker and its sessions belong to one thread; `struct sink_run` is shared, and
 *          read-only but for its atomics.
 */
#ifndef BENCH_SINK_H
#define BENCH_SINK_H

#include "bench/bench_conn.h"
#include "bench/sink_data.h"

#include <openssl/evp.h>

#include <pthread.h>
#include <stdatomic.h>

enum {
    SINK_ODDS_MAX = 4,
    SINK_EHLO_MAX = 16,
    SINK_LINE_BYTES_MAX = 4096,
    SINK_OUT_BYTES_MAX = 1 << 20, /* replies a peer may leave unread before we hang up */
    SINK_READ_BYTES = 256 * 1024,
    SINK_SLOW_SLICES = 20, /* --slow reads a slice, then waits 1/20 s */
};

enum sink_delay {
    SINK_DELAY_NONE,
    SINK_DELAY_BANNER,
    SINK_DELAY_MAIL,
    SINK_DELAY_RCPT,
    SINK_DELAY_DATA,
    SINK_DELAY_DOT,
    SINK_DELAY_SLOW,
    SINK_DELAYS,
};

struct sink_odds {
    unsigned count;

    struct {
        unsigned code;
        double percent;
    } of[SINK_ODDS_MAX];
};

struct sink_options {
    const char *listen, *name, *ledger, *content, *certificate;
    const char *ehlo[SINK_EHLO_MAX];
    unsigned ehlo_count;
    unsigned threads;
    bool tls, tls_implicit, auth;
    uint64_t delay_ms[SINK_DELAYS];
    struct sink_odds reject_mail, reject_rcpt, reject_dot;
    double drop_percent, hang_percent;
    uint64_t slow_bytes_per_s, refuse_every, messages_max, seed;
};

struct sink_counts {
    uint64_t messages, recipients, bytes; /* answered 250 */
    uint64_t connections, refused_connections, tls_handshakes;
    uint64_t rejected_mail, rejected_rcpt, rejected_dot, unanswered;
};

struct sink_run {
    struct sink_options options;
    SSL_CTX *tls;
    int ledger, content; /* -1: none; content is a directory */
    int stop;            /* an eventfd; readable means stop, for every thread */
    atomic_uint_fast64_t connections, messages, files;
};

struct sink_worker {
    pthread_t thread;
    struct sink_run *run;
    int listener, epoll;
    struct bench_lapse lapse[SINK_DELAYS];
    struct sink_session *sessions; /* all open ones, for the end */
    struct sink_counts counts;
    char read[SINK_READ_BYTES];
};

enum sink_state {
    SINK_BANNER,
    SINK_COMMAND,
    SINK_STARTTLS, /* 220 is written; the handshake begins when it has left */
    SINK_HANDSHAKE,
    SINK_AUTH, /* the next line is a credential */
    SINK_DATA,
    SINK_SETTLE,  /* content is complete, not yet answered */
    SINK_HUNG,    /* will never answer */
    SINK_CLOSING, /* close when what was said has left */
};

struct sink_session {
    struct bench_conn conn;
    struct bench_lapse_entry lapse;
    struct sink_worker *worker;
    struct sink_session *next, *previous;
    enum sink_state state;
    enum sink_delay waits_for;
    bool waited; /* the delay of the step at hand is over */
    bool secure;
    bool is_last; /* answered the last message of --max */
    struct bench_bytes in, out;
    char helo[256];
    char peer[64];
    struct bench_bytes mail;  /* the argument of MAIL */
    struct bench_bytes rcpts; /* arguments of RCPT, each ended by NUL */
    unsigned rcpt_count;
    struct sink_data data;
    EVP_MD_CTX *hash; /* NULL until needed */
    int file;         /* content being written; -1: none */
    uint64_t number;  /* of the connection */
    uint64_t draws;   /* random numbers used so far */
};

void sink_options_parse(struct sink_options *o, int argc, char **argv);

void sink_session_open(struct sink_worker *w, int fd, const struct sockaddr *peer);
void sink_session_event(struct sink_session *s, uint32_t events);
void sink_session_wake(struct sink_session *s); /* its delay is over */
void sink_session_close(struct sink_session *s, bool polite);

/* Step aside for a delay. False: there is none, or it is over; go on. */
NODISCARD bool sink_session_delay(struct sink_session *s, enum sink_delay which);

PRINTFLIKE(2, 3) void sink_say(struct sink_session *s, const char *format, ...);
void sink_greet(struct sink_session *s);

/* One line without its CRLF. False: the session waits; give the line again. */
NODISCARD bool sink_command(struct sink_session *s, const char *line, size_t bytes);

/* Answer a complete message. False: the session waits. */
NODISCARD bool sink_settle(struct sink_session *s);
void sink_forget(struct sink_session *s); /* the transaction */

/* A code drawn by the odds, or 0. Reproducible per connection: --seed and its number decide. */
unsigned sink_draw(struct sink_session *s, const struct sink_odds *odds);
bool sink_draw_percent(struct sink_session *s, double percent);

void sink_store_begin(struct sink_session *s);
void sink_store_add(struct sink_session *s, const char *content, size_t bytes);

/* Write `verdict` lines to the ledger, and keep the content file unless it was refused. */
void sink_store_end(struct sink_session *s, const char *verdict, unsigned code);
void sink_store_drop(struct sink_session *s); /* an incomplete message */

#endif
