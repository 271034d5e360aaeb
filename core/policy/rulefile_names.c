/* What an organisation gives names to: lists, calendars, dictionaries. */
#include "core/base/base.h"
#include "core/base/limit.h"
#include "core/policy/fact.h"
#include "core/policy/rulefile_parts.h"

static const struct str day_names[] = {STR_INIT("mon"), STR_INIT("tue"), STR_INIT("wed"),
                                       STR_INIT("thu"), STR_INIT("fri"), STR_INIT("sat"),
                                       STR_INIT("sun")};

static bool is_clock(struct str s)
{
    uint64_t hour, minute;
    return s.len == 5 && s.at[2] == ':' && str_number(str_head(s, 2), 24, &hour) &&
           str_number(str_skip(s, 3), 59, &minute) && hour * 60 + minute <= 1440;
}

static bool read_hours(struct reading *r, const struct node *n, struct str *out)
{
    if (!read_text(r, n, out))
        return false;
    if (out->len == 11 && out->at[5] == '-' && is_clock(str_head(*out, 5)) &&
        is_clock(str_skip(*out, 6)))
        return true;
    doc_error(&r->d, n, "'%s' is not hours (\"09:00-19:00\")", doc_show(*out).at);
    return false;
}

static bool read_day(struct reading *r, const struct node *n, struct str *out)
{
    if (!read_text(r, n, out))
        return false;
    for (size_t i = 0; i < countof(day_names); i++)
        if (str_eq(day_names[i], *out))
            return true;
    doc_error_near(&r->d, n, setting_suggest(*out, day_names, countof(day_names)),
                   "'%s' is not a day (mon to sun)", doc_show(*out).at);
    return false;
}

static bool read_holiday(struct reading *r, const struct node *n, struct str *out)
{
    uint64_t year, month, day;
    if (!read_text(r, n, out))
        return false;
    if (str_eq(*out, STR("japan")))
        return true;
    if (out->len == 10 && out->at[4] == '-' && out->at[7] == '-' &&
        str_number(str_head(*out, 4), 9999, &year) &&
        str_number(str_head(str_skip(*out, 5), 2), 12, &month) && month > 0 &&
        str_number(str_skip(*out, 8), 31, &day) && day > 0)
        return true;
    doc_error(&r->d, n, "'%s' is not a holiday (japan, \"2026-12-29\")", doc_show(*out).at);
    return false;
}

/* Room for what a mapping names. NULL: told. */
static void *take_named(struct reading *r, const struct node *n, const char *what, size_t most,
                        size_t bytes)
{
    if (!want_map(r, n, what))
        return NULL;
    if (n->count > most) {
        doc_error(&r->d, n, "more than %zu %s", most, what);
        return NULL;
    }
    return take(r, n->count * bytes);
}

void read_lists(struct reading *r, const struct node *n)
{
    struct organisation *o = r->o;
    if (!n || !(o->lists = take_named(r, n, "lists", DOC_KEYS, sizeof *o->lists)))
        return;
    for (const struct node *e = n->first; e; e = e->next) {
        struct named_list *l = &o->lists[o->list_count++];
        if (read_text(r, e->key, &l->name))
            map_set(&o->list_index, l->name, l);
        l->entries = read_list(r, e, read_entry);
        if (!keyset_make(r->d.arena, l->entries.at, l->entries.count, &l->keys))
            doc_error(&r->d, NULL, "the file is too large");
    }
}

static uint16_t minutes_of(struct str clock)
{
    return (uint16_t)(((clock.at[0] - '0') * 10 + clock.at[1] - '0') * 60 +
                      (clock.at[3] - '0') * 10 + clock.at[4] - '0');
}

static void read_opening_hours(struct reading *r, const struct node *n, struct opening *c)
{
    struct str_list texts = read_list(r, n, read_hours);
    struct hours *hours = take(r, (texts.count + 1) * sizeof *hours);
    for (size_t i = 0; hours && i < texts.count; i++) {
        struct str from = texts.at[i], to = str_skip(texts.at[i], 6);
        hours[i] = (struct hours){minutes_of(from), minutes_of(to)};
        if (hours[i].from == hours[i].to)
            doc_error(&r->d, n, "'%s' is no time at all; leave `hours` out for all day",
                      doc_show(texts.at[i]).at);
    }
    c->hours = hours;
    c->hours_count = texts.count;
}

static void read_opening(struct reading *r, const struct node *n, struct opening *c)
{
    static const struct str keys[] = {STR_INIT("days"), STR_INIT("hours"), STR_INIT("holidays")};
    const struct node *days = node_get(n, keys[0]), *hours = node_get(n, keys[1]);
    const struct node *holidays = node_get(n, keys[2]);
    check_keys(r, n, "a calendar", keys, countof(keys));
    c->days = 0x7f;
    if (days) {
        struct str_list list = read_list(r, days, read_day);
        c->days = 0;
        for (size_t i = 0; i < list.count; i++)
            for (unsigned k = 0; k < countof(day_names); k++)
                c->days |= (uint8_t)(str_eq(day_names[k], list.at[i]) ? 1u << k : 0);
    }
    if (hours)
        read_opening_hours(r, hours, c);
    if (!holidays)
        return;
    struct str_list list = read_list(r, holidays, read_holiday);
    struct str *dates = take(r, (list.count + 1) * sizeof *dates);
    c->holidays.at = dates;
    for (size_t i = 0; dates && i < list.count; i++)
        if (str_eq(list.at[i], STR("japan")))
            c->japan = true;
        else
            dates[c->holidays.count++] = list.at[i];
}

static bool add_windows(const struct opening *o, struct calendar *c)
{
    static const unsigned days[] = {DATE_MONDAY, DATE_TUESDAY,  DATE_WEDNESDAY, DATE_THURSDAY,
                                    DATE_FRIDAY, DATE_SATURDAY, DATE_SUNDAY};
    const struct hours all = {0, 24 * 60};
    size_t count = o->hours_count ? o->hours_count : 1;
    unsigned mask = 0;
    bool good = true;
    for (size_t i = 0; i < countof(days); i++)
        mask |= o->days >> i & 1 ? 1u << days[i] : 0;
    for (size_t i = 0; i < count && good; i++) {
        const struct hours *h = o->hours_count ? &o->hours[i] : &all;
        good = calendar_add_window(c, mask, h->from, h->to) == CALENDAR_OK;
    }
    return good;
}

/* What is asked at each mail. */
static void make_calendar(struct reading *r, const struct node *n, struct opening *o)
{
    struct calendar *c = take(r, sizeof *c);
    if (!c)
        return;
    calendar_init(c, r->o->zone, r->d.arena);
    if (o->japan)
        calendar_use_japan(c);
    if (!add_windows(o, c))
        doc_error(&r->d, n, "more than %d times of day in a calendar", (int)LIMIT_CALENDAR_WINDOWS);
    for (size_t i = 0; i < o->holidays.count; i++) {
        struct date day;
        if (!calendar_parse_date(o->holidays.at[i], &day) ||
            calendar_add_holidays(c, day, day) != CALENDAR_OK) {
            doc_error(&r->d, n, "'%s' is no day, or one of more than %d holidays",
                      doc_show(o->holidays.at[i]).at, (int)LIMIT_CALENDAR_RANGES);
            break;
        }
    }
    o->calendar = c;
}

void read_calendars(struct reading *r, const struct node *n)
{
    struct organisation *o = r->o;
    size_t bytes = sizeof *o->calendars;
    if (!n || !(o->calendars = take_named(r, n, "calendars", FACT_CALENDARS_MAX, bytes)))
        return;
    for (const struct node *e = n->first; e; e = e->next) {
        struct opening *c = &o->calendars[o->calendar_count++];
        if (read_text(r, e->key, &c->name))
            map_set(&o->calendar_index, c->name, c);
        if (want_map(r, e, "a calendar"))
            read_opening(r, e, c);
        if (o->zone)
            make_calendar(r, e, c);
    }
}

void read_dictionaries(struct reading *r, const struct node *n)
{
    static const struct str keys[] = {STR_INIT("words"), STR_INIT("patterns")};
    struct organisation *o = r->o;
    size_t bytes = sizeof *o->dictionaries;
    if (!n || !(o->dictionaries = take_named(r, n, "dictionaries", LIMIT_DICTIONARIES, bytes)))
        return;
    for (const struct node *e = n->first; e; e = e->next) {
        struct dictionary *d = &o->dictionaries[o->dictionary_count++];
        d->line = e->line;
        if (read_text(r, e->key, &d->name))
            map_set(&o->dictionary_index, d->name, d);
        if (!want_map(r, e, "a dictionary"))
            continue;
        check_keys(r, e, "a dictionary", keys, countof(keys));
        const struct node *words = node_get(e, keys[0]), *patterns = node_get(e, keys[1]);
        if (words)
            d->words = read_list(r, words, read_text);
        if (patterns)
            d->patterns = read_list(r, patterns, read_text);
    }
}
