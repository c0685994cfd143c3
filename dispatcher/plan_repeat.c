/* Where sound goes on without a picture, the last one is repeated, and the first one where sound
 * begins before it: players wait for ever at a hole in a buffer. */
#include "plan_parts.h"
#include <errno.h>
#include <libavutil/mathematics.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Three a segment: there are places to cut at, and rate controls that count frames and not their
 * time still have some beside each keyframe. */
#define REPEATS_A_SEGMENT 3.0
#define REPEAT_LONGEST    2.0 /* seconds */
#define REPEAT_WORK \
    0.04 /* seconds of a picture that moves, at 25 a second, that are as dear as one */
enum { REPEATS_MAX = 200000 }; /* 111 hours; then they lie further apart */

/* Where frames stand that share `length` evenly: number `i` of `n`. */
static int64_t place(int64_t length, size_t i, size_t n)
{
    return av_rescale(length, (int64_t)i, (int64_t)n);
}

/* How many fill `length`; 0: it is short, or can't be. */
static size_t repeats(const struct timeline *t, double segment_s, int64_t length)
{
    double s = (double)length * av_q2d(t->tb);

    if (!(s > REPEAT_LEAST) || s > TIMELINE_MAX)
        return 0;
    double n = ceil(s / fmin(segment_s / REPEATS_A_SEGMENT, REPEAT_LONGEST));
    n = n < REPEATS_MAX ? n : REPEATS_MAX;
    return n < (double)length ? (size_t)n : 0;
}

int timeline_repeat(struct timeline *t, struct extent sound)
{
    int64_t first = t->frames[0].pts;
    size_t head = sound.start < first ? repeats(t, sound.segment_s, first - sound.start) : 0;
    size_t tail = sound.end > t->end ? repeats(t, sound.segment_s, sound.end - t->end) : 0;

    t->tail = t->n_frames;
    if (head + tail == 0)
        return 0;
    struct frame *f = reallocarray(t->frames, t->n_frames + head + tail, sizeof(*f));
    if (!f)
        return -ENOMEM;
    memmove(f + head, f, t->n_frames * sizeof(*f));
    t->frames = f;
    for (size_t i = 0; i < head; i++)
        f[i] = (struct frame){ sound.start + place(first - sound.start, i, head), f[head].packet };
    t->head = head;
    t->tail = t->n_frames += head;
    for (size_t i = 0; i < tail; i++)
        f[t->n_frames++] = (struct frame){ t->end + place(sound.end - t->end, i, tail),
                                           f[t->tail - 1].packet };
    t->end = tail ? sound.end : t->end;
    return 0;
}

int is_repeated(const struct timeline *t, size_t first, size_t end)
{
    return end > t->tail || first < t->head;
}

int is_still(const struct timeline *t, size_t first, size_t end)
{
    return first >= t->tail || end <= t->head;
}

double cut_work(const struct timeline *t, size_t cut)
{
    size_t frame = cut < t->n_cuts ? t->cuts[cut] : t->n_frames;
    int64_t begin = t->frames[t->head].pts;
    int64_t end = t->tail < t->n_frames ? t->frames[t->tail].pts : t->end;
    int64_t at = frame < t->n_frames ? t->frames[frame].pts : t->end;
    size_t still = frame < t->head ? frame : t->head;

    still += frame > t->tail ? frame - t->tail : 0;
    at = at < begin ? begin : at > end ? end : at;
    return (double)(at - begin) * av_q2d(t->tb) + REPEAT_WORK * (double)still;
}

int repeated_key_cuts(struct timeline *t)
{
    size_t i = t->n_cuts;

    while (i > 1 && t->cuts[i - 1] >= t->tail)
        i--;
    if (i == t->n_cuts)
        return 0;
    size_t *grown = reallocarray(t->key_cuts, t->n_key_cuts + t->n_cuts - i, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    t->key_cuts = grown;
    for (; i < t->n_cuts; i++)
        if (t->n_key_cuts == 0 || grown[t->n_key_cuts - 1] < i)
            grown[t->n_key_cuts++] = i;
    return 0;
}

static int info_warn(struct media_info *info, char *text)
{
    char **list = text ? reallocarray(info->warnings, info->n_warnings + 1, sizeof(*list)) : NULL;

    if (!list) {
        free(text);
        return -ENOMEM;
    }
    info->warnings = list;
    list[info->n_warnings++] = text;
    return 0;
}

int repeat_tell(const struct timeline *t, struct media_info *info)
{
    double tick = av_q2d(t->tb);
    char *text = NULL;
    int r = 0;

    if (t->head > 0) {
        double s = (double)(t->frames[t->head].pts - t->frames[0].pts) * tick;
        if (asprintf(&text,
                     "sound begins %.3f s before the picture: the first one is shown from then on",
                     s) < 0)
            text = NULL;
        r = info_warn(info, text);
    }
    if (r == 0 && t->tail < t->n_frames) {
        double s = (double)(t->end - t->frames[t->tail].pts) * tick;
        if (asprintf(&text, "sound goes on for %.3f s after the picture: the last one stays", s) <
            0)
            text = NULL;
        r = info_warn(info, text);
    }
    return r;
}
