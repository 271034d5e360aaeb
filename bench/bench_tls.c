#include "bench/bench_conn.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <stdio.h>

static SSL_CTX *context_new(const SSL_METHOD *method)
{
    SSL_CTX *context = SSL_CTX_new(method);
    if (!context || !SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION))
        bench_die("cannot make a TLS context");
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(context, 1); /* one read per record, not one for its header too */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    return context;
}

SSL_CTX *bench_tls_client(void)
{
    SSL_CTX *context = context_new(TLS_client_method());
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE,
                       NULL); /* load measures, it does not authenticate */
    return context;
}

static X509 *certificate_new(EVP_PKEY *key, const char *name)
{
    X509 *certificate = X509_new();
    X509_NAME *subject = X509_NAME_new();
    char alternative[300];
    (void)snprintf(alternative, sizeof alternative, "DNS:%s", name);
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alternative);
    if (!certificate || !subject || !names ||
        !X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
                                    -1, 0) ||
        !X509_set_version(certificate, X509_VERSION_3) ||
        !ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate),
                                 bench_mix(bench_wall_us()) >> 1) ||
        !X509_gmtime_adj(X509_getm_notBefore(certificate), -3600L) ||
        !X509_gmtime_adj(X509_getm_notAfter(certificate), 30L * 86400) ||
        !X509_set_subject_name(certificate, subject) ||
        !X509_set_issuer_name(certificate, subject) || !X509_set_pubkey(certificate, key) ||
        !X509_add_ext(certificate, names, -1) || !X509_sign(certificate, key, EVP_sha256()))
        bench_die("cannot make a certificate for %s", name);
    X509_NAME_free(subject);
    X509_EXTENSION_free(names);
    return certificate;
}

SSL_CTX *bench_tls_server(const char *name, const char *certificate_path)
{
    SSL_CTX *context = context_new(TLS_server_method());
    EVP_PKEY *key = EVP_EC_gen("P-256");
    if (!key)
        bench_die("cannot make a key");
    X509 *certificate = certificate_new(key, name);
    if (!SSL_CTX_use_certificate(context, certificate) || !SSL_CTX_use_PrivateKey(context, key))
        bench_die("cannot use the certificate");
    if (certificate_path) {
        FILE *file = fopen(certificate_path, "we");
        if (!file || !PEM_write_X509(file, certificate) || fclose(file))
            bench_die_errno(certificate_path);
    }
    SSL_CTX_set_num_tickets(context, 1);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return context;
}
