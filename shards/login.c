#include "shards/login.h"

#include "core/base/counter.h"
#include "core/base/heap.h"
#include "core/base/log.h"
#include "core/policy/directory.h"
#include "crypto/credential.h"
#include "crypto/scram.h"
#include "shards/auth_link.h"
#include "shards/labour.h"

/* What waits for the labourer. */
struct check {
    struct shard *shard;
    struct handle intake;
    bool known;
};

/* An exchange that takes several steps: SCRAM, or anything with Dovecot. */
struct login {
    struct scram *scram;
    bool proven;       /* our own proof is on its way: an empty answer ends it */
    uint32_t asked_id; /* of auth_link; 0: none */
    unsigned prompts;  /* of LOGIN with Dovecot, so far */
};

void login_drop(struct intake *i)
{
    if (!i->login)
        return;
    scram_drop(&i->login->scram);
    if (i->login->asked_id && i->shard->auth_link)
        auth_link_cancel(i->shard->auth_link, i->login->asked_id);
    heap_drop(i->login);
    i->login = NULL;
}

unsigned login_mechanisms(const struct shard *s)
{
    const struct auth_link *a = auth_link_of(s);
    if (a)
        return auth_link_mechanisms(a);
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
    /* whom Dovecot knows and we do not is nobody, nor is who was removed meanwhile */
    const char *why = !good ? "refused" : find_user(i) ? NULL : "not a user of an organisation";
    good = !why;
    if (good) {
        count(smtpd_authenticated);
    } else {
        count(smtpd_auth_failed);
        log_info("auth_failed", log_text("client", i->client_text.at),
                 log_str("user", buffer_str(&i->session.auth.user)),
                 log_str("mechanism", sasl_name(i->session.auth.mechanism)), log_text("why", why));
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
    if (i->login->proven) {
        conclude(i, message.len == 0);
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

/* ---- Dovecot */

static void ask_dovecot(struct intake *i, struct auth_link *a)
{
    const struct sasl *x = &i->session.auth;
    struct str message = buffer_str(&x->message);
    struct buffer plain;
    login_drop(i);
    if (x->password.len > CREDENTIAL_PASSWORD_BYTES) {
        conclude(i, false);
        return;
    }
    i->login = heap_take(sizeof *i->login);
    buffer_init(&plain, LIMIT_AUTH_BYTES);
    buffer_putc(&plain, '\0');
    buffer_put(&plain, buffer_str(&x->user));
    buffer_putc(&plain, '\0');
    buffer_put(&plain, buffer_str(&x->password));
    struct str response = x->mechanism == SASL_PLAIN ? buffer_str(&plain) : message;
    if (!auth_link_ask(a, i, x->mechanism, x->mechanism == SASL_LOGIN ? NULL : &response,
                       &i->login->asked_id))
        unavailable(i);
    sasl_wipe(&plain);
}

/* The client's answer to Dovecot's challenge. */
static void answer_dovecot(struct intake *i, struct str answer)
{
    struct auth_link *a = auth_link_of(i->shard);
    if (!a || !i->login || !i->login->asked_id || !auth_link_answer(a, i->login->asked_id, answer))
        unavailable(i);
}

static void on_dovecot_challenge(struct intake *i, struct str text)
{
    const struct sasl *x = &i->session.auth;
    if (x->mechanism == SASL_SCRAM_SHA_256 && text.len <= SASL_MESSAGE_BYTES)
        intake_challenge(i, text);
    else if (x->mechanism == SASL_LOGIN && i->login->prompts < 2) /* Username:, Password: */
        answer_dovecot(i, i->login->prompts++ ? buffer_str(&x->password) : buffer_str(&x->user));
    else
        unavailable(i);
}

void login_answered(struct intake *i, uint32_t id, enum dovecot_event event, struct str text)
{
    if (i->wait != WAIT_LOGIN || i->closing || !i->login || i->login->asked_id != id)
        return;
    switch (event) {
    case DOVECOT_CHALLENGE:
        on_dovecot_challenge(i, text);
        return;
    case DOVECOT_OK:
        buffer_clear(&i->session.auth.user); /* its spelling of the name counts */
        buffer_put(&i->session.auth.user, text);
        conclude(i, true);
        return;
    case DOVECOT_FAIL:
        conclude(i, false);
        return;
    case DOVECOT_UNAVAILABLE:
    case DOVECOT_BROKEN:
    case DOVECOT_MORE:
    case DOVECOT_READY:
        unavailable(i);
        return;
    }
}

void login_begin(struct intake *i)
{
    struct auth_link *a = auth_link_of(i->shard);
    bool goes_on = i->session.auth.mechanism == SASL_SCRAM_SHA_256 && !i->session.auth.is_first;
    if (goes_on && i->login && !i->login->scram)
        answer_dovecot(i, buffer_str(&i->session.auth.message));
    else if (goes_on && i->login)
        step_scram(i);
    else if (goes_on)
        unavailable(i);
    else if (a)
        ask_dovecot(i, a);
    else if (i->session.auth.mechanism == SASL_SCRAM_SHA_256)
        step_scram(i);
    else
        check_password(i);
}
