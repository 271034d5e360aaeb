/* scram.c -- libgsasl asks for nothing while it steps: salt, iterations and keys are properties of
 * the session before its first step. What its steps can't bear is kept from them: a user that
 * SASLprep makes empty (it would lose a byte of memory each time), and channel binding. */
#include "crypto/scram.h"

#include "core/base/base.h"
#include "core/base/base64.h"
#include "core/base/heap.h"

#include <gsasl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>

enum {
    KEY_BYTES = 32,
    SALT_BYTES_MIN = 8,
    SALT_BYTES_MAX = 64,
    ITERATIONS_MIN = 4096,
    ITERATIONS_MAX = 1000000,
    USER_BYTES_MAX = 1024,
    PASSWORD_BYTES_MAX = 1024,
    TEXT_BYTES = 128, /* base64 of a salt or key, and the end */
};

struct verifier {
    uint32_t iterations;
    uint8_t salt[SALT_BYTES_MAX];
    size_t salt_bytes;
    uint8_t stored_key[KEY_BYTES], server_key[KEY_BYTES];
};

struct scram_server {
    Gsasl *library;
    uint8_t secret[SCRAM_SECRET_BYTES];
};

struct scram {
    Gsasl_session *session; /* NULL: nobody can have this name */
    bool is_fake;
    struct buffer user; /* whose verifier it is */
};

/* ---- verifiers */

static bool take(struct str in, void *to, size_t least, size_t most, size_t *len)
{
    struct buffer b;
    buffer_init(&b, most + 4); /* the decoder asks for a little more than it fills */
    bool good = base64_decode(in, BASE64_PADDED, &b) && b.len >= least && b.len <= most;
    if (good) {
        memcpy(to, b.at, b.len);
        *len = b.len;
    }
    buffer_drop(&b);
    return good;
}

static bool parse(struct str text, struct verifier *v)
{
    const struct str prefix = STR("SCRAM-SHA-256$");
    struct str rest = str_skip(text, prefix.len);
    uint64_t iterations;
    size_t len;
    *v = (struct verifier){0};
    if (!str_starts(text, prefix) ||
        !str_number(str_cut(&rest, ':'), ITERATIONS_MAX, &iterations) ||
        iterations < ITERATIONS_MIN)
        return false;
    v->iterations = (uint32_t)iterations;
    struct str salt = str_cut(&rest, '$'), stored = str_cut(&rest, ':');
    return take(salt, v->salt, SALT_BYTES_MIN, SALT_BYTES_MAX, &v->salt_bytes) &&
           take(stored, v->stored_key, KEY_BYTES, KEY_BYTES, &len) &&
           take(rest, v->server_key, KEY_BYTES, KEY_BYTES, &len);
}

bool scram_is_valid(struct str verifier)
{
    struct verifier v;
    return parse(verifier, &v);
}

static bool salted(struct str password, const struct verifier *v, uint8_t out[KEY_BYTES])
{
    char plain[PASSWORD_BYTES_MAX + 1], *prepared = NULL;
    if (password.len == 0 || !str_to_c(password, plain, sizeof plain))
        return false;
    /* Where SASLprep refuses (unassigned characters, broken UTF-8) the bytes stand for themselves,
     * as PostgreSQL has it. */
    int result = gsasl_saslprep(plain, (Gsasl_saslprep_flags)0, &prepared, NULL);
    const char *used = result == GSASL_OK && *prepared ? prepared : plain;
    bool good = PKCS5_PBKDF2_HMAC(used, (int)strlen(used), v->salt, (int)v->salt_bytes,
                                  (int)v->iterations, EVP_sha256(), KEY_BYTES, out) == 1;
    if (prepared) {
        OPENSSL_cleanse(prepared, strlen(prepared));
        gsasl_free(prepared);
    }
    OPENSSL_cleanse(plain, sizeof plain);
    return good;
}

static bool derive(struct str password, struct verifier *v)
{
    uint8_t salted_password[KEY_BYTES], client_key[KEY_BYTES];
    bool good =
        salted(password, v, salted_password) &&
        gsasl_scram_secrets_from_salted_password(GSASL_HASH_SHA256, (const char *)salted_password,
                                                 (char *)client_key, (char *)v->server_key,
                                                 (char *)v->stored_key) == GSASL_OK;
    OPENSSL_cleanse(salted_password, sizeof salted_password);
    OPENSSL_cleanse(client_key, sizeof client_key);
    return good;
}

bool scram_make(struct str password, const uint8_t *salt, uint32_t iterations, struct buffer *out)
{
    struct verifier v = {.iterations = iterations, .salt_bytes = SCRAM_SALT_BYTES};
    memcpy(v.salt, salt, SCRAM_SALT_BYTES);
    if (iterations < ITERATIONS_MIN || iterations > ITERATIONS_MAX || !derive(password, &v))
        return false;
    buffer_printf(out, "SCRAM-SHA-256$%u:", iterations);
    base64_encode(str_from((const char *)v.salt, v.salt_bytes), BASE64_PADDED, out);
    buffer_putc(out, '$');
    base64_encode(str_from((const char *)v.stored_key, KEY_BYTES), BASE64_PADDED, out);
    buffer_putc(out, ':');
    base64_encode(str_from((const char *)v.server_key, KEY_BYTES), BASE64_PADDED, out);
    return !out->full;
}

bool scram_verify(struct str verifier, struct str password)
{
    struct verifier v;
    if (!parse(verifier, &v))
        return false;
    struct verifier now = v;
    return derive(password, &now) && CRYPTO_memcmp(v.stored_key, now.stored_key, KEY_BYTES) == 0;
}

/* ---- the server's side */

struct scram_server *scram_server_make(const uint8_t secret[SCRAM_SECRET_BYTES])
{
    struct scram_server *s = heap_take(sizeof *s);
    must(gsasl_init(&s->library) == GSASL_OK);
    memcpy(s->secret, secret, sizeof s->secret);
    return s;
}

void scram_server_drop(struct scram_server **s_p)
{
    struct scram_server *s = *s_p;
    if (!s)
        return;
    *s_p = NULL;
    gsasl_done(s->library);
    OPENSSL_cleanse(s, sizeof *s);
    heap_drop(s);
}

/* Salt and keys of somebody who has none: from the name, the same each time. */
static void invent(const struct scram_server *s, struct str key, struct verifier *v)
{
    uint8_t *to[] = {v->salt, v->stored_key, v->server_key};
    *v = (struct verifier){.iterations = SCRAM_ITERATIONS, .salt_bytes = SCRAM_SALT_BYTES};
    for (size_t i = 0; i < countof(to); i++) {
        struct buffer text;
        unsigned len = 0;
        buffer_init(&text, key.len + 1);
        buffer_putc(&text, (char)('0' + i));
        buffer_put(&text, key);
        must(HMAC(EVP_sha256(), s->secret, sizeof s->secret, (const unsigned char *)text.at,
                  text.len, to[i], &len) != NULL);
        buffer_drop(&text);
    }
}

static bool give(Gsasl_session *x, Gsasl_property property, const uint8_t *bytes, size_t len)
{
    char text[TEXT_BYTES] = "";
    struct buffer b = {.at = text, .room = sizeof text - 1, .max = sizeof text - 1};
    base64_encode(str_from((const char *)bytes, len), BASE64_PADDED, &b);
    must(!b.full);
    text[b.len] = '\0';
    return gsasl_property_set(x, property, text) == GSASL_OK;
}

static bool give_all(Gsasl_session *x, const struct verifier *v)
{
    char iterations[16];
    (void)snprintf(iterations, sizeof iterations, "%u", v->iterations);
    return gsasl_property_set(x, GSASL_SCRAM_ITER, iterations) == GSASL_OK &&
           give(x, GSASL_SCRAM_SALT, v->salt, v->salt_bytes) &&
           give(x, GSASL_SCRAM_STOREDKEY, v->stored_key, KEY_BYTES) &&
           give(x, GSASL_SCRAM_SERVERKEY, v->server_key, KEY_BYTES);
}

static bool is_name(struct str user)
{
    char text[USER_BYTES_MAX + 1], *prepared = NULL;
    if (!str_to_c(user, text, sizeof text))
        return false;
    int result = gsasl_saslprep(text, GSASL_ALLOW_UNASSIGNED, &prepared, NULL);
    bool good = result == GSASL_OK && *prepared;
    if (prepared)
        gsasl_free(prepared);
    return good;
}

struct scram *scram_begin(struct scram_server *s, struct str user, struct str key,
                          struct str verifier)
{
    struct scram *x = heap_take(sizeof *x);
    struct verifier v, real;
    buffer_init(&x->user, USER_BYTES_MAX);
    buffer_put(&x->user, user);
    invent(s, key, &v); /* always: it takes time */
    x->is_fake = !parse(verifier, &real);
    if (!x->is_fake)
        v = real;
    if (is_name(user) && gsasl_server_start(s->library, "SCRAM-SHA-256", &x->session) == GSASL_OK &&
        !give_all(x->session, &v)) {
        gsasl_finish(x->session);
        x->session = NULL;
    }
    OPENSSL_cleanse(&v, sizeof v);
    OPENSSL_cleanse(&real, sizeof real);
    return x;
}

/* The library read the name out of the message once more: it must be the same. */
static bool is_same_user(const struct scram *x)
{
    return str_eq(str_c(gsasl_property_fast(x->session, GSASL_AUTHID)), buffer_str(&x->user));
}

enum scram_status scram_step(struct scram *x, struct str message, struct buffer *answer)
{
    char *out = NULL;
    size_t out_len = 0;
    if (!x->session)
        return SCRAM_WRONG;
    if (message.len == 0 || str_find(message, '\0') != SIZE_MAX)
        return SCRAM_MALFORMED;
    int result = gsasl_step(x->session, message.at, message.len, &out, &out_len);
    if (out) {
        buffer_put(answer, str_from(out, out_len));
        gsasl_free(out);
    }
    bool good = !answer->full && is_same_user(x);
    if (result == GSASL_NEEDS_MORE && good)
        return SCRAM_ASK;
    if (result == GSASL_OK && good && !x->is_fake)
        return SCRAM_PROVEN;
    buffer_clear(answer);
    return result == GSASL_MECHANISM_PARSE_ERROR || result == GSASL_BASE64_ERROR ? SCRAM_MALFORMED
                                                                                 : SCRAM_WRONG;
}

void scram_drop(struct scram **x_p)
{
    struct scram *x = *x_p;
    if (!x)
        return;
    *x_p = NULL;
    if (x->session)
        gsasl_finish(x->session);
    buffer_drop(&x->user);
    heap_drop(x);
}
