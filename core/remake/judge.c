#include "core/remake/judge.h"

#include "core/base/base.h"
#include "core/policy/decide.h"

enum {
    /* Of one decision: some hundred bytes a recipient, some tens a rule. */
    DECIDE_BYTES = 16 << 20,
};

/* What is known without reading the content: conditions about the rest are not offered yet
 * (rule.def). */
static bool fill(const struct judge_facts *f, const struct message *m, struct arena *arena,
                 struct facts *out)
{
    struct str *recipients = arena_take(arena, (m->recipient_count + 1u) * sizeof *recipients);
    for (uint32_t i = 0; recipients && i < m->recipient_count; i++)
        recipients[i] = m->recipients[i].address;
    *out = (struct facts){
        .time_ms = f->now_ms,
        .size = m->body_bytes,
        .sender = m->sender,
        .user = f->user ? f->user->address : STR(""),
        .client = str_from(f->client, f->client_bytes),
        .is_auto = m->flags & MESSAGE_AUTO,
        .recipients = {recipients, m->recipient_count},
    };
    return recipients != NULL;
}

static void set_recipient(const struct judge_facts *f, const struct decision *d,
                          struct recipient *r, struct judgement *out)
{
    r->class = d->class;
    r->rule = decision_rule(d, ACTION_HOLD);
    r->form = FORM_PLAIN;
    r->stage = STAGE_WAITING;
    r->release_ms = r->due_ms = u64_max(f->now_ms + d->hold_ms, f->not_before_ms);
    out->release_last_ms = u64_max(out->release_last_ms, r->release_ms);
    out->notice = out->notice || (r->release_ms > f->now_ms && d->notice != NOTICE_NONE);
}

bool judge(const struct judge_facts *f, struct message *m, struct judgement *out)
{
    struct arena arena;
    struct facts facts;
    const struct decide_input in = {
        .organisation = f->organisation,
        .facts = &facts,
        .hold_standard_ms = f->hold_standard_ms,
    };
    *out = (struct judgement){0};
    arena_init(&arena, DECIDE_BYTES);
    struct outcome *o = fill(f, m, &arena, &facts) ? decide(&in, &arena) : NULL;
    for (uint32_t i = 0; o && i < m->recipient_count; i++)
        set_recipient(f, outcome_of(o, i), &m->recipients[i], out);
    arena_drop(&arena);
    return o != NULL;
}
