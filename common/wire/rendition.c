#include "rendition.h"
#include "fields.h"
#include "parts.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[] = { [MEDIA_VIDEO] = "video",
                                          [MEDIA_AUDIO] = "audio",
                                          [MEDIA_TEXT] = "text",
                                          [MEDIA_POSTER] = "poster",
                                          [MEDIA_STORYBOARD] = "storyboard" };

void rendition_release(struct rendition *r)
{
    for (size_t i = 0; i < r->n_params; i++) {
        free(r->params[i].key);
        free(r->params[i].value);
    }
    free(r->params);
    free(r->shots);
    free(r->name);
    free(r->codec);
    free(r->encoder);
    free(r->rung);
    free(r->not_copied);
    memset(r, 0, sizeof(*r));
}

void rendition_list_free(struct rendition *r, size_t n)
{
    for (size_t i = 0; r && i < n; i++)
        rendition_release(&r[i]);
    free(r);
}

const char *rendition_rung(const struct rendition *r)
{
    return r->rung ? r->rung : r->name;
}

/* A copy of `s`; *bad is set when out of memory. */
static char *copy_text(const char *s, int *bad)
{
    char *copy = s ? strdup(s) : NULL;

    if (s && !copy)
        *bad = 1;
    return copy;
}

int rendition_copy(const struct rendition *from, struct rendition *ret)
{
    struct rendition r = *from;
    int bad = 0;

    r.name = copy_text(from->name, &bad);
    r.codec = copy_text(from->codec, &bad);
    r.encoder = copy_text(from->encoder, &bad);
    r.rung = copy_text(from->rung, &bad);
    r.not_copied = copy_text(from->not_copied, &bad);
    r.params = from->n_params ? calloc(from->n_params, sizeof(*r.params)) : NULL;
    if (!r.params) {
        bad |= from->n_params > 0;
        r.n_params = 0;
    }
    for (size_t i = 0; i < r.n_params; i++) {
        r.params[i].key = copy_text(from->params[i].key, &bad);
        r.params[i].value = copy_text(from->params[i].value, &bad);
    }
    r.shots = from->n_shots ? calloc(from->n_shots, sizeof(*r.shots)) : NULL;
    if (r.shots)
        memcpy(r.shots, from->shots, from->n_shots * sizeof(*r.shots));
    bad |= from->n_shots > 0 && !r.shots;
    if (bad) {
        rendition_release(&r);
        return -ENOMEM;
    }
    *ret = r;
    return 0;
}

/* Pairs, not an object: the order is the ladder's. */
static json_t *param_to_json(const void *item)
{
    const struct param *p = item;
    struct out o = out_new();

    out_text(&o, "key", p->key);
    out_text(&o, "value", p->value);
    return out_done(&o);
}

static void video_to_json(const struct rendition *r, struct out *o)
{
    out_int(o, "width", r->width);
    out_int(o, "height", r->height);
    out_ratio(o, "sar", r->sar);
    out_text(o, "pix_fmt", r->pix_fmt);
    out_put(o, "color", color_to_json(&r->color));
    hdr_write(o, &r->hdr);
    out_int(o, "tonemap", r->tonemap);
    out_ratio(o, "grid_period", r->grid.period);
    out_ratio(o, "grid_phase", r->grid.phase);
    out_ratio(o, "rate", r->rate);
    out_int(o, "maxrate", r->maxrate);
    out_int(o, "threads", r->threads);
    if (r->gop_reset)
        out_int(o, "gop_reset", 1);
    if (r->warm_up)
        out_int(o, "warm_up", r->warm_up);
    if (r->look_ahead)
        out_int(o, "look_ahead", r->look_ahead);
    if (r->copy)
        out_int(o, "copy", 1);
    out_text(o, "not_copied", r->not_copied);
}

static json_t *shots_to_json(const struct rendition *r)
{
    json_t *a = json_array();

    for (size_t i = 0; a && i < r->n_shots; i++) {
        const struct shot *s = &r->shots[i];
        json_t *seek = json_array();
        json_t *row = json_pack("[I, o, I]", (json_int_t)s->pts, seek, (json_int_t)s->seek_pos);
        const int64_t times[] = { s->seek_pts, s->seek_dts };
        int bad = !row;
        for (size_t k = 0; k < 2 && !bad; k++)
            bad = json_array_append_new(seek, times[k] == NO_TIME ? json_null()
                                                                  : json_integer(times[k])) < 0;
        if (!bad && s->shift != 0)
            bad = json_array_append_new(row, json_integer(s->shift)) < 0;
        if (bad || json_array_append_new(a, row) < 0) {
            json_decref(bad ? row : NULL);
            json_decref(a);
            return NULL;
        }
    }
    return a;
}

static void pictures_to_json(const struct rendition *r, struct out *o)
{
    out_int(o, "width", r->width);
    out_int(o, "height", r->height);
    out_text(o, "pix_fmt", r->pix_fmt);
    out_put(o, "color", color_to_json(&r->color));
    out_int(o, "tonemap", r->tonemap);
    out_put(o, "shots", shots_to_json(r));
    if (r->kind == MEDIA_POSTER)
        return;
    out_int(o, "every_ms", r->every_ms);
    out_int(o, "columns", r->columns);
    out_int(o, "rows", r->rows);
}

static void audio_to_json(const struct rendition *r, struct out *o)
{
    if (r->track)
        out_int(o, "track", r->track);
    if (r->rung)
        out_text(o, "rung", r->rung);
    out_int(o, "sample_rate", r->sample_rate);
    out_int(o, "channels", r->channels);
    out_text(o, "layout", r->layout);
    out_int(o, "bit_rate", r->bit_rate);
    if (r->loudness < 0) {
        out_double(o, "loudness", r->loudness);
        out_double(o, "true_peak", r->true_peak);
    }
}

json_t *rendition_to_json(const struct rendition *r)
{
    struct out o = out_new();

    out_text(&o, "kind", kind_names[r->kind]);
    out_text(&o, "name", r->name);
    out_text(&o, "codec", r->codec);
    out_text(&o, "encoder", r->encoder);
    out_list(&o, "params", r->params, r->n_params, sizeof(*r->params), param_to_json);
    if (r->kind == MEDIA_VIDEO)
        video_to_json(r, &o);
    else if (r->kind == MEDIA_AUDIO)
        audio_to_json(r, &o);
    else if (r->kind == MEDIA_TEXT)
        out_put(&o, "text", text_info_to_json(&r->text));
    else
        pictures_to_json(r, &o);
    out_double(&o, "cost", r->cost);
    out_int(&o, "memory_bytes", (int64_t)r->memory_bytes);
    return out_done(&o);
}

json_t *rendition_item_to_json(const void *r)
{
    return rendition_to_json(r);
}

static void params_read(const struct in *o, struct rendition *r)
{
    size_t n;
    struct in a = in_array(o, "params", PARAMS_MAX, &n);

    r->params = in_calloc(&a, n, sizeof(*r->params));
    r->n_params = r->params ? n : 0;
    for (size_t i = 0; i < r->n_params; i++) {
        struct in p = in_at(&a, i);
        in_is_object(&p);
        r->params[i].key = in_text(&p, "key", NAME_LEN_MAX, CHARS_TOKEN);
        r->params[i].value = in_text(&p, "value", TEXT_LEN_MAX, CHARS_TEXT);
    }
}

static void video_read(const struct in *v, struct rendition *r)
{
    r->width = (int)in_int(v, "width", 2, PICTURE_MAX);
    r->height = (int)in_int(v, "height", 2, PICTURE_MAX);
    r->sar = in_ratio(v, "sar", 1);
    in_buf(v, "pix_fmt", r->pix_fmt, sizeof(r->pix_fmt), CHARS_TOKEN);
    r->color = color_read(v, "color");
    hdr_read(v, &r->hdr);
    r->tonemap = in_flag(v, "tonemap");
    r->grid.period = in_ratio(v, "grid_period", 0);
    r->grid.phase = in_ratio(v, "grid_phase", INT32_MIN);
    r->rate = in_ratio(v, "rate", 0);
    r->maxrate = in_int(v, "maxrate", 0, SIZE_LIMIT);
    r->threads = (int)in_int(v, "threads", 1, 256);
    if (in_field(v, "gop_reset").j)
        r->gop_reset = in_flag(v, "gop_reset");
    if (in_field(v, "warm_up").j)
        r->warm_up = (int)in_int(v, "warm_up", 0, WARM_UP_MAX);
    if (in_field(v, "look_ahead").j)
        r->look_ahead = (int)in_int(v, "look_ahead", 0, LOOK_AHEAD_MAX);
    if (in_field(v, "copy").j)
        r->copy = in_flag(v, "copy");
    if (in_field(v, "not_copied").j)
        r->not_copied = in_text(v, "not_copied", TEXT_LEN_MAX, CHARS_TEXT);
    if (r->width % 2 || r->height % 2) {
        struct in f = in_field(v, r->width % 2 ? "width" : "height");
        in_fail(&f, "must be even");
    }
}

static void audio_read(const struct in *v, struct rendition *r)
{
    if (in_field(v, "track").j)
        r->track = (unsigned)in_int(v, "track", 0, AUDIO_TRACKS_MAX - 1);
    if (in_field(v, "rung").j)
        r->rung = in_text(v, "rung", NAME_LEN_MAX, CHARS_NAME);
    r->sample_rate = (int)in_int(v, "sample_rate", 1, SAMPLE_RATE_MAX);
    r->channels = (int)in_int(v, "channels", 1, CHANNELS_MAX);
    in_buf(v, "layout", r->layout, sizeof(r->layout), CHARS_TEXT);
    r->bit_rate = in_int(v, "bit_rate", 0, SIZE_LIMIT);
    if (in_field(v, "loudness").j) {
        r->loudness = in_double(v, "loudness", -70, 0);
        r->true_peak = in_double(v, "true_peak", -20, 0);
    }
}

/* [pts, [seek pts, seek dts], seek position], and of an edited source the shift */
static void shot_read(const struct in *v, struct shot *s)
{
    struct in pts = in_at(v, 0), seek = in_at(v, 1), pos = in_at(v, 2);

    if (!json_is_array(v->j) || json_array_size(v->j) < 3 || json_array_size(v->j) > 4 ||
        !json_is_array(seek.j) || json_array_size(seek.j) != 2) {
        in_fail(v, "must be [pts, [seek pts, seek dts], position]");
        return;
    }
    struct in seek_pts = in_at(&seek, 0), seek_dts = in_at(&seek, 1);
    s->pts = in_number(&pts, -TIME_LIMIT, TIME_LIMIT);
    s->seek_pts = in_time_at(&seek_pts);
    s->seek_dts = in_time_at(&seek_dts);
    s->seek_pos = in_number(&pos, -1, SIZE_LIMIT);
    if (json_array_size(v->j) == 4) {
        struct in shift = in_at(v, 3);
        s->shift = in_number(&shift, -TIME_LIMIT, TIME_LIMIT);
    }
}

static void shots_read(const struct in *v, struct rendition *r)
{
    size_t n;
    struct in a = in_array(v, "shots", SHOTS_MAX, &n);

    if (n == 0)
        in_fail(&a, "must not be empty");
    r->shots = in_calloc(&a, n, sizeof(*r->shots));
    r->n_shots = r->shots ? n : 0;
    for (size_t i = 0; i < r->n_shots && in_ok(v); i++) {
        struct in e = in_at(&a, i);
        shot_read(&e, &r->shots[i]);
        if (in_ok(v) && i > 0 && r->shots[i].pts < r->shots[i - 1].pts)
            in_fail(&e, "is before the one before it");
    }
}

static void pictures_read(const struct in *v, struct rendition *r)
{
    r->width = (int)in_int(v, "width", 2, PICTURE_MAX);
    r->height = (int)in_int(v, "height", 2, PICTURE_MAX);
    in_buf(v, "pix_fmt", r->pix_fmt, sizeof(r->pix_fmt), CHARS_TOKEN);
    r->color = color_read(v, "color");
    r->tonemap = in_flag(v, "tonemap");
    r->sar = (AVRational){ 1, 1 };
    shots_read(v, r);
    if (r->kind == MEDIA_POSTER)
        return;
    r->every_ms = in_int(v, "every_ms", 1, INT32_MAX);
    r->columns = (int)in_int(v, "columns", 1, TILES_MAX);
    r->rows = (int)in_int(v, "rows", 1, TILES_MAX);
    if (r->width * (int64_t)r->columns > PICTURE_MAX ||
        r->height * (int64_t)r->rows > PICTURE_MAX) {
        struct in f = in_field(v, "columns");
        in_fail(&f, "the sheet is larger than %d pixels", PICTURE_MAX);
    }
}

static void text_read(const struct in *v, struct rendition *r)
{
    struct in text = in_object(v, "text");
    text_info_read(&text, &r->text);
}

void rendition_read(const struct in *v, struct rendition *r)
{
    memset(r, 0, sizeof(*r));
    in_is_object(v);
    r->kind = (enum media_kind)in_enum(v, "kind", kind_names, MEDIA_STORYBOARD + 1);
    r->name = in_text(v, "name", NAME_LEN_MAX, CHARS_NAME);
    r->codec = in_text(v, "codec", NAME_LEN_MAX, CHARS_NAME);
    r->encoder = in_text(v, "encoder", NAME_LEN_MAX, CHARS_TOKEN);
    params_read(v, r);
    if (r->kind == MEDIA_VIDEO)
        video_read(v, r);
    else if (r->kind == MEDIA_AUDIO)
        audio_read(v, r);
    else if (r->kind == MEDIA_TEXT)
        text_read(v, r);
    else
        pictures_read(v, r);
    r->cost = in_double(v, "cost", 0, 1e9);
    r->memory_bytes = (uint64_t)in_int(v, "memory_bytes", 0, SIZE_LIMIT);
}

int rendition_from_json(const json_t *j, struct rendition *ret, struct err *err)
{
    struct in_state state;
    struct in top = in_top(&state, "rendition", j, err);
    struct rendition r;

    rendition_read(&top, &r);
    if (state.r < 0) {
        rendition_release(&r);
        return state.r;
    }
    *ret = r;
    return 0;
}

/* Names are folders under video/, audio/ and text/, so two of one kind must differ. */
static void names_check(const struct in *a, const struct rendition *r, size_t n)
{
    for (size_t i = 0; in_ok(a) && i < n; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(r[i].name, r[k].name) == 0) {
                struct in e = in_at(a, i), name = in_field(&e, "name");
                in_fail(&name, "'%s' is the name of an earlier one", r[i].name);
                break;
            }
}

struct rendition *renditions_read(const struct in *o, const char *name, size_t *ret_n)
{
    size_t n;
    struct in a = in_array(o, name, RENDITIONS_MAX, &n);
    struct rendition *r = in_calloc(&a, n, sizeof(*r));

    *ret_n = 0;
    for (size_t i = 0; r && i < n; i++) {
        struct in e = in_at(&a, i);
        rendition_read(&e, &r[i]);
    }
    names_check(&a, r, n);
    if (!in_ok(o)) {
        rendition_list_free(r, n);
        return NULL;
    }
    *ret_n = n;
    return r;
}
