/* pictures.*: poster and storyboard. */
#include <errno.h>
#include <inttypes.h>
#include <libavcodec/avcodec.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "texts.h"

#define PICTURE_BYTES_MAX (UINT64_C(64) << 20)

static inline void vtt_freep(struct vtt **v)
{
    vtt_free(*v);
}

static inline void m3u8_freep(struct m3u8 **m)
{
    m3u8_free(*m);
}

/* A file in the folder of the storyboard. */
static void path_of(const struct receipt_text *x, const char *file, char ret[PATH_LEN_MAX])
{
    int n = snprintf(ret, PATH_LEN_MAX, "%s/%s", x->folder, file);
    if (n < 0 || n >= PATH_LEN_MAX)
        ret[0] = '\0'; /* there is no such file */
}

/* ---- pictures.files ---- */

/* The size of a JPEG that decodes; 0 where it doesn't. */
static int jpeg_size(const uint8_t *buf, size_t len, int64_t *ret_width, int64_t *ret_height)
{
    const AVCodec *codec = avcodec_find_decoder(AV_CODEC_ID_MJPEG);
    AVCodecContext *c = codec ? avcodec_alloc_context3(codec) : NULL;
    AVPacket *pkt = av_packet_alloc();
    AVFrame *f = av_frame_alloc();
    int ok = c && pkt && f && len < INT32_MAX && avcodec_open2(c, codec, NULL) == 0 &&
             av_new_packet(pkt, (int)len) == 0;
    if (ok) {
        memcpy(pkt->data, buf, len);
        c->err_recognition = AV_EF_EXPLODE;
        ok = avcodec_send_packet(c, pkt) == 0 && avcodec_receive_frame(c, f) == 0;
    }
    if (ok) {
        *ret_width = f->width;
        *ret_height = f->height;
    }
    av_frame_free(&f);
    av_packet_free(&pkt);
    avcodec_free_context(&c);
    return ok;
}

static void check_jpeg(struct package *p, const char *key, int64_t width, int64_t height)
{
    struct err err = { 0 };
    _cleanup_free_ uint8_t *buf = NULL;
    size_t len;
    int64_t w = 0, h = 0;
    if (package_read(p, key, PICTURE_BYTES_MAX, &buf, &len, &err) < 0)
        report_fail(p->report, CHECK_PICTURES_FILES, "%s", err.text);
    else if (!jpeg_size(buf, len, &w, &h))
        report_fail(p->report, CHECK_PICTURES_FILES, "%s: no JPEG that decodes", key);
    else if (w != width || h != height)
        report_fail(p->report, CHECK_PICTURES_FILES, "%s: %lldx%lld, the receipt says %lldx%lld",
                    key, (long long)w, (long long)h, (long long)width, (long long)height);
}

static void check_files_of(struct package *p, const struct receipt_text *x)
{
    int64_t columns = x->is_storyboard ? x->columns : 1, rows = x->is_storyboard ? x->rows : 1;
    for (size_t i = x->is_storyboard; i < x->n_objects; i++)
        check_jpeg(p, x->objects[i].key, x->width * columns, x->height * rows);
    report_pass(p->report, CHECK_PICTURES_FILES, "%s: %lldx%lld", x->name, (long long)x->width,
                (long long)x->height);
}

/* ---- pictures.named ---- */

static void check_tile(struct package *p, const struct receipt_text *x, const struct vtt_cue *c,
                       int64_t i)
{
    int64_t tiles = x->columns * x->rows, sheet = i / tiles + 1, at = i % tiles;
    int64_t left = at % x->columns * x->width, top = at / x->columns * x->height;
    char want[128];
    snprintf(want, sizeof(want),
             "sheet-%05" PRId64 ".jpg#xywh=%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64, sheet,
             left, top, x->width, x->height);
    if (strcmp(c->text, want))
        report_fail(p->report, CHECK_PICTURES_NAMED, "index.vtt: tile %" PRId64 " is %s, not %s", i,
                    c->text, want);
    if (c->start != i * x->every_ms || c->end > (i + 1) * x->every_ms)
        report_fail(p->report, CHECK_PICTURES_NAMED,
                    "index.vtt: tile %" PRId64 " is at %" PRId64 " to %" PRId64 " ms", i, c->start,
                    c->end);
}

static void check_index(struct package *p, const struct receipt_text *x)
{
    struct err err = { 0 };
    _cleanup_free_ uint8_t *text = NULL;
    _cleanup_(vtt_freep) struct vtt *v = NULL;
    size_t len;
    char index[PATH_LEN_MAX];
    path_of(x, "index.vtt", index);
    int r = package_read(p, index, PLAYLIST_BYTES_MAX, &text, &len, &err);
    if (!r)
        r = vtt_parse((const char *)text, len, &v, &err);
    if (r < 0) {
        report_fail(p->report, CHECK_PICTURES_NAMED, "%s: %s", index, err.text);
        return;
    }
    if ((int64_t)v->n != x->tiles)
        report_fail(p->report, CHECK_PICTURES_NAMED, "%s: %zu tiles, not %lld", index, v->n,
                    (long long)x->tiles);
    for (size_t i = 0; i < v->n; i++)
        check_tile(p, x, &v->cues[i], (int64_t)i);
    double end = v->n ? (double)v->cues[v->n - 1].end / 1000 : 0;
    if (p->mpd && p->mpd->duration_s > 0.01 &&
        (end < p->mpd->duration_s - package_padding(p) - 0.002 || end > p->mpd->duration_s + 0.002))
        report_fail(p->report, CHECK_PICTURES_NAMED,
                    "%s ends at %.3f s, the presentation at %.3f s", index, end,
                    p->mpd->duration_s);
}

static void check_playlist(struct package *p, const struct receipt_text *x)
{
    struct err err = { 0 };
    _cleanup_free_ uint8_t *text = NULL, *master = NULL;
    _cleanup_(m3u8_freep) struct m3u8 *m = NULL;
    size_t len, master_len;
    char tiles[128], path[PATH_LEN_MAX], index[PATH_LEN_MAX], uri[PATH_LEN_MAX + 8];
    path_of(x, "index.m3u8", index);
    snprintf(uri, sizeof(uri), "URI=\"%s\"", index);
    int r = package_read(p, index, PLAYLIST_BYTES_MAX, &text, &len, &err);
    if (!r)
        r = package_read(p, "master.m3u8", PLAYLIST_BYTES_MAX, &master, &master_len, &err);
    if (!r)
        r = m3u8_parse((const char *)text, len, &m, &err);
    if (r < 0) {
        report_fail(p->report, CHECK_PICTURES_NAMED, "%s", err.text);
        return;
    }
    snprintf(tiles, sizeof(tiles), "\n#EXT-X-TILES:RESOLUTION=%lldx%lld,LAYOUT=%lldx%lld,",
             (long long)x->width, (long long)x->height, (long long)x->columns, (long long)x->rows);
    if (!strstr((const char *)text, tiles) || !strstr((const char *)text, "\n#EXT-X-IMAGES-ONLY\n"))
        report_fail(p->report, CHECK_PICTURES_NAMED, "%s: no%s", index, tiles);
    if (!strstr((const char *)master, "\n#EXT-X-IMAGE-STREAM-INF:") ||
        !strstr((const char *)master, uri))
        report_fail(p->report, CHECK_PICTURES_NAMED, "master.m3u8 names no %s", index);
    if (m->n_segments + 1 != x->n_objects)
        report_fail(p->report, CHECK_PICTURES_NAMED, "%s: %zu sheets, not %zu", index,
                    m->n_segments, x->n_objects - 1);
    for (size_t i = 0; i < m->n_segments && i + 1 < x->n_objects; i++) {
        const struct m3u8_segment *s = &m->segments[i];
        if (path_join(index, s->uri, path) < 0 || strcmp(path, x->objects[i + 1].key) ||
            s->extinf.num * 1000 != x->objects[i + 1].duration * s->extinf.den)
            report_fail(p->report, CHECK_PICTURES_NAMED, "%s:%u: %s isn't sheet %zu with its time",
                        index, s->line, s->uri, i + 1);
    }
}

static void check_manifest(struct package *p, const struct receipt_text *x)
{
    const struct mpd_representation *m = NULL;
    int64_t width = x->width * x->columns, height = x->height * x->rows;
    for (size_t i = 0; p->mpd && i < p->mpd->n_reps; i++)
        if (p->mpd->reps[i].mime && !strcmp(p->mpd->reps[i].mime, "image/jpeg"))
            m = &p->mpd->reps[i];
    if (p->mpd && (!m || m->width != width || m->height != height))
        report_fail(p->report, CHECK_PICTURES_NAMED,
                    "manifest.mpd: no image/jpeg of %" PRId64 "x%" PRId64 " pixels", width, height);
}

void check_pictures(struct package *p)
{
    for (size_t i = 0; p->receipt && i < p->receipt->n_pictures; i++) {
        const struct receipt_text *x = &p->receipt->pictures[i];
        check_files_of(p, x);
        if (!x->is_storyboard)
            continue;
        if (x->columns < 1 || x->rows < 1 || x->every_ms < 1 || x->columns > 1000 ||
            x->rows > 1000 || x->width < 1 || x->height < 1 || x->width > 65536 ||
            x->height > 65536) {
            report_fail(p->report, CHECK_PICTURES_NAMED, "the receipt's storyboard is none");
            continue;
        }
        check_index(p, x);
        check_playlist(p, x);
        check_manifest(p, x);
        report_pass(p->report, CHECK_PICTURES_NAMED, "%lld tiles", (long long)x->tiles);
    }
}
