#include "crew.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/base/clock.h"

enum {
    MEMBERS_MAX = 4096,
    MARKS = 32,       /* of a worker, remembered */
    SUCCESSES = 2048, /* of all */
    ENOUGH = 3,       /* sources, or tasks of a bucket */
};
static const int64_t window_ns = 30 * 60 * NS_PER_S;
static const int64_t spared_ns = 10 * 60 * NS_PER_S;
static const int64_t doubt_ns = 3 * NS_PER_S;

struct mark {
    uint64_t source, task, stores; /* hashes */
    int64_t ns;
    enum err_class cls;
};

struct member {
    char *id;
    struct mark marks[MARKS];
    uint64_t n_marks;
    int64_t noted_ns;
    int64_t bad_ns;                      /* when something failed on it last; 0: never */
    int64_t spared_until_ns, doubted_ns; /* 0: it isn't */
    int quarantined;
};

struct success {
    unsigned worker;
    uint64_t source, stores;
    int64_t ns;
};

struct crew {
    struct member **v;         /* of number i + 1 */
    uint64_t ids[MEMBERS_MAX]; /* hashes, to be looked through quickly */
    int64_t bad_ns;            /* of all members */
    size_t n;
    struct success successes[SUCCESSES];
    uint64_t n_successes;
};

/* ---- members ---- */

struct crew *crew_new(void)
{
    struct crew *c = calloc(1, sizeof(*c));

    if (c && !(c->v = calloc(MEMBERS_MAX, sizeof(struct member *)))) {
        free(c);
        return NULL;
    }
    return c;
}

static void member_free(struct member *m)
{
    if (m)
        free(m->id);
    free(m);
}

void crew_free(struct crew *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n; i++)
        member_free(c->v[i]);
    free(c->v);
    free(c);
}

static struct member *member_of(const struct crew *c, unsigned number)
{
    return number > 0 && number <= c->n ? c->v[number - 1] : NULL;
}

/* Where a new one goes: behind the others, or in the place of who was noted longest ago. */
static size_t place_for(const struct crew *c)
{
    size_t oldest = 0;

    if (c->n < MEMBERS_MAX)
        return c->n;
    for (size_t i = 1; i < c->n; i++)
        if (c->v[i]->noted_ns < c->v[oldest]->noted_ns)
            oldest = i;
    return oldest;
}

static uint64_t hash(const char *text)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return h;
}

unsigned crew_number(struct crew *c, const char *worker, int64_t now_ns)
{
    if (!worker || !worker[0])
        return 0;
    uint64_t h = hash(worker);
    for (size_t i = 0; i < c->n; i++)
        if (c->ids[i] == h && strcmp(c->v[i]->id, worker) == 0) {
            c->v[i]->noted_ns = now_ns;
            return (unsigned)i + 1;
        }
    struct member *m = calloc(1, sizeof(*m));
    if (!m || !(m->id = strdup(worker))) {
        free(m);
        return 0;
    }
    m->noted_ns = now_ns;
    size_t at = place_for(c);
    if (at < c->n)
        member_free(c->v[at]);
    else
        c->n++;
    c->v[at] = m;
    c->ids[at] = h;
    return (unsigned)at + 1;
}

const char *crew_name(const struct crew *c, unsigned number)
{
    const struct member *m = member_of(c, number);

    return m ? m->id : "?";
}

/* ---- what happened ---- */

static void forget(struct member *m)
{
    m->n_marks = 0;
    m->bad_ns = 0;
    m->quarantined = 0;
    m->doubted_ns = m->spared_until_ns = 0;
}

static int is_bad(enum err_class cls)
{
    return cls == ERR_CRASH || cls == ERR_RESOURCE || cls == ERR_INTERNAL || cls == ERR_TIMEOUT ||
           cls == ERR_STORAGE;
}

void crew_note(struct crew *c, const struct crew_outcome *o, int64_t now_ns)
{
    struct member *m = member_of(c, o->worker);
    struct mark k = { hash(o->source), hash(o->task), hash(o->stores), now_ns, o->cls };

    if (!m || o->cls == ERR_CANCELED)
        return;
    if (o->cls == ERR_NONE) {
        if (m->quarantined)
            forget(m);
        c->successes[c->n_successes++ % SUCCESSES] = (struct success){ o->worker, k.source,
                                                                       k.stores, now_ns };
    }
    m->marks[m->n_marks++ % MARKS] = k;
    if (is_bad(o->cls))
        m->bad_ns = c->bad_ns = now_ns;
}

/* ---- who stands out ---- */

/* Somebody else did the like: something of the same source, or with the same buckets. */
static int done_elsewhere(const struct crew *c, unsigned worker, const struct mark *k,
                          int64_t now_ns)
{
    size_t n = c->n_successes < SUCCESSES ? (size_t)c->n_successes : SUCCESSES;

    for (size_t i = 0; i < n; i++) {
        const struct success *s = &c->successes[i];
        int like = k->cls == ERR_STORAGE ? s->stores == k->stores : s->source == k->source;
        if (like && s->worker != worker && now_ns - s->ns <= window_ns)
            return 1;
    }
    return 0;
}

struct tally {
    uint64_t seen[MARKS]; /* sources, or tasks */
    size_t n;             /* different ones */
    unsigned failed, done;
};

static void tally_add(struct tally *t, uint64_t what)
{
    t->failed++;
    for (size_t i = 0; i < t->n; i++)
        if (t->seen[i] == what)
            return;
    t->seen[t->n++] = what;
}

static int stands_out(const struct tally *t)
{
    return t->n >= ENOUGH && t->failed >= 5 * t->done;
}

/* From the latest back: what it did before it went bad doesn't excuse it. */
static int is_suspect(const struct crew *c, unsigned worker, int64_t now_ns, char *why, size_t size)
{
    const struct member *m = c->v[worker - 1];
    struct tally faults = { .n = 0 }, refusals = { .n = 0 };
    uint64_t n = m->n_marks < MARKS ? m->n_marks : MARKS;

    for (uint64_t i = 1; i <= n; i++) {
        const struct mark *k = &m->marks[(m->n_marks - i) % MARKS];
        if (now_ns - k->ns > window_ns)
            break;
        if (k->cls == ERR_NONE) {
            faults.done++;
            refusals.done++;
        } else if (is_bad(k->cls) && done_elsewhere(c, worker, k, now_ns)) {
            tally_add(k->cls == ERR_STORAGE ? &refusals : &faults,
                      k->cls == ERR_STORAGE ? k->task : k->source);
        }
        if (stands_out(&faults)) {
            (void)snprintf(why, size, "tasks of %zu sources failed on it that other workers made",
                           faults.n);
            return 1;
        }
        if (stands_out(&refusals)) {
            (void)snprintf(why, size,
                           "%zu tasks failed on it by storage where others could read "
                           "and write",
                           refusals.n);
            return 1;
        }
    }
    return 0;
}

unsigned crew_suspect(struct crew *c, int64_t now_ns, char *why, size_t size)
{
    if (c->bad_ns == 0 || now_ns - c->bad_ns > window_ns)
        return 0;
    for (size_t i = 0; i < c->n; i++) {
        const struct member *m = c->v[i];
        if (!m->quarantined && m->bad_ns > 0 && now_ns >= m->spared_until_ns &&
            is_suspect(c, (unsigned)i + 1, now_ns, why, size))
            return (unsigned)i + 1;
    }
    return 0;
}

/* ---- what is done about it ---- */

void crew_quarantine(struct crew *c, unsigned worker)
{
    struct member *m = member_of(c, worker);

    if (!m)
        return;
    m->quarantined = 1;
    m->doubted_ns = 0;
}

int crew_is_quarantined(const struct crew *c, unsigned worker)
{
    const struct member *m = member_of(c, worker);

    return m && m->quarantined;
}

void crew_spare(struct crew *c, unsigned worker, int64_t now_ns)
{
    struct member *m = member_of(c, worker);

    if (m)
        m->spared_until_ns = now_ns + spared_ns;
}

void crew_release(struct crew *c, unsigned worker)
{
    struct member *m = member_of(c, worker);

    if (m)
        forget(m);
}

int crew_ignores_quarantine(struct crew *c, unsigned worker, int takes, int64_t now_ns)
{
    struct member *m = member_of(c, worker);

    if (!m || !m->quarantined || !takes) {
        if (m)
            m->doubted_ns = 0;
        return 0;
    }
    if (m->doubted_ns == 0) {
        m->doubted_ns = now_ns;
        return 0;
    }
    if (now_ns - m->doubted_ns < doubt_ns)
        return 0;
    m->doubted_ns = now_ns;
    return 1;
}
