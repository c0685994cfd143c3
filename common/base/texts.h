/* texts.h - lists of texts that grow by one. */
#ifndef GOPMILL_BASE_TEXTS_H
#define GOPMILL_BASE_TEXTS_H

#include <stdarg.h>
#include <stddef.h>

/* Append what printf would print to (*list)[*n]; the list and its texts are
 * the owner's to free(). 0, or -ENOMEM with nothing changed. */
int texts_add(char ***list, size_t *n, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));

#endif
