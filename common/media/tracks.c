/* The choice of sound tracks: those that can be heard, the default one first. */
#include "tracks.h"

#include "../base/cleanup.h"
#include "index_build.h"
#include "open.h"
#include "probe.h"
#include "streams.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    TRIAL_PACKETS = 64,       /* of one track, without a frame: it can't be decoded */
    TRIAL_PACKETS_MAX = 4000, /* of all; who hasn't been heard by then begins late */
    TRIAL_BYTES_MAX = 8 << 20,
};

struct candidate {
    int stream;
    AVCodecContext *dec; /* NULL: decided */
    int fed, bad;
};

struct trial {
    struct candidate c[AUDIO_TRACKS_MAX];
    size_t n, open; /* open: not decided yet */
};

static int is_default(const struct media_source *s, int stream)
{
    return (s->fmt->streams[stream]->disposition & AV_DISPOSITION_DEFAULT) != 0;
}

static void decide(struct trial *t, struct candidate *c, int bad)
{
    avcodec_free_context(&c->dec);
    c->bad = bad;
    t->open--;
}

static void try_packet(struct trial *t, struct candidate *c, const AVPacket *pkt, AVFrame *f)
{
    (void)avcodec_send_packet(c->dec, pkt);
    int r = avcodec_receive_frame(c->dec, f);

    av_frame_unref(f);
    c->fed += !(pkt->flags & AV_PKT_FLAG_DISCARD); /* an edit list hides what it gives */
    if (r >= 0)
        decide(t, c, 0);
    else if (c->fed >= TRIAL_PACKETS)
        decide(t, c, 1);
}

static void decide_all(struct trial *t, int bad)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->c[i].dec)
            decide(t, &t->c[i], bad);
}

/* Until each has given a frame or had its chance. What can't be read is for
 * who reads it in earnest. */
static int run_trial(struct media_source *s, struct trial *t)
{
    AVPacket *pkt = av_packet_alloc();
    AVFrame *f = av_frame_alloc();
    int64_t bytes = 0;
    int r = pkt && f ? 0 : -ENOMEM;

    for (int n = 0; r == 0 && t->open > 0 && n < TRIAL_PACKETS_MAX && bytes < TRIAL_BYTES_MAX;
         n++) {
        int end = media_read(s, pkt, NULL);
        if (end < 0) {
            decide_all(t, end == AVERROR_EOF);
            break;
        }
        bytes += pkt->size;
        for (size_t i = 0; i < t->n; i++)
            if (t->c[i].dec && t->c[i].stream == pkt->stream_index)
                try_packet(t, &t->c[i], pkt, f);
        av_packet_unref(pkt);
    }
    av_packet_free(&pkt);
    av_frame_free(&f);
    return r;
}

/* Which of several can't be decoded. */
static int try_all(struct media_source *s, struct trial *t)
{
    for (size_t i = 0; i < t->n; i++) {
        struct candidate *c = &t->c[i];
        c->bad = media_decoder(s, c->stream, &c->dec, NULL) < 0;
        t->open += !c->bad;
    }
    int r = run_trial(s, t);
    decide_all(t, 0);
    return r;
}

static int leave_out_bad(const struct media_source *s, struct trial *t, struct media_info *i)
{
    size_t n = 0;
    int r = 0, good = 0;

    for (size_t k = 0; k < t->n; k++)
        good += !t->c[k].bad;
    if (good == 0) /* the encoder says why */
        return 0;
    for (size_t k = 0; k < t->n && r == 0; k++) {
        const struct candidate *c = &t->c[k];
        if (!c->bad)
            t->c[n++] = *c;
        else
            r = probe_warn(i, "audio stream %d (%s) can't be decoded and is left out", c->stream,
                           avcodec_get_name(s->fmt->streams[c->stream]->codecpar->codec_id));
    }
    t->n = n;
    return r;
}

static void tell(const struct media_source *s, int stream, struct audio_info *a)
{
    const AVStream *st = s->fmt->streams[stream];

    streams_audio(st, a);
    a->start = st->start_time == AV_NOPTS_VALUE ? 0 : st->start_time;
    a->end = a->start; /* not known yet */
}

static int take_all(const struct media_source *s, const struct trial *t, struct media_info *i)
{
    size_t first = 0;

    i->more_audio = calloc(t->n, sizeof(*i->more_audio));
    if (!i->more_audio)
        return -ENOMEM;
    while (first < t->n && !is_default(s, t->c[first].stream))
        first++;
    first = first < t->n ? first : 0;
    tell(s, t->c[first].stream, &i->audio);
    for (size_t k = 0; k < t->n; k++)
        if (k != first)
            tell(s, t->c[k].stream, &i->more_audio[i->n_more_audio++]);
    return 0;
}

static int tell_unusable(const struct media_source *s, unsigned k, struct media_info *i)
{
    if (k < MEDIA_STREAMS_MAX && s->foreign[k])
        return probe_warn(i, "audio stream %u is %s, which is not decoded here, and is left out", k,
                          s->foreign[k]);
    return probe_warn(i, "audio stream %u is of an unknown kind and is left out", k);
}

int tracks_find(struct media_source *s, struct media_info *i)
{
    struct trial t = { 0 };
    int others = 0, r = 0;

    for (unsigned k = 0; r == 0 && k < s->fmt->nb_streams; k++) {
        const AVStream *st = s->fmt->streams[k];
        int usable = streams_is_audio(st);
        if (streams_other_programme(s->fmt, i->video.stream, k))
            continue;
        if (!usable && st->codecpar->codec_type == AVMEDIA_TYPE_AUDIO)
            r = tell_unusable(s, k, i);
        if (!usable)
            continue;
        if (t.n < AUDIO_TRACKS_MAX)
            t.c[t.n++].stream = (int)k;
        else
            others++;
    }
    if (r == 0 && others > 0)
        r = probe_warn(i, "%d more audio stream(s) left out: at most %d are used", others,
                       AUDIO_TRACKS_MAX);
    if (r == 0 && t.n > 1)
        r = try_all(s, &t);
    if (r == 0)
        r = leave_out_bad(s, &t, i);
    return r == 0 && t.n > 0 ? take_all(s, &t, i) : r;
}

static void drop(struct media_info *i, size_t track)
{
    if (track == 0 && i->n_more_audio == 0) {
        i->audio.stream = -1;
        return;
    }
    if (track == 0)
        i->audio = i->more_audio[0];
    for (size_t k = track ? track : 1; k < i->n_more_audio; k++)
        i->more_audio[k - 1] = i->more_audio[k];
    i->n_more_audio--;
}

int tracks_set_times(struct media_info *i, const struct index_track *found)
{
    size_t k = 0;

    while (media_audio(i, k) && media_audio(i, k)->stream != found->stream)
        k++;
    if (!media_audio(i, k))
        return 0;
    if (found->times.start == AV_NOPTS_VALUE) {
        int only = k == 0 && i->n_more_audio == 0;
        drop(i, k);
        return only
                   ? probe_warn(i, "the audio stream holds no sound and is left out")
                   : probe_warn(i, "audio stream %d holds no sound and is left out", found->stream);
    }
    struct audio_info *a = k ? &i->more_audio[k - 1] : &i->audio;
    a->start = found->times.start;
    a->end = found->times.end;
    return 0;
}
