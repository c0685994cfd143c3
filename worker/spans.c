#include "spans.h"

#include <errno.h>
#include <libavutil/common.h>
#include <libavutil/mathematics.h>
#include <stdlib.h>

int spans_enter(struct spans *s, size_t at)
{
    const struct chunk_span *k = &s->chunk->spans[at];

    spans_release(s);
    s->media = calloc(k->media.n_frames + 1, sizeof(*s->media));
    s->shown = calloc(k->shown.n_frames + 1, sizeof(*s->shown));
    if (!s->media || !s->shown) {
        spans_release(s);
        return -ENOMEM;
    }
    pts_list_expand(&k->media, s->media);
    pts_list_expand(&k->shown, s->shown);
    s->n_media = k->media.n_frames;
    s->n_shown = k->shown.n_frames;
    s->at = at;
    return 0;
}

void spans_release(struct spans *s)
{
    free(s->media);
    free(s->shown);
    s->media = s->shown = NULL;
    s->n_media = s->n_shown = 0;
}

size_t spans_shown(const struct spans *s, int64_t media, const int64_t **ret)
{
    size_t a = 0, b = s->n_media;

    while (a < b) {
        size_t mid = a + (b - a) / 2;
        if (s->media[mid] < media)
            a = mid + 1;
        else
            b = mid;
    }
    if (a == s->n_media || s->media[a] != media)
        return 0;
    *ret = &s->shown[a];
    return s->n_media < s->n_shown ? s->n_shown : 1;
}

int cue_edit(const struct edit *e, AVRational scale, AVRational tb, int64_t from, int64_t to,
             int64_t *ret_start, int64_t *ret_end)
{
    if (e->rate == 0) {
        *ret_start = e->start;
        *ret_end = e->start + e->length;
        return from <= e->media && e->media < to;
    }
    int64_t start = av_rescale_q(av_sat_sub64(from, e->media), tb, scale);
    int64_t end = av_rescale_q(av_sat_sub64(to, e->media), tb, scale);
    if (e->rate != EDIT_RATE_ONE) {
        start = av_rescale(start, EDIT_RATE_ONE, e->rate);
        end = av_rescale(end, EDIT_RATE_ONE, e->rate);
    }
    start = av_clip64(start, 0, e->length);
    end = av_clip64(end, 0, e->length);
    *ret_start = e->start + start;
    *ret_end = e->start + end;
    return end > start;
}
