#include "plan_job.h"

#include "../common/base/cleanup.h"
#include "../common/base/err.h"
#include "../common/media/probe.h"
#include "../common/media/proof.h"
#include "../ladders/ladder.h"
#include "plan.h"
#include "plan_copy.h"
#include "plan_starts.h"

#include <errno.h>
#include <string.h>

static int dump(json_t *j, char **ret, struct err *err)
{
    char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;

    json_decref(j);
    if (!text)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a child's answer");
    *ret = text;
    return 0;
}

int probe_job(struct inside *in, const char *request, char **ret_result, struct err *err)
{
    struct media_info info;
    struct media_index idx;
    int r = media_probe(in, &info, &idx, err);

    (void)request;
    if (r < 0)
        return r;
    r = dump(media_info_to_json(&info), ret_result, err);
    media_info_release(&info);
    media_index_release(&idx);
    return r;
}

struct request {
    struct ladder *ladder;
    struct plan_options opts;
};

static int parse_request(const char *text, struct request *ret, struct err *err)
{
    json_error_t je;
    const char *yaml, *name;
    int v, slots = 0, count = 0;
    struct plan_options o = { 0 };
    json_t *j = json_loads(text, JSON_REJECT_DUPLICATES, &je);

    int r = json_unpack_ex(j, &je, 0, "{s:i, s:s, s:s, s:{s?F, s?F, s?F, s?i, s?i, s?i}}", "v", &v,
                           "ladder", &yaml, "ladder_name", &name, "options", "segment_seconds",
                           &o.segment_seconds, "gop_seconds", &o.gop_seconds, "chunk_seconds",
                           &o.chunk_seconds, "slots", &slots, "chunk_count", &count, "early",
                           &o.early);
    if (r < 0 || v != 1 || slots < 0 || count < 0) {
        json_decref(j);
        return err_set(err, -EINVAL, ERR_INTERNAL, "a plan request can't be read: %s", je.text);
    }
    o.slots = (unsigned)slots;
    o.chunk_count = (unsigned)count;
    r = ladder_parse(yaml, strlen(yaml), name, &ret->ladder, err);
    json_decref(j);
    if (r < 0)
        return r;
    if (o.segment_seconds <= 0)
        o.segment_seconds = ladder_segment_seconds(ret->ladder);
    if (o.gop_seconds <= 0)
        o.gop_seconds = ladder_gop_seconds(ret->ladder);
    ret->opts = o;
    return 0;
}

/* The extras that the ladder wants. */
static int add_extras(const struct ladder *l, const struct media_info *info,
                      const struct media_index *idx, const struct rendition *list, size_t n,
                      struct plan *p, struct err *err)
{
    struct rendition *extras = NULL;
    size_t n_extras = 0;
    int r = ladder_resolve_extras(l, info, list, n, &extras, &n_extras, err);

    if (r == 0)
        r = plan_add_extras(p, idx, extras, n_extras, err);
    rendition_list_free(extras, n_extras);
    return r;
}

/* Sound tracks that there was no room for. */
static int warn_of_tracks(const struct ladder *l, const struct rendition *list, size_t n,
                          struct media_info *info, struct err *err)
{
    size_t all = 0, used = 0;

    while (media_audio(info, all))
        all++;
    for (size_t i = 0; i < n; i++)
        if (list[i].kind == MEDIA_AUDIO)
            used = (size_t)list[i].track + 1;
    if (used == 0 || used == all || ladder_default_track(l))
        return 0;
    int r = probe_warn(info, "%zu audio track(s) left out: a package has at most %d renditions",
                       all - used, RENDITIONS_MAX);
    return r < 0 ? err_set(err, r, ERR_RESOURCE, "out of memory for a plan") : 0;
}

struct planning {
    struct inside *in;
    struct media_info *info;
    struct media_index *idx;
    struct proof *proof;
    struct rendition *list;
    size_t n;
    const struct plan_options *opts;
};

/* Which rendition is to be a copy: its number, or n. The source's packets are
 * read only where nothing else speaks against it. */
static int choose_copy(const struct planning *p, size_t *ret, struct err *err)
{
    struct copy_facts facts;
    int r = copy_sift(p->info, p->idx, p->list, p->n, p->opts, ret);

    if (r == 0 && *ret < p->n) {
        r = media_copy_look(p->in, p->info, p->idx, &facts, err);
        if (r < 0)
            return r;
        r = copy_fits(&facts, p->info, p->idx, p->opts, &p->list[*ret]);
        if (r == 0)
            *ret = p->n;
    }
    return r < 0 ? err_set(err, r, ERR_RESOURCE, "out of memory for a plan") : 0;
}

/* What a rendition and all grids were before a copy was tried. */
struct before {
    struct rendition encoded;
    struct frame_grid grids[RENDITIONS_MAX];
};

static int remember(const struct planning *p, size_t which, struct before *ret)
{
    for (size_t i = 0; i < p->n && i < RENDITIONS_MAX; i++)
        ret->grids[i] = p->list[i].grid;
    return rendition_copy(&p->list[which], &ret->encoded);
}

/* Takes over what `b` holds. */
static int restore(const struct planning *p, size_t which, struct before *b, const char *why)
{
    rendition_release(&p->list[which]);
    p->list[which] = b->encoded;
    for (size_t i = 0; i < p->n && i < RENDITIONS_MAX; i++)
        p->list[i].grid = b->grids[i];
    return copy_refuse(&p->list[which], "%s", why);
}

static int plan_with(const struct planning *p, struct plan *ret, struct err *err)
{
    const struct plan_source source = { p->in, p->info, p->idx, p->proof };

    return plan_safely(&source, p->list, p->n, p->opts, ret, err);
}

/* 1: the source's GOPs, as all renditions can follow them, are short enough;
 * else 0, and no plan. */
static int try_copy(const struct planning *p, struct plan *ret, char why[COPY_WHY_MAX],
                    struct err *err)
{
    int r = plan_with(p, ret, err);

    if (r < 0 || copy_gops_fit(ret, why))
        return r < 0 ? r : 1;
    copy_shift_grids(ret, p->list, p->n);
    plan_release(ret);
    r = plan_with(p, ret, err);
    if (r < 0 || copy_gops_fit(ret, why))
        return r < 0 ? r : 1;
    plan_release(ret);
    return 0;
}

static int plan_copying(const struct planning *p, size_t which, struct plan *ret, struct err *err)
{
    char why[COPY_WHY_MAX];
    struct before before;
    int r = remember(p, which, &before);

    if (r < 0)
        return err_set(err, r, ERR_RESOURCE, "out of memory for a plan");
    r = copy_make(&p->list[which]);
    if (r < 0)
        (void)err_set(err, r, ERR_RESOURCE, "out of memory for a plan");
    else
        r = try_copy(p, ret, why, err);
    if (r != 0) {
        rendition_release(&before.encoded);
        return r < 0 ? r : 0;
    }
    if (restore(p, which, &before, why) < 0)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a plan");
    return plan_with(p, ret, err);
}

static int plan_all(const struct planning *p, struct plan *ret, struct err *err)
{
    size_t which;
    int r = choose_copy(p, &which, err);

    if (r < 0)
        return r;
    if (which < p->n)
        return plan_copying(p, which, ret, err);
    return plan_with(p, ret, err);
}

static int plan_proven(struct planning *p, struct plan *ret, struct err *err)
{
    int r = 0;

    if (p->info->video.stream >= 0 && p->idx->n > 0 &&
        !(p->proof = proof_new(p->in, p->info, p->idx)))
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a plan");
    if (p->proof)
        r = proof_find_keys(p->proof, err);
    r = r < 0 ? r : plan_all(p, ret, err);
    proof_free(p->proof);
    return r;
}

int plan_job(struct inside *in, const char *request, char **ret_result, struct err *err)
{
    struct request rq = { 0 };
    struct media_info info = { 0 };
    struct media_index idx = { 0 };
    struct rendition *list = NULL;
    struct plan plan = { 0 };
    size_t n = 0;
    int r = parse_request(request, &rq, err);

    if (r == 0)
        r = media_probe(in, &info, &idx, err);
    if (r == 0)
        r = ladder_resolve(rq.ladder, &info, &list, &n, err);
    if (r == 0)
        r = warn_of_tracks(rq.ladder, list, n, &info, err);
    if (r == 0)
        r = plan_proven(&(struct planning){ in, &info, &idx, NULL, list, n, &rq.opts }, &plan, err);
    if (r == 0)
        r = add_extras(rq.ladder, &info, &idx, list, n, &plan, err);
    if (r == 0)
        r = dump(plan_to_json(&plan), ret_result, err);
    plan_release(&plan);
    rendition_list_free(list, n);
    media_index_release(&idx);
    media_info_release(&info);
    ladder_free(rq.ladder);
    return r;
}
