#include "../base/utf8.h"
#include "fields.h"
#include <stdlib.h>
#include <string.h>

struct out out_new(void)
{
    struct out o = { .o = json_object() };

    o.bad = !o.o;
    return o;
}

void out_put(struct out *o, const char *name, json_t *value)
{
    if (json_object_set_new(o->o, name, value) < 0)
        o->bad = 1;
}

void out_int(struct out *o, const char *name, int64_t value)
{
    out_put(o, name, json_integer(value));
}

static json_t *time_json(int64_t t)
{
    return t == NO_TIME ? json_null() : json_integer(t);
}

void out_time(struct out *o, const char *name, int64_t value)
{
    out_put(o, name, time_json(value));
}

void out_double(struct out *o, const char *name, double value)
{
    out_put(o, name, json_real(value));
}

void out_ratio(struct out *o, const char *name, AVRational q)
{
    if (q.num == 0)
        q.den = 1; /* {0} stands for "none" in C */
    out_put(o, name, json_pack("[i,i]", q.num, q.den));
}

static json_t *text_json(const char *text)
{
    char *copy = strdup(text);
    json_t *j;

    if (!copy)
        return NULL;
    for (char *c = copy; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = ' ';
    utf8_mend(copy);
    j = json_string(copy);
    free(copy);
    return j;
}

void out_text(struct out *o, const char *name, const char *text)
{
    if (text)
        out_put(o, name, text_json(text));
}

/* Put the array `a`, to which everything could be added if `bad` is 0. */
static void put_array(struct out *o, const char *name, json_t *a, int bad)
{
    if (bad)
        o->bad = 1;
    out_put(o, name, a);
}

void out_texts(struct out *o, const char *name, char *const *texts, size_t n)
{
    json_t *a = json_array();
    int bad = 0;

    for (size_t i = 0; i < n; i++)
        bad |= json_array_append_new(a, text_json(texts[i])) < 0;
    put_array(o, name, a, bad);
}

void out_times(struct out *o, const char *name, const int64_t *times, size_t n)
{
    json_t *a = json_array();
    int bad = 0;

    for (size_t i = 0; i < n; i++)
        bad |= json_array_append_new(a, time_json(times[i])) < 0;
    put_array(o, name, a, bad);
}

void out_list(struct out *o, const char *name, const void *base, size_t n, size_t size,
              json_t *(*to_json)(const void *))
{
    json_t *a = json_array();
    int bad = 0;

    for (size_t i = 0; i < n; i++)
        bad |= json_array_append_new(a, to_json((const char *)base + i * size)) < 0;
    put_array(o, name, a, bad);
}

json_t *out_done(struct out *o)
{
    if (!o->bad)
        return o->o;
    json_decref(o->o);
    o->o = NULL;
    return NULL;
}

char *out_text_done(struct out *o)
{
    json_t *j = out_done(o);
    char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;

    json_decref(j);
    return text;
}
