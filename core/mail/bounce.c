#include "core/mail/bounce.h"

static const struct {
    const char *name, *help;
} classes[BOUNCES] = {

#define BOUNCE_CLASS(name, help) {#name, help},
#include "core/mail/bounce.def"
};

static const struct row {
    enum bounce class;
    struct str codes, enhanced, text;
} rows[] = {

#define BOUNCE(class, codes, enhanced, text) \
    {BOUNCE_##class, STR_INIT(codes), STR_INIT(enhanced), STR_INIT(text)},
#include "core/mail/bounce.def"
};

static bool holds_nocase(struct str s, struct str needle)
{
    for (size_t i = 0; i + needle.len <= s.len; i++)
        if (str_starts_nocase(str_skip(s, i), needle))
            return true;
    return false;
}

/* "1.1" is "5.1.1"'s; "7" is every "5.7.z"'s. */
static bool is_detail(struct str status, struct str detail)
{
    status = str_skip(status, 2);
    if (!str_starts(status, detail))
        return false;
    return status.len == detail.len || status.at[detail.len] == '.';
}

static bool has_code(struct str why)
{
    return why.len >= 3 && why.at[0] >= '2' && why.at[0] <= '5' && why.at[1] >= '0' &&
           why.at[1] <= '9' && why.at[2] >= '0' && why.at[2] <= '9' &&
           (why.len == 3 || why.at[3] == ' ');
}

enum bounce bounce_of(struct str why, struct str status)
{
    /* what we say ourselves has no SMTP code: its status has the first digit */
    struct str code = has_code(why) ? str_head(why, 3) : str_head(status, 1);
    for (size_t i = 0; i < countof(rows); i++) {
        const struct row *r = &rows[i];
        if (str_starts(code, r->codes) && (!r->enhanced.len || is_detail(status, r->enhanced)) &&
            (!r->text.len || holds_nocase(why, r->text)))
            return r->class;
    }
    return BOUNCE_other;
}

const char *bounce_name(enum bounce b)
{
    must(b < BOUNCES);
    return classes[b].name;
}

const char *bounce_help(enum bounce b)
{
    must(b < BOUNCES);
    return classes[b].help;
}
