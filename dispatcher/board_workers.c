/* board_workers.c - who works, and at what. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "board_parts.h"

void board_seen_drop(struct board_seen *s)
{
    if (s && atomic_fetch_sub(&s->refs, 1) == 1) {
        heartbeat_release(&s->h);
        free(s);
    }
}

static int copy_text(const char *s, char **ret)
{
    *ret = s ? strdup(s) : NULL;
    return s && !*ret ? -ENOMEM : 0;
}

static int copy_heartbeat(const struct heartbeat *h, struct heartbeat *ret)
{
    *ret = *h;
    ret->running = NULL;
    ret->n_running = 0;
    int r = copy_text(h->worker, &ret->worker);
    r |= copy_text(h->host, &ret->host);
    r |= copy_text(h->engine, &ret->engine);
    r |= copy_text(h->reason, &ret->reason);
    if (h->n_running > 0)
        ret->running = calloc(h->n_running, sizeof(*ret->running));
    for (size_t i = 0; ret->running && i < h->n_running; i++, ret->n_running++) {
        ret->running[i] = h->running[i];
        r |= copy_text(h->running[i].job, &ret->running[i].job);
        r |= copy_text(h->running[i].task, &ret->running[i].task);
    }
    return r || ret->n_running < h->n_running ? -ENOMEM : 0;
}

static struct board_seen *seen_new(const struct heartbeat *h)
{
    struct board_seen *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    atomic_store(&s->refs, 1);
    if (copy_heartbeat(h, &s->h) < 0) {
        board_seen_drop(s);
        return NULL;
    }
    return s;
}

static struct board_worker *find_worker(struct board *b, const char *id)
{
    for (size_t i = 0; i < b->n_workers; i++)
        if (strcmp(b->workers[i].seen->h.worker, id) == 0)
            return &b->workers[i];
    return NULL;
}

static struct board_run run_from(const struct board_entry *e, const struct running_task *t,
                                 const char *worker)
{
    struct board_run r = {
        .attempt = t->attempt, .done = t->done, .total = t->total, .elapsed_s = t->elapsed_s
    };

    (void)snprintf(r.task, sizeof(r.task), "%s", t->task);
    (void)snprintf(r.worker, sizeof(r.worker), "%s", worker);
    r.index = board_find_task(e, r.task);
    return r;
}

static void runs_add(struct board *b, const struct heartbeat *h)
{
    for (size_t i = 0; i < h->n_running; i++) {
        struct board_entry *e = board_find(b, h->running[i].job);
        if (!e || e->n_runs >= HEARTBEAT_RUNNING_MAX)
            continue;
        if (e->n_runs == e->runs_room) {
            size_t room = e->runs_room ? e->runs_room * 2 : 4;
            struct board_run *runs = reallocarray(e->runs, room, sizeof(*runs));
            if (!runs)
                continue; /* the next heartbeat says it again */
            e->runs = runs;
            e->runs_room = room;
        }
        e->runs[e->n_runs++] = run_from(e, &h->running[i], h->worker);
        board_touch(b, e);
    }
}

static void runs_remove(struct board *b, const struct heartbeat *h)
{
    for (size_t i = 0; i < h->n_running; i++) {
        struct board_entry *e = board_find(b, h->running[i].job);
        size_t n = 0;
        for (size_t k = 0; e && k < e->n_runs; k++)
            if (strncmp(e->runs[k].worker, h->worker, sizeof(e->runs[k].worker) - 1) != 0)
                e->runs[n++] = e->runs[k];
        if (e && n < e->n_runs) {
            e->n_runs = n;
            board_touch(b, e);
        }
    }
}

static void remove_worker(struct board *b, struct board_worker *w)
{
    runs_remove(b, &w->seen->h);
    board_seen_drop(w->seen);
    *w = b->workers[--b->n_workers];
}

void board_look_for_lost(struct board *b, int64_t now_ms)
{
    for (size_t i = 0; i < b->n_workers; i++) {
        struct board_worker *w = &b->workers[i];
        if (w->lost && now_ms - w->heard_ms > BOARD_FORGET_MS) {
            remove_worker(b, w);
            i--;
        } else if (!w->lost && now_ms - w->heard_ms > WORKER_LOST_MS) {
            w->lost = 1;
            runs_remove(b, &w->seen->h);
        }
    }
}

static int add_worker(struct board *b, struct board_seen *s, int64_t now_ms)
{
    if (b->n_workers == BOARD_WORKERS_MAX)
        return -ENOSPC;
    if (b->n_workers == b->workers_room) {
        size_t room = b->workers_room ? b->workers_room * 2 : 16;
        struct board_worker *more = reallocarray(b->workers, room, sizeof(*more));
        if (!more)
            return -ENOMEM;
        b->workers = more;
        b->workers_room = room;
    }
    b->workers[b->n_workers++] = (struct board_worker){ .seen = s, .heard_ms = now_ms };
    return 0;
}

/* `s` is taken on 0 only. */
static int put_worker(struct board *b, struct board_seen *s, int64_t now_ms)
{
    struct board_worker *w = find_worker(b, s->h.worker);
    int r = 0;

    if (s->h.state == WORKER_GONE) {
        if (w)
            remove_worker(b, w);
        board_seen_drop(s);
        return 0;
    }
    if (!w) {
        r = add_worker(b, s, now_ms);
    } else {
        runs_remove(b, &w->seen->h);
        board_seen_drop(w->seen);
        *w = (struct board_worker){ .seen = s, .heard_ms = now_ms };
    }
    if (r == 0)
        runs_add(b, &s->h);
    return r;
}

int board_put_worker(struct board *b, const struct heartbeat *h, int64_t now_ms)
{
    struct board_seen *s = seen_new(h);

    if (!s)
        return -ENOMEM;
    board_lock(b);
    board_look_for_lost(b, now_ms);
    int r = put_worker(b, s, now_ms);
    board_unlock(b);
    if (r < 0)
        board_seen_drop(s);
    return r;
}

/* Locked. */
static void count_crew(struct board *b, int64_t now_ms, struct board_crew *ret)
{
    *ret = (struct board_crew){ 0 };
    board_look_for_lost(b, now_ms);
    for (size_t i = 0; i < b->n_workers; i++) {
        const struct heartbeat *h = &b->workers[i].seen->h;
        if (b->workers[i].lost)
            continue;
        ret->workers++;
        ret->quarantined += h->state == WORKER_QUARANTINED;
        if (h->state == WORKER_ACTIVE && !h->reason) {
            ret->takers++;
            ret->slots += h->slots;
        } else if (h->reason && !ret->reason[0]) {
            (void)snprintf(ret->reason, sizeof(ret->reason), "%.60s: %.120s", h->worker, h->reason);
        }
    }
}

void board_crew(struct board *b, int64_t now_ms, struct board_crew *ret)
{
    board_lock(b);
    count_crew(b, now_ms, ret);
    board_unlock(b);
}

unsigned board_slots(struct board *b, int64_t now_ms)
{
    struct board_crew c;

    board_crew(b, now_ms, &c);
    return c.slots;
}

int board_has_worker(struct board *b, const char *id)
{
    board_lock(b);
    int has = find_worker(b, id) != NULL;
    board_unlock(b);
    return has;
}

/* ---- totals ---- */

void board_put_totals(struct board *b, const struct board_totals *t)
{
    board_lock(b);
    b->totals = *t;
    board_unlock(b);
}

void board_totals(struct board *b, int64_t now_ms, struct board_totals *ret)
{
    board_lock(b);
    struct board_crew c;
    count_crew(b, now_ms, &c);
    b->totals.workers = c.workers;
    b->totals.slots = c.slots;
    b->totals.quarantined = c.quarantined;
    *ret = b->totals;
    board_unlock(b);
}
