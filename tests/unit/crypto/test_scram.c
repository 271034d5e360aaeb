#include "crypto/scram.h"

#include "core/base/base.h"
#include "core/base/base64.h"
#include "tests/unit/harness.h"

#include <gsasl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

static const uint8_t secret[SCRAM_SECRET_BYTES] = "a secret";

/* RFC 7677 3: user, password "pencil", and what both sides say. */
static const char rfc_salt[] = "W22ZaJ0SNY7soEsUEjb6gQ==";
static const char rfc_auth[] =
    "n=user,r=rOprNGfwEbeRWgbNEkqO,"
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
static const char rfc_proof[] = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
static const char rfc_signature[] = "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

static size_t decode(struct str text, uint8_t *to, size_t room)
{
    struct buffer b;
    buffer_init(&b, 1000);
    expect(base64_decode(text, BASE64_PADDED, &b) && b.len <= room, "base64");
    memcpy(to, b.at, b.len);
    size_t len = b.len;
    buffer_drop(&b);
    return len;
}

static void hmac(const uint8_t *key, const char *text, uint8_t out[32])
{
    unsigned len;
    (void)HMAC(EVP_sha256(), key, 32, (const unsigned char *)text, strlen(text), out, &len);
}

static void test_rfc7677(void)
{
    uint8_t salt[64], stored[64], server[64], proof[64], want[64], mac[32], client_key[32],
        hash[32];
    struct buffer text;
    buffer_init(&text, SCRAM_TEXT_BYTES);
    expect(decode(str_c(rfc_salt), salt, sizeof salt) == SCRAM_SALT_BYTES, "salt");
    expect(scram_make(STR("pencil"), salt, 4096, &text), "make");
    struct str rest = buffer_str(&text);
    expect_str(str_cut(&rest, ':'), STR("SCRAM-SHA-256$4096"), "head");
    expect_str(str_cut(&rest, '$'), str_c(rfc_salt), "salt");
    expect(decode(str_cut(&rest, ':'), stored, sizeof stored) == 32, "StoredKey");
    expect(decode(rest, server, sizeof server) == 32, "ServerKey");

    hmac(stored, rfc_auth, mac); /* the proof gives the client's key, and its hash is StoredKey */
    (void)decode(str_c(rfc_proof), proof, sizeof proof);
    for (size_t i = 0; i < 32; i++)
        client_key[i] = mac[i] ^ proof[i];
    (void)EVP_Digest(client_key, 32, hash, NULL, EVP_sha256(), NULL);
    expect(memcmp(hash, stored, 32) == 0, "the proof of the RFC");
    hmac(server, rfc_auth, mac);
    (void)decode(str_c(rfc_signature), want, sizeof want);
    expect(memcmp(mac, want, 32) == 0, "the signature of the RFC");

    expect(scram_verify(buffer_str(&text), STR("pencil")), "the password");
    expect(!scram_verify(buffer_str(&text), STR("Pencil")), "another");
    expect(!scram_verify(buffer_str(&text), STR("")), "none");
    expect(!scram_verify(buffer_str(&text), STR("pencil\0")), "NUL");
    buffer_drop(&text);
}

#define SALT "W22ZaJ0SNY7soEsUEjb6gQ=="
#define KEY  "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="

static void test_texts(void)
{
    static const struct {
        const char *name, *text;
        bool want;
    } rows[] = {
        {"PostgreSQL's", "SCRAM-SHA-256$4096:" SALT "$" KEY ":" KEY, true},
        {"many iterations", "SCRAM-SHA-256$1000000:" SALT "$" KEY ":" KEY, true},
        {"too many", "SCRAM-SHA-256$1000001:" SALT "$" KEY ":" KEY, false},
        {"too few", "SCRAM-SHA-256$4095:" SALT "$" KEY ":" KEY, false},
        {"no number", "SCRAM-SHA-256$many:" SALT "$" KEY ":" KEY, false},
        {"another hash", "SCRAM-SHA-1$4096:" SALT "$" KEY ":" KEY, false},
        {"short salt", "SCRAM-SHA-256$4096:AAAA$" KEY ":" KEY, false},
        {"short key", "SCRAM-SHA-256$4096:" SALT "$" SALT ":" KEY, false},
        {"long key", "SCRAM-SHA-256$4096:" SALT "$" KEY ":" KEY "AAAA", false},
        {"one key", "SCRAM-SHA-256$4096:" SALT "$" KEY, false},
        {"more behind", "SCRAM-SHA-256$4096:" SALT "$" KEY ":" KEY ":", false},
        {"argon2", "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", false},
        {"nothing", "", false},
    };

    for (size_t i = 0; i < countof(rows); i++)
        expect(scram_is_valid(str_c(rows[i].text)) == rows[i].want, "%s", rows[i].name);
}

/* RFC 4013: what is typed in another form is the same password. */
static void test_saslprep(void)
{
    uint8_t salt[SCRAM_SALT_BYTES] = "salt";
    struct buffer text;
    buffer_init(&text, SCRAM_TEXT_BYTES);
    expect(scram_make(STR("\xef\xbc\xa1"
                          "bc"),
                      salt, 4096, &text),
           "full-width A");
    expect(scram_verify(buffer_str(&text), STR("Abc")), "the same");
    buffer_clear(&text);
    expect(scram_make(STR("\xff\xfe"), salt, 4096, &text), "no UTF-8: the bytes");
    expect(scram_verify(buffer_str(&text), STR("\xff\xfe")), "the bytes");
    buffer_clear(&text);
    expect(!scram_make(STR(""), salt, 4096, &text) && text.len == 0, "empty");
    buffer_drop(&text);
}

/* libgsasl's own client. */
struct client {
    Gsasl *library;
    Gsasl_session *session;
};

static void client_open(struct client *c, const char *user, const char *password)
{
    expect(gsasl_init(&c->library) == GSASL_OK &&
               gsasl_client_start(c->library, "SCRAM-SHA-256", &c->session) == GSASL_OK,
           "client");
    (void)gsasl_property_set(c->session, GSASL_AUTHID, user);
    (void)gsasl_property_set(c->session, GSASL_PASSWORD, password);
}

static int client_step(struct client *c, const struct buffer *in, struct buffer *out)
{
    char *said = NULL;
    size_t len = 0;
    int result = gsasl_step(c->session, in->at, in->len, &said, &len);
    buffer_clear(out);
    if (said)
        buffer_put(out, str_from(said, len));
    gsasl_free(said);
    return result;
}

/* A whole exchange: the status of its last step; `challenge` is the first answer. */
static enum scram_status meet(struct scram_server *s, const char *user, const char *key,
                              struct str verifier, const char *password, struct buffer *challenge)
{
    struct client c;
    struct buffer up, down;
    buffer_init(&up, 2048);
    buffer_init(&down, 2048);
    client_open(&c, user, password);
    struct scram *x = scram_begin(s, str_c(user), str_c(key), verifier);
    expect(client_step(&c, &down, &up) == GSASL_NEEDS_MORE, "client first");
    expect(scram_step(x, buffer_str(&up), &down) == SCRAM_ASK, "%s: server first", user);
    buffer_clear(challenge);
    buffer_put(challenge, buffer_str(&down));
    expect(client_step(&c, &down, &up) == GSASL_NEEDS_MORE, "client final");
    buffer_clear(&down);
    enum scram_status status = scram_step(x, buffer_str(&up), &down);
    if (status == SCRAM_PROVEN)
        expect(client_step(&c, &down, &up) == GSASL_OK, "the client believes us");
    else
        expect(down.len == 0, "nothing to say");
    scram_drop(&x);
    expect(x == NULL, "dropped");
    gsasl_finish(c.session);
    gsasl_done(c.library);
    buffer_drop(&up);
    buffer_drop(&down);
    return status;
}

static struct str salt_of(const struct buffer *challenge)
{
    struct str rest = buffer_str(challenge);
    (void)str_cut(&rest, ',');
    return rest; /* s=...,i=... */
}

static void test_exchange(void)
{
    uint8_t salt[SCRAM_SALT_BYTES] = "0123456789abcde";
    struct scram_server *s = scram_server_make(secret), *other = scram_server_make(secret);
    struct buffer text, first, second;
    buffer_init(&text, SCRAM_TEXT_BYTES);
    buffer_init(&first, 2048);
    buffer_init(&second, 2048);
    expect(scram_make(STR("right"), salt, SCRAM_ITERATIONS, &text), "make");
    struct str verifier = buffer_str(&text), nobody = STR("");
    expect(meet(s, "alice", "alice", verifier, "right", &first) == SCRAM_PROVEN, "right");
    expect(meet(s, "a,b=c", "a,b=c", verifier, "right", &first) == SCRAM_PROVEN, "odd name");
    expect(meet(s, "alice", "alice", verifier, "wrong", &first) == SCRAM_WRONG, "wrong");

    expect(meet(s, "Bob", "bob", nobody, "right", &first) == SCRAM_WRONG, "TLSIN-09 unknown");
    expect(meet(other, "bob", "bob", nobody, "x", &second) == SCRAM_WRONG, "TLSIN-09 unknown");
    expect(str_ends_nocase(salt_of(&first), STR(",i=60000")), "as many iterations as the known");
    expect_str(salt_of(&first), salt_of(&second), "TLSIN-09 the same salt each time, everywhere");
    expect(meet(s, "carol", "carol", nobody, "x", &second) == SCRAM_WRONG, "TLSIN-09 unknown");
    expect(!str_eq(salt_of(&first), salt_of(&second)), "not everybody's");
    expect(meet(s, "bob", "bob", STR("damaged"), "x", &second) == SCRAM_WRONG, "damaged");
    expect_str(salt_of(&first), salt_of(&second), "as if there were none");
    expect(meet(s, "alice", "alice", verifier, "right", &second) == SCRAM_PROVEN, "right");
    expect(salt_of(&first).len == salt_of(&second).len, "TLSIN-09 it looks the same");

    buffer_drop(&text);
    buffer_drop(&first);
    buffer_drop(&second);
    scram_server_drop(&s);
    scram_server_drop(&other);
}

/* One message in place of a right one. */
static void test_messages(void)
{
    static const struct {
        const char *name;
        struct str user, first, final;
        enum scram_status want_first, want_final;
    } rows[] = {
        {"not the user that was looked up", STR_INIT("alice"), STR_INIT("n,,n=bob,r=abc"),
         STR_INIT(""), SCRAM_WRONG, SCRAM_MALFORMED},
        {"no message", STR_INIT("alice"), STR_INIT("hello"), STR_INIT(""), SCRAM_MALFORMED,
         SCRAM_MALFORMED},
        {"channel binding", STR_INIT("alice"), STR_INIT("p=tls-unique,,n=alice,r=abc"),
         STR_INIT("c=biws,r=abc,p=AAAA"), SCRAM_ASK, SCRAM_WRONG},
        {"a name that SASLprep makes empty", STR_INIT("\xc2\xad"), STR_INIT("n,,n=\xc2\xad,r=abc"),
         STR_INIT(""), SCRAM_WRONG, SCRAM_WRONG},
        {"NUL", STR_INIT("alice"), STR_INIT("n,,n=alice,r=a\0c"), STR_INIT(""), SCRAM_MALFORMED,
         SCRAM_MALFORMED},
        {"another nonce", STR_INIT("alice"), STR_INIT("n,,n=alice,r=abc"),
         STR_INIT("c=biws,r=abc,p=" KEY), SCRAM_ASK, SCRAM_WRONG},
        {"no proof", STR_INIT("alice"), STR_INIT("n,,n=alice,r=abc"), STR_INIT("c=biws,r=abc"),
         SCRAM_ASK, SCRAM_MALFORMED},
        {"empty final", STR_INIT("alice"), STR_INIT("n,,n=alice,r=abc"), STR_INIT(""), SCRAM_ASK,
         SCRAM_MALFORMED},
    };
    struct scram_server *s = scram_server_make(secret);
    for (size_t i = 0; i < countof(rows); i++) {
        struct buffer answer;
        buffer_init(&answer, 2048);
        struct scram *x = scram_begin(s, rows[i].user, rows[i].user, STR(""));
        enum scram_status got = scram_step(x, rows[i].first, &answer);
        expect(got == rows[i].want_first, "%s, first: %d", rows[i].name, (int)got);
        buffer_clear(&answer);
        got = scram_step(x, rows[i].final, &answer);
        expect(got == rows[i].want_final, "%s, final: %d", rows[i].name, (int)got);
        expect(answer.len == 0, "%s", rows[i].name);
        scram_drop(&x);
        buffer_drop(&answer);
    }
    scram_server_drop(&s);
}

int main(void)
{
    const struct test tests[] = {
        {"RFC 7677 3", test_rfc7677},
        {"verifiers as text", test_texts},
        {"SASLprep", test_saslprep},
        {"TLSIN-09 exchanges with libgsasl's client", test_exchange},
        {"TLSIN-07 messages", test_messages},
        {0},
    };
    return harness_run("scram", tests);
}
