/* Users and groups. */
#include "core/base/base.h"
#include "core/base/base64.h"
#include "core/policy/rulefile_parts.h"

static const struct str role_names[] = {STR_INIT("administrator"), STR_INIT("approver")};

static struct str key_copy(struct reading *r, struct str address)
{
    struct key_room room;
    struct str key = arena_copy(r->d.arena, key_of(address, &room));
    if (!key.at)
        doc_error(&r->d, NULL, "the file is too large");
    return key;
}

static bool read_role(struct reading *r, const struct node *n, struct str *out)
{
    if (!read_text(r, n, out))
        return false;
    for (size_t i = 0; i < countof(role_names); i++)
        if (str_eq(role_names[i], *out))
            return true;
    doc_error_near(&r->d, n, setting_suggest(*out, role_names, countof(role_names)),
                   "'%s' is not administrator or approver", doc_show(*out).at);
    return false;
}

static void read_roles(struct reading *r, const struct node *n, struct user *u)
{
    struct str_list roles = read_list(r, n, read_role);
    for (size_t i = 0; i < roles.count; i++)
        u->roles |= str_eq(roles.at[i], role_names[0]) ? ROLE_ADMINISTRATOR : ROLE_APPROVER;
}

/* Whether it can be verified is crypto/credential's; here it only must not be something else. */
static void read_hash(struct reading *r, const struct node *n, struct user *u)
{
    if (!read_text(r, n, &u->password_hash))
        return;
    size_t parts = 0;
    for (size_t i = 0; i < u->password_hash.len; i++)
        parts += u->password_hash.at[i] == '$';
    if (!str_starts(u->password_hash, STR("$argon2id$v=19$m=")) || parts != 5)
        doc_error(&r->d, n, "password_hash: $argon2id$v=19$m=…,t=…,p=…$salt$hash is wanted");
}

static bool is_base64(struct str text, size_t least, size_t most)
{
    struct buffer b;
    buffer_init(&b, most + 4);
    bool good = base64_decode(text, BASE64_PADDED, &b) && b.len >= least && b.len <= most;
    buffer_drop(&b);
    return good;
}

/* SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey (RFC 5803, as PostgreSQL writes it) */
static void read_scram(struct reading *r, const struct node *n, struct user *u)
{
    const struct str prefix = STR("SCRAM-SHA-256$");
    uint64_t iterations;
    if (!read_text(r, n, &u->password_scram))
        return;
    struct str rest = str_skip(u->password_scram, prefix.len);
    bool good = str_starts(u->password_scram, prefix) &&
                str_number(str_cut(&rest, ':'), 1000000, &iterations) && iterations >= 4096 &&
                is_base64(str_cut(&rest, '$'), 8, 64) && is_base64(str_cut(&rest, ':'), 32, 32) &&
                is_base64(rest, 32, 32);
    if (!good)
        doc_error(&r->d, n,
                  "password_scram: SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey is wanted, "
                  "with 4096 iterations or more");
}

static void read_password(struct reading *r, const struct node *n, struct user *u)
{
    if (!r->options->allow_password)
        doc_error(&r->d, n->key, "`password` in plain text is for sandboxes; use password_hash");
    else if (u->password_hash.len || u->password_scram.len)
        doc_error(&r->d, n->key, "`password` beside password_hash or password_scram");
    else
        (void)read_text(r, n, &u->password);
}

static void read_grants(struct reading *r, const struct node *n, struct user *u)
{
    u->send_as = read_list(r, n, read_own);
    if (!keyset_make(r->d.arena, u->send_as.at, u->send_as.count, &u->send_as_keys))
        doc_error(&r->d, NULL, "the file is too large");
}

static void read_user(struct reading *r, const struct node *n, struct user *u)
{
    static const struct str keys[] = {
        STR_INIT("address"),  STR_INIT("name"),           STR_INIT("password_hash"),
        STR_INIT("password"), STR_INIT("password_scram"), STR_INIT("supervisor"),
        STR_INIT("roles"),    STR_INIT("send_as"),        STR_INIT("defaults"),
    };
    if (!want_map(r, n, "a user"))
        return;
    check_keys(r, n, "a user", keys, countof(keys));
    const struct node *value = node_get(n, STR("address"));
    if (!value) {
        doc_error(&r->d, n, "a user without `address`");
    } else if (read_own(r, value, &u->address)) {
        u->key = key_copy(r, u->address);
        if (map_get(&r->o->user_index, u->key))
            doc_error(&r->d, value, "user '%s' is there twice", doc_show(u->address).at);
        else
            map_set(&r->o->user_index, u->key, u);
    }
    if ((value = node_get(n, STR("name"))))
        (void)read_text(r, value, &u->name);
    if ((value = node_get(n, STR("supervisor"))))
        (void)read_address(r, value, &u->supervisor);
    if ((value = node_get(n, STR("password_hash"))))
        read_hash(r, value, u);
    if ((value = node_get(n, STR("password_scram"))))
        read_scram(r, value, u);
    if ((value = node_get(n, STR("password"))))
        read_password(r, value, u);
    if ((value = node_get(n, STR("roles"))))
        read_roles(r, value, u);
    if ((value = node_get(n, STR("send_as"))))
        read_grants(r, value, u);
    if ((value = node_get(n, STR("defaults"))))
        read_actions(r, value, "defaults", 1u << ACTION_HOLD | 1u << ACTION_NOTICE,
                     &u->defaults.then);
    actions_seal(&u->defaults.then);
}

static void read_members(struct reading *r, const struct node *n, struct group *g)
{
    const struct node *members = n, *mailbox = NULL;
    static const struct str keys[] = {STR_INIT("members"), STR_INIT("mailbox")};
    if (n->kind == NODE_MAP) {
        check_keys(r, n, "a group", keys, countof(keys));
        members = node_get(n, STR("members"));
        mailbox = node_get(n, STR("mailbox"));
        if (!members)
            doc_error(&r->d, n, "a group without `members`");
    }
    if (members)
        g->members = read_list(r, members, read_address);
    if (mailbox && read_own(r, mailbox, &g->mailbox))
        g->mailbox_key = key_copy(r, g->mailbox);
    struct str *all = take(r, (g->members.count + 1) * sizeof *all);
    if (!all)
        return;
    size_t count = 0;
    for (; count < g->members.count; count++)
        all[count] = g->members.at[count];
    if (g->mailbox_key.len)
        all[count++] = g->mailbox_key;
    if (!keyset_make(r->d.arena, all, g->members.count, &g->member_keys) ||
        !keyset_make(r->d.arena, all, count, &g->keys))
        doc_error(&r->d, NULL, "the file is too large");
}

void read_people(struct reading *r, const struct node *users, const struct node *groups)
{
    struct organisation *o = r->o;
    if (users && (users->kind != NODE_LIST || users->count == 0)) {
        doc_error(&r->d, users, "users: a list is wanted: - {address: alice@int.example}");
    } else if (users && (o->users = take(r, users->count * sizeof *o->users))) {
        for (const struct node *n = users->first; n; n = n->next)
            read_user(r, n, &o->users[o->user_count++]);
    }
    if (!groups || !want_map(r, groups, "groups"))
        return;
    o->groups = take(r, groups->count * sizeof *o->groups);
    for (const struct node *n = groups->first; n && o->groups; n = n->next) {
        struct group *g = &o->groups[o->group_count++];
        if (read_text(r, n->key, &g->name))
            map_set(&o->group_index, g->name, g);
        read_members(r, n, g);
    }
}
