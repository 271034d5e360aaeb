#include "shards/login.h"

#include "core/base/counter.h"
#include "core/base/heap.h"
#include "core/base/log.h"
#include "core/policy/directory.h"
#include "shards/labour.h"

struct login {
    struct shard *shard;
    struct handle intake;
    bool known;
};

static void checked(struct waiter *w, const struct cell *answer)
{
    struct login *l = w->owner;
    struct shard *s = l->shard;
    struct work *work = answer->object;
    bool good = l->known && work->good;
    struct intake *i = slab_get(&s->intakes, l->intake);
    work_drop(&work);
    heap_drop(l);
    s->logins_waiting--;
    if (!i || i->wait != WAIT_LOGIN)
        return;
    if (!good) {
        count(smtpd_auth_failed);
        log_info("auth_failed", log_text("client", i->client_text.at),
                 log_str("user", buffer_str(&i->session.auth_user)));
    }
    intake_settle_login(i, good ? REPLY_235_AUTHENTICATED : REPLY_535_AUTH);
}

void login_begin(struct intake *i)
{
    struct shard *s = i->shard;
    if (s->logins_waiting >= LOGINS_WAITING_MAX) {
        intake_settle_login(i, REPLY_454_AUTH);
        return;
    }
    const struct user *u =
        directory_user(s->snapshot->directory, buffer_str(&i->session.auth_user), NULL);
    struct work *work = work_make(WORK_PASSWORD);
    struct login *l = heap_take(sizeof *l);
    *l = (struct login){.shard = s, .intake = slab_handle(&s->intakes, i)};
    l->known = u && u->password_hash.len;
    buffer_put(&work->password, buffer_str(&i->session.auth_password));
    if (l->known)
        buffer_put(&work->hash, u->password_hash);
    struct cell c = {.kind = CELL_WORK, .object = work};
    if (shard_ask(s, s->to_labourer, &c, checked, l)) {
        s->logins_waiting++;
        return;
    }
    work_drop(&work);
    heap_drop(l);
    intake_settle_login(i, REPLY_454_AUTH);
}
