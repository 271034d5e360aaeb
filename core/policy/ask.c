#include "core/policy/ask.h"

#include "core/base/base.h"
#include "core/base/setting_value.h"
#include "core/base/yaml.h"
#include "core/policy/detector.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    SHOWN_MAX = 8 /* attachments, keywords or reasons that are shown for one condition */
};

_Static_assert(CONDITION_PERSONAL_DATE_OF_BIRTH - CONDITION_PERSONAL_MY_NUMBER + 1 ==
                   DETECTOR_KINDS,
               "a row of rule.def for each row of detector.def, in the same order");
_Static_assert((int)DETECTOR_KINDS <= (int)FACT_PERSONAL_MAX, "facts have room for every kind");

static bool find(struct str text, struct str needle, size_t *at)
{
    if (needle.len == 0) {
        *at = 0;
        return true;
    }
    const char *found = text.len ? memmem(text.at, text.len, needle.at, needle.len) : NULL;
    *at = found ? (size_t)(found - text.at) : 0;
    return found != NULL;
}

/* The first place for each piece between stars is as good as any; the last piece is at the end. */
bool pattern_matches(struct str pattern, struct str text)
{
    size_t star = str_find(pattern, '*'), at;
    if (star == SIZE_MAX)
        return str_eq(pattern, text);
    if (!str_starts(text, str_head(pattern, star)))
        return false;
    text = str_skip(text, star);
    pattern = str_skip(pattern, star + 1);
    while ((star = str_find(pattern, '*')) != SIZE_MAX) {
        if (!find(text, str_head(pattern, star), &at))
            return false;
        text = str_skip(text, at + star);
        pattern = str_skip(pattern, star + 1);
    }
    return text.len >= pattern.len && str_eq(str_skip(text, text.len - pattern.len), pattern);
}

static bool matches_any(const struct str_list *patterns, struct str text)
{
    for (size_t i = 0; i < patterns->count; i++)
        if (pattern_matches(patterns->at[i], text))
            return true;
    return false;
}

static struct str small_copy(struct arena *arena, struct str s)
{
    char *at = arena_take(arena, s.len + 1);
    for (size_t i = 0; at && i < s.len; i++)
        at[i] = char_lower(s.at[i]);
    return str_from(at, s.len);
}

static struct str domain_of(struct str key)
{
    size_t at = key.len;
    while (at > 0 && key.at[at - 1] != '@')
        at--;
    return at ? str_skip(key, at) : STR("");
}

static int order(const void *a, const void *b)
{
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

/* Sorts; how many are different. */
static uint64_t count_distinct(struct str *keys, size_t count)
{
    uint64_t distinct = 0;
    qsort(keys, count, sizeof *keys, order);
    for (size_t i = 0; i < count; i++)
        distinct += i == 0 || !str_eq(keys[i - 1], keys[i]);
    return distinct;
}

static bool is_external(const struct asking *a, struct str key)
{
    return organisation_class(a->organisation, domain_of(key)) == CLASS_EXTERNAL;
}

/* Different external addresses of the list, and how many domains they have. */
static bool count_external(const struct asking *a, const struct str_list *list, struct arena *arena,
                           uint64_t *addresses, uint64_t *domains)
{
    struct str *keys = arena_take(arena, (list->count + 1) * sizeof *keys);
    size_t count = 0;
    if (!keys)
        return false;
    for (size_t i = 0; i < list->count; i++) {
        keys[count] = small_copy(arena, list->at[i]);
        if (!keys[count].at)
            return false;
        count += is_external(a, keys[count]);
    }
    *addresses = count_distinct(keys, count);
    for (size_t i = 0; i < count; i++)
        keys[i] = domain_of(keys[i]);
    *domains = count_distinct(keys, count);
    return true;
}

static bool count_hits(struct asking *a, struct arena *arena)
{
    const struct organisation *o = a->organisation;
    a->hits = arena_take(arena, (o->dictionary_count + 1) * sizeof *a->hits);
    for (size_t i = 0; a->hits && i < a->facts->keyword_count; i++) {
        const struct keyword_fact *k = &a->facts->keywords[i];
        const struct dictionary *d = organisation_dictionary(o, k->dictionary);
        if (d && k->place < MATCH_PLACES)
            a->hits[d - o->dictionaries][k->place] += k->count;
    }
    return a->hits != NULL;
}

static bool copy_small(struct asking *a, struct arena *arena)
{
    const struct facts *f = a->facts;
    struct str *values = arena_take(arena, (f->header_count + 1) * sizeof *values);
    struct str_list *names = arena_take(arena, (f->attachment_count + 1) * sizeof *names);
    if (!values || !names)
        return false;
    for (size_t i = 0; i < f->header_count; i++)
        if (!(values[i] = small_copy(arena, f->headers[i].value)).at)
            return false;
    for (size_t i = 0; i < f->attachment_count; i++) {
        const struct str_list *from = &f->attachments[i].names;
        struct str *to = arena_take(arena, (from->count + 1) * sizeof *to);
        for (size_t k = 0; to && k < from->count; k++)
            if (!(to[k] = small_copy(arena, from->at[k])).at)
                return false;
        if (!to)
            return false;
        names[i] = (struct str_list){to, from->count};
    }
    a->values = values;
    a->names = names;
    return true;
}

struct asking *asking_make(const struct organisation *o, const struct facts *f, struct arena *arena)
{
    struct asking *a = arena_take(arena, sizeof *a);
    uint64_t ignored;
    if (!a)
        return NULL;
    a->organisation = o;
    a->facts = f;
    a->sender = small_copy(arena, f->sender);
    a->user = small_copy(arena, f->user);
    if (!a->sender.at || !a->user.at)
        return NULL;
    a->sender_domain = domain_of(a->sender);
    bool is_made =
        count_external(a, &f->recipients, arena, &a->external_recipients, &a->external_domains) &&
        count_external(a, &f->header_recipients, arena, &a->external_in_header, &ignored) &&
        count_hits(a, arena) && copy_small(a, arena);
    return is_made ? a : NULL;
}

bool addressee_make(const struct asking *a, struct str address, struct arena *arena,
                    struct addressee *out)
{
    *out = (struct addressee){.key = small_copy(arena, address)};
    if (!out->key.at)
        return false;
    out->domain = domain_of(out->key);
    out->class = organisation_class(a->organisation, out->domain);
    return true;
}

static bool in_groups(const struct condition *c, struct str key, struct str other)
{
    for (size_t i = 0; i < c->values.count; i++)
        if (keyset_has(&c->groups[i]->keys, key) || keyset_has(&c->groups[i]->keys, other))
            return true;
    return false;
}

static bool in_networks(const struct condition *c, struct str client)
{
    for (size_t i = 0; i < c->values.count; i++)
        if (network_holds(&c->networks[i], client.at, client.len))
            return true;
    return false;
}

static bool header_is(const struct header_test *t, struct str value, struct str small)
{
    if (t->is.count == 0 && t->matches.count == 0)
        return true;
    for (size_t i = 0; i < t->is.count; i++)
        if (str_eq_nocase(t->is.at[i], value))
            return true;
    return matches_any(&t->matches, small);
}

/* The first field that is like this, or SIZE_MAX. */
static size_t find_header(const struct asking *a, const struct header_test *t)
{
    const struct facts *f = a->facts;
    for (size_t i = 0; i < f->header_count; i++)
        if (str_eq_nocase(f->headers[i].name, t->name) &&
            header_is(t, f->headers[i].value, a->values[i]))
            return i;
    return SIZE_MAX;
}

static bool ends_so(struct str name, const struct str_list *extensions)
{
    for (size_t i = 0; i < extensions->count; i++) {
        struct str e = extensions->at[i];
        if (name.len > e.len && name.at[name.len - e.len - 1] == '.' &&
            str_eq(str_skip(name, name.len - e.len), e))
            return true;
    }
    return false;
}

static bool any_name(const struct str_list *names, const struct attachment_test *t)
{
    bool has_name = t->name.count == 0, has_extension = t->extension.count == 0;
    for (size_t i = 0; i < names->count; i++) {
        has_name = has_name || matches_any(&t->name, names->at[i]);
        has_extension = has_extension || ends_so(names->at[i], &t->extension);
    }
    return has_name && has_extension;
}

static bool is_exempt(const struct str_list *names, const struct attachment_test *t)
{
    size_t exempt = 0;
    for (size_t i = 0; i < names->count; i++)
        exempt += ends_so(names->at[i], &t->except);
    return exempt > 0 && exempt == names->count;
}

static bool has_type(const struct attachment *at, const struct attachment_test *t)
{
    return t->type.count == 0 ||
           (at->declared_type.len && matches_any(&t->type, at->declared_type)) ||
           (at->true_type.len && matches_any(&t->type, at->true_type));
}

static bool is_like(const struct asking *a, const struct attachment_test *t, size_t i)
{
    const struct attachment *at = &a->facts->attachments[i];
    uint32_t kind = at->flags & ATTACHMENT_CALENDAR ? ATTACHMENTS_CALENDAR
                    : at->flags & ATTACHMENT_INLINE ? ATTACHMENTS_INLINE
                                                    : ATTACHMENTS_ATTACHED;
    uint32_t wanted = (t->encrypted ? ATTACHMENT_ENCRYPTED : 0u) |
                      (t->hidden_data ? ATTACHMENT_HIDDEN_DATA : 0u) |
                      (t->infected ? ATTACHMENT_INFECTED : 0u);
    bool asks_which = t->name.count || t->extension.count || t->type.count || wanted;
    if (at->depth > 0 && !asks_which)
        return false; /* its container counts */
    return (t->kinds & kind) && (at->flags & wanted) == wanted && any_name(&a->names[i], t) &&
           has_type(at, t) && !is_exempt(&a->names[i], t);
}

static bool ask_attachments(const struct asking *a, const struct attachment_test *t)
{
    uint64_t count = 0, bytes = 0;
    for (size_t i = 0; i < a->facts->attachment_count; i++)
        if (is_like(a, t, i)) {
            count++;
            bytes += u64_min(a->facts->attachments[i].bytes, UINT64_MAX - bytes);
        }
    return count >= t->at_least && bytes >= t->total_size;
}

static uint64_t keyword_count(const struct asking *a, const struct keyword_test *t, size_t i)
{
    uint64_t count = 0;
    for (unsigned place = 0; place < MATCH_PLACES; place++)
        count += t->places >> place & 1 ? a->hits[t->numbers[i]][place] : 0;
    return count;
}

static bool ask_keyword(const struct asking *a, const struct keyword_test *t)
{
    for (size_t i = 0; i < t->dictionaries.count; i++)
        if (keyword_count(a, t, i) >= t->at_least)
            return true;
    return false;
}

static bool is_unreadable(const struct facts *f)
{
    bool is = f->unreadable.count > 0;
    for (size_t i = 0; i < f->attachment_count && !is; i++)
        is = f->attachments[i].flags & ATTACHMENT_UNREADABLE;
    return is;
}

static bool is_infected(const struct facts *f)
{
    bool is = f->infected.count > 0;
    for (size_t i = 0; i < f->attachment_count && !is; i++)
        is = f->attachments[i].flags & ATTACHMENT_INFECTED;
    return is;
}

static bool ask_sender(const struct asking *a, const struct condition *c)
{
    if (c->kind == CONDITION_SENDER_ADDRESS)
        return keyset_has(&c->keys, a->sender);
    if (c->kind == CONDITION_SENDER_PATTERN)
        return a->sender.len && matches_any(&c->values, a->sender);
    if (c->kind == CONDITION_SENDER_DOMAIN)
        return keyset_domain(&c->keys, a->sender_domain).len > 0;
    if (c->kind == CONDITION_SENDER_GROUP)
        return in_groups(c, a->sender, a->user);
    if (c->kind == CONDITION_SENDER_USER)
        return keyset_has(&c->keys, a->user);
    return in_networks(c, a->facts->client);
}

static uint32_t personal_of(const struct facts *f, enum condition_kind kind)
{
    return f->personal[kind - CONDITION_PERSONAL_MY_NUMBER];
}

bool ask_message(const struct asking *a, const struct condition *c)
{
    const struct facts *f = a->facts;
    switch (c->kind) {
    case CONDITION_SENDER_ADDRESS:
    case CONDITION_SENDER_PATTERN:
    case CONDITION_SENDER_DOMAIN:
    case CONDITION_SENDER_GROUP:
    case CONDITION_SENDER_USER:
    case CONDITION_SENDER_NETWORK:
        return ask_sender(a, c);
    case CONDITION_EXTERNAL_RECIPIENTS:
        return a->external_recipients >= c->at_least;
    case CONDITION_EXTERNAL_DOMAINS:
        return a->external_domains >= c->at_least;
    case CONDITION_EXTERNAL_IN_HEADER:
        return a->external_in_header >= c->at_least;
    case CONDITION_HEADER:
        return find_header(a, c->header) != SIZE_MAX;
    case CONDITION_SIZE:
        return f->size >= c->at_least;
    case CONDITION_ATTACHMENTS:
        return ask_attachments(a, c->attachments);
    case CONDITION_KEYWORD:
        return ask_keyword(a, c->keyword);
    case CONDITION_PERSONAL_MY_NUMBER:
    case CONDITION_PERSONAL_CORPORATE_NUMBER:
    case CONDITION_PERSONAL_CREDIT_CARD:
    case CONDITION_PERSONAL_PHONE:
    case CONDITION_PERSONAL_POST_CODE:
    case CONDITION_PERSONAL_ADDRESS:
    case CONDITION_PERSONAL_EMAIL:
    case CONDITION_PERSONAL_BANK_ACCOUNT:
    case CONDITION_PERSONAL_DATE_OF_BIRTH:
        return personal_of(f, c->kind) >= c->at_least;
    case CONDITION_DURING:
        return (f->open & c->calendars) != 0;
    case CONDITION_OUTSIDE:
        return (~f->open & c->calendars) != 0;
    case CONDITION_AUTO:
        return (f->is_auto || f->sender.len == 0) == c->flag;
    case CONDITION_SIGNED:
        return f->is_signed == c->flag;
    case CONDITION_ENCRYPTED:
        return f->is_encrypted == c->flag;
    case CONDITION_UNREADABLE:
        return is_unreadable(f) == c->flag;
    case CONDITION_AMBIGUOUS:
        return (f->ambiguous.count > 0) == c->flag;
    case CONDITION_INFECTED:
        return is_infected(f) == c->flag;
    case CONDITION_RECIPIENT_ADDRESS:
    case CONDITION_RECIPIENT_PATTERN:
    case CONDITION_RECIPIENT_DOMAIN:
    case CONDITION_RECIPIENT_CLASS:
    case CONDITION_RECIPIENT_GROUP:
    case CONDITION_RECIPIENT_LIST:
    case CONDITION_FIRST_CONTACT:
    case CONDITION_LOOK_ALIKE:
    case CONDITION_MIXED_COMPANIES:
    case CONDITION_WHEN:
    case CONDITION_ANY:
    case CONDITION_ALL:
    case CONDITION_NOT:
        break;
    }
    must(!"a leaf about the message");
    return false;
}

bool ask_recipient(const struct condition *c, const struct addressee *r)
{
    if (c->kind == CONDITION_RECIPIENT_CLASS)
        return (c->classes >> r->class & 1) != 0;
    if (c->kind == CONDITION_RECIPIENT_PATTERN)
        return matches_any(&c->values, r->key);
    uint32_t bit = c->kind == CONDITION_FIRST_CONTACT ? RELATION_FIRST_CONTACT
                   : c->kind == CONDITION_LOOK_ALIKE  ? RELATION_LOOK_ALIKE
                                                      : RELATION_MIXED_COMPANIES;
    return ((r->relations & bit) != 0) == c->flag;
}

static void write_header(const struct asking *a, const struct condition *c, struct buffer *out)
{
    size_t i = find_header(a, c->header);
    if (i == SIZE_MAX)
        return;
    const struct header_fact *h = &a->facts->headers[i];
    buffer_printf(out, "%s: %s", doc_show(h->name).at, doc_show(h->value).at);
}

static bool asks_for(const struct asking *a, const struct keyword_test *t,
                     const struct keyword_fact *k)
{
    for (size_t i = 0; i < t->dictionaries.count; i++)
        if (str_eq(t->dictionaries.at[i], k->dictionary))
            return k->place < MATCH_PLACES && (t->places >> k->place & 1) &&
                   keyword_count(a, t, i) >= t->at_least;
    return false;
}

static void write_keywords(const struct asking *a, const struct condition *c, struct buffer *out)
{
    static const char *const places[MATCH_PLACES] = {"subject", "body", "file_name", "file_text"};
    size_t shown = 0;
    for (size_t i = 0; i < a->facts->keyword_count && shown < SHOWN_MAX; i++) {
        const struct keyword_fact *k = &a->facts->keywords[i];
        if (!asks_for(a, c->keyword, k))
            continue;
        buffer_printf(out, "%s'%s' of %s in %s", shown++ ? "; " : "", doc_show(k->text).at,
                      doc_show(k->dictionary).at, places[k->place]);
        if (k->where.len)
            buffer_printf(out, " of %s", doc_show(k->where).at);
        buffer_printf(out, k->count == 1 ? ", once" : ", %u times", (unsigned)k->count);
    }
}

static void write_attachments(const struct asking *a, const struct condition *c, struct buffer *out)
{
    size_t shown = 0;
    for (size_t i = 0; i < a->facts->attachment_count && shown < SHOWN_MAX; i++) {
        const struct attachment *at = &a->facts->attachments[i];
        if (!is_like(a, c->attachments, i))
            continue;
        struct str name = at->path.len      ? at->path
                          : at->names.count ? at->names.at[0]
                                            : STR("(no name)");
        buffer_printf(out, "%s'%s' (%" PRIu64 " bytes)", shown++ ? "; " : "", doc_show(name).at,
                      at->bytes);
    }
}

static void write_reasons(const struct str_list *reasons, struct buffer *out)
{
    for (size_t i = 0; i < reasons->count && i < SHOWN_MAX; i++)
        buffer_printf(out, "%s%s", i ? "; " : "", doc_show(reasons->at[i]).at);
}

static void write_unreadable(const struct facts *f, struct buffer *out)
{
    size_t before = out->len;
    write_reasons(&f->unreadable, out);
    for (size_t i = 0; i < f->attachment_count && i < SHOWN_MAX; i++) {
        const struct attachment *at = &f->attachments[i];
        if (!(at->flags & ATTACHMENT_UNREADABLE))
            continue;
        struct str name = at->path.len ? at->path : at->names.count ? at->names.at[0] : STR("");
        buffer_printf(out, "%s'%s': %s", out->len > before ? "; " : "", doc_show(name).at,
                      doc_show(at->unreadable).at);
    }
}

static uint64_t counted(const struct asking *a, enum condition_kind kind)
{
    if (kind == CONDITION_EXTERNAL_RECIPIENTS)
        return a->external_recipients;
    if (kind == CONDITION_EXTERNAL_DOMAINS)
        return a->external_domains;
    if (kind == CONDITION_EXTERNAL_IN_HEADER)
        return a->external_in_header;
    if (kind == CONDITION_SIZE)
        return a->facts->size;
    return personal_of(a->facts, kind);
}

void ask_evidence(const struct asking *a, const struct condition *c, struct buffer *out)
{
    enum value_kind value = condition_rows[c->kind].value;
    if (c->kind == CONDITION_HEADER)
        write_header(a, c, out);
    else if (c->kind == CONDITION_KEYWORD)
        write_keywords(a, c, out);
    else if (c->kind == CONDITION_ATTACHMENTS)
        write_attachments(a, c, out);
    else if (value == VALUE_COUNT || value == VALUE_BYTES_COUNT)
        buffer_printf(out, "%" PRIu64, counted(a, c->kind));
    else if (c->kind == CONDITION_UNREADABLE && c->flag)
        write_unreadable(a->facts, out);
    else if (c->kind == CONDITION_AMBIGUOUS && c->flag)
        write_reasons(&a->facts->ambiguous, out);
    else if (c->kind == CONDITION_INFECTED && c->flag)
        write_reasons(&a->facts->infected, out);
}
