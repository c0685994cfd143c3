#include "picture.h"

#include "fit.h"

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
    /* in 100 cd/m2 */
    NOMINAL_PEAK = 10,
    PEAK_MIN = 2,
    PEAK_MAX = 40,
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
    struct fit_shape shape; /* that the graph was made for */
    int format, lines;
    struct picture_fitted fitted;
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

static const char *turn(const struct video_info *v)
{
    switch (v->rotation) {
    case 90:
        return "transpose=dir=clock,";
    case 180:
        return "hflip,vflip,";
    case 270:
        return "transpose=dir=cclock,";
    default:
        return "";
    }
}

/* Where the stream doesn't have one, the picture's. */
static const char *parity_of(const struct video_info *v)
{
    return v->interlaced == 2 ? "bff" : v->interlaced ? "tff" : "auto";
}

/* What all outputs share. The field order is the stream's (each frame says
 * whether it is interlaced at all). Another shape is fitted once fields are frames: a scaler
 * would mix them. */
static void write_common(FILE *f, const struct video_info *v, const struct fit_shape *shape)
{
    /* Constant luminance is in no converter; who says it mostly means the other. */
    if (v->color.matrix == AVCOL_SPC_BT2020_CL)
        fputs("setparams=colorspace=bt2020nc,", f);
    if (video_may_comb(v))
        fprintf(f, "bwdif=mode=send_frame:parity=%s:deint=interlaced,", parity_of(v));
    fit_write(f, v, shape);
    fputs(turn(v), f);
    if (v->hflip)
        fputs("hflip,", f);
}

static const char *matrix_name(int matrix)
{
    switch (matrix) {
    case AVCOL_SPC_BT709:
        return "bt709";
    case AVCOL_SPC_FCC:
        return "fcc";
    case AVCOL_SPC_BT470BG:
    case AVCOL_SPC_SMPTE170M:
        return "bt601";
    case AVCOL_SPC_SMPTE240M:
        return "smpte240m";
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL:
        return "bt2020";
    default:
        return "auto";
    }
}

/* The brightest that tone-mapping makes room for, in 100 cd/m2: as the source says, which may be
 * silent, or name the display's reach where no picture goes. */
static double peak_of(const struct hdr_info *h)
{
    double peak = h->has_mastering ? h->max_luminance / 1e6 : NOMINAL_PEAK;

    if (h->max_cll > 0 && (h->max_cll / 100.0 < peak || !h->has_mastering))
        peak = h->max_cll / 100.0;
    return peak < PEAK_MIN ? PEAK_MIN : peak > PEAK_MAX ? PEAK_MAX : peak;
}

/* A code point of ISO/IEC 23091-2, as zimg's options are too. */
static int code_or(int code, int unspecified)
{
    return code == AVCOL_PRI_UNSPECIFIED || code == AVCOL_PRI_RESERVED0 ? unspecified : code;
}

/* RGB's code point is the one that is reserved elsewhere. */
static int matrix_to_linear(int matrix)
{
    if (matrix == AVCOL_SPC_RGB)
        return AVCOL_SPC_RGB;
    return matrix == AVCOL_SPC_BT2020_CL ? AVCOL_SPC_BT2020_NCL
                                         : code_or(matrix, AVCOL_SPC_BT2020_NCL);
}

/* HDR to SDR: to linear light at a nominal peak of 100 cd/m2, to BT.709
 * primaries, rolled off, back to BT.709. The peak is told, or the filter
 * would take it from each frame's metadata. */
static void write_tonemap(FILE *f, const struct video_info *v)
{
    int primaries = code_or(v->color.primaries, AVCOL_PRI_BT2020);

    /* Of a source that names no primaries the filter would make pictures that name none. */
    fprintf(f, "zscale=tin=%d:pin=%d:p=%d:min=%d:rin=%s:t=linear:npl=100,format=gbrpf32le,",
            v->color.transfer, primaries, primaries, matrix_to_linear(v->color.matrix),
            v->color.range == AVCOL_RANGE_JPEG ? "full" : "limited");
    fprintf(f,
            "zscale=p=bt709,tonemap=tonemap=hable:desat=0:peak=%.4f,"
            "zscale=t=bt709:m=bt709:r=tv:dither=none,",
            peak_of(&v->hdr));
}

/* A source that doesn't say is what the ladder took it for: an untagged
 * picture must come through as it is, only tagged. */
static int matrix_of(const struct video_info *v, const struct rendition *r)
{
    int silent = v->color.matrix == AVCOL_SPC_UNSPECIFIED || v->color.matrix == AVCOL_SPC_RGB;
    return silent ? r->color.matrix : v->color.matrix;
}

/* Scaled from another output, a picture has the right colours already. */
static void write_scale(FILE *f, const struct video_info *v, const struct rendition *r,
                        int cascaded)
{
    if (r->tonemap && !cascaded) {
        fprintf(f, "zscale=w=%d:h=%d:filter=bicubic,", r->width, r->height);
        write_tonemap(f, v);
        fprintf(f, "format=%s", r->pix_fmt);
        return;
    }
    fprintf(f, "scale=w=%d:h=%d:flags=bicubic", r->width, r->height);
    if (!cascaded)
        fprintf(f, ":in_range=%s:out_range=limited:in_color_matrix=%s:out_color_matrix=%s",
                v->color.range == AVCOL_RANGE_JPEG ? "full" : "limited",
                matrix_name(matrix_of(v, r)), matrix_name(r->color.matrix));
    fprintf(f, ",format=%s", r->pix_fmt);
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

static char *describe(const struct picture *p, const struct fit_shape *shape)
{
    const struct video_info *v = &p->src->video;
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);

    if (!f)
        return NULL;
    fputs("[in]", f);
    write_common(f, v, shape);
    write_split(f, p, -1, "");
    for (unsigned o = 0; o < p->n_outputs; o++) {
        char sink[16] = "";
        if (!p->made[o])
            continue;
        if (p->wanted[o])
            (void)snprintf(sink, sizeof(sink), "[out%u]", o);
        fprintf(f, ";[s%u]", o);
        write_scale(f, v, &p->list[p->first[o]], p->parent[o] >= 0);
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

static int build(struct picture *p, const AVFrame *f, int lines)
{
    AVFilterInOut *sinks = NULL, *source = avfilter_inout_alloc();
    const struct fit_shape shape = fit_shape_of(p->src, f, lines);
    _cleanup_free_ char *text = describe(p, &shape);
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
    p->shape = shape;
    p->format = f->format;
    p->lines = lines;
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

/* A decoder knows its stream's colours no better than the probe did: the
 * plan's word holds for every frame, or chunks could differ. */
static void set_colors(const struct color_info *c, AVFrame *f)
{
    f->color_primaries = c->primaries;
    f->color_trc = c->transfer;
    f->colorspace = c->matrix;
    f->color_range = c->range ? c->range : AVCOL_RANGE_MPEG;
}

/* Those that don't have the plan's shape. */
static void note_shape(struct picture *p)
{
    if (!fit_is_needed(&p->src->video, &p->shape))
        return;
    if (p->fitted.n++ == 0) {
        p->fitted.width = p->shape.width;
        p->fitted.height = p->shape.height;
    }
}

const struct picture_fitted *picture_fitted(const struct picture *p)
{
    return &p->fitted;
}

static int push_lines(struct picture *p, AVFrame *f, int lines, struct err *err)
{
    const struct fit_shape shape = fit_shape_of(p->src, f, lines);

    if (!p->graph || !fit_same(&shape, &p->shape) || f->format != p->format || lines != p->lines) {
        int r = p->graph ? picture_flush(p, err) : 0;
        if (r < 0)
            return r;
        r = build(p, f, lines);
        if (r < 0)
            return err_set(err, r == AVERROR(ENOMEM) ? -ENOMEM : -EINVAL,
                           r == AVERROR(ENOMEM) ? ERR_RESOURCE : ERR_UNSUPPORTED,
                           "no filter graph can be made for %dx%d %s pictures: %s", f->width,
                           f->height, av_get_pix_fmt_name(f->format), av_err2str(r));
    }
    note_shape(p);
    set_colors(&p->src->video.color, f);
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
