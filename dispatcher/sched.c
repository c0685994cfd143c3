#include "sched.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "heap.h"
#include "timers.h"

enum { WORD_BITS = 64, BUCKETS = 1024 };

struct tenant;

/* What a tenant has ready at one priority. */
struct lane {
    struct tenant *tenant;
    struct heap jobs; /* that have tasks ready, oldest first */
    size_t n_jobs;    /* room in `jobs` */
    double work;      /* of all its jobs, ready or not */
    size_t at;        /* in its priority's heap */
};

struct tenant {
    struct tenant *next; /* of its bucket */
    double vtime;
    size_t n_jobs;  /* ready or not */
    size_t n_ready; /* jobs with tasks ready */
    struct lane lanes[SCHED_PRIORITIES];
    char name[];
};

struct sched_job {
    void *owner;
    struct tenant *tenant;
    unsigned priority;
    int64_t age;
    uint64_t seq; /* decides among jobs of one age */
    size_t at;    /* in its lane's heap */
    double work;
    size_t n_ready, n_delayed, first_word;
    uint64_t ready[]; /* a bit for each task */
};

struct sched {
    struct tenant *buckets[BUCKETS];
    struct heap lanes[SCHED_PRIORITIES]; /* with jobs ready, least virtual time first */
    double work[SCHED_PRIORITIES];
    size_t n_tenants, n_ready;
    uint64_t last_seq;
    double vtime; /* of whom was picked last */
    struct timers delayed;
};

/* ---- orders ---- */

static int lane_less(const void *a, const void *b)
{
    const struct lane *l = a, *m = b;
    const struct sched_job *j, *k;

    if (l->tenant->vtime != m->tenant->vtime)
        return l->tenant->vtime < m->tenant->vtime;
    j = l->jobs.v[0];
    k = m->jobs.v[0];
    return j->age != k->age ? j->age < k->age : j->seq < k->seq;
}

static size_t *lane_at(void *l)
{
    return &((struct lane *)l)->at;
}

static int job_less(const void *a, const void *b)
{
    const struct sched_job *j = a, *k = b;

    return j->age != k->age ? j->age < k->age : j->seq < k->seq;
}

static size_t *job_at(void *j)
{
    return &((struct sched_job *)j)->at;
}

/* ---- tenants ---- */

static size_t bucket(const char *name)
{
    uint32_t h = 2166136261; /* FNV-1a */

    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 16777619;
    return h % BUCKETS;
}

static struct tenant *tenant_get(struct sched *s, const char *name)
{
    struct tenant **b = &s->buckets[bucket(name)], *t = *b;

    while (t && strcmp(t->name, name) != 0)
        t = t->next;
    if (t || !(t = calloc(1, sizeof(*t) + strlen(name) + 1)))
        return t;
    strcpy(t->name, name);
    for (int i = 0; i < SCHED_PRIORITIES; i++)
        t->lanes[i] = (struct lane){
            .tenant = t, .jobs = {.less = job_less, .at = job_at},
                 .at = HEAP_NOWHERE
        };
    t->vtime = s->vtime;
    t->next = *b;
    *b = t;
    s->n_tenants++;
    return t;
}

static void tenant_free(struct tenant *t)
{
    for (int i = 0; i < SCHED_PRIORITIES; i++)
        heap_release(&t->lanes[i].jobs);
    free(t);
}

static void tenant_drop_idle(struct sched *s, struct tenant *t)
{
    struct tenant **p = &s->buckets[bucket(t->name)];

    if (t->n_jobs > 0)
        return;
    while (*p != t)
        p = &(*p)->next;
    *p = t->next;
    s->n_tenants--;
    tenant_free(t);
}

/* ---- jobs ---- */

struct sched *sched_new(void)
{
    struct sched *s = calloc(1, sizeof(*s));

    for (int i = 0; s && i < SCHED_PRIORITIES; i++)
        s->lanes[i] = (struct heap){ .less = lane_less, .at = lane_at };
    return s;
}

void sched_free(struct sched *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct tenant *t = s->buckets[i], *next; t; t = next) {
            next = t->next;
            tenant_free(t);
        }
    for (int i = 0; i < SCHED_PRIORITIES; i++)
        heap_release(&s->lanes[i]);
    timers_release(&s->delayed);
    free(s);
}

static struct lane *lane_of(const struct sched_job *j)
{
    return &j->tenant->lanes[j->priority];
}

int sched_add(struct sched *s, void *owner, unsigned priority, const char *tenant, int64_t age,
              size_t n, struct sched_job **ret)
{
    size_t words = (n + WORD_BITS - 1) / WORD_BITS;
    struct sched_job *j = calloc(1, sizeof(*j) + words * sizeof(j->ready[0]));
    struct tenant *t = tenant_get(s, tenant ? tenant : "");

    if (!j || !t)
        goto no_memory;
    *j = (struct sched_job){
        .owner = owner,
        .tenant = t,
        .priority = priority < SCHED_PRIORITIES ? priority : SCHED_PRIORITIES - 1,
        .age = age,
        .seq = ++s->last_seq,
        .at = HEAP_NOWHERE,
        .first_word = words,
    };
    /* Room is made here, so that nothing fails later. */
    if (heap_reserve(&lane_of(j)->jobs, lane_of(j)->n_jobs + 1) < 0 ||
        heap_reserve(&s->lanes[j->priority], s->n_tenants) < 0)
        goto no_memory;
    lane_of(j)->n_jobs++;
    t->n_jobs++;
    *ret = j;
    return 0;

no_memory:
    free(j);
    if (t)
        tenant_drop_idle(s, t);
    return -ENOMEM;
}

/* The lane's place among those of its priority, after its jobs have changed. */
static void lane_changed(struct sched *s, struct lane *l, unsigned priority)
{
    struct heap *h = &s->lanes[priority];

    if (l->jobs.n == 0)
        heap_remove(h, l);
    else if (l->at == HEAP_NOWHERE)
        heap_push(h, l);
    else
        heap_fix(h, l);
}

static void job_ready(struct sched *s, struct sched_job *j)
{
    struct tenant *t = j->tenant;

    if (t->n_ready++ == 0 && t->vtime < s->vtime)
        t->vtime = s->vtime; /* who wasn't there has saved up nothing */
    heap_push(&lane_of(j)->jobs, j);
    lane_changed(s, lane_of(j), j->priority);
}

static void job_idle(struct sched *s, struct sched_job *j)
{
    struct lane *l = lane_of(j);

    j->tenant->n_ready--;
    if (l->jobs.n == 1)
        heap_remove(&s->lanes[j->priority], l); /* while its order can still be told */
    heap_remove(&l->jobs, j);
    lane_changed(s, l, j->priority);
}

void sched_remove(struct sched *s, struct sched_job *j)
{
    if (!j)
        return;
    if (j->n_delayed > 0)
        (void)timers_forget(&s->delayed, j, SIZE_MAX);
    sched_work(s, j, 0);
    s->n_ready -= j->n_ready;
    if (j->at != HEAP_NOWHERE)
        job_idle(s, j);
    lane_of(j)->n_jobs--;
    j->tenant->n_jobs--;
    tenant_drop_idle(s, j->tenant);
    free(j);
}

/* ---- tasks ---- */

static void task_ready(struct sched *s, struct sched_job *j, size_t i)
{
    uint64_t bit = UINT64_C(1) << (i % WORD_BITS);

    if (j->ready[i / WORD_BITS] & bit)
        return;
    j->ready[i / WORD_BITS] |= bit;
    if (i / WORD_BITS < j->first_word)
        j->first_word = i / WORD_BITS;
    s->n_ready++;
    if (j->n_ready++ == 0)
        job_ready(s, j);
}

void sched_wait(struct sched *s, struct sched_job *j, size_t i, int64_t not_before_ms)
{
    if (not_before_ms <= 0 || timers_add(&s->delayed, not_before_ms, j, i) < 0)
        task_ready(s, j, i); /* too early rather than never */
    else
        j->n_delayed++;
}

void sched_leave(struct sched *s, struct sched_job *j, size_t i)
{
    uint64_t bit = UINT64_C(1) << (i % WORD_BITS);

    if (j->n_delayed > 0)
        j->n_delayed -= timers_forget(&s->delayed, j, i);
    if (!(j->ready[i / WORD_BITS] & bit))
        return;
    j->ready[i / WORD_BITS] &= ~bit;
    s->n_ready--;
    if (--j->n_ready == 0)
        job_idle(s, j);
}

static size_t first_task(struct sched_job *j)
{
    while (j->ready[j->first_word] == 0)
        j->first_word++;
    return j->first_word * WORD_BITS + (size_t)__builtin_ctzll(j->ready[j->first_word]);
}

void sched_due(struct sched *s, int64_t now_ms)
{
    struct timer due;

    while (timers_pop(&s->delayed, now_ms, &due)) {
        struct sched_job *j = due.owner;
        j->n_delayed--;
        task_ready(s, j, due.what);
    }
}

int sched_pick(struct sched *s, void **ret_owner, size_t *ret_i)
{
    for (size_t p = SCHED_PRIORITIES; p-- > 0;) {
        if (s->lanes[p].n == 0)
            continue;
        struct lane *l = s->lanes[p].v[0];
        struct sched_job *j = l->jobs.v[0];
        *ret_i = first_task(j);
        *ret_owner = j->owner;
        if (l->tenant->vtime > s->vtime)
            s->vtime = l->tenant->vtime;
        sched_leave(s, j, *ret_i);
        return 1;
    }
    return 0;
}

void sched_charge(struct sched *s, struct sched_job *j, double cost)
{
    struct tenant *t = j->tenant;

    t->vtime += cost > 0 ? cost : 0;
    for (unsigned p = 0; p < SCHED_PRIORITIES; p++)
        if (t->lanes[p].at != HEAP_NOWHERE)
            heap_fix(&s->lanes[p], &t->lanes[p]);
}

int64_t sched_next(const struct sched *s)
{
    return timers_next(&s->delayed);
}

size_t sched_ready(const struct sched *s)
{
    return s->n_ready;
}

int64_t sched_position(const struct sched *s, const struct sched_job *j)
{
    const struct lane *own = lane_of(j);
    int64_t before = 0, n = 0;

    if (j->at == HEAP_NOWHERE)
        return -1;
    for (size_t i = 0; i < own->jobs.n; i++)
        before += job_less(own->jobs.v[i], j);
    for (size_t p = j->priority; p < SCHED_PRIORITIES; p++)
        for (size_t i = 0; i < s->lanes[p].n; i++) {
            const struct lane *l = s->lanes[p].v[i];
            int64_t has = (int64_t)l->jobs.n;
            if (p > j->priority)
                n += has;
            else if (l != own)
                n += has < before ? has : before;
        }
    return n + before;
}

void sched_work(struct sched *s, struct sched_job *j, double work)
{
    double more = work - j->work;

    j->work = work;
    lane_of(j)->work += more;
    s->work[j->priority] += more;
}

double sched_ahead(const struct sched *s, const struct sched_job *j)
{
    const struct lane *own = lane_of(j);
    const struct heap *others = &s->lanes[j->priority];
    double before = own->work - j->work, rest = s->work[j->priority] - own->work, sum;

    for (size_t i = 0; i < own->jobs.n; i++)
        if (job_less(j, own->jobs.v[i]))
            before -= ((const struct sched_job *)own->jobs.v[i])->work;
    sum = before;
    for (size_t p = (size_t)j->priority + 1; p < SCHED_PRIORITIES; p++)
        sum += s->work[p];
    for (size_t i = 0; i < others->n; i++) {
        const struct lane *l = others->v[i];
        if (l == own)
            continue;
        sum += fmin(l->work, before + j->work);
        rest -= l->work;
    }
    return fmax(sum + fmax(rest, 0), 0); /* `rest` has been handed out; sums are rounded */
}
