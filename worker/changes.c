#include "changes.h"

#include "../common/wire/task.h"
#include "colors.h"
#include "encode.h"

static void change_note(struct change *c, const struct picture_look *look, int64_t pts)
{
    if (c->n++ > 0)
        return;
    c->first = pts;
    c->look = *look;
}

void changes_note(struct changes *c, const struct picture_look *look, int64_t pts)
{
    if (look->reshaped)
        change_note(&c->shape, look, pts);
    if (look->recolored)
        change_note(&c->color, look, pts);
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

int changes_tell(const struct changes *c, const struct task *t, struct task_result *res)
{
    int r = c->shape.n > 0 ? tell_shape(&c->shape, t, res) : 0;

    return r == 0 && c->color.n > 0 ? tell_color(&c->color, t, res) : r;
}
