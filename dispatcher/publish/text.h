/* text.h - a text that is being written, and numbers in it that look the
 * same in every locale.
 */
#ifndef GOPMILL_PUBLISH_TEXT_H
#define GOPMILL_PUBLISH_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct err;

struct text {
    FILE *f; /* write here; failures show in text_close() */
    char *buf;
    size_t len;
};

/* Zeroed, or opened: 0 or -ENOMEM with ERR_RESOURCE. */
int text_open(struct text *t, struct err *err);
/* End writing; the NUL-terminated text is the caller's to free(). -ENOMEM
 * with ERR_RESOURCE where anything didn't fit: no cut text gets out. */
int text_close(struct text *t, char **ret, size_t *ret_len, struct err *err);
/* Throw away; a closed or zeroed text is a no-op. For _cleanup_. */
void text_releasep(struct text *t);

/* "6.006000" of 6006000. `us` is not negative. */
void put_seconds(FILE *f, int64_t us);

#endif
