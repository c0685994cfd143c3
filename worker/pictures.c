/* The pictures of a whole job: a poster, and a storyboard's sheets, from the
 * shots that the plan names. */
#include "../common/base/cleanup.h"
#include "../common/base/clock.h"
#include "../common/base/err.h"
#include "../common/child/inside.h"
#include "digest.h"
#include "encode.h"
#include "jpeg.h"
#include "picture.h"
#include "shots.h"

#include <errno.h>
#include <inttypes.h>
#include <libavutil/mathematics.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DARK = 40, BRIGHT = 220 }; /* mean luma, of 16 to 235: hardly a picture */

/* One poster or storyboard. */
struct album {
    const struct rendition *r;
    struct picture *pic;
    struct rendition_result res;
    size_t tile;     /* storyboard: that is drawn next */
    AVFrame *canvas; /* of the sheet under way, or the best poster so far; NULL: none */
    double best;     /* poster: its score */
    uint64_t missed;
};

struct wanted { /* a shot, and whose it is */
    struct shot shot;
    unsigned album;
};

struct run {
    struct inside *in;
    const struct task *t;
    struct task_result *res;
    struct media_info info; /* borrowed; as of a progressive source */
    struct album *albums;
    size_t n_albums;
    struct wanted *wanted; /* by pts */
    struct shot *list;     /* the same */
    size_t n;
    struct album *at; /* whose picture is being made */
    int drawn;
    int64_t start_ns;
};

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for pictures");
}

/* ---- objects ---- */

static int put(struct run *u, const char *key, const void *buf, size_t len, uint64_t *ret_size,
               char *ret_sha256, char *ret_md5, struct err *err)
{
    if (!key)
        return no_memory(err);
    digest(buf, len, ret_sha256, ret_md5);
    *ret_size = len;
    return inside_object(u->in, key, buf, len, err);
}

static size_t tiles_of(const struct rendition *r)
{
    return (size_t)r->columns * (size_t)r->rows;
}

/* The canvas becomes a sheet. */
static int put_sheet(struct run *u, struct album *a, struct err *err)
{
    _cleanup_free_ uint8_t *jpeg = NULL;
    size_t len = 0, tiles = tiles_of(a->r), i = a->res.n_segments;
    struct segment *grown = reallocarray(a->res.segments, i + 1, sizeof(*grown));

    if (!grown)
        return no_memory(err);
    a->res.segments = grown;
    struct segment *s = &grown[a->res.n_segments++];
    *s = (struct segment){ .number = (unsigned)i + 1, .frames = a->tile - i * tiles };
    s->start = (int64_t)(i * tiles) * a->r->every_ms;
    s->duration = (int64_t)s->frames * a->r->every_ms;
    s->key = segment_key(MEDIA_STORYBOARD, a->r->name, s->number);
    int r = jpeg_encode(a->canvas, &jpeg, &len, err);
    av_frame_free(&a->canvas);
    return r < 0 ? r : put(u, s->key, jpeg, len, &s->size_bytes, s->sha256, s->md5, err);
}

/* ---- pictures ---- */

/* The last tile that was drawn stands in for one that could not be had. */
static int draw_tile(struct run *u, struct album *a, const AVFrame *f, struct err *err)
{
    const struct rendition *r = a->r;
    size_t in_sheet = a->tile % tiles_of(r);
    int x = (int)(in_sheet % (size_t)r->columns) * r->width;
    int y = (int)(in_sheet / (size_t)r->columns) * r->height;

    if (!a->canvas && !(a->canvas = jpeg_canvas(r->width * r->columns, r->height * r->rows)))
        return no_memory(err);
    if (f && jpeg_draw(a->canvas, x, y, f, r->color.matrix) < 0)
        return no_memory(err);
    a->tile++;
    return a->tile % tiles_of(r) == 0 ? put_sheet(u, a, err) : 0;
}

/* Much to see, and neither night nor snow. */
static double score_of(const AVFrame *f)
{
    double sum = 0, squares = 0, n = (double)f->width * f->height;

    for (int y = 0; y < f->height; y++)
        for (int x = 0; x < f->width; x++) {
            double v = f->data[0][(ptrdiff_t)y * f->linesize[0] + x];
            sum += v;
            squares += v * v;
        }
    double mean = sum / n, spread = squares / n - mean * mean;
    return mean < DARK || mean > BRIGHT ? spread * 1e-3 : spread;
}

static int consider_poster(struct album *a, const AVFrame *f, struct err *err)
{
    double score = score_of(f);

    if (a->canvas && score <= a->best)
        return 0;
    av_frame_free(&a->canvas);
    a->canvas = jpeg_canvas(f->width, f->height);
    if (!a->canvas || jpeg_draw(a->canvas, 0, 0, f, a->r->color.matrix) < 0)
        return no_memory(err);
    a->best = score;
    return 0;
}

static int on_picture(void *arg, unsigned out, AVFrame *f, struct err *err)
{
    struct run *u = arg;
    struct album *a = u->at;

    (void)out;
    if (u->drawn++)
        return 0;
    return a->r->kind == MEDIA_POSTER ? consider_poster(a, f, err) : draw_tile(u, a, f, err);
}

/* Of an interlaced frame the field that is shown first. */
static int push(struct picture *p, const struct video_info *v, AVFrame *f, struct err *err)
{
    if (!video_may_comb(v) || !f->interlaced_frame)
        return picture_push(p, f, err);
    return picture_push_field(p, f, v->interlaced ? v->interlaced == 2 : !f->top_field_first, err);
}

static int take(struct run *u, struct album *a, const AVFrame *frame, struct err *err)
{
    AVFrame *f = frame ? av_frame_clone(frame) : NULL;
    int r = 0;

    if (frame && !f)
        return no_memory(err);
    u->at = a;
    u->drawn = 0;
    if (f)
        r = push(a->pic, &u->t->info.video, f, err);
    if (r == 0 && !u->drawn && a->r->kind == MEDIA_STORYBOARD)
        r = draw_tile(u, a, NULL, err);
    av_frame_free(&f);
    return r;
}

static int on_shot(void *arg, size_t i, AVFrame *f, int missed, struct err *err)
{
    struct run *u = arg;
    struct album *a = &u->albums[u->wanted[i].album];

    a->missed += missed != 0;
    if (f && u->res->first_frame_s <= 0)
        u->res->first_frame_s = (double)(clock_system.mono_ns(&clock_system) - u->start_ns) /
                                (double)NS_PER_S;
    /* A stand-in is no candidate. */
    if (missed && a->r->kind == MEDIA_POSTER && a->canvas)
        return 0;
    return take(u, a, f, err);
}

/* ---- the end of an album ---- */

static void put_time(FILE *f, int64_t ms)
{
    fprintf(f, "%02" PRId64 ":%02" PRId64 ":%02" PRId64 ".%03" PRId64, ms / 3600000,
            ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
}

/* WebVTT whose cues name a part of a sheet (a media fragment, #xywh). */
static char *index_of(const struct rendition *r, int64_t length_ms, size_t *ret_len)
{
    size_t tiles = tiles_of(r), columns = (size_t)r->columns;
    char *text = NULL;
    FILE *f = open_memstream(&text, ret_len);

    if (!f)
        return NULL;
    fputs("WEBVTT\n", f);
    for (size_t i = 0; i < r->n_shots; i++) {
        int64_t from = (int64_t)i * r->every_ms, to = from + r->every_ms;
        fputc('\n', f);
        put_time(f, from);
        fputs(" --> ", f);
        put_time(f, to < length_ms ? to : length_ms > from ? length_ms : from + 1);
        fprintf(f, "\nsheet-%05zu.jpg#xywh=%zu,%zu,%d,%d\n", i / tiles + 1,
                i % tiles % columns * (size_t)r->width, i % tiles / columns * (size_t)r->height,
                r->width, r->height);
    }
    int failed = ferror(f);
    failed |= fclose(f) != 0;
    if (failed) {
        free(text);
        return NULL;
    }
    return text;
}

static int finish_storyboard(struct run *u, struct album *a, struct err *err)
{
    size_t len = 0;
    int r = a->canvas ? put_sheet(u, a, err) : 0;

    if (r < 0)
        return r;
    _cleanup_free_ char *text = index_of(
        a->r, av_rescale(u->t->timeline_end, 1000, u->t->timescale), &len);
    if (!text)
        return no_memory(err);
    a->res.frames = a->tile;
    return put(u, a->res.init.key, text, len, &a->res.init.size_bytes, a->res.init.sha256,
               a->res.init.md5, err);
}

static int finish_poster(struct run *u, struct album *a, struct err *err)
{
    _cleanup_free_ uint8_t *jpeg = NULL;
    size_t len = 0;
    int r = jpeg_encode(a->canvas, &jpeg, &len, err);

    a->res.frames = 1;
    return r < 0 ? r
                 : put(u, a->res.init.key, jpeg, len, &a->res.init.size_bytes, a->res.init.sha256,
                       a->res.init.md5, err);
}

static int finish(struct run *u, struct album *a, struct err *err)
{
    int poster = a->r->kind == MEDIA_POSTER, r;

    if (a->missed == a->r->n_shots)
        return encode_warn(u->res, "the %s is left out: none of its pictures can be decoded",
                           a->r->name) < 0
                   ? no_memory(err)
                   : 0;
    a->res.name = strdup(a->r->name);
    a->res.codecs = strdup("jpeg");
    a->res.timescale = 1000;
    a->res.init.key = segment_key(a->r->kind, a->r->name, 0);
    if (!a->res.name || !a->res.codecs || !a->res.init.key)
        return no_memory(err);
    r = poster ? finish_poster(u, a, err) : finish_storyboard(u, a, err);
    if (r == 0 && !poster && a->missed > 0 &&
        encode_warn(u->res, "%s: %llu of %zu pictures can't be decoded; others stand in",
                    a->r->name, (unsigned long long)a->missed, a->r->n_shots) < 0)
        r = no_memory(err);
    if (r == 0) {
        u->res->renditions[u->res->n_renditions++] = a->res;
        a->res = (struct rendition_result){ 0 };
    }
    return r;
}

/* ---- the whole ---- */

static int by_time(const void *a, const void *b)
{
    const struct wanted *x = a, *y = b;

    if (x->shot.pts != y->shot.pts)
        return x->shot.pts < y->shot.pts ? -1 : 1;
    return x->album < y->album ? -1 : x->album > y->album;
}

static int list_shots(struct run *u, struct err *err)
{
    size_t room = 1;

    for (size_t i = 0; i < u->n_albums; i++)
        room += u->albums[i].r->n_shots;
    u->wanted = calloc(room, sizeof(*u->wanted));
    u->list = calloc(room, sizeof(*u->list));
    if (!u->wanted || !u->list)
        return no_memory(err);
    for (size_t i = 0; i < u->n_albums; i++)
        for (size_t k = 0; k < u->albums[i].r->n_shots; k++)
            u->wanted[u->n++] = (struct wanted){ u->albums[i].r->shots[k], (unsigned)i };
    qsort(u->wanted, u->n, sizeof(*u->wanted), by_time);
    for (size_t i = 0; i < u->n; i++)
        u->list[i] = u->wanted[i].shot;
    return 0;
}

static int open_all(struct run *u, struct err *err)
{
    const struct task *t = u->t;

    u->info = t->info;
    u->info.video.interlaced = u->info.video.mixed = 0; /* one field is pushed */
    u->albums = calloc(t->n_renditions + 1, sizeof(*u->albums));
    u->res->renditions = calloc(t->n_renditions + 1, sizeof(*u->res->renditions));
    if (!u->albums || !u->res->renditions)
        return no_memory(err);
    for (size_t i = 0; i < t->n_renditions; i++) {
        if (!task_makes(t, i))
            continue;
        struct album *a = &u->albums[u->n_albums++];
        a->r = &t->renditions[i];
        a->pic = picture_new(&u->info, a->r, 1, "\1", on_picture, u);
        if (!a->pic)
            return no_memory(err);
    }
    return list_shots(u, err);
}

static void release(struct run *u)
{
    for (size_t i = 0; u->albums && i < u->n_albums; i++) {
        picture_free(u->albums[i].pic);
        av_frame_free(&u->albums[i].canvas);
        rendition_result_release(&u->albums[i].res);
    }
    free(u->albums);
    free(u->wanted);
    free(u->list);
}

int encode_pictures(struct inside *in, const struct task *t, int64_t start_ns,
                    struct task_result *res, struct err *err)
{
    struct run u = { .in = in, .t = t, .res = res, .start_ns = start_ns };
    int r = open_all(&u, err);

    if (r == 0)
        r = shots_run(in, &t->info, u.list, u.n, av_rescale(t->timeline_end, 1000, t->timescale),
                      on_shot, &u, err);
    for (size_t i = 0; r == 0 && i < u.n_albums; i++)
        r = finish(&u, &u.albums[i], err);
    release(&u);
    return r;
}
