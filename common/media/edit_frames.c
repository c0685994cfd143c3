#include "edit_frames.h"

#include "../base/cleanup.h"
#include "../base/latest.h"
#include "../wire/media_info.h"

#include <errno.h>
#include <libavutil/common.h>
#include <libavutil/mathematics.h>
#include <stdlib.h>

struct picture {
    int64_t pts; /* media time; first (latest.h) */
    size_t packet;
};

struct frames {
    const struct media_info *info;
    struct picture *pics; /* in the order of their times, no two alike */
    size_t n_pics;
    int64_t media_end;
    struct edit_frame *list;
    size_t n, room;
    int64_t end;
};

int64_t edit_ticks(const struct media_info *info, int64_t at)
{
    return av_rescale_q(at, (AVRational){ 1, (int)info->edit_scale }, info->video.tb);
}

static int picture_order(const void *a, const void *b)
{
    const struct picture *x = a, *y = b;

    if (x->pts != y->pts)
        return x->pts < y->pts ? -1 : 1;
    return x->packet < y->packet ? -1 : x->packet > y->packet;
}

static int pictures_collect(struct frames *f, const struct media_index *idx)
{
    size_t n = 0, m = 0;

    f->pics = calloc(idx->n ? idx->n : 1, sizeof(*f->pics));
    if (!f->pics)
        return -ENOMEM;
    for (size_t i = 0; i < idx->n; i++)
        if (idx->packets[i].pts != INT64_MIN && !(idx->packets[i].flags & PACKET_HIDDEN))
            f->pics[n++] = (struct picture){ idx->packets[i].pts, i };
    qsort(f->pics, n, sizeof(*f->pics), picture_order);
    for (size_t i = 0; i < n; i++)
        if (m == 0 || f->pics[i].pts != f->pics[m - 1].pts)
            f->pics[m++] = f->pics[i];
    f->n_pics = m;
    if (m == 0)
        return 0;
    const struct index_packet *last = &idx->packets[f->pics[m - 1].packet];
    int64_t step = m > 1 ? f->pics[m - 1].pts - f->pics[m - 2].pts : 1;
    f->media_end = av_sat_add64(last->pts, last->duration > 0 ? last->duration : step);
    return 0;
}

/* Times that are no later than the last are over before they begin. */
static int frame_add(struct frames *f, int64_t pts, size_t packet)
{
    if (f->n > 0 && pts <= f->list[f->n - 1].pts)
        return 0;
    if (f->n == f->room) {
        size_t room = f->room ? 2 * f->room : 1024;
        struct edit_frame *grown = room <= 2 * (size_t)EDIT_FRAMES_MAX
                                       ? reallocarray(f->list, room, sizeof(*grown))
                                       : NULL;
        if (!grown)
            return room <= 2 * (size_t)EDIT_FRAMES_MAX ? -ENOMEM : -E2BIG;
        f->list = grown;
        f->room = room;
    }
    f->list[f->n++] = (struct edit_frame){ pts, packet };
    return f->n > EDIT_FRAMES_MAX ? -E2BIG : 0;
}

/* The picture that is shown at that media time; the first one before it begins. */
static size_t picture_at(const struct frames *f, int64_t media)
{
    return latest_at(f->pics, f->n_pics, sizeof(*f->pics), media);
}

/* The first picture of an edit. What was shown before it may be the same one, which goes on. */
static int first_add(struct frames *f, int64_t pts, size_t packet)
{
    return f->n > 0 && f->list[f->n - 1].packet == packet ? 0 : frame_add(f, pts, packet);
}

static int hold(struct frames *f, size_t packet, int64_t from, int64_t to)
{
    AVRational tb = f->info->video.tb;
    int64_t second = FFMAX(av_rescale(1, tb.den, tb.num), 1);
    int r = first_add(f, from, packet);

    for (int64_t t = from; r == 0 && to - t > second;) {
        t += second;
        r = frame_add(f, t, packet);
    }
    return r;
}

static int play(struct frames *f, const struct edit *e, int64_t from, int64_t to)
{
    size_t first = picture_at(f, e->media);
    int r = 0;

    for (size_t i = first; r == 0 && i < f->n_pics; i++) {
        int64_t since = av_sat_sub64(f->pics[i].pts, e->media);
        if (since <= 0) {
            r = first_add(f, from, f->pics[i].packet);
            continue;
        }
        if (e->rate != EDIT_RATE_ONE)
            since = av_rescale(since, EDIT_RATE_ONE, e->rate);
        if (since >= to - from)
            break;
        r = frame_add(f, from + since, f->pics[i].packet);
    }
    return r;
}

/* Where nothing is to be shown for long, what was shown last is held, too. */
static int gap_hold(struct frames *f, int64_t to)
{
    const struct edit_frame *last = f->n > 0 ? &f->list[f->n - 1] : NULL;

    return last && to > f->end ? hold(f, last->packet, f->end, to) : 0;
}

static int edit_add(struct frames *f, const struct edit *e)
{
    int64_t from = edit_ticks(f->info, e->start), to = edit_ticks(f->info, e->start + e->length);
    int64_t lasts = to - from;

    if (to <= from || e->media >= f->media_end)
        return 0;
    int r = gap_hold(f, from);
    if (r < 0)
        return r;
    if (e->rate == 0) {
        f->end = to;
        return hold(f, f->pics[picture_at(f, e->media)].packet, from, to);
    }
    /* Where media ends before, so does what is shown, unless something comes after. */
    int64_t left = av_rescale(av_sat_sub64(f->media_end, e->media), EDIT_RATE_ONE, e->rate);
    f->end = from + FFMIN(lasts, FFMAX(left, 1));
    return play(f, e, from, to);
}

int edit_frames(const struct media_info *info, const struct media_index *idx,
                struct edit_frame **ret, size_t *ret_n, int64_t *ret_end)
{
    struct frames f = { .info = info };
    int r = pictures_collect(&f, idx);

    for (size_t i = 0; r == 0 && f.n_pics > 0 && i < info->n_edits; i++)
        if (info->edits[i].stream == info->video.stream)
            r = edit_add(&f, &info->edits[i]);
    free(f.pics);
    if (r < 0) {
        free(f.list);
        return r;
    }
    *ret = f.list;
    *ret_n = f.n;
    *ret_end = f.end;
    return 0;
}
