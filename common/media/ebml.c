#include "ebml.h"

#include "../child/inside.h"

struct ebml_walk {
    const struct ebml_visitor *v;
    unsigned looked, depth;
    int done; /* pictures begin: no more to see */
};

/* A number of 1 to 8 bytes whose first byte tells how many (RFC 8794, 4). 0: it isn't one. */
static size_t vint(const uint8_t *p, size_t n, int keep_marker, uint64_t *ret)
{
    size_t length = 1;
    uint64_t v;

    while (n > 0 && length <= 8 && !(p[0] & 0x80 >> (length - 1)))
        length++;
    if (n == 0 || length > 8 || length > n)
        return 0;
    v = keep_marker ? p[0] : p[0] & ((0x80u >> (length - 1)) - 1u);
    for (size_t i = 1; i < length; i++)
        v = v << 8 | p[i];
    *ret = v;
    return length;
}

/* 1; 0: there is none at `at`. */
static int element_at(struct ebml_walk *w, uint64_t at, uint64_t end, struct ebml_element *ret)
{
    uint8_t head[12] = { 0 };
    uint64_t id = 0, size = 0;
    size_t got = 0;

    if (at >= end || ++w->looked > EBML_ELEMENTS_MAX)
        return 0;
    int r = inside_read(w->v->in, at, head, sizeof(head), &got, w->v->err);
    if (r < 0)
        return r;
    size_t a = vint(head, got, 1, &id), b = a ? vint(head + a, got - a, 0, &size) : 0;
    if (a == 0 || a > 4 || b == 0)
        return 0;
    uint64_t body = at + a + b;
    int unknown = size == (UINT64_C(1) << 7 * b) - 1; /* to the end: a live recording */
    if (body > end)
        return 0;
    if (unknown || size > end - body)
        size = end - body;
    *ret = (struct ebml_element){ (uint32_t)id, body, body + size };
    return 1;
}

static int elements_walk(struct ebml_walk *w, uint64_t at, uint64_t end);

static int element_see(struct ebml_walk *w, const struct ebml_element *e)
{
    if (e->id == EBML_CLUSTER) {
        w->done = 1;
        return 0;
    }
    int r = w->v->see(w->v, e);
    if (r < 0)
        return r;
    if (r > 0 || e->id == EBML_SEGMENT || e->id == EBML_TRACKS || e->id == EBML_TRACK)
        return elements_walk(w, e->body, e->end);
    return 0;
}

static int elements_walk(struct ebml_walk *w, uint64_t at, uint64_t end)
{
    struct ebml_element e;
    int r = 0;

    if (w->depth == EBML_DEPTH_MAX)
        return 0;
    w->depth++;
    while (!w->done && (r = element_at(w, at, end, &e)) > 0) {
        r = element_see(w, &e);
        if (r < 0)
            break;
        at = e.end;
    }
    w->depth--;
    return r < 0 ? r : 0;
}

int ebml_walk(const struct ebml_visitor *v)
{
    struct ebml_walk w = { .v = v };

    return elements_walk(&w, 0, inside_source_size(v->in));
}

int ebml_unsigned(const struct ebml_visitor *v, const struct ebml_element *e, uint64_t *ret)
{
    uint8_t p[8] = { 0 };
    size_t got = 0;
    uint64_t n = 0;

    *ret = 0;
    if (e->end - e->body > sizeof(p))
        return 0;
    int r = inside_read(v->in, e->body, p, (size_t)(e->end - e->body), &got, v->err);
    for (size_t i = 0; i < got; i++)
        n = n << 8 | p[i];
    *ret = n;
    return r;
}

int ebml_string(const struct ebml_visitor *v, const struct ebml_element *e, char *ret, size_t size)
{
    size_t n = e->end - e->body < size - 1 ? (size_t)(e->end - e->body) : size - 1, got = 0;
    int r = inside_read(v->in, e->body, ret, n, &got, v->err);

    n = 0;
    while (n < got && ret[n] > ' ' && ret[n] < 0x7f)
        n++;
    ret[n] = '\0';
    return r;
}
