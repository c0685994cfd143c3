#include "farm_fixture.h"

#include <ftw.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "dispatcher/plan.h"

static void hex_digest(const EVP_MD *md, const void *buf, size_t len, char *ret)
{
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned n;

    assert_true(EVP_Digest(buf, len, raw, &n, md, NULL));
    for (unsigned i = 0; i < n; i++)
        (void)sprintf(ret + 2 * (size_t)i, "%02x", raw[i]);
}

unsigned char *farm_bytes(const char *key, uint64_t size)
{
    unsigned char *b = malloc(size);
    unsigned x = 1;

    assert_non_null(b);
    for (const char *p = key; *p; p++)
        x = x * 31 + (unsigned char)*p;
    for (uint64_t i = 0; i < size; i++)
        b[i] = (unsigned char)((x = x * 1664525 + 1013904223) >> 24);
    return b;
}

static void digests(const char *key, uint64_t size, char *sha256, char *md5)
{
    unsigned char *b = farm_bytes(key, size);

    hex_digest(EVP_sha256(), b, size, sha256);
    hex_digest(EVP_md5(), b, size, md5);
    free(b);
}

static void complete_results(struct fixture *fx)
{
    for (size_t i = 0; i < fx->n; i++)
        for (size_t k = 0; k < fx->results[i].n_renditions; k++) {
            struct rendition_result *r = &fx->results[i].renditions[k];
            digests(r->init.key, r->init.size_bytes, r->init.sha256, r->init.md5);
            for (size_t s = 0; s < r->n_segments; s++)
                digests(r->segments[s].key, r->segments[s].size_bytes, r->segments[s].sha256,
                        r->segments[s].md5);
        }
}

static void write_plan(struct farm *f)
{
    json_t *j = plan_to_json(&f->fx.plan);

    free(f->plan);
    f->plan = json_dumps(j, JSON_COMPACT);
    json_decref(j);
}

void farm_two_codecs(struct farm *f)
{
    struct plan *p = &f->fx.plan;
    struct task_group *g = calloc(2, sizeof(*g));

    free(p->renditions[1].codec);
    p->renditions[1].codec = strdup("hevc");
    assert_non_null(g);
    for (unsigned i = 0; i < 2; i++) {
        g[i] = (struct task_group){ calloc(1, sizeof(unsigned)), 1 };
        assert_non_null(g[i].renditions);
        g[i].renditions[0] = i;
    }
    free(p->groups[0].renditions);
    free(p->groups);
    p->groups = g;
    p->n_groups = 2;
    write_plan(f);
}

void farm_add_text(struct farm *f)
{
    fixture_add_text(&f->fx);
    complete_results(&f->fx);
    write_plan(f);
}

void farm_two_tracks(struct farm *f)
{
    const struct audio_info english = {
        .language = "eng", .codec = "aac", .layout = "stereo", .sample_rate = 48000, .channels = 2
    };

    fixture_add_track(&f->fx, "eng", &english);
    complete_results(&f->fx);
    write_plan(f);
}

int farm_setup(void **state)
{
    struct farm *f = calloc(1, sizeof(*f));
    char path[128];

    strcpy(f->dir, "/tmp/gopmill-test-farm-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    (void)snprintf(path, sizeof(path), "%s/in.mov", f->dir);
    FILE *t = fopen(path, "w");
    if (!t || fputs("the source", t) < 0 || fclose(t) < 0)
        return -1;
    f->source = store_file_url(path);
    (void)snprintf(path, sizeof(path), "%s/out", f->dir);
    f->output = store_file_url(path);
    f->db = NULL;
    if (asprintf(&f->db, "%s/jobs.db", f->dir) < 0)
        return -1;
    fixture_make(&f->fx, &shape_plain);
    fixture_complete(&f->fx);
    complete_results(&f->fx);
    write_plan(f);
    *state = f;
    return f->plan ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *w)
{
    (void)st, (void)flag, (void)w;
    return remove(path);
}

int farm_teardown(void **state)
{
    struct farm *f = *state;

    (void)nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    fixture_release(&f->fx);
    free(f->source);
    free(f->output);
    free(f->db);
    free(f->plan);
    free(f);
    return 0;
}

static size_t result_index(const struct farm *f, const struct task *t)
{
    if (t->kind == TASK_VIDEO)
        return t->chunk.index;
    /* Sound first, then text; tracks and text are never there both. */
    return f->fx.plan.n_chunks + (t->kind == TASK_TEXT ? 1 : t->renditions[0].track);
}

static int is_of(const struct task *t, const char *name)
{
    for (size_t i = 0; i < t->n_renditions; i++)
        if (task_makes(t, i) && strcmp(t->renditions[i].name, name) == 0)
            return 1;
    return 0;
}

static void drop_others(const struct task *t, struct task_result *r)
{
    size_t n = 0;

    for (size_t i = 0; i < r->n_renditions; i++) {
        if (is_of(t, r->renditions[i].name))
            r->renditions[n++] = r->renditions[i];
        else
            rendition_result_release(&r->renditions[i]);
    }
    r->n_renditions = n;
}

struct task_result *farm_result(const struct farm *f, const struct task *t)
{
    struct task_result *r = calloc(1, sizeof(*r));
    json_t *j = task_result_to_json(&f->fx.results[result_index(f, t)]);
    struct err err = { 0 };

    assert_non_null(r);
    if (task_result_from_json(j, r, &err) < 0)
        fail_msg("%s", err.text);
    json_decref(j);
    drop_others(t, r);
    free(r->job);
    free(r->task);
    r->job = strdup(t->job);
    r->task = strdup(t->id);
    r->attempt = t->attempt;
    free(r->etag);
    r->etag = t->etag ? strdup(t->etag) : NULL;
    return r;
}

char *farm_result_text(const struct task_result *r)
{
    json_t *j = task_result_to_json(r);
    char *text = json_dumps(j, JSON_COMPACT);

    assert_non_null(text);
    json_decref(j);
    return text;
}

void farm_result_free(struct task_result *r)
{
    task_result_release(r);
    free(r);
}

void farm_objects(const struct farm *f, const struct task *t,
                  void (*put)(void *arg, const char *key, const void *buf, size_t len), void *arg)
{
    const struct task_result *r = &f->fx.results[result_index(f, t)];

    for (size_t i = 0; i < r->n_renditions; i++) {
        const struct rendition_result *rr = &r->renditions[i];
        if (!is_of(t, rr->name))
            continue;
        /* Only chunk 0 and audio hand their init segment over. */
        if (t->kind == TASK_AUDIO || t->chunk.index == 0) {
            unsigned char *b = farm_bytes(rr->init.key, rr->init.size_bytes);
            put(arg, rr->init.key, b, rr->init.size_bytes);
            free(b);
        }
        for (size_t s = 0; s < rr->n_segments; s++) {
            unsigned char *b = farm_bytes(rr->segments[s].key, rr->segments[s].size_bytes);
            put(arg, rr->segments[s].key, b, rr->segments[s].size_bytes);
            free(b);
        }
    }
}

void farm_tasks(const struct farm *f, struct task **ret, size_t *ret_n)
{
    struct store *s;
    struct store_stat st;
    char *key;
    struct err err = { 0 };

    assert_int_equal(store_open_object(NULL, f->source, &s, &key, NULL), 0);
    assert_int_equal(s->ops->head(s, key, &st, NULL), 0);
    store_free(s);
    free(key);
    struct task base = {
        .job = (char *)"j", .source = f->source, .etag = st.etag, .output = f->output, .attempt = 1
    };
    if (plan_tasks(&f->fx.plan, &base, ret, ret_n, &err) < 0)
        fail_msg("%s", err.text);
}
