/* parent.h - in place of the parent that a child reads its source from: the input
 * is the source. Of a target, which is one file: these are definitions.
 */
#ifndef GOPMILL_FUZZ_PARENT_H
#define GOPMILL_FUZZ_PARENT_H

#include "common/child/inside.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct inside {
    const uint8_t *data;
    size_t size;
};

uint64_t inside_source_size(const struct inside *in)
{
    return in->size;
}

int inside_read(struct inside *in, uint64_t off, void *buf, size_t len, size_t *ret_n,
                struct err *err)
{
    (void)err;
    size_t left = off < in->size ? in->size - (size_t)off : 0;

    *ret_n = len < left ? len : left;
    if (*ret_n > 0)
        memcpy(buf, in->data + off, *ret_n);
    return 0;
}

#endif
