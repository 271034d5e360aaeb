#include "core/coordinator/control.h"

#include "core/base/heap.h"
#include "core/base/log.h"
#include "core/coordinator/state.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    READ_BYTES = 64 << 10, /* of one client in one turn */
    BACKLOG = 64,
    /* an answer grows by one row beyond the room: the largest has 10,000 recipients */
    OUT_BYTES_MAX = CONTROL_OUT_BYTES + (16 << 20),
};

static void (*const handlers[])(struct coordinator *c, struct client *client) = {
#define VERB(name, handler, arguments, flags, usage, help) control_##handler,
#include "core/coordinator/control.def"
#undef VERB
};

/* --- the socket file ------------------------------------------------------------------------- */

static bool address_of(struct sockaddr_un *address, const char *path, const char *suffix)
{
    size_t length = strlen(path);
    size_t more = strlen(suffix);
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (length + more >= sizeof address->sun_path)
        return false;
    memcpy(address->sun_path, path, length);
    memcpy(address->sun_path + length, suffix, more);
    return true;
}

static bool somebody_answers(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool answers =
        fd >= 0 && (connect(fd, (const void *)address, sizeof *address) == 0 || errno == EAGAIN);
    if (fd >= 0)
        (void)close(fd);
    return answers;
}

/* Bound under another name and renamed: whoever finds the path finds a socket that listens. */
static int listen_at(struct control *k, struct buffer *errors)
{
    struct sockaddr_un last;
    struct sockaddr_un first;
    if (!address_of(&last, k->path, "") || !address_of(&first, k->path, ".new")) {
        buffer_printf(errors,
                      "control_socket: %s: the path is too long for a socket: at most 103 bytes\n",
                      k->path);
        return -1;
    }
    if (somebody_answers(&last)) {
        buffer_printf(errors, "control_socket: %s: another server answers there\n", k->path);
        return -1;
    }
    (void)unlink(first.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && bind(fd, (const void *)&first, sizeof first) == 0 &&
        chmod(first.sun_path, S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP) == 0 &&
        listen(fd, BACKLOG) == 0 && stat(first.sun_path, &k->made) == 0 &&
        rename(first.sun_path, last.sun_path) == 0)
        return fd;
    buffer_printf(errors, "control_socket: %s: %s\n", k->path, strerrordesc_np(errno));
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

bool control_open(struct control *k, struct str path, struct buffer *errors)
{
    slab_init(&k->clients, sizeof(struct client), CONTROL_CLIENTS);
    k->path = heap_take(path.len + 1);
    memcpy(k->path, path.at, path.len);
    k->listen_fd = listen_at(k, errors);
    return k->listen_fd >= 0;
}

static void client_drop(struct control *k, struct client *client)
{
    (void)close(client->fd);
    if (client->view)
        view_close(&client->view);
    request_drop(&client->request);
    buffer_drop(&client->in);
    buffer_drop(&client->out);
    slab_give(&k->clients, client);
}

void control_close(struct control *k)
{
    struct stat st;
    if (!k->path)
        return;
    for (uint32_t i = 0; i < k->clients.made; i++)
        if (slab_at(&k->clients, i))
            client_drop(k, slab_at(&k->clients, i));
    slab_drop(&k->clients);
    if (k->listen_fd >= 0) {
        (void)close(k->listen_fd);
        if (stat(k->path, &st) == 0 && st.st_ino == k->made.st_ino && st.st_dev == k->made.st_dev)
            (void)unlink(k->path);
    }
    heap_drop(k->path);
    k->path = NULL;
}

/* --- answers --------------------------------------------------------------------------------- */

struct js_writer control_row_begin(struct client *client)
{
    struct js_writer w = js_writer(&client->out);
    js_begin(&w, NULL, '{');
    js_begin(&w, "row", '{');
    return w;
}

void control_row_end(struct client *client, struct js_writer *w)
{
    js_end(w, '}');
    js_end(w, '}');
    buffer_putc(&client->out, '\n');
}

void control_note(struct client *client, struct str text)
{
    struct js_writer w = js_writer(&client->out);
    js_begin(&w, NULL, '{');
    js_str(&w, "note", text);
    js_end(&w, '}');
    buffer_putc(&client->out, '\n');
}

void control_end(struct client *client, unsigned exit, struct str error)
{
    struct js_writer w = js_writer(&client->out);
    js_begin(&w, NULL, '{');
    js_begin(&w, "end", '{');
    js_u64(&w, "exit", exit);
    if (error.len)
        js_str(&w, "error", error);
    js_end(&w, '}');
    js_end(&w, '}');
    buffer_putc(&client->out, '\n');
}

void control_endf(struct client *client, unsigned exit, const char *format, ...)
{
    struct buffer text;
    va_list args;
    buffer_init(&text, 4096);
    va_start(args, format);
    buffer_vprintf(&text, format, args);
    va_end(args);
    control_end(client, exit, buffer_str(&text));
    buffer_drop(&text);
}

bool control_has_room(const struct client *client)
{
    return client->out.len < CONTROL_ROOM_BYTES;
}

struct handle control_handle(const struct coordinator *c, const struct client *client)
{
    return slab_handle(&c->control.clients, client);
}

struct client *control_client(const struct coordinator *c, struct handle h)
{
    return slab_get(&c->control.clients, h);
}

/* --- clients --------------------------------------------------------------------------------- */

static void name_peer(struct client *client)
{
    struct passwd entry;
    struct passwd *found = NULL;
    char room[4096];
    struct buffer name;
    buffer_init(&name, sizeof client->user_text);
    if (client->uid == 0) /* the common case asks no name service */
        buffer_puts(&name, "root");
    else if (getpwuid_r(client->uid, &entry, room, sizeof room, &found) == 0 && found)
        buffer_put(&name, str_head(str_c(found->pw_name), sizeof client->user_text));
    else
        buffer_printf(&name, "uid-%u", client->uid);
    memcpy(client->user_text, name.at, name.len);
    client->user = str_from(client->user_text, name.len);
    buffer_drop(&name);
}

static void refuse(int fd, const char *why)
{
    char line[160];
    struct buffer text;
    buffer_init(&text, sizeof line);
    buffer_printf(&text, "{\"end\":{\"exit\":1,\"error\":\"%s\"}}\n", why);
    (void)send(fd, text.at, text.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    buffer_drop(&text);
    (void)close(fd);
}

static void accept_client(struct coordinator *c)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    int fd = accept4(c->control.listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 ||
        !publish_may_control(&c->publish, peer.uid)) {
        log_warning("control_refused", log_u64("uid", peer.uid));
        refuse(fd, "this user may not control the server (setting control_users)");
        return;
    }
    struct client *client = slab_take(&c->control.clients);
    if (!client) {
        refuse(fd, "too many clients at once");
        return;
    }
    client->fd = fd;
    client->uid = peer.uid;
    name_peer(client);
    buffer_init(&client->in, CONTROL_LINE_BYTES + READ_BYTES);
    buffer_init(&client->out, OUT_BYTES_MAX);
    client->heard_ms = c->now.monotonic_ms;
}

static void start(struct coordinator *c, struct client *client, struct str line)
{
    struct buffer error;
    buffer_init(&error, 4096);
    if (!request_parse(line, &client->request, &error)) {
        control_end(client, 2, buffer_str(&error));
    } else {
        size_t verb = client->request.verb;
        if (request_verb_flags(verb) & CHANGES)
            log_info("control", log_text("verb", request_verb_name(verb)),
                     log_str("by", client->user),
                     log_str("id", request_str(&client->request, "id")));
        client->step = NULL;
        client->partition = 0;
        client->seen = client->done = client->mails = 0;
        client->waiting = client->refused = false;
        handlers[verb](c, client);
        if (!client->step)
            request_drop(&client->request);
    }
    buffer_drop(&error);
}

/* Go on with the job, else take up the next line. True: there may be more to do at once. */
static bool work(struct coordinator *c, struct client *client)
{
    if (client->step) {
        if (!control_has_room(client) || !client->step(c, client))
            return !client->waiting && client->step && control_has_room(client);
        client->step = NULL;
        if (client->view)
            view_close(&client->view);
        request_drop(&client->request);
    }
    if (!control_has_room(client))
        return false;
    size_t end = str_find(buffer_str(&client->in), '\n');
    if (end == SIZE_MAX && client->in.len > CONTROL_LINE_BYTES) {
        control_end(client, 2, STR("the request is too long"));
        buffer_clear(&client->in);
        client->closing = true;
    }
    if (end == SIZE_MAX)
        return false;
    start(c, client, str_head(buffer_str(&client->in), end));
    buffer_consume(&client->in, end + 1);
    return true;
}

/* False: the peer is gone. */
static bool read_some(struct coordinator *c, struct client *client)
{
    char *at = buffer_reserve(&client->in, READ_BYTES);
    if (!at)
        return false;
    ssize_t got = recv(client->fd, at, READ_BYTES, 0);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR;
    if (got == 0) {
        client->closing = true; /* what was asked is still answered */
        return true;
    }
    buffer_added(&client->in, (size_t)got);
    client->heard_ms = c->now.monotonic_ms;
    return true;
}

static bool write_some(struct coordinator *c, struct client *client)
{
    while (client->out.len) {
        ssize_t sent = send(client->fd, client->out.at, client->out.len, MSG_NOSIGNAL);
        if (sent < 0)
            return errno == EAGAIN || errno == EINTR;
        buffer_consume(&client->out, (size_t)sent);
        client->heard_ms = c->now.monotonic_ms;
    }
    return true;
}

/* False: over. */
static bool client_turn(struct coordinator *c, struct client *client, short events, bool *busy)
{
    bool more = false;
    if ((events & POLLIN) && !read_some(c, client))
        return false;
    if (events & POLLERR || ((events & POLLHUP) && !(events & POLLIN)))
        return false;
    more = work(c, client);
    if (client->out.full || !write_some(c, client))
        return false;
    *busy |= more && control_has_room(client);
    if (client->closing && !client->step && client->out.len == 0 && !more)
        return false;
    if (client->step && client->out.len == 0) /* it waits for us, not we for it */
        client->heard_ms = c->now.monotonic_ms;
    return c->now.monotonic_ms - client->heard_ms < CONTROL_PATIENCE_MS;
}

size_t control_poll(struct coordinator *c, struct pollfd *fds)
{
    struct control *k = &c->control;
    size_t count = 0;
    fds[count++] = (struct pollfd){.fd = k->listen_fd, .events = POLLIN};
    for (uint32_t i = 0; i < k->clients.made; i++) {
        const struct client *client = slab_at(&k->clients, i);
        if (!client)
            continue;
        bool may_read = !client->closing && !client->step && client->in.len <= CONTROL_LINE_BYTES;
        fds[count++] = (struct pollfd){.fd = client->fd,
                                       .events = (short)((may_read ? POLLIN : 0) |
                                                         (client->out.len ? POLLOUT : 0))};
    }
    return count;
}

static short events_of(const struct pollfd *fds, size_t count, int fd)
{
    for (size_t i = 1; i < count; i++)
        if (fds[i].fd == fd)
            return fds[i].revents;
    return 0;
}

void control_turn(struct coordinator *c, const struct pollfd *fds, size_t count, bool *busy)
{
    struct control *k = &c->control;
    for (uint32_t i = 0; i < k->clients.made; i++) {
        struct client *client = slab_at(&k->clients, i);
        if (client && !client_turn(c, client, events_of(fds, count, client->fd), busy))
            client_drop(k, client);
    }
    if (count && (fds[0].revents & POLLIN))
        accept_client(c);
}
