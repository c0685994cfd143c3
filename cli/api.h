/* api.h - asking a dispatcher over HTTP (docs/openapi.yaml).
 *
 * Everything that comes back is taken for hostile: at most API_BODY_MAX
 * bytes, JSON objects only, no redirects, no compression; texts in `err` are
 * fit for a terminal. One thread per api. The token is in no text.
 *
 * Errors, wherever a call can fail:
 *   -EHOSTDOWN    can't be reached, or what answers is no dispatcher (ERR_STORAGE)
 *   -ECONNRESET   the connection was lost on the way: done or not (ERR_STORAGE)
 *   -EACCES       the token is missing or wrong (ERR_USAGE)
 *   -ENOENT -EEXIST -EINVAL   404, 409, other 4xx, in the dispatcher's words
 *   -EBUSY        429 or 503, also after having waited and tried again
 *   -EIO          5xx
 *   -ECANCELED    asked to stop (ERR_CANCELED)
 */
#ifndef GOPMILL_CLI_API_H
#define GOPMILL_CLI_API_H

#include <jansson.h>
#include <stddef.h>

struct api;
struct err;

enum { API_BODY_MAX = 32 << 20, API_TOKEN_MAX = 4096, API_ETAG_MAX = 128 };
#define API_DEFAULT "http://127.0.0.1:7411"

struct api_config {
    const char *dispatcher; /* URL, copied; a path in it is put before every path */
    const char *token;      /* copied; NULL: none */
    const char *ca_file;    /* https: PEM, copied; NULL: the system's */
    const char *cert_file;  /* https: PEM, one's own certificate, copied; NULL: none */
    const char *key_file;   /* its key; may be NULL where cert_file has both */
    int (*stop)(void *arg); /* asked about once a second while waiting; may be NULL */
    void *arg;
};

/* -EINVAL (ERR_USAGE) for a URL that isn't http:// or https://, or holds a
 * name or password; for a key without its certificate. No network I/O. */
int api_new(const struct api_config *cfg, struct api **ret, struct err *err);
void api_free(struct api *a); /* NULL is a no-op */

struct api_answer {
    int status;              /* 200 … 304 */
    json_t *json;            /* an object, or NULL where there was no body (204, 304) */
    char etag[API_ETAG_MAX]; /* as sent, with its quotes; "" */
};
void api_answer_release(struct api_answer *a); /* leaves it zeroed */

/* `path` begins with '/' and is encoded already. `body`: JSON text or NULL.
 * `etag`: sent as If-None-Match, or NULL. On failure *ret is untouched. */
int api_call(struct api *a, const char *method, const char *path, const char *body,
             const char *etag, struct api_answer *ret, struct err *err);

/* printf into a path where each %s is percent-encoded; nothing but %s and
 * %% is known. NULL: out of memory. */
char *api_path(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The error of an answer with such a status: class, words and -errno.
 * `json` may be NULL. For api_call() and tests. */
int api_error(int status, const json_t *json, const char *dispatcher, int had_token,
              struct err *err);

/* A token out of a file: its first line, printable ASCII. -errno, ERR_USAGE. */
int api_token_read(const char *path, char ret[API_TOKEN_MAX], struct err *err);

#endif
