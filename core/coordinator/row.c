#include "core/coordinator/row.h"

#include "core/base/id.h"
#include "core/coordinator/filter.h"

struct sight { /* from when a row is looked at */
    uint64_t adopted_ms;
    const struct now *now;
};

static uint64_t shown(const struct sight *s, uint64_t ms)
{
    return timekeeper_wall(s->adopted_ms, s->now, ms);
}

const char *row_class_name(enum recipient_class class)
{
    switch (class) {
    case CLASS_INTERNAL:
        return "internal";
    case CLASS_AFFILIATE:
        return "affiliate";
    case CLASS_EXTERNAL:
        break;
    }
    return "external";
}

const char *row_form_name(enum form form)
{
    switch (form) {
    case FORM_PLAIN:
        return "plain";
    case FORM_ZIP:
        return "zip";
    case FORM_LINK:
        break;
    }
    return "link";
}

static const char *kind_name(enum message_kind kind)
{
    switch (kind) {
    case MESSAGE_MAIL:
        return "mail";
    case MESSAGE_NOTICE:
        return "notice";
    case MESSAGE_DSN:
        return "dsn";
    case MESSAGE_PASSWORD:
        break;
    }
    return "password";
}

/* When it leaves, or left at the earliest. A stopped clock has no release time; nor has, once it is
 * on its way, what a person let go earlier than was decided: that moment is only in the ledger. */
static uint64_t release_ms(const struct recipient *r)
{
    if (r->stage == STAGE_WAITING)
        return r->due_ms;
    bool none =
        r->stage == STAGE_HELD || r->stage == STAGE_APPROVAL || (r->flags & RECIPIENT_RELEASED);
    return none ? 0 : r->release_ms;
}

static void put_release(struct js_writer *w, const struct sight *s, uint64_t ms)
{
    if (ms)
        js_time(w, "release_at", shown(s, ms));
    else
        js_null(w, "release_at");
}

static struct str rule_name(const struct recipient *r)
{
    return r->rule.len ? r->rule : STR("defaults");
}

static void put_why(struct js_writer *w, const struct recipient *r, const struct sight *s)
{
    struct buffer why;
    struct clock_date date = clock_stamp(shown(s, r->due_ms));
    struct str rule = rule_name(r);
    buffer_init(&why, 4096);
    switch (r->stage) {
    case STAGE_WAITING:
        if (r->due_ms > s->adopted_ms)
            buffer_printf(&why, "held until %s by rule '%.*s'; the sender can take it back",
                          date.at, STR_ARG(rule));
        else
            buffer_puts(&why, "its time has come; it is being handed to a connection");
        break;
    case STAGE_HELD:
        buffer_printf(&why, "its clock was stopped; without a decision it is returned at %s",
                      date.at);
        break;
    case STAGE_APPROVAL:
        buffer_printf(&why, "waits for an approver; without an answer it is returned at %s",
                      date.at);
        break;
    case STAGE_SENDING:
        buffer_puts(&why, "an attempt is under way; it can't be taken back any more");
        break;
    case STAGE_RETRY:
        buffer_printf(&why, "%u attempt%s failed; next try %s%s", r->attempts,
                      r->attempts == 1 ? "" : "s", r->due_ms > s->adopted_ms ? "at " : "now",
                      r->due_ms > s->adopted_ms ? date.at : "");
        break;
    case STAGE_DELIVERED:
        buffer_puts(&why, "the next hop took it");
        break;
    case STAGE_BOUNCED:
        buffer_puts(&why, "failed for good; the sender was told");
        break;
    case STAGE_DISCARDED:
        buffer_puts(&why, "taken back by a person");
        break;
    case STAGES:
        break;
    }
    if (r->flags & RECIPIENT_DAMAGED)
        buffer_puts(&why, "; its stored content is damaged and will not be sent");
    js_str(w, "why", buffer_str(&why));
    buffer_drop(&why);
}

static void put_recipient(struct js_writer *w, const struct recipient *r, enum row_detail detail,
                          const struct sight *s)
{
    js_begin(w, NULL, '{');
    js_str(w, "address", r->address);
    js_text(w, "class", row_class_name(r->class));
    js_text(w, "state", recipient_state_name(r, s->adopted_ms));
    put_release(w, s, release_ms(r));
    js_text(w, "form", row_form_name(r->form));
    js_str(w, "rule", rule_name(r));
    if (detail != ROW_LIST) {
        js_u64(w, "attempts", r->attempts);
        js_str(w, "last", r->last);
        if (stage_is_timed(r->stage))
            js_time(w, "due_at", shown(s, r->due_ms));
        js_flag(w, "exposed", (r->flags & RECIPIENT_EXPOSED) != 0);
        js_flag(w, "released", (r->flags & RECIPIENT_RELEASED) != 0);
    }
    if (detail == ROW_EXPLAIN)
        put_why(w, r, s);
    js_end(w, '}');
}

/* Of the message: the earliest release among those that have one. */
static uint64_t earliest_release_ms(const struct message *m)
{
    uint64_t unfinished = UINT64_MAX;
    uint64_t all = UINT64_MAX;
    for (uint32_t i = 0; i < m->recipient_count; i++) {
        uint64_t ms = release_ms(&m->recipients[i]);
        if (!ms)
            continue;
        all = u64_min(all, ms);
        if (!stage_is_final(m->recipients[i].stage))
            unfinished = u64_min(unfinished, ms);
    }
    uint64_t earliest = message_is_final(m) ? all : unfinished;
    return earliest == UINT64_MAX ? 0 : earliest;
}

void row_message(struct js_writer *w, const struct message *m, enum row_detail detail,
                 uint64_t adopted_ms, const struct now *now)
{
    const struct sight s = {adopted_ms, now};
    js_text(w, "id", id_text(m->id).at);
    js_text(w, "state", message_state_name(m, adopted_ms));
    js_str(w, "sender", m->sender);
    js_begin(w, "recipients", '[');
    for (uint32_t i = 0; i < m->recipient_count; i++)
        put_recipient(w, &m->recipients[i], detail, &s);
    js_end(w, ']');
    js_time(w, "accepted_at", m->accepted_ms);
    put_release(w, &s, earliest_release_ms(m));
    js_u64(w, "size", m->body_bytes);
    js_str(w, "subject", m->subject);
    if (detail == ROW_LIST)
        return;
    js_text(w, "kind", kind_name(m->kind));
    js_str(w, "organisation", m->organisation);
    js_str(w, "user", m->user);
    js_str(w, "client", m->client);
    js_str(w, "message_id", m->message_id);
    if (m->parent)
        js_text(w, "parent", id_text(m->parent).at);
}
