#include "shards/login.h"

#include "core/base/counter.h"
#include "core/base/heap.h"
#include "core/base/log.h"
#include "core/policy/directory.h"
#include "crypto/scram.h"
#include "shards/labour.h"

/* What waits for the labourer. */
struct check {
    struct shard *shard;
    struct handle intake;
    bool known;
};

/* An exchange of SCRAM. */
struct login {
    struct scram *scram;
    bool proven; /* our own proof is on its way: an empty answer ends it */
};

void login_drop(struct intake *i)
{
    if (!i->login)
        return;
    scram_drop(&i->login->scram);
    heap_drop(i->login);
    i->login = NULL;
}

unsigned login_mechanisms(const struct shard *s)
{
    unsigned passwords = 1 << SASL_PLAIN | 1 << SASL_LOGIN;
    return directory_offers_scram(s->snapshot->directory) ? passwords | 1 << SASL_SCRAM_SHA_256
                                                          : passwords;
}

static const struct user *find_user(const struct intake *i)
{
    return directory_user(i->shard->snapshot->directory, buffer_str(&i->session.auth.user), NULL);
}

static void conclude(struct intake *i, bool good)
{
    login_drop(i);
    good = good && find_user(i); /* who was removed meanwhile is nobody */
    if (good) {
        count(smtpd_authenticated);
    } else {
        count(smtpd_auth_failed);
        log_info("auth_failed", log_text("client", i->client_text.at),
                 log_str("user", buffer_str(&i->session.auth.user)),
                 log_str("mechanism", sasl_name(i->session.auth.mechanism)));
    }
    intake_settle_login(i, good ? REPLY_235_AUTHENTICATED : REPLY_535_AUTH);
}

static void unavailable(struct intake *i)
{
    login_drop(i);
    count(smtpd_auth_unavailable);
    intake_settle_login(i, REPLY_454_AUTH);
}

/* ---- passwords */

static void checked(struct waiter *w, const struct cell *answer)
{
    struct check *c = w->owner;
    struct shard *s = c->shard;
    struct work *work = answer->object;
    bool good = c->known && work->good;
    struct intake *i = slab_get(&s->intakes, c->intake);
    work_drop(&work);
    heap_drop(c);
    s->logins_waiting--;
    if (i && i->wait == WAIT_LOGIN)
        conclude(i, good);
}

static void check_password(struct intake *i)
{
    struct shard *s = i->shard;
    if (s->logins_waiting >= LOGINS_WAITING_MAX) {
        unavailable(i);
        return;
    }
    const struct user *u = find_user(i);
    struct str hash = !u ? STR("") : u->password_hash.len ? u->password_hash : u->password_scram;
    struct work *work = work_make(WORK_PASSWORD);
    struct check *check = heap_take(sizeof *check);
    *check =
        (struct check){.shard = s, .intake = slab_handle(&s->intakes, i), .known = hash.len > 0};
    buffer_put(&work->password, buffer_str(&i->session.auth.password));
    buffer_put(&work->hash, hash);
    struct cell c = {.kind = CELL_WORK, .object = work};
    if (shard_ask(s, s->to_labourer, &c, checked, check)) {
        s->logins_waiting++;
        return;
    }
    work_drop(&work);
    heap_drop(check);
    unavailable(i);
}

/* ---- SCRAM */

static void begin_scram(struct intake *i)
{
    struct key_room room;
    struct str user = buffer_str(&i->session.auth.user);
    const struct user *u = find_user(i);
    login_drop(i);
    i->login = heap_take(sizeof *i->login);
    i->login->scram =
        scram_begin(i->shard->scram, user, key_of(user, &room), u ? u->password_scram : STR(""));
}

static void step_scram(struct intake *i)
{
    struct buffer answer;
    struct str message = buffer_str(&i->session.auth.message);
    if (i->session.auth.is_first)
        begin_scram(i);
    if (!i->login || i->login->proven) {
        conclude(i, i->login && message.len == 0);
        return;
    }
    buffer_init(&answer, SASL_MESSAGE_BYTES);
    switch (scram_step(i->login->scram, message, &answer)) {
    case SCRAM_PROVEN:
        i->login->proven = true;
        intake_challenge(i, buffer_str(&answer));
        break;
    case SCRAM_ASK:
        intake_challenge(i, buffer_str(&answer));
        break;
    case SCRAM_WRONG:
        conclude(i, false);
        break;
    case SCRAM_MALFORMED:
        login_drop(i);
        intake_settle_login(i, REPLY_501_CREDENTIALS);
        break;
    }
    buffer_drop(&answer);
}

void login_begin(struct intake *i)
{
    if (i->session.auth.mechanism == SASL_SCRAM_SHA_256)
        step_scram(i);
    else
        check_password(i);
}
