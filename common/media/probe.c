#include "probe.h"

#include "../base/cleanup.h"
#include "../base/err.h"
#include "../base/texts.h"
#include "../child/inside.h"
#include "admit.h"
#include "arrivals.h"
#include "captions.h"
#include "clock.h"
#include "crop.h"
#include "edits.h"
#include "foreign.h"
#include "halves.h"
#include "hdr.h"
#include "hidden.h"
#include "index_build.h"
#include "io.h"
#include "late.h"
#include "open.h"
#include "overlap.h"
#include "presence.h"
#include "prime.h"
#include "streams.h"
#include "tracks.h"
#include "turn.h"
#include "uncoded.h"
#include "unkept.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

int probe_warn(struct media_info *i, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    int r = texts_add(&i->warnings, &i->n_warnings, fmt, ap);
    va_end(ap);
    return r;
}

static int tell_programmes(AVFormatContext *f, struct media_info *i)
{
    int n = 0;

    for (unsigned k = 0; k < f->nb_streams; k++)
        n += streams_other_programme(f, i->video.stream, k) &&
             f->streams[k]->codecpar->codec_type != AVMEDIA_TYPE_VIDEO &&
             f->streams[k]->codecpar->codec_type != AVMEDIA_TYPE_UNKNOWN;
    return n ? probe_warn(i, "%d stream(s) of other programmes are left out", n) : 0;
}

static int describe_texts(struct inside *in, struct media_source *s, struct media_info *i,
                          struct err *err)
{
    struct texts_left left;
    int r = streams_texts(in, s, i, &left, err);

    if (r < 0)
        return r;
    for (size_t k = 0; r == 0 && k < left.n_kinds; k++)
        r = probe_warn(i, "%d subtitle track(s) left out: %s %s", left.kinds[k].n,
                       left.kinds[k].codec, left.kinds[k].why);
    if (r == 0 && left.too_many > 0)
        r = probe_warn(i, "%d subtitle track(s) left out: more than %d", left.too_many,
                       TEXT_TRACKS_MAX);
    return r < 0 ? err_set(err, r, ERR_RESOURCE, "out of memory while probing") : 0;
}

/* Parts of others are no streams of their own. */
static int tell_joins(const struct media_source *s, struct media_info *i)
{
    int joined = 0, r = 0;

    for (unsigned k = 0; k < s->fmt->nb_streams && r == 0; k++) {
        AVCodecParameters *p = s->fmt->streams[k]->codecpar;
        int to = media_joined_to(i, s->fmt->streams[k]);
        if (to == JOINED_TO_NONE)
            continue;
        joined += to >= 0;
        if (to < 0)
            r = probe_warn(i,
                           "the pictures of stream %u (%s) are left out: files of two codecs look "
                           "joined, and those of another are used",
                           k, avcodec_get_name(p->codec_id));
        p->codec_type = AVMEDIA_TYPE_UNKNOWN;
    }
    if (r == 0 && joined > 0)
        r = probe_warn(i, "%d stream(s) go on under other numbers (PIDs), and are played on",
                       joined);
    return r;
}

static int open_to_describe(struct inside *in, struct media_info *i, struct media_source *ret,
                            struct err *err)
{
    int r = media_open_as(in, i, MEDIA_OPEN_DETAILS, ret, err);

    if (r < 0)
        return r;
    ret->n_joins = 0; /* each stream is looked at for itself */
    r = late_learn(in, i, ret, err);
    if (r == 0)
        r = foreign_find(in, ret, err);
    if (r == 0 && tell_joins(ret, i) < 0)
        r = err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory while probing");
    if (r < 0)
        media_close(ret);
    return r;
}

/* Streams, from a context that has decoded the first frames. *ret_delay: how
 * many pictures are decoded before the first is shown. */
static int describe(struct inside *in, struct media_info *i, int *ret_delay, struct err *err)
{
    struct media_source s;
    int others_v;
    int r = open_to_describe(in, i, &s, err);

    if (r < 0)
        return r;
    (void)snprintf(i->container, sizeof(i->container), "%s", s.fmt->iformat->name);
    i->size_bytes = inside_source_size(in);
    int v = streams_choose_video(s.fmt, &others_v);
    i->video.stream = i->audio.stream = -1;
    if (v >= 0) {
        streams_video(s.fmt->streams[v], &i->video);
        i->video.rate = s.fmt->streams[v]->avg_frame_rate;
        *ret_delay = s.fmt->streams[v]->codecpar->video_delay;
    }
    if (others_v > 0)
        r = probe_warn(i, "%d more video stream(s) left out; stream %d is used", others_v, v);
    if (r == 0)
        r = tell_programmes(s.fmt, i);
    if (r < 0)
        r = err_set(err, r, ERR_RESOURCE, "out of memory while probing");
    if (r == 0)
        r = describe_texts(in, &s, i, err);
    if (r == 0 && v >= 0)
        r = hdr_describe(&s, &i->video, err);
    if (r == 0 && tracks_find(&s, i) < 0)
        r = err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory while probing");
    if (r == 0)
        r = crop_find(in, &s, i, err);
    if (r == 0)
        r = admit_streams(&s, i, err);
    if (r == 0)
        r = unkept_tell(&s, i, err);
    media_close(&s);
    return r;
}

/* Where the sound ends by the index of an MP4: its header's duration may lie,
 * or speak of samples that were cut off with the end of the file. */
static int64_t indexed_end(struct media_source *s, int stream, uint64_t file_size)
{
    AVStream *st = s->fmt->streams[stream];
    int n = avformat_index_get_entries_count(st), last = n - 1;

    while (last >= 0) {
        const AVIndexEntry *e = avformat_index_get_entry(st, last);
        if (e->pos >= 0 && (uint64_t)e->pos + (uint64_t)e->size <= file_size)
            break;
        last--;
    }
    if (last < 0)
        return INT64_MIN;
    const AVIndexEntry *e = avformat_index_get_entry(st, last);
    if (last + 1 < n)
        return avformat_index_get_entry(st, last + 1)->timestamp;
    return e->timestamp +
           (last > 0 ? e->timestamp - avformat_index_get_entry(st, last - 1)->timestamp : 0);
}

/* What became of the clock, in words. Takes its splices. */
static int tell_clock(struct media_info *i, const struct clock_line *c)
{
    int r = 0;

    i->splices = c->splices;
    i->n_splices = c->n_splices;
    if (c->n_splices > 0 && c->back > 0)
        r = probe_warn(i,
                       "the timestamps start over (by up to %.1f s) in %zu places, as in "
                       "recordings joined end to end; what comes after is played on",
                       (double)c->back / c->ticks, c->n_splices);
    else if (c->n_splices > 0)
        r = probe_warn(
            i, "the timestamps jump ahead (by up to %.1f s) in %zu places; the gaps are closed",
            (double)c->ahead / c->ticks, c->n_splices);
    if (r == 0 && c->torn > 0)
        r = probe_warn(i,
                       "%llu packets of the source are damaged, or something before them is lost",
                       (unsigned long long)c->torn);
    if (r == 0 && c->unrecovered > 0)
        r = probe_warn(i,
                       "the video begins in the middle of an intra refresh: %llu pictures that "
                       "aren't whole are left out",
                       (unsigned long long)c->unrecovered);
    if (r == 0 && c->made > 0)
        r = probe_warn(
            i,
            "%llu pictures have no time of their own: theirs are made of the others' and "
            "of the order that pictures are shown in",
            (unsigned long long)c->made);
    if (r == 0 && c->strays > 0)
        r = probe_warn(i, "%llu packets have a time far from those around them and are left out",
                       (unsigned long long)c->strays);
    return r;
}

/* Samples that an index names and that aren't in the file. */
static int tell_unread(struct media_info *i, const struct media_source *s,
                       const struct media_index *idx)
{
    int n = media_is_mov(s) && !media_io_fragmented(s->io)
                ? avformat_index_get_entries_count(s->fmt->streams[i->video.stream])
                : 0;

    if (n <= 0 || (size_t)n <= idx->n)
        return 0;
    return probe_warn(i, "the index names %d frames, of which only the first %zu can be read", n,
                      idx->n);
}

/* A picture of the stream is half a frame. */
static void weave_fields(struct video_info *v, int first)
{
    v->fields = 1;
    v->height *= 2;
    v->crop.top *= 2;
    v->crop.bottom *= 2;
    v->interlaced = first;
}

enum { HEAD_BYTES = 4 << 10 }; /* nearly always hold what comes before the first slice */

/* What the first sample of an MP4, which no scan reads, tells once and for all. */
static int look_at_first_sample(struct inside *in, const AVCodecParameters *par,
                                const struct media_index *idx, struct video_info *v,
                                struct err *err)
{
    uint8_t buf[HEAD_BYTES];
    size_t n = 0;

    if ((par->codec_id != AV_CODEC_ID_H264 && par->codec_id != AV_CODEC_ID_HEVC) || idx->n == 0 ||
        idx->packets[0].pos < 0)
        return 0;
    size_t want = idx->packets[0].size < sizeof(buf) ? idx->packets[0].size : sizeof(buf);
    int r = inside_read(in, (uint64_t)idx->packets[0].pos, buf, want, &n, err);
    if (r < 0)
        return r;
    v->primed |= prime_is_needed(v, prime_build(par, buf, n));
    turn_look(par, buf, n, v);
    return 0;
}

/* What the samples of an MP4 have to be looked at for. */
static int look_at_samples(struct inside *in, const AVStream *st, struct media_info *i,
                           struct media_index *idx, struct err *err)
{
    struct captions_seen seen = { 0 };
    const AVCodecParameters *par = st->codecpar;
    int first = 0, r = keyframe_look_first(in, par, idx, err);

    if (r == 0)
        r = look_at_first_sample(in, par, idx, &i->video, err);
    if (r == 0)
        r = halves_look(in, st, idx, &first, err);
    if (r == 0 && first)
        weave_fields(&i->video, first);
    if (r == 0)
        r = hidden_look(in, par, idx, err);
    if (r == 0)
        r = captions_look_at_samples(in, par, idx, &seen, err);
    if (r == 0 && captions_tell(i, &seen) < 0)
        r = err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory while probing");
    return r;
}

/* Fragments that come again. */
static int tell_overlap(const struct media_source *s, struct media_info *i, struct media_index *idx)
{
    uint64_t n = media_is_mov(s) && media_io_fragmented(s->io) ? overlap_hide(idx) : 0;

    return n == 0
               ? 0
               : probe_warn(i,
                            "%llu frames in fragments whose time was over when they came are left "
                            "out, as in MP4 files joined end to end",
                            (unsigned long long)n);
}

/* After the scan: what it found to be odd, and whether it begins at a keyframe. */
static int look_back(struct inside *in, struct media_source *s, struct media_info *i,
                     struct media_index *idx, struct err *err)
{
    uint64_t missing = media_missing_bytes(in, s);
    int r = 0;

    if (missing > 0)
        r = probe_warn(i, "the file is cut off: it says that it has %llu bytes more",
                       (unsigned long long)missing);
    if (r < 0 || i->video.stream < 0)
        return r;
    if (missing == 0)
        r = tell_unread(i, s, idx);
    if (r == 0)
        r = tell_overlap(s, i, idx);
    if (r == 0 && media_is_mov(s))
        r = look_at_samples(in, s->fmt->streams[i->video.stream], i, idx, err);
    return r;
}

/* Those tracks whose end only their packets tell: how many, and their streams
 * in `ret`. *ret_missing: one's stream isn't there. */
static size_t unknown_ends(struct media_source *s, struct media_info *i, struct index_track *ret,
                           int *ret_missing)
{
    int indexed = media_is_mov(s) && !media_io_fragmented(s->io);
    size_t n = 0;

    *ret_missing = 0;
    for (size_t t = 0; t <= i->n_more_audio; t++) {
        struct audio_info *a = t ? &i->more_audio[t - 1] : &i->audio;
        if (a->stream < 0)
            continue;
        if (a->stream >= (int)s->fmt->nb_streams) {
            *ret_missing = 1;
            continue;
        }
        if (media_is_edited(i, a->stream))
            continue;
        if (indexed)
            a->end = indexed_end(s, a->stream, i->size_bytes);
        if (a->end <= a->start)
            ret[n++].stream = a->stream;
    }
    return n;
}

/* Of streams whose edit lists are ours: from a context without edits. *ret_mine: video is one. */
static int read_edited(struct inside *in, struct media_info *i, struct media_index *idx,
                       int *ret_mine, struct err *err)
{
    int video = media_is_edited(i, i->video.stream) ? i->video.stream : -1;
    struct clock_line line = { 0 };
    struct media_source s;
    int r = media_open(in, MEDIA_OPEN_INDEX | MEDIA_OPEN_UNEDITED, &s, err);

    if (r < 0)
        return r;
    int indexed = !media_io_fragmented(s.io);
    for (size_t t = 0; media_audio(i, t); t++) {
        struct audio_info *a = t ? &i->more_audio[t - 1] : &i->audio;
        if (media_is_edited(i, a->stream))
            edits_settle_audio(i, a,
                               indexed ? indexed_end(&s, a->stream, i->size_bytes) : INT64_MIN);
    }
    if (video >= 0)
        r = index_scan(&s, video, NULL, 0, idx, &line, err);
    free(line.splices);
    if (r == 0 && video >= 0 && edits_settle_video(i, idx) == 1) {
        media_index_release(idx);
        video = -1;
    }
    if (r == 0 && video >= 0)
        r = look_back(in, &s, i, idx, err);
    *ret_mine = video >= 0;
    media_close(&s);
    return r;
}

/* The container's word counts before a picture's. */
static void turn_first(struct video_info *v, const struct clock_line *line)
{
    if (v->rotation || v->hflip || (!line->rotation && !line->hflip))
        return;
    v->rotation = line->rotation;
    v->hflip = line->hflip;
    v->turns = 1;
}

enum { PROBE_AGAIN = 1 };

/* All packets, and when streams begin, of which *ret_again: 1, `i` says more now than when the
 * source was opened. */
static int scan_packets(struct media_source *s, struct media_info *i, int video,
                        struct index_track *tracks, size_t n, struct media_index *idx,
                        struct clock_line *ret_line, int *ret_again, struct err *err)
{
    int looks = media_has_arrivals(s) && !i->arrivals, r = 0;

    *ret_again = 0;
    if (video < 0 && n == 0 && !looks)
        return 0;
    s->presence = looks ? presence_new() : NULL;
    if (looks && !s->presence)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory while probing");
    r = index_scan(s, video, tracks, n, idx, ret_line, err);
    if (r == 0 && looks)
        *ret_again = presence_find(s->presence, s, i);
    if (*ret_again < 0)
        r = err_set(err, *ret_again, ERR_RESOURCE, "out of memory while probing");
    presence_free(s->presence);
    s->presence = NULL;
    return r;
}

/* Times, from a context like those that will encode. The index of an MP4
 * tells its sound's extent, unless it is in fragments; then, as for all
 * others, the packets are walked. PROBE_AGAIN: see scan_packets(). */
static int read_index(struct inside *in, struct media_info *i, struct media_index *idx,
                      struct err *err)
{
    struct media_source s;
    struct index_track tracks[AUDIO_TRACKS_MAX];
    struct clock_line line = { 0 };
    int missing, again, mine = 0, r = media_open_as(in, i, MEDIA_OPEN_INDEX, &s, err);

    if (r < 0)
        return r;
    r = edits_find(in, &s, i, err);
    size_t n = unknown_ends(&s, i, tracks, &missing);
    if (r == 0 && (i->video.stream >= (int)s.fmt->nb_streams || missing))
        r = err_set(err, -EINVAL, ERR_INPUT, "the streams of the source can't be told apart");
    if (r == 0 && i->n_edits > 0)
        r = read_edited(in, i, idx, &mine, err);
    int video = mine ? -1 : i->video.stream;
    if (r == 0)
        r = scan_packets(&s, i, video, tracks, n, idx, &line, &again, err);
    if (r == 0 && again) {
        free(line.splices);
        media_close(&s);
        return PROBE_AGAIN;
    }
    int trimmed = r == 0 && !mine ? edits_find_trimmed(in, &s, idx, tracks, n, i, err) : 0;
    if (trimmed == 1) {
        media_index_release(idx);
        r = read_edited(in, i, idx, &mine, err);
    } else if (trimmed < 0) {
        r = trimmed;
    }
    if (line.combs && i->video.interlaced == 0)
        i->video.mixed = 1;
    i->video.primed |= prime_is_needed(&i->video, line.build);
    if (line.halves)
        weave_fields(&i->video, line.halves);
    turn_first(&i->video, &line);
    if (r == 0)
        r = tell_clock(i, &line);
    if (r == 0)
        r = captions_tell(i, &line.captions);
    if (r == 0 && !mine)
        r = look_back(in, &s, i, idx, err);
    for (size_t t = 0; t < n && r == 0; t++)
        if (!media_is_edited(i, tracks[t].stream))
            r = tracks_set_times(i, &tracks[t]);
    if (r == 0 && edits_tell(i) < 0)
        r = err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory while probing");
    media_close(&s);
    return r;
}

static void set_duration(struct media_info *i)
{
    double from = 1e300, to = -1e300;
    const struct video_info *v = &i->video;

    if (v->stream >= 0) {
        from = (double)v->start * av_q2d(v->tb);
        to = (double)v->end * av_q2d(v->tb);
    }
    for (size_t t = 0; media_audio(i, t); t++) {
        const struct audio_info *a = media_audio(i, t);
        double s = (double)a->start * av_q2d(a->tb), e = (double)a->end * av_q2d(a->tb);
        from = s < from ? s : from;
        to = e > to ? e : to;
    }
    i->duration_ms = to > from ? (int64_t)((to - from) * 1000 + 0.5) : 0;
}

/* Pictures in another order than they are shown in need times to be shown at. */
static int check_order(const struct media_info *i, const struct media_index *idx, int delay,
                       struct err *err)
{
    size_t n = 0;

    while (n < idx->n && idx->packets[n].pts == INT64_MIN)
        n++;
    if (n < idx->n || delay == 0 || i->video.stream < 0)
        return 0;
    return err_set(err, -ENOTSUP, ERR_UNSUPPORTED,
                   "the %s video has B pictures, for which %s files have no times; put it into "
                   "Matroska or MP4",
                   i->video.codec, i->container);
}

/* Both streams read; a video stream without a frame leaves the sound. */
static int settle(struct media_info *i, struct media_index *idx, struct err *err)
{
    uint64_t doubles = 0;
    int r = 0;

    if (i->video.stream >= 0) {
        uint64_t early = index_begin_at_key(idx);
        uncoded_extend(idx);
        if (early > 0)
            r = probe_warn(i,
                           "%llu frames before the first keyframe can't be decoded and are left "
                           "out",
                           (unsigned long long)early);
        if (r == 0)
            r = index_describe(idx, i, &doubles, err);
        if (r == 0 && doubles > 0)
            r = probe_warn(i,
                           "%llu frames have the time of another one and are left out: the "
                           "source's timestamps jump back",
                           (unsigned long long)doubles);
        if (r == -EINVAL && i->audio.stream >= 0) {
            r = probe_warn(i, "the video stream has no frame that can be shown and is left out");
            i->video = (struct video_info){ .stream = -1 };
            media_index_release(idx);
        }
    }
    if (r == 0 && i->video.stream < 0 && i->audio.stream < 0)
        return err_set(err, -EINVAL, ERR_INPUT, "the source has neither video nor audio to encode");
    set_duration(i);
    return r;
}

static int probe_once(struct inside *in, struct media_info *i, struct media_index *idx,
                      struct err *err)
{
    int delay = 0, r = describe(in, i, &delay, err);

    if (r == 0)
        r = read_index(in, i, idx, err);
    if (r == 0)
        r = check_order(i, idx, delay, err);
    return r == 0 ? settle(i, idx, err) : r;
}

/* With what a first reading has found of streams. */
static int probe_again(struct inside *in, struct media_info *i, struct media_index *idx,
                       struct err *err)
{
    struct media_info next = {
        .arrivals = i->arrivals,
        .n_arrivals = i->n_arrivals,
        .joins = i->joins,
        .n_joins = i->n_joins,
    };

    i->arrivals = NULL;
    i->joins = NULL;
    media_info_release(i);
    media_index_release(idx);
    *idx = (struct media_index){ 0 };
    *i = next;
    return probe_once(in, i, idx, err);
}

int media_probe(struct inside *in, struct media_info *ret, struct media_index *ret_idx,
                struct err *err)
{
    struct media_info i = { 0 };
    struct media_index idx = { 0 };
    int r = probe_once(in, &i, &idx, err);

    if (r == PROBE_AGAIN)
        r = probe_again(in, &i, &idx, err);
    if (r < 0) {
        media_info_release(&i);
        media_index_release(&idx);
        return r;
    }
    *ret = i;
    *ret_idx = idx;
    return 0;
}
