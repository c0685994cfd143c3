#include "test_plan_check.h"
#include "common/base/err.h"
#include "common/wire/task.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NONE INT64_MIN

static int64_t display_pts(const struct source *s, size_t i, int64_t prev)
{
    if (i == 0)
        return s->first;
    switch (s->pts) {
    case PTS_FILM:
        return s->first + ((int64_t)i * 1001 * 1000 + 12000) / 24000;
    case PTS_WILD:
        return prev + 5 + (int64_t)((i * 2654435761u >> 7) % (i % 9 ? 80 : 1596));
    case PTS_SLIDES:
        return prev + (int64_t)11 * s->tb.den / s->tb.num;
    case PTS_GAP:
        return prev + s->step + (i == s->frames / 2 ? (int64_t)20 * s->tb.den / s->tb.num : 0);
    case PTS_EVEN:
        break;
    }
    return prev + s->step;
}

static void packet_add(const struct source *s, struct media_index *idx, const int64_t *pts,
                       size_t i)
{
    size_t n = idx->n++;
    int key = s->key_every ? i % s->key_every == 0 : i == 0;

    idx->packets[n] = (struct index_packet){
        .pts = s->no_pts ? NONE : pts[i],
        .dts = s->no_pts ? pts[i] : s->first + ((int64_t)n - 2) * (s->step ? s->step : 1),
        .duration = i + 1 < s->frames ? pts[i + 1] - pts[i] : 0,
        .pos = 48 + (int64_t)n * 1000,
        .size = 900,
        .flags = (key ? PACKET_KEY : 0u) | (i < s->hidden ? PACKET_HIDDEN : 0u) |
                 (key && s->unsafe ? PACKET_UNSAFE : 0u),
    };
    if (s->twice && n % 50 == 49)
        idx->packets[n].pts = idx->packets[n - 1].pts;
}

void source_make(const struct source *s, struct media_info *ret_info, struct media_index *ret)
{
    int64_t *pts = calloc(s->frames, sizeof(*pts));
    size_t key_every = s->key_every ? s->key_every : s->frames, last = 0;

    for (size_t i = 0; i < s->frames; i++)
        pts[i] = display_pts(s, i, i ? pts[i - 1] : 0);
    ret->n = 0;
    ret->packets = calloc(s->frames, sizeof(*ret->packets));
    packet_add(s, ret, pts, 0);
    while (last + 1 < s->frames) { /* the next reference, then the B-frames before it */
        size_t key = (last / key_every + 1) * key_every, next = last + s->b_frames + 1;
        if (next >= key)
            next = s->open_gop || last + 1 == key ? key : key - 1;
        if (next >= s->frames)
            next = s->frames - 1;
        packet_add(s, ret, pts, next);
        for (size_t b = last + 1; b < next; b++)
            packet_add(s, ret, pts, b);
        last = next;
    }

    *ret_info = (struct media_info){
        .container = "test",
        .video = {.codec = "h264",
                  .pix_fmt = "yuv420p",
                  .width = 1920,
                  .height = 1080,
                  .sar = { 1, 1 },
                  .bit_depth = 8,
                  .tb = s->tb,
                  .rate = { 25, 1 },
                  .interlaced = s->interlaced,
                  .start = pts[0],
                  .end = pts[s->frames - 1] + 1 },
        .audio = { .stream = 1,
                  .codec = "aac",
                  .layout = "stereo",
                  .sample_rate = 48000,
                  .channels = 2,
                  .tb = { 1, 48000 }},
    };
    ret_info->audio.start = (int64_t)((double)pts[s->hidden] * av_q2d(s->tb) * 48000);
    ret_info->audio.end = (int64_t)((double)pts[s->frames - 1] * av_q2d(s->tb) * 48000) + 1;
    free(pts);
}

struct rendition *source_renditions(const struct source *s, size_t *ret_n)
{
    static const struct {
        const char *name, *codec;
        int divide;
        double cost;
    } rows[] = {
        {"h264-1080",  "h264", 1, 1.2},
        { "hevc-1080", "hevc", 1, 3  },
        { "h264-360",  "h264", 2, 0.3}
    };
    struct rendition *r = calloc(4, sizeof(*r));

    for (size_t i = 0; i < 3; i++) {
        r[i] = (struct rendition){
            .kind = MEDIA_VIDEO,
            .name = strdup(rows[i].name),
            .codec = strdup(rows[i].codec),
            .encoder = strdup("libx"),
            .width = 640,
            .height = 360,
            .sar = {1,   1},
            .pix_fmt = "yuv420p",
            .threads = 1,
            .rate = { 30, 1},
            .cost = rows[i].cost,
            .memory_bytes = 100 << 20
        };
        if (s->grids)
            r[i].grid = (struct frame_grid){
                {1,  s->grids == 15 && i == 2 ? 15 : 30},
                { 1, 240                               }
            };
    }
    r[3] = (struct rendition){ .kind = MEDIA_AUDIO,
                               .name = strdup("aac"),
                               .codec = strdup("aac"),
                               .encoder = strdup("aac"),
                               .sample_rate = 48000,
                               .channels = 2,
                               .layout = "stereo",
                               .cost = 0.01,
                               .memory_bytes = 1 << 20 };
    *ret_n = 4;
    return r;
}

struct shown {
    int64_t pts;
    size_t packet;
    int kept;
};

struct ctx {
    const char *name;
    const struct media_info *info;
    const struct media_index *idx;
    const struct plan *p;
    struct shown *shown;
    size_t n;
};

#define CHECK(c, cond, ...)                               \
    do {                                                  \
        if (!(cond)) {                                    \
            print_error(__VA_ARGS__);                     \
            fail_msg("%s: not so: %s", (c)->name, #cond); \
        }                                                 \
    } while (0)

static int shown_order(const void *a, const void *b)
{
    const struct shown *x = a, *y = b;

    if (x->pts != y->pts)
        return x->pts < y->pts ? -1 : 1;
    return x->packet < y->packet ? -1 : 1;
}

static void shown_make(struct ctx *c)
{
    size_t n = 0;

    c->shown = calloc(c->idx->n, sizeof(*c->shown));
    for (size_t i = 0; i < c->idx->n; i++) {
        const struct index_packet *p = &c->idx->packets[i];
        if (!(p->flags & PACKET_HIDDEN))
            c->shown[n++] = (struct shown){ p->pts != NONE ? p->pts : p->dts, i, 1 };
    }
    qsort(c->shown, n, sizeof(*c->shown), shown_order);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || c->shown[i].pts != c->shown[c->n - 1].pts)
            c->shown[c->n++] = c->shown[i];
    for (size_t i = 1; i < c->n; i++)
        for (size_t r = 0; r < c->p->n_video; r++)
            c->shown[i].kept &= frame_grid_keeps(&c->p->renditions[r].grid, c->shown[i].pts,
                                                 c->shown[i - 1].pts, c->p->origin,
                                                 c->info->video.tb);
}

/* The frame at `pts`, which must be there and kept by every rendition. */
static size_t kept_at(struct ctx *c, int64_t pts)
{
    size_t a = 0, b = c->n;

    while (a < b) {
        size_t mid = (a + b) / 2;
        if (c->shown[mid].pts < pts)
            a = mid + 1;
        else
            b = mid;
    }
    CHECK(c, a < c->n && c->shown[a].pts == pts && c->shown[a].kept, "%" PRId64 "\n", pts);
    return a;
}

/* start..end, when longer than 1.5 targets, has no frame to cut at inside. */
static void length_check(struct ctx *c, int64_t start, int64_t end, double target)
{
    if ((double)(end - start) * av_q2d(c->info->video.tb) <= 1.5 * target + 1e-6)
        return;
    for (size_t i = kept_at(c, start) + 1; i < c->n && c->shown[i].pts < end; i++)
        CHECK(c, !c->shown[i].kept, "%" PRId64 " to %" PRId64 "\n", start, end);
}

static void gops_check(struct ctx *c, const struct chunk *k)
{
    CHECK(c, k->n_gops > 0 && k->gops[0] == k->start && k->n_segments > 0, "\n");
    CHECK(c, k->segments[0] == 0, "\n");
    for (size_t i = 0; i < k->n_gops; i++) {
        int64_t end = i + 1 < k->n_gops ? k->gops[i + 1] : k->end;
        CHECK(c, end > k->gops[i], "%zu\n", i);
        kept_at(c, k->gops[i]);
        length_check(c, k->gops[i], end, c->p->gop_seconds);
    }
    for (size_t i = 0; i < k->n_segments; i++) {
        size_t next = i + 1 < k->n_segments ? k->segments[i + 1] : k->n_gops;
        CHECK(c, next > k->segments[i] && next <= k->n_gops, "%zu\n", i);
        length_check(c, k->gops[k->segments[i]], next < k->n_gops ? k->gops[next] : k->end,
                     c->p->segment_seconds);
    }
}

static size_t seek_find(struct ctx *c, const struct chunk *k)
{
    for (size_t i = 0; i < c->idx->n; i++) {
        const struct index_packet *p = &c->idx->packets[i];
        if (p->pts == k->seek_pts && p->dts == k->seek_dts && p->pos == k->seek_pos)
            return i;
    }
    CHECK(c, 0, "no packet to seek to in chunk %u\n", k->index);
    return 0;
}

/* Frames first..end are decoded right from what is fed. */
static void decode_check(struct ctx *c, const struct chunk *k, size_t first, size_t end)
{
    const struct index_packet *p = c->idx->packets;
    size_t seek = seek_find(c, k), last = seek + k->packets - 1, lowest = SIZE_MAX;
    int safe = seek == 0 || !(p[seek].flags & PACKET_UNSAFE);

    CHECK(c, last < c->idx->n && (seek == 0 || p[seek].flags & PACKET_KEY), "%zu\n", seek);
    for (size_t i = first; i < end; i++) {
        CHECK(c, c->shown[i].packet >= seek && c->shown[i].packet <= last, "chunk %u: %zu\n",
              k->index, i);
        lowest = c->shown[i].packet < lowest ? c->shown[i].packet : lowest;
    }
    for (size_t i = seek + 1; i <= lowest; i++)
        safe |= (p[i].flags & PACKET_KEY) && p[i].pts <= c->shown[first].pts;
    CHECK(c, safe, "chunk %u\n", k->index);
    if (seek > 0 && !c->info->video.interlaced)
        CHECK(c, p[seek].pts <= k->start || p[seek].pts == NONE, "chunk %u\n", k->index);
    for (size_t i = seek; i <= last && i < seek + 1000; i++)
        CHECK(c,
              k->byte_start <= (uint64_t)p[i].pos && k->byte_end >= (uint64_t)p[i].pos + p[i].size,
              "chunk %u: packet %zu\n", k->index, i);
}

static size_t chunk_check(struct ctx *c, const struct chunk *k, size_t at)
{
    int64_t *pts = calloc(k->pts.n_frames, sizeof(*pts));
    size_t first = at, end;

    CHECK(c, k->prev_pts == (at ? c->shown[at - 1].pts : NONE), "chunk %u\n", k->index);
    pts_list_expand(&k->pts, pts);
    for (size_t i = 0; i < k->pts.n_frames; i++, at++)
        CHECK(c, at < c->n && pts[i] == c->shown[at].pts && pts[i] >= k->start && pts[i] < k->end,
              "chunk %u: frame %zu\n", k->index, i);
    free(pts);
    gops_check(c, k);
    end = at;
    if (c->info->video.interlaced) {
        first -= first > 0;
        end += end < c->n;
    }
    decode_check(c, k, first, end);
    return at;
}

static void wire_check(struct ctx *c)
{
    json_t *j = plan_to_json(c->p), *again;
    struct err e = { 0 };
    struct plan back;

    CHECK(c, plan_from_json(j, &back, &e) == 0, "%s\n", e.text);
    again = plan_to_json(&back);
    CHECK(c, json_equal(j, again), "plan\n");
    json_decref(j);
    json_decref(again);
    plan_release(&back);
}

static void tasks_check(struct ctx *c)
{
    const struct task base = { .job = (char[]){ "j" },
                               .source = (char[]){ "file:///s" },
                               .etag = (char[]){ "e" },
                               .output = (char[]){ "file:///o" } };
    struct task *t, back;
    size_t n;
    double cost = 0;

    assert_int_equal(plan_tasks(c->p, &base, &t, &n, NULL), 0);
    CHECK(c, n == c->p->n_chunks * c->p->n_groups + (c->p->n_renditions > c->p->n_video), "%zu\n",
          n);
    for (size_t i = 0; i < n; i++) {
        struct err e = { 0 };
        if (i < 60) {
            json_t *j = task_to_json(&t[i]);
            CHECK(c, task_from_json(j, &back, &e) == 0, "%s\n", e.text);
            task_release(&back);
            json_decref(j);
        }
        CHECK(c, t[i].deadline_ms >= 60000 && t[i].deadline_ms <= 25 * 60000, "%s\n", t[i].id);
        cost += t[i].kind == TASK_VIDEO ? t[i].cost : 0;
        task_release(&t[i]);
    }
    for (size_t i = 0; i < c->p->n_chunks; i++)
        cost -= c->p->chunks[i].cost;
    CHECK(c, cost > -1e-3 && cost < 1e-3, "%f\n", cost);
    free(t);
}

static void audio_check(struct ctx *c)
{
    const struct plan *p = c->p;

    if (p->n_video == p->n_renditions) {
        CHECK(c, p->n_audio_cuts == 0, "\n");
        return;
    }
    CHECK(c, p->n_audio_cuts > 0 && p->audio_cuts[0] == 0, "\n");
    for (size_t i = 0; i < p->n_audio_cuts; i++) {
        int64_t end = i + 1 < p->n_audio_cuts ? p->audio_cuts[i + 1] : p->duration;
        double length = (double)(end - p->audio_cuts[i]) / p->timescale;
        CHECK(c, length > 0 && length <= 1.51 * p->segment_seconds, "cut %zu: %f s\n", i, length);
    }
}

void plan_check(const char *name, const struct media_info *info, const struct media_index *idx,
                const struct plan *p)
{
    struct ctx c = { .name = name, .info = info, .idx = idx, .p = p };
    size_t at = 0, gop = 0, segment = 0;

    shown_make(&c);
    CHECK(&c, p->n_chunks > 0 && p->chunks[0].start == c.shown[0].pts, "\n");
    for (size_t i = 0; i < p->n_chunks; i++) {
        const struct chunk *k = &p->chunks[i];
        CHECK(&c, k->index == i && k->first_gop == gop && k->first_segment == segment, "%zu\n", i);
        CHECK(&c, i == 0 || p->chunks[i - 1].end == k->start, "%zu\n", i);
        at = chunk_check(&c, k, at);
        gop += k->n_gops;
        segment += k->n_segments;
    }
    CHECK(&c, at == c.n, "%zu of %zu frames\n", at, c.n);
    CHECK(&c, p->origin <= c.shown[0].pts, "\n");
    audio_check(&c);
    wire_check(&c);
    tasks_check(&c);
    free(c.shown);
}
