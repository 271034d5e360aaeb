#include "shards/inspector.h"

#include "core/base/counter.h"
#include "core/base/heap.h"
#include "core/base/log.h"
#include "core/base/slab.h"

#include <errno.h>

enum {
    DIAL_AGAIN_MS = 200,
    FRAME_BYTES = 5,
};

enum stage {
    WAITING, /* for its turn */
    DIALING, /* or about to, again */
    FEEDING,
    FINISHED, /* the answer is awaited */
    LEAVING,  /* told, or dropped: its connection ends */
};

struct inspection {
    struct inspector *inspector;
    const struct inspection_calls *calls;
    void *owner;
    struct list link; /* in `waiting` */
    enum stage stage;
    bool open;    /* `connection` is in use */
    bool reading; /* so is `reader` */
    bool paused, hungry, end_wanted;
    struct inspect_limits limits;
    struct buffer begin; /* the request, until it is sent */
    struct connection connection;
    struct inspect_reader reader;
    struct timer deadline, again;
    uint64_t left_ms; /* of the deadline, while paused */
};

struct inspector {
    struct loop *loop;
    struct slab inspections;
    struct list waiting; /* oldest first */
    uint32_t waiting_count, rooms, queue, busy;
    struct sockaddr_storage to;
    socklen_t to_len;
    struct inspect_limits limits;
    bool stopping, told;
    struct task start; /* those that may begin */
};

enum {
    INSPECTIONS_MAX = 1 << 16,
    BEGIN_BYTES = INSPECT_MESSAGE_BYTES,
};

/* ---- ends */

/* Nothing is told after this, but over(); then let_go(). */
static void leave(struct inspection *n)
{
    struct inspector *i = n->inspector;
    enum stage was = n->stage;
    n->stage = LEAVING;
    loop_timer_stop(i->loop, &n->deadline);
    loop_timer_stop(i->loop, &n->again);
    if (was == WAITING) {
        list_remove(&n->link);
        i->waiting_count--;
    } else {
        i->busy--;
        loop_defer(i->loop, &i->start);
    }
    buffer_drop(&n->begin);
}

static void let_go(struct inspection *n)
{
    if (n->open)
        connection_close(&n->connection);
    else
        slab_give(&n->inspector->inspections, n);
}

static void tell(struct inspection *n, const struct inspect_end *e)
{
    struct inspect_end told = *e;
    count_by(inspections, 1);
    count_by(inspections_failed, e->verdict == INSPECT_UNREADABLE);
    leave(n);
    n->calls->over(n, &told);
    let_go(n);
}

static void give_up(struct inspection *n, enum inspect_reason reason, const char *why)
{
    struct inspect_end e = {.verdict = INSPECT_UNREADABLE,
                            .reason = reason,
                            .flags = (n->reading ? n->reader.flags : 0) | INSPECT_IS_UNREADABLE,
                            .detail = str_c(why)};
    log_warning("not_inspected", log_text("reason", inspect_reason_text(reason)),
                log_text("why", why));
    tell(n, &e);
}

static uint64_t patience_ms(const struct inspection *n)
{
    return n->limits.time_ms + (n->stage >= FEEDING ? INSPECTOR_GRACE_MS : 0);
}

static void watch(struct inspection *n)
{
    if (!n->paused)
        loop_timer_start(n->inspector->loop, &n->deadline, patience_ms(n));
    n->left_ms = patience_ms(n);
}

static void passed(struct timer *t)
{
    struct inspection *n = t->owner;
    enum inspect_reason reason = n->stage == WAITING   ? INSPECT_REASON_BUSY
                                 : n->stage == DIALING ? INSPECT_REASON_MISSING
                                                       : INSPECT_REASON_TIME;
    give_up(n, reason, "");
}

/* ---- the connection */

static void on_data(struct connection *c, struct str *in)
{
    struct inspection *n = owner_of(c, struct inspection, connection);
    while (n->stage != LEAVING && !n->paused) {
        switch (inspect_feed(&n->reader, in)) {
        case INSPECT_MORE:
            return;
        case INSPECT_MEMBER:
            n->calls->member(n, &n->reader.member);
            break;
        case INSPECT_TEXT:
            n->calls->text(n, &n->reader.piece);
            break;
        case INSPECT_FLAG:
            n->calls->flag(n, &n->reader.flagged);
            break;
        case INSPECT_VERDICT:
            tell(n, &n->reader.end);
            return;
        case INSPECT_BROKEN:
        case INSPECT_BEGIN:
        case INSPECT_DATA:
        case INSPECT_END:
            give_up(n, INSPECT_REASON_DIED, n->reader.why ? n->reader.why : "");
            return;
        }
    }
}

static void feed_if_room(struct inspection *n)
{
    if (n->stage == FEEDING && n->hungry && !n->end_wanted) {
        n->hungry = false;
        n->calls->ready(n);
    }
}

static void dial_again(struct inspection *n, int error)
{
    struct inspector *i = n->inspector;
    if (!i->told)
        log_error("extractor_lost", log_errno("why", error),
                  log_text("hint", "attachments are not inspectable until it is there again"));
    i->told = true;
    loop_timer_start(i->loop, &n->again, DIAL_AGAIN_MS);
}

static void on_connected(struct connection *c, int error)
{
    struct inspection *n = owner_of(c, struct inspection, connection);
    if (n->stage != DIALING)
        return;
    if (error) {
        connection_close(c); /* gone() dials again */
        return;
    }
    n->inspector->told = false;
    n->stage = FEEDING;
    n->hungry = true;
    watch(n);
    if (!connection_send(c, buffer_str(&n->begin))) {
        give_up(n, INSPECT_REASON_MEMORY, "");
        return;
    }
    buffer_drop(&n->begin);
    if (n->end_wanted) {
        n->end_wanted = false;
        inspection_finish(n);
    }
    feed_if_room(n);
}

static void on_drained(struct connection *c)
{
    feed_if_room(owner_of(c, struct inspection, connection));
}

static void on_lost(struct connection *c, int error)
{
    struct inspection *n = owner_of(c, struct inspection, connection);
    if (n->stage != LEAVING)
        give_up(n, INSPECT_REASON_DIED, error ? strerrorname_np(-error) : "");
}

static void on_gone(struct connection *c)
{
    struct inspection *n = owner_of(c, struct inspection, connection);
    n->open = false;
    if (n->reading)
        inspect_reader_drop(&n->reader);
    n->reading = false;
    if (n->stage == LEAVING)
        slab_give(&n->inspector->inspections, n);
    else
        dial_again(n, ECONNREFUSED);
}

static const struct connection_calls calls = {
    .data = on_data,
    .connected = on_connected,
    .drained = on_drained,
    .lost = on_lost,
    .gone = on_gone,
};

static void dial(struct inspection *n)
{
    struct inspector *i = n->inspector;
    const struct connection_way way = {.to = (const struct sockaddr *)&i->to, .to_len = i->to_len};
    if (i->to_len == 0) {
        give_up(n, INSPECT_REASON_MISSING, "no extractor is set");
        return;
    }
    int error = connection_dial(&n->connection, i->loop, &calls, &way, INSPECTOR_SEND_BYTES);
    n->open = error == 0;
    if (error) {
        dial_again(n, error);
        return;
    }
    inspect_reader_init_answer(&n->reader, &n->limits);
    n->reading = true;
}

static void again(struct timer *t)
{
    dial(t->owner);
}

/* ---- turns */

static void start(struct task *t)
{
    struct inspector *i = owner_of(t, struct inspector, start);
    while (i->busy < i->rooms && !list_empty(&i->waiting) && !i->stopping) {
        struct inspection *n = owner_of(list_take(&i->waiting), struct inspection, link);
        i->waiting_count--;
        i->busy++;
        n->stage = DIALING;
        watch(n);
        dial(n);
    }
}

struct inspector *inspector_make(struct loop *l)
{
    struct inspector *i = heap_take(sizeof *i);
    i->loop = l;
    i->start.run = start;
    list_init(&i->waiting);
    slab_init(&i->inspections, sizeof(struct inspection), INSPECTIONS_MAX);
    return i;
}

void inspector_use(struct inspector *i, const struct inspector_settings *s)
{
    i->to_len = s->to ? s->to_len : 0;
    if (s->to)
        memcpy(&i->to, s->to, s->to_len);
    i->rooms = s->rooms;
    i->queue = s->queue;
    i->limits = s->limits;
    loop_defer(i->loop, &i->start);
}

static bool write_begin(struct inspection *n, const struct inspector_file *file)
{
    struct inspect_request q = {.limits = n->limits, .type = file->type};
    for (; q.name_count < file->name_count && q.name_count < INSPECT_NAMES; q.name_count++)
        q.names[q.name_count] = file->names[q.name_count];
    buffer_init(&n->begin, BEGIN_BYTES);
    inspect_put_begin(&n->begin, &q);
    return !n->begin.full;
}

struct inspection *inspector_begin(struct inspector *i, const struct inspector_file *file)
{
    struct inspection *n = NULL;
    if (i->waiting_count < i->queue && !i->stopping)
        n = slab_take(&i->inspections);
    if (!n)
        return NULL;
    n->inspector = i;
    n->calls = file->calls;
    n->owner = file->owner;
    n->limits = i->limits;
    n->deadline = (struct timer){.due = passed, .owner = n};
    n->again = (struct timer){.due = again, .owner = n};
    if (!write_begin(n, file)) {
        buffer_drop(&n->begin);
        slab_give(&i->inspections, n);
        return NULL;
    }
    list_append(&i->waiting, &n->link);
    i->waiting_count++;
    watch(n);
    loop_defer(i->loop, &i->start);
    return n;
}

/* ---- what owners do */

void inspection_feed(struct inspection *n, struct str *bytes)
{
    struct connection *c = &n->connection;
    while (n->stage == FEEDING && !n->end_wanted && bytes->len) {
        size_t used = connection_unsent(c) + FRAME_BYTES;
        size_t room = used < INSPECTOR_SEND_BYTES ? INSPECTOR_SEND_BYTES - used : 0;
        struct str some = str_head(*bytes, size_min(room, INSPECT_PIECE_BYTES));
        struct buffer out;
        if (some.len == 0)
            break;
        buffer_init(&out, FRAME_BYTES + INSPECT_PIECE_BYTES);
        inspect_put_data(&out, some);
        bool sent = !out.full && connection_send(c, buffer_str(&out));
        buffer_drop(&out);
        if (!sent)
            break;
        *bytes = str_skip(*bytes, some.len);
        watch(n);
    }
    n->hungry = n->hungry || bytes->len > 0;
}

void inspection_finish(struct inspection *n)
{
    struct buffer out;
    if (n->stage != FEEDING) {
        n->end_wanted = true;
        return;
    }
    n->stage = FINISHED;
    buffer_init(&out, FRAME_BYTES);
    inspect_put_end(&out);
    (void)connection_send(&n->connection, buffer_str(&out)); /* or the deadline ends it */
    buffer_drop(&out);
    watch(n);
}

void inspection_pause(struct inspection *n)
{
    struct loop *l = n->inspector->loop;
    if (n->paused)
        return;
    n->paused = true;
    if (n->deadline.place)
        n->left_ms = n->deadline.due_ms > loop_now_ms(l) ? n->deadline.due_ms - loop_now_ms(l) : 1;
    loop_timer_stop(l, &n->deadline);
    if (n->open)
        connection_pause(&n->connection);
}

void inspection_resume(struct inspection *n)
{
    if (!n->paused)
        return;
    n->paused = false;
    loop_timer_start(n->inspector->loop, &n->deadline, n->left_ms);
    if (n->open)
        connection_resume(&n->connection);
}

void inspection_drop(struct inspection **n)
{
    if (*n && (*n)->stage != LEAVING) {
        leave(*n);
        let_go(*n);
    }
    *n = NULL;
}

void *inspection_owner(const struct inspection *n)
{
    return n->owner;
}

bool inspector_stopped(struct inspector *i)
{
    i->stopping = true;
    for (uint32_t index = 0; index < i->inspections.made; index++) {
        struct inspection *n = slab_at(&i->inspections, index);
        inspection_drop(&n);
    }
    return i->inspections.used == 0;
}

void inspector_drop(struct inspector **i)
{
    if (!*i)
        return;
    loop_undefer((*i)->loop, &(*i)->start);
    slab_drop(&(*i)->inspections);
    heap_drop(*i);
    *i = NULL;
}
