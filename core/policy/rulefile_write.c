/* An organisation in its canonical text. */
#include "core/base/base.h"
#include "core/base/setting_value.h"
#include "core/base/yaml.h"
#include "core/policy/rule_value.h"
#include "core/policy/rulefile.h"

static void write_pair(struct buffer *out, const char *before, const char *key, struct str value)
{
    if (value.len == 0)
        return;
    buffer_printf(out, "%s%s: ", before, key);
    doc_write_text(out, value);
}

static void write_texts(struct buffer *out, const struct str_list *list)
{
    buffer_putc(out, '[');
    for (size_t i = 0; i < list->count; i++) {
        buffer_puts(out, i ? ", " : "");
        doc_write_text(out, list->at[i]);
    }
    buffer_putc(out, ']');
}

static void write_line(struct buffer *out, const char *key, const struct str_list *list)
{
    if (list->count == 0)
        return;
    buffer_printf(out, "%s: ", key);
    write_texts(out, list);
    buffer_putc(out, '\n');
}

static void write_networks(struct buffer *out, const struct organisation *o)
{
    for (size_t i = 0; i < o->network_count; i++) {
        char text[64];
        struct buffer b = {.at = text, .room = sizeof text, .max = sizeof text};
        network_write(&o->networks[i], &b);
        buffer_puts(out, i ? ", " : "networks: [");
        doc_write_text(out, buffer_str(&b));
    }
    buffer_puts(out, o->network_count ? "]\n" : "");
}

static void write_actions(struct buffer *out, const struct actions *a)
{
    const char *between = "{";
    for (unsigned i = 0; i < ACTIONS; i++) {
        if (!(a->set >> i & 1))
            continue;
        buffer_printf(out, "%s%.*s: ", between, STR_ARG(action_rows[i].name));
        action_value_write(out, a, (enum action_kind)i);
        between = ", ";
    }
    buffer_putc(out, '}');
}

static void write_users(struct buffer *out, const struct organisation *o)
{
    buffer_puts(out, o->user_count ? "users:\n" : "");
    for (size_t i = 0; i < o->user_count; i++) {
        const struct user *u = &o->users[i];
        write_pair(out, "  - {", "address", u->address);
        write_pair(out, ", ", "name", u->name);
        write_pair(out, ", ", "password_hash", u->password_hash);
        write_pair(out, ", ", "password_scram", u->password_scram);
        write_pair(out, ", ", "password", u->password);
        write_pair(out, ", ", "supervisor", u->supervisor);
        if (u->roles)
            buffer_printf(out, ", roles: [%s%s%s]",
                          u->roles & ROLE_ADMINISTRATOR ? "administrator" : "",
                          u->roles == (ROLE_ADMINISTRATOR | ROLE_APPROVER) ? ", " : "",
                          u->roles & ROLE_APPROVER ? "approver" : "");
        if (u->send_as.count) {
            buffer_puts(out, ", send_as: ");
            write_texts(out, &u->send_as);
        }
        if (u->defaults.then.set) {
            buffer_puts(out, ", defaults: ");
            write_actions(out, &u->defaults.then);
        }
        buffer_puts(out, "}\n");
    }
}

static void write_groups(struct buffer *out, const struct organisation *o)
{
    buffer_puts(out, o->group_count ? "groups:\n" : "");
    for (size_t i = 0; i < o->group_count; i++) {
        const struct group *g = &o->groups[i];
        buffer_puts(out, "  ");
        doc_write_text(out, g->name);
        buffer_puts(out, g->mailbox.len ? ": {members: " : ": ");
        write_texts(out, &g->members);
        write_pair(out, ", ", "mailbox", g->mailbox);
        buffer_puts(out, g->mailbox.len ? "}\n" : "\n");
    }
}

static void write_lists(struct buffer *out, const struct organisation *o)
{
    buffer_puts(out, o->list_count ? "lists:\n" : "");
    for (size_t i = 0; i < o->list_count; i++) {
        buffer_puts(out, "  ");
        doc_write_text(out, o->lists[i].name);
        buffer_puts(out, ": ");
        write_texts(out, &o->lists[i].entries);
        buffer_putc(out, '\n');
    }
}

/* "key: [a, b]" with what stands before it. */
static void write_member(struct buffer *out, const char **before, const char *key,
                         const struct str_list *list)
{
    if (list->count == 0)
        return;
    buffer_printf(out, "%s%s: ", *before, key);
    write_texts(out, list);
    *before = ", ";
}

static void write_opening_hours(struct buffer *out, const struct opening *c)
{
    buffer_puts(out, "hours: ");
    for (size_t i = 0; i < c->hours_count; i++) {
        const struct hours *h = &c->hours[i];
        buffer_printf(out, "%s%02u:%02u-%02u:%02u",
                      i                    ? ", "
                      : c->hours_count > 1 ? "["
                                           : "",
                      h->from / 60u, h->from % 60u, h->to / 60u, h->to % 60u);
    }
    buffer_puts(out, c->hours_count > 1 ? "]" : "");
}

static void write_holidays(struct buffer *out, const struct opening *c)
{
    buffer_puts(out, c->japan ? "holidays: [japan" : "holidays: [");
    for (size_t i = 0; i < c->holidays.count; i++) {
        buffer_puts(out, i || c->japan ? ", " : "");
        doc_write_text(out, c->holidays.at[i]);
    }
    buffer_putc(out, ']');
}

static void write_calendars(struct buffer *out, const struct organisation *o)
{
    static const char days[] = "mon, tue, wed, thu, fri, sat, sun";
    buffer_puts(out, o->calendar_count ? "calendars:\n" : "");
    for (size_t i = 0; i < o->calendar_count; i++) {
        const struct opening *c = &o->calendars[i];
        buffer_puts(out, "  ");
        doc_write_text(out, c->name);
        buffer_puts(out, ": {days: [");
        const char *between = "";
        for (unsigned k = 0; k < 7; k++) {
            if (!(c->days >> k & 1))
                continue;
            buffer_printf(out, "%s%.3s", between, days + 5 * k);
            between = ", ";
        }
        buffer_putc(out, ']');
        if (c->hours_count) {
            buffer_puts(out, ", ");
            write_opening_hours(out, c);
        }
        if (c->japan || c->holidays.count) {
            buffer_puts(out, ", ");
            write_holidays(out, c);
        }
        buffer_puts(out, "}\n");
    }
}

static void write_dictionaries(struct buffer *out, const struct organisation *o)
{
    buffer_puts(out, o->dictionary_count ? "dictionaries:\n" : "");
    for (size_t i = 0; i < o->dictionary_count; i++) {
        const struct dictionary *d = &o->dictionaries[i];
        const char *before = "{";
        buffer_puts(out, "  ");
        doc_write_text(out, d->name);
        buffer_puts(out, ": ");
        write_member(out, &before, "words", &d->words);
        write_member(out, &before, "patterns", &d->patterns);
        buffer_puts(out, "}\n");
    }
}

static void write_opening(struct buffer *out, const struct condition *c)
{
    if (c->kind < CONDITION_LEAVES) {
        buffer_printf(out, "%.*s: ", STR_ARG(condition_rows[c->kind].name));
        condition_value_write(out, c);
    } else if (c->kind == CONDITION_WHEN) {
        buffer_putc(out, '{');
    } else {
        buffer_puts(out, c->kind == CONDITION_ANY   ? "any: ["
                         : c->kind == CONDITION_ALL ? "all: ["
                                                    : "not: ");
    }
}

/* A section's leaves stand side by side below one parent; `a` is before `b`. */
static bool shares_section(const struct rule *r, uint16_t a, uint16_t b, uint16_t parent_end)
{
    const struct condition *x = &r->conditions[a], *y = &r->conditions[b];
    return b < parent_end && x->kind < CONDITION_LEAVES && y->kind < CONDITION_LEAVES &&
           condition_rows[x->kind].section.len &&
           str_eq(condition_rows[x->kind].section, condition_rows[y->kind].section);
}

static void write_conditions(struct buffer *out, const struct rule *r)
{
    uint16_t open[3 * RULE_DEPTH_MAX + 1];
    size_t depth = 0;
    bool in_section = false, is_first = true;
    for (uint16_t i = 0; i < r->condition_count; i++) {
        const struct condition *c = &r->conditions[i];
        buffer_puts(out, is_first ? "" : ", ");
        is_first = false;
        bool has_section = c->kind < CONDITION_LEAVES && condition_rows[c->kind].section.len;
        if (has_section && !in_section)
            buffer_printf(out, "%.*s: {", STR_ARG(condition_rows[c->kind].section));
        write_opening(out, c);
        if (c->kind >= CONDITION_LEAVES) {
            must(depth < countof(open));
            open[depth++] = i;
            is_first = true;
            continue;
        }
        uint16_t next = (uint16_t)(i + 1);
        must(depth > 0); /* a leaf stands in a mapping */
        in_section = shares_section(r, i, next, r->conditions[open[depth - 1]].end);
        buffer_puts(out, in_section || !has_section ? "" : "}");
        while (depth && r->conditions[open[depth - 1]].end == next) {
            enum condition_kind kind = r->conditions[open[--depth]].kind;
            buffer_puts(out, kind == CONDITION_WHEN ? "}" : kind == CONDITION_NOT ? "" : "]");
        }
    }
}

void rulefile_write_rule(const struct rule *r, struct buffer *out)
{
    buffer_puts(out, r->condition_count ? "when: " : "");
    write_conditions(out, r);
    buffer_puts(out, r->condition_count ? ", then: " : "then: ");
    write_actions(out, &r->then);
}

static void write_defaults(struct buffer *out, const struct organisation *o)
{
    if (o->defaults.then.set) {
        buffer_puts(out, "defaults: ");
        write_actions(out, &o->defaults.then);
        buffer_putc(out, '\n');
    }
}

static void write_rules(struct buffer *out, const struct organisation *o)
{
    buffer_puts(out, o->rules.count ? "rules:\n" : "");
    for (size_t i = 0; i < o->rules.count; i++) {
        const struct rule *r = &o->rules.rules[i];
        write_pair(out, "  - ", "name", r->name);
        buffer_puts(out, r->condition_count ? "\n    when: " : "");
        write_conditions(out, r);
        buffer_puts(out, "\n    then: ");
        write_actions(out, &r->then);
        buffer_putc(out, '\n');
    }
    write_defaults(out, o);
}

static void write_people(struct buffer *out, const struct organisation *o)
{
    write_pair(out, "", "organisation", o->name);
    buffer_printf(out, "\nplan: %s\n", o->plan == PLAN_SELF ? "self" : "standard");
    write_pair(out, "", "language", o->language);
    write_pair(out, "\n", "time_zone", o->time_zone);
    buffer_putc(out, '\n');
    write_line(out, "domains", &o->domains);
    write_line(out, "affiliates", &o->affiliates);
    write_networks(out, o);
    write_line(out, "hosts", &o->hosts);
    write_users(out, o);
    write_groups(out, o);
    write_lists(out, o);
    write_calendars(out, o);
    write_dictionaries(out, o);
}

void rulefile_write_base(const struct organisation *o, struct buffer *out)
{
    write_people(out, o);
    write_defaults(out, o);
}

void rulefile_write(const struct organisation *o, struct buffer *out)
{
    write_people(out, o);
    write_rules(out, o);
}
