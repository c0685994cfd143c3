#include "board.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "../common/wire/task.h"
#include "board_parts.h"

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
}

static size_t bucket_of(const struct board *b, const char *id)
{
    uint64_t h = UINT64_C(14695981039346656037); /* FNV-1a */

    for (; *id; id++)
        h = (h ^ (unsigned char)*id) * UINT64_C(1099511628211);
    return (size_t)(h ^ h >> 32) & (b->n_buckets - 1);
}

struct board_entry *board_find(const struct board *b, const char *id)
{
    struct board_entry *e = b->buckets[bucket_of(b, id)];

    while (e && strcmp(e->texts->id, id) != 0)
        e = e->next;
    return e;
}

static void rehash(struct board *b)
{
    struct board_entry **old = b->buckets;
    struct board_entry **more = calloc(b->n_buckets * 2, sizeof(struct board_entry *));

    if (!more)
        return; /* longer chains do no harm */
    b->buckets = more;
    b->n_buckets *= 2;
    for (size_t i = 0; i < b->n; i++) {
        size_t k = bucket_of(b, b->order[i]->texts->id);
        b->order[i]->next = b->buckets[k];
        b->buckets[k] = b->order[i];
    }
    free(old);
}

static int compare(int64_t created_ms, const char *id, const struct board_entry *e)
{
    if (created_ms != e->facts.created_ms)
        return created_ms < e->facts.created_ms ? -1 : 1;
    return strcmp(id, e->texts->id);
}

/* The first place in `order` that doesn't come before (created_ms, id). */
size_t board_place(const struct board *b, int64_t created_ms, const char *id)
{
    size_t lo = 0, hi = b->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (compare(created_ms, id, b->order[mid]) > 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void order_insert(struct board *b, struct board_entry *e)
{
    size_t at = board_place(b, e->facts.created_ms, e->texts->id);

    memmove(&b->order[at + 1], &b->order[at], (b->n - at) * sizeof(struct board_entry *));
    b->order[at] = e;
    b->n++;
}

static void order_remove(struct board *b, const struct board_entry *e)
{
    size_t at = board_place(b, e->facts.created_ms, e->texts->id);

    b->n--;
    memmove(&b->order[at], &b->order[at + 1], (b->n - at) * sizeof(struct board_entry *));
}

static int order_room(struct board *b)
{
    if (b->n < b->room)
        return 0;
    size_t room = b->room ? b->room * 2 : 64;
    struct board_entry **order = reallocarray(b->order, room, sizeof(struct board_entry *));
    if (!order)
        return -ENOMEM;
    b->order = order;
    b->room = room;
    return 0;
}

static void entry_free(struct board_entry *e)
{
    board_texts_drop(e->texts);
    free(e->tasks);
    free(e->by_id);
    free(e->runs);
    free(e);
}

void board_touch(struct board *b, struct board_entry *e)
{
    e->version = ++b->version;
}

int board_new(struct board **ret, struct err *err)
{
    struct board *b = calloc(1, sizeof(*b));

    if (b) {
        b->n_buckets = 1024;
        b->buckets = calloc(b->n_buckets, sizeof(struct board_entry *));
    }
    if (!b || !b->buckets) {
        free(b);
        return no_memory(err);
    }
    (void)pthread_mutex_init(&b->lock, NULL);
    if (getrandom(&b->boot, sizeof(b->boot), GRND_NONBLOCK) < 0)
        b->boot = (uint64_t)(uintptr_t)b;
    *ret = b;
    return 0;
}

void board_free(struct board *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->n; i++)
        entry_free(b->order[i]);
    for (size_t i = 0; i < b->n_workers; i++)
        board_seen_drop(b->workers[i].seen);
    free(b->order);
    free(b->buckets);
    free(b->workers);
    (void)pthread_mutex_destroy(&b->lock);
    free(b);
}

/* ---- jobs ---- */

static struct board_facts facts_of(const struct board_job *j)
{
    return (struct board_facts){
        .state = j->state,
        .priority = j->priority,
        .attempts_failed = j->attempts_failed,
        .early_failures = j->early_failures,
        .created_ms = j->created_ms,
        .updated_ms = j->updated_ms,
        .started_ms = j->started_ms,
        .ended_ms = j->ended_ms,
        .playable_ms = j->playable_ms,
        .duration_s = j->duration_s,
        .frames = j->frames,
        .tasks = j->tasks,
        .tasks_done = j->tasks_done,
        .tasks_released = j->tasks_released,
        .tasks_dead = j->tasks_dead,
        .tasks_reused = j->tasks_reused,
        .cost = j->cost,
        .cost_done = j->cost_done,
        .cpu_s = j->cpu_s,
        .eta_s = j->eta_s,
        .queue_position = j->queue_position,
    };
}

static int add_entry(struct board *b, struct board_texts *texts, const struct board_facts *facts)
{
    struct board_entry *e = calloc(1, sizeof(*e));

    if (!e || order_room(b) < 0) {
        free(e);
        return -ENOMEM;
    }
    e->texts = texts;
    e->facts = *facts;
    order_insert(b, e);
    size_t k = bucket_of(b, texts->id);
    e->next = b->buckets[k];
    b->buckets[k] = e;
    if (b->n > b->n_buckets)
        rehash(b);
    board_touch(b, e);
    return 0;
}

/* Only when nothing that a reader sees has changed does the version stay. */
static void set_facts(struct board *b, struct board_entry *e, const struct board_facts *f)
{
    /* Of doubles a NaN or -0.0 may make a change too many, which does no harm. */
    if (memcmp(&e->facts, f, sizeof(*f)) == 0) // NOLINT(bugprone-suspicious-memory-comparison)
        return;
    int moved = e->facts.created_ms != f->created_ms;
    if (moved)
        order_remove(b, e);
    e->facts = *f;
    if (moved)
        order_insert(b, e);
    board_touch(b, e);
}

int board_put_job(struct board *b, const struct board_job *j)
{
    const struct board_facts facts = facts_of(j);
    struct board_texts *texts = NULL, *old = NULL;
    int r = 0;

    /* Only the caller's thread changes entries: what it finds here stays. */
    board_lock(b);
    struct board_entry *e = board_find(b, j->id);
    board_unlock(b);
    if (!e || !board_texts_equal(e->texts, j)) {
        texts = board_texts_new(j);
        if (!texts)
            return -ENOMEM;
    }
    board_lock(b);
    if (!e) {
        r = add_entry(b, texts, &facts);
        old = r < 0 ? texts : NULL;
    } else {
        if (texts) {
            old = e->texts;
            e->texts = texts;
            board_touch(b, e);
        }
        set_facts(b, e, &facts);
    }
    board_unlock(b);
    board_texts_drop(old);
    return r;
}

static void unlink_entry(struct board *b, struct board_entry *e)
{
    struct board_entry **at = &b->buckets[bucket_of(b, e->texts->id)];

    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    order_remove(b, e);
}

void board_drop_job(struct board *b, const char *job)
{
    board_lock(b);
    struct board_entry *e = board_find(b, job);
    if (e)
        unlink_entry(b, e);
    board_unlock(b);
    if (e)
        entry_free(e);
}

/* ---- tasks ---- */

unsigned board_group(const struct board_task *t)
{
    if (t->audio)
        return task_kind_is_extra(task_kind_by_id(t->id)) ? BOARD_EXTRAS_SUM : BOARD_AUDIO_SUM;
    return t->group < BOARD_AUDIO_SUM - 1 ? t->group : BOARD_AUDIO_SUM - 1;
}

static void sum_add(struct board_entry *e, const struct board_task *t, int sign)
{
    struct board_sum *s = &e->sums[board_group(t)];

    s->cost += sign * (double)t->cost;
    if (t->state != TASK_DONE)
        return;
    s->done += sign * (double)t->cost;
    s->frames_done += sign > 0 ? t->frames : -t->frames;
}

static int by_task_id(const void *a, const void *b, void *arg)
{
    const struct board_task *v = arg;

    return strncmp(v[*(const uint32_t *)a].id, v[*(const uint32_t *)b].id, sizeof(v->id));
}

size_t board_find_task(const struct board_entry *e, const char *id)
{
    size_t lo = 0, hi = e->n_tasks;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = strncmp(id, e->tasks[e->by_id[mid]].id, sizeof(e->tasks->id));
        if (c == 0)
            return e->by_id[mid];
        if (c > 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return BOARD_NO_TASK;
}

static void set_tasks(struct board *b, struct board_entry *e, struct board_task *tasks,
                      uint32_t *by_id, size_t n)
{
    e->tasks = tasks;
    e->by_id = by_id;
    e->n_tasks = n;
    memset(e->sums, 0, sizeof(e->sums));
    for (size_t i = 0; i < n; i++)
        sum_add(e, &tasks[i], 1);
    for (size_t i = 0; i < e->n_runs; i++)
        e->runs[i].index = board_find_task(e, e->runs[i].task);
    board_touch(b, e);
}

/* 0 or -ENOMEM. */
static int copy_tasks(const struct board_task *v, size_t n, struct board_task **ret,
                      uint32_t **ret_by_id)
{
    struct board_task *tasks = calloc(n + 1, sizeof(*tasks));
    uint32_t *by_id = calloc(n + 1, sizeof(*by_id));

    if (!tasks || !by_id) {
        free(tasks);
        free(by_id);
        return -ENOMEM;
    }
    if (n > 0)
        memcpy(tasks, v, n * sizeof(*v));
    for (size_t i = 0; i < n; i++) {
        tasks[i].id[sizeof(tasks[i].id) - 1] = '\0';
        by_id[i] = (uint32_t)i;
    }
    qsort_r(by_id, n, sizeof(*by_id), by_task_id, tasks);
    *ret = tasks;
    *ret_by_id = by_id;
    return 0;
}

int board_put_tasks(struct board *b, const char *job, const struct board_task *v, size_t n)
{
    struct board_task *tasks, *old_tasks;
    uint32_t *by_id, *old_by_id;

    if (copy_tasks(v, n, &tasks, &by_id) < 0)
        return -ENOMEM;
    board_lock(b);
    struct board_entry *e = board_find(b, job);
    old_tasks = e ? e->tasks : tasks;
    old_by_id = e ? e->by_id : by_id;
    if (e)
        set_tasks(b, e, tasks, by_id, n);
    board_unlock(b);
    free(old_tasks);
    free(old_by_id);
    return 0;
}

void board_put_task(struct board *b, const char *job, size_t index, const struct board_task *t)
{
    board_lock(b);
    struct board_entry *e = board_find(b, job);
    if (e && index < e->n_tasks) {
        struct board_task *k = &e->tasks[index];
        char id[sizeof(k->id)];
        memcpy(id, k->id, sizeof(id)); /* by_id goes by it */
        sum_add(e, k, -1);
        *k = *t;
        memcpy(k->id, id, sizeof(id));
        sum_add(e, k, 1);
        board_touch(b, e);
    }
    board_unlock(b);
}
