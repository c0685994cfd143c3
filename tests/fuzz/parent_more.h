/* parent_more.h - the rest of what a child asks its parent for, where a target needs it. Of a
 * target, which is one file: these are definitions.
 */
#ifndef GOPMILL_FUZZ_PARENT_MORE_H
#define GOPMILL_FUZZ_PARENT_MORE_H

#include "parent.h"

#include "common/base/range.h"

int inside_read_many(struct inside *in, struct read_range *v, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++)
        (void)inside_read(in, v[i].off, v[i].buf, v[i].len, &v[i].n, err);
    return 0;
}

int inside_object(struct inside *in, const char *name, const void *buf, size_t len, struct err *err)
{
    (void)in, (void)name, (void)buf, (void)len, (void)err;
    return 0;
}

void inside_progress(struct inside *in, uint64_t done)
{
    (void)in, (void)done;
}

void inside_log(struct inside *in, const char *fmt, ...)
{
    (void)in, (void)fmt;
}

#endif
