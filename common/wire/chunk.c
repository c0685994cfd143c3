#include "fields.h"
#include "parts.h"
#include "plan.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void chunk_release(struct chunk *c)
{
    pts_list_release(&c->pts);
    chunk_spans_release(c);
    stamps_release(&c->stamps);
    free(c->gops);
    free(c->segments);
    memset(c, 0, sizeof(*c));
}

json_t *pts_list_to_json(const struct pts_list *l)
{
    struct out o = out_new();
    json_t *runs = json_array();
    int bad = 0;

    /* Flat, delta and count in turn: sources with rounded timestamps have
     * nearly as many runs as frames. */
    for (size_t i = 0; i < l->n_runs; i++) {
        bad |= json_array_append_new(runs, json_integer(l->runs[i].delta)) < 0;
        bad |= json_array_append_new(runs, json_integer((int64_t)l->runs[i].count)) < 0;
    }
    o.bad |= bad;
    out_int(&o, "first", l->first);
    out_put(&o, "runs", runs);
    return out_done(&o);
}

static json_t *segments_to_json(const struct chunk *c)
{
    json_t *a = json_array();

    for (size_t i = 0; i < c->n_segments; i++) {
        if (json_array_append_new(a, json_integer(c->segments[i])) < 0) {
            json_decref(a);
            return NULL;
        }
    }
    return a;
}

json_t *chunk_to_json(const struct chunk *c)
{
    struct out o = out_new();

    out_int(&o, "index", c->index);
    out_int(&o, "start", c->start);
    out_int(&o, "end", c->end);
    out_time(&o, "prev_pts", c->prev_pts);
    out_time(&o, "seek_pts", c->seek_pts);
    out_time(&o, "seek_dts", c->seek_dts);
    out_int(&o, "seek_pos", c->seek_pos);
    out_int(&o, "packets", (int64_t)c->packets);
    out_int(&o, "byte_start", (int64_t)c->byte_start);
    out_int(&o, "byte_end", (int64_t)c->byte_end);
    out_put(&o, "pts", pts_list_to_json(&c->pts));
    spans_write(&o, c);
    stamps_write(&o, &c->stamps);
    out_int(&o, "first_gop", c->first_gop);
    out_int(&o, "first_segment", c->first_segment);
    out_times(&o, "gops", c->gops, c->n_gops);
    out_put(&o, "segments", segments_to_json(c));
    out_double(&o, "cost", c->cost);
    return out_done(&o);
}

static void runs_read(const struct in *o, struct pts_list *l)
{
    size_t n;
    struct in a = in_array(o, "runs", 2 * (size_t)CHUNK_RUNS_MAX, &n);
    int64_t at = l->first, span;

    if (n % 2)
        in_fail(&a, "must have a count for each delta");
    l->runs = in_calloc(&a, n / 2, sizeof(*l->runs));
    l->n_runs = l->runs ? n / 2 : 0;
    l->n_frames = 1;
    for (size_t i = 0; i < l->n_runs && in_ok(o); i++) {
        struct in delta = in_at(&a, 2 * i), count = in_at(&a, 2 * i + 1);
        l->runs[i].delta = in_number(&delta, 1, TIME_LIMIT);
        l->runs[i].count = (uint64_t)in_number(&count, 1, CHUNK_FRAMES_MAX);
        l->n_frames += l->runs[i].count;
        if (l->n_frames > CHUNK_FRAMES_MAX)
            in_fail(&count, "makes more than %d frames", CHUNK_FRAMES_MAX);
        if (__builtin_mul_overflow(l->runs[i].delta, (int64_t)l->runs[i].count, &span) ||
            __builtin_add_overflow(at, span, &at) || at > TIME_LIMIT)
            in_fail(&delta, "leads out of the range of times");
    }
}

void pts_list_read(const struct in *v, struct pts_list *ret)
{
    ret->first = in_time(v, "first");
    runs_read(v, ret);
}

static void pts_read(const struct in *o, struct chunk *c)
{
    struct in v = in_object(o, "pts"), first = in_field(&v, "first");

    pts_list_read(&v, &c->pts);
    if (c->pts.first != c->start)
        in_fail(&first, "%" PRId64 " is not the chunk's start %" PRId64, c->pts.first, c->start);
    if (in_ok(o) && pts_list_last(&c->pts) >= c->end)
        in_fail(&v, "the last frame, %" PRId64 ", is not before the chunk's end %" PRId64,
                pts_list_last(&c->pts), c->end);
}

/* Every GOP starts at a frame: walks runs and GOPs, both rising, together. */
static void gops_check(const struct in *o, const struct chunk *c)
{
    struct in a = in_field(o, "gops");
    int64_t base = c->pts.first;
    size_t run = 0;

    if (c->n_gops == 0)
        in_fail(&a, "must not be empty");
    else if (c->gops[0] != c->start)
        in_fail(&a, "must begin with the chunk's start");
    for (size_t i = 1; i < c->n_gops && in_ok(o); i++) {
        const struct pts_run *r = c->pts.runs;
        while (run < c->pts.n_runs && c->gops[i] - base > r[run].delta * (int64_t)r[run].count) {
            base += r[run].delta * (int64_t)r[run].count;
            run++;
        }
        if (run == c->pts.n_runs || (c->gops[i] - base) % r[run].delta) {
            struct in e = in_at(&a, i);
            in_fail(&e, "%" PRId64 " is not the time of a frame", c->gops[i]);
        }
    }
}

static void segments_read(const struct in *o, struct chunk *c)
{
    size_t n;
    struct in a = in_array(o, "segments", ARRAY_MAX, &n);

    if (n == 0)
        in_fail(&a, "must not be empty");
    c->segments = in_calloc(&a, n, sizeof(*c->segments));
    c->n_segments = c->segments ? n : 0;
    for (size_t i = 0; i < c->n_segments && in_ok(o); i++) {
        struct in e = in_at(&a, i);
        c->segments[i] = (unsigned)in_number(&e, 0, ARRAY_MAX);
        if (i == 0 && c->segments[i] != 0)
            in_fail(&e, "must be 0");
        else if (i > 0 && c->segments[i] <= c->segments[i - 1])
            in_fail(&e, "%u does not come after %u", c->segments[i], c->segments[i - 1]);
        else if (c->segments[i] >= c->n_gops)
            in_fail(&e, "%u is beyond the %zu GOPs", c->segments[i], c->n_gops);
    }
}

void chunk_read(const struct in *v, struct chunk *c)
{
    memset(c, 0, sizeof(*c));
    in_is_object(v);
    c->index = (unsigned)in_int(v, "index", 0, CHUNKS_MAX - 1);
    c->start = in_time(v, "start");
    c->end = in_int(v, "end", c->start + 1, TIME_LIMIT);
    c->prev_pts = in_time_or_none(v, "prev_pts");
    if (c->prev_pts >= c->start) {
        struct in f = in_field(v, "prev_pts");
        in_fail(&f, "%" PRId64 " is not before the chunk's start", c->prev_pts);
    }
    c->seek_pts = in_time_or_none(v, "seek_pts");
    c->seek_dts = in_time_or_none(v, "seek_dts");
    c->seek_pos = in_int(v, "seek_pos", -1, SIZE_LIMIT);
    c->packets = (uint64_t)in_int(v, "packets", 1, COUNT_LIMIT);
    c->byte_start = (uint64_t)in_int(v, "byte_start", 0, SIZE_LIMIT);
    c->byte_end = (uint64_t)in_int(v, "byte_end", (int64_t)c->byte_start, SIZE_LIMIT);
    pts_read(v, c);
    spans_read(v, c);
    stamps_read(v, c->packets, &c->stamps);
    c->first_gop = (unsigned)in_int(v, "first_gop", 0, INT32_MAX);
    c->first_segment = (unsigned)in_int(v, "first_segment", 0, INT32_MAX);
    c->gops = in_rising(v, "gops", &c->n_gops);
    gops_check(v, c);
    segments_read(v, c);
    c->cost = in_double(v, "cost", 0, 1e12);
}

int chunk_from_json(const json_t *j, struct chunk *ret, struct err *err)
{
    struct in_state state;
    struct in top = in_top(&state, "chunk", j, err);
    struct chunk c;

    chunk_read(&top, &c);
    if (state.r < 0) {
        chunk_release(&c);
        return state.r;
    }
    *ret = c;
    return 0;
}

int64_t chunk_frames_kept(const struct chunk *c, const struct frame_grid *g, size_t from, size_t to,
                          int64_t origin, AVRational tb)
{
    int64_t pts = c->pts.first, prev = c->prev_pts, kept = 0;
    int64_t lo = from < c->n_gops ? c->gops[from] : c->end;
    int64_t hi = to < c->n_gops ? c->gops[to] : c->end;
    size_t run = 0;
    uint64_t in_run = 0;

    for (uint64_t i = 0; i < c->pts.n_frames && pts < hi; i++) {
        if (pts >= lo)
            kept += frame_grid_keeps(g, pts, prev, origin, tb) != 0;
        if (i + 1 == c->pts.n_frames)
            break;
        if (in_run == c->pts.runs[run].count) {
            run++;
            in_run = 0;
        }
        in_run++;
        prev = pts;
        pts += c->pts.runs[run].delta;
    }
    return kept;
}
