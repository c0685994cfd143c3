#include "limiter.h"

#include <math.h>
#include <stdlib.h>

enum {
    AHEAD_US = 5000,
    RELEASE_MS = 80, /* to come back by two thirds */
};

/* A sample leaves `ahead` - 1 samples after it came. Its factor is the mean of
 * the last `ahead` envelopes, each of which is at most what any of the
 * `ahead` samples before it needs: so it is low enough when the sample leaves. */
struct limiter {
    int channels, planar, ahead;
    double ceiling, release;
    float *held;       /* `ahead` samples of all channels, a ring */
    double *need;      /* of the same samples: the factor that each needs */
    double *envelopes; /* the last `ahead` */
    int *least;        /* places in `need` that may become the least, rising; a ring */
    int first, n_least;
    int64_t in, out;
    double envelope, sum;
    int below; /* how many of the envelopes are below 1 */
};

struct limiter *limiter_new(int channels, int planar, int rate, double ceiling)
{
    struct limiter *l = calloc(1, sizeof(*l));

    if (!l)
        return NULL;
    l->ahead = (int)((int64_t)rate * AHEAD_US / 1000000) + 1;
    l->channels = channels;
    l->planar = planar;
    l->ceiling = ceiling;
    l->release = 1 - exp(-1000.0 / RELEASE_MS / rate);
    l->held = calloc((size_t)l->ahead * (size_t)channels, sizeof(*l->held));
    l->need = calloc((size_t)l->ahead, sizeof(*l->need));
    l->envelopes = calloc((size_t)l->ahead, sizeof(*l->envelopes));
    l->least = calloc((size_t)l->ahead, sizeof(*l->least));
    if (!l->held || !l->need || !l->envelopes || !l->least) {
        limiter_free(l);
        return NULL;
    }
    for (int i = 0; i < l->ahead; i++)
        l->envelopes[i] = 1;
    l->envelope = 1;
    l->sum = l->ahead;
    return l;
}

void limiter_free(struct limiter *l)
{
    if (!l)
        return;
    free(l->held);
    free(l->need);
    free(l->envelopes);
    free(l->least);
    free(l);
}

int limiter_delay(const struct limiter *l)
{
    return l->ahead;
}

static float *sample(const struct limiter *l, uint8_t **data, int i, int c)
{
    float *plane = (float *)(void *)data[l->planar ? c : 0];
    return l->planar ? &plane[i] : &plane[i * l->channels + c];
}

/* The least factor that one of the last `ahead` samples needs, with that at
 * place `at`, which is new (and takes the place of the oldest). */
static double least_need(struct limiter *l, int at)
{
    if (l->n_least > 0 && l->least[l->first] == at) {
        l->first = (l->first + 1) % l->ahead;
        l->n_least--;
    }
    while (l->n_least > 0 &&
           l->need[l->least[(l->first + l->n_least - 1) % l->ahead]] >= l->need[at])
        l->n_least--;
    l->least[(l->first + l->n_least++) % l->ahead] = at;
    return l->need[l->least[l->first]];
}

/* The factor of the sample that leaves now. */
static double next_factor(struct limiter *l, int at)
{
    double need = least_need(l, at), up = l->envelope + (1 - l->envelope) * l->release;
    double *oldest = &l->envelopes[at];

    if (up > 1 - 1e-4) /* nobody hears that it is 1 now, and what follows untouched */
        up = 1;
    l->envelope = need < up ? need : up;
    l->below += (l->envelope < 1) - (*oldest < 1);
    l->sum += l->envelope - *oldest;
    *oldest = l->envelope;
    if (l->below == 0)
        l->sum = l->ahead;
    return l->sum / l->ahead;
}

/* One sample comes (`i`), one leaves (to `o`) if there are enough. */
static int step(struct limiter *l, uint8_t **data, int i, int o, double need)
{
    int at = (int)(l->in++ % l->ahead);
    float *held = &l->held[(size_t)at * (size_t)l->channels];

    for (int c = 0; i >= 0 && c < l->channels; c++)
        held[c] = *sample(l, data, i, c);
    l->need[at] = need;
    double factor = next_factor(l, at);
    if (l->in - l->out < l->ahead)
        return 0;
    const float *leaves = &l->held[(size_t)(l->out++ % l->ahead) * (size_t)l->channels];
    for (int c = 0; c < l->channels; c++)
        *sample(l, data, o, c) = l->below ? (float)(leaves[c] * factor) : leaves[c];
    return 1;
}

int limiter_run(struct limiter *l, uint8_t **data, int n, int active)
{
    int out = 0;

    for (int i = 0; i < n; i++) {
        double peak = 0;
        for (int c = 0; c < l->channels && active; c++)
            peak = fmax(peak, fabs((double)*sample(l, data, i, c)));
        out += step(l, data, i, out, peak > l->ceiling ? l->ceiling / peak : 1);
    }
    return out;
}

int limiter_flush(struct limiter *l, uint8_t **data)
{
    int64_t end = l->in;
    int out = 0;

    while (l->out < end)
        out += step(l, data, -1, out, 1);
    return out;
}
