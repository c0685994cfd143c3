/* cleanup.h - scope-bound release of what a function holds.
 *
 * `_cleanup_(f) T *p = NULL;` calls f(&p) when p leaves its scope. A value
 * that is handed on is first set to NULL by take_ptr().
 */
#ifndef GOPMILL_BASE_CLEANUP_H
#define GOPMILL_BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

/* Defines name##p(T **) that calls f(*p) where *p is not NULL. */
#define DEFINE_CLEANUP(T, f)      \
    static inline void f##p(T *p) \
    {                             \
        if (*p)                   \
            f(*p);                \
    }                             \
    struct gopmill_semicolon_eater

static inline void cleanup_freep(void *p)
{
    free(*(void **)p);
}

static inline void cleanup_closep(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

static inline void cleanup_fclosep(FILE **f)
{
    if (*f)
        (void)fclose(*f);
}

#define _cleanup_free_ _cleanup_(cleanup_freep)
#define _cleanup_fd_   _cleanup_(cleanup_closep)
#define _cleanup_file_ _cleanup_(cleanup_fclosep)

/* The value of the pointer variable `p`, which becomes NULL. */
#define take_ptr(p)                 \
    ({                              \
        __typeof__(p) _taken = (p); \
        (p) = NULL;                 \
        _taken;                     \
    })

#endif
