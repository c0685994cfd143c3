#include "held.h"

#include <errno.h>
#include <libavutil/common.h>

int held_add(struct held *h, const AVFrame *f, int64_t off)
{
    AVFrame *copy = av_frame_clone(f);

    if (!copy)
        return -ENOMEM;
    h->f[h->n] = copy;
    h->off[h->n++] = off;
    h->samples += f->nb_samples;
    return 0;
}

int held_may(int64_t off, int n_samples, int rate)
{
    int64_t size = FFABS(off);

    return off != 0 && size <= (int64_t)HELD_FRAMES * n_samples &&
           size <= (int64_t)rate * HELD_MS / 1000;
}

int held_agrees(const struct held *h, int64_t off)
{
    return off != 0 && (h->n == 0 || (h->off[0] < 0) == (off < 0));
}

int64_t held_off(const struct held *h)
{
    int64_t least = h->n > 0 ? h->off[0] : 0;

    for (size_t i = 1; i < h->n; i++)
        if (FFABS(h->off[i]) < FFABS(least))
            least = h->off[i];
    return least;
}

void held_clear(struct held *h)
{
    for (size_t i = 0; i < h->n; i++)
        av_frame_free(&h->f[i]);
    *h = (struct held){ 0 };
}
