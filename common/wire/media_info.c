#include "media_info.h"
#include "fields.h"
#include "parts.h"
#include <errno.h>
#include <libavutil/pixfmt.h>
#include <stdlib.h>
#include <string.h>

void media_info_release(struct media_info *i)
{
    texts_free(i->warnings, i->n_warnings);
    free(i->texts);
    free(i->splices);
    free(i->arrivals);
    free(i->joins);
    free(i->edits);
    free(i->more_audio);
    memset(i, 0, sizeof(*i));
}

int media_info_copy(const struct media_info *from, struct media_info *ret)
{
    struct media_info i = *from;

    i.n_warnings = 0;
    i.warnings = calloc(from->n_warnings + 1, sizeof(*i.warnings));
    i.texts = calloc(from->n_texts + 1, sizeof(*i.texts));
    i.splices = calloc(from->n_splices + 1, sizeof(*i.splices));
    i.edits = calloc(from->n_edits + 1, sizeof(*i.edits));
    i.more_audio = calloc(from->n_more_audio + 1, sizeof(*i.more_audio));
    int r = media_info_copy_arrivals(from, &i);
    if (r < 0 || !i.warnings || !i.texts || !i.splices || !i.edits || !i.more_audio) {
        media_info_release(&i);
        return -ENOMEM;
    }
    if (from->n_texts)
        memcpy(i.texts, from->texts, from->n_texts * sizeof(*i.texts));
    if (from->n_splices > 0)
        memcpy(i.splices, from->splices, from->n_splices * sizeof(*i.splices));
    if (from->n_edits > 0)
        memcpy(i.edits, from->edits, from->n_edits * sizeof(*i.edits));
    if (from->n_more_audio)
        memcpy(i.more_audio, from->more_audio, from->n_more_audio * sizeof(*i.more_audio));
    for (; i.n_warnings < from->n_warnings; i.n_warnings++) {
        i.warnings[i.n_warnings] = strdup(from->warnings[i.n_warnings]);
        if (!i.warnings[i.n_warnings]) {
            media_info_release(&i);
            return -ENOMEM;
        }
    }
    *ret = i;
    return 0;
}

const struct audio_info *media_audio(const struct media_info *i, size_t track)
{
    if (track == 0)
        return i->audio.stream >= 0 ? &i->audio : NULL;
    return track <= i->n_more_audio ? &i->more_audio[track - 1] : NULL;
}

int color_is_hdr(const struct color_info *c)
{
    return c->transfer == AVCOL_TRC_SMPTE2084 || c->transfer == AVCOL_TRC_ARIB_STD_B67;
}

json_t *color_to_json(const struct color_info *c)
{
    struct out o = out_new();

    out_int(&o, "primaries", c->primaries);
    out_int(&o, "transfer", c->transfer);
    out_int(&o, "matrix", c->matrix);
    out_int(&o, "range", c->range);
    out_int(&o, "chroma_location", c->chroma_location);
    return out_done(&o);
}

struct color_info color_read(const struct in *o, const char *name)
{
    struct in v = in_object(o, name);
    struct color_info c = {
        .primaries = (int)in_int(&v, "primaries", 0, 255),
        .transfer = (int)in_int(&v, "transfer", 0, 255),
        .matrix = (int)in_int(&v, "matrix", 0, 255),
        .range = (int)in_int(&v, "range", 0, 2),
        .chroma_location = (int)in_int(&v, "chroma_location", 0, 6),
    };

    return c;
}

int crop_is_any(const struct crop_info *c)
{
    return c->left || c->top || c->right || c->bottom;
}

static json_t *crop_to_json(const struct crop_info *c)
{
    struct out o = out_new();

    out_int(&o, "left", c->left);
    out_int(&o, "top", c->top);
    out_int(&o, "right", c->right);
    out_int(&o, "bottom", c->bottom);
    return out_done(&o);
}

/* None of a probe by an older version, nor of most sources. */
static void crop_read(const struct in *o, struct crop_info *c)
{
    if (!in_field(o, "crop").j)
        return;
    struct in v = in_object(o, "crop");
    c->left = (int)in_int(&v, "left", 0, PICTURE_MAX);
    c->top = (int)in_int(&v, "top", 0, PICTURE_MAX);
    c->right = (int)in_int(&v, "right", 0, PICTURE_MAX);
    c->bottom = (int)in_int(&v, "bottom", 0, PICTURE_MAX);
}

static json_t *video_to_json(const struct video_info *v)
{
    struct out o = out_new();

    out_int(&o, "stream", v->stream);
    out_text(&o, "codec", v->codec);
    out_text(&o, "profile", v->profile);
    out_text(&o, "pix_fmt", v->pix_fmt);
    out_int(&o, "width", v->width);
    out_int(&o, "height", v->height);
    out_ratio(&o, "sar", v->sar);
    out_int(&o, "rotation", v->rotation);
    out_int(&o, "hflip", v->hflip);
    if (v->turns)
        out_int(&o, "turns", 1);
    if (crop_is_any(&v->crop))
        out_put(&o, "crop", crop_to_json(&v->crop));
    out_int(&o, "bit_depth", v->bit_depth);
    out_put(&o, "color", color_to_json(&v->color));
    out_int(&o, "interlaced", v->interlaced);
    if (v->fields)
        out_int(&o, "fields", 1);
    if (v->mixed)
        out_int(&o, "mixed", 1);
    if (v->primed)
        out_int(&o, "primed", 1);
    if (v->reorder)
        out_int(&o, "reorder", v->reorder);
    /* For programs that don't know "hdr" yet, and want this. */
    out_int(&o, "has_hdr_meta", v->hdr.has_mastering || v->hdr.max_cll);
    hdr_write(&o, &v->hdr);
    out_ratio(&o, "tb", v->tb);
    out_ratio(&o, "rate", v->rate);
    out_int(&o, "vfr", v->vfr);
    out_int(&o, "start", v->start);
    out_int(&o, "end", v->end);
    out_int(&o, "frames", (int64_t)v->frames);
    out_int(&o, "bit_rate", v->bit_rate);
    return out_done(&o);
}

static void video_read(const struct in *o, struct video_info *v)
{
    struct in f = in_field(o, "video");

    v->stream = -1;
    if (!f.j)
        return;
    in_is_object(&f);
    v->stream = (int)in_int(&f, "stream", 0, INT32_MAX);
    in_buf(&f, "codec", v->codec, sizeof(v->codec), CHARS_TEXT);
    in_buf(&f, "profile", v->profile, sizeof(v->profile), CHARS_TEXT);
    in_buf(&f, "pix_fmt", v->pix_fmt, sizeof(v->pix_fmt), CHARS_TEXT);
    v->width = (int)in_int(&f, "width", 1, PICTURE_MAX);
    v->height = (int)in_int(&f, "height", 1, PICTURE_MAX);
    v->sar = in_ratio(&f, "sar", 1);
    v->rotation = (int)in_int(&f, "rotation", 0, 270);
    if (v->rotation % 90) {
        struct in r = in_field(&f, "rotation");
        in_fail(&r, "%d is not 0, 90, 180 or 270", v->rotation);
    }
    v->hflip = in_flag(&f, "hflip");
    v->turns = in_field(&f, "turns").j ? in_flag(&f, "turns") : 0;
    crop_read(&f, &v->crop);
    v->bit_depth = (int)in_int(&f, "bit_depth", 1, 32);
    v->color = color_read(&f, "color");
    v->interlaced = (int)in_int(&f, "interlaced", 0, 2);
    v->fields = in_field(&f, "fields").j ? in_flag(&f, "fields") : 0;
    v->mixed = in_field(&f, "mixed").j ? in_flag(&f, "mixed") : 0;
    v->primed = in_field(&f, "primed").j ? in_flag(&f, "primed") : 0;
    v->reorder = in_field(&f, "reorder").j ? (int)in_int(&f, "reorder", 0, 16) : 0;
    hdr_read(&f, &v->hdr);
    v->tb = in_ratio(&f, "tb", 1);
    v->rate = in_ratio(&f, "rate", 0);
    v->vfr = in_flag(&f, "vfr");
    v->start = in_time(&f, "start");
    v->end = in_int(&f, "end", v->start, TIME_LIMIT);
    v->frames = (uint64_t)in_int(&f, "frames", 0, COUNT_LIMIT);
    v->bit_rate = in_int(&f, "bit_rate", 0, SIZE_LIMIT);
}

static const struct {
    enum audio_role role;
    const char *name;
} role_names[] = {
    {AUDIO_DUB,          "dub"        },
    { AUDIO_ORIGINAL,    "original"   },
    { AUDIO_COMMENTARY,  "commentary" },
    { AUDIO_DESCRIPTION, "description"},
};
enum { ROLES = sizeof(role_names) / sizeof(*role_names) };

static void roles_out(struct out *o, unsigned roles)
{
    char *names[ROLES];
    size_t n = 0;

    for (size_t i = 0; i < ROLES; i++)
        if (roles & role_names[i].role)
            names[n++] = (char *)role_names[i].name;
    if (n > 0)
        out_texts(o, "roles", names, n);
}

/* Those that nobody knows here are for later readers. */
static unsigned roles_read(const struct in *o)
{
    size_t n = 0;
    char **names = in_field(o, "roles").j ? in_texts(o, "roles", &n) : NULL;
    unsigned roles = 0;

    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < ROLES; k++)
            if (strcmp(names[i], role_names[k].name) == 0)
                roles |= role_names[k].role;
    texts_free(names, n);
    return roles;
}

static json_t *audio_to_json(const void *item)
{
    const struct audio_info *a = item;
    struct out o = out_new();

    out_int(&o, "stream", a->stream);
    out_text(&o, "codec", a->codec);
    out_text(&o, "layout", a->layout);
    out_text(&o, "language", a->language);
    if (a->title[0])
        out_text(&o, "title", a->title);
    roles_out(&o, a->roles);
    out_int(&o, "sample_rate", a->sample_rate);
    out_int(&o, "channels", a->channels);
    out_ratio(&o, "tb", a->tb);
    out_int(&o, "start", a->start);
    out_int(&o, "end", a->end);
    out_int(&o, "bit_rate", a->bit_rate);
    return out_done(&o);
}

static void track_read(const struct in *f, struct audio_info *a)
{
    in_is_object(f);
    a->stream = (int)in_int(f, "stream", 0, INT32_MAX);
    in_buf(f, "codec", a->codec, sizeof(a->codec), CHARS_TEXT);
    in_buf(f, "layout", a->layout, sizeof(a->layout), CHARS_TEXT);
    in_buf(f, "language", a->language, sizeof(a->language), CHARS_TEXT);
    if (in_field(f, "title").j)
        in_buf(f, "title", a->title, sizeof(a->title), CHARS_TEXT);
    a->roles = roles_read(f);
    a->sample_rate = (int)in_int(f, "sample_rate", 1, SAMPLE_RATE_MAX);
    a->channels = (int)in_int(f, "channels", 1, CHANNELS_MAX);
    a->tb = in_ratio(f, "tb", 1);
    a->start = in_time(f, "start");
    a->end = in_int(f, "end", a->start, TIME_LIMIT);
    a->bit_rate = in_int(f, "bit_rate", 0, SIZE_LIMIT);
}

static void audio_read(const struct in *o, struct media_info *i)
{
    struct in f = in_field(o, "audio"), more = in_field(o, "more_audio");
    size_t n = 0;

    i->audio.stream = -1;
    if (f.j)
        track_read(&f, &i->audio);
    if (!more.j || !f.j)
        return;
    more = in_array(o, "more_audio", AUDIO_TRACKS_MAX - 1, &n);
    i->more_audio = in_calloc(&more, n, sizeof(*i->more_audio));
    i->n_more_audio = i->more_audio ? n : 0;
    for (size_t k = 0; k < i->n_more_audio; k++) {
        struct in e = in_at(&more, k);
        track_read(&e, &i->more_audio[k]);
    }
}

json_t *text_info_to_json(const struct text_info *t)
{
    struct out o = out_new();

    out_int(&o, "stream", t->stream);
    out_text(&o, "codec", t->codec);
    out_text(&o, "language", t->language);
    out_text(&o, "title", t->title);
    out_int(&o, "default", t->is_default);
    out_int(&o, "forced", t->forced);
    out_int(&o, "hearing_impaired", t->hearing_impaired);
    if (t->page > 0)
        out_int(&o, "page", t->page);
    if (t->captions)
        out_int(&o, "captions", t->captions);
    return out_done(&o);
}

static json_t *text_item_to_json(const void *t)
{
    return text_info_to_json(t);
}

void text_info_read(const struct in *v, struct text_info *t)
{
    in_is_object(v);
    t->stream = (int)in_int(v, "stream", 0, INT32_MAX);
    in_buf(v, "codec", t->codec, sizeof(t->codec), CHARS_TEXT);
    in_buf(v, "language", t->language, sizeof(t->language), CHARS_TEXT);
    in_buf(v, "title", t->title, sizeof(t->title), CHARS_TEXT);
    t->is_default = in_flag(v, "default");
    t->forced = in_flag(v, "forced");
    t->hearing_impaired = in_flag(v, "hearing_impaired");
    if (in_field(v, "page").j)
        t->page = (int)in_int(v, "page", 100, 899);
    if (in_field(v, "captions").j) /* none of older plans */
        t->captions = (int)in_int(v, "captions", 0, CAPTIONS_MAX);
}

/* None of a probe by an older version. */
static void texts_read(const struct in *v, struct media_info *i)
{
    size_t n;

    if (!in_field(v, "texts").j)
        return;
    struct in a = in_array(v, "texts", TEXT_TRACKS_MAX, &n);
    i->texts = in_calloc(&a, n, sizeof(*i->texts));
    i->n_texts = i->texts ? n : 0;
    for (size_t k = 0; k < i->n_texts; k++) {
        struct in e = in_at(&a, k);
        text_info_read(&e, &i->texts[k]);
    }
}

static json_t *splice_to_json(const void *s)
{
    const struct splice *p = s;
    struct out o = out_new();

    out_int(&o, "pos", p->pos);
    out_int(&o, "offset", p->offset);
    return out_done(&o);
}

/* Plans that were made before there were any have none. */
static struct splice *splices_read(const struct in *o, size_t *ret_n)
{
    struct in f = in_field(o, "splices");
    size_t n = 0;

    *ret_n = 0;
    if (!f.j)
        return NULL;
    struct in v = in_array(o, "splices", SPLICES_MAX, &n);
    struct splice *list = in_calloc(&v, n, sizeof(*list));
    for (size_t i = 0; list && i < n; i++) {
        struct in e = in_at(&v, i);
        in_is_object(&e);
        list[i].pos = in_int(&e, "pos", i > 0 ? list[i - 1].pos : 0, SIZE_LIMIT);
        list[i].offset = in_int(&e, "offset", -TIME_LIMIT, TIME_LIMIT);
    }
    *ret_n = list ? n : 0;
    return list;
}

json_t *media_info_to_json(const struct media_info *i)
{
    struct out o = out_new();

    out_text(&o, "container", i->container);
    out_int(&o, "size_bytes", (int64_t)i->size_bytes);
    out_int(&o, "duration_ms", i->duration_ms);
    if (i->video.stream >= 0)
        out_put(&o, "video", video_to_json(&i->video));
    if (i->audio.stream >= 0)
        out_put(&o, "audio", audio_to_json(&i->audio));
    if (i->n_more_audio > 0)
        out_list(&o, "more_audio", i->more_audio, i->n_more_audio, sizeof(*i->more_audio),
                 audio_to_json);
    if (i->n_texts > 0)
        out_list(&o, "texts", i->texts, i->n_texts, sizeof(*i->texts), text_item_to_json);
    if (i->n_splices > 0)
        out_list(&o, "splices", i->splices, i->n_splices, sizeof(*i->splices), splice_to_json);
    arrivals_write(&o, i);
    edits_write(&o, i);
    out_texts(&o, "warnings", i->warnings, i->n_warnings);
    return out_done(&o);
}

void media_info_read(const struct in *v, struct media_info *ret)
{
    memset(ret, 0, sizeof(*ret));
    in_is_object(v);
    in_buf(v, "container", ret->container, sizeof(ret->container), CHARS_TEXT);
    ret->size_bytes = (uint64_t)in_int(v, "size_bytes", 0, SIZE_LIMIT);
    ret->duration_ms = in_int(v, "duration_ms", 0, TIME_LIMIT);
    video_read(v, &ret->video);
    audio_read(v, ret);
    texts_read(v, ret);
    ret->splices = splices_read(v, &ret->n_splices);
    arrivals_read(v, ret);
    edits_read(v, ret);
    ret->warnings = in_texts(v, "warnings", &ret->n_warnings);
}

int media_info_from_json(const json_t *j, struct media_info *ret, struct err *err)
{
    struct in_state state;
    struct in top = in_top(&state, "info", j, err);
    struct media_info i;

    media_info_read(&top, &i);
    if (state.r < 0) {
        media_info_release(&i);
        return state.r;
    }
    *ret = i;
    return 0;
}
