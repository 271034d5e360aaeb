/* rulefile_parts.h -- what the parts of the rule file's reader share.
 *
 * Thread   as rulefile.h; one reading has one owner.
 * Errors   told through reading->d; each function then gives something empty and goes on, so that
 *          one reading finds all problems.
 */
#ifndef CORE_POLICY_RULEFILE_PARTS_H
#define CORE_POLICY_RULEFILE_PARTS_H

#include "core/base/yaml.h"
#include "core/mail/address.h"
#include "core/policy/rule_value.h"
#include "core/policy/rulefile.h"

struct reading {
    struct doc d;
    struct organisation *o;
    const struct rulefile_options *options;
};

/* One value to its one spelling; false: told. */
typedef bool read_fn(struct reading *r, const struct node *n, struct str *out);

read_fn read_text;    /* 1 to 256 bytes, no controls */
read_fn read_address; /* local@domain */
read_fn read_own;     /* the same, and its domain is the organisation's */
read_fn read_host;    /* a domain */
read_fn read_domain;  /* a domain or *.domain */
read_fn read_network; /* as network_write() spells it */
read_fn read_class;
read_fn read_group; /* the name of one that exists, as with the next three */
read_fn read_named_list;
read_fn read_calendar;
read_fn read_dictionary;
read_fn read_entry;     /* an address, a domain or *.domain */
read_fn read_pattern;   /* a text with *, in small letters */
read_fn read_extension; /* without its dot, in small letters */
read_fn read_header;    /* a field name */

/* A list, or one value for a list of one. An empty list and a value given twice are told. */
struct str_list read_list(struct reading *r, const struct node *n, read_fn *one);

bool want_map(struct reading *r, const struct node *n, const char *what);

/* Tells unknown keys of a mapping. */
void check_keys(struct reading *r, const struct node *map, const char *what,
                const struct str *names, size_t count);

/* Stops reading for want of memory: it is told, and NULL is returned. */
void *take(struct reading *r, size_t bytes);

/* The text as one of "a|b|c"; false: told, with `what` before it. */
bool read_word_of(struct reading *r, const struct node *n, const char *what, const char *words,
                  uint32_t *out);

/* A value of rule.def into its field. */
void read_value(struct reading *r, const struct node *n, const struct part_row *row, void *at);

/* A mapping whose keys are the part rows of `owner`, into its struct. */
void read_parts(struct reading *r, const struct node *n, uint32_t owner, const char *what,
                void *base);

/* Is a row of rule.def in use here? */
bool is_offered(const struct reading *r, unsigned since);
void tell_later(struct reading *r, const struct node *key);

/* All of `then`, `defaults`; `allowed` are bits 1 << enum action_kind. */
void read_actions(struct reading *r, const struct node *map, const char *what, uint32_t allowed,
                  struct actions *a);

void read_people(struct reading *r, const struct node *users, const struct node *groups);
void read_rules(struct reading *r, const struct node *rules, const struct node *defaults);
void read_lists(struct reading *r, const struct node *n);
void read_calendars(struct reading *r, const struct node *n);
void read_dictionaries(struct reading *r, const struct node *n);

#endif
