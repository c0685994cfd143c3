#include "changes.h"

#include "../common/wire/task.h"
#include "colors.h"
#include "encode.h"

#include <libavutil/frame.h>

static void change_note(struct change *c, const struct picture_look *look, int64_t pts)
{
    if (c->n++ > 0)
        return;
    c->first = pts;
    c->look = *look;
}

static void captions_note(struct changes *c, const AVFrame *f)
{
    const AVFrameSideData *d = av_frame_get_side_data(f, AV_FRAME_DATA_A53_CC);
    uint8_t own[3];

    for (size_t i = 0; d && !c->captions && i + 3 <= d->size; i += 3)
        c->captions = cc_channel_of(&c->channels, d->data + i, own) >= 0 && cc_is_letter(own);
}

void changes_note(struct changes *c, const struct picture_look *look, const AVFrame *f)
{
    if (look->reshaped)
        change_note(&c->shape, look, f->pts);
    if (look->recolored)
        change_note(&c->color, look, f->pts);
    captions_note(c, f);
}

/* Seconds since the first picture. */
static double time_of(const struct change *c, const struct video_info *v)
{
    return (double)(c->first - v->start) * av_q2d(v->tb);
}

static int tell_shape(const struct change *c, const struct task *t, struct task_result *res)
{
    const struct video_info *v = &t->info.video;
    const struct fit_shape *s = &c->look.shape;
    char turned[32] = "";

    if (!s->rotation && !s->hflip && (v->rotation || v->hflip))
        (void)snprintf(turned, sizeof(turned), ", not turned");
    else if (s->rotation != v->rotation || s->hflip != v->hflip)
        (void)snprintf(turned, sizeof(turned), ", turned by %d%s", s->rotation,
                       s->hflip ? " and mirrored" : "");
    return encode_warn(res,
                       "chunk %u: %llu pictures from %.3f s on have another shape (%dx%d, pixels "
                       "of %d:%d%s); they are fitted into the first one, %dx%d",
                       t->chunk.index, (unsigned long long)c->n, time_of(c, v), s->width, s->height,
                       s->sar.num, s->sar.den, turned, v->width, v->height);
}

static int tell_color(const struct change *c, const struct task *t, struct task_result *res)
{
    const struct video_info *v = &t->info.video;
    char now[96], first[96];

    return encode_warn(res,
                       "chunk %u: %llu pictures from %.3f s on have other colours (%s); they are "
                       "converted to those of the first ones (%s)",
                       t->chunk.index, (unsigned long long)c->n, time_of(c, v),
                       colors_text(&c->look.color, now, sizeof(now)),
                       colors_text(&v->color, first, sizeof(first)));
}

/* Of an MP4 the planner looks at some samples only (media/captions.h). */
static int tell_captions(const struct task *t, struct task_result *res)
{
    for (size_t i = 0; i < t->info.n_texts; i++)
        if (t->info.texts[i].captions && t->info.texts[i].stream == t->info.video.stream)
            return 0;
    return encode_warn(res, "the captions in its pictures are left out: none of those that were "
                            "looked at for the plan has any");
}

int changes_tell(const struct changes *c, const struct task *t, struct task_result *res)
{
    int r = c->shape.n > 0 ? tell_shape(&c->shape, t, res) : 0;

    if (r == 0 && c->color.n > 0)
        r = tell_color(&c->color, t, res);
    return r == 0 && c->captions ? tell_captions(t, res) : r;
}
