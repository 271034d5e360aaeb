#include "core/coordinator/change.h"

#include "core/base/counter.h"
#include "core/base/id.h"
#include "core/base/log.h"
#include "core/coordinator/authority.h"
#include "core/coordinator/state.h"

enum {
    ARENA_BYTES = 8 << 20
}; /* 10,000 verdicts and the reasons in words */

enum {
    WAITING = 1 << STAGE_WAITING,
    HELD = 1 << STAGE_HELD,
    APPROVAL = 1 << STAGE_APPROVAL,
    RETRY = 1 << STAGE_RETRY,
};

/* A row for what each verb does from each stage: what it moves, or why it does not. */
static const struct plan {
    enum command_verb verb;
    uint32_t from;
    enum stage to;
    uint32_t set;
} plans[] = {
    {COMMAND_RELEASE, WAITING | HELD, STAGE_WAITING, RECIPIENT_RELEASED},
    {COMMAND_RELEASE, RETRY, STAGE_RETRY, 0},
    {COMMAND_DISCARD, WAITING | HELD | APPROVAL | RETRY, STAGE_DISCARDED, 0},
    {COMMAND_HOLD, WAITING | RETRY, STAGE_HELD, 0},
};

static const char *const verb_names[] = {"release", "discard", "hold"};

static const struct plan *plan_for(enum command_verb verb, enum stage stage)
{
    for (size_t i = 0; i < countof(plans); i++)
        if (plans[i].verb == verb && (plans[i].from >> stage & 1))
            return &plans[i];
    return NULL;
}

/* Why a recipient found in this state is not moved; NULL: it already is where it shall go. */
static const char *why_not(enum command_verb verb, enum stage stage, uint32_t flags)
{
    switch (stage) {
    case STAGE_DISCARDED:
        return verb == COMMAND_DISCARD ? NULL : "was taken back";
    case STAGE_HELD:
        return verb == COMMAND_HOLD ? NULL : "changed meanwhile; try again";
    case STAGE_DELIVERED:
        return "already delivered";
    case STAGE_BOUNCED:
        return "already returned to the sender";
    case STAGE_SENDING:
        return verb == COMMAND_DISCARD
                   ? "an attempt is under way and may have reached a server: can't be taken back"
                   : "an attempt is under way";
    case STAGE_RETRY:
    case STAGE_WAITING:
        if (verb == COMMAND_DISCARD && (flags & RECIPIENT_EXPOSED))
            return "an attempt may have reached a server: can't be taken back";
        return "changed meanwhile; try again";
    case STAGE_APPROVAL:
        return "waits for an approver";
    case STAGES:
        break;
    }
    return "unknown mail";
}

static struct move *add_move(struct coordinator *c, struct change *ch, uint32_t recipient,
                             const struct plan *plan)
{
    struct move *m = unit_move(ch->unit);
    if (!m)
        return NULL;
    m->id = ch->message->id;
    m->recipient = recipient;
    m->from = plan->from;
    m->to = plan->to;
    m->set = plan->set;
    m->may_skip = true;
    m->due_ms = c->adopted_ms;
    if (plan->to == STAGE_HELD)
        m->due_ms += c->publish.current->snapshot.settings->stop_deadline;
    return m;
}

static bool is_asked_for(const struct recipient *r, struct str address)
{
    return address.len == 0 || str_eq_nocase(r->address, address);
}

/* For whom the verb's wish has come true or can't any more. Where the whole mail is meant, they are
 * left out rather than refused; but a discard that came too late for somebody must say so. */
static bool is_over(enum command_verb verb, const struct recipient *r)
{
    return verb == COMMAND_DISCARD ? r->stage == STAGE_DISCARDED : stage_is_final(r->stage);
}

/* One verdict for each recipient asked for, and a move for each that can move. False: no memory. */
static bool plan_moves(struct coordinator *c, struct change *ch, struct str address)
{
    struct message *m = ch->message;
    ch->verdicts = arena_take(&ch->arena, m->recipient_count * sizeof *ch->verdicts);
    if (!ch->verdicts)
        return false;
    for (uint32_t i = 0; i < m->recipient_count; i++) {
        const struct recipient *r = &m->recipients[i];
        const struct plan *plan = plan_for(ch->verb, r->stage);
        struct verdict *v = &ch->verdicts[ch->verdict_count];
        if (!is_asked_for(r, address) ||
            (!address.len && is_over(ch->verb, r) && !message_is_final(m)))
            continue;
        *v = (struct verdict){.recipient = i, .move = UINT32_MAX};
        ch->verdict_count++;
        if (!plan)
            v->reason = why_not(ch->verb, r->stage, r->flags);
        else if (add_move(c, ch, i, plan))
            v->move = ch->unit->move_count - 1;
        else
            return false;
    }
    return true;
}

void change_forget(struct change *ch)
{
    if (ch->message)
        message_drop(&ch->message);
    if (ch->unit)
        unit_drop(&ch->unit);
    arena_drop(&ch->arena);
}

static void settle(struct coordinator *c, struct change *ch)
{
    ch->done(c, ch);
    change_forget(ch);
    slab_give(&c->changes, ch);
}

static void send(struct coordinator *c, uint32_t partition, struct change *ch)
{
    struct cell cell = {.kind = CELL_COMMIT,
                        .request = slab_handle(&c->changes, ch),
                        .object = ch->unit};
    ch->unit = NULL;
    coordinator_put_keeper(c, partition, &cell);
}

static struct change *make(struct coordinator *c, const struct change *template)
{
    struct change *ch = slab_take(&c->changes);
    if (!ch)
        return NULL;
    *ch = *template;
    arena_init(&ch->arena, ARENA_BYTES);
    return ch;
}

static void note(struct unit *unit, const struct change_order *order)
{
    char text[512];
    struct buffer line;
    buffer_init(&line, sizeof text);
    buffer_printf(&line, "%s by=%.*s", verb_names[order->verb], (int)size_min(order->by.len, 128),
                  order->by.at);
    if (order->recipient.len)
        buffer_printf(&line, " recipient=%.*s", (int)size_min(order->recipient.len, 320),
                      order->recipient.at);
    unit_add_note(unit, order->id, buffer_str(&line));
    buffer_drop(&line);
}

enum change_start change_start(struct coordinator *c, const struct change_order *order,
                               const struct change *template)
{
    uint32_t partition = id_partition(order->id);
    if (partition >= c->set.partition_count)
        return CHANGE_UNKNOWN;
    struct message *m = view_get(c->set.partitions[partition].partition, order->id);
    if (!m)
        return CHANGE_UNKNOWN;
    struct change *ch = make(c, template);
    if (!ch) {
        message_drop(&m);
        return CHANGE_BUSY;
    }
    ch->verb = order->verb;
    ch->message = m;
    ch->unit = unit_make();
    enum change_start status = CHANGE_ASKED;
    if (!ch->unit || !plan_moves(c, ch, order->recipient))
        status = CHANGE_BUSY;
    else if (ch->verdict_count == 0)
        status = CHANGE_NO_RECIPIENT;
    if (status != CHANGE_ASKED) {
        change_forget(ch);
        slab_give(&c->changes, ch);
        return status;
    }
    if (ch->unit->move_count == 0) {
        ch->result = COMMIT_SYNCED;
        settle(c, ch);
        return CHANGE_ASKED;
    }
    note(ch->unit, order);
    send(c, partition, ch);
    return CHANGE_ASKED;
}

bool change_commit(struct coordinator *c, uint32_t partition, struct unit *unit,
                   const struct change *template)
{
    struct change *ch = make(c, template);
    if (!ch)
        return false;
    ch->unit = unit;
    send(c, partition, ch);
    return true;
}

void change_settled(struct coordinator *c, struct handle request, struct unit *unit)
{
    struct change *ch = slab_get(&c->changes, request);
    must(ch != NULL && ch->unit == NULL);
    ch->unit = unit;
    ch->result = unit->result;
    for (uint32_t i = 0; i < unit->move_count && ch->result == COMMIT_SYNCED; i++)
        if (unit->moves[i].done && unit->moves[i].to == STAGE_DISCARDED)
            count(discarded);
    settle(c, ch);
}

const char *change_reason(const struct change *ch, uint32_t verdict)
{
    const struct verdict *v = &ch->verdicts[verdict];
    if (v->move == UINT32_MAX)
        return v->reason;
    const struct move *m = &ch->unit->moves[v->move];
    switch (ch->result) {
    case COMMIT_SYNCED:
        return m->done ? NULL : why_not(ch->verb, m->was, m->was_flags);
    case COMMIT_REFUSED:
        return why_not(ch->verb, m->was, m->was_flags);
    case COMMIT_FULL:
        return "the disk is full; try again";
    case COMMIT_FAILED:
        break;
    }
    return "the partition can't write; nothing was changed";
}

bool change_complete(const struct change *ch)
{
    for (uint32_t i = 0; i < ch->verdict_count; i++)
        if (change_reason(ch, i))
            return false;
    return true;
}

/* --- COMMAND --------------------------------------------------------------------------------- */

static void answer(struct coordinator *c, const struct change *ch, enum command_result result,
                   struct str text)
{
    struct cell cell = {.kind = CELL_COMMANDED, .request = ch->request, .object = ch->command};
    ch->command->result = result;
    ch->command->text = arena_copy(&ch->command->arena, text);
    if (!ch->command->text.at)
        ch->command->text = STR("");
    coordinator_put_worker(c, ch->worker, &cell);
}

static const char *const done_texts[] = {"released", "discarded", "stopped"};

static void command_done(struct coordinator *c, struct change *ch)
{
    struct buffer text;
    uint32_t done = 0;
    buffer_init(&text, 800);
    enum command_result result = COMMAND_DONE;
    for (uint32_t i = 0; i < ch->verdict_count; i++)
        done += change_reason(ch, i) == NULL;
    buffer_printf(&text, "%s %u of %u recipients", done_texts[ch->verb], done, ch->verdict_count);
    for (uint32_t i = 0; i < ch->verdict_count; i++) {
        const struct recipient *r = &ch->message->recipients[ch->verdicts[i].recipient];
        const char *reason = change_reason(ch, i);
        /* what was over before it was asked for is no refusal, unless a discard came too late */
        bool over = ch->verb != COMMAND_DISCARD && stage_is_final(r->stage);
        if (!reason || over)
            continue;
        result = COMMAND_REFUSED;
        buffer_printf(&text, "; %.*s: %s", STR_ARG(r->address), reason);
    }
    if (ch->result == COMMIT_FAILED || ch->result == COMMIT_FULL)
        result = COMMAND_FAILED;
    log_info("command", log_text("verb", verb_names[ch->verb]), log_id("id", ch->message->id),
             log_str("by", ch->command->user), log_u64("result", result));
    answer(c, ch, result, buffer_str(&text));
    buffer_drop(&text);
}

/* The message that a command means; 0: unknown. */
static uint64_t command_id(const struct coordinator *c, const struct command *command)
{
    uint64_t id = command->id;
    if (!command->token.len)
        return id;
    for (uint32_t i = 0; i < c->set.partition_count; i++)
        if (view_by_token(c->set.partitions[i].partition, command->token, &id))
            return id;
    return 0;
}

void change_command(struct coordinator *c, uint32_t worker, struct command *command,
                    struct handle request)
{
    const struct change template = {.done = command_done,
                                    .command = command,
                                    .worker = worker,
                                    .request = request};
    struct change_order order = {.verb = command->verb,
                                 .id = command_id(c, command),
                                 .by = command->user};
    if (!authority_may_act(c, command->user, command->organisation, order.id)) {
        answer(c, &template, COMMAND_UNKNOWN, STR("no such mail"));
        return;
    }
    switch (change_start(c, &order, &template)) {
    case CHANGE_ASKED:
        return;
    case CHANGE_UNKNOWN:
    case CHANGE_NO_RECIPIENT:
        answer(c, &template, COMMAND_UNKNOWN, STR("no such mail"));
        return;
    case CHANGE_BUSY:
        answer(c, &template, COMMAND_FAILED, STR("busy; try again"));
        return;
    }
}
