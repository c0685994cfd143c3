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

void stamps_write(struct out *o, const struct packet_stamps *s)
{
    if (s->n == 0)
        return;
    out_int(o, "stamps_from", (int64_t)s->from);
    out_list(o, "stamps", s->list, s->n, sizeof(*s->list), stamp_to_json);
}

void stamps_read(const struct in *o, uint64_t packets, struct packet_stamps *ret)
{
    size_t n = 0;

    if (!in_field(o, "stamps").j)
        return;
    struct in v = in_array(o, "stamps", CHUNK_STAMPS_MAX, &n);
    ret->from = (uint64_t)in_int(o, "stamps_from", 0, (int64_t)packets);
    ret->list = in_calloc(&v, n, sizeof(*ret->list));
    ret->n = ret->list ? n : 0;
    for (size_t i = 0; i < ret->n && in_ok(o); i++) {
        struct in e = in_at(&v, i);
        ret->list[i] = in_time_at(&e);
    }
}

void stamps_release(struct packet_stamps *s)
{
    free(s->list);
    *s = (struct packet_stamps){ 0 };
}

int stamps_copy(const struct packet_stamps *from, struct packet_stamps *ret)
{
    *ret = (struct packet_stamps){ 0 };
    if (from->n == 0)
        return 0;
    ret->list = malloc(from->n * sizeof(*ret->list));
    if (!ret->list)
        return -1;
    memcpy(ret->list, from->list, from->n * sizeof(*ret->list));
    ret->from = from->from;
    ret->n = from->n;
    return 0;
}
