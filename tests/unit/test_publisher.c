/* The publisher against a folder: checks, packages, sweeps; and who may be at
 * work when. */
#include <errno.h>
#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/cleanup.h"
#include "common/store/store.h"
#include "dispatcher/publish/sha256.h"
#include "dispatcher/publish/sweep.h"
#include "dispatcher/publisher.h"
#include "publish_fixture.h"

enum { WAIT_S = 60, OUTCOMES_MAX = 64 };

/* What was told, in the order it was. */
struct told {
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct publish_outcome *o[OUTCOMES_MAX];
    size_t n;
};

struct farm {
    char dir[64];
    char *url;
    struct store *store;
    struct fixture f;
    struct publisher *p;
    struct told told;
};

static void tell(void *arg, struct publish_outcome *o)
{
    struct told *t = arg;

    (void)pthread_mutex_lock(&t->lock);
    t->o[t->n++] = o;
    (void)pthread_cond_broadcast(&t->more);
    (void)pthread_mutex_unlock(&t->lock);
}

/* The outcome number `i`, once it is there. */
static const struct publish_outcome *outcome(struct farm *m, size_t i)
{
    struct told *t = &m->told;
    struct timespec until;
    int r = 0;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    (void)pthread_mutex_lock(&t->lock);
    while (t->n <= i && r == 0)
        r = pthread_cond_timedwait(&t->more, &t->lock, &until);
    const struct publish_outcome *o = t->n > i ? t->o[i] : NULL;
    (void)pthread_mutex_unlock(&t->lock);
    assert_non_null(o);
    return o;
}

static void put_object(struct farm *m, const char *key, uint64_t size, char sha256[65])
{
    static char bytes[1 << 20];
    const struct store_put_opts o = { 0 };

    memset(bytes, 0, sizeof(bytes));
    (void)snprintf(bytes, sizeof(bytes), "%s", key);
    assert_int_equal(m->store->ops->put(m->store, key, bytes, (size_t)size, &o, NULL), 0);
    if (sha256)
        assert_int_equal(sha256_of(bytes, (size_t)size, sha256), 0);
}

static void put_all(struct farm *m)
{
    for (size_t i = 0; i < m->f.n; i++)
        for (size_t k = 0; k < m->f.results[i].n_renditions; k++) {
            struct rendition_result *r = &m->f.results[i].renditions[k];
            put_object(m, r->init.key, r->init.size_bytes, r->init.sha256);
            for (size_t s = 0; s < r->n_segments; s++)
                put_object(m, r->segments[s].key, r->segments[s].size_bytes, r->segments[s].sha256);
        }
}

static void farm_open(struct farm *m, unsigned threads)
{
    struct err err = { 0 };

    *m = (struct farm){
        .told = {.lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER}
    };
    strcpy(m->dir, "/tmp/gopmill-publisher-XXXXXX");
    assert_non_null(mkdtemp(m->dir));
    m->url = store_file_url(m->dir);
    assert_int_equal(store_file_open(m->dir, 1, &m->store, NULL), 0);
    fixture_make(&m->f, &shape_plain);
    fixture_complete(&m->f);
    put_all(m);
    if (publisher_new(NULL, threads, tell, &m->told, &m->p, &err) < 0)
        fail_msg("%s", err.text);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static void farm_close(struct farm *m)
{
    publisher_free(m->p);
    for (size_t i = 0; i < m->told.n; i++)
        publish_outcome_free(m->told.o[i]);
    fixture_release(&m->f);
    store_free(m->store);
    free(m->url);
    assert_int_equal(nftw(m->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static char *copy(const char *s)
{
    char *d = strdup(s);
    assert_non_null(d);
    return d;
}

static char *dump(json_t *j)
{
    char *text = json_dumps(j, JSON_COMPACT);
    assert_non_null(text);
    json_decref(j);
    return text;
}

/* A request with the results whose numbers are in `which`; 'a' is sound. */
static struct publish_request *request(const struct farm *m, enum publish_what what,
                                       const char *job, const char *which)
{
    struct publish_request *r = calloc(1, sizeof(*r));

    assert_non_null(r);
    r->what = what;
    r->job = copy(job);
    r->output = copy(m->url);
    r->source = copy("file:///in.mov");
    r->etag = copy("e");
    r->ladder = copy("name: web\n");
    r->ladder_name = copy("web");
    r->plan = dump(plan_to_json(&m->f.plan));
    r->results = calloc(16, sizeof(*r->results));
    assert_non_null(r->results);
    for (; *which; which++) {
        size_t at = *which == 'a' ? m->f.n - 1 : (size_t)(*which - '0');
        r->results[r->n_results++] = dump(task_result_to_json(&m->f.results[at]));
    }
    return r;
}

static const struct publish_outcome *ask(struct farm *m, enum publish_what what, const char *which)
{
    size_t before = m->told.n;

    assert_int_equal(publisher_submit(m->p, request(m, what, "job-1", which)), 0);
    const struct publish_outcome *o = outcome(m, before);
    assert_int_equal(o->what, what);
    assert_string_equal(o->job, "job-1");
    return o;
}

static const struct publish_outcome *expect_fine(const struct publish_outcome *o)
{
    if (o->r != 0 || o->n_faults != 0)
        fail_msg("%d: %s; %s", o->r, o->err.text, o->n_faults ? o->faults[0].reason : "no faults");
    return o;
}

static int is_there(struct farm *m, const char *key)
{
    struct store_stat st;
    return m->store->ops->head(m->store, key, &st, NULL) == 0;
}

static char *text_of(struct farm *m, const char *key)
{
    char *text = calloc(1, 1 << 20);
    size_t n;

    assert_non_null(text);
    assert_int_equal(
        m->store->ops->get_range(m->store, key, NULL, 0, text, (1 << 20) - 1, &n, NULL), 0);
    return text;
}

static void has(struct farm *m, const char *key, const char *part, int want)
{
    char *text = text_of(m, key);
    if ((strstr(text, part) != NULL) != want)
        fail_msg("%s has %s\"%s\":\n%s", key, want ? "no " : "", part, text);
    free(text);
}

/* ---- packages ---- */

static void a_package_is_played_early_grows_and_is_finished(void **state)
{
    (void)state;
    struct farm m;

    farm_open(&m, 1);
    assert_int_equal(expect_fine(ask(&m, PUBLISH_EARLY, ""))->segments, 0);
    assert_int_equal(expect_fine(ask(&m, PUBLISH_EARLY, "12a"))->segments, 0);
    assert_false(is_there(&m, "master.m3u8"));
    assert_int_equal(expect_fine(ask(&m, PUBLISH_EARLY, "0a"))->segments, 1);
    has(&m, "video/720p/index.m3u8", "PLAYLIST-TYPE:EVENT", 1);
    has(&m, "video/720p/index.m3u8", "seg-00002.m4s", 0);
    assert_false(is_there(&m, "manifest.mpd"));
    assert_false(is_there(&m, "job.json"));
    assert_int_equal(expect_fine(ask(&m, PUBLISH_EARLY, "0a1"))->segments, 2);
    has(&m, "video/720p/index.m3u8", "seg-00002.m4s", 1);

    (void)expect_fine(ask(&m, PUBLISH_FINAL, "012a"));
    has(&m, "video/720p/index.m3u8", "PLAYLIST-TYPE:VOD", 1);
    has(&m, "video/720p/index.m3u8", "#EXT-X-ENDLIST", 1);
    has(&m, "master.m3u8", "EXT-X-START", 0);
    assert_true(is_there(&m, "manifest.mpd"));
    has(&m, "job.json", "\"job\": \"job-1\"", 1);

    /* A finished package doesn't become a growing one again. */
    assert_int_equal(expect_fine(ask(&m, PUBLISH_EARLY, "0a"))->segments, 0);
    has(&m, "video/720p/index.m3u8", "PLAYLIST-TYPE:VOD", 1);
    (void)expect_fine(ask(&m, PUBLISH_FINAL, "2a10"));
    farm_close(&m);
}

static void what_went_is_told_by_task_and_nothing_is_published(void **state)
{
    (void)state;
    static const struct {
        enum publish_what what;
        int counted;
    } rows[] = {
        {PUBLISH_EARLY,  1},
        { PUBLISH_FINAL, 1},
        { PUBLISH_CHECK, 0}
    };

    for (size_t i = 0; i < 3; i++) {
        struct farm m;
        farm_open(&m, 1);
        (void)m.store->ops->del(m.store, "video/720p/seg-00002.m4s", NULL);
        (void)m.store->ops->del(m.store, "video/360p/seg-00002.m4s", NULL);
        put_object(&m, "audio/aac-128/seg-00001.m4s", 77, NULL);
        const struct publish_outcome *o = ask(&m, rows[i].what, "012a");
        assert_int_equal(o->r, -ESTALE);
        assert_int_equal(o->n_faults, 2);
        assert_non_null(strstr(o->err.text, o->faults[0].reason));
        for (size_t k = 0; k < 2; k++) {
            int sound = strcmp(o->faults[k].task, "a-0") == 0;
            assert_string_equal(o->faults[k].reason,
                                sound ? "audio/aac-128/seg-00001.m4s: 77 bytes instead of 90000"
                                : i == 0 || strstr(o->faults[k].reason, "720p")
                                    ? "video/720p/seg-00002.m4s: missing"
                                    : "video/360p/seg-00002.m4s: missing");
            assert_string_equal(o->faults[k].task, sound ? "a-0" : "v-0001-0");
            assert_int_equal(o->faults[k].counted, rows[i].counted);
        }
        assert_false(is_there(&m, "master.m3u8"));
        farm_close(&m);
    }
}

static void bytes_are_read_where_only_they_tell(void **state)
{
    (void)state;
    struct farm m;

    farm_open(&m, 1);
    (void)expect_fine(ask(&m, PUBLISH_CHECK, "012a"));
    (void)expect_fine(ask(&m, PUBLISH_CHECK, ""));
    /* As many bytes, but others. */
    char *text = text_of(&m, "video/360p/seg-00001.m4s");
    const struct store_put_opts opts = { 0 };
    text[0] = 'V';
    (void)m.store->ops->put(m.store, "video/360p/seg-00001.m4s", text, 10000, &opts, NULL);
    free(text);
    const struct publish_outcome *o = ask(&m, PUBLISH_CHECK, "012a");
    assert_int_equal(o->r, -ESTALE);
    assert_int_equal(o->n_faults, 1);
    assert_string_equal(o->faults[0].reason, "video/360p/seg-00001.m4s: other bytes");
    farm_close(&m);
}

static void an_init_segment_is_the_first_chunks_business(void **state)
{
    (void)state;
    struct farm m;

    farm_open(&m, 1);
    (void)m.store->ops->del(m.store, "video/360p/init.mp4", NULL);
    (void)expect_fine(ask(&m, PUBLISH_CHECK, "12a"));
    const struct publish_outcome *o = ask(&m, PUBLISH_FINAL, "012a");
    assert_int_equal(o->r, -ESTALE);
    assert_int_equal(o->n_faults, 1);
    assert_string_equal(o->faults[0].task, "v-0000-0");

    put_object(&m, "video/360p/init.mp4", m.f.results[0].renditions[1].init.size_bytes, NULL);
    strcpy(m.f.results[2].renditions[1].init.sha256,
           "0000000000000000000000000000000000000000000000000000000000000000");
    o = ask(&m, PUBLISH_FINAL, "012a");
    assert_int_equal(o->r, -ESTALE);
    assert_int_equal(o->n_faults, 1);
    assert_string_equal(o->faults[0].task, "v-0002-0");
    assert_true(o->faults[0].counted);
    farm_close(&m);
}

static void what_cannot_be_published_says_why(void **state)
{
    (void)state;
    struct farm m;

    farm_open(&m, 1);
    const struct publish_outcome *o = ask(&m, PUBLISH_FINAL, "02a"); /* a result is missing */
    assert_int_equal(o->r, -EPROTO);
    assert_non_null(strstr(o->err.text, "no result has segment 2"));
    assert_int_equal(o->n_faults, 0);

    struct publish_request *r = request(&m, PUBLISH_FINAL, "job-1", "012a");
    free(r->plan);
    r->plan = copy("{\"v\":1");
    assert_int_equal(publisher_submit(m.p, r), 0);
    assert_non_null(strstr(outcome(&m, 1)->err.text, "a stored plan: not JSON"));

    r = request(&m, PUBLISH_FINAL, "job-1", "012a");
    free(r->results[1]);
    r->results[1] = copy("[]");
    assert_int_equal(publisher_submit(m.p, r), 0);
    assert_non_null(strstr(outcome(&m, 2)->err.text, "a stored result"));

    r = request(&m, PUBLISH_FINAL, "job-1", "012a");
    free(r->output);
    r->output = copy("gopher://nowhere/");
    assert_int_equal(publisher_submit(m.p, r), 0);
    assert_int_equal(outcome(&m, 3)->err.cls, ERR_UNSUPPORTED);

    r = request(&m, PUBLISH_FINAL, "job-1", "012a");
    free(r->plan);
    r->plan = NULL;
    assert_int_equal(publisher_submit(m.p, r), -EINVAL);
    publish_request_free(r);
    farm_close(&m);
}

static void set_pictures(struct farm *m, uint64_t decoded, uint64_t concealed)
{
    for (size_t i = 0; i < m->f.n; i++) {
        m->f.results[i].frames_in = i == 0 ? decoded : 0;
        m->f.results[i].frames_concealed = i == 1 ? concealed : 0;
    }
}

static void most_pictures_must_be_the_sources(void **state)
{
    (void)state;
    struct farm m;

    farm_open(&m, 1);
    set_pictures(&m, 100, 101);
    const struct publish_outcome *o = ask(&m, PUBLISH_FINAL, "012a");
    assert_int_equal(o->r, -EINVAL);
    assert_int_equal(o->err.cls, ERR_INPUT);
    assert_non_null(strstr(o->err.text, "only 49.8 % of the pictures can be decoded"));
    struct store_stat st;
    assert_int_equal(m.store->ops->head(m.store, "job.json", &st, NULL), -ENOENT);
    set_pictures(&m, 100, 100);
    (void)expect_fine(ask(&m, PUBLISH_FINAL, "012a"));
    farm_close(&m);
}

/* ---- sweeping ---- */

static const char *const strangers[] = {
    "notes.txt",
    "index.m3u8",
    "captions/de.vtt",
    "video/poster.jpg",
    "video/720p/seg-1.m4s",
    "video/720p/seg-000001.m4s",
    "video/720p/seg-00001.m4s.bak",
    "video/720p/deep/seg-00001.m4s",
    "video/UPPER/init.mp4",
    "audio/aac-128/iframe.m3u8",
    "other/job.json",
};
enum { STRANGERS = sizeof(strangers) / sizeof(strangers[0]) };

static void put_strangers(struct farm *m)
{
    for (size_t i = 0; i < STRANGERS; i++)
        put_object(m, strangers[i], 5, NULL);
}

static void expect_strangers(struct farm *m)
{
    for (size_t i = 0; i < STRANGERS; i++)
        if (!is_there(m, strangers[i]))
            fail_msg("%s was removed", strangers[i]);
}

static int count_one(void *arg, const char *key, const struct store_stat *st)
{
    (void)key;
    (void)st;
    ++*(size_t *)arg;
    return 0;
}

static size_t count(struct farm *m)
{
    size_t n = 0;
    assert_int_equal(m->store->ops->list(m->store, "", count_one, &n, NULL), 0);
    return n;
}

static const struct publish_outcome *ask_sweep(struct farm *m, const char *job, int everything)
{
    struct publish_request *r = request(m, PUBLISH_SWEEP, job, "");
    size_t before = m->told.n;

    free(r->plan);
    r->plan = NULL;
    r->everything = everything;
    assert_int_equal(publisher_submit(m->p, r), 0);
    return outcome(m, before);
}

static void a_sweep_removes_what_no_receipt_names(void **state)
{
    (void)state;
    struct farm m;

    farm_open(&m, 1);
    put_strangers(&m);
    (void)expect_fine(ask(&m, PUBLISH_FINAL, "012a"));
    size_t package = count(&m);
    put_object(&m, "video/720p/seg-00004.m4s", 9, NULL);
    put_object(&m, "video/1080p/init.mp4", 9, NULL);
    put_object(&m, "video/1080p/seg-123456.m4s", 9, NULL);
    put_object(&m, "audio/aac-64/index.m3u8", 9, NULL);
    assert_int_equal(expect_fine(ask_sweep(&m, "job-1", 0))->removed, 4);
    assert_int_equal(count(&m), package);
    (void)expect_fine(ask(&m, PUBLISH_CHECK, "012a"));
    assert_true(is_there(&m, "master.m3u8"));

    /* The package is another job's by now. */
    assert_int_equal(expect_fine(ask_sweep(&m, "job-0", 1))->removed, 0);
    assert_int_equal(expect_fine(ask_sweep(&m, "job-1", 1))->removed, package - STRANGERS);
    assert_int_equal(count(&m), STRANGERS);
    expect_strangers(&m);
    assert_int_equal(expect_fine(ask_sweep(&m, "job-1", 1))->removed, 0);
    farm_close(&m);
}

static void without_a_receipt_all_that_is_ours_goes(void **state)
{
    (void)state;
    struct farm m;

    farm_open(&m, 1);
    put_strangers(&m);
    (void)expect_fine(ask(&m, PUBLISH_EARLY, "0a"));
    (void)expect_fine(ask_sweep(&m, "job-1", 0));
    assert_int_equal(count(&m), STRANGERS);
    expect_strangers(&m);
    farm_close(&m);
}

static void a_sweep_of_a_place_that_is_not_there_makes_none(void **state)
{
    (void)state;
    struct farm m;

    farm_open(&m, 1);
    struct publish_request *r = request(&m, PUBLISH_SWEEP, "job-1", "");
    free(r->output);
    assert_true(asprintf(&r->output, "%s/nowhere", m.url) > 0);
    assert_int_equal(publisher_submit(m.p, r), 0);
    assert_int_equal(expect_fine(outcome(&m, 0))->removed, 0);
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/nowhere", m.dir);
    assert_int_not_equal(access(path, F_OK), 0);
    farm_close(&m);
}

#define INIT "\"init\":{\"key\":\"video/720p/init.mp4\"}"
#define SEGS "\"segments\":[{\"key\":\"video/720p/seg-00001.m4s\"}]"
#define TEXT "\"texts\":[{\"key\":\"master.m3u8\"}]"

static void a_receipt_that_is_none_removes_nothing(void **state)
{
    (void)state;
    static const char *const receipts[] = {
        "",
        "null",
        "not JSON",
        "{\"v\":1,\"job\":\"job-1\"}",
        "{\"v\":2,\"job\":\"job-1\",\"renditions\":[{" INIT "," SEGS "}]," TEXT "}",
        "{\"v\":1,\"job\":7,\"renditions\":[{" INIT "," SEGS "}]," TEXT "}",
        "{\"v\":1,\"job\":\"job-1\",\"renditions\":[]," TEXT "}",
        "{\"v\":1,\"job\":\"job-1\",\"renditions\":{\"a\":{" INIT "," SEGS "}}," TEXT "}",
        "{\"v\":1,\"job\":\"job-1\",\"renditions\":[{" INIT ",\"segments\":[]}]," TEXT "}",
        "{\"v\":1,\"job\":\"job-1\",\"renditions\":[{" SEGS "}]," TEXT "}",
        "{\"v\":1,\"job\":\"job-1\",\"renditions\":[{" INIT "," SEGS "}],\"texts\":[]}",
        "{\"v\":1,\"job\":\"job-1\",\"renditions\":[{" INIT "," SEGS "},5]," TEXT "}",
        "{\"v\":1,\"job\":\"job-1\",\"renditions\":[{" INIT "," SEGS
        "}],\"texts\":[{\"key\":\"../../etc/passwd\"}]}",
        "{\"v\":1,\"job\":\"job-1\",\"renditions\":[{" INIT "," SEGS
        "}],\"texts\":[{\"key\":\"job.json\"}]}",
        "{\"v\":1,\"v\":1,\"job\":\"job-1\",\"renditions\":[{" INIT "," SEGS "}]," TEXT "}",
    };
    const struct store_put_opts opts = { 0 };
    struct farm m;

    farm_open(&m, 1);
    size_t all = count(&m) + 1;
    for (size_t i = 0; i < sizeof(receipts) / sizeof(receipts[0]); i++)
        for (int everything = 0; everything < 2; everything++) {
            (void)m.store->ops->put(m.store, "job.json", receipts[i], strlen(receipts[i]), &opts,
                                    NULL);
            const struct publish_outcome *o = ask_sweep(&m, "job-1", everything);
            if (o->r != -EPROTO || o->removed != 0 || count(&m) != all)
                fail_msg("%s: %d, %zu removed", receipts[i], o->r, o->removed);
            assert_non_null(strstr(o->err.text, "job.json is no receipt"));
            assert_false(err_class_retried(o->err.cls));
        }
    farm_close(&m);
}

/* A store that remembers what was removed, and then no more. */
struct recorder {
    struct store base;
    struct store *under;
    char order[4096];
    size_t left;
};

static int recorder_head(struct store *s, const char *key, struct store_stat *ret, struct err *err)
{
    struct store *u = ((struct recorder *)s)->under;
    return u->ops->head(u, key, ret, err);
}

static int recorder_get(struct store *s, const char *key, const char *etag, uint64_t off, void *buf,
                        size_t len, size_t *ret_n, struct err *err)
{
    struct store *u = ((struct recorder *)s)->under;
    return u->ops->get_range(u, key, etag, off, buf, len, ret_n, err);
}

static int recorder_list(struct store *s, const char *prefix,
                         int (*each)(void *arg, const char *key, const struct store_stat *st),
                         void *arg, struct err *err)
{
    struct store *u = ((struct recorder *)s)->under;
    return u->ops->list(u, prefix, each, arg, err);
}

static int recorder_del(struct store *s, const char *key, struct err *err)
{
    struct recorder *r = (struct recorder *)s;
    size_t n = strlen(r->order);

    if (r->left-- == 0)
        return err_set(err, -EIO, ERR_STORAGE, "gone");
    (void)snprintf(r->order + n, sizeof(r->order) - n, "%s\n", key);
    return r->under->ops->del(r->under, key, err);
}

static void what_names_others_is_removed_before_them(void **state)
{
    (void)state;
    static const struct store_ops ops = { .name = "test",
                                          .head = recorder_head,
                                          .get_range = recorder_get,
                                          .list = recorder_list,
                                          .del = recorder_del };
    static const char first[] = "master.m3u8\nmanifest.mpd\naudio/aac-128/index.m3u8\n"
                                "video/360p/iframe.m3u8\nvideo/360p/index.m3u8\n"
                                "video/720p/iframe.m3u8\nvideo/720p/index.m3u8\n";
    struct recorder rec = { .base = { &ops }, .left = 9 };
    struct farm m;
    struct err err = { 0 };
    size_t removed = 0;

    farm_open(&m, 1);
    (void)expect_fine(ask(&m, PUBLISH_FINAL, "012a"));
    rec.under = m.store;
    assert_int_equal(
        package_sweep(&rec.base, &(struct sweep_what){ "job-1", 1, NULL, 0 }, &removed, &err),
        -EIO);
    assert_int_equal(removed, 9);
    assert_memory_equal(rec.order, first, sizeof(first) - 1);
    rec.left = SIZE_MAX; /* and on, by the receipt that goes last */
    assert_int_equal(
        package_sweep(&rec.base, &(struct sweep_what){ "job-1", 1, NULL, 0 }, &removed, &err), 0);
    assert_int_equal(count(&m), 0);
    assert_string_equal(rec.order + strlen(rec.order) - 9, "job.json\n");
    farm_close(&m);
}

/* ---- threads ---- */

/* Holds the publisher's threads in `done` until it is opened. */
struct gate {
    struct told *told;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    int inside, open;
};

static void tell_at_gate(void *arg, struct publish_outcome *o)
{
    struct gate *g = arg;

    (void)pthread_mutex_lock(&g->lock);
    g->inside++;
    (void)pthread_cond_broadcast(&g->moved);
    while (!g->open)
        (void)pthread_cond_wait(&g->moved, &g->lock);
    (void)pthread_mutex_unlock(&g->lock);
    tell(g->told, o);
}

static void await_inside(struct gate *g, int n)
{
    (void)pthread_mutex_lock(&g->lock);
    while (g->inside < n)
        (void)pthread_cond_wait(&g->moved, &g->lock);
    (void)pthread_mutex_unlock(&g->lock);
}

static void open_gate(struct gate *g)
{
    (void)pthread_mutex_lock(&g->lock);
    g->open = 1;
    (void)pthread_cond_broadcast(&g->moved);
    (void)pthread_mutex_unlock(&g->lock);
}

/* A publisher with a single thread, which is held in an outcome. */
static void farm_open_held(struct farm *m, struct gate *g)
{
    farm_open(m, 1);
    publisher_free(m->p);
    *g = (struct gate){ .told = &m->told,
                        .lock = PTHREAD_MUTEX_INITIALIZER,
                        .moved = PTHREAD_COND_INITIALIZER };
    assert_int_equal(publisher_new(NULL, 1, tell_at_gate, g, &m->p, NULL), 0);
    assert_int_equal(publisher_submit(m->p, request(m, PUBLISH_CHECK, "first", "0")), 0);
    await_inside(g, 1);
}

static int submit(struct farm *m, enum publish_what what, const char *job)
{
    struct publish_request *r = request(m, what, job, "012a");
    int res = publisher_submit(m->p, r);
    if (res < 0)
        publish_request_free(r);
    return res;
}

static void an_early_request_that_waits_gives_way(void **state)
{
    (void)state;
    struct farm m;
    struct gate g;

    farm_open_held(&m, &g);
    assert_int_equal(submit(&m, PUBLISH_EARLY, "a"), 0);
    assert_int_equal(submit(&m, PUBLISH_CHECK, "b"), 0);
    assert_int_equal(submit(&m, PUBLISH_EARLY, "a"), 0);
    assert_int_equal(submit(&m, PUBLISH_FINAL, "a"), 0);
    assert_int_equal(submit(&m, PUBLISH_EARLY, "a"), -EBUSY);
    assert_int_equal(submit(&m, PUBLISH_SWEEP, "a"), -EBUSY);
    assert_int_equal(submit(&m, PUBLISH_SWEEP, "b"), -EBUSY);
    open_gate(&g);
    assert_string_equal(outcome(&m, 0)->job, "first");
    assert_string_equal(outcome(&m, 1)->job, "b");
    assert_string_equal(outcome(&m, 2)->job, "a");
    assert_int_equal(outcome(&m, 2)->what, PUBLISH_FINAL);
    publisher_free(take_ptr(m.p));
    assert_int_equal(m.told.n, 3);
    farm_close(&m);
}

static void a_job_is_free_once_its_outcome_is_told(void **state)
{
    (void)state;
    struct farm m;
    struct gate g;

    farm_open_held(&m, &g);
    assert_int_equal(submit(&m, PUBLISH_CHECK, "first"), 0);
    open_gate(&g);
    (void)outcome(&m, 1);
    farm_close(&m);
}

static void what_waits_at_the_end_is_dropped(void **state)
{
    (void)state;
    struct farm m;
    struct gate g;

    farm_open_held(&m, &g);
    assert_int_equal(submit(&m, PUBLISH_CHECK, "a"), 0);
    open_gate(&g);
    publisher_free(take_ptr(m.p));
    assert_in_range(m.told.n, 1, 2);
    farm_close(&m);
}

static void many_jobs_are_at_work_at_once(void **state)
{
    (void)state;
    struct farm m;
    char job[16];

    farm_open(&m, 4);
    for (size_t i = 0; i < 40; i++) {
        (void)snprintf(job, sizeof(job), "job-%zu", i);
        assert_int_equal(submit(&m, i % 2 ? PUBLISH_EARLY : PUBLISH_CHECK, job), 0);
    }
    for (size_t i = 0; i < 40; i++)
        (void)expect_fine(outcome(&m, i));
    farm_close(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_package_is_played_early_grows_and_is_finished),
        cmocka_unit_test(what_went_is_told_by_task_and_nothing_is_published),
        cmocka_unit_test(bytes_are_read_where_only_they_tell),
        cmocka_unit_test(an_init_segment_is_the_first_chunks_business),
        cmocka_unit_test(what_cannot_be_published_says_why),
        cmocka_unit_test(most_pictures_must_be_the_sources),
        cmocka_unit_test(a_sweep_removes_what_no_receipt_names),
        cmocka_unit_test(without_a_receipt_all_that_is_ours_goes),
        cmocka_unit_test(a_sweep_of_a_place_that_is_not_there_makes_none),
        cmocka_unit_test(a_receipt_that_is_none_removes_nothing),
        cmocka_unit_test(what_names_others_is_removed_before_them),
        cmocka_unit_test(an_early_request_that_waits_gives_way),
        cmocka_unit_test(a_job_is_free_once_its_outcome_is_told),
        cmocka_unit_test(what_waits_at_the_end_is_dropped),
        cmocka_unit_test(many_jobs_are_at_work_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
