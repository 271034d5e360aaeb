/* order.c -- a reply to a hold notice: obeyed at the end of data, never queued.
 *
 * The gate address is gate+TOKEN@ the notice domain. Only an authenticated submission may use it,
 * and alone: a mail for people and the gate together is refused rather than guessed at. Whether
 * this user may decide about that mail is the coordinator's to say; its answer is the reply. */

#include "core/base/heap.h"
#include "core/base/log.h"
#include "core/mail/command.h"
#include "core/mail/notice.h"
#include "core/mail/notice_reply.h"
#include "shards/intake.h"

enum {
    ORDER_BYTES_MAX = 64 << 10
};

struct order {
    struct shard *shard;
    struct handle intake;
};

static bool token_of(const struct intake *i, uint32_t recipient, struct str *token)
{
    return notice_token(i->session.recipients[recipient].address.whole,
                        i->shard->snapshot->notice_domain, token);
}

bool order_is_for_gate(const struct intake *i)
{
    struct str token;
    for (uint32_t n = 0; n < i->session.recipient_count; n++)
        if (token_of(i, n, &token))
            return true;
    return false;
}

static void command_drop(struct command *c)
{
    arena_drop(&c->arena);
    heap_drop(c);
}

static void answered(struct waiter *w, const struct cell *answer)
{
    static const enum reply replies[] = {
        [COMMAND_DONE] = REPLY_250_OK,
        [COMMAND_REFUSED] = REPLY_550_POLICY,
        [COMMAND_UNKNOWN] = REPLY_550_POLICY,
        [COMMAND_FAILED] = REPLY_451_STORAGE,
    };
    struct order *o = w->owner;
    struct command *c = answer->object;
    struct intake *i = slab_get(&o->shard->intakes, o->intake);
    log_info("order", log_id("id", c->id), log_str("user", c->user),
             log_u64("result", (uint64_t)c->result), log_str("answer", c->text));
    if (i && i->wait == WAIT_ORDER)
        intake_settle(i, replies[c->result], c->text);
    command_drop(c);
    heap_drop(o);
}

static struct command *read_command(const struct intake *i, struct str token)
{
    enum command_verb verb;
    if (!notice_reply_read(deposit_inline(i->deposit), &verb))
        return NULL;
    struct command *c = heap_take(sizeof *c);
    arena_init(&c->arena, ORDER_BYTES_MAX);
    c->verb = verb;
    c->token = arena_copy(&c->arena, token);
    c->user = arena_copy(&c->arena, buffer_str(&i->session.user));
    c->organisation = arena_copy(&c->arena, buffer_str(&i->organisation));
    if (c->token.at && c->user.at && c->organisation.at)
        return c;
    command_drop(c);
    return NULL;
}

void order_begin(struct intake *i)
{
    struct shard *s = i->shard;
    struct str token;
    if (!i->session.authenticated || i->session.recipient_count != 1 || !token_of(i, 0, &token)) {
        intake_settle(i, REPLY_550_POLICY,
                      STR("Reply to a notice by your own authenticated submission, to it alone"));
        return;
    }
    struct command *c = read_command(i, token);
    if (!c) {
        intake_settle(i, REPLY_550_POLICY,
                      STR("No command found: begin the reply with cancel or release"));
        return;
    }
    struct order *o = heap_take(sizeof *o);
    *o = (struct order){.shard = s, .intake = slab_handle(&s->intakes, i)};
    struct cell cell = {.kind = CELL_COMMAND, .object = c};
    i->wait = WAIT_ORDER;
    if (shard_ask(s, s->to_coordinator, &cell, answered, o))
        return;
    command_drop(c);
    heap_drop(o);
    intake_settle(i, REPLY_451_LOCAL, STR(""));
}
