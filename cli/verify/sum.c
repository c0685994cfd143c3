#include "sum.h"

#include <errno.h>
#include <libavutil/frame.h>
#include <libavutil/imgutils.h>
#include <libavutil/mem.h>
#include <libavutil/murmur3.h>
#include <libavutil/pixdesc.h>

static int add_planes(struct AVMurMur3 *m, const AVFrame *f, const AVPixFmtDescriptor *d)
{
    int planes = av_pix_fmt_count_planes(f->format);
    for (int p = 0; p < planes; p++) {
        int bytes = av_image_get_linesize(f->format, f->width, p);
        int rows = p == 1 || p == 2 ? AV_CEIL_RSHIFT(f->height, d->log2_chroma_h) : f->height;
        if (bytes <= 0 || !f->data[p])
            return -EINVAL;
        for (int y = 0; y < rows; y++)
            av_murmur3_update(m, f->data[p] + (ptrdiff_t)y * f->linesize[p], (size_t)bytes);
    }
    return planes > 0 ? 0 : -EINVAL;
}

int sum_make(const AVFrame *f, struct sum *ret)
{
    const int head[] = { f->format, f->width, f->height };
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(f->format);
    if (!d || d->flags & AV_PIX_FMT_FLAG_HWACCEL)
        return -EINVAL;
    struct AVMurMur3 *m = av_murmur3_alloc();
    if (!m)
        return -ENOMEM;
    av_murmur3_init(m);
    av_murmur3_update(m, (const uint8_t *)head, sizeof(head));
    int r = add_planes(m, f, d);
    av_murmur3_final(m, ret->v);
    av_free(m);
    return r;
}
