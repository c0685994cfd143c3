#include "crop.h"

#include "../base/err.h"
#include "../wire/media_info.h"
#include "open.h"
#include "probe.h"

#include <errno.h>
#include <libavutil/pixdesc.h>
#include <math.h>
#include <string.h>

enum {
    SIDE_MIN = 2,
    /* What containers and bitstreams differ by on how large pictures are: blocks, whose rest one
     * of them cuts off. */
    BLOCK = 64,
};

/* Fractions that are whole but for rounding. */
#define NEARLY 1e-4

static int whole_samples(double cut, int log2_chroma)
{
    return (int)floor(cut + NEARLY) >> log2_chroma << log2_chroma;
}

/* Where a bitstream has cut off itself what the container counts. */
static double beyond(double cut, int size, int by_container)
{
    int more = size - by_container;

    return by_container > 0 && more < BLOCK && more > -BLOCK ? fmax(cut + more, 0) : cut;
}

static int leaves_nothing(const struct video_info *v, const struct crop_found *c)
{
    double left = c->left, top = c->top, right = c->right, bottom = c->bottom;

    return !(left > -1 && top > -1 && right > -1 && bottom > -1 &&
             left + right <= v->width - SIDE_MIN && top + bottom <= v->height - SIDE_MIN);
}

static AVRational pixels_of(const struct crop_found *c, AVRational own)
{
    if (own.num <= 0 || own.den <= 0 || c->sar_or.num <= 0)
        return c->sar;
    return av_nearer_q(own, c->sar_or, c->sar) > 0 ? c->sar_or : c->sar;
}

int crop_apply(struct media_info *i, const struct crop_found *c, AVRational own)
{
    struct video_info *v = &i->video;
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(av_get_pix_fmt(v->pix_fmt));
    int log2_w = d ? d->log2_chroma_w : 1, log2_h = d ? d->log2_chroma_h : 1;

    if (!c->has)
        return 0;
    struct crop_found here = *c;
    here.right = beyond(c->right, v->width, c->width);
    here.bottom = beyond(c->bottom, v->height, c->height);
    if (leaves_nothing(v, c) || leaves_nothing(v, &here))
        return probe_warn(i,
                          "the source asks players to cut %.6g, %.6g, %.6g and %.6g pixels off its "
                          "pictures (left, top, right, bottom), which are %dx%d: they are kept "
                          "whole",
                          c->left, c->top, c->right, c->bottom, v->width, v->height);
    v->crop = (struct crop_info){
        .left = whole_samples(fmax(here.left, 0), log2_w),
        .top = whole_samples(fmax(here.top, 0), log2_h),
        .right = whole_samples(fmax(here.right, 0), log2_w),
        .bottom = whole_samples(fmax(here.bottom, 0), log2_h),
    };
    v->width -= v->crop.left + v->crop.right;
    v->height -= v->crop.top + v->crop.bottom;
    if (c->sar.num > 0 && c->sar.den > 0)
        v->sar = pixels_of(c, own);
    return 0;
}

/* Number of the track among those of pictures: libavformat's streams are in the order of tracks,
 * and what is attached comes behind. */
static int number_of(const struct media_source *s, int stream)
{
    int n = 0;

    for (int i = 0; i < stream; i++)
        n += s->fmt->streams[i]->codecpar->codec_type == AVMEDIA_TYPE_VIDEO;
    return n;
}

int crop_find(struct inside *in, const struct media_source *s, struct media_info *i,
              struct err *err)
{
    struct crop_found c = { 0 };
    int r = 0, stream = i->video.stream;

    if (stream < 0)
        return 0;
    if (media_is_mov(s))
        r = crop_of_boxes(in, (uint32_t)s->fmt->streams[stream]->id, &c, err);
    else if (strncmp(s->fmt->iformat->name, "matroska", 8) == 0)
        r = crop_of_elements(in, number_of(s, stream), &c, err);
    if (r < 0 || crop_apply(i, &c, s->fmt->streams[stream]->codecpar->sample_aspect_ratio) == 0)
        return r;
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory while probing");
}
