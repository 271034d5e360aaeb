#include "core/policy/directory.h"

#include "core/base/base.h"
#include "core/base/heap.h"

/* What the users' map holds. */
struct membership {
    struct organisation *organisation;
    const struct user *user;
};

static struct str network_key(const struct network *n)
{
    return str_from((const char *)n, sizeof *n);
}

/* False: somebody else has it. */
static bool claim(struct map *m, struct str key, struct str shown, const char *what,
                  struct organisation *o, struct buffer *errors)
{
    const struct organisation *owner = map_get(m, key);
    if (!owner) {
        map_set(m, key, o);
        return true;
    }
    buffer_printf(errors, "%.*s: %s '%.*s' belongs to '%.*s'\n", STR_ARG(o->name), what,
                  STR_ARG(shown), STR_ARG(owner->name));
    return false;
}

static bool claim_texts(struct map *m, const struct str_list *list, const char *what,
                        struct organisation *o, struct buffer *errors)
{
    bool is_ours = true;
    for (size_t i = 0; i < list->count; i++) {
        struct key_room room;
        bool is_pattern = str_starts(list->at[i], STR("*."));
        struct str key = key_of(str_skip(list->at[i], is_pattern ? 1 : 0), &room);
        is_ours &= claim(m, key, list->at[i], what, o, errors);
    }
    return is_ours;
}

static bool claim_users(struct directory *d, struct organisation *o, struct buffer *errors)
{
    bool is_ours = true;
    for (size_t i = 0; i < o->user_count; i++) {
        const struct membership *other = map_get(&d->users, o->users[i].key);
        if (other) {
            buffer_printf(errors, "%.*s: user '%.*s' belongs to '%.*s'\n", STR_ARG(o->name),
                          STR_ARG(o->users[i].address), STR_ARG(other->organisation->name));
            is_ours = false;
            continue;
        }
        struct membership *m = heap_take(sizeof *m);
        *m = (struct membership){o, &o->users[i]};
        map_set(&d->users, o->users[i].key, m);
        d->passwords += o->users[i].password_hash.len || o->users[i].password_scram.len;
        d->scrams += o->users[i].password_scram.len > 0;
    }
    return is_ours;
}

static void note_prefix(struct directory *d, const struct network *n)
{
    size_t which = n->bytes == 16, at = 0;
    uint8_t *lengths = d->prefixes[which];
    while (at < d->prefix_count[which] && lengths[at] > n->bits)
        at++;
    if (at < d->prefix_count[which] && lengths[at] == n->bits)
        return;
    memmove(lengths + at + 1, lengths + at, d->prefix_count[which] - at);
    lengths[at] = n->bits;
    d->prefix_count[which]++;
}

static bool claim_networks(struct directory *d, struct organisation *o, struct buffer *errors)
{
    bool is_ours = true;
    for (size_t i = 0; i < o->network_count; i++) {
        char text[64];
        struct buffer shown = {.at = text, .room = sizeof text, .max = sizeof text};
        network_write(&o->networks[i], &shown);
        is_ours &= claim(&d->networks, network_key(&o->networks[i]), buffer_str(&shown), "network",
                         o, errors);
        note_prefix(d, &o->networks[i]);
    }
    return is_ours;
}

struct directory *directory_make(struct organisation *const *organisations, size_t count,
                                 struct buffer *errors)
{
    struct directory *d = heap_take(sizeof *d);
    bool is_good = true;
    d->at = heap_take(count * sizeof(struct organisation *));
    for (size_t i = 0; i < count; i++) {
        struct organisation *o = organisations[i];
        d->at[i] = o;
        is_good &= claim(&d->names, o->name, o->name, "the name", o, errors);
        is_good &= claim_texts(&d->domains, &o->domains, "domain", o, errors);
        is_good &= claim_texts(&d->hosts, &o->hosts, "host", o, errors);
        is_good &= claim_users(d, o, errors);
        is_good &= claim_networks(d, o, errors);
    }
    d->count = is_good ? count : 0;
    if (!is_good)
        directory_drop(&d);
    return d;
}

void directory_drop(struct directory **d)
{
    if (!*d)
        return;
    struct map_entry *at = NULL;
    struct str key;
    void *membership;
    while (map_next(&(*d)->users, &at, &key, &membership))
        heap_drop(membership);
    for (size_t i = 0; i < (*d)->count; i++)
        organisation_drop(&(*d)->at[i]);
    map_drop(&(*d)->names);
    map_drop(&(*d)->users);
    map_drop(&(*d)->domains);
    map_drop(&(*d)->hosts);
    map_drop(&(*d)->networks);
    heap_drop((*d)->at);
    heap_drop(*d);
    *d = NULL;
}

const struct organisation *directory_find(const struct directory *d, struct str name)
{
    return map_get(&d->names, name);
}

const struct user *directory_user(const struct directory *d, struct str login,
                                  const struct organisation **organisation)
{
    struct key_room room;
    const struct membership *m = map_get(&d->users, key_of(login, &room));
    if (organisation)
        *organisation = m ? m->organisation : NULL;
    return m ? m->user : NULL;
}

bool directory_offers_scram(const struct directory *d)
{
    return d->scrams > 0 && d->scrams == d->passwords;
}

const struct organisation *directory_by_network(const struct directory *d, const void *address,
                                                size_t bytes)
{
    struct network whole, n;
    if (!network_of(address, bytes, 0, &whole))
        return NULL;
    size_t which = whole.bytes == 16;
    for (size_t i = 0; i < d->prefix_count[which]; i++) {
        if (!network_of(address, bytes, d->prefixes[which][i], &n))
            continue;
        const struct organisation *o = map_get(&d->networks, network_key(&n));
        if (o)
            return o;
    }
    return NULL;
}

const struct organisation *directory_by_domain(const struct directory *d, struct str domain)
{
    struct key_room room;
    struct str key = key_of(domain, &room);
    const struct organisation *o = map_get(&d->domains, key);
    for (size_t i = 1; !o && i < key.len; i++)
        if (key.at[i] == '.')
            o = map_get(&d->domains, str_skip(key, i));
    return o;
}

const struct organisation *directory_by_host(const struct directory *d, struct str host)
{
    struct key_room room;
    return map_get(&d->hosts, key_of(host, &room));
}
