/* A receipt that lies where a package is swept: whatever it says, only what is
 * ours goes, and nothing where it can't be read. */
#include "fuzz.h"

#include <errno.h>

#include "common/base/err.h"
#include "common/store/store.h"
#include "dispatcher/publish/sweep.h"

static const char *const objects[] = {
    "video/720p/init.mp4",  "video/720p/seg-00001.m4s", "video/720p/index.m3u8",
    "video/720p/notes.txt", "video/a/b/seg-00001.m4s",  "audio/aac-128/init.mp4",
    "audio/aac-128/x.m3u8",
};

struct lying {
    struct store base;
    const uint8_t *receipt;
    size_t len, removed;
};

static int head(struct store *s, const char *key, struct store_stat *ret, struct err *err)
{
    if (strcmp(key, "job.json") != 0)
        return err_set(err, -ENOENT, ERR_STORAGE, "%s isn't there", key);
    *ret = (struct store_stat){ .size_bytes = ((struct lying *)s)->len };
    return 0;
}

static int get_range(struct store *s, const char *key, const char *etag, uint64_t off, void *buf,
                     size_t len, size_t *ret_n, struct err *err)
{
    const struct lying *l = (const struct lying *)s;

    (void)etag;
    (void)err;
    fuzz_must(strcmp(key, "job.json") == 0 && off <= l->len);
    *ret_n = len < l->len - off ? len : l->len - (size_t)off;
    memcpy(buf, l->receipt + off, *ret_n);
    return 0;
}

static int list(struct store *s, const char *prefix,
                int (*each)(void *arg, const char *key, const struct store_stat *st), void *arg,
                struct err *err)
{
    const struct store_stat st = { .size_bytes = 1 };
    int r = 0;

    (void)s;
    (void)err;
    for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]) && r == 0; i++)
        if (strncmp(objects[i], prefix, strlen(prefix)) == 0)
            r = each(arg, objects[i], &st);
    return r;
}

static int del(struct store *s, const char *key, struct err *err)
{
    (void)err;
    fuzz_must(sweep_kind_of(key) != SWEEP_NOT_OURS);
    ((struct lying *)s)->removed++;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct store_ops ops = {
        .name = "lying", .head = head, .get_range = get_range, .list = list, .del = del
    };

    for (int everything = 0; everything < 2; everything++) {
        struct lying l = { .base = { &ops }, .receipt = data, .len = size };
        struct err err = { 0 };
        size_t removed = 99;
        int r = package_sweep(&l.base, &(struct sweep_what){ "job-1", everything, NULL, 0 },
                              &removed, &err);

        fuzz_must(removed == l.removed && removed <= 5);
        fuzz_must(r == 0 || (r < 0 && err.text[0] && removed == 0));
    }
    return 0;
}
