#include "shards/sasl.h"

#include "core/base/base.h"
#include "core/base/base64.h"
#include "core/base/limit.h"

struct str sasl_challenge(enum sasl_step step)
{
    switch (step) {
    case SASL_LOGIN_USER:
        return STR("VXNlcm5hbWU6"); /* "Username:", to the letter: some clients compare it */
    case SASL_LOGIN_PASSWORD:
        return STR("UGFzc3dvcmQ6"); /* "Password:" */
    case SASL_NOTHING:
    case SASL_PLAIN:
    default:
        return STR("");
    }
}

enum reply sasl_refusal(enum sasl_status status)
{
    switch (status) {
    case SASL_CANCELLED:
        return REPLY_501_CANCELLED;
    case SASL_NO_MECHANISM:
        return REPLY_504_MECHANISM;
    case SASL_BAD_BASE64:
        return REPLY_501_BASE64;
    case SASL_OTHER_IDENTITY:
        return REPLY_535_AUTH;
    case SASL_ASK:
    case SASL_READY:
    case SASL_MALFORMED:
    default:
        return REPLY_501_CREDENTIALS;
    }
}

void sasl_wipe(struct buffer *secret)
{
    if (secret->at)
        explicit_bzero(secret->at, secret->room);
    buffer_drop(secret);
    secret->full = false;
}

static bool is_user(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.at[i] < ' ' || s.at[i] == 0x7F)
            return false;
    return s.len > 0 && s.len <= SASL_USER_BYTES;
}

static enum sasl_status keep(struct buffer *to, struct str value)
{
    sasl_wipe(to);
    buffer_put(to, value);
    return to->full ? SASL_MALFORMED : SASL_READY;
}

static enum sasl_status take_user(struct str value, struct buffer *user)
{
    return is_user(value) ? keep(user, value) : SASL_MALFORMED;
}

static enum sasl_status take_password(struct str value, struct buffer *password)
{
    /* An empty one would be an anonymous bind in some directories, and that always succeeds. */
    if (value.len == 0 || str_find(value, '\0') != SIZE_MAX)
        return SASL_MALFORMED;
    return keep(password, value);
}

/* authzid NUL authcid NUL password */
static enum sasl_status take_plain(struct str value, struct buffer *user, struct buffer *password)
{
    size_t first = str_find(value, '\0');
    if (first == SIZE_MAX)
        return SASL_MALFORMED;
    struct str authzid = str_head(value, first), rest = str_skip(value, first + 1);
    size_t second = str_find(rest, '\0');
    if (second == SIZE_MAX)
        return SASL_MALFORMED;
    struct str authcid = str_head(rest, second);
    enum sasl_status status = take_user(authcid, user);
    if (status == SASL_READY)
        status = take_password(str_skip(rest, second + 1), password);
    if (status == SASL_READY && authzid.len && !str_eq(authzid, authcid))
        status = SASL_OTHER_IDENTITY;
    return status;
}

static enum sasl_status take(enum sasl_step *step, struct str value, struct buffer *user,
                             struct buffer *password)
{
    enum sasl_status status = SASL_MALFORMED;
    switch (*step) {
    case SASL_PLAIN:
        return take_plain(value, user, password);
    case SASL_LOGIN_USER:
        status = take_user(value, user);
        if (status != SASL_READY)
            return status;
        *step = SASL_LOGIN_PASSWORD;
        return SASL_ASK;
    case SASL_LOGIN_PASSWORD:
        return take_password(value, password);
    case SASL_NOTHING:
    default:
        return status;
    }
}

static enum sasl_status decode(enum sasl_step *step, struct str line, struct buffer *user,
                               struct buffer *password)
{
    struct buffer plain;
    buffer_init(&plain, LIMIT_AUTH_BYTES);
    enum sasl_status status = SASL_BAD_BASE64;
    if (base64_decode(line, BASE64_PADDED, &plain) && !plain.full)
        status = take(step, buffer_str(&plain), user, password);
    sasl_wipe(&plain);
    return status;
}

static enum sasl_status finish(enum sasl_step *step, enum sasl_status status)
{
    if (status != SASL_ASK)
        *step = SASL_NOTHING;
    return status;
}

enum sasl_status sasl_start(enum sasl_step *step, struct str args, struct buffer *user,
                            struct buffer *password)
{
    struct str initial = args, mechanism = str_cut(&initial, ' ');
    if (str_eq_nocase(mechanism, STR("PLAIN")))
        *step = SASL_PLAIN;
    else if (str_eq_nocase(mechanism, STR("LOGIN")))
        *step = SASL_LOGIN_USER;
    else
        return finish(step, SASL_NO_MECHANISM);
    if (mechanism.len == args.len)
        return SASL_ASK;
    if (str_eq(initial, STR("="))) /* RFC 4954 4: an empty initial response */
        initial = STR("");
    return finish(step, decode(step, initial, user, password));
}

enum sasl_status sasl_feed(enum sasl_step *step, struct str line, struct buffer *user,
                           struct buffer *password)
{
    if (str_eq(line, STR("*")))
        return finish(step, SASL_CANCELLED);
    return finish(step, decode(step, line, user, password));
}
