#include "tools/sekictl.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    PATIENCE_S = 120,
    LINE_BYTES_MAX = 64 << 20,
    READ_BYTES = 64 << 10,
};

static int dial(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length >= sizeof address.sun_path) {
        complain("%s: the path is too long for a socket: at most %zu bytes", path,
                 sizeof address.sun_path - 1);
        return -1;
    }
    memcpy(address.sun_path, path, length);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const void *)&address, sizeof address) == 0) {
        const struct timeval patience = {.tv_sec = PATIENCE_S};
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        return fd;
    }
    complain("no gateway at %s: %s", path, strerrordesc_np(errno));
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

static bool send_all(int fd, struct str bytes)
{
    while (bytes.len) {
        ssize_t sent = send(fd, bytes.at, bytes.len, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return false;
        bytes = str_skip(bytes, (size_t)sent);
    }
    return true;
}

/* One line of the answer: its exit status at the end, else -1. */
static int hear(struct str line, row_fn *each, void *context)
{
    struct js_value *v = js_read(line);
    int status = -1;
    if (!v) {
        complain("the gateway's answer can't be read");
        return REFUSED;
    }
    const struct js_value *row = js_member(v, "row");
    const struct js_value *end = js_member(v, "end");
    struct str note = js_member_str(v, "note");
    if (row)
        each(row, context);
    if (note.len) {
        print_text(stderr, note, 0);
        (void)fputc('\n', stderr);
    }
    if (end) {
        struct str error = js_member_str(end, "error");
        status = (int)js_member_u64(end, "exit");
        while (error.len) {
            (void)fputs("sekictl: ", stderr);
            print_text(stderr, str_cut(&error, '\n'), 0);
            (void)fputc('\n', stderr);
        }
    }
    js_forget(&v);
    return status;
}

int wire_ask(const char *socket_path, struct str request, row_fn *each, void *context)
{
    struct buffer in;
    int fd = dial(socket_path);
    int status = -1;
    if (fd < 0)
        return NO_GATEWAY;
    buffer_init(&in, LINE_BYTES_MAX);
    /* who refuses us at once may hang up before it has read everything: its reason comes first */
    bool sent = send_all(fd, request) && send_all(fd, STR("\n"));
    while (status < 0) {
        char *at = buffer_reserve(&in, READ_BYTES);
        ssize_t got = at ? recv(fd, at, READ_BYTES, 0) : -1;
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            complain(got == 0 || !sent ? "the gateway hung up" : "the gateway does not answer: %s",
                     strerrordesc_np(errno));
            status = REFUSED;
            break;
        }
        buffer_added(&in, (size_t)got);
        size_t taken = 0;
        while (status < 0) {
            struct str rest = str_skip(buffer_str(&in), taken);
            size_t end = str_find(rest, '\n');
            if (end == SIZE_MAX)
                break;
            status = hear(str_head(rest, end), each, context);
            taken += end + 1;
        }
        buffer_consume(&in, taken);
    }
    (void)close(fd);
    buffer_drop(&in);
    return status;
}
