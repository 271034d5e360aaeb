/* mailbox_use.c -- lists of addresses over the fields of a mail, and what to cut out of one. */
#include "core/base/limit.h"
#include "core/mail/mailbox.h"

#include <stdlib.h>

/* ---- cutting */

/* One element of a list in its order: a mailbox, or a whole group. */
struct item {
    uint32_t start, end;
    bool removed;
};

struct cutter {
    const struct mailbox_list *list;
    const bool *remove;
    struct item *items;
    uint32_t item_count;
    struct mailbox_cuts *out;
};

static void add_item(struct cutter *c, uint32_t start, uint32_t end, bool removed)
{
    c->items[c->item_count++] = (struct item){start, end, removed};
}

static void add_cut(struct cutter *c, uint32_t start, uint32_t end)
{
    if (end > start)
        c->out->at[c->out->count++] = (struct cut){start, end - start};
}

/* With its comma: the one before it, or, where nothing is kept before it, the one behind it. Group
 * and list are told apart by the caller. */
static bool cut_items(struct cutter *c)
{
    const struct item *kept = NULL, *removed = NULL; /* since the last that was kept */
    for (uint32_t i = 0; i < c->item_count; i++) {
        const struct item *e = &c->items[i];
        if (e->removed) {
            if (kept)
                add_cut(c, e[-1].end, e->end);
            removed = removed ? removed : e;
            continue;
        }
        if (!kept && removed)
            add_cut(c, removed->start, e->start);
        kept = e;
    }
    return kept != NULL;
}

/* Mailboxes [*at, ...) of `group`, one item an element; true: all of them are removed. */
static bool collect_group(struct cutter *c, uint32_t *at, uint32_t group)
{
    bool all = true;
    const struct mailbox *m = c->list->at;
    for (; *at < c->list->count && m[*at].group == group; ++*at) {
        if (*at && m[*at].element == m[*at - 1].element)
            continue;
        add_item(c, m[*at].start, m[*at].end, c->remove[*at]);
        all &= c->remove[*at];
    }
    return all;
}

/* Members of groups that stay. Leaves where each group's mailboxes are to the list's turn. */
static void cut_groups(struct cutter *c)
{
    for (uint32_t at = 0; at < c->list->count;) {
        uint32_t group = c->list->at[at].group;
        c->item_count = 0;
        bool all = collect_group(c, &at, group);
        if (group && !all)
            (void)cut_items(c);
    }
}

static bool cut_list(struct cutter *c)
{
    const struct mailbox_list *l = c->list;
    uint32_t at = 0, group = 0;
    c->item_count = 0;
    while (at < l->count || group < l->group_count) {
        bool take_group = group < l->group_count && (at == l->count || l->at[at].group ||
                                                     l->groups[group].start < l->at[at].start);
        if (!take_group) {
            uint32_t first = at++;
            while (at < l->count && l->at[at].element == l->at[first].element)
                at++;
            add_item(c, l->at[first].start, l->at[first].end, c->remove[first]);
            continue;
        }
        bool all = true, any = false;
        for (; at < l->count && l->at[at].group == group + 1; at++) {
            all &= c->remove[at];
            any = true;
        }
        add_item(c, l->groups[group].start, l->groups[group].end, all && any);
        group++;
    }
    return cut_items(c);
}

static int order_cuts(const void *a, const void *b)
{
    const struct cut *one = a, *two = b;
    return one->offset < two->offset ? -1 : one->offset > two->offset;
}

bool mailbox_cut(const struct mailbox_list *list, const bool *remove, struct arena *arena,
                 struct mailbox_cuts *out)
{
    *out = (struct mailbox_cuts){.count = 0};
    size_t most = (size_t)list->count + list->group_count;
    if (most == 0)
        return true;
    out->at = arena_take(arena, 2 * most * sizeof *out->at);
    struct cutter c = {.list = list, .remove = remove, .out = out};
    c.items = arena_take(arena, most * sizeof *c.items);
    if (!out->at || !c.items)
        return false;
    cut_groups(&c);
    out->gone = !cut_list(&c);
    qsort(out->at, out->count, sizeof *out->at, order_cuts);
    return true;
}

/* ---- distinct addresses */

struct entry {
    const struct mailbox *mailbox;
    uint32_t number;
};

static int order_entries(const void *a, const void *b)
{
    const struct entry *one = a, *two = b;
    int order = str_compare(one->mailbox->address.domain, two->mailbox->address.domain);
    if (!order)
        order = str_compare(one->mailbox->address.local, two->mailbox->address.local);
    if (!order)
        order = one->number < two->number ? -1 : one->number > two->number;
    return order;
}

static int order_numbers(const void *a, const void *b)
{
    const struct entry *one = a, *two = b;
    return one->number < two->number ? -1 : one->number > two->number;
}

/* Leave the first of each address; it is a guess only where all of them are. */
static uint32_t drop_doubles(struct entry *e, struct mailbox *at, uint32_t count)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct mailbox *first = kept ? &at[e[kept - 1].number] : NULL;
        if (!first || !address_eq(&first->address, &e[i].mailbox->address)) {
            e[kept++] = e[i];
            continue;
        }
        first->guess &= e[i].mailbox->guess;
        first->doubts |= e[i].mailbox->doubts;
    }
    return kept;
}

static bool make_distinct(struct mailbox *at, uint32_t count, struct arena *arena,
                          struct mailbox_set *out)
{
    if (!count)
        return true;
    struct entry *e = arena_take(arena, count * sizeof *e);
    out->at = arena_take(arena, count * sizeof *out->at);
    if (!e || !out->at)
        return false;
    for (uint32_t i = 0; i < count; i++)
        e[i] = (struct entry){&at[i], i};
    qsort(e, count, sizeof *e, order_entries);
    out->count = drop_doubles(e, at, count);
    qsort(e, out->count, sizeof *e, order_numbers);
    for (uint32_t i = 0; i < out->count; i++)
        out->at[i] = at[e[i].number];
    return true;
}

static bool has_name(const struct header *h, const struct header_field *f, const struct str *names,
                     size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq_nocase(header_name(h, f), names[i]))
            return true;
    return false;
}

/* A field of that name stood before: RFC 5322 3.6 allows one. Resent fields may repeat. */
static bool is_repeated(const struct header *h, const struct header_field *f)
{
    struct str name = header_name(h, f);
    return !str_starts_nocase(name, STR("Resent-")) && header_find(h, name) != f;
}

bool mailbox_collect(const struct header *h, const struct str *names, size_t name_count,
                     struct arena *arena, struct mailbox_set *out)
{
    *out = (struct mailbox_set){.count = 0};
    struct buffer all;
    buffer_init(&all, LIMIT_MAILBOXES * sizeof(struct mailbox));
    uint32_t count = 0;
    bool ok = true;
    const struct header_field *f = header_fields(h), *end = f + h->count;
    for (; ok && f < end; f++) {
        struct mailbox_list list;
        if (!has_name(h, f, names, name_count))
            continue;
        ok = mailbox_read(header_value(h, f), arena, &list);
        out->doubts |= list.doubts | (is_repeated(h, f) ? MAILBOX_REPEATED : 0u);
        for (uint32_t i = 0; ok && i < list.count; i++) {
            if (list.at[i].status != ADDRESS_OK) {
                out->broken++;
            } else if (count == LIMIT_MAILBOXES) {
                out->doubts |= MAILBOX_LIMIT;
            } else {
                buffer_put(&all, str_from((const char *)&list.at[i], sizeof list.at[i]));
                ok = !all.full;
                count++;
            }
        }
    }
    ok = ok && make_distinct((struct mailbox *)(void *)all.at, count, arena, out);
    buffer_drop(&all);
    return ok;
}

/* ---- who it is from */

static const struct str from_names[] = {
    STR_INIT("From"),
    STR_INIT("Sender"),
    STR_INIT("Resent-From"),
    STR_INIT("Resent-Sender"),
};

static bool is_allowed(const struct mailbox *m, const struct address *allowed, size_t count)
{
    for (size_t i = 0; m->status == ADDRESS_OK && i < count; i++)
        if (address_eq(&m->address, &allowed[i]))
            return true;
    return false;
}

struct claimer {
    const struct address *allowed;
    size_t allowed_count;
    struct buffer all; /* of struct mailbox_claim */
    struct mailbox_claims *out;
};

static bool add_claims(struct claimer *c, struct str name, const struct mailbox_list *list)
{
    struct mailbox_claims *out = c->out;
    out->doubts |= list->doubts | (list->count > 1 ? MAILBOX_SEVERAL : 0u);
    out->all_agree &= list->count > 0;
    for (uint32_t i = 0; i < list->count; i++) {
        struct mailbox_claim claim = {name, &list->at[i], false};
        claim.agrees = is_allowed(claim.mailbox, c->allowed, c->allowed_count);
        out->all_agree &= claim.agrees;
        if (out->count == LIMIT_MAILBOXES) {
            out->doubts |= MAILBOX_LIMIT;
            out->all_agree = false;
            return true;
        }
        buffer_put(&c->all, str_from((const char *)&claim, sizeof claim));
        out->count++;
    }
    return !c->all.full;
}

bool mailbox_read_claims(const struct header *h, const struct address *allowed,
                         size_t allowed_count, struct arena *arena, struct mailbox_claims *out)
{
    *out = (struct mailbox_claims){.all_agree = true};
    struct claimer c = {.allowed = allowed, .allowed_count = allowed_count, .out = out};
    buffer_init(&c.all, LIMIT_MAILBOXES * sizeof(struct mailbox_claim));
    bool ok = true;
    const struct header_field *f = header_fields(h), *end = f + h->count;
    for (; ok && f < end; f++) {
        struct str name = header_name(h, f);
        struct mailbox_list list;
        if (!has_name(h, f, from_names, countof(from_names)))
            continue;
        out->from_fields += str_eq_nocase(name, from_names[0]);
        out->doubts |= is_repeated(h, f) ? MAILBOX_REPEATED : 0u;
        ok = mailbox_read(header_value(h, f), arena, &list) && add_claims(&c, name, &list);
    }
    out->all_agree &= out->from_fields > 0;
    if (ok && out->count) {
        out->at = arena_take(arena, c.all.len);
        ok = out->at != NULL;
        if (ok)
            memcpy(out->at, c.all.at, c.all.len);
    }
    buffer_drop(&c.all);
    return ok;
}
