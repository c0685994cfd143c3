/* inside_double.h - what a job inside a child can ask for (common/child/
 * inside.h), answered from memory: no jail, no parent, no socket.
 *
 * Linking inside_double.c is enough: it defines those functions before
 * libinside is looked at.
 */
#ifndef GOPMILL_TESTS_INSIDE_DOUBLE_H
#define GOPMILL_TESTS_INSIDE_DOUBLE_H

#include "common/child/inside.h"

struct double_object {
    char *name;
    uint8_t *data;
    size_t size;
};

struct inside {
    const uint8_t *data; /* the source; borrowed */
    uint64_t size;
    uint64_t bytes_read; /* asked for and there */
    uint64_t fail_from;  /* reads that touch this byte fail (ERR_STORAGE); 0: none do */
    struct double_object *objects;
    size_t n_objects;
    uint64_t progress; /* the last told */
};

void inside_double_release(struct inside *in); /* leaves it zeroed */

/* NULL where there is none, or more than one. */
const struct double_object *inside_double_find(const struct inside *in, const char *name);

#endif
