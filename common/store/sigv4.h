/* sigv4.h - AWS Signature Version 4, by hand: which bytes a request has to be
 * signed over, and the signature. Pure functions; nothing here is kept, and
 * no secret leaves through anything but the signature.
 */
#ifndef GOPMILL_STORE_SIGV4_H
#define GOPMILL_STORE_SIGV4_H

#include <stddef.h>
#include <stdint.h>

enum {
    SIGV4_DATE_SIZE = 17, /* "20150830T123600Z" and a NUL */
    SIGV4_HEX_SIZE = 65,  /* SHA-256 in lower-case hex and a NUL */
    SIGV4_HEADERS_MAX = 16,
};

struct sigv4_keys {
    const char *access, *secret; /* borrowed */
};

struct sigv4_header {
    const char *name;  /* lower-case */
    const char *value; /* blanks at its ends and in runs don't count */
};

/* All borrowed. */
struct sigv4_request {
    const char *method;
    const char *path;                   /* absolute, encoded by sigv4_encode() */
    const char *query;                  /* from sigv4_query(); "" without one */
    const struct sigv4_header *headers; /* all that are signed, "host" among them, any order */
    size_t n_headers;
    const char *payload_sha256; /* hex, or "UNSIGNED-PAYLOAD" */
    const char *region, *service;
    char date[SIGV4_DATE_SIZE];
};

struct sigv4_param {
    const char *name, *value; /* not encoded; value NULL: "" */
};

/* RFC 3986: all but letters, digits and "-._~" becomes %XX, and '/' too unless
 * `keep_slash`. Needs 3 * strlen(s) + 1 bytes at `ret`; returns its end. */
char *sigv4_encode(const char *s, int keep_slash, char *ret);

/* "a=1&b=2", encoded and sorted; allocated. Sorts `params` in place. NULL: out
 * of memory. */
char *sigv4_query(struct sigv4_param *params, size_t n);

void sigv4_sha256(const void *data, size_t len, char ret[SIGV4_HEX_SIZE]);

/* `unix_s` as the date of a request. */
void sigv4_date(int64_t unix_s, char ret[SIGV4_DATE_SIZE]);

/* The value of the Authorization header, allocated. -EINVAL for more headers
 * than SIGV4_HEADERS_MAX; -ENOMEM. */
int sigv4_authorization(const struct sigv4_keys *keys, const struct sigv4_request *r, char **ret);

#endif
