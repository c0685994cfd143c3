#include "sha256.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>

struct sha256 {
    EVP_MD_CTX *ctx;
};

static void to_hex(const unsigned char *raw, size_t n, char *ret)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        ret[2 * i] = hex[raw[i] >> 4];
        ret[2 * i + 1] = hex[raw[i] & 15];
    }
    ret[2 * n] = '\0';
}

struct sha256 *sha256_new(void)
{
    struct sha256 *d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    d->ctx = EVP_MD_CTX_new();
    if (!d->ctx || !EVP_DigestInit_ex(d->ctx, EVP_sha256(), NULL)) {
        sha256_free(d);
        return NULL;
    }
    return d;
}

void sha256_free(struct sha256 *d)
{
    if (!d)
        return;
    EVP_MD_CTX_free(d->ctx);
    free(d);
}

int sha256_add(struct sha256 *d, const void *buf, size_t len)
{
    return EVP_DigestUpdate(d->ctx, buf, len) ? 0 : -ENOMEM;
}

int sha256_end(struct sha256 *d, char ret[static SHA256_HEX])
{
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    if (!EVP_DigestFinal_ex(d->ctx, raw, &n) || 2 * n + 1 != SHA256_HEX)
        return -ENOMEM;
    to_hex(raw, n, ret);
    return 0;
}

int sha256_of(const void *buf, size_t len, char ret[static SHA256_HEX])
{
    struct sha256 *d = sha256_new();
    int r = d ? sha256_add(d, buf, len) : -ENOMEM;
    if (r == 0)
        r = sha256_end(d, ret);
    sha256_free(d);
    return r;
}
