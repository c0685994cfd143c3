/* What an S3 server answers, and s3:// URLs: no more than is promised comes
 * of them. */
#include "fuzz.h"

#include <stdlib.h>

#include "common/base/err.h"
#include "common/base/utf8.h"
#include "common/store/s3_parse.h"

static void check_page(const uint8_t *data, size_t size)
{
    struct s3_page p = { 0 };
    struct err err = { 0 };

    if (s3_page_parse(data, size, &p, &err) < 0) {
        fuzz_must(err.text[0] && !p.objects);
        return;
    }
    for (size_t i = 0; i < p.n; i++) {
        char md5[33];
        fuzz_must(p.objects[i].key && strlen(p.objects[i].etag) < sizeof(p.objects[i].etag));
        (void)s3_etag_md5(p.objects[i].etag, md5);
    }
    fuzz_must(!p.next || p.next[0]);
    s3_page_release(&p);
}

static void check_error(const uint8_t *data, size_t size)
{
    struct s3_error e;

    s3_error_parse(data, size, &e);
    fuzz_must(utf8_valid(e.code, strlen(e.code)) && utf8_valid(e.message, strlen(e.message)));
    fuzz_must(!strpbrk(e.code, "\r\n") && !strpbrk(e.message, "\r\n"));
}

static void check_uploads(const uint8_t *data, size_t size)
{
    struct s3_upload *u = NULL;
    char *id = NULL;
    size_t n = 0;

    if (s3_uploads_parse(data, size, &u, &n, NULL) == 0)
        s3_uploads_free(u, n);
    if (s3_upload_id_parse(data, size, &id, NULL) == 0)
        fuzz_must(id[0]);
    free(id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size), *bucket = NULL, *key = NULL, etag[40];

    check_page(data, size);
    check_error(data, size);
    check_uploads(data, size);
    if (s3_url_parse(text, &bucket, &key, NULL) == 0)
        fuzz_must(bucket[0] && !strpbrk(bucket, "/@?#:") && utf8_valid(key, strlen(key)));
    if (s3_etag_copy(text, etag, sizeof(etag)) == 0)
        fuzz_must(etag[0] && !strpbrk(etag, " \"\r\n"));
    free(bucket);
    free(key);
    free(text);
    return 0;
}
