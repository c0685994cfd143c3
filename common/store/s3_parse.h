/* s3_parse.h - what an S3 server answers, and what people write for an object
 * in a bucket. Pure functions; every byte read here may be hostile.
 *
 * XML with a document type declaration is refused, so that there are no
 * entities but those of XML itself; S3 never sends one.
 */
#ifndef GOPMILL_STORE_S3_PARSE_H
#define GOPMILL_STORE_S3_PARSE_H

#include <stddef.h>
#include <stdint.h>

struct err;

enum {
    S3_KEY_MAX = 1024,     /* bytes */
    S3_XML_MAX = 16 << 20, /* of one answer; a page of 1000 keys is below 5 MiB */
};

/* "s3://bucket/key": `ret_bucket` and `ret_key` are allocated. The key is
 * taken as it stands, as other S3 tools do: nothing is percent-decoded. It is
 * "" where the URL ends with the bucket. ERR_USAGE with -EINVAL for a URL that
 * isn't one, -ENOMEM. */
int s3_url_parse(const char *url, char **ret_bucket, char **ret_key, struct err *err);

/* What S3 allows: UTF-8, 1 to S3_KEY_MAX bytes. -EINVAL with ERR_INPUT. */
int s3_key_check(const char *key, struct err *err);

struct s3_error {
    char code[64];     /* "NoSuchKey"; "" where the body is none */
    char message[256]; /* well-formed UTF-8 on one line; may be "" */
};

/* Never fails: a body that is no error answer gives an empty one. */
void s3_error_parse(const void *xml, size_t len, struct s3_error *ret);

struct s3_object {
    char *key;
    uint64_t size_bytes;
    char etag[120]; /* without quotes; "" if it had none of use */
};

struct s3_page {
    struct s3_object *objects;
    size_t n;
    char *next; /* continuation token, not escaped; NULL: the last page */
};

/* One answer to ListObjectsV2. -EBADMSG with ERR_STORAGE for what isn't one,
 * -ENOMEM. Entries without key or size make the whole page bad. */
int s3_page_parse(const void *xml, size_t len, struct s3_page *ret, struct err *err);
void s3_page_release(struct s3_page *p);

struct s3_upload {
    char *key, *id;
    char initiated[32]; /* "2026-11-23T12:00:00.000Z" */
};

/* Multipart uploads under way, the first page of them. As s3_page_parse(). */
int s3_uploads_parse(const void *xml, size_t len, struct s3_upload **ret, size_t *ret_n,
                     struct err *err);
void s3_uploads_free(struct s3_upload *u, size_t n);

/* The id of a multipart upload that was begun, allocated. -EBADMSG, -ENOMEM. */
int s3_upload_id_parse(const void *xml, size_t len, char **ret, struct err *err);

/* `raw` without quotes into `ret` of `size`: -EINVAL for one that is weak,
 * empty, too long or holds what no ETag may. */
int s3_etag_copy(const char *raw, char *ret, size_t size);

/* 1, and the digest in `ret`, if the ETag is the MD5 of the object. */
int s3_etag_md5(const char *etag, char ret[33]);

#endif
