#include "inside_double.h"

#include "common/base/err.h"
#include "common/base/range.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

uint64_t inside_source_size(const struct inside *in)
{
    return in->size;
}

int inside_read(struct inside *in, uint64_t off, void *buf, size_t len, size_t *ret_n,
                struct err *err)
{
    size_t n = 0;

    if (in->fail_from > 0 && off + len > in->fail_from)
        return err_set(err, -EIO, ERR_STORAGE, "the double refuses byte %llu",
                       (unsigned long long)in->fail_from);
    if (off < in->size)
        n = len < in->size - off ? len : (size_t)(in->size - off);
    if (n > 0)
        memcpy(buf, in->data + off, n);
    in->bytes_read += n;
    *ret_n = n;
    return 0;
}

int inside_read_many(struct inside *in, struct read_range *v, size_t n, struct err *err)
{
    int r = 0;

    for (size_t i = 0; i < n && r == 0; i++)
        r = inside_read(in, v[i].off, v[i].buf, v[i].len, &v[i].n, err);
    return r;
}

int inside_object(struct inside *in, const char *name, const void *buf, size_t len, struct err *err)
{
    struct double_object *list = realloc(in->objects, (in->n_objects + 1) * sizeof(*list));

    if (!list)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for an object");
    in->objects = list;
    list[in->n_objects] = (struct double_object){ strdup(name), malloc(len ? len : 1), len };
    if (!list[in->n_objects].name || !list[in->n_objects].data)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for an object");
    memcpy(list[in->n_objects++].data, buf, len);
    return 0;
}

void inside_progress(struct inside *in, uint64_t done)
{
    in->progress = done;
}

void inside_log(struct inside *in, const char *fmt, ...)
{
    (void)in, (void)fmt;
}

void inside_double_release(struct inside *in)
{
    for (size_t i = 0; i < in->n_objects; i++) {
        free(in->objects[i].name);
        free(in->objects[i].data);
    }
    free(in->objects);
    *in = (struct inside){ 0 };
}

const struct double_object *inside_double_find(const struct inside *in, const char *name)
{
    const struct double_object *found = NULL;

    for (size_t i = 0; i < in->n_objects; i++) {
        if (strcmp(in->objects[i].name, name) != 0)
            continue;
        if (found)
            return NULL;
        found = &in->objects[i];
    }
    return found;
}
