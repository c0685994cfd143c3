/* extras.c - subtitles: which a ladder wants, and what they become. */
#include "extras.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/base/err.h"
#include "ladder.h"

/* Turning text into text costs next to nothing; reading a source that has no
 * index from end to end costs a little. */
#define TEXT_COST 0.0004

/* ---- reading ---- */

static int read_subtitles(struct yaml_in *in, const yaml_node_t *n, int *ret)
{
    const char *s = yaml_in_scalar(in, n, "subtitles");

    if (!s)
        return -EINVAL;
    if (strcmp(s, "all") != 0 && strcmp(s, "none") != 0)
        return yaml_in_fail(in, yaml_in_line(n), "subtitles %.32s is not one of all, none", s);
    *ret = strcmp(s, "all") == 0;
    return 0;
}

int extras_read(struct yaml_in *in, const yaml_node_t *root, struct ladder *l)
{
    const yaml_node_t *n = yaml_in_get(in, root, "subtitles");

    return n ? read_subtitles(in, n, &l->extras.subtitles) : 0;
}

/* ---- against a source ---- */

struct taken { /* names */
    const struct rendition *a, *b;
    size_t n_a, n_b;
};

static int is_taken(const struct taken *t, const char *name)
{
    for (size_t i = 0; i < t->n_a; i++)
        if (strcmp(t->a[i].name, name) == 0)
            return 1;
    for (size_t i = 0; i < t->n_b; i++)
        if (strcmp(t->b[i].name, name) == 0)
            return 1;
    return 0;
}

/* "sub-eng", "sub-eng-forced", "sub-eng-2": what a person looks for in a
 * folder. */
static char *text_name(const struct text_info *t, const struct taken *taken)
{
    char language[sizeof(t->language)], *name = NULL;
    size_t n = 0;

    for (const char *s = t->language; *s && *s != '-'; s++)
        language[n++] = (char)tolower((unsigned char)*s);
    language[n] = '\0';
    for (unsigned i = 1;; i++) {
        char number[16] = "";
        if (i > 1)
            (void)snprintf(number, sizeof(number), "-%u", i);
        if (asprintf(&name, "sub-%s%s%s%s", n ? language : "und", t->forced ? "-forced" : "",
                     t->hearing_impaired ? "-sdh" : "", number) < 0)
            return NULL;
        if (!is_taken(taken, name))
            return name;
        free(name);
    }
}

static int resolve_text(const struct text_info *t, const struct taken *taken, struct rendition *r)
{
    *r = (struct rendition){
        .kind = MEDIA_TEXT,
        .name = text_name(t, taken),
        .codec = strdup("webvtt"),
        .encoder = strdup("webvtt"),
        .text = *t,
        .cost = TEXT_COST,
    };
    if (r->name && r->codec && r->encoder)
        return 0;
    rendition_release(r);
    return -ENOMEM;
}

int ladder_resolve_extras(const struct ladder *l, const struct media_info *src,
                          const struct rendition *renditions, size_t n_renditions,
                          struct rendition **ret, size_t *ret_n, struct err *err)
{
    struct rendition *out = calloc(TEXT_TRACKS_MAX + 1, sizeof(*out));
    size_t n = 0;
    int r = out ? 0 : -ENOMEM;

    if (r == 0 && l->extras.subtitles && n_renditions > 0 && renditions[0].kind == MEDIA_VIDEO)
        for (size_t i = 0; i < src->n_texts && r == 0; i++) {
            const struct taken taken = { renditions, out, n_renditions, n };
            r = resolve_text(&src->texts[i], &taken, &out[n]);
            n += r == 0;
        }
    if (r < 0) {
        rendition_list_free(out, n);
        return err_set(err, r, ERR_RESOURCE, "ladder %s: out of memory", l->name);
    }
    *ret = out;
    *ret_n = n;
    return 0;
}
