#include "worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../common/base/err.h"
#include "../common/child/nursery.h"
#include "../common/store/blocks.h"
#include "desk.h"
#include "pulse.h"
#include "slot.h"

enum {
    SLOTS_MAX = 4096,
    UPLOADS_DEFAULT = 4,
    SETTLE_MS = 6000, /* a heartbeat's time and a second */
    UPLOAD_MIB_MIN = 8,
    UPLOAD_MIB_MAX = 64,
    UPLOAD_MIB_ALL = 256, /* of all slots together, as far as each has its least */
};

struct worker {
    struct shared shared;
    char *id, *disk;
    struct pulse *pulse; /* NULL without events */
    struct slot *slots;
    unsigned n_slots;
};

static size_t upload_bytes(unsigned slots)
{
    size_t mib = UPLOAD_MIB_ALL / slots;

    if (mib < UPLOAD_MIB_MIN)
        mib = UPLOAD_MIB_MIN;
    return (mib > UPLOAD_MIB_MAX ? UPLOAD_MIB_MAX : mib) << 20;
}

static struct desk *make_desk(const struct worker *w)
{
    const struct worker_config *c = &w->shared.cfg;
    const struct desk_config cfg = {
        .id = w->id,
        .slots = c->slots,
        .memory_bytes = c->memory_bytes,
        .events = c->events,
        .settle_ms = c->settle_ms ? c->settle_ms : SETTLE_MS,
        .queue = c->queue,
    };

    return desk_new(&cfg);
}

static struct worker *worker_alloc(const struct worker_config *cfg)
{
    struct worker *w = calloc(1, sizeof(*w));

    if (!w)
        return NULL;
    w->id = strdup(cfg->id);
    w->disk = cfg->disk ? strdup(cfg->disk) : NULL;
    w->slots = calloc(cfg->slots, sizeof(*w->slots));
    w->n_slots = cfg->slots;
    w->shared.cfg = *cfg;
    w->shared.cfg.id = w->id;
    w->shared.cfg.disk = w->disk;
    if (w->shared.cfg.uploads == 0)
        w->shared.cfg.uploads = UPLOADS_DEFAULT;
    w->shared.limit_memory = getenv("GOPMILL_NO_RLIMIT") == NULL;
    w->shared.upload_bytes = upload_bytes(cfg->slots);
    if (w->id && w->slots && (w->disk || !cfg->disk))
        w->shared.desk = make_desk(w);
    if (!w->shared.desk) {
        worker_free(w);
        return NULL;
    }
    return w;
}

static void look(void *arg)
{
    struct worker *w = arg;

    for (unsigned i = 0; i < w->n_slots; i++)
        slot_look(&w->slots[i]);
}

static int start_pulse(struct worker *w, struct err *err)
{
    const struct pulse_config cfg = {
        .shared = &w->shared, .disk = w->disk, .look = look, .arg = w
    };

    return w->shared.cfg.events ? pulse_start(&cfg, &w->pulse, err) : 0;
}

/* The libraries of codecs are loaded while there is no task yet. */
static int find_nursery(struct worker *w, struct err *err)
{
    w->shared.nursery = w->shared.cfg.nursery;
    return w->shared.nursery ? 0 : nursery_new(&w->shared.nursery, err);
}

int worker_start(const struct worker_config *cfg, struct worker **ret, struct err *err)
{
    if (cfg->slots < 1 || cfg->slots > SLOTS_MAX)
        return err_set(err, -EINVAL, ERR_USAGE, "%u slots; a worker has 1 to %d", cfg->slots,
                       SLOTS_MAX);
    struct worker *w = worker_alloc(cfg);
    if (!w)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    for (unsigned i = 0; i < w->n_slots; i++)
        slot_init(&w->slots[i], &w->shared, i);
    int r = blocks_new(cfg->stores, cfg->cache_bytes, &w->shared.blocks, err);
    if (r == 0)
        r = find_nursery(w, err);
    if (r == 0)
        r = start_pulse(w, err);
    for (unsigned i = 0; r == 0 && i < w->n_slots; i++)
        r = slot_start(&w->slots[i], err);
    if (r < 0) {
        worker_kill(w);
        worker_free(w);
        return r;
    }
    *ret = w;
    return 0;
}

void worker_drain(struct worker *w)
{
    desk_raise(w->shared.desk, DESK_DRAINING);
}

int worker_draining(const struct worker *w)
{
    return desk_mode_now(w->shared.desk) != DESK_OPEN;
}

int worker_leases(const struct worker *w)
{
    return !desk_closed(w->shared.desk);
}

unsigned worker_running(struct worker *w)
{
    return desk_in_hand(w->shared.desk);
}

void worker_hinder(struct worker *w, const char *why)
{
    desk_put_store(w->shared.desk, why);
}

void worker_kill(struct worker *w)
{
    desk_raise(w->shared.desk, DESK_KILLED);
    look(w);
}

void worker_free(struct worker *w)
{
    if (!w)
        return;
    for (unsigned i = 0; w->slots && i < w->n_slots; i++)
        slot_join(&w->slots[i]);
    pulse_stop(w->pulse);
    for (unsigned i = 0; w->slots && i < w->n_slots; i++)
        slot_release(&w->slots[i]);
    if (!w->shared.cfg.nursery)
        nursery_free(w->shared.nursery);
    blocks_free(w->shared.blocks);
    desk_free(w->shared.desk);
    free(w->slots);
    free(w->disk);
    free(w->id);
    free(w);
}
