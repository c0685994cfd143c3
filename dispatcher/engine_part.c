/* engine_part.c - one rendition of a task made again, without the others.
 *
 * Such a task waits like any other, but its result stays in the database, and
 * its message says "only" (task.h): that it isn't done and has a result is how
 * it is known, also by the next process. What comes back is put into the
 * stored result in the place of what was there. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "../common/base/cleanup.h"
#include "../common/wire/result.h"
#include "job.h"

/* The task's message; *ret NULL where it can't be read. */
static int read_body(struct dispatcher *d, const struct live_job *j, const struct live_task *t,
                     json_t **ret, struct err *err)
{
    _cleanup_free_ char *text = NULL;
    int r = jobdb_task_body(d->db, j->id, t->id, &text, err);

    if (r == 0)
        *ret = text ? json_loads(text, 0, NULL) : NULL;
    return r;
}

static int write_body(struct dispatcher *d, const struct live_job *j, const struct live_task *t,
                      const json_t *body, struct err *err)
{
    _cleanup_free_ char *text = json_dumps(body, JSON_COMPACT);
    int r = text ? engine_begin(d, err) : engine_no_memory(err);

    return r < 0 ? r : jobdb_set_body(d->db, j->id, t->id, text, err);
}

/* "only", or (NULL) all. */
static int ask_for(struct dispatcher *d, const struct live_job *j, const struct live_task *t,
                   const char *rendition, struct err *err)
{
    json_t *body = NULL;
    int r = read_body(d, j, t, &body, err), bad;

    if (r < 0 || !body) /* unreadable: it is found out when it is sent */
        return r;
    if (rendition)
        bad = json_object_set_new(body, "only", json_string(rendition));
    else
        bad = json_object_get(body, "only") ? json_object_del(body, "only") : 0;
    r = bad ? engine_no_memory(err) : write_body(d, j, t, body, err);
    json_decref(body);
    return r;
}

int engine_part_redo(struct dispatcher *d, struct live_job *j, struct live_task *t,
                     const char *rendition, const struct err *why, struct err *err)
{
    int r = ask_for(d, j, t, rendition, err);

    return r < 0 ? r : engine_redo_move(d, j, t, why, err);
}

int engine_part_load(struct dispatcher *d, const struct live_job *j, const struct live_task *t,
                     struct part *ret, struct err *err)
{
    struct part p = { 0 };
    json_t *body = NULL;
    int r = jobdb_task_result(d->db, j->id, t->id, &p.result, err);

    if (r == 0 && p.result)
        r = read_body(d, j, t, &body, err);
    const char *only = json_string_value(json_object_get(body, "only"));
    if (r == 0 && only && !(p.only = strdup(only)))
        r = engine_no_memory(err);
    json_decref(body);
    if (r < 0 || !p.only)
        part_release(&p);
    *ret = p;
    return r;
}

void part_release(struct part *p)
{
    free(p->only);
    free(p->result);
    *p = (struct part){ 0 };
}

int engine_part_end(struct dispatcher *d, const struct live_job *j, const struct live_task *t,
                    struct err *err)
{
    return ask_for(d, j, t, NULL, err);
}

int engine_part_widen(struct dispatcher *d, struct live_job *j, struct live_task *t,
                      const char *rendition, struct err *err)
{
    struct part p;
    int r = engine_part_load(d, j, t, &p, err);

    if (r == 0 && p.only && (!rendition || strcmp(p.only, rendition) != 0)) {
        r = engine_begin(d, err);
        if (r == 0)
            r = ask_for(d, j, t, NULL, err);
        if (r == 0)
            r = jobdb_set_result(d->db, j->id, t->id, NULL, err);
        t->attempt++; /* what the one before still brings is a part; written when it is moved */
    }
    part_release(&p);
    return r;
}

/* ---- merging ---- */

/* Where in the list of a result's renditions that one is; -1: nowhere. */
static ssize_t place_of(const json_t *list, const char *name)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *is = json_string_value(json_object_get(json_array_get(list, i), "name"));
        if (is && strcmp(is, name) == 0)
            return (ssize_t)i;
    }
    return -1;
}

static void add_up(json_t *to, const json_t *from, const char *field)
{
    double s = json_number_value(json_object_get(to, field)) +
               json_number_value(json_object_get(from, field));

    (void)json_object_set_new(to, field, json_real(s));
}

/* Who made what is new, and what both have cost. */
static int merge(json_t *old, const json_t *new, const char *only)
{
    static const char *const taken[] = { "attempt", "worker" };
    json_t *list = json_object_get(old, "renditions"), *made = json_object_get(new, "renditions");
    ssize_t at = place_of(list, only);

    if (at < 0 || json_array_size(made) != 1 || place_of(made, only) != 0 ||
        json_array_set(list, (size_t)at, json_array_get(made, 0)) < 0)
        return -EPROTO;
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
        (void)json_object_set(old, taken[i], json_object_get(new, taken[i]));
    add_up(old, new, "cpu_s");
    add_up(old, new, "wall_s");
    return 0;
}

int engine_part_merge(const struct part *p, const char *text, char **ret, struct task_result *ret_r,
                      struct err *why)
{
    json_t *old = json_loads(p->result, 0, NULL), *new = json_loads(text, 0, NULL);
    int r = old && new ? merge(old, new, p->only) : -EPROTO;
    _cleanup_free_ char *all = r == 0 ? json_dumps(old, JSON_COMPACT) : NULL;

    json_decref(old);
    json_decref(new);
    if (r < 0)
        return err_set(why, r, ERR_INTERNAL,
                       "its result is not rendition %.64s, which was asked for", p->only);
    if (!all)
        return engine_no_memory(why);
    r = task_result_from_text(all, strlen(all), ret_r, why);
    if (r == 0)
        *ret = take_ptr(all);
    return r;
}
