#include "picture.h"

#include "colors.h"

#include "../common/base/cleanup.h"
#include "../common/base/err.h"

#include <errno.h>
#include <libavfilter/avfilter.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <string.h>

enum {
    OUTPUTS_MAX = 64,
    CASCADE_MIN = 14, /* tenths */
};

struct picture {
    const struct media_info *src;
    const struct rendition *list;
    size_t n;
    unsigned output[OUTPUTS_MAX]; /* of each rendition */
    size_t first[OUTPUTS_MAX];    /* of each output: its first rendition */
    unsigned n_outputs;
    int parent[OUTPUTS_MAX];  /* of each output: the one it is scaled from, -1: the source */
    char wanted[OUTPUTS_MAX]; /* of each output: it is emitted */
    char made[OUTPUTS_MAX];   /* … or one is scaled from it */
    picture_emit emit;
    void *arg;

    AVFilterGraph *graph;
    AVFilterContext *in, *sink[OUTPUTS_MAX];
    struct picture_look look; /* that the graph was made for */
    struct video_info now;    /* the plan's, but for that look */
    int format;
    AVFrame *frame;
};

static int same_picture(const struct rendition *a, const struct rendition *b)
{
    return a->width == b->width && a->height == b->height && a->tonemap == b->tonemap &&
           strcmp(a->pix_fmt, b->pix_fmt) == 0 && av_cmp_q(a->sar, b->sar) == 0 &&
           memcmp(&a->color, &b->color, sizeof(a->color)) == 0;
}

/* An output is scaled from the smallest other one that is still a good deal
 * larger: reading a third of the pixels costs a third of the time, and a
 * picture that was scaled down well scales down well again. */
static int choose_parent(const struct picture *p, unsigned o)
{
    const struct rendition *r = &p->list[p->first[o]];
    int best = -1;

    for (unsigned i = 0; i < p->n_outputs; i++) {
        const struct rendition *q = &p->list[p->first[i]];
        struct rendition as_r = *q;
        as_r.width = r->width;
        as_r.height = r->height;
        if (!same_picture(&as_r, r) || q->width * 10 < r->width * CASCADE_MIN ||
            q->height * 10 < r->height * CASCADE_MIN)
            continue;
        if (best < 0 || q->width < p->list[p->first[best]].width)
            best = (int)i;
    }
    return best;
}

/* Those that are wanted, and all that they come from. */
static void mark(struct picture *p, const char *wanted)
{
    for (size_t i = 0; i < p->n; i++)
        p->wanted[p->output[i]] |= wanted[i] != 0;
    for (unsigned o = 0; o < p->n_outputs; o++)
        for (int a = (int)o; p->wanted[o] && a >= 0; a = p->parent[a])
            p->made[a] = 1;
}

struct picture *picture_new(const struct media_info *src, const struct rendition *list, size_t n,
                            const char *wanted, picture_emit emit, void *arg)
{
    struct picture *p = calloc(1, sizeof(*p));

    if (!p || n > OUTPUTS_MAX || !(p->frame = av_frame_alloc())) {
        free(p);
        return NULL;
    }
    p->src = src;
    p->list = list;
    p->n = n;
    p->emit = emit;
    p->arg = arg;
    for (size_t i = 0; i < n; i++) {
        unsigned o = 0;
        while (o < p->n_outputs && !same_picture(&list[p->first[o]], &list[i]))
            o++;
        if (o == p->n_outputs)
            p->first[p->n_outputs++] = i;
        p->output[i] = o;
    }
    for (unsigned o = 0; o < p->n_outputs; o++)
        p->parent[o] = choose_parent(p, o);
    mark(p, wanted);
    return p;
}

void picture_free(struct picture *p)
{
    if (!p)
        return;
    avfilter_graph_free(&p->graph);
    av_frame_free(&p->frame);
    free(p);
}

unsigned picture_output(const struct picture *p, size_t i)
{
    return p->output[i];
}

/* ---- the graph's description ---- */

/* Where the stream doesn't have one, the picture's. */
static const char *parity_of(const struct video_info *v)
{
    return v->interlaced == 2 ? "bff" : v->interlaced ? "tff" : "auto";
}

/* What all outputs share. The field order is the stream's (each frame says
 * whether it is interlaced at all). Another shape is fitted once fields are frames: a scaler
 * would mix them. */
static void write_common(FILE *f, struct picture *p)
{
    const struct video_info *v = &p->src->video;
    int range = p->now.color.range;

    /* Constant luminance is in no converter; who says it mostly means the other. */
    if (p->now.color.matrix == AVCOL_SPC_BT2020_CL)
        fputs("setparams=colorspace=bt2020nc,", f);
    if (video_may_comb(v))
        fprintf(f, "bwdif=mode=send_frame:parity=%s:deint=interlaced,", parity_of(v));
    if (fit_write(f, v, &p->look.shape, p->format, range))
        p->now.color.range = AVCOL_RANGE_MPEG;
}

static int comes_from(const struct picture *p, unsigned o, int from)
{
    return p->made[o] && p->parent[o] == from;
}

/* ",split=3[s4][s7]" for those that are scaled from `from`, and `sink`. */
static void write_split(FILE *f, const struct picture *p, int from, const char *sink)
{
    unsigned n = *sink ? 1 : 0;

    for (unsigned o = 0; o < p->n_outputs; o++)
        n += (unsigned)comes_from(p, o, from);
    fprintf(f, "split=outputs=%u%s", n, sink);
    for (unsigned o = 0; o < p->n_outputs; o++)
        if (comes_from(p, o, from))
            fprintf(f, "[s%u]", o);
}

static char *describe(struct picture *p)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);

    if (!f)
        return NULL;
    fputs("[in]", f);
    write_common(f, p);
    write_split(f, p, -1, "");
    for (unsigned o = 0; o < p->n_outputs; o++) {
        char sink[16] = "";
        if (!p->made[o])
            continue;
        if (p->wanted[o])
            (void)snprintf(sink, sizeof(sink), "[out%u]", o);
        fprintf(f, ";[s%u]", o);
        colors_write(f, &p->now, &p->list[p->first[o]], p->look.recolored, p->parent[o] >= 0);
        fputc(',', f);
        write_split(f, p, (int)o, sink);
    }
    if (fclose(f) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* ---- building it ---- */

static int add_source(struct picture *p, const AVFrame *f)
{
    char args[256];
    AVRational tb = p->src->video.tb;

    (void)snprintf(args, sizeof(args), "width=%d:height=%d:pix_fmt=%d:time_base=%d/%d", f->width,
                   f->height, f->format, tb.num, tb.den);
    return avfilter_graph_create_filter(&p->in, avfilter_get_by_name("buffer"), "in", args, NULL,
                                        p->graph);
}

static int add_sinks(struct picture *p, AVFilterInOut **ret)
{
    for (unsigned o = 0; o < p->n_outputs; o++) {
        char name[16];
        if (!p->wanted[o])
            continue;
        AVFilterInOut *io = avfilter_inout_alloc();
        if (!io)
            return AVERROR(ENOMEM);
        io->next = *ret;
        *ret = io;
        (void)snprintf(name, sizeof(name), "out%u", o);
        int r = avfilter_graph_create_filter(&p->sink[o], avfilter_get_by_name("buffersink"), name,
                                             NULL, NULL, p->graph);
        if (r < 0)
            return r;
        io->name = av_strdup(name);
        io->filter_ctx = p->sink[o];
    }
    return 0;
}

/* What the graph is to be made for. */
static void look_take(struct picture *p, const AVFrame *f, const struct picture_look *look)
{
    p->look = *look;
    p->now = p->src->video;
    p->now.color = look->color;
    p->format = f->format;
    /* How bright another kind of HDR gets, the plan doesn't say. */
    if (look->color.transfer != p->src->video.color.transfer)
        p->now.hdr = (struct hdr_info){ 0 };
}

static int build(struct picture *p, const AVFrame *f)
{
    AVFilterInOut *sinks = NULL, *source = avfilter_inout_alloc();
    _cleanup_free_ char *text = describe(p);
    int r = AVERROR(ENOMEM);

    avfilter_graph_free(&p->graph);
    p->graph = avfilter_graph_alloc();
    if (p->graph && source && text) {
        p->graph->nb_threads = 1;
        r = add_source(p, f);
    }
    if (r >= 0)
        r = add_sinks(p, &sinks);
    if (r >= 0) {
        source->name = av_strdup("in");
        source->filter_ctx = p->in;
        /* The words "inputs" and "outputs" are the graph's, as seen from outside. */
        r = avfilter_graph_parse_ptr(p->graph, text, &sinks, &source, NULL);
    }
    if (r >= 0)
        r = avfilter_graph_config(p->graph, NULL);
    avfilter_inout_free(&sinks);
    avfilter_inout_free(&source);
    return r;
}

/* ---- frames ---- */

static int drain(struct picture *p, struct err *err)
{
    for (unsigned o = 0; o < p->n_outputs; o++) {
        int r;
        if (!p->wanted[o])
            continue;
        while ((r = av_buffersink_get_frame(p->sink[o], p->frame)) >= 0) {
            /* Deinterlacers count in half ticks. */
            p->frame->pts = av_rescale_q(p->frame->pts, av_buffersink_get_time_base(p->sink[o]),
                                         p->src->video.tb);
            r = p->emit(p->arg, o, p->frame, err);
            av_frame_unref(p->frame);
            if (r < 0)
                return r;
        }
        if (r != AVERROR(EAGAIN) && r != AVERROR_EOF)
            return err_set(err, -EIO, ERR_INTERNAL, "the filter graph failed: %s", av_err2str(r));
    }
    return 0;
}

static struct picture_look look_of(const struct picture *p, const AVFrame *f, int lines)
{
    const struct video_info *v = &p->src->video;
    struct picture_look look = { .shape = fit_shape_of(p->src, f, lines),
                                 .color = colors_of(v, f) };

    look.reshaped = fit_is_other(v, &look.shape);
    look.recolored = !colors_same(&look.color, &v->color);
    if (!look.recolored)
        look.color = v->color;
    return look;
}

const struct picture_look *picture_latest(const struct picture *p)
{
    return &p->look;
}

static int push_lines(struct picture *p, AVFrame *f, int lines, struct err *err)
{
    const struct picture_look look = look_of(p, f, lines);

    if (!p->graph || !fit_same(&look.shape, &p->look.shape) || f->format != p->format ||
        !colors_same(&look.color, &p->look.color)) {
        int r = p->graph ? picture_flush(p, err) : 0;
        if (r < 0)
            return r;
        look_take(p, f, &look);
        r = build(p, f);
        if (r < 0)
            return err_set(err, r == AVERROR(ENOMEM) ? -ENOMEM : -EINVAL,
                           r == AVERROR(ENOMEM) ? ERR_RESOURCE : ERR_UNSUPPORTED,
                           "no filter graph can be made for %dx%d %s pictures: %s", f->width,
                           f->height, av_get_pix_fmt_name(f->format), av_err2str(r));
    }
    colors_set(&look.color, f);
    int r = av_buffersrc_add_frame_flags(p->in, f, AV_BUFFERSRC_FLAG_KEEP_REF);
    if (r < 0)
        return err_set(err, -EIO, ERR_INTERNAL, "the filter graph refuses a frame: %s",
                       av_err2str(r));
    return drain(p, err);
}

int picture_push(struct picture *p, AVFrame *f, struct err *err)
{
    return push_lines(p, f, 1, err);
}

int picture_push_field(struct picture *p, AVFrame *f, int bottom, struct err *err)
{
    if (f->height < 4)
        return push_lines(p, f, 1, err);
    for (int i = 0; i < 4 && f->data[i]; i++) {
        f->data[i] += bottom ? f->linesize[i] : 0;
        f->linesize[i] *= 2;
    }
    f->height /= 2;
    return push_lines(p, f, 2, err);
}

int picture_flush(struct picture *p, struct err *err)
{
    if (!p->graph)
        return 0;
    int r = av_buffersrc_add_frame_flags(p->in, NULL, 0);
    return r < 0 ? err_set(err, -EIO, ERR_INTERNAL, "the filter graph can't end: %s", av_err2str(r))
                 : drain(p, err);
}
