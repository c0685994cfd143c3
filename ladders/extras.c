/* extras.c - subtitles, poster and storyboard: which a ladder wants, and what
 * they become. */
#include "extras.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/base/err.h"
#include "encoder.h"
#include "field.h"
#include "ladder.h"
#include "picture.h"

/* Turning text into text costs next to nothing; reading a source that has no
 * index from end to end costs a little. */
#define TEXT_COST 0.0004
/* Core-ns for each pixel of the source, for each shot: a keyframe decoded and
 * scaled, and some pictures before it where there is none. */
#define SHOT_NS_PER_PIXEL 20.0
enum { SHEET_SIDE_MAX = 8192, PICTURES_MEMORY_BYTES = 64 << 20 };

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

/* A key of `map`, a whole number; left alone where it isn't there. */
static int read_whole(struct yaml_in *in, const yaml_node_t *map, const char *key, int least,
                      int most, int *ret)
{
    const yaml_node_t *n = yaml_in_get(in, map, key);
    double v = 0;
    int r = n ? field_number(in, n, key, least, most, "", &v) : 0;

    if (!n || r < 0)
        return r;
    if (v != (int)v)
        return yaml_in_fail(in, yaml_in_line(n), "%s %g is not a whole number", key, v);
    *ret = (int)v;
    return 0;
}

static int read_ms(struct yaml_in *in, const yaml_node_t *map, const char *key, double least,
                   double most, int64_t *ret)
{
    const yaml_node_t *n = yaml_in_get(in, map, key);
    double v = 0;
    int r = n ? field_number(in, n, key, least, most, " s", &v) : 0;

    if (n && r == 0)
        *ret = (int64_t)(v * 1000 + 0.5);
    return r;
}

static int read_format(struct yaml_in *in, const yaml_node_t *map)
{
    const yaml_node_t *n = yaml_in_get(in, map, "format");
    const char *s = n ? yaml_in_scalar(in, n, "format") : "jpeg";

    if (!s)
        return -EINVAL;
    return strcmp(s, "jpeg") == 0
               ? 0
               : yaml_in_fail(in, yaml_in_line(n), "format %.32s is not jpeg", s);
}

/* Its keys, if it is there: 1, else 0. */
static int open_map(struct yaml_in *in, const yaml_node_t *root, const char *key,
                    const char *const *known, const yaml_node_t **ret)
{
    const yaml_node_t *n = yaml_in_get(in, root, key);

    if (!n)
        return 0;
    if (n->type != YAML_MAPPING_NODE)
        return yaml_in_fail(in, yaml_in_line(n), "%s is not a mapping of keys like size:", key);
    (void)snprintf(in->item, sizeof(in->item), "%s: ", key);
    int r = yaml_in_check_keys(in, n, known);
    if (r == 0)
        r = read_format(in, n);
    *ret = n;
    return r < 0 ? r : 1;
}

static int read_at(struct yaml_in *in, const yaml_node_t *map, int64_t *ret)
{
    const yaml_node_t *n = yaml_in_get(in, map, "at");
    const char *s = n ? yaml_in_scalar(in, n, "at") : "auto";

    if (!s)
        return -EINVAL;
    return strcmp(s, "auto") == 0 ? 0 : read_ms(in, map, "at", 0, 1e6, ret);
}

static int read_poster(struct yaml_in *in, const yaml_node_t *root, struct ladder_extras *x)
{
    static const char *const keys[] = { "size", "format", "at", NULL };
    const yaml_node_t *n = NULL;
    int r = open_map(in, root, "poster", keys, &n);

    if (r <= 0)
        return r;
    x->poster_size = 720;
    x->poster_at_ms = -1;
    r = read_whole(in, n, "size", 64, 2160, &x->poster_size);
    return r < 0 ? r : read_at(in, n, &x->poster_at_ms);
}

static int read_storyboard(struct yaml_in *in, const yaml_node_t *root, struct ladder_extras *x)
{
    static const char *const keys[] = { "size", "format", "every", "columns", "rows", NULL };
    const yaml_node_t *n = NULL;
    int r = open_map(in, root, "storyboard", keys, &n);

    if (r <= 0)
        return r;
    x->storyboard_size = 90;
    x->storyboard_every_ms = 5000;
    x->storyboard_columns = x->storyboard_rows = 10;
    if ((r = read_whole(in, n, "size", 32, 360, &x->storyboard_size)) < 0 ||
        (r = read_ms(in, n, "every", 0.5, 600, &x->storyboard_every_ms)) < 0 ||
        (r = read_whole(in, n, "columns", 1, TILES_MAX, &x->storyboard_columns)) < 0)
        return r;
    return read_whole(in, n, "rows", 1, TILES_MAX, &x->storyboard_rows);
}

int extras_read(struct yaml_in *in, const yaml_node_t *root, struct ladder *l)
{
    const yaml_node_t *n = yaml_in_get(in, root, "subtitles");
    int r = n ? read_subtitles(in, n, &l->extras.subtitles) : 0;

    if (r == 0)
        r = read_poster(in, root, &l->extras);
    if (r == 0)
        r = read_storyboard(in, root, &l->extras);
    in->item[0] = '\0';
    return r;
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

/* "sub-eng", "sub-eng-forced", "sub-eng-2", "sub-und-cc1": what a person looks for in a
 * folder. */
static char *text_name(const struct text_info *t, const struct taken *taken)
{
    char language[sizeof(t->language)], kind[16], *name = NULL;
    size_t n = 0;

    (void)snprintf(kind, sizeof(kind), "%s", t->hearing_impaired ? "-sdh" : "");
    for (const char *s = t->language; *s && *s != '-'; s++)
        language[n++] = (char)tolower((unsigned char)*s);
    language[n] = '\0';
    if (t->captions)
        (void)snprintf(kind, sizeof(kind), "-cc%d", t->captions);
    for (unsigned i = 1;; i++) {
        char number[16] = "";
        if (i > 1)
            (void)snprintf(number, sizeof(number), "-%u", i);
        if (asprintf(&name, "sub-%s%s%s%s", n ? language : "und", t->forced ? "-forced" : "", kind,
                     number) < 0)
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

/* "poster", or "poster-2" where a rendition is called that. */
static char *picture_name(const char *kind, const struct taken *taken)
{
    char *name = NULL;

    for (unsigned i = 1;; i++) {
        char number[16] = "";
        if (i > 1)
            (void)snprintf(number, sizeof(number), "-%u", i);
        if (asprintf(&name, "%s%s", kind, number) < 0)
            return NULL;
        if (!is_taken(taken, name))
            return name;
        free(name);
    }
}

/* A picture as a rung of that size would have it, in SDR. */
static int resolve_picture(const struct video_info *v, enum media_kind kind, int size,
                           const struct taken *taken, struct rendition *r)
{
    const struct rung g = {
        .codec = CODEC_H264, .encoder = encoder_default(CODEC_H264), .size = size, .range = RUNG_SDR
    };
    struct picture p = picture_of(v);

    *r = (struct rendition){
        .kind = kind,
        .name = picture_name(kind == MEDIA_POSTER ? "poster" : "storyboard", taken),
        .codec = strdup("jpeg"),
        .encoder = strdup("mjpeg"),
        .memory_bytes = PICTURES_MEMORY_BYTES,
    };
    picture_size(p, &g, r);
    picture_color(v, p, &g, r);
    r->sar = (AVRational){ 1, 1 };
    if (r->name && r->codec && r->encoder)
        return 0;
    rendition_release(r);
    return -ENOMEM;
}

static double shot_cost(const struct video_info *v)
{
    return (double)v->width * v->height * SHOT_NS_PER_PIXEL * 1e-9;
}

static int resolve_pictures(const struct ladder_extras *x, const struct media_info *src,
                            const struct taken *taken, struct rendition *out, size_t *n)
{
    const struct video_info *v = &src->video;
    struct rendition *r = &out[*n];

    if (x->poster_size) {
        if (resolve_picture(v, MEDIA_POSTER, x->poster_size, taken, r) < 0)
            return -ENOMEM;
        r->every_ms = x->poster_at_ms;
        r->cost = 10 * shot_cost(v) /
                  (src->duration_ms > 1000 ? (double)src->duration_ms / 1000 : 1);
        r = &out[++*n];
    }
    if (!x->storyboard_size)
        return 0;
    if (resolve_picture(v, MEDIA_STORYBOARD, x->storyboard_size, taken, r) < 0)
        return -ENOMEM;
    r->every_ms = x->storyboard_every_ms;
    r->cost = shot_cost(v) * 1000 / (double)r->every_ms;
    r->columns = x->storyboard_columns;
    r->rows = x->storyboard_rows;
    /* Sheets that browsers can show, also of pictures that are very wide. */
    while (r->columns > 1 && r->columns * r->width > SHEET_SIDE_MAX)
        r->columns--;
    while (r->rows > 1 && r->rows * r->height > SHEET_SIDE_MAX)
        r->rows--;
    /* The sheet that is drawn, and what it is encoded from. */
    r->memory_bytes += UINT64_C(3) * (uint64_t)(r->columns * r->width) *
                       (uint64_t)(r->rows * r->height);
    ++*n;
    return 0;
}

int ladder_resolve_extras(const struct ladder *l, const struct media_info *src,
                          const struct rendition *renditions, size_t n_renditions,
                          struct rendition **ret, size_t *ret_n, struct err *err)
{
    struct rendition *out = calloc(TEXT_TRACKS_MAX + 2, sizeof(*out));
    size_t n = 0;
    int r = out ? 0 : -ENOMEM;
    int video = n_renditions > 0 && renditions[0].kind == MEDIA_VIDEO;

    if (r == 0 && l->extras.subtitles && video)
        for (size_t i = 0; i < src->n_texts && r == 0; i++) {
            const struct taken taken = { renditions, out, n_renditions, n };
            r = resolve_text(&src->texts[i], &taken, &out[n]);
            n += r == 0;
        }
    if (r == 0 && video) {
        const struct taken taken = { renditions, out, n_renditions, n };
        r = resolve_pictures(&l->extras, src, &taken, out, &n);
    }
    if (r < 0) {
        rendition_list_free(out, n);
        return err_set(err, r, ERR_RESOURCE, "ladder %s: out of memory", l->name);
    }
    *ret = out;
    *ret_n = n;
    return 0;
}
