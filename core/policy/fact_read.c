#include "core/policy/fact_read.h"

#include "core/base/base.h"
#include "core/mail/mailbox.h"
#include "core/mail/word.h"

enum {
    HEADER_TEXT_BYTES = 4 * LIMIT_HEADER_BYTES /* of one field, decoded */
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

bool fact_read(const struct organisation *o, const struct header *h, struct arena *arena,
               struct facts *f)
{
    const uint64_t asked = o->rules.asked;
    if (asked & 1ull << CONDITION_HEADER && !fill_headers(h, arena, f))
        return false;
    if (asked & 1ull << CONDITION_EXTERNAL_IN_HEADER && !fill_header_recipients(h, arena, f))
        return false;
    return !(asked & (1ull << CONDITION_DURING | 1ull << CONDITION_OUTSIDE)) ||
           fill_calendars(o, f);
}
