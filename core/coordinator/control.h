/* control.h -- the control socket: sekictl, and whoever speaks its protocol.
 *
 * A UNIX stream socket. Each line is one JSON object. Request: {"verb":"list","filter":"from:a@b"},
 * with string, number or flag arguments as control.def names them. Answer: any number of
 * {"row":{...}} lines, {"note":"..."} lines for people, then {"end":{"exit":N}} or
 * {"end":{"exit":N,"error":"..."}}; exit as sekictl's: 0 done, 1 refused, 2 wrong usage. Several
 * requests may follow each other on one connection; each is answered before the next is read.
 *
 * Thread   the coordinator's.
 * Memory   a client costs at most CONTROL_LINE_BYTES of request and CONTROL_OUT_BYTES of answer.
 * Promise  peers other than root, the server's own user and control_users are refused. Long answers
 *          are made in slices, while the client reads them; who reads nothing for
 *          CONTROL_PATIENCE_MS is closed. Nothing that a client sends stops the server.
 */
#ifndef CORE_COORDINATOR_CONTROL_H
#define CORE_COORDINATOR_CONTROL_H

#include "core/base/slab.h"
#include "core/coordinator/filter.h"
#include "core/coordinator/request.h"

#include <poll.h>
#include <sys/stat.h>
#include <sys/types.h>

struct coordinator;
struct client;
struct change;
struct view;

enum {
    CONTROL_CLIENTS = 64,
    CONTROL_LINE_BYTES = 4 << 20, /* an organisation with tens of thousands of users */
    CONTROL_OUT_BYTES = 1 << 20,
    CONTROL_ROOM_BYTES = CONTROL_OUT_BYTES / 2, /* below it a job goes on making rows */
    CONTROL_ROWS_PER_TURN = 256,
    CONTROL_PATIENCE_MS = 60000,
    CONTROL_ADOPT_MS = 2000, /* how long a change waits for all workers to use it */
};

/* What a client's request still has to do. True: finished, the end was written. */
typedef bool job_step(struct coordinator *c, struct client *client);

struct client {
    int fd; /* -1: free */
    uid_t uid;
    struct str user; /* name in `user_text`, for the log */
    char user_text[40];
    struct buffer in, out;
    uint64_t heard_ms; /* monotonic: last byte read, or written while something waits */
    bool closing;      /* write what is left, then close */

    struct request request;
    job_step *step; /* NULL: idle */
    /* of the job */
    struct filter filter;
    struct view *view;
    uint32_t partition;
    uint64_t seen, done, mails;
    uint64_t until_ms; /* monotonic */
    bool waiting;      /* for a keeper */
    bool refused;      /* by a keeper */
};

struct control {
    int listen_fd;
    char *path;
    struct stat made; /* to remove only our own socket file */
    struct slab clients;
};

/* Open the socket; false: `errors`. A stale file is replaced only if nobody answers there. */
NODISCARD bool control_open(struct control *k, struct str path, struct buffer *errors);
void control_close(struct control *k);

/* The descriptors to wait for, at most CONTROL_CLIENTS + 1. */
size_t control_poll(struct coordinator *c, struct pollfd *fds);
/* Read, work, write. `fds` as control_poll() gave them; `*busy`: there is more to do at once. */
void control_turn(struct coordinator *c, const struct pollfd *fds, size_t count, bool *busy);

/* --- for the verbs --------------------------------------------------------------------------- */

/* A row or note is one line; between begin and end the caller writes members. */
struct js_writer control_row_begin(struct client *client);
void control_row_end(struct client *client, struct js_writer *w);
void control_note(struct client *client, struct str text);
void control_end(struct client *client, unsigned exit, struct str error);
void control_endf(struct client *client, unsigned exit, const char *format, ...) PRINTFLIKE(3, 4);
bool control_has_room(const struct client *client);

struct handle control_handle(const struct coordinator *c, const struct client *client);
struct client *control_client(const struct coordinator *c, struct handle h); /* NULL: gone */

/* Handlers of control.def; each starts a job or ends at once. */
#define VERB(name, handler, arguments, flags, usage, help) \
    void control_##handler(struct coordinator *c, struct client *client);
#include "core/coordinator/control.def"
#undef VERB

#endif
