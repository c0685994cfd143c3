#include "fit.h"

#include <math.h>
#include <string.h>

enum { MACROBLOCK = 16 };

static int tells_pixels(const struct media_info *src)
{
    return strcmp(src->container, "mpegts") == 0 || strcmp(src->container, "mpeg") == 0;
}

static int is_sane(AVRational sar)
{
    return sar.num > 0 && sar.den > 0 && sar.num < 100 * (int64_t)sar.den &&
           sar.den < 100 * (int64_t)sar.num;
}

struct fit_shape fit_shape_of(const struct media_info *src, const AVFrame *f, int lines)
{
    struct fit_shape s = { f->width, f->height * lines, src->video.sar };

    if (tells_pixels(src) && is_sane(f->sample_aspect_ratio))
        s.sar = f->sample_aspect_ratio;
    if (!is_sane(s.sar))
        s.sar = (AVRational){ 1, 1 };
    return s;
}

int fit_same(const struct fit_shape *a, const struct fit_shape *b)
{
    return a->width == b->width && a->height == b->height && av_cmp_q(a->sar, b->sar) == 0;
}

static AVRational sar_of(const struct video_info *v)
{
    return is_sane(v->sar) ? v->sar : (AVRational){ 1, 1 };
}

static int is_near(int a, int b)
{
    return a - b < MACROBLOCK && b - a < MACROBLOCK;
}

int fit_is_needed(const struct video_info *v, const struct fit_shape *s)
{
    return !is_near(v->width, s->width) || !is_near(v->height, s->height) ||
           av_cmp_q(sar_of(v), s->sar) != 0;
}

/* Even, so that chroma isn't cut; at most the box's side. */
static int side(double v, int most)
{
    int n = 2 * (int)lround(v / 2);

    return n < 2 ? 2 : n > most ? most : n;
}

void fit_write(FILE *f, const struct video_info *v, const struct fit_shape *s)
{
    double box = v->width * av_q2d(sar_of(v)), shown = s->width * av_q2d(s->sar);
    double by = fmin(box / shown, (double)v->height / s->height);

    if (!fit_is_needed(v, s))
        return;
    fprintf(f, "scale=w=%d:h=%d:flags=bicubic,", side(shown * by / av_q2d(sar_of(v)), v->width),
            side(s->height * by, v->height));
    fprintf(f, "pad=w=%d:h=%d:x=(ow-iw)/2:y=(oh-ih)/2:color=black,", v->width, v->height);
}
