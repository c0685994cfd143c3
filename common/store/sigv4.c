#include "sigv4.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "../base/cleanup.h"

enum { SHA256_BYTES = 32 };

static void hex(const unsigned char *bytes, size_t n, char *ret)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        *ret++ = digits[bytes[i] >> 4];
        *ret++ = digits[bytes[i] & 15];
    }
    *ret = '\0';
}

static int is_plain(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

char *sigv4_encode(const char *s, int keep_slash, char *ret)
{
    static const char digits[] = "0123456789ABCDEF";

    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (is_plain(c) || (c == '/' && keep_slash)) {
            *ret++ = (char)c;
            continue;
        }
        *ret++ = '%';
        *ret++ = digits[c >> 4];
        *ret++ = digits[c & 15];
    }
    *ret = '\0';
    return ret;
}

void sigv4_sha256(const void *data, size_t len, char ret[SIGV4_HEX_SIZE])
{
    unsigned char md[EVP_MAX_MD_SIZE] = { 0 };

    (void)EVP_Digest(data, len, md, NULL, EVP_sha256(), NULL);
    hex(md, SHA256_BYTES, ret);
}

void sigv4_date(int64_t unix_s, char ret[SIGV4_DATE_SIZE])
{
    time_t t = (time_t)unix_s;
    struct tm tm = { 0 };

    (void)gmtime_r(&t, &tm);
    if (strftime(ret, SIGV4_DATE_SIZE, "%Y%m%dT%H%M%SZ", &tm) == 0)
        ret[0] = '\0';
}

/* ---- query ---- */

/* Compared as encoded, which is not the order of the bytes themselves. */
static int compare_encoded(const char *a, const char *b)
{
    for (;; a++, b++) {
        char x[4], y[4], one[2] = { *a, '\0' }, other[2] = { *b, '\0' };
        if (!*a || !*b)
            return (*a != '\0') - (*b != '\0');
        (void)sigv4_encode(one, 0, x);
        (void)sigv4_encode(other, 0, y);
        int d = strcmp(x, y);
        if (d != 0)
            return d;
    }
}

static int compare_params(const void *a, const void *b)
{
    const struct sigv4_param *x = a, *y = b;
    int d = compare_encoded(x->name, y->name);

    return d ? d : compare_encoded(x->value ? x->value : "", y->value ? y->value : "");
}

char *sigv4_query(struct sigv4_param *params, size_t n)
{
    size_t size = 1;

    for (size_t i = 0; i < n; i++)
        size += 3 * (strlen(params[i].name) + strlen(params[i].value ? params[i].value : "")) + 2;
    char *ret = malloc(size);
    if (!ret)
        return NULL;
    if (n > 1)
        qsort(params, n, sizeof(*params), compare_params);
    char *out = ret;
    *out = '\0';
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            *out++ = '&';
        out = sigv4_encode(params[i].name, 0, out);
        *out++ = '=';
        out = sigv4_encode(params[i].value ? params[i].value : "", 0, out);
    }
    return ret;
}

/* ---- what is signed ---- */

static int compare_headers(const void *a, const void *b)
{
    return strcmp(((const struct sigv4_header *)a)->name, ((const struct sigv4_header *)b)->name);
}

static void write_value(FILE *f, const char *v)
{
    int blank = 0, begun = 0;

    for (; *v; v++) {
        if (*v == ' ' || *v == '\t') {
            blank = begun;
            continue;
        }
        if (blank)
            (void)fputc(' ', f);
        (void)fputc(*v, f);
        blank = 0;
        begun = 1;
    }
}

static void write_signed_names(FILE *f, const struct sigv4_header *headers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        (void)fprintf(f, "%s%s", i > 0 ? ";" : "", headers[i].name);
}

/* Its digest, in hex. `headers` are sorted. */
static int canonical_sha256(const struct sigv4_request *r, const struct sigv4_header *headers,
                            char ret[SIGV4_HEX_SIZE])
{
    _cleanup_free_ char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    if (!f)
        return -ENOMEM;
    (void)fprintf(f, "%s\n%s\n%s\n", r->method, r->path, r->query);
    for (size_t i = 0; i < r->n_headers; i++) {
        (void)fprintf(f, "%s:", headers[i].name);
        write_value(f, headers[i].value);
        (void)fputc('\n', f);
    }
    (void)fputc('\n', f);
    write_signed_names(f, headers, r->n_headers);
    (void)fprintf(f, "\n%s", r->payload_sha256);
    if (fclose(f) != 0)
        return -ENOMEM;
    sigv4_sha256(text, len, ret);
    return 0;
}

static void hmac(const unsigned char *key, size_t key_len, const char *text,
                 unsigned char ret[SHA256_BYTES])
{
    unsigned char md[EVP_MAX_MD_SIZE] = { 0 };

    (void)HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)text, strlen(text), md,
               NULL);
    memcpy(ret, md, SHA256_BYTES);
    OPENSSL_cleanse(md, sizeof(md));
}

/* The day's key for region and service signs `text`. */
static int sign(const struct sigv4_keys *keys, const struct sigv4_request *r, const char *text,
                char ret[SIGV4_HEX_SIZE])
{
    unsigned char key[SHA256_BYTES];
    char day[9], *first = NULL;

    int len = asprintf(&first, "AWS4%s", keys->secret);
    if (len < 0)
        return -ENOMEM;
    memcpy(day, r->date, 8);
    day[8] = '\0';
    hmac((unsigned char *)first, (size_t)len, day, key);
    OPENSSL_cleanse(first, (size_t)len);
    free(first);
    hmac(key, sizeof(key), r->region, key);
    hmac(key, sizeof(key), r->service, key);
    hmac(key, sizeof(key), "aws4_request", key);
    hmac(key, sizeof(key), text, key);
    hex(key, sizeof(key), ret);
    return 0;
}

static int print_authorization(const struct sigv4_keys *keys, const struct sigv4_request *r,
                               const struct sigv4_header *headers, const char *scope,
                               const char *signature, char **ret)
{
    _cleanup_free_ char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    if (!f)
        return -ENOMEM;
    (void)fprintf(f, "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=", keys->access, scope);
    write_signed_names(f, headers, r->n_headers);
    (void)fprintf(f, ", Signature=%s", signature);
    if (fclose(f) != 0)
        return -ENOMEM;
    *ret = take_ptr(text);
    return 0;
}

int sigv4_authorization(const struct sigv4_keys *keys, const struct sigv4_request *r, char **ret)
{
    struct sigv4_header headers[SIGV4_HEADERS_MAX];
    char digest[SIGV4_HEX_SIZE], signature[SIGV4_HEX_SIZE];
    _cleanup_free_ char *scope = NULL, *text = NULL;

    if (r->n_headers == 0 || r->n_headers > SIGV4_HEADERS_MAX)
        return -EINVAL;
    memcpy(headers, r->headers, r->n_headers * sizeof(*headers));
    qsort(headers, r->n_headers, sizeof(*headers), compare_headers);
    int e = canonical_sha256(r, headers, digest);
    if (e < 0)
        return e;
    if (asprintf(&scope, "%.8s/%s/%s/aws4_request", r->date, r->region, r->service) < 0) {
        scope = NULL;
        return -ENOMEM;
    }
    if (asprintf(&text, "AWS4-HMAC-SHA256\n%s\n%s\n%s", r->date, scope, digest) < 0) {
        text = NULL;
        return -ENOMEM;
    }
    e = sign(keys, r, text, signature);
    return e < 0 ? e : print_authorization(keys, r, headers, scope, signature, ret);
}
