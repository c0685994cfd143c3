#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "../../common/base/err.h"

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory while writing a playlist");
}

int text_open(struct text *t, struct err *err)
{
    *t = (struct text){ 0 };
    t->f = open_memstream(&t->buf, &t->len);
    return t->f ? 0 : no_memory(err);
}

int text_close(struct text *t, char **ret, size_t *ret_len, struct err *err)
{
    int failed = ferror(t->f);
    failed |= fclose(t->f) != 0;
    t->f = NULL;
    if (failed) {
        text_releasep(t);
        return no_memory(err);
    }
    *ret = t->buf;
    *ret_len = t->len;
    *t = (struct text){ 0 };
    return 0;
}

void text_releasep(struct text *t)
{
    if (t->f)
        (void)fclose(t->f);
    free(t->buf);
    *t = (struct text){ 0 };
}

void put_seconds(FILE *f, int64_t us)
{
    fprintf(f, "%" PRId64 ".%06" PRId64, us / 1000000, us % 1000000);
}
