#include "weave.h"

#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>

void weave_release(struct weave *w)
{
    av_frame_free(&w->first);
}

/* The lines of one field of `to`. */
static void put_lines(AVFrame *to, const AVFrame *field, int bottom)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(field->format);

    for (int plane = 0; plane < 4 && field->data[plane]; plane++) {
        int chroma = plane == 1 || plane == 2;
        int rows = chroma ? AV_CEIL_RSHIFT(field->height, d->log2_chroma_h) : field->height;
        av_image_copy_plane(to->data[plane] + (ptrdiff_t)bottom * to->linesize[plane],
                            2 * to->linesize[plane], field->data[plane], field->linesize[plane],
                            av_image_get_linesize(field->format, field->width, plane), rows);
    }
}

static AVFrame *frame_for(const AVFrame *field, int *ret_error)
{
    AVFrame *f = av_frame_alloc();
    int r = f ? av_frame_copy_props(f, field) : AVERROR(ENOMEM);

    if (r >= 0) {
        f->format = field->format;
        f->width = field->width;
        f->height = 2 * field->height;
        r = av_frame_get_buffer(f, 0);
    }
    if (r < 0)
        av_frame_free(&f);
    *ret_error = r < 0 ? r : 0;
    return f;
}

static int weave_two(AVFrame *f, const AVFrame *first, const AVFrame *second, int interlaced)
{
    int r, top = first->top_field_first;
    AVFrame *whole = frame_for(first, &r);

    if (r < 0)
        return r;
    put_lines(whole, first, !top);
    put_lines(whole, second, top);
    whole->interlaced_frame = interlaced;
    whole->top_field_first = top;
    av_frame_unref(f);
    av_frame_move_ref(f, whole);
    av_frame_free(&whole);
    return 0;
}

int weave_field(struct weave *w, AVFrame *f, int begins)
{
    int r;

    if (!begins && w->first && w->first->width == f->width && w->first->height == f->height &&
        w->first->format == f->format && w->first->top_field_first != f->top_field_first) {
        r = weave_two(f, w->first, f, 1);
        av_frame_free(&w->first);
        return r < 0 ? r : 1;
    }
    av_frame_free(&w->first);
    if (!begins)
        return 0;
    w->first = av_frame_clone(f);
    return w->first ? 0 : AVERROR(ENOMEM);
}

int weave_alone(AVFrame *f)
{
    AVFrame *field = av_frame_clone(f);
    int r = field ? weave_two(f, field, field, 0) : AVERROR(ENOMEM);

    av_frame_free(&field);
    return r;
}
