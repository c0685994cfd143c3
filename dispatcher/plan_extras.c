/* What a package is whole without: text. */
#include "../common/base/err.h"
#include "plan_parts.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { TEXT_FILES_MAX = 20000 };

static int copy_all(const struct rendition *extras, size_t n, struct plan *p)
{
    p->extras = calloc(n + 1, sizeof(*p->extras));
    if (!p->extras)
        return -ENOMEM;
    for (; p->n_extras < n; p->n_extras++)
        if (rendition_copy(&extras[p->n_extras], &p->extras[p->n_extras]) < 0)
            return -ENOMEM;
    return 0;
}

static int warn(struct plan *p, size_t n)
{
    char **list = realloc(p->info.warnings, (p->info.n_warnings + 1) * sizeof(*list));
    char *text = NULL;

    if (!list)
        return -ENOMEM;
    p->info.warnings = list;
    if (asprintf(&text,
                 "%zu subtitle track(s) left out: all in all they would be more than %d files", n,
                 TEXT_FILES_MAX) < 0)
        return -ENOMEM;
    list[p->info.n_warnings++] = text;
    return 0;
}

/* Their result must fit into a message. Text comes first of the extras. */
static int limit_texts(struct plan *p)
{
    size_t n = 0, most = TEXT_FILES_MAX / (p->n_audio_cuts + 1), out = 0;

    most = most ? most : 1;
    for (size_t i = 0; i < p->n_extras; i++) {
        if (p->extras[i].kind == MEDIA_TEXT && i >= most) {
            rendition_release(&p->extras[i]);
            out++;
        } else {
            p->extras[n++] = p->extras[i];
        }
    }
    p->n_extras = n;
    return out > 0 ? warn(p, out) : 0;
}

int plan_add_extras(struct plan *p, const struct rendition *extras, size_t n, struct err *err)
{
    int r = copy_all(extras, n, p);

    /* Where there is no sound, video is all that there is: it ends with it. */
    if (r == 0 && plan_has_text(p) && p->n_audio_cuts == 0)
        r = audio_cuts_make(p, p->duration, err);
    if (r == 0)
        r = limit_texts(p);
    return r == -ENOMEM ? err_set(err, r, ERR_RESOURCE, "out of memory for a plan") : r;
}
