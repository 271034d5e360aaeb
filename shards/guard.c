#include "shards/guard.h"

#include "core/base/heap.h"
#include "core/base/limit.h"
#include "core/base/map.h"
#include "core/base/random.h"

enum {
    MINUTE_MS = 60000,
    HOUR_MS = 3600000,
    NET_BYTES = 8,        /* of an IPv6 address: a /64 */
    NAME_BYTES_MAX = 512, /* address and user name; what is longer is cut before it is hashed */
};

_Static_assert((LIMIT_GUARD_ENTRIES & (LIMIT_GUARD_ENTRIES - 1)) == 0, "a mask of buckets");

/* ---- settings */

void guard_use(struct guard *g, const struct settings *s)
{
    const struct guard_limits all = {
        .connections = UINT32_MAX,
        .rate = {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX,
                 UINT32_MAX},
    };
    g->limits[GUARD_CLIENT] = (struct guard_limits){
        .connections = s->connections_per_client,
        .rate = {s->connects_per_client_minute, s->errors_per_client_minute,
                 s->auth_failures_per_client, s->messages_per_client_minute,
                 s->messages_per_client_hour, s->recipients_per_client_minute,
                 s->recipients_per_client_hour},
    };
    g->limits[GUARD_RELAY] = (struct guard_limits){
        .connections = s->connections_per_relay,
        .rate = {s->connects_per_relay_minute, s->errors_per_relay_minute,
                 s->auth_failures_per_client, s->messages_per_relay_minute,
                 s->messages_per_relay_hour, s->recipients_per_relay_minute,
                 s->recipients_per_relay_hour},
    };
    g->limits[GUARD_USER] = (struct guard_limits){
        .connections = s->connections_per_user,
        .rate = {UINT32_MAX, UINT32_MAX, UINT32_MAX, s->messages_per_user_minute,
                 s->messages_per_user_hour, s->recipients_per_user_minute,
                 s->recipients_per_user_hour},
    };
    g->limits[GUARD_ORGANISATION] = all;
    g->limits[GUARD_ORGANISATION].connections = s->connections_per_organisation;
    g->limits[GUARD_ORGANISATION].rate[GUARD_MESSAGES_HOUR] = s->messages_per_organisation_hour;
    g->limits[GUARD_ORGANISATION].rate[GUARD_RECIPIENTS_HOUR] = s->recipients_per_organisation_hour;
    g->limits[GUARD_LOGIN] = all;
    g->limits[GUARD_LOGIN].rate[GUARD_FAILURES] = s->auth_failures_per_user;
    g->failures_max = s->auth_failures;
    g->auth_window_ms = s->auth_window;
    g->auth_lockout_ms = s->auth_lockout;
}

/* ---- windows */

static uint64_t length_of(const struct guard *g, enum guard_rate rate)
{
    if (rate == GUARD_FAILURES)
        return g->auth_window_ms;
    return rate == GUARD_MESSAGES_HOUR || rate == GUARD_RECIPIENTS_HOUR ? HOUR_MS : MINUTE_MS;
}

static void window_turn(struct guard_window *w, uint64_t length_ms, uint64_t now_ms)
{
    uint32_t number = (uint32_t)(now_ms / length_ms);
    if (number == w->number)
        return;
    w->before = number == w->number + 1 ? w->now : 0;
    w->now = 0;
    w->number = number;
}

static uint64_t window_used(struct guard_window *w, uint64_t length_ms, uint64_t now_ms)
{
    window_turn(w, length_ms, now_ms);
    return w->now + w->before * (length_ms - now_ms % length_ms) / length_ms;
}

static void window_add(struct guard_window *w, uint64_t length_ms, uint32_t count, uint64_t now_ms)
{
    window_turn(w, length_ms, now_ms);
    if (__builtin_add_overflow(w->now, count, &w->now))
        w->now = UINT32_MAX;
}

static bool has_room(const struct guard *g, struct guard_entry *e, enum guard_rate rate,
                     uint64_t now_ms)
{
    return !e || window_used(&e->window[rate], length_of(g, rate), now_ms) <
                     g->limits[e->kind].rate[rate];
}

static void add(const struct guard *g, struct guard_entry *e, enum guard_rate rate, uint32_t count,
                uint64_t now_ms)
{
    if (e)
        window_add(&e->window[rate], length_of(g, rate), count, now_ms);
}

/* ---- entries */

struct key {
    uint64_t at[2];
};

/* Two hashes with secret seeds stand for the name: 128 bits that nobody can aim at. */
static struct key key_of(const struct guard *g, enum guard_kind kind, struct str name)
{
    bool is_address = kind == GUARD_CLIENT || kind == GUARD_RELAY;
    if (is_address && name.len == 16)
        name = str_head(name, NET_BYTES);
    return (struct key){{hash_bytes(name, g->seed[0]), hash_bytes(name, g->seed[1])}};
}

static struct guard_entry **find(const struct guard_table *t, struct key k)
{
    struct guard_entry **at = &t->bucket[k.at[0] & (LIMIT_GUARD_ENTRIES - 1)];
    while (*at && ((*at)->key[0] != k.at[0] || (*at)->key[1] != k.at[1]))
        at = &(*at)->next;
    return at;
}

static void forget(struct guard_table *t, struct guard_entry *e)
{
    struct guard_entry **at = find(t, (struct key){{e->key[0], e->key[1]}});
    must(*at == e && e->connections == 0);
    *at = e->next;
    list_remove(&e->idle);
    slab_give(&t->entries, e);
}

static struct guard_entry *look(const struct guard *g, enum guard_kind kind, struct str name)
{
    return *find(&g->table[kind], key_of(g, kind, name));
}

/* The entry, made if need be; it has a turn at the end of the idle ones. NULL: FULL. */
static struct guard_entry *touch(struct guard *g, enum guard_kind kind, struct str name)
{
    struct guard_table *t = &g->table[kind];
    struct key k = key_of(g, kind, name);
    struct guard_entry *e = *find(t, k);
    if (!e) {
        if (t->entries.used == LIMIT_GUARD_ENTRIES && !list_empty(&t->idle))
            forget(t, owner_of(t->idle.next, struct guard_entry, idle));
        e = slab_take(&t->entries);
        if (!e)
            return NULL;
        e->kind = kind;
        memcpy(e->key, k.at, sizeof e->key);
        struct guard_entry **at = find(t, k);
        e->next = *at;
        *at = e;
    }
    list_remove(&e->idle);
    if (e->connections == 0)
        list_append(&t->idle, &e->idle);
    return e;
}

enum guard_verdict guard_open(struct guard *g, enum guard_kind kind, struct str name,
                              uint64_t now_ms, struct guard_entry **entry)
{
    const struct guard_limits *limits = &g->limits[kind];
    struct guard_entry *e = touch(g, kind, name);
    *entry = NULL;
    if (!e)
        return GUARD_FULL;
    bool has_rate = has_room(g, e, GUARD_CONNECTS, now_ms);
    add(g, e, GUARD_CONNECTS, 1, now_ms); /* those that are refused cost us, too */
    if (e->connections >= limits->connections)
        return GUARD_CONNECTIONS;
    if (!has_rate)
        return GUARD_RATE;
    if (!has_room(g, e, GUARD_ERRORS, now_ms))
        return GUARD_FAULTS;
    list_remove(&e->idle);
    e->connections++;
    e->told = false;
    *entry = e;
    return GUARD_OK;
}

void guard_close(struct guard *g, struct guard_entry **entry)
{
    struct guard_entry *e = *entry;
    *entry = NULL;
    if (e && --e->connections == 0)
        list_append(&g->table[e->kind].idle, &e->idle);
}

bool guard_is_news(struct guard *g, enum guard_kind kind, struct str name)
{
    struct guard_entry *e = look(g, kind, name);
    bool news = e && !e->told;
    if (e)
        e->told = true;
    return news;
}

bool guard_is(const struct guard *g, const struct guard_entry *e, struct str name)
{
    struct key k = key_of(g, e->kind, name);
    return e->key[0] == k.at[0] && e->key[1] == k.at[1];
}

/* ---- mail */

static bool take(struct guard *g, const struct guard_party *p, enum guard_rate minute,
                 enum guard_rate hour, uint64_t now_ms)
{
    struct guard_entry *const all[] = {p->client, p->user, p->organisation};
    for (size_t i = 0; i < countof(all); i++)
        if (!has_room(g, all[i], minute, now_ms) || !has_room(g, all[i], hour, now_ms))
            return false;
    for (size_t i = 0; i < countof(all); i++) {
        add(g, all[i], minute, 1, now_ms);
        add(g, all[i], hour, 1, now_ms);
    }
    return true;
}

bool guard_message(struct guard *g, const struct guard_party *p, uint64_t now_ms)
{
    return take(g, p, GUARD_MESSAGES_MINUTE, GUARD_MESSAGES_HOUR, now_ms);
}

bool guard_recipient(struct guard *g, const struct guard_party *p, uint64_t now_ms)
{
    return take(g, p, GUARD_RECIPIENTS_MINUTE, GUARD_RECIPIENTS_HOUR, now_ms);
}

void guard_errors(struct guard *g, struct guard_entry *client, uint32_t count, uint64_t now_ms)
{
    add(g, client, GUARD_ERRORS, count, now_ms);
}

/* ---- AUTH */

struct name {
    char at[NAME_BYTES_MAX];
    size_t len;
};

static void put(struct name *n, struct str s)
{
    for (size_t i = 0; i < s.len && n->len < sizeof n->at; i++)
        n->at[n->len++] = char_lower(s.at[i]);
}

/* A user name as the directory reads it: without case. */
static struct name name_of(struct str user)
{
    struct name n = {.len = 0};
    put(&n, STR("u"));
    put(&n, user);
    return n;
}

static struct name friend_of(struct str address, struct str user)
{
    struct name n = {.len = 0};
    put(&n, STR("f"));
    struct str net = address.len == 16 ? str_head(address, NET_BYTES) : address;
    memcpy(n.at + n.len, net.at, net.len); /* bytes, not letters */
    n.len += net.len;
    put(&n, user);
    return n;
}

static struct str name_str(const struct name *n)
{
    return str_from(n->at, n->len);
}

bool guard_login(struct guard *g, const struct guard_entry *client, struct str address,
                 struct str user, uint64_t now_ms)
{
    struct name f = friend_of(address, user), n = name_of(user);
    if (look(g, GUARD_LOGIN, name_str(&f)))
        return true;
    if (client && now_ms < client->locked_until_ms)
        return false;
    if (window_used(&g->failures, g->auth_window_ms, now_ms) >= g->failures_max)
        return false;
    return has_room(g, look(g, GUARD_LOGIN, name_str(&n)), GUARD_FAILURES, now_ms);
}

static void fail_friend(struct guard *g, struct guard_entry *e, uint64_t now_ms)
{
    add(g, e, GUARD_FAILURES, 1, now_ms);
    if (window_used(&e->window[GUARD_FAILURES], g->auth_window_ms, now_ms) >=
        g->limits[GUARD_CLIENT].rate[GUARD_FAILURES])
        forget(&g->table[GUARD_LOGIN], e);
}

/* NOLINTNEXTLINE(readability-function-size): the contract's parameters */
bool guard_login_done(struct guard *g, struct guard_entry *client, struct str address,
                      struct str user, bool good, uint64_t now_ms)
{
    struct name f = friend_of(address, user), n = name_of(user);
    if (good) {
        (void)touch(g, GUARD_LOGIN, name_str(&f));
        return false;
    }
    struct guard_entry *friend = look(g, GUARD_LOGIN, name_str(&f));
    if (friend)
        fail_friend(g, friend, now_ms);
    add(g, touch(g, GUARD_LOGIN, name_str(&n)), GUARD_FAILURES, 1, now_ms);
    window_add(&g->failures, g->auth_window_ms, 1, now_ms);
    add(g, client, GUARD_FAILURES, 1, now_ms);
    if (has_room(g, client, GUARD_FAILURES, now_ms) || now_ms < client->locked_until_ms)
        return false;
    client->locked_until_ms = now_ms + g->auth_lockout_ms;
    return true;
}

/* ---- life */

void guard_init(struct guard *g)
{
    *g = (struct guard){.seed = {random_u64(), random_u64()}};
    for (size_t i = 0; i < GUARD_KINDS; i++) {
        struct guard_table *t = &g->table[i];
        slab_init(&t->entries, sizeof(struct guard_entry), LIMIT_GUARD_ENTRIES);
        list_init(&t->idle);
        t->bucket = heap_take(LIMIT_GUARD_ENTRIES * sizeof(struct guard_entry *));
    }
}

void guard_drop(struct guard *g)
{
    for (size_t i = 0; i < GUARD_KINDS; i++) {
        slab_drop(&g->table[i].entries);
        heap_drop(g->table[i].bucket);
    }
}
