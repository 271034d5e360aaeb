#include "core/remake/judge.h"

#include "core/base/base.h"
#include "core/mail/utf8.h"
#include "core/policy/decide.h"
#include "core/policy/fact_read.h"

enum {
    /* Of one decision: some hundred bytes a recipient, some tens a rule. */
    DECIDE_BYTES = 16 << 20,
    REFUSAL_BYTES = 2048,
};

/* Conditions about the content are not offered yet (rule.def). */
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
    return recipients && fact_read(f->organisation, f->header, arena, out);
}

/* "5.7.1 text (rule 'name')": what lists and the log show. */
static bool refuse(const struct decision *d, struct message *m, struct recipient *r)
{
    struct buffer why;
    buffer_init(&why, REFUSAL_BYTES);
    buffer_puts(&why, "5.7.1 ");
    utf8_clean(decision_actions(d, ACTION_REJECT)->reject.text, REFUSAL_BYTES / 2, &why);
    buffer_puts(&why, " (rule '");
    utf8_clean(decision_rule(d, ACTION_REJECT), REFUSAL_BYTES / 4, &why);
    buffer_puts(&why, "')");
    r->class = d->class;
    r->rule = decision_rule(d, ACTION_REJECT);
    r->form = FORM_PLAIN;
    r->stage = STAGE_BOUNCED;
    r->last = arena_copy(&m->arena, buffer_str(&why));
    buffer_drop(&why);
    return r->last.at != NULL;
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

static bool set_all(const struct judge_facts *f, const struct outcome *o, struct message *m,
                    struct judgement *out)
{
    const struct decision *whole = o->is_rejected ? outcome_of(o, o->rejected_by) : NULL;
    bool good = true;
    if (whole &&
        (m->sender.len == 0 || decision_actions(whole, ACTION_REJECT)->reject.in == REJECT_SMTP)) {
        out->refused = true;
        out->refused_rule = decision_rule(whole, ACTION_REJECT);
        out->refused_text = decision_actions(whole, ACTION_REJECT)->reject.text;
        return true;
    }
    for (uint32_t i = 0; good && i < m->recipient_count; i++) {
        const struct decision *d = whole ? whole : outcome_of(o, i);
        if (d->set & 1u << ACTION_REJECT) {
            good = refuse(d, m, &m->recipients[i]);
            m->recipients[i].class = outcome_of(o, i)->class;
            out->bounced++;
        } else {
            set_recipient(f, d, &m->recipients[i], out);
        }
    }
    return good;
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
    bool good = o && set_all(f, o, m, out);
    arena_drop(&arena);
    return good;
}
