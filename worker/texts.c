/* The subtitles of a whole job: decode all text tracks in one pass over the
 * source, and write each as WebVTT, whole and cut where sound is. */
#include "../common/base/cleanup.h"
#include "../common/base/clock.h"
#include "../common/base/err.h"
#include "../common/child/inside.h"
#include "../common/media/arrivals.h"
#include "../common/media/open.h"
#include "caption_tracks.h"
#include "digest.h"
#include "encode.h"
#include "spans.h"
#include "text_reader.h"
#include "webvtt.h"

#include <errno.h>
#include <libavutil/mathematics.h>
#include <stdlib.h>
#include <string.h>

enum {
    CUES_MAX = 100000,  /* of a track */
    UNTIMED_MS = 10000, /* at most, for a cue that doesn't say when it ends */
    TOUCH_MS = 1,       /* between cues that touch: times are rounded */
    LOOK_BACK = 64,     /* cues, for one that goes on */
};

#define TRACK_BYTES_MAX (UINT64_C(32) << 20) /* of all files of a track */

struct track {
    const struct rendition *r;
    struct text_reader *reader;
    struct text_said said; /* by the packet in hand */
    struct cues cues;
    uint64_t taken;   /* cues, also those that only go on */
    uint64_t outside; /* documents of which nothing lies in their own time */
    struct err out;   /* why it is left out; cls ERR_NONE: it isn't */
};

struct run {
    struct inside *in;
    const struct task *t;
    struct task_result *res;
    struct media_source src;
    AVPacket *pkt;
    struct caption_tracks captions;
    struct track *tracks; /* of the renditions that are made */
    size_t n_tracks;
    int reads; /* there is a track to be read */
};

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for subtitles");
}

/* ---- times ---- */

static int64_t on_timeline(const struct run *u, int64_t pts, AVRational tb)
{
    return text_time(u->t, pts, tb);
}

static int64_t ticks_to_ms(const struct run *u, int64_t ticks)
{
    return av_rescale(ticks, 1000, u->t->timescale);
}

/* ---- packets to cues ---- */

static int64_t origin_ms(const struct run *u)
{
    return av_rescale_q(u->t->origin, u->t->info.video.tb, (AVRational){ 1, 1000 });
}

/* Where packets repeat what goes on, a cue that ends where the same one begins. */
static struct cue *cue_before(struct track *k, const struct cue *c, int64_t start)
{
    for (size_t i = k->cues.n; i-- > 0 && i + LOOK_BACK >= k->cues.n;) {
        struct cue *b = &k->cues.v[i];
        if (b->end >= start - TOUCH_MS && b->start <= start && b->top == c->top &&
            strcmp(b->text, c->text) == 0 && strcmp(b->settings, c->settings) == 0)
            return b;
    }
    return NULL;
}

/* In its own time and in that of its packet, on the timeline. `end` INT64_MAX: nobody knows. */
static int take_cue(struct run *u, struct track *k, const struct cue *said, int64_t start,
                    int64_t end, struct err *err)
{
    struct cue c = *said;

    if (said->start != CUE_FROM_START && av_sat_sub64(said->start, origin_ms(u)) > start)
        start = av_sat_sub64(said->start, origin_ms(u));
    if (said->end != CUE_TO_END && av_sat_sub64(said->end, origin_ms(u)) < end)
        end = av_sat_sub64(said->end, origin_ms(u));
    if (end <= start || k->cues.n > CUES_MAX)
        return 0;
    k->taken++;
    struct cue *before = k->said.repeats ? cue_before(k, said, start) : NULL;
    if (before) {
        before->end = end > before->end ? end : before->end;
        return 0;
    }
    c.start = start;
    c.end = end;
    c.text = strdup(said->text);
    if (!c.text || cues_add(&k->cues, c) < 0) {
        free(c.text);
        return no_memory(err);
    }
    return 0;
}

static int take_cues(struct run *u, struct track *k, int64_t start, int64_t end, struct err *err)
{
    int r = 0;

    for (size_t i = 0; i < k->said.cues.n && r == 0; i++)
        r = take_cue(u, k, &k->said.cues.v[i], start, end, err);
    return r;
}

/* As often as an edit list shows it; there are no edits but in MP4, where all packets but the last
 * of fragments have durations. */
static int take_edited(struct run *u, struct track *k, struct err *err)
{
    const struct media_info *info = &u->t->info;
    AVRational tb = u->src.fmt->streams[k->r->text.stream]->time_base;
    AVRational scale = { 1, (int)info->edit_scale };
    int64_t lasts = k->said.duration > 0 ? k->said.duration
                                         : av_rescale_q(UNTIMED_MS, (AVRational){ 1, 1000 }, tb);
    int64_t from = k->said.pts, to = av_sat_add64(from, lasts), start, end;
    int r = 0;

    for (size_t i = 0; i < info->n_edits && r == 0; i++) {
        const struct edit *e = &info->edits[i];
        if (e->stream != k->r->text.stream || !cue_edit(e, scale, tb, from, to, &start, &end))
            continue;
        r = take_cues(u, k, on_timeline(u, start, scale), on_timeline(u, end, scale), err);
    }
    return r;
}

static int take_said(struct run *u, struct track *k, struct err *err)
{
    AVRational tb = u->src.fmt->streams[k->r->text.stream]->time_base;
    int64_t start, end = INT64_MAX;

    if (k->said.placed)
        return take_cues(u, k, INT64_MIN, INT64_MAX, err);
    if (media_is_edited(&u->t->info, k->r->text.stream))
        return take_edited(u, k, err);
    start = on_timeline(u, k->said.pts, tb);
    if (k->said.duration > 0)
        end = on_timeline(u, av_sat_add64(k->said.pts, k->said.duration), tb);
    else if (k->said.lasts_ms >= 0)
        end = av_sat_add64(start, k->said.lasts_ms);
    return take_cues(u, k, start, end, err);
}

/* `r`: what the reader gave. */
static int take_read(struct run *u, struct track *k, int r, struct err *err)
{
    uint64_t before = k->taken;

    if (r < 0)
        return no_memory(err);
    r = take_said(u, k, err);
    k->outside += k->said.cues.n > 0 && k->taken == before && !k->said.placed &&
                  k->said.cues.v[0].start != CUE_FROM_START &&
                  !media_is_edited(&u->t->info, k->r->text.stream);
    text_said_clear(&k->said);
    if (r == 0 && k->cues.n > CUES_MAX)
        (void)err_set(&k->out, -E2BIG, ERR_INPUT, "it has more than %d cues", CUES_MAX);
    return r;
}

static int feed(struct run *u, struct track *k, struct err *err)
{
    if (u->pkt->size <= 0)
        return 0;
    return take_read(u, k, text_reader_feed(k->reader, u->pkt, &k->said), err);
}

/* All tracks of the stream: teletext has several in one. */
static int feed_tracks(struct run *u, struct err *err)
{
    int r = 0;

    for (size_t i = 0; i < u->n_tracks && r == 0; i++)
        if (u->tracks[i].r->text.stream == u->pkt->stream_index &&
            u->tracks[i].out.cls == ERR_NONE && u->tracks[i].reader)
            r = feed(u, &u->tracks[i], err);
    return r;
}

static int end_tracks(struct run *u, struct err *err)
{
    int r = 0;

    for (size_t i = 0; i < u->n_tracks && r == 0; i++) {
        struct track *k = &u->tracks[i];
        if (k->reader && k->out.cls == ERR_NONE)
            r = take_read(u, k, text_reader_end(k->reader, &k->said), err);
        text_reader_free(k->reader);
        k->reader = NULL;
    }
    return r;
}

/* Milliseconds of the timeline, as sound's: how much of the source was read. */
static void report_progress(struct run *u, int64_t at)
{
    int64_t size = (int64_t)inside_source_size(u->in);

    if (at >= 0 && at <= size && size > 0)
        inside_progress(u->in, (uint64_t)av_rescale(at, ticks_to_ms(u, u->t->timeline_end), size));
}

static int read_all(struct run *u, struct err *err)
{
    int r;

    while ((r = media_read(&u->src, u->pkt, err)) >= 0) {
        int64_t at = u->pkt->pos;
        r = caption_tracks_packet(&u->captions, u->pkt, err);
        if (r == 0)
            r = feed_tracks(u, err);
        av_packet_unref(u->pkt);
        if (r < 0)
            return r;
        report_progress(u, at);
    }
    if (r == AVERROR_EOF)
        r = end_tracks(u, err);
    return r == 0 ? caption_tracks_end(&u->captions, u->t, err) : r;
}

/* ---- cues to the timeline ---- */

static int same(const struct cue *a, const struct cue *b)
{
    return a->start == b->start && a->end == b->end && a->top == b->top &&
           strcmp(a->text, b->text) == 0 && strcmp(a->settings, b->settings) == 0;
}

/* When what begins with cue `i` is over at the latest. */
static int64_t ends(const struct cues *l, size_t i, int64_t until)
{
    const struct cue *c = &l->v[i];
    size_t next = i + 1;

    if (c->end != INT64_MAX || c->start >= until)
        return c->end < until ? c->end : until;
    while (next < l->n && l->v[next].start <= c->start)
        next++;
    int64_t end = c->start + UNTIMED_MS;
    if (next < l->n && l->v[next].start < end)
        end = l->v[next].start;
    return end < until ? end : until;
}

/* Clipped to the timeline; each thing is said once (layers of ASS say it again
 * for its shadow). */
static void settle(struct cues *l, int64_t until)
{
    size_t n = 0;

    cues_sort(l);
    for (size_t i = 0; i < l->n; i++)
        l->v[i].end = ends(l, i, until);
    for (size_t i = 0; i < l->n; i++) {
        struct cue *c = &l->v[i];
        c->start = c->start > 0 ? c->start : 0;
        if (c->end <= c->start || (n > 0 && same(c, &l->v[n - 1])))
            free(c->text);
        else
            l->v[n++] = *c;
    }
    l->n = n;
}

/* ---- files ---- */

/* Where segment `i` starts and ends, in ticks. */
static void segment_times(const struct task *t, size_t i, int64_t *ret_from, int64_t *ret_to)
{
    *ret_from = t->audio_cuts[i];
    *ret_to = i + 1 < t->n_audio_cuts ? t->audio_cuts[i + 1] : t->timeline_end;
}

/* A cue is in each segment that it is shown in: what they have together may be
 * far more than the source. */
static int check_size(struct run *u, struct track *k)
{
    const struct task *t = u->t;
    uint64_t bytes = 0;
    size_t i = 0;

    for (size_t c = 0; c < k->cues.n && bytes <= TRACK_BYTES_MAX; c++) {
        const struct cue *q = &k->cues.v[c];
        int64_t from, to;
        size_t n = 1;

        for (; i + 1 < t->n_audio_cuts && ticks_to_ms(u, t->audio_cuts[i + 1]) <= q->start; i++)
            ;
        for (size_t s = i; s < t->n_audio_cuts; s++, n++) {
            segment_times(t, s, &from, &to);
            if (ticks_to_ms(u, from) >= q->end)
                break;
        }
        bytes += webvtt_cue_bytes(q) * n;
    }
    if (bytes <= TRACK_BYTES_MAX)
        return 0;
    return err_set(&k->out, -E2BIG, ERR_INPUT, "its files would have more than %llu MiB",
                   (unsigned long long)(TRACK_BYTES_MAX >> 20));
}

static int put_file(struct run *u, const char *key, const struct cues *l, int64_t from, int64_t to,
                    int map, uint64_t *ret_size, char *ret_sha256, char *ret_md5, uint64_t *ret_n,
                    struct err *err)
{
    _cleanup_free_ char *text = NULL;
    size_t len = 0, n = 0;

    if (!key || webvtt_file(l, from, to, map, &text, &len, &n) < 0)
        return no_memory(err);
    digest((const uint8_t *)text, len, ret_sha256, ret_md5);
    *ret_size = len;
    *ret_n = n;
    return inside_object(u->in, key, text, len, err);
}

static int put_segment(struct run *u, struct track *k, size_t i, struct segment *s, struct err *err)
{
    int last = i + 1 == u->t->n_audio_cuts;
    int64_t from, to;

    segment_times(u->t, i, &from, &to);
    s->number = (unsigned)i + 1;
    s->key = segment_key(MEDIA_TEXT, k->r->name, s->number);
    s->start = from;
    s->duration = to - from;
    return put_file(u, s->key, &k->cues, ticks_to_ms(u, from),
                    last ? INT64_MAX : ticks_to_ms(u, to), 1, &s->size_bytes, s->sha256, s->md5,
                    &s->frames, err);
}

static int put_track(struct run *u, struct track *k, struct rendition_result *ret, struct err *err)
{
    size_t n = u->t->n_audio_cuts;

    ret->name = strdup(k->r->name);
    ret->codecs = strdup("wvtt");
    ret->timescale = u->t->timescale;
    ret->segments = calloc(n, sizeof(*ret->segments));
    ret->init.key = segment_key(MEDIA_TEXT, k->r->name, 0);
    if (!ret->name || !ret->codecs || !ret->segments || !ret->init.key)
        return no_memory(err);
    int r = put_file(u, ret->init.key, &k->cues, 0, INT64_MAX, 0, &ret->init.size_bytes,
                     ret->init.sha256, ret->init.md5, &ret->frames, err);
    for (size_t i = 0; r == 0 && i < n; i++) {
        ret->n_segments = i + 1;
        r = put_segment(u, k, i, &ret->segments[i], err);
    }
    return r;
}

/* ---- the whole ---- */

/* "subtitles sub-eng (stream 3)" */
static int warn(struct run *u, const struct track *k, const char *what, struct err *err)
{
    return encode_warn(u->res, "subtitles %s (stream %d, %s) %s", k->r->name, k->r->text.stream,
                       k->r->text.codec, what) < 0
               ? no_memory(err)
               : 0;
}

static int tell(struct run *u, struct track *k, struct err *err)
{
    char what[ERR_TEXT_MAX + 64];
    int r = 0;

    if (k->out.cls != ERR_NONE) {
        (void)snprintf(what, sizeof(what), "are left out: %s", k->out.text);
        return warn(u, k, what, err);
    }
    if (k->said.damaged > 0) {
        (void)snprintf(what, sizeof(what),
                       "lack %llu packets, or parts of them, that can't be decoded",
                       (unsigned long long)k->said.damaged);
        r = warn(u, k, what, err);
    }
    if (r == 0 && k->said.cut > 0) {
        (void)snprintf(what, sizeof(what), "have %llu cues of more than %d bytes, which are cut",
                       (unsigned long long)k->said.cut, CUE_TEXT_MAX);
        r = warn(u, k, what, err);
    }
    if (r == 0 && k->outside > 0) {
        (void)snprintf(what, sizeof(what),
                       "have %llu documents whose texts are all outside of their own time, and are "
                       "not shown",
                       (unsigned long long)k->outside);
        r = warn(u, k, what, err);
    }
    return r;
}

static int finish(struct run *u, struct err *err)
{
    int r = 0;

    u->res->renditions = calloc(u->n_tracks + 1, sizeof(*u->res->renditions));
    if (!u->res->renditions)
        return no_memory(err);
    for (size_t i = 0; i < u->n_tracks && r == 0; i++) {
        struct track *k = &u->tracks[i];
        settle(&k->cues, ticks_to_ms(u, u->t->timeline_end));
        if (k->out.cls == ERR_NONE && k->cues.n == 0 && k->r->text.captions)
            continue; /* a channel that there might have been */
        if (k->out.cls == ERR_NONE && k->cues.n == 0 && k->said.damaged > 0)
            (void)err_set(&k->out, -EINVAL, ERR_INPUT,
                          "%llu packets can't be decoded, and the "
                          "others show nothing",
                          (unsigned long long)k->said.damaged);
        else if (k->out.cls == ERR_NONE && k->cues.n == 0)
            (void)err_set(&k->out, -EINVAL, ERR_INPUT, "nothing of them is ever shown");
        if (k->out.cls == ERR_NONE)
            (void)check_size(u, k);
        if (k->out.cls == ERR_NONE)
            r = put_track(u, k, &u->res->renditions[u->res->n_renditions++], err);
        if (r == 0)
            r = tell(u, k, err);
    }
    return r;
}

/* A track whose decoder can't be had is left out. */
static int open_track(struct run *u, const struct rendition *r, struct err *err)
{
    struct track *k = &u->tracks[u->n_tracks++];

    k->r = r;
    if (r->text.stream >= (int)u->src.fmt->nb_streams) {
        (void)err_set(&k->out, -EINVAL, ERR_INPUT, "the source has no such stream any more");
        return 0;
    }
    AVStream *st = u->src.fmt->streams[r->text.stream];
    if (r->text.captions) {
        st->discard = AVDISCARD_DEFAULT;
        u->reads = 1;
        return caption_tracks_add(&u->captions, st, media_has_one_clock(&u->src), r, &k->cues,
                                  &k->out, err);
    }
    k->said.lasts_ms = -1;
    int n = text_reader_open(&u->src, &r->text, &k->reader, &k->out);
    if (n == -ENOMEM)
        return no_memory(err);
    if (n == 0) {
        st->discard = AVDISCARD_DEFAULT;
        u->reads = 1;
    }
    return 0;
}

/* Those tracks that are read from a source that is opened so. */
static int open_tracks(struct run *u, int flags, struct err *err)
{
    const struct task *t = u->t;
    int r = media_open_as(u->in, &t->info, flags, &u->src, err);

    if (r < 0)
        return r;
    u->reads = 0;
    media_select(&u->src, -1);
    for (size_t i = 0; i < t->n_renditions && r == 0; i++)
        if (task_makes(t, i) && media_flags_for(&t->info, t->renditions[i].text.stream) == flags)
            r = open_track(u, &t->renditions[i], err);
    return r;
}

static int has_edited(const struct run *u)
{
    for (size_t i = 0; i < u->t->n_renditions; i++)
        if (media_is_edited(&u->t->info, u->t->renditions[i].text.stream))
            return 1;
    return 0;
}

static int by_rendition(const void *a, const void *b)
{
    const struct track *x = a, *y = b;

    return (x->r > y->r) - (x->r < y->r); /* of one array */
}

/* All that is open; then those tracks whose edit lists are ours. */
static int read_both(struct run *u, struct err *err)
{
    int r = u->reads ? read_all(u, err) : 0;

    if (r < 0 || !has_edited(u))
        return r;
    media_close(&u->src);
    r = open_tracks(u, MEDIA_OPEN_UNEDITED, err);
    if (r == 0 && u->reads)
        r = read_all(u, err);
    qsort(u->tracks, u->n_tracks, sizeof(*u->tracks), by_rendition);
    return r;
}

static int open_all(struct run *u, struct err *err)
{
    u->pkt = av_packet_alloc();
    u->tracks = calloc(u->t->n_renditions + 1, sizeof(*u->tracks));
    return u->pkt && u->tracks ? open_tracks(u, 0, err) : no_memory(err);
}

static void release(struct run *u)
{
    for (size_t i = 0; i < u->n_tracks; i++) {
        cues_release(&u->tracks[i].cues);
        text_said_clear(&u->tracks[i].said);
        text_reader_free(u->tracks[i].reader);
    }
    free(u->tracks);
    caption_tracks_release(&u->captions);
    av_packet_free(&u->pkt);
    media_close(&u->src);
}

int encode_texts(struct inside *in, const struct task *t, int64_t start_ns, struct task_result *res,
                 struct err *err)
{
    struct run u = { .in = in, .t = t, .res = res };
    int r = open_all(&u, err);

    if (r == 0)
        res->first_frame_s = (double)(clock_system.mono_ns(&clock_system) - start_ns) /
                             (double)NS_PER_S;
    if (r == 0)
        r = read_both(&u, err);
    if (r == 0)
        r = finish(&u, err);
    release(&u);
    return r;
}
