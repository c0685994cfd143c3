#include "colors.h"

#include <libavutil/pixdesc.h>
#include <string.h>

enum {
    /* in 100 cd/m2 */
    NOMINAL_PEAK = 10,
    PEAK_MIN = 2,
    PEAK_MAX = 40,
    DIFFUSE_WHITE = 203, /* cd/m2, of SDR among HDR (ITU-R BT.2408, 2) */
};

/* ---- a picture's own ---- */

/* 2 is "unspecified" in all three tables, 0 and 3 are reserved (but for RGB's matrix). */
static int is_given(int code)
{
    return code != AVCOL_PRI_RESERVED0 && code != AVCOL_PRI_UNSPECIFIED &&
           code != AVCOL_PRI_RESERVED;
}

static int is_rgb(const AVFrame *f)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(f->format);

    return d && d->flags & AV_PIX_FMT_FLAG_RGB;
}

static int is_yuvj(int format)
{
    const char *name = av_get_pix_fmt_name(format);

    return name && strncmp(name, "yuvj", 4) == 0;
}

static int range_of(const struct video_info *v, const AVFrame *f)
{
    if (is_yuvj(f->format))
        return AVCOL_RANGE_JPEG;
    return f->color_range != AVCOL_RANGE_UNSPECIFIED ? (int)f->color_range : v->color.range;
}

/* Those whose decoders say what the stream does, for the planner as for anybody. Others have a word
 * of their own, whatever the container says, and it isn't one that changes. */
static int tells_colors(const struct video_info *v)
{
    static const char *const codecs[] = { "h264", "hevc", "av1", "vp9", "mpeg2video" };

    for (size_t i = 0; i < sizeof(codecs) / sizeof(*codecs); i++)
        if (strcmp(v->codec, codecs[i]) == 0)
            return 1;
    return 0;
}

/* Of another transfer than the plan's the plan's primaries and matrix aren't to be believed. */
struct color_info colors_of(const struct video_info *v, const AVFrame *f)
{
    struct color_info c = v->color;

    if (!tells_colors(v))
        return c;
    if (is_given(f->color_trc))
        c.transfer = f->color_trc;
    if (color_is_hdr(&c) != color_is_hdr(&v->color)) {
        c.primaries = color_is_hdr(&c) ? AVCOL_PRI_BT2020 : AVCOL_PRI_BT709;
        c.matrix = color_is_hdr(&c) ? AVCOL_SPC_BT2020_NCL : AVCOL_SPC_BT709;
    }
    if (is_given(f->color_primaries))
        c.primaries = f->color_primaries;
    if (is_rgb(f))
        c.matrix = AVCOL_SPC_RGB;
    else if (is_given(f->colorspace))
        c.matrix = f->colorspace;
    c.range = range_of(v, f);
    return c;
}

static int same_range(int a, int b)
{
    return (a == AVCOL_RANGE_JPEG) == (b == AVCOL_RANGE_JPEG);
}

int colors_same(const struct color_info *a, const struct color_info *b)
{
    return a->primaries == b->primaries && a->transfer == b->transfer && a->matrix == b->matrix &&
           same_range(a->range, b->range);
}

void colors_set(const struct color_info *c, AVFrame *f)
{
    f->color_primaries = c->primaries;
    f->color_trc = c->transfer;
    f->colorspace = c->matrix;
    f->color_range = c->range ? c->range : AVCOL_RANGE_MPEG;
}

/* ---- matrix and range ---- */

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

static const char *range_name(const struct color_info *c)
{
    return c->range == AVCOL_RANGE_JPEG ? "full" : "limited";
}

/* A source that doesn't say is what the ladder took it for: an untagged
 * picture must come through as it is, only tagged. */
static int matrix_of(const struct video_info *now, const struct rendition *r)
{
    int silent = now->color.matrix == AVCOL_SPC_UNSPECIFIED || now->color.matrix == AVCOL_SPC_RGB;
    return silent ? r->color.matrix : now->color.matrix;
}

/* ---- light ---- */

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
static int matrix_to_linear(int matrix, int unspecified)
{
    if (matrix == AVCOL_SPC_RGB)
        return AVCOL_SPC_RGB;
    return matrix == AVCOL_SPC_BT2020_CL ? AVCOL_SPC_BT2020_NCL : code_or(matrix, unspecified);
}

/* HDR to SDR: to linear light at a nominal peak of 100 cd/m2, to the rendition's
 * primaries, rolled off, back to SDR. The peak is told, or the filter
 * would take it from each frame's metadata. */
static void write_tonemap(FILE *f, const struct video_info *now, const struct rendition *r)
{
    int primaries = code_or(now->color.primaries, AVCOL_PRI_BT2020);

    /* Of a source that names no primaries the filter would make pictures that name none. */
    fprintf(f, "zscale=tin=%d:pin=%d:p=%d:min=%d:rin=%s:t=linear:npl=100,format=gbrpf32le,",
            now->color.transfer, primaries, primaries,
            matrix_to_linear(now->color.matrix, AVCOL_SPC_BT2020_NCL), range_name(&now->color));
    fprintf(f,
            "zscale=p=%d,tonemap=tonemap=hable:desat=0:peak=%.4f,"
            "zscale=t=bt709:m=%d:r=tv:dither=none,",
            code_or(r->color.primaries, AVCOL_PRI_BT709), peak_of(&now->hdr),
            matrix_to_linear(r->color.matrix, AVCOL_SPC_BT709));
}

static int is_wide(const struct color_info *c)
{
    return c->primaries == AVCOL_PRI_BT2020;
}

static int is_other_light(const struct color_info *a, const struct color_info *b)
{
    if (color_is_hdr(a) || color_is_hdr(b))
        return a->transfer != b->transfer;
    return is_given(a->primaries) && is_given(b->primaries) && is_wide(a) != is_wide(b);
}

/* zimg has no curve for the others. All of SDR's are much alike. */
static int transfer_known(int transfer)
{
    switch (transfer) {
    case AVCOL_TRC_GAMMA22:
    case AVCOL_TRC_GAMMA28:
    case AVCOL_TRC_SMPTE240M:
    case AVCOL_TRC_IEC61966_2_1:
    case AVCOL_TRC_SMPTE2084:
    case AVCOL_TRC_ARIB_STD_B67:
        return transfer;
    default:
        return AVCOL_TRC_BT709;
    }
}

/* SDR among HDR, PQ among HLG, narrow primaries among wide ones, and the other way round. */
static void write_light(FILE *f, const struct video_info *now, const struct rendition *r)
{
    int usual = color_is_hdr(&now->color) ? AVCOL_PRI_BT2020 : AVCOL_PRI_BT709;
    int usual_matrix = color_is_hdr(&now->color) ? AVCOL_SPC_BT2020_NCL : AVCOL_SPC_BT709;

    fprintf(f, "zscale=tin=%d:pin=%d:min=%d:rin=%s:t=%d:p=%d:m=%d:r=limited:npl=%d,",
            transfer_known(now->color.transfer), code_or(now->color.primaries, usual),
            matrix_to_linear(now->color.matrix, usual_matrix), range_name(&now->color),
            transfer_known(r->color.transfer), code_or(r->color.primaries, usual),
            matrix_to_linear(r->color.matrix, AVCOL_SPC_BT709), DIFFUSE_WHITE);
}

void colors_write(FILE *f, const struct video_info *now, const struct rendition *r, int changed,
                  int cascaded)
{
    int tonemap = color_is_hdr(&now->color) && !color_is_hdr(&r->color) && !cascaded;
    int light = changed && is_other_light(&now->color, &r->color) && !cascaded;

    if (tonemap || light) {
        fprintf(f, "zscale=w=%d:h=%d:filter=bicubic,", r->width, r->height);
        (tonemap ? write_tonemap : write_light)(f, now, r);
        fprintf(f, "format=%s", r->pix_fmt);
        return;
    }
    fprintf(f, "scale=w=%d:h=%d:flags=bicubic", r->width, r->height);
    if (!cascaded)
        fprintf(f, ":in_range=%s:out_range=limited:in_color_matrix=%s:out_color_matrix=%s",
                range_name(&now->color), matrix_name(matrix_of(now, r)),
                matrix_name(r->color.matrix));
    fprintf(f, ",format=%s", r->pix_fmt);
}

/* ---- words ---- */

const char *colors_text(const struct color_info *c, char *buf, size_t size)
{
    const char *transfer = "SDR";
    const char *matrix = av_color_space_name(c->matrix);

    if (color_is_hdr(c))
        transfer = c->transfer == AVCOL_TRC_SMPTE2084 ? "PQ" : "HLG";
    (void)snprintf(buf, size, "%s, %s, %s range", transfer, matrix ? matrix : "an unknown matrix",
                   range_name(c));
    return buf;
}
