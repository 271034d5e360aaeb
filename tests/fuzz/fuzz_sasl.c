/* AUTH from its arguments to user and password, against a model that decodes by the alphabet and
 * cuts at NULs.
 *
 * Byte 0: which mechanisms are offered. Then lines, ended by LF: the arguments of AUTH, and what
 * the client says to each challenge.
 */
#include "tests/fuzz/fuzz.h"

#include "core/base/limit.h"
#include "shards/sasl.h"

enum {
    MAX_BYTES = 1 << 20
};

/* ---- the model: one value, one spelling */

static bool model_decode(struct str in, struct buffer *out)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t pads = 0;
    uint32_t bits = 0;
    if (in.len % 4)
        return false;
    for (size_t i = 0; i < in.len; i++) {
        const char *at = in.at[i] ? strchr(alphabet, in.at[i]) : NULL;
        bool may_pad = i + 2 >= in.len;
        if (at ? pads > 0 : in.at[i] != '=' || !may_pad)
            return false;
        pads += !at;
        bits = bits << 6 | (at ? (uint32_t)(at - alphabet) : 0);
        if (i % 4 != 3)
            continue;
        uint32_t unused = pads == 2 ? 0xFFFF : pads == 1 ? 0xFF : 0;
        if (bits & unused)
            return false;
        for (size_t k = 0; k < 3 - pads; k++)
            buffer_putc(out, (char)(bits >> (16 - 8 * k) & 0xFF));
        bits = 0;
    }
    return true;
}

static bool is_user(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.at[i] < ' ' || s.at[i] == 0x7F)
            return false;
    return s.len > 0 && s.len <= SASL_USER_BYTES;
}

static bool is_password(struct str s)
{
    return s.len > 0 && memchr(s.at, '\0', s.len) == NULL;
}

/* What PLAIN says, as SASL_READY, or what is wrong with it. */
static enum sasl_status model_plain(struct str value, struct str *user, struct str *password)
{
    const char *end = value.at + value.len;
    const char *first = value.len ? memchr(value.at, '\0', value.len) : NULL;
    const char *second =
        first && first + 1 < end ? memchr(first + 1, '\0', (size_t)(end - first - 1)) : NULL;
    if (!second)
        return SASL_MALFORMED;
    *user = str_from(first + 1, (size_t)(second - first - 1));
    *password = str_from(second + 1, (size_t)(end - second - 1));
    struct str identity = str_from(value.at, (size_t)(first - value.at));
    if (!is_user(*user) || !is_password(*password))
        return SASL_MALFORMED;
    return identity.len && !str_eq(identity, *user) ? SASL_OTHER_IDENTITY : SASL_READY;
}

/* ---- the play */

static void check_ready(const struct sasl *s)
{
    must(is_user(buffer_str(&s->user)));
    if (s->mechanism == SASL_SCRAM_SHA_256) {
        struct str message = buffer_str(&s->message);
        must(message.len <= SASL_MESSAGE_BYTES);
        must(message.len == 0 || memchr(message.at, '\0', message.len) == NULL);
        must(!s->is_first || str_starts(message, STR("n,")) || str_starts(message, STR("y,")));
    } else {
        must(is_password(buffer_str(&s->password)) && s->message.len == 0);
    }
}

static void check_over(const struct sasl *s, enum sasl_status status)
{
    if (status == SASL_ASK)
        must(s->step != SASL_NOTHING);
    else
        must(s->step == SASL_NOTHING);
    if (status == SASL_ASK || status == SASL_READY)
        return;
    must(!s->user.at && !s->password.at && !s->message.at);
    must(reply_code(sasl_refusal(status)) / 100 == 5);
}

/* `value`: base64 that was said where a value is due. */
static void check_line(const struct sasl *s, enum sasl_step step, enum sasl_status status,
                       struct str value)
{
    struct buffer plain;
    struct str user, password;
    buffer_init(&plain, MAX_BYTES);
    if (!model_decode(value, &plain) || plain.len > LIMIT_AUTH_BYTES) {
        must(status == SASL_BAD_BASE64);
    } else if (step == SASL_LOGIN_USER) {
        must(status == (is_user(buffer_str(&plain)) ? SASL_ASK : SASL_MALFORMED));
    } else if (step == SASL_LOGIN_PASSWORD) {
        must(status == (is_password(buffer_str(&plain)) ? SASL_READY : SASL_MALFORMED));
    } else if (s->mechanism == SASL_PLAIN) {
        must(status == model_plain(buffer_str(&plain), &user, &password));
        must(status != SASL_READY ||
             (str_eq(user, buffer_str(&s->user)) && str_eq(password, buffer_str(&s->password))));
    } else {
        must(status == SASL_READY || status == SASL_MALFORMED || status == SASL_OTHER_IDENTITY);
        must(status != SASL_READY || str_eq(buffer_str(&plain), buffer_str(&s->message)));
    }
    buffer_drop(&plain);
}

static struct str value_of(struct str args, bool *given)
{
    size_t blank = str_find(args, ' ');
    struct str value = str_skip(args, blank == SIZE_MAX ? args.len : blank + 1);
    *given = blank != SIZE_MAX;
    return str_eq(value, STR("=")) ? STR("") : value;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sasl s;
    if (size < 1)
        return 0;
    struct str in = str_from((const char *)data + 1, size - 1), args = str_cut(&in, '\n');
    bool given;
    struct str value = value_of(args, &given);
    sasl_init(&s);
    enum sasl_status status = sasl_start(&s, args, data[0]);
    if (status == SASL_NO_MECHANISM)
        must(s.step == SASL_NOTHING);
    else if (given)
        check_line(&s, s.mechanism == SASL_LOGIN ? SASL_LOGIN_USER : SASL_RESPONSE, status, value);
    else
        must(status == SASL_ASK);
    check_over(&s, status);
    for (int lines = 0; lines < 20; lines++) {
        if (status == SASL_READY) {
            check_ready(&s);
            if (s.mechanism != SASL_SCRAM_SHA_256)
                break;
            sasl_more(&s);
        } else if (status != SASL_ASK) {
            break;
        }
        if (in.len == 0)
            break;
        struct str line = str_cut(&in, '\n');
        enum sasl_step step = s.step;
        status = sasl_feed(&s, line);
        if (str_eq(line, STR("*")))
            must(status == SASL_CANCELLED);
        else
            check_line(&s, step, status, line);
        check_over(&s, status);
    }
    sasl_drop(&s);
    return 0;
}
