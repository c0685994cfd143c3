/* Edit lists, and what they make of a chunk. */
#include "fields.h"
#include "parts.h"
#include <stdlib.h>
#include <string.h>

static json_t *edit_to_json(const void *item)
{
    const struct edit *e = item;
    struct out o = out_new();

    out_int(&o, "stream", e->stream);
    out_int(&o, "start", e->start);
    out_int(&o, "length", e->length);
    out_int(&o, "media", e->media);
    out_int(&o, "rate", e->rate);
    return out_done(&o);
}

void edits_write(struct out *o, const struct media_info *i)
{
    if (i->n_edits == 0)
        return;
    out_int(o, "edit_scale", i->edit_scale);
    out_list(o, "edits", i->edits, i->n_edits, sizeof(*i->edits), edit_to_json);
}

static void edit_read(const struct in *v, struct edit *e)
{
    in_is_object(v);
    e->stream = (int)in_int(v, "stream", 0, INT32_MAX);
    e->start = in_int(v, "start", 0, TIME_LIMIT);
    e->length = in_int(v, "length", 1, TIME_LIMIT - e->start);
    e->media = in_int(v, "media", -TIME_LIMIT, TIME_LIMIT);
    e->rate = (int32_t)in_int(v, "rate", 0, INT32_MAX);
}

/* Plans that were made before there were any have none. */
void edits_read(const struct in *o, struct media_info *i)
{
    size_t n = 0;

    if (!in_field(o, "edits").j)
        return;
    i->edit_scale = (uint32_t)in_int(o, "edit_scale", 1, INT32_MAX);
    struct in v = in_array(o, "edits", EDITS_MAX, &n);
    i->edits = in_calloc(&v, n, sizeof(*i->edits));
    i->n_edits = i->edits ? n : 0;
    for (size_t k = 0; k < i->n_edits && in_ok(o); k++) {
        struct in e = in_at(&v, k);
        const struct edit *before = k > 0 ? &i->edits[k - 1] : NULL;
        edit_read(&e, &i->edits[k]);
        if (before && in_ok(o) && before->stream == i->edits[k].stream &&
            i->edits[k].start < before->start + before->length)
            in_fail(&e, "begins before the one before it ends");
    }
}

int media_is_edited(const struct media_info *i, int stream)
{
    for (size_t k = 0; k < i->n_edits; k++)
        if (i->edits[k].stream == stream)
            return 1;
    return 0;
}

void media_keep_edits(struct media_info *i, int stream, size_t most)
{
    size_t n = 0;

    for (size_t k = 0; k < i->n_edits; k++)
        if (i->edits[k].stream == stream && n < most)
            i->edits[n++] = i->edits[k];
    i->n_edits = n;
}

/* ---- spans ---- */

void chunk_spans_release(struct chunk *c)
{
    for (size_t i = 0; i < c->n_spans; i++) {
        pts_list_release(&c->spans[i].media);
        pts_list_release(&c->spans[i].shown);
        stamps_release(&c->spans[i].stamps);
    }
    free(c->spans);
    c->spans = NULL;
    c->n_spans = 0;
}

static int list_copy(const struct pts_list *from, struct pts_list *ret)
{
    *ret = *from;
    ret->runs = calloc(from->n_runs + 1, sizeof(*ret->runs));
    if (!ret->runs)
        return -1;
    if (from->n_runs > 0)
        memcpy(ret->runs, from->runs, from->n_runs * sizeof(*ret->runs));
    return 0;
}

int chunk_spans_copy(const struct chunk *from, struct chunk *ret)
{
    ret->n_spans = 0;
    ret->spans = from->n_spans > 0 ? calloc(from->n_spans, sizeof(*ret->spans)) : NULL;
    if (from->n_spans > 0 && !ret->spans)
        return -1;
    for (size_t i = 0; i < from->n_spans; i++) {
        struct chunk_span *s = &ret->spans[i];
        *s = from->spans[i];
        s->media.runs = s->shown.runs = NULL;
        s->stamps = (struct packet_stamps){ 0 };
        ret->n_spans = i + 1;
        if (list_copy(&from->spans[i].media, &s->media) < 0 ||
            list_copy(&from->spans[i].shown, &s->shown) < 0 ||
            stamps_copy(&from->spans[i].stamps, &s->stamps) < 0)
            return -1;
    }
    return 0;
}

static json_t *span_to_json(const void *item)
{
    const struct chunk_span *s = item;
    struct out o = out_new();

    out_time(&o, "seek_pts", s->seek_pts);
    out_time(&o, "seek_dts", s->seek_dts);
    out_int(&o, "seek_pos", s->seek_pos);
    out_int(&o, "packets", (int64_t)s->packets);
    out_put(&o, "media", pts_list_to_json(&s->media));
    out_put(&o, "shown", pts_list_to_json(&s->shown));
    stamps_write(&o, &s->stamps);
    return out_done(&o);
}

void spans_write(struct out *o, const struct chunk *c)
{
    if (c->n_spans > 0)
        out_list(o, "spans", c->spans, c->n_spans, sizeof(*c->spans), span_to_json);
}

static void span_read(const struct in *v, struct chunk_span *s)
{
    in_is_object(v);
    s->seek_pts = in_time_or_none(v, "seek_pts");
    s->seek_dts = in_time_or_none(v, "seek_dts");
    s->seek_pos = in_int(v, "seek_pos", -1, SIZE_LIMIT);
    s->packets = (uint64_t)in_int(v, "packets", 1, COUNT_LIMIT);
    struct in media = in_object(v, "media"), shown = in_object(v, "shown");
    pts_list_read(&media, &s->media);
    pts_list_read(&shown, &s->shown);
    stamps_read(v, s->packets, &s->stamps);
    if (in_ok(v) && s->media.n_frames != s->shown.n_frames && s->media.n_frames != 1)
        in_fail(&media, "has %llu pictures for %llu times", (unsigned long long)s->media.n_frames,
                (unsigned long long)s->shown.n_frames);
}

void spans_read(const struct in *o, struct chunk *c)
{
    size_t n = 0;

    if (!in_field(o, "spans").j)
        return;
    struct in v = in_array(o, "spans", CHUNK_SPANS_MAX, &n);
    c->spans = in_calloc(&v, n, sizeof(*c->spans));
    c->n_spans = c->spans ? n : 0;
    for (size_t i = 0; i < c->n_spans && in_ok(o); i++) {
        struct in e = in_at(&v, i);
        span_read(&e, &c->spans[i]);
        if (i > 0 && in_ok(o) && c->spans[i].shown.first <= pts_list_last(&c->spans[i - 1].shown))
            in_fail(&e, "begins before the one before it ends");
    }
}
