#include "tests/unit/coordinator/fake_partition.h"

#include "core/base/heap.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void lock(struct partition *p)
{
    while (atomic_flag_test_and_set_explicit(&p->lock, memory_order_acquire))
        ;
}

static void unlock(struct partition *p)
{
    atomic_flag_clear_explicit(&p->lock, memory_order_release);
}

static struct partition *of(const struct partition *p)
{
    return (struct partition *)(uintptr_t)p;
}

static struct message *find(struct partition *p, uint64_t id)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->messages[i]->id == id)
            return p->messages[i];
    return NULL;
}

static struct message *copy(const struct message *m)
{
    struct buffer b;
    buffer_init(&b, 16 << 20);
    message_encode(m, &b);
    struct message *out = message_decode(m->id, buffer_str(&b));
    must(out != NULL);
    buffer_clear(&b);
    message_encode_states(m, &b);
    must(message_decode_states(out, buffer_str(&b)));
    for (uint32_t i = 0; i < m->recipient_count; i++)
        out->recipients[i].last = arena_copy(&out->arena, m->recipients[i].last);
    buffer_drop(&b);
    return out;
}

/* --- the test's side ------------------------------------------------------------------------- */

void fake_add(struct partition *p, uint64_t id, struct str sender, struct str recipient,
              const enum stage *stages, uint32_t count, uint64_t due_ms)
{
    struct message *m = message_make(1 << 20);
    m->id = id;
    m->accepted_ms = due_ms - 300000;
    m->organisation = STR("demo");
    m->sender = arena_copy(&m->arena, sender);
    m->user = m->sender;
    m->subject = STR("見積\n\x1b[2J\"x\"");
    m->client = STR("127.0.0.1");
    m->message_id = STR("<1@int.example>");
    m->token = STR("t0ken");
    m->prefix = STR("");
    m->envid = STR("");
    m->body_bytes = 1234;
    m->body_inline = true;
    m->extents = arena_take(&m->arena, sizeof *m->extents);
    m->extent_count = 1;
    m->recipients = arena_take(&m->arena, count * sizeof *m->recipients);
    m->recipient_count = count;
    for (uint32_t i = 0; i < count; i++) {
        char address[64];
        int length = snprintf(address, sizeof address, "%u%.40s", i, recipient.at);
        struct recipient *r = &m->recipients[i];
        *r = (struct recipient){.class = CLASS_EXTERNAL,
                                .release_ms = due_ms,
                                .stage = stages[i],
                                .due_ms = due_ms,
                                .rule = STR("slow"),
                                .last = STR("451 4.7.1 later"),
                                .orcpt = STR("")};
        r->address = arena_copy(&m->arena, str_from(address, (size_t)length));
    }
    lock(p);
    must(p->count < FAKE_MESSAGES);
    p->messages[p->count++] = m;
    unlock(p);
}

void fake_set(struct partition *p, uint64_t id, uint32_t recipient, enum stage stage,
              uint32_t flags)
{
    lock(p);
    struct message *m = find(p, id);
    must(m != NULL);
    struct recipient *r = &m->recipients[recipient];
    r->stage = stage;
    r->flags = flags;
    unlock(p);
}

enum stage fake_stage(struct partition *p, uint64_t id, uint32_t recipient, uint64_t *due_ms)
{
    lock(p);
    struct message *m = find(p, id);
    must(m != NULL);
    struct recipient *r = &m->recipients[recipient];
    enum stage stage = r->stage;
    if (due_ms)
        *due_ms = r->due_ms;
    unlock(p);
    return stage;
}

/* --- the keeper ------------------------------------------------------------------------------ */

static void apply_move(struct partition *p, struct move *v)
{
    struct message *m = find(p, v->id);
    v->was = STAGES;
    if (!m || v->recipient >= m->recipient_count)
        return;
    struct recipient *r = &m->recipients[v->recipient];
    v->was = r->stage;
    v->was_flags = r->flags;
    bool wanted = !v->from || (v->from >> r->stage & 1);
    bool exposed = v->to == STAGE_DISCARDED && (r->flags & RECIPIENT_EXPOSED);
    if (!wanted || exposed || !stage_may_follow(r->stage, v->to))
        return;
    r->stage = v->to;
    r->flags = (r->flags | v->set) & ~v->clear;
    r->due_ms = v->due_ms;
    v->done = true;
    struct cell arm = {.kind = CELL_ARM, .id = v->id, .a = v->due_ms};
    if (stage_is_timed(r->stage))
        ring_put(p->arms, &arm);
}

static void arm_below(struct partition *p, uint64_t to_ms)
{
    for (size_t i = 0; i < p->count; i++) {
        struct cell arm = {.kind = CELL_ARM, .id = p->messages[i]->id};
        arm.a = message_due_ms(p->messages[i]);
        if (arm.a < to_ms)
            ring_put(p->arms, &arm);
    }
}

static void keeper_hears(struct partition *p, struct cell *cell)
{
    if (cell->kind == CELL_COMMIT) {
        struct unit *u = cell->object;
        for (uint32_t i = 0; i < u->move_count && !atomic_load(&p->fail); i++)
            apply_move(p, &u->moves[i]);
        u->result = atomic_load(&p->fail) ? COMMIT_FAILED : COMMIT_SYNCED;
        cell->kind = CELL_COMMITTED;
        atomic_fetch_add(&p->commits, 1);
        ring_put(p->answer, cell);
    } else if (cell->kind == CELL_REFILL) {
        unsigned n = atomic_fetch_add(&p->refills, 1);
        p->refill_from[n % 16] = cell->a;
        p->refill_to[n % 16] = cell->b;
        arm_below(p, cell->b);
        cell->kind = CELL_REFILLED;
        ring_put(p->arms, cell);
    } else if (cell->kind == CELL_ANCHORED) {
        atomic_fetch_add(&p->anchors, 1);
    }
}

static void *keep(void *argument)
{
    struct partition *p = argument;
    bool said = false;
    while (!atomic_load(&p->stop)) {
        struct cell cell;
        lock(p);
        while (ring_take(p->ask, &cell))
            keeper_hears(p, &cell);
        if (atomic_exchange(&p->rearm, false))
            arm_below(p, UINT64_MAX);
        unlock(p);
        cell = (struct cell){.kind = CELL_FAILED};
        if (atomic_load(&p->fail) && !said)
            ring_put(p->arms, &cell);
        said |= atomic_load(&p->fail);
        ring_flush(p->answer);
        ring_flush(p->arms);
        struct pollfd fd = {.fd = p->port.wake_fd, .events = POLLIN};
        port_drowse(&p->port);
        (void)poll(&fd, 1, ring_empty(p->ask) ? 5 : 0);
        port_awake(&p->port);
        uint64_t wakes;
        if (fd.revents)
            must(read(fd.fd, &wakes, sizeof wakes) == sizeof wakes);
    }
    return NULL;
}

struct partition *fake_make(struct port *coordinator)
{
    struct partition *p = heap_take(sizeof *p);
    port_init(&p->port);
    p->ask = ring_make(&p->port);
    p->answer = ring_make(coordinator);
    p->arms = ring_make(coordinator);
    return p;
}

void fake_start(struct partition *p)
{
    must(pthread_create(&p->thread, NULL, keep, p) == 0);
}

void fake_stop(struct partition **p_p)
{
    struct partition *p = *p_p;
    if (p->thread) {
        atomic_store(&p->stop, true);
        must(pthread_join(p->thread, NULL) == 0);
    }
    for (size_t i = 0; i < p->count; i++)
        message_drop(&p->messages[i]);
    for (size_t i = 0; i < FAKE_DOCUMENTS; i++) {
        heap_drop(p->documents[i].key);
        heap_drop(p->documents[i].value);
    }
    ring_drop(&p->ask);
    ring_drop(&p->answer);
    ring_drop(&p->arms);
    port_drop(&p->port);
    heap_drop(p);
    *p_p = NULL;
}

/* --- storage/partition.h --------------------------------------------------------------------- */

const struct partition_report *partition_report(const struct partition *p)
{
    return &p->report;
}

void partition_usage(const struct partition *p, struct partition_usage *out)
{
    *out = (struct partition_usage){.messages = p->count, .free_bytes = 1 << 30};
}

struct message *view_get(const struct partition *const_p, uint64_t id)
{
    struct partition *p = of(const_p);
    lock(p);
    struct message *m = find(p, id);
    m = m ? copy(m) : NULL;
    unlock(p);
    return m;
}

bool view_by_token(const struct partition *const_p, struct str token, uint64_t *id)
{
    struct partition *p = of(const_p);
    bool found = false;
    lock(p);
    for (size_t i = 0; i < p->count && !found; i++)
        if (str_eq(p->messages[i]->token, token)) {
            *id = p->messages[i]->id;
            found = true;
        }
    unlock(p);
    return found;
}

struct view {
    struct partition *p;
    size_t next;
    uint64_t start;
    bool finished;
};

struct view *view_open(const struct partition *p, enum view_order order, uint64_t start,
                       bool finished)
{
    (void)order;
    struct view *v = heap_take(sizeof *v);
    *v = (struct view){of(p), 0, start, finished};
    return v;
}

struct message *view_next(struct view *v)
{
    struct message *m = NULL;
    lock(v->p);
    while (v->next < v->p->count && !m) {
        struct message *at = v->p->messages[v->next++];
        if (at->id >= v->start && (v->finished || !message_is_final(at)))
            m = copy(at);
    }
    unlock(v->p);
    return m;
}

void view_close(struct view **v)
{
    heap_drop(*v);
    *v = NULL;
}

bool view_documents(const struct partition *p, struct str prefix, struct view_documents **cursor,
                    struct arena *arena, struct str *key, struct str *value)
{
    size_t i = (size_t)*cursor;
    for (; i < FAKE_DOCUMENTS; i++)
        if (p->documents[i].key && str_starts(str_c(p->documents[i].key), prefix)) {
            *key = arena_copy(arena, str_c(p->documents[i].key));
            *value = arena_copy(arena, str_c(p->documents[i].value));
            *cursor = (struct view_documents *)(i + 1);
            return true;
        }
    *cursor = NULL;
    return false;
}

void view_documents_close(struct view_documents **cursor)
{
    *cursor = NULL;
}

struct unit *unit_make(void)
{
    struct unit *u = heap_take(sizeof *u);
    arena_init(&u->arena, 1 << 20);
    buffer_init(&u->extra, 16 << 20);
    return u;
}

void unit_drop(struct unit **u)
{
    arena_drop(&(*u)->arena);
    buffer_drop(&(*u)->extra);
    heap_drop((*u)->moves);
    heap_drop(*u);
    *u = NULL;
}

struct move *unit_move(struct unit *u)
{
    struct move *moves = heap_grow(u->moves, (u->move_count + 1) * sizeof *moves);
    must(moves != NULL);
    u->moves = moves;
    moves[u->move_count] = (struct move){0};
    return &moves[u->move_count++];
}

/* Only documents: note() is kept out. */
void unit_add_document(struct unit *u, struct str key, struct str value)
{
    buffer_put_bytes32(&u->extra, key);
    buffer_put_bytes32(&u->extra, value);
}

void unit_add_note(struct unit *u, uint64_t id, struct str text)
{
    (void)u;
    must(id != 0 && text.len > 0);
}

static char *text_of(struct str s)
{
    char *text = heap_take(s.len + 1);
    memcpy(text, s.at, s.len);
    return text;
}

void partition_commit(struct partition *p, struct unit *u)
{
    struct str extra = buffer_str(&u->extra);
    struct str key;
    struct str value;
    u->result = atomic_load(&p->fail) ? COMMIT_FAILED : COMMIT_SYNCED;
    while (u->result == COMMIT_SYNCED && take_bytes32(&extra, &key) &&
           take_bytes32(&extra, &value)) {
        size_t at = FAKE_DOCUMENTS;
        for (size_t i = 0; i < FAKE_DOCUMENTS; i++)
            if (p->documents[i].key && str_eq(str_c(p->documents[i].key), key))
                at = i;
        for (size_t i = 0; i < FAKE_DOCUMENTS && at == FAKE_DOCUMENTS; i++)
            if (!p->documents[i].key)
                at = i;
        must(at < FAKE_DOCUMENTS);
        heap_drop(p->documents[at].key);
        heap_drop(p->documents[at].value);
        p->documents[at].key = value.len ? text_of(key) : NULL;
        p->documents[at].value = value.len ? text_of(value) : NULL;
    }
}
