#include "publish_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/err.h"

const struct shape shape_plain = {
    .tb = {1,   12800},
    .timescale = 12800,
    .delta = 512,
    .n_frames = 325,
    .gop_frames = 50,
    .segment_gops = 3,
    .chunk_segments = 1,
    .rate = { 25, 1    },
    .audio = 1,
};

static char *dup(const char *s)
{
    char *d = strdup(s);
    assert_non_null(d);
    return d;
}

static void *zeros(size_t n, size_t size)
{
    void *p = calloc(n, size);
    assert_non_null(p);
    return p;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Plan */

static int64_t pts_of(const struct shape *s, size_t i)
{
    if (i == s->n_frames)
        return pts_of(s, i - 1) + s->delta;
    return s->pts ? s->pts[i] : s->first + (int64_t)i * s->delta;
}

static void make_chunk(const struct shape *s, const struct chunk *before, size_t from,
                       struct chunk *c)
{
    size_t want = (size_t)s->gop_frames * s->segment_gops * s->chunk_segments;
    size_t n = least(want, s->n_frames - from);
    int64_t *pts = zeros(n, sizeof(*pts));

    for (size_t i = 0; i < n; i++)
        pts[i] = pts_of(s, from + i);
    assert_int_equal(pts_list_make(pts, n, &c->pts), 0);
    c->index = before ? before->index + 1 : 0;
    c->start = pts[0];
    c->end = pts_of(s, from + n);
    c->prev_pts = from ? pts_of(s, from - 1) : INT64_MIN;
    c->first_gop = before ? before->first_gop + (unsigned)before->n_gops : 0;
    c->first_segment = before ? before->first_segment + (unsigned)before->n_segments : 0;
    c->n_gops = (n + s->gop_frames - 1) / s->gop_frames;
    c->gops = zeros(c->n_gops, sizeof(*c->gops));
    for (size_t i = 0; i < c->n_gops; i++)
        c->gops[i] = pts[i * s->gop_frames];
    c->n_segments = (c->n_gops + s->segment_gops - 1) / s->segment_gops;
    c->segments = zeros(c->n_segments, sizeof(*c->segments));
    for (size_t i = 0; i < c->n_segments; i++)
        c->segments[i] = (unsigned)i * s->segment_gops;
    free(pts);
}

static void make_chunks(struct plan *p, const struct shape *s)
{
    size_t each = (size_t)s->gop_frames * s->segment_gops * s->chunk_segments;

    p->n_chunks = (s->n_frames + each - 1) / each;
    p->chunks = zeros(p->n_chunks, sizeof(*p->chunks));
    for (size_t i = 0; i < p->n_chunks; i++)
        make_chunk(s, i ? &p->chunks[i - 1] : NULL, i * each, &p->chunks[i]);
}

static void make_renditions(struct plan *p, const struct shape *s)
{
    static const struct {
        const char *name;
        int width, height;
    } video[] = {
        {"720p",  1280, 720},
        { "360p", 640,  360}
    };

    p->renditions = zeros(3, sizeof(*p->renditions));
    for (size_t i = 0; s && i < 2; i++) {
        struct rendition *r = &p->renditions[p->n_renditions++];
        r->kind = MEDIA_VIDEO;
        r->name = dup(video[i].name);
        r->codec = dup("h264");
        r->encoder = dup("libx264");
        r->params = zeros(1, sizeof(*r->params));
        r->n_params = 1;
        r->params[0] = (struct param){ dup("crf"), dup("21") };
        r->width = video[i].width;
        r->height = video[i].height;
        r->sar = (AVRational){ 1, 1 };
        r->color = (struct color_info){ 1, 1, 1, 1, 1 };
        r->rate = s->rate;
        r->grid = (struct frame_grid){
            {0,  1},
            { 0, 1}
        };
    }
    p->n_video = p->n_renditions;
    if (s && !s->audio)
        return;
    struct rendition *a = &p->renditions[p->n_renditions++];
    a->kind = MEDIA_AUDIO;
    a->name = dup("aac-128");
    a->codec = dup("aac");
    a->encoder = dup("aac");
    a->sample_rate = 48000;
    a->channels = 2;
    strcpy(a->layout, "stereo");
    a->bit_rate = 128000;
}

static void make_audio_plan(struct plan *p, int64_t segment)
{
    p->info.audio.tb = (AVRational){ 1, 48000 };
    p->info.audio.start = 0;
    p->info.audio.end = p->duration * 48000 / p->timescale;
    strcpy(p->info.audio.language, "deu");
    p->n_audio_cuts = (size_t)((p->duration + segment - 1) / segment);
    p->audio_cuts = zeros(p->n_audio_cuts, sizeof(*p->audio_cuts));
    for (size_t i = 0; i < p->n_audio_cuts; i++)
        p->audio_cuts[i] = (int64_t)i * segment;
}

/* Results */

static void hex_of(char *ret, size_t digits, unsigned seed)
{
    for (size_t i = 0; i < digits; i++)
        ret[i] = "0123456789abcdef"[(seed + i) % 16];
    ret[digits] = '\0';
}

static void make_head(struct rendition_result *rr, const struct rendition *r, unsigned seed)
{
    rr->name = dup(r->name);
    rr->codecs = dup(r->kind == MEDIA_VIDEO ? "avc1.64001f" : "mp4a.40.2");
    rr->init.key = segment_key(r->kind, r->name, 0);
    rr->init.size_bytes = 800;
    hex_of(rr->init.sha256, 64, seed);
    hex_of(rr->init.md5, 32, seed);
}

static void make_gops(const struct plan *p, const struct chunk *c, size_t from, size_t to,
                      struct segment *s)
{
    s->n_gops = to - from;
    s->gops = zeros(s->n_gops, sizeof(*s->gops));
    for (size_t i = 0; i < s->n_gops; i++) {
        int64_t end = from + i + 1 < c->n_gops ? c->gops[from + i + 1] : c->end;
        struct gop_range *g = &s->gops[i];
        g->start = plan_ticks(c->gops[from + i], p->origin, p->info.video.tb, p->timescale);
        g->duration = plan_ticks(end, p->origin, p->info.video.tb, p->timescale) - g->start;
        g->offset = s->size_bytes / s->n_gops * i;
        g->size_bytes = s->size_bytes / s->n_gops / 4;
    }
}

static void make_video(const struct plan *p, const struct chunk *c, size_t index,
                       struct rendition_result *rr)
{
    const struct rendition *r = &p->renditions[index];

    make_head(rr, r, (unsigned)index);
    rr->timescale = p->timescale;
    rr->n_segments = c->n_segments;
    rr->segments = zeros(c->n_segments, sizeof(*rr->segments));
    for (size_t i = 0; i < c->n_segments; i++) {
        struct segment *s = &rr->segments[i];
        size_t from = c->segments[i];
        size_t to = i + 1 < c->n_segments ? c->segments[i + 1] : c->n_gops;
        int64_t end = to < c->n_gops ? c->gops[to] : c->end;

        s->number = c->first_segment + (unsigned)i + 1;
        s->key = segment_key(MEDIA_VIDEO, r->name, s->number);
        s->size_bytes = (uint64_t)s->number * (index ? 10000 : 100000);
        hex_of(s->sha256, 64, s->number);
        hex_of(s->md5, 32, s->number);
        s->start = plan_ticks(c->gops[from], p->origin, p->info.video.tb, p->timescale);
        s->duration = plan_ticks(end, p->origin, p->info.video.tb, p->timescale) - s->start;
        s->frames = (uint64_t)chunk_frames_kept(c, &r->grid, from, to, p->origin, p->info.video.tb);
        rr->frames += s->frames;
        make_gops(p, c, from, to, s);
    }
}

/* Packets of 1024 samples behind a priming of 1024, cut at the nearest. */
static void make_audio(const struct plan *p, const struct rendition *r, struct rendition_result *rr)
{
    int64_t packet = 0;

    make_head(rr, r, 9);
    rr->timescale = 48000;
    rr->priming = 1024;
    rr->n_segments = p->n_audio_cuts;
    rr->segments = zeros(rr->n_segments, sizeof(*rr->segments));
    for (size_t i = 0; i < rr->n_segments; i++) {
        struct segment *s = &rr->segments[i];
        int last = i + 1 == rr->n_segments;
        int64_t end = (last ? p->duration : p->audio_cuts[i + 1]) * 48000 / p->timescale + 1024;
        int64_t next = last ? (end + 1023) / 1024 : (end + 512) / 1024;

        s->number = (unsigned)i + 1;
        s->key = segment_key(MEDIA_AUDIO, r->name, s->number);
        s->size_bytes = 90000;
        hex_of(s->sha256, 64, s->number);
        hex_of(s->md5, 32, s->number);
        s->start = packet ? packet * 1024 - 1024 : 0;
        s->duration = next * 1024 - 1024 - s->start;
        s->frames = (uint64_t)(next - packet);
        rr->frames += s->frames;
        packet = next;
    }
}

static struct task_result *next_result(struct fixture *f, const char *task, size_t n_renditions)
{
    struct task_result *r = &f->results[f->n];

    f->list[f->n++] = r;
    r->job = dup("job-1");
    r->task = dup(task);
    r->attempt = 1;
    r->engine = dup("libx264 164");
    r->worker = dup("w-1");
    r->cpu_s = 1.5;
    r->wall_s = 2.25;
    r->renditions = zeros(n_renditions, sizeof(*r->renditions));
    r->n_renditions = n_renditions;
    return r;
}

static void make_results(struct fixture *f)
{
    const struct plan *p = &f->plan;

    f->results = zeros(p->n_chunks + 2, sizeof(*f->results));
    f->list = zeros(p->n_chunks + 2, sizeof(*f->list));
    for (size_t i = 0; i < p->n_chunks; i++) {
        char id[32];
        (void)snprintf(id, sizeof(id), "v-%04zu-0", i);
        struct task_result *r = next_result(f, id, p->n_video);
        r->frames_in = p->chunks[i].pts.n_frames;
        for (size_t k = 0; k < p->n_video; k++)
            make_video(p, &p->chunks[i], k, &r->renditions[k]);
    }
    if (p->n_video < p->n_renditions)
        make_audio(p, &p->renditions[p->n_video], &next_result(f, "a-0", 1)->renditions[0]);
}

void fixture_add_text(struct fixture *f)
{
    struct plan *p = &f->plan;
    struct rendition *r = p->extras = zeros(1, sizeof(*p->extras));
    struct rendition_result *rr;

    p->n_extras = 1;
    r->kind = MEDIA_TEXT;
    r->name = dup("sub-eng");
    r->codec = dup("webvtt");
    r->encoder = dup("webvtt");
    r->text = (struct text_info){
        .stream = 2, .codec = "subrip", .language = "eng", .is_default = 1, .hearing_impaired = 1
    };
    rr = &next_result(f, "t-0", 1)->renditions[0];
    make_head(rr, r, 5);
    rr->timescale = p->timescale;
    rr->frames = 2;
    rr->n_segments = p->n_audio_cuts;
    rr->segments = zeros(rr->n_segments, sizeof(*rr->segments));
    for (size_t i = 0; i < rr->n_segments; i++) {
        struct segment *s = &rr->segments[i];
        int last = i + 1 == rr->n_segments;
        s->number = (unsigned)i + 1;
        s->key = segment_key(MEDIA_TEXT, r->name, s->number);
        s->size_bytes = 100;
        hex_of(s->sha256, 64, s->number);
        hex_of(s->md5, 32, s->number);
        s->start = p->audio_cuts[i];
        s->duration = (last ? p->duration : p->audio_cuts[i + 1]) - s->start;
    }
}

void fixture_make(struct fixture *f, const struct shape *s)
{
    struct plan *p = &f->plan;

    *f = (struct fixture){ 0 };
    strcpy(p->info.container, "mov,mp4,m4a,3gp,3g2,mj2");
    p->info.size_bytes = 5000000;
    p->info.video.tb = s->tb;
    p->info.video.sar = (AVRational){ 1, 1 };
    p->info.video.rate = s->rate;
    p->info.audio.tb = (AVRational){ 1, 1 };
    p->origin = s->first;
    p->timescale = s->timescale;
    p->duration = plan_ticks(pts_of(s, s->n_frames), s->first, s->tb, s->timescale);
    p->segment_seconds = 6;
    p->gop_seconds = 2;
    make_renditions(p, s);
    make_chunks(p, s);
    if (s->audio)
        make_audio_plan(p, 6 * (int64_t)s->timescale);
    make_results(f);
}

/* Room for one more result, behind the others. */
static void grow_results(struct fixture *f)
{
    f->results = reallocarray(f->results, f->n + 2, sizeof(*f->results));
    f->list = reallocarray(f->list, f->n + 2, sizeof(*f->list));
    assert_true(f->results && f->list);
    memset(&f->results[f->n], 0, sizeof(*f->results));
    for (size_t i = 0; i < f->n; i++)
        f->list[i] = &f->results[i];
}

void fixture_add_track(struct fixture *f, const char *suffix, const struct audio_info *like)
{
    struct plan *p = &f->plan;
    struct media_info *i = &p->info;
    char id[32], name[64];

    i->more_audio = reallocarray(i->more_audio, i->n_more_audio + 1, sizeof(*i->more_audio));
    p->renditions = reallocarray(p->renditions, p->n_renditions + 1, sizeof(*p->renditions));
    assert_true(i->more_audio && p->renditions);
    struct audio_info *a = &i->more_audio[i->n_more_audio++];
    *a = *like;
    a->stream = i->audio.stream + (int)i->n_more_audio;
    a->tb = i->audio.tb;
    a->end = i->audio.end;

    struct rendition *r = &p->renditions[p->n_renditions++];
    assert_int_equal(rendition_copy(&p->renditions[p->n_video], r), 0);
    (void)snprintf(name, sizeof(name), "%s-%s", r->name, suffix);
    r->rung = r->name;
    r->name = dup(name);
    r->track = (unsigned)i->n_more_audio;

    grow_results(f);
    (void)snprintf(id, sizeof(id), "a-%u", r->track);
    struct rendition_result *rr = next_result(f, id, 1)->renditions;
    make_audio(p, r, rr);
    for (size_t k = 0; k < rr->n_segments; k++)
        rr->segments[k].size_bytes += rr->segments[k].size_bytes / 10;
}

void fixture_complete(struct fixture *f)
{
    struct plan *p = &f->plan;

    p->info.video.stream = 0;
    p->info.audio.stream = 1;
    strcpy(p->info.video.codec, "h264");
    strcpy(p->info.video.pix_fmt, "yuv420p");
    p->info.video.width = 1280;
    p->info.video.height = 720;
    p->info.video.bit_depth = 8;
    p->info.video.end = p->chunks[p->n_chunks - 1].end;
    p->info.video.frames = 325;
    strcpy(p->info.audio.codec, "aac");
    strcpy(p->info.audio.layout, "stereo");
    p->info.audio.sample_rate = 48000;
    p->info.audio.channels = 2;
    for (size_t i = 0; i < p->n_renditions; i++) {
        struct rendition *r = &p->renditions[i];
        r->threads = 1;
        r->cost = 0.5;
        r->memory_bytes = 1 << 20;
        if (r->kind == MEDIA_VIDEO)
            strcpy(r->pix_fmt, "yuv420p");
    }
    for (size_t i = 0; i < p->n_chunks; i++) {
        p->chunks[i].packets = p->chunks[i].pts.n_frames;
        p->chunks[i].seek_pts = p->chunks[i].seek_dts = p->chunks[i].start;
        p->chunks[i].seek_pos = -1;
        p->chunks[i].cost = 3;
    }
    p->n_groups = 1;
    p->groups = calloc(1, sizeof(*p->groups));
    p->groups[0].renditions = calloc(2, sizeof(unsigned));
    p->groups[0].n_renditions = 2;
    p->groups[0].renditions[1] = 1;
}

void fixture_make_audio_only(struct fixture *f)
{
    *f = (struct fixture){ 0 };
    f->plan.timescale = 48000;
    f->plan.duration = 48000 * 13;
    f->plan.info.video.stream = -1;
    make_renditions(&f->plan, NULL);
    make_audio_plan(&f->plan, INT64_C(6) * 48000);
    make_results(f);
}

void fixture_release(struct fixture *f)
{
    for (size_t i = 0; i < f->n; i++)
        task_result_release(&f->results[i]);
    free(f->results);
    free(f->list);
    plan_release(&f->plan);
}

void fixture_task(const struct fixture *f, size_t i, struct task *ret)
{
    const struct plan *p = &f->plan;
    int video = i < p->n_chunks;

    *ret = (struct task){ .id = f->results[i].task };
    ret->kind = task_kind_by_id(ret->id);
    if (task_kind_is_extra(ret->kind)) {
        ret->renditions = p->extras;
        ret->n_renditions = p->n_extras;
        return;
    }
    ret->renditions = video ? p->renditions : p->renditions + p->n_video;
    ret->n_renditions = video ? p->n_video : p->n_renditions - p->n_video;
    if (video)
        ret->chunk = p->chunks[i];
}

struct package *fixture_package(const struct fixture *f)
{
    struct package *p = NULL;
    struct err err = { 0 };

    if (package_build(&f->plan, f->list, f->n, &p, NULL, &err) < 0)
        fail_msg("%s", err.text);
    return p;
}

/* Store */

const struct memory_object *memory_store_find(const struct memory_store *s, const char *key)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->objects[i].key, key) == 0)
            return &s->objects[i];
    return NULL;
}

static void object_release(struct memory_object *o)
{
    free(o->key);
    free(o->data);
    free(o->type);
    free(o->cache);
}

static int memory_put(struct store *base, const char *key, const void *buf, size_t len,
                      const struct store_put_opts *opts, struct err *err)
{
    struct memory_store *s = (struct memory_store *)base;
    const struct memory_object *old = memory_store_find(s, key);

    if (s->puts_left-- == 0)
        return err_set(err, -ENOSPC, ERR_STORAGE, "%s: no space left", key);
    if (old) {
        size_t at = (size_t)(old - s->objects);
        object_release(&s->objects[at]);
        memmove(&s->objects[at], &s->objects[at + 1], (--s->n - at) * sizeof(*s->objects));
    }
    struct memory_object *grown = realloc(s->objects, (s->n + 1) * sizeof(*grown));
    assert_non_null(grown);
    s->objects = grown;
    struct memory_object *o = &s->objects[s->n++];
    *o = (struct memory_object){ .key = dup(key), .data = zeros(len + 1, 1), .len = len };
    if (len)
        memcpy(o->data, buf, len);
    o->type = dup(opts->content_type ? opts->content_type : "");
    o->cache = dup(opts->cache_control ? opts->cache_control : "");
    o->durable = opts->durable;
    return 0;
}

static int memory_get(struct store *base, const char *key, const char *etag, uint64_t off,
                      void *buf, size_t len, size_t *ret_n, struct err *err)
{
    struct memory_store *s = (struct memory_store *)base;
    const struct memory_object *o = memory_store_find(s, key);

    (void)etag;
    s->gets++;
    if (!o)
        return err_set(err, -ENOENT, ERR_STORAGE, "%s: not there", key);
    *ret_n = off < o->len ? least(len, o->len - off) : 0;
    memcpy(buf, o->data + (off < o->len ? off : 0), *ret_n);
    return 0;
}

static int memory_list(struct store *base, const char *prefix,
                       int (*each)(void *arg, const char *key, const struct store_stat *st),
                       void *arg, struct err *err)
{
    const struct memory_store *s = (struct memory_store *)base;
    int r = 0;

    (void)err;
    for (size_t i = 0; i < s->n && r == 0; i++) {
        struct store_stat st = { .size_bytes = s->objects[i].len };
        strcpy(st.md5, s->objects[i].md5);
        if (strncmp(s->objects[i].key, prefix, strlen(prefix)) == 0)
            r = each(arg, s->objects[i].key, &st);
    }
    return r;
}

void memory_store_init(struct memory_store *s)
{
    static const struct store_ops ops = {
        .name = "test", .get_range = memory_get, .put = memory_put, .list = memory_list
    };
    *s = (struct memory_store){ .base = { &ops }, .puts_left = SIZE_MAX };
}

void memory_store_release(struct memory_store *s)
{
    for (size_t i = 0; i < s->n; i++)
        object_release(&s->objects[i]);
    free(s->objects);
}
