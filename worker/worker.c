#include "worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../common/base/err.h"
#include "blocks.h"
#include "slot.h"

enum { SLOTS_MAX = 4096 };

struct worker {
    struct shared shared;
    char *id;
    struct slot *slots;
    unsigned n_slots;
};

/* Draining can become killing, never the other way round. */
static void raise_mode(struct worker *w, int mode)
{
    int now = atomic_load(&w->shared.mode);

    while (now < mode && !atomic_compare_exchange_weak(&w->shared.mode, &now, mode))
        ;
}

static struct worker *worker_alloc(const struct worker_config *cfg)
{
    struct worker *w = calloc(1, sizeof(*w));

    if (!w)
        return NULL;
    w->id = strdup(cfg->id);
    w->slots = calloc(cfg->slots, sizeof(*w->slots));
    if (!w->id || !w->slots) {
        worker_free(w);
        return NULL;
    }
    w->n_slots = cfg->slots;
    w->shared.cfg = *cfg;
    w->shared.cfg.id = w->id;
    w->shared.limit_memory = getenv("GOPMILL_NO_RLIMIT") == NULL;
    return w;
}

int worker_start(const struct worker_config *cfg, struct worker **ret, struct err *err)
{
    if (cfg->slots < 1 || cfg->slots > SLOTS_MAX)
        return err_set(err, -EINVAL, ERR_USAGE, "%u slots; a worker has 1 to %d", cfg->slots,
                       SLOTS_MAX);
    struct worker *w = worker_alloc(cfg);
    if (!w)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory");
    int r = blocks_new(cfg->cache_bytes, &w->shared.blocks, err);
    for (unsigned i = 0; r == 0 && i < w->n_slots; i++)
        r = slot_start(&w->slots[i], &w->shared, i, err);
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
    raise_mode(w, WORKER_DRAINING);
}

void worker_kill(struct worker *w)
{
    raise_mode(w, WORKER_KILLED);
    for (unsigned i = 0; i < w->n_slots; i++)
        if (w->slots[i].started)
            slot_kill(&w->slots[i]);
}

void worker_free(struct worker *w)
{
    if (!w)
        return;
    for (unsigned i = 0; w->slots && i < w->n_slots; i++)
        slot_join(&w->slots[i]);
    blocks_free(w->shared.blocks);
    free(w->slots);
    free(w->id);
    free(w);
}
