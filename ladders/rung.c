#include "rung.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *codec_name(enum codec_id c)
{
    static const char *const names[CODEC_MAX] = { "h264", "hevc", "av1", "aac", "opus" };
    return names[c];
}

void rung_release(struct rung *r)
{
    for (size_t i = 0; i < r->n_params; i++) {
        free(r->params[i].key);
        free(r->params[i].value);
    }
    free(r->params);
    free(r->param_lines);
    r->params = NULL;
    r->param_lines = NULL;
    r->n_params = 0;
}

static int param_append(struct rung *r, char *key, char *value, int line)
{
    struct param *p = realloc(r->params, (r->n_params + 1) * sizeof(*p));
    if (!p)
        return -ENOMEM;
    r->params = p;
    int *l = realloc(r->param_lines, (r->n_params + 1) * sizeof(*l));
    if (!l)
        return -ENOMEM;
    r->param_lines = l;
    p[r->n_params] = (struct param){ key, value };
    l[r->n_params++] = line;
    return 0;
}

int rung_param_set(struct rung *r, const char *key, const char *value, int line)
{
    char *v = strdup(value);
    if (!v)
        return -ENOMEM;
    for (size_t i = 0; i < r->n_params; i++)
        if (!strcmp(r->params[i].key, key)) {
            free(r->params[i].value);
            r->params[i].value = v;
            r->param_lines[i] = line;
            return 0;
        }
    char *k = strdup(key);
    int err = k ? param_append(r, k, v, line) : -ENOMEM;
    if (err < 0) {
        free(k);
        free(v);
    }
    return err;
}

int rung_copy(const struct rung *from, struct rung *ret)
{
    struct rung c = *from;
    c.params = NULL;
    c.param_lines = NULL;
    c.n_params = 0;
    for (size_t i = 0; i < from->n_params; i++) {
        int r = rung_param_set(&c, from->params[i].key, from->params[i].value,
                               from->param_lines[i]);
        if (r < 0) {
            rung_release(&c);
            return r;
        }
    }
    *ret = c;
    return 0;
}
