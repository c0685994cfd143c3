#include "admit.h"

#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "../../common/base/cleanup.h"
#include "../../common/base/clock.h"
#include "../../common/wire/job.h"
#include "../../ladders/ladder.h"

enum { KNOWN_MAX = 64, FRESH_MS = 2000 };

struct known {
    char *name;
    struct ladder *ladder;
    int64_t read_ns;
};

struct admit {
    struct url_rules sources, outputs, notifies;
    char *default_ladder;
    pthread_mutex_t lock; /* guards what follows */
    struct known known[KNOWN_MAX];
    size_t n_known;
};

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
}

static int copy_rules(const struct url_rules *from, struct url_rules *ret, struct err *err)
{
    int r = 0;

    for (size_t i = 0; from && i < from->n && r == 0; i++)
        r = url_rules_add(ret, from->prefixes[i], err);
    return r;
}

int admit_new(const struct admit_config *cfg, struct admit **ret, struct err *err)
{
    struct admit *a = calloc(1, sizeof(*a));

    if (!a)
        return no_memory(err);
    (void)pthread_mutex_init(&a->lock, NULL);
    int r = copy_rules(cfg->sources, &a->sources, err);
    if (r == 0)
        r = copy_rules(cfg->outputs, &a->outputs, err);
    if (r == 0)
        r = copy_rules(cfg->notifies, &a->notifies, err);
    if (r == 0 && cfg->default_ladder && !(a->default_ladder = strdup(cfg->default_ladder)))
        r = no_memory(err);
    if (r < 0)
        admit_free(a);
    else
        *ret = a;
    return r;
}

void admit_free(struct admit *a)
{
    if (!a)
        return;
    url_rules_release(&a->sources);
    url_rules_release(&a->outputs);
    url_rules_release(&a->notifies);
    for (size_t i = 0; i < a->n_known; i++) {
        free(a->known[i].name);
        ladder_free(a->known[i].ladder);
    }
    free(a->default_ladder);
    (void)pthread_mutex_destroy(&a->lock);
    free(a);
}

/* ---- ids ---- */

static void base32(const uint8_t raw[16], char ret[27])
{
    static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";

    for (unsigned i = 0; i < 26; i++) {
        unsigned bit = i * 5, at = bit / 8, off = bit % 8;
        unsigned pair = (unsigned)raw[at] << 8 | (at + 1 < 16 ? raw[at + 1] : 0);
        ret[i] = digits[pair >> (11 - off) & 31];
    }
    ret[26] = '\0';
}

int admit_make_id(char ret[27])
{
    uint8_t raw[16];

    if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
        return errno ? -errno : -EIO;
    base32(raw, ret);
    return 0;
}

int admit_id_of(const char *text, char ret[27])
{
    uint8_t raw[EVP_MAX_MD_SIZE];
    unsigned n;

    if (!EVP_Digest(text, strlen(text), raw, &n, EVP_sha256(), NULL))
        return -ENOMEM;
    base32(raw, ret);
    return 0;
}

/* ---- ladders ---- */

static struct known *find_known(struct admit *a, const char *name)
{
    for (size_t i = 0; i < a->n_known; i++)
        if (strcmp(a->known[i].name, name) == 0)
            return &a->known[i];
    return NULL;
}

static int remember(struct admit *a, const char *name, struct ladder *l, int64_t now)
{
    struct known *k = find_known(a, name);

    if (!k) {
        char *copy = a->n_known < KNOWN_MAX ? strdup(name) : NULL;
        if (!copy)
            return -ENOSPC;
        k = &a->known[a->n_known++];
        *k = (struct known){ .name = copy };
    }
    ladder_free(k->ladder);
    k->ladder = l;
    k->read_ns = now;
    return 0;
}

/* Its text as it is in its file, or was two seconds ago. */
static int named_text(struct admit *a, const char *name, char **ret, struct err *err)
{
    int64_t now = clock_system.mono_ns(&clock_system);
    const struct known *k = find_known(a, name);
    struct ladder *l = NULL;

    if (k && now - k->read_ns < FRESH_MS * (int64_t)NS_PER_MS) {
        *ret = strdup(ladder_text(k->ladder));
        return *ret ? 0 : no_memory(err);
    }
    int r = ladder_load(name, &l, err);
    if (r < 0)
        return r;
    *ret = strdup(ladder_text(l));
    if (remember(a, name, l, now) < 0)
        ladder_free(l);
    return *ret ? 0 : no_memory(err);
}

static int is_name(const char *s)
{
    size_t n = strlen(s);

    return n > 0 && *s != '.' && !strchr(s, '/') && !(n > 5 && strcmp(s + n - 5, ".yaml") == 0);
}

static int resolve_named(struct admit *a, const char *name, struct admitted *x, struct err *err)
{
    if (!is_name(name))
        return err_set(err, -EINVAL, ERR_USAGE, "ladder: '%.100s' is not a ladder's name", name);
    (void)pthread_mutex_lock(&a->lock);
    int r = named_text(a, name, &x->ladder, err);
    (void)pthread_mutex_unlock(&a->lock);
    if (r == 0 && !(x->ladder_name = strdup(name)))
        r = no_memory(err);
    return r;
}

static int resolve_text(const char *text, struct admitted *x, struct err *err)
{
    struct ladder *l = NULL;
    int r = ladder_parse(text, strlen(text), "ladder", &l, err);

    if (r < 0)
        return r;
    x->ladder = strdup(text);
    x->ladder_name = strdup(ladder_name(l));
    ladder_free(l);
    return x->ladder && x->ladder_name ? 0 : no_memory(err);
}

static int resolve(struct admit *a, const struct job_message *m, struct admitted *x,
                   struct err *err)
{
    if (m->ladder_text)
        return resolve_text(m->ladder_text, x, err);
    const char *name = m->ladder ? m->ladder : a->default_ladder;
    if (!name)
        return err_set(err, -EINVAL, ERR_USAGE, "ladder: is missing, and there is no default");
    return resolve_named(a, name, x, err);
}

/* ---- the whole ---- */

void admitted_release(struct admitted *a)
{
    if (a->message)
        job_message_release(a->message);
    free(a->message);
    free(a->ladder);
    free(a->ladder_name);
    *a = (struct admitted){ 0 };
}

static int check_urls(const struct admit *a, const struct job_message *m, struct err *err)
{
    int r = url_rules_check(&a->sources, "source", m->source, err);

    if (r == 0)
        r = url_rules_check(&a->outputs, "output", m->output, err);
    if (r == 0 && m->notify)
        r = url_rules_check(&a->notifies, "notify", m->notify, err);
    return r;
}

static int give_id(struct job_message *m, struct err *err)
{
    char id[27];

    if (m->id)
        return job_id_check(m->id, err);
    if (admit_make_id(id) < 0)
        return err_set(err, -EIO, ERR_RESOURCE, "no random bits for a job's id");
    m->id = strdup(id);
    return m->id ? 0 : no_memory(err);
}

static struct job_request request_of(const struct admitted *x)
{
    const struct job_message *m = x->message;

    return (struct job_request){
        .id = m->id,
        .source = m->source,
        .output = m->output,
        .ladder = x->ladder,
        .ladder_name = x->ladder_name,
        .chunk_seconds = m->chunk_seconds,
        .segment_seconds = m->segment_seconds,
        .gop_seconds = m->gop_seconds,
        .chunk_count = m->chunk_count,
        .priority = m->priority,
        .tenant = m->tenant,
        .notify = m->notify,
        .metadata = m->metadata,
        .replace = m->replace,
    };
}

int admit(struct admit *a, struct job_message *m, struct admitted *ret, struct err *err)
{
    struct admitted x = { .message = malloc(sizeof(*m)) };

    if (!x.message) {
        job_message_release(m);
        return no_memory(err);
    }
    *x.message = *m;
    *m = (struct job_message){ 0 };
    int r = check_urls(a, x.message, err);
    if (r == 0)
        r = resolve(a, x.message, &x, err);
    if (r == 0)
        r = give_id(x.message, err);
    if (r < 0) {
        admitted_release(&x);
        return r;
    }
    x.req = request_of(&x);
    *ret = x;
    return 0;
}

struct submission {
    const struct job_request *req;
    struct submitted got;
};

static int submit(struct dispatcher *d, void *arg, struct err *err)
{
    struct submission *s = arg;
    struct job_status st;

    s->got.is_new = dispatcher_status(d, s->req->id, &st, NULL) == -ENOENT;
    int r = dispatcher_submit(d, s->req, err);
    if (r == 0 && dispatcher_status(d, s->req->id, &st, NULL) == 0)
        s->got.state = st.state;
    return r;
}

int admit_submit(struct dispatcher *d, const struct admitted *a, int timeout_ms,
                 struct submitted *ret, struct err *err)
{
    struct submission s = { .req = &a->req };
    int r = dispatcher_call(d, submit, &s, timeout_ms, err);

    if (r == -EEXIST && err) {
        const struct err why = *err;
        return err_set(err, r, ERR_USAGE, "job %.128s is taken: %.700s; choose another id",
                       a->req.id, why.text);
    }
    if (r == 0)
        *ret = s.got;
    return r;
}
