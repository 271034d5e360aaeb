#include "core/coordinator/authority.h"

#include "core/base/id.h"
#include "core/coordinator/state.h"
#include "core/policy/directory.h"

/* Is `user` in a group whose shared mailbox is `sender`? */
static bool shares_mailbox(const struct organisation *o, const struct user *user, struct str sender)
{
    for (size_t i = 0; i < o->group_count; i++) {
        const struct group *g = &o->groups[i];
        if (g->mailbox.len && str_eq_nocase(g->mailbox, sender) && organisation_is_member(g, user))
            return true;
    }
    return false;
}

static bool may_act(const struct organisation *o, const struct user *user, const struct message *m)
{
    if (!str_eq(o->name, m->organisation))
        return false;
    if (user->roles & ROLE_ADMINISTRATOR)
        return true;
    /* who submitted it may, and whose address it left from */
    bool own = str_eq_nocase(user->address, m->user.len ? m->user : m->sender) ||
               str_eq_nocase(user->address, m->sender);
    return own || (m->sender.len && shares_mailbox(o, user, m->sender));
}

bool authority_may_act(const struct coordinator *c, struct str user_name, struct str organisation,
                       uint64_t id)
{
    const struct directory *d = c->publish.current->snapshot.directory;
    const struct organisation *o = NULL;
    if (user_name.len == 0)
        return true;
    const struct user *user = directory_user(d, user_name, &o);
    if (!user || (organisation.len && !str_eq(o->name, organisation)))
        return false;
    uint32_t partition = id_partition(id);
    if (id == 0 || partition >= c->set.partition_count)
        return false;
    struct message *m = view_get(c->set.partitions[partition].partition, id);
    bool may = m && may_act(o, user, m);
    if (m)
        message_drop(&m);
    return may;
}
