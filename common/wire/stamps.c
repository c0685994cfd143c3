/* Times of packets that a source doesn't tell. */
#include "fields.h"
#include "parts.h"
#include <stdlib.h>
#include <string.h>

static json_t *stamp_to_json(const void *item)
{
    int64_t t = *(const int64_t *)item;

    return t == INT64_MIN ? json_null() : json_integer(t);
}

void stamps_write(struct out *o, const struct chunk *c)
{
    if (c->n_stamps == 0)
        return;
    out_int(o, "stamps_from", (int64_t)c->stamps_from);
    out_list(o, "stamps", c->stamps, c->n_stamps, sizeof(*c->stamps), stamp_to_json);
}

void stamps_read(const struct in *o, struct chunk *c)
{
    size_t n = 0;

    if (!in_field(o, "stamps").j)
        return;
    struct in v = in_array(o, "stamps", CHUNK_STAMPS_MAX, &n);
    c->stamps_from = (uint64_t)in_int(o, "stamps_from", 0, (int64_t)c->packets);
    c->stamps = in_calloc(&v, n, sizeof(*c->stamps));
    c->n_stamps = c->stamps ? n : 0;
    for (size_t i = 0; i < c->n_stamps && in_ok(o); i++) {
        struct in e = in_at(&v, i);
        c->stamps[i] = in_time_at(&e);
    }
}

int chunk_stamps_copy(const struct chunk *from, struct chunk *ret)
{
    ret->stamps = NULL;
    ret->n_stamps = 0;
    if (from->n_stamps == 0)
        return 0;
    ret->stamps = malloc(from->n_stamps * sizeof(*ret->stamps));
    if (!ret->stamps)
        return -1;
    memcpy(ret->stamps, from->stamps, from->n_stamps * sizeof(*ret->stamps));
    ret->n_stamps = from->n_stamps;
    return 0;
}
