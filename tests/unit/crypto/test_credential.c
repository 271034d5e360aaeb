#include "crypto/credential.h"

#include "core/base/base.h"
#include "tests/unit/harness.h"

static const uint8_t salt[CREDENTIAL_SALT_BYTES] = "0123456789abcdef";
static const struct credential_cost cheap = {64, 1, 1};

#define SHORT_SALT "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$"

static void test_roundtrip(void)
{
    struct buffer stored;
    buffer_init(&stored, 256);
    struct str password = STR("barrier-gate-demo");
    CU_ASSERT_FATAL(credential_hash(password, salt, &cheap, &stored));
    struct str text = buffer_str(&stored);
    expect(str_starts(text, STR("$argon2id$v=19$m=64,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$")), "%.*s",
           STR_ARG(text));
    expect(credential_is_valid(text), "valid");
    expect(credential_verify(text, password), "right");
    expect(!credential_verify(text, STR("barrier-gate-demO")), "other case");
    expect(!credential_verify(text, STR("barrier-gate-demo ")), "blank behind");
    expect(!credential_verify(text, STR("")), "empty");
    for (size_t i = 0; i < text.len; i++) { /* no other string is as good */
        char saved = stored.at[i];
        stored.at[i] = saved == 'A' ? 'B' : 'A';
        expect(!credential_verify(buffer_str(&stored), password), "byte %zu changed", i);
        stored.at[i] = saved;
    }
    buffer_drop(&stored);
}

static void test_standard(void)
{
    struct buffer stored;
    buffer_init(&stored, 256);
    expect(credential_hash(STR("x"), salt, &credential_standard, &stored), "hash");
    expect(str_starts(buffer_str(&stored), STR("$argon2id$v=19$m=19456,t=2,p=1$")), "cost");
    expect(credential_verify(buffer_str(&stored), STR("x")), "verify");
    credential_dummy_verify(STR("x"));
    credential_dummy_verify(STR(""));
    buffer_drop(&stored);
}

static const struct {
    const char *name, *stored;
    bool valid;
} rows[] = {
    {"good", SHORT_SALT "AAAAAAAAAAAAAAAAAAAAAA", true},
    {"argon2i", "$argon2i$v=19$m=64,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", false},
    {"old version", "$argon2id$v=16$m=64,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", false},
    {"no version", "$argon2id$m=64,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", false},
    {"memory of a bomb", "$argon2id$v=19$m=4194304,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
     false},
    {"time of a bomb", "$argon2id$v=19$m=64,t=1000,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", false},
    {"zero", "$argon2id$v=19$m=64,t=0,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", false},
    {"memory under 8 a lane", "$argon2id$v=19$m=8,t=1,p=2$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
     false},
    {"order", "$argon2id$v=19$t=1,m=64,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", false},
    {"one more", "$argon2id$v=19$m=64,t=1,p=1,x=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", false},
    {"short salt", "$argon2id$v=19$m=64,t=1,p=1$c29t$AAAAAAAAAAAAAAAAAAAAAA", false},
    {"padded", SHORT_SALT "AAAAAAAAAAAAAAAAAAAAAA==", false},
    {"no hash", SHORT_SALT, false},
    {"field behind", SHORT_SALT "AAAAAAAAAAAAAAAAAAAAAA$", false},
    {"empty", "", false},
    {"plain", "secret", false},
};

static void test_stored(void)
{
    for (size_t i = 0; i < countof(rows); i++)
        expect(credential_is_valid(str_c(rows[i].stored)) == rows[i].valid, "%s", rows[i].name);
    expect(credential_verify(STR("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$"
                                 "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"),
                             STR("password")),
           "known answer of the reference implementation");
    expect(!credential_verify(STR("secret"), STR("secret")), "plain text verifies nothing");
    expect(!credential_verify(STR(""), STR("")), "nothing is no password");
}

static void test_bounds(void)
{
    struct buffer stored;
    char large[CREDENTIAL_PASSWORD_BYTES + 1];
    memset(large, 'x', sizeof large);
    buffer_init(&stored, 256);
    expect(!credential_hash(STR(""), salt, &cheap, &stored), "empty");
    expect(!credential_hash(str_from(large, sizeof large), salt, &cheap, &stored), "too long");
    expect(credential_hash(str_from(large, sizeof large - 1), salt, &cheap, &stored), "longest");
    buffer_drop(&stored);
}

int main(void)
{
    const struct test tests[] = {
        {"round trip", test_roundtrip},
        {"standard cost", test_standard},
        {"stored strings", test_stored},
        {"bounds", test_bounds},
        {0},
    };
    return harness_run("credential", tests);
}
