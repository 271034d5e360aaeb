#include "core/remake/judge.h"

#include "core/policy/decide.h"

void judge(const struct judge_facts *f, struct message *m, struct judgement *out)
{
    const struct decide_facts facts = {
        .sender = m->sender,
        .user = f->user,
        .client = f->client,
        .client_bytes = f->client_bytes,
        .is_auto = m->flags & MESSAGE_AUTO,
    };
    *out = (struct judgement){0};
    for (uint32_t i = 0; i < m->recipient_count; i++) {
        struct recipient *r = &m->recipients[i];
        struct decision d;
        decide(f->organisation, &facts, r->address, f->hold_standard_ms, &d, NULL);
        r->class = d.class;
        r->rule = d.hold_rule;
        r->form = FORM_PLAIN;
        r->stage = STAGE_WAITING;
        r->release_ms = r->due_ms = u64_max(f->now_ms + d.hold_ms, f->not_before_ms);
        out->release_last_ms = u64_max(out->release_last_ms, r->release_ms);
        out->notice = out->notice || (r->release_ms > f->now_ms && d.notice != NOTICE_NONE);
    }
}
