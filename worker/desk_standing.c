/* The desk's standing in the farm: whether the dispatcher has put this worker into quarantine,
 * and whether another worker is to be left a task. */
#include <stdio.h>
#include <string.h>

#include "../common/base/clock.h"
#include "../common/wire/task.h"
#include "desk_parts.h"

enum {
    QUARANTINE_MAX_MS = 3600 * 1000, /* it doubles with each trial that fails, up to that */
    TRIAL_AGAIN_MS = 5000,           /* a trial that said nothing, because its job was canceled */
};

static void lock(struct desk *d)
{
    (void)pthread_mutex_lock(&d->lock);
}

static void unlock_changed(struct desk *d)
{
    (void)pthread_cond_broadcast(&d->changed);
    (void)pthread_mutex_unlock(&d->lock);
}

/* ---- quarantine ---- */

void desk_quarantine(struct desk *d, const char *why, unsigned seconds)
{
    struct quarantine *q = &d->quarantine;

    lock(d);
    if (!q->on) {
        q->ms = seconds * INT64_C(1000);
        q->trial_ns = desk_now_ns() + q->ms * NS_PER_MS;
    }
    q->on = 1;
    (void)snprintf(q->why, sizeof(q->why), "quarantined: %s", why);
    d->news = 1;
    unlock_changed(d);
}

void desk_release(struct desk *d)
{
    lock(d);
    d->quarantine = (struct quarantine){ 0 };
    d->news = 1;
    unlock_changed(d);
}

int desk_shut_out(const struct desk *d, unsigned slot)
{
    const struct quarantine *q = &d->quarantine;

    return q->on && (slot != TRIAL_SLOT || desk_now_ns() < q->trial_ns);
}

int desk_trial_ended(struct desk *d, enum err_class cls)
{
    struct quarantine *q = &d->quarantine;

    if (!q->on)
        return 0;
    if (cls == ERR_NONE) {
        *q = (struct quarantine){ 0 };
        return 1;
    }
    if (cls != ERR_CANCELED)
        q->ms = q->ms * 2 < QUARANTINE_MAX_MS ? q->ms * 2 : QUARANTINE_MAX_MS;
    q->trial_ns = desk_now_ns() + (cls == ERR_CANCELED ? TRIAL_AGAIN_MS : q->ms) * NS_PER_MS;
    return 0;
}

/* ---- peers ---- */

void desk_note_peer(struct desk *d, const char *id, int takes)
{
    struct peer *oldest = &d->peers[0];

    for (size_t i = 0; i < PEERS; i++) {
        struct peer *p = &d->peers[i];
        if (strcmp(p->id, id) == 0) {
            p->heard_ns = takes ? desk_now_ns() : 0;
            return;
        }
        if (p->heard_ns < oldest->heard_ns)
            oldest = p;
    }
    if (!takes)
        return;
    (void)snprintf(oldest->id, sizeof(oldest->id), "%s", id);
    oldest->heard_ns = desk_now_ns();
}

static int is_avoided(const struct task *t, const char *id)
{
    for (size_t i = 0; i < t->n_avoid; i++)
        if (strcmp(t->avoid[i], id) == 0)
            return 1;
    return 0;
}

int desk_leaves_to_others(const struct desk *d, const struct task *t)
{
    int64_t since = desk_now_ns() - WORKER_LOST_MS * INT64_C(1000000);

    if (!is_avoided(t, d->cfg.id))
        return 0;
    for (size_t i = 0; i < PEERS; i++)
        if (d->peers[i].heard_ns > 0 && d->peers[i].heard_ns > since &&
            !is_avoided(t, d->peers[i].id))
            return 1;
    return 0;
}
