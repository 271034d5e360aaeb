#include "core/remake/judge.h"

#include "core/base/base.h"
#include "core/mail/mailbox.h"
#include "core/mail/utf8.h"
#include "core/mail/word.h"
#include "core/policy/decide.h"

enum {
    /* Of one decision: some hundred bytes a recipient, some tens a rule. */
    DECIDE_BYTES = 16 << 20,
    HEADER_TEXT_BYTES = 4 * LIMIT_HEADER_BYTES, /* of one field, decoded */
    REFUSAL_BYTES = 2048,
};

static const struct str to_and_cc[] = {STR_INIT("To"), STR_INIT("Cc")};

static bool fill_headers(const struct header *h, struct arena *arena, struct facts *out)
{
    const struct header_field *fields = header_fields(h);
    struct header_fact *facts = arena_take(arena, (h->count + 1u) * sizeof *facts);
    struct buffer value;
    bool good = facts != NULL;
    buffer_init(&value, HEADER_TEXT_BYTES);
    for (uint32_t i = 0; good && i < h->count; i++) {
        buffer_clear(&value);
        word_decode(header_value(h, &fields[i]), HEADER_TEXT_BYTES - 1, &value);
        facts[i] = (struct header_fact){header_name(h, &fields[i]),
                                        arena_copy(arena, str_trim(buffer_str(&value)))};
        good = !value.full && facts[i].value.at;
    }
    buffer_drop(&value);
    out->headers = facts;
    out->header_count = h->count;
    return good;
}

static bool fill_header_recipients(const struct header *h, struct arena *arena, struct facts *out)
{
    struct mailbox_set set;
    if (!mailbox_collect(h, to_and_cc, countof(to_and_cc), arena, &set))
        return false;
    struct str *at = arena_take(arena, (set.count + 1u) * sizeof *at);
    size_t count = 0;
    for (uint32_t i = 0; at && i < set.count; i++)
        if (set.at[i].address.whole.len)
            at[count++] = set.at[i].address.whole;
    out->header_recipients = (struct str_list){at, count};
    return at != NULL;
}

/* False: a calendar cannot be asked. */
static bool fill_calendars(const struct organisation *o, struct facts *out)
{
    for (size_t i = 0; i < o->calendar_count; i++) {
        if (!o->calendars[i].calendar)
            return false;
        if (calendar_is_open(o->calendars[i].calendar, out->time_ms))
            out->open |= 1ull << i;
    }
    return true;
}

/* What is known of envelope and header; conditions about the content are not offered yet
 * (rule.def). The header is read as far as a rule asks for it. */
static bool fill(const struct judge_facts *f, const struct message *m, struct arena *arena,
                 struct facts *out)
{
    const uint64_t asked = f->organisation->rules.asked;
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
    if (asked & 1ull << CONDITION_HEADER && !fill_headers(f->header, arena, out))
        return false;
    if (asked & 1ull << CONDITION_EXTERNAL_IN_HEADER &&
        !fill_header_recipients(f->header, arena, out))
        return false;
    if (asked & (1ull << CONDITION_DURING | 1ull << CONDITION_OUTSIDE) &&
        !fill_calendars(f->organisation, out))
        return false;
    return recipients != NULL;
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
