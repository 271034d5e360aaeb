/* tls.c -- OpenSSL's SSL between two buffers.
 *
 * A BIO of our own reads from the `wire_in` of the call and writes to its `wire_out`. OpenSSL's
 * memory BIOs would keep a copy of the largest burst for the whole session; this way a session
 * holds only what OpenSSL itself keeps, and nothing once SSL_MODE_RELEASE_BUFFERS has given the
 * records back. SSL_read() asks until the BIO is empty, and keeps the start of an incomplete record
 * itself, so a call always takes all of `wire_in`.
 */
#include "crypto/tls.h"

#include "core/base/base.h"
#include "core/base/heap.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum {
    PLAIN_BYTES = 16 << 10, /* the most that one record carries */
    TICKETS = 1,            /* for TLS 1.3; the default of 2 is for browsers */
};

_Static_assert(TLS_PURPOSE_BYTES == SSL_MAX_SID_CTX_LENGTH, "OpenSSL's room for it");

struct tls_context {
    OSSL_LIB_CTX *library;
    SSL_CTX *ssl;
    BIO_METHOD *pump;
    const struct ticket_keys *tickets; /* NULL: OpenSSL's own for this context */
    EVP_CIPHER *ticket_cipher;
    size_t users; /* sessions, and one for whoever made it */
    char plain[PLAIN_BYTES];
};

struct tls {
    struct tls_context *context;
    SSL *ssl;
    struct str in;      /* what is left of the current call's `wire_in` */
    struct buffer *out; /* the current call's `wire_out` */
    const char *error;  /* a constant of OpenSSL's or ours */
    bool failed, client;
};

/* ---- the BIO ---- */

static int pump_read(BIO *bio, char *to, size_t room, size_t *got)
{
    struct tls *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    *got = size_min(room, t->in.len);
    if (*got == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    memcpy(to, t->in.at, *got);
    t->in = str_skip(t->in, *got);
    return 1;
}

static int pump_write(BIO *bio, const char *from, size_t len, size_t *wrote)
{
    struct tls *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    *wrote = 0;
    if (!t->out)
        return 0;
    buffer_put(t->out, str_from(from, len));
    if (t->out->full)
        return 0;
    *wrote = len;
    return 1;
}

static long pump_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static int pump_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

static BIO_METHOD *pump_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK | 100, "pump");
    must(m != NULL);
    must(BIO_meth_set_read_ex(m, pump_read) && BIO_meth_set_write_ex(m, pump_write) &&
         BIO_meth_set_ctrl(m, pump_control) && BIO_meth_set_create(m, pump_create));
    return m;
}

/* ---- contexts ---- */

/* The first reason in OpenSSL's queue is the cause, what follows is who passed it on. */
static const char *first_reason(const char *otherwise)
{
    unsigned long code = ERR_get_error();
    ERR_clear_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    return reason ? reason : otherwise;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): OpenSSL's type */
static int no_passphrase(char *to, int room, int writing, void *data)
{
    (void)to;
    (void)room;
    (void)writing;
    (void)data;
    return -1; /* the default would ask at the terminal */
}

static void context_free(struct tls_context *c)
{
    SSL_CTX_free(c->ssl);
    EVP_CIPHER_free(c->ticket_cipher);
    BIO_meth_free(c->pump);
    OSSL_LIB_CTX_free(c->library);
    heap_drop(c);
}

static void context_unuse(struct tls_context *c)
{
    must(c->users > 0);
    if (--c->users == 0)
        context_free(c);
}

void tls_prepare(void)
{
    (void)OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
}

static struct tls_context *context_new(const SSL_METHOD *method, struct buffer *errors)
{
    tls_prepare();
    ERR_clear_error();
    struct tls_context *c = heap_take(sizeof *c);
    c->users = 1;
    c->pump = pump_method();
    c->library = OSSL_LIB_CTX_new();
    c->ssl = c->library ? SSL_CTX_new_ex(c->library, NULL, method) : NULL;
    if (!c->ssl) {
        buffer_printf(errors, "TLS cannot be set up: %s\n", first_reason("out of memory"));
        context_free(c);
        return NULL;
    }
    must(SSL_CTX_set_min_proto_version(c->ssl, TLS1_2_VERSION));
    (void)SSL_CTX_set_options(c->ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    (void)SSL_CTX_set_mode(c->ssl, SSL_MODE_RELEASE_BUFFERS);
    /* tickets carry the session: there is no cache on our side */
    (void)SSL_CTX_set_session_cache_mode(c->ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_default_passwd_cb(c->ssl, no_passphrase);
    return c;
}

static bool load(struct tls_context *c, const char *certificate, const char *key,
                 struct buffer *errors)
{
    const char *paths[] = {certificate, key};
    for (size_t i = 0; i < countof(paths); i++)
        if (access(paths[i], R_OK) != 0) {
            buffer_printf(errors, "%s: cannot be read (%s)\n", paths[i], strerrorname_np(errno));
            return false;
        }
    if (SSL_CTX_use_certificate_chain_file(c->ssl, certificate) != 1) {
        buffer_printf(errors, "%s: no usable certificate: %s\n", certificate,
                      first_reason("unknown"));
        return false;
    }
    if (SSL_CTX_use_PrivateKey_file(c->ssl, key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(c->ssl) != 1) {
        buffer_printf(errors, "%s: no usable private key for %s: %s\n", key, certificate,
                      first_reason("unknown"));
        return false;
    }
    return true;
}

/* ---- tickets ---- */

/* OpenSSL asks for the keys of a ticket that it seals or was shown. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int seals)
{
    const struct tls_context *c = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    const struct ticket_key *key =
        seals ? &c->tickets->current : ticket_keys_find(c->tickets, name);
    if (!key)
        return 0; /* not ours: a full handshake */
    if (seals) {
        memcpy(name, key->name, sizeof key->name);
        if (RAND_bytes_ex(c->library, iv, (size_t)EVP_CIPHER_get_iv_length(c->ticket_cipher), 0) !=
            1)
            return -1;
    }
    uint8_t mac_key[TICKET_KEY_BYTES];
    char digest[] = "SHA256";
    memcpy(mac_key, key->mac, sizeof mac_key);
    const OSSL_PARAM how[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, mac_key, sizeof mac_key),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    int result = EVP_CipherInit_ex(cipher, c->ticket_cipher, NULL, key->cipher, iv, seals);
    bool good = result == 1 && EVP_MAC_CTX_set_params(mac, how) == 1;
    OPENSSL_cleanse(mac_key, sizeof mac_key);
    if (!good)
        return -1;
    return key == &c->tickets->current ? 1 : 2; /* 2: and give the client a fresh one */
}

static void use_tickets(struct tls_context *c, const struct ticket_keys *tickets)
{
    must(SSL_CTX_set_num_tickets(c->ssl, TICKETS));
    (void)SSL_CTX_set_timeout(c->ssl, TICKET_SECONDS);
    c->tickets = tickets;
    if (!tickets)
        return;
    c->ticket_cipher = EVP_CIPHER_fetch(c->library, "AES-256-CBC", NULL);
    must(c->ticket_cipher != NULL);
    SSL_CTX_set_app_data(c->ssl, c);
    must(SSL_CTX_set_tlsext_ticket_key_evp_cb(c->ssl, on_ticket) == 1);
}

struct tls_context *tls_context_server(const char *certificate, const char *key,
                                       const struct ticket_keys *tickets, struct buffer *errors)
{
    struct tls_context *c = context_new(TLS_server_method(), errors);
    if (!c)
        return NULL;
    if (!load(c, certificate, key, errors)) {
        context_free(c);
        return NULL;
    }
    (void)SSL_CTX_set_dh_auto(c->ssl, 1);
    use_tickets(c, tickets);
    return c;
}

struct tls_context *tls_context_client(struct buffer *errors)
{
    struct tls_context *c = context_new(TLS_client_method(), errors);
    if (!c)
        return NULL;
    /* Opportunistic: a small key is better than none, and refusing it would mean sending in the
     * clear. Ciphers without encryption or with a broken one stay out. */
    SSL_CTX_set_verify(c->ssl, SSL_VERIFY_NONE, NULL);
    must(SSL_CTX_set_cipher_list(c->ssl, "DEFAULT:!aNULL:!eNULL:!EXP:!RC4:@SECLEVEL=0"));
    return c;
}

void tls_context_drop(struct tls_context **c)
{
    if (*c)
        context_unuse(*c);
    *c = NULL;
}

/* ---- sessions ---- */

static struct tls *session_new(struct tls_context *c)
{
    ERR_clear_error();
    struct tls *t = heap_take(sizeof *t);
    t->ssl = SSL_new(c->ssl);
    BIO *bio = BIO_new(c->pump);
    must(t->ssl && bio); /* memory: bounded by the number of connections */
    BIO_set_data(bio, t);
    SSL_set_bio(t->ssl, bio, bio);
    t->context = c;
    t->error = "";
    c->users++;
    return t;
}

struct tls *tls_accept(struct tls_context *c, struct str purpose)
{
    struct tls *t = session_new(c);
    /* stands in the ticket, and is compared when it comes back (TLSIN-10) */
    must(SSL_set_session_id_context(t->ssl, (const unsigned char *)purpose.at,
                                    (unsigned)purpose.len) == 1);
    SSL_set_accept_state(t->ssl);
    return t;
}

/* SNI carries names only (RFC 6066 3). */
static bool is_address(const char *host)
{
    return strchr(host, ':') || host[strspn(host, "0123456789.")] == '\0';
}

struct tls *tls_connect(struct tls_context *c, const char *host_name)
{
    struct tls *t = session_new(c);
    SSL_set_connect_state(t->ssl);
    t->client = true;
    /* fails for names over 255 bytes: then without */
    if (host_name && !is_address(host_name) && SSL_set_tlsext_host_name(t->ssl, host_name) != 1)
        ERR_clear_error();
    return t;
}

void tls_drop(struct tls **t_p)
{
    struct tls *t = *t_p;
    if (!t)
        return;
    *t_p = NULL;
    SSL_free(t->ssl);
    context_unuse(t->context);
    heap_drop(t);
}

static void open_call(struct tls *t, struct str in, struct buffer *out)
{
    ERR_clear_error(); /* the queue is the thread's: leavings of others would be taken for ours */
    t->in = in;
    t->out = out;
}

static enum tls_status close_call(struct tls *t, enum tls_status status)
{
    t->in = STR("");
    t->out = NULL;
    if (status == TLS_FAILED)
        t->failed = true;
    return status;
}

/* What a call of OpenSSL that did not succeed means. */
static enum tls_status judge(struct tls *t, int result)
{
    switch (SSL_get_error(t->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return TLS_WANT_MORE;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_CLOSED;
    case SSL_ERROR_SYSCALL:
        t->error = t->out && t->out->full ? "no room for outgoing records" : "broken stream";
        return TLS_FAILED;
    default:
        t->error = first_reason("protocol error");
        return TLS_FAILED;
    }
}

enum tls_status tls_start(struct tls *t, struct buffer *wire_out)
{
    if (!t->client)
        return TLS_WANT_MORE;
    open_call(t, STR(""), wire_out);
    int result = SSL_do_handshake(t->ssl);
    return close_call(t, result == 1 ? TLS_OK : judge(t, result));
}

enum tls_status tls_feed(struct tls *t, struct str wire_in, struct buffer *plain_out,
                         struct buffer *wire_out)
{
    if (t->failed)
        return TLS_FAILED;
    open_call(t, wire_in, wire_out);
    if (!SSL_is_init_finished(t->ssl)) {
        int result = SSL_do_handshake(t->ssl);
        if (result != 1)
            return close_call(t, judge(t, result));
    }
    for (;;) {
        size_t got = 0;
        int result = SSL_read_ex(t->ssl, t->context->plain, sizeof t->context->plain, &got);
        if (result != 1) {
            enum tls_status status = judge(t, result);
            return close_call(t, status == TLS_WANT_MORE ? TLS_OK : status);
        }
        buffer_put(plain_out, str_from(t->context->plain, got));
        if (plain_out->full) {
            t->error = "no room for incoming bytes";
            return close_call(t, TLS_FAILED);
        }
    }
}

enum tls_status tls_write(struct tls *t, struct str plain, struct buffer *wire_out)
{
    must(tls_ready(t));
    if (plain.len == 0)
        return TLS_OK;
    open_call(t, STR(""), wire_out);
    size_t wrote = 0;
    int result = SSL_write_ex(t->ssl, plain.at, plain.len, &wrote);
    return close_call(t, result == 1 ? TLS_OK : judge(t, result));
}

void tls_finish(struct tls *t, struct buffer *wire_out)
{
    if (!tls_ready(t))
        return;
    open_call(t, STR(""), wire_out);
    (void)SSL_shutdown(t->ssl); /* only our half: nobody waits for the peer's */
    ERR_clear_error();
    (void)close_call(t, TLS_OK);
}

bool tls_ready(const struct tls *t)
{
    return !t->failed && SSL_is_init_finished(t->ssl);
}

bool tls_resumed(const struct tls *t)
{
    return SSL_session_reused(t->ssl) == 1;
}

const char *tls_error(const struct tls *t)
{
    return t->error;
}

struct tls_text tls_describe(const struct tls *t)
{
    struct tls_text text = {""};
    const SSL_CIPHER *cipher = SSL_get_current_cipher(t->ssl);
    if (!cipher || !SSL_is_init_finished(t->ssl))
        return text;
    int bits = 0;
    (void)SSL_CIPHER_get_bits(cipher, &bits);
    (void)snprintf(text.at, sizeof text.at, "%s %s %d", SSL_get_version(t->ssl),
                   SSL_CIPHER_get_name(cipher), bits);
    return text;
}

struct str tls_server_name(const struct tls *t)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    struct str name = str_c(SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name));
    if (name.len && strspn(name.at, allowed) != name.len)
        return STR(""); /* the client's bytes: they go into logs and headers */
    return name;
}
