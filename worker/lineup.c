#include "lineup.h"

#include "../common/base/err.h"

#include <errno.h>
#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>
#include <stdlib.h>

int lineup_init(struct lineup *l, const struct chunk *c, struct err *err)
{
    l->pts = malloc((c->pts.n_frames + 1) * sizeof(*l->pts));
    l->last = av_frame_alloc();
    if (!l->pts || !l->last) {
        lineup_release(l);
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for %llu frame times",
                       (unsigned long long)c->pts.n_frames);
    }
    pts_list_expand(&c->pts, l->pts);
    l->n = c->pts.n_frames;
    return 0;
}

void lineup_release(struct lineup *l)
{
    free(l->pts);
    av_frame_free(&l->last);
    l->pts = NULL;
}

static int pass(struct lineup *l, AVFrame *f, struct err *err)
{
    size_t i = l->next++;

    f->pts = l->pts[i];
    return l->emit(l->arg, i, f, err);
}

static int stand_in(struct lineup *l, const AVFrame *with, struct err *err)
{
    AVFrame *f = av_frame_clone(with);

    if (!f)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a frame");
    l->concealed++;
    int r = pass(l, f, err);
    av_frame_free(&f);
    return r;
}

int lineup_push(struct lineup *l, AVFrame *f, struct err *err)
{
    int64_t pts = f->pts;

    /* Its time may be a damaged one: those still to come aren't given up for it. */
    if (pts > l->pts[l->n - 1] && l->last->buf[0]) {
        l->dropped++;
        return 0;
    }
    while (!lineup_complete(l) && l->pts[l->next] < pts) {
        int r = stand_in(l, l->last->buf[0] ? l->last : f, err);
        if (r < 0)
            return r;
    }
    if (lineup_complete(l) || l->pts[l->next] != pts) {
        l->dropped++;
        return 0;
    }
    l->decoded++;
    int r = pass(l, f, err);
    av_frame_unref(l->last);
    if (r == 0 && av_frame_ref(l->last, f) < 0)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a frame");
    return r;
}

int lineup_lend(struct lineup *l, const AVFrame *f, struct err *err)
{
    if (lineup_complete(l) || l->last->buf[0])
        return 0;
    return av_frame_ref(l->last, f) < 0
               ? err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a frame")
               : 0;
}

int lineup_lend_black(struct lineup *l, const struct video_info *v, struct err *err)
{
    AVFrame *f = av_frame_alloc();
    ptrdiff_t strides[4];
    int r = f ? 0 : err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a frame");

    if (f) {
        f->format = av_get_pix_fmt(v->pix_fmt);
        f->width = v->width;
        f->height = v->height;
    }
    if (f && f->format != AV_PIX_FMT_NONE && av_frame_get_buffer(f, 0) >= 0) {
        for (int i = 0; i < 4; i++)
            strides[i] = f->linesize[i];
        if (av_image_fill_black(f->data, strides, f->format, AVCOL_RANGE_MPEG, f->width,
                                f->height) >= 0)
            r = lineup_lend(l, f, err);
    }
    av_frame_free(&f);
    return r;
}

int lineup_finish(struct lineup *l, struct err *err)
{
    if (!lineup_complete(l) && !l->last->buf[0])
        return err_set(err, -EINVAL, ERR_INPUT, "not one frame from %lld to %lld can be decoded",
                       (long long)l->pts[0], (long long)l->pts[l->n - 1]);
    while (!lineup_complete(l)) {
        int r = stand_in(l, l->last, err);
        if (r < 0)
            return r;
    }
    return 0;
}
