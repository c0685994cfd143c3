#include "spans.h"

#include <errno.h>
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
