#include "edits.h"

#include "../base/err.h"
#include "../wire/media_info.h"
#include "edit_boxes.h"
#include "index_build.h"
#include "io.h"
#include "open.h"
#include "probe.h"
#include "text_kind.h"

#include <errno.h>
#include <libavutil/common.h>
#include <math.h>
#include <string.h>

enum { HOURS_MAX = 1000 }; /* of a presentation, as everywhere */

/* ---- lists ---- */

static int is_empty(const struct raw_edit *e)
{
    return e->media < 0;
}

/* Some programs write the rate as a whole number. */
static int32_t rate_of(const struct raw_edit *e)
{
    return e->rate == 1 ? EDIT_RATE_ONE : e->rate;
}

struct list_facts {
    size_t shown; /* entries that aren't empty */
    size_t last;  /* of these the last */
    int odd;      /* any of these has a rate but 1 */
    int endless;  /* … a length of 0 */
    int slip;     /* the only one has a rate of 0, by mistake */
};

/* A rate of 0 for as long as the media lasts is a program's mistake: nobody keeps a whole track to
 * show one picture of it. */
static int is_slip(const struct edit_tracks *all, const struct edit_track *t,
                   const struct raw_edit *e)
{
    if (rate_of(e) != 0 || t->scale == 0 || all->scale == 0)
        return 0;
    double lasts = (double)e->length / all->scale;
    double left = ((double)t->duration - (double)e->media) / t->scale;
    return all->fragmented || fabs(lasts - left) < 0.1 + 0.1 * left;
}

static struct list_facts facts_of(const struct edit_tracks *all, const struct edit_track *t)
{
    struct list_facts f = { 0 };

    for (size_t k = 0; k < t->n_edits; k++) {
        const struct raw_edit *e = &t->edits[k];
        if (is_empty(e))
            continue;
        f.shown++;
        f.last = k;
        f.odd |= rate_of(e) != EDIT_RATE_ONE;
        f.endless |= e->length == 0;
    }
    f.slip = f.shown == 1 && is_slip(all, t, &t->edits[f.last]);
    f.odd &= !f.slip;
    return f;
}

/* Whether libavformat may be left to it. Of one edit of picture the first picture's place is still
 * to be looked at (edits_settle_video()). */
static int is_plain(const struct edit_tracks *all, const struct edit_track *t,
                    const struct list_facts *f, int is_video, int is_text)
{
    const struct raw_edit *e = &t->edits[f->last];

    if (f->shown == 0)
        return 1;
    /* Behind an empty edit at the end libavformat goes on where the last one ended. */
    if (f->shown > 1 || f->odd || f->last + 1 < t->n_edits)
        return 0;
    if (all->fragmented)
        return !all->trimmed;
    /* A text that the edit begins in the middle of moves all others, and the last one ends when
     * the edit does (libavformat 5.1). */
    if (is_text && e->media > 0)
        return 0;
    return !f->endless && (!is_video || e->media <= FFMAX(t->first_offset, 0));
}

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for an edit list");
}

static int refuse(struct err *err, int stream, const char *why)
{
    return err_set(err, -ENOTSUP, ERR_UNSUPPORTED, "the edit list of stream %d %s", stream, why);
}

static int list_check(const struct edit_track *t, int stream, struct err *err)
{
    if (t->entries > EDITS_MAX)
        return err_set(err, -ENOTSUP, ERR_UNSUPPORTED,
                       "the edit list of stream %d has %llu entries, at most %d are played", stream,
                       (unsigned long long)t->entries, EDITS_MAX);
    for (size_t k = 0; k < t->n_edits; k++) {
        const struct raw_edit *e = &t->edits[k];
        if (!is_empty(e) && e->rate < 0)
            return refuse(err, stream, "plays backwards, which isn't done here");
    }
    return 0;
}

/* Append what the track's list shows. One that goes to the end of media has a length of 0, until
 * that is known; elsewhere than at the list's end it is nothing. Lengths of more than a
 * presentation may have are what programs write that don't know one. */
static int list_take(const struct edit_tracks *all, const struct edit_track *t,
                     const struct list_facts *f, int stream, struct media_info *i)
{
    const uint64_t limit = (uint64_t)i->edit_scale * 3600 * HOURS_MAX;
    struct edit *grown = reallocarray(i->edits, i->n_edits + t->n_edits, sizeof(*grown));
    int64_t at = 0;

    if (!grown)
        return -ENOMEM;
    i->edits = grown;
    for (size_t k = 0; k < t->n_edits; k++) {
        const struct raw_edit *e = &t->edits[k];
        uint64_t length = FFMIN(e->length, limit - (uint64_t)at);
        if (k == f->last && (length < e->length || (all->trimmed && f->shown == 1)))
            length = 0;
        if (!is_empty(e) && (length > 0 || k == f->last))
            i->edits[i->n_edits++] = (struct edit){
                .stream = stream,
                .start = at,
                .length = (int64_t)length,
                .media = FFMIN(e->media, INT64_C(1) << 60),
                .rate = f->slip ? EDIT_RATE_ONE : rate_of(e),
            };
        at += (int64_t)length;
    }
    return 0;
}

/* ---- streams ---- */

/* The track that a stream is: of that id, and at its place where ids aren't each's own. */
static const struct edit_track *track_for(const struct edit_tracks *all, const AVStream *st)
{
    const struct edit_track *found = NULL;

    if ((size_t)st->index < all->n_tracks && (int)all->tracks[st->index].id == st->id)
        return &all->tracks[st->index];
    for (size_t k = 0; k < all->n_tracks && !found; k++)
        if ((int)all->tracks[k].id == st->id)
            found = &all->tracks[k];
    return found;
}

static int stream_find(const struct edit_tracks *all, const struct media_source *s, int stream,
                       struct media_info *i, struct err *err)
{
    int is_video = stream == i->video.stream;
    int is_text = stream >= 0 && stream < (int)s->fmt->nb_streams &&
                  text_kind(s, stream) != TEXT_KIND_NONE;
    const struct edit_track *t = stream >= 0 && stream < (int)s->fmt->nb_streams
                                     ? track_for(all, s->fmt->streams[stream])
                                     : NULL;

    if (!t || t->n_edits == 0)
        return 0;
    struct list_facts f = facts_of(all, t);
    if (f.slip && probe_warn(i,
                             "the edit list of stream %d has a rate of 0 from end to end, which is "
                             "taken for 1",
                             stream) < 0)
        return no_memory(err);
    if (is_plain(all, t, &f, is_video, is_text))
        return 0;
    int r = list_check(t, stream, err);
    if (r < 0)
        return r;
    if (i->n_edits + t->n_edits > EDITS_MAX)
        return err_set(err, -ENOTSUP, ERR_UNSUPPORTED,
                       "the edit lists of all streams have more than %d entries", EDITS_MAX);
    return list_take(all, t, &f, stream, i) < 0 ? no_memory(err) : 0;
}

/* Text is left out rather than that it keeps a source from being played. It may end when it likes.
 */
static int text_find(const struct edit_tracks *all, const struct media_source *s, int stream,
                     struct media_info *i)
{
    struct err why = { 0 };
    int r = stream_find(all, s, stream, i, &why);

    for (size_t k = 0; k < i->n_edits; k++)
        if (i->edits[k].stream == stream && i->edits[k].length == 0)
            i->edits[k].length = (int64_t)all->scale * 3600 * HOURS_MAX;
    return r == 0 || r == -ENOMEM ? r : probe_warn(i, "%s; its times are not edited", why.text);
}

static int lists_find(struct inside *in, const struct media_source *s, int trimmed,
                      struct media_info *i, struct err *err)
{
    struct edit_tracks all;
    int r = edit_boxes_read(in, &all, err);

    if (r < 0)
        return r;
    all.trimmed = trimmed && all.fragmented;
    if (all.scale > 0 && all.scale <= INT32_MAX) {
        i->edit_scale = all.scale;
        r = stream_find(&all, s, i->video.stream, i, err);
        for (size_t k = 0; r == 0 && media_audio(i, k); k++)
            r = stream_find(&all, s, media_audio(i, k)->stream, i, err);
        for (size_t k = 0; r == 0 && k < i->n_texts; k++)
            r = text_find(&all, s, i->texts[k].stream, i) < 0 ? no_memory(err) : 0;
    }
    edit_boxes_release(&all);
    return r;
}

int edits_find(struct inside *in, const struct media_source *s, struct media_info *i,
               struct err *err)
{
    return media_is_mov(s) ? lists_find(in, s, 0, i, err) : 0;
}

/* Whether libavformat shows pictures that end before the beginning: of two that begin there, one
 * does. */
static int is_trimmed(const struct media_index *idx)
{
    size_t n = 0;

    for (size_t k = 0; k < idx->n && n < 2; k++)
        n += idx->packets[k].pts != INT64_MIN && idx->packets[k].pts < 0 &&
             !(idx->packets[k].flags & PACKET_HIDDEN);
    return n == 2;
}

/* The only edit of sound in fragments goes to the end, which its packets told. */
static void set_ends(struct media_info *i, const struct index_track *tracks, size_t n)
{
    for (size_t k = 0; k < i->n_edits; k++)
        for (size_t t = 0; t < n; t++) {
            struct edit *e = &i->edits[k];
            for (size_t a = 0; e->stream == tracks[t].stream && media_audio(i, a); a++)
                if (media_audio(i, a)->stream == e->stream && e->length == 0)
                    e->length = av_rescale_q(tracks[t].times.end, media_audio(i, a)->tb,
                                             (AVRational){ 1, (int)i->edit_scale }) -
                                e->start;
        }
}

int edits_find_trimmed(struct inside *in, const struct media_source *s,
                       const struct media_index *idx, const struct index_track *tracks, size_t n,
                       struct media_info *i, struct err *err)
{
    if (!media_is_mov(s) || !media_io_fragmented(s->io) || i->n_edits > 0 || !is_trimmed(idx))
        return 0;
    int r = lists_find(in, s, 1, i, err);
    if (r < 0)
        return r;
    set_ends(i, tracks, n);
    return media_is_edited(i, i->video.stream);
}

/* ---- what only the packets know ---- */

static void drop_all_of(struct media_info *i, int stream)
{
    size_t n = 0;

    for (size_t k = 0; k < i->n_edits; k++)
        if (i->edits[k].stream != stream)
            i->edits[n++] = i->edits[k];
    i->n_edits = n;
}

/* From `media` to the end of it, on the presentation's scale. */
static int64_t rest_of(const struct media_info *i, const struct edit *e, int64_t media_end,
                       AVRational tb)
{
    int64_t left = av_sat_sub64(media_end, e->media);

    if (left <= 0 || e->rate == 0)
        return 0;
    left = av_rescale_q(left, tb, (AVRational){ 1, (int)i->edit_scale });
    return av_rescale(left, EDIT_RATE_ONE, e->rate);
}

/* Of the last edit of a stream. Where nothing is left to be shown it is none. */
static void set_endless(struct media_info *i, int stream, int64_t media_end, AVRational tb)
{
    for (size_t k = 0; k < i->n_edits; k++) {
        struct edit *e = &i->edits[k];
        if (e->stream != stream || e->length > 0)
            continue;
        int64_t limit = (int64_t)i->edit_scale * 3600 * HOURS_MAX;
        e->length = media_end == INT64_MIN ? 0 : FFMIN(rest_of(i, e, media_end, tb), limit);
        if (e->length > 0)
            continue;
        memmove(e, e + 1, (i->n_edits - k - 1) * sizeof(*e));
        i->n_edits--;
        k--;
    }
}

/* A last picture whose time isn't told lasts as long as the one before it. */
static int64_t media_end_of(const struct media_index *idx)
{
    const struct index_packet *last = NULL;
    int64_t before = INT64_MIN;

    for (size_t k = 0; k < idx->n; k++) {
        const struct index_packet *p = &idx->packets[k];
        if (p->pts == INT64_MIN || p->flags & PACKET_HIDDEN)
            continue;
        if (last && p->pts <= last->pts) {
            before = p->pts < last->pts ? FFMAX(before, p->pts) : before;
            continue;
        }
        before = last ? last->pts : before;
        last = p;
    }
    if (!last)
        return INT64_MIN;
    int64_t step = before != INT64_MIN ? av_sat_sub64(last->pts, before) : 1;
    return av_sat_add64(last->pts, last->duration > 0 ? last->duration : step);
}

/* Or a tick later, by the rounding of who wrote the list. */
static int has_picture_at(const struct media_index *idx, int64_t at)
{
    for (size_t k = 0; k < idx->n; k++) {
        const struct index_packet *p = &idx->packets[k];
        if (!(p->flags & PACKET_HIDDEN) && (p->pts == at || p->pts == at + 1))
            return 1;
    }
    return 0;
}

int edits_settle_video(struct media_info *i, const struct media_index *idx)
{
    const struct edit *only = NULL;
    size_t n = 0;

    for (size_t k = 0; k < i->n_edits; k++) {
        if (i->edits[k].stream != i->video.stream)
            continue;
        only = &i->edits[k];
        n++;
    }
    if (n == 1 && only->rate == EDIT_RATE_ONE && only->length > 0 &&
        has_picture_at(idx, only->media)) {
        drop_all_of(i, i->video.stream);
        return 1;
    }
    set_endless(i, i->video.stream, media_end_of(idx), i->video.tb);
    return 0;
}

void edits_settle_audio(struct media_info *i, struct audio_info *a, int64_t media_end)
{
    AVRational scale = { 1, (int)i->edit_scale };
    const struct edit *first = NULL, *last = NULL;

    set_endless(i, a->stream, media_end, a->tb);
    for (size_t k = 0; k < i->n_edits; k++) {
        const struct edit *e = &i->edits[k];
        if (e->stream != a->stream || (e->rate == 0 && last)) /* held, it isn't heard */
            continue;
        first = first && first->rate > 0 ? first : e;
        last = e;
    }
    if (!last)
        return;
    int64_t left = media_end == INT64_MIN ? last->length : rest_of(i, last, media_end, a->tb);
    a->start = av_rescale_q(first->start, scale, a->tb);
    a->end = av_rescale_q(last->start + FFMIN(last->length, left), scale, a->tb);
    a->end = FFMAX(a->end, a->start + 1);
}

/* ---- words ---- */

/* Seconds before the stream's edit `k` in which it has none, but for the beginning. */
static double gap_before(const struct media_info *i, size_t k)
{
    if (k == 0 || i->edits[k - 1].stream != i->edits[k].stream)
        return 0;
    return (double)(i->edits[k].start - i->edits[k - 1].start - i->edits[k - 1].length) /
           i->edit_scale;
}

static int is_sound(const struct media_info *i, int stream)
{
    for (size_t k = 0; media_audio(i, k); k++)
        if (media_audio(i, k)->stream == stream)
            return 1;
    return 0;
}

int edits_tell(struct media_info *i)
{
    double gaps = 0, held = 0;
    size_t odd = 0;
    int r = 0;

    for (size_t k = 0; k < i->n_edits; k++) {
        const struct edit *e = &i->edits[k];
        odd += e->rate != 0 && e->rate != EDIT_RATE_ONE && is_sound(i, e->stream);
        if (e->stream != i->video.stream)
            continue;
        gaps += gap_before(i, k);
        held += e->rate == 0 ? (double)e->length / i->edit_scale : 0;
    }
    if (gaps > 0)
        r = probe_warn(i, "the edit list has %.3f s without picture; the one before is shown there",
                       gaps);
    if (r == 0 && held > 0)
        r = probe_warn(i, "the edit list holds a picture for %.3f s in all", held);
    if (r == 0 && odd > 0)
        r = probe_warn(i,
                       "the edit list plays sound at other than its own rate in %zu places; its "
                       "pitch changes with it",
                       odd);
    return r;
}
