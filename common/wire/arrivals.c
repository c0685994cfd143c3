/* Streams that a demuxer finds late, and those that go on in another one. */
#include "fields.h"
#include "parts.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static json_t *join_to_json(const void *item)
{
    const struct stream_join *j = item;
    struct out o = out_new();

    out_int(&o, "stream", j->stream);
    out_int(&o, "id", j->id);
    out_int(&o, "pos", j->pos);
    return out_done(&o);
}

void arrivals_write(struct out *o, const struct media_info *i)
{
    if (i->n_arrivals > 0) {
        json_t *list = json_array();
        for (size_t k = 0; list && k < i->n_arrivals; k++)
            (void)json_array_append_new(list, json_integer(i->arrivals[k]));
        out_put(o, "arrivals", list);
    }
    if (i->n_joins > 0)
        out_list(o, "joins", i->joins, i->n_joins, sizeof(*i->joins), join_to_json);
}

static void joins_read(const struct in *o, struct media_info *i)
{
    size_t n = 0;
    struct in v = in_array(o, "joins", JOINS_MAX, &n);

    i->joins = in_calloc(&v, n, sizeof(*i->joins));
    i->n_joins = i->joins ? n : 0;
    for (size_t k = 0; k < i->n_joins; k++) {
        struct in e = in_at(&v, k);
        in_is_object(&e);
        i->joins[k].stream = (int)in_int(&e, "stream", -1, INT32_MAX);
        i->joins[k].id = (int)in_int(&e, "id", 0, INT32_MAX);
        i->joins[k].pos = in_int(&e, "pos", 0, SIZE_LIMIT);
    }
}

/* Plans that were made before there were any have none. */
void arrivals_read(const struct in *o, struct media_info *i)
{
    size_t n = 0;

    if (in_field(o, "joins").j)
        joins_read(o, i);
    if (!in_field(o, "arrivals").j)
        return;
    struct in v = in_array(o, "arrivals", ARRIVALS_MAX, &n);
    i->arrivals = in_calloc(&v, n, sizeof(*i->arrivals));
    i->n_arrivals = i->arrivals ? n : 0;
    for (size_t k = 0; k < i->n_arrivals; k++) {
        struct in e = in_at(&v, k);
        i->arrivals[k] = in_number(&e, k > 0 ? i->arrivals[k - 1] : 0, SIZE_LIMIT);
    }
}

int media_info_copy_arrivals(const struct media_info *from, struct media_info *to)
{
    to->arrivals = calloc(from->n_arrivals + 1, sizeof(*to->arrivals));
    to->joins = calloc(from->n_joins + 1, sizeof(*to->joins));
    to->n_arrivals = to->n_joins = 0;
    if (!to->arrivals || !to->joins)
        return -ENOMEM;
    if (from->n_arrivals > 0)
        memcpy(to->arrivals, from->arrivals, from->n_arrivals * sizeof(*to->arrivals));
    if (from->n_joins > 0)
        memcpy(to->joins, from->joins, from->n_joins * sizeof(*to->joins));
    to->n_arrivals = from->n_arrivals;
    to->n_joins = from->n_joins;
    return 0;
}
