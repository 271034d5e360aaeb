#include "crypto/tls.h"

#include "core/base/base.h"
#include "core/base/random.h"
#include "tests/unit/crypto/certificate.h"
#include "tests/unit/harness.h"

#include <openssl/ssl.h>

static struct certificate ecdsa, rsa, other;
static struct buffer errors;

static struct tls_context *server_context(const struct certificate *c)
{
    buffer_clear(&errors);
    struct tls_context *s = tls_context_server(c->certificate, c->key, NULL, &errors);
    expect(s != NULL, "%.*s", STR_ARG(buffer_str(&errors)));
    return s;
}

/* Both ends and the wires between them. */
struct pair {
    struct tls *client, *server;
    struct buffer up, down;             /* wire bytes to the server, to the client */
    struct buffer at_server, at_client; /* plain bytes that arrived */
};

static void pair_open(struct pair *p, struct tls_context *c, struct tls_context *s)
{
    *p =
        (struct pair){.client = tls_connect(c, "mx.example"), .server = tls_accept(s, STR("smtp"))};
    struct buffer *all[] = {&p->up, &p->down, &p->at_server, &p->at_client};
    for (size_t i = 0; i < countof(all); i++)
        buffer_init(all[i], 4 << 20);
    expect(tls_start(p->client, &p->up) == TLS_WANT_MORE, "client hello");
    expect(tls_start(p->server, &p->down) == TLS_WANT_MORE, "server waits");
}

static void pair_close(struct pair *p)
{
    tls_drop(&p->client);
    tls_drop(&p->server);
    struct buffer *all[] = {&p->up, &p->down, &p->at_server, &p->at_client};
    for (size_t i = 0; i < countof(all); i++)
        buffer_drop(all[i]);
}

/* Carry at most `most` bytes of one direction; 0: all. */
static enum tls_status carry(struct tls *to, struct buffer *wire, struct buffer *plain,
                             struct buffer *answer, size_t most)
{
    size_t len = most ? size_min(most, wire->len) : wire->len;
    enum tls_status status = tls_feed(to, str_head(buffer_str(wire), len), plain, answer);
    buffer_consume(wire, len);
    return status;
}

static void pump(struct pair *p, size_t most)
{
    while (p->up.len || p->down.len) {
        if (p->up.len)
            (void)carry(p->server, &p->up, &p->at_server, &p->down, most);
        if (p->down.len)
            (void)carry(p->client, &p->down, &p->at_client, &p->up, most);
    }
}

static void test_exchange(void)
{
    const struct certificate *kinds[] = {&ecdsa, &rsa};
    static const size_t pieces[] = {0, 1, 2, 3, 7, 100, 1000, 16384};
    struct tls_context *client = tls_context_client(&errors);
    static char big[300000];
    random_bytes(big, sizeof big);
    for (size_t k = 0; k < countof(kinds); k++) {
        struct tls_context *server = server_context(kinds[k]);
        for (size_t i = 0; i < countof(pieces); i++) {
            struct pair p;
            pair_open(&p, client, server);
            expect(!tls_ready(p.server), "not yet");
            expect_str(str_c(tls_describe(p.server).at), STR(""), "nothing to tell");
            pump(&p, pieces[i]);
            expect(tls_ready(p.client) && tls_ready(p.server), "piece %zu", pieces[i]);
            expect(str_starts(str_c(tls_describe(p.server).at), STR("TLSv1.3 TLS_AES_256_GCM")),
                   "%s", tls_describe(p.server).at);
            expect_str(tls_server_name(p.server), STR("mx.example"), "SNI");
            size_t len = pieces[i] && pieces[i] < 1000 ? 20000 : sizeof big;
            expect(tls_write(p.client, str_from(big, len), &p.up) == TLS_OK, "up");
            expect(tls_write(p.server, str_from(big, len), &p.down) == TLS_OK, "down");
            pump(&p, pieces[i]);
            expect(str_eq(buffer_str(&p.at_server), str_from(big, len)), "piece %zu", pieces[i]);
            expect(str_eq(buffer_str(&p.at_client), str_from(big, len)), "piece %zu", pieces[i]);
            tls_finish(p.client, &p.up);
            expect(carry(p.server, &p.up, &p.at_server, &p.down, 0) == TLS_CLOSED, "close_notify");
            pair_close(&p);
        }
        tls_context_drop(&server);
    }
    tls_context_drop(&client);
}

static void test_reload(void)
{
    struct tls_context *client = tls_context_client(&errors);
    struct tls_context *server = server_context(&ecdsa);
    struct pair p;
    pair_open(&p, client, server);
    tls_context_drop(&server);
    tls_context_drop(&client);
    tls_context_drop(&client);
    expect(server == NULL, "dropped");
    pump(&p, 0);
    expect(tls_ready(p.client) && tls_ready(p.server), "sessions outlive their context");
    pair_close(&p);
}

static void test_garbage(void)
{
    static const struct {
        const char *name;
        struct str in;
    } rows[] = {
        {"TLSIN-11 HTTP to a TLS port", STR_INIT("POST / HTTP/1.1\r\nHost: x\r\n\r\n")},
        {"TLSIN-01 SMTP in place of a client hello", STR_INIT("NOOP\r\nNOOP\r\n")},
        {"zeros", STR_INIT("\0\0\0\0\0\0\0\0\0\0\0\0")},
        {"record of 64 KiB", STR_INIT("\x16\x03\x01\xff\xff....")},
        {"SSLv2 hello", STR_INIT("\x80\x1c\x01\x00\x02\x00\x03\x00\x00\x00\x10\x01\x00\x80"
                                 "0123456789012345")},
        {"TLS 1.0 hello", STR_INIT("\x16\x03\x01\x00\x2d\x01\x00\x00\x29\x03\x01"
                                   "01234567890123456789012345678901"
                                   "\x00\x00\x02\x00\x2f\x01\x00")},
    };
    struct tls_context *server = server_context(&ecdsa);
    for (size_t i = 0; i < countof(rows); i++)
        for (size_t split = 0; split <= rows[i].in.len; split++) {
            struct tls *t = tls_accept(server, STR("smtp"));
            struct buffer plain, wire;
            buffer_init(&plain, 1 << 16);
            buffer_init(&wire, 1 << 16);
            enum tls_status status = TLS_WANT_MORE;
            struct str piece;
            size_t at = 0;
            while (harness_piece(rows[i].in, split, &at, &piece))
                status = tls_feed(t, piece, &plain, &wire);
            expect(status == TLS_FAILED, "%s at %zu", rows[i].name, split);
            expect(!tls_ready(t) && plain.len == 0, "%s", rows[i].name);
            const char *why = tls_error(t);
            expect(*why && !strpbrk(why, "\r\n"), "%s: %s", rows[i].name, why);
            tls_drop(&t);
            buffer_drop(&plain);
            buffer_drop(&wire);
        }
    tls_context_drop(&server);
}

/* OpenSSL's own client, to keep its session and offer it elsewhere. */
struct plain_client {
    SSL *ssl;
    BIO *in, *out;
};

static bool talk(struct plain_client *c, struct tls *server)
{
    struct buffer plain, wire;
    buffer_init(&plain, 1 << 16);
    buffer_init(&wire, 1 << 16);
    bool ok = false;
    for (int round = 0; round < 6; round++) {
        static char bytes[20000];
        (void)SSL_do_handshake(c->ssl);
        if (SSL_is_init_finished(c->ssl)) {
            size_t got;
            (void)SSL_read_ex(c->ssl, bytes, sizeof bytes, &got); /* takes the ticket in */
            ok = tls_ready(server);
        }
        int len = BIO_read(c->out, bytes, sizeof bytes);
        if (len > 0)
            (void)tls_feed(server, str_from(bytes, (size_t)len), &plain, &wire);
        if (wire.len)
            (void)BIO_write(c->in, wire.at, (int)wire.len);
        buffer_clear(&wire);
    }
    buffer_drop(&plain);
    buffer_drop(&wire);
    return ok;
}

static void connect_with(SSL_CTX *ctx, SSL_SESSION **session, struct tls_context *server,
                         const char *purpose, bool *resumed)
{
    struct plain_client c = {SSL_new(ctx), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem())};
    SSL_set_bio(c.ssl, c.in, c.out);
    SSL_set_connect_state(c.ssl);
    if (*session)
        (void)SSL_set_session(c.ssl, *session);
    struct tls *t = tls_accept(server, str_c(purpose));
    expect(talk(&c, t), "handshake: %s", tls_error(t));
    *resumed = SSL_session_reused(c.ssl);
    expect(tls_resumed(t) == *resumed, "both ends agree");
    if (!*session)
        *session = SSL_get1_session(c.ssl);
    (void)SSL_shutdown(c.ssl); /* else the session is marked as bad */
    SSL_free(c.ssl);
    tls_drop(&t);
}

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

/* A ticket of `first` and `purpose`, shown to `second` and `shown_for`. */
static bool resumes(int version, struct tls_context *first, const char *purpose,
                    struct tls_context *second, const char *shown_for)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(ctx, version);
    SSL_SESSION *session = NULL;
    bool resumed;
    connect_with(ctx, &session, first, purpose, &resumed);
    expect(!resumed, "the first is a full handshake");
    connect_with(ctx, &session, second, shown_for, &resumed);
    SSL_SESSION_free(session);
    SSL_CTX_free(ctx);
    return resumed;
}

static struct tls_context *worker(const struct ticket_keys *keys)
{
    struct tls_context *c = tls_context_server(ecdsa.certificate, ecdsa.key, keys, &errors);
    expect(c != NULL, "%.*s", STR_ARG(buffer_str(&errors)));
    return c;
}

/* TLSIN-10 */
static void test_tickets(void)
{
    static const uint8_t seed[TICKET_SEED_BYTES] = "a seed", foreign[TICKET_SEED_BYTES] = "b seed";

    static const struct {
        const char *name, *from, *to;
        bool same_worker, same_process, want;
    } rows[] = {
        {"where it was given", "submission", "submission", true, true, true},
        {"on another worker", "submission", "submission", false, true, true},
        {"TLSIN-10 of submission at submissions", "submission", "submissions", true, true, false},
        {"TLSIN-10 of submissions at relay", "submissions", "relay", true, true, false},
        {"TLSIN-10 the same on another worker", "submissions", "relay", false, true, false},
        {"TLSIN-10 of another process", "submission", "submission", false, false, false},
    };

    for (size_t i = 0; i < countof(rows); i++) {
        struct ticket_keys a, b;
        ticket_keys_init(&a, seed, 1000);
        ticket_keys_init(&b, rows[i].same_process ? seed : foreign, 1000);
        struct tls_context *one = worker(&a), *two = worker(&b);
        for (size_t v = 0; v < countof(versions); v++)
            expect(resumes(versions[v], one, rows[i].from, rows[i].same_worker ? one : two,
                           rows[i].to) == rows[i].want,
                   "%s, TLS 1.%zu", rows[i].name, v + 2);
        tls_context_drop(&one);
        tls_context_drop(&two);
    }
    struct tls_context *alone = server_context(&ecdsa);
    expect(resumes(TLS1_3_VERSION, alone, "smtp", alone, "smtp"), "keys of its own");
    expect(!resumes(TLS1_3_VERSION, alone, "smtp", alone, "portal"), "TLSIN-10 keys of its own");
    tls_context_drop(&alone);
}

/* A ticket is made at the start, and shown when this many hours are over. */
static void test_rotation(void)
{
    static const uint8_t seed[TICKET_SEED_BYTES] = "a seed";

    static const struct {
        uint64_t before_ms, after_ms;
        bool want;
    } rows[] = {
        {0, 0, true},
        {0, 3599999, true},
        {0, 3600000, true}, /* by the key before */
        {0, 7199999, true},
        {0, 7200000, false},
        {0, 36000000, false},
        {3599999, 3600000, true},
        {3600000, 3599999, false}, /* a worker whose clock is late */
    };

    for (size_t i = 0; i < countof(rows); i++)
        for (size_t v = 0; v < countof(versions); v++) {
            struct ticket_keys a, b;
            ticket_keys_init(&a, seed, 0);
            ticket_keys_init(&b, seed, 0);
            ticket_keys_advance(&a, rows[i].before_ms);
            ticket_keys_advance(&b, rows[i].after_ms);
            struct tls_context *one = worker(&a), *two = worker(&b);
            expect(resumes(versions[v], one, "relay", two, "relay") == rows[i].want, "row %zu", i);
            tls_context_drop(&one);
            tls_context_drop(&two);
        }
    struct ticket_keys a, b;
    ticket_keys_init(&a, seed, 0);
    ticket_keys_init(&b, seed, 0);
    for (uint64_t ms = 0; ms <= 40000000; ms += 700001)
        ticket_keys_advance(&a, ms);
    ticket_keys_advance(&b, 40000000);
    ticket_keys_advance(&a, 40000000);
    expect(memcmp(&a, &b, sizeof a) == 0, "in steps or at once");
    expect(memcmp(a.chain, seed, sizeof seed) != 0, "the seed is gone");
    expect(memcmp(a.current.cipher, a.current.mac, sizeof a.current.mac) != 0, "two keys");
}

static void test_versions(void)
{
    struct tls_context *server = server_context(&ecdsa);
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(ctx, 0);
    SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(ctx, TLS1_1_VERSION);
    struct plain_client c = {SSL_new(ctx), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem())};
    SSL_set_bio(c.ssl, c.in, c.out);
    SSL_set_connect_state(c.ssl);
    struct tls *t = tls_accept(server, STR("smtp"));
    expect(!talk(&c, t), "TLS 1.1 is refused");
    expect_str(str_c(tls_error(t)), STR("unsupported protocol"), "why");
    tls_drop(&t);
    SSL_free(c.ssl);
    SSL_CTX_free(ctx);
    tls_context_drop(&server);
}

static void test_renegotiation(void)
{
    struct tls_context *server = server_context(&ecdsa);
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
    struct plain_client c = {SSL_new(ctx), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem())};
    SSL_set_bio(c.ssl, c.in, c.out);
    SSL_set_connect_state(c.ssl);
    struct tls *t = tls_accept(server, STR("smtp"));
    expect(talk(&c, t), "first");
    expect(SSL_renegotiate(c.ssl) == 1, "ask");
    (void)talk(&c, t);
    expect(SSL_in_init(c.ssl), "TLSIN-11 renegotiation is refused");
    tls_drop(&t);
    SSL_free(c.ssl);
    SSL_CTX_free(ctx);
    tls_context_drop(&server);
}

static void test_files(void)
{
    static const struct {
        const char *name, *certificate, *key, *want;
    } rows[] = {
        {"no certificate", "/nonexistent/cert.pem", ecdsa.key, "/nonexistent/cert.pem: cannot be"},
        {"no key", ecdsa.certificate, "/nonexistent/key.pem", "/nonexistent/key.pem: cannot be"},
        {"a key for a certificate", ecdsa.key, ecdsa.key, "no usable certificate"},
        {"a certificate for a key", ecdsa.certificate, ecdsa.certificate, "no usable private key"},
        {"not its key", ecdsa.certificate, other.key, "no usable private key"},
        {"a folder", ecdsa.folder, ecdsa.key, "no usable certificate"},
    };

    for (size_t i = 0; i < countof(rows); i++) {
        buffer_clear(&errors);
        struct tls_context *c = tls_context_server(rows[i].certificate, rows[i].key, NULL, &errors);
        expect(c == NULL, "%s", rows[i].name);
        struct str text = buffer_str(&errors);
        expect(str_find_str(text, str_c(rows[i].want)) != SIZE_MAX, "%s: %.*s", rows[i].name,
               STR_ARG(text));
        expect(str_find(text, '\n') == text.len - 1, "%s: one line", rows[i].name);
    }
}

static void test_sni(void)
{
    static const struct {
        const char *name, *want;
    } rows[] = {
        {"mail.example.co.jp", "mail.example.co.jp"},
        {"192.0.2.1", ""},
        {"2001:db8::1", ""},
        {"a\r\nb", ""},
        {NULL, ""},
    };
    struct tls_context *client = tls_context_client(&errors);
    struct tls_context *server = server_context(&ecdsa);
    for (size_t i = 0; i < countof(rows); i++) {
        struct pair p;
        pair_open(&p, client, server);
        tls_drop(&p.client);
        buffer_clear(&p.up);
        p.client = tls_connect(client, rows[i].name);
        (void)tls_start(p.client, &p.up);
        pump(&p, 0);
        expect(tls_ready(p.server), "%s", rows[i].name ? rows[i].name : "none");
        expect_str(tls_server_name(p.server), str_c(rows[i].want), "SNI");
        pair_close(&p);
    }
    tls_context_drop(&client);
    tls_context_drop(&server);
}

static void test_full(void)
{
    struct tls_context *client = tls_context_client(&errors);
    struct tls_context *server = server_context(&ecdsa);
    struct pair p;
    pair_open(&p, client, server);
    pump(&p, 0);
    static char big[100000];
    p.up.max = 1000;
    expect(tls_write(p.client, str_from(big, sizeof big), &p.up) == TLS_FAILED, "wire full");
    pair_close(&p);
    pair_open(&p, client, server);
    pump(&p, 0);
    expect(tls_write(p.client, str_from(big, sizeof big), &p.up) == TLS_OK, "sent");
    p.at_server.max = 1000;
    expect(carry(p.server, &p.up, &p.at_server, &p.down, 0) == TLS_FAILED, "plain full");
    expect(tls_feed(p.server, STR("x"), &p.at_server, &p.down) == TLS_FAILED, "stays failed");
    pair_close(&p);
    tls_context_drop(&client);
    tls_context_drop(&server);
}

int main(void)
{
    buffer_init(&errors, 1 << 16);
    certificate_make(&ecdsa, false);
    certificate_make(&rsa, true);
    certificate_make(&other, false);
    const struct test tests[] = {
        {"handshake and bytes in pieces", test_exchange},
        {"contexts dropped under sessions", test_reload},
        {"TLSIN-01, TLSIN-11 not TLS", test_garbage},
        {"TLSIN-10 tickets", test_tickets},
        {"TLSIN-10 new keys every hour", test_rotation},
        {"old versions", test_versions},
        {"TLSIN-11 renegotiation", test_renegotiation},
        {"certificate files", test_files},
        {"server name", test_sni},
        {"full buffers", test_full},
        {0},
    };
    int status = harness_run("tls", tests);
    certificate_remove(&ecdsa);
    certificate_remove(&rsa);
    certificate_remove(&other);
    buffer_drop(&errors);
    return status;
}
