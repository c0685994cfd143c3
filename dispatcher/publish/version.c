#include "version.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/base/cleanup.h"
#include "../../common/base/redact.h"
#include "../../common/store/store.h"
#include "../../common/wire/job.h"
#include "receipt_read.h"
#include "sha256.h"

enum { MARK_LEN = 12, NUMBER_MAX = 999999999 };

size_t version_folder(const char *key)
{
    size_t n = *key == 'v' ? strspn(key + 1, "0123456789") : 0;

    if (n == 0 || n > 9 || key[1 + n] != '-' ||
        strspn(key + n + 2, "0123456789abcdef") != MARK_LEN || key[n + 2 + MARK_LEN] != '/')
        return 0;
    return n + 2 + MARK_LEN + 1;
}

unsigned version_number(const char *version)
{
    return *version == 'v' ? (unsigned)strtoul(version + 1, NULL, 10) : 1;
}

/* A name that no other run had there, of any job. */
static int name_version(const struct version_ask *ask, unsigned number, char ret[VERSION_ROOM],
                        struct err *err)
{
    _cleanup_free_ char *all = NULL;
    char digest[SHA256_HEX];
    int n = asprintf(&all, "%s\n%" PRId64 "\n%u\n%s", ask->job, ask->created_ms, ask->run,
                     ask->etag);

    if (n < 0)
        all = NULL;
    if (n < 0 || sha256_of(all, (size_t)n, digest) < 0)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    (void)snprintf(ret, VERSION_ROOM, "v%u-%.*s", number < NUMBER_MAX ? number : NUMBER_MAX,
                   MARK_LEN, digest);
    return 0;
}

/* Whether the same job made it of the same source. */
static int is_same(const struct version_ask *ask, const struct receipt_head *h, const char *source,
                   const char *ladder)
{
    return strcmp(h->job, ask->job) == 0 && strcmp(h->source, source) == 0 &&
           strcmp(h->etag, ask->etag) == 0 && strcmp(h->ladder_digest, ladder) == 0;
}

static int refuse(const struct version_ask *ask, const struct receipt_head *h, struct err *err)
{
    return err_set(err, -EEXIST, ERR_USAGE,
                   "output %.200s holds the package of another job (%.128s, made from %.200s): "
                   "choose another output, or %s",
                   ask->output, h->job, h->source,
                   ask->in_place ? "remove it" : "submit the job with replace");
}

static int choose_beside(const struct version_ask *ask, const struct receipt_head *h,
                         struct version_choice *ret, struct err *err)
{
    _cleanup_free_ char *source = redacted_url(ask->source);
    char ladder[SHA256_HEX];

    if (!source || sha256_of(ask->ladder, strlen(ask->ladder), ladder) < 0)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    int same = is_same(ask, h, source, ladder);
    int mine = ask->run > 0 && strcmp(h->job, ask->job) == 0;
    int may = ask->replace == REPLACE_ANY ||
              (ask->replace == REPLACE_SAME_SOURCE && strcmp(h->source, source) == 0);
    if (!same && !mine && !may)
        return refuse(ask, h, err);
    if (ask->in_place)
        return 0;
    ret->replaces = 1;
    (void)snprintf(ret->replaced, sizeof(ret->replaced), "%s", h->version);
    return name_version(ask, version_number(h->version) + 1, ret->version, err);
}

/* No receipt: was it played early by somebody? */
static int choose_unpublished(struct store *s, const struct version_ask *ask,
                              struct version_choice *ret, struct err *err)
{
    struct store_stat st;
    int r = ask->run > 0 ? 0 : s->ops->head(s, "master.m3u8", &st, err);

    if (r == -ENOENT)
        return 0;
    return r < 0 ? r : name_version(ask, ask->run > 0 ? ask->run + 1 : 2, ret->version, err);
}

int version_choose(struct store *s, const struct version_ask *ask, struct version_choice *ret,
                   struct err *err)
{
    _cleanup_(receipt_head_release) struct receipt_head h = { 0 };
    int r = receipt_read(s, &h, err);

    *ret = (struct version_choice){ 0 };
    if (r == -ENOENT)
        return ask->in_place ? 0 : choose_unpublished(s, ask, ret, err);
    if (r == -EPROTO || r == -EFBIG)
        return err_set(err, -EPROTO, ERR_USAGE,
                       "output %.300s: job.json there is no receipt of a package: choose another "
                       "output, or look at it and remove it",
                       ask->output);
    return r < 0 ? r : choose_beside(ask, &h, ret, err);
}
