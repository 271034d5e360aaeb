#include "crypto/credential.h"

#include "core/base/base.h"
#include "core/base/base64.h"

#include <argon2.h>
#include <openssl/crypto.h>

enum {
    MEMORY_KIB_MAX = 256 << 10, /* a stored hash must not be able to take the server's memory */
    PASSES_MAX = 16,
    LANES_MAX = 8,
    FIELD_BYTES_MAX = 64,
    FIELD_BYTES_MIN = 8,
};

const struct credential_cost credential_standard = {19456, 2, 1};

struct field {
    char at[FIELD_BYTES_MAX + 4]; /* the decoder asks for a little more than it fills */
    size_t len;
};

struct parsed {
    struct credential_cost cost;
    struct field salt, hash;
};

/* "m=19456" off the front of `in`. */
static bool take_number(struct str *in, struct str name, uint64_t max, uint32_t *out)
{
    struct str field = str_cut(in, ',');
    uint64_t number;
    if (!str_starts(field, name) || !str_number(str_skip(field, name.len), max, &number) ||
        number == 0)
        return false;
    *out = (uint32_t)number;
    return true;
}

static bool take_field(struct str in, struct field *field)
{
    struct buffer b = {.at = field->at, .room = sizeof field->at, .max = sizeof field->at};
    bool is_read = base64_decode(in, BASE64_BARE, &b);
    field->len = b.len;
    return is_read && b.len >= FIELD_BYTES_MIN && b.len <= FIELD_BYTES_MAX;
}

static bool parse(struct str stored, struct parsed *p)
{
    struct str rest = stored;
    if (!str_starts(rest, STR("$argon2id$v=19$")))
        return false;
    rest = str_skip(rest, sizeof "$argon2id$v=19$" - 1);
    struct str costs = str_cut(&rest, '$'), salt = str_cut(&rest, '$');
    return take_number(&costs, STR("m="), MEMORY_KIB_MAX, &p->cost.memory_kib) &&
           take_number(&costs, STR("t="), PASSES_MAX, &p->cost.passes) &&
           take_number(&costs, STR("p="), LANES_MAX, &p->cost.lanes) && costs.len == 0 &&
           p->cost.memory_kib >= 8 * p->cost.lanes && take_field(salt, &p->salt) &&
           take_field(rest, &p->hash);
}

static bool run(struct str password, const struct credential_cost *cost, const void *salt,
                size_t salt_len, void *hash, size_t hash_len)
{
    return argon2id_hash_raw(cost->passes, cost->memory_kib, cost->lanes, password.at, password.len,
                             salt, salt_len, hash, hash_len) == ARGON2_OK;
}

bool credential_hash(struct str password, const uint8_t *salt, const struct credential_cost *cost,
                     struct buffer *out)
{
    uint8_t hash[CREDENTIAL_HASH_BYTES];
    if (password.len == 0 || password.len > CREDENTIAL_PASSWORD_BYTES ||
        !run(password, cost, salt, CREDENTIAL_SALT_BYTES, hash, sizeof hash))
        return false;
    buffer_printf(out, "$argon2id$v=19$m=%u,t=%u,p=%u$", cost->memory_kib, cost->passes,
                  cost->lanes);
    base64_encode(str_from((const char *)salt, CREDENTIAL_SALT_BYTES), BASE64_BARE, out);
    buffer_putc(out, '$');
    base64_encode(str_from((const char *)hash, sizeof hash), BASE64_BARE, out);
    OPENSSL_cleanse(hash, sizeof hash);
    return !out->full;
}

bool credential_verify(struct str stored, struct str password)
{
    struct parsed p;
    uint8_t hash[FIELD_BYTES_MAX];
    if (password.len == 0 || password.len > CREDENTIAL_PASSWORD_BYTES || !parse(stored, &p)) {
        credential_dummy_verify(password); /* damaged looks like wrong, also to a clock */
        return false;
    }
    bool is_right = run(password, &p.cost, p.salt.at, p.salt.len, hash, p.hash.len) &&
                    CRYPTO_memcmp(hash, p.hash.at, p.hash.len) == 0;
    OPENSSL_cleanse(hash, sizeof hash);
    return is_right;
}

void credential_dummy_verify(struct str password)
{
    static const uint8_t salt[CREDENTIAL_SALT_BYTES] = "nobody has this";
    uint8_t hash[CREDENTIAL_HASH_BYTES];
    (void)run(str_head(password, CREDENTIAL_PASSWORD_BYTES), &credential_standard, salt,
              sizeof salt, hash, sizeof hash);
    OPENSSL_cleanse(hash, sizeof hash);
}

bool credential_is_valid(struct str stored)
{
    struct parsed p;
    return parse(stored, &p);
}
