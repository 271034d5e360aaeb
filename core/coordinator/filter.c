#include "core/coordinator/filter.h"

#include "core/base/id.h"
#include "core/base/setting.h"

static const char *const state_names[FILTER_STATES] = {
    [FILTER_WAITING] = "waiting",     [FILTER_HELD] = "held",
    [FILTER_APPROVAL] = "approval",   [FILTER_DUE] = "due",
    [FILTER_SENDING] = "sending",     [FILTER_RETRY] = "retry",
    [FILTER_DELIVERED] = "delivered", [FILTER_BOUNCED] = "bounced",
    [FILTER_DISCARDED] = "discarded",
};

static const unsigned finished_states =
    1u << FILTER_DELIVERED | 1u << FILTER_BOUNCED | 1u << FILTER_DISCARDED;

static const enum filter_state least_finished_first[FILTER_STATES] = {
    FILTER_APPROVAL, FILTER_HELD,    FILTER_WAITING,   FILTER_RETRY,     FILTER_DUE,
    FILTER_SENDING,  FILTER_BOUNCED, FILTER_DISCARDED, FILTER_DELIVERED,
};

static bool state_by_name(struct str name, enum filter_state *state)
{
    for (unsigned i = 0; i < FILTER_STATES; i++)
        if (str_eq_nocase(name, str_c(state_names[i]))) {
            *state = (enum filter_state)i;
            return true;
        }
    return false;
}

static unsigned state_bit(const struct recipient *r, uint64_t now_ms)
{
    enum filter_state state;
    return state_by_name(str_c(recipient_state_name(r, now_ms)), &state) ? 1u << state : 0;
}

/* --- words of a filter: one function a word, all in one table -------------------------------- */

static bool parse_from(struct filter *f, struct str value)
{
    f->from = str_eq(value, STR("<>")) ? STR("") : value;
    return true;
}

static bool parse_to(struct filter *f, struct str value)
{
    f->to = value;
    return value.len > 0;
}

static bool parse_org(struct filter *f, struct str value)
{
    f->org = value;
    return value.len > 0;
}

static bool parse_subject(struct filter *f, struct str value)
{
    f->subject = value;
    return value.len > 0;
}

static bool parse_state(struct filter *f, struct str value)
{
    while (value.len) {
        enum filter_state state;
        if (!state_by_name(str_cut(&value, ','), &state))
            return false;
        f->states |= 1u << state;
    }
    return f->states != 0;
}

static bool parse_older(struct filter *f, struct str value)
{
    return setting_duration(value, &f->older_ms);
}

static bool parse_younger(struct filter *f, struct str value)
{
    return setting_duration(value, &f->younger_ms);
}

static bool parse_id(struct filter *f, struct str value)
{
    return id_parse(value, &f->id) && f->id != 0;
}

static const struct word {
    const char *name;
    bool (*parse)(struct filter *f, struct str value);
    const char *allowed;
} words[] = {
    {"from", parse_from, "an address, a domain, or <> for none"},
    {"to", parse_to, "an address or a domain"},
    {"state", parse_state,
     "held, waiting, approval, due, sending, retry, delivered, bounced or discarded, or "
     "several with commas"},
    {"org", parse_org, "the name of an organisation"},
    {"older", parse_older, "a duration: 90s, 30m, 2h, 7d"},
    {"younger", parse_younger, "a duration: 90s, 30m, 2h, 7d"},
    {"subject", parse_subject, "a part of the subject, with blanks in double quotes"},
    {"id", parse_id, "the 13 letters of a mail's id"},
};

/* Next word, cut at blanks outside of double quotes; the quotes of `value` are taken off. */
static bool next_word(struct str *text, struct str *name, struct str *value)
{
    *text = str_trim(*text);
    if (!text->len)
        return false;
    size_t end = 0;
    bool quoted = false;
    while (end < text->len && (quoted || (text->at[end] != ' ' && text->at[end] != '\t')))
        quoted ^= text->at[end++] == '"';
    struct str word = str_head(*text, end);
    *text = str_skip(*text, end);
    size_t colon = str_find(word, ':');
    *name = str_head(word, colon == SIZE_MAX ? 0 : colon);
    *value = colon == SIZE_MAX ? word : str_skip(word, colon + 1);
    if (value->len >= 2 && value->at[0] == '"' && value->at[value->len - 1] == '"')
        *value = str_from(value->at + 1, value->len - 2);
    return true;
}

bool filter_parse(struct str text, struct filter *f, struct buffer *error)
{
    *f = (struct filter){0};
    struct str name;
    struct str value;
    while (next_word(&text, &name, &value)) {
        const struct word *w = NULL;
        for (size_t i = 0; i < countof(words); i++)
            if (str_eq_nocase(name, str_c(words[i].name)))
                w = &words[i];
        if (!w) {
            struct str shown = name.len ? name : value;
            buffer_printf(error,
                          "filter: unknown word '%.*s'; allowed are from: to: state: org: older: "
                          "younger: subject: id:",
                          (int)size_min(shown.len, 80), shown.at);
            return false;
        }
        if (!w->parse(f, value)) {
            buffer_printf(error, "filter: %s:'%.*s' is not %s", w->name,
                          (int)size_min(value.len, 80), value.at, w->allowed);
            return false;
        }
    }
    return true;
}

bool filter_wants_finished(const struct filter *f)
{
    return (f->states & finished_states) != 0;
}

/* An address that equals the pattern, or that lies in the domain that the pattern is. */
static bool address_is(struct str address, struct str pattern)
{
    if (str_find(pattern, '@') == 0 && pattern.len > 1)
        pattern = str_skip(pattern, 1);
    if (pattern.len == 0 || str_find(pattern, '@') != SIZE_MAX)
        return str_eq_nocase(address, pattern);
    size_t at = address.len;
    while (at > 0 && address.at[at - 1] != '@')
        at--;
    return at > 0 && str_eq_nocase(str_skip(address, at), pattern);
}

static bool contains_nocase(struct str text, struct str part)
{
    for (size_t i = 0; i + part.len <= text.len; i++)
        if (str_starts_nocase(str_skip(text, i), part))
            return true;
    return false;
}

bool filter_matches_message(const struct filter *f, const struct message *m, uint64_t now_ms)
{
    uint64_t age_ms = now_ms > m->accepted_ms ? now_ms - m->accepted_ms : 0;
    if (f->id && m->id != f->id)
        return false;
    if (f->from.at && !address_is(m->sender, f->from))
        return false;
    if (f->org.at && !str_eq_nocase(m->organisation, f->org))
        return false;
    if ((f->older_ms && age_ms < f->older_ms) || (f->younger_ms && age_ms > f->younger_ms))
        return false;
    return !f->subject.at || contains_nocase(m->subject, f->subject);
}

bool filter_matches_recipient(const struct filter *f, const struct recipient *r, uint64_t now_ms)
{
    if (f->to.at && !address_is(r->address, f->to))
        return false;
    return !f->states || (f->states & state_bit(r, now_ms));
}

bool filter_matches(const struct filter *f, const struct message *m, uint64_t now_ms)
{
    if (!filter_matches_message(f, m, now_ms))
        return false;
    for (uint32_t i = 0; i < m->recipient_count; i++)
        if (filter_matches_recipient(f, &m->recipients[i], now_ms))
            return true;
    return false;
}

const char *message_state_name(const struct message *m, uint64_t now_ms)
{
    unsigned states = 0;
    for (uint32_t i = 0; i < m->recipient_count; i++)
        states |= state_bit(&m->recipients[i], now_ms);
    for (unsigned i = 0; i < FILTER_STATES; i++)
        if (states & 1u << least_finished_first[i])
            return state_names[least_finished_first[i]];
    return "unknown";
}
