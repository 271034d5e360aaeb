#include "shards/sasl.h"

#include "core/base/base.h"
#include "core/base/base64.h"
#include "core/base/limit.h"

static const struct str names[SASL_MECHANISMS] = {
    [SASL_PLAIN] = STR_INIT("PLAIN"),
    [SASL_LOGIN] = STR_INIT("LOGIN"),
    [SASL_SCRAM_SHA_256] = STR_INIT("SCRAM-SHA-256"),
};

struct str sasl_name(enum sasl_mechanism m)
{
    return names[m];
}

struct str sasl_challenge(const struct sasl *s)
{
    switch (s->step) {
    case SASL_LOGIN_USER:
        return STR("VXNlcm5hbWU6"); /* "Username:", to the letter: some clients compare it */
    case SASL_LOGIN_PASSWORD:
        return STR("UGFzc3dvcmQ6"); /* "Password:" */
    case SASL_NOTHING:
    case SASL_RESPONSE:
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

void sasl_init(struct sasl *s)
{
    *s = (struct sasl){.step = SASL_NOTHING};
    buffer_init(&s->user, SASL_USER_BYTES);
    buffer_init(&s->password, LIMIT_AUTH_BYTES);
    buffer_init(&s->message, SASL_MESSAGE_BYTES);
}

void sasl_drop(struct sasl *s)
{
    sasl_end(s);
}

void sasl_end(struct sasl *s)
{
    s->step = SASL_NOTHING;
    sasl_wipe(&s->user);
    sasl_wipe(&s->password);
    sasl_wipe(&s->message);
}

void sasl_more(struct sasl *s)
{
    must(s->mechanism == SASL_SCRAM_SHA_256);
    s->step = SASL_RESPONSE;
}

static bool is_clean(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.at[i] < ' ' || s.at[i] == 0x7F)
            return false;
    return true;
}

static enum sasl_status keep(struct buffer *to, struct str value)
{
    sasl_wipe(to);
    buffer_put(to, value);
    return to->full ? SASL_MALFORMED : SASL_READY;
}

static enum sasl_status take_user(struct sasl *s, struct str value)
{
    return value.len && is_clean(value) ? keep(&s->user, value) : SASL_MALFORMED;
}

static enum sasl_status take_password(struct sasl *s, struct str value)
{
    /* An empty one would be an anonymous bind in some directories, and that always succeeds. */
    if (value.len == 0 || str_find(value, '\0') != SIZE_MAX)
        return SASL_MALFORMED;
    return keep(&s->password, value);
}

/* authzid NUL authcid NUL password */
static enum sasl_status take_plain(struct sasl *s, struct str value)
{
    size_t first = str_find(value, '\0');
    if (first == SIZE_MAX)
        return SASL_MALFORMED;
    struct str authzid = str_head(value, first), rest = str_skip(value, first + 1);
    size_t second = str_find(rest, '\0');
    if (second == SIZE_MAX)
        return SASL_MALFORMED;
    struct str authcid = str_head(rest, second);
    enum sasl_status status = take_user(s, authcid);
    if (status == SASL_READY)
        status = take_password(s, str_skip(rest, second + 1));
    if (status == SASL_READY && authzid.len && !str_eq(authzid, authcid))
        status = SASL_OTHER_IDENTITY;
    return status;
}

/* ---- SCRAM */

/* RFC 5802 5.1: =2C is a comma and =3D is =; any other = is an error. */
static bool read_name(struct str name, struct buffer *out)
{
    while (name.len) {
        if (name.at[0] != '=') {
            buffer_putc(out, name.at[0]);
            name = str_skip(name, 1);
            continue;
        }
        if (!str_starts(name, STR("=2C")) && !str_starts(name, STR("=3D")))
            return false;
        buffer_putc(out, name.at[1] == '2' ? ',' : '=');
        name = str_skip(name, 3);
    }
    return out->len > 0 && !out->full;
}

/* "n,a=AUTHZID,n=USER,r=..." The flag p asks for channel binding, which is not offered; and m= in
 * place of n= for an extension that nobody knows. */
static enum sasl_status read_first(struct sasl *s, struct str message)
{
    struct str rest = message, flag = str_cut(&rest, ','), authzid = str_cut(&rest, ',');
    struct str user = str_cut(&rest, ',');
    if ((!str_eq(flag, STR("n")) && !str_eq(flag, STR("y"))) || !str_starts(user, STR("n=")) ||
        !str_starts(rest, STR("r=")))
        return SASL_MALFORMED;
    sasl_wipe(&s->user);
    if (!read_name(str_skip(user, 2), &s->user))
        return SASL_MALFORMED;
    if (authzid.len == 0)
        return SASL_READY;
    struct buffer other;
    buffer_init(&other, SASL_USER_BYTES);
    enum sasl_status status = SASL_MALFORMED;
    if (str_starts(authzid, STR("a=")) && read_name(str_skip(authzid, 2), &other))
        status =
            str_eq(buffer_str(&other), buffer_str(&s->user)) ? SASL_READY : SASL_OTHER_IDENTITY;
    buffer_drop(&other);
    return status;
}

static enum sasl_status take_scram(struct sasl *s, struct str message)
{
    if (!is_clean(message) || keep(&s->message, message) != SASL_READY)
        return SASL_MALFORMED;
    s->is_first = s->user.len == 0;
    return s->is_first ? read_first(s, message) : SASL_READY;
}

/* ---- the exchange */

static enum sasl_status take(struct sasl *s, struct str value)
{
    enum sasl_status status = SASL_MALFORMED;
    switch (s->step) {
    case SASL_RESPONSE:
        return s->mechanism == SASL_PLAIN ? take_plain(s, value) : take_scram(s, value);
    case SASL_LOGIN_USER:
        status = take_user(s, value);
        if (status != SASL_READY)
            return status;
        s->step = SASL_LOGIN_PASSWORD;
        return SASL_ASK;
    case SASL_LOGIN_PASSWORD:
        return take_password(s, value);
    case SASL_NOTHING:
    default:
        return status;
    }
}

static enum sasl_status decode(struct sasl *s, struct str line)
{
    struct buffer plain;
    buffer_init(&plain, LIMIT_AUTH_BYTES);
    enum sasl_status status = SASL_BAD_BASE64;
    if (base64_decode(line, BASE64_PADDED, &plain) && !plain.full)
        status = take(s, buffer_str(&plain));
    sasl_wipe(&plain);
    return status;
}

static enum sasl_status finish(struct sasl *s, enum sasl_status status)
{
    if (status == SASL_READY)
        s->step = SASL_NOTHING;
    else if (status != SASL_ASK)
        sasl_end(s);
    return status;
}

enum sasl_status sasl_start(struct sasl *s, struct str args, unsigned offered)
{
    struct str initial = args, mechanism = str_cut(&initial, ' ');
    unsigned m = 0;
    sasl_end(s);
    while (m < SASL_MECHANISMS && !(offered >> m & 1 && str_eq_nocase(mechanism, names[m])))
        m++;
    if (m == SASL_MECHANISMS)
        return SASL_NO_MECHANISM;
    s->mechanism = (enum sasl_mechanism)m;
    s->step = m == SASL_LOGIN ? SASL_LOGIN_USER : SASL_RESPONSE;
    if (mechanism.len == args.len)
        return SASL_ASK;
    if (str_eq(initial, STR("="))) /* RFC 4954 4: an empty initial response */
        initial = STR("");
    return finish(s, decode(s, initial));
}

enum sasl_status sasl_feed(struct sasl *s, struct str line)
{
    if (str_eq(line, STR("*")))
        return finish(s, SASL_CANCELLED);
    return finish(s, decode(s, line));
}
