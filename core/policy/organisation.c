#include "core/policy/organisation.h"

#include "core/base/base.h"
#include "core/base/heap.h"

void organisation_drop(struct organisation **o)
{
    if (!*o)
        return;
    map_drop(&(*o)->user_index);
    map_drop(&(*o)->group_index);
    map_drop(&(*o)->list_index);
    map_drop(&(*o)->calendar_index);
    map_drop(&(*o)->dictionary_index);
    arena_drop(&(*o)->arena);
    heap_drop(*o);
    *o = NULL;
}

const struct user *organisation_user(const struct organisation *o, struct str address)
{
    struct key_room room;
    return map_get(&o->user_index, key_of(address, &room));
}

const struct group *organisation_group(const struct organisation *o, struct str name)
{
    return map_get(&o->group_index, name);
}

const struct named_list *organisation_list(const struct organisation *o, struct str name)
{
    return map_get(&o->list_index, name);
}

const struct opening *organisation_calendar(const struct organisation *o, struct str name)
{
    return map_get(&o->calendar_index, name);
}

const struct dictionary *organisation_dictionary(const struct organisation *o, struct str name)
{
    return map_get(&o->dictionary_index, name);
}

enum recipient_class organisation_class(const struct organisation *o, struct str domain)
{
    struct key_room room;
    struct str key = key_of(domain, &room);
    struct str own = keyset_domain(&o->domain_keys, key);
    struct str affiliate = keyset_domain(&o->affiliate_keys, key);
    if (own.len == 0 && affiliate.len == 0)
        return CLASS_EXTERNAL;
    return own.len >= affiliate.len ? CLASS_INTERNAL : CLASS_AFFILIATE;
}

bool organisation_is_member(const struct group *g, const struct user *u)
{
    return keyset_has(&g->member_keys, u->key);
}

bool organisation_may_send(const struct organisation *o, const struct user *u, struct str address)
{
    struct key_room room;
    struct str key = key_of(address, &room);
    if (key.len == 0)
        return false;
    if (str_eq(key, u->key) || keyset_has(&u->send_as_keys, key))
        return true;
    for (size_t i = 0; i < o->group_count; i++)
        if (str_eq(o->groups[i].mailbox_key, key) && organisation_is_member(&o->groups[i], u))
            return true;
    return false;
}

bool organisation_set_hash(struct organisation *o, size_t user, struct str hash, struct str scram)
{
    struct str copy = arena_copy(&o->arena, hash), verifier = arena_copy(&o->arena, scram);
    if (!copy.at || !verifier.at)
        return false;
    o->users[user].password_hash = copy;
    o->users[user].password_scram = verifier;
    o->users[user].password = STR("");
    return true;
}
