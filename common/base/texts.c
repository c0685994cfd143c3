#include "texts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int texts_add(char ***list, size_t *n, const char *fmt, va_list ap)
{
    char *text = NULL;

    if (vasprintf(&text, fmt, ap) < 0)
        return -ENOMEM;
    char **grown = realloc(*list, (*n + 1) * sizeof(*grown));
    if (!grown) {
        free(text);
        return -ENOMEM;
    }
    *list = grown;
    grown[(*n)++] = text;
    return 0;
}
