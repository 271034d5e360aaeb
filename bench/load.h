/* load.h -- the parts of sekimori-load: an SMTP client that sends as fast, or as evenly, as told.
 *
 *   load.c          threads and the loop of one
 *   load_options.c  the command line
 *   load_body.c     messages, made once per size; a token is stamped on each
 *   load_session.c  one connection: connecting, TLS, writing, reading
 *   load_smtp.c     what to say, and what the answers mean
 *   load_report.c   text and JSON
 *
 * Thread   a worker, its sessions and its counts belong to one thread; `struct load_run` is shared
 *          and read-only but for its atomics.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "bench/bench_conn.h"
#include "bench/bench_hist.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum {
    LOAD_SIZES_MAX = 16,
    LOAD_PATTERNS_MAX = 16,
    LOAD_STAMPS = 3, /* Message-ID, X-Token, body */
    LOAD_PREFIX_BYTES_MAX = 64,
    LOAD_TOKEN_DIGITS = 12,
    LOAD_TOKEN_BYTES_MAX = LOAD_PREFIX_BYTES_MAX + 1 + LOAD_TOKEN_DIGITS,
    LOAD_LINE_BYTES_MAX = 1024, /* of a reply; the rest of a longer line is ignored */
    LOAD_READ_BYTES = 16384,
    LOAD_RETRY_MS = 50,
    LOAD_SECONDS_MAX = 1 << 20,
};

enum load_tls {
    LOAD_TLS_NONE,
    LOAD_TLS_STARTTLS,
    LOAD_TLS_IMPLICIT,
};

struct load_options {
    const char *to, *auth, *from, *ledger, *token_prefix, *helo, *mix;
    const char *rcpt[LOAD_PATTERNS_MAX];
    unsigned rcpt_patterns, rcpts;
    unsigned threads, connections;
    uint64_t messages, per_connection; /* UINT64_MAX: no limit */
    double seconds, warmup_s, grace_s, timeout_s, rate;
    enum load_tls tls;
    bool pipeline, reconnect, json;
    uint64_t seed;
};

struct load_body {
    char *text; /* without tokens, with the final dot */
    size_t text_bytes;
    size_t stamp_at[LOAD_STAMPS]; /* offsets in `text`, ascending */
    size_t bytes;                 /* on the wire: text and tokens, dot included */
    uint64_t size, weight;
};

struct load_bodies {
    struct load_body body[LOAD_SIZES_MAX];
    unsigned count;
    uint64_t weight_sum;
    size_t token_bytes;
};

struct load_counts { /* those of the measured time, unless said */
    uint64_t acked, failed, unknown, warmup_messages, bytes;
    uint64_t rcpts_refused, replies_4xx, replies_5xx;
    uint64_t connections_opened, connections_lost, connect_failures, tls_handshakes; /* whole run */
    uint64_t last_ns; /* of the last outcome, or 0 */
    struct bench_hist dot, transaction, lateness, connect, handshake;
    uint32_t *acked_by_second; /* from the start of the run; LOAD_SECONDS_MAX at most */
    size_t seconds;
    char tls_version[16];
};

struct load_run {
    struct load_options options;
    struct bench_endpoint to;
    struct load_bodies bodies;
    SSL_CTX *tls;
    int ledger;                                     /* -1: none */
    char auth_command[512];                         /* with CRLF */
    uint64_t start_ns, measure_ns, stop_ns, end_ns; /* UINT64_MAX: never */
    atomic_uint_fast64_t next_number;               /* closed loop */
};

struct load_worker {
    pthread_t thread;
    struct load_run *run;
    int epoll, timer;
    struct load_session *sessions;
    unsigned session_count, live;
    uint64_t next_number;     /* open loop: this worker's next, a step of `threads` apart */
    uint64_t timer_ns;        /* when the timer fires; UINT64_MAX: unarmed */
    struct bench_lapse idle;  /* open loop: sessions that wait for work */
    struct bench_lapse retry; /* sessions that lost their connection wait a little */
    struct bench_lapse again; /* sessions that said QUIT connect again at once */
    struct load_counts counts;
    char read[LOAD_READ_BYTES];
};

enum load_state {
    LOAD_CLOSED, /* retired, or waiting to connect again */
    LOAD_CONNECT,
    LOAD_HANDSHAKE,
    LOAD_BANNER,
    LOAD_EHLO,
    LOAD_STARTTLS,
    LOAD_AUTH,
    LOAD_IDLE,
    LOAD_ENVELOPE,
    LOAD_DOT,
    LOAD_QUIT,
};

enum load_step { /* the reply that an envelope waits for */
    LOAD_STEP_RSET,
    LOAD_STEP_MAIL,
    LOAD_STEP_RCPT,
    LOAD_STEP_DATA,
};

struct load_session {
    struct bench_conn conn;
    struct bench_lapse_entry lapse; /* in idle or retry */
    struct load_worker *worker;
    enum load_state state;
    struct bench_bytes out;
    char line[LOAD_LINE_BYTES_MAX]; /* a partial reply line */
    size_t line_bytes;
    bool secure, can_pipeline, can_size, can_starttls, needs_rset;
    bool live;           /* counted in worker->live */
    uint64_t sent_count; /* messages of this connection */
    uint64_t opened_ns, progress_ns;

    enum load_step step;
    uint64_t number;
    const struct load_body *body;
    size_t body_left; /* bytes on the wire still to write; the message is sent when 0 */
    unsigned rcpts_answered, rcpts_accepted, failed_code;
    uint64_t due_ns, dot_ns;
    char token[LOAD_TOKEN_BYTES_MAX + 1];
};

void load_options_parse(struct load_options *o, int argc, char **argv);

/* `mix` is "4k:70,64k:25,1m:5" or one size. */
void load_bodies_make(struct load_bodies *b, const struct load_options *o);
const struct load_body *load_body_pick(const struct load_bodies *b, uint64_t random);

/* The parts of a stamped message that are still to be written; returns how many. */
int load_body_gather(const struct load_body *b, const char *token, size_t token_bytes, size_t left,
                     struct iovec parts[static 2 * LOAD_STAMPS + 1]);

/* %d is the number, %Nm the number modulo N, %% a percent sign. */
void load_expand(struct bench_bytes *out, const char *pattern, uint64_t number);

void load_session_open(struct load_session *s);
void load_session_event(struct load_session *s, uint32_t events);
void load_session_flush(struct load_session *s);
void load_session_start_tls(struct load_session *s);

/* The connection is of no more use: settle its message, then connect again or retire. */
void load_session_over(struct load_session *s);

/* Give up whatever is going on: the run is over. */
void load_session_abandon(struct load_session *s);

void load_smtp_hello(struct load_session *s);
void load_smtp_line(struct load_session *s, const char *line, size_t bytes);
void load_smtp_ready(struct load_session *s);
void load_smtp_begin(struct load_session *s, uint64_t number, uint64_t due_ns);
void load_smtp_quit(struct load_session *s);

/* The connection died: what became of the message at hand? */
void load_smtp_died(struct load_session *s);

/* Closed loop: a number for one more message; false if there shall be none. */
NODISCARD bool load_claim(struct load_worker *w, uint64_t now_ns, uint64_t *number);

/* Open loop: messages that were due before the end and found no connection free. */
uint64_t load_unsent(const struct load_worker *w);
bool load_is_over(const struct load_worker *w, uint64_t now_ns);

void load_report(const struct load_run *run, const struct load_worker *workers);

#endif
