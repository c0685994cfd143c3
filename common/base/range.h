/* range.h - bytes of a source that are wanted, and where they go. */
#ifndef GOPMILL_BASE_RANGE_H
#define GOPMILL_BASE_RANGE_H

#include <stddef.h>
#include <stdint.h>

struct read_range {
    uint64_t off;
    size_t len;
    void *buf; /* room for `len`; borrowed */
    size_t n;  /* so many there were: fewer than `len` at the end of the source only */
};

#endif
