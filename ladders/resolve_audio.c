/* resolve_audio.c - the audio rungs of a ladder for each track of a source. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoder.h"
#include "resolve.h"

enum { SUFFIX_MAX = 24 };

#define TRUE_PEAK (-1.0) /* dB of full scale, where a ladder doesn't say */

/* The largest layout that is offered, not larger than the source's. */
static int channels_for(int asked, int source)
{
    static const int offered[] = { 8, 6, 2, 1 };
    int most = source > 0 && source < asked ? source : asked;
    for (size_t i = 0; i < 4; i++)
        if (offered[i] <= most)
            return offered[i];
    return 1;
}

/* 44.1 kHz and its halves stay in their family: no resampling, no drift. */
static int sample_rate_for(const struct rung *g, int source)
{
    if (g->sample_rate)
        return g->sample_rate;
    return g->codec == CODEC_AAC && source > 0 && source % 11025 == 0 ? 44100 : 48000;
}

/* Of a studio's many channels whose places nobody knows, two are mixed in
 * (worker/sound.h). */
static int channels_of(const struct audio_info *a)
{
    const char *unknown = strstr(a->layout, " channels");
    return a->channels > 8 && unknown && !unknown[9] ? 2 : a->channels;
}

int rung_resolve_audio(const struct rung *g, const struct audio_info *a, struct rendition *r)
{
    r->kind = MEDIA_AUDIO;
    r->channels = channels_for(g->channels, channels_of(a));
    r->sample_rate = sample_rate_for(g, a->sample_rate);
    /* Fewer channels than asked for need fewer bits. */
    r->bit_rate = g->bitrate * r->channels / g->channels;
    if (r->bit_rate < 16000)
        r->bit_rate = 16000;
    (void)snprintf(r->layout, sizeof(r->layout), "%s",
                   r->channels == 8   ? "7.1"
                   : r->channels == 6 ? "5.1"
                   : r->channels == 2 ? "stereo"
                                      : "mono");
    r->grid = (struct frame_grid){
        {0,  1},
        { 0, 1}
    };
    r->sar = (AVRational){ 1, 1 };
    r->rate = (AVRational){ 0, 1 };
    r->threads = 1;
    r->cost = AUDIO_COST_A_CHANNEL * r->channels;
    if (g->loudness < 0) {
        r->loudness = g->loudness;
        r->true_peak = g->true_peak <= 0 ? g->true_peak : TRUE_PEAK;
        r->cost += LOUDNESS_COST_A_CHANNEL * r->channels;
    }
    r->memory_bytes = AUDIO_MEMORY_BYTES;
    r->name = strdup(g->name);
    r->codec = strdup(codec_name(g->codec));
    r->encoder = strdup(g->encoder->name);
    if (r->name && r->codec && r->encoder)
        return 0;
    rendition_release(r);
    return -ENOMEM;
}

/* ---- tracks ---- */

/* How many of the source's sound tracks come before this one in its file. */
static unsigned place_of(const struct media_info *src, const struct audio_info *a)
{
    unsigned n = 0;

    for (size_t t = 0; media_audio(src, t); t++)
        n += media_audio(src, t)->stream < a->stream;
    return n;
}

/* The language, as a part of a folder's name; else the track's number. */
static void suffix_of(const struct media_info *src, const struct audio_info *a,
                      char ret[SUFFIX_MAX])
{
    size_t n = 0;

    for (const char *c = a->language; *c && n < SUFFIX_MAX - 1; c++) {
        char low = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
        if ((low >= 'a' && low <= 'z') || (low >= '0' && low <= '9') || (low == '-' && n > 0))
            ret[n++] = low;
    }
    while (n > 0 && ret[n - 1] == '-')
        n--;
    ret[n] = '\0';
    if (n == 0)
        (void)snprintf(ret, SUFFIX_MAX, "%u", place_of(src, a) + 1);
}

static int is_taken(const struct ladder *l, const struct rendition *out, size_t n, const char *name)
{
    for (size_t i = 0; i < l->n_rungs; i++)
        if (strcmp(l->rungs[i].name, name) == 0)
            return 1;
    for (size_t i = 0; i < n; i++)
        if (strcmp(out[i].name, name) == 0)
            return 1;
    return 0;
}

/* Instead of its rung's name, one that nobody else has. */
static int rename_track(const struct ladder *l, const struct media_info *src,
                        const struct audio_info *a, struct rendition *out, size_t n)
{
    struct rendition *r = &out[n];
    char suffix[SUFFIX_MAX], name[RUNG_NAME_MAX + SUFFIX_MAX + 16];

    suffix_of(src, a, suffix);
    (void)snprintf(name, sizeof(name), "%s-%s", r->name, suffix);
    for (unsigned k = 2; is_taken(l, out, n, name); k++)
        (void)snprintf(name, sizeof(name), "%s-%s-%u", r->name, suffix, k);
    r->rung = r->name;
    r->name = strdup(name);
    return r->name ? 0 : -ENOMEM;
}

static int resolve_track(const struct ladder *l, const struct media_info *src, unsigned track,
                         struct rendition *out, size_t *n)
{
    const struct audio_info *a = media_audio(src, track);

    for (size_t i = l->n_video; i < l->n_rungs; i++) {
        struct rendition *r = &out[*n];
        int e = rung_resolve_audio(&l->rungs[i], a, r);
        if (e < 0)
            return e;
        r->track = track;
        if (track > 0 && (e = rename_track(l, src, a, out, *n)) < 0) {
            rendition_release(r);
            return e;
        }
        ++*n;
    }
    return 0;
}

int resolve_audio(const struct ladder *l, const struct media_info *src, struct rendition *out,
                  size_t *n)
{
    size_t rungs = l->n_rungs - l->n_video;

    for (unsigned t = 0; rungs > 0 && media_audio(src, t) && *n + rungs <= RENDITIONS_MAX; t++) {
        int e = l->default_track && t > 0 ? 0 : resolve_track(l, src, t, out, n);
        if (e < 0)
            return e;
    }
    return 0;
}
