/* certificate.h -- a self-signed certificate in a temporary folder, for tests of TLS.
 *
 * Memory   the files live until certificate_remove().
 */
#ifndef TESTS_UNIT_CRYPTO_CERTIFICATE_H
#define TESTS_UNIT_CRYPTO_CERTIFICATE_H

#include "core/base/base.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct certificate {
    char folder[64], certificate[96], key[96];
};

static inline void certificate_make(struct certificate *c, bool is_rsa)
{
    (void)snprintf(c->folder, sizeof c->folder, "/tmp/sekimori-test-XXXXXX");
    must(mkdtemp(c->folder) != NULL);
    (void)snprintf(c->certificate, sizeof c->certificate, "%s/cert.pem", c->folder);
    (void)snprintf(c->key, sizeof c->key, "%s/key.pem", c->folder);
    EVP_PKEY *key = is_rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
    X509 *x = X509_new();
    must(key && x);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_set_pubkey(x, key);
    X509_NAME *name = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test.example", -1,
                               -1, 0);
    X509_set_issuer_name(x, name);
    must(X509_sign(x, key, EVP_sha256()) > 0);
    FILE *f = fopen(c->certificate, "we");
    must(f && PEM_write_X509(f, x) == 1 && fclose(f) == 0);
    f = fopen(c->key, "we");
    must(f && PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1 && fclose(f) == 0);
    X509_free(x);
    EVP_PKEY_free(key);
}

static inline void certificate_remove(const struct certificate *c)
{
    (void)unlink(c->certificate);
    (void)unlink(c->key);
    (void)rmdir(c->folder);
}

#endif
