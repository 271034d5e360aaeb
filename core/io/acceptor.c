#include "core/io/acceptor.h"

#include "core/base/base.h"
#include "core/base/heap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

enum {
    BACKLOG = 4096,
    PAUSE_MS = 100,
    TURNED_AWAY_MAX = 64, /* in a pause */
    STEP = 32, /* the part by which the usual time of an answer moves, so that it is a median */
};

bool acceptor_parse(struct str text, struct sockaddr_storage *out, socklen_t *len)
{
    memset(out, 0, sizeof *out);
    bool six = str_starts(text, STR("["));
    size_t end = six ? str_find_str(text, STR("]:")) : str_find(text, ':');
    if (end == SIZE_MAX)
        return false;
    struct str host = six ? str_from(text.at + 1, end - 1) : str_head(text, end);
    uint64_t port;
    char host_text[INET6_ADDRSTRLEN];
    if (!str_number(str_skip(text, end + (six ? 2 : 1)), UINT16_MAX, &port) ||
        host.len >= sizeof host_text)
        return false;
    memcpy(host_text, host.at, host.len);
    host_text[host.len] = '\0';
    if (memchr(host_text, '\0', host.len))
        return false;
    if (six) {
        struct sockaddr_in6 *a = (struct sockaddr_in6 *)out;
        a->sin6_family = AF_INET6;
        a->sin6_port = htons((uint16_t)port);
        *len = sizeof *a;
        return inet_pton(AF_INET6, host_text, &a->sin6_addr) == 1;
    }
    struct sockaddr_in *a = (struct sockaddr_in *)out;
    a->sin_family = AF_INET;
    a->sin_port = htons((uint16_t)port);
    *len = sizeof *a;
    return inet_pton(AF_INET, host_text, &a->sin_addr) == 1;
}

static int set_up(int fd, const struct sockaddr *address, socklen_t len, uint16_t *out_port)
{
    const int one = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) < 0)
        return -errno;
    /* so that 0.0.0.0 and [::] of one port can both be listened on */
    if (address->sa_family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) < 0)
        return -errno;
    if (bind(fd, address, len) < 0 || listen(fd, BACKLOG) < 0)
        return -errno;
    struct sockaddr_storage bound = {0};
    socklen_t bound_len = sizeof bound;
    if (getsockname(fd, (struct sockaddr *)&bound, &bound_len) < 0)
        return -errno;
    if (out_port)
        *out_port = address_port((const struct sockaddr *)&bound);
    return fd;
}

int acceptor_listen(const struct sockaddr *address, socklen_t len, uint16_t *out_port)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int result = set_up(fd, address, len, out_port);
    if (result < 0)
        (void)close(fd);
    return result;
}

static void leave(struct acceptor *a)
{
    loop_timer_stop(a->loop, &a->pause);
    if (a->fd >= 0)
        loop_close_fd(a->loop, a->fd);
    if (a->spare >= 0)
        (void)close(a->spare);
    a->fd = a->spare = -1;
}

static void take_spare(struct acceptor *a)
{
    a->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Nobody waits in vain who can be told: no call here blocks, since the poll says that one is there
 * and nobody else accepts on this socket. */
static void turn_away(struct acceptor *a)
{
    struct pollfd ready = {.fd = a->fd, .events = POLLIN};
    if (a->spare < 0)
        return;
    (void)close(a->spare);
    a->spare = -1;
    for (int n = 0; n < TURNED_AWAY_MAX && poll(&ready, 1, 0) == 1; n++) {
        int fd = accept4(a->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            break;
        (void)send(fd, a->no.at, a->no.len, MSG_DONTWAIT | MSG_NOSIGNAL);
        (void)close(fd);
        a->turned_away++;
    }
    take_spare(a);
}

static void go_on(struct timer *t)
{
    struct acceptor *a = t->owner;
    if (!a->stopped)
        loop_accept(a->loop, &a->op, a->fd);
}

/* ---- fair shares ---- */

struct handover {
    struct op op;
    struct acceptor *from;
    int fd;
    uint32_t to;
};

static void take(struct acceptor *a, int fd)
{
    if (!a->stopped) {
        a->accepted(a, fd);
        return;
    }
    loop_close_fd(a->loop, fd);
    if (a->peers)
        acceptor_closed(a->peers, a->self);
}

static void on_handed(struct op *op)
{
    if (op->result >= 0)
        take(op->owner, op->result);
}

static void count_open(struct acceptor_peers *p, uint32_t index, bool more)
{
    if (more)
        (void)atomic_fetch_add_explicit(&p->at[index].open, 1, memory_order_relaxed);
    else
        (void)atomic_fetch_sub_explicit(&p->at[index].open, 1, memory_order_relaxed);
}

void acceptor_closed(struct acceptor_peers *peers, uint32_t self)
{
    count_open(peers, self, false);
}

static void on_handover(struct op *op)
{
    struct handover *h = op->owner;
    struct acceptor *a = h->from;
    if (op->result < 0) { /* its ring is full, or it has not begun */
        count_open(a->peers, h->to, false);
        count_open(a->peers, a->self, true);
        take(a, h->fd);
    }
    heap_drop(h);
}

void acceptor_answered(struct acceptor_peers *peers, uint32_t self, uint64_t us)
{
    atomic_uint_fast32_t *at = &peers->at[self].answer_us;
    uint64_t usual = atomic_load_explicit(at, memory_order_relaxed);
    if (usual == 0)
        usual = us;
    else if (us > usual)
        usual += usual / STEP + 1;
    else if (us < usual)
        usual -= usual / STEP;
    atomic_store_explicit(at, (uint32_t)u64_min(usual, UINT32_MAX), memory_order_relaxed);
}

/* Of workers without any connection the soonest, and each that is not known yet. Who was passed
 * over seems a little sooner the next time, so that an old bad time is measured anew one day. */
static uint32_t soonest(const struct acceptor *a)
{
    struct acceptor_peer *p = a->peers->at;
    uint32_t best = a->self;
    uint_fast32_t least = atomic_load_explicit(&p[best].answer_us, memory_order_relaxed);
    for (uint32_t i = 0; i < a->peers->count && least; i++) {
        uint_fast32_t us = atomic_load_explicit(&p[i].answer_us, memory_order_relaxed);
        if (us < least && !atomic_load_explicit(&p[i].leaving, memory_order_relaxed)) {
            best = i;
            least = us;
        }
    }
    for (uint32_t i = 0; i < a->peers->count && least; i++) {
        uint_fast32_t us = atomic_load_explicit(&p[i].answer_us, memory_order_relaxed);
        if (i != best)
            atomic_store_explicit(&p[i].answer_us, us - us / STEP, memory_order_relaxed);
    }
    return best;
}

/* Who shall have the next connection. */
static uint32_t fairest(const struct acceptor *a)
{
    struct acceptor_peer *p = a->peers->at;
    uint_fast32_t mine = atomic_load_explicit(&p[a->self].open, memory_order_relaxed);
    uint_fast32_t least = mine, all = 0;
    uint32_t best = a->self;
    for (uint32_t i = 0; i < a->peers->count; i++) {
        uint_fast32_t open = atomic_load_explicit(&p[i].open, memory_order_relaxed);
        all += open;
        if (open < least && !atomic_load_explicit(&p[i].leaving, memory_order_relaxed)) {
            least = open;
            best = i;
        }
    }
    if (all == 0)
        return soonest(a);
    return mine - least > ACCEPTOR_SLACK + least / 32 ? best : a->self;
}

static void deal_out(struct acceptor *a, int fd)
{
    uint32_t to = a->peers && !a->stopped ? fairest(a) : a->self;
    if (a->peers)
        count_open(a->peers, to, true);
    if (to == a->self) {
        take(a, fd);
        return;
    }
    struct acceptor_peer *p = &a->peers->at[to];
    struct handover *h = heap_take(sizeof *h);
    *h = (struct handover){.op = {.done = on_handover, .owner = h}, .from = a, .fd = fd, .to = to};
    loop_hand(a->loop, &h->op, p->loop, &p->acceptors[a - a->peers->at[a->self].acceptors].handed,
              fd);
}

static void on_accept(struct op *op)
{
    struct acceptor *a = op->owner;
    if (op->result >= 0)
        deal_out(a, op->result);
    if (!op_ended(op))
        return;
    if (a->stopped) {
        leave(a);
    } else if (op->result >= 0 || op->result == -ECONNABORTED || op->result == -EINTR) {
        loop_accept(a->loop, op, a->fd);
    } else {
        /* no descriptor or memory; the connections wait in the backlog, and anything else that
         * comes back at once must not become a busy loop either */
        if (op->result == -EMFILE || op->result == -ENFILE)
            turn_away(a);
        loop_timer_start(a->loop, &a->pause, PAUSE_MS);
        a->pauses++;
    }
}

void acceptor_start(struct acceptor *a, struct loop *l, int listen_fd,
                    void (*accepted)(struct acceptor *a, int fd), void *owner, uint32_t tag)
{
    *a = (struct acceptor){
        .op = {.done = on_accept, .owner = a},
        .handed = {.done = on_handed, .owner = a},
        .peers = a->peers,
        .self = a->self,
        .loop = l,
        .fd = listen_fd,
        .accepted = accepted,
        .owner = owner,
        .tag = tag,
        .no = STR(""),
        .pause = {.due = go_on, .owner = a},
    };
    take_spare(a);
    loop_accept(l, &a->op, listen_fd);
}

void acceptor_join(struct acceptor *a, struct acceptor_peers *peers, uint32_t self)
{
    a->peers = peers;
    a->self = self;
}

void acceptor_stop(struct acceptor *a)
{
    if (a->stopped)
        return;
    a->stopped = true;
    if (a->peers)
        atomic_store_explicit(&a->peers->at[a->self].leaving, true, memory_order_relaxed);
    if (a->op.in_flight)
        loop_cancel(a->loop, &a->op);
    else
        leave(a);
}

struct address_text address_text(const struct sockaddr *a)
{
    struct address_text text = {""};
    if (a->sa_family == AF_INET) {
        const struct sockaddr_in *four = (const void *)a;
        (void)inet_ntop(AF_INET, &four->sin_addr, text.at, sizeof text.at);
    } else if (a->sa_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const void *)a;
        if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
            (void)inet_ntop(AF_INET, &six->sin6_addr.s6_addr[12], text.at, sizeof text.at);
        else
            (void)inet_ntop(AF_INET6, &six->sin6_addr, text.at, sizeof text.at);
    }
    return text;
}

uint16_t address_port(const struct sockaddr *a)
{
    if (a->sa_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)(const void *)a)->sin_port);
    if (a->sa_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)(const void *)a)->sin6_port);
    return 0;
}
