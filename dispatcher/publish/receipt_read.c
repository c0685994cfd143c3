#include "receipt_read.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/base/cleanup.h"
#include "../../common/base/err.h"
#include "../../common/store/store.h"
#include "../../common/wire/json_text.h"
#include "version.h"

static int broken(struct err *err, const char *what)
{
    return err_set(err, -EPROTO, ERR_INPUT,
                   RECEIPT " is no receipt (%s): nothing is removed; look at it, and remove it by "
                           "hand",
                   what);
}

void receipt_head_release(struct receipt_head *h)
{
    json_decref(h->json);
    *h = (struct receipt_head){ 0 };
}

static int read_all(struct store *s, uint64_t size, const char *etag, char *buf, struct err *err)
{
    size_t off = 0, n = 0;
    int r = 0;

    while (r == 0 && off < size) {
        r = s->ops->get_range(s, RECEIPT, etag, off, buf + off, (size_t)size - off, &n, err);
        if (r == 0 && n == 0)
            r = broken(err, "it ends early");
        off += n;
    }
    return r;
}

static const char *text_of(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));

    return s ? s : "";
}

/* A folder's name, or nothing. */
static int version_ok(const char *version)
{
    char folder[VERSION_ROOM + 1];
    size_t n = strnlen(version, VERSION_ROOM);

    if (n == 0)
        return 1;
    if (n >= VERSION_ROOM)
        return 0;
    memcpy(folder, version, n);
    folder[n] = '/';
    folder[n + 1] = '\0';
    return version_folder(folder) == n + 1;
}

static int parse(const char *text, size_t len, struct receipt_head *ret, struct err *err)
{
    int v = 0;
    int r = json_text_read(text, len, ERR_STORAGE, &ret->json, err);

    if (r < 0)
        return r == -ENOMEM ? r : broken(err, "not JSON");
    if (json_unpack(ret->json, "{s:i, s:s}", "v", &v, "job", &ret->job) < 0 || v != 1)
        return broken(err, "not of version 1");
    const json_t *source = json_object_get(ret->json, "source");
    ret->source = text_of(source, "url");
    ret->etag = text_of(source, "etag");
    ret->ladder_digest = text_of(json_object_get(ret->json, "ladder"), "sha256");
    ret->version = text_of(ret->json, "version");
    return version_ok(ret->version) ? 0 : broken(err, "its version is none");
}

int receipt_read(struct store *s, struct receipt_head *ret, struct err *err)
{
    struct receipt_head h = { 0 };
    struct store_stat st;
    int r = s->ops->head(s, RECEIPT, &st, err);

    if (r < 0)
        return r;
    if (st.size_bytes > RECEIPT_MAX)
        return err_set(err, -EFBIG, ERR_INPUT, RECEIPT " has %" PRIu64 " bytes, more than %d",
                       st.size_bytes, RECEIPT_MAX);
    _cleanup_free_ char *text = malloc((size_t)st.size_bytes + 1);
    if (!text)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for " RECEIPT);
    r = read_all(s, st.size_bytes, st.etag, text, err);
    if (r == 0)
        r = parse(text, (size_t)st.size_bytes, &h, err);
    if (r < 0)
        receipt_head_release(&h);
    else
        *ret = h;
    return r;
}
