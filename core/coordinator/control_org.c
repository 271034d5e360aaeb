/* control_org.c -- verbs about organisations and users.
 *
 * A change of a user is a change of its organisation's document: read, edited, written, and then
 * the same way as an import. So what the registry holds is always a text that a person could have
 * imported, and every change is checked as a whole.
 */
#include "core/coordinator/control.h"
#include "core/coordinator/state.h"
#include "core/policy/directory.h"
#include "core/policy/rulefile.h"
#include "storage/partition.h"

enum {
    ERROR_BYTES = 256 << 10
};

static const struct directory *directory_of(const struct coordinator *c)
{
    return c->publish.current->snapshot.directory;
}

static bool adopted_step(struct coordinator *c, struct client *client)
{
    if (!publish_settled(c) && c->now.monotonic_ms < client->until_ms)
        return false;
    client->waiting = false;
    control_end(client, 0, STR(""));
    return true;
}

/* Store and publish; the end is written now when it is refused, else once all workers use it. */
static void apply(struct coordinator *c, struct client *client, struct str name, struct str text)
{
    struct buffer errors;
    buffer_init(&errors, ERROR_BYTES);
    if (publish_organisation(c, name, text, &errors)) {
        client->until_ms = c->now.monotonic_ms + CONTROL_ADOPT_MS;
        client->waiting = true;
        client->step = adopted_step;
    } else {
        control_end(client, 1, str_trim(buffer_str(&errors)));
    }
    buffer_drop(&errors);
}

/* What apply() stores is what we would export, never the sender's own spelling. */
static void apply_organisation(struct coordinator *c, struct client *client,
                               const struct organisation *o)
{
    struct buffer text;
    buffer_init(&text, RULEFILE_BYTES_MAX);
    rulefile_write(o, &text);
    if (text.full)
        control_end(client, 1, STR("the organisation is too large"));
    else
        apply(c, client, o->name, buffer_str(&text));
    buffer_drop(&text);
}

void control_on_org_import(struct coordinator *c, struct client *client)
{
    struct buffer errors;
    const struct rulefile_options options = {.zones = c->set.zones};
    buffer_init(&errors, ERROR_BYTES);
    struct organisation *o =
        rulefile_read(request_str(&client->request, "text"), "import", &options, &errors);
    if (o)
        apply_organisation(c, client, o);
    else
        control_end(client, 1, str_trim(buffer_str(&errors)));
    organisation_drop(&o);
    buffer_drop(&errors);
}

static const struct organisation *find_organisation(struct coordinator *c, struct client *client,
                                                    const char *argument)
{
    struct str name = request_str(&client->request, argument);
    const struct organisation *o = directory_find(directory_of(c), name);
    if (!o)
        control_endf(client, 1, "no organisation '%.*s'", (int)size_min(name.len, 80), name.at);
    return o;
}

void control_on_org_export(struct coordinator *c, struct client *client)
{
    struct buffer text;
    const struct organisation *o = find_organisation(c, client, "name");
    if (!o)
        return;
    buffer_init(&text, RULEFILE_BYTES_MAX);
    rulefile_write(o, &text);
    struct js_writer w = control_row_begin(client);
    js_str(&w, "name", o->name);
    js_str(&w, "text", buffer_str(&text));
    control_row_end(client, &w);
    control_end(client, text.full, text.full ? STR("the organisation is too large") : STR(""));
    buffer_drop(&text);
}

static void put_list(struct js_writer *w, const char *key, const struct str_list *list)
{
    js_begin(w, key, '[');
    for (size_t i = 0; i < list->count; i++)
        js_str(w, NULL, list->at[i]);
    js_end(w, ']');
}

void control_on_org_list(struct coordinator *c, struct client *client)
{
    const struct directory *d = directory_of(c);
    for (size_t i = 0; i < d->count; i++) {
        const struct organisation *o = d->at[i];
        struct js_writer w = control_row_begin(client);
        js_str(&w, "name", o->name);
        js_text(&w, "plan", o->plan == PLAN_SELF ? "self" : "standard");
        put_list(&w, "domains", &o->domains);
        js_u64(&w, "users", o->user_count);
        js_u64(&w, "rules", o->rules.count);
        control_row_end(client, &w);
    }
    control_end(client, 0, STR(""));
}

void control_on_org_remove(struct coordinator *c, struct client *client)
{
    const struct organisation *o = find_organisation(c, client, "name");
    if (o)
        apply(c, client, o->name, STR(""));
}

/* --- users ----------------------------------------------------------------------------------- */

static void put_users(struct client *client, const struct organisation *o)
{
    for (size_t i = 0; i < o->user_count; i++) {
        const struct user *u = &o->users[i];
        struct js_writer w = control_row_begin(client);
        js_str(&w, "address", u->address);
        js_str(&w, "org", o->name);
        js_str(&w, "name", u->name);
        js_begin(&w, "roles", '[');
        if (u->roles & ROLE_ADMINISTRATOR)
            js_text(&w, NULL, "administrator");
        if (u->roles & ROLE_APPROVER)
            js_text(&w, NULL, "approver");
        js_end(&w, ']');
        js_flag(&w, "password", u->password_hash.len || u->password_scram.len);
        js_flag(&w, "scram", u->password_scram.len > 0);
        control_row_end(client, &w);
    }
}

static bool user_list_step(struct coordinator *c, struct client *client)
{
    const struct directory *d = directory_of(c);
    for (unsigned n = 0; n < 16 && client->partition < d->count && control_has_room(client); n++)
        put_users(client, d->at[client->partition++]);
    if (client->partition < d->count)
        return false;
    control_end(client, 0, STR(""));
    return true;
}

void control_on_user_list(struct coordinator *c, struct client *client)
{
    if (!request_has(&client->request, "org")) {
        client->step = user_list_step;
        return;
    }
    const struct organisation *o = find_organisation(c, client, "org");
    if (!o)
        return;
    put_users(client, o);
    control_end(client, 0, STR(""));
}

/* The organisation as a copy that may be edited. */
static struct organisation *open_document(struct coordinator *c, struct client *client,
                                          const struct organisation *o)
{
    struct buffer text;
    struct buffer errors;
    const struct rulefile_options options = {.zones = c->set.zones};
    buffer_init(&text, RULEFILE_BYTES_MAX);
    buffer_init(&errors, ERROR_BYTES);
    rulefile_write(o, &text);
    struct organisation *copy = rulefile_read(buffer_str(&text), "registry", &options, &errors);
    if (!copy)
        control_end(client, 1, str_trim(buffer_str(&errors)));
    buffer_drop(&text);
    buffer_drop(&errors);
    return copy;
}

static bool parse_roles(struct client *client, uint32_t *roles)
{
    struct str text = request_str(&client->request, "roles");
    *roles = 0;
    while (text.len) {
        struct str role = str_trim(str_cut(&text, ','));
        if (str_eq(role, STR("administrator")))
            *roles |= ROLE_ADMINISTRATOR;
        else if (str_eq(role, STR("approver")))
            *roles |= ROLE_APPROVER;
        else if (!str_eq(role, STR("none"))) {
            control_endf(client, 2, "'%.*s' is no role; allowed are approver, administrator, none",
                         (int)size_min(role.len, 40), role.at);
            return false;
        }
    }
    return true;
}

/* The organisation of the user that the request names, as a copy, and the user's index in it. NULL:
 * the end was written. */
static struct organisation *open_user(struct coordinator *c, struct client *client, size_t *index)
{
    struct str address = request_str(&client->request, "address");
    const struct organisation *o = NULL;
    const struct user *user = directory_user(directory_of(c), address, &o);
    if (!user) {
        control_endf(client, 1, "no user '%.*s'", (int)size_min(address.len, 320), address.at);
        return NULL;
    }
    *index = (size_t)(user - o->users);
    return open_document(c, client, o);
}

void control_on_user_add(struct coordinator *c, struct client *client)
{
    uint32_t roles;
    struct str address = request_str(&client->request, "address");
    const struct organisation *current = find_organisation(c, client, "org");
    if (!current || !parse_roles(client, &roles))
        return;
    if (directory_user(directory_of(c), address, NULL)) {
        control_end(client, 1, STR("this user is there already"));
        return;
    }
    struct organisation *o = open_document(c, client, current);
    if (!o)
        return;
    struct user *users = arena_take(&o->arena, (o->user_count + 1) * sizeof *users);
    if (users) {
        if (o->user_count)
            memcpy(users, o->users, o->user_count * sizeof *users);
        users[o->user_count++] =
            (struct user){.address = address,
                          .name = request_str(&client->request, "name"),
                          .password_hash = request_str(&client->request, "hash"),
                          .password_scram = request_str(&client->request, "scram"),
                          .roles = roles};
        o->users = users;
        apply_organisation(c, client, o);
    } else {
        control_end(client, 1, STR("the organisation is too large"));
    }
    organisation_drop(&o);
}

void control_on_user_remove(struct coordinator *c, struct client *client)
{
    size_t index;
    struct organisation *o = open_user(c, client, &index);
    if (!o)
        return;
    o->user_count--;
    memmove(&o->users[index], &o->users[index + 1], (o->user_count - index) * sizeof *o->users);
    apply_organisation(c, client, o);
    organisation_drop(&o);
}

void control_on_user_password(struct coordinator *c, struct client *client)
{
    size_t index;
    struct organisation *o = open_user(c, client, &index);
    if (!o)
        return;
    o->users[index].password_hash = request_str(&client->request, "hash");
    o->users[index].password_scram = request_str(&client->request, "scram"); /* old one: gone */
    apply_organisation(c, client, o);
    organisation_drop(&o);
}

void control_on_user_grant(struct coordinator *c, struct client *client)
{
    size_t index;
    uint32_t roles;
    if (!parse_roles(client, &roles))
        return;
    struct organisation *o = open_user(c, client, &index);
    if (!o)
        return;
    o->users[index].roles = roles;
    apply_organisation(c, client, o);
    organisation_drop(&o);
}
