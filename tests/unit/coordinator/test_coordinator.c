/* The whole coordinator in its thread, between keepers and workers that the test plays, and clients
 * on its socket. The wall clock is the test's: clock_wall_ms() is wrapped by the linker. */
#include "core/coordinator/coordinator.h"

#include "core/base/heap.h"
#include "core/base/id.h"
#include "core/base/log.h"
#include "core/mail/command.h"
#include "core/policy/directory.h"
#include "tests/unit/coordinator/fake_partition.h"
#include "tests/unit/harness.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    WORKERS = 2,
    PARTITIONS = 3,
    HOUR = 3600000,
    DUES = 65536
};

uint64_t __real_clock_wall_ms(void);
uint64_t __wrap_clock_wall_ms(void);

static atomic_llong jump_ms;

uint64_t __wrap_clock_wall_ms(void)
{
    return __real_clock_wall_ms() + (uint64_t)atomic_load(&jump_ms);
}

/* --- a house --------------------------------------------------------------------------------- */

struct worker {
    struct port port;
    struct ring *to, *from;
    pthread_t thread;
    const struct snapshot *snapshot;
    atomic_uint dues, published, commanded, anchors, stopped;

    struct {
        uint64_t id, due_ms, seen_ms; /* seen: real clock */
    } due[DUES];
    struct command *_Atomic command; /* to be sent */
    enum command_result result;
    char text[512];
};

struct house {
    struct port port;
    struct worker workers[WORKERS];
    struct partition *partitions[PARTITIONS], *registry;
    struct coordinator_worker to_workers[WORKERS];
    struct coordinator_partition to_partitions[PARTITIONS];
    struct coordinator_settings settings;
    struct coordinator *coordinator;
    pthread_t thread;
    char directory[64], socket[96], config[96];
};

static void worker_hears(struct worker *w, struct cell *cell)
{
    if (cell->kind == CELL_DUE) {
        unsigned n = atomic_load(&w->dues);
        w->due[n % DUES].id = cell->id;
        w->due[n % DUES].due_ms = cell->a;
        w->due[n % DUES].seen_ms = __real_clock_wall_ms();
        atomic_store(&w->dues, n + 1);
    } else if (cell->kind == CELL_PUBLISH) {
        const struct snapshot *new = cell->object;
        const struct snapshot *old = w->snapshot;
        struct cell answer = {.kind = CELL_ADOPTED, .object = (void *)(uintptr_t)old};
        w->snapshot = new;
        atomic_fetch_add(&w->published, 1);
        ring_put(w->from, &answer);
    } else if (cell->kind == CELL_ANCHORED) {
        atomic_fetch_add(&w->anchors, 1);
    } else if (cell->kind == CELL_STOP) {
        struct cell answer = {.kind = CELL_STOPPED};
        ring_put(w->from, &answer);
        atomic_store(&w->stopped, 1);
    } else if (cell->kind == CELL_COMMANDED) {
        struct command *command = cell->object;
        w->result = command->result;
        memcpy(w->text, command->text.at, size_min(command->text.len, sizeof w->text - 1));
        arena_drop(&command->arena);
        heap_drop(command);
        atomic_fetch_add(&w->commanded, 1);
    }
}

static void *work(void *argument)
{
    struct worker *w = argument;
    while (!atomic_load(&w->stopped)) {
        struct cell cell;
        while (ring_take(w->to, &cell))
            worker_hears(w, &cell);
        struct cell order = {.kind = CELL_COMMAND};
        order.object = atomic_exchange(&w->command, NULL);
        if (order.object)
            ring_put(w->from, &order);
        ring_flush(w->from);
        struct pollfd fd = {.fd = w->port.wake_fd, .events = POLLIN};
        port_drowse(&w->port);
        (void)poll(&fd, 1, ring_empty(w->to) ? 5 : 0);
        port_awake(&w->port);
        uint64_t wakes;
        if (fd.revents)
            must(read(fd.fd, &wakes, sizeof wakes) == sizeof wakes);
    }
    return NULL;
}

static void write_config(struct house *h, const char *text)
{
    int fd = open(h->config, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    char line[300];
    int length = snprintf(line, sizeof line, "control_socket: \"%s\"\nhostname: gate.example\n%s",
                          h->socket, text);
    must(fd >= 0 && write(fd, line, (size_t)length) == length);
    (void)close(fd);
}

static void *run(void *argument)
{
    coordinator_run(argument);
    return NULL;
}

static struct house *house_make(void)
{
    struct house *h = heap_take(sizeof *h);
    atomic_store(&jump_ms, 0);
    (void)snprintf(h->directory, sizeof h->directory, "/tmp/sekimori-test-XXXXXX");
    must(mkdtemp(h->directory) != NULL);
    (void)snprintf(h->socket, sizeof h->socket, "%s/c.sock", h->directory);
    (void)snprintf(h->config, sizeof h->config, "%s/c.yaml", h->directory);
    write_config(h, "");
    port_init(&h->port);
    for (unsigned i = 0; i < WORKERS; i++) {
        port_init(&h->workers[i].port);
        h->to_workers[i].to = h->workers[i].to = ring_make(&h->workers[i].port);
        h->to_workers[i].from = h->workers[i].from = ring_make(&h->port);
    }
    for (unsigned i = 0; i < PARTITIONS; i++) {
        struct partition *p = h->partitions[i] = fake_make(&h->port);
        h->to_partitions[i] = (struct coordinator_partition){p, p->ask, p->answer, p->arms};
    }
    h->registry = fake_make(&h->port);
    h->settings = (struct coordinator_settings){
        .config_path = h->config,
        .port = &h->port,
        .workers = h->to_workers,
        .worker_count = WORKERS,
        .partitions = h->to_partitions,
        .partition_count = PARTITIONS,
        .registry = h->registry,
    };
    return h;
}

static void house_start(struct house *h)
{
    struct buffer errors;
    buffer_init(&errors, 65536);
    if (!h->settings.clock_doubtful)
        h->settings.anchor =
            coordinator_first_anchor(h->partitions, PARTITIONS, &h->settings.clock_doubtful);
    struct snapshot *first = coordinator_first_snapshot(&h->settings, &errors);
    expect(first != NULL, "%.*s", STR_ARG(buffer_str(&errors)));
    h->coordinator = coordinator_make(&h->settings, first, &errors);
    expect(h->coordinator != NULL, "%.*s", STR_ARG(buffer_str(&errors)));
    for (unsigned i = 0; i < PARTITIONS; i++)
        fake_start(h->partitions[i]);
    for (unsigned i = 0; i < WORKERS; i++) {
        h->workers[i].snapshot = first;
        must(pthread_create(&h->workers[i].thread, NULL, work, &h->workers[i]) == 0);
    }
    must(pthread_create(&h->thread, NULL, run, h->coordinator) == 0);
    buffer_drop(&errors);
}

static void house_drop(struct house *h)
{
    coordinator_stop(h->coordinator);
    must(pthread_join(h->thread, NULL) == 0);
    for (unsigned i = 0; i < WORKERS; i++) {
        must(pthread_join(h->workers[i].thread, NULL) == 0);
        expect(atomic_load(&h->workers[i].stopped) == 1, "worker %u was told to stop", i);
    }
    coordinator_drop(&h->coordinator);
    struct stat st;
    expect(stat(h->socket, &st) != 0, "the socket file is gone");
    for (unsigned i = 0; i < PARTITIONS; i++)
        fake_stop(&h->partitions[i]);
    fake_stop(&h->registry);
    for (unsigned i = 0; i < WORKERS; i++) {
        ring_drop(&h->workers[i].to);
        ring_drop(&h->workers[i].from);
        port_drop(&h->workers[i].port);
    }
    port_drop(&h->port);
    (void)unlink(h->config);
    (void)rmdir(h->directory);
    heap_drop(h);
}

static void wait_ms(unsigned ms)
{
    (void)poll(NULL, 0, (int)ms);
}

static unsigned dues(const struct house *h)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < WORKERS; i++)
        sum += atomic_load(&h->workers[i].dues);
    return sum;
}

static bool wait_dues(const struct house *h, unsigned count, unsigned ms)
{
    for (unsigned passed = 0; dues(h) < count && passed < ms; passed += 10)
        wait_ms(10);
    return dues(h) >= count;
}

static uint64_t mail_id(uint32_t partition, uint64_t serial)
{
    return id_make(0, partition, serial);
}

static void add(struct house *h, uint32_t partition, uint64_t serial, enum stage stage,
                uint64_t due_ms)
{
    fake_add(h->partitions[partition], mail_id(partition, serial), STR("alice@int.example"),
             STR("@ext.example"), &stage, 1, due_ms);
}

/* --- the wheel ------------------------------------------------------------------------------- */

static void test_release(void)
{
    enum {
        COUNT = 3000
    };
    struct house *h = house_make();
    uint64_t now = __real_clock_wall_ms();
    for (unsigned i = 0; i < COUNT; i++)
        add(h, i % PARTITIONS, i + 1, STAGE_WAITING, now + 300 + i % 700);
    add(h, 0, COUNT + 1, STAGE_WAITING, now + 2 * HOUR);
    house_start(h);
    expect(wait_dues(h, COUNT, 15000), "%u of %d", dues(h), COUNT);
    wait_ms(200);
    expect(dues(h) == COUNT, "each once: %u", dues(h));
    unsigned early = 0;
    unsigned wrong = 0;
    for (unsigned w = 0; w < WORKERS; w++)
        for (unsigned i = 0; i < atomic_load(&h->workers[w].dues); i++) {
            uint64_t id = h->workers[w].due[i].id;
            early += h->workers[w].due[i].seen_ms < now + 300 + (id_serial(id) - 1) % 700;
            wrong += id_partition(id) % WORKERS != w;
        }
    expect(early == 0 && wrong == 0, "H-1: %u early, %u at the wrong worker", early, wrong);
    for (unsigned i = 0; i < PARTITIONS; i++) {
        expect(atomic_load(&h->partitions[i]->refills) == 1, "one refill at start");
        expect(h->partitions[i]->refill_from[0] == 0 &&
                   h->partitions[i]->refill_to[0] >= now + HOUR,
               "of an hour");
        expect(atomic_load(&h->partitions[i]->anchors) >= 1, "the first anchor was told");
    }
    house_drop(h);
}

/* Different mails among the dues: a mail that is still there when the wheel starts anew is told
 * again, which is harmless (core/coordinator/release.h). */
static unsigned mails_due(const struct house *h)
{
    unsigned count = 0;
    for (unsigned w = 0; w < WORKERS; w++)
        for (unsigned i = 0; i < atomic_load(&h->workers[w].dues); i++) {
            bool again = false;
            for (unsigned k = 0; k < i; k++)
                again |= h->workers[w].due[k].id == h->workers[w].due[i].id;
            count += !again;
        }
    return count;
}

/* H-1: an hour forward releases nothing early; an hour back only delays, and comes back alive. */
static void test_jump(void)
{
    struct house *h = house_make();
    uint64_t now = __real_clock_wall_ms();
    add(h, 0, 1, STAGE_WAITING, now + HOUR / 2);
    add(h, 1, 2, STAGE_WAITING, now + 1500);
    house_start(h);
    wait_ms(100);
    atomic_store(&jump_ms, HOUR);
    wait_ms(600);
    expect(mails_due(h) == 0, "forward: %u early", mails_due(h));
    expect(wait_dues(h, 1, 4000), "what is due is due");
    expect(__real_clock_wall_ms() >= now + 1500, "early");
    atomic_store(&jump_ms, -HOUR);
    wait_ms(1500);
    uint64_t back = __wrap_clock_wall_ms();
    add(h, 2, 3, STAGE_WAITING, back + 2500);
    atomic_store(&h->partitions[2]->rearm, true);
    wait_ms(1000);
    expect(mails_due(h) == 1, "back: nothing early by the new time: %u", mails_due(h));
    expect(wait_dues(h, 2, 5000), "and on time by it");
    expect(__wrap_clock_wall_ms() >= back + 2500, "early");
    atomic_store(&jump_ms, 0); /* corrected: gains nothing */
    wait_ms(1200);
    expect(mails_due(h) == 2, "corrected: %u", mails_due(h));
    expect(atomic_load(&h->partitions[0]->refills) >= 2, "the wheel started anew");
    house_drop(h);
}

/* --- clients --------------------------------------------------------------------------------- */

static int dial(const struct house *h)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, h->socket, strlen(h->socket));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(fd >= 0 && connect(fd, (const void *)&address, sizeof address) == 0);
    const struct timeval patience = {.tv_sec = 10};
    must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
    return fd;
}

/* Everything up to `ends` end lines. */
static void hear(int fd, unsigned ends, struct buffer *out)
{
    char bytes[4096];
    unsigned seen = 0;
    while (seen < ends) {
        ssize_t got = recv(fd, bytes, sizeof bytes, 0);
        if (got <= 0)
            return;
        buffer_put(out, str_from(bytes, (size_t)got));
        seen = 0;
        struct str rest = buffer_str(out);
        for (size_t at; (at = str_find_str(rest, STR("{\"end\":"))) != SIZE_MAX;
             rest = str_skip(rest, at + 1))
            seen += str_find(str_skip(rest, at), '\n') != SIZE_MAX;
    }
}

static void say(int fd, struct str text)
{
    while (text.len) {
        ssize_t sent = send(fd, text.at, text.len, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        text = str_skip(text, (size_t)sent);
    }
}

/* One request; its answer must hold `want`. */
static void ask(const struct house *h, const char *request, const char *want)
{
    struct buffer answer;
    buffer_init(&answer, 64 << 20);
    int fd = dial(h);
    say(fd, str_c(request));
    say(fd, STR("\n"));
    hear(fd, 1, &answer);
    expect(str_find_str(buffer_str(&answer), str_c(want)) != SIZE_MAX, "%s\nwant %s\ngot %.*s",
           request, want, (int)size_min(answer.len, 2000), answer.at);
    (void)close(fd);
    buffer_drop(&answer);
}

static void askf(const struct house *h, const char *verb, uint64_t id, const char *want)
{
    char request[128];
    (void)snprintf(request, sizeof request, "{\"verb\":\"%s\",\"id\":\"%s\"}", verb,
                   id_text(id).at);
    ask(h, request, want);
}

#define DONE    "{\"end\":{\"exit\":0}}"
#define REFUSED "{\"end\":{\"exit\":1,"

static void test_doubt(void)
{
    struct house *h = house_make();
    uint64_t now = __real_clock_wall_ms();
    add(h, 0, 1, STAGE_WAITING, now - 1000);
    h->settings.anchor = (struct clock_anchor){now, clock_boot_ms()};
    h->settings.clock_doubtful = true;
    house_start(h);
    if (!clock_synchronised()) {
        wait_ms(1300);
        expect(dues(h) == 0, "doubtful: nothing leaves");
        ask(h, "{\"verb\":\"status\"}", "\"clock\":{\"state\":\"doubtful\"");
    }
    ask(h, "{\"verb\":\"clock confirm\"}", DONE);
    expect(wait_dues(h, 1, 3000), "confirmed");
    ask(h, "{\"verb\":\"status\"}", "\"clock\":{\"state\":\"ok\"");
    house_drop(h);
}

/* H-2, from every state: what is confirmed, and what is refused with which reason. */
static void test_change(void)
{
    static const struct {
        const char *verb;
        enum stage from;
        uint32_t flags;
        const char *want;
        enum stage to;
    } rows[] = {
        {"release", STAGE_WAITING, 0, "\"done\":true", STAGE_WAITING},
        {"release", STAGE_HELD, 0, "\"done\":true", STAGE_WAITING},
        {"release", STAGE_RETRY, 0, "\"done\":true", STAGE_RETRY},
        {"release", STAGE_APPROVAL, 0, "waits for an approver", STAGE_APPROVAL},
        {"release", STAGE_SENDING, 0, "an attempt is under way", STAGE_SENDING},
        {"release", STAGE_DELIVERED, 0, "already delivered", STAGE_DELIVERED},
        {"release", STAGE_DISCARDED, 0, "was taken back", STAGE_DISCARDED},
        {"discard", STAGE_WAITING, 0, "\"done\":true", STAGE_DISCARDED},
        {"discard", STAGE_HELD, 0, "\"done\":true", STAGE_DISCARDED},
        {"discard", STAGE_APPROVAL, 0, "\"done\":true", STAGE_DISCARDED},
        {"discard", STAGE_RETRY, 0, "\"done\":true", STAGE_DISCARDED},
        {"discard", STAGE_RETRY, RECIPIENT_EXPOSED, "may have reached a server: can't be taken",
         STAGE_RETRY},
        {"discard", STAGE_SENDING, 0, "may have reached a server: can't be taken", STAGE_SENDING},
        {"discard", STAGE_DELIVERED, 0, "already delivered", STAGE_DELIVERED},
        {"discard", STAGE_BOUNCED, 0, "already returned", STAGE_BOUNCED},
        {"discard", STAGE_DISCARDED, 0, "\"done\":true", STAGE_DISCARDED},
        {"hold", STAGE_WAITING, 0, "\"done\":true", STAGE_HELD},
        {"hold", STAGE_RETRY, 0, "\"done\":true", STAGE_HELD},
        {"hold", STAGE_HELD, 0, "\"done\":true", STAGE_HELD},
        {"hold", STAGE_SENDING, 0, "an attempt is under way", STAGE_SENDING},
    };
    struct house *h = house_make();
    uint64_t due = __real_clock_wall_ms() + 2 * HOUR;
    for (unsigned i = 0; i < countof(rows); i++) {
        add(h, i % PARTITIONS, i + 1, rows[i].from, due);
        fake_set(h->partitions[i % PARTITIONS], mail_id(i % PARTITIONS, i + 1), 0, rows[i].from,
                 rows[i].flags);
    }
    house_start(h);
    for (unsigned i = 0; i < countof(rows); i++) {
        uint64_t id = mail_id(i % PARTITIONS, i + 1);
        uint64_t due_now;
        bool done = strcmp(rows[i].want, "\"done\":true") == 0;
        askf(h, rows[i].verb, id, rows[i].want);
        enum stage stage = fake_stage(h->partitions[i % PARTITIONS], id, 0, &due_now);
        expect(stage == rows[i].to, "%s from %s: %s", rows[i].verb, stage_name(rows[i].from),
               stage_name(stage));
        if (done && strcmp(rows[i].verb, "release") == 0)
            expect(due_now <= __real_clock_wall_ms(), "due now");
        askf(h, rows[i].verb, id, done && rows[i].to != rows[i].from ? "" : rows[i].want);
    }
    expect(wait_dues(h, 3, 3000), "released mail comes to the workers: %u", dues(h));
    ask(h, "{\"verb\":\"release\",\"id\":\"0000000000zzz\"}", REFUSED "\"error\":\"unknown mail\"");
    ask(h, "{\"verb\":\"release\",\"id\":\"x\"}", "{\"end\":{\"exit\":2,");
    ask(h, "{\"verb\":\"release\",\"id\":\"0000000000001\",\"recipient\":\"who@ext.example\"}",
        REFUSED "\"error\":\"the mail has no such recipient\"");
    house_drop(h);
}

static void test_failed_partition(void)
{
    struct house *h = house_make();
    add(h, 0, 1, STAGE_WAITING, __real_clock_wall_ms() + HOUR);
    house_start(h);
    atomic_store(&h->partitions[0]->fail, true);
    wait_ms(100);
    askf(h, "discard", mail_id(0, 1), "can't write; nothing was changed");
    expect(fake_stage(h->partitions[0], mail_id(0, 1), 0, NULL) == STAGE_WAITING, "unchanged");
    ask(h, "{\"verb\":\"status\"}", "\"state\":\"failed\"");
    ask(h, "{\"verb\":\"status\"}", REFUSED "\"error\":\"1 partition failed");
    house_drop(h);
}

static void test_list(void)
{
    enum {
        COUNT = 4000
    };

    static const enum stage two[] = {STAGE_RETRY, STAGE_DELIVERED};

    static const enum stage finished[] = {STAGE_DELIVERED};
    struct house *h = house_make();
    uint64_t due = __real_clock_wall_ms() + 2 * HOUR;
    for (unsigned i = 1; i <= COUNT; i++)
        fake_add(h->partitions[0], mail_id(0, i), STR("alice@int.example"), STR("@ext.example"),
                 two, 2, due);
    fake_add(h->partitions[1], mail_id(1, 1), STR("bob@int.example"), STR("@ext.example"), finished,
             1, due);
    house_start(h);
    struct buffer answer;
    buffer_init(&answer, 64 << 20);
    int fd = dial(h);
    say(fd, STR("{\"verb\":\"list\"}\n{\"verb\":\"status\"}\n"));
    wait_ms(300); /* does not read: the job waits for it, others don't */
    ask(h, "{\"verb\":\"list\",\"filter\":\"from:bob@int.example\"}", DONE);
    ask(h, "{\"verb\":\"list\",\"filter\":\"from:bob@int.example\",\"all\":true}",
        "\"state\":\"delivered\"");
    ask(h, "{\"verb\":\"list\",\"filter\":\"state:delivered from:bob@int.example\"}",
        "\"sender\":\"bob@int.example\"");
    ask(h, "{\"verb\":\"list\",\"filter\":\"wrong\"}", "{\"end\":{\"exit\":2,");
    hear(fd, 2, &answer);
    (void)close(fd);
    unsigned rows = 0;
    struct str rest = buffer_str(&answer);
    for (size_t at; (at = str_find_str(rest, STR("{\"row\":{\"id\":"))) != SIZE_MAX;
         rest = str_skip(rest, at + 1))
        rows++;
    expect(rows == COUNT, "%u rows", rows);
    askf(h, "show", mail_id(0, 7), "\"subject\":\"見積\\n\\u001b[2J\\\"x\\\"\"");
    askf(h, "explain", mail_id(0, 7), "\"last\":\"451 4.7.1 later\"");
    ask(h, "{\"verb\":\"flush\",\"filter\":\"to:0@ext.example\"}",
        "{\"row\":{\"mails\":4000,\"recipients\":4000}}\n" DONE);
    expect(wait_dues(h, COUNT, 10000), "all are due: %u", dues(h));
    ask(h, "{\"verb\":\"flush\"}", "{\"row\":{\"mails\":0,\"recipients\":0}}\n" DONE);
    buffer_drop(&answer);
    house_drop(h);
}

/* Nothing that a client sends stops the server, and the next client is served. */
static void test_garbage(void)
{
    static const struct str rows[] = {
        STR_INIT("\n\n\n"),
        STR_INIT("GET / HTTP/1.1\r\n\r\n"),
        STR_INIT("\0\0\0\n"),
        STR_INIT("{\"verb\":\"show\",\"id\":\"\\n\"}\n"),
        STR_INIT("{\"verb\":\"list\""),
        STR_INIT("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n"),
    };
    struct house *h = house_make();
    house_start(h);
    for (size_t i = 0; i < countof(rows); i++) {
        int fd = dial(h);
        say(fd, rows[i]);
        (void)close(fd);
    }
    int idle[80]; /* more than CONTROL_CLIENTS: the surplus is told so */
    struct buffer told;
    buffer_init(&told, 4096);
    for (size_t i = 0; i < countof(idle); i++)
        idle[i] = dial(h);
    hear(idle[79], 1, &told);
    expect(str_find_str(buffer_str(&told), STR("too many clients")) != SIZE_MAX, "%.*s",
           STR_ARG(buffer_str(&told)));
    for (size_t i = 0; i < countof(idle); i++)
        (void)close(idle[i]);
    wait_ms(100);
    int fd = dial(h); /* a line without an end */
    struct buffer line;
    buffer_init(&line, 8 << 20);
    buffer_fill(&line, 'x', 5 << 20);
    buffer_clear(&told);
    say(fd, buffer_str(&line));
    hear(fd, 1, &told);
    expect(str_find_str(buffer_str(&told), STR("too long")) != SIZE_MAX, "too long");
    (void)close(fd);
    ask(h, "{\"verb\":\"status\"}", DONE);
    buffer_drop(&told);
    buffer_drop(&line);
    house_drop(h);
}

#define ORG \
    "organisation: demo\\ndomains: [int.example]\\nusers:\\n  - {address: alice@int.example}"

static void test_organisation(void)
{
    struct house *h = house_make();
    house_start(h);
    ask(h, "{\"verb\":\"org list\"}", DONE);
    ask(h, "{\"verb\":\"org import\",\"text\":\"organisation: demo\\nwrong: 1\"}", "import:2:1: ");
    ask(h, "{\"verb\":\"org import\",\"text\":\"" ORG "\\n\"}", DONE);
    expect(atomic_load(&h->workers[0].published) == 1, "the workers have it before the answer");
    ask(h, "{\"verb\":\"org list\"}", "{\"row\":{\"name\":\"demo\",");
    ask(h, "{\"verb\":\"org import\",\"text\":\"organisation: other\\ndomains: [int.example]\\n\"}",
        REFUSED);
    ask(h, "{\"verb\":\"org export\",\"name\":\"demo\"}", "organisation: demo\\n");
    ask(h, "{\"verb\":\"org export\",\"name\":\"other\"}", "no organisation 'other'");
    ask(h,
        "{\"verb\":\"user add\",\"address\":\"bob@int.example\",\"org\":\"demo\",\"name\":\"B\"}",
        DONE);
    ask(h, "{\"verb\":\"user add\",\"address\":\"bob@int.example\",\"org\":\"demo\"}", REFUSED);
    ask(h, "{\"verb\":\"user add\",\"address\":\"x\\n- y\",\"org\":\"demo\"}", REFUSED);
    ask(h, "{\"verb\":\"user grant\",\"address\":\"bob@int.example\",\"roles\":\"administrator\"}",
        DONE);
    ask(h, "{\"verb\":\"user grant\",\"address\":\"bob@int.example\",\"roles\":\"king\"}",
        "'king' is no role");
    ask(h, "{\"verb\":\"user list\"}", "\"roles\":[\"administrator\"]");
    ask(h, "{\"verb\":\"user password\",\"address\":\"bob@int.example\",\"hash\":\"secret\"}",
        REFUSED);
    ask(h, "{\"verb\":\"user remove\",\"address\":\"alice@int.example\"}", DONE);
    ask(h, "{\"verb\":\"user remove\",\"address\":\"alice@int.example\"}", "no user 'alice@int");
    ask(h, "{\"verb\":\"org remove\",\"name\":\"demo\"}", DONE);
    ask(h, "{\"verb\":\"org list\"}", DONE);
    expect(atomic_load(&h->workers[1].published) == 5, "%u", atomic_load(&h->workers[1].published));
    house_drop(h);
}

static void test_reload(void)
{
    struct house *h = house_make();
    house_start(h);
    ask(h, "{\"verb\":\"config show\"}", "hostname: gate.example");
    write_config(h, "stop_deadline: 1d\nshards: 7\n");
    ask(h, "{\"verb\":\"config test\"}", "takes effect at the next start only: shards");
    ask(h, "{\"verb\":\"config reload\"}", DONE);
    ask(h, "{\"verb\":\"config show\"}", "stop_deadline: 1d");
    write_config(h, "stop_deadlin: 2d\n");
    ask(h, "{\"verb\":\"config reload\"}", "c.yaml:3:1: ");
    ask(h, "{\"verb\":\"config show\"}", "stop_deadline: 1d");
    coordinator_reload(h->coordinator); /* SIGHUP with a bad file */
    write_config(h, "");
    ask(h, "{\"verb\":\"config reload\"}", DONE);
    house_drop(h);
}

/* --- COMMAND --------------------------------------------------------------------------------- */

static enum command_result order(struct house *h, enum command_verb verb, const char *token,
                                 const char *user)
{
    struct worker *w = &h->workers[0];
    unsigned before = atomic_load(&w->commanded);
    struct command *command = heap_take(sizeof *command);
    arena_init(&command->arena, 65536);
    command->verb = verb;
    command->token = str_c(token);
    command->user = str_c(user);
    command->organisation = STR("demo");
    atomic_store(&w->command, command);
    for (unsigned i = 0; atomic_load(&w->commanded) == before && i < 500; i++)
        wait_ms(10);
    expect(atomic_load(&w->commanded) == before + 1, "answered");
    return w->result;
}

static void test_command(void)
{
    struct house *h = house_make();
    add(h, 1, 1, STAGE_WAITING, __real_clock_wall_ms() + HOUR);
    house_start(h);
    ask(h,
        "{\"verb\":\"org import\",\"text\":\"" ORG "\\n  - {address: bob@int.example}\\n"
        "  - {address: admin@int.example, roles: [administrator]}\\n\"}",
        DONE);
    expect(order(h, COMMAND_DISCARD, "t0ken", "bob@int.example") == COMMAND_UNKNOWN, "not his");
    expect(order(h, COMMAND_DISCARD, "wrong", "alice@int.example") == COMMAND_UNKNOWN, "no such");
    expect(order(h, COMMAND_DISCARD, "t0ken", "who@ext.example") == COMMAND_UNKNOWN, "nobody");
    expect(fake_stage(h->partitions[1], mail_id(1, 1), 0, NULL) == STAGE_WAITING, "unchanged");
    expect(order(h, COMMAND_HOLD, "t0ken", "Alice@int.example") == COMMAND_DONE, "the sender");
    expect(order(h, COMMAND_DISCARD, "t0ken", "admin@int.example") == COMMAND_DONE,
           "administrator");
    expect(fake_stage(h->partitions[1], mail_id(1, 1), 0, NULL) == STAGE_DISCARDED, "discarded");
    fake_set(h->partitions[1], mail_id(1, 1), 0, STAGE_DELIVERED, 0);
    expect(order(h, COMMAND_DISCARD, "t0ken", "alice@int.example") == COMMAND_REFUSED, "too late");
    expect(strstr(h->workers[0].text,
                  "discarded 0 of 1 recipients; 0@ext.example: already delivered") != NULL,
           "%s", h->workers[0].text);
    house_drop(h);
}

int main(void)
{
    const struct test tests[] = {{"wheel traffic", test_release},
                                 {"H-1: jumps of an hour", test_jump},
                                 {"doubtful clock", test_doubt},
                                 {"H-2: release, discard, hold", test_change},
                                 {"failed partition", test_failed_partition},
                                 {"list, show, explain, flush", test_list},
                                 {"garbage", test_garbage},
                                 {"organisations and users", test_organisation},
                                 {"reload", test_reload},
                                 {"orders by reply", test_command},
                                 {0}};
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    log_open(null, LOG_LEVEL_INFO);
    return harness_run("coordinator", tests);
}
