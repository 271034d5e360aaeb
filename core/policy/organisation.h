/* organisation.h -- a customer: its domains, people, groups and rules, as one immutable snapshot.
 *
 * Thread   any, once it is in a directory. Before, the one that reads it (rulefile.h) may still set
 *          password hashes.
 * Memory   everything lives in its arena and dies with it.
 * Cost     look-ups O(1) or O(log n), without allocation.
 */
#ifndef CORE_POLICY_ORGANISATION_H
#define CORE_POLICY_ORGANISATION_H

#include "core/base/calendar.h"
#include "core/base/map.h"
#include "core/policy/ruleset.h"

enum plan {
    PLAN_STANDARD,
    PLAN_SELF
};

enum {
    ROLE_ADMINISTRATOR = 1 << 0,
    ROLE_APPROVER = 1 << 1,
};

struct user {
    struct str address; /* local part as written */
    struct str key;     /* keyset.h */
    struct str name, supervisor;
    struct str password_hash;  /* PHC string; empty: no password, sign-in is refused */
    struct str password_scram; /* SCRAM-SHA-256$...; empty: that mechanism is refused */
    struct str password; /* plain; only when rulefile_options allow it, and never with a hash */
    uint32_t roles;
    struct str_list send_as;
    struct keyset send_as_keys;
    struct rule defaults; /* of its own mail, where no rule decides: hold and notice */
};

struct group {
    struct str name;
    struct str_list members;
    struct str mailbox; /* a shared mailbox's address, or empty */
    struct str mailbox_key;
    struct keyset keys; /* of members and mailbox */
    struct keyset member_keys;
};

/* Addresses and domains under one name: `recipient: {list: NAME}`. */
struct named_list {
    struct str name;
    struct str_list entries;
    struct keyset keys;
};

struct hours {
    uint16_t from, to; /* minutes of the day, 0 to 1440; `to` below `from`: over midnight */
};

/* Open on these days at these hours, and never on these holidays. */
struct opening {
    struct str name;
    uint8_t days; /* bit 0 is Monday; all of them when the file names none */
    const struct hours *hours;
    size_t hours_count;       /* 0: all day */
    bool japan;               /* Japanese holidays too */
    struct str_list holidays; /* "2026-12-29" */
    const struct calendar
        *calendar; /* the same, to be asked; NULL: without rulefile_options.zones */
};

struct dictionary {
    struct str name;
    struct str_list words, patterns;
    uint32_t line; /* in the file, for what is found out later */
};

struct organisation {
    struct arena arena;
    struct str name; /* a-z 0-9 - : in records, metrics and file names */
    enum plan plan;
    struct str language, time_zone;
    const struct zone *zone; /* NULL: not looked up */
    struct str_list domains, affiliates, hosts;
    struct keyset domain_keys, affiliate_keys;
    struct network *networks;
    size_t network_count;
    struct user *users;
    size_t user_count;
    struct group *groups;
    size_t group_count;
    struct named_list *lists;
    size_t list_count;
    struct opening *calendars; /* in this order a bit each of struct facts */
    size_t calendar_count;
    struct dictionary *dictionaries; /* in this order the numbers of match_pattern */
    size_t dictionary_count;
    struct ruleset rules;
    struct rule defaults;
    struct map user_index;  /* key -> struct user */
    struct map group_index; /* name -> struct group */
    struct map list_index, calendar_index, dictionary_index;
};

void organisation_drop(struct organisation **o);

/* By address, without case. NULL: none. */
const struct user *organisation_user(const struct organisation *o, struct str address);
const struct group *organisation_group(const struct organisation *o, struct str name);
const struct named_list *organisation_list(const struct organisation *o, struct str name);
const struct opening *organisation_calendar(const struct organisation *o, struct str name);
const struct dictionary *organisation_dictionary(const struct organisation *o, struct str name);

/* Of a domain in lower-case A-labels; the most specific entry decides. Literals are external. */
enum recipient_class organisation_class(const struct organisation *o, struct str domain);

/* A user sends as itself, as what it was granted, and as a shared mailbox of a group of its own. */
bool organisation_may_send(const struct organisation *o, const struct user *u, struct str address);

/* Members act for a shared mailbox: release and discard its mail. */
bool organisation_is_member(const struct group *g, const struct user *u);

/* Copies what is kept in place of a password, and forgets the plain one. Before directory_make()
 * only. */
NODISCARD bool organisation_set_hash(struct organisation *o, size_t user, struct str hash,
                                     struct str scram);

#endif
