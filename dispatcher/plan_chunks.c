/* How a timeline is cut into chunks.
 *
 * Slots take chunks in order, so the last ones decide how long the fast
 * slots wait for the slow: chunks begin large and shrink (guided
 * self-scheduling). How large and how fast is found by trying a handful of
 * sizings and playing each through on the slots, with costs as predicted
 * and with costs that were mispredicted, start-up and pre-roll included.
 */
#include "plan_parts.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_MAX_S    60.0
#define ONE_SLOT_MAX_S 30.0
#define TASK_MAX_CORE  600.0 /* core-seconds, predicted */
#define TASK_START     0.15  /* core-seconds that a task costs before its first frame */
#define CHUNKS_WANTED  50000 /* at most, as far as the rules below decide */
#define SHORT_S        600.0 /* up to here, cuts between keyframes are tried as well */
#define EARLY_MAX      1.5   /* segments that an early first chunk may have */

struct sizing {
    double divisor; /* guided: what is left / divisor; 0: min all along */
    double min, max, rounding;
    int anywhere; /* don't look for keyframes: what comes before is decoded for nothing */
};

static double max_cost(const struct load *load)
{
    double most = 0;

    for (size_t i = 0; i < load->n_groups; i++)
        most = fmax(most, load->group_cost[i]);
    return most;
}

/* The keyframe cut nearest to `s` with a start in `from` to `to`; 0: none. */
static size_t key_cut_near(const struct timeline *t, double s, double from, double to)
{
    size_t a = 0, b = t->n_key_cuts, best = 0;

    while (a < b) {
        size_t mid = a + (b - a) / 2;
        if (cut_time(t, t->key_cuts[mid]) < s)
            a = mid + 1;
        else
            b = mid;
    }
    if (a < t->n_key_cuts && cut_time(t, t->key_cuts[a]) <= to)
        best = t->key_cuts[a];
    if (a > 0) {
        double before = cut_time(t, t->key_cuts[a - 1]);
        if (before >= from && (!best || s - before <= cut_time(t, best) - s))
            best = t->key_cuts[a - 1];
    }
    return best;
}

static double size_next(const struct sizing *s, double left)
{
    double size = s->divisor > 0 ? left / s->divisor : s->min;

    size = fmin(fmax(size, s->min), s->max);
    if (s->rounding > 0 && size > s->rounding)
        size = floor(size / s->rounding + 0.25) * s->rounding;
    return fmin(size, s->max);
}

/* Where the chunk that starts at cut `lo` ends. At a keyframe, unless there
 * is none between half and twice the wanted size; not so that less than a
 * GOP is left over. */
static size_t chunk_end(const struct timeline *t, const struct sizing *s, double gop_s, size_t lo)
{
    double from = cut_time(t, lo), left = cut_time(t, t->n_cuts) - from;
    double size = size_next(s, left);
    size_t end = 0;

    if (left - size < fmax(gop_s, size / 4)) {
        if (left <= fmax(s->max, size * 1.25))
            return t->n_cuts;
        size = left / 2;
    }
    if (!s->anywhere)
        end = key_cut_near(t, from + size, from + size / 2,
                           from + fmin(2 * size, fmax(s->max, size)));
    if (end <= lo)
        end = cut_near(t, from + size, lo, t->n_cuts);
    if (end < t->n_cuts && cut_time(t, t->n_cuts) - cut_time(t, end) < gop_s)
        end = left <= fmax(s->max, 2 * gop_s) ? t->n_cuts
                                              : cut_near(t, from + left / 2, lo, t->n_cuts);
    return end;
}

/* Where the first chunk ends if it is to be done soon: at the keyframe
 * nearest to one segment, else at any frame there, for decoding that little
 * twice costs nothing much. 0: what is there is hardly more than that. */
static size_t early_end(const struct timeline *t, const struct targets *want)
{
    double s = want->segment_s;
    size_t end = 0;

    if (!want->early || cut_time(t, t->n_cuts) < 2 * s)
        return 0;
    end = key_cut_near(t, s, s / 2, s * EARLY_MAX);
    if (!end)
        end = cut_near(t, s, 0, t->n_cuts);
    return end < t->n_cuts ? end : 0;
}

static int chunks_by_size(const struct timeline *t, const struct targets *want,
                          const struct sizing *s, struct cut_list *ret)
{
    size_t lo = 0, early = early_end(t, want);

    for (ret->n = 0; lo < t->n_cuts;) {
        size_t end = chunk_end(t, s, want->gop_s, lo);
        if (cut_list_add(ret, lo) < 0)
            return -ENOMEM;
        if (lo == 0 && early && cut_time(t, end) > want->segment_s * EARLY_MAX)
            end = early;
        lo = end;
    }
    return 0;
}

/* Exactly `count` chunks, or one a cut where there are fewer. */
static int chunks_by_count(const struct timeline *t, size_t count, struct cut_list *ret)
{
    size_t n = count < t->n_cuts ? count : t->n_cuts, last = 0;
    double step = cut_time(t, t->n_cuts) / (double)n;

    if (cut_list_add(ret, 0) < 0)
        return -ENOMEM;
    for (size_t i = 1; i < n; i++) {
        double s = step * (double)i;
        size_t limit = t->n_cuts - (n - i) + 1; /* leaves a cut for each to come */
        size_t cut = key_cut_near(t, s, s - step / 2, s + step / 2);
        if (cut <= last || cut >= limit)
            cut = cut_near(t, s, last, limit);
        if (cut_list_add(ret, cut) < 0)
            return -ENOMEM;
        last = cut;
    }
    return 0;
}

/* How wrong a prediction may be: what is dear to encode changes along a
 * video, in waves of a few lengths. Pattern 0: right everywhere. */
static const struct wave {
    double swing, turns, phase; /* turns over the whole timeline */
} waves[] = {
    {0,     1,   0   },
    { 0.35, 0.5, 1.57},
    { 0.35, 0.5, 4.71},
    { 0.35, 1,   0   },
    { 0.35, 1.7, 3.1 },
    { 0.35, 2.9, 1   },
    { 0.35, 5.3, 5   },
};
enum { WAVES = sizeof(waves) / sizeof(*waves) };

/* The mean of 1 + swing * sin(turns * 2 pi * x + phase) over a..b, which are
 * parts of the timeline. */
static double wave_mean(const struct wave *w, double a, double b)
{
    double turn = w->turns * 2 * M_PI, width = turn * (b - a);

    if (width < 1e-9)
        return 1;
    return 1 + w->swing * (cos(turn * a + w->phase) - cos(turn * b + w->phase)) / width;
}

/* Give the slot that is free first `cost` more to do: heap[0] is that slot,
 * no parent above its children. */
static void slot_load(double *heap, size_t n, double cost)
{
    double busy = heap[0] + cost;
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= n)
            break;
        if (child + 1 < n && heap[child + 1] < heap[child])
            child++;
        if (heap[child] >= busy)
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = busy;
}

/* Seconds from the keyframe before a cut to it: decoded for nothing. */
static double preroll(const struct timeline *t, size_t cut, size_t *at)
{
    while (*at < t->n_key_cuts && t->key_cuts[*at] <= cut)
        ++*at;
    return cut_time(t, cut) - (*at > 0 ? cut_time(t, t->key_cuts[*at - 1]) : 0);
}

/* When the last slot is done, in seconds. */
static double play(const struct timeline *t, const struct load *load, const struct cut_list *c,
                   const struct wave *w, double *slots, size_t n_slots)
{
    double last = 0, length = cut_time(t, t->n_cuts);
    size_t at = 0;

    memset(slots, 0, n_slots * sizeof(*slots));
    for (size_t a = 0; a < load->n_audio; a++)
        if (load->audio_cost[a] > 0)
            slot_load(slots, n_slots, load->audio_cost[a] + TASK_START);
    for (size_t i = 0; i < c->n; i++) {
        size_t hi = i + 1 < c->n ? c->cuts[i + 1] : t->n_cuts;
        double from = cut_time(t, c->cuts[i]), to = cut_time(t, hi);
        double lost = TASK_START + preroll(t, c->cuts[i], &at) * load->decode_cost;
        double work = (to - from) * wave_mean(w, from / length, to / length);
        for (size_t g = 0; g < load->n_groups; g++)
            slot_load(slots, n_slots, lost + work * load->group_cost[g]);
    }
    for (size_t i = 0; i < n_slots; i++)
        last = fmax(last, slots[i]);
    return last;
}

/* When the last slot is done: if all goes as predicted, and on average if not. */
static double score(const struct timeline *t, const struct load *load, const struct cut_list *c,
                    double *slots, size_t n_slots)
{
    double sum = 0;

    for (size_t i = 1; i < WAVES; i++)
        sum += play(t, load, c, &waves[i], slots, n_slots) / (WAVES - 1);
    return sum + play(t, load, c, &waves[0], slots, n_slots);
}

/* The sizings worth trying; returns how many. */
enum { SIZINGS_MAX = 64 };
static size_t sizings(const struct targets *want, double length, double max, struct sizing *ret)
{
    const double divisors[] = { 1, 1.25, 1.5, 2, 2.5, 3, 4 };
    double slots = want->slots, least = length / CHUNKS_WANTED;
    double mins[] = { want->segment_s, 2 * want->gop_s, want->gop_s };
    size_t n = 0, n_mins = length < 4 * want->gop_s * slots ? 3 : 2;

    for (double rounds = 1; rounds <= 6; rounds++) {
        double size = fmax(length / (slots * rounds), fmin(want->gop_s, max));
        ret[n++] = (struct sizing){ 0, fmax(fmin(size, max), least), fmax(max, least), 0 };
    }
    for (size_t m = 0; m < 2 * n_mins; m++) {
        double min = fmax(fmin(mins[m / 2], max), least);
        double rounding = m % 2 ? want->gop_s : want->segment_s;
        for (size_t d = 0; d < sizeof(divisors) / sizeof(*divisors); d++)
            ret[n++] = (struct sizing){ divisors[d] * slots, min, fmax(max, least), rounding };
    }
    return n;
}

static int chunks_by_trial(const struct timeline *t, const struct targets *want,
                           const struct load *load, double max, struct cut_list *ret)
{
    struct sizing tries[SIZINGS_MAX];
    double length = cut_time(t, t->n_cuts);
    size_t n = sizings(want, length, max, tries);
    double *slots = calloc(want->slots, sizeof(*slots)), best = INFINITY;
    struct cut_list list = { 0 };
    int r = slots ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < (length <= SHORT_S ? 2 * n : n); i++) {
        tries[i % n].anywhere = i >= n;
        r = chunks_by_size(t, want, &tries[i % n], &list);
        double is = r == 0 ? score(t, load, &list, slots, want->slots) : INFINITY;
        /* Those at keyframes, and of these the large, come first: what comes
         * later must be worth it. */
        if (is < best * (i < n ? 0.999 : 0.99)) {
            struct cut_list swap = *ret;
            best = is;
            *ret = list;
            list = swap;
        }
    }
    free(slots);
    free(list.cuts);
    return r;
}

static int chunks_choose(const struct timeline *t, const struct targets *want,
                         const struct load *load, struct cut_list *ret)
{
    double length = cut_time(t, t->n_cuts), cost = max_cost(load);
    double max = fmax(fmin(CHUNK_MAX_S, cost > 0 ? TASK_MAX_CORE / cost : CHUNK_MAX_S),
                      want->gop_s);

    if (want->chunk_count > 0)
        return chunks_by_count(t, want->chunk_count, ret);
    if (want->chunk_s > 0) {
        double size = fmax(want->chunk_s, length / CHUNKS_WANTED);
        struct sizing s = { 0, size, 1.5 * size, 0 };
        return chunks_by_size(t, want, &s, ret);
    }
    if (want->slots == 1) {
        double limit = fmax(fmin(max, ONE_SLOT_MAX_S), length / CHUNKS_WANTED);
        length -= cut_time(t, early_end(t, want));
        double size = length / ceil(length / limit);
        double rounded = ceil(size / want->segment_s) * want->segment_s;
        struct sizing s = { 0, rounded <= limit ? rounded : size, limit, 0 };
        return chunks_by_size(t, want, &s, ret);
    }
    return chunks_by_trial(t, want, load, max, ret);
}

int chunk_cuts(const struct timeline *t, const struct targets *want, const struct load *load,
               size_t **ret, size_t *ret_n)
{
    struct cut_list list = { 0 };
    struct timeline weighed = *t; /* its arrays are borrowed */

    /* Who asks for chunks of a length, or for so many, means what is played. */
    weighed.by_work = !(want->chunk_s > 0) && want->chunk_count == 0;
    int r = chunks_choose(&weighed, want, load, &list);

    if (r < 0) {
        free(list.cuts);
        return r;
    }
    *ret = list.cuts;
    *ret_n = list.n;
    return 0;
}
