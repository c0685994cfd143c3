#include "check.h"

#include <errno.h>
#include <inttypes.h>
#include <libavutil/mathematics.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/base/cleanup.h"
#include "package.h"

enum {
    CODECS_MAX = 64,
    AUDIO_CUT_SLACK = 2, /* packets: the nearest, and rounding */
    AUDIO_END_SLACK = 4, /* packets: padding and the encoder's delay */
    AUDIO_LATE_MAX = 1,  /* seconds that a source may sound on beyond what its index says */
};

/* What is looked at, for the texts. */
struct where {
    const char *rendition;
    const struct chunk *chunk; /* NULL: audio */
    unsigned segment;          /* 0: none in particular */
    struct err *err;
};

__attribute__((format(printf, 2, 3))) static int fault(const struct where *w, const char *fmt, ...)
{
    char what[ERR_TEXT_MAX], chunk[32] = "", segment[32] = "";
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    if (w->chunk)
        (void)snprintf(chunk, sizeof(chunk), ", chunk %u", w->chunk->index);
    if (w->segment)
        (void)snprintf(segment, sizeof(segment), ": segment %u", w->segment);
    return err_set(w->err, -EPROTO, ERR_INTERNAL, "rendition %s%s%s: %s", w->rendition, chunk,
                   segment, what);
}

static int expect(const struct where *w, const char *what, int64_t want, int64_t got)
{
    if (want == got)
        return 0;
    return fault(w, "%s: expected %" PRId64 ", got %" PRId64, what, want, got);
}

static int expect_text(const struct where *w, const char *what, const char *want, const char *got)
{
    if (got && strcmp(want, got) == 0)
        return 0;
    return fault(w, "%s: expected %s, got %s", what, want, got ? got : "none");
}

/* The codecs string goes into attributes of both manifests as it is. */
static int codecs_ok(const char *s)
{
    size_t n = s ? strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-")
                 : 0;
    return n > 0 && n < CODECS_MAX && s[n] == '\0';
}

static int check_object(const struct where *w, const struct rendition *r, unsigned number,
                        const char *key, uint64_t size_bytes, const char *sha256)
{
    _cleanup_free_ char *want = segment_key(r->kind, r->name, number);
    if (!want)
        return err_set(w->err, -ENOMEM, ERR_RESOURCE, "out of memory while checking a result");

    int res = expect_text(w, "key", want, key);
    if (res < 0)
        return res;
    if (size_bytes == 0)
        return fault(w, "%s is empty", want);
    if (strspn(sha256, "0123456789abcdef") != 64 || sha256[64] != '\0')
        return fault(w, "%s has no sha256", want);
    return 0;
}

static int check_head(const struct where *w, const struct rendition *r,
                      const struct rendition_result *got)
{
    if (!codecs_ok(got->codecs))
        return fault(w, "the codecs string is not one of RFC 6381");
    if (got->timescale == 0)
        return fault(w, "the timescale is 0");
    if (got->n_segments == 0 && r->kind != MEDIA_POSTER)
        return fault(w, "no segments");
    return check_object(w, r, 0, got->init.key, got->init.size_bytes, got->init.sha256);
}

/* Where GOP `gop` of the chunk starts in output ticks; n_gops: where it ends. */
static int64_t gop_ticks(const struct plan *p, const struct chunk *c, size_t gop)
{
    return plan_ticks(gop < c->n_gops ? c->gops[gop] : c->end, p->origin, p->info.video.tb,
                      p->timescale);
}

static int check_gops(const struct where *w, const struct plan *p, const struct chunk *c,
                      size_t from, size_t to, const struct segment *s)
{
    int res = expect(w, "GOPs", (int64_t)(to - from), (int64_t)s->n_gops);
    uint64_t free_from = 0;

    for (size_t i = 0; i < s->n_gops && res == 0; i++) {
        const struct gop_range *g = &s->gops[i];
        int64_t start = gop_ticks(p, c, from + i);
        res = expect(w, "start of a GOP", start, g->start);
        if (res == 0)
            res = expect(w, "duration of a GOP", gop_ticks(p, c, from + i + 1) - start,
                         g->duration);
        if (res == 0 && (g->size_bytes == 0 || g->offset < free_from || g->offset > s->size_bytes ||
                         g->size_bytes > s->size_bytes - g->offset))
            res = fault(w, "GOP %zu is at bytes %" PRIu64 "+%" PRIu64 " of %" PRIu64, i + 1,
                        g->offset, g->size_bytes, s->size_bytes);
        free_from = g->offset + g->size_bytes;
    }
    return res;
}

static int check_video_segment(struct where *w, const struct plan *p, const struct rendition *r,
                               const struct chunk *c, size_t i, const struct segment *s)
{
    size_t from = c->segments[i], to = i + 1 < c->n_segments ? c->segments[i + 1] : c->n_gops;
    int64_t start = gop_ticks(p, c, from);
    int res;

    w->segment = c->first_segment + (unsigned)i + 1;
    if ((res = expect(w, "number", w->segment, s->number)) < 0 ||
        (res = check_object(w, r, s->number, s->key, s->size_bytes, s->sha256)) < 0 ||
        (res = expect(w, "start", start, s->start)) < 0 ||
        (res = expect(w, "duration", gop_ticks(p, c, to) - start, s->duration)) < 0)
        return res;
    if (s->duration <= 0)
        return fault(w, "a duration of %" PRId64 " ticks", s->duration);

    int64_t frames = chunk_frames_kept(c, &r->grid, from, to, p->origin, p->info.video.tb);
    if (frames < 0)
        return err_set(w->err, -ENOMEM, ERR_RESOURCE, "out of memory while checking a result");
    if ((res = expect(w, "frames", frames, (int64_t)s->frames)) < 0)
        return res;
    return check_gops(w, p, c, from, to, s);
}

int result_check_video(const struct plan *plan, const struct rendition *r, const struct chunk *c,
                       const struct rendition_result *got, struct err *err)
{
    struct where w = { .rendition = r->name, .chunk = c, .err = err };
    uint64_t frames = 0;
    int res;

    if ((res = check_head(&w, r, got)) < 0 ||
        (res = expect(&w, "timescale", plan->timescale, got->timescale)) < 0 ||
        (res = expect(&w, "segments", (int64_t)c->n_segments, (int64_t)got->n_segments)) < 0)
        return res;
    for (size_t i = 0; i < c->n_segments; i++) {
        res = check_video_segment(&w, plan, r, c, i, &got->segments[i]);
        if (res < 0)
            return res;
        frames += got->segments[i].frames;
    }
    w.segment = 0;
    return expect(&w, "frames in all", (int64_t)frames, (int64_t)got->frames);
}

/* Numbers, sizes and joints; returns the longest packet in *ret_packet. */
static int check_audio_chain(struct where *w, const struct rendition *r,
                             const struct rendition_result *got, int64_t *ret_packet)
{
    int64_t packet = 1, next = 0;
    uint64_t frames = 0;

    for (size_t i = 0; i < got->n_segments; i++) {
        const struct segment *s = &got->segments[i];
        int res;

        w->segment = (unsigned)i + 1;
        if ((res = expect(w, "number", w->segment, s->number)) < 0 ||
            (res = check_object(w, r, s->number, s->key, s->size_bytes, s->sha256)) < 0 ||
            (res = expect(w, "start", next, s->start)) < 0)
            return res;
        if (s->start < 0 || s->duration <= 0 || s->duration > INT64_MAX - s->start ||
            s->frames == 0 || s->frames > INT64_MAX)
            return fault(w, "no packets, or an impossible duration");
        next = s->start + s->duration;
        int64_t mean = (int64_t)(((uint64_t)s->duration + s->frames - 1) / s->frames);
        packet = mean > packet ? mean : packet;
        frames += s->frames;
    }
    w->segment = 0;
    *ret_packet = packet;
    return expect(w, "packets in all", (int64_t)frames, (int64_t)got->frames);
}

static int check_audio_cuts(struct where *w, const struct plan *plan,
                            const struct rendition_result *got, int64_t slack)
{
    size_t cut = 0;

    for (size_t i = 0; i < got->n_segments; i++) {
        int64_t start = got->segments[i].start, at = 0;

        for (; cut < plan->n_audio_cuts; cut++) {
            at = av_rescale(plan->audio_cuts[cut], got->timescale, plan->timescale);
            if (at >= start - slack)
                break;
        }
        w->segment = (unsigned)i + 1;
        if (cut == plan->n_audio_cuts || at > start + slack)
            return fault(w, "starts at %" PRId64 "/%" PRIu32 " s, where no cut is planned", start,
                         got->timescale);
        cut++;
    }
    w->segment = 0;
    return 0;
}

/* Where the track's sound ends, or the timeline if that is earlier, in
 * ticks of `timescale`. */
static int64_t audio_end(const struct plan *p, size_t track, uint32_t timescale)
{
    const struct audio_info *a = media_audio(&p->info, track);
    AVRational tick = { 1, (int)timescale };
    AVRational origin_tb = p->n_chunks ? p->info.video.tb : p->info.audio.tb;
    int64_t end = av_rescale(p->duration, timescale, p->timescale);

    if (!a || a->tb.num <= 0 || a->tb.den <= 0 || origin_tb.num <= 0 || origin_tb.den <= 0)
        return end;
    int64_t sound = av_rescale_q(a->end, a->tb, tick) - av_rescale_q(p->origin, origin_tb, tick);
    return sound < end ? sound : end;
}

int result_check_audio(const struct plan *plan, const struct rendition *r,
                       const struct rendition_result *got, struct err *err)
{
    struct where w = { .rendition = r->name, .err = err };
    int64_t packet = 0;
    int res;

    if ((res = check_head(&w, r, got)) < 0)
        return res;
    if (r->loudness < 0 && !got->loudness.known)
        return fault(&w, "its loudness was not measured: the worker may be older than that");
    if (got->priming < 0 || got->timescale > INT32_MAX)
        return fault(&w, "the priming is negative or the timescale too fine");
    if ((res = check_audio_chain(&w, r, got, &packet)) < 0 ||
        (res = check_audio_cuts(&w, plan, got, packet * AUDIO_CUT_SLACK)) < 0)
        return res;

    const struct segment *last = &got->segments[got->n_segments - 1];
    int64_t end = last->start + last->duration;
    int64_t least = audio_end(plan, r->track, got->timescale) - packet * AUDIO_END_SLACK;
    int64_t most = av_rescale(plan->duration, got->timescale, plan->timescale) +
                   packet * AUDIO_END_SLACK + (int64_t)got->timescale * AUDIO_LATE_MAX;
    if (end < least || end > most)
        return fault(&w,
                     "ends at %" PRId64 ", expected %" PRId64 " to %" PRId64 " (1/%" PRIu32 " s)",
                     end, least, most, got->timescale);
    return 0;
}

static int check_piece(struct where *w, const struct rendition *r, const struct segment *s,
                       const struct segment *want)
{
    int res;

    w->segment = want->number;
    if ((res = expect(w, "number", want->number, s->number)) < 0 ||
        (res = check_object(w, r, s->number, s->key, s->size_bytes, s->sha256)) < 0 ||
        (res = expect(w, "start", want->start, s->start)) < 0)
        return res;
    return expect(w, "duration", want->duration, s->duration);
}

static int check_text(struct where *w, const struct plan *plan, const struct rendition *r,
                      const struct rendition_result *got)
{
    int res = expect(w, "timescale", plan->timescale, got->timescale);

    if (res == 0)
        res = expect(w, "segments", (int64_t)plan->n_audio_cuts, (int64_t)got->n_segments);
    for (size_t i = 0; res == 0 && i < plan->n_audio_cuts; i++) {
        int last = i + 1 == plan->n_audio_cuts;
        int64_t from = plan->audio_cuts[i], to = last ? plan->duration : plan->audio_cuts[i + 1];
        const struct segment want = { .number = (unsigned)i + 1,
                                      .start = from,
                                      .duration = to - from };
        res = check_piece(w, r, &got->segments[i], &want);
    }
    return res;
}

static int check_storyboard(struct where *w, const struct rendition *r,
                            const struct rendition_result *got)
{
    size_t tiles = (size_t)r->columns * (size_t)r->rows, sheets = (r->n_shots + tiles - 1) / tiles;
    int64_t every = r->every_ms;
    int res = expect(w, "timescale", 1000, got->timescale);

    if (res == 0)
        res = expect(w, "sheets", (int64_t)sheets, (int64_t)got->n_segments);
    for (size_t i = 0; res == 0 && i < sheets; i++) {
        size_t n = i + 1 < sheets ? tiles : r->n_shots - i * tiles;
        const struct segment want = { .number = (unsigned)i + 1,
                                      .start = (int64_t)(i * tiles) * every,
                                      .duration = (int64_t)n * every };
        res = check_piece(w, r, &got->segments[i], &want);
        if (res == 0)
            res = expect(w, "tiles", (int64_t)n, (int64_t)got->segments[i].frames);
    }
    return res;
}

int result_check_extra(const struct plan *plan, const struct rendition *r,
                       const struct rendition_result *got, struct err *err)
{
    struct where w = { .rendition = r->name, .err = err };
    int res = check_head(&w, r, got);

    if (res < 0)
        return res;
    if (r->kind == MEDIA_TEXT)
        return check_text(&w, plan, r, got);
    if (r->kind == MEDIA_STORYBOARD)
        return check_storyboard(&w, r, got);
    return expect(&w, "segments", 0, (int64_t)got->n_segments);
}

static const struct rendition *planned(const struct plan *p, const char *name)
{
    for (size_t i = 0; i < p->n_renditions; i++)
        if (strcmp(p->renditions[i].name, name) == 0)
            return &p->renditions[i];
    for (size_t i = 0; i < p->n_extras; i++)
        if (strcmp(p->extras[i].name, name) == 0)
            return &p->extras[i];
    return NULL;
}

static int check_one(const struct plan *plan, const struct task *task,
                     const struct rendition *asked, const struct task_result *result,
                     struct err *err)
{
    const struct rendition *r = planned(plan, asked->name);
    const struct rendition_result *got = NULL;

    if (!r || task_kind_of(r->kind) != task->kind)
        return err_set(err, -EPROTO, ERR_INTERNAL, "rendition %s is not in the plan", asked->name);
    for (size_t i = 0; i < result->n_renditions; i++) {
        if (strcmp(result->renditions[i].name, asked->name) != 0)
            continue;
        if (got)
            return err_set(err, -EPROTO, ERR_INTERNAL, "rendition %s is there twice", asked->name);
        got = &result->renditions[i];
    }
    if (!got && media_kind_is_extra(r->kind))
        return 0;
    if (!got)
        return err_set(err, -EPROTO, ERR_INTERNAL, "rendition %s is not in the result",
                       asked->name);
    if (media_kind_is_extra(r->kind))
        return result_check_extra(plan, r, got, err);
    if (task->kind == TASK_AUDIO)
        return result_check_audio(plan, r, got, err);
    return result_check_video(plan, r, &plan->chunks[task->chunk.index], got, err);
}

static int is_made(const struct task_result *result, const char *name)
{
    for (size_t i = 0; i < result->n_renditions; i++)
        if (strcmp(result->renditions[i].name, name) == 0)
            return 1;
    return 0;
}

/* Extras may be left out, and a warning says why. Channels of captions are those that there may
 * be: that nothing is said in one is no loss. */
static int check_left_out(const struct task *task, const struct task_result *result,
                          struct err *err)
{
    if (result->n_renditions > task->n_renditions)
        return err_set(err, -EPROTO, ERR_INTERNAL, "renditions: expected %zu, got %zu",
                       task->n_renditions, result->n_renditions);
    for (size_t i = 0; i < task->n_renditions && result->n_warnings == 0; i++)
        if (!task->renditions[i].text.captions && !is_made(result, task->renditions[i].name))
            return err_set(err, -EPROTO, ERR_INTERNAL, "renditions are left out without a word");
    return 0;
}

int package_check_result(const struct plan *plan, const struct task *task,
                         const struct task_result *result, struct err *err)
{
    int r = 0;

    if (result->error.cls != ERR_NONE)
        r = err_set(err, -EPROTO, ERR_INTERNAL, "the task failed: %s", result->error.text);
    else if (strcmp(task->id, result->task) != 0)
        r = err_set(err, -EPROTO, ERR_INTERNAL, "this is the result of task %s", result->task);
    else if (task->kind == TASK_VIDEO && task->chunk.index >= plan->n_chunks)
        r = err_set(err, -EPROTO, ERR_INTERNAL, "chunk %u is not in the plan, which has %zu",
                    task->chunk.index, plan->n_chunks);
    else if (task_kind_is_extra(task->kind))
        r = check_left_out(task, result, err);
    else if (result->n_renditions != task->n_renditions)
        r = err_set(err, -EPROTO, ERR_INTERNAL, "renditions: expected %zu, got %zu",
                    task->n_renditions, result->n_renditions);
    for (size_t i = 0; i < task->n_renditions && r == 0; i++)
        r = check_one(plan, task, &task->renditions[i], result, err);
    return r < 0 ? err_prefix(err, r, "task %s", task->id) : 0;
}
