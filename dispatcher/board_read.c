/* board_read.c - copying out what was asked for. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/base/cleanup.h"
#include "board_parts.h"

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
}

static int unknown(const char *id, struct err *err)
{
    return err_set(err, -ENOENT, ERR_USAGE, "nobody knows a job %.128s", id);
}

static void view_release(struct board_view *v)
{
    board_texts_drop(v->texts);
    free(v->runs);
    free(v->tasks);
    *v = (struct board_view){ 0 };
}

static int by_index(const void *a, const void *b)
{
    const struct board_run *x = a, *y = b;

    if (x->index != y->index)
        return x->index < y->index ? -1 : 1;
    return x->done > y->done ? -1 : x->done < y->done; /* of two, the one that is further */
}

static int view_runs(const struct board_entry *e, struct board_view *v)
{
    if (e->n_runs == 0 || e->facts.state > JOB_PUBLISHING)
        return 0;
    v->runs = calloc(e->n_runs, sizeof(*v->runs));
    if (!v->runs)
        return -ENOMEM;
    for (size_t i = 0; i < e->n_runs; i++) {
        const struct board_run *r = &e->runs[i];
        if (r->index >= e->n_tasks || e->tasks[r->index].state != TASK_RELEASED)
            continue;
        v->runs[v->n_runs] = *r;
        v->runs[v->n_runs++].copy = e->tasks[r->index];
    }
    return 0;
}

/* With the lock held. */
static int view_take(const struct board_entry *e, int with_tasks, struct board_view *v)
{
    *v = (struct board_view){ .facts = e->facts };
    if (with_tasks && e->n_tasks > 0) {
        v->tasks = malloc(e->n_tasks * sizeof(*v->tasks));
        if (!v->tasks)
            return -ENOMEM;
        memcpy(v->tasks, e->tasks, e->n_tasks * sizeof(*v->tasks));
        v->n_tasks = e->n_tasks;
    }
    if (view_runs(e, v) < 0) {
        free(v->tasks);
        return -ENOMEM;
    }
    memcpy(v->sums, e->sums, sizeof(v->sums));
    v->texts = board_texts_take(e->texts);
    return 0;
}

/* Without the lock. */
static void view_sort(struct board_view *v)
{
    size_t n = 0;

    if (v->n_runs > 0)
        qsort(v->runs, v->n_runs, sizeof(*v->runs), by_index);
    for (size_t i = 0; i < v->n_runs; i++)
        if (n == 0 || v->runs[n - 1].index != v->runs[i].index)
            v->runs[n++] = v->runs[i];
    v->n_runs = n;
}

static int etag_of(uint64_t boot, uint64_t version, int with_tasks, char **ret)
{
    if (asprintf(ret, "%08" PRIx64 "-%" PRIu64 "%s", boot & 0xffffffff, version,
                 with_tasks ? "t" : "") < 0) {
        *ret = NULL;
        return -ENOMEM;
    }
    return 0;
}

int board_job_etag(struct board *b, const char *id, int with_tasks, int64_t now_ms, char **ret,
                   struct err *err)
{
    uint64_t version = 0;

    board_lock(b);
    board_look_for_lost(b, now_ms);
    const struct board_entry *e = board_find(b, id);
    if (e)
        version = e->version;
    board_unlock(b);
    if (!e)
        return unknown(id, err);
    return etag_of(b->boot, version, with_tasks, ret) < 0 ? no_memory(err) : 0;
}

int board_job_json(struct board *b, const char *id, int with_tasks, int64_t now_ms, char **ret,
                   char **ret_etag, struct err *err)
{
    struct board_view v = { 0 };
    _cleanup_free_ char *etag = NULL;
    uint64_t version = 0;
    int r = -ENOENT;

    board_lock(b);
    board_look_for_lost(b, now_ms);
    const struct board_entry *e = board_find(b, id);
    if (e) {
        version = e->version;
        r = view_take(e, with_tasks, &v);
    }
    board_unlock(b);
    if (r < 0)
        return r == -ENOENT ? unknown(id, err) : no_memory(err);
    view_sort(&v);
    if (etag_of(b->boot, version, with_tasks, &etag) < 0)
        r = no_memory(err);
    else
        r = board_write_job(&v, with_tasks, ret, err);
    view_release(&v);
    if (r == 0)
        *ret_etag = take_ptr(etag);
    return r;
}

/* A cursor is the place of the last job of its page: "<created_ms>_<id>". */
static int read_cursor(const char *after, int64_t *ret_ms, const char **ret_id, struct err *err)
{
    char *end;

    errno = 0;
    long long ms = strtoll(after, &end, 10);
    if (errno || end == after || *end != '_' || !end[1] || strnlen(end, 256) == 256)
        return err_set(err, -EINVAL, ERR_USAGE, "after: not a cursor of this list");
    *ret_ms = ms;
    *ret_id = end + 1;
    return 0;
}

static int matches(const struct board_entry *e, const struct board_query *q)
{
    return (q->state < 0 || e->facts.state == (enum job_state)q->state) &&
           (!q->tenant || strcmp(e->texts->tenant, q->tenant) == 0);
}

/* With the lock held: newest first, from before place `at`. *ret_more: there are more. */
static int page_take(const struct board *b, const struct board_query *q, size_t at,
                     struct board_view *v, size_t *ret_n, int *ret_more)
{
    *ret_n = 0;
    *ret_more = 0;
    while (at-- > 0) {
        if (!matches(b->order[at], q))
            continue;
        if (*ret_n == q->limit) {
            *ret_more = 1;
            return 0;
        }
        if (view_take(b->order[at], 0, &v[*ret_n]) < 0)
            return -ENOMEM;
        ++*ret_n;
    }
    return 0;
}

static int page_write(struct board_view *v, size_t n, int more, char **ret, struct err *err)
{
    _cleanup_free_ char *cursor = NULL;

    for (size_t i = 0; i < n; i++)
        view_sort(&v[i]);
    if (more &&
        asprintf(&cursor, "%" PRId64 "_%s", v[n - 1].facts.created_ms, v[n - 1].texts->id) < 0) {
        cursor = NULL;
        return no_memory(err);
    }
    return board_write_jobs(v, n, cursor, ret, err);
}

int board_jobs_json(struct board *b, const struct board_query *q, int64_t now_ms, char **ret,
                    struct err *err)
{
    int64_t ms = INT64_MAX;
    const char *id = "";
    size_t n = 0;
    int more = 0;

    if (q->limit < 1 || q->limit > 1000)
        return err_set(err, -EINVAL, ERR_USAGE, "limit: %zu is outside 1 to 1000", q->limit);
    int r = q->after ? read_cursor(q->after, &ms, &id, err) : 0;
    if (r < 0)
        return r;
    struct board_view *v = calloc(q->limit, sizeof(*v));
    if (!v)
        return no_memory(err);
    board_lock(b);
    board_look_for_lost(b, now_ms);
    r = page_take(b, q, board_place(b, ms, id), v, &n, &more);
    board_unlock(b);
    r = r < 0 ? no_memory(err) : page_write(v, n, more, ret, err);
    for (size_t i = 0; i < n; i++)
        view_release(&v[i]);
    free(v);
    return r;
}

static int by_worker_id(const void *a, const void *b)
{
    const struct board_worker_view *x = a, *y = b;

    return strcmp(x->last->worker, y->last->worker);
}

int board_workers_json(struct board *b, int64_t now_ms, char **ret, struct err *err)
{
    board_lock(b);
    board_look_for_lost(b, now_ms);
    size_t n = b->n_workers;
    struct board_worker_view *v = calloc(n + 1, sizeof(*v));
    struct board_seen **held = calloc(n + 1, sizeof(struct board_seen *));
    for (size_t i = 0; v && held && i < n; i++) {
        const struct board_worker *w = &b->workers[i];
        held[i] = w->seen;
        atomic_fetch_add(&w->seen->refs, 1);
        v[i] = (struct board_worker_view){ &w->seen->h, w->heard_ms, w->lost };
    }
    board_unlock(b);
    int r = -ENOMEM;
    if (v && held) {
        qsort(v, n, sizeof(*v), by_worker_id);
        r = board_write_workers(v, n, now_ms, ret, err);
        for (size_t i = 0; i < n; i++)
            board_seen_drop(held[i]);
    } else {
        (void)no_memory(err);
    }
    free(held);
    free(v);
    return r;
}
