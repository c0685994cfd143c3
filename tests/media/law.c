/* law - whether each chunk's pictures are, to the bit, those of one decode from the beginning.
 *
 *   law SECONDS FILE...
 *
 * Each FILE is planned in chunks of SECONDS, by the planner itself. Then its stream is decoded once
 * from end to end, and each chunk by itself, from where the plan says and of as many packets, with
 * the worker's reader and its rule of what needn't be decoded. No picture is encoded: what an
 * encoder would hide is seen. Prints for each file
 *
 *   FILE: N chunks, N frames, N concealed, N more, N differ
 *
 * concealed: frames of the plan that no picture comes for, in one decode. more: pictures shown that
 * the plan doesn't have. differ: pictures of a chunk that are other ones than in one decode, or
 * don't come. 0: nothing differs. Files whose times are made by the planner (stamps) are left out.
 */
#include "../unit/inside_double.h"

#include "common/base/err.h"
#include "common/media/prime.h"
#include "common/media/probe.h"
#include "common/media/reader.h"
#include "common/wire/plan.h"
#include "dispatcher/plan_job.h"

#include <fcntl.h>
#include <libavutil/imgutils.h>
#include <libavutil/log.h>
#include <libavutil/murmur3.h>
#include <libavutil/pixdesc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SUM_BYTES = 16, PRINT_MAX = 6 };

struct shown {
    int64_t pts;
    uint8_t sum[SUM_BYTES];
};

struct sums {
    struct shown *list; /* by rising times once decoded */
    size_t n, room;
};

struct law {
    struct inside in;
    struct plan plan;
    struct sums all;
    struct AVMurMur3 *hash;
    AVFrame *frame;
    size_t concealed, differ;
};

/* ---- a stretch of the source ---- */

static void picture_sum(struct law *l, const AVFrame *f, struct sums *ret)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(f->format);
    int64_t pts = f->pts != AV_NOPTS_VALUE ? f->pts : f->best_effort_timestamp;

    if (ret->n == ret->room) {
        ret->room = 2 * ret->room + 64;
        ret->list = reallocarray(ret->list, ret->room, sizeof(*ret->list));
        if (!ret->list)
            abort();
    }
    av_murmur3_init(l->hash);
    for (int plane = 0; d && plane < 4 && f->data[plane]; plane++) {
        int bytes = av_image_get_linesize(f->format, f->width, plane);
        int chroma = plane == 1 || plane == 2;
        for (int y = 0; y < (chroma ? AV_CEIL_RSHIFT(f->height, d->log2_chroma_h) : f->height); y++)
            if (bytes > 0)
                av_murmur3_update(l->hash, f->data[plane] + (ptrdiff_t)y * f->linesize[plane],
                                  (size_t)bytes);
    }
    struct shown *s = &ret->list[ret->n++];
    s->pts = pts;
    av_murmur3_final(l->hash, s->sum);
}

static void pictures_take(struct law *l, AVCodecContext *dec, const AVPacket *pkt, struct sums *ret)
{
    (void)avcodec_send_packet(dec, pkt);
    while (avcodec_receive_frame(dec, l->frame) >= 0) {
        picture_sum(l, l->frame, ret);
        av_frame_unref(l->frame);
    }
}

/* As worker/video.c has it. */
static int is_skippable(const AVCodecContext *dec, const AVPacket *pkt, int64_t from)
{
    enum AVCodecID id = dec->codec_id;

    return (id == AV_CODEC_ID_H264 || id == AV_CODEC_ID_HEVC || id == AV_CODEC_ID_MPEG2VIDEO) &&
           pkt->pts != AV_NOPTS_VALUE && pkt->pts < from;
}

struct stretch {
    struct packet_name to;
    uint64_t packets;
    int64_t from; /* pictures before that are thrown away */
    int is_first;
};

static int stretch_order(const void *a, const void *b)
{
    const struct shown *x = a, *y = b;

    return (x->pts > y->pts) - (x->pts < y->pts);
}

static int stretch_decode(struct law *l, const struct stretch *s, struct sums *ret, struct err *err)
{
    struct reader r;
    AVCodecContext *dec = NULL;
    int n = reader_open(&l->in, &l->plan.info, &r, err);

    if (n == 0)
        n = media_decoder(&r.src, l->plan.info.video.stream, &dec, err);
    if (n == 0 && !s->is_first)
        n = prime_decoder(&r, dec, err);
    if (n == 0)
        n = reader_go_to(&r, &s->to, s->is_first, err);
    for (uint64_t i = 0; n == 0 && i < s->packets; i++) {
        dec->skip_frame = is_skippable(dec, r.pkt, s->from) ? AVDISCARD_NONREF : AVDISCARD_DEFAULT;
        pictures_take(l, dec, r.pkt, ret);
        n = i + 1 < s->packets ? reader_next(&r, err) : 0;
    }
    if (dec)
        pictures_take(l, dec, NULL, ret);
    avcodec_free_context(&dec);
    reader_close(&r);
    if (ret->n > 0)
        qsort(ret->list, ret->n, sizeof(*ret->list), stretch_order);
    return n == AVERROR_EOF ? 0 : n;
}

/* ---- chunks ---- */

static const struct shown *shown_at(const struct sums *s, int64_t pts)
{
    const struct shown key = { .pts = pts };

    return s->n ? bsearch(&key, s->list, s->n, sizeof(*s->list), stretch_order) : NULL;
}

static void times_compare(struct law *l, const struct pts_list *want, const struct sums *got,
                          unsigned chunk)
{
    int64_t *pts = calloc(want->n_frames + 1, sizeof(*pts));

    if (!pts)
        abort();
    pts_list_expand(want, pts);
    for (size_t i = 0; i < want->n_frames; i++) {
        const struct shown *x = shown_at(&l->all, pts[i]), *y = shown_at(got, pts[i]);
        l->concealed += !x;
        if ((!x && !y) || (x && y && memcmp(x->sum, y->sum, SUM_BYTES) == 0))
            continue;
        if (l->differ++ < PRINT_MAX)
            printf("  chunk %u, frame %zu of %zu, pts %lld: %s\n", chunk, i, (size_t)want->n_frames,
                   (long long)pts[i],
                   !x  ? "only in the chunk"
                   : y ? "another picture"
                       : "doesn't come");
    }
    free(pts);
}

static int chunk_check(struct law *l, const struct chunk *c, struct err *err)
{
    struct sums got = { 0 };
    int r = 0;

    if (c->n_spans == 0) {
        const struct stretch s = {
            {c->seek_pts, c->seek_dts, c->seek_pos},
            c->packets, c->start, c->index == 0
        };
        r = stretch_decode(l, &s, &got, err);
        times_compare(l, &c->pts, &got, c->index);
    }
    for (size_t i = 0; r == 0 && i < c->n_spans; i++) {
        const struct chunk_span *k = &c->spans[i];
        const struct stretch s = {
            {k->seek_pts, k->seek_dts, k->seek_pos},
            k->packets, k->media.first, 0
        };
        got.n = 0;
        r = stretch_decode(l, &s, &got, err);
        times_compare(l, &k->media, &got, c->index);
    }
    free(got.list);
    return r;
}

/* Pictures that are shown and that no chunk has; not of an edited source. */
static size_t count_more(const struct law *l)
{
    size_t planned = 0;

    for (size_t i = 0; i < l->plan.n_chunks; i++) {
        if (l->plan.chunks[i].n_spans > 0)
            return 0;
        planned += l->plan.chunks[i].pts.n_frames;
    }
    return l->all.n + l->concealed > planned ? l->all.n + l->concealed - planned : 0;
}

/* Spans of an edited source go back and forth. */
static struct packet_name first_of_spans(const struct plan *p)
{
    const struct chunk_span *first = &p->chunks[0].spans[0];

    for (size_t i = 0; i < p->n_chunks; i++)
        for (size_t k = 0; k < p->chunks[i].n_spans; k++)
            if (p->chunks[i].spans[k].seek_dts < first->seek_dts)
                first = &p->chunks[i].spans[k];
    return (struct packet_name){ first->seek_pts, first->seek_dts, first->seek_pos };
}

static int law_check(struct law *l, const char *path, struct err *err)
{
    const struct stretch whole = {
        {INT64_MIN, INT64_MIN, 0},
        UINT64_MAX, INT64_MIN, 1
    };
    const struct chunk *c = l->plan.chunks;
    struct stretch s = whole;
    size_t frames = 0;

    s.to = (struct packet_name){ c->seek_pts, c->seek_dts, c->seek_pos };
    if (c->n_spans > 0)
        s.to = first_of_spans(&l->plan);
    int r = stretch_decode(l, &s, &l->all, err);
    for (size_t i = 0; r == 0 && i < l->plan.n_chunks; i++) {
        r = chunk_check(l, &c[i], err);
        frames += c[i].pts.n_frames;
    }
    printf("%s: %zu chunks, %zu frames, %zu concealed, %zu more, %zu differ\n", path,
           l->plan.n_chunks, frames, l->concealed, count_more(l), l->differ);
    for (size_t i = 0; i < l->plan.info.n_warnings; i++)
        printf("  told: %s\n", l->plan.info.warnings[i]);
    return r;
}

static int plan_read(struct law *l, double seconds, struct err *err)
{
    static const char ladder[] = "name: law\ngop_seconds: 1\nsegment_seconds: 1\nvideo:\n"
                                 "  - { name: full, codec: h264, size: 360, maxrate: 8M, "
                                 "preset: ultrafast, crf: 20, max_fps: 240 }\n";
    json_t *j = json_pack("{s:i, s:s, s:s, s:{s:f}}", "v", 1, "ladder", ladder, "ladder_name",
                          "law", "options", "chunk_seconds", seconds);
    char *request = json_dumps(j, 0), *text = NULL;
    int r = plan_job(&l->in, request, &text, err);

    json_decref(j);
    free(request);
    if (r < 0)
        return r;
    j = json_loads(text, 0, NULL);
    r = plan_from_json(j, &l->plan, err);
    json_decref(j);
    free(text);
    return r;
}

static int check(const char *path, double seconds)
{
    struct law l = { .hash = av_murmur3_alloc(), .frame = av_frame_alloc() };
    struct err err = { 0 };
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC), r;

    if (fd < 0 || fstat(fd, &st) < 0 || st.st_size == 0 || !l.hash || !l.frame)
        return -1;
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (map == MAP_FAILED)
        return -1;
    l.in.size = (uint64_t)st.st_size;
    l.in.data = map;
    r = plan_read(&l, seconds, &err);
    if (r == 0 && l.plan.n_chunks > 0 && l.plan.chunks[0].stamps.n == 0)
        r = law_check(&l, path, &err);
    if (r < 0)
        printf("%s: %s\n", path, err.text);
    plan_release(&l.plan);
    free(l.all.list);
    av_frame_free(&l.frame);
    av_free(l.hash);
    (void)munmap(map, (size_t)st.st_size);
    return r < 0 || l.differ > 0;
}

int main(int argc, char **argv)
{
    int bad = argc < 3;

    av_log_set_level(AV_LOG_QUIET);
    for (int i = 2; i < argc; i++)
        bad |= check(argv[i], atof(argv[1])) != 0;
    return bad;
}
