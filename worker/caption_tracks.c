#include "caption_tracks.h"

#include "../common/base/err.h"
#include "cc_reader.h"
#include "spans.h"

#include <errno.h>
#include <libavutil/mathematics.h>
#include <stdlib.h>
#include <string.h>

struct caption_track {
    const AVStream *st;
    const struct rendition *r;
    struct cues *to;
    struct err *out;
    struct cc_reader *reader; /* of its stream */
    int owned;                /* 1: it is this track's to free; the others of its stream use it */
};

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for captions");
}

int64_t text_time(const struct task *t, int64_t pts, AVRational tb)
{
    static const AVRational ms = { 1, 1000 };

    return av_sat_sub64(av_rescale_q(pts, tb, ms), av_rescale_q(t->origin, t->info.video.tb, ms));
}

static struct cc_reader *reader_of(const struct caption_tracks *c, int stream)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->v[i].st->index == stream)
            return c->v[i].reader;
    return NULL;
}

int caption_tracks_add(struct caption_tracks *c, const AVStream *st, int untold,
                       const struct rendition *r, struct cues *to, struct err *out, struct err *err)
{
    struct cc_reader *reader = reader_of(c, st->index);
    struct caption_track *grown = reallocarray(c->v, c->n + 1, sizeof(*grown));
    int owned = !reader, n = 0;

    if (!grown)
        return no_memory(err);
    c->v = grown;
    if (owned)
        n = cc_reader_new(st, untold, &reader, err);
    if (n < 0)
        return n;
    c->v[c->n++] = (struct caption_track){ st, r, to, out, reader, owned };
    n = cc_reader_want(reader, (unsigned)r->text.captions - 1, out);
    return n == -ENOMEM ? no_memory(err) : 0;
}

int caption_tracks_packet(struct caption_tracks *c, const AVPacket *pkt, struct err *err)
{
    struct cc_reader *reader = reader_of(c, pkt->stream_index);
    int n = reader ? cc_reader_packet(reader, pkt, err) : 0;

    return n < 0 ? n : reader != NULL;
}

static int put_cue(const struct task *t, struct caption_track *k, const struct cue *c,
                   AVRational tb, int64_t start, int64_t end)
{
    struct cue own = { .start = text_time(t, start, tb),
                       .end = text_time(t, end, tb),
                       .text = strdup(c->text),
                       .top = c->top };

    if (own.text && cues_add(k->to, own) == 0)
        return 0;
    free(own.text);
    return -ENOMEM;
}

/* As often as an edit list shows what was there. */
static int put_shown(const struct task *t, struct caption_track *k, const struct cue *c)
{
    const struct media_info *info = &t->info;
    AVRational tb = k->st->time_base, scale = { 1, (int)info->edit_scale };
    int64_t start, end;
    int r = 0;

    if (!media_is_edited(info, k->st->index))
        return put_cue(t, k, c, tb, c->start, c->end);
    for (size_t i = 0; i < info->n_edits && r == 0; i++)
        if (info->edits[i].stream == k->st->index &&
            cue_edit(&info->edits[i], scale, tb, c->start, c->end, &start, &end))
            r = put_cue(t, k, c, scale, start, end);
    return r;
}

static int track_end(const struct task *t, struct caption_track *k)
{
    unsigned channel = (unsigned)k->r->text.captions - 1;
    const struct cues *l = cc_reader_cues(k->reader, channel);
    int r = 0;

    if (cc_reader_flooded(k->reader, channel)) {
        (void)err_set(k->out, -E2BIG, ERR_INPUT, "it has more than %d cues, or %d MiB of them",
                      CC_CUES_MAX, CC_BYTES_MAX >> 20);
        return 0;
    }
    for (size_t i = 0; i < l->n && r == 0; i++)
        r = put_shown(t, k, &l->v[i]);
    if (k->owned && cc_reader_has_708(k->reader) && !cc_reader_spoke(k->reader))
        (void)err_set(k->out, -EINVAL, ERR_INPUT,
                      "captions are of CEA-708 alone, without what CEA-608 has of them");
    return r;
}

int caption_tracks_end(struct caption_tracks *c, const struct task *t, struct err *err)
{
    int r = 0;

    for (size_t i = 0; i < c->n && r == 0; i++)
        if (c->v[i].owned)
            r = cc_reader_end(c->v[i].reader, err);
    for (size_t i = 0; i < c->n && r == 0; i++)
        r = track_end(t, &c->v[i]);
    caption_tracks_release(c);
    return r < 0 ? no_memory(err) : 0;
}

void caption_tracks_release(struct caption_tracks *c)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->v[i].owned)
            cc_reader_free(c->v[i].reader);
    free(c->v);
    *c = (struct caption_tracks){ 0 };
}
